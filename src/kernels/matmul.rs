//! Matrix products: the inner loops of convolution and of dense layers.
//!
//! The right factor is packed once into *panels* of a few vectors of columns, rows one after the other, so that the
//! innermost loop reads it in one stream; the left factor is read in place. A tile of some rows times one panel stays in
//! registers through the whole reduction and is written once.
//!
//! | registers | tile: rows x vectors | sums |
//! |---|---|---|
//! | 32 (AVX-512, NEON) | 6 x 4 | 24 |
//! | 16 (AVX2, SIMD128) | 6 x 2 | 12 |
//! | either, for the last columns | 6 x 2, 12 x 1 | 12 |

use std::ops::Range;

use super::disjoint::Rows;
use super::kept::with_kept;
use super::pieces::{each_chunk, even_pieces};
use super::simd::{Isa, Kernel, MAX_LANES, Simd, Vectors, isa};
use super::sum;
use crate::Element;

/// Rows of a register tile. Fewer than a first-level cache has ways, so that rows a multiple of a page apart do not
/// evict each other.
pub(crate) const MR: usize = 6;
/// Rows of a register tile where a panel is one vector wide.
const NARROW_MR: usize = 2 * MR;
/// Bytes of a panel beyond which it would not stay in a second-level cache of 1 MiB: 2 vectors across do then.
const WIDE_PANEL: usize = 640 << 10;
/// Bytes of a panel from which on asking for the next one pays: less, the processor foresees by itself.
const LARGE_PANEL: usize = 32 << 10;
/// The longest run for which that is done between runs: more lines at once would hold up everything else.
const SHORT_RUN: usize = 64;
/// Rows of a block that one task computes: its left factor stays in the second-level cache over all panels.
const BLOCK_ROWS: usize = 16 * MR;
/// Multiplications below which waking another thread costs more than it saves.
pub(crate) const PARALLEL_WORK: usize = 1 << 17;

/// How many threads to share so many multiplications among: those of the current pool, or one.
pub(crate) fn threads(multiplications: usize) -> usize {
    if multiplications < PARALLEL_WORK { 1 } else { rayon::current_num_threads() }
}

/// A `k x n` matrix as panels, for the instruction set it was packed for. The last panels are as narrow as is enough for
/// the columns left over, and filled up with zeros.
#[derive(Clone, Debug)]
pub struct PackedMatrix<T> {
    isa: Isa,
    k: usize,
    n: usize,
    panels: Vec<T>,
}

impl<T: Element> PackedMatrix<T> {
    /// Packs `b`, whose rows of `n` follow each other.
    pub(crate) fn new(b: &[T], k: usize, n: usize) -> Self {
        Self::from_rows(k, n, |row, columns, panel| panel.copy_from_slice(&b[row * n..][columns]))
    }

    /// Packs the transpose of `b`, whose rows of `k` follow each other.
    pub(crate) fn transposed(b: &[T], k: usize, n: usize) -> Self {
        Self::from_rows(k, n, |row, columns, panel| {
            for (value, column) in panel.iter_mut().zip(columns) {
                *value = b[column * k + row];
            }
        })
    }

    /// Packs the matrix that `read(row, columns, into)` copies out piece by piece, over zeros.
    pub(crate) fn from_rows(k: usize, n: usize, read: impl Fn(usize, Range<usize>, &mut [T])) -> Self {
        let isa = isa();
        let mut panels = vec![T::zero(); panels_len::<T>(isa, k, n)];
        pack(isa, k, n, read, &mut panels);
        PackedMatrix { isa, k, n, panels }
    }

    /// The matrix as a factor of a [`Block`].
    pub(crate) fn as_panels(&self) -> Panels<'_, T> {
        Panels { isa: self.isa, k: self.k, values: &self.panels }
    }

    /// The columns of a panel.
    pub(crate) fn panel_width(&self) -> usize {
        let Vectors { lanes, panel, .. } = T::vectors(self.isa);
        lanes * across::<T>(panel, lanes, self.k)
    }
}

