//! Sums so short that the weights of all their products stay in registers, while one row after the other passes: windows
//! over maps of one channel.

use super::lean::Lean;
use super::series::Place;
use super::{add_products, load_row};
use crate::Element;
use crate::kernels::simd::{Fixed, Kernel, Simd, unrolled};

/// Computes it, if there are registers for the weights: `across` vectors of each panel.
#[inline(always)]
pub(super) fn compute<'a, 'b, T: Element, S: Simd<T>>(
    lean: Lean<'a, 'b, T>,
    simd: S,
    across: usize,
) -> Option<Lean<'a, 'b, T>> {
    if const { S::PANEL < 4 } {
        return Some(lean);
    }
    match (lean.runs.lines(), lean.runs.count(), lean.runs.length()) {
        // As many rows as there are registers for, and as divide those of a whole tile.
        (3, 3, 3) if across == 2 => simd.enter(OfShape::<T, 4, 2, 3, 3>(lean, across)),
        (3, 3, 3) if across == 4 => simd.enter(OfShape::<T, 2, 2, 3, 3>(lean, across)),
        (5, 5, 5) => simd.enter(OfShape::<T, 6, 1, 5, 5>(lean, across)),
        _ => return Some(lean),
    }
    None
}

/// `M` rows at a time times `V` of the vectors across a panel, for `LINES` lines of a run of `LENGTH` numbers.
struct OfShape<'a, 'b, T, const M: usize, const V: usize, const LINES: usize, const LENGTH: usize>(
    Lean<'a, 'b, T>,
    usize,
);

impl<T: Element, const M: usize, const V: usize, const LINES: usize, const LENGTH: usize> Kernel<T>
    for OfShape<'_, '_, T, M, V, LINES, LENGTH>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Lean { values, rows, runs, panels, bias, bend, mut out, .. } = self.0;
        let (width, part) = (self.1 * S::LANES, V * S::LANES);
        for column in (0..out.width()).step_by(part) {
            let panel = &panels[column / width * width * runs.numbers() + column % width..];
            let mut weights = [[[simd.splat(T::zero()); V]; LENGTH]; LINES];
            unrolled!(line < LINES, {
                weights[line] = load_line(simd, &panel[line * LENGTH * width..], width);
            });
            let first = match bias.get(column..column + part) {
                Some(bias) => load_row(simd, bias),
                None => [simd.splat(T::zero()); V],
            };
            let mut place = Place::of(rows, 0);
            for row in (0..out.len()).step_by(M) {
                let (left, _, next) = place.rows::<T, M>(values, rows, runs);
                place = next;
                let left = left.fixed::<LINES, LENGTH>();
                let mut sums = [first; M];
                unrolled!(line < LINES, { add_line(simd, &left, line, &weights[line], &mut sums) });
                bend.apply(simd, &mut sums);
                let out: [&mut [T]; M] = out.part(row, column..column + part);
                unrolled!(i < M, {
                    unrolled!(v < V, { simd.store(sums[i][v], &mut out[i][v * S::LANES..]) });
                });
            }
        }
    }
}

/// The weights of a line of a panel of `width`.
#[inline(always)]
fn load_line<T: Element, S: Simd<T>, const V: usize, const LENGTH: usize>(
    simd: S,
    panel: &[T],
    width: usize,
) -> [[S::V; V]; LENGTH] {
    let mut weights = [[simd.splat(T::zero()); V]; LENGTH];
    unrolled!(j < LENGTH, { weights[j] = load_row(simd, &panel[j * width..]) });
    weights
}

/// Adds the products of a line.
#[inline(always)]
fn add_line<
    T: Element,
    S: Simd<T>,
    const M: usize,
    const V: usize,
    const LINES: usize,
    const LENGTH: usize,
>(
    simd: S,
    left: &Fixed<'_, T, M, LINES, LENGTH>,
    line: usize,
    weights: &[[S::V; V]; LENGTH],
    sums: &mut [[S::V; V]; M],
) {
    unrolled!(j < LENGTH, { add_products(simd, |i| left.at(i, line, j), &weights[j], sums) });
}
