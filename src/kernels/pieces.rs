//! Cuts of a range, and of a buffer, into pieces.

use std::ops::Range;

use super::threads::each_part;

/// Into how many pieces of at most `most` so many fall, at least one; their size, and how many of them are one longer.
#[inline(always)]
fn evenly(len: usize, most: usize) -> (usize, usize, usize) {
    let count = len.div_ceil(most).max(1);
    (count, len / count, len % count)
}

/// As few pieces of at most `most` as cover `range`, none more than one longer than another: where each starts, and
/// its length.
#[inline(always)]
pub(super) fn even_pieces(range: Range<usize>, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let (count, size, longer) = evenly(range.len(), most);
    let start = move |piece: usize| range.start + piece * size + piece.min(longer);
    (0..if size == 0 && longer == 0 { 0 } else { count })
        .map(move |piece| (start(piece), size + usize::from(piece < longer)))
}

/// A range in pieces: of `most` as long as there are as many, and of almost the same size, at most `rest`, of what is left.
/// Where pieces of one size follow each other, and that size.
#[inline(always)]
pub(super) fn equal_pieces(
    range: Range<usize>,
    most: usize,
    rest: usize,
) -> impl Iterator<Item = (Range<usize>, usize)> {
    let whole = if most > rest { range.len() / most * most } else { 0 };
    let (_, size, longer) = evenly(range.len() - whole, rest);
    let middle = range.start + whole;
    let end = middle + longer * (size + 1);
    [(range.start..middle, most), (middle..end, size + 1), (end..range.end, size)]
        .into_iter()
        .filter(|(range, _)| !range.is_empty())
}

/// Calls `f(index, chunk)` for chunks of `size` (the last may be shorter), on all threads if `parallel`.
pub(super) fn each_chunk<T: Send>(
    parallel: bool,
    buffer: &mut [T],
    size: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    each_piece(parallel, 0..buffer.len().div_ceil(size), buffer, &|piece| piece * size, &f);
}

/// Calls `f(piece, its part of the buffer)` for every one of `pieces`, on all threads if `parallel`. The pieces lie one
/// after the other: piece `p` from `start(p)` to `start(p + 1)`, counted from where the buffer's first element lies.
pub(super) fn each_piece<T: Send>(
    parallel: bool,
    pieces: Range<usize>,
    buffer: &mut [T],
    start: &(impl Fn(usize) -> usize + Sync),
    f: &(impl Fn(usize, &mut [T]) + Sync),
) {
    let cut = |buffer, first, middle| <[T]>::split_at_mut(buffer, start(middle) - start(first));
    each_part(parallel, pieces, buffer, &cut, f);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_range_evenly() {
        let pieces = |range, most| even_pieces(range, most).collect::<Vec<_>>();
        assert_eq!(pieces(3..17, 6), [(3, 5), (8, 5), (13, 4)]);
        assert_eq!(pieces(0..12, 6), [(0, 6), (6, 6)]);
        assert_eq!(pieces(5..6, 6), [(5, 1)]);
        assert_eq!(pieces(5..5, 6), []);
    }

    #[test]
    fn pieces_of_one_size_go_together() {
        let pieces = |len: usize, most| equal_pieces(1..len + 1, most, 6).collect::<Vec<_>>();
        assert_eq!(pieces(31, 12), [(1..25, 12), (25..29, 4), (29..32, 3)]);
        assert_eq!(pieces(14, 6), [(1..11, 5), (11..15, 4)]);
        assert_eq!(pieces(12, 6), [(1..13, 6)]);
        assert_eq!(pieces(0, 12), []);
    }

    #[test]
    fn every_piece_gets_its_own_part() {
        for parallel in [false, true] {
            let mut buffer = [0; 24];
            each_piece(parallel, 1..5, &mut buffer, &|piece| piece * piece, &|piece, part| {
                assert_eq!(part.len(), 2 * piece + 1);
                part.fill(piece);
            });
            assert!(
                (1..5).all(|piece| buffer[piece * piece - 1..][..2 * piece + 1].iter().all(|&x| x == piece))
            );
        }
    }
}
