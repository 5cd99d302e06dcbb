//! The gradient of the kernel through the transform. The forward pass is `y = A^T [(G g G^T) * (B^T x B)] A` in every tile,
//! and its adjoint in `g`
//!
//! ```text
//! dg = G^T [sum over tiles of (A dy A^T) * (B^T x B)] G
//! ```
//!
//! where the sums over tiles are a product of matrices for every term.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::TileSize;
use super::blocking::Slice;
use super::input::{InputScratch, InputTransform, LINE};
use super::kernel::{GROUP, group_len, group_of, term_len};
use super::points::{FivePoints, FourPoints, OnePoint, Outputs, SixPoints, Taps, with_outputs, with_taps};
use super::tiling::Tiling;
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::room;
use crate::kernels::disjoint::{Rows, each_columns};
use crate::kernels::kept::with_kept;
use crate::kernels::matmul::{Block, Finish, Left, Series};
use crate::kernels::panels::{Panel, Panels, each_panel_of};
use crate::kernels::pieces::even_pieces;
use crate::kernels::simd::{Isa, Kernel, Simd, isa, unrolled};
use crate::kernels::sum;
use crate::kernels::threads::threads;

/// The most bytes of a block of tiles, transformed, so that it stays in a third-level cache.
const BLOCK_BYTES: usize = 8 << 20;
/// The same together with the sums of all terms, where products are added to these: a second-level cache, as far as they
/// leave room in it.
const NEAR_BYTES: usize = 3 << 19;
/// Bytes of a group of filters of these, transformed, at a point: they stay in the first-level cache.
const PANEL_BYTES: usize = 16 << 10;
/// The fewest tiles that are worth the way back, or to read and write the sums.
const FEW_TILES: usize = 48;
/// The most channels whose products with a group of filters stay in the second-level cache.
const NEAR_CHANNELS: usize = 48;
/// The most bytes of the sums of all terms that are worth keeping: to read and write more takes longer than the way back.
const SUMS_BYTES: usize = 10 << 20;
/// The most pieces that tiles are cut into, to be summed apart; the fewest tiles of a piece, and the most bytes of all
/// their sums.
const PIECES: usize = 16;
const PIECE_TILES: usize = 64;
const APART_BYTES: usize = 24 << 20;

/// The gradient of a kernel of the tiles' taps and stride, without groups, as
/// [`conv::backward_kernel`](crate::kernels::conv::backward_kernel) has it.
pub(crate) fn backward_kernel<T: Element>(
    input: &[T],
    grad: &[T],
    geometry: &Geometry2d,
    size: TileSize,
    out: &mut [T],
) {
    sum_up(input, grad, geometry, (size, Summing::new::<T>(geometry, size)), out);
}

/// The same, with tiles of that size and summed that way.
pub(super) fn sum_up<T: Element>(
    input: &[T],
    grad: &[T],
    geometry: &Geometry2d,
    (size, summing): (TileSize, Summing),
    out: &mut [T],
) {
    let tiling = Tiling::new(geometry, size);
    let threads = threads(geometry.multiplications() as usize);
    Problem { input, grad, tiling, isa: isa(), summing, threads }.compute(out);
}

/// How the products of tiles become sums: a matter of the problem's size alone, since it shows in the result.
#[derive(Clone, Copy)]
pub(super) struct Summing {
    /// How many tiles are transformed at a time, at most.
    pub(super) block: usize,
    /// Into how many pieces the tiles are cut, whose products are added up at every point; if none, the products of each
    /// block are transformed back.
    pub(super) pieces: Option<usize>,
}

impl Summing {
    pub(super) fn new<T>(geometry: &Geometry2d, size: TileSize) -> Self {
        let tiles = Tiling::new(geometry, size).tiles();
        let [channels, filters] = [geometry.in_channels, geometry.out_channels];
        let tile = (size.terms() * channels + size.points() * filters) * size_of::<T>();
        let panel = PANEL_BYTES / (GROUP * size_of::<T>());
        let block = |bytes: usize| (bytes / tile).min(panel).max(FEW_TILES);
        let sums = size.terms() * channels * filters.next_multiple_of(GROUP) * size_of::<T>();
        let once = block(BLOCK_BYTES);
        if tiles <= once || sums > SUMS_BYTES {
            return Summing { block: once, pieces: None };
        }
        let near = block(NEAR_BYTES.saturating_sub(sums));
        let most = PIECES.min(APART_BYTES / sums).min(tiles / PIECE_TILES).max(1);
        // A power of two, so that 2 or 4 threads end together.
        Summing { block: near, pieces: Some(1 << most.ilog2()) }
    }

