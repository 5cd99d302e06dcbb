//! Pooling forward, in vectors over the channels: the rows that a window sees are joined first, then their columns.
//! Rows are joined once for all the windows in a row of outputs: narrow windows keep the columns that they share with
//! the next, for all others a whole row is joined in a buffer. Memory is read in as few runs as a window has rows. Only
//! where windows see whole lines, as those of global pooling do, the columns of each row are joined first.

use std::ops::Range;

use crate::kernels::aligned::room;
use crate::kernels::kept::with_kept;
use crate::kernels::pieces::{each_chunk, even_pieces};
use crate::kernels::simd::{Grid, Isa, Kernel, MAX_LANES, Simd};
use crate::kernels::threads::threads;
use crate::{Element, Geometry2d};

use super::{Rows, TASK_WORK};

/// How what a window sees becomes one number.
pub(super) trait Reduction<T: Element>: Copy + Sync {
    /// The reduction to use instead where [`watch`](Self::watch) has come to NaN.
    type Exact: Reduction<T>;

    /// Joins `b` to `a`, which comes earlier.
    fn join<S: Simd<T>>(self, simd: S, a: S::V, b: S::V) -> S::V;

    /// Adds `x`, which is about to be joined, to what was watched before; nothing is watched unless this is overridden.
    #[inline(always)]
    fn watch<S: Simd<T>>(self, _simd: S, watched: S::V, _x: S::V) -> S::V {
        watched
    }

    /// What to divide the whole by, if at all, at a row and a column of outputs.
    #[inline(always)]
    fn divisor(self, _geometry: &Geometry2d, _row: usize, _col: usize) -> Option<T> {
        None
    }

    /// See [`Exact`](Self::Exact).
    fn exact(self) -> Self::Exact;
}

/// What each window of `geometry` sees of `input`, reduced. Writes all of `out`.
pub(super) fn reduce<T: Element>(
    isa: Isa,
    input: &[T],
    geometry: &Geometry2d,
    reduction: impl Reduction<T>,
    out: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    let Rows { line, reads, .. } = Rows::of_output(geometry);
    let rows = out.len() / line;
    let threads = threads(out.len().saturating_mul(reads).saturating_mul(READ_WORK));
    let most = if threads == 1 { rows } else { rows.div_ceil(4 * threads) };
    let task_rows = most.max(TASK_WORK / line.saturating_mul(reads)).max(1);
    each_chunk(threads > 1, out, task_rows * line, |task, out| {
        with_kept(|Buffer(buffer): &mut Buffer<T>| {
            let first = task * task_rows;
            let task = Task { input, geometry, reduction, first, out: &mut *out, buffer: &mut *buffer };
            if !T::dispatch(isa, task) {
                let reduction = reduction.exact();
                T::dispatch(isa, Task { input, geometry, reduction, first, out, buffer });
            }
        });
    });
}

/// What an element of a window costs, in multiplications.
const READ_WORK: usize = 2;
/// The most rows that are joined at a time. If they lie a multiple of 4096 bytes apart, lines of no more than 8 fit in
/// the first-level cache together.
const ROWS: usize = 4;

/// Vectors of channels that are joined at a time where windows see whole lines: of 32 registers half, of 16 half, or few. The
/// longer the runs in which memory is read, the better.
const MOST: usize = 16;
const MANY: usize = 8;
const FEW: usize = 2;
/// How many positions ahead of its use memory is asked for there.
const AHEAD: usize = 2;

/// A row of the input whose rows are joined.
struct Buffer<T>(Vec<T>);

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Buffer(Vec::new())
    }
}

/// Some rows of outputs, from row `first` of all images on. Its own output is whether they are right: whether what was
/// watched did not come to NaN.
struct Task<'a, T, R> {
    input: &'a [T],
    geometry: &'a Geometry2d,
    reduction: R,
    first: usize,
    out: &'a mut [T],
    buffer: &'a mut Vec<T>,
}

/// Rows or columns of the source that a window sees: how many, and how far apart in memory.
#[derive(Clone, Copy)]
struct Seen {
    count: usize,
    distance: usize,
}

impl Seen {
    const ONE: Seen = Seen { count: 1, distance: 0 };

