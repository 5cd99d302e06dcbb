//! [`Strands`]: rows of numbers that are read side by side, in the same runs, checked once for all of them.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

use super::prefetch;

/// Where the numbers of a row lie, from its start on: in `lines` lines, `line_pitch` apart, of `in_line` runs, `pitch`
/// apart, of `length` numbers.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    lines: usize,
    line_pitch: usize,
    in_line: usize,
    pitch: usize,
    length: usize,
    /// From the start of a row to the end of its last run.
    reach: usize,
}

impl Runs {
    /// One run.
    pub fn one(length: usize) -> Self {
        Runs::new([1, 0], [1, 0], length)
    }

    /// So many lines, and so many runs in each, and how far apart they are.
    pub fn new([lines, line_pitch]: [usize; 2], [in_line, pitch]: [usize; 2], length: usize) -> Self {
        let last = |count: usize, pitch: usize| count.checked_sub(1).map(|last| last.checked_mul(pitch));
        let reach = match (last(lines, line_pitch), last(in_line, pitch)) {
            (Some(line), Some(run)) => {
                line.zip(run).and_then(|(line, run)| line.checked_add(run)?.checked_add(length))
            }
            _ => Some(0),
        };
        let numbers = lines.checked_mul(in_line).and_then(|runs| runs.checked_mul(length));
        let (reach, _) = reach.zip(numbers).expect("rows that lie in memory");
        Runs { lines, line_pitch, in_line, pitch, length, reach }
    }

    /// Numbers of a run.
    #[inline(always)]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Where a run begins, from the row's start on.
    pub fn offset(&self, run: usize) -> usize {
        self.line(run) * self.line_pitch + run % self.in_line * self.pitch
    }

    /// Where one of all numbers lies, from the row's start on.
    pub fn place(&self, number: usize) -> usize {
        self.offset(number / self.length) + number % self.length
    }

    /// The line of a run.
    pub fn line(&self, run: usize) -> usize {
        run / self.in_line
    }

    /// How many runs there are.
    pub fn count(&self) -> usize {
        self.lines * self.in_line
    }

    /// Numbers of a row, in all runs.
    pub fn numbers(&self) -> usize {
        self.count() * self.length
    }

    /// Numbers of a line, in all its runs.
    #[inline(always)]
    pub fn line_numbers(&self) -> usize {
        self.in_line * self.length
    }

    /// How many lines there are.
    #[inline(always)]
    pub fn lines(&self) -> usize {
        self.lines
    }
}

/// `M` rows of one slice.
#[derive(Clone, Copy)]
pub struct Strands<'a, T, const M: usize> {
    /// The start of the first row: with each of the distances added, valid for `runs.reach` reads.
    first: *const T,
    /// From there to the start of each row. (So one register moves from run to run, and not one a row.)
    distances: [isize; M],
    runs: Runs,
    values: PhantomData<&'a [T]>,
}

impl<'a, T: Copy, const M: usize> Strands<'a, T, M> {
    /// The rows of `values` that begin where `starts` says; all of them must lie within.
    #[inline(always)]
    pub fn new(values: &'a [T], starts: [usize; M], runs: Runs) -> Self {
        assert!(runs.reach <= values.len());
        let most = values.len() - runs.reach;
        assert!(starts.iter().all(|&start| start <= most));
        // SAFETY: `start + reach <= values.len()`: the row lies in the slice.
        let first = unsafe { values.as_ptr().add(starts[0]) };
        // Differences of places in one slice.
        let distances = starts.map(|start| start.wrapping_sub(starts[0]) as isize);
        Strands { first, distances, runs, values: PhantomData }
    }

    /// `M` rows that begin `step` apart, the first of them at `start`; all of them must lie within.
    #[inline(always)]
    pub fn spaced(values: &'a [T], start: usize, step: usize, runs: Runs) -> Self {
        let last = step.checked_mul(M - 1).and_then(|to_last| start.checked_add(to_last));
        assert!(runs.reach <= values.len() && last.is_some_and(|last| last <= values.len() - runs.reach));
        // SAFETY: the last row lies in the slice, `last + reach <= values.len()`, and so do those before it.
        let first = unsafe { values.as_ptr().add(start) };
        let distances = std::array::from_fn(|i| (i * step) as isize);
        Strands { first, distances, runs, values: PhantomData }
    }

