//! [`Initializer`]: the values that weights start from.

use crate::{Element, Error, Result, Rng, Tensor, memory};

/// How far the values of a [`TruncatedNormal`](Initializer::TruncatedNormal) lie from the mean at most, in
/// standard deviations.
const TRUNCATION: f64 = 2.0;

/// The standard deviation of the standard normal distribution truncated to `-2..2`: Keras divides by it, so that
/// a truncated distribution has the variance it asks for.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

/// The distribution of a layer's first weights, under Keras' names.
///
/// The last six scale with the size of the layer, so that the variance of signals and gradients neither grows nor
/// shrinks from layer to layer. With `in` and `out` the two last axes of the weight and `field` the product of
/// all others (1 for a dense layer, `kh * kw` for a kernel `[kh, kw, in / groups, out]`):
/// `fan_in = field * in`, `fan_out = field * out`. A weight of one axis counts it for both.
///
/// | | values | source |
/// |---|---|---|
/// | `Glorot...` | variance `2 / (fan_in + fan_out)` | Glorot and Bengio, 2010; Keras' default for kernels |
/// | `He...` | variance `2 / fan_in` | He et al., 2015; for ReLU and its relatives |
/// | `Lecun...` | variance `1 / fan_in` | LeCun et al., 1998; for SELU |
/// | `...Uniform` | uniform over `-limit..limit`, `limit = sqrt(3 * variance)` | |
/// | `...Normal` | truncated normal with exactly this variance | as Keras' `VarianceScaling` |
///
/// For anything else, set the weight after `build` with [`Param::set_value`](crate::Param::set_value).
///
/// ```
/// use striate::{Initializer, Rng};
/// let kernel = Initializer::HeNormal.make::<f32>(&[3, 3, 16, 32], &mut Rng::seed(1))?;
/// let variance = kernel.as_slice().iter().map(|w| w * w).sum::<f32>() / kernel.len() as f32;
/// assert!((variance - 2.0 / (3.0 * 3.0 * 16.0)).abs() < 1e-3);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Initializer {
    /// All 0; Keras' default for biases.
    Zeros,
    /// All 1.
    Ones,
    /// All this value.
    Constant(f64),
    /// Uniform between two bounds. Keras' defaults are -0.05 and 0.05.
    RandomUniform {
        /// The lower bound.
        min: f64,
        /// The upper bound.
        max: f64,
    },
    /// Normal. Keras' defaults are 0 and 0.05.
    RandomNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        stddev: f64,
    },
    /// Normal, but values more than two standard deviations from the mean are drawn again. The standard
    /// deviation is that before truncation, as in Keras. Keras' defaults are 0 and 0.05.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation before truncation.
        stddev: f64,
    },
    /// Uniform with variance `2 / (fan_in + fan_out)`.
    GlorotUniform,
    /// Truncated normal with variance `2 / (fan_in + fan_out)`.
    GlorotNormal,
    /// Uniform with variance `2 / fan_in`.
    HeUniform,
    /// Truncated normal with variance `2 / fan_in`.
    HeNormal,
    /// Uniform with variance `1 / fan_in`.
    LecunUniform,
    /// Truncated normal with variance `1 / fan_in`.
    LecunNormal,
}

impl Initializer {
    /// A weight of this shape. The same seed gives the same numbers; `f32` weights are those of `f64`, rounded.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a parameter is not finite in `T`, `min > max` or
    /// `stddev < 0`; [`ErrorKind::Size`](crate::ErrorKind::Size) if the shape does not fit in memory.
    ///
    /// ```
    /// use striate::{Initializer, Rng};
    /// let weight = Initializer::GlorotUniform.make::<f32>(&[4, 2], &mut Rng::seed(1))?;
    /// assert!(weight.as_slice().iter().all(|w| w.abs() <= 1.0));       // sqrt(6 / (4 + 2))
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn make<T: Element>(&self, shape: &[usize], rng: &mut Rng) -> Result<Tensor<T>> {
        use Initializer::*;
        self.check::<T>()?;
        let [fan_in, fan_out] = fans(shape);
        let glorot = 2.0 / (fan_in + fan_out).max(2.0);
        let (he, lecun) = (2.0 / fan_in.max(1.0), 1.0 / fan_in.max(1.0));
        match *self {
            Zeros => Tensor::zeros(shape),
            Ones => Tensor::full(shape, T::one()),
            Constant(value) => Tensor::full(shape, T::of(value)),
            RandomUniform { min, max } => draw(shape, || uniform(rng, min, max)),
            RandomNormal { mean, stddev } => draw(shape, || mean + stddev * rng.normal()),
            TruncatedNormal { mean, stddev } => draw(shape, || mean + stddev * truncated_normal(rng)),
            GlorotUniform => scaled_uniform(shape, glorot, rng),
            HeUniform => scaled_uniform(shape, he, rng),
            LecunUniform => scaled_uniform(shape, lecun, rng),
            GlorotNormal => scaled_normal(shape, glorot, rng),
            HeNormal => scaled_normal(shape, he, rng),
            LecunNormal => scaled_normal(shape, lecun, rng),
        }
    }