    /// How many blocks `tiles` tiles are, and how many times sums are transformed back.
    pub(super) fn blocks_and_backs(self, tiles: usize) -> (usize, usize) {
        match self.pieces {
            Some(pieces) => (pieces * tiles.div_ceil(pieces).div_ceil(self.block), 1),
            None => (tiles.div_ceil(self.block), tiles.div_ceil(self.block)),
        }
    }
}

struct Problem<'a, T> {
    input: &'a [T],
    grad: &'a [T],
    tiling: Tiling,
    isa: Isa,
    summing: Summing,
    threads: usize,
}

/// A thread's memory for tiles.
#[derive(Default)]
struct Scratch<T> {
    patch: InputScratch<T>,
    inputs: Vec<T>,
    grads: Vec<T>,
}

/// A block of tiles, transformed: some channels of the input, and the gradient in groups of filters.
struct Tiles<'a, T> {
    first: usize,
    count: usize,
    inputs: &'a [T],
    slice: Slice,
    grads: &'a [T],
}

/// Sums of products of all terms, with one or with all groups of filters.
#[derive(Default)]
struct Sums<T>(Vec<T>);

impl<T: Element> Problem<'_, T> {
    /// Where there are more threads than pieces, they share the channels. Each transforms all that it needs by itself,
    /// though others need the same tiles of the gradient: to fetch those from another's cache would take longer.
    fn compute(&self, out: &mut [T]) {
        let Geometry2d { in_channels, out_channels: filters, .. } = self.tiling.geometry;
        let (out, bias) = out.split_at_mut(self.tiling.size.taps() * in_channels * filters);
        let bias = Mutex::new(bias);
        let shares = self.threads.div_ceil(self.summing.pieces.unwrap_or(1));
        let share = in_channels.div_ceil(shares).next_multiple_of(LINE);
        // A column of `out` is a channel and filter.
        let out = Rows::new(out, in_channels * filters);
        each_columns(shares > 1, out, 0, share * filters, &|columns, out| {
            let channels = columns.start / filters..columns.end / filters;
            // All shares transform all of the gradient; that of the first channels sums it up, too.
            let mut bias = (channels.start == 0).then(|| bias.lock().unwrap_or_else(PoisonError::into_inner));
            let bias = bias.as_deref_mut().map_or(&mut [][..], |bias| bias);
            match self.summing.pieces {
                Some(pieces) => self.add_up(pieces, channels, (out, bias)),
                None => self.block_by_block(channels, (out, bias)),
            }
        });
    }

    /// The gradients of some channels: all products are added up, those of each piece by itself, and the sums transformed
    /// back.
    fn add_up(&self, pieces: usize, channels: Range<usize>, (out, bias): (Rows<'_, T>, &mut [T])) {
        let (parallel, tiles) = (self.threads > 1, self.tiling.tiles());
        let filters = self.tiling.geometry.out_channels;
        let group_size = self.tiling.size.terms() * channels.len() * GROUP;
        with_kept(|Sums(sums): &mut Sums<T>| {
            let products = filters.div_ceil(GROUP) * group_size;
            let sums = room(sums, products + bias.len());
            sum::in_pieces(parallel, pieces, sums, |piece, sums| {
                let piece = piece * tiles / pieces..(piece + 1) * tiles / pieces;
                let (sums, bias) = sums.split_at_mut(products);
                self.each_block(piece.clone(), channels.clone(), bias, |tiles| {
                    let finish = if tiles.first == piece.start { Finish::PLAIN } else { Finish::ADD };
                    for (group, sums) in sums.chunks_exact_mut(group_size).enumerate() {
                        self.multiply(tiles, 0..channels.len(), group, sums, finish);
                    }
                });
            });
            let (sums, bias_sums) = sums.split_at(products);
            bias.copy_from_slice(bias_sums);
            each_columns(parallel, out, 0, LINE * filters, &|columns, mut out| {
                let channels = columns.start / filters..columns.end / filters;
                for (group, sums) in sums.chunks_exact(group_size).enumerate() {
                    self.back(sums, channels.clone(), group, (&mut out, 0), true);
                }
            });
        });
    }

    /// The gradients of some channels: the products of each block of tiles are transformed back, those of a few channels
    /// and a group of filters at a time.
    fn block_by_block(&self, channels: Range<usize>, (mut out, bias): (Rows<'_, T>, &mut [T])) {
        let groups = self.tiling.geometry.out_channels.div_ceil(GROUP);
        with_kept(|Sums(products): &mut Sums<T>| {
            self.each_block(0..self.tiling.tiles(), channels.clone(), bias, |tiles| {
                for (first, count) in even_pieces(0..channels.len(), NEAR_CHANNELS) {
                    let products = room(products, self.tiling.size.terms() * count * GROUP);
                    for group in 0..groups {
                        self.multiply(tiles, first..first + count, group, products, Finish::PLAIN);
                        self.back(products, 0..count, group, (&mut out, first), tiles.first == 0);
                    }
                }
            });
        });
    }

    /// Calls `f` with one block after the other of `tiles`, of these channels and all filters. Writes the sums of each filter
    /// to `bias`, unless it is empty.
    fn each_block(
        &self,
        tiles: Range<usize>,
        channels: Range<usize>,
        bias: &mut [T],
        mut f: impl FnMut(&Tiles<'_, T>),
    ) {
        bias.fill(T::zero());
        let Problem { input, grad, ref tiling, isa, .. } = *self;
        let slice = Slice::new::<T>(tiling, channels.len());
        let groups = tiling.geometry.out_channels.div_ceil(GROUP);
        with_kept(|Scratch { patch, inputs, grads }: &mut Scratch<T>| {
            for (first, count) in even_pieces(tiles, self.summing.block) {
                let inputs = room(inputs, count * slice.tile_stride);
                let (source, channels, out, scratch) = (input, channels.clone(), &mut *inputs, &mut *patch);
                T::dispatch(isa, InputTransform { source, tiling, first, channels, out, slice, scratch });
                let group_len = self.grads_len(count);
                let grads = room(grads, groups * group_len);
                for (group, out) in grads.chunks_exact_mut(group_len).enumerate() {
                    let (tiles, filters) = (first..first + count, self.filters(group));
                    let sums = bias.get_mut(filters.clone());
                    T::dispatch(isa, GradTransform { grad, tiling, tiles, filters, sums, out });
                }
                f(&Tiles { first, count, inputs, slice, grads });
            }
        });
    }

    /// The products of some channels and a group of filters for every term, summed over the tiles.
    fn multiply(
        &self,
        &Tiles { count, inputs, slice, grads, .. }: &Tiles<'_, T>,
        channels: Range<usize>,
        group: usize,
        products: &mut [T],
        finish: Finish<'_, T>,
    ) {
        let columns = 0..self.filters(group).len();
        let grads = &grads[group * self.grads_len(count)..];
        let point_len = term_len::<T>(self.isa, count, columns.len());
        let rows = &[Series::dense(count, slice.tile_stride)];
        for (term, products) in products.chunks_exact_mut(channels.len() * GROUP).enumerate() {
            let (point, _) = self.tiling.size.point_of(term);
            let values = &inputs[term * slice.term_stride..];
            let left = Left::Columns { values, rows, first: channels.start, ahead: slice.term_stride };
            let right = Panels::whole(self.isa, count, &grads[point * point_len..]);
            let (columns, out) = (columns.clone(), &mut Rows::new(products, GROUP));
            Block { left, right, columns, out, place: 0, finish }.compute();
        }
    }

    /// Turns the sums of some of their channels into gradients, from channel `at` of `out` on: they are written, or added
    /// to what is there.
    fn back(
        &self,
        sums: &[T],
        channels: Range<usize>,
        group: usize,
        (out, at): (&mut Rows<'_, T>, usize),
        writes: bool,
    ) {
        let row = self.tiling.geometry.out_channels;
        let filters = self.filters(group);
        let size = self.tiling.size;
        T::dispatch(self.isa, Back { sums, size, channels, filters, row, out, at, writes });
    }

    /// The room that a group of filters takes in the transformed gradients of so many tiles.
    fn grads_len(&self, tiles: usize) -> usize {
        group_len::<T>(self.isa, self.tiling.size.points(), tiles, GROUP)
    }

    /// The filters of a group.
    fn filters(&self, group: usize) -> Range<usize> {
        group_of(self.tiling.geometry.out_channels, group)
    }
}

/// `A dy A^T` for tiles `dy` of the gradient, zero beyond the map's end, and some filters: at every point, panels of a row
/// for each tile.
struct GradTransform<'a, T> {
    grad: &'a [T],
    tiling: &'a Tiling,
    tiles: Range<usize>,
    filters: Range<usize>,
    /// Where the sums of each filter are added to, if anywhere.
    sums: Option<&'a mut [T]>,
    out: &'a mut [T],
}

impl<T: Element> Kernel<T> for GradTransform<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        with_outputs!(self.tiling.size, self.all::<S>(simd))
    }
}

