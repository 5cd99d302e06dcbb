//! Max pooling. NaN is larger than any number, and of equals the first in row-major order wins (which of two zeros the
//! value is may depend on whether the winner is written down).

use std::iter::zip;
use std::ops::Range;

use super::forward::{Reduction, reduce};
use super::{Direction, Rows, columns_inside, compute, piece};
use crate::kernels::simd::{Simd, isa};
use crate::{Element, Geometry2d};

/// How the winner within a window is written down: by the number of its tap, `row * kw + column`.
pub(super) trait TapNumber: Copy + PartialEq + Send + Sync {
    /// The number `tap`, which must fit.
    fn of(tap: usize) -> Self;
}

impl TapNumber for u8 {
    #[inline(always)]
    fn of(tap: usize) -> Self {
        tap as u8
    }
}

impl TapNumber for u32 {
    #[inline(always)]
    fn of(tap: usize) -> Self {
        tap as u32
    }
}

/// Not at all: slices of it take no memory, and writing to them is no work.
impl TapNumber for () {
    #[inline(always)]
    fn of(_: usize) -> Self {}
}

/// Where to write down the taps that saw the largest; nowhere, if nobody wants to know.
pub enum Taken<'a> {
    Nowhere,
    Bytes(&'a mut [u8]),
    Numbers(&'a mut [u32]),
}

/// The taps that saw the largest.
pub enum Won<'a> {
    Bytes(&'a [u8]),
    Numbers(&'a [u32]),
}

/// The largest that each window sees, to `out`, and the tap that saw it, to `taken`. Writes all of both.
pub(crate) fn max<T: Element>(input: &[T], geometry: &Geometry2d, out: &mut [T], taken: Taken<'_>) {
    match taken {
        Taken::Nowhere => reduce(isa(), input, geometry, LargestNumber, out),
        Taken::Bytes(taps) => with_taps(input, geometry, out, taps),
        Taken::Numbers(taps) => with_taps(input, geometry, out, taps),
    }
}

fn with_taps<T: Element, I: TapNumber>(input: &[T], geometry: &Geometry2d, out: &mut [T], taps: &mut [I]) {
    let direction = Forward { input, geometry, inside: columns_inside(geometry) };
    compute(&direction, Rows::of_output(geometry), out, taps);
}

/// The largest, where all are numbers. The sum of all of them tells whether they are: it is NaN if one of them is, and
/// adding up costs less than looking for NaN in every pair. It may be NaN without one, where infinities meet.
#[derive(Clone, Copy)]
pub(super) struct LargestNumber;

impl<T: Element> Reduction<T> for LargestNumber {
    type Exact = Largest;

    #[inline(always)]
    fn join<S: Simd<T>>(self, simd: S, a: S::V, b: S::V) -> S::V {
        simd.larger(a, b)
    }

    #[inline(always)]
    fn watch<S: Simd<T>>(self, simd: S, watched: S::V, x: S::V) -> S::V {
        simd.add(watched, x)
    }

    fn exact(self) -> Largest {
        Largest
    }
}

/// The largest, or NaN.
#[derive(Clone, Copy)]
pub(super) struct Largest;

impl<T: Element> Reduction<T> for Largest {
    type Exact = Self;

    #[inline(always)]
    fn join<S: Simd<T>>(self, simd: S, a: S::V, b: S::V) -> S::V {
        simd.max(a, b)
    }

    fn exact(self) -> Self {
        self
    }
}

struct Forward<'a, T> {
    input: &'a [T],
    geometry: &'a Geometry2d,
    inside: Vec<Range<usize>>,
}

impl<T: Element, I: TapNumber> Direction<T, I> for Forward<'_, T> {
    #[inline(always)]
    fn row(&self, image: usize, row: usize, out: &mut [T], taps: &mut [I], _: &mut Vec<T>) {
        let channels = self.geometry.in_channels;
        let row_taps = &self.geometry.rows.taps(row);
        let pixels = zip(out.chunks_exact_mut(channels), taps.chunks_exact_mut(channels));
        for ((col, (out, taps)), col_taps) in pixels.enumerate().zip(&self.inside) {
            let window = Window { forward: self, place: (image, row, col), row_taps, col_taps };
            let done = window.blocks::<16, I>(0, out, taps);
            let done = window.blocks::<4, I>(done, out, taps);
            window.blocks::<1, I>(done, out, taps);
        }
    }
}

