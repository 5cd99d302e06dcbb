//! [`BatchNorm`].

use super::{Affine, affine_options, moments_bytes, pop, push};
use crate::layer::{Step, Tape};
use crate::layers::weights::{Spec, Weights, delegate_to_weights};
use crate::memory::len_of;
use crate::ops::{self, Moments, Over, check_epsilon};
use crate::{Cost, Element, Error, Initializer, Layer, Result, Tensor};

const KIND: &str = "BatchNorm";

/// Which variance of a batch of `m` elements a channel [`BatchNorm`] lets its moving variance follow. The batch itself is
/// always normalised with the biased one.
///
/// ```
/// use striate::{BatchNorm, Layer, Rng, RunningVariance, Tape, Tensor};
/// for (variance, followed) in [(RunningVariance::Biased, 4.0), (RunningVariance::Unbiased, 8.0)] {
///     let mut norm = BatchNorm::new().momentum(0.0).running_variance(variance);
///     norm.build(&[2, 1], &mut Rng::seed(1))?;
///     norm.forward_train(Tensor::from(ndarray::array![[1.0], [5.0]]), &mut Tape::new())?;
///     assert_eq!(norm.params()[3].1.value().as_slice(), [followed]);
/// }
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RunningVariance {
    /// The mean of squared deviations, divided by `m`; Keras.
    #[default]
    Biased,
    /// The sum of squared deviations, divided by `m - 1`; PyTorch.
    Unbiased,
}

/// Batch normalisation (Ioffe and Szegedy, 2015): every channel gets the mean `beta` and the standard deviation `gamma`.
///
/// ```text
/// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
/// ```
///
/// In training, mean and variance are those of the batch, over all positions of a channel, and `moving_mean` and
/// `moving_variance` follow them: `moving = momentum * moving + (1 - momentum) * new`. At inference the moving ones are
/// used. The same as Keras' `BatchNormalization`, with its defaults, and as PyTorch's `BatchNorm1d/2d/3d` with
///
/// | PyTorch | here |
/// |---|---|
/// | `momentum=0.1`, the share of the new | `.momentum(0.9)`, the share of the old |
/// | `eps=1e-5` | `.epsilon(1e-5)` |
/// | a running variance without bias | `.running_variance(RunningVariance::Unbiased)` |
/// | `affine=False` | `.center(false).scale(false)` |
///
/// | | shape |
/// |---|---|
/// | input, output | `[batch, ..., channels]` |
/// | `gamma`, `beta` | `[channels]` |
/// | `moving_mean`, `moving_variance` | `[channels]`, states: see [`Param::state`](crate::Param::state) |
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the momentum is not within 0 and 1 or epsilon is negative;
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if there are no channels, or in training too few elements for a variance.
///
/// ```
/// use ndarray::array;
/// use striate::{BatchNorm, Layer, Rng, Tape, Tensor};
/// let mut norm = BatchNorm::new().epsilon(0.0).momentum(0.5);
/// norm.build(&[2, 1], &mut Rng::seed(1))?;
/// let x = Tensor::from(array![[1.0], [5.0]]);
/// assert_eq!(norm.forward_train(x.clone(), &mut Tape::new())?, Tensor::from(array![[-1.0], [1.0]]));
///
/// let moving = norm.params();
/// let names: Vec<_> = moving.iter().map(|(name, _)| &name[..]).collect();
/// assert_eq!(names, ["gamma", "beta", "moving_mean", "moving_variance"]);
/// assert_eq!(moving[2].1.value().as_slice(), [1.5]);    // half of 0 and 3
/// assert_eq!(moving[3].1.value().as_slice(), [2.5]);    // half of 1 and 4
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm<T: Element = f32> {
    affine: Affine,
    momentum: f64,
    running_variance: RunningVariance,
    frozen: bool,
    weights: Weights<T>,
}

