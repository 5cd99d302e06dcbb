//! How much is done at a time: what lies in the caches, and how the work is shared among threads.

use std::ops::Range;

use super::input::{LINE, input_scratch};
use super::kernel::{GROUP, WinogradKernel};
use super::tiling::Tiling;

/// The second-level cache that blocks are made for.
pub(super) const L2_BYTES: usize = 512 << 10;
/// The most scratch of a thread, unless one tile alone needs more.
const SCRATCH_BYTES: usize = 3 << 19;
/// With fewer tiles at a time, the transformed kernel would be read too often to keep the multipliers busy.
const FEW_TILES: usize = 16;
/// With more, reading it less often gains nothing.
pub(super) const MANY_TILES: usize = 48;
const F32: usize = size_of::<f32>();

/// The sizes of a forward pass and of its scratch, in elements.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) split: Split,
    /// The distance between the points of a transformed tile.
    pub(super) point_stride: usize,
    /// The distance between transformed tiles.
    pub(super) tile_stride: usize,
    /// The distance between tiles of products.
    pub(super) product_stride: usize,
}

/// How threads share the work.
#[derive(Clone, Debug)]
pub(super) enum Split {
    /// Each takes some bands of the output at a time, and all filters, about `block` tiles at a time.
    Bands { tasks: Vec<Range<usize>>, block: usize },
    /// All take the same `bands` at a time, and each some of the filters: it reads only its own part of the transformed
    /// kernel. For small maps with many channels, where the kernel is larger than all else.
    Filters { bands: usize },
}

impl Plan {
    pub(super) fn new(tiling: &Tiling, kernel: &WinogradKernel, threads: usize) -> Self {
        let points = kernel.size.points();
        let point_stride = tiling.geometry.in_channels.next_multiple_of(LINE);
        let tile_stride = off_pages(points * point_stride);
        let product_stride = points * GROUP;
        let tile_bytes = F32 * (tile_stride + product_stride);
        let scratch = SCRATCH_BYTES.saturating_sub(F32 * input_scratch(points, point_stride));
        // A block may turn out half as large again.
        let affordable = (scratch * 2 / 3 / tile_bytes).max(1);
        let block = (L2_BYTES * 3 / 4 / tile_bytes).clamp(FEW_TILES, MANY_TILES).min(affordable);
        let kernel_stays = kernel.bytes() <= L2_BYTES / 2;
        let together = (scratch * threads / tile_bytes).clamp(1, MANY_TILES);
        let enough = tiling.tiles().div_ceil(threads) >= block.max(FEW_TILES);
        let split = if kernel_stays || enough || together < tiling.cols {
            Split::Bands { tasks: tasks(tiling, block, threads), block }
        } else {
            Split::Filters { bands: (together / tiling.cols).min(tiling.bands()).max(1) }
        };
        Plan { split, point_stride, tile_stride, product_stride }
    }

    /// The bytes of scratch that `threads` threads need together.
    pub(super) fn scratch_bytes(&self, tiling: &Tiling, kernel: &WinogradKernel, threads: usize) -> usize {
        let elements = match &self.split {
            Split::Bands { tasks, block } => {
                let tiles = tasks.iter().map(|bands| blocks(bands.len() * tiling.cols, *block).1).max();
                threads.min(tasks.len()) * tiles.unwrap_or(0) * (self.tile_stride + self.product_stride)
            }
            Split::Filters { bands } => {
                let tiles = bands * tiling.cols;
                let outputs = kernel.groups() * tiling.size * tiling.size * GROUP;
                tiles * (self.tile_stride + outputs + threads.min(kernel.groups()) * self.product_stride)
            }
        };
        F32 * (elements + threads * input_scratch(kernel.size.points(), self.point_stride))
    }
}

/// Into how many blocks of about `block` tiles to cut `tiles`, and how many tiles the largest has.
pub(super) fn blocks(tiles: usize, block: usize) -> (usize, usize) {
    let count = ((tiles + block / 2) / block).max(1);
    (count, tiles.div_ceil(count))
}

/// Runs of bands for tasks: about a block each, and as many for every thread.
fn tasks(tiling: &Tiling, block: usize, threads: usize) -> Vec<Range<usize>> {
    let bands = tiling.bands();
    let tasks = (tiling.tiles() / block).max(1).next_multiple_of(threads).min(bands);
    (0..tasks).map(|task| task * bands / tasks..(task + 1) * bands / tasks).collect()
}

/// The next stride at which neighbouring rows do not evict each other from the first-level cache: an odd number of
/// cache lines off a multiple of 4096 bytes.
fn off_pages(stride: usize) -> usize {
    const LINES: usize = 4096 / 64;
    const ODD: usize = 5;
    let lines = (F32 * stride).div_ceil(64);
    (lines.saturating_sub(ODD).next_multiple_of(LINES) + ODD) * 64 / F32
}
