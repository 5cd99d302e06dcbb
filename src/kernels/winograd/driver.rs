//! The forward pass, block by block.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use super::TileSize;
use super::blocking::{Plan, Split, blocks};
use super::input::{InputScratch, InputTransform};
use super::kernel::{GROUP, WinogradKernel};
use super::output::{OutputTransform, Target};
use super::points::{Four, Transform, Two};
use super::tiling::Tiling;
use crate::geometry::Geometry2d;
use crate::kernels::matmul::{Block, Finish, Left, Row};
use crate::kernels::simd::SimdElement;

/// The convolution of `input` with `kernel`, as [`conv::forward`](crate::kernels::conv::forward) has it, for kernels
/// of 3x3 that move by one, without dilation and groups. `finish` gets whole positions of the output, each once.
///
/// An infinity or a NaN of the input reaches every output of the tiles that see it.
pub(crate) fn forward(
    input: &[f32],
    kernel: &WinogradKernel,
    bias: Option<&[f32]>,
    geometry: &Geometry2d,
    finish: impl Fn(&mut [f32]) + Sync,
    out: &mut [f32],
) {
    let tiling = Tiling::new(geometry, kernel.size.outputs());
    let plan = Plan::new(&tiling, kernel, rayon::current_num_threads());
    let problem = Problem { input, kernel, bias, tiling, plan };
    match kernel.size {
        TileSize::Two => problem.forward::<Two, 2, 4>(finish, out),
        TileSize::Four => problem.forward::<Four, 4, 6>(finish, out),
    }
}

/// The scratch, in bytes, that [`forward`] takes on the threads of the current pool together; it is kept for the next
/// call.
pub(crate) fn workspace_bytes(kernel: &WinogradKernel, geometry: &Geometry2d) -> usize {
    let tiling = Tiling::new(geometry, kernel.size.outputs());
    let threads = rayon::current_num_threads();
    Plan::new(&tiling, kernel, threads).scratch_bytes(&tiling, kernel, threads)
}

struct Problem<'a> {
    input: &'a [f32],
    kernel: &'a WinogradKernel,
    bias: Option<&'a [f32]>,
    tiling: Tiling,
    plan: Plan,
}