/// The length of a `k x n` matrix in panels for `isa`.
pub(crate) fn panels_len<T: Element>(isa: Isa, k: usize, n: usize) -> usize {
    n.next_multiple_of(T::lanes(isa)) * k
}

/// Packs for `isa` what `read(row, columns, into)` copies out piece by piece, over the zeros of `panels`.
pub(crate) fn pack<T: Element>(
    isa: Isa,
    k: usize,
    n: usize,
    read: impl Fn(usize, Range<usize>, &mut [T]),
    panels: &mut [T],
) {
    let Vectors { lanes, panel, .. } = T::vectors(isa);
    let most = across::<T>(panel, lanes, k);
    let mut first = 0;
    while first < n {
        let width = lanes * next_panel(most, (n - first).div_ceil(lanes));
        let columns = first..n.min(first + width);
        let panel = &mut panels[first * k..][..k * width];
        for (row, values) in panel.chunks_exact_mut(width).enumerate() {
            read(row, columns.clone(), &mut values[..columns.len()]);
        }
        first += width;
    }
}

/// The vectors across a panel of `k` rows, where a register tile has room for `most`.
#[inline(always)]
fn across<T>(most: usize, lanes: usize, k: usize) -> usize {
    let fits = k.saturating_mul(most * lanes * size_of::<T>()) <= WIDE_PANEL;
    if fits { most } else { most.min(2) }
}

/// The vectors across the next panel, where there are `left` to go: `most`, and in the end 2 and 1.
#[inline(always)]
fn next_panel(most: usize, left: usize) -> usize {
    if left >= most { most } else { left.min(2) }
}

/// A matrix of `k` rows as panels packed for `isa`. Panels beyond its last are those that will be used next.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a, T> {
    pub(crate) isa: Isa,
    pub(crate) k: usize,
    pub(crate) values: &'a [T],
}

/// The left factor of a product, read in place.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a, T> {
    /// Each row is a chain of runs, which lie at the same distances from the start of every row.
    Runs { values: &'a [T], rows: &'a [Row], runs: Runs },
    /// The transpose of what lies in memory, in lines of `stride` numbers: row `i` is number `first + i` of each.
    Columns { values: &'a [T], stride: usize, first: usize },
}

/// Where the numbers of a row lie, from its start on: in `lines` lines, `line_pitch` apart, of `in_line` runs, `pitch`
/// apart, of `length` numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) lines: usize,
    pub(crate) line_pitch: usize,
    pub(crate) in_line: usize,
    pub(crate) pitch: usize,
    pub(crate) length: usize,
}

impl Runs {
    /// One run.
    pub(crate) fn one(length: usize) -> Self {
        Runs { lines: 1, line_pitch: 0, in_line: 1, pitch: 0, length }
    }

    /// From the start of a row to the end of its last run.
    fn reach(&self) -> usize {
        match (self.lines.checked_sub(1), self.in_line.checked_sub(1)) {
            (Some(line), Some(run)) => line * self.line_pitch + run * self.pitch + self.length,
            _ => 0,
        }
    }
}

/// Where a row of [`Left::Runs`] starts, and which of its lines may be other than zero.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) start: usize,
    pub(crate) live: Range<usize>,
}

impl Row {
    /// `count` rows of one line, `stride` apart, in place of what `rows` held.
    pub(crate) fn dense(rows: &mut Vec<Row>, count: usize, stride: usize) {
        rows.clear();
        rows.extend((0..count).map(|row| Row { start: row * stride, live: 0..1 }));
    }
}

/// What becomes of a finished tile.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a, T> {
    /// The output is overwritten with the product, and the bias of each column added.
    Store(Option<&'a [T]>),
    /// The product is added to the output.
    Add,
}

/// A product on one thread: the columns `columns` of `left * right`, whole panels of it, into the rows `out` from
/// their number `place` on.
pub(crate) struct Block<'a, 'b, T> {
    pub(crate) left: Left<'a, T>,
    pub(crate) right: Panels<'a, T>,
    pub(crate) columns: Range<usize>,
    pub(crate) out: &'a mut Rows<'b, T>,
    pub(crate) place: usize,
    pub(crate) finish: Finish<'a, T>,
}

