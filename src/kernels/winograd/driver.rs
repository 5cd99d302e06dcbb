//! The forward pass, block by block, and of a large kernel slice by slice of the channels: fewer channels leave room for more
//! tiles, which read the kernel less often.

use std::marker::PhantomData;
use std::ops::Range;

use super::TileSize;
use super::blocking::{Blocking, Slice, Split, even_block};
use super::input::{InputScratch, InputTransform};
use super::kernel::{GROUP, GroupPanels, OneGroup, WinogradKernel};
use super::output::{OutputTransform, Target};
use super::points::{Four, Transform, Two};
use super::tiling::Tiling;
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::room;
use crate::kernels::disjoint::Rows;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::kept::with_kept;
use crate::kernels::kernel_matrix::KernelMatrix;
use crate::kernels::matmul::{Block, Finish, Left, Row};
use crate::kernels::pieces::{each_chunk, each_piece};
use crate::kernels::simd::{Isa, Runs, isa};
use crate::kernels::threads::threads;

/// Bytes of transformed tiles up to which they stay in a second-level cache while all groups meet some of their channels;
/// more had better be read in long rows.
const NEAR_BYTES: usize = 3 << 19;

/// The convolution of `input` with `kernel`, as [`conv::forward`](crate::kernels::conv::forward) has it, for kernels
/// of 3x3 that move by one, without dilation and groups.
///
/// An infinity or a NaN of the input reaches every output of the tiles that see it.
pub(crate) fn forward<T: Element>(
    input: &[T],
    kernel: Kernel<'_, T>,
    geometry: &Geometry2d,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    let (isa, size) = match kernel {
        Kernel::Packed(packed) => (packed.isa, packed.size),
        Kernel::Once(_, size) => (isa(), size),
    };
    let tiling = Tiling::new(geometry, size.outputs());
    let threads = threads(geometry.multiplications() as usize);
    let blocking = match kernel {
        Kernel::Packed(_) => Blocking::new::<T>(isa, &tiling, threads),
        Kernel::Once(matrix, size) => match Blocking::once::<T>(&tiling) {
            Some(blocking) => blocking,
            None => {
                let packed = WinogradKernel::packed_for(isa, matrix, size);
                return forward(input, Kernel::Packed(&packed), geometry, after, out);
            }
        },
    };
    let problem = Problem { input, kernel, isa, size, after, tiling, blocking, parallel: threads > 1 };
    match size {
        TileSize::Two => problem.forward::<Two, 2, 4>(out),
        TileSize::Four => problem.forward::<Four, 4, 6>(out),
    }
}

/// A kernel of 3x3.
#[derive(Clone, Copy)]
pub(crate) enum Kernel<'a, T: Element> {
    /// Transformed and packed.
    Packed(&'a WinogradKernel<T>),
    /// To be transformed for tiles of that size, not to be kept beyond this use.
    Once(&'a KernelMatrix<'a, T>, TileSize),
}

struct Problem<'a, T: Element> {
    input: &'a [T],
    kernel: Kernel<'a, T>,
    isa: Isa,
    size: TileSize,
    after: Epilogue<'a, T>,
    tiling: Tiling,
    blocking: Blocking,
    parallel: bool,
}

