//! The transform back: `A^T m A` for every tile `m` of products and every filter, plus what is there already, the bias and
//! the residual, bent.

use std::ops::Range;

use super::TileSize;
use super::kernel::GROUP;
use super::points::{FivePoints, FourPoints, OnePoint, Outputs, SixPoints, with_outputs};
use super::tiling::Tiling;
use crate::Element;
use crate::kernels::disjoint::Rows;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::simd::{Kernel, Simd, unrolled};

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
        match self.adds {
            true => self.of_size::<S, true>(simd),
            false => self.of_size::<S, false>(simd),
        }
    }
}

impl<T: Element> OutputTransform<'_, '_, T> {
    #[inline(always)]
    fn of_size<S: Simd<T>, const ADDS: bool>(self, simd: S) {
        with_outputs!(self.tiling.size, self.all::<S, ADDS>(simd))
    }

    #[inline(always)]
    fn all<
        S: Simd<T>,
        R: Outputs<M, P>,
        C: Outputs<L, Q>,
        const M: usize,
        const L: usize,
        const P: usize,
        const Q: usize,
        const ADDS: bool,
    >(
        mut self,
        simd: S,
    ) {
        let OutputTransform { tiling, after, .. } = self;
        let filters = self.filters.clone();
        let [_, height, width, _] = tiling.geometry.output_shape();
        for (tile, products) in (self.first..).zip(self.products.chunks_exact(P * Q * GROUP)) {
            let place = tiling.place(tile);
            let covered = tiling.covered(place);
            let start = (place.image * height + place.row) * width + place.col - self.out.first;
            for lane in (0..filters.len()).step_by(S::LANES) {
                let lanes = S::LANES.min(filters.len() - lane);
                let filters = filters.start + lane..filters.start + lane + lanes;
                let bias = match after.bias {
                    Some(bias) => simd.load_up_to(&bias[filters.clone()]),
                    None => simd.splat(T::zero()),
                };
                let outputs = transform::<T, S, R, C, M, L, P, Q>(simd, &products[lane..], bias);
                if covered == (M, L) && lanes == S::LANES {
                    self.write_whole::<S, M, L, ADDS>(simd, outputs, (start, filters));
                } else {
                    self.write::<S, M, L, ADDS>(simd, outputs, (start, filters), covered);
                }
            }
        }
    }

    /// Does all that comes after to the outputs of a whole tile, and writes them, from the position `start` on.
    #[inline(always)]
    fn write_whole<S: Simd<T>, const M: usize, const L: usize, const ADDS: bool>(
        &mut self,
        simd: S,
        mut outputs: [[S::V; L]; M],
        (start, filters): (usize, Range<usize>),
    ) {
        let OutputTransform { tiling, after, out, .. } = self;
        let [_, _, width, depth] = tiling.geometry.output_shape();
        let [down, right] = tiling.steps;
        let columns = filters.start - out.filters.start..filters.end - out.filters.start;
        if ADDS {
            for (i, outputs) in outputs.iter_mut().enumerate() {
                let to: [&mut [T]; L] = out.rows.spaced(start + i * down * width, right, columns.clone());
                for (value, to) in outputs.iter_mut().zip(to) {
                    *value = simd.add(*value, simd.load(to));
                }
            }
        }
        if let Some(residual) = after.residual {
            for (i, outputs) in outputs.iter_mut().enumerate() {
                let residual = &residual[(start + i * down * width) * depth + filters.start..];
                let residual: [S::V; L] = simd.load_strided(residual, right * depth);
                for (value, residual) in outputs.iter_mut().zip(residual) {
                    *value = simd.add(*value, residual);
                }
            }
        }
        after.bend.apply(simd, &mut outputs);
        for (i, outputs) in outputs.into_iter().enumerate() {
            let to: [&mut [T]; L] = out.rows.spaced(start + i * down * width, right, columns.clone());
            for (value, to) in outputs.into_iter().zip(to) {
                simd.store(value, to);
            }
        }
    }

    /// Does all that comes after to the outputs of a tile, and writes those that are `covered`, some rows of some columns.
    #[inline(always)]
    fn write<S: Simd<T>, const M: usize, const L: usize, const ADDS: bool>(
        &mut self,
        simd: S,
        outputs: [[S::V; L]; M],
        (start, filters): (usize, Range<usize>),
        (rows, cols): (usize, usize),
    ) {
        let OutputTransform { tiling, after, out, .. } = self;
        let [_, _, width, depth] = tiling.geometry.output_shape();
        let [down, right] = tiling.steps;
        let columns = filters.start - out.filters.start..filters.end - out.filters.start;
        for (i, outputs) in outputs.into_iter().enumerate().take(rows) {
            for (j, value) in outputs.into_iter().enumerate().take(cols) {
                let position = start + i * down * width + j * right;
                let [to] = out.rows.part(position, columns.clone());
                let mut value = [[value]];
                if ADDS {
                    value = [[simd.add(value[0][0], simd.load_up_to(to))]];
                }
                if let Some(residual) = after.residual {
                    let residual = &residual[position * depth + filters.start..][..filters.len()];
                    value = [[simd.add(value[0][0], simd.load_up_to(residual))]];
                }
                after.bend.apply(simd, &mut value);
                simd.store_up_to(value[0][0], to);
            }
        }
    }
}

/// `A^T m A` and `bias`, for the products `m` of a vector of filters: `products` has those of each point, a group apart.
#[inline(always)]
fn transform<
    T: Element,
    S: Simd<T>,
    R: Outputs<M, P>,
    C: Outputs<L, Q>,
    const M: usize,
    const L: usize,
    const P: usize,
    const Q: usize,
>(
    simd: S,
    products: &[T],
    bias: S::V,
) -> [[S::V; L]; M] {
    let mut half = [[simd.splat(T::zero()); Q]; M];
    unrolled!(j < Q, {
        let column = simd.load_strided(&products[j * GROUP..], Q * GROUP);
        let column = R::output(simd, column);
        unrolled!(i < M, { half[i][j] = column[i] });
    });
    let mut outputs = [[bias; L]; M];
    unrolled!(i < M, {
        let row = C::output(simd, half[i]);
        unrolled!(j < L, { outputs[i][j] = simd.add(row[j], bias) });
    });
    outputs
}