    /// Checks the parameters, as they round in `T`.
    fn check<T: Element>(&self) -> Result<()> {
        let finite = |value: f64| T::of(value).is_finite();
        let (valid, expected) = match *self {
            Initializer::Constant(value) => (finite(value), "a finite constant"),
            Initializer::RandomUniform { min, max } => {
                (finite(min) && finite(max) && min <= max, "finite bounds, min <= max")
            }
            Initializer::RandomNormal { mean, stddev } | Initializer::TruncatedNormal { mean, stddev } => {
                (finite(mean) && finite(stddev) && stddev >= 0.0, "a finite mean, a finite stddev >= 0")
            }
            _ => return Ok(()),
        };
        if valid { Ok(()) } else { Err(Error::argument("initializer", expected, format_args!("{self:?}"))) }
    }
}

/// `[fan_in, fan_out]` of a weight: how many inputs an output sums up, and how many outputs an input reaches.
/// In floating point, where nothing overflows.
fn fans(shape: &[usize]) -> [f64; 2] {
    match *shape {
        [] => [1.0; 2],
        [both] => [both as f64; 2],
        [ref field @ .., inputs, outputs] => {
            let field: f64 = field.iter().map(|&n| n as f64).product();
            [field * inputs as f64, field * outputs as f64]
        }
    }
}

fn scaled_uniform<T: Element>(shape: &[usize], variance: f64, rng: &mut Rng) -> Result<Tensor<T>> {
    let limit = (3.0 * variance).sqrt();
    draw(shape, || uniform(rng, -limit, limit))
}

fn scaled_normal<T: Element>(shape: &[usize], variance: f64, rng: &mut Rng) -> Result<Tensor<T>> {
    let stddev = variance.sqrt() / TRUNCATED_STDDEV;
    draw(shape, || stddev * truncated_normal(rng))
}

fn uniform(rng: &mut Rng, min: f64, max: f64) -> f64 {
    let u = rng.uniform();
    // `max - min` can overflow where this cannot.
    min * (1.0 - u) + max * u
}

fn truncated_normal(rng: &mut Rng) -> f64 {
    loop {
        let z = rng.normal();
        if z.abs() <= TRUNCATION {
            return z;
        }
    }
}

