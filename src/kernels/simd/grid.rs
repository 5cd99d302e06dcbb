//! [`Grid`]: vectors in rows and columns, checked once for all of them.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use super::Simd;

/// In each of some rows some columns, and at each of these so many vectors of `S` one after the other.
#[derive(Clone, Copy)]
pub struct Grid<'a, T, S> {
    /// `S::LANES` numbers may be read from every vector's place on.
    start: *const T,
    rows: usize,
    row_pitch: usize,
    columns: usize,
    column_pitch: usize,
    vectors: usize,
    values: PhantomData<(&'a [T], S)>,
}

impl<'a, T: Copy + Default, S: Simd<T>> Grid<'a, T, S> {
    /// So many rows and columns, and how far apart they are, from the start of `values` on.
    #[inline(always)]
    pub fn new(
        values: &'a [T],
        [rows, row_pitch]: [usize; 2],
        [columns, column_pitch]: [usize; 2],
        vectors: usize,
    ) -> Self {
        if rows > 0 && columns > 0 {
            let last = (rows - 1).checked_mul(row_pitch).zip((columns - 1).checked_mul(column_pitch));
            let last = last.and_then(|(row, column)| row.checked_add(column));
            assert!(
                last.is_some_and(|last| last <= values.len() && vectors * S::LANES <= values.len() - last)
            );
        }
        let start = values.as_ptr();
        Grid { start, rows, row_pitch, columns, column_pitch, vectors, values: PhantomData }
    }

    /// The numbers of a vector.
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize, vector: usize) -> &'a [T] {
        assert!(row < self.rows && column < self.columns && vector < self.vectors);
        // SAFETY: no vector lies further behind than the last, up to whose end `new` has found the slice to reach.
        unsafe {
            let start = self.start.add(row * self.row_pitch + column * self.column_pitch + vector * S::LANES);
            std::slice::from_raw_parts(start, S::LANES)
        }
    }
}
