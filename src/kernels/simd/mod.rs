//! Vectors.
/// What an element needs to have kernels.
pub trait SimdElement: Sized {}
impl SimdElement for f32 {}
impl SimdElement for f64 {}
