//! The gradient of the kernel through the transform. The forward pass is `y = A^T [(G g G^T) * (B^T x B)] A` in every tile,
//! and its adjoint in `g`
//!
//! ```text
//! dg = G^T [sum over tiles of (A dy A^T) * (B^T x B)] G
//! ```
//!
//! where the sums over tiles are a product of matrices at every point.

use std::marker::PhantomData;
use std::ops::Range;

use super::TileSize;
use super::blocking::Slice;
use super::input::{InputScratch, InputTransform};
use super::kernel::{GROUP, group_len, point_len};
use super::points::{Four, KernelTransform, Transform, Two};
use super::tiling::Tiling;
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::room;
use crate::kernels::disjoint::{Rows, each_columns};
use crate::kernels::kept::with_kept;
use crate::kernels::matmul::{Block, Finish, Left, Row};
use crate::kernels::panels::{Panel, Panels, each_panel_of};
use crate::kernels::pieces::{each_chunk, even_pieces};
use crate::kernels::simd::{Isa, Kernel, Simd, isa, unrolled};
use crate::kernels::sum;
use crate::kernels::threads::threads;

/// Bytes of tiles that are transformed before they are multiplied: they stay in a third-level cache.
const BLOCK_BYTES: usize = 8 << 20;
/// Bytes of a group of filters of these, transformed, at a point: they stay in the first-level cache.
const PANEL_BYTES: usize = 16 << 10;
/// The fewest tiles that are worth the way back.
const FEW_TILES: usize = 48;
/// The most channels of a task: transformed, they stay in the second-level cache over all filters.
const TASK_CHANNELS: usize = 48;
/// Tiles that a task transforms.
const TASK_TILES: usize = 8;
/// The most bytes of a kernel's gradient, transformed, that one thread sums up by itself: with tiles of both factors, they
/// stay in the second-level cache.
const APART_BYTES: usize = 640 << 10;
/// Bytes of that and of tiles.
const APART_NEAR_BYTES: usize = 3 << 19;
/// The most pieces that tiles are cut into, to be summed apart, and the most elements of all their sums.
const PIECES: usize = 16;
/// The fewest tiles of a piece.
const PIECE_TILES: usize = 64;
const APART_ELEMENTS: usize = 1 << 21;

/// The gradient of a kernel of 3x3 that moves by one, without dilation and groups, as
/// [`conv::backward_kernel`](crate::kernels::conv::backward_kernel) has it, but for the bias.
pub(crate) fn backward_kernel<T: Element>(
    input: &[T],
    grad: &[T],
    geometry: &Geometry2d,
    size: TileSize,
    out: &mut [T],
) {
    let tiling = Tiling::new(geometry, size.outputs());
    let slice = Slice::new::<T>(&tiling, geometry.in_channels);
    let parallel = threads(geometry.multiplications() as usize) > 1;
    let problem = Problem { input, grad, tiling, isa: isa(), size, slice, parallel };
    match size {
        TileSize::Two => problem.compute::<Two, 2, 4>(out),
        TileSize::Four => problem.compute::<Four, 4, 6>(out),
    }
}

/// How many tiles are transformed at a time, at most.
pub(super) fn block_tiles<T>(geometry: &Geometry2d, size: TileSize) -> usize {
    let tile = size.points() * (geometry.in_channels + geometry.out_channels) * size_of::<T>();
    let near = PANEL_BYTES / (GROUP * size_of::<T>());
    (BLOCK_BYTES / tile).min(near).max(FEW_TILES)
}

struct Problem<'a, T> {
    input: &'a [T],
    grad: &'a [T],
    tiling: Tiling,
    isa: Isa,
    size: TileSize,
    /// All channels of the input.
    slice: Slice,
    parallel: bool,
}

/// Transformed tiles of the input and of the gradient.
#[derive(Default)]
struct Shared<T> {
    inputs: Vec<T>,
    grads: Vec<T>,
}

/// Products of a group of filters, at every point.
#[derive(Default)]
struct Products<T>(Vec<T>);

/// Those of all groups, summed over all tiles.
#[derive(Default)]
struct Sums<T>(Vec<T>);

