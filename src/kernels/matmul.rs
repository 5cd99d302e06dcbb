//! Matrix products: the inner loops of convolution and of dense layers.
//!
//! The right factor is packed into [panels](super::panels); the left factor is read in place. A tile of some rows times
//! one panel stays in registers through the whole reduction and is written once.
//!
//! | registers | tile: rows x vectors | sums |
//! |---|---|---|
//! | 32 (AVX-512, NEON) | 6 x 4, or 12 x 2 | 24 |
//! | 16 (AVX2, SIMD128) | 6 x 2 | 12 |
//! | either, for the last columns | 6 x 2, 12 x 1 | 12 |

mod lean;
mod packing;
mod resident;
mod row;
mod series;
mod sliding;

use std::ops::Range;

use lean::Lean;
pub(crate) use packing::Source;
pub(crate) use series::Series;
use series::{Part, Place, parts};

use super::ahead::Ahead;
use super::disjoint::Rows;
use super::epilogue::Bend;
use super::panels::{PackedMatrix, Panels, across, next_panel};
use super::pieces::equal_pieces;
use super::simd::{Kernel, Runs, Simd, Strands, unrolled};
use crate::Element;

/// Rows of a register tile. Fewer than a first-level cache has ways, so that rows a multiple of a page apart do not
/// evict each other.
pub(crate) const MR: usize = 6;
/// Rows of a register tile where a panel is so narrow that there are registers for as many.
const NARROW_MR: usize = 2 * MR;
/// Bytes of all panels up to which they stay in a second-level cache together: each tile of rows then meets all of them
/// while it is in the first level, and the output is written in one stream.
const PANELS_INSIDE: usize = 256 << 10;
/// Bytes of a panel from which on asking for the next one pays: less, the processor foresees by itself.
const LARGE_PANEL: usize = 32 << 10;
/// Rows that meet a panel for so long that the next one comes by itself.
const MANY_ROWS: usize = 64;
/// Numbers of a row between two requests for some lines of the next panel: fewer would take time, and more lines at a time
/// than the memory takes would let the products wait.
const STRETCH: usize = 8;
/// Numbers of a sum from which on to pass over blank lines pays for tiles of fewer rows.
const LONG_SUM: usize = 1024;

/// The left factor of a product, read in place.
#[derive(Clone, Copy)]
pub(crate) enum Left<'a, T> {
    /// Each row is a chain of runs, which lie at the same distances from the start of every row. The first of its lines is
    /// the line `live_from` of those of which a row says which are live; without that, all are.
    Runs { values: &'a [T], rows: &'a [Series], runs: Runs, live_from: Option<usize> },
    /// The transpose of what lies in memory: row `i` is number `first + i` of each line, wherever the lines start. What
    /// lies `ahead` of a number is used soon; unless that is zero, it is asked for.
    Columns { values: &'a [T], rows: &'a [Series], first: usize, ahead: usize },
}

impl<'a, T> Left<'a, T> {
    /// Whether sums start from the bias. To those over one run, it is added in the end, so that the first products do not
    /// wait; with several runs the compiler would keep the sums in memory then. For a row always the same, whichever tile
    /// it falls to.
    #[inline(always)]
    fn starts_from_bias(&self) -> bool {
        matches!(self, Left::Runs { runs, .. } if runs.count() > 1)
    }

    /// These rows in parts, as [`parts`] has them; those of short sums stay together.
    fn parts(self, range: Range<usize>, apart: usize) -> impl Iterator<Item = Part> + use<'a, T> {
        let lines = match self {
            Left::Runs { runs, live_from: Some(first), .. } if runs.numbers() >= LONG_SUM => {
                Some(first..first + runs.lines())
            }
            _ => None,
        };
        parts(self.series(), range, apart, lines)
    }

    /// Its rows, if they are read where they lie.
    fn series(self) -> &'a [Series] {
        match self {
            Left::Runs { rows, .. } => rows,
            Left::Columns { .. } => &[],
        }
    }
}

/// What becomes of a product.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a, T> {
    /// Added to each row.
    pub(crate) bias: Option<&'a [T]>,
    /// They are added to the output, which is otherwise overwritten.
    pub(crate) adds: bool,
    /// Added to them.
    pub(crate) residual: Option<Residual<'a, T>>,
    /// Applied in the end.
    pub(crate) bend: Bend<T>,
}