impl<T: Element> GradTransform<'_, T> {
    #[inline(always)]
    fn all<
        S: Simd<T>,
        R: Outputs<M, P>,
        C: Outputs<L, Q>,
        const M: usize,
        const L: usize,
        const P: usize,
        const Q: usize,
    >(
        self,
        simd: S,
    ) {
        let GradTransform { grad, tiling, tiles, filters, mut sums, out, .. } = self;
        let [_, height, width, depth] = tiling.geometry.output_shape();
        let [down, right] = tiling.steps;
        let (count, used) = (tiles.len(), filters.len());
        let point_len = term_len::<T>(S::ISA, count, used);
        for (index, tile) in tiles.enumerate() {
            let place = tiling.place(tile);
            let (rows, cols) = tiling.covered(place);
            let start = ((place.image * height + place.row) * width + place.col) * depth + filters.start;
            for Panel { first, width: panel } in each_panel_of::<T>(S::ISA, count, used) {
                for lane in (0..panel).step_by(S::LANES) {
                    let filter = first + lane;
                    if filter >= used {
                        continue;
                    }
                    let mut values = [[simd.splat(T::zero()); M]; L];
                    unrolled!(j < L, {
                        unrolled!(i < M, {
                            if i < rows && j < cols {
                                let at = start + (i * down * width + j * right) * depth;
                                values[j][i] = simd.load_up_to(&grad[at + filter..at + used]);
                            }
                        });
                    });
                    if let Some(sums) = &mut sums {
                        let sums = &mut sums[filter..];
                        let mut total = simd.load_up_to(sums);
                        unrolled!(j < L, {
                            let mut column = values[j][0];
                            unrolled!(i < M, {
                                if i > 0 {
                                    column = simd.add(column, values[j][i]);
                                }
                            });
                            total = simd.add(total, column);
                        });
                        simd.store_up_to(total, sums);
                    }
                    let mut half = [[simd.splat(T::zero()); L]; P];
                    unrolled!(j < L, {
                        let column = R::gradient(simd, values[j]);
                        unrolled!(i < P, { half[i][j] = column[i] });
                    });
                    let out = &mut out[first * count + index * panel + lane..];
                    unrolled!(i < P, {
                        let row = C::gradient(simd, half[i]);
                        simd.store_strided(row, &mut out[i * Q * point_len..], point_len);
                    });
                }
            }
        }
    }
}

