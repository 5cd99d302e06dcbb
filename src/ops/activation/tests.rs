use ndarray::{Array2, array};

use super::formulas::{PARALLEL_LEN, SELU_ALPHA, SELU_SCALE};
use super::*;
use crate::ErrorKind;

const ALL: [Activation; 27] = [
    Activation::Linear,
    Activation::Relu,
    Activation::Relu6,
    Activation::LeakyRelu { negative_slope: 0.3 },
    Activation::LeakyRelu { negative_slope: 0.0 },
    Activation::LeakyRelu { negative_slope: -0.5 },
    Activation::Elu { alpha: 1.5 },
    Activation::Elu { alpha: -0.5 },
    Activation::Selu,
    Activation::Celu { alpha: 1.5 },
    Activation::Celu { alpha: -2.0 },
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::Mish,
    Activation::Sigmoid,
    Activation::LogSigmoid,
    Activation::HardSigmoid,
    Activation::HardSwish,
    Activation::HardTanh { min: -0.5, max: 2.0 },
    Activation::Threshold { threshold: 0.5, value: -1.0 },
    Activation::Tanh,
    Activation::Softplus { beta: 2.0 },
    Activation::Softsign,
    Activation::Exponential,
    Activation::Softmax,
    Activation::LogSoftmax,
];

fn on<T: Element>(activation: Activation, values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    let channels = values.len();
    activation.apply(&mut values, channels);
    values
}

/// The gradient with respect to the row `x` for an upstream gradient.
fn gradient<T: Element>(activation: Activation, x: &[T], upstream: &[T]) -> Vec<T> {
    let saved = if activation.saves_output() { on(activation, x) } else { x.to_vec() };
    let mut grad = upstream.to_vec();
    activation.gradient(&mut grad, &saved, x.len());
    grad
}

fn one<T: Element>(activation: Activation, x: f64) -> T {
    on(activation, &[T::of(x)])[0]
}

fn slope<T: Element>(activation: Activation, x: f64) -> T {
    gradient(activation, &[T::of(x)], &[T::one()])[0]
}

#[test]
fn gradients_are_those_of_finite_differences() {
    const STEP: f64 = 1e-6;
    // None of them within a step of a kink.
    let x = [-7.0, -4.1, -2.9, -1.3, -0.7, -0.2, -0.01, 0.02, 0.4, 1.1, 1.9, 2.7, 3.3, 5.5, 6.4];
    let upstream: Vec<f64> = (0..x.len()).map(|i| (i as f64 * 0.7).sin() + 0.3).collect();
    let loss =
        |activation, x: &[f64]| -> f64 { on(activation, x).iter().zip(&upstream).map(|(y, g)| y * g).sum() };
    for activation in ALL {
        let got = gradient(activation, &x, &upstream);
        for (i, got) in got.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut x = x;
                x[i] += by;
                loss(activation, &x)
            };
            let want = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!(
                (got - want).abs() < 1e-7 * want.abs().max(1.0),
                "{activation:?} at {}: {got}, {want}",
                x[i]
            );
        }
    }
}

#[test]
fn known_values() {
    // Computed from the formulas in high precision.
    for (activation, x, want) in [
        (Activation::Selu, 1.0, 1.050_700_987_355_480_5),
        (Activation::Selu, -1.0, -1.111_330_737_812_562_8),
        (Activation::Elu { alpha: 2.0 }, -1.0, -1.264_241_117_657_115_4),
        (Activation::Celu { alpha: 2.0 }, -1.0, -0.786_938_680_574_733_2),
        (Activation::Gelu, 1.0, 0.841_344_746_068_542_9),
        (Activation::Gelu, -1.0, -0.158_655_253_931_457_05),
        (Activation::GeluTanh, 1.0, 0.841_191_990_608_276_8),
        (Activation::Silu, 1.0, 0.731_058_578_630_004_9),
        (Activation::Mish, 1.0, 0.865_098_388_267_310_3),
        (Activation::Sigmoid, 0.0, 0.5),
        (Activation::LogSigmoid, 0.0, -std::f64::consts::LN_2),
        (Activation::HardSigmoid, 1.5, 0.75),
        (Activation::HardSwish, 1.5, 1.125),
        (Activation::HardTanh { min: -1.0, max: 1.0 }, 2.0, 1.0),
        (Activation::Softplus { beta: 2.0 }, 0.0, std::f64::consts::LN_2 / 2.0),
        (Activation::Softsign, -3.0, -0.75),
        (Activation::Relu6, 7.0, 6.0),
        (Activation::LeakyRelu { negative_slope: 0.25 }, -2.0, -0.5),
    ] {
        let got: f64 = one(activation, x);
        assert!((got - want).abs() < 4e-16, "{activation:?} of {x}: {got}");
        let single: f32 = one(activation, x);
        assert!((f64::from(single) - want).abs() < 2e-7, "{activation:?} of {x} in f32: {single}");
    }
}

