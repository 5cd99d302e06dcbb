//! The two sizes of tiles, their points, and the one-dimensional transforms that follow from them.
//!
//! A convolution of `M` outputs with 3 taps is a product of polynomials, taken at `M + 1` finite points `p[i]` and at
//! infinity (Toom and Cook; for convolutional networks, Lavin and Gray, "Fast algorithms for convolutional neural
//! networks", 2016). With `f[i](x) = product over j != i of (x - p[j])` and `f(x) = product over all j of (x - p[j])`,
//!
//! ```text
//! outputs = A^T [(G kernel) * (B^T input)]         the product `*` is taken element by element
//! B^T row i = coefficients of f[i];   the last row = coefficients of f
//! G row i   = (1, p[i], p[i]^2) / f[i](p[i]);   the last row = (0, 0, 1)
//! A^T column i = (1, p[i], ..., p[i]^(M-1));   the last column = (0, ..., 0, 1)
//! ```
//!
//! In two dimensions each transform is applied to the columns and then to the rows. The points are fractions with small
//! powers of two below, so that the entries of `A` and `B` are exact in `f32`; to a kernel that is kept, `G` is
//! applied in `f64`. That the points of the larger tile are `±3/4, ±3/2` and not the usual `±1, ±2` halves its rounding error.

use crate::Element;
use crate::kernels::simd::Simd;

/// The transforms of tiles of `M` outputs, from `N = M + 2` inputs, along one axis.
pub(super) trait Transform<const M: usize, const N: usize>: Copy + Send + Sync {
    /// The finite points.
    const POINTS: &'static [f64];

    /// `B^T` times a vector.
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; N]) -> [S::V; N];

    /// `A^T` times a vector.
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; N]) -> [S::V; M];

    /// `A` times a vector.
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; M]) -> [S::V; N];
}

/// Tiles of 2 outputs: points 0, 1, -1.
#[derive(Clone, Copy)]
pub(super) struct Two;

impl Transform<2, 4> for Two {
    const POINTS: &'static [f64] = &[0.0, 1.0, -1.0];

    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; 4]) -> [S::V; 4] {
        [simd.sub(d[2], d[0]), simd.add(d[2], d[1]), simd.sub(d[2], d[1]), simd.sub(d[3], d[1])]
    }

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

/// Tiles of 4 outputs: points 0, `P`, -`P`, `Q`, -`Q`.
#[derive(Clone, Copy)]
pub(super) struct Four;

const P: f64 = 0.75;
const Q: f64 = 1.5;

impl Transform<4, 6> for Four {
    const POINTS: &'static [f64] = &[0.0, P, -P, Q, -Q];

    #[inline(always)]
    fn input<T: Element, S: Simd<T>>(simd: S, d: [S::V; 6]) -> [S::V; 6] {
        let splat = |x| simd.splat(T::of(x));
        let (p, q) = (splat(P), splat(Q));
        let (p2, q2) = (splat(P * P), splat(Q * Q));
        let (sum, product) = (splat(P * P + Q * Q), splat(P * P * Q * Q));
        // f[1], f[2] = (x^2 -+ p x)(x^2 - q^2): what the two share, in even and in odd powers.
        let [even_p, odd_p] = [simd.neg_mul_add(q2, d[2], d[4]), simd.neg_mul_add(q2, d[1], d[3])];
        let [even_q, odd_q] = [simd.neg_mul_add(p2, d[2], d[4]), simd.neg_mul_add(p2, d[1], d[3])];
        [
            simd.mul_add(product, d[0], simd.neg_mul_add(sum, d[2], d[4])),
            simd.mul_add(p, odd_p, even_p),
            simd.neg_mul_add(p, odd_p, even_p),
            simd.mul_add(q, odd_q, even_q),
            simd.neg_mul_add(q, odd_q, even_q),
            simd.mul_add(product, d[1], simd.neg_mul_add(sum, d[3], d[5])),
        ]
    }

    #[inline(always)]
    fn output<T: Element, S: Simd<T>>(simd: S, m: [S::V; 6]) -> [S::V; 4] {
        let [sum_p, difference_p] = [simd.add(m[1], m[2]), simd.sub(m[1], m[2])];
        let [sum_q, difference_q] = [simd.add(m[3], m[4]), simd.sub(m[3], m[4])];
        let both = |p, of_p, q, of_q| {
            let of_p = simd.mul(simd.splat(T::of(p)), of_p);
            simd.mul_add(simd.splat(T::of(q)), of_q, of_p)
        };
        [
            simd.add(simd.add(m[0], sum_p), sum_q),
            both(P, difference_p, Q, difference_q),
            both(P * P, sum_p, Q * Q, sum_q),
            simd.add(both(P * P * P, difference_p, Q * Q * Q, difference_q), m[5]),
        ]
    }