impl<T: Element> Block<'_, '_, T> {
    /// Computes it on the instruction set that `right` was packed for.
    pub(crate) fn compute(self) {
        T::dispatch(self.right.isa, self);
    }
}

impl<T: Element> Kernel<T> for Block<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let most = across::<T>(S::PANEL, S::LANES, self.right.k);
        let mut columns = self.columns.start..self.columns.start;
        while columns.end < self.columns.end {
            let vectors = next_panel(most, (self.columns.end - columns.end).div_ceil(S::LANES));
            columns = columns.end..self.columns.end.min(columns.end + vectors * S::LANES);
            match vectors {
                // Only where there are so many registers are these tiles compiled.
                4 if const { S::PANEL == 4 } => {
                    simd.enter(OnePanel::<T, 4> { block: &mut self, columns: columns.clone() })
                }
                2 => simd.enter(OnePanel::<T, 2> { block: &mut self, columns: columns.clone() }),
                _ => simd.enter(OnePanel::<T, 1> { block: &mut self, columns: columns.clone() }),
            }
        }
    }
}

/// A panel for a register tile: its columns, what their sums start from, and the right factor.
struct Panel<'a, T> {
    columns: Range<usize>,
    start: &'a [T],
    values: &'a [T],
}

/// All rows times one panel of `V` vectors: a function of its own, in which the compiler finds registers for all sums.
struct OnePanel<'k, 'a, 'b, T, const V: usize> {
    block: &'k mut Block<'a, 'b, T>,
    columns: Range<usize>,
}

/// Multiplies all rows with a panel of so many vectors in tiles of almost the same size: one of the listed numbers of
/// rows.
macro_rules! one_panel {
    ($vectors:literal, $most:ident, $($rows:literal)*) => {
        impl<T: Element> Kernel<T> for OnePanel<'_, '_, '_, T, $vectors> {
            type Output = ();

            #[inline(always)]
            fn run<S: Simd<T>>(self, simd: S) {
                let OnePanel { block, columns } = self;
                let mut room = [[T::zero(); MAX_LANES]; $vectors];
                let panel = block.panel::<S>(columns, &mut room.as_flattened_mut()[..$vectors * S::LANES]);
                for (row, size) in even_pieces(0..block.out.len(), $most) {
                    match size {
                        $($rows => block.tile::<S, $rows, $vectors>(simd, row, &panel),)*
                        _ => {}
                    }
                }
            }
        }
    };
}
one_panel!(4, MR, 1 2 3 4 5 6);
one_panel!(2, MR, 1 2 3 4 5 6);
one_panel!(1, NARROW_MR, 1 2 3 4 5 6 7 8 9 10 11 12);

