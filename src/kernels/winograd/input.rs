//! The transform of the input: `B^T d B` for every tile `d` and every channel.

use std::array;
use std::marker::PhantomData;
use std::ops::Range;

use super::blocking::Slice;
use super::points::Transform;
use super::tiling::Tiling;
use crate::Element;
use crate::kernels::simd::{Kernel, Simd};

/// Channels that are handled together: as many as the widest vector has lanes.
pub(super) const LINE: usize = 16;
/// The most channels, in lines, between the two halves of the transform: what lies there stays in the first cache.
const HALF_LINES: usize = 8;

/// Transforms some channels of the tiles from `first` on, as many as `out` has room for: tile `t` fills
/// `out[t * tile_stride..]` of the `slice` with a row of channels for each of the `N * N` points, `point_stride` apart.
pub(super) struct InputTransform<'a, T, X, const M: usize, const N: usize> {
    pub(super) source: &'a [T],
    pub(super) tiling: &'a Tiling,
    pub(super) first: usize,
    pub(super) channels: Range<usize>,
    pub(super) out: &'a mut [T],
    pub(super) slice: Slice,
    pub(super) scratch: &'a mut InputScratch<T>,
    pub(super) transform: PhantomData<X>,
}

/// Room for one tile at a time.
#[derive(Default)]
pub(super) struct InputScratch<T> {
    /// A tile that reaches into the padding, or whose channels do not fill lines.
    patch: Vec<T>,
    /// Columns transformed, and rows not yet.
    half: Vec<[T; LINE]>,
}

/// The most elements of an [`InputScratch`].
pub(super) fn input_scratch(points: usize, point_stride: usize) -> usize {
    points * (point_stride + HALF_LINES * LINE)
}

impl<T: Element, X: Transform<M, N>, const M: usize, const N: usize> Kernel<T>
    for InputTransform<'_, T, X, M, N>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let (channels, all) = (self.channels, self.tiling.geometry.in_channels);
        let lines = channels.len().div_ceil(LINE);
        let whole = [channels.len(), all].iter().all(|count| count.is_multiple_of(LINE));
        let InputScratch { patch, half } = self.scratch;
        half.resize(N * N * HALF_LINES.min(lines), [T::zero(); LINE]);
        for (index, out) in self.out.chunks_exact_mut(self.slice.tile_stride).enumerate() {
            let tile = self.first + index;
            let source = match if whole { inside::<N>(self.tiling, tile) } else { None } {
                Some((start, row_stride)) => {
                    Positions { values: &self.source[start + channels.start..], row_stride, col_stride: all }
                }
                None => {
                    let stride = lines * LINE;
                    gather::<T, N>(self.source, self.tiling, tile, (&channels, stride), patch);
                    Positions { values: patch, row_stride: N * stride, col_stride: stride }
                }
            };
            for first in (0..lines).step_by(HALF_LINES) {
                let lines = first..lines.min(first + HALF_LINES);
                let half = &mut half[..N * N * lines.len()];
                for (j, half) in half.chunks_exact_mut(N * lines.len()).enumerate() {
                    let column = array::from_fn(|i| source.lines(i, j, lines.clone()));
                    transform::<T, S, X, M, N>(simd, column, split(half, lines.len(), 0..lines.len()));
                }
                let (out, _) = out.as_chunks_mut::<LINE>();
                let points = self.slice.point_stride / LINE;
                for (i, out) in out.chunks_exact_mut(N * points).take(N).enumerate() {
                    let row = array::from_fn(|j| &half[(j * N + i) * lines.len()..][..lines.len()]);
                    transform::<T, S, X, M, N>(simd, row, split(out, points, lines.clone()));
                }
            }
        }
    }
}

/// Input positions of a tile, in place or gathered.
struct Positions<'a, T> {
    values: &'a [T],
    row_stride: usize,
    col_stride: usize,
}

impl<T> Positions<'_, T> {
    #[inline(always)]
    fn lines(&self, i: usize, j: usize, lines: Range<usize>) -> &[[T; LINE]] {
        &self.values[i * self.row_stride + j * self.col_stride..].as_chunks::<LINE>().0[lines]
    }
}

/// The lines `lines` of each of `N` rows of `stride` lines.
#[inline(always)]
fn split<T, const N: usize>(
    rows: &mut [[T; LINE]],
    stride: usize,
    lines: Range<usize>,
) -> [&mut [[T; LINE]]; N] {
    let mut rows = rows.chunks_exact_mut(stride);
    array::from_fn(|_| rows.next().map_or(&mut [][..], |row| &mut row[lines.clone()]))
}

/// `B^T` times the column of these `N` positions, channel by channel.
#[inline(always)]
fn transform<T: Element, S: Simd<T>, X: Transform<M, N>, const M: usize, const N: usize>(
    simd: S,
    from: [&[[T; LINE]]; N],
    to: [&mut [[T; LINE]]; N],
) {
    let lines = from[0].len();
    let from = from.map(|from| &from[..lines]);
    let mut to = to.map(|to| &mut to[..lines]);
    for line in 0..lines {
        for lane in (0..LINE).step_by(S::LANES) {
            // Not `array::from_fn`: it is not always inlined.
            let mut values = [simd.splat(T::zero()); N];
            for (value, from) in values.iter_mut().zip(from) {
                *value = simd.load(&from[line][lane..]);
            }
            for (value, to) in X::input(simd, values).into_iter().zip(&mut to) {
                simd.store(value, &mut to[line][lane..]);
            }
        }
    }
}

/// Where in the input the tile starts, and how far apart its rows are; `None` if it reaches into the padding.
#[inline(always)]
fn inside<const N: usize>(tiling: &Tiling, tile: usize) -> Option<(usize, usize)> {
    let place = tiling.place(tile);
    let (rows, cols) = (tiling.geometry.rows, tiling.geometry.cols);
    let (row, col) = (rows.source(place.row, 0)?, cols.source(place.col, 0)?);
    rows.source(place.row, N - 1)?;
    cols.source(place.col, N - 1)?;
    let channels = tiling.geometry.in_channels;
    let position = (place.image * rows.input + row) * cols.input + col;
    Some((position * channels, cols.input * channels))
}

/// Copies some channels of a tile's positions one after the other, `stride` apart, with zeros for the padding.
fn gather<T: Element, const N: usize>(
    source: &[T],
    tiling: &Tiling,
    tile: usize,
    (channels, stride): (&Range<usize>, usize),
    out: &mut Vec<T>,
) {
    let place = tiling.place(tile);
    let (rows, cols) = (tiling.geometry.rows, tiling.geometry.cols);
    out.clear();
    out.resize(N * N * stride, T::zero());
    for (index, out) in out.chunks_exact_mut(stride).enumerate() {
        let (i, j) = (index / N, index % N);
        if let (Some(row), Some(col)) = (rows.source(place.row, i), cols.source(place.col, j)) {
            let position = (place.image * rows.input + row) * cols.input + col;
            let seen = &source[position * tiling.geometry.in_channels..][channels.clone()];
            out[..seen.len()].copy_from_slice(seen);
        }
    }
}
