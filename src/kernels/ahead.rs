//! Asking for what comes after the work at hand, little by little, so that memory and multipliers are busy at the same
//! time.

use std::ops::Range;

use super::aligned::line_len;
use super::simd::prefetch_read;

/// Numbers that are used soon: rows of `width`, `pitch` apart.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a, T> {
    values: &'a [T],
    width: usize,
    pitch: usize,
    /// Cache lines of a row, and of all.
    in_row: usize,
    lines: usize,
}

impl<'a, T> Ahead<'a, T> {
    /// Rows of `width` numbers, `pitch` apart; the last one need not be followed by anything.
    pub(super) fn rows(values: &'a [T], width: usize, pitch: usize) -> Self {
        let in_row = width.div_ceil(line_len::<T>());
        Ahead { values, width, pitch, in_row, lines: values.len().div_ceil(pitch) * in_row }
    }

    /// Asks for the share of it that `part` is of `whole`.
    #[inline(always)]
    pub(super) fn ask(self, part: Range<usize>, whole: usize) {
        let share = |place: usize| (place as u64 * self.lines as u64 / whole as u64) as usize;
        let lines = share(part.start)..share(part.end);
        let (mut row, mut place) =
            (lines.start / self.in_row * self.pitch, lines.start % self.in_row * line_len::<T>());
        for _ in lines {
            let from = self.values.get(row + place..).unwrap_or_default();
            prefetch_read(&from[..from.len().min(1)]);
            place += line_len::<T>();
            if place >= self.width {
                (row, place) = (row + self.pitch, 0);
            }
        }
    }
}
