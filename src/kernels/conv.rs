//! Convolution and its two gradients, each a matrix product over patches, which are never all in memory; for narrow
//! groups [`depthwise`] vectors, and for some windows Winograd's transform, take the product's place.
//!
//! | function | patches of | through | times |
//! |---|---|---|---|
//! | [`forward`] | input | the window | kernel |
//! | [`backward_input`] | output gradient | the window turned round, by phases of the stride | kernel, transposed |
//! | [`backward_kernel`] | input, transposed | the window | output gradient |

mod fold;
mod input_gradient;
mod kernel_gradient;
mod pooled;

use std::sync::OnceLock;

use super::depthwise::GroupWeights;
use super::direct::Right;
use super::epilogue::Epilogue;
use super::kernel_matrix::KernelMatrix;
use super::panels::PackedMatrix;
use super::patches::Patches;
use super::plan::Algorithm;
use super::winograd::{self, TileSize, WinogradKernel};
use super::{depthwise, direct};
use crate::Element;
use crate::geometry::Geometry2d;
pub(crate) use input_gradient::backward_input;
pub(crate) use kernel_gradient::backward_kernel;
pub(crate) use pooled::{PooledStrips, forward_pooled};

/// What has been made of a kernel for [`forward`], for each algorithm when it is first used: maps of another size may
/// take another.
#[derive(Clone, Debug, Default)]
pub struct PreparedKernel<T: Copy + Default + 'static> {
    plain: OnceLock<PackedKernel<T>>,
    /// For tiles of each size.
    winograd: [OnceLock<WinogradKernel<T>>; TileSize::COUNT],
}

impl<T: Element> PreparedKernel<T> {
    /// The kernel transformed for these tiles.
    fn transformed(&self, kernel: &[T], geometry: &Geometry2d, tiles: TileSize) -> &WinogradKernel<T> {
        self.winograd[tiles as usize].get_or_init(|| WinogradKernel::new(kernel, geometry, tiles))
    }

    /// The kernel packed for plain sums.
    fn packed(&self, kernel: &[T], geometry: &Geometry2d) -> &PackedKernel<T> {
        self.plain.get_or_init(|| PackedKernel::new(kernel, geometry))
    }

    /// Prepares what an algorithm needs.
    fn prepare(&self, algorithm: Algorithm, kernel: &[T], geometry: &Geometry2d) {
        match algorithm.tiles() {
            Some(tiles) => drop(self.transformed(kernel, geometry, tiles)),
            None => drop(self.packed(kernel, geometry)),
        }
    }
}

/// A kernel packed for plain sums.
#[derive(Clone, Debug)]
enum PackedKernel<T: Copy + Default + 'static> {
    /// One packed matrix a group.
    Groups(Vec<PackedMatrix<T>>),
    /// Few channels a group.
    Few(GroupWeights<T>),
}

impl<T: Element> PackedKernel<T> {
    /// Packs a kernel `[kh, kw, channels / groups, filters]`.
    fn new(kernel: &[T], geometry: &Geometry2d) -> Self {
        let [kh, kw, group_in, filters] = geometry.kernel_shape();
        let group_out = filters / geometry.groups;
        if GroupWeights::<T>::suit(geometry) {
            return PackedKernel::Few(GroupWeights { block: group_in, values: kernel.to_vec() });
        }
        let group =
            |group| PackedMatrix::new((&kernel[group * group_out..], filters), kh * kw * group_in, group_out);
        PackedKernel::Groups((0..geometry.groups).map(group).collect())
    }
}

fn is_depthwise(geometry: &Geometry2d) -> bool {
    geometry.groups == geometry.in_channels && geometry.groups == geometry.out_channels
}

/// `out[n,y,x,f] = sum over i,j,c of input[n, y*s+i*d-p, x*s+j*d-p, c] * kernel[i,j,c,f]`, and what comes `after`.
/// `kernel` is the kernel, and what has been made of it.
pub(crate) fn forward<T: Element>(
    input: &[T],
    (kernel, prepared): (&[T], &PreparedKernel<T>),
    geometry: &Geometry2d,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    if !out.is_empty() {
        forward_by(
            Algorithm::choose::<T>(geometry),
            input,
            (kernel, prepared),
            (geometry, geometry),
            after,
            out,
        );
    }
}