/// A matrix of the same rows and columns as an output.
#[derive(Clone, Copy)]
pub(crate) struct Residual<'a, T> {
    pub(crate) values: &'a [T],
    /// From row to row.
    pub(crate) stride: usize,
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
        self.rows_from(simd, 0);
    }
}

impl<T: Element> Block<'_, '_, T> {
    /// All rows but the first few, which are `done`.
    #[inline(always)]
    fn rows_from<S: Simd<T>>(&mut self, simd: S, done: usize) {
        let most = across::<T>(S::PANEL, S::LANES, self.right.k);
        let (rows, columns) = (self.out.len(), self.columns.len());
        let inside = self.right.k * columns * size_of::<T>() <= PANELS_INSIDE;
        for span in spans(columns, most, S::LANES) {
            // The rows of a tile, and of those of what is left.
            let (tall, rest) = match span.across {
                1 => (NARROW_MR, MR),
                across if 2 * across <= S::PANEL => (NARROW_MR, NARROW_MR),
                _ => (MR, MR),
            };
            // Where the first tile could pack, it is always apart: which rows share a tile shows where a weight is not finite.
            let apart = if tall == MR { first_tile(rows) } else { 0 };
            // All rows meet a panel before the next one comes; but the panels of a single row come in pairs.
            let at_once = if inside || rows == 1 { span.columns.len() } else { span.across * S::LANES };
            for first in span.columns.clone().step_by(at_once) {
                let columns = first..span.columns.end.min(first + at_once);
                if span.across == 1 && done == 0 && self.slide(simd, columns.clone()) {
                    continue;
                }
                let done = match done {
                    0 => self.lean(simd, (tall, rest), (columns.clone(), span.across)),
                    done => done,
                };
                let left = self.left;
                for part in left.parts(done..rows, apart) {
                    for (rows, size) in equal_pieces(part.rows.clone(), tall, rest) {
                        let part = part.only(rows, left.series());
                        self.tiles(simd, (part, size), (columns.clone(), span.across));
                    }
                }
            }
        }
    }
}

/// Columns of a block, counted from its first: some whole panels, or one that is not filled; each of `across` vectors.
struct Span {
    columns: Range<usize>,
    across: usize,
}

/// All of so many columns.
fn spans(columns: usize, most: usize, lanes: usize) -> impl Iterator<Item = Span> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let left = columns - first;
        let whole = left - left % (most * lanes);
        let across = if whole > 0 { most } else { next_panel(most, left.div_ceil(lanes)) };
        let end = if whole > 0 { first + whole } else { columns.min(first + across * lanes) };
        let span = Span { columns: first..end, across };
        first = end;
        (left > 0).then_some(span)
    })
}

/// Computes tiles of one of the listed numbers of vectors across and of rows.
macro_rules! tiles {
    ($tiles:ident, $simd:ident, $across:ident, $rows:ident, $($v:literal x [$($m:literal)*])*) => {
        match ($across, $rows) {
            $($(
                // Only where there are so many registers are the widest tiles compiled.
                ($v, $m) if const { $v * $m <= MR * S::PANEL } => $simd.enter(OfSize::<T, $m, $v>($tiles)),
            )*)*
            _ => {}
        }
    };
}

impl<T: Element> Block<'_, '_, T> {
    /// Computes as many rows of whole panels as fill tiles of `tall`, if nothing is to be asked for and little done after
    /// the sums; returns how many rows these are.
    #[inline(always)]
    fn lean<S: Simd<T>>(
        &mut self,
        simd: S,
        (tall, rest): (usize, usize),
        (columns, across): (Range<usize>, usize),
    ) -> usize {
        let Block { left, right, out, place, finish, .. } = self;
        let panel = right.k * across * S::LANES * size_of::<T>();
        let (Left::Runs { values, rows, runs, live_from: None }, Finish { adds, residual: None, bias, bend }) =
            (*left, *finish)
        else {
            return 0;
        };
        let whole = columns.len() % (across * S::LANES) == 0 && right.is_whole();
        let alone = out.len() == 1 && runs.count() == 1 && !adds;
        let foreseen = panel < LARGE_PANEL || out.len() >= MANY_ROWS || alone;
        if !whole || panel == 0 || !foreseen || adds && runs.count() > 1 {
            return 0;
        }
        let column = self.columns.start + columns.start;
        let panels = &right.values[column * right.k..][..columns.len() * right.k];
        let bias = bias.map_or(&[][..], |bias| &bias[column..][..columns.len()]);
        let count = if alone { 1 } else { whole_tiles(out.len(), tall, rest) };
        let out = out.lines(0, count).columns(*place + columns.start..*place + columns.end);
        let lean = Lean { values, rows, runs, panels, bias, adds, bend, out };
        if alone {
            row::compute(lean, simd, across);
        } else if let Some(lean) = resident::compute(lean, simd, across) {
            lean.compute(simd, (tall, across));
        }
        count
    }

