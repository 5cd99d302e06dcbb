//! A convolution's kernel as the right factor of its product, wherever its numbers lie.

use std::ops::Range;

use super::ahead::Ahead;
use super::panels::{Panel, each_panel_of, pack_rows, panel_width};
use super::simd::Isa;
use super::transpose::transpose;
use crate::Element;
use crate::geometry::Sampling;

/// Bytes of a column beyond which a kernel is packed in slices instead of panels: as many rows are too many pages to be
/// found quickly, and a wide panel of them would leave a second-level cache.
const TALL_BYTES: usize = 10 << 10;
/// Bytes of a slice: it stays in a second-level cache.
const SLICE_BYTES: usize = 512 << 10;
/// The most numbers of a row in a slice.
const STRETCH: usize = 1024;

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

    /// Packs the columns `columns` of the rows `rows`, which are all if the kernel is turned round, for `isa`.
    pub(super) fn pack(&self, isa: Isa, rows: Range<usize>, columns: Range<usize>, panels: &mut [T]) {
        if let Some(values) = self.in_order() {
            let from = &values[rows.start * self.columns + columns.start..];
            return pack_rows(isa, (from, self.columns), (rows.len(), columns.len()), panels);
        }
        assert_eq!(rows, 0..self.size().0);
        for Panel { first, width } in each_panel_of::<T>(isa, rows.len(), columns.len()) {
            let panel = &mut panels[first * rows.len()..][..rows.len() * width];
            let count = width.min(columns.len() - first);
            let start = columns.start + first;
            self.copy(start..start + count, width, panel);
            if count < width {
                panel.chunks_exact_mut(width).for_each(|row| row[count..].fill(T::zero()));
            }
        }
    }

    /// How many rows and columns to pack at a time: a panel or, of tall kernels, some rows in long stretches, unless they
    /// are transposed.
    pub(super) fn slice(&self, isa: Isa) -> [usize; 2] {
        let (rows, columns) = self.size();
        if self.turned.is_some() || rows * size_of::<T>() <= TALL_BYTES {
            return [rows, panel_width::<T>(isa, rows)];
        }
        let stretch = columns.min(STRETCH);
        [SLICE_BYTES / size_of::<T>() / stretch, stretch]
    }

    /// Where the columns `columns` of the rows `rows` lie, unless they are transposed.
    pub(super) fn ahead(&self, rows: Range<usize>, columns: Range<usize>) -> Option<Ahead<'a, T>> {
        let values = &self.in_order()?[rows.start * self.columns + columns.start..rows.end * self.columns];
        Some(Ahead::rows(values, columns.len(), self.columns))
    }
}