    #[inline(always)]
    fn new(count: usize, dilation: usize, line: usize) -> Self {
        // A single one may come with any dilation.
        Seen { count, distance: if count > 1 { dilation * line } else { 0 } }
    }
}

impl<T: Element, R: Reduction<T>> Kernel<T> for Task<'_, T, R> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) -> bool {
        let Geometry2d { cols, in_channels: channels, .. } = *self.geometry;
        let enough = channels >= 2 * S::LANES && cols.dilation == 1;
        let watched = match (cols.kernel, cols.stride) {
            (2, 1) if enough => self.sliding::<S, 1, 1>(simd),
            (2, 2) if enough => self.sliding::<S, 0, 2>(simd),
            (3, 1) if enough => self.sliding::<S, 2, 1>(simd),
            (3, 2) if enough => self.sliding::<S, 1, 2>(simd),
            _ if cols.output == 1 && cols.taps(0).len() == cols.input && channels >= FEW * S::LANES => {
                self.whole_lines(simd)
            }
            _ => self.buffered(simd),
        };
        let mut lanes = [T::zero(); MAX_LANES];
        simd.store(watched, &mut lanes);
        !lanes.iter().any(|lane| lane.is_nan())
    }
}

impl<'a, T: Element, R: Reduction<T>> Task<'a, T, R> {
    /// Row `index` of all images.
    #[inline(always)]
    fn row(&self, index: usize) -> Row<'a, T, R> {
        let Geometry2d { rows, cols, in_channels: channels, .. } = *self.geometry;
        let line = cols.input * channels;
        let (image, row) = (index / rows.output, index % rows.output);
        let taps = rows.taps(row);
        let source = &self.input[(image * rows.input + rows.read(row, taps.start)) * line..];
        let seen = Seen::new(taps.len(), rows.dilation, line);
        Row { geometry: self.geometry, reduction: self.reduction, row, source, seen }
    }

    /// Interior windows share `OLD` columns with the window before, and see `NEW` more.
    #[inline(always)]
    fn sliding<S: Simd<T>, const OLD: usize, const NEW: usize>(&mut self, simd: S) -> S::V {
        let Geometry2d { cols, in_channels: channels, .. } = *self.geometry;
        let out_line = cols.output * channels;
        let interior = cols.sampling().interior();
        let mut watched = simd.splat(T::zero());
        for y in 0..self.out.len() / out_line {
            let row = self.row(self.first + y);
            let out = &mut self.out[y * out_line..][..out_line];
            let kept = room(self.buffer, 3 * channels);
            let done = match row.seen.count {
                2 => row.slide::<S, OLD, NEW, 2>(simd, interior.clone(), kept, out, &mut watched),
                3 => row.slide::<S, OLD, NEW, 3>(simd, interior.clone(), kept, out, &mut watched),
                _ => 0..0,
            };
            for col in (0..done.start).chain(done.end..cols.output) {
                row.column::<S, true>(simd, col, channels, out, &mut watched);
            }
        }
        watched
    }

    /// Windows that see whole lines, one position after the other as they lie in memory.
    #[inline(always)]
    fn whole_lines<S: Simd<T>>(&mut self, simd: S) -> S::V {
        let channels = self.geometry.in_channels;
        let most = if const { S::PANEL < 4 } { 0 } else { channels - channels % (MOST * S::LANES) };
        let many = channels - channels % (MANY * S::LANES);
        let mut watched = simd.splat(T::zero());
        for y in 0..self.out.len() / channels {
            let row = self.row(self.first + y);
            let out = &mut self.out[y * channels..][..channels];
            for first in (0..most).step_by(MOST * S::LANES) {
                row.lines::<S, MOST>(simd, first, out, &mut watched);
            }
            for first in (most..many).step_by(MANY * S::LANES) {
                row.lines::<S, MANY>(simd, first, out, &mut watched);
            }
            for first in (many..channels).step_by(FEW * S::LANES) {
                // The last vectors may overlap those before, and compute the same numbers again.
                row.lines::<S, FEW>(simd, first.min(channels - FEW * S::LANES), out, &mut watched);
            }
        }
        watched
    }

    /// Joins the rows that the windows see in a buffer, then columns of it.
    #[inline(always)]
    fn buffered<S: Simd<T>>(&mut self, simd: S) -> S::V {
        let Geometry2d { cols, in_channels: channels, .. } = *self.geometry;
        let line = cols.input * channels;
        let out_line = cols.output * channels;
        let interior = cols.sampling().interior();
        // Where windows move by one, columns are channels of a single one, as it were.
        let wide = if cols.stride == 1 { interior } else { 0..0 };
        let mut watched = simd.splat(T::zero());
        for y in 0..self.out.len() / out_line {
            let row = self.row(self.first + y);
            // Vectors that begin with the last channels reach beyond the line.
            let buffer = room(self.buffer, line + MAX_LANES);
            row.join_rows(simd, line, buffer, &mut watched);
            let row = Row { source: buffer, seen: Seen::ONE, ..row };
            let out = &mut self.out[y * out_line..][..out_line];
            let mut col = 0;
            while col < cols.output {
                let count = if col == wide.start { wide.len().max(1) } else { 1 };
                row.column::<S, false>(simd, col, count * channels, out, &mut watched);
                col += count;
            }
        }
        watched
    }
}