#[test]
fn derivatives_at_kinks_are_those_of_pytorch() {
    for (activation, x, want) in [
        (Activation::Relu, 0.0, 0.0),
        (Activation::Relu6, 0.0, 0.0),
        (Activation::Relu6, 6.0, 0.0),
        (Activation::LeakyRelu { negative_slope: 0.3 }, 0.0, 0.3),
        (Activation::LeakyRelu { negative_slope: -0.3 }, 0.0, -0.3),
        (Activation::Elu { alpha: 0.7 }, 0.0, 0.7),
        (Activation::Celu { alpha: 0.7 }, 0.0, 1.0),
        (Activation::HardSigmoid, -3.0, 0.0),
        (Activation::HardSigmoid, 3.0, 0.0),
        (Activation::HardSwish, -3.0, 0.0),
        (Activation::HardSwish, 3.0, 1.0),
        (Activation::HardTanh { min: -1.0, max: 1.0 }, -1.0, 0.0),
        (Activation::HardTanh { min: -1.0, max: 1.0 }, 1.0, 0.0),
    ] {
        assert_eq!(slope::<f64>(activation, x), want, "{activation:?} at {x}");
    }
    let scale: f64 = slope(Activation::Selu, 0.0);
    assert!((scale - SELU_SCALE * SELU_ALPHA).abs() < 1e-15);
}

#[test]
fn large_inputs_give_limits_and_finite_slopes() {
    use Activation::*;
    fn check<T: Element>() {
        for activation in ALL {
            for x in [-1e30, -1e4, -200.0, 200.0, 1e4, 1e30] {
                let (y, dy): (T, T) = (one(activation, x), slope(activation, x));
                let grows = match activation {
                    Exponential => x > 0.0,
                    Celu { alpha } => alpha < 0.0 && x < 0.0,
                    _ => false,
                };
                assert!(!y.is_nan() && (y.is_finite() || grows), "{activation:?} of {x}: {y}");
                assert!(!dy.is_nan() && (dy.is_finite() || grows), "{activation:?}'s slope at {x}: {dy}");
            }
            for x in [f64::NEG_INFINITY, f64::INFINITY] {
                let unbounded =
                    matches!(activation, Softmax | LogSoftmax | LeakyRelu { negative_slope: 0.0 });
                assert!(unbounded || !one::<T>(activation, x).is_nan(), "{activation:?} of {x}");
            }
        }
    }
    check::<f32>();
    check::<f64>();
    assert_eq!(one::<f32>(Softplus { beta: 1.0 }, 1e30), 1e30);
    assert_eq!(one::<f32>(LogSigmoid, -1e30), -1e30);
    assert_eq!(one::<f64>(Softplus { beta: 1.0 }, -40.0), (-40.0_f64).exp());
    assert!(one::<f32>(Sigmoid, -100.0) > 0.0, "subnormal, not 0");
    for gated in [Gelu, GeluTanh, Silu, Mish, HardSwish] {
        assert_eq!((one::<f64>(gated, f64::NEG_INFINITY), one(gated, f64::INFINITY)), (0.0, f64::INFINITY));
        assert_eq!((slope::<f64>(gated, f64::NEG_INFINITY), slope(gated, f64::INFINITY)), (0.0, 1.0));
    }
}

