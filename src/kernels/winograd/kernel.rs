//! The transform of the kernel: `G g G^T` for every channel and filter, once, packed for the products.

use std::ops::Range;

use super::TileSize;
use super::points::{Four, KernelTransform, LANES, Lanes, Transform, Two};
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::kept::{room, with_kept};
use crate::kernels::kernel_matrix::KernelMatrix;
use crate::kernels::matmul::{Panel, Panels, each_panel_of, panels_len, threads};
use crate::kernels::pieces::each_chunk;
use crate::kernels::simd::{Isa, Kernel, Simd, isa};
use crate::kernels::spare::Buffer;

/// Filters that are multiplied and transformed back together: whole vectors on every instruction set, and two panels of
/// `f32` with AVX2. AVX-512 has them in panels of two vectors.
pub(super) const GROUP: usize = 32;
/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// A kernel of 3x3 transformed and packed for [`forward`](super::forward).
///
/// The products use it in one stream: the filters in groups, for each group all points, for each point the group's
/// panels.
#[derive(Clone, Debug)]
pub(crate) struct WinogradKernel<T: Copy + Default + 'static> {
    pub(super) isa: Isa,
    pub(super) size: TileSize,
    channels: usize,
    filters: usize,
    values: Buffer<T>,
}

impl<T: Element> WinogradKernel<T> {
    /// Transforms a kernel `[3, 3, channels, filters]` for tiles of `size`.
    pub(crate) fn new(kernel: &[T], geometry: &Geometry2d, size: TileSize) -> Self {
        Self::packed_for(isa(), &KernelMatrix::new(kernel, geometry.kernel_shape()), size)
    }

    /// The same for a given instruction set.
    pub(super) fn packed_for(isa: Isa, kernel: &KernelMatrix<'_, T>, size: TileSize) -> Self {
        let (rows, filters) = kernel.size();
        let channels = rows / 9;
        let rest = if filters % GROUP > 0 { group_len::<T>(isa, size, channels, filters % GROUP) } else { 0 };
        let whole = group_len::<T>(isa, size, channels, GROUP);
        let mut values = Buffer::unwritten(filters / GROUP * whole + rest);
        each_chunk(threads(values.len()) > 1, &mut values, whole, |group, out| {
            transform_group(isa, kernel, group, size, out);
        });
        WinogradKernel { isa, size, channels, filters, values }
    }

    /// The filters of a group, with all that is used after them.
    pub(super) fn group(&self, group: usize) -> GroupPanels<'_, T> {
        let (first, values) = (group * GROUP, &self.values);
        let filters = GROUP.min(self.filters - first);
        let before = group * group_len::<T>(self.isa, self.size, self.channels, GROUP);
        GroupPanels { isa: self.isa, channels: self.channels, filters, values: &values[before..] }
    }
}

/// A group of filters, transformed and packed.
#[derive(Clone, Copy)]
pub(super) struct GroupPanels<'a, T> {
    isa: Isa,
    channels: usize,
    pub(super) filters: usize,
    values: &'a [T],
}

impl<'a, T: Element> GroupPanels<'a, T> {
    /// The matrix `channels x filters` at a point.
    pub(super) fn at(&self, point: usize) -> Panels<'a, T> {
        let start = point * point_len::<T>(self.isa, self.channels, self.filters);
        Panels { isa: self.isa, k: self.channels, values: &self.values[start..] }
    }
}

/// Room for a group that is used once.
#[derive(Default)]
pub(super) struct OneGroup<T>(Vec<T>);

impl<T: Element> OneGroup<T> {
    /// Transforms the filters of a group of `kernel`.
    pub(super) fn transform(
        &mut self,
        kernel: &KernelMatrix<'_, T>,
        group: usize,
        size: TileSize,
    ) -> GroupPanels<'_, T> {
        let (isa, (rows, filters)) = (isa(), kernel.size());
        let (channels, filters) = (rows / 9, GROUP.min(filters - group * GROUP));
        let values = room(&mut self.0, group_len::<T>(isa, size, channels, filters));
        transform_group(isa, kernel, group, size, values);
        GroupPanels { isa, channels, filters, values }
    }
}

/// Room for taps that lie elsewhere in another order.
#[derive(Default)]
struct Taps<T>(Vec<T>);

