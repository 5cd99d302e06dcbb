//! How much is done at a time: what lies in the caches, and how the work is shared among threads.

use std::ops::Range;

use super::input::{LINE, input_scratch};
use super::kernel::GROUP;
use super::tiling::Tiling;
use crate::Element;
use crate::kernels::simd::Isa;
use crate::kernels::{L2_BYTES, SCRATCH_BYTES};

/// With fewer tiles at a time, the transformed kernel would be read too often to keep the multipliers busy.
const FEW_TILES: usize = 16;
/// The same for each lane of a vector: wide multipliers use it up as much faster.
const FEW_TILES_A_LANE: usize = 2;
/// Bytes of a transformed kernel from which on it comes from memory: the more tiles meet it at a time, the better.
const FAR_BYTES: usize = 24 << 20;
/// With fewer channels at a time, products would end too soon.
const FEW_CHANNELS: usize = 128;
/// With more, reading it less often from a cache gains nothing.
pub(super) const MANY_TILES: usize = 48;

/// The most bytes of tiles that are done at once to transform a kernel only once.
const ONCE_BYTES: usize = 16 << 20;

/// The sizes of a forward pass and of its scratch, in elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    pub(super) split: Split,
    pub(super) slice: Slice,
}

/// How many channels are summed over at a time, and what follows from that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    terms: usize,
    /// The distance between the terms of a transformed tile: the channels, in whole lines.
    pub(super) term_stride: usize,
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
    /// For tiles that are some or all of `all` tiles of a layer.
    pub(super) fn new<T: Element>(isa: Isa, tiling: &Tiling, all: usize, threads: usize) -> Self {
        let channels = tiling.geometry.in_channels;
        let kernel_bytes = kernel_bytes::<T>(tiling);
        let kernel_stays = kernel_bytes <= L2_BYTES / 2;
        let few = if kernel_bytes > FAR_BYTES {
            MANY_TILES
        } else {
            FEW_TILES.max(FEW_TILES_A_LANE * T::lanes(isa))
        };
        let most_slices = if kernel_stays { 1 } else { channels.div_ceil(FEW_CHANNELS).max(1) };
        let slice = |count: usize| Slice::new::<T>(tiling, channels.div_ceil(count));
        // The first that leaves room for so many tiles, or the last.
        let wanted = few.min(all);
        let roomy = |slice: &Slice| slice.most_tiles::<T>() >= wanted;
        let slice = (1..most_slices).map(slice).find(roomy).unwrap_or_else(|| slice(most_slices));
        let near = L2_BYTES * 3 / 4 / slice.tile_bytes::<T>();
        let block = near.clamp(few, MANY_TILES).min(slice.most_tiles::<T>());
        // All tiles of a map, if it is not much larger: each thread then reads its part of the kernel only once.
        let together = (slice.tiles_bytes::<T>() / slice.tile_bytes::<T>()).clamp(1, MANY_TILES * 3 / 2);
        // Of a kernel that is taken in slices, threads had better read different parts.
        let few = if slice.term_stride < channels { block } else { FEW_TILES };
        let enough = tiling.tiles().div_ceil(threads) >= few;
        let split = if kernel_stays || enough || together < tiling.cols {
            Split::Bands { tasks: tasks(tiling, block, threads), block }
        } else {
            let steps = tiling.bands().div_ceil(together / tiling.cols).max(1);
            Split::Filters { bands: tiling.bands().div_ceil(steps).max(1) }
        };
        Blocking { split, slice }
    }

    /// For a kernel that is used once, and transformed a group at a time: all tiles at once. `None` if they are more than
    /// the kernel.
    pub(super) fn once<T: Element>(tiling: &Tiling) -> Option<Self> {
        let slice = Slice::new::<T>(tiling, tiling.geometry.in_channels);
        let tiles = tiling.tiles() * slice.tile_stride * size_of::<T>();
        let fewer = tiles < kernel_bytes::<T>(tiling) && tiles <= ONCE_BYTES;
        let split = Split::Filters { bands: tiling.bands() };
        fewer.then_some(Blocking { split, slice })
    }

    /// The bytes of scratch that each thread needs, with a packed kernel.
    pub(super) fn scratch_bytes<T: Element>(&self, tiling: &Tiling) -> usize {
        let Blocking { split, slice } = self;
        let tiles = match split {
            Split::Bands { tasks, block } => {
                let bands = tiling.bands().div_ceil(*tasks.max(&1));
                even_block(bands * tiling.cols, *block)
            }
            Split::Filters { bands } => bands * tiling.cols,
        };
        tiles * slice.tile_bytes::<T>() + size_of::<T>() * input_scratch(slice.terms, slice.term_stride)
    }
}

impl Slice {
    pub(super) fn new<T>(tiling: &Tiling, channels: usize) -> Self {
        let (terms, product_stride) = (tiling.size.terms(), tiling.size.points() * GROUP);
        let term_stride = channels.next_multiple_of(LINE);
        Slice { terms, term_stride, tile_stride: off_pages::<T>(terms * term_stride), product_stride }
    }

    /// The slices of so many channels.
    pub(super) fn of(self, channels: usize) -> impl Iterator<Item = Range<usize>> {
        let slice = self.term_stride.max(1);
        (0..channels).step_by(slice).map(move |first| first..channels.min(first + slice))
    }

    /// A tile, transformed, and its products.
    fn tile_bytes<T>(self) -> usize {
        size_of::<T>() * (self.tile_stride + self.product_stride)
    }

    /// The scratch for all tiles of a block.
    fn tiles_bytes<T>(self) -> usize {
        SCRATCH_BYTES.saturating_sub(size_of::<T>() * input_scratch(self.terms, self.term_stride))
    }

    /// The tiles of a block that fit in it, though a block turn out half as large again.
    fn most_tiles<T>(self) -> usize {
        (self.tiles_bytes::<T>() * 2 / 3 / self.tile_bytes::<T>()).max(1)
    }
}

/// The bytes of the transformed kernel.
fn kernel_bytes<T>(tiling: &Tiling) -> usize {
    let [_, _, channels, filters] = tiling.geometry.kernel_shape();
    size_of::<T>() * tiling.size.terms() * channels * filters
}

/// The tiles of a block, about `block`, so that the blocks of `tiles` are equal but for a few tiles.
pub(super) fn even_block(tiles: usize, block: usize) -> usize {
    tiles.div_ceil(((tiles + block / 2) / block).max(1))
}

/// How many runs of bands to make tasks of: about a block each, and as many for every thread.
fn tasks(tiling: &Tiling, block: usize, threads: usize) -> usize {
    (tiling.tiles() / block).max(1).next_multiple_of(threads).min(tiling.bands())
}

/// The next stride at which neighbouring rows do not evict each other from the first-level cache: an odd number of
/// cache lines off a multiple of 4096 bytes.
fn off_pages<T>(stride: usize) -> usize {
    const LINES: usize = 4096 / 64;
    const ODD: usize = 5;
    let lines = (size_of::<T>() * stride).div_ceil(64);
    (lines.saturating_sub(ODD).next_multiple_of(LINES) + ODD) * 64 / size_of::<T>()
}