#[test]
fn nan_propagates() {
    for activation in ALL {
        assert!(one::<f32>(activation, f64::NAN).is_nan(), "{activation:?}");
        assert!(on(activation, &[0.5, f64::NAN])[1].is_nan(), "{activation:?}");
    }
    assert!(on(Activation::Softmax, &[0.5, f64::NAN])[0].is_nan(), "a row is one result");
}

#[test]
fn softmax_normalises_each_row_however_large() {
    let x = array![[1e4, 1e4 + 1.0, 0.0], [-1e4, -1e4, -1e4]].into_dyn();
    let y = activate(x.view(), Activation::Softmax).unwrap();
    for row in y.rows() {
        assert!((row.sum() - 1.0_f64).abs() < 1e-15);
    }
    assert!((y[[0, 1]] - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-15);
    let log = activate(x.view(), Activation::LogSoftmax).unwrap();
    assert!((log[[0, 1]] - y[[0, 1]].ln()).abs() < 1e-15);
    assert!((log[[0, 2]] - (-1e4 - 1.0 - (1.0 + (-1.0_f64).exp()).ln())).abs() < 1e-11, "not -inf");
}

#[test]
fn threads_change_nothing() {
    let len = 3 * PARALLEL_LEN + 17 * 7;
    let x: Vec<f32> = (0..len).map(|i| ((i * 7919) % 1000) as f32 / 125.0 - 4.0).collect();
    let channels = 17;
    let x = &x[..len / channels * channels];
    for activation in ALL {
        let mut whole = x.to_vec();
        activation.apply(&mut whole, channels);
        let mut pieces = x.to_vec();
        pieces.chunks_mut(channels).for_each(|row| activation.apply(row, channels));
        assert!(whole == pieces, "{activation:?}");

        let mut grad = x.to_vec();
        activation.gradient(&mut grad, &whole, channels);
        let rows = pieces.chunks_mut(channels).zip(whole.chunks(channels)).zip(x.chunks(channels));
        for ((piece, saved), upstream) in rows {
            piece.copy_from_slice(upstream);
            activation.gradient(piece, saved, channels);
        }
        assert!(grad == pieces, "{activation:?}'s gradient");
    }
}

#[test]
fn views_of_any_strides_and_empty_arrays() {
    let x = Array2::from_shape_fn((3, 2), |(i, j)| (i as f64) - 2.0 * (j as f64));
    for activation in [Activation::Softmax, Activation::Tanh] {
        let turned = activate(x.t().into_dyn(), activation).unwrap();
        let standard = x.t().as_standard_layout().into_owned().into_dyn();
        assert_eq!(turned, activate(standard.view(), activation).unwrap());
    }
    for shape in [vec![0], vec![2, 0], vec![0, 3]] {
        let empty = ArrayD::<f32>::zeros(shape.clone());
        for activation in ALL {
            assert_eq!(activate(empty.view(), activation).unwrap().shape(), shape);
            assert_eq!(activate_backward(empty.view(), empty.view(), activation).unwrap().shape(), shape);
        }
    }
}

#[test]
fn mistakes_are_errors() {
    let x = array![1.0_f32, 2.0].into_dyn();
    for bad in [
        Activation::LeakyRelu { negative_slope: f64::NAN },
        Activation::Elu { alpha: f64::INFINITY },
        Activation::Elu { alpha: 1e300 },
        Activation::Celu { alpha: 0.0 },
        Activation::Celu { alpha: 1e-60 }, // 0 as f32
        Activation::Softplus { beta: 0.0 },
        Activation::Softplus { beta: f64::NAN },
        Activation::HardTanh { min: 1.0, max: -1.0 },
        Activation::HardTanh { min: f64::NAN, max: 1.0 },
    ] {
        assert_eq!(activate(x.view(), bad).unwrap_err().kind(), ErrorKind::Argument, "{bad:?}");
    }
    let other = array![1.0_f32].into_dyn();
    let error = activate_backward(other.view(), x.view(), Activation::Relu).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Shape);
    let number = ndarray::arr0(1.0_f32).into_dyn();
    assert_eq!(activate(number.view(), Activation::Relu).unwrap(), number);
    assert_eq!(activate(number.view(), Activation::Softmax).unwrap_err().kind(), ErrorKind::Shape);
}
