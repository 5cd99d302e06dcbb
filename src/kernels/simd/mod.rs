//! Vectors of numbers, one file an instruction set: the home of `unsafe`.
//!
//! A kernel is written once, generic over [`Simd`], and runs through [`SimdElement::dispatch`], which enters a
//! function compiled for the instruction set. A handle such as `Avx2` exists only where the processor has the
//! instructions, so its methods are safe to call.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod grid;
#[allow(unused)] // on processors that have none of the instruction sets
mod intrinsics;
mod isa;
// Big-endian ARM numbers lanes in the other direction.
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
mod portable;
mod prefetch;
mod strands;
#[cfg(test)]
mod tests;
mod unrolled;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

pub use grid::Grid;
pub use isa::{Isa, force_isa, isa};
pub(super) use unrolled::unrolled;

use portable::Portable;
pub(super) use prefetch::read as prefetch_read;
pub use strands::{Fixed, Runs, Strands};

/// The most lanes of any vector.
pub(super) const MAX_LANES: usize = 16;
/// The most vectors across a register tile.
pub(super) const MAX_PANEL: usize = 4;

/// The handle of an instruction set: vectors of `T`, and the operations that kernels need on them.
pub trait Simd<T: Copy + Default>: Copy + Send + Sync {
    /// A vector of [`LANES`](Self::LANES) numbers.
    type V: Copy;
    /// Which one it is.
    const ISA: Isa;
    /// How many numbers a vector holds.
    const LANES: usize;
    /// Vectors across a register tile of a matrix product, 2 or 4: 2 where there are 16 registers, 4 where there are 32.
    const PANEL: usize;

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

    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;

    /// The larger of `a` and `b`, and NaN where one of them is. Zeros of both signs are equal.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;

    /// As [`max`](Self::max), to the last bit, unless one of them is NaN: then either. It may be faster.
    fn larger(self, a: Self::V, b: Self::V) -> Self::V;

    /// The numbers of `v`, those below `low` raised to it, and those above `high` lowered; NaN stays NaN.
    fn clamp(self, v: Self::V, low: Self::V, high: Self::V) -> Self::V;

    /// The numbers of `a` and `b` by turns: those of the first halves, and those of the second.
    fn zip(self, a: Self::V, b: Self::V) -> [Self::V; 2];

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

    /// Asks for so many numbers from the start of `to` on, which may reach beyond its end and will be written soon, to be
    /// brought near; where the hardware can.
    #[inline(always)]
    fn prefetch(self, to: &mut [T], numbers: usize) {
        for first in (0..numbers).step_by(64 / size_of::<T>()) {
            prefetch::write_soon(to.as_mut_ptr().wrapping_add(first));
        }
    }

    /// Asks for the cache line so many numbers after the start of `from`, which may be beyond its end, to be brought to the
    /// first level; where the hardware can.
    #[inline(always)]
    fn prefetch_near(self, from: &[T], distance: usize) {
        prefetch::read_soon(from.as_ptr().wrapping_add(distance));
    }

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

/// What kernels work with on an instruction set, for one type of elements.
#[derive(Clone, Copy, Debug)]
pub struct Vectors {
    /// The instruction set; scalar, if the machine does not have the one asked for.
    pub isa: Isa,
    /// [`Simd::LANES`].
    pub lanes: usize,
    /// [`Simd::PANEL`].
    pub panel: usize,
}

/// The kernel that finds it out.
struct Find;

impl<T: Copy + Default> Kernel<T> for Find {
    type Output = Vectors;

    #[inline(always)]
    fn run<S: Simd<T>>(self, _: S) -> Vectors {
        Vectors { isa: S::ISA, lanes: S::LANES, panel: S::PANEL }
    }
}

/// An element type that has vectors on every instruction set. Not nameable outside of the crate, it seals
/// [`Element`](crate::Element).
pub trait SimdElement: Copy + Default {
    /// Runs `kernel` on `isa`, or in plain Rust if the machine does not have it.
    fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output;

    /// The vectors on `isa`.
    fn vectors(isa: Isa) -> Vectors {
        Self::dispatch(isa, Find)
    }

    /// The lanes of a vector on `isa`.
    fn lanes(isa: Isa) -> usize {
        Self::vectors(isa).lanes
    }
}

macro_rules! simd_element {
    ($($element:ty),*) => {$(
        impl SimdElement for $element {
            fn dispatch<K: Kernel<Self>>(isa: Isa, kernel: K) -> K::Output {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => enter::<$element, _, K>(avx512::Avx512::new(), kernel),
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => enter::<$element, _, K>(avx2::Avx2::new(), kernel),
                    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
                    Isa::Neon => enter::<$element, _, K>(neon::Neon::new(), kernel),
                    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                    Isa::Simd128 => enter::<$element, _, K>(wasm::Simd128::new(), kernel),
                    _ => enter::<$element, _, K>(Some(Portable), kernel),
                }
            }
        }
    )*};
}
simd_element!(f32, f64);

/// Runs `kernel` on `simd`, or in plain Rust if there is no such handle.
#[inline(always)]
fn enter<T: Copy + Default, S: Simd<T>, K: Kernel<T>>(simd: Option<S>, kernel: K) -> K::Output
where
    Portable: Simd<T>,
{
    match simd {
        Some(simd) => simd.enter(kernel),
        None => Portable.enter(kernel),
    }
}
