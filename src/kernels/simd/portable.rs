//! Vectors as short arrays in plain Rust, sized for the 128-bit registers that nearly every processor has.

use super::{Isa, Kernel, Simd};

/// The instruction set of plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

macro_rules! portable {
    ($element:ty, $lanes:literal) => {
        impl Simd<$element> for Portable {
            type V = [$element; $lanes];
            const ISA: Isa = Isa::Scalar;
            const LANES: usize = $lanes;
            const PANEL: usize = 2;

            #[inline(always)]
            fn splat(self, x: $element) -> Self::V {
                [x; $lanes]
            }

            #[inline(always)]
            fn load(self, from: &[$element]) -> Self::V {
                std::array::from_fn(|lane| from[lane])
            }

            #[inline(always)]
            fn store(self, v: Self::V, to: &mut [$element]) {
                to[..$lanes].copy_from_slice(&v);
            }

            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|lane| a[lane] + b[lane])
            }

            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|lane| a[lane] - b[lane])
            }

            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|lane| a[lane] * b[lane])
            }

            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|lane| a[lane] / b[lane])
            }

            #[inline(always)]
            fn larger(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|lane| if b[lane] > a[lane] { b[lane] } else { a[lane] })
            }

            #[inline(always)]
            fn max(self, a: Self::V, b: Self::V) -> Self::V {
                let second = |a: $element, b: $element| b > a || b.is_nan();
                std::array::from_fn(|lane| if second(a[lane], b[lane]) { b[lane] } else { a[lane] })
            }

            #[inline(always)]
            fn clamp(self, v: Self::V, low: Self::V, high: Self::V) -> Self::V {
                std::array::from_fn(|lane| match v[lane] {
                    x if x < low[lane] => low[lane],
                    x if x > high[lane] => high[lane],
                    x => x,
                })
            }

            #[inline(always)]
            fn zip(self, a: Self::V, b: Self::V) -> [Self::V; 2] {
                let lane = |lane: usize| if lane % 2 == 0 { a[lane / 2] } else { b[lane / 2] };
                [std::array::from_fn(lane), std::array::from_fn(|i| lane(i + $lanes))]
            }

            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // Not `f32::mul_add`: without FMA hardware that is a call into the C library.
                std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
            }

            #[inline(always)]
            fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|lane| c[lane] - a[lane] * b[lane])
            }

            #[inline(never)]
            fn enter<K: Kernel<$element>>(self, kernel: K) -> K::Output {
                kernel.run(self)
            }
        }
    };
}
portable!(f32, 4);
portable!(f64, 2);
