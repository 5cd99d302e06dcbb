//! Products with rows that are not packed yet: the first tile of rows packs what it multiplies with, and all others find it
//! packed.

use super::series::{Part, Place};
use super::{Block, LARGE_PANEL, Left, MR, STRETCH, Tiles, add_products, first_tile, live_lines, load_row};
use crate::Element;
use crate::kernels::ahead::Ahead;
use crate::kernels::panels::{Panels, across, pack_rows};
use crate::kernels::simd::{Kernel, Simd, unrolled};

/// Rows of the right factor as they lie in memory, of which a product takes the columns from `column` on.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a, T> {
    pub(crate) values: &'a [T],
    /// From row to row.
    pub(crate) stride: usize,
    pub(crate) column: usize,
}

impl<'a, T: Element> Block<'a, '_, T> {
    /// Computes all of its columns, of which the right factor is packed from `source` into `panels`; all of its rows are used.
    pub(crate) fn compute_packing(self, source: Source<'_, T>, panels: &'a mut [T]) {
        assert_eq!((self.columns.start, self.right.rows.len()), (0, self.right.k));
        T::dispatch(self.right.isa, Packing { block: self, source, panels });
    }
}

struct Packing<'a, 'b, 's, T> {
    block: Block<'a, 'b, T>,
    source: Source<'s, T>,
    panels: &'a mut [T],
}

impl<T: Element> Kernel<T> for Packing<'_, '_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Packing { mut block, source, panels } = self;
        let (k, columns) = (block.right.k, block.columns.len());
        let width = S::PANEL * S::LANES;
        let whole = columns % width == 0 && across::<T>(S::PANEL, S::LANES, k) == S::PANEL;
        // A tile that is always apart: which rows share one shows where a weight is not finite.
        let tall = first_tile(block.out.len()) == MR;
        // Tiles of small panels leave out all but their sums.
        let large = k * width * size_of::<T>() >= LARGE_PANEL || block.right.ahead.is_some();
        let done = if whole && tall && large && matches!(block.left, Left::Runs { .. }) {
            let part = Part { rows: 0..MR, place: Place::of(block.left.series(), 0) };
            let tiles = Tiles { block: &mut block, part, columns: 0..columns };
            let first = FirstTile { tiles, source, panels: &mut *panels };
            match S::PANEL {
                4 => simd.enter(OfSize::<T, 4>(first)),
                _ => simd.enter(OfSize::<T, 2>(first)),
            }
            MR
        } else {
            let from = &source.values[source.column..];
            pack_rows(S::ISA, (from, source.stride), (k, columns), panels);
            0
        };
        block.right.values = panels;
        block.rows_from(simd, done);
    }
}

/// The first rows of a block, and the room for whole panels.
struct FirstTile<'t, 'a, 'b, 's, 'p, T> {
    tiles: Tiles<'t, 'a, 'b, T>,
    source: Source<'s, T>,
    panels: &'p mut [T],
}

/// A tile of `V` vectors.
struct OfSize<'t, 'a, 'b, 's, 'p, T, const V: usize>(FirstTile<'t, 'a, 'b, 's, 'p, T>);

impl<T: Element, const V: usize> Kernel<T> for OfSize<'_, '_, '_, '_, '_, T, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let FirstTile { mut tiles, source: Source { values: source, stride, column }, panels } = self.0;
        let Panels { k, ahead, .. } = tiles.block.right;
        let Left::Runs { values, rows, runs, live_from } = tiles.block.left else { return };
        let (left, live, _) = tiles.part.place.rows::<T, MR>(values, rows, runs);
        let lines = live_from.map_or(0..runs.lines(), |first| live_lines(live, first, runs.lines()));
        let line = runs.line_numbers();
        let (all, columns, width) = (tiles.block.out.len(), tiles.columns.len(), V * S::LANES);
        tiles.each_panel::<S, MR, V>(simd, 0, |first, mut sums| {
            let at = column + first;
            let mut rows = panels[first * k..][..k * width].chunks_exact_mut(width);
            for (source, packed) in source.chunks(stride).zip(rows.by_ref().take(lines.start * line)) {
                store_row::<T, S, V>(simd, &load_row(simd, &source[at..]), packed);
            }
            let part = first * all..first * all + MR * width;
            let ahead = ahead.unwrap_or_else(|| Ahead::all(&[]));
            let mut requests = ahead.share(part, columns * all, lines.len() * line);
            let stretch = requests.stretch(STRETCH);
            let ask = |numbers: usize| requests.step(numbers);
            left.each(lines.clone(), (source, stride), (stretch, ask), |numbers, source| {
                let vectors = load_row(simd, &source[at..]);
                store_row(simd, &vectors, rows.next().unwrap_or_default());
                add_products(simd, |i| numbers.at(i), &vectors, &mut sums);
            });
            for (source, packed) in source.chunks(stride).skip(lines.end * line).zip(rows) {
                store_row::<T, S, V>(simd, &load_row(simd, &source[at..]), packed);
            }
            sums
        });
    }
}

