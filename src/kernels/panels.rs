//! The right factor of a matrix product, packed into *panels* of a few vectors of columns, rows one after the other, so that
//! the innermost loop reads it in one stream.

use std::ops::Range;

use super::ahead::Ahead;
use super::kernel_matrix::KernelMatrix;
use super::simd::{Isa, Kernel, Simd, Vectors, isa};
use super::spare::Buffer;
use super::transpose::transpose;
use crate::Element;

/// Bytes of a panel beyond which it would not stay in a second-level cache of 1 MiB: 2 vectors across do then.
const WIDE_PANEL: usize = 640 << 10;

/// A `k x n` matrix as panels, for the instruction set it was packed for. The last panels are as narrow as is enough for
/// the columns left over, and filled up with zeros.
#[derive(Clone, Debug)]
pub struct PackedMatrix<T: Copy + Default + 'static> {
    isa: Isa,
    pub(super) k: usize,
    pub(super) n: usize,
    panels: Buffer<T>,
}

impl<T: Element> PackedMatrix<T> {
    /// Packs `b`, whose rows are `stride` apart.
    pub(crate) fn new((b, stride): (&[T], usize), k: usize, n: usize) -> Self {
        let isa = isa();
        let mut panels = Buffer::unwritten(panels_len::<T>(isa, k, n));
        pack_rows(isa, (b, stride), (k, n), &mut panels);
        PackedMatrix { isa, k, n, panels }
    }

    /// Packs a kernel.
    pub(super) fn of_kernel(kernel: &KernelMatrix<'_, T>) -> Self {
        let (isa, (k, n)) = (isa(), kernel.size());
        let mut panels = Buffer::unwritten(panels_len::<T>(isa, k, n));
        kernel.pack(isa, 0..k, 0..n, &mut panels);
        PackedMatrix { isa, k, n, panels }
    }

    /// Packs the transpose of `b`, whose rows of `k` follow each other.
    pub(crate) fn transposed(b: &[T], k: usize, n: usize) -> Self {
        let isa = isa();
        let mut panels = Buffer::unwritten(panels_len::<T>(isa, k, n));
        pack_columns(isa, (k, n), &mut panels, |columns, width, panel| {
            transpose((&b[columns.start * k..columns.end * k], k), k, panel, width);
        });
        PackedMatrix { isa, k, n, panels }
    }

    /// Packs the matrix that `read(row, columns, into)` copies out piece by piece.
    pub(crate) fn from_rows(k: usize, n: usize, read: impl Fn(usize, Range<usize>, &mut [T])) -> Self {
        let isa = isa();
        let mut panels = Buffer::unwritten(panels_len::<T>(isa, k, n));
        pack(isa, k, n, read, &mut panels);
        PackedMatrix { isa, k, n, panels }
    }

    /// The matrix as a factor of a [`Block`].
    pub(crate) fn as_panels(&self) -> Panels<'_, T> {
        Panels::whole(self.isa, self.k, &self.panels)
    }
}

/// The columns of a panel of `k` rows.
pub(crate) fn panel_width<T: Element>(isa: Isa, k: usize) -> usize {
    let Vectors { lanes, panel, .. } = T::vectors(isa);
    lanes * across::<T>(panel, lanes, k)
}

/// The length of a `k x n` matrix in panels for `isa`.
pub(crate) fn panels_len<T: Element>(isa: Isa, k: usize, n: usize) -> usize {
    n.next_multiple_of(T::lanes(isa)) * k
}

/// Packs for `isa` what `read(row, columns, into)` copies out piece by piece.
pub(crate) fn pack<T: Element>(
    isa: Isa,
    k: usize,
    n: usize,
    read: impl Fn(usize, Range<usize>, &mut [T]),
    panels: &mut [T],
) {
    pack_columns(isa, (k, n), panels, |columns, width, panel| {
        for (row, values) in panel.chunks_exact_mut(width).enumerate() {
            read(row, columns.clone(), &mut values[..columns.len()]);
        }
    });
}

/// Packs for `isa` what `write(columns, width, panel)` writes to rows of `width`, the columns of a panel at a time. What is
/// left of the rows is filled up with zeros.
pub(super) fn pack_columns<T: Element>(
    isa: Isa,
    (k, n): (usize, usize),
    panels: &mut [T],
    write: impl Fn(Range<usize>, usize, &mut [T]),
) {
    for Panel { first, width } in each_panel_of::<T>(isa, k, n) {
        let columns = first..n.min(first + width);
        let count = columns.len();
        let panel = &mut panels[first * k..][..k * width];
        write(columns, width, panel);
        if count < width {
            panel.chunks_exact_mut(width).for_each(|row| row[count..].fill(T::zero()));
        }
    }
}

