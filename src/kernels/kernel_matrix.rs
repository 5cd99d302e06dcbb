//! A convolution's kernel as the right factor of its product, wherever its numbers lie.

use std::ops::Range;

use super::panels::{Panel, each_panel_of};
use super::simd::Isa;
use super::transpose::transpose;
use crate::Element;
use crate::geometry::Sampling;

/// A kernel of one group as a matrix: a row for each tap and channel, a column for each filter.
#[derive(Clone, Copy)]
pub(super) struct KernelMatrix<'a, T> {
    values: &'a [T],
    /// Columns of the kernel, and channels and filters, as they lie in memory.
    shape: [usize; 3],
    /// On the way back outputs become inputs: filters are the matrix' channels, and taps come as these see them.
    turned: Option<[Sampling; 2]>,
    /// Taps, and rows of each, and columns.
    taps: usize,
    depth: usize,
    columns: usize,
}

impl<'a, T: Element> KernelMatrix<'a, T> {
    /// The matrix of a kernel `[kh, kw, channels, filters]`.
    pub(super) fn new(values: &'a [T], [kh, kw, channels, filters]: [usize; 4]) -> Self {
        let shape = [kw, channels, filters];
        KernelMatrix { values, shape, turned: None, taps: kh * kw, depth: channels, columns: filters }
    }

    /// That of the way back through these taps.
    pub(super) fn turned(
        values: &'a [T],
        [_, kw, channels, filters]: [usize; 4],
        rows: Sampling,
        cols: Sampling,
    ) -> Self {
        let taps = rows.taps * cols.taps;
        let (shape, turned) = ([kw, channels, filters], Some([rows, cols]));
        KernelMatrix { values, shape, turned, taps, depth: filters, columns: channels }
    }

    /// Its rows and columns.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.taps * self.depth, self.columns)
    }

    /// The numbers as they lie in memory, if that is row by row.
    pub(super) fn in_order(&self) -> Option<&'a [T]> {
        self.turned.is_none().then_some(self.values)
    }

    /// Writes some columns to rows that are `stride` apart.
    pub(super) fn copy(&self, columns: Range<usize>, stride: usize, out: &mut [T]) {
        let [kw, channels, filters] = self.shape;
        let count = columns.len();
        for (index, out) in out.chunks_mut(self.depth * stride).take(self.taps).enumerate() {
            let Some([rows, cols]) = &self.turned else {
                let from = &self.values[index * channels * filters + columns.start..];
                for (from, out) in from.chunks(filters).zip(out.chunks_mut(stride)) {
                    out[..count].copy_from_slice(&from[..count]);
                }
                continue;
            };
            let start = |index: usize, column: usize| {
                let tap = rows.kernel_index(index / cols.taps) * kw + cols.kernel_index(index % cols.taps);
                (tap * channels + column) * filters
            };
            let from = &self.values[start(index, columns.start)..][..count * filters];
            // The same columns of the next tap, and after the last, the next columns of the first.
            let next =
                if index + 1 < self.taps { start(index + 1, columns.start) } else { start(0, columns.end) };
            let ahead = self.values.get(next..).unwrap_or_default();
            transpose(from, filters, out, stride, &ahead[..ahead.len().min(from.len())]);
        }
    }

    /// Writes panels for `isa`.
    pub(super) fn pack(&self, isa: Isa, panels: &mut [T]) {
        let (k, n) = self.size();
        for panel in each_panel_of::<T>(isa, k, n) {
            self.pack_panel(&panel, &mut panels[panel.first * k..][..k * panel.width]);
        }
    }

    /// Writes one panel.
    pub(super) fn pack_panel(&self, &Panel { first, width }: &Panel, out: &mut [T]) {
        let count = width.min(self.columns - first);
        self.copy(first..first + count, width, out);
        if count < width {
            out.chunks_exact_mut(width).for_each(|row| row[count..].fill(T::zero()));
        }
    }
}
