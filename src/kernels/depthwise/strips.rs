//! Depthwise convolution by 3x3, strip by strip: a few columns of a vector of channels, from top to bottom. The nine
//! weights stay in registers, and so do the sums of all outputs that see the current row of the source. Each row of it is
//! read once.

use std::array;
use std::ops::Range;

use super::vectors;
use crate::Element;
use crate::kernels::epilogue::Bend;
use crate::kernels::patches::Patches;
use crate::kernels::simd::{Grid, Isa, Kernel, Simd};

/// Columns of a strip: with the weights, the sums of three rows of outputs and a row of the source fill 32 registers; of 16,
/// the sums alone leave a few.
const fn columns(panel: usize) -> usize {
    if panel >= 4 { 4 } else { 3 }
}
/// Taps along either axis.
const TAPS: usize = 3;
/// The most rows of positions that are computed from top to bottom before the next strip.
const LINES: usize = 128;
/// The same where neighbouring columns lie a multiple of so many bytes apart: more would evict each other from the
/// first-level cache.
const FEW_LINES: usize = 8;
const ALIASED_BYTES: usize = 512;

/// Whether windows over so many channels can be computed in strips, and these are faster there.
pub(super) fn suit<T: Element>(isa: Isa, patches: &Patches<'_, T>) -> bool {
    let Patches { channels, ref rows, ref cols, .. } = *patches;
    let vectors = T::vectors(isa);
    // Where the weights must be read again for every row, plain tiles are as good, or better.
    let pays = vectors.panel >= 4 || cols.step == 1 && !is_aliased(patches);
    let axes = [rows, cols].iter().all(|axis| {
        axis.taps == TAPS && axis.is_contiguous() && axis.step == cols.step && matches!(axis.step, 1 | 2)
    });
    // At most one column of a window may lie outside, on one side.
    let edges = || {
        let (first, last) = (cols.inside(0), cols.inside(cols.positions - 1));
        first.end == TAPS && first.start <= 1 && last.start == 0 && last.end >= TAPS - 1
    };
    pays && channels >= vectors.lanes && axes && cols.positions >= columns(vectors.panel) && edges()
}

/// How many rows of positions, of so many, a task had better compute. What is `read_again` had better be in a cache still.
pub(super) fn lines<T: Element>(
    patches: &Patches<'_, T>,
    all: usize,
    threads: usize,
    read_again: bool,
) -> usize {
    let most = if read_again || is_aliased(patches) { FEW_LINES } else { LINES };
    all.div_ceil(all.div_ceil(most).max(1).next_multiple_of(threads)).max(1)
}

fn is_aliased<T: Element>(patches: &Patches<'_, T>) -> bool {
    (patches.channels * size_of::<T>()).is_multiple_of(ALIASED_BYTES)
}

/// Some rows of positions, from row `first` of all images on.
pub(super) struct Strips<'a, T> {
    pub(super) patches: &'a Patches<'a, T>,
    /// For each tap, a row over the channels.
    pub(super) weights: &'a [T],
    pub(super) bias: Option<&'a [T]>,
    pub(super) bend: Bend<T>,
    pub(super) first: usize,
    pub(super) out: &'a mut [T],
}

impl<T: Element> Kernel<T> for Strips<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        let (mut line, width) = (self.first, cols.positions * channels);
        let end = line + self.out.len() / width;
        while line < end {
            let (image, row) = (line / rows.positions, line % rows.positions);
            let count = (rows.positions - row).min(end - line);
            let (pitch, place) = (cols.source * channels, (line - self.first) * width);
            let source = &source[image * rows.source * pitch..];
            let source = Grid::new(source, [rows.source, pitch], [cols.source, channels], channels);
            self.image(simd, &source, (row..row + count, place));
            line += count;
        }
    }
}

