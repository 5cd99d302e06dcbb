//! Sums over rows, in an order that does not depend on the number of threads.

use rayon::prelude::*;

use crate::Element;

/// Rows that are summed as one piece.
const PIECE: usize = 1024;

/// The sum of each column over all rows of `values`, which are as long as `sums`. Writes all of `sums`.
pub(crate) fn columns<T: Element>(values: &[T], sums: &mut [T]) {
    sums.fill(T::zero());
    let columns = sums.len();
    let piece = |rows: &[T]| {
        let mut sums = vec![T::zero(); columns];
        for row in rows.chunks_exact(columns) {
            add(&mut sums, row);
        }
        sums
    };
    let pieces: Vec<Vec<T>> = values.par_chunks(PIECE.saturating_mul(columns).max(1)).map(piece).collect();
    for piece in pieces {
        add(sums, &piece);
    }
}

/// Adds `terms` to `sums`, one by one.
pub(crate) fn add<T: Element>(sums: &mut [T], terms: &[T]) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}