/// The window of one output pixel: its image, row and column, and its taps inside the input.
struct Window<'a, T> {
    forward: &'a Forward<'a, T>,
    place: (usize, usize, usize),
    row_taps: &'a Range<usize>,
    col_taps: &'a Range<usize>,
}

impl<T: Element> Window<'_, T> {
    /// Computes the channels from `start` on as long as there are `LANES` at a time; returns the first left over.
    #[inline(always)]
    fn blocks<const LANES: usize, I: TapNumber>(&self, start: usize, out: &mut [T], taps: &mut [I]) -> usize {
        let (outs, _) = out[start..].as_chunks_mut::<LANES>();
        let (taps, _) = taps[start..].as_chunks_mut::<LANES>();
        let end = start + outs.len() * LANES;
        for (first, (out, taps)) in (start..).step_by(LANES).zip(zip(outs, taps)) {
            (*out, *taps) = self.block(first);
        }
        end
    }

    /// The largest of `LANES` channels and their taps. Arrays of a known length stay in registers over the whole window;
    /// stores of the lanes that change, tap by tap, would be several times slower.
    #[inline(always)]
    fn block<const LANES: usize, I: TapNumber>(&self, first: usize) -> ([T; LANES], [I; LANES]) {
        let Geometry2d { rows, cols, in_channels: channels, .. } = *self.forward.geometry;
        let (image, row, col) = self.place;
        let mut best = [T::neg_infinity(); LANES];
        let mut winner = [I::of(self.row_taps.start * cols.kernel + self.col_taps.start); LANES];
        for i in self.row_taps.clone() {
            let line = image * rows.input + rows.read(row, i);
            let line = piece(self.forward.input, line, cols.input * channels);
            for j in self.col_taps.clone() {
                let x = &piece(line, cols.read(col, j), channels)[first..][..LANES];
                let tap = I::of(i * cols.kernel + j);
                for lane in 0..LANES {
                    let wins = beats(x[lane], best[lane]);
                    best[lane] = if wins { x[lane] } else { best[lane] };
                    winner[lane] = if wins { tap } else { winner[lane] };
                }
            }
        }
        (best, winner)
    }
}

/// Whether `x`, which comes later, replaces the best so far: where it is larger, or the first NaN.
#[inline(always)]
fn beats<T: Element>(x: T, best: T) -> bool {
    (x > best || x.is_nan()) && !best.is_nan()
}

/// The gradient of the input: each output's gradient goes to the one position that `won` names. Writes all of `out`.
pub(crate) fn max_backward<T: Element>(grad: &[T], won: Won<'_>, geometry: &Geometry2d, out: &mut [T]) {
    match won {
        Won::Bytes(taps) => backward(grad, taps, geometry, out),
        Won::Numbers(taps) => backward(grad, taps, geometry, out),
    }
}

fn backward<T: Element, I: TapNumber>(grad: &[T], taps: &[I], geometry: &Geometry2d, out: &mut [T]) {
    let direction = Backward { grad, taps, geometry, inside: columns_inside(geometry) };
    let nothing = &mut vec![(); out.len()];
    compute(&direction, Rows::of_input(geometry), out, nothing);
}

struct Backward<'a, T, I> {
    grad: &'a [T],
    taps: &'a [I],
    geometry: &'a Geometry2d,
    inside: Vec<Range<usize>>,
}

impl<T: Element, I: TapNumber> Direction<T, ()> for Backward<'_, T, I> {
    #[inline(always)]
    fn row(&self, image: usize, row: usize, out: &mut [T], _: &mut [()], _: &mut Vec<T>) {
        let Geometry2d { rows, cols, in_channels: channels, .. } = *self.geometry;
        let line = cols.output * channels;
        out.fill(T::zero());
        for (output_row, i) in rows.windows_over(row) {
            let index = image * rows.output + output_row;
            let grads = piece(self.grad, index, line).chunks_exact(channels);
            let winners = piece(self.taps, index, line).chunks_exact(channels);
            for ((col, (grad, winner)), taps) in zip(grads, winners).enumerate().zip(&self.inside) {
                for j in taps.clone() {
                    let out = &mut out[cols.read(col, j) * channels..][..channels];
                    add_won(out, grad, winner, I::of(i * cols.kernel + j));
                }
            }
        }
    }
}

/// Adds the gradients of those channels that `tap` won.
#[inline(always)]
fn add_won<T: Element, I: TapNumber>(out: &mut [T], grad: &[T], winner: &[I], tap: I) {
    for ((out, &grad), &winner) in zip(zip(out, grad), winner) {
        *out += if winner == tap { grad } else { T::zero() };
    }
}