impl<T: Element> Strips<'_, T> {
    /// Some rows of positions of an image, whose outputs begin at `place`.
    #[inline(always)]
    fn image<S: Simd<T>>(&mut self, simd: S, source: &Grid<'_, T>, (rows, place): (Range<usize>, usize)) {
        let (cols, columns) = (self.patches.cols, columns(S::PANEL));
        for col in (0..cols.positions).step_by(columns) {
            // The last strip may overlap the one before it, and computes the same numbers again.
            let col = col.min(cols.positions - columns);
            let left = cols.inside(col).start > 0;
            let right = cols.inside(col + columns - 1).end < TAPS;
            let at = (rows.clone(), col, place);
            if const { self::columns(S::PANEL) == 4 } {
                match cols.step {
                    1 => self.strip::<S, 1, 4, 6>(simd, source, at, (left, right)),
                    _ => self.strip::<S, 2, 4, 9>(simd, source, at, (left, right)),
                }
            } else {
                // Only windows that move by one get here.
                self.strip::<S, 1, 3, 5>(simd, source, at, (left, right));
            }
        }
    }

    /// The strip of `X` columns from `col` on, which sees `IN` columns of the source, of which the first or the last may lie
    /// outside.
    #[inline(always)]
    fn strip<S: Simd<T>, const STEP: usize, const X: usize, const IN: usize>(
        &mut self,
        simd: S,
        source: &Grid<'_, T>,
        at: (Range<usize>, usize, usize),
        outside: (bool, bool),
    ) {
        match outside {
            (false, false) => self.go_down::<S, STEP, X, IN, false, false>(simd, source, at),
            (true, false) => self.go_down::<S, STEP, X, IN, true, false>(simd, source, at),
            (false, true) => self.go_down::<S, STEP, X, IN, false, true>(simd, source, at),
            (true, true) => self.go_down::<S, STEP, X, IN, true, true>(simd, source, at),
        }
    }

    /// The same, where that is known.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn go_down<
        S: Simd<T>,
        const STEP: usize,
        const X: usize,
        const IN: usize,
        const LEFT: bool,
        const RIGHT: bool,
    >(
        &mut self,
        simd: S,
        source: &Grid<'_, T>,
        (rows, col, place): (Range<usize>, usize, usize),
    ) {
        let Patches { channels, rows: ref sampling, ref cols, .. } = *self.patches;
        let seen = [cols.read(col, usize::from(LEFT)), IN - usize::from(LEFT) - usize::from(RIGHT)];
        let width = cols.positions * channels;
        for first in vectors(channels, S::LANES) {
            let weights = self.weights_at(simd, first);
            let start = match self.bias {
                Some(bias) => simd.load(&bias[first..]),
                None => simd.splat(T::zero()),
            };
            let source = source.part(seen, [first, S::LANES]);
            let (bend, mut sums) = (self.bend, [[start; X]; TAPS]);
            let mut out = self.out[place + col * channels + first..].chunks_mut(width);
            if STEP == 1 {
                // The sums of the outputs that see the next row of the source with their first, second and last row of taps.
                for (index, position) in (rows.start..rows.end + TAPS - 1).enumerate() {
                    if let Some(row) = sampling.at(position, 0) {
                        let values = read::<T, S, IN, LEFT, RIGHT>(simd, &source, row);
                        for i in 0..TAPS {
                            sums[i] =
                                add::<T, S, STEP, X, IN, LEFT, RIGHT>(simd, sums[i], &values, &weights[i]);
                        }
                    }
                    // Above the first row of outputs they are nobody's.
                    if let Some(out) = if index + 1 < TAPS { None } else { out.next() } {
                        write(simd, sums[2], bend, out, channels);
                    }
                    sums = [[start; X], sums[0], sums[1]];
                }
            } else {
                // The sums of the outputs that see the next row of the source with their last, and with their first row of taps.
                for index in 0..2 * rows.len() + 1 {
                    let (position, tap) = (rows.start + index / 2, index % 2);
                    if let Some(row) = sampling.at(position, tap) {
                        let values = read::<T, S, IN, LEFT, RIGHT>(simd, &source, row);
                        if tap == 0 {
                            sums[1] =
                                add::<T, S, STEP, X, IN, LEFT, RIGHT>(simd, sums[1], &values, &weights[2]);
                            sums[0] =
                                add::<T, S, STEP, X, IN, LEFT, RIGHT>(simd, sums[0], &values, &weights[0]);
                        } else {
                            sums[0] =
                                add::<T, S, STEP, X, IN, LEFT, RIGHT>(simd, sums[0], &values, &weights[1]);
                        }
                    }
                    if tap == 0 {
                        if let Some(out) = if index == 0 { None } else { out.next() } {
                            write(simd, sums[1], bend, out, channels);
                        }
                    } else {
                        (sums[0], sums[1]) = ([start; X], sums[0]);
                    }
                }
            }
        }
    }

    /// The weights of a vector of channels.
    #[inline(always)]
    fn weights_at<S: Simd<T>>(&self, simd: S, first: usize) -> [[S::V; TAPS]; TAPS] {
        let mut weights = [[simd.splat(T::zero()); TAPS]; TAPS];
        for (tap, weight) in weights.as_flattened_mut().iter_mut().enumerate() {
            *weight = simd.load(&self.weights[tap * self.patches.channels + first..]);
        }
        weights
    }
}

/// The columns of a row of the source.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn read<T: Element, S: Simd<T>, const IN: usize, const LEFT: bool, const RIGHT: bool>(
    simd: S,
    source: &Grid<'_, T>,
    row: usize,
) -> [S::V; IN] {
    let source = source.row(row);
    let mut values = [simd.splat(T::zero()); IN];
    for column in usize::from(LEFT)..IN - usize::from(RIGHT) {
        values[column] = simd.load(source.at::<S>(0, column - usize::from(LEFT), 0));
    }
    values
}

/// The sums and the products of a row of taps with the columns of a row of the source that are not outside.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn add<
    T: Element,
    S: Simd<T>,
    const STEP: usize,
    const X: usize,
    const IN: usize,
    const LEFT: bool,
    const RIGHT: bool,
>(
    simd: S,
    mut sums: [S::V; X],
    values: &[S::V; IN],
    weights: &[S::V; TAPS],
) -> [S::V; X] {
    for x in 0..X {
        for j in 0..TAPS {
            let column = x * STEP + j;
            if !(LEFT && column == 0 || RIGHT && column == IN - 1) {
                sums[x] = simd.mul_add(values[column], weights[j], sums[x]);
            }
        }
    }
    sums
}

