//! The hot part: slices and a geometry in, slices out. Knows no layer and no tensor.

pub(crate) mod conv;
mod depthwise;
mod direct;
mod disjoint;
pub(crate) mod entry;
mod field;
mod kept;
pub(crate) mod matmul;
mod patches;
mod pieces;
pub(crate) mod plan;
pub(crate) mod pool;
pub(crate) mod simd;
pub(crate) mod sum;
mod winograd;
