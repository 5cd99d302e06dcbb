//! What every instruction set with intrinsics has in common, written once.

/// Whether a slice of `len` numbers has `lanes` of them from each of the first `count` multiples of `stride` on.
#[inline(always)]
pub(super) fn holds(len: usize, stride: usize, count: usize, lanes: usize) -> bool {
    // By division, which the compiler takes out of loops and which cannot overflow.
    count == 0 || lanes <= len && (count == 1 || stride <= (len - lanes) / (count - 1))
}

/// Implements [`Simd`](super::Simd) for a handle and a type of elements from the intrinsics of the instruction set.
///
/// The intrinsics must need no more than what the handle proves. `load` gets a pointer that is valid for `lanes` reads
/// and `store` one that is valid for `lanes` writes, neither of them aligned. `enter` is a function compiled for the
/// instruction set that runs a kernel. `spread` lists, for blocks of lanes and a lane of each block, the vector of its
/// copies. What follows `also` replaces methods that the trait provides.
macro_rules! intrinsics {
    (
        $handle:ident: $isa:ident, $element:ty, $vector:ty, $lanes:literal lanes, panels of $panel:literal,
        enter: $enter:ident,
        splat: $splat:ident, add: $add:ident, sub: $sub:ident, mul: $mul:ident, div: $div:ident,
        larger: |$i:ident, $j:ident| $larger:expr,
        max: |$g:ident, $h:ident| $max:expr,
        clamp: |$k:ident, $low:ident, $high:ident| $clamp:expr,
        zip: |$m:ident, $n:ident| $zip:expr,
        load: |$from:ident| $load:expr,
        store: |$to:ident, $stored:ident| $store:expr,
        mul_add: |$a:ident, $b:ident, $c:ident| $mul_add:expr,
        neg_mul_add: |$d:ident, $e:ident, $f:ident| $neg_mul_add:expr,
        spread: |$v:ident| { $($block:literal, $lane:literal => $spread:expr;)* }
        $(also: { $($also:tt)* })?
    ) => {
        // Where the instructions belong to the target anyway, some intrinsics are safe.
        #[allow(unused_unsafe)]
        impl $crate::kernels::simd::Simd<$element> for $handle {
            type V = $vector;
            const ISA: $crate::Isa = $crate::Isa::$isa;
            const LANES: usize = $lanes;
            const PANEL: usize = $panel;

            #[inline(always)]
            fn splat(self, x: $element) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $splat(x) }
            }

            #[inline(always)]
            fn load(self, from: &[$element]) -> Self::V {
                let $from = from[..$lanes].as_ptr();
                // SAFETY: `self` proves the instruction; the slice is valid for `$lanes` reads.
                unsafe { $load }
            }

            #[inline(always)]
            fn store(self, $stored: Self::V, to: &mut [$element]) {
                let $to = to[..$lanes].as_mut_ptr();
                // SAFETY: `self` proves the instruction; the slice is valid for `$lanes` writes.
                unsafe { $store }
            }

            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $add(a, b) }
            }

            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $sub(a, b) }
            }

            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $mul(a, b) }
            }

            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $div(a, b) }
            }

            #[inline(always)]
            fn larger(self, $i: Self::V, $j: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $larger }
            }

            #[inline(always)]
            fn max(self, $g: Self::V, $h: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instructions.
                unsafe { $max }
            }

            #[inline(always)]
            fn clamp(self, $k: Self::V, $low: Self::V, $high: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instructions.
                unsafe { $clamp }
            }

            #[inline(always)]
            fn zip(self, $m: Self::V, $n: Self::V) -> [Self::V; 2] {
                // SAFETY: `self` proves that the processor has the instructions.
                unsafe { $zip }
            }

            #[inline(always)]
            fn mul_add(self, $a: Self::V, $b: Self::V, $c: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $mul_add }
            }

            #[inline(always)]
            fn neg_mul_add(self, $d: Self::V, $e: Self::V, $f: Self::V) -> Self::V {
                // SAFETY: `self` proves that the processor has the instruction.
                unsafe { $neg_mul_add }
            }

            #[inline(always)]
            fn load_strided<const N: usize>(self, from: &[$element], stride: usize) -> [Self::V; N] {
                assert!($crate::kernels::simd::intrinsics::holds(from.len(), stride, N, $lanes));
                let mut vectors = [$crate::kernels::simd::Simd::<$element>::splat(self, 0.0); N];
                for i in 0..N {
                    // SAFETY: `self` proves the instruction; by `holds`, the slice has `$lanes` numbers from there on.
                    vectors[i] = unsafe {
                        let $from = from.as_ptr().add(i * stride);
                        $load
                    };
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
                assert!($crate::kernels::simd::intrinsics::holds(to.len(), stride, N, $lanes));
                for i in 0..N {
                    let $stored = vectors[i];
                    // SAFETY: `self` proves the instruction; by `holds`, the slice has `$lanes` numbers from there on.
                    unsafe {
                        let $to = to.as_mut_ptr().add(i * stride);
                        $store
                    }
                }
            }

            #[inline(always)]
            fn spread<const BLOCK: usize>(self, $v: Self::V, lane: usize) -> Self::V {
                match (BLOCK, lane) {
                    (1, 0) => $v,
                    $(
                        // SAFETY: `self` proves that the processor has the instruction.
                        ($block, $lane) => unsafe { $spread },
                    )*
                    _ => unreachable!("blocks of {BLOCK} lanes"),
                }
            }

            #[inline(always)]
            fn enter<K: $crate::kernels::simd::Kernel<$element>>(self, kernel: K) -> K::Output {
                // SAFETY: `self` proves that the processor has the instructions.
                unsafe { $enter::<$element, Self, K>(self, kernel) }
            }

            $($($also)*)?
        }
    };
}
pub(super) use intrinsics;
