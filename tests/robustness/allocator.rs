//! An allocator that refuses large requests and counts what it grants, so that tests see what a call asks for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// No single request above this is granted: code that checks whether it was gets an error, code that does not aborts.
/// Sizes in these tests are either so small that nothing comes near it, scratch memory included, or far beyond it.
const LIMIT: usize = 64 << 20;

/// What a call that fails may have asked for all in all: messages, shapes, copies of small arrays.
const SMALL: usize = 256 << 10;

thread_local! {
    /// What this thread was granted since the last reset.
    static GRANTED: Cell<usize> = const { Cell::new(0) };
}

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

// SAFETY: every request is passed on to the system's allocator unchanged, or refused, as the trait allows.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps to the trait's contract.
        grant(layout.size(), || unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        grant(layout.size(), || unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        grant(size, || unsafe { System.realloc(old, layout, size) })
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Lets a request through and counts it, unless it is too large.
fn grant(size: usize, request: impl FnOnce() -> *mut u8) -> *mut u8 {
    if size > LIMIT {
        return std::ptr::null_mut();
    }
    // A thread that is ending has no counter any more.
    let _ = GRANTED.try_with(|granted| granted.set(granted.get() + size));
    request()
}

/// Makes a call, which may fail, but must not have asked for much memory if it does.
#[track_caller]
pub fn frugal<R>(call: impl FnOnce() -> striate::Result<R>) -> striate::Result<R> {
    GRANTED.set(0);
    let result = call();
    let granted = GRANTED.get();
    if let Err(error) = &result {
        assert!(granted <= SMALL, "{granted} bytes for a call that fails: {error}");
    }
    result
}
