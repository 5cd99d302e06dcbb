//! Windows that move from position to position, over filters that fill one vector at most. A tile as elsewhere would read a
//! number for each of its products, which takes longer than to multiply. Here a number of a line is read once for all taps that
//! meet it in some position.

use super::{Left, Tiles};
use crate::Element;
use crate::kernels::simd::{Kernel, Simd, unrolled};

/// Taps of a line: of fewer, numbers meet too few.
const TAPS: usize = 5;

/// Positions side by side that have enough sums to keep the multipliers busy.
const FEW: usize = 10;

impl<T: Element> Left<'_, T> {
    /// The channels of windows that move from row to row by one of `TAPS` taps a line, where lines are long enough: that
    /// follows from the layer, not from the rows at hand.
    fn slides(&self) -> Option<usize> {
        let Left::Runs { rows, runs, live_from: None, .. } = *self else { return None };
        let step = rows.first()?.step;
        let slides = step > 0
            && step.checked_mul(TAPS) == Some(runs.length())
            && runs.count() == runs.lines()
            && runs.lines() > 1;
        let long = slides && runs.offset(1) / step >= FEW + TAPS - 1;
        (long && rows.iter().all(|series| series.step == step)).then_some(step)
    }
}

/// Computes all of the tiles' rows, if windows slide over enough taps, and the panels of one vector are not packed as they are
/// used; returns whether it has.
#[inline(always)]
pub(super) fn compute<T: Element, S: Simd<T>>(tiles: Tiles<'_, '_, '_, T>, simd: S) -> bool {
    let block = &tiles.block;
    if const { S::PANEL < 4 } || !block.right.is_whole() || block.finish.adds {
        return false;
    }
    match block.left.slides() {
        // With all weights in registers it is as fast.
        Some(1) if tiles.columns.len().is_multiple_of(S::LANES) => false,
        Some(channels) => {
            simd.enter(Sliding::<T, TAPS>(tiles, channels));
            true
        }
        None => false,
    }
}

/// Tiles of windows of `TAPS` taps a line, over so many channels.
struct Sliding<'t, 'a, 'b, T, const TAPS: usize>(Tiles<'t, 'a, 'b, T>, usize);

impl<T: Element, const TAPS: usize> Kernel<T> for Sliding<'_, '_, '_, T, TAPS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let Left::Runs { rows, .. } = self.0.block.left else { return };
        let mut first = 0;
        for series in rows {
            // Of these sizes the one with which the least is computed twice, or one by one.
            let cost = |size: &usize| series.count.div_ceil(*size) * (*size).max(FEW);
            let size = [14, 12, FEW, 4, 1]
                .into_iter()
                .filter(|&size| size <= series.count)
                .min_by_key(cost)
                .unwrap_or(1);
            for row in (0..series.count).step_by(size) {
                let row = row.min(series.count - size);
                let place = (first + row, series.start + row * series.step);
                match size {
                    14 => self.tile::<S, 14>(simd, place),
                    12 => self.tile::<S, 12>(simd, place),
                    FEW => self.tile::<S, FEW>(simd, place),
                    4 => self.tile::<S, 4>(simd, place),
                    _ => self.tile::<S, 1>(simd, place),
                }
            }
            first += series.count;
        }
    }
}

impl<T: Element, const TAPS: usize> Sliding<'_, '_, '_, T, TAPS> {
    /// The `M` rows from `row` on, whose numbers begin at `start`.
    #[inline(always)]
    fn tile<S: Simd<T>, const M: usize>(&mut self, simd: S, (row, start): (usize, usize)) {
        let Sliding(tiles, channels) = self;
        let right = tiles.block.right.skip_columns(tiles.block.columns.start);
        let Left::Runs { values, runs, .. } = tiles.block.left else { return };
        tiles.each_panel::<S, M, 1>(simd, row, |first, mut sums| {
            let (panel, _) = right.panel(first, S::LANES);
            let weights = panel.chunks_exact(runs.length() * S::LANES);
            for (line, weights) in (0..runs.lines()).zip(weights) {
                let numbers = &values[start + runs.offset(line)..][..(M - 1 + TAPS) * *channels];
                for channel in 0..*channels {
                    let (numbers, weights) = (&numbers[channel..], &weights[channel * S::LANES..]);
                    let mut taps = [simd.splat(T::zero()); TAPS];
                    unrolled!(t < TAPS, { taps[t] = simd.load(&weights[t * *channels * S::LANES..]) });
                    unrolled!(i < M, {
                        add_taps(simd, |tap| numbers[(i + tap) * *channels], &taps, &mut sums[i][0]);
                    });
                }
            }
            sums
        });
    }
}

/// Adds what the taps of a line come to at one position and channel.
#[inline(always)]
fn add_taps<T: Element, S: Simd<T>, const TAPS: usize>(
    simd: S,
    number: impl Fn(usize) -> T,
    taps: &[S::V; TAPS],
    sum: &mut S::V,
) {
    unrolled!(t < TAPS, { *sum = simd.mul_add(simd.splat(number(t)), taps[t], *sum) });
}