    /// Computes all rows in panels of one vector, if it is worth it: see [`sliding`].
    #[inline(always)]
    fn slide<S: Simd<T>>(&mut self, simd: S, columns: Range<usize>) -> bool {
        let rows = 0..self.out.len();
        let part = Part { place: Place::of(self.left.series(), 0), rows };
        sliding::compute(Tiles { block: self, part, columns }, simd)
    }

    /// All tiles of `size` of the rows of a part, and of panels of `across` vectors of the columns.
    #[inline(always)]
    fn tiles<S: Simd<T>>(
        &mut self,
        simd: S,
        (part, size): (Part, usize),
        (columns, across): (Range<usize>, usize),
    ) {
        let tiles = Tiles { block: self, part, columns };
        tiles! { tiles, simd, across, size, 4 x [1 2 3 4 5 6] 2 x [1 2 3 4 5 6 7 8 9 10 11 12] 1 x [1 2 3 4 5 6 12] }
    }
}

/// Some rows of a block times the panels of `columns`, counted from the block's first.
struct Tiles<'t, 'a, 'b, T> {
    block: &'t mut Block<'a, 'b, T>,
    part: Part,
    columns: Range<usize>,
}

/// Tiles of `M` rows and panels of `V` vectors: a function of its own, in which the compiler finds registers for all sums.
struct OfSize<'t, 'a, 'b, T, const M: usize, const V: usize>(Tiles<'t, 'a, 'b, T>);

impl<T: Element, const M: usize, const V: usize> Kernel<T> for OfSize<'_, '_, '_, T, M, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let tiles = &mut self.0;
        let right = tiles.block.right.skip_columns(tiles.block.columns.start);
        match tiles.block.left {
            Left::Runs { values, rows, runs, live_from } => {
                let mut place = tiles.part.place;
                let (all, width) = (tiles.block.out.len(), V * S::LANES);
                let partial = right.rows.len() < right.k;
                let columns = tiles.block.columns.len().next_multiple_of(S::LANES);
                for row in tiles.part.rows.clone().step_by(M) {
                    let (left, live, next) = place.rows::<T, M>(values, rows, runs);
                    place = next;
                    let lines =
                        live_from.map_or(0..runs.lines(), |first| live_lines(live, first, runs.lines()));
                    let numbers = lines.len() * runs.line_numbers();
                    tiles.each_panel::<S, M, V>(simd, row, |first, mut sums| {
                        let (panel, next) = right.panel(first, width);
                        // Each row asks for its share of the next panel, unless that comes by itself, or of what comes after
                        // all panels.
                        let asks = partial || size_of_val(panel) >= LARGE_PANEL;
                        let next = if asks { &next[..panel.len().min(next.len())] } else { &[] };
                        let mut requests = match right.ahead {
                            Some(ahead) => {
                                let start = first * all + row * width;
                                ahead.share(start..start + M * width, columns * all, numbers)
                            }
                            None => Ahead::all(next).share(row..row + M, all, numbers),
                        };
                        let stretch = requests.stretch(STRETCH);
                        let ask = |numbers: usize| requests.step(numbers);
                        left.each(lines.clone(), (panel, width), (stretch, ask), |numbers, right| {
                            add_products(simd, |i| numbers.at(i), &load_row(simd, right), &mut sums);
                        });
                        sums
                    });
                }
            }
            Left::Columns { values, rows, first, ahead } => {
                for row in tiles.part.rows.clone().step_by(M) {
                    tiles.each_panel::<S, M, V>(simd, row, |column, mut sums| {
                        let (mut panel, _) = right.panel(column, V * S::LANES);
                        // Nothing may be passed over here: the compiler would keep the sums in memory.
                        for series in rows {
                            let lines = Runs::new([series.count, series.step], [1, 0], 1);
                            let left = Strands::<T, M>::spaced(values, series.start + first + row, 1, lines);
                            let (right, rest) = panel.split_at(series.count * V * S::LANES);
                            let (right, nothing) = ((right, V * S::LANES), (usize::MAX, |_| {}));
                            left.each(0..series.count, right, nothing, |numbers, right| {
                                if ahead > 0 {
                                    numbers.prefetch(ahead);
                                }
                                add_products(simd, |i| numbers.at(i), &load_row(simd, right), &mut sums);
                            });
                            panel = rest;
                        }
                        sums
                    });
                }
            }
        }
    }
}

