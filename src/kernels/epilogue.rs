//! What becomes of sums of products: a bias, other numbers added to them and an activation of straight pieces while they are
//! in registers, and whatever else is to be done while they are in the cache.

use std::ops::Range;

use super::simd::{Isa, Kernel, Simd, unrolled};
use crate::Element;

/// What is done to pieces of whole positions of an output while they are in the cache.
pub type FinishPiece<'a, T> = &'a (dyn Fn(&mut [T]) + Sync);

/// From the sums of a convolution or a dense layer to its outputs, in this order.
#[derive(Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// Added to each position.
    pub bias: Option<&'a [T]>,
    /// Added to the outputs, of which there are as many: a shortcut around the layer.
    pub residual: Option<&'a [T]>,
    /// Applied before anything is written.
    pub bend: Bend<T>,
    /// Applied to what has been written.
    pub finish: Option<FinishPiece<'a, T>>,
}

impl<'a, T: Element> Epilogue<'a, T> {
    /// A bias, if there is one, and no more.
    pub(crate) fn bias(bias: Option<&'a [T]>) -> Self {
        Epilogue { bias, residual: None, bend: Bend::Straight, finish: None }
    }

    /// The same for a part of the outputs.
    pub(super) fn part(self, outputs: Range<usize>) -> Self {
        Epilogue { residual: self.residual.map(|residual| &residual[outputs]), ..self }
    }

    /// What can be done before the outputs lie where the residual's numbers do: if there are some, the bias alone.
    pub(super) fn without_residual(self) -> Self {
        let bend = if self.residual.is_some() { Bend::Straight } else { self.bend };
        Epilogue { residual: None, bend, ..self }
    }

    /// Whether there is something to do when outputs have been written, by [`end`](Self::end).
    pub(super) fn has_end(&self) -> bool {
        self.residual.is_some() || self.finish.is_some()
    }

    /// Finishes what has been written.
    pub(super) fn finish(&self, out: &mut [T]) {
        if let Some(finish) = self.finish {
            finish(out);
        }
    }

    /// Does to `out` what [`without_residual`](Self::without_residual) left, and finishes it.
    pub(super) fn end(self, isa: Isa, out: &mut [T]) {
        if let Some(residual) = self.residual {
            T::dispatch(isa, AddAndBend { residual, bend: self.bend, out });
        }
        self.finish(out);
    }
}

/// Adds to numbers in memory, and bends them.
struct AddAndBend<'a, T> {
    residual: &'a [T],
    bend: Bend<T>,
    out: &'a mut [T],
}

impl<T: Element> Kernel<T> for AddAndBend<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        for (out, residual) in self.out.chunks_mut(S::LANES).zip(self.residual.chunks(S::LANES)) {
            let mut sum = [[simd.add(simd.load_up_to(out), simd.load_up_to(residual))]];
            self.bend.apply(simd, &mut sum);
            simd.store_up_to(sum[0][0], out);
        }
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
    pub(super) fn apply<S: Simd<T>, const M: usize, const V: usize>(
        self,
        simd: S,
        rows: &mut [[S::V; V]; M],
    ) {
        match self {
            Bend::Straight => {}
            Bend::Clamp(low, high) => {
                let (low, high) = (simd.splat(low), simd.splat(high));
                unrolled!(i < M, {
                    unrolled!(v < V, { rows[i][v] = simd.clamp(rows[i][v], low, high) });
                });
            }
            Bend::Leak(slope) => {
                let slope = simd.splat(slope);
                unrolled!(i < M, {
                    unrolled!(v < V, { rows[i][v] = simd.larger(simd.mul(slope, rows[i][v]), rows[i][v]) });
                });
            }
        }
    }
}
