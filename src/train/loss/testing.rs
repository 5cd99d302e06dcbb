//! What the tests of the losses share.

use super::{Loss, Reduction};
use crate::train::Targets;
use crate::{Rng, Tensor};

/// Normal numbers.
pub(super) fn normal(shape: &[usize], seed: u64) -> Tensor<f64> {
    let mut rng = Rng::seed(seed);
    Tensor::zeros(shape).unwrap().map(|_| rng.normal())
}

/// Checks gradients against central differences of `sum(upstream * loss)`, and that the two ways to compute them agree.
pub(super) fn check_gradient(loss: &dyn Loss<f64>, x: &Tensor<f64>, targets: &Targets<f64>) {
    let (value, grad) = loss.value_and_grad(x, targets).unwrap();
    assert_eq!(value, loss.forward(x, targets).unwrap());
    assert_eq!(grad, loss.backward(x, targets, &Tensor::full(value.shape(), 1.0).unwrap()).unwrap());

    let upstream = normal(value.shape(), 99);
    let grad = loss.backward(x, targets, &upstream).unwrap();
    let total = |x: &Tensor<f64>| -> f64 {
        let value = loss.forward(x, targets).unwrap();
        value.as_slice().iter().zip(upstream.as_slice()).map(|(v, u)| v * u).sum()
    };
    for i in 0..x.len() {
        let moved = |by: f64| {
            let mut x = x.clone();
            x.as_mut_slice()[i] += by;
            total(&x)
        };
        let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        let got = grad.as_slice()[i];
        assert!((slope - got).abs() < 1e-7 * (1.0 + slope.abs()), "{loss:?}: element {i}: {slope} but {got}");
    }
}

/// The three reductions.
pub(super) const REDUCTIONS: [Reduction; 3] = [Reduction::Mean, Reduction::Sum, Reduction::None];
