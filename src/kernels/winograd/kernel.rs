//! The transform of the kernel: `G g G^T` for every channel and filter, once, packed for the products.
#![allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined

use std::ops::Range;

use super::TileSize;
use super::points::{Four, KernelTransform, Transform, Two};
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::{line_len, room};
use crate::kernels::kept::with_kept;
use crate::kernels::kernel_matrix::KernelMatrix;
use crate::kernels::panels::{Panel, Panels, each_panel_of, panels_len};
use crate::kernels::pieces::{each_chunk, even_pieces};
use crate::kernels::simd::{Isa, Kernel, MAX_LANES, Simd, SimdElement, isa, prefetch_read};
use crate::kernels::spare::Buffer;
use crate::kernels::threads::threads;

/// Filters that are multiplied and transformed back together: whole vectors on every instruction set, and two panels of
/// `f32` with AVX2. AVX-512 has them in panels of two vectors.
pub(super) const GROUP: usize = 32;
/// Bytes of a group, transformed, that stay in a second-level cache until they are used.
const NEAR_BYTES: usize = 640 << 10;

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
        Self::packed_for(isa(), &KernelMatrix::new(kernel, geometry.out_channels), size)
    }

    /// The same for a given instruction set.
    pub(super) fn packed_for(isa: Isa, kernel: &KernelMatrix<'_, T>, size: TileSize) -> Self {
        let (rows, filters) = kernel.size();
        let channels = rows / 9;
        let rest = if filters % GROUP > 0 { group_len::<T>(isa, size, channels, filters % GROUP) } else { 0 };
        let whole = group_len::<T>(isa, size, channels, GROUP);
        let mut values = Buffer::unwritten(filters / GROUP * whole + rest);
        each_chunk(threads(values.len()) > 1, &mut values, whole, |group, out| {
            with_taps(kernel, group, |taps| taps.transform(isa, 0..channels, size, out));
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
    /// The matrix of these channels and the filters at a point.
    pub(super) fn at(&self, point: usize, channels: Range<usize>) -> Panels<'a, T> {
        let start = point * point_len::<T>(self.isa, self.channels, self.filters);
        Panels { isa: self.isa, k: self.channels, rows: channels, values: &self.values[start..], ahead: None }
    }
}

/// Room for a group that is used once.
#[derive(Default)]
pub(super) struct OneGroup<T>(Vec<T>);

impl<T: Element> OneGroup<T> {
    /// Transforms the filters of a group of `kernel` and hands them to `each`: if `near`, for as many channels at a time as
    /// stay in a second-level cache until they are used.
    pub(super) fn transform(
        &mut self,
        kernel: &KernelMatrix<'_, T>,
        group: usize,
        (size, near): (TileSize, bool),
        mut each: impl FnMut(Range<usize>, GroupPanels<'_, T>),
    ) {
        let isa = isa();
        let most = NEAR_BYTES / (size.points() * GROUP * size_of::<T>());
        with_taps(kernel, group, |taps| {
            let filters = taps.filters.len();
            for (first, channels) in even_pieces(0..taps.channels, if near { most } else { taps.channels }) {
                let values = room(&mut self.0, group_len::<T>(isa, size, channels, filters));
                taps.transform(isa, first..first + channels, size, values);
                each(first..first + channels, GroupPanels { isa, channels, filters, values });
            }
        });
    }
}

/// Room for taps that lie elsewhere in another order.
#[derive(Default)]
struct Taps<T>(Vec<T>);

/// Where the filters of a group lie in nine taps of rows, one a channel.
struct GroupTaps<'a, T> {
    values: &'a [T],
    channels: usize,
    /// Numbers of a row.
    row: usize,
    filters: Range<usize>,
}

/// Calls `f` with the taps of a group of `kernel`, row by row.
fn with_taps<T: Element>(kernel: &KernelMatrix<'_, T>, group: usize, f: impl FnOnce(GroupTaps<'_, T>)) {
    let (rows, row) = kernel.size();
    let (channels, filters) = (rows / 9, group * GROUP..row.min((group + 1) * GROUP));
    match kernel {
        KernelMatrix::InOrder { values, .. } => f(GroupTaps { values, channels, row, filters }),
        KernelMatrix::Turned(turned) => with_kept(|taps: &mut Taps<T>| {
            let row = filters.len();
            let values = room(&mut taps.0, rows * row);
            turned.copy(0..turned.taps(), filters, row, values);
            f(GroupTaps { values, channels, row, filters: 0..row });
        }),
    }
}

impl<T: Element> GroupTaps<'_, T> {
    /// Transforms some channels, in double precision, rounded once: for each point, panels.
    fn transform(&self, isa: Isa, channels: Range<usize>, size: TileSize, out: &mut [T]) {
        f64::dispatch(isa, TransformTaps { taps: self, channels, size, out });
    }
}

/// The distance between the points of a group of so many filters: an odd number of cache lines, so that all points of a
/// channel find room in the first-level cache.
pub(super) fn point_len<T: Element>(isa: Isa, channels: usize, filters: usize) -> usize {
    let lines = panels_len::<T>(isa, channels, filters).div_ceil(line_len::<T>());
    (lines | 1) * line_len::<T>()
}