/// A row of outputs.
#[derive(Clone, Copy)]
struct Row<'a, T, R> {
    geometry: &'a Geometry2d,
    reduction: R,
    row: usize,
    /// The source, from the first row on that the windows see.
    source: &'a [T],
    seen: Seen,
}

impl<T: Element, R: Reduction<T>> Row<'_, T, R> {
    /// Joins the rows, `line` long, to `out`, which is a vector longer.
    #[inline(always)]
    fn join_rows<S: Simd<T>>(self, simd: S, line: usize, out: &mut [T], watched: &mut S::V) {
        let Seen { count, distance } = self.seen;
        let even = line - line % (2 * S::LANES);
        for (first, rows) in even_pieces(0..count, ROWS) {
            let source = &self.source[first * distance..];
            let out = &mut out[..even];
            match rows {
                1 => self.join_some::<S, 1>(simd, source, first > 0, out, watched),
                2 => self.join_some::<S, 2>(simd, source, first > 0, out, watched),
                3 => self.join_some::<S, 3>(simd, source, first > 0, out, watched),
                _ => self.join_some::<S, ROWS>(simd, source, first > 0, out, watched),
            }
        }
        for at in (even..line).step_by(S::LANES) {
            let mut joined = simd.load_up_to(&self.source[at..]);
            *watched = self.reduction.watch(simd, *watched, joined);
            for i in 1..count {
                let next = simd.load_up_to(&self.source[at + i * distance..]);
                *watched = self.reduction.watch(simd, *watched, next);
                joined = self.reduction.join(simd, joined, next);
            }
            simd.store(joined, &mut out[at..]);
        }
    }

    /// Joins `ROWS` rows to `out`, an even number of vectors, and to what that holds if there is something.
    #[inline(always)]
    fn join_some<S: Simd<T>, const ROWS: usize>(
        self,
        simd: S,
        source: &[T],
        holds: bool,
        out: &mut [T],
        watched: &mut S::V,
    ) {
        let rows: [&[T]; ROWS] = std::array::from_fn(|i| &source[i * self.seen.distance..][..out.len()]);
        for at in (0..out.len()).step_by(2 * S::LANES) {
            let mut joined = self.stack::<S, 2, ROWS>(simd, rows, at, watched);
            if holds {
                joined = self.join(simd, simd.load_strided::<2>(&out[at..], S::LANES), joined);
            }
            simd.store_strided(joined, &mut out[at..], S::LANES);
        }
    }

    #[inline(always)]
    fn join<S: Simd<T>, const N: usize>(self, simd: S, mut a: [S::V; N], b: [S::V; N]) -> [S::V; N] {
        for i in 0..N {
            a[i] = self.reduction.join(simd, a[i], b[i]);
        }
        a
    }

    /// Adds up `x` before adding it to what was seen before: the chain of additions is as short as can be.
    #[inline(always)]
    fn watch<S: Simd<T>, const N: usize>(self, simd: S, watched: S::V, x: [S::V; N]) -> S::V {
        let mut sum = x[0];
        for &x in &x[1..] {
            sum = self.reduction.watch(simd, sum, x);
        }
        self.reduction.watch(simd, watched, sum)
    }

    /// Some vectors, from the channel `first` on, of a window that sees whole lines.
    #[inline(always)]
    fn lines<S: Simd<T>, const V: usize>(self, simd: S, first: usize, out: &mut [T], watched: &mut S::V) {
        let Geometry2d { cols, in_channels: channels, .. } = *self.geometry;
        let Seen { count, distance } = self.seen;
        let grid = Grid::new(self.source, [count, distance], [cols.input, channels], channels);
        let grid = grid.part([0, cols.input], [first, V * S::LANES]);
        let mut joined = [simd.splat(T::zero()); V];
        for row in 0..count {
            let mut line = joined;
            for column in 0..cols.input {
                let mut next = line;
                for (v, next) in next.iter_mut().enumerate() {
                    let numbers = grid.at::<S>(row, column, v);
                    simd.prefetch_near(numbers, AHEAD * channels);
                    *next = simd.load(numbers);
                }
                *watched = self.watch(simd, *watched, next);
                line = if column == 0 { next } else { self.join(simd, line, next) };
            }
            joined = if row == 0 { line } else { self.join(simd, joined, line) };
        }
        let divisor = self.reduction.divisor(self.geometry, self.row, 0).map(|d| simd.splat(d));
        simd.store_strided(divided(simd, joined, divisor), &mut out[first..], S::LANES);
    }

    /// The first `len` outputs from column `col` on, all windows like that of `col`.
    #[inline(always)]
    fn column<S: Simd<T>, const WATCH: bool>(
        self,
        simd: S,
        col: usize,
        len: usize,
        out: &mut [T],
        watched: &mut S::V,
    ) {
        let Geometry2d { cols, in_channels: channels, .. } = *self.geometry;
        let taps = cols.taps(col);
        let source = &self.source[cols.read(col, taps.start) * channels..];
        let seen = Seen::new(taps.len(), cols.dilation, channels);
        let divisor = self.reduction.divisor(self.geometry, self.row, col).map(|d| simd.splat(d));
        let out = &mut out[col * channels..];
        if len >= 4 * S::LANES {
            for at in (0..len).step_by(4 * S::LANES) {
                // The last vectors may overlap those before, and compute the same numbers again.
                let at = at.min(len - 4 * S::LANES);
                let joined = self.window::<S, 4, WATCH>(simd, &source[at..], seen, divisor, watched);
                simd.store_strided(joined, &mut out[at..], S::LANES);
            }
        } else if len >= S::LANES {
            for at in (0..len).step_by(S::LANES) {
                let at = at.min(len - S::LANES);
                let [joined] = self.window::<S, 1, WATCH>(simd, &source[at..], seen, divisor, watched);
                simd.store(joined, &mut out[at..]);
            }
        } else {
            // The lanes left over spoil columns that are still to come.
            let [joined] = self.window::<S, 1, WATCH>(simd, source, seen, divisor, watched);
            simd.store_up_to(joined, out);
        }
    }

    /// Some vectors of a column of outputs.
    #[inline(always)]
    fn window<S: Simd<T>, const V: usize, const WATCH: bool>(
        self,
        simd: S,
        source: &[T],
        cols: Seen,
        divisor: Option<S::V>,
        watched: &mut S::V,
    ) -> [S::V; V] {
        let mut total = [simd.splat(T::zero()); V];
        for j in 0..cols.count {
            let source = &source[j * cols.distance..];
            let mut column = simd.load_strided::<V>(source, S::LANES);
            if WATCH {
                *watched = self.watch(simd, *watched, column);
            }
            for i in 1..self.seen.count {
                let next = simd.load_strided::<V>(&source[i * self.seen.distance..], S::LANES);
                if WATCH {
                    *watched = self.watch(simd, *watched, next);
                }
                column = self.join(simd, column, next);
            }
            total = if j == 0 { column } else { self.join(simd, total, column) };
        }
        divided(simd, total, divisor)
    }

    /// The outputs of `columns`, whose windows see `ROWS` rows. They share `OLD` columns, whose joined rows are kept,
    /// with the window before, and see `NEW` more. Slices are as long as there are channels, so that one check does for
    /// all. Returns the columns.
    #[inline(always)]
    fn slide<S: Simd<T>, const OLD: usize, const NEW: usize, const ROWS: usize>(
        self,
        simd: S,
        columns: Range<usize>,
        kept: &mut [T],
        out: &mut [T],
        watched: &mut S::V,
    ) -> Range<usize> {
        let Geometry2d { cols, in_channels: channels, .. } = *self.geometry;
        if columns.is_empty() {
            return columns;
        }
        let divisor = self.reduction.divisor(self.geometry, self.row, columns.start).map(|d| simd.splat(d));
        let source = &self.source[cols.read(columns.start, 0) * channels..];
        let (mut first, rest) = kept.split_at_mut(channels);
        let (mut second, mut third) = rest.split_at_mut(channels);
        third = &mut third[..channels];
        for n in 0..OLD {
            let kept = if n + 1 < OLD { &mut first } else { &mut second };
            let rows: [&[T]; ROWS] =
                std::array::from_fn(|i| &source[n * channels + i * self.seen.distance..][..channels]);
            for at in (0..channels).step_by(2 * S::LANES) {
                let at = at.min(channels - 2 * S::LANES);
                let joined = self.stack::<S, 2, ROWS>(simd, rows, at, watched);
                simd.store_strided(joined, &mut kept[at..], S::LANES);
            }
        }
        let source = &source[OLD * channels..];
        let mut rows: [_; ROWS] =
            std::array::from_fn(|i| source[i * self.seen.distance..].chunks_exact(NEW * channels));
        for out in out[columns.start * channels..columns.end * channels].chunks_exact_mut(channels) {
            let mut new: [[&[T]; ROWS]; NEW] = [[&[]; ROWS]; NEW];
            for i in 0..ROWS {
                let columns = rows[i].next().unwrap_or_default();
                for n in 0..NEW {
                    new[n][i] = &columns[n * channels..][..channels];
                }
            }
            let (one, two, three) = (&first[..channels], &second[..channels], &mut third[..channels]);
            for at in (0..channels).step_by(2 * S::LANES) {
                // The last vectors may overlap those before, and compute the same numbers again.
                let at = at.min(channels - 2 * S::LANES);
                let mut last = self.stack::<S, 2, ROWS>(simd, new[0], at, watched);
                let mut total = last;
                if OLD > 0 {
                    let mut before = simd.load_strided::<2>(&two[at..], S::LANES);
                    if OLD > 1 {
                        before = self.join(simd, simd.load_strided::<2>(&one[at..], S::LANES), before);
                    }
                    total = self.join(simd, before, total);
                }
                if NEW > 1 {
                    last = self.stack::<S, 2, ROWS>(simd, new[NEW - 1], at, watched);
                    total = self.join(simd, total, last);
                }
                if OLD > 0 {
                    simd.store_strided(last, &mut three[at..], S::LANES);
                }
                simd.store_strided(divided(simd, total, divisor), &mut out[at..], S::LANES);
            }
            (first, second, third) = (second, third, first);
        }
        columns
    }

    /// Vectors of each row, joined.
    #[inline(always)]
    fn stack<S: Simd<T>, const V: usize, const ROWS: usize>(
        self,
        simd: S,
        rows: [&[T]; ROWS],
        at: usize,
        watched: &mut S::V,
    ) -> [S::V; V] {
        let mut joined = simd.load_strided::<V>(&rows[0][at..], S::LANES);
        let mut sum = joined;
        for row in &rows[1..] {
            let next = simd.load_strided::<V>(&row[at..], S::LANES);
            for v in 0..V {
                sum[v] = self.reduction.watch(simd, sum[v], next[v]);
            }
            joined = self.join(simd, joined, next);
        }
        *watched = self.watch(simd, *watched, sum);
        joined
    }
}

/// The vectors, divided by `divisor` if there is one.
#[inline(always)]
fn divided<T: Element, S: Simd<T>, const V: usize>(
    simd: S,
    mut vectors: [S::V; V],
    divisor: Option<S::V>,
) -> [S::V; V] {
    if let Some(divisor) = divisor {
        for vector in &mut vectors {
            *vector = simd.div(*vector, divisor);
        }
    }
    vectors
}

#[cfg(test)]
mod tests;
