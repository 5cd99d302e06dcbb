//! Pooling: each output is the largest, or the average, of what its window sees in one channel.
//!
//! Channels lie next to each other, so every innermost loop runs over them. The forward direction is written in vectors;
//! where it writes down who has won, and backward, the compiler makes vectors of the loops. Work is
//! shared out by rows of the result in all directions: backward, a row of the input's gradient gathers from the rows of
//! windows that cover it. A window as large as the map is global pooling.

mod average;
mod forward;
mod max;

use std::iter::zip;
use std::ops::Range;

pub use average::Divisor;
pub(crate) use average::{average, average_backward};
use max::TapNumber;
pub use max::{Taken, Won};
pub(crate) use max::{max, max_backward};

use super::simd::{Kernel, Simd, isa};
use super::threads::each_part;
use crate::{Element, Geometry2d};

/// What a task should at least look at, in elements times taps: some microseconds of work. Less is not worth waking
/// a thread for.
const TASK_WORK: usize = 1 << 15;

/// One direction of a pooling.
trait Direction<T, I>: Sync {
    /// Computes one row of the result: all of `out`, and of `taps`, which only some directions write. Must be
    /// `#[inline(always)]`; `scratch` is for its own use and keeps its memory from row to row.
    fn row(&self, image: usize, row: usize, out: &mut [T], taps: &mut [I], scratch: &mut Vec<T>);
}

/// The rows that make up a result.
struct Rows {
    /// How many there are in each image.
    per_image: usize,
    /// The elements of each.
    line: usize,
    /// About how many others each element looks at.
    reads: usize,
}

impl Rows {
    /// The output's.
    fn of_output(geometry: &Geometry2d) -> Self {
        let Geometry2d { rows, cols, out_channels, .. } = *geometry;
        let [down, across] = [rows, cols].map(|axis| axis.kernel.min(axis.input));
        Rows { per_image: rows.output, line: cols.output * out_channels, reads: down * across }
    }

    /// The input gradient's.
    fn of_input(geometry: &Geometry2d) -> Self {
        let Geometry2d { rows, cols, in_channels, .. } = *geometry;
        let [down, across] = [rows, cols].map(|axis| axis.kernel.div_ceil(axis.stride).min(axis.output));
        Rows { per_image: rows.input, line: cols.input * in_channels, reads: down * across }
    }
}

/// Computes the rows of a result, tasks of several of them in parallel.
fn compute<T: Element, I: TapNumber>(
    direction: &impl Direction<T, I>,
    rows: Rows,
    out: &mut [T],
    taps: &mut [I],
) {
    let Rows { per_image, line, reads } = rows;
    let task_rows = (TASK_WORK / line.saturating_mul(reads)).max(1);
    let isa = isa();
    let step = task_rows * line;
    let tasks = 0..out.len().div_ceil(step);
    each_part(
        true,
        tasks,
        (out, taps),
        &|(out, taps), first, middle| {
            let (out, out_rest) = out.split_at_mut((middle - first) * step);
            let (taps, taps_rest) = taps.split_at_mut((middle - first) * step);
            ((out, taps), (out_rest, taps_rest))
        },
        &|task, (out, taps)| {
            T::dispatch(isa, Task { direction, per_image, line, first: task * task_rows, out, taps });
        },
    );
}

/// Some rows of a result; `first` counts the rows of all images.
struct Task<'a, T, I, D> {
    direction: &'a D,
    per_image: usize,
    line: usize,
    first: usize,
    out: &'a mut [T],
    taps: &'a mut [I],
}

impl<T: Element, I: TapNumber, D: Direction<T, I>> Kernel<T> for Task<'_, T, I, D> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd<T>>(self, _: S) {
        let mut scratch = Vec::new();
        let lines = zip(self.out.chunks_exact_mut(self.line), self.taps.chunks_exact_mut(self.line));
        for (index, (out, taps)) in (self.first..).zip(lines) {
            self.direction.row(index / self.per_image, index % self.per_image, out, taps, &mut scratch);
        }
    }
}

