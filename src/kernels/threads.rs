//! How many threads to share work among, and which begins with which part of it.

use std::ops::Range;

/// Multiplications below which a thread of the pool is done before another has woken up.
const LEAST_WORK: usize = 1 << 17;
/// The same for a thread from outside, which the pool takes about 10 us to answer.
const LEAST_WORK_FROM_OUTSIDE: usize = 1 << 19;

/// How many threads to share so many multiplications among: those of the current pool, or one.
pub(crate) fn threads(multiplications: usize) -> usize {
    let least = match rayon::current_thread_index() {
        Some(_) => LEAST_WORK,
        None => LEAST_WORK_FROM_OUTSIDE,
    };
    if multiplications < least { 1 } else { rayon::current_num_threads() }
}

/// Calls `f(piece, its part of the work)` for every one of `pieces`, on all threads if `parallel`. `cut(work, first,
/// middle)` takes the work of the pieces from `first` on apart where the piece `middle` begins.
///
/// Each thread begins with its own share of the pieces, always the same one, and then helps the others: what it wrote
/// last, in the layer before or in the call before, is likely to be in its cache still.
pub(super) fn each_part<W: Send>(
    parallel: bool,
    pieces: Range<usize>,
    work: W,
    cut: &(impl Fn(W, usize, usize) -> (W, W) + Sync),
    f: &(impl Fn(usize, W) + Sync),
) {
    if !parallel || pieces.len() < 2 {
        return halves(0..0, pieces, work, cut, f);
    }
    let shares = || halves(0..rayon::current_num_threads(), pieces, work, cut, f);
    match rayon::current_thread_index() {
        Some(_) => shares(),
        // Threads from outside have no share.
        None => rayon::scope(|_| shares()),
    }
}

/// The same among `threads`, or on the current one if there are none.
fn halves<W: Send>(
    threads: Range<usize>,
    pieces: Range<usize>,
    work: W,
    cut: &(impl Fn(W, usize, usize) -> (W, W) + Sync),
    f: &(impl Fn(usize, W) + Sync),
) {
    let count = match pieces.len() {
        0 => return,
        1 => return f(pieces.start, work),
        count => count,
    };
    let (left, right, share) = match threads.len() {
        0 | 1 => (threads.clone(), threads.clone(), count / 2),
        many => {
            let middle = threads.start + many / 2;
            (threads.start..middle, middle..threads.end, (count * (many / 2) / many).max(1))
        }
    };
    let middle = pieces.start + share;
    let (first, rest) = cut(work, pieces.start, middle);
    let mine_is_right =
        threads.len() > 1 && rayon::current_thread_index().is_some_and(|i| right.contains(&i));
    let first = || halves(left, pieces.start..middle, first, cut, f);
    let rest = || halves(right, middle..pieces.end, rest, cut, f);
    if threads.is_empty() {
        first();
        rest();
    } else if mine_is_right {
        rayon::join(rest, first);
    } else {
        rayon::join(first, rest);
    }
}
