//! A single row, as of a dense layer for one example: each weight is used once, and all that counts is how fast weights come.

use super::lean::Lean;
use super::{add_products, add_row, load_row};
use crate::Element;
use crate::kernels::simd::{Kernel, Simd, unrolled};

/// Computes a row of one run, with panels of `across` vectors.
#[inline(always)]
pub(super) fn compute<T: Element, S: Simd<T>>(lean: Lean<'_, '_, T>, simd: S, across: usize) {
    match across {
        4 if const { 4 <= S::PANEL } => simd.enter(OfWidth::<T, 4>(lean)),
        2 => simd.enter(OfWidth::<T, 2>(lean)),
        1 => simd.enter(OfWidth::<T, 1>(lean)),
        _ => unreachable!("panels of {across} vectors"),
    }
}

/// Panels of `V` vectors, in pairs: the sums of one panel of two vectors would wait for each other longer than for the weights.
struct OfWidth<'a, 'b, T, const V: usize>(Lean<'a, 'b, T>);

impl<T: Element, const V: usize> Kernel<T> for OfWidth<'_, '_, T, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Lean { values, rows, runs, panels, bias, bend, mut out, .. } = self.0;
        let (k, width) = (runs.numbers(), V * S::LANES);
        let Some(start) = rows.iter().find_map(|series| series.starts().next()) else { return };
        let row = &values[start..][..k];
        for (pair, column) in panels.chunks(2 * k * width).zip((0..).step_by(2 * width)) {
            let mut sums = [[[simd.splat(T::zero()); V]; 1]; 2];
            let (first, second) = pair.split_at(k * width);
            if second.is_empty() {
                for (&x, first) in row.iter().zip(first.chunks_exact(width)) {
                    add_products(simd, |_| x, &load_row(simd, first), &mut sums[0]);
                }
            } else {
                let both = first.chunks_exact(width).zip(second.chunks_exact(width));
                for (&x, (first, second)) in row.iter().zip(both) {
                    add_products(simd, |_| x, &load_row(simd, first), &mut sums[0]);
                    add_products(simd, |_| x, &load_row(simd, second), &mut sums[1]);
                }
            }
            for (mut sums, column) in sums.into_iter().zip((column..out.width()).step_by(width)) {
                if let Some(bias) = bias.get(column..column + width) {
                    add_row(simd, bias, &mut sums);
                }
                bend.apply(simd, &mut sums);
                let [out] = out.part(0, column..column + width);
                unrolled!(v < V, { simd.store(sums[0][v], &mut out[v * S::LANES..]) });
            }
        }
    }
}
