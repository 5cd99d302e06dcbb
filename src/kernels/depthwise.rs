//! Convolution with few channels in each of many groups, depthwise convolution above all: vectors run over the channels
//! of all groups, where a matrix product would be few columns wide.

use std::ops::Range;

use super::entry::FinishPiece;
use super::matmul::threads;
use super::patches::Patches;
use super::pieces::{each_chunk, even_pieces};
use super::simd::{Kernel, Simd, Strided, isa};
use crate::{Element, Geometry2d};

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

/// `out[n,y,x,f] = bias[f] + sum over taps and c of source[...,group of f + c] * weights[tap,c,f]`, then `finish` over
/// each row of positions.
pub(super) fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    weights: &GroupWeights<T>,
    bias: Option<&[T]>,
    finish: FinishPiece<'_, T>,
    out: &mut [T],
) {
    let work = out.len() * patches.rows.taps * patches.cols.taps * weights.block;
    let line = patches.cols.positions * patches.channels;
    let threads = threads(work);
    let lines = (out.len() / line).div_ceil(2 * threads).clamp(1, BAND_LINES);
    each_chunk(threads > 1, out, lines * line, |band, out| {
        let first = band * lines;
        match weights.block {
            2 => T::dispatch(isa(), Band::<T, 2> { patches, weights, bias, first, out }),
            4 => T::dispatch(isa(), Band::<T, 4> { patches, weights, bias, first, out }),
            _ => T::dispatch(isa(), Band::<T, 1> { patches, weights, bias, first, out }),
        }
        finish(out);
    });
}

/// The most rows of positions that a task computes. A tile of columns goes down through all of them before the next,
/// so that what overlapping windows share stays in the first-level cache.
const BAND_LINES: usize = 4;
/// The most columns of a register tile: with so many sums a vector of weights is read once for all of them.
const COLUMNS: usize = 8;

/// Some rows of positions, from row `first` of all images on.
struct Band<'a, T, const BLOCK: usize> {
    patches: &'a Patches<'a, T>,
    weights: &'a GroupWeights<T>,
    bias: Option<&'a [T]>,
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

/// Computes columns in tiles of almost the same size: one of the listed numbers of columns.
macro_rules! tiles {
    ($self:ident, $simd:ident, $lines:ident, $columns:expr, $taps:expr, $($size:literal)*) => {
        for (col, size) in even_pieces($columns, COLUMNS) {
            match size {
                $($size => $self.tile::<S, $size>($simd, &$lines, $taps, col),)*
                _ => {}
            }
        }
    };
}

/// Computes all columns in tiles of `$size`, the last of which may overlap the one before it, with windows `$kw` wide that
/// move by `$step`.
macro_rules! dense_tiles {
    ($self:ident, $simd:ident, $lines:ident, $size:literal, $kw:literal, $step:literal) => {{
        let columns = $self.patches.cols.positions;
        for col in (0..columns).step_by($size) {
            $self.dense_tile::<S, $size, $kw, $step>($simd, &$lines, col.min(columns - $size));
        }
    }};
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
        if BLOCK == 1 && channels >= S::LANES && cols.is_contiguous() {
            match (cols.taps, cols.step, cols.positions) {
                (3, 1, 8..) => return dense_tiles!(self, simd, lines, 8, 3, 1),
                (5, 1, 8..) => return dense_tiles!(self, simd, lines, 8, 5, 1),
                (3, 1, 4..) => return dense_tiles!(self, simd, lines, 4, 3, 1),
                (5, 1, 4..) => return dense_tiles!(self, simd, lines, 4, 5, 1),
                (7, 1, 4..) => return dense_tiles!(self, simd, lines, 4, 7, 1),
                (3, 2, 8..) => return dense_tiles!(self, simd, lines, 8, 3, 2),
                (3, 2, 4..) => return dense_tiles!(self, simd, lines, 4, 3, 2),
                (5, 2, 4..) => return dense_tiles!(self, simd, lines, 4, 5, 2),
                _ => {}
            }
        }
        // Those that see padding one by one, then those of the interior together.
        let interior = cols.interior();
        for col in (0..interior.start).chain(interior.end..cols.positions) {
            self.tile::<S, 1>(simd, &lines, cols.inside(col), col);
        }
        tiles!(self, simd, lines, interior, 0..cols.taps, 1 2 3 4 5 6 7 8);
    }
}

