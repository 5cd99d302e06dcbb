//! The hot part: slices and a geometry in, slices out. Knows no layer and no tensor.

mod ahead;
mod aligned;
pub(crate) mod conv;
mod depthwise;
mod depthwise_gradient;
mod direct;
mod disjoint;
pub(crate) mod entry;
pub(crate) mod epilogue;
mod field;
mod kept;
mod kernel_matrix;
pub(crate) mod matmul;
pub(crate) mod panels;
mod patches;
mod pieces;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod simd;
mod spare;
pub(crate) mod sum;
mod threads;
mod transpose;
mod winograd;

pub(crate) use spare::{Buffer, recycle, take_spare};

/// The second-level cache that blocks are made for.
const L2_BYTES: usize = 512 << 10;
/// The most scratch of a thread in a forward pass, unless a single window or tile needs more.
const SCRATCH_BYTES: usize = 3 << 19;

/// Runs on a pool of so many threads; in place on WebAssembly, which has none.
#[cfg(test)]
fn on<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Err(_) if cfg!(target_family = "wasm") => f(),
        pool => pool.unwrap().install(f),
    }
}
