//! Tiles without anything that most do not need: short sums take as long to begin as to add up, and longer ones wait for what
//! comes in between.

use super::series::{Place, Series};
use super::{MR, NARROW_MR, add_products, add_row, add_rows, load_row};
use crate::Element;
use crate::kernels::disjoint::Rows;
use crate::kernels::epilogue::Bend;
use crate::kernels::simd::{Kernel, Runs, Simd, unrolled};

/// Bytes of all panels up to which they stay in a first-level cache together: each tile of rows then meets all of them.
const NEAR_BYTES: usize = 32 << 10;

/// Rows times whole panels, to whole tiles.
pub(super) struct Lean<'a, 'b, T> {
    pub(super) values: &'a [T],
    pub(super) rows: &'a [Series],
    pub(super) runs: Runs,
    pub(super) panels: &'a [T],
    /// Added to each row, unless it is empty.
    pub(super) bias: &'a [T],
    /// Whether sums over one run are added to what `out` holds.
    pub(super) adds: bool,
    pub(super) bend: Bend<T>,
    pub(super) out: Rows<'b, T>,
}

impl<T: Element> Lean<'_, '_, T> {
    /// Computes it in tiles of so many rows and vectors.
    #[inline(always)]
    pub(super) fn compute<S: Simd<T>>(self, simd: S, (rows, across): (usize, usize)) {
        match (rows, across) {
            (MR, 4) if const { 4 <= S::PANEL } => self.of_size::<S, MR, 4>(simd),
            (MR, 2) if const { 4 > S::PANEL } => self.of_size::<S, MR, 2>(simd),
            (NARROW_MR, 2) if const { 4 <= S::PANEL } => self.of_size::<S, NARROW_MR, 2>(simd),
            (NARROW_MR, 1) if const { 2 <= S::PANEL } => self.of_size::<S, NARROW_MR, 1>(simd),
            _ => unreachable!("tiles of {rows} rows and {across} vectors"),
        }
    }

    #[inline(always)]
    fn of_size<S: Simd<T>, const M: usize, const V: usize>(self, simd: S) {
        if self.runs.count() == 1 {
            simd.enter(OfSize::<T, M, V, true>(self));
        } else {
            simd.enter(OfSize::<T, M, V, false>(self));
        }
    }
}

/// Tiles of `M` rows and `V` vectors; of rows in `ONE` run, or in several.
struct OfSize<'a, 'b, T, const M: usize, const V: usize, const ONE: bool>(Lean<'a, 'b, T>);

impl<T: Element, const M: usize, const V: usize, const ONE: bool> Kernel<T> for OfSize<'_, '_, T, M, V, ONE> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Lean { values, rows, runs, panels, bias, adds, bend, mut out } = self.0;
        let (k, width) = (runs.numbers(), V * S::LANES);
        let at_once = if size_of_val(panels) <= NEAR_BYTES { out.width() } else { width };
        for first in (0..out.width()).step_by(at_once) {
            let mut place = Place::of(rows, 0);
            for row in (0..out.len()).step_by(M) {
                let (left, _, next) = place.rows::<T, M>(values, rows, runs);
                place = next;
                for column in (first..first + at_once).step_by(width) {
                    let right = (&panels[column * k..][..k * width], width);
                    let bias = bias.get(column..column + width);
                    let mut sums = [[simd.splat(T::zero()); V]; M];
                    if ONE {
                        left.each_of_one(right, |numbers, right| {
                            add_products(simd, |i| numbers.at(i), &load_row(simd, right), &mut sums);
                        });
                        if let Some(bias) = bias {
                            add_row(simd, bias, &mut sums);
                        }
                        if adds {
                            let out: [&mut [T]; M] = out.part(row, column..column + width);
                            add_rows(simd, |i| &*out[i], &mut sums);
                        }
                    } else {
                        if let Some(bias) = bias {
                            sums = [load_row(simd, bias); M];
                        }
                        left.each(0..runs.lines(), right, (usize::MAX, |_| {}), |numbers, right| {
                            add_products(simd, |i| numbers.at(i), &load_row(simd, right), &mut sums);
                        });
                    }
                    bend.apply(simd, &mut sums);
                    let out: [&mut [T]; M] = out.part(row, column..column + width);
                    unrolled!(i < M, {
                        unrolled!(v < V, { simd.store(sums[i][v], &mut out[i][v * S::LANES..]) });
                    });
                }
            }
        }
    }
}
