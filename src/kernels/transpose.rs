//! Transposing matrices, vectors of rows at a time.

use super::simd::{Kernel, MAX_LANES, Simd, isa};
use crate::Element;

/// Writes the transpose of so many columns of rows that are `pitch` apart to rows that are `stride` apart.
pub(super) fn transpose<T: Element>(
    (from, pitch): (&[T], usize),
    columns: usize,
    out: &mut [T],
    stride: usize,
) {
    if columns > 0 {
        T::dispatch(isa(), Transpose { from, pitch, columns, out, stride });
    }
}

struct Transpose<'a, T> {
    from: &'a [T],
    pitch: usize,
    columns: usize,
    out: &'a mut [T],
    stride: usize,
}

impl<T: Element> Kernel<T> for Transpose<'_, T> {
    type Output = ();

    /// In squares; all columns of some rows before the next, so that as many streams are read as a square has rows, and
    /// the processor sees what is read next.
    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Transpose { from, pitch, columns, out, stride } = self;
        let rows = from.len().div_ceil(pitch);
        let [whole_rows, whole_columns] = [rows, columns].map(|count| count - count % S::LANES);
        for row in (0..whole_rows).step_by(S::LANES) {
            for column in (0..whole_columns).step_by(S::LANES) {
                let from = &from[row * pitch + column..];
                square(simd, from, pitch, &mut out[column * stride + row..], stride);
            }
        }
        let mut each = |rows: std::ops::Range<usize>, columns_left: std::ops::Range<usize>| {
            for row in rows {
                for column in columns_left.clone() {
                    out[column * stride + row] = from[row * pitch + column];
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
        // Of the next square.
        simd.prefetch_near(from, S::LANES);
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
        fn columns_become_rows(rows in 0_usize..40, columns in 0_usize..40, gap in 0_usize..5, more in 0_usize..5) {
            let pitch = columns + more;
            // Behind the last row is nothing.
            let from: Vec<f32> = (0..(rows * pitch).saturating_sub(more)).map(|i| i as f32).collect();
            let stride = rows + gap;
            let mut out = vec![f32::NAN; columns * stride];
            transpose((&from, pitch), columns, &mut out, stride);
            for (i, value) in out.into_iter().enumerate() {
                let (column, row) = (i / stride, i % stride);
                match row < rows {
                    true => prop_assert_eq!(value, from[row * pitch + column]),
                    false => prop_assert!(value.is_nan()),
                }
            }
        }
    }
}
