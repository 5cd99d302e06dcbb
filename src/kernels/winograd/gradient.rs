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
use crate::kernels::simd::{Isa, Kernel, Simd, isa};
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

/// What a task needs to itself.
#[derive(Default)]
struct Scratch<T> {
    starts: Vec<Row>,
    products: Vec<T>,
}

impl<T: Element> Problem<'_, T> {
    fn compute<X: Transform<M, N>, const M: usize, const N: usize>(&self, out: &mut [T]) {
        let geometry = &self.tiling.geometry;
        let filters = geometry.out_channels;
        let block = block_tiles::<T>(geometry, self.size);
        with_kept(|shared: &mut Shared<T>| {
            for (first, count) in even_pieces(0..self.tiling.tiles(), block) {
                let group = group_len::<T>(self.isa, self.size, count, GROUP);
                let inputs = room(&mut shared.inputs, count * self.slice.tile_stride);
                let grads = room(&mut shared.grads, filters.div_ceil(GROUP) * group);
                each_chunk(self.parallel, inputs, TASK_TILES * self.slice.tile_stride, |index, out| {
                    self.transform_input::<X, M, N>(first + index * TASK_TILES, out);
                });
                each_chunk(self.parallel, grads, group, |index, out| {
                    let filters = index * GROUP..filters.min((index + 1) * GROUP);
                    let (grad, tiling, transform) = (self.grad, &self.tiling, PhantomData::<X>);
                    let tiles = first..first + count;
                    T::dispatch(self.isa, GradTransform { grad, tiling, tiles, filters, out, transform });
                });
                // A column of `out` is a channel and filter.
                let out = Rows::new(out, geometry.in_channels * filters);
                each_columns(self.parallel, out, 0, self.task_channels() * filters, &|columns, out| {
                    let channels = columns.start / filters..columns.end / filters;
                    self.multiply::<N>(channels, inputs, (grads, count), out, first == 0);
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

    /// The gradients of some channels and all filters, from `count` tiles.
    fn multiply<const N: usize>(
        &self,
        channels: Range<usize>,
        inputs: &[T],
        (grads, count): (&[T], usize),
        mut out: Rows<'_, T>,
        stores: bool,
    ) {
        let filters = self.tiling.geometry.out_channels;
        let group_len = group_len::<T>(self.isa, self.size, count, GROUP);
        with_kept(|Scratch { starts, products }: &mut Scratch<T>| {
            Row::dense(starts, count, self.slice.tile_stride);
            let point_size = channels.len() * GROUP;
            let products = room(products, self.size.points() * point_size);
            for (group, grads) in grads.chunks_exact(group_len).enumerate() {
                let filters = group * GROUP..filters.min((group + 1) * GROUP);
                let point_len = point_len::<T>(self.isa, count, filters.len());
                for (point, products) in products.chunks_exact_mut(point_size).enumerate() {
                    let values = &inputs[point * self.slice.point_stride..];
                    let left = Left::Columns {
                        values,
                        rows: starts,
                        first: channels.start,
                        ahead: self.slice.point_stride,
                    };
                    let right = Panels::whole(self.isa, count, &grads[point * point_len..]);
                    let (columns, out) = (0..filters.len(), &mut Rows::new(products, GROUP));
                    Block { left, right, columns, out, place: 0, finish: Finish::PLAIN }.compute();
                }
                let row = self.tiling.geometry.out_channels;
                let work =
                    Back::<T, N> { products, channels: channels.len(), filters, row, out: &mut out, stores };
                T::dispatch(self.isa, work);
            }
        });
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
                    let mut half = [[simd.splat(T::zero()); M]; N];
                    for j in 0..cols {
                        let mut column = [simd.splat(T::zero()); M];
                        for (i, value) in column.iter_mut().enumerate().take(rows) {
                            let at = start + (i * width + j) * depth;
                            *value = simd.load_up_to(&grad[at + filter..at + used]);
                        }
                        for (half, value) in half.iter_mut().zip(X::gradient(simd, column)) {
                            half[j] = value;
                        }
                    }
                    let out = &mut out[first * count + index * panel + lane..];
                    for (i, half) in half.into_iter().enumerate() {
                        for (j, value) in X::gradient(simd, half).into_iter().enumerate() {
                            simd.store(value, &mut out[(i * N + j) * point_len..]);
                        }
                    }
                }
            }
        }
    }
}

/// `G^T u G` for the sums `u` of every channel and filter, into rows of the gradient, one a tap.
struct Back<'a, 'b, T, const N: usize> {
    /// For every point, a row of a group of filters for each channel.
    products: &'a [T],
    channels: usize,
    filters: Range<usize>,
    /// From one channel of a row to the next.
    row: usize,
    out: &'a mut Rows<'b, T>,
    /// Whether the gradients are written, not added.
    stores: bool,
}

impl<T: Element, const N: usize> Kernel<T> for Back<'_, '_, T, N> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
    fn run<S: Simd<T>>(self, simd: S) {
        let Back { products, channels, filters, row, out, stores } = self;
        let transform = match N {
            4 => KernelTransform::<N>::new(Two::POINTS),
            _ => KernelTransform::<N>::new(Four::POINTS),
        };
        let matrix = transform.splat(simd);
        for channel in 0..channels {
            let place = channel * row + filters.start..channel * row + filters.end;
            let out: [&mut [T]; 9] = out.part(0, place);
            for lane in (0..filters.len()).step_by(S::LANES) {
                let at = |point: usize| &products[(point * channels + channel) * GROUP + lane..];
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
                        let old = if stores { simd.splat(T::zero()) } else { simd.load_up_to(out) };
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
