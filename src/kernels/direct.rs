//! Convolution as a matrix product without a matrix of patches: tiles of positions read a [`Field`] in place.

use std::ops::Range;

use super::aligned::room;
use super::disjoint::{Rows, each_columns};
use super::epilogue::Epilogue;
use super::field::{Field, Scratch, in_place};
use super::kept::with_kept;
use super::kernel_matrix::KernelMatrix;
use super::matmul::{Block, Finish, MR, Residual};
use super::panels::{PackedMatrix, Panels, panel_width, panels_len};
use super::patches::Patches;
use super::pieces::each_chunk;
use super::simd::{Isa, isa};
use super::threads::{SHARES, threads};
use super::{L2_BYTES, SCRATCH_BYTES};
use crate::Element;
use crate::geometry::Geometry2d;

/// Bytes of source and of output that a task works on at a time, and its fewest and most positions, as far as the scratch goes.
const BLOCK_BYTES: usize = 256 << 10;
const BLOCK_PIXELS: Range<usize> = 48..384;
/// The same of what is read in place, and wherever there are so many blocks anyway: each takes a while to begin. More than a
/// second-level cache, since both are read and written in one stream.
const LARGE_BLOCK_BYTES: usize = 1 << 20;
const MANY_BLOCKS: usize = 32;
/// Register tiles of a block that may be filled up with a few more positions, and threads still end together.
const MANY_TILES: usize = 32;

/// The right factor of a convolution.
#[derive(Clone, Copy)]
pub(super) enum Right<'a, T: Element> {
    /// A packed matrix for each group.
    Packed(&'a [PackedMatrix<T>]),
    /// The kernel of the only group, not to be packed beyond this use.
    Once(&'a KernelMatrix<'a, T>),
}

/// A thread's memory.
#[derive(Default)]
struct Memory<T> {
    field: Scratch<T>,
    panels: Vec<T>,
}

/// The products of all patches with the kernels of their groups, and what comes `after`.
pub(super) fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    right: Right<'_, T>,
    filters: usize,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    let groups = match right {
        Right::Packed(groups) => groups.len(),
        Right::Once(_) => 1,
    };
    let (group_in, group_out) = (patches.channels / groups, filters / groups);
    let k = patches.rows.taps * patches.cols.taps * group_in;
    let threads = threads(out.len() * k);
    let pixels = out.len() / filters;
    let (field, mut block) = blocked(patches, group_in, pixels, filters);
    let isa = isa();
    // Whole panels: which rows share a tile, which shows where a weight is not finite, must not depend on the threads.
    let unit = match right {
        Right::Once(kernel) => panel_width::<T>(isa, kernel.slice(isa)[0]),
        Right::Packed([_]) => panel_width::<T>(isa, k),
        Right::Packed(_) => group_out,
    };
    if matches!(right, Right::Packed(_)) && in_place(patches) {
        // Without padding, how positions are cut shows in no result: as many blocks for each thread, unless all can share the
        // filters of the only one evenly, or blocks had too few positions and there are filters to share.
        let (blocks, panels) = (pixels.div_ceil(block), filters.div_ceil(unit));
        let even = blocks.next_multiple_of(threads);
        let shares = blocks == 1 && panels.is_multiple_of(threads);
        let pays = panels < threads || pixels >= even * BLOCK_PIXELS.start;
        if even > blocks && !shares && pays {
            block = pixels.div_ceil(even);
        }
    }

    if let (Right::Once(kernel), true) = (right, pixels > block) {
        let packed = PackedMatrix::of_kernel(kernel);
        return correlate(patches, Right::Packed(&[packed]), filters, after, out);
    }
    let product = Product { field, isa, k, group_in, group_out, filters, after };
    if threads == 1 || pixels > block {
        each_chunk(threads > 1, out, block * filters, |index, out| {
            product.block(right, index * block, 0..filters, Rows::new(out, filters));
            after.finish(out);
        });
    } else {
        // One block: the threads share the filters, and so each reads only its part of the kernel.
        let width = filters.div_ceil(unit).div_ceil(threads) * unit;
        let part = |piece: Range<usize>, out: Rows<'_, T>| product.block(right, 0, piece, out);
        each_columns(true, Rows::new(out, filters), 0, width, &part);
        after.finish(out);
    }
}

/// What all blocks of a convolution have in common.
struct Product<'a, T: Element> {
    field: Field<'a, T>,
    isa: Isa,
    /// Numbers of a patch, in one group.
    k: usize,
    /// Channels and filters of a group, and all filters.
    group_in: usize,
    group_out: usize,
    filters: usize,
    after: Epilogue<'a, T>,
}