/// The same by this algorithm, for the geometry of some rows of `whole`.
fn forward_by<T: Element>(
    algorithm: Algorithm,
    input: &[T],
    (kernel, prepared): (&[T], &PreparedKernel<T>),
    (geometry, whole): (&Geometry2d, &Geometry2d),
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    match algorithm.tiles() {
        Some(tiles) => {
            let kernel = winograd::Kernel::Packed(prepared.transformed(kernel, geometry, tiles));
            winograd::forward_part(input, kernel, (geometry, whole), after, out);
        }
        None => {
            let patches = Patches::of_input(input, geometry);
            correlate(&patches, prepared.packed(kernel, geometry), geometry.out_channels, after, out);
        }
    }
}

/// The same with a kernel that is used once: nothing is prepared that is not used at once.
pub(crate) fn forward_once<T: Element>(
    input: &[T],
    kernel: &[T],
    geometry: &Geometry2d,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    if geometry.groups > 1 {
        return forward(input, (kernel, &PreparedKernel::default()), geometry, after, out);
    }
    convolve(input, &KernelMatrix::new(kernel, geometry.out_channels), geometry, after, out);
}

/// The convolution of a geometry of one group with the kernel `matrix`.
fn convolve<T: Element>(
    input: &[T],
    kernel: &KernelMatrix<'_, T>,
    geometry: &Geometry2d,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    if out.is_empty() {
        return;
    }
    match winograd::choose_once(geometry) {
        Some(tiles) => winograd::forward(input, winograd::Kernel::Once(kernel, tiles), geometry, after, out),
        None => {
            let patches = Patches::of_input(input, geometry);
            direct::correlate(&patches, Right::Once(kernel), geometry.out_channels, after, out);
        }
    }
}

