//! AVX-512F: 512-bit vectors, twice as many registers, and masks.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::intrinsics::intrinsics;
use super::{Kernel, Simd};

/// Proof that the processor has AVX-512F.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    /// The handle, if the processor has the instructions.
    pub(super) fn new() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Avx512(()))
    }
}

/// Runs `kernel` in a function that may use AVX-512F.
///
/// # Safety
/// The processor must have it.
#[inline(never)]
#[target_feature(enable = "avx512f")]
unsafe fn enter<T: Copy + Default, S: Simd<T>, K: Kernel<T>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

/// Loads and stores of as many lanes as the slice has numbers, the others masked.
macro_rules! masked {
    ($element:ty, $vector:ty, $mask:ty, $lanes:literal, $load:ident, $store:ident) => {
        #[inline(always)]
        fn load_up_to(self, from: &[$element]) -> $vector {
            let mask = u32::from(<$mask>::MAX) >> ($lanes - from.len().min($lanes));
            // SAFETY: `self` proves AVX-512F; lanes outside of the mask, and so of the slice, are not read.
            unsafe { $load(mask as $mask, from.as_ptr()) }
        }

        #[inline(always)]
        fn store_up_to(self, v: $vector, to: &mut [$element]) {
            let mask = u32::from(<$mask>::MAX) >> ($lanes - to.len().min($lanes));
            // SAFETY: `self` proves AVX-512F; lanes outside of the mask, and so of the slice, are not written.
            unsafe { $store(to.as_mut_ptr(), mask as $mask, v) }
        }
    };
}

intrinsics! {
    Avx512: Avx512, f32, __m512, 16 lanes, panels of 4,
    enter: enter,
    splat: _mm512_set1_ps, add: _mm512_add_ps, sub: _mm512_sub_ps, mul: _mm512_mul_ps, div: _mm512_div_ps,
    larger: |a, b| _mm512_max_ps(b, a),
    max: |a, b| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(b, b), _mm512_max_ps(b, a), b),
    clamp: |v, low, high| _mm512_min_ps(high, _mm512_max_ps(low, v)),
    zip: |a, b| {
        let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        [_mm512_permutex2var_ps(a, first, b), _mm512_permutex2var_ps(a, second, b)]
    },
    load: |from| _mm512_loadu_ps(from),
    store: |to, v| _mm512_storeu_ps(to, v),
    mul_add: |a, b, c| _mm512_fmadd_ps(a, b, c),
    neg_mul_add: |a, b, c| _mm512_fnmadd_ps(a, b, c),
    spread: |v| {
        2, 0 => _mm512_permute_ps::<0b10_10_00_00>(v);
        2, 1 => _mm512_permute_ps::<0b11_11_01_01>(v);
        4, 0 => _mm512_permute_ps::<0b00_00_00_00>(v);
        4, 1 => _mm512_permute_ps::<0b01_01_01_01>(v);
        4, 2 => _mm512_permute_ps::<0b10_10_10_10>(v);
        4, 3 => _mm512_permute_ps::<0b11_11_11_11>(v);
    }
    also: { masked!(f32, __m512, __mmask16, 16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps); }
}

intrinsics! {
    Avx512: Avx512, f64, __m512d, 8 lanes, panels of 4,
    enter: enter,
    splat: _mm512_set1_pd, add: _mm512_add_pd, sub: _mm512_sub_pd, mul: _mm512_mul_pd, div: _mm512_div_pd,
    larger: |a, b| _mm512_max_pd(b, a),
    max: |a, b| _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_UNORD_Q>(b, b), _mm512_max_pd(b, a), b),
    clamp: |v, low, high| _mm512_min_pd(high, _mm512_max_pd(low, v)),
    zip: |a, b| {
        let first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
        let second = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
        [_mm512_permutex2var_pd(a, first, b), _mm512_permutex2var_pd(a, second, b)]
    },
    load: |from| _mm512_loadu_pd(from),
    store: |to, v| _mm512_storeu_pd(to, v),
    mul_add: |a, b, c| _mm512_fmadd_pd(a, b, c),
    neg_mul_add: |a, b, c| _mm512_fnmadd_pd(a, b, c),
    spread: |v| {
        2, 0 => _mm512_permute_pd::<0b0000_0000>(v);
        2, 1 => _mm512_permute_pd::<0b1111_1111>(v);
        4, 0 => _mm512_permutex_pd::<0b00_00_00_00>(v);
        4, 1 => _mm512_permutex_pd::<0b01_01_01_01>(v);
        4, 2 => _mm512_permutex_pd::<0b10_10_10_10>(v);
        4, 3 => _mm512_permutex_pd::<0b11_11_11_11>(v);
    }
    also: { masked!(f64, __m512d, __mmask8, 8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd); }
}
