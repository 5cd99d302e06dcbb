//! Convolution with few channels in each of many groups, depthwise convolution above all: vectors run over the channels
//! of all groups, where a matrix product would be few columns wide.

mod strips;

use std::ops::Range;

use super::epilogue::{Bend, Epilogue};
use super::patches::Patches;
use super::pieces::each_chunk;
use super::simd::{Grid, Kernel, Simd, isa};
use super::threads::threads;
use crate::{Element, Geometry2d};
use strips::Strips;

/// The weights of a convolution whose groups have as many filters as channels, 1, 2 or 4.
#[derive(Clone, Debug)]
pub(crate) struct GroupWeights<T> {
    /// Channels, and filters, of a group.
    pub(super) block: usize,
    /// For each tap, and each channel of a group, a row over the filters of all groups.
    pub(super) values: Vec<T>,
}

impl<T: Element> GroupWeights<T> {
    /// Whether the groups of `geometry`, narrower than a vector, are better off here.
    pub(super) fn suit(geometry: &Geometry2d) -> bool {
        let [_, _, channels, filters] = geometry.kernel_shape();
        let few = channels == 1 || matches!(channels, 2 | 4) && channels < T::lanes(isa());
        geometry.groups > 1 && filters == channels * geometry.groups && few
    }
}

/// `out[n,y,x,f] = sum over taps and c of source[...,group of f + c] * weights[tap,c,f]`, and what comes `after`.
pub(super) fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    weights: &GroupWeights<T>,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    let work = out.len() * patches.rows.taps * patches.cols.taps * weights.block;
    let line = patches.cols.positions * patches.channels;
    let threads = threads(work);
    let Epilogue { bias, bend, .. } = after.without_residual();
    let (lines, strips) = (out.len() / line, weights.block == 1 && strips::suit(isa(), patches));
    let lines = match strips {
        true => strips::lines(patches, lines, threads, after.has_end()),
        false => lines.div_ceil(2 * threads).clamp(1, BAND_LINES),
    };
    each_chunk(threads > 1, out, lines * line, |band, out| {
        let first = band * lines;
        let after = after.part(first * line..first * line + out.len());
        match weights.block {
            _ if strips => {
                let (weights, out) = (&weights.values[..], &mut *out);
                T::dispatch(isa(), Strips { patches, weights, bias, bend, first, out });
            }
            2 => T::dispatch(isa(), Band::<T, 2> { patches, weights, bias, bend, first, out: &mut *out }),
            4 => T::dispatch(isa(), Band::<T, 4> { patches, weights, bias, bend, first, out: &mut *out }),
            _ => T::dispatch(isa(), Band::<T, 1> { patches, weights, bias, bend, first, out: &mut *out }),
        }
        after.end(isa(), out);
    });
}

/// The time of a convolution, in multiplications at the processor's best speed.
pub(super) fn cost<T: Element>(geometry: &Geometry2d) -> f64 {
    // Measured on Zen 5, and in tiles on Zen 3.
    const STRIPS: f64 = 1.4;
    const TILES: f64 = 2.5;
    let depthwise = geometry.groups == geometry.in_channels;
    let strips = depthwise && strips::suit::<T>(isa(), &Patches::of_input(&[], geometry));
    geometry.multiplications() as f64 * if strips { STRIPS } else { TILES }
}

/// The most rows of positions that a task computes in tiles. One of columns goes down through all of them before the next,
/// so that what overlapping windows share stays in the first-level cache.
const BAND_LINES: usize = 4;
/// Columns of a dense tile, and vectors of channels of it: as many sums as it takes to keep the units busy, few enough
/// columns that their distances from the first are in registers.
const COLUMNS: usize = 4;
const PAIR: usize = 2;

/// Some rows of positions, from row `first` of all images on.
struct Band<'a, T, const BLOCK: usize> {
    patches: &'a Patches<'a, T>,
    weights: &'a GroupWeights<T>,
    bias: Option<&'a [T]>,
    bend: Bend<T>,
    first: usize,
    out: &'a mut [T],
}

