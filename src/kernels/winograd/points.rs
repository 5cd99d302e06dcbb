//! The sizes of tiles, their points, and the one-dimensional transforms that follow from them.
//!
//! A convolution of `M` outputs with `K` taps is a product of polynomials, taken at `M + K - 2` finite points `p[i]` and at
//! infinity (Toom and Cook; for convolutional networks, Lavin and Gray, "Fast algorithms for convolutional neural
//! networks", 2016). With `f[i](x) = product over j != i of (x - p[j])` and `f(x) = product over all j of (x - p[j])`,
//!
//! ```text
//! outputs = A^T [(G kernel) * (B^T input)]         the product `*` is taken element by element
//! B^T row i = coefficients of f[i];   the last row = coefficients of f
//! G row i   = (1, p[i], ..., p[i]^(K-1)) / f[i](p[i]);   the last row = (0, ..., 0, 1)
//! A^T column i = (1, p[i], ..., p[i]^(M-1));   the last column = (0, ..., 0, 1)
//! ```
//!
//! A window that moves by two meets the inputs of even place with its first and last tap, those of odd place with the
//! middle one. Each is a convolution that moves by one: of 2 taps, which takes `M` finite points and infinity, and of 1 tap, for
//! which the `M` finite points are enough. At a point both are summed before `A^T` is applied, so that there are
//! more *terms*, `2M + 1`, than points, `M + 1`.
//!
//! In two dimensions each transform is applied to the columns and then to the rows. The points are fractions with small
//! powers of two below, so that the entries of `A` and `B` are exact in `f32`; to a kernel that is kept, `G` is
//! applied in `f64`. That six points are `0, ±3/4, ±3/2` and infinity and not the usual `±1, ±2` halves the rounding error.

use crate::Element;
use crate::kernels::simd::{Simd, unrolled};

/// Calls a method with the transforms [`Inputs`] of a tile's rows and columns, and their numbers of terms.
macro_rules! with_inputs {
    ($size:expr, $this:ident.$method:ident::<$simd:ty>($($argument:expr),*)) => {
        match $size {
            TileSize::Two => $this.$method::<$simd, FourPoints, FourPoints, 4, 4>($($argument),*),
            TileSize::Four | TileSize::TwoOfFive => {
                $this.$method::<$simd, SixPoints, SixPoints, 6, 6>($($argument),*)
            }
            TileSize::Strided => $this.$method::<$simd, FivePoints, FivePoints, 9, 9>($($argument),*),
            TileSize::Row => $this.$method::<$simd, OnePoint, SixPoints, 1, 6>($($argument),*),
            TileSize::Column => $this.$method::<$simd, SixPoints, OnePoint, 6, 1>($($argument),*),
        }
    };
}
pub(super) use with_inputs;

/// The same with [`Taps`], and their numbers of terms and of taps.
macro_rules! with_taps {
    ($size:expr, $this:ident.$method:ident::<$simd:ty>($($argument:expr),*)) => {
        match $size {
            TileSize::Two => $this.$method::<$simd, FourPoints, FourPoints, 4, 4, 3, 3>($($argument),*),
            TileSize::Four => $this.$method::<$simd, SixPoints, SixPoints, 6, 6, 3, 3>($($argument),*),
            TileSize::Strided => $this.$method::<$simd, FivePoints, FivePoints, 9, 9, 3, 3>($($argument),*),
            TileSize::TwoOfFive => $this.$method::<$simd, SixPoints, SixPoints, 6, 6, 5, 5>($($argument),*),
            TileSize::Row => $this.$method::<$simd, OnePoint, SixPoints, 1, 6, 1, 3>($($argument),*),
            TileSize::Column => $this.$method::<$simd, SixPoints, OnePoint, 6, 1, 3, 1>($($argument),*),
        }
    };
}
pub(super) use with_taps;

