//! The transform of the kernel: `G g G^T` for every channel and filter, once, packed for the products.

use std::ops::Range;

use rayon::prelude::*;

use super::TileSize;
use super::points::{Four, Transform, Two, kernel_matrix};
use crate::geometry::Geometry2d;
use crate::kernels::matmul::{Panels, pack, panels_len};
use crate::kernels::simd::{Isa, isa};

/// Filters that are multiplied and transformed back together: whole panels on every instruction set.
pub(super) const GROUP: usize = 32;

/// A kernel of 3x3 transformed and packed for [`forward`](super::forward).
///
/// The products use it in one stream: the filters in groups, for each group all points, for each point the group's
/// panels.
#[derive(Clone, Debug)]
pub(crate) struct WinogradKernel {
    isa: Isa,
    pub(super) size: TileSize,
    channels: usize,
    filters: usize,
    values: Vec<f32>,
}

impl WinogradKernel {
    /// Transforms a kernel `[3, 3, channels, filters]` for tiles of `size`.
    pub(crate) fn new(kernel: &[f32], geometry: &Geometry2d, size: TileSize) -> Self {
        Self::packed_for(isa(), kernel, geometry, size)
    }

    /// The same for a given instruction set.
    pub(super) fn packed_for(isa: Isa, kernel: &[f32], geometry: &Geometry2d, size: TileSize) -> Self {
        let points = match size {
            TileSize::Two => Two::POINTS,
            TileSize::Four => Four::POINTS,
        };
        let [_, _, channels, filters] = geometry.kernel_shape();
        let mut packed = WinogradKernel { isa, size, channels, filters, values: Vec::new() };
        let matrix: Vec<[f64; 3]> = kernel_matrix(points).collect();
        packed.values = vec![0.0; size.points() * panels_len::<f32>(isa, channels, filters)];
        // The last group may be narrower.
        let groups = packed.values.par_chunks_mut(size.points() * channels * GROUP);
        groups.enumerate().for_each(|(group, values)| {
            let first = group * GROUP;
            let count = GROUP.min(filters - first);
            let matrices = values.chunks_exact_mut(panels_len::<f32>(isa, channels, count));
            for (point, panels) in matrices.enumerate() {
                let rows = [&matrix[point / size.inputs()], &matrix[point % size.inputs()]];
                let read = |channel: usize, columns: Range<usize>, into: &mut [f32]| {
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
    pub(super) fn panels(&self, group: usize, point: usize) -> Panels<'_, f32> {
        let filters = self.group(group);
        let len = panels_len::<f32>(self.isa, self.channels, filters.len());
        let start = filters.start * self.size.points() * self.channels + point * len;
        Panels { isa: self.isa, k: self.channels, values: &self.values[start..] }
    }

    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }
}

/// One point of the transform of the 3x3 taps that lie `stride` apart from `start` on: in double precision, rounded
/// once.
fn transformed(kernel: &[f32], [rows, cols]: [&[f64; 3]; 2], start: usize, stride: usize) -> f32 {
    let taps = kernel[start..].iter().step_by(stride);
    let factors = rows.iter().flat_map(|row| cols.iter().map(move |col| row * col));
    taps.zip(factors).map(|(&tap, factor)| f64::from(tap) * factor).sum::<f64>() as f32
}