/// For each column of outputs, the taps that lie inside the input; no columns if there is no image.
fn columns_inside(geometry: &Geometry2d) -> Vec<Range<usize>> {
    let columns = if geometry.batch == 0 { 0 } else { geometry.cols.output };
    (0..columns).map(|o| geometry.cols.taps(o)).collect()
}

/// Number `index` of the pieces of `len` that `values` consists of.
#[inline(always)]
fn piece<T>(values: &[T], index: usize, len: usize) -> &[T] {
    &values[index * len..][..len]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::on;
    use super::*;
    use crate::{Padding, Window2d};

    /// One output by the definition: every tap, with the index of the input element that it sees, if it sees one.
    type Seen = Vec<(usize, Option<usize>)>;

    fn windows(geometry: &Geometry2d) -> Vec<Seen> {
        let ([_, h, w, channels], [_, oh, ow, _]) = (geometry.input_shape(), geometry.output_shape());
        let (rows, cols) = (geometry.rows, geometry.cols);
        let window = |index: usize| {
            let (c, x, y, n) = (
                index % channels,
                index / channels % ow,
                index / channels / ow % oh,
                index / channels / ow / oh,
            );
            let taps = (0..rows.kernel).flat_map(|i| (0..cols.kernel).map(move |j| (i, j)));
            let seen = |(i, j)| {
                let (p, q) = (rows.source(y, i)?, cols.source(x, j)?);
                Some(((n * h + p) * w + q) * channels + c)
            };
            taps.enumerate().map(|(tap, place)| (tap, seen(place))).collect()
        };
        (0..len(geometry.output_shape())).map(window).collect()
    }

    fn len(shape: [usize; 4]) -> usize {
        shape.iter().product()
    }

    /// The tap and the input index that win a window.
    fn winner(x: &[f64], window: &Seen) -> (usize, usize) {
        let inside = || window.iter().filter_map(|&(tap, source)| Some((tap, source?)));
        let nan = inside().find(|&(_, source)| x[source].is_nan());
        let largest = inside().map(|(_, source)| x[source]).fold(f64::NEG_INFINITY, f64::max);
        nan.or_else(|| inside().find(|&(_, source)| x[source] == largest)).unwrap()
    }

    /// How many positions of output `o`'s window count along an axis, one by one.
    fn count(divisor: Divisor, axis: crate::WindowAxis, o: usize) -> usize {
        let (before, after) = axis.padding();
        let (low, high) = match divisor {
            Divisor::InsideInput => (before, before + axis.input),
            _ => (0, before + axis.input + after),
        };
        (0..axis.kernel).filter(|tap| (low..high).contains(&(o * axis.stride + tap * axis.dilation))).count()
    }

    fn divisors(divisor: Divisor, geometry: &Geometry2d) -> Vec<f64> {
        let [_, oh, ow, channels] = geometry.output_shape();
        let of = |index: usize| match divisor {
            Divisor::Fixed(n) => n as f64,
            _ => {
                let pixel = index / channels;
                let rows = count(divisor, geometry.rows, pixel / ow % oh);
                (rows * count(divisor, geometry.cols, pixel % ow)) as f64
            }
        };
        (0..len(geometry.output_shape())).map(of).collect()
    }

    /// Negative whole numbers, many of them equal, some NaN: zeros from the padding would win, and sums are exact.
    fn negatives(len: usize, nan: bool) -> Vec<f64> {
        let value = |i: usize| if nan && i % 11 == 3 { f64::NAN } else { -1.0 - ((i * 29) % 7) as f64 };
        (0..len).map(value).collect()
    }

    fn largest<T: Element>(x: &[T], geometry: &Geometry2d, taken: Taken<'_>) -> Vec<T> {
        let mut out = vec![T::nan(); len(geometry.output_shape())];
        max(x, geometry, &mut out, taken);
        out
    }

    fn largest_with_bytes<T: Element>(x: &[T], geometry: &Geometry2d) -> (Vec<T>, Vec<u8>) {
        let mut taps = vec![0; len(geometry.output_shape())];
        (largest(x, geometry, Taken::Bytes(&mut taps)), taps)
    }

    fn averages<T: Element>(x: &[T], divisor: Divisor, geometry: &Geometry2d) -> Vec<T> {
        let mut out = vec![T::nan(); len(geometry.output_shape())];
        average(x, geometry, divisor, &mut out);
        out
    }

    fn backward<T: Element>(geometry: &Geometry2d, gradient: impl Fn(&mut [T])) -> Vec<T> {
        let mut out = vec![T::nan(); len(geometry.input_shape())];
        gradient(&mut out);
        out
    }

    fn geometries() -> impl Strategy<Value = Geometry2d> {
        let pair = |range: Range<usize>| (range.clone(), range);
        let padding = prop_oneof![
            Just(Padding::Valid),
            Just(Padding::Same),
            (0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize)
                .prop_map(|(top, bottom, left, right)| Padding::Explicit { top, bottom, left, right }),
        ];
        let sizes = (1..4_usize, pair(1..9), 1..24_usize);
        (sizes, pair(1..6), pair(1..5), pair(1..4), padding, any::<bool>()).prop_filter_map(
            "a window larger than the input, or in the padding alone",
            |((n, (h, w), channels), kernel, strides, dilation, padding, ceil_mode)| {
                let window = Window2d::new(kernel).strides(strides).dilation(dilation).padding(padding);
                window.ceil_mode(ceil_mode).pool(&[n, h, w, channels]).ok()
            },
        )
    }

    fn check_max(geometry: &Geometry2d, nan: bool) {
        let x = negatives(len(geometry.input_shape()), nan);
        let winners: Vec<_> = windows(geometry).iter().map(|window| winner(&x, window)).collect();
        let mut taps = vec![0_u32; winners.len()];
        let out = largest(&x, geometry, Taken::Numbers(&mut taps));
        assert_eq!(taps, winners.iter().map(|&(tap, _)| tap as u32).collect::<Vec<_>>());
        for (out, &(_, source)) in zip(&out, &winners) {
            assert_eq!(out.to_bits(), x[source].to_bits());
        }
        let same = largest(&x, geometry, Taken::Nowhere);
        // Of a NaN that is computed, not copied, WebAssembly leaves the bits open.
        let open = |a: &f64, b: &f64| cfg!(target_family = "wasm") && a.is_nan() && b.is_nan();
        assert!(zip(&same, &out).all(|(a, b)| a.to_bits() == b.to_bits() || open(a, b)));

        let grad: Vec<f64> = (0..out.len()).map(|i| (i % 9) as f64 - 4.0).collect();
        let mut expected = vec![0.0; x.len()];
        zip(&winners, &grad).for_each(|(&(_, source), g)| expected[source] += g);
        assert_eq!(
            backward(geometry, |out| max_backward(&grad, Won::Numbers(&taps), geometry, out)),
            expected
        );
        if geometry.rows.kernel * geometry.cols.kernel <= 256 {
            let (_, bytes) = largest_with_bytes(&x, geometry);
            assert!(zip(&bytes, &taps).all(|(&byte, &tap)| u32::from(byte) == tap));
            assert_eq!(
                backward(geometry, |out| max_backward(&grad, Won::Bytes(&bytes), geometry, out)),
                expected
            );
        }
    }

    proptest! {
        #[test]
        fn max_follows_the_definition(geometry in geometries(), nan in any::<bool>()) {
            check_max(&geometry, nan);
        }

        #[test]
        fn averages_follow_the_definition(geometry in geometries()) {
            let x = negatives(len(geometry.input_shape()), false);
            let windows = windows(&geometry);
            let grad = negatives(windows.len(), false);
            for divisor in [Divisor::InsideInput, Divisor::IncludePadding, Divisor::Fixed(3)] {
                let divisors = divisors(divisor, &geometry);
                let sum = |window: &Seen| window.iter().filter_map(|&(_, source)| Some(x[source?])).sum::<f64>();
                let expected: Vec<f64> = zip(&windows, &divisors).map(|(w, divisor)| sum(w) / divisor).collect();
                prop_assert_eq!(averages(&x, divisor, &geometry), expected);

                let mut expected = vec![0.0; x.len()];
                for (window, (g, divisor)) in zip(&windows, zip(&grad, &divisors)) {
                    window.iter().filter_map(|&(_, source)| source).for_each(|s| expected[s] += g / divisor);
                }
                let got = backward(&geometry, |out| average_backward(&grad, &geometry, divisor, out));
                for (got, expected) in zip(got, expected) {
                    prop_assert!((got - expected).abs() <= 1e-12 * expected.abs(), "{} {}", got, expected);
                }
            }
        }

        #[test]
        fn gradients_agree_with_finite_differences(geometry in geometries()) {
            // Numbers at least 1 apart: steps this small change no winner, and as an eighth is a binary fraction, nothing
            // but the averages is rounded.
            const STEP: f64 = 0.125;
            let inputs = len(geometry.input_shape());
            let x: Vec<f64> = (0..inputs).map(|i| ((i * 7919) % 10_007) as f64).collect();
            let along: Vec<f64> = (0..inputs).map(|i| ((i * 31) % 5) as f64 - 2.0).collect();
            let moved = |by: f64| zip(&x, &along).map(|(x, d)| x + by * d).collect::<Vec<f64>>();
            let grad: Vec<f64> = (0..len(geometry.output_shape())).map(|i| (i % 5) as f64 - 1.5).collect();
            let dot = |a: &[f64], b: &[f64]| zip(a, b).map(|(a, b)| a * b).sum::<f64>();
            let slope = |f: &dyn Fn(&[f64]) -> Vec<f64>| {
                let difference = dot(&f(&moved(STEP)), &grad) - dot(&f(&moved(-STEP)), &grad);
                difference / (2.0 * STEP)
            };
            let (_, taps) = largest_with_bytes(&x, &geometry);
            let dx = backward(&geometry, |out| max_backward(&grad, Won::Bytes(&taps), &geometry, out));
            let most = slope(&|x| largest(x, &geometry, Taken::Nowhere));
            prop_assert!((dot(&dx, &along) - most).abs() < 1e-4);

            let divisor = Divisor::InsideInput;
            let dx = backward(&geometry, |out| average_backward(&grad, &geometry, divisor, out));
            let mean = slope(&|x| averages(x, divisor, &geometry));
            prop_assert!((dot(&dx, &along) - mean).abs() < 1e-4);
        }
    }

    #[test]
    fn windows_of_more_than_256_taps_follow_the_definition() {
        for window in [Window2d::new(18).padding(Padding::all(9)), Window2d::new((20, 19))] {
            check_max(&window.pool(&[2, 20, 19, 5]).unwrap(), false);
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let geometry = Window2d::new(3).strides(2).padding(Padding::Same).pool(&[2, 61, 63, 19]).unwrap();
        let x: Vec<f32> = (0..len(geometry.input_shape())).map(|i| ((i * 37) % 1009) as f32 / 7.0).collect();
        let all = || {
            let (most, taps) = largest_with_bytes(&x, &geometry);
            let means = averages(&x, Divisor::InsideInput, &geometry);
            let dx = backward(&geometry, |out| max_backward(&means, Won::Bytes(&taps), &geometry, out));
            let shares =
                backward(&geometry, |out| average_backward(&means, &geometry, Divisor::InsideInput, out));
            [most, means, dx, shares].map(|v| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
        };
        assert!(geometry.multiplications() as usize > 4 * TASK_WORK);
        assert_eq!(on(1, all), on(2, all));
    }
}
