//! The transform back: `A^T m A` for every tile `m` of products and every filter, plus what is there already, the bias and
//! the residual, bent.

use std::marker::PhantomData;

use super::kernel::GROUP;
use super::points::Transform;
use crate::Element;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::simd::{Kernel, Simd};

/// Where in the output a tile goes.
#[derive(Clone, Copy)]
pub(super) struct Target {
    /// The tile's first element.
    pub(super) start: usize,
    /// Rows and columns of the tile that are wanted.
    pub(super) rows: usize,
    pub(super) cols: usize,
}

/// Transforms `products` back, whose tiles are a group of filters for each of the `N * N` points, and writes the
/// first `filters` of them where `target(tile)` says.
pub(super) struct OutputTransform<'a, T, X, F, const M: usize, const N: usize> {
    pub(super) products: &'a [T],
    pub(super) filters: usize,
    /// Whether to add to what `out` holds.
    pub(super) adds: bool,
    /// For these filters, and this part of the output.
    pub(super) after: Epilogue<'a, T>,
    pub(super) target: F,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
    pub(super) out: &'a mut [T],
    pub(super) transform: PhantomData<X>,
}

impl<T, X, F, const M: usize, const N: usize> Kernel<T> for OutputTransform<'_, T, X, F, M, N>
where
    T: Element,
    X: Transform<M, N>,
    F: Fn(usize) -> Target,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let (points, _) = self.products.as_chunks::<GROUP>();
        let (rows, _) = points.as_chunks::<N>();
        let (tiles, _) = rows.as_chunks::<N>();
        for (tile, products) in tiles.iter().enumerate() {
            let Target { start, rows, cols } = (self.target)(tile);
            for lane in (0..GROUP).step_by(S::LANES) {
                if lane >= self.filters {
                    break;
                }
                let lanes = S::LANES.min(self.filters - lane);
                let bias = match self.after.bias {
                    Some(bias) => simd.load_up_to(&bias[lane..]),
                    None => simd.splat(T::zero()),
                };
                // Loops, not `array::from_fn`: it is not always inlined.
                let mut half = [[simd.splat(T::zero()); N]; M];
                for j in 0..N {
                    let mut column = [simd.splat(T::zero()); N];
                    for (value, products) in column.iter_mut().zip(products) {
                        *value = simd.load(&products[j][lane..]);
                    }
                    for (half, value) in half.iter_mut().zip(X::output(simd, column)) {
                        half[j] = value;
                    }
                }
                for (i, half) in half.into_iter().enumerate().take(rows) {
                    let mut row = X::output(simd, half);
                    for value in &mut row {
                        *value = simd.add(*value, bias);
                    }
                    let place = start + i * self.row_stride + lane;
                    if self.adds {
                        let before = self.out[place..].chunks(self.col_stride);
                        for (value, before) in row.iter_mut().zip(before).take(cols) {
                            *value = simd.add(*value, simd.load_up_to(&before[..lanes]));
                        }
                    }
                    if let Some(residual) = self.after.residual {
                        let residual = residual[place..].chunks(self.col_stride);
                        for (value, residual) in row.iter_mut().zip(residual).take(cols) {
                            *value = simd.add(*value, simd.load_up_to(&residual[..lanes]));
                        }
                    }
                    self.after.bend.apply(simd, std::array::from_mut(&mut row));
                    let out = &mut self.out[place..];
                    for (value, out) in row.into_iter().zip(out.chunks_mut(self.col_stride)).take(cols) {
                        if lanes == S::LANES {
                            simd.store(value, out);
                        } else {
                            simd.store_up_to(value, &mut out[..lanes]);
                        }
                    }
                }
            }
        }
    }
}