/// Bends and writes the sums of a row of outputs.
#[inline(always)]
fn write<T: Element, S: Simd<T>, const X: usize>(
    simd: S,
    mut sums: [S::V; X],
    bend: Bend<T>,
    out: &mut [T],
    channels: usize,
) {
    bend.apply(simd, array::from_mut(&mut sums));
    simd.store_strided(sums, out, channels);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry2d;
    use crate::{Padding, Window2d};

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers(len: usize, salt: usize) -> Vec<f64> {
        (0..len).map(|i| ((i * 29 + salt * 7) % 13) as f64 - 6.0).collect()
    }

    /// What outputs from row `first` of all images on are, by the definition.
    fn naive(geometry: &Geometry2d, [x, weights, bias]: [&[f64]; 3], first: usize) -> Vec<f64> {
        let [batch, height, width, channels] = geometry.output_shape();
        let [_, rows, cols, _] = geometry.input_shape();
        let mut out = Vec::new();
        for index in first * width * channels..batch * height * width * channels {
            let (position, channel) = (index / channels, index % channels);
            let (image, row, col) =
                (position / (height * width), position / width % height, position % width);
            let mut sum = bias[channel];
            for tap in 0..9 {
                if let (Some(p), Some(q)) =
                    (geometry.rows.source(row, tap / 3), geometry.cols.source(col, tap % 3))
                {
                    let value = x[((image * rows + p) * cols + q) * channels + channel];
                    sum += value * weights[tap * channels + channel];
                }
            }
            out.push(sum.clamp(-40.0, 90.0));
        }
        out
    }

    fn follows_the_definition<T: Element>(geometry: &Geometry2d, nan: Option<usize>) {
        let own = |numbers: &[f64]| numbers.iter().map(|&x| T::of(x)).collect::<Vec<T>>();
        let channels = geometry.in_channels;
        let x = numbers(geometry.input_shape().iter().product(), 1);
        let (mut weights, bias) = (numbers(9 * channels, 2), numbers(channels, 3));
        if let Some(tap) = nan {
            weights[tap * channels] = f64::NAN;
        }
        let [batch, height, width, _] = geometry.output_shape();
        let (source, own_weights, own_bias) = (own(&x), own(&weights), own(&bias));
        let patches = Patches::of_input(&source, geometry);
        let mut seen = 0;
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            if !suit::<T>(isa, &patches) {
                continue;
            }
            for first in [0, 1, batch * height - 1] {
                let want = naive(geometry, [&x, &weights, &bias], first);
                let mut out = vec![T::of(f64::NAN); (batch * height - first) * width * channels];
                let (bend, bias) = (Bend::Clamp(T::of(-40.0), T::of(90.0)), Some(&own_bias[..]));
                let (patches, weights, out_len) = (&patches, &own_weights[..], want.len());
                T::dispatch(isa, Strips { patches, weights, bias, bend, first, out: &mut out });
                assert_eq!(out.len(), out_len);
                for (got, want) in out.into_iter().zip(want) {
                    let got = got.to_double();
                    assert!(
                        got == want || got.is_nan() && want.is_nan(),
                        "{got} for {want} on {isa}, {geometry:?}"
                    );
                }
                seen += 1;
            }
        }
        let lanes = Isa::ALL.into_iter().filter(|isa| isa.is_available()).map(|isa| T::lanes(isa)).min();
        let moves_by_one = geometry.rows.stride == 1;
        assert!(seen > 0 || !moves_by_one || lanes.is_none_or(|lanes| lanes > channels));
    }

    fn layers() -> impl Iterator<Item = Geometry2d> {
        let sides = [(1, 4), (2, 5), (7, 7), (4, 9), (11, 8), (5, 21)];
        let paddings = [[1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1], [3, 2, 1, 0], [0, 1, 1, 1]];
        let all = sides.into_iter().flat_map(move |side| paddings.map(|padding| (side, padding)));
        let all = all.flat_map(|of| [1, 2].map(|stride| (of, stride)));
        all.enumerate().filter_map(|(index, (((h, w), [top, bottom, left, right]), stride))| {
            let (channels, padding) = (8 + index % 37, Padding::Explicit { top, bottom, left, right });
            let window = Window2d::new(3).strides(stride).padding(padding).groups(channels);
            let geometry = window.conv(&[1 + index % 3, h, w, channels], &[3, 3, 1, channels]);
            geometry.ok().filter(|geometry| geometry.cols.output >= columns(4))
        })
    }

    #[test]
    fn every_edge_and_every_instruction_set_follow_the_definition() {
        for geometry in layers() {
            follows_the_definition::<f32>(&geometry, None);
            follows_the_definition::<f64>(&geometry, None);
        }
    }

    #[test]
    fn a_weight_that_is_not_finite_reaches_no_output_that_sees_padding_there() {
        for (tap, geometry) in layers().enumerate() {
            follows_the_definition::<f32>(&geometry, Some(tap % 9));
        }
    }
}