impl<T: Element> Problem<'_, T> {
    fn forward<X: Transform<M, N>, const M: usize, const N: usize>(&self, out: &mut [T]) {
        let start = |band| self.tiling.output_of(0..band).end;
        match self.blocking.split {
            Split::Bands { tasks, block } => {
                let first = |task| task * self.tiling.bands() / tasks;
                each_piece(self.parallel, 0..tasks, out, &|task| start(first(task)), &|task, piece| {
                    self.bands::<X, M, N>(first(task)..first(task + 1), block, piece);
                    (self.after.finish)(piece);
                });
            }
            Split::Filters { bands } => {
                let all = self.tiling.bands();
                let steps = |step: usize| start(all.min(step * bands));
                each_piece(false, 0..all.div_ceil(bands), out, &steps, &|step, piece| {
                    self.filters::<X, M, N>(step * bands..all.min((step + 1) * bands), piece);
                });
            }
        }
    }

    /// All filters of the bands `bands`, which `out` holds, on this thread.
    fn bands<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        bands: Range<usize>,
        block: usize,
        out: &mut [T],
    ) {
        let Slice { tile_stride, product_stride, .. } = self.blocking.slice;
        let [_, height, width, depth] = self.tiling.geometry.output_shape();
        let tiles = bands.start * self.tiling.cols..bands.end * self.tiling.cols;
        let start = self.tiling.output_of(bands).start;
        let after = self.after.part(start..start + out.len());
        let block = even_block(tiles.len(), block);
        with_kept(|scratch: &mut Scratch<T>| {
            for first in tiles.clone().step_by(block) {
                let count = block.min(tiles.end - first);
                let transformed = room(&mut scratch.transformed, count * tile_stride);
                let products = room(&mut scratch.products, count * product_stride);
                for channels in self.blocking.slice.of(self.tiling.geometry.in_channels) {
                    self.transform_input::<X, M, N>(first, &channels, &mut scratch.input, transformed);
                    for group in 0..self.groups() {
                        let filter = group * GROUP;
                        self.multiply(group, &channels, transformed, &mut scratch.work, products);
                        let target = |tile| {
                            let place = self.tiling.place(first + tile);
                            let (rows, cols) = self.tiling.covered(place);
                            let row = place.image * height + place.row;
                            Target { start: (row * width + place.col) * depth + filter - start, rows, cols }
                        };
                        let (strides, sums) = ([width * depth, depth], (group, &channels, &*products));
                        self.transform_output::<X, _, M, N>(sums, (target, strides), after, out);
                    }
                }
            }
        });
    }

    /// All filters of the bands `bands`, which `out` holds, shared by all threads: each group of filters into memory
    /// of its own, from where the outputs are put together.
    fn filters<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        bands: Range<usize>,
        out: &mut [T],
    ) {
        let Slice { tile_stride, product_stride, .. } = self.blocking.slice;
        let first = bands.start * self.tiling.cols;
        let tiles = bands.len() * self.tiling.cols;
        with_kept(|shared: &mut Shared<T>| {
            let transformed = room(&mut shared.transformed, tiles * tile_stride);
            let outputs = room(&mut shared.outputs, self.groups() * tiles * M * M * GROUP);
            for channels in self.blocking.slice.of(self.tiling.geometry.in_channels) {
                each_chunk(self.parallel, transformed, tile_stride, |tile, out| {
                    with_kept(|scratch: &mut Scratch<T>| {
                        self.transform_input::<X, M, N>(first + tile, &channels, &mut scratch.input, out);
                    });
                });
                each_chunk(self.parallel, outputs, tiles * M * M * GROUP, |group, outputs| {
                    with_kept(|scratch: &mut Scratch<T>| {
                        let products = room(&mut scratch.products, tiles * product_stride);
                        self.multiply(group, &channels, transformed, &mut scratch.work, products);
                        let target = |tile| Target { start: tile * M * M * GROUP, rows: M, cols: M };
                        let (strides, after) = ([M * GROUP, GROUP], self.after.without_residual());
                        let sums = (group, &channels, &*products);
                        self.transform_output::<X, _, M, N>(sums, (target, strides), after, outputs);
                    });
                });
            }
            self.put_together(bands, outputs, out);
        });
    }

    /// Writes the rows of the output from the tiles `outputs` of every group.
    fn put_together(&self, bands: Range<usize>, outputs: &[T], out: &mut [T]) {
        let [_, height, width, depth] = self.tiling.geometry.output_shape();
        let size = self.tiling.size;
        let tiles = bands.len() * self.tiling.cols;
        let first = self.tiling.output_rows_before(bands.start);
        each_chunk(self.parallel, out, width * depth, |row, out| {
            let start = (first + row) * width * depth;
            let (image, row) = ((first + row) / height, (first + row) % height);
            let band = image * height.div_ceil(size) + row / size - bands.start;
            for (col, out) in out.chunks_exact_mut(depth).enumerate() {
                let tile = band * self.tiling.cols + col / size;
                for (group, out) in out.chunks_mut(GROUP).enumerate() {
                    let position = ((group * tiles + tile) * size + row % size) * size + col % size;
                    out.copy_from_slice(&outputs[position * GROUP..][..out.len()]);
                }
            }
            self.after.part(start..start + out.len()).end(self.isa, out);
        });
    }

    /// Transforms these channels of the tiles from `first` on.
    fn transform_input<X: Transform<M, N>, const M: usize, const N: usize>(
        &self,
        first: usize,
        channels: &Range<usize>,
        scratch: &mut InputScratch<T>,
        out: &mut [T],
    ) {
        let (source, tiling, slice) = (self.input, &self.tiling, self.blocking.slice);
        let (channels, transform) = (channels.clone(), PhantomData::<X>);
        let work = InputTransform { source, tiling, first, channels, out, slice, scratch, transform };
        T::dispatch(self.isa, work);
    }

    /// The groups of filters.
    fn groups(&self) -> usize {
        self.tiling.geometry.out_channels.div_ceil(GROUP)
    }

    /// The products of these channels of transformed tiles with the filters of a group, at every point.
    fn multiply(
        &self,
        group: usize,
        channels: &Range<usize>,
        transformed: &[T],
        work: &mut Work<T>,
        products: &mut [T],
    ) {
        let Slice { tile_stride, product_stride, point_stride, .. } = self.blocking.slice;
        let Work { rows, once } = work;
        let mut out = Rows::new(products, product_stride);
        Row::dense(rows, out.len(), tile_stride);
        // The products of the channels from `first` of `transformed` on with these rows of the panels.
        let mut products = |first: usize, panels: GroupPanels<'_, T>, channels: Range<usize>, finish| {
            let runs = Runs::one(channels.len());
            for point in 0..self.size.points() {
                let values = &transformed[point * point_stride + first..];
                let left = Left::Runs { values, rows, runs, live_from: None };
                let right = panels.at(point, channels.clone());
                let (columns, out, place) = (0..panels.filters, &mut out, point * GROUP);
                Block { left, right, columns, out, place, finish }.compute();
            }
        };
        match self.kernel {
            Kernel::Packed(packed) => products(0, packed.group(group), channels.clone(), Finish::PLAIN),
            Kernel::Once(kernel, size) => {
                let near = size_of_val(transformed) <= NEAR_BYTES;
                once.transform(kernel, group, (size, near), |channels, panels| {
                    let finish = if channels.start == 0 { Finish::PLAIN } else { Finish::ADD };
                    products(channels.start, panels, 0..channels.len(), finish);
                });
            }
        }
    }

    /// Transforms the products of a group and some channels back, and does what comes `after` in registers.
    fn transform_output<X: Transform<M, N>, F: Fn(usize) -> Target, const M: usize, const N: usize>(
        &self,
        (group, channels, products): (usize, &Range<usize>, &[T]),
        (target, [row_stride, col_stride]): (F, [usize; 2]),
        after: Epilogue<'_, T>,
        out: &mut [T],
    ) {
        let Geometry2d { in_channels, out_channels, .. } = self.tiling.geometry;
        let filters = group * GROUP..out_channels.min((group + 1) * GROUP);
        let (adds, ends) = (channels.start > 0, channels.end == in_channels);
        let after = if ends { after } else { Epilogue::bias(after.bias) };
        let work = OutputTransform::<T, X, F, M, N> {
            products,
            filters: filters.len(),
            adds,
            after: Epilogue { bias: after.bias.filter(|_| !adds).map(|bias| &bias[filters]), ..after },
            target,
            row_stride,
            col_stride,
            out,
            transform: PhantomData,
        };
        T::dispatch(self.isa, work);
    }
}

/// What a thread needs to itself.
#[derive(Default)]
struct Scratch<T> {
    input: InputScratch<T>,
    transformed: Vec<T>,
    products: Vec<T>,
    work: Work<T>,
}

/// What the products of a group need: where tiles start, and a kernel that is used once.
#[derive(Default)]
struct Work<T> {
    rows: Vec<Row>,
    once: OneGroup<T>,
}

/// What threads that share the filters hand to each other.
#[derive(Default)]
struct Shared<T> {
    transformed: Vec<T>,
    outputs: Vec<T>,
}
