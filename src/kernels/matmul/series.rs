//! [`Series`]: where the rows of a left factor start.

use std::ops::Range;

use super::{MR, live_lines};
use crate::Element;
use crate::kernels::simd::{Runs, Strands};

/// Rows that start equally far apart, and of which the same lines may be other than zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// How many rows.
    pub(crate) count: usize,
    /// Where the first starts, and from there each of the others.
    pub(crate) start: usize,
    pub(crate) step: usize,
    pub(crate) live: Range<usize>,
}

impl Series {
    /// `count` rows of one line, `step` apart.
    pub(crate) fn dense(count: usize, step: usize) -> Self {
        Series { count, start: 0, step, live: 0..1 }
    }

    /// Where its rows start.
    #[inline(always)]
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        let (start, step) = (self.start, self.step);
        (0..self.count).map(move |row| start + row * step)
    }

    /// Adds those of `next` if they go on as these do.
    pub(crate) fn joins(&mut self, next: &Series) -> bool {
        let goes_on = self.count.wrapping_mul(self.step).wrapping_add(self.start) == next.start;
        let joins = goes_on && self.step == next.step && self.live == next.live;
        self.count += if joins { next.count } else { 0 };
        joins
    }
}

/// A row of a list of series: its number in one of them.
#[derive(Clone, Copy)]
pub(super) struct Place {
    series: usize,
    row: usize,
}

impl Place {
    /// That of the row `row` of all.
    #[inline(always)]
    pub(super) fn of(rows: &[Series], row: usize) -> Self {
        Place { series: 0, row }.settled(rows)
    }

    /// The same row, in the series that it belongs to.
    #[inline(always)]
    fn settled(mut self, rows: &[Series]) -> Self {
        while let Some(series) = rows.get(self.series)
            && self.row >= series.count
        {
            self = Place { series: self.series + 1, row: self.row - series.count };
        }
        self
    }

    /// The place so many rows on.
    #[inline(always)]
    fn after(self, count: usize, rows: &[Series]) -> Self {
        Place { row: self.row + count, ..self }.settled(rows)
    }

    /// The `M` rows from here on, which lines of them are live, and the place after them.
    #[inline(always)]
    pub(super) fn rows<'a, T: Element, const M: usize>(
        self,
        values: &'a [T],
        rows: &[Series],
        runs: Runs,
    ) -> (Strands<'a, T, M>, Range<usize>, Place) {
        let series = &rows[self.series];
        let end = self.after(M, rows);
        if self.row + M <= series.count {
            let start = series.start + self.row * series.step;
            return (Strands::spaced(values, start, series.step, runs), series.live.clone(), end);
        }
        let (starts, live) = self.starts::<M>(rows);
        (Strands::new(values, starts, runs), live, end)
    }

    /// Where the `M` rows from here on start, and the lines in which one of them may be other than zero.
    #[inline(never)]
    fn starts<const M: usize>(self, rows: &[Series]) -> ([usize; M], Range<usize>) {
        let (Place { mut series, mut row }, mut starts, mut done) = (self, [0; M], 0);
        let mut live = rows[series].live.clone();
        while done < M {
            let Series { count, start, step, live: ref own } = rows[series];
            live = live.start.min(own.start)..live.end.max(own.end);
            let here = starts[done..].iter_mut().zip(row..count);
            done += here.map(|(at, row)| *at = start + row * step).count();
            (series, row) = (series + 1, 0);
        }
        (starts, live)
    }
}

/// Rows that follow each other.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    /// That of the first of them.
    pub(super) place: Place,
}

impl Part {
    /// Those of its rows that are among `inner`.
    pub(super) fn only(&self, inner: Range<usize>, series: &[Series]) -> Self {
        Part { place: self.place.after(inner.start - self.rows.start, series), rows: inner }
    }
}