/// What the windows of a row of positions see: which rows of taps, and from where on.
#[derive(Clone, Default)]
struct Line {
    seen: Range<usize>,
    /// Where the window's first row lies; it wraps if that is above the source.
    source: usize,
}

/// What the windows of a row of positions see in so many rows, all columns and channels of these, and the weights of the
/// taps that see it.
struct Grids<'a, T> {
    rows: usize,
    source: Grid<'a, T>,
    weights: Grid<'a, T>,
}

impl<T: Element, const BLOCK: usize> Kernel<T> for Band<'_, T, BLOCK> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let Patches { channels, ref cols, .. } = *self.patches;
        let count = self.out.len() / (cols.positions * channels);
        let mut lines: [Line; BAND_LINES] = Default::default();
        for (line, index) in lines.iter_mut().zip(self.first..self.first + count) {
            *line = self.line(index);
        }
        let interior = cols.interior();
        let edges = (0..interior.start).chain(interior.end..cols.positions);
        if BLOCK == 1 && channels >= PAIR * S::LANES && cols.is_contiguous() && interior.len() >= COLUMNS {
            let grids = lines.each_ref().map(|line| self.grids(line));
            for col in edges {
                let taps = cols.inside(col);
                match taps.len() {
                    1 => self.pair::<S, 1>(simd, &grids, (col, taps)),
                    2 => self.pair::<S, 2>(simd, &grids, (col, taps)),
                    3 => self.pair::<S, 3>(simd, &grids, (col, taps)),
                    4 => self.pair::<S, 4>(simd, &grids, (col, taps)),
                    _ => self.pair::<S, 0>(simd, &grids, (col, taps)),
                }
            }
            match (cols.taps, cols.step) {
                (3, 1) => return self.dense_tiles::<S, 3, 1>(simd, &grids, interior),
                (5, 1) => return self.dense_tiles::<S, 5, 1>(simd, &grids, interior),
                (7, 1) => return self.dense_tiles::<S, 7, 1>(simd, &grids, interior),
                (3, 2) => return self.dense_tiles::<S, 3, 2>(simd, &grids, interior),
                (5, 2) => return self.dense_tiles::<S, 5, 2>(simd, &grids, interior),
                _ => {}
            }
        } else {
            for col in edges {
                self.tile::<S, 1>(simd, &lines, cols.inside(col), col);
            }
        }
        let mut col = interior.start;
        while col < interior.end {
            let taps = 0..cols.taps;
            col += match interior.end - col {
                8.. => self.tile::<S, 8>(simd, &lines, taps, col),
                4.. => self.tile::<S, 4>(simd, &lines, taps, col),
                _ => self.tile::<S, 1>(simd, &lines, taps, col),
            };
        }
    }
}

impl<'a, T: Element, const BLOCK: usize> Band<'a, T, BLOCK> {
    fn line(&self, line: usize) -> Line {
        let Patches { channels, ref rows, ref cols, .. } = *self.patches;
        let (image, row) = (line / rows.positions, line % rows.positions);
        let seen = rows.inside(row);
        if seen.is_empty() {
            return Line::default();
        }
        let first_seen = image * rows.source + rows.read(row, seen.start);
        let source =
            first_seen.wrapping_sub(rows.beyond_first(seen.start)).wrapping_mul(cols.source * channels);
        Line { seen, source }
    }

