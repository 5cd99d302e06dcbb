//! WebAssembly's SIMD128: 128-bit vectors, chosen when the module is compiled (`-C target-feature=+simd128`), because a
//! module with an instruction that the engine does not know does not load. There is no FMA: what rounds once where the
//! hardware does so is left to "relaxed" instructions, whose results differ from machine to machine.
#![allow(unsafe_code)]

use std::arch::wasm32::*;

use super::intrinsics::intrinsics;
use super::{Kernel, Simd};

/// Proof that the module is compiled for SIMD128.
#[derive(Clone, Copy)]
pub(super) struct Simd128(());

impl Simd128 {
    /// The handle, which there is wherever this file is compiled.
    pub(super) fn new() -> Option<Self> {
        Some(Simd128(()))
    }
}

/// Runs `kernel`, like every other function compiled for SIMD128.
#[inline(never)]
fn enter<T: Copy + Default, S: Simd<T>, K: Kernel<T>>(simd: S, kernel: K) -> K::Output {
    kernel.run(simd)
}

intrinsics! {
    Simd128: Simd128, f32, v128, 4 lanes, panels of 2,
    enter: enter,
    splat: f32x4_splat, add: f32x4_add, sub: f32x4_sub, mul: f32x4_mul, div: f32x4_div,
    larger: |a, b| f32x4_max(a, b),
    max: |a, b| f32x4_max(a, b),
    clamp: |v, low, high| f32x4_min(f32x4_max(v, low), high),
    zip: |a, b| [i32x4_shuffle::<0, 4, 1, 5>(a, b), i32x4_shuffle::<2, 6, 3, 7>(a, b)],
    load: |from| v128_load(from.cast()),
    store: |to, v| v128_store(to.cast(), v),
    mul_add: |a, b, c| f32x4_add(f32x4_mul(a, b), c),
    neg_mul_add: |a, b, c| f32x4_sub(c, f32x4_mul(a, b)),
    spread: |v| {
        2, 0 => i32x4_shuffle::<0, 0, 2, 2>(v, v);
        2, 1 => i32x4_shuffle::<1, 1, 3, 3>(v, v);
        4, 0 => i32x4_shuffle::<0, 0, 0, 0>(v, v);
        4, 1 => i32x4_shuffle::<1, 1, 1, 1>(v, v);
        4, 2 => i32x4_shuffle::<2, 2, 2, 2>(v, v);
        4, 3 => i32x4_shuffle::<3, 3, 3, 3>(v, v);
    }
}

intrinsics! {
    Simd128: Simd128, f64, v128, 2 lanes, panels of 2,
    enter: enter,
    splat: f64x2_splat, add: f64x2_add, sub: f64x2_sub, mul: f64x2_mul, div: f64x2_div,
    larger: |a, b| f64x2_max(a, b),
    max: |a, b| f64x2_max(a, b),
    clamp: |v, low, high| f64x2_min(f64x2_max(v, low), high),
    zip: |a, b| [i64x2_shuffle::<0, 2>(a, b), i64x2_shuffle::<1, 3>(a, b)],
    load: |from| v128_load(from.cast()),
    store: |to, v| v128_store(to.cast(), v),
    mul_add: |a, b, c| f64x2_add(f64x2_mul(a, b), c),
    neg_mul_add: |a, b, c| f64x2_sub(c, f64x2_mul(a, b)),
    spread: |v| {
        2, 0 => i64x2_shuffle::<0, 0>(v, v);
        2, 1 => i64x2_shuffle::<1, 1>(v, v);
    }
}
