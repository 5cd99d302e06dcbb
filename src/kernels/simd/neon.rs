//! NEON: the 128-bit vectors of 64-bit ARM, with FMA and 32 registers.
#![allow(unsafe_code)]

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::intrinsics::intrinsics;
use super::{Kernel, Simd};

/// Proof that the processor has NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    /// The handle, if the processor has the instructions; nearly all do.
    pub(super) fn new() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Neon(()))
    }
}

/// Runs `kernel` in a function that may use NEON.
///
/// # Safety
/// The processor must have it.
#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn enter<T: Copy + Default, S: Simd<T>, K: Kernel<T>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

intrinsics! {
    Neon: Neon, f32, float32x4_t, 4 lanes, panels of 4,
    enter: enter,
    splat: vdupq_n_f32, add: vaddq_f32, sub: vsubq_f32, mul: vmulq_f32, div: vdivq_f32,
    larger: |a, b| vmaxq_f32(a, b),
    max: |a, b| vmaxq_f32(a, b),
    clamp: |v, low, high| vminq_f32(vmaxq_f32(v, low), high),
    zip: |a, b| [vzip1q_f32(a, b), vzip2q_f32(a, b)],
    load: |from| vld1q_f32(from),
    store: |to, v| vst1q_f32(to, v),
    mul_add: |a, b, c| vfmaq_f32(c, a, b),
    neg_mul_add: |a, b, c| vfmsq_f32(c, a, b),
    spread: |v| {
        2, 0 => vtrn1q_f32(v, v);
        2, 1 => vtrn2q_f32(v, v);
        4, 0 => vdupq_laneq_f32::<0>(v);
        4, 1 => vdupq_laneq_f32::<1>(v);
        4, 2 => vdupq_laneq_f32::<2>(v);
        4, 3 => vdupq_laneq_f32::<3>(v);
    }
}

intrinsics! {
    Neon: Neon, f64, float64x2_t, 2 lanes, panels of 4,
    enter: enter,
    splat: vdupq_n_f64, add: vaddq_f64, sub: vsubq_f64, mul: vmulq_f64, div: vdivq_f64,
    larger: |a, b| vmaxq_f64(a, b),
    max: |a, b| vmaxq_f64(a, b),
    clamp: |v, low, high| vminq_f64(vmaxq_f64(v, low), high),
    zip: |a, b| [vzip1q_f64(a, b), vzip2q_f64(a, b)],
    load: |from| vld1q_f64(from),
    store: |to, v| vst1q_f64(to, v),
    mul_add: |a, b, c| vfmaq_f64(c, a, b),
    neg_mul_add: |a, b, c| vfmsq_f64(c, a, b),
    spread: |v| {
        2, 0 => vdupq_laneq_f64::<0>(v);
        2, 1 => vdupq_laneq_f64::<1>(v);
    }
}
