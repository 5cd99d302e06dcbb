//! Cuts of a range into pieces of almost the same size.

use std::ops::Range;

/// As few pieces of at most `most` as cover `range`, none more than one longer than another: where each starts, and
/// its length.
#[inline(always)]
pub(super) fn even_pieces(range: Range<usize>, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = range.len().div_ceil(most).max(1);
    let (size, longer) = (range.len() / count, range.len() % count);
    let start = move |piece: usize| range.start + piece * size + piece.min(longer);
    (0..if size == 0 && longer == 0 { 0 } else { count })
        .map(move |piece| (start(piece), size + usize::from(piece < longer)))
}

#[cfg(test)]
mod tests {
    use super::even_pieces;

    #[test]
    fn pieces_cover_the_range_evenly() {
        let pieces = |range, most| even_pieces(range, most).collect::<Vec<_>>();
        assert_eq!(pieces(3..17, 6), [(3, 5), (8, 5), (13, 4)]);
        assert_eq!(pieces(0..12, 6), [(0, 6), (6, 6)]);
        assert_eq!(pieces(5..6, 6), [(5, 1)]);
        assert_eq!(pieces(5..5, 6), []);
    }
}
