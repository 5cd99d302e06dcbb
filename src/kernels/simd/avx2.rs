//! AVX2 with FMA: 256-bit vectors.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Kernel, Simd};

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    /// The handle, if the processor has the instructions.
    pub(super) fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Avx2(()))
    }
}

/// Runs `kernel` in a function that may use AVX2 and FMA.
///
/// # Safety
/// The processor must have both.
#[target_feature(enable = "avx2,fma")]
unsafe fn enter<T: Copy + Default, S: Simd<T>, K: Kernel<T>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

macro_rules! avx2 {
    ($element:ty, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $fma:ident) => {
        impl Simd<$element> for Avx2 {
            type V = $vector;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(self, x: $element) -> Self::V {
                // SAFETY: `self` proves that the processor has AVX.
                unsafe { $splat(x) }
            }

            #[inline(always)]
            fn load(self, from: &[$element]) -> Self::V {
                let from = &from[..$lanes];
                // SAFETY: `self` proves AVX; the slice is valid for `$lanes` reads, and `loadu` needs no alignment.
                unsafe { $load(from.as_ptr()) }
            }

            #[inline(always)]
            fn store(self, v: Self::V, to: &mut [$element]) {
                let to = &mut to[..$lanes];
                // SAFETY: `self` proves AVX; the slice is valid for `$lanes` writes, and `storeu` needs no alignment.
                unsafe { $store(to.as_mut_ptr(), v) }
            }

            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has AVX.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has FMA.
                unsafe { $fma(a, b, c) }
            }

            #[inline(always)]
            fn enter<K: Kernel<$element>>(self, kernel: K) -> K::Output {
                // SAFETY: `self` proves that the processor has AVX2 and FMA.
                unsafe { enter::<$element, Self, K>(self, kernel) }
            }
        }
    };
}
avx2!(f32, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_add_ps, _mm256_fmadd_ps);
avx2!(f64, __m256d, 4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_add_pd, _mm256_fmadd_pd);
