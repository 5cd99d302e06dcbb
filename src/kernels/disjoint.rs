//! Disjoint pieces of a matrix for different threads, where whole rows are too few to share out.

use std::ops::Range;

/// Pieces of `width` columns (the last may have fewer) of a matrix whose rows of `row` numbers follow each other:
/// which columns, and the piece's part of every row.
pub(super) fn columns<T>(matrix: &mut [T], row: usize, width: usize) -> Vec<(Range<usize>, Vec<&mut [T]>)> {
    let mut pieces: Vec<_> =
        (0..row).step_by(width).map(|first| (first..row.min(first + width), Vec::new())).collect();
    for row in matrix.chunks_exact_mut(row) {
        for (part, (_, piece)) in row.chunks_mut(width).zip(&mut pieces) {
            piece.push(part);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    #[test]
    fn pieces_cover_the_matrix() {
        let mut matrix: Vec<usize> = vec![0; 3 * 5];
        let pieces = super::columns(&mut matrix, 5, 2);
        assert_eq!(pieces.len(), 3);
        for (columns, rows) in pieces {
            for (index, row) in rows.into_iter().enumerate() {
                assert_eq!(row.len(), columns.len());
                row.iter_mut().zip(columns.clone()).for_each(|(x, column)| *x += 5 * index + column);
            }
        }
        assert_eq!(matrix, (0..15).collect::<Vec<_>>());
    }
}