/// `G^T u G` for the sums `u` of every channel and filter, into rows of the gradient, one a tap.
struct Back<'a, 'b, T> {
    /// For every term, a row of a group of filters for each channel.
    sums: &'a [T],
    size: TileSize,
    channels: Range<usize>,
    filters: Range<usize>,
    /// From one channel of a row of `out` to the next.
    row: usize,
    out: &'a mut Rows<'b, T>,
    /// Where in it the first of these channels is.
    at: usize,
    /// Whether what `out` holds is overwritten, not added to.
    writes: bool,
}

impl<T: Element> Kernel<T> for Back<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        with_taps!(self.size, self.all::<S>(simd))
    }
}

impl<T: Element> Back<'_, '_, T> {
    #[inline(always)]
    fn all<
        S: Simd<T>,
        R: Taps<N, J>,
        C: Taps<L, K>,
        const N: usize,
        const L: usize,
        const J: usize,
        const K: usize,
    >(
        self,
        simd: S,
    ) {
        let Back { sums, channels, filters, row, out, at, writes, .. } = self;
        let term_len = sums.len() / (N * L);
        for (place, channel) in (at..).zip(channels) {
            let columns = place * row + filters.start..place * row + filters.end;
            for lane in (0..filters.len()).step_by(S::LANES) {
                let sums = &sums[channel * GROUP + lane..];
                let mut half = [[simd.splat(T::zero()); L]; J];
                unrolled!(j < L, {
                    let column = simd.load_strided(&sums[j * term_len..], L * term_len);
                    let column = R::kernel_gradient(simd, column);
                    unrolled!(i < J, { half[i][j] = column[i] });
                });
                for (i, half) in half.into_iter().enumerate() {
                    let out: [&mut [T]; K] = out.part(i * K, columns.clone());
                    for (tap, out) in C::kernel_gradient(simd, half).into_iter().zip(out) {
                        let out = &mut out[lane..];
                        let old = if writes { simd.splat(T::zero()) } else { simd.load_up_to(out) };
                        simd.store_up_to(simd.add(old, tap), out);
                    }
                }
            }
        }
    }
}
