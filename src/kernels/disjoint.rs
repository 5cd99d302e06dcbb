//! Rows of a matrix, whole or some of their columns: what a task writes to. The one place outside of `simd` with
//! `unsafe`, since pieces that lie side by side share the memory's rows and no slice can hold one.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

use super::threads::each_part;

/// Rows of `width` numbers, `stride` apart, that nobody else reads or writes.
pub(crate) struct Rows<'a, T> {
    start: *mut T,
    count: usize,
    width: usize,
    stride: usize,
    memory: PhantomData<&'a mut [T]>,
}

// SAFETY: it is as good as the `&mut [T]`s of its rows, which may go to another thread if a `T` may.
unsafe impl<T: Send> Send for Rows<'_, T> {}

impl<'a, T> Rows<'a, T> {
    /// The rows of a matrix `width` wide; what is left over is not used.
    pub(super) fn new(matrix: &'a mut [T], width: usize) -> Self {
        let count = matrix.len().checked_div(width).unwrap_or(0);
        Rows { start: matrix.as_mut_ptr(), count, width, stride: width, memory: PhantomData }
    }

    /// How many rows there are.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// How wide they are.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The numbers `columns` of the `N` rows from `first` on.
    #[inline(always)]
    pub(super) fn part<const N: usize>(&mut self, first: usize, columns: Range<usize>) -> [&mut [T]; N] {
        self.spaced(first, 1, columns)
    }

    /// The same of rows that are `step` apart, which is not zero.
    #[inline(always)]
    pub(super) fn spaced<const N: usize>(
        &mut self,
        first: usize,
        step: usize,
        columns: Range<usize>,
    ) -> [&mut [T]; N] {
        let to_last = N.saturating_sub(1).checked_mul(step);
        assert!(step > 0 && first < self.count && to_last.is_some_and(|rows| rows < self.count - first));
        assert!(columns.start <= columns.end && columns.end <= self.width);
        // From row to row, which takes no multiplication.
        let mut start = self.start.wrapping_add(first * self.stride + columns.start);
        std::array::from_fn(|_| {
            // SAFETY: the row is one of ours, each another since `step > 0`, and the columns are among its own: all of them lie in
            // the matrix that we borrow, apart from those of other rows; `&mut self` sees to it that there is no other reference to them.
            let row = unsafe { std::slice::from_raw_parts_mut(start, columns.len()) };
            start = start.wrapping_add(step.wrapping_mul(self.stride));
            row
        })
    }

    /// So many rows from the row `first` on.
    pub(super) fn lines(&mut self, first: usize, count: usize) -> Rows<'_, T> {
        assert!(first <= self.count && count <= self.count - first);
        // SAFETY: it is one of our rows, or the end of the last. Without rows it is not moved.
        let start = if count == 0 { self.start } else { unsafe { self.start.add(first * self.stride) } };
        Rows { start, count, width: self.width, stride: self.stride, memory: PhantomData }
    }

    /// Only these columns of the rows.
    pub(super) fn columns(self, columns: Range<usize>) -> Self {
        self.split_columns(columns.end).0.split_columns(columns.start).1
    }

    /// The rows left and right of column `at`.
    pub(super) fn split_columns(self, at: usize) -> (Self, Self) {
        assert!(at <= self.width);
        let left = Rows { width: at, ..self };
        // SAFETY: `at <= width`: within the first row, or at its end. Without rows it is not moved.
        let start = if self.count == 0 { self.start } else { unsafe { self.start.add(at) } };
        let right = Rows { start, width: self.width - at, ..self };
        (left, right)
    }
}

/// Calls `f` on pieces of `step` columns (the last may have fewer), on all threads if `parallel`: which columns, and their
/// part of every row.
pub(super) fn each_columns<T: Send>(
    parallel: bool,
    rows: Rows<'_, T>,
    first: usize,
    step: usize,
    f: &(impl Fn(Range<usize>, Rows<'_, T>) + Sync),
) {
    let pieces = 0..rows.width().div_ceil(step);
    each_part(
        parallel,
        pieces,
        rows,
        &|rows, start, middle| rows.split_columns((middle - start) * step),
        &|piece, rows| {
            let start = first + piece * step;
            f(start..start + rows.width(), rows);
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_matrix() {
        let mut matrix: Vec<usize> = vec![0; 3 * 5];
        each_columns(true, Rows::new(&mut matrix, 5), 0, 2, &|columns, mut rows| {
            assert_eq!((rows.len(), rows.width()), (3, columns.len()));
            for index in 0..rows.len() {
                let [row] = rows.part(index, 0..columns.len());
                row.iter_mut().zip(columns.clone()).for_each(|(x, column)| *x += 5 * index + column);
            }
        });
        assert_eq!(matrix, (0..15).collect::<Vec<_>>());
    }

    #[test]
    fn no_columns_make_no_rows() {
        assert_eq!(Rows::new(&mut [0.0; 0], 0).len(), 0);
        assert_eq!(Rows::new(&mut [0.0; 7], 3).len(), 2);
    }
}
