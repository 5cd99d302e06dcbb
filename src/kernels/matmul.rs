//! Matrix products: the inner loops of convolution and of dense layers.
//!
//! The right factor is packed once into *panels* of as many columns as fit two vectors, rows one after the other,
//! so that the innermost loop reads it in one stream; the left factor is read in place, by rows or by columns. A
//! tile of `MR` rows times one panel stays in registers through the whole reduction and is written once.

use rayon::prelude::*;

use super::simd::{Isa, Kernel, Simd, isa};
use crate::Element;

/// Rows of a register tile: with two vectors of columns it takes 12 of 16 registers.
const MR: usize = 6;
/// Vectors across a register tile.
const NV: usize = 2;
/// Rows of a block that one task computes: its left factor stays in the second-level cache over all panels.
const BLOCK_ROWS: usize = 16 * MR;
/// Multiplications below which waking another thread costs more than it saves.
pub(crate) const PARALLEL_WORK: usize = 1 << 17;

/// A `k x n` matrix as panels, the last one filled up with zeros, for the instruction set it was packed for.
#[derive(Clone, Debug)]
pub(crate) struct PackedMatrix<T> {
    isa: Isa,
    k: usize,
    n: usize,
    panels: Vec<T>,
}

impl<T: Element> PackedMatrix<T> {
    /// Packs `b`, whose rows of `n` follow each other.
    pub(crate) fn new(b: &[T], k: usize, n: usize) -> Self {
        Self::from_rows(k, n, |row, columns, panel| panel.copy_from_slice(&b[row * n..][columns]))
    }

    /// Packs the transpose of `b`, whose rows of `k` follow each other.
    pub(crate) fn transposed(b: &[T], k: usize, n: usize) -> Self {
        Self::from_rows(k, n, |row, columns, panel| {
            for (value, column) in panel.iter_mut().zip(columns) {
                *value = b[column * k + row];
            }
        })
    }

    /// Packs the matrix that `read(row, columns, into)` copies out piece by piece.
    pub(crate) fn from_rows(
        k: usize,
        n: usize,
        read: impl Fn(usize, std::ops::Range<usize>, &mut [T]),
    ) -> Self {
        let isa = isa();
        let width = panel_width::<T>(isa);
        let mut panels = vec![T::zero(); n.div_ceil(width) * k * width];
        for (panel, first) in panels.chunks_exact_mut((k * width).max(1)).zip((0..n).step_by(width)) {
            let columns = first..n.min(first + width);
            for (row, values) in panel.chunks_exact_mut(width).enumerate() {
                read(row, columns.clone(), &mut values[..columns.len()]);
            }
        }
        PackedMatrix { isa, k, n, panels }
    }
}

fn panel_width<T: Element>(isa: Isa) -> usize {
    NV * T::lanes(isa)
}

/// The left factor of a product, read in place.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a, T> {
    /// Row `i` starts at `i * stride`.
    Rows { values: &'a [T], stride: usize },
    /// Column `j` starts at `j * stride`: the transpose of what lies in memory.
    Columns { values: &'a [T], stride: usize },
}

/// What becomes of a finished tile.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a, T> {
    /// The output is overwritten with the product, and the bias of each column added.
    Store(Option<&'a [T]>),
    /// The product is added to the output.
    Add,
}

/// A product on one thread: `rows` rows of `left * right`, into `out`, whose rows lie `out_stride` apart.
pub(crate) struct Block<'a, T> {
    pub(crate) left: Left<'a, T>,
    pub(crate) rows: usize,
    pub(crate) right: &'a PackedMatrix<T>,
    pub(crate) out: &'a mut [T],
    pub(crate) out_stride: usize,
    pub(crate) finish: Finish<'a, T>,
}

impl<T: Element> Block<'_, T> {
    /// Computes it on the instruction set that `right` was packed for.
    pub(crate) fn compute(self) {
        T::dispatch(self.right.isa, self);
    }
}

impl<T: Element> Kernel<T> for Block<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let width = NV * S::LANES;
        let PackedMatrix { k, n, panels, .. } = self.right;
        if *k == 0 {
            return self.finish_empty();
        }
        for (panel, first) in panels.chunks_exact(k * width).zip((0..*n).step_by(width)) {
            let columns = first..(first + width).min(*n);
            for row in (0..self.rows).step_by(MR) {
                match self.rows - row {
                    1 => self.tile::<S, 1>(simd, row, panel, columns.clone()),
                    2 => self.tile::<S, 2>(simd, row, panel, columns.clone()),
                    3 => self.tile::<S, 3>(simd, row, panel, columns.clone()),
                    4 => self.tile::<S, 4>(simd, row, panel, columns.clone()),
                    5 => self.tile::<S, 5>(simd, row, panel, columns.clone()),
                    _ => self.tile::<S, MR>(simd, row, panel, columns.clone()),
                }
            }
        }
    }
}

