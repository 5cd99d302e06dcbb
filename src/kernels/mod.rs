//! The hot part: slices and a geometry in, slices out. Knows no layer and no tensor.

pub(crate) mod conv;
mod depthwise;
pub(crate) mod matmul;
mod patches;
pub(crate) mod pool;
pub(crate) mod simd;
pub(crate) mod sum;