/// The rows `range` in parts. If some `lines` may be passed over, all rows of a part have the same live ones among them, but no
/// part has fewer than `MR` rows for that. What lies before the row `apart` is a part of its own.
pub(super) fn parts(
    series: &[Series],
    range: Range<usize>,
    apart: usize,
    lines: Option<Range<usize>>,
) -> impl Iterator<Item = Part> {
    let Range { mut start, end } = range;
    let mut place = Place::of(series, start);
    std::iter::from_fn(move || {
        let mut part = Part { rows: start..end, place };
        if start < apart {
            part.rows.end = apart;
            place = place.after(apart - start, series);
        } else if let Some(lines) = &lines {
            let live = |place: Place| live_lines(series[place.series].live.clone(), lines.start, lines.len());
            let mut row = start;
            while row < end {
                let before = place;
                row += series[place.series].count - place.row;
                place = Place { series: place.series + 1, row: 0 };
                if row >= start + MR && row + MR <= end && live(before) != live(place) {
                    part.rows.end = row;
                    break;
                }
            }
        }
        start = part.rows.end;
        (!part.rows.is_empty()).then_some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_see_padding_are_apart_if_they_fill_a_tile() {
        let check = |counts: &[usize], range: Range<usize>, apart: usize, want: &[[usize; 2]]| {
            let series =
                |(line, &count): (usize, &usize)| Series { count, start: 0, step: 1, live: line % 2..3 };
            let rows: Vec<_> = counts.iter().enumerate().map(series).collect();
            let all: Vec<_> = parts(&rows, range.clone(), apart, Some(0..3)).collect();
            let ranges: Vec<_> = all.iter().map(|part| [part.rows.start, part.rows.end]).collect();
            assert_eq!(ranges, want);
            for part in all {
                let (place, want) = (part.place, Place::of(&rows, part.rows.start));
                assert_eq!([place.series, place.row], [want.series, want.row]);
            }
            // The line in the middle is live in all rows.
            assert!(parts(&rows, range.clone(), 0, Some(1..2)).all(|part| part.rows == range));
            assert!(parts(&rows, range.clone(), 0, None).all(|part| part.rows == range));
        };
        check(&[7, 35, 7], 0..49, 0, &[[0, 7], [7, 42], [42, 49]]);
        check(&[7, 35, 7], 0..49, 6, &[[0, 6], [6, 42], [42, 49]]);
        check(&[7, 35, 7], 6..49, 6, &[[6, 42], [42, 49]]);
        check(&[14, 35, 5], 0..54, 6, &[[0, 6], [6, 14], [14, 54]]);
        check(&[3, 3, 3], 0..9, 0, &[[0, 9]]);
        check(&[3, 3, 6], 0..12, 0, &[[0, 6], [6, 12]]);
        check(&[8], 2..8, 0, &[[2, 8]]);
        check(&[8], 8..8, 0, &[]);
    }

    #[test]
    fn series_that_go_on_join() {
        let mut first = Series { count: 3, start: 10, step: 4, live: 0..2 };
        let next = |start, live| Series { count: 2, start, step: 4, live };
        assert!(!first.joins(&next(21, 0..2)));
        assert!(!first.joins(&next(22, 1..2)));
        assert_eq!(first.count, 3);
        assert!(first.joins(&next(22, 0..2)));
        assert_eq!(first.starts().collect::<Vec<_>>(), [10, 14, 18, 22, 26]);
    }

    #[test]
    fn rows_are_found_in_and_across_series() {
        let counts = [5, 1, 3, 7, 4];
        let series = counts.iter().enumerate().map(|(line, &count)| {
            let live = line % 2..3 - usize::from(line == 3);
            Series { count, start: 100 * line, step: 3 + line, live }
        });
        let rows: Vec<_> = series.collect();
        let starts: Vec<_> = rows.iter().flat_map(Series::starts).collect();
        let values: Vec<f32> = (0..1000).map(|x| x as f32).collect();
        for first in 0..starts.len() - 6 {
            let mut place = Place::of(&rows, first);
            for start in (first..starts.len() - 5).step_by(6) {
                let (strands, live, next) = place.rows::<f32, 6>(&values, &rows, Runs::one(1));
                let mut seen = [0.0; 6];
                let right = (&[0.0][..], 1);
                strands.each(0..1, right, (usize::MAX, |_| {}), |row, _| {
                    seen = std::array::from_fn(|i| row.at(i))
                });
                assert_eq!(seen.map(|x| x as usize), starts[start..][..6]);
                let lines =
                    rows.iter().flat_map(|series| std::iter::repeat_n(series.live.clone(), series.count));
                let lives: Vec<_> = lines.skip(start).take(6).collect();
                assert_eq!(Some(live.start), lives.iter().map(|live| live.start).min());
                assert_eq!(Some(live.end), lives.iter().map(|live| live.end).max());
                place = next;
            }
        }
    }
}
