//! The transform of the kernel: `G g G^T` for every channel and filter, once, packed for the products.

use std::ops::Range;

use super::TileSize;
use super::points::{Four, KernelTransform, LANES, Lanes, Transform, Two};
use crate::Element;
use crate::geometry::Geometry2d;
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
    isa: Isa,
    pub(super) size: TileSize,
    channels: usize,
    filters: usize,
    values: Buffer<T>,
}

impl<T: Element> WinogradKernel<T> {
    /// Transforms a kernel `[3, 3, channels, filters]` for tiles of `size`.
    pub(crate) fn new(kernel: &[T], geometry: &Geometry2d, size: TileSize) -> Self {
        Self::packed_for(isa(), kernel, geometry, size)
    }

    /// The same for a given instruction set.
    pub(super) fn packed_for(isa: Isa, kernel: &[T], geometry: &Geometry2d, size: TileSize) -> Self {
        let [_, _, channels, filters] = geometry.kernel_shape();
        let rest = if filters % GROUP > 0 { group_len::<T>(isa, size, channels, filters % GROUP) } else { 0 };
        let whole = group_len::<T>(isa, size, channels, GROUP);
        let mut values = Buffer::unwritten(filters / GROUP * whole + rest);
        each_chunk(threads(values.len()) > 1, &mut values, whole, |group, out| {
            let group = group * GROUP..filters.min((group + 1) * GROUP);
            T::dispatch(isa, TransformGroup { kernel, channels, filters, group, size, out });
        });
        WinogradKernel { isa, size, channels, filters, values }
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// The filters of group `group`.
    pub(super) fn group(&self, group: usize) -> Range<usize> {
        let first = group * GROUP;
        first..self.filters.min(first + GROUP)
    }

    /// The number of groups.
    pub(super) fn groups(&self) -> usize {
        self.filters.div_ceil(GROUP)
    }

    /// The matrix `channels x filters` of a group at a point, with all that is used after it.
    pub(super) fn panels(&self, group: usize, point: usize) -> Panels<'_, T> {
        let filters = self.group(group);
        let before = group * group_len::<T>(self.isa, self.size, self.channels, GROUP);
        let start = before + point * point_len::<T>(self.isa, self.channels, filters.len());
        Panels { isa: self.isa, k: self.channels, values: &self.values[start..] }
    }
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
        for Panel { first, width } in each_panel_of::<T>(isa, channels, group.len()) {
            for (channel, lane) in (0..channels).flat_map(|c| (0..width).step_by(LANES).map(move |l| (c, l)))
            {
                let Some(count) = (group.len() - first).checked_sub(lane).filter(|&count| count > 0) else {
                    continue;
                };
                let source = &kernel[channel * filters + group.start + first + lane..];
                let taps = load_taps(source, channels * filters, count.min(LANES));
                let place = first * channels + channel * width + lane;
                let points = both_ways(transform, &taps);
                for (point, values) in points.as_flattened().iter().enumerate() {
                    let out = &mut out[point * point_len + place..];
                    match out.first_chunk_mut::<LANES>() {
                        Some(out) if lane + LANES <= width => *out = values.map(T::of),
                        _ => out.iter_mut().zip(values).take(width - lane).for_each(|(o, v)| *o = T::of(*v)),
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
