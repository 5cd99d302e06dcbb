//! [`Trainer`]: everything that a training run needs besides the model and the data.

use std::fmt;

use super::{Callback, Clip, EarlyStopping, Loss, Metric, Optimizer, Progress, Targets};
use crate::{Element, Rng, Tensor};

/// A change to the samples of a batch.
type Augment<'a, T> = Box<dyn FnMut(&mut Tensor<T>, &mut Rng) + Send + 'a>;

/// Trains models: Keras' `compile`, `fit` and `evaluate`.
///
/// | option | default | |
/// |---|---|---|
/// | `epochs` | 1 | how often all samples are seen |
/// | `batch_size` | 32 | the last batch of an epoch may be smaller |
/// | `shuffle` | `true` | whether every epoch has its own order |
/// | `seed` | 0 | of the order, of augmentations, and of the weights of a model that has none yet |
/// | `validation_split`, `validation_data` | none | what to evaluate after every epoch; the last of the two calls counts |
/// | `metric` | none | any number |
/// | `clip` | none | a bound on the gradients |
/// | `augment` | none | a change to the samples of every training batch |
/// | `progress`, `callback`, `early_stopping` | none | any number |
///
/// Options are checked by [`fit`](Self::fit). The same seed gives the same run, bit by bit, on any number of threads.
/// A trainer remembers its optimizer's state and its place in the random sequence, so that a second `fit` goes on
/// where the first ended; it belongs to one model.
///
/// ```
/// use striate::{Dense, Rng, Tensor};
/// use striate::train::{Adam, Clip, EarlyStopping, MeanSquaredError, Schedule, Trainer};
///
/// let mut rng = Rng::seed(1);
/// let x = Tensor::<f32>::zeros(&[100, 3])?.map(|_| rng.normal() as f32);
/// let y = Tensor::from_vec(&[100], x.as_slice().chunks(3).map(|x| x[0] - 2.0 * x[2]).collect())?;
///
/// let history = Trainer::new(MeanSquaredError::new(), Adam::new(Schedule::cosine(0.1, 1000)))
///     .epochs(200)
///     .batch_size(16)
///     .validation_split(0.2)
///     .clip(Clip::GlobalNorm(10.0))
///     .augment(|batch, rng| batch.as_mut_slice().iter_mut().for_each(|v| *v += 1e-3 * rng.normal() as f32))
///     .early_stopping(EarlyStopping::new().patience(10).restore_best_weights(true))
///     .fit(&mut Dense::new(1), &x, y)?;
/// assert!(history.get("val_loss").into_iter().any(|loss| loss < 0.01));
/// # Ok::<(), striate::Error>(())
/// ```
#[must_use]
pub struct Trainer<'a, T: Element = f32> {
    pub(super) loss: Box<dyn Loss<T> + 'a>,
    pub(super) optimizer: Box<dyn Optimizer<T> + 'a>,
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) shuffle: bool,
    pub(super) rng: Rng,
    pub(super) validation: Validation<T>,
    pub(super) metrics: Vec<Box<dyn Metric<T> + 'a>>,
    pub(super) clip: Option<Clip>,
    pub(super) augment: Option<Augment<'a, T>>,
    pub(super) progress: Vec<Box<dyn Progress + Send + 'a>>,
    pub(super) callbacks: Vec<Box<dyn Callback<T> + Send + 'a>>,
}

/// What to evaluate after every epoch.
pub(super) enum Validation<T: Element> {
    None,
    /// The last share of the samples.
    Split(f64),
    /// Samples of their own.
    Data(Tensor<T>, Targets<T>),
}

impl<'a, T: Element> Trainer<'a, T> {
    /// A trainer for a loss and an optimizer.
    pub fn new(loss: impl Loss<T> + 'a, optimizer: impl Optimizer<T> + 'a) -> Self {
        Trainer {
            loss: Box::new(loss),
            optimizer: Box::new(optimizer),
            epochs: 1,
            batch_size: 32,
            shuffle: true,
            rng: Rng::seed(0),
            validation: Validation::None,
            metrics: Vec::new(),
            clip: None,
            augment: None,
            progress: Vec::new(),
            callbacks: Vec::new(),
        }
    }

    /// How often all samples are seen.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// How many samples are seen before each step of the optimizer, and together in evaluations.
    pub fn batch_size(mut self, samples: usize) -> Self {
        self.batch_size = samples;
        self
    }

    /// Whether every epoch sees the samples in a new random order.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// What the random numbers start from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = Rng::seed(seed);
        self
    }

    /// Keeps the last share of the samples, as they were given, for validation.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation = Validation::Split(share);
        self
    }

    /// Validates on these samples.
    pub fn validation_data(mut self, x: &Tensor<T>, targets: impl Into<Targets<T>>) -> Self {
        self.validation = Validation::Data(x.clone(), targets.into());
        self
    }

    /// Measures something else besides the loss.
    pub fn metric(mut self, metric: impl Metric<T> + 'a) -> Self {
        self.metrics.push(Box::new(metric));
        self
    }

    /// Bounds the gradients.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = Some(clip);
        self
    }

    /// Changes the samples of every training batch, at random: flips, shifts, noise. The targets stay.
    pub fn augment(mut self, change: impl FnMut(&mut Tensor<T>, &mut Rng) + Send + 'a) -> Self {
        self.augment = Some(Box::new(change));
        self
    }

    /// Shows how the training goes.
    pub fn progress(mut self, progress: impl Progress + Send + 'a) -> Self {
        self.progress.push(Box::new(progress));
        self
    }

    /// Runs something between epochs.
    pub fn callback(mut self, callback: impl Callback<T> + Send + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Ends the training once a result no longer gets better.
    pub fn early_stopping(self, stopping: EarlyStopping<T>) -> Self {
        self.callback(stopping)
    }
}

impl<T: Element> fmt::Debug for Trainer<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("loss", &self.loss)
            .field("optimizer", &self.optimizer)
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}
