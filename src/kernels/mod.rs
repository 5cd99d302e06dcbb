//! The hot part: slices and a geometry in, slices out. Knows no layer and no tensor.

pub(crate) mod conv;
mod depthwise;
mod direct;
mod disjoint;
mod field;
pub(crate) mod matmul;
mod patches;
mod pieces;
pub(crate) mod pool;
pub(crate) mod simd;
pub(crate) mod sum;
// Until convolution and its layer choose it.
#[allow(dead_code, unused_imports)]
pub(crate) mod winograd;