impl<T: Element, const BLOCK: usize> Band<'_, T, BLOCK> {
    fn line(&self, line: usize) -> Line {
        let Patches { channels, ref rows, ref cols, .. } = *self.patches;
        let (image, row) = (line / rows.positions, line % rows.positions);
        let seen = rows.inside(row);
        let source = if seen.is_empty() {
            0
        } else {
            let first_seen = image * rows.source + rows.read(row, seen.start);
            first_seen.wrapping_sub(rows.beyond_first(seen.start)).wrapping_mul(cols.source * channels)
        };
        Line { seen, source }
    }

    /// `X` columns from `col` on, in all lines, whose windows see the source with their columns of taps `taps`: tap by
    /// tap.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn tile<S: Simd<T>, const X: usize>(&mut self, simd: S, lines: &[Line], taps: Range<usize>, col: usize) {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        let (width, step) = (cols.positions * channels, cols.step * channels);
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
    }

    /// `X` columns from `col` on, in all lines, for windows `KW` wide that move by `STEP`: each column of the source
    /// that they see is read once for all of them. What lies in the padding is passed over.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn dense_tile<S: Simd<T>, const X: usize, const KW: usize, const STEP: usize>(
        &mut self,
        simd: S,
        lines: &[Line],
        col: usize,
    ) {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        let (width, pitch) = (cols.positions * channels, rows.beyond_first(1) * cols.source * channels);
        let (before, inside, _) = cols.cover(col..col + X);
        for first in vectors::<S, T>(channels) {
            let start = self.start(simd, first);
            let weights = &self.weights.values[first..];
            for (line, out) in lines.iter().zip(self.out.chunks_exact_mut(width)) {
                let base = line.source.wrapping_add(inside.start * channels + first);
                let mut sums = [start; X];
                for i in line.seen.clone() {
                    let weights = simd.load_strided::<KW>(&weights[i * KW * channels..], channels);
                    // All of them may lie in the padding, beyond the end of the source.
                    let seen = source.get(base.wrapping_add(i.wrapping_mul(pitch))..).unwrap_or_default();
                    let seen = Strided::<T, S>::new(seen, channels, inside.len());
                    for column in 0..(X - 1) * STEP + KW {
                        let place = column.wrapping_sub(before);
                        if place < seen.count() {
                            let value = simd.load_at(&seen, place);
                            for j in 0..KW {
                                let x = column.wrapping_sub(j) / STEP;
                                if column >= j && (column - j).is_multiple_of(STEP) && x < X {
                                    sums[x] = simd.mul_add(value, weights[j], sums[x]);
                                }
                            }
                        }
                    }
                }
                simd.store_strided(sums, &mut out[col * channels + first..], channels);
            }
        }
    }

    /// What the sums of the channels from `first` on start from.
    #[inline(always)]
    fn start<S: Simd<T>>(&self, simd: S, first: usize) -> S::V {
        match self.bias {
            Some(bias) => simd.load(&bias[first..]),
            None => simd.splat(T::zero()),
        }
    }
}

/// Where the vectors over so many channels, at least one vector's, start: the last may overlap the one before it, and
/// computes the same numbers again.
#[inline(always)]
fn vectors<S: Simd<T>, T: Element>(channels: usize) -> impl Iterator<Item = usize> {
    (0..channels).step_by(S::LANES).map(move |first| first.min(channels - S::LANES))
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

/// Adds to one row of the kernel's gradient, `[kw, channels]`, what the positions `pixels` contribute.
pub(super) fn add_kernel_gradient<T: Element>(
    patches: &Patches<'_, T>,
    grad: &[T],
    pixels: Range<usize>,
    kernel_row: usize,
    sums: &mut [T],
) {
    T::dispatch(isa(), KernelGradient { patches, grad, pixels, kernel_row, sums });
}

struct KernelGradient<'a, T> {
    patches: &'a Patches<'a, T>,
    grad: &'a [T],
    pixels: Range<usize>,
    kernel_row: usize,
    sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for KernelGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, simd: S) {
        let Patches { source, channels, rows, cols } = self.patches;
        let grads = self.grad[self.pixels.start * channels..].chunks_exact(*channels);
        for (pixel, grad) in self.pixels.zip(grads) {
            let (image, row, col) = self.patches.place(pixel);
            if !rows.inside(row).contains(&self.kernel_row) {
                continue;
            }
            let start = (image * rows.source + rows.read(row, self.kernel_row)) * cols.source;
            for j in cols.inside(col) {
                let x = &source[(start + cols.read(col, j)) * channels..][..*channels];
                let sums = &mut self.sums[j * channels..][..*channels];
                for ((sum, x), g) in
                    sums.chunks_mut(S::LANES).zip(x.chunks(S::LANES)).zip(grad.chunks(S::LANES))
                {
                    let total = simd.mul_add(simd.load_up_to(x), simd.load_up_to(g), simd.load_up_to(sum));
                    simd.store_up_to(total, sum);
                }
            }
        }
    }
}
