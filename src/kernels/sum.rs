//! Sums over rows, in an order that does not depend on the number of threads.

use super::aligned::room;
use super::kept::with_kept;
use super::pieces::each_chunk;
use super::simd::{Kernel, Simd, isa};
use crate::Element;

/// Rows that are summed as one piece.
const PIECE: usize = 1024;
/// Numbers from which on all threads take part.
const PARALLEL: usize = 1 << 16;
/// Numbers that a thread adds up over all pieces at a time.
const CHUNK: usize = 1 << 14;
/// Vectors of columns whose sums are in registers together.
const VECTORS: usize = 4;

/// The sum of each column over all rows of `values`, which are as long as `sums`. Writes all of `sums`.
pub(crate) fn columns<T: Element>(values: &[T], sums: &mut [T]) {
    let columns = sums.len();
    let rows = values.len().checked_div(columns).unwrap_or(0);
    if rows <= PIECE {
        return T::dispatch(isa(), Columns { values, sums });
    }
    in_pieces(values.len() >= PARALLEL, rows.div_ceil(PIECE), sums, |piece, sums| {
        let values = &values[piece * PIECE * columns..rows.min((piece + 1) * PIECE) * columns];
        T::dispatch(isa(), Columns { values, sums });
    });
}

/// Lets `sum(piece, sums)` write the sums of each piece apart, on all threads if `parallel`, and adds them in order.
pub(super) fn in_pieces<T: Element>(
    parallel: bool,
    pieces: usize,
    out: &mut [T],
    sum: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    if pieces == 1 {
        return sum(0, out);
    }
    let len = out.len();
    with_kept(|Apart(apart): &mut Apart<T>| {
        if !parallel {
            let apart = room(apart, len);
            sum(0, out);
            for piece in 1..pieces {
                sum(piece, apart);
                add(out, apart);
            }
            return;
        }
        let apart = room(apart, pieces * len);
        each_chunk(true, apart, len, sum);
        each_chunk(true, out, CHUNK, |index, out| {
            let at = index * CHUNK;
            out.copy_from_slice(&apart[at..at + out.len()]);
            for piece in apart.chunks_exact(len).skip(1) {
                add(out, &piece[at..at + out.len()]);
            }
        });
    });
}

/// What pieces sum apart.
#[derive(Default)]
struct Apart<T>(Vec<T>);

/// The sums of the columns of one piece.
struct Columns<'a, T> {
    values: &'a [T],
    sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        self.sums.fill(T::zero());
        add_columns(simd, self.values, self.sums);
    }
}

/// Sums each column of `values`, whose rows are as long as `sums`, and adds it to what is there.
#[inline(always)]
pub(super) fn add_columns<T: Element, S: Simd<T>>(simd: S, values: &[T], sums: &mut [T]) {
    let columns = sums.len();
    let mut first = 0;
    while first + VECTORS * S::LANES <= columns {
        let mut totals = [simd.splat(T::zero()); VECTORS];
        for row in values.chunks_exact(columns) {
            let vectors = simd.load_strided::<VECTORS>(&row[first..], S::LANES);
            for v in 0..VECTORS {
                totals[v] = simd.add(totals[v], vectors[v]);
            }
        }
        let sums = &mut sums[first..];
        let old = simd.load_strided::<VECTORS>(sums, S::LANES);
        for v in 0..VECTORS {
            totals[v] = simd.add(old[v], totals[v]);
        }
        simd.store_strided(totals, sums, S::LANES);
        first += VECTORS * S::LANES;
    }
    while first < columns {
        let last = columns.min(first + S::LANES);
        // In one chain, each addition would wait for the one before it.
        let mut totals = [simd.splat(T::zero()); VECTORS];
        let mut fours = values.chunks_exact(VECTORS * columns);
        for rows in &mut fours {
            for (v, row) in rows.chunks_exact(columns).enumerate() {
                totals[v] = simd.add(totals[v], simd.load_up_to(&row[first..last]));
            }
        }
        for row in fours.remainder().chunks_exact(columns) {
            totals[0] = simd.add(totals[0], simd.load_up_to(&row[first..last]));
        }
        let total = simd.add(simd.add(totals[0], totals[1]), simd.add(totals[2], totals[3]));
        let sums = &mut sums[first..last];
        simd.store_up_to(simd.add(simd.load_up_to(sums), total), sums);
        first = last;
    }
}

/// Adds `terms` to `sums`, one by one.
pub(crate) fn add<T: Element>(sums: &mut [T], terms: &[T]) {
    for (sum, &term) in sums.iter_mut().zip(terms) {
        *sum += term;
    }
}
