//! [`Grid`]: numbers in rows and columns, checked once for all of them, and read in vectors.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use super::{Simd, prefetch};

/// In each of some rows some columns, and in each of these so many numbers: those of the channels, say.
#[derive(Clone, Copy)]
pub struct Grid<'a, T> {
    /// `depth` numbers may be read from the place of every row and column on.
    start: *const T,
    rows: usize,
    row_pitch: usize,
    columns: usize,
    column_pitch: usize,
    depth: usize,
    values: PhantomData<&'a [T]>,
}

impl<'a, T: Copy + Default> Grid<'a, T> {
    /// So many rows and columns, and how far apart they are, from the start of `values` on.
    pub fn new(
        values: &'a [T],
        [rows, row_pitch]: [usize; 2],
        [columns, column_pitch]: [usize; 2],
        depth: usize,
    ) -> Self {
        if rows > 0 && columns > 0 {
            let last = (rows - 1).checked_mul(row_pitch).zip((columns - 1).checked_mul(column_pitch));
            let last = last.and_then(|(row, column)| row.checked_add(column));
            assert!(last.is_some_and(|last| last <= values.len() && depth <= values.len() - last));
        }
        let start = values.as_ptr();
        Grid { start, rows, row_pitch, columns, column_pitch, depth, values: PhantomData }
    }

    /// So many columns from `column` on, and in each of these `depth` numbers from the number `first` on.
    #[inline(always)]
    pub fn part(&self, [column, columns]: [usize; 2], [first, depth]: [usize; 2]) -> Self {
        assert!(column <= self.columns && columns <= self.columns - column);
        assert!(first <= self.depth && depth <= self.depth - first);
        // Without rows or columns nothing is read, and the place need not be one of the slice's.
        let start = self.start.wrapping_add(column.wrapping_mul(self.column_pitch).wrapping_add(first));
        Grid { start, columns, depth, ..*self }
    }

    /// One of the rows.
    #[inline(always)]
    pub fn row(&self, row: usize) -> Self {
        assert!(row < self.rows);
        Grid { start: self.start.wrapping_add(row.wrapping_mul(self.row_pitch)), rows: 1, ..*self }
    }

    /// Asks for as many numbers as a row and a column have here, behind these, if there are any.
    #[inline(always)]
    pub fn prefetch_next(&self, row: usize, column: usize) {
        let place = row.wrapping_mul(self.row_pitch).wrapping_add(column.wrapping_mul(self.column_pitch));
        for line in (0..self.depth).step_by(64 / size_of::<T>()) {
            prefetch::read_soon(self.start.wrapping_add(place.wrapping_add(self.depth + line)));
        }
    }

    /// The numbers of a vector of `S`, one of those that lie one after the other in a row and a column.
    #[inline(always)]
    pub fn at<S: Simd<T>>(&self, row: usize, column: usize, vector: usize) -> &'a [T] {
        assert!(row < self.rows && column < self.columns && vector < self.depth / S::LANES);
        // SAFETY: `new` has found the slice to reach to the end of every row's and column's numbers, and a part has no
        // others; the vector is among them.
        unsafe {
            let start = self.start.add(row * self.row_pitch + column * self.column_pitch + vector * S::LANES);
            std::slice::from_raw_parts(start, S::LANES)
        }
    }
}
