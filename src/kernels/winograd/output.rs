//! The transform back: `A^T m A` for every tile `m` of products and every filter, plus what is there already, the bias and
//! the residual, bent.

use std::ops::Range;

use super::TileSize;
use super::kernel::GROUP;
use super::points::{Four, Outputs, Strided, Two};
use super::tiling::Tiling;
use crate::Element;
use crate::kernels::disjoint::Rows;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::simd::{Kernel, Simd};

/// Transforms `products` back, whose tiles from `first` on are a group of filters for each of the points, and writes
/// `filters` of them.
pub(super) struct OutputTransform<'a, 'b, T> {
    pub(super) products: &'a [T],
    pub(super) tiling: &'a Tiling,
    pub(super) first: usize,
    pub(super) filters: Range<usize>,
    /// Whether to add to what `out` holds.
    pub(super) adds: bool,
    /// For these positions, and all filters.
    pub(super) after: Epilogue<'a, T>,
    pub(super) out: &'a mut Positions<'b, T>,
}

/// Positions of an output that follow each other, row by row and image by image, and some of their filters.
pub(super) struct Positions<'a, T> {
    pub(super) first: usize,
    pub(super) filters: Range<usize>,
    /// A row for each position.
    pub(super) rows: Rows<'a, T>,
}

impl<T: Element> Kernel<T> for OutputTransform<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        match self.tiling.size {
            TileSize::Two => self.all::<S, Two, 2, 4>(simd),
            TileSize::Four => self.all::<S, Four, 4, 6>(simd),
            TileSize::Strided => self.all::<S, Strided, 4, 5>(simd),
        }
    }
}

impl<T: Element> OutputTransform<'_, '_, T> {
    #[inline(always)]
    fn all<S: Simd<T>, X: Outputs<M, P>, const M: usize, const P: usize>(self, simd: S) {
        let OutputTransform { tiling, filters, after, out, .. } = self;
        let [_, height, width, depth] = tiling.geometry.output_shape();
        let [down, right] = tiling.steps();
        let (points, _) = self.products.as_chunks::<GROUP>();
        let (rows, _) = points.as_chunks::<P>();
        let (tiles, _) = rows.as_chunks::<P>();
        for (tile, products) in (self.first..).zip(tiles) {
            let place = tiling.place(tile);
            let (rows, cols) = tiling.covered(place);
            let start = (place.image * height + place.row) * width + place.col - out.first;
            for lane in (0..filters.len()).step_by(S::LANES) {
                let lanes = S::LANES.min(filters.len() - lane);
                let filter = filters.start + lane;
                let columns = filter - out.filters.start..filter - out.filters.start + lanes;
                let bias = match after.bias {
                    Some(bias) => simd.load_up_to(&bias[filter..filter + lanes]),
                    None => simd.splat(T::zero()),
                };
                // Loops, not `array::from_fn`: it is not always inlined.
                let mut half = [[simd.splat(T::zero()); P]; M];
                for j in 0..P {
                    let mut column = [simd.splat(T::zero()); P];
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
                    let start = start + i * down * width;
                    if self.adds {
                        for (j, value) in row.iter_mut().enumerate().take(cols) {
                            let [before] = out.rows.part(start + j * right, columns.clone());
                            *value = simd.add(*value, simd.load_up_to(before));
                        }
                    }
                    if let Some(residual) = after.residual {
                        for (j, value) in row.iter_mut().enumerate().take(cols) {
                            let residual = &residual[(start + j * right) * depth + filter..][..lanes];
                            *value = simd.add(*value, simd.load_up_to(residual));
                        }
                    }
                    after.bend.apply(simd, std::array::from_mut(&mut row));
                    for (j, value) in row.into_iter().enumerate().take(cols) {
                        let [out] = out.rows.part(start + j * right, columns.clone());
                        if lanes == S::LANES {
                            simd.store(value, out);
                        } else {
                            simd.store_up_to(value, out);
                        }
                    }
                }
            }
        }
    }
}
