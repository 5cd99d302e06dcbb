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

/// Bytes of weights of a thread that are likely to come from a third-level cache, which gives them some 7 % faster if it is asked; memory
/// does not.
const NEAR_BYTES: usize = 4 << 20;
/// How far ahead of their use weights are asked for, of each panel.
const AHEAD_BYTES: usize = 1 << 10;

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
        let near = size_of_val(panels) <= NEAR_BYTES;
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
                    if near {
                        ask_ahead(simd, first);
                        ask_ahead(simd, second);
                    }
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

/// Asks for as many weights of a panel as `weights`, some time before they are used.
#[inline(always)]
fn ask_ahead<T: Element, S: Simd<T>>(simd: S, weights: &[T]) {
    for first in (0..weights.len()).step_by(64 / size_of::<T>()) {
        simd.prefetch_near(weights, AHEAD_BYTES / size_of::<T>() + first);
    }
}
