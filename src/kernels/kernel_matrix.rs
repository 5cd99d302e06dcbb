//! A convolution's kernel as the right factor of its product, wherever its numbers lie.

use std::ops::Range;

use super::ahead::Ahead;
use super::matmul::Source;
use super::panels::{pack_columns, pack_rows, panel_width};
use super::simd::Isa;
use super::transpose::transpose;
use crate::Element;
use crate::geometry::Sampling;

/// Bytes of a column beyond which a kernel is packed in slices instead of panels: as many rows are too many pages to be
/// found quickly, and a wide panel of them would leave a second-level cache.
const TALL_BYTES: usize = 10 << 10;
/// Bytes of a slice: it stays in a second-level cache, beside what it is packed from and what comes next.
const SLICE_BYTES: usize = 256 << 10;
/// Bytes of a tap's columns in memory below which a kernel turned round is not cut into its taps: sums would be as short.
const TAP_BYTES: usize = 1 << 10;
/// The most numbers of a row in a slice. With more it would have fewer rows, and sums would be added to the output more
/// often.
const STRETCH: usize = 256;

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
            KernelMatrix::Turned(turned) => (turned.taps() * turned.shape[2], turned.shape[1]),
        }
    }

    /// Packs the columns `columns` of the rows `rows`, for `isa`; of a kernel turned round, the rows of whole taps.
    pub(super) fn pack(&self, isa: Isa, rows: Range<usize>, columns: Range<usize>, panels: &mut [T]) {
        match self {
            KernelMatrix::InOrder { values, columns: stride } => {
                let from = &values[rows.start * stride + columns.start..];
                pack_rows(isa, (from, *stride), (rows.len(), columns.len()), panels);
            }
            KernelMatrix::Turned(turned) => turned.pack(isa, rows, columns, panels),
        }
    }

    /// These rows as they lie in memory, from the column `column` on; of a kernel turned round, they do not lie there.
    pub(super) fn source(&self, rows: Range<usize>, column: usize) -> Option<Source<'a, T>> {
        match *self {
            KernelMatrix::InOrder { values, columns: stride } => {
                Some(Source { values: &values[rows.start * stride..rows.end * stride], stride, column })
            }
            KernelMatrix::Turned(_) => None,
        }
    }

    /// How many rows and columns to pack at a time: a panel or, of tall kernels, some rows in long stretches. Of a kernel
    /// turned round, these are all rows of a tap, and at least a panel of columns.
    pub(super) fn slice(&self, isa: Isa) -> [usize; 2] {
        let (rows, columns) = self.size();
        let numbers = SLICE_BYTES / size_of::<T>();
        let tall = rows * size_of::<T>() > TALL_BYTES;
        match *self {
            KernelMatrix::InOrder { .. } if tall => {
                let stretch = columns.min(STRETCH);
                [numbers / stretch.next_multiple_of(T::lanes(isa)), stretch]
            }
            KernelMatrix::Turned(Turned { shape: [_, _, filters], .. })
                if tall && filters * size_of::<T>() >= TAP_BYTES =>
            {
                let panel = panel_width::<T>(isa, filters);
                [filters, (numbers / filters / panel).max(1) * panel]
            }
            _ => [rows, panel_width::<T>(isa, rows)],
        }
    }

    /// Where the columns `columns` of some rows lie; of a kernel turned round, rows of one tap.
    pub(super) fn ahead(&self, rows: Range<usize>, columns: Range<usize>) -> Ahead<'a, T> {
        match *self {
            KernelMatrix::InOrder { values, columns: stride } => {
                let values = &values[rows.start * stride + columns.start..rows.end * stride];
                Ahead::rows(values, columns.len(), stride)
            }
            KernelMatrix::Turned(turned) => {
                let (values, pitch) = turned.transposed(rows.start, columns);
                Ahead::rows(values, rows.len(), pitch)
            }
        }
    }
}

impl<'a, T: Element> Turned<'a, T> {
    /// How many taps there are.
    fn taps(&self) -> usize {
        self.rows.taps * self.cols.taps
    }

    /// The columns `columns` of the rows from `first` to the end of its tap, as they lie in memory: transposed, and so far
    /// apart.
    fn transposed(&self, first: usize, columns: Range<usize>) -> (&'a [T], usize) {
        let Turned { values, shape: [kw, channels, filters], rows, cols } = self;
        let index = first / filters;
        let tap = rows.kernel_index(index / cols.taps) * kw + cols.kernel_index(index % cols.taps);
        let tap = &values[tap * channels * filters..];
        (&tap[columns.start * filters + first % filters..columns.end * filters], *filters)
    }

    /// Writes some columns of these rows, which are of one tap, to rows that are `stride` apart.
    pub(super) fn copy(&self, rows: Range<usize>, columns: Range<usize>, stride: usize, out: &mut [T]) {
        transpose(self.transposed(rows.start, columns), rows.len(), out, stride);
    }

    /// Packs the columns `columns` of some rows for `isa`.
    fn pack(&self, isa: Isa, rows: Range<usize>, columns: Range<usize>, panels: &mut [T]) {
        let filters = self.shape[2];
        assert_eq!((rows.start % filters, rows.len() % filters), (0, 0), "rows of whole taps");
        pack_columns(isa, (rows.len(), columns.len()), panels, |piece, width, panel| {
            let columns = columns.start + piece.start..columns.start + piece.end;
            for (first, panel) in rows.clone().step_by(filters).zip(panel.chunks_mut(filters * width)) {
                self.copy(first..first + filters, columns.clone(), width, panel);
            }
        });
    }
}
