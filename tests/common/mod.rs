//! What the integration tests share. Every test binary compiles this for itself and uses only some of it.
#![allow(dead_code)]

pub mod problem;

use ndarray::{Array, Dimension, ShapeBuilder};
use proptest::test_runner::{Config, RngSeed};
use striate::{Activation, Element, Rng, Tensor};

/// Property tests draw the same cases in every run; `PROPTEST_CASES` and `PROPTEST_RNG_SEED` search elsewhere.
pub fn config(cases: u32) -> Config {
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if std::env::var_os("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(1959);
    }
    config
}

/// An array of numbers of the normal distribution.
pub fn normal<T: Element, D: Dimension, S: ShapeBuilder<Dim = D>>(rng: &mut Rng, shape: S) -> Array<T, D> {
    Array::from_shape_simple_fn(shape, || T::of(rng.normal()))
}

/// An array of whole numbers from -`bound` to `bound`.
pub fn whole<T: Element, D: Dimension, S: ShapeBuilder<Dim = D>>(
    rng: &mut Rng,
    shape: S,
    bound: usize,
) -> Array<T, D> {
    Array::from_shape_simple_fn(shape, || T::of(rng.below(2 * bound + 1) as f64 - bound as f64))
}

/// An array of numbers at least 0.1 apart, in random order, around zero: no two compete, and none sits on a kink.
pub fn distinct<T: Element, D: Dimension, S: ShapeBuilder<Dim = D>>(rng: &mut Rng, shape: S) -> Array<T, D> {
    let mut array = Array::zeros(shape);
    let half = array.len() as f64 / 2.0;
    let mut values: Vec<f64> = (0..array.len()).map(|i| (i as f64 - half) * 0.1 + 0.033).collect();
    rng.shuffle(&mut values);
    array.iter_mut().zip(values).for_each(|(place, value)| *place = T::of(value));
    array
}

/// A tensor of numbers of the normal distribution.
pub fn normal_tensor<T: Element>(rng: &mut Rng, shape: &[usize]) -> Tensor<T> {
    normal::<T, _, _>(rng, shape).into()
}

/// The sum of the products, in double precision.
pub fn dot<'a, T: Element>(a: impl IntoIterator<Item = &'a T>, b: impl IntoIterator<Item = &'a T>) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| a.to_double() * b.to_double()).sum()
}

/// Whether two arrays hold the same bits (where `==` would let -0 and 0 pass, and fail NaN).
pub fn same_bits<'a, T: Element>(
    a: impl IntoIterator<Item = &'a T>,
    b: impl IntoIterator<Item = &'a T>,
) -> bool {
    a.into_iter().map(|x| x.to_double().to_bits()).eq(b.into_iter().map(|x| x.to_double().to_bits()))
}

/// Every activation without parameters.
pub fn plain_activations() -> Vec<Activation> {
    use Activation::*;
    vec![
        Linear,
        Relu,
        Relu6,
        Selu,
        Gelu,
        GeluTanh,
        Silu,
        Mish,
        Sigmoid,
        LogSigmoid,
        HardSigmoid,
        HardSwish,
        Tanh,
        Softsign,
        Exponential,
        Softmax,
        LogSoftmax,
    ]
}