/// The same with [`Outputs`], and their numbers of outputs and of points; and a flag, if there is one.
macro_rules! with_outputs {
    ($size:expr, $this:ident.$method:ident::<$simd:ty $(, $flag:ident)?>($($argument:expr),*)) => {
        match $size {
            TileSize::Two => $this.$method::<$simd, FourPoints, FourPoints, 2, 2, 4, 4 $(, $flag)?>($($argument),*),
            TileSize::Four => $this.$method::<$simd, SixPoints, SixPoints, 4, 4, 6, 6 $(, $flag)?>($($argument),*),
            TileSize::Strided => {
                $this.$method::<$simd, FivePoints, FivePoints, 4, 4, 5, 5 $(, $flag)?>($($argument),*)
            }
            TileSize::TwoOfFive => {
                $this.$method::<$simd, SixPoints, SixPoints, 2, 2, 6, 6 $(, $flag)?>($($argument),*)
            }
            TileSize::Row => $this.$method::<$simd, OnePoint, SixPoints, 1, 4, 1, 6 $(, $flag)?>($($argument),*),
            TileSize::Column => $this.$method::<$simd, SixPoints, OnePoint, 4, 1, 6, 1 $(, $flag)?>($($argument),*),
        }
    };
}
pub(super) use with_outputs;

/// The transform of one axis' inputs into `N` terms, as many.
pub(super) trait Inputs<const N: usize> {
    /// `B^T` times a vector.
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; N]) -> [S::V; N];
}

/// The transforms of one axis' `K` taps into `N` terms.
pub(super) trait Taps<const N: usize, const K: usize> {
    /// `G` times a vector.
    fn kernel<T: Element, S: Simd<T>>(simd: S, taps: [S::V; K]) -> [S::V; N];

    /// `G^T` times a vector.
    fn kernel_gradient<T: Element, S: Simd<T>>(simd: S, u: [S::V; N]) -> [S::V; K];
}

/// The transforms of one axis between `P` points and `M` outputs.
pub(super) trait Outputs<const M: usize, const P: usize> {
    /// `A^T` times a vector.
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; P]) -> [S::V; M];

    /// `A` times a vector.
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; M]) -> [S::V; P];
}

/// One output of one tap: its point is infinity.
pub(super) struct OnePoint;

impl Inputs<1> for OnePoint {
    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(_: S, d: [S::V; 1]) -> [S::V; 1] {
        d
    }
}

impl Taps<1, 1> for OnePoint {
    #[inline(always)]
    fn kernel<T: Element, S: Simd<T>>(_: S, taps: [S::V; 1]) -> [S::V; 1] {
        taps
    }

    #[inline(always)]
    fn kernel_gradient<T: Element, S: Simd<T>>(_: S, u: [S::V; 1]) -> [S::V; 1] {
        u
    }
}

impl Outputs<1, 1> for OnePoint {
    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(_: S, m: [S::V; 1]) -> [S::V; 1] {
        m
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(_: S, y: [S::V; 1]) -> [S::V; 1] {
        y
    }
}

/// Four points, for 2 outputs of 3 taps: 0, 1, -1 and infinity.
pub(super) struct FourPoints;

impl Inputs<4> for FourPoints {
    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; 4]) -> [S::V; 4] {
        [simd.sub(d[2], d[0]), simd.add(d[2], d[1]), simd.sub(d[2], d[1]), simd.sub(d[3], d[1])]
    }
}

impl Taps<4, 3> for FourPoints {
    #[inline(always)]
    fn kernel<T: Element, S: Simd<T>>(simd: S, taps: [S::V; 3]) -> [S::V; 4] {
        let zero = simd.mul(taps[0], simd.splat(T::of(-1.0)));
        let [plus, minus] = Pair { p: 1.0, scale: 0.5 }.kernel(simd, taps);
        [zero, plus, minus, taps[2]]
    }

    #[inline(always)]
    fn kernel_gradient<T: Element, S: Simd<T>>(simd: S, u: [S::V; 4]) -> [S::V; 3] {
        let zero = simd.mul(simd.splat(T::of(-1.0)), u[0]);
        let sums = [zero, simd.splat(T::zero()), u[3]];
        Pair { p: 1.0, scale: 0.5 }.kernel_gradient(simd, [u[1], u[2]], sums)
    }
}

impl Outputs<2, 4> for FourPoints {
    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; 4]) -> [S::V; 2] {
        let (sum, difference) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
        [simd.add(m[0], sum), simd.add(difference, m[3])]
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; 2]) -> [S::V; 4] {
        [y[0], simd.add(y[0], y[1]), simd.sub(y[0], y[1]), y[1]]
    }
}

