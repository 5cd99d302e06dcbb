//! Tiles of which each takes as long to begin as its sums, which are short: without anything that they do not need.

use super::series::{Place, Series};
use super::{MR, NARROW_MR, add_products, load_row};
use crate::Element;
use crate::kernels::disjoint::Rows;
use crate::kernels::epilogue::Bend;
use crate::kernels::simd::{Kernel, Runs, Simd, unrolled};

/// Rows times whole panels, to whole tiles.
pub(super) struct Short<'a, 'b, T> {
    pub(super) values: &'a [T],
    pub(super) rows: &'a [Series],
    pub(super) runs: Runs,
    pub(super) panels: &'a [T],
    /// What the sums of each column start from; if it is empty, from zero.
    pub(super) start: &'a [T],
    pub(super) bend: Bend<T>,
    pub(super) out: Rows<'b, T>,
}

impl<T: Element> Short<'_, '_, T> {
    /// Computes it in tiles of so many rows and vectors.
    #[inline(always)]
    pub(super) fn compute<S: Simd<T>>(self, simd: S, (rows, across): (usize, usize)) {
        match (rows, across) {
            (MR, 4) if const { 4 <= S::PANEL } => simd.enter(OfSize::<T, MR, 4>(self)),
            (MR, 2) if const { 4 > S::PANEL } => simd.enter(OfSize::<T, MR, 2>(self)),
            (NARROW_MR, 2) if const { 4 <= S::PANEL } => simd.enter(OfSize::<T, NARROW_MR, 2>(self)),
            (NARROW_MR, 1) if const { 2 <= S::PANEL } => simd.enter(OfSize::<T, NARROW_MR, 1>(self)),
            _ => unreachable!("tiles of {rows} rows and {across} vectors"),
        }
    }
}

/// Tiles of `M` rows and `V` vectors.
struct OfSize<'a, 'b, T, const M: usize, const V: usize>(Short<'a, 'b, T>);

impl<T: Element, const M: usize, const V: usize> Kernel<T> for OfSize<'_, '_, T, M, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Short { values, rows, runs, panels, start, bend, mut out } = self.0;
        let width = V * S::LANES;
        let mut place = Place::of(rows, 0);
        for row in (0..out.len()).step_by(M) {
            let (left, _, next) = place.rows::<T, M>(values, rows, runs);
            place = next;
            let mut starts = start.chunks_exact(width);
            for (panel, column) in panels.chunks_exact(runs.numbers() * width).zip((0..).step_by(width)) {
                let out: [&mut [T]; M] = out.part(row, column..column + width);
                let mut sums = [[simd.splat(T::zero()); V]; M];
                if let Some(start) = starts.next() {
                    unrolled!(v < V, {
                        let start = simd.load(&start[v * S::LANES..]);
                        unrolled!(i < M, { sums[i][v] = start });
                    });
                }
                unrolled!(i < M, { simd.prefetch(out[i], width) });
                left.each(0..runs.lines(), (panel, width), (usize::MAX, |_| {}), |numbers, right| {
                    add_products(simd, |i| numbers.at(i), &load_row(simd, right), &mut sums);
                });
                bend.apply(simd, &mut sums);
                unrolled!(i < M, {
                    unrolled!(v < V, { simd.store(sums[i][v], &mut out[i][v * S::LANES..]) });
                });
            }
        }
    }
}
