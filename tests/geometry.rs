//! The arithmetic of windows against its definition: by sliding a window over small axes and looking, and by exact
//! arithmetic in wide integers for sizes that overflow.

mod common;

use common::problem::{Line, problems};
use proptest::prelude::*;
use striate::{ErrorKind, Padding, Result, Size2d, Window2d, WindowAxis};

/// `WindowAxis` is a value of checked geometries only; one comes from the rows of a convolution.
fn rows(window: Window2d, input: usize, kernel: usize) -> Result<WindowAxis> {
    Ok(window.conv(&[1, input, 1, 1], &[kernel, 1, 1, 1])?.rows())
}

fn window_of(line: Line, padding: Padding) -> Window2d {
    Window2d::new((line.kernel, 1)).strides((line.stride, 1)).dilation((line.dilation, 1)).padding(padding)
}

fn explicit(line: Line) -> Padding {
    Padding::Explicit { top: line.pads.0, bottom: line.pads.1, left: 0, right: 0 }
}

/// Any small axis, fitting or not.
fn any_line() -> impl Strategy<Value = Line> {
    let pads = (0..=9_usize, 0..=9_usize);
    (1..=24_usize, 1..=8_usize, 1..=9_usize, 1..=6_usize, pads)
        .prop_map(|(input, kernel, stride, dilation, pads)| Line { input, kernel, stride, dilation, pads })
}

/// Any small axis that is long enough for its window.
fn fitting_line() -> impl Strategy<Value = Line> {
    any_line().prop_map(|line| {
        let missing = line.extent().saturating_sub(line.pads.0 + line.input + line.pads.1);
        Line { input: line.input + missing, ..line }
    })
}

/// Checks all that an axis says about positions by looking at every one of them.
fn check_positions(axis: &WindowAxis, line: Line) -> std::result::Result<(), TestCaseError> {
    let padded = line.pads.0 + line.input + line.pads.1;
    for o in 0..axis.output() {
        let inside: Vec<usize> = (0..line.kernel).filter(|&tap| line.source(o, tap).is_some()).collect();
        prop_assert_eq!(axis.taps(o).collect::<Vec<_>>(), inside);
        for tap in 0..line.kernel {
            prop_assert_eq!(axis.source(o, tap), line.source(o, tap));
        }
        let declared = (0..line.kernel).filter(|tap| o * line.stride + tap * line.dilation < padded).count();
        prop_assert_eq!(axis.padded_taps(o), declared);
    }
    for i in 0..line.input {
        let over = |&(o, tap): &(usize, usize)| line.source(o, tap) == Some(i);
        let pairs = (0..axis.output()).flat_map(|o| (0..line.kernel).map(move |tap| (o, tap)));
        let mut wanted: Vec<_> = pairs.filter(over).collect();
        wanted.sort_by_key(|&(_, tap)| tap);
        prop_assert_eq!(axis.windows_over(i).collect::<Vec<_>>(), wanted);
    }
    Ok(())
}

