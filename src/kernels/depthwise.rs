//! Convolution with few channels in each of many groups, depthwise convolution above all: vectors run over the channels
//! of all groups, where a matrix product would be few columns wide.

use std::ops::Range;

use super::entry::Finish;
use super::matmul::threads;
use super::patches::Patches;
use super::pieces::{each_chunk, even_pieces};
use super::simd::{Kernel, Simd, isa};
use crate::Element;

/// The weights of a convolution whose groups have as many filters as channels, 1, 2 or 4.
#[derive(Clone, Debug)]
pub(crate) struct GroupWeights<T> {
    /// Channels, and filters, of a group.
    pub(super) block: usize,
    /// For each tap, and each channel of a group, a row over the filters of all groups.
    pub(super) values: Vec<T>,
}

impl<T: Element> GroupWeights<T> {
    /// Whether this many channels and filters a group, fewer than a vector has lanes, are better off here.
    pub(super) fn suit(channels: usize, filters: usize) -> bool {
        channels == filters && (channels == 1 || matches!(channels, 2 | 4) && channels < T::lanes(isa()))
    }
}

/// `out[n,y,x,f] = bias[f] + sum over taps and c of source[...,group of f + c] * weights[tap,c,f]`, then `finish` over
/// each row of positions.
pub(super) fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    weights: &GroupWeights<T>,
    bias: Option<&[T]>,
    finish: Finish<'_, T>,
    out: &mut [T],
) {
    let work = out.len() * patches.rows.taps * patches.cols.taps * weights.block;
    let columns = Columns::all(patches, weights.block);
    let line = patches.cols.positions * patches.channels;
    let threads = threads(work);
    let lines = (out.len() / line).div_ceil(2 * threads).clamp(1, BAND_LINES);
    each_chunk(threads > 1, out, lines * line, |band, out| {
        let first = band * lines;
        match weights.block {
            2 => T::dispatch(isa(), Band::<T, 2> { patches, columns: &columns, weights, bias, first, out }),
            4 => T::dispatch(isa(), Band::<T, 4> { patches, columns: &columns, weights, bias, first, out }),
            _ => T::dispatch(isa(), Band::<T, 1> { patches, columns: &columns, weights, bias, first, out }),
        }
        finish(out);
    });
}

/// The most rows of positions that a task computes. A tile of columns goes down through all of them before the next,
/// so that what overlapping windows share stays in the first-level cache.
const BAND_LINES: usize = 4;
/// The most columns of a register tile: with so many sums a vector of weights is read once for all of them.
const COLUMNS: usize = 8;
/// The most columns of a register tile that shares what it reads.
const DENSE_COLUMNS: usize = 6;

/// Columns of positions whose windows see the source with the same of their columns of taps.
struct Columns {
    columns: Range<usize>,
    /// The taps, for the first of the columns; a line leaves out the rows that it does not see.
    taps: Vec<Tap>,
    taps_a_row: usize,
}

/// Where a tap reads (wrapping, for rows far outside the source), counted from the start of the source's line that the
/// window's first row reads, and where its weights lie.
struct Tap {
    source: usize,
    weights: usize,
}

impl Columns {
    /// The taps whose rows a line sees.
    #[inline(always)]
    fn seen(&self, line: &Line) -> &[Tap] {
        &self.taps[line.seen.start * self.taps_a_row..line.seen.end * self.taps_a_row]
    }

    /// All columns: those of the interior together, those that see padding one by one.
    fn all<T: Element>(patches: &Patches<'_, T>, block: usize) -> Vec<Columns> {
        let Patches { channels, ref rows, ref cols, .. } = *patches;
        let interior = cols.interior();
        let border = (0..interior.start).chain(interior.end..cols.positions).map(|col| col..col + 1);
        let columns = |columns: Range<usize>| {
            let inside = cols.inside(columns.start);
            let tap = |i, j| Tap {
                source: rows
                    .beyond_first(i)
                    .wrapping_mul(cols.source)
                    .wrapping_add(cols.read(columns.start, j))
                    .wrapping_mul(channels),
                weights: (i * cols.taps + j) * block * channels,
            };
            let row = |i| inside.clone().map(move |j| tap(i, j));
            Columns { taps: (0..rows.taps).flat_map(row).collect(), taps_a_row: inside.len(), columns }
        };
        border.chain([interior.clone()]).filter(|range| !range.is_empty()).map(columns).collect()
    }
}

/// Some rows of positions, from row `first` of all images on.
struct Band<'a, T, const BLOCK: usize> {
    patches: &'a Patches<'a, T>,
    columns: &'a [Columns],
    weights: &'a GroupWeights<T>,
    bias: Option<&'a [T]>,
    first: usize,
    out: &'a mut [T],
}

/// What the windows of a row of positions see: which rows of taps, and from where on.
struct Line {
    seen: Range<usize>,
    /// Where the window's first row lies; it wraps if that is above the source.
    source: usize,
}