    #[inline(always)]
    fn gradient<T: Element, S: Simd<T>>(simd: S, y: [S::V; 4]) -> [S::V; 6] {
        let splat = |x| simd.splat(T::of(x));
        let even = |p: f64| simd.mul_add(splat(p * p), y[2], y[0]);
        let odd = |p: f64| simd.mul_add(splat(p * p * p), y[3], simd.mul(splat(p), y[1]));
        let [even_p, odd_p, even_q, odd_q] = [even(P), odd(P), even(Q), odd(Q)];
        [
            y[0],
            simd.add(even_p, odd_p),
            simd.sub(even_p, odd_p),
            simd.add(even_q, odd_q),
            simd.sub(even_q, odd_q),
            y[3],
        ]
    }
}

/// `G` for some finite points.
#[derive(Clone, Copy)]
pub(super) struct KernelTransform<const N: usize> {
    /// The rows of `G`.
    rows: [[f64; 3]; N],
}

impl<const N: usize> KernelTransform<N> {
    pub(super) fn new(points: &[f64]) -> Self {
        let mut rows = [[0.0, 0.0, 1.0]; N];
        for (i, (row, p)) in rows.iter_mut().zip(points).enumerate() {
            let others = points.iter().enumerate().filter(|(j, _)| *j != i);
            let scale: f64 = others.map(|(_, other)| p - other).product();
            *row = [1.0 / scale, p / scale, p * p / scale];
        }
        KernelTransform { rows }
    }

    /// The rows of `G` as vectors of copies.
    #[inline(always)]
    pub(super) fn splat<T: Element, S: Simd<T>>(&self, simd: S) -> [[S::V; 3]; N] {
        let mut rows = [[simd.splat(T::zero()); 3]; N];
        for (row, values) in rows.iter_mut().zip(self.rows) {
            for (vector, value) in row.iter_mut().zip(values) {
                *vector = simd.splat(T::of(value));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::simd::{Isa, Kernel, SimdElement};

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
    struct Columns<X, const M: usize, const N: usize>(X, usize);

    impl<X: Transform<M, N>, const M: usize, const N: usize> Kernel<f32> for Columns<X, M, N> {
        type Output = [Vec<f32>; 3];
        #[inline(always)]
        fn run<S: Simd<f32>>(self, simd: S) -> Self::Output {
            let unit: [S::V; N] = std::array::from_fn(|i| simd.splat(f32::from(u8::from(i == self.1))));
            let first = |v| {
                let mut lanes = [0.0; 16];
                simd.store(v, &mut lanes);
                lanes[0]
            };
            let short: [S::V; M] = std::array::from_fn(|i| simd.splat(f32::from(u8::from(i == self.1))));
            let [input, output] = [X::input(simd, unit).to_vec(), X::output(simd, unit).to_vec()];
            [input, output, X::gradient(simd, short).to_vec()].map(|v| v.into_iter().map(first).collect())
        }
    }

    fn kernels_follow_the_definition<const N: usize>(points: &[f64]) {
        let transform = KernelTransform::<N>::new(points);
        for (i, row) in transform.rows.iter().enumerate() {
            for (column, got) in row.iter().enumerate() {
                let others = points.iter().enumerate().filter(|(j, _)| *j != i);
                let want = match points.get(i) {
                    Some(p) => p.powi(column as i32) / others.map(|(_, other)| p - other).product::<f64>(),
                    None => f64::from(u8::from(column == 2)),
                };
                assert!((got - want).abs() <= 1e-15, "{got} for {want} in row {i}, column {column} of {N}");
            }
        }
        // What the transforms of vectors rest on.
        for i in (1..N - 1).step_by(2) {
            let [plus, minus] = [transform.rows[i], transform.rows[i + 1]];
            assert_eq!([plus[0], -plus[1], plus[2]], minus);
        }
    }

    fn follows_the_definition<X: Transform<M, N>, const M: usize, const N: usize>(transform: X) {
        let points = X::POINTS;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for column in 0..N {
                let [input, output, gradient] = f32::dispatch(isa, Columns::<X, M, N>(transform, column));
                for (row, got) in gradient.into_iter().enumerate().filter(|_| column < M) {
                    let last = f64::from(u8::from(column == M - 1));
                    let want = points.get(row).map_or(last, |p| p.powi(column as i32));
                    assert_eq!(f64::from(got), want, "A[{row}][{column}] on {isa}");
                }
                for (row, got) in input.into_iter().enumerate() {
                    let others = (0..points.len()).filter(|&j| j != row).map(|j| points[j]);
                    let want = polynomial(others).get(column).copied().unwrap_or(0.0);
                    assert_eq!(f64::from(got), want, "B^T[{row}][{column}] on {isa}");
                }
                for (row, got) in output.into_iter().enumerate() {
                    let last = f64::from(u8::from(row == M - 1));
                    let want = points.get(column).map_or(last, |p| p.powi(row as i32));
                    assert_eq!(f64::from(got), want, "A^T[{row}][{column}] on {isa}");
                }
            }
        }
    }

    #[test]
    fn transforms_are_those_of_their_points() {
        follows_the_definition(Two);
        follows_the_definition(Four);
        kernels_follow_the_definition::<4>(Two::POINTS);
        kernels_follow_the_definition::<6>(Four::POINTS);
    }
}