/// Six points, for 4 outputs of 3 taps or 2 outputs of 5: 0, 3/4, -3/4, 3/2, -3/2 and infinity.
pub(super) struct SixPoints;

impl SixPoints {
    const PAIRS: Pairs = Pairs { p: 0.75, q: 1.5 };
    /// `1 / f[0](0)`
    const SCALE: f64 = 1.0 / Self::PAIRS.squares()[0] / Self::PAIRS.squares()[1];

    /// The pairs as rows of `G`: the point 0 divides by `p` once more.
    const fn rows() -> [Pair; 2] {
        let [of_p, of_q] = Self::PAIRS.rows();
        [Pair { scale: of_p.scale / of_p.p, ..of_p }, Pair { scale: of_q.scale / of_q.p, ..of_q }]
    }
}

impl Inputs<6> for SixPoints {
    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; 6]) -> [S::V; 6] {
        let (pairs, [p2, q2]) = (Self::PAIRS, Self::PAIRS.squares());
        let [of_p, minus_p, of_q, minus_q] = pairs.input(simd, [d[1], d[2], d[3], d[4]]);
        let [sum, product] = [p2 + q2, p2 * q2].map(|x| simd.splat(T::of(x)));
        let zero = simd.mul_add(product, d[0], simd.neg_mul_add(sum, d[2], d[4]));
        let infinity = simd.mul_add(product, d[1], simd.neg_mul_add(sum, d[3], d[5]));
        [zero, of_p, minus_p, of_q, minus_q, infinity]
    }
}

impl<const K: usize> Taps<6, K> for SixPoints {
    #[inline(always)]
    fn kernel<T: Element, S: Simd<T>>(simd: S, taps: [S::V; K]) -> [S::V; 6] {
        let [of_p, of_q] = const { Self::rows() };
        let zero = simd.mul(taps[0], simd.splat(T::of(Self::SCALE)));
        let [[of_p, minus_p], [of_q, minus_q]] = [of_p.kernel(simd, taps), of_q.kernel(simd, taps)];
        [zero, of_p, minus_p, of_q, minus_q, taps[K - 1]]
    }

    #[inline(always)]
    fn kernel_gradient<T: Element, S: Simd<T>>(simd: S, u: [S::V; 6]) -> [S::V; K] {
        let [of_p, of_q] = const { Self::rows() };
        let mut sums = [simd.splat(T::zero()); K];
        sums[0] = simd.mul(simd.splat(T::of(Self::SCALE)), u[0]);
        sums[K - 1] = u[5];
        let sums = of_p.kernel_gradient(simd, [u[1], u[2]], sums);
        of_q.kernel_gradient(simd, [u[3], u[4]], sums)
    }
}

impl Outputs<4, 6> for SixPoints {
    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; 6]) -> [S::V; 4] {
        Self::PAIRS.output(simd, Some(m[0]), [m[1], m[2], m[3], m[4]], m[5])
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; 4]) -> [S::V; 6] {
        let [of_p, minus_p, of_q, minus_q] = Self::PAIRS.gradient(simd, y);
        [y[0], of_p, minus_p, of_q, minus_q, y[3]]
    }
}

impl Outputs<2, 6> for SixPoints {
    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; 6]) -> [S::V; 2] {
        let [p, q] = [Self::PAIRS.p, Self::PAIRS.q].map(|x| simd.splat(T::of(x)));
        let first = simd.add(m[0], simd.add(m[1], m[2]));
        let second = simd.mul_add(p, simd.sub(m[1], m[2]), m[5]);
        [simd.add(first, simd.add(m[3], m[4])), simd.mul_add(q, simd.sub(m[3], m[4]), second)]
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; 2]) -> [S::V; 6] {
        let [p, q] = [Self::PAIRS.p, Self::PAIRS.q].map(|x| simd.mul(simd.splat(T::of(x)), y[1]));
        [y[0], simd.add(y[0], p), simd.sub(y[0], p), simd.add(y[0], q), simd.sub(y[0], q), y[1]]
    }
}