impl<T: Element> BatchNorm<T> {
    /// A layer with Keras' defaults: a momentum of 0.99, an epsilon of 0.001, with gamma and beta.
    ///
    /// ```
    /// use striate::{BatchNorm, Layer};
    /// let norm: BatchNorm = BatchNorm::new();
    /// let cost = norm.cost(&[1, 28, 28, 32])?;
    /// assert_eq!((cost.params, cost.frozen_params), (2 * 32, 2 * 32));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        BatchNorm {
            affine: Affine::default(),
            momentum: 0.99,
            running_variance: RunningVariance::default(),
            frozen: false,
            weights: Weights::none(KIND),
        }
    }

    affine_options!("BatchNorm", "BatchNorm::new()");

    /// How much of the moving mean and variance stays in each step, from 0 to 1. Default 0.99.
    ///
    /// ```
    /// use striate::{BatchNorm, Layer};
    /// let norm: BatchNorm = BatchNorm::new().momentum(1.5);
    /// assert!(norm.output_shape(&[1, 8]).is_err());
    /// ```
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Which variance of the batch the moving one follows. Default: Keras'.
    ///
    /// ```
    /// use striate::{BatchNorm, Layer, Rng, RunningVariance, Tape, Tensor};
    /// let mut norm = BatchNorm::new().momentum(0.0).running_variance(RunningVariance::Unbiased);
    /// norm.build(&[2, 1], &mut Rng::seed(1))?;
    /// norm.forward_train(Tensor::<f32>::from(ndarray::array![[1.0], [5.0]]), &mut Tape::new())?;
    /// assert_eq!(norm.params()[3].1.value().as_slice(), [8.0]);    // (4 + 4) / (2 - 1)
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn running_variance(mut self, variance: RunningVariance) -> Self {
        self.running_variance = variance;
        self
    }

    /// Whether training, too, normalises with the moving mean and variance, which then stay as they are: Keras'
    /// `trainable = False`, PyTorch's `eval()`; for fine-tuning. Default `false`.
    ///
    /// ```
    /// use striate::{BatchNorm, Layer, Rng, Tape, Tensor};
    /// let mut norm = BatchNorm::new().frozen(true);
    /// norm.build(&[2, 1], &mut Rng::seed(1))?;
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [5.0]]);
    /// assert_eq!(norm.forward_train(x.clone(), &mut Tape::new())?, norm.forward(&x)?);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.frozen = frozen;
        self
    }

    fn affine_mut(&mut self) -> &mut Affine {
        &mut self.affine
    }

    fn clear(&mut self) {
        self.weights.clear();
    }

    /// Checks the options and the input; returns its number of channels.
    fn channels(&self, input: &[usize]) -> Result<usize> {
        check_epsilon(KIND, self.affine.epsilon)?;
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::argument(KIND, "a momentum from 0 to 1", self.momentum));
        }
        match (input, Over::Batch.sets(KIND, input)) {
            ([_, .., channels], Ok(_)) => Ok(*channels),
            (_, Err(error)) => Err(error),
            _ => Err(Error::shape(KIND, "an input of [batch, ..., channels]", input)),
        }
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        let shape = [self.channels(input)?];
        let mut specs = self.affine.specs(&shape);
        specs.push(Spec::state("moving_mean", &shape, Initializer::Zeros));
        specs.push(Spec::state("moving_variance", &shape, Initializer::Ones));
        Ok(specs)
    }

    /// The moving mean and variance, for an input that fits them.
    fn moving(&self, input: &[usize]) -> Result<Moments<T>> {
        self.weights.check()?;
        let channels = self.channels(input)?;
        let (mean, variance) = (self.weights.value("moving_mean")?, self.weights.value("moving_variance")?);
        if mean.len() != channels {
            let expected = format!("an input of [batch, ..., {}], as the layer was built for", mean.len());
            return Err(Error::shape(KIND, expected, input));
        }
        Moments::new(mean.as_slice().to_vec(), variance.as_slice().to_vec())
    }

    /// Lets the moving mean and variance follow those of a batch.
    fn follow(&mut self, old: &Moments<T>, new: &Moments<T>, members: usize) -> Result<()> {
        let correction = match self.running_variance {
            RunningVariance::Biased => 1.0,
            RunningVariance::Unbiased => members as f64 / (members as f64 - 1.0),
        };
        let momentum = self.momentum;
        let mixed = |old: &[T], new: &[T], factor: f64| {
            let mix = |(&old, &new): (&T, &T)| {
                T::of(momentum * old.to_double() + (1.0 - momentum) * factor * new.to_double())
            };
            Tensor::from_vec(&[old.len()], old.iter().zip(new).map(mix).collect())
        };
        self.weights.set_value("moving_mean", mixed(old.mean(), new.mean(), 1.0)?)?;
        self.weights.set_value("moving_variance", mixed(old.variance(), new.variance(), correction)?)
    }
}

impl<T: Element> Default for BatchNorm<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Element> Layer<T> for BatchNorm<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.channels(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.affine.forward(x, Over::Batch, &self.moving(x.shape())?, &self.weights)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let old = self.moving(x.shape())?;
        let sets = Over::Batch.sets(KIND, x.shape())?;
        let least = if self.running_variance == RunningVariance::Unbiased { 2 } else { 1 };
        if !self.frozen && sets.members() < least {
            return Err(Error::shape(KIND, format_args!("{least} elements a channel or more"), x.shape()));
        }
        let moments = if self.frozen { old.clone() } else { ops::moments_of(x.as_slice(), &sets) };
        let y = self.affine.forward(&x, Over::Batch, &moments, &self.weights)?;
        if !self.frozen {
            self.follow(&old, &moments, sets.members())?;
        }
        push(tape, KIND, x, &moments)?;
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        self.weights.check()?;
        let (x, moments) = pop(tape, KIND)?;
        self.affine.backward((grad, x), Over::Batch, (&moments, !self.frozen), &mut self.weights)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let (channels, elements) = (self.channels(input)?, len_of(KIND, input)?);
        Ok(Cost {
            multiplications: elements as u64,
            saved_bytes: elements * size_of::<T>() + moments_bytes::<T>(channels),
            ..self.weights.cost(&self.specs(input)?)?
        })
    }
    fn step(&self) -> Result<Option<Step>> {
        check_epsilon(KIND, self.affine.epsilon)?;
        self.weights.check()?;
        let [mean, variance] = ["moving_mean", "moving_variance"].map(|name| self.weights.value(name));
        let [gamma, beta] = ["gamma", "beta"].map(|name| self.weights.find(name).map(Tensor::as_slice));
        let numbers = mean?.as_slice().iter().zip(variance?.as_slice()).enumerate();
        let affine = numbers.map(|(channel, (mean, variance))| {
            let weight = |weight: Option<&[T]>, none| weight.map_or(none, |w| w[channel].to_double());
            let scale = weight(gamma, 1.0) / (variance.to_double() + self.affine.epsilon).sqrt();
            (scale, weight(beta, 0.0) - mean.to_double() * scale)
        });
        let (scale, shift) = affine.unzip();
        Ok(Some(Step::Affine { scale, shift }))
    }
}