impl<T: Element> Problem<'_, T> {
    fn compute<X: Transform<M, N>, const M: usize, const N: usize>(&self, out: &mut [T]) {
        match self.pieces() {
            1 => self.share::<X, M, N>(out),
            pieces => self.sum_apart::<X, M, N>(pieces, out),
        }
    }

    /// Into how many pieces to cut the tiles: by the problem's size alone, since it shows in the result.
    fn pieces(&self) -> usize {
        let sums = self.groups() * self.group_size(self.tiling.geometry.in_channels);
        if size_of::<T>() * sums > APART_BYTES {
            return 1;
        }
        let most = PIECES.min(APART_ELEMENTS / sums).min(self.tiling.tiles() / PIECE_TILES);
        1 << most.max(1).ilog2()
    }

    /// All of a piece of the tiles by one thread, for kernels so small that what it needs stays in its second-level cache.
    fn sum_apart<X: Transform<M, N>, const M: usize, const N: usize>(&self, pieces: usize, out: &mut [T]) {
        let geometry = &self.tiling.geometry;
        let (channels, filters, tiles) = (geometry.in_channels, geometry.out_channels, self.tiling.tiles());
        let group_size = self.group_size(channels);
        let len = self.groups() * group_size;
        let tile = self.size.points() * (channels + filters) * size_of::<T>();
        let block =
            (APART_NEAR_BYTES.saturating_sub(size_of::<T>() * len) / tile).clamp(FEW_TILES, 3 * FEW_TILES);
        with_kept(|sums: &mut Sums<T>| {
            let sums = room(&mut sums.0, len);
            sum::in_pieces(self.parallel, pieces, sums, |piece, sums| {
                let piece = piece * tiles / pieces..(piece + 1) * tiles / pieces;
                with_kept(|Shared { inputs, grads }: &mut Shared<T>| {
                    for (first, count) in even_pieces(piece.clone(), block) {
                        let group_len = group_len::<T>(self.isa, self.size, count, GROUP);
                        let inputs = room(inputs, count * self.slice.tile_stride);
                        let grads = room(grads, self.groups() * group_len);
                        self.transform_input::<X, M, N>(first, inputs);
                        let finish = if first == piece.start { Finish::PLAIN } else { Finish::Add };
                        let groups = grads.chunks_exact_mut(group_len).zip(sums.chunks_exact_mut(group_size));
                        for (group, (grads, sums)) in groups.enumerate() {
                            self.transform_grads::<X, M, N>(first..first + count, group, grads);
                            self.multiply(0..channels, inputs, (grads, count), group, sums, finish);
                        }
                    }
                });
            });
            let out = Rows::new(out, channels * filters);
            each_columns(self.parallel, out, 0, self.task_channels() * filters, &|columns, mut out| {
                let channels = columns.start / filters..columns.end / filters;
                for (group, sums) in sums.chunks_exact(group_size).enumerate() {
                    self.back::<N>(sums, channels.clone(), group, &mut out, true);
                }
            });
        });
    }

    /// Blocks of tiles that all threads transform, and then multiply, each for some of the channels.
    fn share<X: Transform<M, N>, const M: usize, const N: usize>(&self, out: &mut [T]) {
        let geometry = &self.tiling.geometry;
        let filters = geometry.out_channels;
        let block = block_tiles::<T>(geometry, self.size);
        with_kept(|shared: &mut Shared<T>| {
            for (first, count) in even_pieces(0..self.tiling.tiles(), block) {
                let group_len = group_len::<T>(self.isa, self.size, count, GROUP);
                let inputs = room(&mut shared.inputs, count * self.slice.tile_stride);
                let grads = room(&mut shared.grads, self.groups() * group_len);
                each_chunk(self.parallel, inputs, TASK_TILES * self.slice.tile_stride, |index, out| {
                    self.transform_input::<X, M, N>(first + index * TASK_TILES, out);
                });
                each_chunk(self.parallel, grads, group_len, |group, out| {
                    self.transform_grads::<X, M, N>(first..first + count, group, out);
                });
                // A column of `out` is a channel and filter.
                let out = Rows::new(out, geometry.in_channels * filters);
                each_columns(self.parallel, out, 0, self.task_channels() * filters, &|columns, mut out| {
                    let channels = columns.start / filters..columns.end / filters;
                    with_kept(|products: &mut Products<T>| {
                        let products = room(&mut products.0, self.group_size(channels.len()));
                        for (group, grads) in grads.chunks_exact(group_len).enumerate() {
                            let grads = (grads, count);
                            self.multiply(channels.clone(), inputs, grads, group, products, Finish::PLAIN);
                            self.back::<N>(products, 0..channels.len(), group, &mut out, first == 0);
                        }
                    });
                });
            }
        });
    }

    /// The channels of a task: a few tasks for every thread.
    fn task_channels(&self) -> usize {
        let channels = self.tiling.geometry.in_channels;
        let tasks = if self.parallel { 2 * rayon::current_num_threads() } else { 1 };
        let tasks = channels.div_ceil(TASK_CHANNELS).next_multiple_of(tasks);
        channels.div_ceil(tasks).max(TASK_CHANNELS / 4)
    }

    fn transform_input<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        first: usize,
        out: &mut [T],
    ) {
        let Problem { input: source, ref tiling, slice, .. } = *self;
        with_kept(|scratch: &mut InputScratch<T>| {
            let (channels, transform) = (0..tiling.geometry.in_channels, PhantomData::<X>);
            let work = InputTransform { source, tiling, first, channels, out, slice, scratch, transform };
            T::dispatch(self.isa, work);
        });
    }

    /// The gradients of the filters of `group` in the tiles.
    fn transform_grads<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        tiles: Range<usize>,
        group: usize,
        out: &mut [T],
    ) {
        let Problem { grad, ref tiling, .. } = *self;
        let (filters, transform) = (self.filters(group), PhantomData::<X>);
        T::dispatch(self.isa, GradTransform { grad, tiling, tiles, filters, out, transform });
    }

    /// The products of some channels and a group of filters at every point, summed over `count` tiles.
    fn multiply(
        &self,
        channels: Range<usize>,
        inputs: &[T],
        (grads, count): (&[T], usize),
        group: usize,
        products: &mut [T],
        finish: Finish<'_, T>,
    ) {
        let columns = 0..self.filters(group).len();
        let point_len = point_len::<T>(self.isa, count, columns.len());
        let Slice { point_stride, tile_stride, .. } = self.slice;
        with_kept(|rows: &mut Vec<Row>| {
            Row::dense(rows, count, tile_stride);
            for (point, products) in products.chunks_exact_mut(channels.len() * GROUP).enumerate() {
                let values = &inputs[point * point_stride..];
                let left = Left::Columns { values, rows, first: channels.start, ahead: point_stride };
                let right = Panels::whole(self.isa, count, &grads[point * point_len..]);
                let (columns, out) = (columns.clone(), &mut Rows::new(products, GROUP));
                Block { left, right, columns, out, place: 0, finish }.compute();
            }
        });
    }

    /// Turns the sums of some of their channels into gradients: those are written, or added to what is there.
    fn back<const N: usize>(
        &self,
        sums: &[T],
        channels: Range<usize>,
        group: usize,
        out: &mut Rows<'_, T>,
        writes: bool,
    ) {
        let row = self.tiling.geometry.out_channels;
        let filters = self.filters(group);
        T::dispatch(self.isa, Back::<T, N> { sums, channels, filters, row, out, writes });
    }

    fn groups(&self) -> usize {
        self.tiling.geometry.out_channels.div_ceil(GROUP)
    }

    /// The filters of a group.
    fn filters(&self, group: usize) -> Range<usize> {
        group * GROUP..self.tiling.geometry.out_channels.min((group + 1) * GROUP)
    }

    /// The sums of a group of filters: for every point, a row for each channel.
    fn group_size(&self, channels: usize) -> usize {
        self.size.points() * channels * GROUP
    }
}

