//! The forward pass, block by block, and of a large kernel slice by slice of the channels: fewer channels leave room for more
//! tiles, which read the kernel less often.

use std::ops::Range;

use super::TileSize;
use super::blocking::{Blocking, Slice, Split, even_block};
use super::input::{InputScratch, InputTransform};
use super::kernel::{GROUP, GroupPanels, OneGroup, WinogradKernel, group_of};
use super::output::{OutputTransform, Positions};
use super::tiling::Tiling;
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::aligned::room;
use crate::kernels::disjoint::{Rows, each_columns};
use crate::kernels::epilogue::Epilogue;
use crate::kernels::kept::with_kept;
use crate::kernels::kernel_matrix::KernelMatrix;
use crate::kernels::matmul::{Block, Finish, Left, Series};
use crate::kernels::pieces::{each_chunk, each_piece};
use crate::kernels::simd::{Isa, Runs, isa};
use crate::kernels::threads::threads;

/// Bytes of transformed tiles up to which they stay in a second-level cache while all groups meet some of their channels;
/// more had better be read in long rows, and transformed only once.
const NEAR_BYTES: usize = 3 << 19;
/// The fewest groups of filters whose products take so long that to transform the tiles for them alone does not matter.
const FEW_GROUPS: usize = 4;

/// The convolution of `input` with `kernel`, as [`conv::forward`](crate::kernels::conv::forward) has it, for kernels
/// of the tiles' taps and stride, without groups.
///
/// An infinity or a NaN of the input reaches every output of the tiles that see it.
pub(crate) fn forward<T: Element>(
    input: &[T],
    kernel: Kernel<'_, T>,
    geometry: &Geometry2d,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    forward_part(input, kernel, (geometry, geometry), after, out);
}

/// The same for the geometry of some whole tiles of `whole`, with the same numbers.
pub(crate) fn forward_part<T: Element>(
    input: &[T],
    kernel: Kernel<'_, T>,
    (geometry, whole): (&Geometry2d, &Geometry2d),
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    let (isa, size) = match kernel {
        Kernel::Packed(packed) => (packed.isa, packed.size),
        Kernel::Once(_, size) => (isa(), size),
    };
    let tiling = Tiling::new(geometry, size);
    let threads = threads(geometry.multiplications() as usize);
    let blocking = match kernel {
        Kernel::Packed(_) => Blocking::new::<T>(isa, &tiling, Tiling::new(whole, size).tiles(), threads),
        Kernel::Once(matrix, size) => match Blocking::once::<T>(&tiling) {
            Some(blocking) => blocking,
            None => {
                let packed = WinogradKernel::quick(isa, matrix, size);
                return forward(input, Kernel::Packed(&packed), geometry, after, out);
            }
        },
    };
    Problem { input, kernel, isa, after, tiling, blocking, parallel: threads > 1 }.forward(out);
}

/// A kernel.
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
    after: Epilogue<'a, T>,
    tiling: Tiling,
    blocking: Blocking,
    parallel: bool,
}