impl<T: Element> Product<'_, T> {
    /// The filters `piece` of the positions from `first` on.
    fn block(&self, right: Right<'_, T>, first: usize, piece: Range<usize>, out: Rows<'_, T>) {
        with_kept(|Memory { field: scratch, panels }: &mut Memory<T>| {
            self.field.fill(scratch, first..first + out.len());
            match right {
                Right::Packed(groups) => self.packed(groups, scratch, first, piece, out),
                Right::Once(kernel) => self.once(kernel, (scratch, panels), first, piece, out),
            }
        });
    }

    /// The same with packed kernels, of which the piece takes some.
    fn packed(
        &self,
        groups: &[PackedMatrix<T>],
        scratch: &Scratch<T>,
        first: usize,
        piece: Range<usize>,
        mut out: Rows<'_, T>,
    ) {
        let Product { group_in, group_out, .. } = *self;
        let first_group = piece.start / group_out;
        for (group, right) in (first_group..).zip(&groups[first_group..piece.end.div_ceil(group_out)]) {
            let start = group * group_out;
            let columns = piece.start.max(start) - start..piece.end.min(start + group_out) - start;
            let place = start + columns.start - piece.start;
            let finish = self.finish(start..start + group_out, first, piece.start);
            let (left, right) = (self.field.left(scratch, group * group_in), right.as_panels());
            Block { left, right, columns, out: &mut out, place, finish }.compute();
        }
    }

    /// The same with a kernel to be packed: each slice of it meets all positions while it is in the second-level cache.
    fn once(
        &self,
        kernel: &KernelMatrix<'_, T>,
        (scratch, panels): (&Scratch<T>, &mut Vec<T>),
        first: usize,
        piece: Range<usize>,
        mut out: Rows<'_, T>,
    ) {
        let [tall, wide] = kernel.slice(self.isa);
        let slices = piece.clone().step_by(wide).flat_map(|first| {
            let columns = first..piece.end.min(first + wide);
            self.field.slices(scratch, tall).map(move |(rows, left)| (rows, columns.clone(), left))
        });
        let mut slices = slices.peekable();
        while let Some((rows, columns, left)) = slices.next() {
            let panels = room(panels, panels_len::<T>(self.isa, rows.len(), columns.len()));
            // While a part of a panel is multiplied, the memory has time for the next part.
            let next = slices.peek().filter(|_| tall < self.k);
            let ahead = next.map(|(rows, columns, _)| kernel.ahead(rows.clone(), columns.clone()));
            let right = Panels { ahead, ..Panels::whole(self.isa, rows.len(), &[]) };
            let finish = self.finish(columns.clone(), first, piece.start);
            let finish = finish.of_slice(rows.start == 0, rows.end == self.k);
            let place = columns.start - piece.start;
            let block = Block { left, right, columns: 0..columns.len(), out: &mut out, place, finish };
            match kernel.source(rows.clone(), columns.start) {
                Some(source) => block.compute_packing(source, panels),
                None => {
                    kernel.pack(self.isa, rows, columns, panels);
                    let right = Panels { values: panels, ..block.right };
                    Block { right, ..block }.compute();
                }
            }
        }
    }

    /// What becomes of the sums of some filters, in outputs that begin with the position and filter `first` and `start`.
    fn finish(&self, filters: Range<usize>, first: usize, start: usize) -> Finish<'_, T> {
        let bias = self.after.bias.map(|bias| &bias[filters]);
        let residual = self.after.residual.map(|all| &all[first * self.filters + start..]);
        let residual = residual.map(|values| Residual { values, stride: self.filters });
        Finish { bias, adds: false, residual, bend: self.after.bend }
    }
}

/// The scratch of a thread, in bytes.
pub(super) fn workspace_bytes<T: Element>(patches: &Patches<'_, T>, geometry: &Geometry2d) -> usize {
    let [batch, height, width, filters] = geometry.output_shape();
    let group_in = geometry.in_channels / geometry.groups;
    let (field, block) = blocked(patches, group_in, batch * height * width, filters);
    field.scratch_bytes(block)
}

