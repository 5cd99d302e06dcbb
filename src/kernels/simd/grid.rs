//! [`Grid`]: numbers in rows and columns, of which [`Vectors`] are read, checked once for all of them.
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

    /// In so many columns from `column` on, so many vectors of `S` from the number `first` on.
    #[inline(always)]
    pub fn vectors<S: Simd<T>>(
        &self,
        [column, columns]: [usize; 2],
        first: usize,
        vectors: usize,
    ) -> Vectors<'a, T, S> {
        assert!(column <= self.columns && columns <= self.columns - column);
        assert!(first <= self.depth && vectors * S::LANES <= self.depth - first);
        // Without rows or columns nothing is read, and the place need not be one of the slice's.
        let start = self.start.wrapping_add(column.wrapping_mul(self.column_pitch).wrapping_add(first));
        let Grid { rows, row_pitch, column_pitch, .. } = *self;
        Vectors { start, rows, row_pitch, columns, column_pitch, vectors, values: PhantomData }
    }
}

/// In each of some rows some columns, and at each of these so many vectors of `S` one after the other.
#[derive(Clone, Copy)]
pub struct Vectors<'a, T, S> {
    /// `S::LANES` numbers may be read from every vector's place on.
    start: *const T,
    rows: usize,
    row_pitch: usize,
    columns: usize,
    column_pitch: usize,
    vectors: usize,
    values: PhantomData<(&'a [T], S)>,
}

impl<'a, T: Copy + Default, S: Simd<T>> Vectors<'a, T, S> {
    /// Asks for as many numbers as these vectors have behind them in a row and a column, if there are any.
    #[inline(always)]
    pub fn prefetch_next(&self, row: usize, column: usize) {
        let place = row.wrapping_mul(self.row_pitch).wrapping_add(column.wrapping_mul(self.column_pitch));
        let len = self.vectors * S::LANES;
        for line in (0..len).step_by(64 / size_of::<T>()) {
            prefetch::read_soon(self.start.wrapping_add(place.wrapping_add(len + line)));
        }
    }

    /// The numbers of a vector.
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize, vector: usize) -> &'a [T] {
        assert!(row < self.rows && column < self.columns && vector < self.vectors);
        // SAFETY: the grid that these vectors are a part of, has the row, the column and the numbers, and reaches no
        // further than the slice that it was made of.
        unsafe {
            let start = self.start.add(row * self.row_pitch + column * self.column_pitch + vector * S::LANES);
            std::slice::from_raw_parts(start, S::LANES)
        }
    }
}