/// Transforms the filters of a group of `kernel`, a matrix of 9 taps of some channels.
fn transform_group<T: Element>(
    isa: Isa,
    kernel: &KernelMatrix<'_, T>,
    group: usize,
    size: TileSize,
    out: &mut [T],
) {
    let (rows, filters) = kernel.size();
    let (channels, group) = (rows / 9, group * GROUP..filters.min((group + 1) * GROUP));
    if let Some(kernel) = kernel.in_order() {
        return T::dispatch(isa, TransformGroup { kernel, channels, filters, group, size, out });
    }
    with_kept(|taps: &mut Taps<T>| {
        let count = group.len();
        let taps = room(&mut taps.0, rows * count);
        kernel.copy(group, count, taps);
        let work = TransformGroup { kernel: taps, channels, filters: count, group: 0..count, size, out };
        T::dispatch(isa, work);
    });
}

/// The distance between the points of a group of so many filters: an odd number of cache lines, so that all points of a
/// channel find room in the first-level cache.
pub(super) fn point_len<T: Element>(isa: Isa, channels: usize, filters: usize) -> usize {
    let line = LINE_BYTES / size_of::<T>();
    (panels_len::<T>(isa, channels, filters).div_ceil(line) | 1) * line
}

/// The room that a group of so many filters takes.
pub(super) fn group_len<T: Element>(isa: Isa, size: TileSize, channels: usize, filters: usize) -> usize {
    size.points() * point_len::<T>(isa, channels, filters)
}

/// Transforms the filters `group` of a kernel `[3, 3, channels, filters]`: in double precision, rounded once.
struct TransformGroup<'a, T> {
    kernel: &'a [T],
    channels: usize,
    filters: usize,
    group: Range<usize>,
    size: TileSize,
    /// For each point, panels.
    out: &'a mut [T],
}

impl<T: Element> Kernel<T> for TransformGroup<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, _: S) {
        match self.size {
            TileSize::Two => self.all(S::ISA, &KernelTransform::<4>::new(Two::POINTS)),
            TileSize::Four => self.all(S::ISA, &KernelTransform::<6>::new(Four::POINTS)),
        }
    }
}

impl<T: Element> TransformGroup<'_, T> {
    #[inline(always)]
    fn all<const N: usize>(self, isa: Isa, transform: &KernelTransform<N>) {
        let TransformGroup { kernel, channels, filters, group, out, .. } = self;
        let point_len = point_len::<T>(isa, channels, group.len());
        let mut panels = each_panel_of::<T>(isa, channels, group.len());
        let panels: [Option<Panel>; GROUP / 4] = std::array::from_fn(|_| panels.next());
        // All filters of a channel before the next one: its taps may lie where they evict each other from the caches.
        for channel in 0..channels {
            for Panel { first, width } in panels.iter().flatten() {
                for lane in (0..group.len().saturating_sub(*first).min(*width)).step_by(LANES) {
                    let source = &kernel[channel * filters + group.start + first + lane..];
                    let count = (group.len() - first - lane).min(LANES);
                    let taps = load_taps(source, channels * filters, count);
                    let place = first * channels + channel * width + lane;
                    let points = both_ways(transform, &taps);
                    for (point, values) in points.as_flattened().iter().enumerate() {
                        let out = &mut out[point * point_len + place..];
                        match out.first_chunk_mut::<LANES>() {
                            Some(out) if lane + LANES <= *width => *out = values.map(T::of),
                            _ => {
                                let part = out.iter_mut().zip(values).take(width - lane);
                                part.for_each(|(o, v)| *o = T::of(*v));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The 3x3 taps of `count` filters; zeros for the rest.
#[inline(always)]
fn load_taps<T: Element>(source: &[T], stride: usize, count: usize) -> [[Lanes; 3]; 3] {
    let mut taps = [[[0.0; LANES]; 3]; 3];
    for (tap, lanes) in taps.as_flattened_mut().iter_mut().enumerate() {
        let source = &source[tap * stride..];
        match source.first_chunk::<LANES>() {
            Some(source) if count == LANES => *lanes = source.map(T::to_double),
            _ => lanes.iter_mut().zip(&source[..count]).for_each(|(lane, x)| *lane = x.to_double()),
        }
    }
    taps
}

/// `G g G^T`.
#[inline(always)]
fn both_ways<const N: usize>(transform: &KernelTransform<N>, taps: &[[Lanes; 3]; 3]) -> [[Lanes; N]; N] {
    let mut half = [[[0.0; LANES]; 3]; N];
    for col in 0..3 {
        let column = transform.apply(&[taps[0][col], taps[1][col], taps[2][col]]);
        for (half, value) in half.iter_mut().zip(column) {
            half[col] = value;
        }
    }
    let mut points = [[[0.0; LANES]; N]; N];
    for (points, half) in points.iter_mut().zip(&half) {
        *points = transform.apply(half);
    }
    points
}