    /// `X` columns from `col` on, in all lines, whose windows see the source with their columns of taps `taps`: tap by
    /// tap. Returns `X`.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn tile<S: Simd<T>, const X: usize>(
        &mut self,
        simd: S,
        lines: &[Line],
        taps: Range<usize>,
        col: usize,
    ) -> usize {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        // Where there is one column only, the step may be as long as it likes.
        let (width, step) = (cols.positions * channels, cols.step.wrapping_mul(channels));
        // From one row, and from one column, of taps to the next.
        let (down, across) = (rows.beyond_first(1) * cols.source * channels, cols.beyond_first(1) * channels);
        let beyond = if taps.is_empty() { 0 } else { cols.read(col, taps.start) * channels };
        let weight = |i: usize, j: usize| (i * cols.taps + j) * BLOCK * channels;
        for first in (0..channels).step_by(S::LANES) {
            // The last vector may overlap the one before it, and computes the same numbers again.
            let first = first.min(channels.saturating_sub(S::LANES));
            let start = simd.load_up_to(self.bias.map_or(&[], |bias| &bias[first..]));
            for (line, out) in lines.iter().zip(self.out.chunks_exact_mut(width)) {
                let base = line.source.wrapping_add(beyond + first);
                let mut sums = [start; X];
                for i in line.seen.clone() {
                    for (place, j) in taps.clone().enumerate() {
                        let seen =
                            &source[base.wrapping_add(i.wrapping_mul(down)).wrapping_add(place * across)..];
                        let weights = &self.weights.values[weight(i, j) + first..];
                        if channels < S::LANES {
                            few_channels::<T, S, X, BLOCK>(simd, seen, weights, (channels, step), &mut sums);
                            continue;
                        }
                        let weights = simd.load_strided::<BLOCK>(weights, channels);
                        let values = simd.load_strided::<X>(seen, step);
                        for x in 0..X {
                            for lane in 0..BLOCK {
                                let value = simd.spread::<BLOCK>(values[x], lane);
                                sums[x] = simd.mul_add(value, weights[lane], sums[x]);
                            }
                        }
                    }
                }
                self.bend.apply(simd, std::array::from_mut(&mut sums));
                let out = &mut out[col * channels + first..];
                if channels < S::LANES {
                    for x in 0..X {
                        simd.store_up_to(sums[x], &mut out[x * channels..][..channels]);
                    }
                } else {
                    simd.store_strided(sums, out, channels);
                }
            }
        }
        X
    }

    /// What the windows of a row of positions see, and the weights of the taps that see it.
    fn grids(&self, line: &Line) -> Grids<'a, T> {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        let (count, pitch) = (line.seen.len(), rows.beyond_first(1) * cols.source * channels);
        let start = line.source.wrapping_add(line.seen.start.wrapping_mul(pitch));
        let source = Grid::new(&source[start..], [count, pitch], [cols.source, channels], channels);
        let (line_len, start) = (cols.taps * channels, line.seen.start * cols.taps * channels);
        let weights = &self.weights.values[start..];
        let weights = Grid::new(weights, [count, line_len], [cols.taps, channels], channels);
        Grids { rows: count, source, weights }
    }

    /// All of `interior` in tiles of [`COLUMNS`], the last of which may overlap the one before it.
    #[inline(always)]
    fn dense_tiles<S: Simd<T>, const KW: usize, const STEP: usize>(
        &mut self,
        simd: S,
        grids: &[Grids<'_, T>; BAND_LINES],
        interior: Range<usize>,
    ) {
        for col in interior.clone().step_by(COLUMNS) {
            self.dense_tile::<S, KW, STEP>(simd, grids, col.min(interior.end - COLUMNS));
        }
    }

    /// [`COLUMNS`] columns from `col` on, in all lines, for windows `KW` wide that move by `STEP` and see no padding beside
    /// the source.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn dense_tile<S: Simd<T>, const KW: usize, const STEP: usize>(
        &mut self,
        simd: S,
        grids: &[Grids<'_, T>; BAND_LINES],
        col: usize,
    ) {
        let (channels, seen) = (self.patches.channels, self.patches.cols.read(col, 0));
        let width = self.patches.cols.positions * channels;
        for first in vectors(channels, PAIR * S::LANES) {
            let start = self.start(simd, first);
            for (line, (grids, out)) in grids.iter().zip(self.out.chunks_exact_mut(width)).enumerate() {
                let source = grids.source.part([seen, (COLUMNS - 1) * STEP + KW], [first, PAIR * S::LANES]);
                let weights = grids.weights.part([0, KW], [first, PAIR * S::LANES]);
                let mut sums = [start; COLUMNS];
                for x in 0..COLUMNS {
                    simd.prefetch(&mut out[(col + x) * channels + first..], PAIR * S::LANES);
                }
                for i in 0..grids.rows {
                    // Rows that the line above has not asked for.
                    if line == 0 || i + STEP >= grids.rows {
                        for column in 0..(COLUMNS - 1) * STEP + KW {
                            source.prefetch_next(i, column);
                        }
                    }
                    for j in 0..KW {
                        for v in 0..PAIR {
                            let weight = simd.load(weights.at::<S>(i, j, v));
                            for x in 0..COLUMNS {
                                let value = simd.load(source.at::<S>(i, x * STEP + j, v));
                                sums[x][v] = simd.mul_add(value, weight, sums[x][v]);
                            }
                        }
                    }
                }
                self.bend.apply(simd, &mut sums);
                let out = &mut out[col * channels + first..];
                for v in 0..PAIR {
                    let mut vectors = [sums[0][v]; COLUMNS];
                    for x in 0..COLUMNS {
                        vectors[x] = sums[x][v];
                    }
                    simd.store_strided(vectors, &mut out[v * S::LANES..], channels);
                }
            }
        }
    }

    /// Column `col` in all lines, for windows that may see padding and see the source with the columns of taps `taps`, of
    /// which there are `KW`, or any number if `KW` is 0.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn pair<S: Simd<T>, const KW: usize>(
        &mut self,
        simd: S,
        grids: &[Grids<'_, T>; BAND_LINES],
        (col, taps): (usize, Range<usize>),
    ) {
        let Patches { channels, ref cols, .. } = *self.patches;
        let count = if KW > 0 { KW } else { taps.len() };
        // Where there is nothing to see, the first of everything is as good a place as any.
        let (tap, seen) = if count == 0 { (0, 0) } else { (taps.start, cols.read(col, taps.start)) };
        for first in vectors(channels, PAIR * S::LANES) {
            let start = self.start(simd, first);
            let out = self.out.chunks_exact_mut(cols.positions * channels);
            for (grids, out) in grids.iter().zip(out) {
                let source = grids.source.part([seen, count], [first, PAIR * S::LANES]);
                let weights = grids.weights.part([tap, count], [first, PAIR * S::LANES]);
                let mut sums = start;
                for i in 0..grids.rows {
                    for j in 0..count {
                        for v in 0..PAIR {
                            let (value, weight) =
                                (simd.load(source.at::<S>(i, j, v)), simd.load(weights.at::<S>(i, j, v)));
                            sums[v] = simd.mul_add(value, weight, sums[v]);
                        }
                    }
                }
                self.bend.apply(simd, std::array::from_mut(&mut sums));
                let out = &mut out[col * channels + first..];
                for v in 0..PAIR {
                    simd.store(sums[v], &mut out[v * S::LANES..]);
                }
            }
        }
    }

    /// What the sums of the channels from `first` on start from.
    #[inline(always)]
    fn start<S: Simd<T>>(&self, simd: S, first: usize) -> [S::V; PAIR] {
        let mut start = [simd.splat(T::zero()); PAIR];
        if let Some(bias) = self.bias {
            for (v, start) in start.iter_mut().enumerate() {
                *start = simd.load(&bias[first + v * S::LANES..]);
            }
        }
        start
    }
}

/// Where pieces of `width` of so many channels, at least as many, start: the last may overlap the one before it, and
/// computes the same numbers again.
#[inline(always)]
fn vectors(channels: usize, width: usize) -> impl Iterator<Item = usize> {
    (0..channels).step_by(width).map(move |first| first.min(channels - width))
}

/// Adds one tap of `X` positions, `step` apart, of fewer channels than a vector has lanes.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn few_channels<T: Element, S: Simd<T>, const X: usize, const BLOCK: usize>(
    simd: S,
    seen: &[T],
    weights: &[T],
    (channels, step): (usize, usize),
    sums: &mut [S::V; X],
) {
    for x in 0..X {
        let value = simd.load_up_to(&seen[x * step..][..channels]);
        for lane in 0..BLOCK {
            let weights = simd.load_up_to(&weights[lane * channels..][..channels]);
            sums[x] = simd.mul_add(simd.spread::<BLOCK>(value, lane), weights, sums[x]);
        }
    }
}
