//! [`Strided`]: vectors at equal distances, checked once for all of them.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use super::Simd;
use super::intrinsics::holds;

/// `count` vectors of `S`, which start at the multiples of `stride`.
#[derive(Clone, Copy)]
pub struct Strided<'a, T, S> {
    /// Holds `S::LANES` numbers from `index * stride` on for every `index < count`.
    values: &'a [T],
    stride: usize,
    count: usize,
    simd: PhantomData<S>,
}

impl<'a, T: Copy + Default, S: Simd<T>> Strided<'a, T, S> {
    /// The vectors of `values`, which must hold as many.
    #[inline(always)]
    pub fn new(values: &'a [T], stride: usize, count: usize) -> Self {
        assert!(holds(values.len(), stride, count, S::LANES));
        Strided { values, stride, count, simd: PhantomData }
    }

    /// How many there are.
    #[inline(always)]
    pub fn count(&self) -> usize {
        self.count
    }

    /// What vector `index` is read from.
    #[inline(always)]
    pub(super) fn from(&self, index: usize) -> &'a [T] {
        &self.values[index * self.stride..]
    }

    /// Where vector `index` starts: a pointer valid for `S::LANES` reads.
    #[inline(always)]
    pub(super) fn pointer(&self, index: usize) -> *const T {
        assert!(index < self.count);
        // SAFETY: `index < count`, so the slice holds `S::LANES` numbers from there on.
        unsafe { self.values.as_ptr().add(index * self.stride) }
    }
}