impl<T: Element> Block<'_, T> {
    /// `M` rows from `row` on, times one panel.
    #[inline(always)]
    fn tile<S: Simd<T>, const M: usize>(
        &mut self,
        simd: S,
        row: usize,
        panel: &[T],
        columns: std::ops::Range<usize>,
    ) {
        let k = self.right.k;
        let sums = match self.left {
            Left::Rows { values, stride } => {
                let rows: [&[T]; M] = std::array::from_fn(|i| &values[(row + i) * stride..][..k]);
                accumulate::<T, S, M>(simd, k, panel, |step| rows.map(|row| row[step]))
            }
            Left::Columns { values, stride } => accumulate::<T, S, M>(simd, k, panel, |step| {
                let column = &values[step * stride + row..][..M];
                std::array::from_fn(|i| column[i])
            }),
        };
        for (i, sums) in sums.into_iter().enumerate() {
            let out = &mut self.out[(row + i) * self.out_stride..][columns.clone()];
            for ((sum, out), at) in
                sums.into_iter().zip(out.chunks_mut(S::LANES)).zip((0..).step_by(S::LANES))
            {
                let sum = match self.finish {
                    Finish::Store(None) => sum,
                    Finish::Store(Some(bias)) => {
                        simd.add(sum, simd.load_up_to(&bias[columns.start + at..][..out.len()]))
                    }
                    Finish::Add => simd.add(simd.load_up_to(out), sum),
                };
                simd.store_up_to(sum, out);
            }
        }
    }

    /// The product over an empty reduction: the bias alone.
    fn finish_empty(&mut self) {
        for row in self.out.chunks_mut(self.out_stride.max(1)).take(self.rows) {
            match self.finish {
                Finish::Store(None) => row[..self.right.n].fill(T::zero()),
                Finish::Store(Some(bias)) => row[..self.right.n].copy_from_slice(bias),
                Finish::Add => {}
            }
        }
    }
}

/// The sums over `k` steps of `left(step) * panel row`.
#[inline(always)]
fn accumulate<T: Element, S: Simd<T>, const M: usize>(
    simd: S,
    k: usize,
    panel: &[T],
    left: impl Fn(usize) -> [T; M],
) -> [[S::V; NV]; M] {
    let mut sums = [[simd.splat(T::zero()); NV]; M];
    for (step, right) in panel.chunks_exact(NV * S::LANES).take(k).enumerate() {
        let right: [S::V; NV] = std::array::from_fn(|v| simd.load(&right[v * S::LANES..]));
        let left = left(step);
        for (sums, x) in sums.iter_mut().zip(left) {
            let x = simd.splat(x);
            for (sum, y) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add(x, y, *sum);
            }
        }
    }
    sums
}

/// `out = a * b + bias`, for `a` of `m x k` and `out` of `m x n`, both without gaps between rows.
pub(crate) fn product<T: Element>(a: &[T], b: &PackedMatrix<T>, bias: Option<&[T]>, out: &mut [T]) {
    let PackedMatrix { k, n, .. } = *b;
    if n == 0 {
        return;
    }
    let block = |(index, out): (usize, &mut [T])| {
        let left = Left::Rows { values: &a[index * BLOCK_ROWS * k..], stride: k };
        let rows = out.len() / n;
        Block { left, rows, right: b, out, out_stride: n, finish: Finish::Store(bias) }.compute();
    };
    if out.len() * k < PARALLEL_WORK {
        out.chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
    } else {
        out.par_chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
    }
}

/// `out = transpose(a) * b`, for `a` of `p x m`, `b` of `p x n` and `out` of `m x n`, all without gaps.
pub(crate) fn transposed_product<T: Element>(a: &[T], b: &[T], (m, n): (usize, usize), out: &mut [T]) {
    if m == 0 || n == 0 {
        return;
    }
    let p = a.len() / m;
    let b = PackedMatrix::new(b, p, n);
    let block = |(index, out): (usize, &mut [T])| {
        let left = Left::Columns { values: a.get(index * BLOCK_ROWS..).unwrap_or_default(), stride: m };
        let rows = out.len() / n;
        Block { left, rows, right: &b, out, out_stride: n, finish: Finish::Store(None) }.compute();
    };
    if out.len() * p < PARALLEL_WORK {
        out.chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
    } else {
        out.par_chunks_mut(BLOCK_ROWS * n).enumerate().for_each(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + salt * 11) % 17) as f32 - 8.0).collect()
    }

    fn naive(a: &[f32], b: &[f32], bias: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
        let at = |i: usize, j: usize| bias[j] + (0..k).map(|s| a[i * k + s] * b[s * n + j]).sum::<f32>();
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect()
    }

    fn transpose(a: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        (0..cols).flat_map(|j| (0..rows).map(move |i| a[i * cols + j])).collect()
    }

    proptest! {
        #[test]
        fn products_of_whole_numbers_are_exact(m in 0_usize..110, k in 0_usize..20, n in 1_usize..40) {
            let (a, b, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let want = naive(&a, &b, &bias, (m, k, n));
            let mut out = vec![f32::NAN; m * n];
            product(&a, &PackedMatrix::new(&b, k, n), Some(&bias), &mut out);
            prop_assert_eq!(&out, &want);

            out.fill(f32::NAN);
            product(&a, &PackedMatrix::transposed(&transpose(&b, k, n), k, n), Some(&bias), &mut out);
            prop_assert_eq!(&out, &want);

            let want = naive(&a, &b, &vec![0.0; n], (m, k, n));
            out.fill(f32::NAN);
            transposed_product(&transpose(&a, m, k), &b, (m, n), &mut out);
            prop_assert_eq!(&out, &want);
        }

        #[test]
        fn a_block_adds_to_what_is_there(rows in 1_usize..14, k in 1_usize..9, n in 1_usize..20) {
            let (a, b) = (numbers(rows * k, 1), numbers(k * n, 2));
            let mut out = numbers(rows * n, 3);
            let product = naive(&a, &b, &vec![0.0; n], (rows, k, n));
            let want: Vec<f32> = out.iter().zip(product).map(|(x, y)| x + y).collect();
            let left = Left::Rows { values: &a, stride: k };
            let right = PackedMatrix::new(&b, k, n);
            Block { left, rows, right: &right, out: &mut out, out_stride: n, finish: Finish::Add }.compute();
            prop_assert_eq!(out, want);
        }
    }
}