/// Computes all columns in tiles of almost the same size: one of the listed numbers of columns, each followed by how
/// many columns of the source it sees, or by 0 to read the source tap by tap.
macro_rules! tiles {
    ($self:ident, $simd:ident, $lines:ident, $columns:ident, $most:ident, $($size:literal $seen:literal)*) => {
        for (col, size) in even_pieces($columns.columns.clone(), $most) {
            match size {
                $($size => $self.tile::<S, $size, $seen>($simd, &$lines, $columns, col),)*
                _ => {}
            }
        }
    };
}

impl<T: Element, const BLOCK: usize> Kernel<T> for Band<'_, T, BLOCK> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let Patches { channels, ref cols, .. } = *self.patches;
        let lines: Vec<Line> = (self.first..self.first + self.out.len() / (cols.positions * channels))
            .map(|line| self.line(line))
            .collect();
        let dense = BLOCK == 1 && cols.step == 1 && cols.is_contiguous() && cols.taps == 3;
        for columns in self.columns {
            if dense && columns.taps_a_row == 3 {
                tiles!(self, simd, lines, columns, DENSE_COLUMNS, 1 3 2 4 3 5 4 6 5 7 6 8);
            } else {
                tiles!(self, simd, lines, columns, COLUMNS, 1 0 2 0 3 0 4 0 5 0 6 0 7 0 8 0);
            }
        }
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

    /// `X` columns from `col` on, in all lines; windows three wide that move by one share the `SEEN` columns they see.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn tile<S: Simd<T>, const X: usize, const SEEN: usize>(
        &mut self,
        simd: S,
        lines: &[Line],
        columns: &Columns,
        col: usize,
    ) {
        let Patches { source, channels, ref cols, .. } = *self.patches;
        let (width, step) = (cols.positions * channels, cols.step * channels);
        let beyond = (col - columns.columns.start) * step;
        if channels < S::LANES {
            for (line, out) in lines.iter().zip(self.out.chunks_exact_mut(width)) {
                for x in 0..X {
                    let base = line.source.wrapping_add(beyond + x * step);
                    let out = &mut out[(col + x) * channels..][..channels];
                    few_channels::<T, S, BLOCK>(
                        simd,
                        (source, base),
                        columns.seen(line),
                        (self.weights, self.bias),
                        out,
                    );
                }
            }
            return;
        }
        for first in (0..channels).step_by(S::LANES) {
            // The last vector may overlap the one before it, and computes the same numbers again.
            let first = first.min(channels - S::LANES);
            let start = match self.bias {
                Some(bias) => simd.load(&bias[first..]),
                None => simd.splat(T::zero()),
            };
            let weights = &self.weights.values[first..];
            for (line, out) in lines.iter().zip(self.out.chunks_exact_mut(width)) {
                let base = line.source.wrapping_add(beyond + first);
                let mut sums = [start; X];
                if SEEN > 0 {
                    for taps in columns.seen(line).chunks_exact(3) {
                        let w = simd.load_strided::<3>(&weights[taps[0].weights..], channels);
                        let values =
                            simd.load_strided::<SEEN>(&source[base.wrapping_add(taps[0].source)..], step);
                        for x in 0..X {
                            for j in 0..3 {
                                sums[x] = simd.mul_add(values[x + j], w[j], sums[x]);
                            }
                        }
                    }
                    simd.store_strided(sums, &mut out[col * channels + first..], channels);
                    continue;
                }
                for tap in columns.seen(line) {
                    let weights = simd.load_strided::<BLOCK>(&weights[tap.weights..], channels);
                    let values = simd.load_strided::<X>(&source[base.wrapping_add(tap.source)..], step);
                    for x in 0..X {
                        for lane in 0..BLOCK {
                            let value = simd.spread::<BLOCK>(values[x], lane);
                            sums[x] = simd.mul_add(value, weights[lane], sums[x]);
                        }
                    }
                }
                simd.store_strided(sums, &mut out[col * channels + first..], channels);
            }
        }
    }
}

/// One position of fewer channels than a vector has lanes.
#[inline(always)]
fn few_channels<T: Element, S: Simd<T>, const BLOCK: usize>(
    simd: S,
    (source, base): (&[T], usize),
    taps: &[Tap],
    (weights, bias): (&GroupWeights<T>, Option<&[T]>),
    out: &mut [T],
) {
    let channels = out.len();
    let mut sum = simd.load_up_to(bias.unwrap_or_default());
    for tap in taps {
        let values = simd.load_up_to(&source[base.wrapping_add(tap.source)..][..channels]);
        for lane in 0..BLOCK {
            let weights = simd.load_up_to(&weights.values[tap.weights + lane * channels..][..channels]);
            sum = simd.mul_add(simd.spread::<BLOCK>(values, lane), weights, sum);
        }
    }
    simd.store_up_to(sum, out);
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
