//! Transposing matrices, vectors of rows at a time.

use super::simd::{Kernel, MAX_LANES, Simd, isa, prefetch_read};
use crate::Element;

/// The most bytes that are asked for ahead: they stay in the second-level cache beside what is written.
const AHEAD_BYTES: usize = 256 << 10;

/// Writes the transpose of a matrix of so many columns to rows that are `stride` apart; and asks for what lies `ahead`,
/// which will be transposed next.
pub(super) fn transpose<T: Element>(from: &[T], columns: usize, out: &mut [T], stride: usize, ahead: &[T]) {
    if columns > 0 {
        T::dispatch(isa(), Transpose { from, columns, out, stride, ahead });
    }
}

struct Transpose<'a, T> {
    from: &'a [T],
    columns: usize,
    out: &'a mut [T],
    stride: usize,
    ahead: &'a [T],
}

impl<T: Element> Kernel<T> for Transpose<'_, T> {
    type Output = ();

    /// In squares; all rows of some columns before the next, as rows may be a page apart: so both what is read and what
    /// is written stay in the first-level cache.
    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Transpose { from, columns, out, stride, ahead } = self;
        let ahead = if size_of_val(ahead) <= AHEAD_BYTES { ahead } else { &[] };
        let mut ahead = ahead.chunks(S::LANES * S::LANES);
        let rows = from.len() / columns;
        let [whole_rows, whole_columns] = [rows, columns].map(|count| count - count % S::LANES);
        for column in (0..whole_columns).step_by(S::LANES) {
            for row in (0..whole_rows).step_by(S::LANES) {
                let from = &from[row * columns + column..];
                if let Some(ahead) = ahead.next() {
                    prefetch_read(ahead);
                }
                square(simd, from, columns, &mut out[column * stride + row..], stride);
            }
        }
        let mut each = |rows: std::ops::Range<usize>, columns_left: std::ops::Range<usize>| {
            for row in rows {
                for column in columns_left.clone() {
                    out[column * stride + row] = from[row * columns + column];
                }
            }
        };
        each(0..whole_rows, whole_columns..columns);
        each(whole_rows..rows, 0..columns);
    }
}

/// Transposes as many rows as a vector has lanes: what zipping the first half of them with the second does, as often as a
/// row can be halved.
#[inline(always)]
#[allow(clippy::needless_range_loop)] // adaptors of arrays are not always inlined
fn square<T: Element, S: Simd<T>>(simd: S, from: &[T], pitch: usize, out: &mut [T], stride: usize) {
    let mut rows = [simd.splat(T::zero()); MAX_LANES];
    for i in 0..S::LANES {
        let from = &from[i * pitch..];
        rows[i] = simd.load(from);
        // Of the next square, if rows are long.
        prefetch_read(&from[S::LANES..from.len().min(2 * S::LANES)]);
    }
    let mut zipped = S::LANES;
    while zipped > 1 {
        let halves = rows;
        for i in 0..S::LANES / 2 {
            [rows[2 * i], rows[2 * i + 1]] = simd.zip(halves[i], halves[i + S::LANES / 2]);
        }
        zipped /= 2;
    }
    for i in 0..S::LANES {
        simd.store(rows[i], &mut out[i * stride..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn columns_become_rows(rows in 0_usize..40, columns in 0_usize..40, gap in 0_usize..5) {
            let from: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
            let stride = rows + gap;
            let mut out = vec![f32::NAN; columns * stride];
            transpose(&from, columns, &mut out, stride, &[]);
            for (i, value) in out.into_iter().enumerate() {
                let (column, row) = (i / stride, i % stride);
                match row < rows {
                    true => prop_assert_eq!(value, from[row * columns + column]),
                    false => prop_assert!(value.is_nan()),
                }
            }
        }
    }
}