impl Problem<'_> {
    fn forward<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        finish: impl Fn(&mut [f32]) + Sync,
        out: &mut [f32],
    ) {
        match &self.plan.split {
            Split::Bands { tasks, block } => {
                let pieces: Vec<_> =
                    tasks.iter().cloned().zip(self.cut(tasks.iter().cloned(), out)).collect();
                pieces.into_par_iter().for_each(|(bands, piece)| {
                    self.bands::<X, M, N>(bands, *block, piece);
                    finish(piece);
                });
            }
            Split::Filters { bands } => {
                let all = self.tiling.bands();
                let steps = (0..all).step_by(*bands).map(|first| first..all.min(first + bands));
                for (bands, piece) in steps.clone().zip(self.cut(steps, out)) {
                    self.filters::<X, M, N>(bands, &finish, piece);
                }
            }
        }
    }

    /// Cuts the output into runs of bands, which must follow each other.
    fn cut<'o>(&self, runs: impl Iterator<Item = Range<usize>>, out: &'o mut [f32]) -> Vec<&'o mut [f32]> {
        let mut rest = out;
        runs.map(|bands| {
            let (piece, tail) = std::mem::take(&mut rest).split_at_mut(self.tiling.output_of(bands).len());
            rest = tail;
            piece
        })
        .collect()
    }

    /// All filters of the bands `bands`, which `out` holds, on this thread.
    fn bands<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        bands: Range<usize>,
        block: usize,
        out: &mut [f32],
    ) {
        let Plan { tile_stride, product_stride, .. } = self.plan;
        let [_, height, width, depth] = self.tiling.geometry.output_shape();
        let tiles = bands.start * self.tiling.cols..bands.end * self.tiling.cols;
        let start = self.tiling.output_of(bands).start;
        let (_, block) = blocks(tiles.len(), block);
        let mut scratch = SCRATCH.take();
        let (transformed, products) = (&mut scratch.transformed, &mut scratch.products);
        for first in tiles.clone().step_by(block) {
            let count = block.min(tiles.end - first);
            let transformed = room(transformed, count * tile_stride);
            let products = room(products, count * product_stride);
            self.transform_input::<X, M, N>(first, &mut scratch.input, transformed);
            for group in 0..self.kernel.groups() {
                let filter = self.kernel.group(group).start;
                self.multiply(group, transformed, products);
                let target = |tile| {
                    let place = self.tiling.place(first + tile);
                    let (rows, cols) = self.tiling.covered(place);
                    let row = place.image * height + place.row;
                    Target { start: (row * width + place.col) * depth + filter - start, rows, cols }
                };
                self.transform_output::<X, _, M, N>(group, products, target, [width * depth, depth], out);
            }
        }
        SCRATCH.set(scratch);
    }

    /// All filters of the bands `bands`, which `out` holds, shared by all threads: each group of filters into memory
    /// of its own, from where the outputs are put together.
    fn filters<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        bands: Range<usize>,
        finish: &(impl Fn(&mut [f32]) + Sync),
        out: &mut [f32],
    ) {
        let Plan { tile_stride, product_stride, .. } = self.plan;
        let first = bands.start * self.tiling.cols;
        let tiles = bands.len() * self.tiling.cols;
        let mut shared = SHARED.take();
        let transformed = room(&mut shared.transformed, tiles * tile_stride);
        let outputs = room(&mut shared.outputs, self.kernel.groups() * tiles * M * M * GROUP);

        transformed.par_chunks_mut(tile_stride).enumerate().for_each(|(tile, out)| {
            let mut scratch = SCRATCH.take();
            self.transform_input::<X, M, N>(first + tile, &mut scratch.input, out);
            SCRATCH.set(scratch);
        });
        let groups = outputs.par_chunks_mut(tiles * M * M * GROUP);
        groups.enumerate().for_each(|(group, outputs)| {
            let mut scratch = SCRATCH.take();
            let products = room(&mut scratch.products, tiles * product_stride);
            self.multiply(group, transformed, products);
            let target = |tile| Target { start: tile * M * M * GROUP, rows: M, cols: M };
            self.transform_output::<X, _, M, N>(group, products, target, [M * GROUP, GROUP], outputs);
            SCRATCH.set(scratch);
        });
        self.put_together(bands, outputs, finish, out);
        SHARED.set(shared);
    }

    /// Writes the rows of the output from the tiles `outputs` of every group.
    fn put_together(
        &self,
        bands: Range<usize>,
        outputs: &[f32],
        finish: &(impl Fn(&mut [f32]) + Sync),
        out: &mut [f32],
    ) {
        let [_, height, width, depth] = self.tiling.geometry.output_shape();
        let size = self.tiling.size;
        let tiles = bands.len() * self.tiling.cols;
        let first = self.tiling.output_rows_before(bands.start);
        out.par_chunks_mut(width * depth).enumerate().for_each(|(row, out)| {
            let (image, row) = ((first + row) / height, (first + row) % height);
            let band = image * height.div_ceil(size) + row / size - bands.start;
            for (col, out) in out.chunks_exact_mut(depth).enumerate() {
                let tile = band * self.tiling.cols + col / size;
                for (group, out) in out.chunks_mut(GROUP).enumerate() {
                    let position = ((group * tiles + tile) * size + row % size) * size + col % size;
                    out.copy_from_slice(&outputs[position * GROUP..][..out.len()]);
                }
            }
            finish(out);
        });
    }

    /// Transforms the tiles from `first` on.
    fn transform_input<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        first: usize,
        scratch: &mut InputScratch,
        out: &mut [f32],
    ) {
        let Plan { tile_stride, point_stride, .. } = self.plan;
        let (source, tiling, transform) = (self.input, &self.tiling, PhantomData::<X>);
        let work =
            InputTransform { source, tiling, first, out, tile_stride, point_stride, scratch, transform };
        f32::dispatch(self.kernel.isa(), work);
    }

    /// The products of transformed tiles with the filters of a group, at every point.
    fn multiply(&self, group: usize, transformed: &[f32], products: &mut [f32]) {
        let Plan { tile_stride, product_stride, point_stride, .. } = self.plan;
        let mut out: Vec<&mut [f32]> = products.chunks_exact_mut(product_stride).collect();
        let (channels, columns) = (self.tiling.geometry.in_channels, 0..self.kernel.group(group).len());
        // In runs, because between two of them the next panel is asked for.
        let length = if channels.is_multiple_of(RUN) { RUN } else { channels };
        let runs: Vec<usize> = (0..channels).step_by(length).collect();
        let row = |tile| Row { start: tile * tile_stride, live: 0..runs.len() };
        let rows: Vec<Row> = (0..out.len()).map(row).collect();
        for point in 0..self.kernel.size.points() {
            let values = &transformed[point * point_stride..];
            let left = Left::Runs { values, rows: &rows, runs: &runs, length };
            let (right, place) = (self.kernel.panels(group, point), point * GROUP);
            let (columns, finish) = (columns.clone(), Finish::Store(None));
            Block { left, right, columns, out: &mut out, place, finish }.compute();
        }
    }

    /// Transforms the products of a group back, and adds the bias.
    fn transform_output<X: Transform<M, N>, F: Fn(usize) -> Target, const M: usize, const N: usize>(
        &self,
        group: usize,
        products: &[f32],
        target: F,
        [row_stride, col_stride]: [usize; 2],
        out: &mut [f32],
    ) {
        let filters = self.kernel.group(group);
        let work = OutputTransform::<X, F, M, N> {
            products,
            filters: filters.len(),
            bias: self.bias.map(|bias| &bias[filters]),
            target,
            row_stride,
            col_stride,
            out,
            transform: PhantomData,
        };
        f32::dispatch(self.kernel.isa(), work);
    }
}

/// Channels of a run, where they divide into runs.
const RUN: usize = 32;

/// What a thread needs to itself.
#[derive(Default)]
struct Scratch {
    input: InputScratch,
    transformed: Vec<f32>,
    products: Vec<f32>,
}

/// What threads that share the filters hand to each other.
#[derive(Default)]
struct Shared {
    transformed: Vec<f32>,
    outputs: Vec<f32>,
}

thread_local! {
    // Kept from call to call: touching fresh memory takes longer than a small layer. Taken out while in use, so that
    // a `finish` that lets its thread begin another convolution finds nothing borrowed.
    static SCRATCH: Cell<Scratch> = Cell::default();
    static SHARED: Cell<Shared> = Cell::default();
}

/// The first `len` elements of `memory`, with whatever they hold.
fn room(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    &mut memory[..len]
}
