//! AVX2 with FMA: 256-bit vectors.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::intrinsics::intrinsics;
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
#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn enter<T: Copy + Default, S: Simd<T>, K: Kernel<T>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

intrinsics! {
    Avx2: Avx2, f32, __m256, 8 lanes, panels of 2,
    enter: enter,
    splat: _mm256_set1_ps, add: _mm256_add_ps, sub: _mm256_sub_ps, mul: _mm256_mul_ps, div: _mm256_div_ps,
    larger: |a, b| _mm256_max_ps(b, a),
    max: |a, b| _mm256_blendv_ps(_mm256_max_ps(b, a), b, _mm256_cmp_ps::<_CMP_UNORD_Q>(b, b)),
    clamp: |v, low, high| _mm256_min_ps(high, _mm256_max_ps(low, v)),
    zip: |a, b| {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
    },
    load: |from| _mm256_loadu_ps(from),
    store: |to, v| _mm256_storeu_ps(to, v),
    mul_add: |a, b, c| _mm256_fmadd_ps(a, b, c),
    neg_mul_add: |a, b, c| _mm256_fnmadd_ps(a, b, c),
    spread: |v| {
        2, 0 => _mm256_permute_ps::<0b10_10_00_00>(v);
        2, 1 => _mm256_permute_ps::<0b11_11_01_01>(v);
        4, 0 => _mm256_permute_ps::<0b00_00_00_00>(v);
        4, 1 => _mm256_permute_ps::<0b01_01_01_01>(v);
        4, 2 => _mm256_permute_ps::<0b10_10_10_10>(v);
        4, 3 => _mm256_permute_ps::<0b11_11_11_11>(v);
    }
}

intrinsics! {
    Avx2: Avx2, f64, __m256d, 4 lanes, panels of 2,
    enter: enter,
    splat: _mm256_set1_pd, add: _mm256_add_pd, sub: _mm256_sub_pd, mul: _mm256_mul_pd, div: _mm256_div_pd,
    larger: |a, b| _mm256_max_pd(b, a),
    max: |a, b| _mm256_blendv_pd(_mm256_max_pd(b, a), b, _mm256_cmp_pd::<_CMP_UNORD_Q>(b, b)),
    clamp: |v, low, high| _mm256_min_pd(high, _mm256_max_pd(low, v)),
    zip: |a, b| {
        let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        [_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high)]
    },
    load: |from| _mm256_loadu_pd(from),
    store: |to, v| _mm256_storeu_pd(to, v),
    mul_add: |a, b, c| _mm256_fmadd_pd(a, b, c),
    neg_mul_add: |a, b, c| _mm256_fnmadd_pd(a, b, c),
    spread: |v| {
        2, 0 => _mm256_permute_pd::<0b0000>(v);
        2, 1 => _mm256_permute_pd::<0b1111>(v);
        4, 0 => _mm256_permute4x64_pd::<0b00_00_00_00>(v);
        4, 1 => _mm256_permute4x64_pd::<0b01_01_01_01>(v);
        4, 2 => _mm256_permute4x64_pd::<0b10_10_10_10>(v);
        4, 3 => _mm256_permute4x64_pd::<0b11_11_11_11>(v);
    }
}
