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
pub(super) enum KernelMatrix<'a, T> {
    /// Row by row, as it lies in memory.
    InOrder { values: &'a [T], columns: usize },
    /// For the way back.
    Turned(Turned<'a, T>),
}

/// The matrix of the way back, where outputs become inputs: the kernel's filters are its channels, and taps come as these
/// see them.
#[derive(Clone, Copy)]
pub(super) struct Turned<'a, T> {
    values: &'a [T],
    /// Columns of the kernel, and channels and filters, as they lie in memory.
    shape: [usize; 3],
    rows: Sampling,
    cols: Sampling,
}

impl<'a, T: Element> KernelMatrix<'a, T> {
    /// The matrix of a kernel `[kh, kw, channels, filters]`.
    pub(super) fn new(values: &'a [T], filters: usize) -> Self {
        KernelMatrix::InOrder { values, columns: filters }
    }

    /// That of the way back through these taps.
    pub(super) fn turned(
        values: &'a [T],
        [_, kw, channels, filters]: [usize; 4],
        rows: Sampling,
        cols: Sampling,
    ) -> Self {
        KernelMatrix::Turned(Turned { values, shape: [kw, channels, filters], rows, cols })
    }

    /// Its rows and columns.
    pub(super) fn size(&self) -> (usize, usize) {
        match self {
            KernelMatrix::InOrder { values, columns } => (values.len() / columns, *columns),
            KernelMatrix::Turned(Turned { shape: [_, channels, filters], rows, cols, .. }) => {
                (rows.taps * cols.taps * filters, *channels)
            }
        }
    }

    /// Packs the columns `columns` of the rows `rows`, which are all if the kernel is turned round, for `isa`.
    pub(super) fn pack(&self, isa: Isa, rows: Range<usize>, columns: Range<usize>, panels: &mut [T]) {
        match self {
            KernelMatrix::InOrder { values, columns: stride } => {
                let from = &values[rows.start * stride + columns.start..];
                pack_rows(isa, (from, *stride), (rows.len(), columns.len()), panels);
            }
            KernelMatrix::Turned(turned) => {
                assert_eq!(rows, 0..self.size().0);
                turned.pack(isa, rows.len(), columns, panels);
            }
        }
    }

    /// How many rows and columns to pack at a time: a panel or, of tall kernels, some rows in long stretches, unless they
    /// are transposed.
    pub(super) fn slice(&self, isa: Isa) -> [usize; 2] {
        let (rows, columns) = self.size();
        match self {
            KernelMatrix::InOrder { .. } if rows * size_of::<T>() > TALL_BYTES => {
                let stretch = columns.min(STRETCH);
                [SLICE_BYTES / size_of::<T>() / stretch, stretch]
            }
            _ => [rows, panel_width::<T>(isa, rows)],
        }
    }

    /// Where the columns `columns` of the rows `rows` lie, unless they are transposed.
    pub(super) fn ahead(&self, rows: Range<usize>, columns: Range<usize>) -> Option<Ahead<'a, T>> {
        match *self {
            KernelMatrix::InOrder { values, columns: stride } => {
                let values = &values[rows.start * stride + columns.start..rows.end * stride];
                Some(Ahead::rows(values, columns.len(), stride))
            }
            KernelMatrix::Turned(_) => None,
        }
    }
}

impl<T: Element> Turned<'_, T> {
    /// Writes some columns to rows that are `stride` apart.
    pub(super) fn copy(&self, columns: Range<usize>, stride: usize, out: &mut [T]) {
        let Turned { values, shape: [kw, channels, filters], rows, cols } = self;
        let taps = rows.taps * cols.taps;
        let start = |index: usize, column: usize| {
            let tap = rows.kernel_index(index / cols.taps) * kw + cols.kernel_index(index % cols.taps);
            (tap * channels + column) * filters
        };
        for (index, out) in out.chunks_mut(filters * stride).take(taps).enumerate() {
            let from = &values[start(index, columns.start)..][..columns.len() * filters];
            // The same columns of the next tap, and after the last, the next columns of the first.
            let next = if index + 1 < taps { start(index + 1, columns.start) } else { start(0, columns.end) };
            let ahead = values.get(next..).unwrap_or_default();
            transpose(from, *filters, out, stride, &ahead[..ahead.len().min(from.len())]);
        }
    }

    /// Packs the columns `columns` of all rows, so many, for `isa`.
    fn pack(&self, isa: Isa, rows: usize, columns: Range<usize>, panels: &mut [T]) {
        for Panel { first, width } in each_panel_of::<T>(isa, rows, columns.len()) {
            let panel = &mut panels[first * rows..][..rows * width];
            let count = width.min(columns.len() - first);
            let start = columns.start + first;
            self.copy(start..start + count, width, panel);
            if count < width {
                panel.chunks_exact_mut(width).for_each(|row| row[count..].fill(T::zero()));
            }
        }
    }
}
