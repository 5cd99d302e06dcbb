//! How many threads to share work among.

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
