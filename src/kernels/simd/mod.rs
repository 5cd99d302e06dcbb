//! Vectors of numbers, one file an instruction set: with `kernels/simd`'s intrinsics, the home of `unsafe`.
//!
//! A kernel is written once, generic over [`Simd`], and runs through [`SimdElement::dispatch`], which enters a
//! function compiled for the instruction set. A handle such as `Avx2` exists only where the processor has the
//! instructions, so its methods are safe to call.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod isa;
mod portable;

pub use isa::{Isa, force_isa, isa};

use portable::Portable;

/// The most lanes of any vector.
pub(super) const MAX_LANES: usize = 16;

/// The handle of an instruction set: vectors of `T`, and the operations that kernels need on them.
pub trait Simd<T: Copy + Default>: Copy + Send + Sync {
    /// A vector of [`LANES`](Self::LANES) numbers.
    type V: Copy;
    /// How many numbers a vector holds.
    const LANES: usize;

    /// A vector of copies of `x`.
    fn splat(self, x: T) -> Self::V;

    /// The first `LANES` numbers of `from`, which must hold as many.
    fn load(self, from: &[T]) -> Self::V;

    /// Writes to the first `LANES` numbers of `to`, which must hold as many.
    fn store(self, v: Self::V, to: &mut [T]);

    /// `a + b`.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a - b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a * b`.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;

    /// `a * b + c`; rounded once where the hardware does so.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// `c - a * b`; rounded once where the hardware does so.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;

    /// Vectors that start at the multiples of `stride`, so that one check of bounds does for all of them.
    #[inline(always)]
    fn load_strided<const N: usize>(self, from: &[T], stride: usize) -> [Self::V; N] {
        let mut vectors = [self.splat(T::default()); N];
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = self.load(&from[i * stride..]);
        }
        vectors
    }

    /// Writes vectors to the multiples of `stride`.
    #[inline(always)]
    fn store_strided<const N: usize>(self, vectors: [Self::V; N], to: &mut [T], stride: usize) {
        for (i, vector) in vectors.into_iter().enumerate() {
            self.store(vector, &mut to[i * stride..]);
        }
    }

    /// Of every `BLOCK` lanes that follow each other, copies of the one at `lane`.
    #[inline(always)]
    fn spread<const BLOCK: usize>(self, v: Self::V, lane: usize) -> Self::V {
        if BLOCK <= 1 {
            return v;
        }
        let mut from = [T::default(); MAX_LANES];
        self.store(v, &mut from);
        let mut to = from;
        for (i, to) in to.iter_mut().enumerate() {
            *to = from[i / BLOCK * BLOCK + lane];
        }
        self.load(&to)
    }

    /// Asks for the first numbers of `to`, which will be written soon, to be brought near; where the hardware can.
    #[inline(always)]
    fn prefetch(self, _to: &mut [T]) {}

    /// Asks for `from`, which will be read soon, to be brought near; where the hardware can.
    #[inline(always)]
    fn prefetch_read(self, _from: &[T]) {}

    /// As [`load`](Self::load), where `from` may be too short: the lanes beyond its end are zero.
    #[inline(always)]
    fn load_up_to(self, from: &[T]) -> Self::V {
        if from.len() >= Self::LANES {
            return self.load(from);
        }
        let mut lanes = [T::default(); MAX_LANES];
        lanes[..from.len()].copy_from_slice(from);
        self.load(&lanes)
    }

    /// As [`store`](Self::store), where `to` may be too short: the lanes beyond its end are dropped.
    #[inline(always)]
    fn store_up_to(self, v: Self::V, to: &mut [T]) {
        if to.len() >= Self::LANES {
            return self.store(v, to);
        }
        let mut lanes = [T::default(); MAX_LANES];
        self.store(v, &mut lanes);
        to.copy_from_slice(&lanes[..to.len()]);
    }

    /// Runs `kernel` inside a function compiled for this instruction set.
    fn enter<K: Kernel<T>>(self, kernel: K) -> K::Output;
}

/// A computation that is generic over the instruction set. `run` must be `#[inline(always)]`, as everything it
/// calls on the way to the vectors: code that is not inlined is not compiled for the instruction set.
pub trait Kernel<T: Copy + Default> {
    /// What it returns.
    type Output;

    /// Computes it.
    fn run<S: Simd<T>>(self, simd: S) -> Self::Output;
}

/// An element type that has vectors on every instruction set. Not nameable outside of the crate, it seals
/// [`Element`](crate::Element).
pub trait SimdElement: Copy + Default {
    /// Runs `kernel` on `isa`, which must have come from [`isa()`].
    fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output;

    /// The lanes of a vector on `isa`.
    fn lanes(isa: Isa) -> usize {
        struct Lanes;
        impl<T: Copy + Default> Kernel<T> for Lanes {
            type Output = usize;
            #[inline(always)]
            fn run<S: Simd<T>>(self, _: S) -> usize {
                S::LANES
            }
        }
        Self::dispatch(isa, Lanes)
    }
}

macro_rules! simd_element {
    ($($element:ty),*) => {$(
        impl SimdElement for $element {
            fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => match avx2::Avx2::new() {
                        Some(simd) => Simd::<$element>::enter(simd, kernel),
                        None => Simd::<$element>::enter(Portable, kernel),
                    },
                    _ => Simd::<$element>::enter(Portable, kernel),
                }
            }
        }
    )*};
}
simd_element!(f32, f64);