/// Five points, for 4 outputs of a window of 3 taps that moves by two: 1/2, -1/2, 5/4, -5/4 and infinity. Terms 0 to 4 are those of the even
/// inputs, 5 to 8 those of the odd ones.
pub(super) struct FivePoints;

impl FivePoints {
    const PAIRS: Pairs = Pairs { p: 0.5, q: 1.25 };
}

impl Inputs<9> for FivePoints {
    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; 9]) -> [S::V; 9] {
        let (pairs, [p2, q2]) = (Self::PAIRS, Self::PAIRS.squares());
        let even = pairs.input(simd, [d[0], d[2], d[4], d[6]]);
        let odd = pairs.input(simd, [d[1], d[3], d[5], d[7]]);
        let [sum, product] = [p2 + q2, p2 * q2].map(|x| simd.splat(T::of(x)));
        let infinity = simd.mul_add(product, d[0], simd.neg_mul_add(sum, d[4], d[8]));
        [even[0], even[1], even[2], even[3], infinity, odd[0], odd[1], odd[2], odd[3]]
    }
}

impl Taps<9, 3> for FivePoints {
    #[inline(always)]
    fn kernel<T: Element, S: Simd<T>>(simd: S, taps: [S::V; 3]) -> [S::V; 9] {
        let times = |tap, x| simd.mul(tap, simd.splat(T::of(x)));
        let [of_p, of_q] = const { Self::PAIRS.rows() };
        let even = |Pair { p, scale }| {
            let (odd_power, even_power) = (times(taps[2], p * scale), times(taps[0], scale));
            [simd.add(odd_power, even_power), simd.sub(odd_power, even_power)]
        };
        let odd = |Pair { scale, .. }| [times(taps[1], scale), times(taps[1], -scale)];
        let ([p, minus_p], [q, minus_q]) = (even(of_p), even(of_q));
        let ([odd_p, odd_minus_p], [odd_q, odd_minus_q]) = (odd(of_p), odd(of_q));
        [p, minus_p, q, minus_q, taps[2], odd_p, odd_minus_p, odd_q, odd_minus_q]
    }

    #[inline(always)]
    fn kernel_gradient<T: Element, S: Simd<T>>(simd: S, u: [S::V; 9]) -> [S::V; 3] {
        let splat = |x| simd.splat(T::of(x));
        let [of_p, of_q] = const { Self::PAIRS.rows() };
        let both =
            |p: S::V, scale_p, q: S::V, scale_q| simd.mul_add(splat(scale_q), q, simd.mul(splat(scale_p), p));
        let first = both(simd.sub(u[0], u[1]), of_p.scale, simd.sub(u[2], u[3]), of_q.scale);
        let middle = both(simd.sub(u[5], u[6]), of_p.scale, simd.sub(u[7], u[8]), of_q.scale);
        let [power_p, power_q] = [of_p, of_q].map(|Pair { p, scale }| p * scale);
        let last = both(simd.add(u[0], u[1]), power_p, simd.add(u[2], u[3]), power_q);
        [first, middle, simd.add(last, u[4])]
    }
}

impl Outputs<4, 5> for FivePoints {
    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; 5]) -> [S::V; 4] {
        Self::PAIRS.output(simd, None, [m[0], m[1], m[2], m[3]], m[4])
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; 4]) -> [S::V; 5] {
        let [of_p, minus_p, of_q, minus_q] = Self::PAIRS.gradient(simd, y);
        [of_p, minus_p, of_q, minus_q, y[3]]
    }
}

/// The points `p`, `-p`, `q` and `-q`. Even powers of a pair are the same, odd ones differ in sign.
#[derive(Clone, Copy)]
struct Pairs {
    p: f64,
    q: f64,
}

impl Pairs {
    const fn squares(self) -> [f64; 2] {
        [self.p * self.p, self.q * self.q]
    }

    /// The rows of `G` if there are no other finite points.
    const fn rows(self) -> [Pair; 2] {
        let (Pairs { p, q }, [p2, q2]) = (self, self.squares());
        [Pair { p, scale: 0.5 / p / (p2 - q2) }, Pair { p: q, scale: 0.5 / q / (q2 - p2) }]
    }