proptest! {
    #![proptest_config(common::config(2000))]

    /// Valid and explicit padding: as many outputs as a sliding window finds, or the error that it does not fit.
    #[test]
    fn explicit_padding_slides_as_a_window_does(line in any_line()) {
        let found = rows(window_of(line, explicit(line)), line.input, line.kernel);
        if line.output() == 0 {
            let error = found.unwrap_err();
            prop_assert_eq!(error.kind(), ErrorKind::Shape);
            let wanted = format!("a padded height of at least {} (the window's)", line.extent());
            prop_assert_eq!(error.expected(), wanted);
        } else {
            let axis = found?;
            prop_assert_eq!(axis.output(), line.output());
            prop_assert_eq!(axis.padding(), line.pads);
            let parts = (axis.input(), axis.kernel(), axis.stride(), axis.dilation());
            prop_assert_eq!(parts, (line.input, line.kernel, line.stride, line.dilation));
            check_positions(&axis, line)?;
        }
    }

    #[test]
    fn same_padding_covers_the_input(line in any_line()) {
        let line = Line { pads: line.same_pads(), ..line };
        let axis = rows(window_of(line, Padding::Same), line.input, line.kernel)?;
        prop_assert_eq!(axis.output(), line.input.div_ceil(line.stride));
        prop_assert_eq!(axis.padding(), line.pads);
        check_positions(&axis, line)?;
    }

    #[test]
    fn ceil_mode_counts_a_last_partial_window(line in fitting_line()) {
        let window = window_of(line, explicit(line)).ceil_mode(true);
        let axis = rows(window, line.input, line.kernel)?;
        prop_assert_eq!(axis.output(), line.ceil_output());
        check_positions(&axis, line)?;
    }

    /// A window that sees nothing but padding has no maximum and no average: pooling refuses just those.
    #[test]
    fn pooling_refuses_windows_of_padding_alone(line in fitting_line(), ceil in any::<bool>()) {
        let window = window_of(line, explicit(line)).ceil_mode(ceil);
        let output = if ceil { line.ceil_output() } else { line.output() };
        let sees = |o| (0..line.kernel).any(|tap| line.source(o, tap).is_some());
        match window.pool(&[1, line.input, 1, 1]) {
            Ok(geometry) => {
                prop_assert!((0..output).all(sees));
                prop_assert_eq!(geometry.output_shape(), [1, output, 1, 1]);
            }
            Err(error) => {
                prop_assert!(!(0..output).all(sees), "refused: {}", error);
                prop_assert_eq!(error.kind(), ErrorKind::Shape);
            }
        }
    }

    /// Both axes keep to their own numbers, and the shapes and counts of the whole follow.
    #[test]
    fn shapes_follow_from_both_axes(problem in problems()) {
        let geometry = problem.conv();
        prop_assert_eq!(geometry.input_shape(), problem.input_shape());
        prop_assert_eq!(geometry.kernel_shape(), problem.kernel_shape());
        prop_assert_eq!(geometry.output_shape(), problem.output_shape());
        prop_assert_eq!(geometry.groups(), problem.groups);
        prop_assert_eq!(geometry.rows().padding(), problem.rows.pads);
        prop_assert_eq!(geometry.cols().padding(), problem.cols.pads);
        let [kh, kw, inputs, _] = problem.kernel_shape();
        let taps = (kh * kw * inputs * problem.output_shape().iter().product::<usize>()) as u64;
        prop_assert_eq!(geometry.multiplications(), taps);
        let size = problem.window().output_size([problem.rows.input, problem.cols.input])?;
        prop_assert_eq!(size, [problem.rows.output(), problem.cols.output()]);
    }

    /// Channels, groups and kernels that do not belong together are errors, and only they are.
    #[test]
    fn channels_must_match(channels in 0..=12_usize, groups in 0..=5_usize, inputs in 0..=5_usize, filters in 0..=12_usize) {
        let found = Window2d::new(1).groups(groups).conv(&[2, 3, 3, channels], &[1, 1, inputs, filters]);
        let fits = groups > 0
            && channels > 0
            && filters > 0
            && channels % groups == 0
            && filters % groups == 0
            && inputs == channels / groups;
        prop_assert_eq!(found.is_ok(), fits, "{:?}", found);
    }
}

/// Any size at all, those around the ends of the ranges of integers above all.
fn wild() -> impl Strategy<Value = usize> {
    let near = |n: usize| (0..=2_usize).prop_map(move |d| n.wrapping_sub(1).wrapping_add(d));
    prop_oneof![
        3 => 0..=4_usize,
        2 => (0..usize::BITS).prop_flat_map(move |bit| near(1 << bit)),
        1 => near(isize::MAX as usize),
        1 => Just(usize::MAX),
        1 => Just(usize::MAX / 2),
        1 => Just(usize::MAX / 8),
        2 => (any::<usize>(), 0..usize::BITS).prop_map(|(n, shift)| n >> shift),
    ]
}

/// The same sums as the crate's in integers that cannot overflow; `None` where the definition has no answer.
fn exact(
    input: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: Option<[usize; 2]>,
    ceil: bool,
) -> Option<[u128; 3]> {
    if [input, kernel, stride, dilation].contains(&0) {
        return None;
    }
    let [input, kernel, stride, dilation] = [input, kernel, stride, dilation].map(|n| n as u128);
    let extent = (kernel - 1) * dilation + 1;
    let [before, after] = match padding {
        Some(pads) => pads.map(|n| n as u128),
        None => {
            let last = (input.div_ceil(stride) - 1) * stride;
            let total = (last + extent).saturating_sub(input);
            [total / 2, total - total / 2]
        }
    };
    let slack = (before + input + after).checked_sub(extent)?;
    let mut output = slack / stride + 1;
    if ceil {
        output = slack.div_ceil(stride) + 1;
        output -= u128::from((output - 1) * stride >= input + before);
    }
    Some([output, before, after])
}

