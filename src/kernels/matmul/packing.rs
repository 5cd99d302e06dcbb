//! Products with rows that are not packed yet: the first tile of rows packs what it multiplies with, and all others find it
//! packed.

use std::ops::Range;

use super::series::Place;
use super::{
    Block, LARGE_PANEL, Left, MR, NARROW_MR, STRETCH, Tiles, add_products, live_lines, load_row, tile_rows,
};
use crate::Element;
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
    /// Computes it, of which the right factor is packed from `source` into `panels`.
    pub(crate) fn compute_packing(self, source: Source<'_, T>, panels: &'a mut [T]) {
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
        let (k, columns) = (block.right.k, block.columns.clone());
        let across = across::<T>(S::PANEL, S::LANES, k);
        let (tall, _) = tile_rows(across, S::PANEL);
        let whole = columns.len() % (across * S::LANES) == 0 && block.out.len() >= tall;
        // Tiles of small panels leave out all but their sums.
        let large = k * across * S::LANES * size_of::<T>() >= LARGE_PANEL;
        let done = if whole && large && matches!(block.left, Left::Runs { .. }) {
            let start = block.finish.bias.map_or(&[][..], |bias| &bias[columns.clone()]);
            let tiles = Tiles { block: &mut block, rows: 0..tall, columns: 0..columns.len(), start };
            let first = FirstTile { tiles, source, panels: &mut *panels };
            match (tall, across) {
                (MR, 4) if const { 4 <= S::PANEL } => simd.enter(OfSize::<T, MR, 4>(first)),
                (MR, 2) if const { 4 > S::PANEL } => simd.enter(OfSize::<T, MR, 2>(first)),
                (NARROW_MR, 2) if const { 4 <= S::PANEL } => simd.enter(OfSize::<T, NARROW_MR, 2>(first)),
                _ => unreachable!("tiles of {tall} rows and {across} vectors"),
            }
            tall
        } else {
            let from = &source.values[source.column..];
            pack_rows(S::ISA, (from, source.stride), (k, columns.len()), panels);
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

/// A tile of `M` rows and `V` vectors.
struct OfSize<'t, 'a, 'b, 's, 'p, T, const M: usize, const V: usize>(FirstTile<'t, 'a, 'b, 's, 'p, T>);

impl<T: Element, const M: usize, const V: usize> Kernel<T> for OfSize<'_, '_, '_, '_, '_, T, M, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let FirstTile { mut tiles, source: Source { values: source, stride, column }, panels } = self.0;
        let Panels { k, ahead, .. } = tiles.block.right;
        let Left::Runs { values, rows, runs, live_from } = tiles.block.left else { return };
        let (left, live, _) = Place::of(rows, 0).rows::<T, M>(values, rows, runs);
        let lines = live_from.map_or(0..runs.lines(), |first| live_lines(live, first, runs.lines()));
        let line = runs.numbers() / runs.lines().max(1);
        let (all, columns, width) = (tiles.block.out.len().div_ceil(M), tiles.columns.len(), V * S::LANES);
        tiles.each_panel::<S, M, V>(simd, 0, |first, mut sums| {
            let at = column + first;
            let mut rows = panels[first * k..][..k * width].chunks_exact_mut(width);
            for (source, packed) in source.chunks(stride).zip(rows.by_ref().take(lines.start * line)) {
                store_row::<T, S, V>(simd, &load_row(simd, &source[at..]), packed);
            }
            let ask = |part: Range<usize>| {
                if let Some(ahead) = ahead {
                    let place = |number| first * k * all + number / stride * width;
                    ahead.ask(place(part.start)..place(part.end), columns * k * all);
                }
            };
            left.each(lines.clone(), (source, stride), (STRETCH, ask), |numbers, source| {
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