    /// The rows of `B^T`: `(x ± p) (x^2 - q^2)` and `(x ± q) (x^2 - p^2)`.
    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(self, simd: S, d: [S::V; 4]) -> [S::V; 4] {
        let [p, q] = [self.p, self.q].map(|x| simd.splat(T::of(x)));
        let [p2, q2] = self.squares().map(|x| simd.splat(T::of(x)));
        let [even_p, odd_p] = [simd.neg_mul_add(q2, d[1], d[3]), simd.neg_mul_add(q2, d[0], d[2])];
        let [even_q, odd_q] = [simd.neg_mul_add(p2, d[1], d[3]), simd.neg_mul_add(p2, d[0], d[2])];
        [
            simd.mul_add(p, odd_p, even_p),
            simd.neg_mul_add(p, odd_p, even_p),
            simd.mul_add(q, odd_q, even_q),
            simd.neg_mul_add(q, odd_q, even_q),
        ]
    }

    /// `A^T`, with the values at 0, if that is a point, at the pairs, and at infinity.
    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(
        self,
        simd: S,
        zero: Option<S::V>,
        m: [S::V; 4],
        infinity: S::V,
    ) -> [S::V; 4] {
        let (Pairs { p, q }, [p2, q2]) = (self, self.squares());
        let [sum_p, difference_p] = [simd.add(m[0], m[1]), simd.sub(m[0], m[1])];
        let [sum_q, difference_q] = [simd.add(m[2], m[3]), simd.sub(m[2], m[3])];
        let both = |p, of_p, q, of_q| {
            let of_p = simd.mul(simd.splat(T::of(p)), of_p);
            simd.mul_add(simd.splat(T::of(q)), of_q, of_p)
        };
        let first = match zero {
            Some(zero) => simd.add(zero, sum_p),
            None => sum_p,
        };
        [
            simd.add(first, sum_q),
            both(p, difference_p, q, difference_q),
            both(p2, sum_p, q2, sum_q),
            simd.add(both(p2 * p, difference_p, q2 * q, difference_q), infinity),
        ]
    }

    /// `A`, at the pairs.
    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(self, simd: S, y: [S::V; 4]) -> [S::V; 4] {
        let splat = |x| simd.splat(T::of(x));
        let even = |p: f64| simd.mul_add(splat(p * p), y[2], y[0]);
        let odd = |p: f64| simd.mul_add(splat(p * p * p), y[3], simd.mul(splat(p), y[1]));
        let [even_p, odd_p, even_q, odd_q] = [even(self.p), odd(self.p), even(self.q), odd(self.q)];
        [simd.add(even_p, odd_p), simd.sub(even_p, odd_p), simd.add(even_q, odd_q), simd.sub(even_q, odd_q)]
    }
}

/// The rows of `G` for `p` and `-p`: `scale` is `1 / f[i](p)`.
#[derive(Clone, Copy)]
struct Pair {
    p: f64,
    scale: f64,
}

impl Pair {
    /// `G` times a vector of taps.
    #[inline(always)]
    fn kernel<T: Element, S: Simd<T>, const K: usize>(self, simd: S, taps: [S::V; K]) -> [S::V; 2] {
        let powers = self.powers::<T, S, K>(simd);
        let [mut even, mut odd] = [simd.mul(taps[0], powers[0]), simd.mul(taps[1], powers[1])];
        unrolled!(i < K, {
            if i >= 2 && i % 2 == 0 {
                even = simd.mul_add(taps[i], powers[i], even);
            } else if i >= 2 {
                odd = simd.mul_add(taps[i], powers[i], odd);
            }
        });
        [simd.add(even, odd), simd.sub(even, odd)]
    }

    /// `G^T` times a vector, added to `sums`.
    #[inline(always)]
    fn kernel_gradient<T: Element, S: Simd<T>, const K: usize>(
        self,
        simd: S,
        u: [S::V; 2],
        mut sums: [S::V; K],
    ) -> [S::V; K] {
        let powers = self.powers::<T, S, K>(simd);
        let both = [simd.add(u[0], u[1]), simd.sub(u[0], u[1])];
        unrolled!(i < K, { sums[i] = simd.mul_add(powers[i], both[i % 2], sums[i]) });
        sums
    }