impl<'a, T: Element> Block<'a, '_, T> {
    /// The panel of these columns; `room` is for a start that does not lie in memory as it is. All tiles read it from there:
    /// if they could keep it in registers, sums would have to make room.
    #[inline(always)]
    fn panel<'p, S: Simd<T>>(&self, columns: Range<usize>, room: &'p mut [T]) -> Panel<'p, T>
    where
        'a: 'p,
    {
        let start = match self.finish {
            Finish::Store(Some(bias)) if columns.len() == room.len() => &bias[columns.clone()],
            Finish::Store(Some(bias)) => {
                room[..columns.len()].copy_from_slice(&bias[columns.clone()]);
                room
            }
            Finish::Store(None) | Finish::Add => room,
        };
        Panel { start, values: &self.right.values[columns.start * self.right.k..], columns }
    }

    /// `M` rows from `row` on, times one panel.
    #[inline(always)]
    fn tile<S: Simd<T>, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        panel: &Panel<'_, T>,
    ) {
        let Panel { columns, start, values: panel } = panel;
        let place = self.place + columns.start - self.columns.start;
        for i in 0..M {
            simd.prefetch(&mut self.out.row(row + i)[place..]);
        }
        // The first tile of a large panel brings the next panel near.
        let size = self.right.k * V * S::LANES;
        let large = size * size_of::<T>() >= LARGE_PANEL;
        let ahead = if row == 0 && large { panel.get(size..2 * size) } else { None };
        let mut sums = [[simd.splat(T::zero()); V]; M];
        for v in 0..V {
            let start = simd.load(&start[v * S::LANES..]);
            for sums in &mut sums {
                sums[v] = start;
            }
        }
        match self.left {
            Left::Runs { values, rows, runs } => {
                let rows = &rows[row..][..M];
                let first = rows.iter().map(|row| row.live.start).min().unwrap_or_default();
                let end = rows.iter().map(|row| row.live.end).max().unwrap_or_default();
                // Slices of one length, so that one check a run does for all of them.
                let reach = runs.reach();
                let mut patches: [&[T]; M] = [&[]; M];
                for i in 0..M {
                    patches[i] = &values[rows[i].start..][..reach];
                }
                let Runs { in_line, length, .. } = runs;
                let width = length * V * S::LANES;
                for line in first..end {
                    for run in 0..in_line {
                        let offset = line * runs.line_pitch + run * runs.pitch;
                        let mut left = patches;
                        for row in &mut left {
                            *row = &row[offset..][..length];
                        }
                        let part = (line * in_line + run) * width..(line * in_line + run + 1) * width;
                        if let Some(ahead) = ahead.filter(|_| length <= SHORT_RUN) {
                            simd.prefetch_read(&ahead[part.clone()]);
                        }
                        let panel = panel[part].chunks_exact(V * S::LANES).enumerate();
                        accumulate(simd, panel, &mut sums, |step, i| left[i][step]);
                    }
                }
            }
            Left::Columns { values, stride, first } => {
                let panel = values.chunks_exact(stride).zip(panel[..size].chunks_exact(V * S::LANES));
                accumulate(simd, panel, &mut sums, |line, i| line[first + row..][..M][i]);
            }
        }
        if columns.len() == V * S::LANES && matches!(self.finish, Finish::Store(_)) {
            for (i, sums) in sums.iter().enumerate() {
                let out = &mut self.out.row(row + i)[place..][..V * S::LANES];
                for (v, &sum) in sums.iter().enumerate() {
                    simd.store(sum, &mut out[v * S::LANES..]);
                }
            }
        } else {
            let mut tile = [[[T::zero(); MAX_LANES]; V]; M];
            for i in 0..M {
                for v in 0..V {
                    simd.store(sums[i][v], &mut tile[i][v]);
                }
            }
            for (i, sums) in tile.iter().enumerate() {
                let out = &mut self.out.row(row + i)[place..][..columns.len()];
                for (out, sums) in out.chunks_mut(S::LANES).zip(sums) {
                    self.finish.store(&sums[..out.len()], out);
                }
            }
        }
    }
}

impl<T: Element> Finish<'_, T> {
    /// Stores a part of a finished row.
    fn store(&self, sums: &[T], out: &mut [T]) {
        match self {
            Finish::Store(_) => out.copy_from_slice(sums),
            Finish::Add => sum::add(out, sums),
        }
    }
}

/// Adds up `at(left, row) * panel row` over the rows of the panel. Loops by index: what is not inlined is not compiled for
/// the instruction set, and the adaptors of arrays are not always.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn accumulate<'a, T: Element, S: Simd<T>, L: Copy, const M: usize, const V: usize>(
    simd: S,
    panel: impl Iterator<Item = (L, &'a [T])>,
    sums: &mut [[S::V; V]; M],
    at: impl Fn(L, usize) -> T,
) {
    for (left, panel) in panel {
        let mut right = [simd.splat(T::zero()); V];
        for v in 0..V {
            right[v] = simd.load(&panel[v * S::LANES..]);
        }
        for i in 0..M {
            let x = simd.splat(at(left, i));
            for v in 0..V {
                sums[i][v] = simd.mul_add(x, right[v], sums[i][v]);
            }
        }
    }
}