fn draw<T: Element>(shape: &[usize], mut next: impl FnMut() -> f64) -> Result<Tensor<T>> {
    let mut elements = Vec::new();
    memory::reserve(&mut elements, "initializer", shape)?;
    elements.extend((0..memory::len_of("initializer", shape)?).map(|_| T::of(next())));
    Tensor::from_vec(shape, elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// `[mean, variance, largest magnitude]` of many values.
    fn statistics(initializer: Initializer, shape: &[usize]) -> [f64; 3] {
        let weight = initializer.make::<f64>(shape, &mut Rng::seed(42)).unwrap();
        let values = weight.as_slice();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
        [mean, variance, values.iter().fold(0.0, |most, v| most.max(v.abs()))]
    }

    #[test]
    fn fans_are_those_of_keras() {
        assert_eq!(fans(&[]), [1.0, 1.0]);
        assert_eq!(fans(&[7]), [7.0, 7.0]);
        assert_eq!(fans(&[784, 10]), [784.0, 10.0]);
        assert_eq!(fans(&[3, 5, 8, 32]), [120.0, 480.0]);
        assert_eq!(fans(&[usize::MAX, usize::MAX, 1, 1])[0], (usize::MAX as f64).powi(2));
    }

    #[test]
    fn scaled_distributions_have_their_variance_and_bounds() {
        use Initializer::*;
        let shape = [3, 3, 64, 128]; // fan_in 576, fan_out 1152; 73,728 values
        let (glorot, he, lecun): (f64, f64, f64) = (2.0 / 1728.0, 2.0 / 576.0, 1.0 / 576.0);
        let uniform = [(GlorotUniform, glorot), (HeUniform, he), (LecunUniform, lecun)];
        let normal = [(GlorotNormal, glorot), (HeNormal, he), (LecunNormal, lecun)];
        for (initializer, want) in uniform.into_iter().chain(normal) {
            let [mean, variance, most] = statistics(initializer, &shape);
            assert!(mean.abs() < 0.02 * want.sqrt(), "{initializer:?}: mean {mean}");
            assert!((variance / want - 1.0).abs() < 0.03, "{initializer:?}: {variance} instead of {want}");
            let bound = match initializer {
                GlorotUniform | HeUniform | LecunUniform => (3.0 * want).sqrt(),
                _ => 2.0 * want.sqrt() / TRUNCATED_STDDEV,
            };
            assert!(most <= bound && most > 0.99 * bound, "{initializer:?}: {most}, bound {bound}");
        }
    }

    #[test]
    fn plain_distributions_have_their_moments() {
        let shape = [300, 300];
        let [mean, variance, _] = statistics(Initializer::RandomNormal { mean: 1.0, stddev: 0.5 }, &shape);
        assert!((mean - 1.0).abs() < 0.01 && (variance - 0.25).abs() < 0.01);

        let [_, variance, most] = statistics(Initializer::TruncatedNormal { mean: 0.0, stddev: 0.5 }, &shape);
        assert!(most <= 1.0 && (variance / (0.5 * TRUNCATED_STDDEV).powi(2) - 1.0).abs() < 0.02);

        let [mean, variance, most] = statistics(Initializer::RandomUniform { min: -1.0, max: 3.0 }, &shape);
        assert!((mean - 1.0).abs() < 0.02 && (variance - 16.0 / 12.0).abs() < 0.02 && most < 3.0);

        let widest = Initializer::RandomUniform { min: f64::MIN, max: f64::MAX };
        assert!(
            widest.make::<f64>(&[100], &mut Rng::seed(1)).unwrap().as_slice().iter().all(|v| v.is_finite())
        );
    }

    #[test]
    fn constants_and_seeds() {
        let make =
            |initializer: Initializer, seed| initializer.make::<f32>(&[2, 3], &mut Rng::seed(seed)).unwrap();
        assert_eq!(make(Initializer::Zeros, 1).as_slice(), [0.0; 6]);
        assert_eq!(make(Initializer::Ones, 1).as_slice(), [1.0; 6]);
        assert_eq!(make(Initializer::Constant(0.25), 1).as_slice(), [0.25; 6]);
        assert_eq!(make(Initializer::HeNormal, 1), make(Initializer::HeNormal, 1));
        assert_ne!(make(Initializer::HeNormal, 1), make(Initializer::HeNormal, 2));
        let double = Initializer::HeNormal.make::<f64>(&[2, 3], &mut Rng::seed(1)).unwrap();
        assert_eq!(make(Initializer::HeNormal, 1), double.cast());
        assert!(Initializer::GlorotUniform.make::<f32>(&[3, 0], &mut Rng::seed(1)).unwrap().is_empty());
    }

    #[test]
    fn bad_parameters_are_errors() {
        use Initializer::*;
        for bad in [
            Constant(f64::NAN),
            Constant(1e300), // infinite as f32
            RandomUniform { min: 1.0, max: 0.0 },
            RandomUniform { min: f64::NEG_INFINITY, max: 0.0 },
            RandomNormal { mean: f64::NAN, stddev: 1.0 },
            RandomNormal { mean: 0.0, stddev: -1.0 },
            TruncatedNormal { mean: 0.0, stddev: f64::NAN },
        ] {
            let error = bad.make::<f32>(&[1], &mut Rng::seed(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
        }
        let error = HeNormal.make::<f32>(&[usize::MAX, 2], &mut Rng::seed(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Size);
    }
}