/// `A dy A^T` for tiles `dy` of the gradient, zero beyond the map's end, and some filters: at every point, panels of a row
/// for each tile.
struct GradTransform<'a, T, X, const M: usize, const N: usize> {
    grad: &'a [T],
    tiling: &'a Tiling,
    tiles: Range<usize>,
    filters: Range<usize>,
    out: &'a mut [T],
    transform: PhantomData<X>,
}

impl<T: Element, X: Transform<M, N>, const M: usize, const N: usize> Kernel<T>
    for GradTransform<'_, T, X, M, N>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let GradTransform { grad, tiling, tiles, filters, out, .. } = self;
        let [_, height, width, depth] = tiling.geometry.output_shape();
        let (count, used) = (tiles.len(), filters.len());
        let point_len = point_len::<T>(S::ISA, count, used);
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
                    let mut values = [[simd.splat(T::zero()); M]; M];
                    unrolled!(j < M, {
                        unrolled!(i < M, {
                            if i < rows && j < cols {
                                let at = start + (i * width + j) * depth;
                                values[j][i] = simd.load_up_to(&grad[at + filter..at + used]);
                            }
                        });
                    });
                    let mut half = [[simd.splat(T::zero()); M]; N];
                    unrolled!(j < M, {
                        let column = X::gradient(simd, values[j]);
                        unrolled!(i < N, { half[i][j] = column[i] });
                    });
                    let out = &mut out[first * count + index * panel + lane..];
                    unrolled!(i < N, {
                        let row = X::gradient(simd, half[i]);
                        unrolled!(j < N, { simd.store(row[j], &mut out[(i * N + j) * point_len..]) });
                    });
                }
            }
        }
    }
}

