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

    /// All of `values`.
    pub(super) fn all(values: &'a [T]) -> Self {
        let width = values.len().max(1);
        Ahead::rows(values, width, width)
    }

    /// The share of it that `part` is of `whole`, to be asked for in so many steps; at once, if there are none.
    #[inline(always)]
    pub(super) fn share(self, part: Range<usize>, whole: usize, steps: usize) -> Requests<'a, T> {
        if self.lines == 0 {
            return Requests { ahead: self, row: 0, place: 0, rate: 0, due: 0 };
        }
        let share = |place: usize| (place as u64 * self.lines as u64 / whole as u64) as usize;
        let (first, end) = (share(part.start), share(part.end));
        let row = first / self.in_row * self.pitch;
        let place = first % self.in_row * line_len::<T>();
        let rate = Requests::<T>::LINE * (end - first) as u64 / steps.max(1) as u64;
        let mut requests = Requests { ahead: self, row, place, rate, due: Requests::<T>::LINE - 1 };
        if steps == 0 {
            requests.step(1);
        }
        requests
    }
}

/// Some of what lies ahead, to be asked for in even steps.
pub(super) struct Requests<'a, T> {
    ahead: Ahead<'a, T>,
    /// Where the next line lies: from which number on its row does, and its place in it.
    row: usize,
    place: usize,
    /// How much each step asks for, and how much is due.
    rate: u64,
    due: u64,
}

impl<T> Requests<'_, T> {
    /// A cache line, in the unit of what is due.
    const LINE: u64 = 1 << 32;

    /// After how many steps at a time to ask: `most` unless there is nothing to ask for.
    #[inline(always)]
    pub(super) fn stretch(&self, most: usize) -> usize {
        if self.rate > 0 { most } else { usize::MAX }
    }

    /// Asks for what so many steps ask for.
    #[inline(always)]
    pub(super) fn step(&mut self, steps: usize) {
        if self.rate == 0 {
            return;
        }
        self.due += steps as u64 * self.rate;
        let mut lines = (self.due / Self::LINE) as usize;
        self.due %= Self::LINE;
        while lines > 0 {
            let Ahead { values, width, pitch, .. } = self.ahead;
            let end = width.min(self.place + lines * line_len::<T>());
            let values = &values[..values.len().min(self.row + end)];
            prefetch_read(values.get(self.row + self.place..).unwrap_or_default());
            lines -= (end - self.place).div_ceil(line_len::<T>());
            (self.row, self.place) = if end < width { (self.row, end) } else { (self.row + pitch, 0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_share_ends_where_the_next_begins() {
        let values = vec![0.0_f32; 5 * 100 + 40];
        let aheads = [Ahead::rows(&values, 40, 100), Ahead::all(&values), Ahead::rows(&values, 16, 20)];
        for ahead in aheads {
            for (cuts, steps, at_once) in
                [([0, 6, 12, 13], 7, 3), ([0, 1, 2, 13], 1000, 8), ([0, 0, 5, 13], 1, 1)]
            {
                let mut shares = cuts.windows(2).map(|cut| ahead.share(cut[0]..cut[1], 13, steps)).peekable();
                while let Some(mut share) = shares.next() {
                    for first in (0..steps).step_by(at_once) {
                        share.step(at_once.min(steps - first));
                    }
                    let end = (ahead.lines / ahead.in_row * ahead.pitch, 0);
                    let next = shares.peek().map_or(end, |next| (next.row, next.place));
                    assert_eq!((share.row, share.place), next, "{cuts:?}");
                }
            }
        }
    }

    #[test]
    fn of_nothing_nothing_is_asked_for() {
        let mut share = Ahead::<f32>::all(&[]).share(0..6, 6, 0);
        share.step(8);
        assert_eq!((share.row, share.place), (0, 0));
    }
}