/// The room that a group of so many filters takes.
pub(super) fn group_len<T: Element>(isa: Isa, size: TileSize, channels: usize, filters: usize) -> usize {
    size.points() * point_len::<T>(isa, channels, filters)
}

/// The work of [`GroupTaps::transform`].
struct TransformTaps<'a, T> {
    taps: &'a GroupTaps<'a, T>,
    channels: Range<usize>,
    size: TileSize,
    out: &'a mut [T],
}

impl<T: Element> Kernel<f64> for TransformTaps<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<f64>>(self, simd: S) {
        match self.size {
            TileSize::Two => self.all(simd, KernelTransform::<4>::new(Two::POINTS)),
            TileSize::Four => self.all(simd, KernelTransform::<6>::new(Four::POINTS)),
        }
    }
}

impl<T: Element> TransformTaps<'_, T> {
    #[inline(always)]
    fn all<S: Simd<f64>, const N: usize>(self, simd: S, transform: KernelTransform<N>) {
        let TransformTaps { taps: GroupTaps { values, channels: all, row, filters }, channels, out, .. } =
            self;
        let (count, used) = (channels.len(), filters.len());
        let point_len = point_len::<T>(S::ISA, count, used);
        let mut panels = each_panel_of::<T>(S::ISA, count, used);
        let panels: [Option<Panel>; GROUP / 4] = std::array::from_fn(|_| panels.next());
        let tap_len = all * row;
        let matrix = transform.splat(simd);
        for (index, channel) in channels.enumerate() {
            let source = &values[channel * row + filters.start..];
            // Taps lie far apart: the processor does not foresee what is read next.
            let ahead = values.get((channel + AHEAD) * row + filters.start..).unwrap_or_default();
            for from in ahead.chunks(tap_len).take(9) {
                prefetch_read(&from[..used.min(from.len())]);
            }
            for Panel { first, width } in panels.iter().flatten() {
                for lane in (0..used.saturating_sub(*first).min(*width)).step_by(S::LANES) {
                    let lanes = (used - first - lane).min(S::LANES);
                    let taps = load_taps(simd, &source[first + lane..], tap_len, lanes);
                    let out = &mut out[first * count + index * width + lane..];
                    store_points::<T, S, N>(simd, &matrix, &taps, out, point_len);
                }
            }
        }
    }
}

/// Channels that are asked for before their turn.
const AHEAD: usize = 4;

/// The 3x3 taps of `count` filters; zeros for the rest.
#[inline(always)]
fn load_taps<T: Element, S: Simd<f64>>(simd: S, source: &[T], stride: usize, count: usize) -> [[S::V; 3]; 3] {
    let mut taps = [[simd.splat(0.0); 3]; 3];
    for (tap, vector) in taps.as_flattened_mut().iter_mut().enumerate() {
        let source = &source[tap * stride..];
        let mut lanes = [0.0; MAX_LANES];
        if count == S::LANES {
            let source = &source[..S::LANES];
            for lane in 0..S::LANES {
                lanes[lane] = source[lane].to_double();
            }
        } else {
            for lane in 0..count {
                lanes[lane] = source[lane].to_double();
            }
        }
        *vector = simd.load(&lanes);
    }
    taps
}

/// Writes `G g G^T`, points `stride` apart.
#[inline(always)]
fn store_points<T: Element, S: Simd<f64>, const N: usize>(
    simd: S,
    matrix: &[[S::V; 3]; N],
    taps: &[[S::V; 3]; 3],
    out: &mut [T],
    stride: usize,
) {
    let mut half = [[simd.splat(0.0); 3]; N];
    for col in 0..3 {
        let column = transform(simd, matrix, &[taps[0][col], taps[1][col], taps[2][col]]);
        for i in 0..N {
            half[i][col] = column[i];
        }
    }
    for i in 0..N {
        let row = transform(simd, matrix, &half[i]);
        for j in 0..N {
            let mut lanes = [0.0; MAX_LANES];
            simd.store(row[j], &mut lanes);
            let out = &mut out[(i * N + j) * stride..][..S::LANES];
            for lane in 0..S::LANES {
                out[lane] = T::of(lanes[lane]);
            }
        }
    }
}

/// `G` times a vector. Beside 0 and infinity, points come in pairs of both signs, whose even powers are the same.
#[inline(always)]
fn transform<S: Simd<f64>, const N: usize>(simd: S, matrix: &[[S::V; 3]; N], taps: &[S::V; 3]) -> [S::V; N] {
    let mut out = [taps[2]; N];
    out[0] = simd.mul(taps[0], matrix[0][0]);
    for i in (1..N - 1).step_by(2) {
        let even = simd.mul_add(taps[2], matrix[i][2], simd.mul(taps[0], matrix[i][0]));
        let odd = simd.mul(taps[1], matrix[i][1]);
        out[i] = simd.add(even, odd);
        out[i + 1] = simd.sub(even, odd);
    }
    out
}