/// An axis of wild sizes, with `None` for `same`.
type Wild = (usize, usize, usize, usize, Option<[usize; 2]>);

fn wild_axis() -> impl Strategy<Value = Wild> {
    let padding = prop_oneof![Just(None), (wild(), wild()).prop_map(|(a, b)| Some([a, b]))];
    (wild(), wild(), wild(), wild(), padding)
}

proptest! {
    #![proptest_config(common::config(20_000))]

    /// No size wraps around: the answer is the exact one, or an error; and an error only where a number overflows.
    #[test]
    fn sizes_never_wrap((input, kernel, stride, dilation, pads) in wild_axis(), ceil in any::<bool>()) {
        let padding = match pads {
            None => Padding::Same,
            Some([top, bottom]) => Padding::Explicit { top, bottom, left: 0, right: 0 },
        };
        let window = Window2d::new((kernel, 1))
            .strides((stride, 1))
            .dilation((dilation, 1))
            .padding(padding)
            .ceil_mode(ceil);
        let wanted = exact(input, kernel, stride, dilation, pads, ceil);
        match window.output_size([input, 1]) {
            Ok([output, width]) => {
                prop_assert_eq!(width, 1);
                prop_assert_eq!(Some(output as u128), wanted.map(|[output, ..]| output));
            }
            Err(error) if error.kind() == ErrorKind::Size => {
                let [before, after] = pads.unwrap_or_default();
                let ends = [input, stride, before, after].map(|n| n as u128).iter().sum::<u128>();
                let reach = (kernel as u128 * dilation as u128).saturating_add(ends);
                prop_assert!(reach > isize::MAX as u128, "refused without need: {}", error);
            }
            Err(error) => prop_assert_eq!(wanted, None, "{}", error),
        }
        if kernel > 0 {
            let extent = (kernel as u128 - 1) * dilation as u128 + 1;
            prop_assert_eq!(window.extent()[0] as u128, extent.min(usize::MAX as u128));
        }
    }

    /// Geometries of wild shapes: whatever is accepted has sizes that can be addressed, and answers for its ends.
    #[test]
    fn geometries_of_any_size_answer_or_fail(
        (height, kh, stride, dilation, pads) in wild_axis(),
        (batch, width, channels, kw) in (wild(), wild(), wild(), wild()),
        (groups, filters, probe) in (wild(), wild(), wild()),
        ceil in any::<bool>(),
    ) {
        let padding = match pads {
            None => Padding::Same,
            Some([top, bottom]) => Padding::Explicit { top, bottom, left: bottom, right: top },
        };
        let window = Window2d::new(Size2d([kh, kw]))
            .strides((stride, 1))
            .dilation((dilation, 1))
            .padding(padding)
            .ceil_mode(ceil)
            .groups(groups);
        let input = [batch, height, width, channels];
        let kernel = [kh, kw, channels / groups.max(1), filters];
        for geometry in [window.conv(&input, &kernel), window.groups(1).pool(&input)].into_iter().flatten() {
            for shape in [geometry.input_shape(), geometry.kernel_shape(), geometry.output_shape()] {
                let elements = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
                prop_assert!(shape.contains(&0) || elements.is_some_and(|n| n <= isize::MAX as usize / 8), "{:?}", shape);
            }
            geometry.multiplications();
            for axis in [geometry.rows(), geometry.cols()] {
                for o in [0, axis.output() - 1, axis.output(), probe, usize::MAX] {
                    prop_assert!(axis.taps(o).end <= axis.kernel());
                    prop_assert!(axis.padded_taps(o) <= axis.kernel());
                    for tap in [0, axis.kernel() - 1, axis.kernel(), probe, usize::MAX] {
                        prop_assert!(axis.source(o, tap).is_none_or(|i| i < axis.input()));
                    }
                }
                // Windows of very many taps would take long to look through.
                let places = [0, axis.input() - 1, axis.input(), probe, usize::MAX];
                for i in places.into_iter().filter(|_| axis.kernel() <= 1 << 16) {
                    for (o, tap) in axis.windows_over(i) {
                        prop_assert!(i >= axis.input() || axis.source(o, tap) == Some(i));
                    }
                }
            }
        }
    }
}
