//! Pooling: each output is the largest, or the average, of what its window sees in one channel.
//!
//! Channels lie next to each other, so every innermost loop runs over them and the compiler makes vectors of it. Work is
//! shared out by rows of the result in all directions: backward, a row of the input's gradient gathers from the rows of
//! windows that cover it. A window as large as the map is global pooling, with the same loops.

mod average;
mod max;

use std::iter::zip;
use std::ops::Range;

use rayon::prelude::*;

pub use average::Divisor;
pub(crate) use average::{average, average_backward};
pub(crate) use max::{TapNumber, max, max_backward};

use super::simd::{Kernel, Simd, isa};
use crate::{Element, Geometry2d};

/// What a task should at least look at, in elements times taps: some microseconds of work. Less is not worth waking
/// a thread for.
const TASK_WORK: usize = 1 << 15;

/// One direction of a pooling.
trait Direction<T, I>: Sync {
    /// Computes one row of the result: all of `out`, and of `taps`, which only some directions write. Must be
    /// `#[inline(always)]`; `scratch` is for its own use and keeps its memory from row to row.
    fn row(&self, image: usize, row: usize, out: &mut [T], taps: &mut [I], scratch: &mut Vec<T>);
}

/// The rows that make up a result.
struct Rows {
    /// How many there are in each image.
    per_image: usize,
    /// The elements of each.
    line: usize,
    /// About how many others each element looks at.
    reads: usize,
}

impl Rows {
    /// The output's.
    fn of_output(geometry: &Geometry2d) -> Self {
        let Geometry2d { rows, cols, out_channels, .. } = *geometry;
        let [down, across] = [rows, cols].map(|axis| axis.kernel.min(axis.input));
        Rows { per_image: rows.output, line: cols.output * out_channels, reads: down * across }
    }

    /// The input gradient's.
    fn of_input(geometry: &Geometry2d) -> Self {
        let Geometry2d { rows, cols, in_channels, .. } = *geometry;
        let [down, across] = [rows, cols].map(|axis| axis.kernel.div_ceil(axis.stride).min(axis.output));
        Rows { per_image: rows.input, line: cols.input * in_channels, reads: down * across }
    }
}

/// Computes the rows of a result, tasks of several of them in parallel.
fn compute<T: Element, I: TapNumber>(
    direction: &impl Direction<T, I>,
    rows: Rows,
    out: &mut [T],
    taps: &mut [I],
) {
    let Rows { per_image, line, reads } = rows;
    let task_rows = (TASK_WORK / line.saturating_mul(reads)).max(1);
    let isa = isa();
    // A single task runs where it is: rayon is entered only to split.
    let tasks = out.par_chunks_mut(task_rows * line).zip(taps.par_chunks_mut(task_rows * line));
    tasks.enumerate().for_each(|(task, (out, taps))| {
        T::dispatch(isa, Task { direction, per_image, line, first: task * task_rows, out, taps });
    });
}

/// Some rows of a result; `first` counts the rows of all images.
struct Task<'a, T, I, D> {
    direction: &'a D,
    per_image: usize,
    line: usize,
    first: usize,
    out: &'a mut [T],
    taps: &'a mut [I],
}

impl<T: Element, I: TapNumber, D: Direction<T, I>> Kernel<T> for Task<'_, T, I, D> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, _: S) {
        let mut scratch = Vec::new();
        let lines = zip(self.out.chunks_exact_mut(self.line), self.taps.chunks_exact_mut(self.line));
        for (index, (out, taps)) in (self.first..).zip(lines) {
            self.direction.row(index / self.per_image, index % self.per_image, out, taps, &mut scratch);
        }
    }
}

/// For each column of outputs, the taps that lie inside the input; no columns if there is no image.
fn columns_inside(geometry: &Geometry2d) -> Vec<Range<usize>> {
    let columns = if geometry.batch == 0 { 0 } else { geometry.cols.output };
    (0..columns).map(|o| geometry.cols.taps(o)).collect()
}

/// Number `index` of the pieces of `len` that `values` consists of.
#[inline(always)]
fn piece<T>(values: &[T], index: usize, len: usize) -> &[T] {
    &values[index * len..][..len]
}