/// Packs for `isa` a `k x n` matrix, whose rows are `stride` apart.
pub(crate) fn pack_rows<T: Element>(
    isa: Isa,
    (matrix, stride): (&[T], usize),
    (k, n): (usize, usize),
    panels: &mut [T],
) {
    if k == 0 {
        return;
    }
    pack_columns(isa, (k, n), panels, |columns, width, panel| {
        let (matrix, count) = (&matrix[columns.start..], columns.len());
        T::dispatch(isa, CopyPanel { matrix, stride, count, width, panel });
    });
}

/// Copies `count` numbers of each row to a panel.
struct CopyPanel<'a, T> {
    matrix: &'a [T],
    stride: usize,
    count: usize,
    width: usize,
    panel: &'a mut [T],
}

impl<T: Element> Kernel<T> for CopyPanel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let CopyPanel { matrix, stride, count, width, panel } = self;
        for (row, panel) in panel.chunks_exact_mut(width).enumerate() {
            let from = &matrix[row * stride..][..count];
            if count == width {
                for first in (0..width).step_by(S::LANES) {
                    simd.store(simd.load(&from[first..]), &mut panel[first..]);
                }
            } else {
                panel[..count].copy_from_slice(from);
            }
        }
    }
}

/// The columns of a panel: which is the first, and how many there is room for.
pub(crate) struct Panel {
    pub(crate) first: usize,
    pub(crate) width: usize,
}

/// The panels of a `k x n` matrix packed for `isa`. Each begins `k` times as far in as its first column.
pub(crate) fn each_panel_of<T: Element>(isa: Isa, k: usize, n: usize) -> impl Iterator<Item = Panel> {
    let Vectors { lanes, panel, .. } = T::vectors(isa);
    let most = across::<T>(panel, lanes, k);
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = n.checked_sub(first).filter(|&left| left > 0)?;
        let panel = Panel { first, width: lanes * next_panel(most, left.div_ceil(lanes)) };
        first += panel.width;
        Some(panel)
    })
}

/// The vectors across a panel of `k` rows, where a register tile has room for `most`.
#[inline(always)]
pub(super) fn across<T>(most: usize, lanes: usize, k: usize) -> usize {
    let fits = k.saturating_mul(most * lanes * size_of::<T>()) <= WIDE_PANEL;
    if fits { most } else { most.min(2) }
}

/// The vectors across the next panel, where there are `left` to go: `most`, and in the end 2 and 1.
#[inline(always)]
pub(super) fn next_panel(most: usize, left: usize) -> usize {
    if left >= most { most } else { left.min(2) }
}

/// The rows `rows` of a matrix of `k` rows as panels packed for `isa`. Panels beyond its last are those that will be used
/// next.
#[derive(Clone)]
pub(crate) struct Panels<'a, T> {
    pub(crate) isa: Isa,
    pub(crate) k: usize,
    pub(crate) rows: Range<usize>,
    pub(crate) values: &'a [T],
    /// What will be used next instead.
    pub(super) ahead: Option<Ahead<'a, T>>,
}

impl<'a, T> Panels<'a, T> {
    /// All rows.
    pub(crate) fn whole(isa: Isa, k: usize, values: &'a [T]) -> Self {
        Panels { isa, k, rows: 0..k, values, ahead: None }
    }

    /// The same without the columns before `column`.
    pub(super) fn skip_columns(&self, column: usize) -> Self
    where
        T: Copy,
    {
        Panels { values: &self.values[column * self.k..], ..self.clone() }
    }

    /// The panel of `width` columns from `first` on, and what follows it; of both, from the first row that is used on.
    #[inline(always)]
    pub(super) fn panel(&self, first: usize, width: usize) -> (&'a [T], &'a [T]) {
        let (panel, next) = self.values[first * self.k..].split_at(self.k * width);
        let start = self.rows.start * width;
        (&panel[start..self.rows.end * width], next.get(start..).unwrap_or_default())
    }

    /// Whether these are all rows, and what follows is used next.
    pub(super) fn is_whole(&self) -> bool {
        self.rows.len() == self.k && self.ahead.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_wide_and_the_last_ones_just_enough() {
        for (most, vectors, want) in
            [(4, 11, &[4, 4, 2, 1][..]), (4, 4, &[4]), (2, 3, &[2, 1]), (1, 2, &[1, 1])]
        {
            let mut left = vectors;
            for &want in want {
                assert_eq!(next_panel(most, left), want, "{left} of {vectors}");
                left -= want;
            }
            assert_eq!(left, 0);
        }
        // 3x3 over 256 channels with 64 columns of `f32`, and over 512.
        assert_eq!([2304, 4608, usize::MAX].map(|k| across::<f32>(4, 16, k)), [4, 2, 2]);
        assert_eq!([4608, usize::MAX].map(|k| across::<f32>(2, 8, k)), [2, 2]);
    }
}
