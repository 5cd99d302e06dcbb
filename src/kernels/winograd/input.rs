//! The transform of the input: `B^T d B` for every tile `d` and every channel.

use std::ops::Range;

use super::TileSize;
use super::blocking::Slice;
use super::points::{FivePoints, FourPoints, Inputs, OnePoint, SixPoints, with_inputs};
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
        with_inputs!(self.tiling.size, self.all::<S>(simd))
    }
}

impl<T: Element> InputTransform<'_, T> {
    #[inline(always)]
    fn all<S: Simd<T>, R: Inputs<N>, C: Inputs<L>, const N: usize, const L: usize>(self, simd: S) {
        let (channels, all) = (self.channels, self.tiling.geometry.in_channels);
        let len = channels.len().next_multiple_of(LINE);
        let whole = [channels.len(), all].iter().all(|count| count.is_multiple_of(LINE));
        let Slice { term_stride, tile_stride, .. } = self.slice;
        let (width, [down, right]) = (self.tiling.geometry.cols.input, self.tiling.steps);
        for (index, out) in self.out.chunks_exact_mut(tile_stride).enumerate() {
            let tile = self.first + index;
            let (values, strides) = match if whole { inside::<N, L>(self.tiling, tile) } else { None } {
                Some(start) => (&self.source[start + channels.start..], [down * width * all, right * all]),
                None => {
                    let patch = room(self.scratch, N * L * len);
                    gather::<T, L>(self.source, self.tiling, tile, &channels, patch);
                    (&*patch, [L * len, len])
                }
            };
            for lane in (0..len).step_by(S::LANES) {
                let (values, terms) = ((&values[lane..], strides), (&mut out[lane..], term_stride));
                transform::<T, S, R, C, N, L>(simd, values, terms);
            }
        }
    }
}

/// `B^T d B` for a vector of channels at the positions `d` of a tile, which are so far apart down and to the right; its terms
/// are written `stride` apart.
#[inline(always)]
fn transform<T: Element, S: Simd<T>, R: Inputs<N>, C: Inputs<L>, const N: usize, const L: usize>(
    simd: S,
    (values, [down, right]): (&[T], [usize; 2]),
    (terms, stride): (&mut [T], usize),
) {
    let mut half = [[simd.splat(T::zero()); L]; N];
    unrolled!(j < L, {
        let column = R::input(simd, simd.load_strided(&values[j * right..], down));
        unrolled!(i < N, { half[i][j] = column[i] });
    });
    unrolled!(i < N, {
        simd.store_strided(C::input(simd, half[i]), &mut terms[i * L * stride..], stride);
    });
}

/// Where in the input the tile starts; `None` if it reaches into the padding.
#[inline(always)]
fn inside<const N: usize, const L: usize>(tiling: &Tiling, tile: usize) -> Option<usize> {
    let place = tiling.place(tile);
    let (rows, cols) = (tiling.geometry.rows, tiling.geometry.cols);
    let (row, col) = (rows.source(place.row, 0)?, cols.source(place.col, 0)?);
    rows.source(place.row, N - 1)?;
    cols.source(place.col, L - 1)?;
    let position = (place.image * rows.input + row) * cols.input + col;
    Some(position * tiling.geometry.in_channels)
}

/// Copies some channels of a tile's positions, `L` in a line, one after the other, in whole lines, with zeros for the padding.
fn gather<T: Element, const L: usize>(
    source: &[T],
    tiling: &Tiling,
    tile: usize,
    channels: &Range<usize>,
    out: &mut [T],
) {
    let place = tiling.place(tile);
    let (rows, cols) = (tiling.geometry.rows, tiling.geometry.cols);
    let len = channels.len().next_multiple_of(LINE);
    for (index, out) in out.chunks_exact_mut(len).enumerate() {
        let (i, j) = (index / L, index % L);
        let (Some(row), Some(col)) = (rows.source(place.row, i), cols.source(place.col, j)) else {
            out.fill(T::zero());
            continue;
        };
        let position = (place.image * rows.input + row) * cols.input + col;
        let seen = &source[position * tiling.geometry.in_channels..][channels.clone()];
        let (to, rest) = out.split_at_mut(seen.len());
        to.copy_from_slice(seen);
        rest.fill(T::zero());
    }
}