impl<T: Element> Problem<'_, T> {
    fn forward(&self, out: &mut [T]) {
        let start = |band| self.tiling.output_of(0..band).end;
        match self.blocking.split {
            Split::Bands { tasks, block } => {
                let first = |task: usize| (task as u64 * self.tiling.bands() as u64 / tasks as u64) as usize;
                each_piece(self.parallel, 0..tasks, out, &|task| start(first(task)), &|task, piece| {
                    self.bands(first(task)..first(task + 1), block, piece);
                    self.after.finish(piece);
                });
            }
            Split::Filters { bands } => {
                let all = self.tiling.bands();
                let steps = |step: usize| start(all.min(step * bands));
                each_piece(false, 0..all.div_ceil(bands), out, &steps, &|step, piece| {
                    self.shares(step * bands..all.min((step + 1) * bands), piece);
                });
            }
        }
    }

    /// All filters of the bands `bands`, which `out` holds, on this thread.
    fn bands(&self, bands: Range<usize>, block: usize, out: &mut [T]) {
        let tiles = bands.start * self.tiling.cols..bands.end * self.tiling.cols;
        let after = self.after.part(self.tiling.output_of(bands.clone()));
        let depth = self.tiling.geometry.out_channels;
        let mut out = self.positions(&bands, 0..depth, Rows::new(out, depth));
        let block = even_block(tiles.len(), block);
        with_kept(|Scratch { input, transformed, groups }: &mut Scratch<T>| {
            for first in tiles.clone().step_by(block) {
                let tiles = first..tiles.end.min(first + block);
                let transformed = room(transformed, tiles.len() * self.blocking.slice.tile_stride);
                for channels in self.blocking.slice.of(self.tiling.geometry.in_channels) {
                    self.transform_input(first, &channels, input, transformed);
                    self.filters((&tiles, &channels, transformed), groups, after, &mut out);
                }
            }
        });
    }

    /// All filters of the bands `bands`, which `out` holds, shared by all threads.
    fn shares(&self, bands: Range<usize>, out: &mut [T]) {
        let Slice { tile_stride, .. } = self.blocking.slice;
        let depth = self.tiling.geometry.out_channels;
        let tiles = bands.start * self.tiling.cols..bands.end * self.tiling.cols;
        let after = self.after.part(self.tiling.output_of(bands.clone()));
        let threads = if self.parallel { rayon::current_num_threads() } else { 1 };
        let share = self.groups().div_ceil(threads) * GROUP;
        // What stays in its own cache, each thread transforms itself, if it has enough to multiply with it: to fetch it from
        // another's takes longer.
        let size = tiles.len() * tile_stride;
        let apart = size * size_of::<T>() <= NEAR_BYTES && share >= FEW_GROUPS * GROUP;
        with_kept(|Shared(shared): &mut Shared<T>| {
            let shared = room(shared, if apart { 0 } else { size });
            for channels in self.blocking.slice.of(self.tiling.geometry.in_channels) {
                each_chunk(self.parallel, shared, tile_stride, |tile, out| {
                    with_kept(|Scratch { input, .. }: &mut Scratch<T>| {
                        self.transform_input(tiles.start + tile, &channels, input, out);
                    });
                });
                each_columns(self.parallel, Rows::new(out, depth), 0, share, &|filters, out| {
                    with_kept(|Scratch { input, transformed, groups }: &mut Scratch<T>| {
                        let transformed: &[T] = if apart {
                            let own = room(transformed, size);
                            self.transform_input(tiles.start, &channels, input, own);
                            own
                        } else {
                            &*shared
                        };
                        let mut out = self.positions(&bands, filters, out);
                        self.filters((&tiles, &channels, transformed), groups, after, &mut out);
                    });
                });
            }
        });
        self.after.finish(out);
    }

    /// The filters `filters` of all positions of the bands.
    fn positions<'o>(
        &self,
        bands: &Range<usize>,
        filters: Range<usize>,
        rows: Rows<'o, T>,
    ) -> Positions<'o, T> {
        Positions { first: self.tiling.positions_before(bands.start), filters, rows }
    }

    /// What the `channels` of the tiles, which `transformed` holds, come to in the filters of `out`.
    fn filters(
        &self,
        (tiles, channels, transformed): (&Range<usize>, &Range<usize>, &[T]),
        Groups { once, products }: &mut Groups<T>,
        after: Epilogue<'_, T>,
        out: &mut Positions<'_, T>,
    ) {
        let products = room(products, tiles.len() * self.blocking.slice.product_stride);
        for group in out.filters.start / GROUP..out.filters.end.div_ceil(GROUP) {
            self.multiply(group, channels, transformed, once, products);
            self.transform_output(tiles.start, (group, channels, products), after, out);
        }
    }

    /// Transforms these channels of the tiles from `first` on.
    fn transform_input(
        &self,
        first: usize,
        channels: &Range<usize>,
        scratch: &mut InputScratch<T>,
        out: &mut [T],
    ) {
        let (source, tiling, slice) = (self.input, &self.tiling, self.blocking.slice);
        let channels = channels.clone();
        T::dispatch(self.isa, InputTransform { source, tiling, first, channels, out, slice, scratch });
    }

    /// The groups of filters.
    fn groups(&self) -> usize {
        self.tiling.geometry.out_channels.div_ceil(GROUP)
    }

    /// The sums of the products of these channels of transformed tiles with the filters of a group, at every point.
    fn multiply(
        &self,
        group: usize,
        channels: &Range<usize>,
        transformed: &[T],
        once: &mut OneGroup<T>,
        products: &mut [T],
    ) {
        let (Slice { tile_stride, product_stride, term_stride, .. }, size) =
            (self.blocking.slice, self.tiling.size);
        let mut out = Rows::new(products, product_stride);
        let rows = &[Series::dense(out.len(), tile_stride)];
        // The products of the channels from `first` of `transformed` on with these rows of the panels.
        let mut products = |first: usize, panels: GroupPanels<'_, T>, channels: Range<usize>, adds: bool| {
            let runs = Runs::one(channels.len());
            for term in 0..size.terms() {
                let (point, starts) = size.point_of(term);
                let finish = if starts && !adds { Finish::PLAIN } else { Finish::ADD };
                let values = &transformed[term * term_stride + first..];
                let left = Left::Runs { values, rows, runs, live_from: None };
                let right = panels.at(term, channels.clone());
                let (columns, out, place) = (0..panels.filters, &mut out, point * GROUP);
                Block { left, right, columns, out, place, finish }.compute();
            }
        };
        match self.kernel {
            Kernel::Packed(packed) => products(0, packed.group(group), channels.clone(), false),
            Kernel::Once(kernel, size) => {
                let near = size_of_val(transformed) <= NEAR_BYTES;
                once.transform(kernel, group, (size, near), |channels, panels| {
                    products(channels.start, panels, 0..channels.len(), channels.start > 0);
                });
            }
        }
    }

    /// Transforms the products of a group and some channels back, and does what comes `after` in registers.
    fn transform_output(
        &self,
        first: usize,
        (group, channels, products): (usize, &Range<usize>, &[T]),
        after: Epilogue<'_, T>,
        out: &mut Positions<'_, T>,
    ) {
        let Geometry2d { in_channels, out_channels, .. } = self.tiling.geometry;
        let filters = group_of(out_channels, group);
        let (adds, ends) = (channels.start > 0, channels.end == in_channels);
        let after = if ends { after } else { Epilogue::bias(after.bias) };
        let after = Epilogue { bias: after.bias.filter(|_| !adds), ..after };
        let tiling = &self.tiling;
        T::dispatch(self.isa, OutputTransform { products, tiling, first, filters, adds, after, out });
    }
}

/// What a thread needs to itself.
#[derive(Default)]
struct Scratch<T> {
    input: InputScratch<T>,
    transformed: Vec<T>,
    groups: Groups<T>,
}

/// What a group of filters needs: a kernel that is used once, and products.
#[derive(Default)]
struct Groups<T> {
    once: OneGroup<T>,
    products: Vec<T>,
}

/// Transformed tiles that all threads read.
#[derive(Default)]
struct Shared<T>(Vec<T>);