/// `G^T u G` for the sums `u` of every channel and filter, into rows of the gradient, one a tap.
struct Back<'a, 'b, T, const N: usize> {
    /// For every point, a row of a group of filters for each channel.
    sums: &'a [T],
    channels: Range<usize>,
    filters: Range<usize>,
    /// From one channel of a row of `out` to the next.
    row: usize,
    out: &'a mut Rows<'b, T>,
    writes: bool,
}

impl<T: Element, const N: usize> Kernel<T> for Back<'_, '_, T, N> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
    fn run<S: Simd<T>>(self, simd: S) {
        let Back { sums, channels, filters, row, out, writes } = self;
        let point_len = sums.len() / (N * N);
        let transform = match N {
            4 => KernelTransform::<N>::new(Two::POINTS),
            _ => KernelTransform::<N>::new(Four::POINTS),
        };
        let matrix = transform.splat(simd);
        for (index, channel) in channels.enumerate() {
            let place = index * row + filters.start..index * row + filters.end;
            let out: [&mut [T]; 9] = out.part(0, place);
            for lane in (0..filters.len()).step_by(S::LANES) {
                let at = |point: usize| &sums[point * point_len + channel * GROUP + lane..];
                let mut half = [[simd.splat(T::zero()); N]; 3];
                for j in 0..N {
                    let mut column = [simd.splat(T::zero()); N];
                    for i in 0..N {
                        column[i] = simd.load(at(i * N + j));
                    }
                    let sums = transposed::<T, S, N>(simd, &matrix, &column);
                    for i in 0..3 {
                        half[i][j] = sums[i];
                    }
                }
                for i in 0..3 {
                    let sums = transposed::<T, S, N>(simd, &matrix, &half[i]);
                    for j in 0..3 {
                        let out = &mut out[3 * i + j][lane..];
                        let old = if writes { simd.splat(T::zero()) } else { simd.load_up_to(out) };
                        simd.store_up_to(simd.add(old, sums[j]), out);
                    }
                }
            }
        }
    }
}

/// `G^T` times a vector; of every pair of points, which differ in sign, `G` has one row.
#[inline(always)]
fn transposed<T: Element, S: Simd<T>, const N: usize>(
    simd: S,
    matrix: &[[S::V; 3]; N],
    u: &[S::V; N],
) -> [S::V; 3] {
    let mut sums = [simd.mul(matrix[0][0], u[0]), simd.splat(T::zero()), u[N - 1]];
    for i in (1..N - 1).step_by(2) {
        let (even, odd) = (simd.add(u[i], u[i + 1]), simd.sub(u[i], u[i + 1]));
        sums[0] = simd.mul_add(matrix[i][0], even, sums[0]);
        sums[1] = simd.mul_add(matrix[i][1], odd, sums[1]);
        sums[2] = simd.mul_add(matrix[i][2], even, sums[2]);
    }
    sums
}