/// The products of all patches with the kernels of their groups.
fn correlate<T: Element>(
    patches: &Patches<'_, T>,
    kernel: &PackedKernel<T>,
    filters: usize,
    after: Epilogue<'_, T>,
    out: &mut [T],
) {
    match kernel {
        PackedKernel::Few(weights) => depthwise::correlate(patches, weights, after, out),
        PackedKernel::Groups(groups) => {
            direct::correlate(patches, Right::Packed(groups), filters, after, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use proptest::prelude::*;

    use super::*;
    use crate::kernels::epilogue::Bend;
    use crate::kernels::on;
    use crate::{Accuracy, Padding, Window2d};

    /// Small whole numbers, whose sums are exact in any order.
    fn numbers(len: usize, salt: usize) -> Vec<f32> {
        (0..len).map(|i| ((i * 29 + salt * 7) % 13) as f32 - 6.0).collect()
    }

    /// Calls `f(input index, kernel index, output index)` for every multiplication, by the definition.
    fn each_product(geometry: &Geometry2d, mut f: impl FnMut(usize, usize, usize)) {
        let [batch, oh, ow, filters] = geometry.output_shape();
        let [kh, kw, group_in, _] = geometry.kernel_shape();
        let [_, h, w, channels] = geometry.input_shape();
        for (n, y, x, i, j) in counters([batch, oh, ow, kh, kw]) {
            if let (Some(p), Some(q)) = (geometry.rows.source(y, i), geometry.cols.source(x, j)) {
                for filter in 0..filters {
                    let group = filter / (filters / geometry.groups);
                    for c in 0..group_in {
                        let input = ((n * h + p) * w + q) * channels + group * group_in + c;
                        let kernel = ((i * kw + j) * group_in + c) * filters + filter;
                        f(input, kernel, ((n * oh + y) * ow + x) * filters + filter);
                    }
                }
            }
        }
    }

    fn counters(limits: [usize; 5]) -> impl Iterator<Item = (usize, usize, usize, usize, usize)> {
        (0..limits.iter().product()).map(move |mut index: usize| {
            let mut digits = [0; 5];
            for (digit, limit) in digits.iter_mut().zip(limits).rev() {
                (*digit, index) = (index % limit, index / limit);
            }
            (digits[0], digits[1], digits[2], digits[3], digits[4])
        })
    }

    fn geometries() -> impl Strategy<Value = Geometry2d> {
        let pair = |range: Range<usize>| (range.clone(), range);
        let padding = prop_oneof![
            Just(Padding::Valid),
            Just(Padding::Same),
            (0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize)
                .prop_map(|(top, bottom, left, right)| Padding::Explicit { top, bottom, left, right }),
        ];
        let channels = prop_oneof![
            (1..4_usize, 1..4_usize, 1..20_usize),
            (1..20_usize, Just(1), Just(1)),
            (1..9_usize, Just(2), Just(2)),
            (1..7_usize, Just(4), Just(4)),
        ];
        (1..4_usize, pair(1..9), pair(1..5), pair(1..4), pair(1..3), padding, channels).prop_filter_map(
            "the window is larger than the input",
            |(n, (h, w), kernel, strides, dilation, padding, (groups, group_in, group_out))| {
                let kernel_shape = [kernel.0, kernel.1, group_in, groups * group_out];
                let window = Window2d::new(kernel).strides(strides).dilation(dilation).padding(padding);
                let window = window.accuracy(Accuracy::Strict);
                window.groups(groups).conv(&[n, h, w, groups * group_in], &kernel_shape).ok()
            },
        )
    }

    fn len(shape: [usize; 4]) -> usize {
        shape.iter().product()
    }

    proptest! {
        #[test]
        fn all_three_directions_follow_the_definition(geometry in geometries()) {
            let x = numbers(len(geometry.input_shape()), 1);
            let kernel = numbers(len(geometry.kernel_shape()), 2);
            let (bias, residual) = (numbers(geometry.out_channels, 3), numbers(len(geometry.output_shape()), 5));
            let grad = numbers(len(geometry.output_shape()), 4);

            let mut y: Vec<f32> = bias.iter().cycle().zip(&residual).map(|(bias, residual)| bias + residual).collect();
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; kernel.len()]);
            each_product(&geometry, |input, weight, output| {
                y[output] += x[input] * kernel[weight];
                dx[input] += grad[output] * kernel[weight];
                dw[weight] += grad[output] * x[input];
            });

            let after = Epilogue { residual: Some(&residual), ..Epilogue::bias(Some(&bias)) };
            let mut out = vec![f32::NAN; y.len()];
            forward(&x, (&kernel, &PreparedKernel::default()), &geometry, after, &mut out);
            prop_assert_eq!(&out, &y);
            out.fill(f32::NAN);
            forward_once(&x, &kernel, &geometry, after, &mut out);
            prop_assert_eq!(out, y);
            let mut out = vec![f32::NAN; dx.len()];
            backward_input(&grad, &kernel, &geometry, &mut out);
            prop_assert_eq!(out, dx);
            let mut out = vec![f32::NAN; dw.len()];
            backward_kernel(&x, &grad, &geometry, &mut out);
            prop_assert_eq!(&out, &dw);
            let sum = |filter| grad.iter().skip(filter).step_by(geometry.out_channels).sum::<f32>();
            dw.extend((0..geometry.out_channels).map(sum));
            out = vec![f32::NAN; dw.len()];
            backward_kernel(&x, &grad, &geometry, &mut out);
            prop_assert_eq!(out, dw);
        }
    }

    fn small_windows_follow_the_definition<T: Element>() {
        // Filters that fill panels of every width, rows that fill tiles and that do not, with and without padding.
        let windows = [(3, 1, 32), (3, 1, 64), (3, 2, 96), (5, 1, 16), (5, 2, 64), (3, 1, 40)];
        for (kernel, stride, filters) in windows {
            for padding in [Padding::Same, Padding::Valid] {
                let window = Window2d::new(kernel).strides(stride).padding(padding);
                let geometry = window.conv(&[2, 11, 15, 1], &[kernel, kernel, 1, filters]).unwrap();
                let x = numbers(len(geometry.input_shape()), 1);
                let weights = numbers(len(geometry.kernel_shape()), 2);
                let bias = numbers(filters, 3);
                let mut want: Vec<f32> =
                    bias.iter().cycle().take(len(geometry.output_shape())).copied().collect();
                each_product(&geometry, |input, weight, output| want[output] += x[input] * weights[weight]);
                let own = |numbers: &[f32]| numbers.iter().map(|&x| T::of(x.into())).collect::<Vec<T>>();
                let (x, weights, bias, want) = (own(&x), own(&weights), own(&bias), own(&want));
                for after in [Some(&bias[..]), None].map(Epilogue::bias) {
                    let mut out = vec![T::of(f64::NAN); want.len()];
                    forward(&x, (&weights, &PreparedKernel::default()), &geometry, after, &mut out);
                    let bias = |index: usize| after.bias.map_or(bias[index % filters], |_| T::zero());
                    let same =
                        out.iter().zip(&want).enumerate().all(|(i, (&got, &want))| got + bias(i) == want);
                    assert!(same, "{geometry:?}");
                }
            }
        }
    }

    #[test]
    fn windows_over_one_channel_follow_the_definition() {
        small_windows_follow_the_definition::<f32>();
        small_windows_follow_the_definition::<f64>();
    }

    #[test]
    fn windows_that_slide_over_few_filters_follow_the_definition() {
        for (width, channels, filters) in
            (12..21).flat_map(|w| [(w, 3, 16), (w, 6, 20), (w, 1, 5), (w, 4, 8)])
        {
            let geometry =
                Window2d::new(5).conv(&[2, 9, width, channels], &[5, 5, channels, filters]).unwrap();
            let x = numbers(len(geometry.input_shape()), 1);
            let weights = numbers(len(geometry.kernel_shape()), 2);
            let (bias, residual) = (numbers(filters, 3), numbers(len(geometry.output_shape()), 5));
            let mut want: Vec<f32> = bias.iter().cycle().zip(&residual).map(|(b, r)| b + r).collect();
            each_product(&geometry, |input, weight, output| want[output] += x[input] * weights[weight]);
            for (threads, shortcut) in [(1, Some(&residual[..])), (3, None), (40, Some(&residual[..]))] {
                let after = Epilogue { residual: shortcut, ..Epilogue::bias(Some(&bias)) };
                let (mut out, kernel) = (vec![f32::NAN; want.len()], PreparedKernel::default());
                on(threads, || forward(&x, (&weights, &kernel), &geometry, after, &mut out));
                if shortcut.is_none() {
                    out.iter_mut().zip(&residual).for_each(|(out, residual)| *out += residual);
                }
                assert!(out == want, "{threads} threads, {geometry:?}");
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let depthwise = [(70, 1), (128, 1), (70, 2), (128, 2)].map(|(channels, stride)| {
            let window = Window2d::new(3).strides(stride).padding(Padding::Same).groups(channels);
            (window, [3, 45, 29, channels], channels)
        });
        // Read in place, in blocks that follow from the number of threads: sums over several runs, and over one.
        let in_place = [(3, 1), (1, 1), (1, 2)].map(|(kernel, stride)| {
            (Window2d::new(kernel).strides(stride).accuracy(Accuracy::Strict), [2, 30, 31, 8], 24)
        });
        // One block whose filters are shared, and windows that slide over few filters.
        let strict = |kernel| Window2d::new(kernel).accuracy(Accuracy::Strict);
        let one = [
            (strict(3).padding(Padding::Same), [1, 6, 7, 40], 260),
            (strict(5), [1, 14, 15, 6], 16),
            (strict(5), [40, 14, 15, 6], 12),
        ];
        for (window, input, filters) in depthwise.into_iter().chain(in_place).chain(one) {
            let [kh, kw] = window.kernel_size();
            let group_in = if filters == input[3] { 1 } else { input[3] };
            let geometry = window.conv(&input, &[kh, kw, group_in, filters]).unwrap();
            let own = |numbers: Vec<f32>| numbers.into_iter().map(|x| x / 7.0).collect::<Vec<f32>>();
            let x = own(numbers(len(geometry.input_shape()), 1));
            let weights = own(numbers(len(geometry.kernel_shape()), 2));
            let residual = own(numbers(len(geometry.output_shape()), 5));
            let finish = |piece: &mut [f32]| piece.iter_mut().for_each(|value| *value *= 3.0);
            let plain = Epilogue::bias(None);
            let run = |threads, x: &[f32], after| {
                let mut out = vec![f32::NAN; residual.len()];
                let kernel = (&weights[..], &PreparedKernel::default());
                on(threads, || forward(x, kernel, &geometry, after, &mut out));
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            for after in [plain, Epilogue { residual: Some(&residual), finish: Some(&finish), ..plain }] {
                let one = run(1, &x, after);
                let same = [2, 5, 30].map(|threads| one == run(threads, &x, after));
                assert!(!same.contains(&false), "{geometry:?}");
            }
            // Zeros, whose sign tells what a sum started from.
            let (zeros, bias) = (vec![-0.0; x.len()], vec![-0.0; filters]);
            let after = Epilogue::bias(Some(&bias));
            let one = run(1, &zeros, after);
            assert!(one == run(2, &zeros, after) && one == run(5, &zeros, after), "{geometry:?}");
        }
    }

    #[test]
    fn a_kernel_whose_panels_are_too_large_is_taken_in_slices() {
        // A map with padding, whose lines are cut; nine runs a window; and a dense layer. The same turned round, and one
        // phase of a stride; then slices of several taps and columns for each thread, and taps that are too few to be cut.
        let windows = [
            (Window2d::new(3).padding(Padding::Same), [1, 4, 5, 300], [3, 3, 300, 70]),
            (Window2d::new(3).dilation(2).padding(Padding::Same), [2, 3, 4, 290], [3, 3, 290, 33]),
            (Window2d::new(1), [7, 1, 1, 5000], [1, 1, 5000, 130]),
            (Window2d::new(3).padding(Padding::Same), [1, 4, 5, 70], [3, 3, 70, 300]),
            (Window2d::new(3).dilation(2).padding(Padding::Same), [2, 3, 4, 33], [3, 3, 33, 290]),
            (Window2d::new(5).strides(2).padding(Padding::Same), [2, 5, 4, 33], [5, 5, 33, 290]),
            (Window2d::new(1), [7, 1, 1, 130], [1, 1, 130, 5000]),
            (Window2d::new(3).padding(Padding::Same), [1, 2, 2, 450], [3, 3, 450, 300]),
            (Window2d::new(7).padding(Padding::Same), [1, 4, 3, 40], [7, 7, 40, 60]),
        ];
        for (window, input, kernel_shape) in windows {
            let geometry = window.accuracy(Accuracy::Strict).conv(&input, &kernel_shape).unwrap();
            let x = numbers(len(geometry.input_shape()), 1);
            let kernel = numbers(len(geometry.kernel_shape()), 2);
            let (bias, residual) =
                (numbers(geometry.out_channels, 3), numbers(len(geometry.output_shape()), 5));
            let mut want: Vec<f32> =
                bias.iter().cycle().zip(&residual).map(|(bias, residual)| bias + residual).collect();
            let grad = numbers(len(geometry.output_shape()), 4);
            let mut want_dx = vec![0.0; x.len()];
            each_product(&geometry, |input, weight, output| {
                want[output] += x[input] * kernel[weight];
                want_dx[input] += grad[output] * kernel[weight];
            });
            want.iter_mut().for_each(|y| *y = y.max(0.0));
            let bend = Bend::Clamp(0.0, f32::INFINITY);
            let after = Epilogue { residual: Some(&residual), bend, ..Epilogue::bias(Some(&bias)) };
            for threads in [1, 2] {
                let mut out = vec![f32::NAN; want.len()];
                on(threads, || forward_once(&x, &kernel, &geometry, after, &mut out));
                assert_eq!(out, want, "{geometry:?} with {threads} threads");
                let mut dx = vec![f32::NAN; x.len()];
                on(threads, || backward_input(&grad, &kernel, &geometry, &mut dx));
                assert_eq!(dx, want_dx, "the way back of {geometry:?} with {threads} threads");
            }
        }
    }

    #[test]
    fn the_kernels_gradient_of_small_maps_passes_over_padding() {
        // A map and more of them than a block; a stride; a dilation; and a map of which most taps see nothing.
        let windows = [
            (Window2d::new(3).padding(Padding::Same), [1, 7, 5, 200], [3, 3, 200, 70]),
            (Window2d::new(3).padding(Padding::Same), [9, 6, 7, 220], [3, 3, 220, 33]),
            (Window2d::new(5).strides(2).padding(Padding::Same), [2, 7, 8, 190], [5, 5, 190, 9]),
            (Window2d::new(3).dilation(2).padding(Padding::Same), [1, 6, 4, 130], [3, 3, 130, 65]),
            (Window2d::new(3).padding(Padding::Same), [3, 1, 1, 70], [3, 3, 70, 40]),
        ];
        for (window, input, kernel_shape) in windows {
            let geometry = window.accuracy(Accuracy::Strict).conv(&input, &kernel_shape).unwrap();
            assert!(kernel_gradient::by_tap(&geometry));
            let x = numbers(len(geometry.input_shape()), 1);
            let grad = numbers(len(geometry.output_shape()), 4);
            let mut want = vec![0.0; len(geometry.kernel_shape())];
            each_product(&geometry, |input, weight, output| want[weight] += grad[output] * x[input]);
            let sum = |filter| grad.iter().skip(filter).step_by(geometry.out_channels).sum::<f32>();
            want.extend((0..geometry.out_channels).map(sum));
            for threads in [1, 2, 5] {
                let mut out = vec![f32::NAN; want.len()];
                on(threads, || backward_kernel(&x, &grad, &geometry, &mut out));
                assert_eq!(out, want, "{geometry:?} with {threads} threads");
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_reaches_no_tap_that_sees_padding() {
        let (channels, filters) = (70, 40);
        let window = Window2d::new(3).padding(Padding::Same).accuracy(Accuracy::Strict);
        let geometry = window.conv(&[3, 1, 1, channels], &[3, 3, channels, filters]).unwrap();
        let x = vec![1.0_f32; 3 * channels];
        let mut grad = vec![1.0; 3 * filters];
        grad[filters + 7] = f32::INFINITY;
        let mut out = vec![f32::NAN; 9 * channels * filters];
        backward_kernel(&x, &grad, &geometry, &mut out);
        for (index, weight) in out.into_iter().enumerate() {
            let (tap, filter) = (index / filters / channels, index % filters);
            let want = [3.0, f32::INFINITY][usize::from(filter == 7)];
            assert_eq!(weight, if tap == 4 { want } else { 0.0 }, "tap {tap} of filter {filter}");
        }
    }

    #[test]
    fn what_a_weight_that_is_not_finite_reaches_does_not_depend_on_the_threads() {
        // A thread's columns may be whole panels or not, and a slice the last of its thread or not.
        let layers = [
            (3, [1, 2, 4, 512], 70),
            (5, [1, 7, 7, 128], 96),
            (5, [1, 7, 7, 128], 24),
            (3, [1, 7, 7, 512], 512),
        ];
        for (size, input, filters) in layers {
            let window = Window2d::new(size).padding(Padding::Same).accuracy(Accuracy::Strict);
            let geometry = window.conv(&input, &[size, size, input[3], filters]).unwrap();
            let x = numbers(len(geometry.input_shape()), 1);
            let mut kernel = numbers(len(geometry.kernel_shape()), 2);
            // Of the middle of the kernel's first line.
            kernel[size / 2 * input[3] * filters] = f32::INFINITY;
            let run = |threads| {
                let mut out = vec![0.0; len(geometry.output_shape())];
                on(threads, || forward_once(&x, &kernel, &geometry, Epilogue::bias(None), &mut out));
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let one = run(1);
            for threads in [2, 3, 5] {
                assert!(one == run(threads), "{threads} threads, {geometry:?}");
            }
        }
    }

    fn turned_is_as_written_out<T: Element>([height, width]: [usize; 2]) {
        let window = Window2d::new((height, width)).padding(Padding::Same);
        let (channels, filters) = (100, 340);
        let geometry = window.conv(&[1, 14, 13, channels], &[height, width, channels, filters]).unwrap();
        let back = window.conv(&[1, 14, 13, filters], &[height, width, filters, channels]).unwrap();
        assert!(winograd::choose_once(&back).is_some());
        let own = |numbers: Vec<f32>| numbers.into_iter().map(|x| T::of(f64::from(x))).collect::<Vec<T>>();
        let grad = own(numbers(len(geometry.output_shape()), 4));
        let kernel = own(numbers(len(geometry.kernel_shape()), 2));
        let mut turned = vec![T::zero(); kernel.len()];
        for (index, &weight) in kernel.iter().enumerate() {
            let (tap, channel, filter) =
                (index / filters / channels, index / filters % channels, index % filters);
            let tap = height * width - 1 - tap;
            turned[(tap * filters + filter) * channels + channel] = weight;
        }
        let [mut out, mut want] = [(); 2].map(|()| vec![T::of(f64::NAN); len(geometry.input_shape())]);
        backward_input(&grad, &kernel, &geometry, &mut out);
        forward_once(&grad, &turned, &back, Epilogue::bias(None), &mut want);
        assert!(out == want);
        let plain = Geometry2d { accuracy: Accuracy::Strict, ..back };
        forward_once(&grad, &turned, &plain, Epilogue::bias(None), &mut want);
        let largest = want.iter().fold(0.0, |largest, x| x.to_double().abs().max(largest));
        let close = |(a, b): (&T, &T)| (a.to_double() - b.to_double()).abs() <= 1e-4 * largest;
        assert!(out.iter().zip(&want).all(close), "{height}x{width}");
    }

    #[test]
    fn a_kernel_turned_round_is_transformed_as_one_written_out_that_way() {
        for kernel in [[3, 3], [5, 5], [1, 3], [3, 1]] {
            turned_is_as_written_out::<f32>(kernel);
            turned_is_as_written_out::<f64>(kernel);
        }
    }
}
