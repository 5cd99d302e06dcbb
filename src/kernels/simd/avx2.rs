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

/// Whether a slice of `len` numbers has `lanes` of them from each of the first `N` multiples of `stride` on.
#[inline(always)]
fn holds<const N: usize>(len: usize, stride: usize, lanes: usize) -> bool {
    // By division, which the compiler takes out of loops and which cannot overflow.
    N == 0 || lanes <= len && (N == 1 || stride <= (len - lanes) / (N - 1))
}

/// [`Simd::spread`] for blocks of 2 and 4 lanes.
#[inline(always)]
fn spread_ps<const BLOCK: usize>(_: Avx2, v: __m256, lane: usize) -> __m256 {
    // SAFETY: the handle proves that the processor has AVX.
    unsafe {
        match (BLOCK, lane) {
            (2, 0) => _mm256_permute_ps::<0b10_10_00_00>(v),
            (2, 1) => _mm256_permute_ps::<0b11_11_01_01>(v),
            (4, 0) => _mm256_permute_ps::<0b00_00_00_00>(v),
            (4, 1) => _mm256_permute_ps::<0b01_01_01_01>(v),
            (4, 2) => _mm256_permute_ps::<0b10_10_10_10>(v),
            (4, 3) => _mm256_permute_ps::<0b11_11_11_11>(v),
            _ => unreachable!("blocks of 2 or 4 lanes"),
        }
    }
}

/// [`Simd::spread`] for blocks of 2 and 4 lanes.
#[inline(always)]
fn spread_pd<const BLOCK: usize>(_: Avx2, v: __m256d, lane: usize) -> __m256d {
    // SAFETY: the handle proves that the processor has AVX2.
    unsafe {
        match (BLOCK, lane) {
            (2, 0) => _mm256_permute_pd::<0b0000>(v),
            (2, 1) => _mm256_permute_pd::<0b1111>(v),
            (4, 0) => _mm256_permute4x64_pd::<0b00_00_00_00>(v),
            (4, 1) => _mm256_permute4x64_pd::<0b01_01_01_01>(v),
            (4, 2) => _mm256_permute4x64_pd::<0b10_10_10_10>(v),
            (4, 3) => _mm256_permute4x64_pd::<0b11_11_11_11>(v),
            _ => unreachable!("blocks of 2 or 4 lanes"),
        }
    }
}

macro_rules! avx2 {
    ($element:ty, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident,
     $mul:ident, $fma:ident, $fnma:ident, $spread:ident) => {
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
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has AVX.
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has AVX.
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has FMA.
                unsafe { $fma(a, b, c) }
            }

            #[inline(always)]
            fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has FMA.
                unsafe { $fnma(a, b, c) }
            }

            #[inline(always)]
            fn load_strided<const N: usize>(self, from: &[$element], stride: usize) -> [Self::V; N] {
                assert!(holds::<N>(from.len(), stride, $lanes));
                let mut vectors = [Simd::<$element>::splat(self, 0.0); N];
                for i in 0..N {
                    // SAFETY: `self` proves AVX; by `holds`, the slice has `$lanes` numbers from there on.
                    vectors[i] = unsafe { $load(from.as_ptr().add(i * stride)) };
                }
                vectors
            }

            #[inline(always)]
            fn store_strided<const N: usize>(
                self,
                vectors: [Self::V; N],
                to: &mut [$element],
                stride: usize,
            ) {
                assert!(holds::<N>(to.len(), stride, $lanes));
                for i in 0..N {
                    // SAFETY: `self` proves AVX; by `holds`, the slice has `$lanes` numbers from there on.
                    unsafe { $store(to.as_mut_ptr().add(i * stride), vectors[i]) }
                }
            }

            #[inline(always)]
            fn spread<const BLOCK: usize>(self, v: Self::V, lane: usize) -> Self::V {
                if BLOCK <= 1 { v } else { $spread::<BLOCK>(self, v, lane) }
            }

            #[inline(always)]
            fn prefetch(self, to: &mut [$element]) {
                // SAFETY: a hint, which no address makes invalid; processors without it pass over it.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(to.as_ptr().cast()) }
            }

            #[inline(always)]
            fn prefetch_read(self, from: &[$element]) {
                for line in from.chunks(64 / size_of::<$element>()) {
                    // SAFETY: a hint, which no address makes invalid.
                    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
                }
            }

            #[inline(always)]
            fn enter<K: Kernel<$element>>(self, kernel: K) -> K::Output {
                // SAFETY: `self` proves that the processor has AVX2 and FMA.
                unsafe { enter::<$element, Self, K>(self, kernel) }
            }
        }
    };
}
avx2!(
    f32,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    _mm256_fnmadd_ps,
    spread_ps
);
avx2!(
    f64,
    __m256d,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_fmadd_pd,
    _mm256_fnmadd_pd,
    spread_pd
);