    /// The scaled powers of `p`.
    #[inline(always)]
    fn powers<T: Element, S: Simd<T>, const K: usize>(self, simd: S) -> [S::V; K] {
        let Pair { p, scale: mut power } = self;
        let mut powers = [simd.splat(T::of(power)); K];
        unrolled!(i < K, {
            if i > 0 {
                power *= p;
                powers[i] = simd.splat(T::of(power));
            }
        });
        powers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Isa, Kernel, SimdElement};

    /// The finite points of each.
    const ONE: [f64; 0] = [];
    const FOUR: [f64; 3] = [0.0, 1.0, -1.0];
    const SIX: [f64; 5] = [0.0, 0.75, -0.75, 1.5, -1.5];
    const STRIDED: [f64; 4] = [0.5, -0.5, 1.25, -1.25];

    /// `A^T [(G kernel) * (B^T input)]` with one input and one tap of 1, of an axis whose term `t` is at point `t % P`;
    /// and the adjoints of `A^T` and of `G` over the same.
    struct Axis<X, const M: usize, const P: usize, const N: usize, const K: usize>(X, [usize; 2]);

    impl<X, const M: usize, const P: usize, const N: usize, const K: usize> Kernel<f64> for Axis<X, M, P, N, K>
    where
        X: Inputs<N> + Taps<N, K> + Outputs<M, P>,
    {
        type Output = [Vec<f64>; 3];

        #[inline(always)]
        fn run<S: Simd<f64>>(self, simd: S) -> Self::Output {
            let [input, tap] = self.1;
            let one = |yes: bool| simd.splat(f64::from(u8::from(yes)));
            let first = |v| {
                let mut lanes = [0.0; 16];
                simd.store(v, &mut lanes);
                lanes[0]
            };
            let d = X::input(simd, std::array::from_fn(|i| one(i == input)));
            let g = X::kernel(simd, std::array::from_fn(|i| one(i == tap)));
            let at = |p| (p..N).step_by(P).fold(one(false), |sum, t| simd.mul_add(d[t], g[t], sum));
            let outputs = X::output(simd, std::array::from_fn(at)).map(first);
            // For every output, the gradient of the tap, in turn: `G^T [(A dy) * (B^T input)]`.
            let gradient = |output| {
                let dy = X::gradient(simd, std::array::from_fn(|i| one(i == output)));
                let u = std::array::from_fn(|t| simd.mul(dy[t % P], d[t]));
                X::kernel_gradient(simd, u).map(first)
            };
            let taps = (0..M).map(|output| gradient(output)[tap]).collect();
            [outputs.to_vec(), taps, g.map(first).to_vec()]
        }
    }

