use proptest::prelude::*;

use super::*;
use crate::kernels::pool::average::{Divisor, Mean};
use crate::kernels::pool::max::{Largest, LargestNumber};
use crate::{Padding, Window2d};

/// What each window sees, in row-major order.
fn windows<T: Element>(x: &[T], geometry: &Geometry2d) -> Vec<Vec<T>> {
    let Geometry2d { batch, rows, cols, in_channels: channels, .. } = *geometry;
    let mut windows = Vec::new();
    for n in 0..batch {
        for (y, x_) in (0..rows.output).flat_map(|y| (0..cols.output).map(move |x| (y, x))) {
            for c in 0..channels {
                let taps = (0..rows.kernel).flat_map(|i| (0..cols.kernel).map(move |j| (i, j)));
                let seen = taps.filter_map(|(i, j)| {
                    let (p, q) = (rows.source(y, i)?, cols.source(x_, j)?);
                    Some(x[((n * rows.input + p) * cols.input + q) * channels + c])
                });
                windows.push(seen.collect());
            }
        }
    }
    windows
}

fn reduced<T: Element>(isa: Isa, x: &[T], geometry: &Geometry2d, reduction: impl Reduction<T>) -> Vec<T> {
    let mut out = vec![T::of(77.0); geometry.output_shape().iter().product()];
    reduce(isa, x, geometry, reduction, &mut out);
    out
}

/// Small whole numbers, and `special` here and there.
fn input<T: Element>(geometry: &Geometry2d, special: &[f64]) -> Vec<T> {
    let value = |i: usize| match special.get(i % 61 / 4) {
        Some(&special) if i % 61 % 4 == 1 => special,
        _ => ((i * 29) % 23) as f64 - 30.0,
    };
    (0..geometry.input_shape().iter().product()).map(|i| T::of(value(i))).collect()
}

#[test]
fn whole_lines_are_joined_in_wide_and_in_narrow_strips() {
    for channels in [16, 33, 150, 256, 424] {
        for window in [(5, 7), (3, 7)] {
            let geometry = Window2d::new(window).pool(&[2, 5, 7, channels]).unwrap();
            check::<f32>(&geometry);
            check::<f64>(&geometry);
        }
    }
}

fn check<T: Element>(geometry: &Geometry2d) {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        let x: Vec<T> = input(geometry, &[]);
        let counts = windows(&x, geometry);
        let sums = reduced(isa, &x, geometry, Mean { divisor: Divisor::Fixed(1) });
        let means = reduced(isa, &x, geometry, Mean { divisor: Divisor::InsideInput });
        for (seen, (sum, mean)) in counts.iter().zip(sums.iter().zip(&means)) {
            assert_eq!(*sum, seen.iter().copied().sum(), "{isa}: {geometry:?}");
            assert_eq!(*mean, *sum / T::of(seen.len() as f64), "{isa}: {geometry:?}");
        }
        for special in [&[][..], &[f64::NAN], &[f64::INFINITY, f64::NEG_INFINITY, f64::MAX], &[f64::NAN; 15]]
        {
            let x: Vec<T> = input(geometry, special);
            let largest = reduced(isa, &x, geometry, LargestNumber);
            let exact = reduced(isa, &x, geometry, Largest);
            for (seen, (a, b)) in windows(&x, geometry).iter().zip(largest.iter().zip(&exact)) {
                let nan = seen.iter().any(|x| x.is_nan());
                let most = seen.iter().copied().fold(T::neg_infinity(), T::max);
                let right = |x: &T| if nan { x.is_nan() } else { *x == most };
                assert!(right(a) && right(b), "{isa}: {a}, {b} for {most}, {nan}: {geometry:?}");
            }
        }
    }
}

fn geometries() -> impl Strategy<Value = Geometry2d> {
    let kernel = prop_oneof![1..4_usize, 2..4_usize, 4..17_usize];
    let padding = prop_oneof![
        Just(Padding::Valid),
        Just(Padding::Same),
        (0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize)
            .prop_map(|(top, bottom, left, right)| Padding::Explicit { top, bottom, left, right }),
    ];
    let sizes = (1..3_usize, 1..20_usize, 1..20_usize, prop_oneof![1..9_usize, 8..70_usize]);
    let window = ((kernel.clone(), kernel), (1..4_usize, 1..4_usize), 1..3_usize, padding, any::<bool>());
    (sizes, window).prop_filter_map(
        "a window larger than the input, or in the padding alone",
        |((n, h, w, channels), (kernel, strides, dilation, padding, ceil_mode))| {
            let window = Window2d::new(kernel).strides(strides).dilation(dilation).padding(padding);
            window.ceil_mode(ceil_mode).pool(&[n, h, w, channels]).ok()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_instruction_set_follows_the_definition(geometry in geometries()) {
        check::<f32>(&geometry);
        check::<f64>(&geometry);
    }
}

#[test]
fn every_way_and_every_remainder_follows_the_definition() {
    for (kernel, stride) in [(2, 1), (2, 2), (3, 1), (3, 2), (5, 1), (9, 1), (4, 4), (12, 1)] {
        for channels in [1, 3, 8, 15, 16, 17, 33, 67] {
            for padding in [Padding::Valid, Padding::all(1)] {
                let window = Window2d::new(kernel).strides(stride).padding(padding);
                let geometry = window.pool(&[1, 12, 13, channels]).unwrap();
                check::<f32>(&geometry);
            }
        }
    }
}
