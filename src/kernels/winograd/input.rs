//! The transform of the input: `B^T d B` for every tile `d` and every channel.

use std::ops::Range;

use super::TileSize;
use super::blocking::Slice;
use super::points::{Four, Strided, Terms, Two};
use super::tiling::Tiling;
use crate::Element;
use crate::kernels::aligned::room;
use crate::kernels::simd::{Kernel, Simd, unrolled};

/// Channels that are handled together: as many as the widest vector has lanes.
pub(super) const LINE: usize = 16;

/// Transforms some channels of the tiles from `first` on, as many as `out` has room for: tile `t` fills
/// `out[t * tile_stride..]` of the `slice` with a row of channels for each of the terms, `term_stride` apart.
pub(super) struct InputTransform<'a, T> {
    pub(super) source: &'a [T],
    pub(super) tiling: &'a Tiling,
    pub(super) first: usize,
    pub(super) channels: Range<usize>,
    pub(super) out: &'a mut [T],
    pub(super) slice: Slice,
    pub(super) scratch: &'a mut InputScratch<T>,
}

/// A tile that reaches into the padding, or whose channels do not fill lines.
pub(super) type InputScratch<T> = Vec<T>;

/// The most elements of an [`InputScratch`].
pub(super) fn input_scratch(terms: usize, term_stride: usize) -> usize {
    terms * term_stride
}

impl<T: Element> Kernel<T> for InputTransform<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        match self.tiling.size {
            TileSize::Two => self.all::<S, Two, 4>(simd),
            TileSize::Four => self.all::<S, Four, 6>(simd),
            TileSize::Strided => self.all::<S, Strided, 9>(simd),
        }
    }
}

impl<T: Element> InputTransform<'_, T> {
    #[inline(always)]
    fn all<S: Simd<T>, X: Terms<N>, const N: usize>(self, simd: S) {
        let (channels, all) = (self.channels, self.tiling.geometry.in_channels);
        let lines = channels.len().div_ceil(LINE);
        let whole = [channels.len(), all].iter().all(|count| count.is_multiple_of(LINE));
        let Slice { term_stride, tile_stride, .. } = self.slice;
        let (width, [down, right]) = (self.tiling.geometry.cols.input, self.tiling.steps());
        for (index, out) in self.out.chunks_exact_mut(tile_stride).enumerate() {
            let tile = self.first + index;
            let source = match if whole { inside::<N>(self.tiling, tile) } else { None } {
                Some(start) => {
                    let (values, _) = self.source[start + channels.start..].as_chunks();
                    let [row_stride, col_stride] = [down * width, right].map(|step| step * all / LINE);
                    Positions { values, row_stride, col_stride }
                }
                None => {
                    let (patch, _) = room(self.scratch, N * N * lines * LINE).as_chunks_mut();
                    gather::<T, N>(self.source, self.tiling, tile, &channels, patch);
                    Positions { values: patch, row_stride: N * lines, col_stride: lines }
                }
            };
            let (out, _) = out.as_chunks_mut::<LINE>();
            for line in 0..lines {
                let terms = &mut out[line..];
                for lane in (0..LINE).step_by(S::LANES) {
                    let mut half = [[simd.splat(T::zero()); N]; N];
                    unrolled!(j < N, {
                        let mut column = [simd.splat(T::zero()); N];
                        unrolled!(i < N, { column[i] = simd.load(&source.at(i, j)[line][lane..]) });
                        let column = X::input(simd, column);
                        unrolled!(i < N, { half[i][j] = column[i] });
                    });
                    unrolled!(i < N, {
                        let row = X::input(simd, half[i]);
                        unrolled!(j < N, {
                            simd.store(row[j], &mut terms[(i * N + j) * (term_stride / LINE)][lane..]);
                        });
                    });
                }
            }
        }
    }
}

/// Input positions of a tile, in place or gathered; all distances are in lines.
struct Positions<'a, T> {
    values: &'a [[T; LINE]],
    row_stride: usize,
    col_stride: usize,
}

impl<T> Positions<'_, T> {
    /// The channels of a position.
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> &[[T; LINE]] {
        &self.values[i * self.row_stride + j * self.col_stride..]
    }
}

/// Where in the input the tile starts; `None` if it reaches into the padding.
#[inline(always)]
fn inside<const N: usize>(tiling: &Tiling, tile: usize) -> Option<usize> {
    let place = tiling.place(tile);
    let (rows, cols) = (tiling.geometry.rows, tiling.geometry.cols);
    let (row, col) = (rows.source(place.row, 0)?, cols.source(place.col, 0)?);
    rows.source(place.row, N - 1)?;
    cols.source(place.col, N - 1)?;
    let position = (place.image * rows.input + row) * cols.input + col;
    Some(position * tiling.geometry.in_channels)
}

/// Copies some channels of a tile's positions one after the other, in whole lines, with zeros for the padding.
fn gather<T: Element, const N: usize>(
    source: &[T],
    tiling: &Tiling,
    tile: usize,
    channels: &Range<usize>,
    out: &mut [[T; LINE]],
) {
    let place = tiling.place(tile);
    let (rows, cols) = (tiling.geometry.rows, tiling.geometry.cols);
    let lines = channels.len().div_ceil(LINE);
    for (index, out) in out.chunks_exact_mut(lines).enumerate() {
        let (i, j) = (index / N, index % N);
        let (Some(row), Some(col)) = (rows.source(place.row, i), cols.source(place.col, j)) else {
            out.fill([T::zero(); LINE]);
            continue;
        };
        let position = (place.image * rows.input + row) * cols.input + col;
        let seen = &source[position * tiling.geometry.in_channels..][channels.clone()];
        let (whole, rest) = seen.as_chunks::<LINE>();
        out[..whole.len()].copy_from_slice(whole);
        if let Some(line) = out.get_mut(whole.len()) {
            *line = [T::zero(); LINE];
            line[..rest.len()].copy_from_slice(rest);
        }
    }
}
