//! Asking for memory ahead of its use, where stable Rust can.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Asks for the cache line of `to` to come to the first-level cache, to be written. Any address will do.
#[inline(always)]
pub(super) fn write_soon<T>(to: *mut T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which no address makes invalid; processors without it pass over it.
    unsafe {
        _mm_prefetch::<_MM_HINT_ET0>(to.cast_const().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = to;
}

/// Asks for all of `from` to come to the second-level cache, to be read.
#[inline(always)]
pub(in crate::kernels) fn read<T>(from: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for first in (0..from.len()).step_by(64 / size_of::<T>()) {
        // SAFETY: a hint, which no address makes invalid.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.as_ptr().wrapping_add(first).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Asks for the cache line of `from` to come to the first-level cache, to be read. Any address will do.
#[inline(always)]
pub(super) fn read_soon<T>(from: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which no address makes invalid.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(from.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}
