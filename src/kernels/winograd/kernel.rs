//! The transform of the kernel: `G g G^T` for every channel and filter, once, packed for the products.

use std::ops::Range;

use rayon::prelude::*;

use super::TileSize;
use super::points::{Four, Transform, Two, kernel_matrix};
use crate::Element;
use crate::geometry::Geometry2d;
use crate::kernels::matmul::{Panels, pack, panels_len};
use crate::kernels::simd::{Isa, isa};

/// Filters that are multiplied and transformed back together: whole vectors on every instruction set, and two panels of
/// `f32` with AVX2. AVX-512 has them in panels of two vectors.
pub(super) const GROUP: usize = 32;

/// A kernel of 3x3 transformed and packed for [`forward`](super::forward).
///
/// The products use it in one stream: the filters in groups, for each group all points, for each point the group's
/// panels.
#[derive(Clone, Debug)]
pub(crate) struct WinogradKernel<T> {
    isa: Isa,
    pub(super) size: TileSize,
    channels: usize,
    filters: usize,
    values: Vec<T>,
}

impl<T: Element> WinogradKernel<T> {
    /// Transforms a kernel `[3, 3, channels, filters]` for tiles of `size`.
    pub(crate) fn new(kernel: &[T], geometry: &Geometry2d, size: TileSize) -> Self {
        Self::packed_for(isa(), kernel, geometry, size)
    }

    /// The same for a given instruction set.
    pub(super) fn packed_for(isa: Isa, kernel: &[T], geometry: &Geometry2d, size: TileSize) -> Self {
        let points = match size {
            TileSize::Two => Two::POINTS,
            TileSize::Four => Four::POINTS,
        };
        let [_, _, channels, filters] = geometry.kernel_shape();
        let mut packed = WinogradKernel { isa, size, channels, filters, values: Vec::new() };
        let matrix: Vec<[f64; 3]> = kernel_matrix(points).collect();
        packed.values = vec![T::zero(); size.points() * panels_len::<T>(isa, channels, filters)];
        // The last group may be narrower.
        let groups = packed.values.par_chunks_mut(size.points() * channels * GROUP);
        groups.enumerate().for_each(|(group, values)| {
            let first = group * GROUP;
            let count = GROUP.min(filters - first);
            let matrices = values.chunks_exact_mut(panels_len::<T>(isa, channels, count));
            for (point, panels) in matrices.enumerate() {
                let rows = [&matrix[point / size.inputs()], &matrix[point % size.inputs()]];
                let read = |channel: usize, columns: Range<usize>, into: &mut [T]| {
                    for (value, filter) in into.iter_mut().zip(columns) {
                        let start = channel * filters + first + filter;
                        *value = transformed(kernel, rows, start, channels * filters);
                    }
                };
                pack(isa, channels, count, read, panels);
            }
        });
        packed
    }

    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// The filters of group `group`.
    pub(super) fn group(&self, group: usize) -> Range<usize> {
        let first = group * GROUP;
        first..self.filters.min(first + GROUP)
    }

    /// The number of groups.
    pub(super) fn groups(&self) -> usize {
        self.filters.div_ceil(GROUP)
    }

    /// The matrix `channels x filters` of a group at a point, with all that is used after it.
    pub(super) fn panels(&self, group: usize, point: usize) -> Panels<'_, T> {
        let filters = self.group(group);
        let len = panels_len::<T>(self.isa, self.channels, filters.len());
        let start = filters.start * self.size.points() * self.channels + point * len;
        Panels { isa: self.isa, k: self.channels, values: &self.values[start..] }
    }
}

/// One point of the transform of the 3x3 taps that lie `stride` apart from `start` on: in double precision, rounded
/// once.
fn transformed<T: Element>(kernel: &[T], [rows, cols]: [&[f64; 3]; 2], start: usize, stride: usize) -> T {
    let taps = kernel[start..].iter().step_by(stride);
    let factors = rows.iter().flat_map(|row| cols.iter().map(move |col| row * col));
    T::of(taps.zip(factors).map(|(tap, factor)| tap.to_double() * factor).sum())
}
