//! What the tests of the optimizers share.

use super::Optimizer;
use crate::{ErrorKind, Name, Param, Rng, Tensor};

/// Gradients of eight steps.
pub(super) fn history(seed: u64) -> Vec<f64> {
    let mut rng = Rng::seed(seed);
    (0..8).map(|_| rng.normal()).collect()
}

/// The running mean after the last value: `(1 - b) sum of b^(n - 1 - i) value[i]`.
pub(super) fn mean(b: f64, values: &[f64]) -> f64 {
    let weight = |i: usize| (1.0 - b) * b.powi((values.len() - 1 - i) as i32);
    values.iter().enumerate().map(|(i, value)| weight(i) * value).sum()
}

fn with_grad(param: &mut Param<f64>, grad: Tensor<f64>) {
    param.clear_grad();
    param.add_grad(grad).unwrap();
}

/// Checks the weight after each step from `start` with the given gradients; also that of a large parameter, which is
/// updated in pieces, and that frozen parameters and those without gradient stay as they are.
pub(super) fn run(mut optimizer: impl Optimizer<f64>, start: f64, gradients: &[f64], expected: &[f64]) {
    assert_eq!(gradients.len(), expected.len());
    let param = |len| Param::new(Tensor::full(&[len], start).unwrap());
    let (mut small, mut large, mut frozen, mut idle) = (param(1), param(40_000), param(1), param(1));
    frozen.set_trainable(false);
    for (&g, &expected) in gradients.iter().zip(expected) {
        for param in [&mut small, &mut large, &mut frozen] {
            let grad = Tensor::full(param.value().shape(), g).unwrap();
            with_grad(param, grad);
        }
        let params =
            [("small", &mut small), ("large", &mut large), ("frozen", &mut frozen), ("idle", &mut idle)];
        optimizer.step(&mut params.map(|(name, param)| (Name::from(name), param))).unwrap();
        let got = small.value().as_slice()[0];
        approx::assert_relative_eq!(got, expected, max_relative = 1e-12, epsilon = 1e-12);
        assert!(large.value().as_slice().iter().all(|&w| w == got));
        assert_eq!((frozen.value().as_slice(), idle.value().as_slice()), (&[start][..], &[start][..]));
    }
}

/// Minimises `sum of c (w - target)^2 / 2` with different curvatures `c`.
pub(super) fn check_quadratic(mut optimizer: impl Optimizer<f64>) {
    let (curvature, target) = ([1.0, 3.0, 0.5], [0.3, -1.0, 2.0]);
    let mut weight = Param::new(Tensor::zeros(&[3]).unwrap());
    for _ in 0..1000 {
        let w = weight.value().as_slice();
        let grad = (0..3).map(|i| curvature[i] * (w[i] - target[i])).collect();
        with_grad(&mut weight, Tensor::from_vec(&[3], grad).unwrap());
        optimizer.step(&mut [("w".into(), &mut weight)]).unwrap();
    }
    for (&w, target) in weight.value().as_slice().iter().zip(target) {
        approx::assert_abs_diff_eq!(w, target, epsilon = 1e-3);
    }
}

/// Checks that the first step is refused and changes nothing.
pub(super) fn assert_refused(mut optimizer: impl Optimizer<f64>) {
    let mut weight = Param::new(Tensor::full(&[1], 1.0).unwrap());
    with_grad(&mut weight, Tensor::full(&[1], 1.0).unwrap());
    let error = optimizer.step(&mut [("w".into(), &mut weight)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Argument, "{optimizer:?}");
    assert_eq!(weight.value().as_slice(), [1.0]);
}