impl<T: Element> Tiles<'_, '_, '_, T> {
    /// For each panel, starts the sums of the `M` rows from `row` on, lets `add(first column, sums)` add the products to them,
    /// and writes what becomes of them.
    #[inline(always)]
    fn each_panel<S: Simd<T>, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        mut add: impl FnMut(usize, [[S::V; V]; M]) -> [[S::V; V]; M],
    ) {
        let Tiles { block, columns, .. } = self;
        let width = V * S::LANES;
        for first in columns.clone().step_by(width) {
            let place = block.place + first..block.place + columns.end.min(first + width);
            let Finish { bias, adds, residual, bend } = block.finish;
            if adds {
                // It is read as soon as the sums are there.
                let out: [&mut [T]; M] = block.out.part(row, place.clone());
                unrolled!(i < M, { simd.prefetch(out[i], width) });
            }
            let bias = bias.map_or(&[][..], |bias| &bias[block.columns.start + first..]);
            let (start, end) = if block.left.starts_from_bias() { (bias, &[][..]) } else { (&[][..], bias) };
            let mut sums = [[simd.splat(T::zero()); V]; M];
            if !start.is_empty() {
                unrolled!(v < V, {
                    let start = simd.load_up_to(start.get(v * S::LANES..).unwrap_or_default());
                    unrolled!(i < M, { sums[i][v] = start });
                });
            }
            let mut sums = add(first, sums);
            if !end.is_empty() {
                add_row::<T, S, M, V>(simd, end, &mut sums);
            }
            if adds {
                let out: [&mut [T]; M] = block.out.part(row, place.clone());
                add_rows::<T, S, M, V>(simd, |i| &*out[i], &mut sums);
            }
            if let Some(Residual { values, stride }) = residual {
                add_rows::<T, S, M, V>(simd, |i| &values[(row + i) * stride..][place.clone()], &mut sums);
            }
            bend.apply(simd, &mut sums);
            let out: [&mut [T]; M] = block.out.part(row, place);
            unrolled!(i < M, {
                unrolled!(v < V, {
                    match out[i].get_mut(v * S::LANES..(v + 1) * S::LANES) {
                        Some(out) => simd.store(sums[i][v], out),
                        None => {
                            simd.store_up_to(sums[i][v], out[i].get_mut(v * S::LANES..).unwrap_or_default())
                        }
                    }
                });
            });
        }
    }
}

impl<T: Element> Finish<'_, T> {
    /// The output is overwritten with the product.
    pub(crate) const PLAIN: Self = Finish { bias: None, adds: false, residual: None, bend: Bend::Straight };
    /// The product is added to the output.
    pub(crate) const ADD: Self = Finish { adds: true, ..Self::PLAIN };

    /// The same of a slice of the product's sums: the first overwrites the output, and the last finishes it.
    pub(crate) fn of_slice(self, first: bool, last: bool) -> Self {
        Finish {
            bias: self.bias.filter(|_| first),
            adds: self.adds || !first,
            residual: self.residual.filter(|_| last),
            bend: if last { self.bend } else { Bend::Straight },
        }
    }
}

/// Adds the numbers of one row, as many as there are, to the sums of all.
#[inline(always)]
fn add_row<T: Element, S: Simd<T>, const M: usize, const V: usize>(
    simd: S,
    row: &[T],
    sums: &mut [[S::V; V]; M],
) {
    unrolled!(v < V, {
        let terms = simd.load_up_to(row.get(v * S::LANES..).unwrap_or_default());
        unrolled!(i < M, { sums[i][v] = simd.add(sums[i][v], terms) });
    });
}

