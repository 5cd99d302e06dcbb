//! What becomes of sums of products: a bias, an activation of straight pieces while they are in registers, and whatever
//! else is to be done while they are in the cache.

use super::simd::Simd;
use crate::Element;

/// What is done to pieces of whole positions of an output while they are in the cache.
pub type FinishPiece<'a, T> = &'a (dyn Fn(&mut [T]) + Sync);

/// From the sums of a convolution or a dense layer to its outputs, in this order.
#[derive(Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// Added to each position.
    pub bias: Option<&'a [T]>,
    /// Applied before anything is written.
    pub bend: Bend<T>,
    /// Applied to what has been written.
    pub finish: FinishPiece<'a, T>,
}

impl<'a, T: Element> Epilogue<'a, T> {
    /// A bias, if there is one, and no more.
    pub(crate) fn bias(bias: Option<&'a [T]>) -> Self {
        Epilogue { bias, bend: Bend::Straight, finish: &|_| {} }
    }
}

/// A function of straight pieces. NaN stays NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bend<T> {
    /// `x`.
    Straight,
    /// `min(max(x, low), high)`.
    Clamp(T, T),
    /// `max(slope * x, x)`, for slopes above 0 and up to 1.
    Leak(T),
}

impl<T: Element> Bend<T> {
    /// Applies it to rows of vectors.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
    pub(super) fn apply<S: Simd<T>, const M: usize, const V: usize>(
        self,
        simd: S,
        rows: &mut [[S::V; V]; M],
    ) {
        match self {
            Bend::Straight => {}
            Bend::Clamp(low, high) => {
                let (low, high) = (simd.splat(low), simd.splat(high));
                for i in 0..M {
                    for v in 0..V {
                        rows[i][v] = simd.clamp(rows[i][v], low, high);
                    }
                }
            }
            Bend::Leak(slope) => {
                let slope = simd.splat(slope);
                for i in 0..M {
                    for v in 0..V {
                        rows[i][v] = simd.larger(simd.mul(slope, rows[i][v]), rows[i][v]);
                    }
                }
            }
        }
    }
}
