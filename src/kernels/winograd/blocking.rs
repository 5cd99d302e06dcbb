//! How much is done at a time: what lies in the caches, and how the work is shared among threads.

use super::input::{LINE, input_scratch};
use super::kernel::GROUP;
use super::tiling::Tiling;
use crate::Element;
use crate::kernels::L2_BYTES;

/// The most scratch of a thread, unless one tile alone needs more.
const SCRATCH_BYTES: usize = 3 << 19;
/// With fewer tiles at a time, the transformed kernel would be read too often to keep the multipliers busy.
const FEW_TILES: usize = 16;
/// With more, reading it less often gains nothing.
pub(super) const MANY_TILES: usize = 48;

/// The most bytes of tiles that are done at once to transform a kernel only once.
const ONCE_BYTES: usize = 16 << 20;

/// The sizes of a forward pass and of its scratch, in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    pub(super) split: Split,
    /// The distance between the points of a transformed tile.
    pub(super) point_stride: usize,
    /// The distance between transformed tiles.
    pub(super) tile_stride: usize,
    /// The distance between tiles of products.
    pub(super) product_stride: usize,
}

/// How threads share the work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Split {
    /// Each takes some bands of the output at a time, and all filters, about `block` tiles at a time.
    Bands { tasks: usize, block: usize },
    /// All take the same `bands` at a time, and each some of the filters: it reads only its own part of the transformed
    /// kernel. For small maps with many channels, where the kernel is larger than all else.
    Filters { bands: usize },
}

impl Blocking {
    pub(super) fn new<T: Element>(tiling: &Tiling, threads: usize) -> Self {
        let points = (tiling.size + 2) * (tiling.size + 2);
        let [point_stride, tile_stride] = strides::<T>(tiling);
        let product_stride = points * GROUP;
        let tile_bytes = size_of::<T>() * (tile_stride + product_stride);
        let scratch = SCRATCH_BYTES.saturating_sub(size_of::<T>() * input_scratch(points, point_stride));
        // A block may turn out half as large again.
        let affordable = (scratch * 2 / 3 / tile_bytes).max(1);
        let block = (L2_BYTES * 3 / 4 / tile_bytes).clamp(FEW_TILES, MANY_TILES).min(affordable);
        let kernel_stays = kernel_bytes::<T>(tiling, points) <= L2_BYTES / 2;
        let shared = shared_stride(tiling, tile_stride);
        let together = scratch / (size_of::<T>() * (shared.div_ceil(threads) + product_stride));
        let together = together.clamp(1, MANY_TILES);
        let enough = tiling.tiles().div_ceil(threads) >= block.max(FEW_TILES);
        let split = if kernel_stays || enough || together < tiling.cols {
            Split::Bands { tasks: tasks(tiling, block, threads), block }
        } else {
            Split::Filters { bands: (together / tiling.cols).min(tiling.bands()).max(1) }
        };
        Blocking { split, point_stride, tile_stride, product_stride }
    }

    /// For a kernel that is used once, and transformed a group at a time: all tiles at once. `None` if they are more than
    /// the kernel.
    pub(super) fn once<T: Element>(tiling: &Tiling) -> Option<Self> {
        let points = (tiling.size + 2) * (tiling.size + 2);
        let [point_stride, tile_stride] = strides::<T>(tiling);
        let shared = tiling.tiles() * shared_stride(tiling, tile_stride) * size_of::<T>();
        let fewer = shared < kernel_bytes::<T>(tiling, points) && shared <= ONCE_BYTES;
        let split = Split::Filters { bands: tiling.bands() };
        fewer.then_some(Blocking { split, point_stride, tile_stride, product_stride: points * GROUP })
    }

    /// The bytes of scratch that each of `threads` threads needs.
    pub(super) fn scratch_bytes<T: Element>(&self, tiling: &Tiling, threads: usize) -> usize {
        let elements = match self.split {
            Split::Bands { tasks, block } => {
                let bands = tiling.bands().div_ceil(tasks.max(1));
                let tiles = even_block(bands * tiling.cols, block);
                tiles * (self.tile_stride + self.product_stride)
            }
            Split::Filters { bands } => {
                let tiles = bands * tiling.cols;
                let shared = shared_stride(tiling, self.tile_stride);
                tiles * (shared.div_ceil(threads) + self.product_stride)
            }
        };
        let points = self.product_stride / GROUP;
        size_of::<T>() * (elements + input_scratch(points, self.point_stride))
    }
}

/// What all threads share of each tile where they split the filters: it transformed, and its outputs.
fn shared_stride(tiling: &Tiling, tile_stride: usize) -> usize {
    tile_stride + tiling.geometry.out_channels.next_multiple_of(GROUP) * tiling.size * tiling.size
}

/// The bytes of the transformed kernel.
fn kernel_bytes<T>(tiling: &Tiling, points: usize) -> usize {
    let [_, _, channels, filters] = tiling.geometry.kernel_shape();
    size_of::<T>() * points * channels * filters
}

/// The tiles of a block, about `block`, so that the blocks of `tiles` are equal but for a few tiles.
pub(super) fn even_block(tiles: usize, block: usize) -> usize {
    tiles.div_ceil(((tiles + block / 2) / block).max(1))
}

/// How many runs of bands to make tasks of: about a block each, and as many for every thread.
fn tasks(tiling: &Tiling, block: usize, threads: usize) -> usize {
    (tiling.tiles() / block).max(1).next_multiple_of(threads).min(tiling.bands())
}

/// The distances between the points of a transformed tile of the input, and between such tiles.
pub(super) fn strides<T>(tiling: &Tiling) -> [usize; 2] {
    let points = (tiling.size + 2) * (tiling.size + 2);
    let point_stride = tiling.geometry.in_channels.next_multiple_of(LINE);
    [point_stride, off_pages::<T>(points * point_stride)]
}

/// The next stride at which neighbouring rows do not evict each other from the first-level cache: an odd number of
/// cache lines off a multiple of 4096 bytes.
fn off_pages<T>(stride: usize) -> usize {
    const LINES: usize = 4096 / 64;
    const ODD: usize = 5;
    let lines = (size_of::<T>() * stride).div_ceil(64);
    (lines.saturating_sub(ODD).next_multiple_of(LINES) + ODD) * 64 / size_of::<T>()
}