/// The field and how many positions to lay out of it at a time: as many as pay, and as fit in the scratch.
fn blocked<'a, T: Element>(
    patches: &'a Patches<'a, T>,
    group_in: usize,
    pixels: usize,
    filters: usize,
) -> (Field<'a, T>, usize) {
    let mut block = block_pixels(patches, pixels, filters);
    if kernel_prevails(patches, group_in, pixels, filters, pixels.div_ceil(block)) {
        block = pixels;
    }
    loop {
        let field = Field::new(patches, group_in, block);
        if block == 1 || field.scratch_bytes(block) <= SCRATCH_BYTES {
            return (field, block);
        }
        block = block.div_ceil(2);
    }
}

/// The time of a convolution, in multiplications at the processor's best speed: besides its products, each output costs
/// as much as `START` of them. Measured on Zen 3.
pub(super) fn cost<T>(geometry: &Geometry2d) -> f64 {
    products_cost(geometry) + reading_cost::<T>(weights(geometry), 1.0)
}

/// The same with a kernel that is used once: packing a weight costs as much as `PACKING` multiplications. Measured on
/// Sapphire Rapids.
pub(super) fn cost_once(geometry: &Geometry2d) -> f64 {
    const PACKING: f64 = 20.0;
    products_cost(geometry) + PACKING * weights(geometry)
}

fn products_cost(geometry: &Geometry2d) -> f64 {
    const START: f64 = 24.0;
    const PRODUCT: f64 = 1.03;
    let outputs: usize = geometry.output_shape().iter().product();
    PRODUCT * geometry.multiplications() as f64 + START * outputs as f64
}

fn weights(geometry: &Geometry2d) -> f64 {
    geometry.kernel_shape().iter().product::<usize>() as f64
}

/// The time to read so many weights so many times, beyond that of multiplying with them, in the same measure. From a
/// second-level cache it is none.
pub(super) fn reading_cost<T>(weights: f64, times: f64) -> f64 {
    const L3_BYTES: f64 = (20 << 20) as f64;
    let each = match size_of::<T>() as f64 * weights {
        bytes if bytes <= L2_BYTES as f64 / 2.0 => 0.0,
        bytes if bytes <= L3_BYTES => 8.0,
        _ => 10.0,
    };
    each * weights * times
}

/// Whether all positions make one block, whose filters threads share, and not `blocks`: where the kernel is much larger than the
/// copy of what they see, it had better be read only once, and by each thread only in part. There must be as much to share.
fn kernel_prevails<T: Element>(
    patches: &Patches<'_, T>,
    group_in: usize,
    pixels: usize,
    filters: usize,
    blocks: usize,
) -> bool {
    let k = patches.rows.taps * patches.cols.taps * group_in;
    let seen =
        [patches.rows.step, patches.cols.step, group_in].into_iter().fold(pixels, usize::saturating_mul);
    let panels = filters.div_ceil(panel_width::<T>(isa(), k));
    let fits = seen.saturating_mul(size_of::<T>()) <= LARGE_BLOCK_BYTES;
    let copied = group_in == patches.channels && !in_place(patches);
    copied && blocks > 1 && panels >= blocks.max(SHARES) && fits && k * filters / 2 >= seen
}

/// How many positions make a block: few enough for the cache, and blocks that threads can share out evenly. Not a
/// matter of how many threads there are: rows of a register tile multiply some of each other's padding, which shows
/// where a weight is not finite.
fn block_pixels<T: Element>(patches: &Patches<'_, T>, pixels: usize, filters: usize) -> usize {
    let step = patches.rows.step.saturating_mul(patches.cols.step);
    let seen = step.saturating_mul(patches.channels);
    let (copied, bytes) = if in_place(patches) { (0, LARGE_BLOCK_BYTES) } else { (seen, BLOCK_BYTES) };
    let fit = |bytes: usize, numbers: usize| bytes / numbers.saturating_mul(size_of::<T>()).max(1);
    let few = fit(bytes, copied.max(filters)).clamp(BLOCK_PIXELS.start, BLOCK_PIXELS.end);
    let many = fit(LARGE_BLOCK_BYTES, seen.max(filters)).min(pixels / MANY_BLOCKS);
    let blocks = match pixels.div_ceil(few.max(many)) {
        0 | 1 => 1,
        // Each block reads the whole kernel: with fewer positions, that would take longer than the products.
        blocks => blocks.next_multiple_of(SHARES).min(pixels / BLOCK_PIXELS.start).max(1),
    };
    let image = patches.positions();
    match pixels.div_ceil(blocks) {
        // Whole images are copied in fewer pieces.
        block if block > 0 && block.is_multiple_of(image) && !in_place(patches) => block,
        block if blocks > 1 && block >= MANY_TILES * MR => block.next_multiple_of(MR),
        block => block.max(1),
    }
}