    /// Output `o` has the tap `i` of the input `o * stride + i`; `G` is that of the points.
    fn is_a_convolution<X, const M: usize, const P: usize, const N: usize, const K: usize>(
        transform: fn() -> X,
        (points, stride): (&[f64], usize),
    ) where
        X: Inputs<N> + Taps<N, K> + Outputs<M, P>,
    {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for (input, tap) in (0..N).flat_map(|input| (0..K).map(move |tap| (input, tap))) {
                let axis = Axis::<X, M, P, N, K>(transform(), [input, tap]);
                let [outputs, taps, kernel] = f64::dispatch(isa, axis);
                for (row, got) in kernel.into_iter().enumerate() {
                    let others = points.iter().enumerate().filter(|(j, _)| *j != row % P);
                    let want = match (tap % stride == row / P, points.get(row % P)) {
                        (false, _) => 0.0,
                        (true, Some(p)) => {
                            p.powi((tap / stride) as i32)
                                / others.map(|(_, other)| p - other).product::<f64>()
                        }
                        (true, None) => f64::from(u8::from(tap == K - 1)),
                    };
                    assert!((got - want).abs() <= 1e-15, "{got} for {want}: G[{row}][{tap}] on {isa}");
                }
                for (output, (got, tap_got)) in outputs.into_iter().zip(taps).enumerate() {
                    let want = f64::from(u8::from(output * stride + tap == input));
                    for got in [got, tap_got] {
                        assert!(
                            (got - want).abs() <= 1e-14,
                            "{got} for {want}: {input} {tap} {output} on {isa}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn transforms_come_to_a_convolution_and_to_its_kernels_gradient() {
        is_a_convolution::<_, 1, 1, 1, 1>(|| OnePoint, (&ONE, 1));
        is_a_convolution::<_, 2, 4, 4, 3>(|| FourPoints, (&FOUR, 1));
        is_a_convolution::<_, 4, 6, 6, 3>(|| SixPoints, (&SIX, 1));
        is_a_convolution::<_, 2, 6, 6, 5>(|| SixPoints, (&SIX, 1));
        is_a_convolution::<_, 4, 5, 9, 3>(|| FivePoints, (&STRIDED, 2));
    }

    /// The coefficients of `product over points of (x - p)`, the constant first.
    fn polynomial(points: impl Iterator<Item = f64>) -> Vec<f64> {
        points.fold(vec![1.0], |factor, p| {
            let mut product = vec![0.0; factor.len() + 1];
            for (power, value) in factor.iter().enumerate() {
                product[power + 1] += value;
                product[power] -= p * value;
            }
            product
        })
    }

    /// All transforms of a unit vector: a column of `B^T`, one of `A^T`, and one of `A`.
    struct Columns<X, const M: usize, const P: usize, const N: usize>(X, usize);

    impl<X: Inputs<N> + Outputs<M, P>, const M: usize, const P: usize, const N: usize> Kernel<f32>
        for Columns<X, M, P, N>
    {
        type Output = [Vec<f32>; 3];

        #[inline(always)]
        fn run<S: Simd<f32>>(self, simd: S) -> Self::Output {
            let one = |i| simd.splat(f32::from(u8::from(i == self.1)));
            let first = |v| {
                let mut lanes = [0.0; 16];
                simd.store(v, &mut lanes);
                lanes[0]
            };
            let input = X::input(simd, std::array::from_fn(one)).to_vec();
            let output = X::output(simd, std::array::from_fn(one)).to_vec();
            let gradient = X::gradient(simd, std::array::from_fn(one)).to_vec();
            [input, output, gradient].map(|v| v.into_iter().map(first).collect())
        }
    }

    /// The entries of `B^T`, `A^T` and `A` are exact; of a strided window, terms of the even inputs come first.
    fn follows_the_definition<X, const M: usize, const P: usize, const N: usize>(
        transform: fn() -> X,
        points: &[f64],
    ) where
        X: Inputs<N> + Outputs<M, P>,
    {
        let stride = if N == P { 1 } else { 2 };
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for column in 0..N {
                let columns = Columns::<X, M, P, N>(transform(), column);
                let [input, output, gradient] = f32::dispatch(isa, columns);
                for (row, got) in input.into_iter().enumerate() {
                    let others = (0..points.len()).filter(|&j| j != row % P).map(|j| points[j]);
                    let power = (column % stride == row / P).then_some(column / stride);
                    let want = power.and_then(|power| polynomial(others).get(power).copied()).unwrap_or(0.0);
                    assert_eq!(f64::from(got), want, "B^T[{row}][{column}] on {isa}");
                }
                let last = |row| f64::from(u8::from(row == M - 1));
                for (row, got) in output.into_iter().enumerate().filter(|_| column < P) {
                    let want = points.get(column).map_or(last(row), |p| p.powi(row as i32));
                    assert_eq!(f64::from(got), want, "A^T[{row}][{column}] on {isa}");
                }
                for (row, got) in gradient.into_iter().enumerate().filter(|_| column < M) {
                    let want = points.get(row).map_or(last(column), |p| p.powi(column as i32));
                    assert_eq!(f64::from(got), want, "A[{row}][{column}] on {isa}");
                }
            }
        }
    }

    #[test]
    fn transforms_are_those_of_their_points() {
        follows_the_definition::<_, 1, 1, 1>(|| OnePoint, &ONE);
        follows_the_definition::<_, 2, 4, 4>(|| FourPoints, &FOUR);
        follows_the_definition::<_, 4, 6, 6>(|| SixPoints, &SIX);
        follows_the_definition::<_, 2, 6, 6>(|| SixPoints, &SIX);
        follows_the_definition::<_, 4, 5, 9>(|| FivePoints, &STRIDED);
    }
}