#[inline(always)]
fn store_row<T: Element, S: Simd<T>, const V: usize>(simd: S, vectors: &[S::V; V], row: &mut [T]) {
    unrolled!(v < V, { simd.store(vectors[v], &mut row[v * S::LANES..]) });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::disjoint::Rows;
    use crate::kernels::epilogue::Bend;
    use crate::kernels::matmul::{Finish, Residual, Series};
    use crate::kernels::simd::{Isa, Runs, Vectors};

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers<T: Element>(len: usize, salt: usize) -> Vec<T> {
        (0..len).map(|i| T::of(((i * 29 + salt * 7) % 13) as f64 - 6.0)).collect()
    }

    /// Products of rows with panels that were packed before, and of those that the first tile packs.
    fn both_ways<T: Element + std::fmt::Debug>(isa: Isa, rows: usize, prefetches: bool, adds: bool) {
        let Vectors { lanes, panel, .. } = T::vectors(isa);
        // Three lines of 100 numbers, the first of which is not live in the first rows, nor the last in the last.
        let runs = Runs::new([3, 150], [1, 0], 100);
        let (k, n, stride, column) = (runs.numbers(), 2 * panel * lanes, 2 * panel * lanes + 5, 3);
        let source: Vec<T> = numbers(k * stride, 1);
        let source = Source { values: &source, stride, column };
        let first = rows.min(7);
        let series = [
            Series { count: first, start: 0, step: 4, live: 1..3 },
            Series { count: rows - first, start: 90, step: 4, live: 0..2 },
        ];
        let series = &series[..1 + usize::from(rows > first)];
        let values: Vec<T> = numbers(90 + 4 * rows + 400, 2);
        let left = Left::Runs { values: &values, rows: series, runs, live_from: Some(0) };
        let (bias, residual): (Vec<T>, Vec<T>) = (numbers(n, 3), numbers(rows * n, 4));
        let finish = Finish {
            bias: Some(&bias),
            adds,
            residual: Some(Residual { values: &residual, stride: n }),
            bend: Bend::Clamp(T::zero(), T::of(1e6)),
        };
        let ahead = prefetches.then(|| Ahead::rows(&values, 16, 20));
        let product = |packs: bool| {
            let mut panels = vec![T::of(f64::NAN); k * n];
            let mut numbers: Vec<T> = numbers(rows * n, 5);
            let out = &mut Rows::new(&mut numbers, n);
            let right = Panels { ahead, ..Panels::whole(isa, k, &[]) };
            let block = Block { left, right, columns: 0..n, out, place: 0, finish };
            if packs {
                block.compute_packing(source, &mut panels);
            } else {
                pack_rows(isa, (&source.values[column..], stride), (k, n), &mut panels);
                let right = Panels { values: &panels, ..block.right };
                Block { right, ..block }.compute();
            }
            (numbers, panels)
        };
        assert_eq!(product(true), product(false), "{rows} rows on {isa}, {prefetches}, {adds}");
    }

    #[test]
    fn the_first_tile_packs_what_the_others_find() {
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            for rows in [5, 6, 7, 8, 12, 49] {
                for (prefetches, adds) in [(true, true), (true, false), (false, false)] {
                    both_ways::<f32>(isa, rows, prefetches, adds);
                    both_ways::<f64>(isa, rows, prefetches, adds);
                }
            }
        }
    }
}