    /// The same rows, which have `LINES` lines of one run of `LENGTH` numbers.
    #[inline(always)]
    pub fn fixed<const LINES: usize, const LENGTH: usize>(self) -> Fixed<'a, T, M, LINES, LENGTH> {
        let Runs { lines, in_line, length, .. } = self.runs;
        assert!(lines == LINES && in_line == 1 && length == LENGTH);
        Fixed(self)
    }

    /// For each number of the rows, which have one run, calls `f(reader, chunk)`: the reader returns the number of a row, and
    /// the chunk is the next of `width` numbers of `right`.
    #[inline(always)]
    pub fn each_of_one(&self, (right, width): (&[T], usize), mut f: impl FnMut(&Numbers<'_, T, M>, &[T])) {
        let length = self.runs.length;
        assert!(self.runs.lines == 1 && self.runs.in_line == 1 && right.len() / width >= length);
        let mut numbers = Numbers { at: self.first, distances: &self.distances };
        for number in 0..length {
            // SAFETY: a number of the only run of the first row: `number < length <= reach`.
            numbers.at = unsafe { self.first.add(number) };
            // SAFETY: `right` has a chunk of `width` for each of `length` numbers.
            let chunk = unsafe { std::slice::from_raw_parts(right.as_ptr().add(number * width), width) };
            f(&numbers, chunk);
        }
    }

    /// For each number of the rows in these lines, calls `f(reader, chunk)`: the reader returns the number of a row, and
    /// the chunk is the next of `width` numbers of `right`, which has one for every number of all lines. At the start of
    /// each run, and whenever `stretch` numbers are done, calls `before` with how many come next.
    #[inline(always)]
    pub fn each(
        &self,
        lines: Range<usize>,
        (right, width): (&[T], usize),
        (stretch, mut before): (usize, impl FnMut(usize)),
        mut f: impl FnMut(&Numbers<'_, T, M>, &[T]),
    ) {
        let Runs { line_pitch, in_line, pitch, length, .. } = self.runs;
        assert!(lines.end <= self.runs.lines);
        // All numbers can be counted.
        assert!(right.len() / width >= lines.end * in_line * length);
        let mut right = right[lines.start * in_line * length * width..].as_ptr();
        let mut numbers = Numbers { at: self.first, distances: &self.distances };
        // One loop over the runs of all lines: in two, the places of all rows would be kept twice.
        let (mut line, mut run) = (lines.start * line_pitch, 0);
        let mut start = line;
        for _ in lines.start * in_line..lines.end * in_line {
            let mut step = 0;
            while step < length {
                let end = length.min(step.saturating_add(stretch));
                before(end - step);
                for index in start + step..start + end {
                    // SAFETY: a number of a run of the first row: `index < reach`.
                    numbers.at = unsafe { self.first.add(index) };
                    // SAFETY: the slice that `right` began with has a chunk of `width` for every number of these lines,
                    // of which this is the next.
                    let chunk = unsafe { std::slice::from_raw_parts(right, width) };
                    f(&numbers, chunk);
                    // SAFETY: as above: the next chunk, or the slice's end.
                    right = unsafe { right.add(width) };
                }
                step = end;
            }
            // After the last, the pitch may be as long as it likes.
            (run, start) = (run + 1, start.wrapping_add(pitch));
            if run == in_line {
                (line, run) = (line.wrapping_add(line_pitch), 0);
                start = line;
            }
        }
    }
}

/// `M` rows of so many lines of one run, of a length that is known to the compiler.
#[derive(Clone, Copy)]
pub struct Fixed<'a, T, const M: usize, const LINES: usize, const LENGTH: usize>(Strands<'a, T, M>);

impl<T: Copy, const M: usize, const LINES: usize, const LENGTH: usize> Fixed<'_, T, M, LINES, LENGTH> {
    /// A number of a line of a row.
    #[inline(always)]
    pub fn at(&self, row: usize, line: usize, number: usize) -> T {
        assert!(row < M && line < LINES && number < LENGTH);
        let Strands { first, distances, runs, .. } = &self.0;
        // SAFETY: each row may be read as far as `runs` reach, which have so many lines of one run of so many numbers.
        unsafe { *first.offset(distances[row]).add(line * runs.line_pitch + number) }
    }
}

/// The numbers at one place of all rows.
pub struct Numbers<'a, T, const M: usize> {
    /// That of the first row.
    at: *const T,
    distances: &'a [isize; M],
}

impl<T: Copy, const M: usize> Numbers<'_, T, M> {
    /// Asks for what lies `distance` numbers behind that of the first row.
    #[inline(always)]
    pub fn prefetch(&self, distance: usize) {
        prefetch::read_soon(self.at.wrapping_add(distance));
    }

    /// That of row `row`.
    #[inline(always)]
    pub fn at(&self, row: usize) -> T {
        // SAFETY: only `Strands` makes them, for places of runs within `reach`: so far from its start, every row is valid.
        unsafe { *self.at.offset(self.distances[row]) }
    }
}
