//! How much memory the program has from its allocator, and has had at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::canvas::Outcome;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting bytes.
struct Counting;

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as for the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most bytes that the program had at once while `work` ran, beyond those it had before, and what `work` returned. It
/// runs in a thread of its own, because a thread keeps the memory of dropped tensors for its next results.
pub fn peak<R: Send>(work: impl FnOnce() -> R + Send) -> Outcome<(usize, R)> {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result =
        std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| "the measured work panicked")?;
    Ok((PEAK.load(Relaxed).saturating_sub(before), result))
}
