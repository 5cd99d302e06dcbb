//! How many threads to share work among, and with which part of it a thread begins.

use std::cell::Cell;
use std::ops::Range;

/// Multiplications below which a thread of the pool is done before another has woken up.
const LEAST_WORK: usize = 1 << 17;
/// The same for a thread from outside, which the pool takes about 10 us to answer.
const LEAST_WORK_FROM_OUTSIDE: usize = 1 << 19;

/// Pieces of work come in multiples of this where they are few, so that 2 or 4 threads end together.
pub(super) const SHARES: usize = 4;

/// How many threads to share so many multiplications among: those of the current pool, or one.
pub(crate) fn threads(multiplications: usize) -> usize {
    let least = match rayon::current_thread_index() {
        Some(_) => LEAST_WORK,
        None => LEAST_WORK_FROM_OUTSIDE,
    };
    if multiplications < least || ALONE.get() { 1 } else { rayon::current_num_threads() }
}

thread_local! {
    /// Whether what this thread computes is a part of something that is shared out already.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, in which work is shared with no other thread.
pub(super) fn alone<R>(f: impl FnOnce() -> R) -> R {
    struct Again(bool);
    impl Drop for Again {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _again = Again(ALONE.replace(true));
    f()
}

/// Calls `f(piece, its part of the work)` for every one of `pieces`, on all threads if `parallel`. `cut(work, first,
/// middle)` takes the work of the pieces from `first` on apart where the piece `middle` begins.
///
/// The current thread begins with its own share of the pieces, always the same one, and leaves the others theirs; of two
/// threads, each has its own then. What a thread wrote last, in the layer before or in the call before, is likely to be
/// in its cache still.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::on;
    use super::*;

    /// Adds its number to every one of so many pieces.
    fn add_numbers(done: &mut [usize]) {
        let cut = |work, first, middle| <[usize]>::split_at_mut(work, middle - first);
        each_part(true, 3..3 + done.len(), done, &cut, &|piece, done| {
            assert_eq!(done.len(), 1);
            done[0] += piece;
        });
    }

    #[test]
    fn every_piece_is_computed_once_by_any_number_of_threads() {
        for (threads, count) in
            [1, 2, 3, 5].into_iter().flat_map(|threads| (0..12).map(move |n| (threads, n)))
        {
            let mut done = vec![0; count];
            on(threads, || add_numbers(&mut done));
            assert_eq!(done, (3..3 + count).collect::<Vec<_>>(), "{threads} threads");
            add_numbers(&mut done);
            assert_eq!(done, (3..3 + count).map(|piece| 2 * piece).collect::<Vec<_>>(), "from outside");
        }
    }

    #[test]
    fn a_thread_begins_with_its_own_share() {
        let first = on(2, || {
            let (me, first) = (rayon::current_thread_index(), Mutex::new(None));
            each_part(true, 0..8, (), &|(), _, _| ((), ()), &|piece, ()| {
                if rayon::current_thread_index() == me {
                    first.lock().unwrap().get_or_insert(piece);
                }
            });
            (me, rayon::current_num_threads(), first.into_inner().unwrap())
        });
        assert!(matches!(first, (Some(0), _, Some(0)) | (Some(1), 2, Some(4))), "{first:?}");
    }
}