/// `out = a * b + bias`, for `a` of `m x k` and `out` of `m x n`, both without gaps between rows.
pub(crate) fn product<T: Element>(a: &[T], b: &PackedMatrix<T>, bias: Option<&[T]>, out: &mut [T]) {
    with_kept(|rows| {
        Row::dense(rows, BLOCK_ROWS, b.k);
        let left = |first| Left::Runs { values: &a[first * b.k..], rows, runs: Runs::one(b.k) };
        each_block(b, out, Finish::Store(bias), left);
    });
}

/// `out = transpose(a) * b`, for `a` of `p x m`, `b` of `p x n` and `out` of `m x n`, all without gaps.
pub(crate) fn transposed_product<T: Element>(a: &[T], b: &[T], (m, n): (usize, usize), out: &mut [T]) {
    if m == 0 {
        return;
    }
    let b = PackedMatrix::new(b, a.len() / m, n);
    let left = |first| Left::Columns { values: a, stride: m, first };
    each_block(&b, out, Finish::Store(None), left);
}

/// The product of `left(first row)` and `b` for every block of rows of `out`.
fn each_block<'a, T: Element>(
    b: &PackedMatrix<T>,
    out: &mut [T],
    finish: Finish<'_, T>,
    left: impl Fn(usize) -> Left<'a, T> + Sync,
) {
    let n = b.n;
    if n == 0 {
        return;
    }
    each_chunk(threads(out.len() * b.k) > 1, out, BLOCK_ROWS * n, |index, out| {
        let (left, right, out) = (left(index * BLOCK_ROWS), b.as_panels(), &mut Rows::new(out, n));
        Block { left, right, columns: 0..n, out, place: 0, finish }.compute();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 37 + salt * 11) % 17) as f32 - 8.0).collect()
    }

    fn naive(a: &[f32], b: &[f32], bias: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<f32> {
        let at = |i: usize, j: usize| bias[j] + (0..k).map(|s| a[i * k + s] * b[s * n + j]).sum::<f32>();
        (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| at(i, j)).collect()
    }

    fn transpose(a: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        (0..cols).flat_map(|j| (0..rows).map(move |i| a[i * cols + j])).collect()
    }

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

    proptest! {
        #[test]
        fn products_of_whole_numbers_are_exact(m in 0_usize..110, k in 0_usize..20, n in 1_usize..140) {
            let (a, b, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let want = naive(&a, &b, &bias, (m, k, n));
            let mut out = vec![f32::NAN; m * n];
            product(&a, &PackedMatrix::new(&b, k, n), Some(&bias), &mut out);
            prop_assert_eq!(&out, &want);

            out.fill(f32::NAN);
            product(&a, &PackedMatrix::transposed(&transpose(&b, k, n), k, n), Some(&bias), &mut out);
            prop_assert_eq!(&out, &want);

            let want = naive(&a, &b, &vec![0.0; n], (m, k, n));
            out.fill(f32::NAN);
            transposed_product(&transpose(&a, m, k), &b, (m, n), &mut out);
            prop_assert_eq!(&out, &want);
        }

        #[test]
        fn a_block_adds_to_what_is_there(rows in 1_usize..14, k in 1_usize..9, n in 1_usize..80) {
            let (a, b) = (numbers(rows * k, 1), numbers(k * n, 2));
            let mut out = numbers(rows * n, 3);
            let product = naive(&a, &b, &vec![0.0; n], (rows, k, n));
            let want: Vec<f32> = out.iter().zip(product).map(|(x, y)| x + y).collect();
            let mut starts = Vec::new();
            Row::dense(&mut starts, rows, k);
            let left = Left::Runs { values: &a, rows: &starts, runs: Runs::one(k) };
            let right = PackedMatrix::new(&b, k, n);
            let lines = &mut Rows::new(&mut out, n);
            Block { left, right: right.as_panels(), columns: 0..n, out: lines, place: 0, finish: Finish::Add }.compute();
            prop_assert_eq!(out, want);
        }
    }
}