/// Adds the numbers of each row, as many as there are, to its sums.
#[inline(always)]
fn add_rows<'r, T: Element, S: Simd<T>, const M: usize, const V: usize>(
    simd: S,
    row: impl Fn(usize) -> &'r [T],
    sums: &mut [[S::V; V]; M],
) {
    unrolled!(i < M, {
        let row = row(i);
        unrolled!(v < V, {
            let terms = simd.load_up_to(row.get(v * S::LANES..).unwrap_or_default());
            sums[i][v] = simd.add(sums[i][v], terms);
        });
    });
}

/// How many of so many rows fall to the first tile if that is whole, or none.
fn first_tile(rows: usize) -> usize {
    equal_pieces(0..rows, MR, MR).next().map_or(0, |(_, size)| if size == MR { MR } else { 0 })
}

/// Of so many rows, how many to compute in tiles of `tall`: all whole ones, unless so few were left over that these and the
/// last tile had better be shared out evenly among others, of `rest` rows at most.
fn whole_tiles(rows: usize, tall: usize, rest: usize) -> usize {
    let left = rows % tall;
    let whole = rows - left;
    if left > 0 && 4 * left < tall && tall <= rest { whole.saturating_sub(tall) } else { whole }
}

/// Those of `count` lines from `first` on that are `live`, counted from `first`.
#[inline(always)]
fn live_lines(live: Range<usize>, first: usize, count: usize) -> Range<usize> {
    let end = live.end.saturating_sub(first).min(count);
    live.start.saturating_sub(first).min(end)..end
}

/// The vectors of a row of a panel.
#[inline(always)]
fn load_row<T: Element, S: Simd<T>, const V: usize>(simd: S, row: &[T]) -> [S::V; V] {
    let mut vectors = [simd.splat(T::zero()); V];
    unrolled!(v < V, { vectors[v] = simd.load(&row[v * S::LANES..]) });
    vectors
}

/// Adds a number of each row times a row of the panel.
#[inline(always)]
fn add_products<T: Element, S: Simd<T>, const M: usize, const V: usize>(
    simd: S,
    left: impl Fn(usize) -> T,
    vectors: &[S::V; V],
    sums: &mut [[S::V; V]; M],
) {
    unrolled!(i < M, {
        let x = simd.splat(left(i));
        unrolled!(v < V, { sums[i][v] = simd.mul_add(x, vectors[v], sums[i][v]) });
    });
}

/// `a * b` into `out`, all of them without gaps between rows, on this thread.
pub(crate) fn product<T: Element>(a: &[T], b: &PackedMatrix<T>, finish: Finish<'_, T>, out: &mut [T]) {
    let rows = &[Series::dense(out.len() / b.n, b.k)];
    let left = Left::Runs { values: a, rows, runs: Runs::one(b.k), live_from: None };
    let (right, out) = (b.as_panels(), &mut Rows::new(out, b.n));
    Block { left, right, columns: 0..b.n, out, place: 0, finish }.compute();
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

    proptest! {
        #[test]
        fn products_of_whole_numbers_are_exact(m in 0_usize..110, k in 0_usize..20, n in 1_usize..140) {
            let (a, b, bias) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3));
            let want = naive(&a, &b, &bias, (m, k, n));
            let finish = Finish { bias: Some(&bias), ..Finish::PLAIN };
            let mut out = vec![f32::NAN; m * n];
            product(&a, &PackedMatrix::new((&b, n), k, n), finish, &mut out);
            prop_assert_eq!(&out, &want);

            out.fill(f32::NAN);
            product(&a, &PackedMatrix::transposed(&transpose(&b, k, n), k, n), finish, &mut out);
            prop_assert_eq!(&out, &want);
        }

        #[test]
        fn a_product_adds_to_what_is_there(rows in 1_usize..14, k in 1_usize..9, n in 1_usize..80) {
            let (a, b) = (numbers(rows * k, 1), numbers(k * n, 2));
            let mut out = numbers(rows * n, 3);
            let terms = naive(&a, &b, &vec![0.0; n], (rows, k, n));
            let want: Vec<f32> = out.iter().zip(terms).map(|(x, y)| x + y).collect();
            product(&a, &PackedMatrix::new((&b, n), k, n), Finish::ADD, &mut out);
            prop_assert_eq!(out, want);
        }
    }
}
