//! Memory that a thread keeps from one call to the next: touching fresh memory takes longer than a small layer.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    /// What this thread has put down. More than one of a type if calls were nested: a task that waits for others may
    /// take up one of theirs.
    static SHELF: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with an `M` that this thread has used before, with whatever it holds, or with a new one.
pub(crate) fn with_kept<M: Default + 'static, R>(f: impl FnOnce(&mut M) -> R) -> R {
    // A thread that is ending keeps nothing, and finds nothing.
    let found = SHELF.try_with(|shelf| {
        let mut shelf = shelf.borrow_mut();
        let index = shelf.iter().rposition(|memory| memory.is::<M>())?;
        shelf.swap_remove(index).downcast().ok()
    });
    let mut memory: Box<M> = found.ok().flatten().unwrap_or_default();
    let result = f(&mut memory);
    let _ = SHELF.try_with(|shelf| shelf.borrow_mut().push(memory));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_nested_calls_have_their_own() {
        struct Mine(u8);
        impl Default for Mine {
            fn default() -> Self {
                Mine(1)
            }
        }
        with_kept(|outer: &mut Mine| {
            outer.0 = 2;
            with_kept(|inner: &mut Mine| inner.0 += 2);
        });
        let kept = with_kept(|outer: &mut Mine| (outer.0, with_kept(|inner: &mut Mine| inner.0)));
        assert_eq!(kept, (2, 3));
    }
}
