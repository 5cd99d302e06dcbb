//! [`Trainer`]: everything that a training run needs besides the model and the data.

use std::fmt;

use super::loader::Augment;
use super::{Callback, Clip, EarlyStopping, Loss, Metric, Optimizer, Progress, Regularizer, Targets};
use crate::{Element, Result, Rng, Tensor};

/// Trains models: Keras' `compile`, `fit` and `evaluate`.
///
/// | option | default | |
/// |---|---|---|
/// | `epochs` | 1 | how often all samples are seen; 0 trains nothing, and gives an empty history |
/// | `batch_size` | 32 | at least 1; the last batch of an epoch may be smaller |
/// | `micro_batch_size` | that of a batch | how many samples are computed at once |
/// | `shuffle` | `true` | whether every epoch has its own order |
/// | `seed` | 0 | of the order, of augmentations, and of the weights of a model that has none yet |
/// | `validation_split`, `validation_data` | none | what to evaluate after each epoch; the last call of the two counts |
/// | `metric` | none | any number |
/// | `clip` | none | a bound on the gradients |
/// | `regularizer` | none | a penalty on large weights |
/// | `augment` | none | a change to the samples of every training batch; any number |
/// | `progress`, `callback`, `early_stopping` | none | any number |
///
/// Options are checked by [`fit`](Self::fit), before it builds or changes the model; those of losses, optimizers,
/// metrics and callbacks by its first step, before that changes a weight. The same seed gives the same run, bit by bit,
/// on any number of threads. A trainer remembers its optimizer's state and its place in the random sequence, so that a
/// second `fit` goes on where the first ended; it belongs to one model. `save` and `load` take a run to another day.
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
///     .augment(|batch, rng| Ok(batch.as_mut_slice().iter_mut().for_each(|v| *v += 1e-3 * rng.normal() as f32)))
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
    pub(super) micro_batch_size: Option<usize>,
    pub(super) shuffle: bool,
    pub(super) rng: Rng,
    pub(super) epochs_done: usize,
    pub(super) validation: Validation<T>,
    pub(super) metrics: Vec<Box<dyn Metric<T> + 'a>>,
    pub(super) clip: Option<Clip>,
    pub(super) regularizer: Option<Regularizer>,
    pub(super) augment: Vec<Augment<'a, T>>,
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
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25));
    /// trainer.fit(&mut model, &x, &y)?;    // the loss is w^2, and the step 0.25 * 2 w
    /// assert_eq!(trainer.evaluate(&model, &x, &y)?.loss, 0.25);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(loss: impl Loss<T> + 'a, optimizer: impl Optimizer<T> + 'a) -> Self {
        Trainer {
            loss: Box::new(loss),
            optimizer: Box::new(optimizer),
            epochs: 1,
            batch_size: 32,
            micro_batch_size: None,
            shuffle: true,
            rng: Rng::seed(0),
            epochs_done: 0,
            validation: Validation::None,
            metrics: Vec::new(),
            clip: None,
            regularizer: None,
            augment: Vec::new(),
            progress: Vec::new(),
            callbacks: Vec::new(),
        }
    }

    /// How often all samples are seen. After 0 epochs the model is built, but not trained, and the history is empty.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .epochs(3)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 0.25, 0.0625]);    // each step halves w
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// How many samples are seen before each step of the optimizer, and together in evaluations; at least 1.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [1.0]]);
    /// let y = Tensor::from(ndarray::array![[0.0], [0.0]]);
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .batch_size(1)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [(1.0 + 0.25) / 2.0]);    // the first step halves w
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn batch_size(mut self, samples: usize) -> Self {
        self.batch_size = samples;
        self
    }

    /// Computes a batch in parts of so many samples, at least 1, and adds up their gradients (gradient accumulation):
    /// as large a batch in less memory. The optimizer's steps are the same up to rounding, except behind layers that look
    /// at all samples of a batch, such as [`BatchNorm`](crate::BatchNorm), which then sees a part at a time. Default: all
    /// at once.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [1.0], [1.0]]);
    /// let y = Tensor::from(ndarray::array![[0.0], [0.0], [0.0]]);
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .batch_size(3)
    ///     .micro_batch_size(2)
    ///     .epochs(2)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 0.25]);    // one step an epoch, which halves w
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn micro_batch_size(mut self, samples: usize) -> Self {
        self.micro_batch_size = Some(samples);
        self
    }

    /// Whether every epoch sees the samples in a new random order.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [2.0], [3.0]]);
    /// let y = Tensor::from(ndarray::array![[0.0], [0.0], [0.0]]);
    /// let mut seen = Vec::new();
    /// Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
    ///     .batch_size(1)
    ///     .shuffle(false)
    ///     .augment(|batch, _| Ok(seen.push(batch.as_slice()[0])))
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(seen, [1.0, 2.0, 3.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// What the random numbers start from.
    ///
    /// ```
    /// # use striate::{Dense, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// let (x, y) = (Tensor::<f32>::full(&[4, 3], 1.0)?, Tensor::zeros(&[4, 1])?);
    /// let losses = |seed| {
    ///     let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).seed(seed);
    ///     trainer.fit(&mut Dense::new(1), &x, &y).map(|history| history.get("loss"))
    /// };
    /// assert_eq!(losses(1)?, losses(1)?);
    /// assert_ne!(losses(1)?, losses(2)?);    // other weights to begin with
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.rng = Rng::seed(seed);
        self
    }

    /// Keeps the last share of the samples, as they were given, for validation. It must leave samples on both sides;
    /// 0 is no validation.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [1.0], [1.0], [2.0]]);
    /// let y = Tensor::from(ndarray::array![[0.0], [0.0], [0.0], [0.0]]);
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .validation_split(0.25)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.epochs[0].samples, 3);
    /// assert_eq!(history.get("val_loss"), [(0.5_f64 * 2.0).powi(2)]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation = Validation::Split(share);
        self
    }

    /// Validates on these samples.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let (other_x, other_y) = (Tensor::full(&[1, 1], 2.0)?, Tensor::full(&[1, 1], 3.0)?);
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .validation_data(&other_x, other_y)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("val_loss"), [(0.5_f64 * 2.0 - 3.0).powi(2)]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn validation_data(mut self, x: &Tensor<T>, targets: impl Into<Targets<T>>) -> Self {
        self.validation = Validation::Data(x.clone(), targets.into());
        self
    }

    /// Measures something else besides the loss.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{BinaryAccuracy, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [0.0]]);
    /// let y = Tensor::from(ndarray::array![[1.0], [1.0]]);
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
    ///     .metric(BinaryAccuracy::new())
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("binary_accuracy"), [0.5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn metric(mut self, metric: impl Metric<T> + 'a) -> Self {
        self.metrics.push(Box::new(metric));
        self
    }

    /// Bounds the gradients.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{Clip, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(1.0))
    ///     .clip(Clip::Norm(0.5))
    ///     .epochs(2)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 0.25]);    // the gradient is 2, but w falls by 0.5
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = Some(clip);
        self
    }

    /// A penalty on large weights that the loss has on top: its gradients come before those are clipped. Default: none.
    ///
    /// ```
    /// use striate::train::{Adam, MeanSquaredError, Regularizer, Trainer};
    /// let trainer: Trainer<'_> =
    ///     Trainer::new(MeanSquaredError::new(), Adam::new(0.01)).regularizer(Regularizer::l2(1e-4));
    /// # let _ = trainer;
    /// ```
    pub fn regularizer(mut self, regularizer: Regularizer) -> Self {
        self.regularizer = Some(regularizer);
        self
    }

    /// Changes the samples of every training batch, at random: flips, shifts, noise, whatever `change` does to the batch.
    /// The targets stay. Several changes are made one after the other; [`augment`](super::augment) has the usual ones. They
    /// are made by another thread than computes the batch before, if there is one.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.0)).augment(|batch, _rng| {
    ///     *batch = batch.map(|v| 3.0 * v);
    ///     Ok(())
    /// });
    /// assert_eq!(trainer.fit(&mut model, &x, &y)?.get("loss"), [9.0]);
    /// assert_eq!(trainer.evaluate(&model, &x, &y)?.loss, 1.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn augment(mut self, change: impl FnMut(&mut Tensor<T>, &mut Rng) -> Result<()> + Send + 'a) -> Self {
        self.augment.push(Box::new(change));
        self
    }

    /// Shows how the training goes.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Progress, Sgd, Status, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [1.0], [1.0]]);
    /// let y = Tensor::from(ndarray::array![[0.0], [0.0], [0.0]]);
    /// struct Count<'a>(&'a mut usize);
    /// impl Progress for Count<'_> {
    ///     fn on_batch(&mut self, _: &Status<'_>) {
    ///         *self.0 += 1;
    ///     }
    /// }
    ///
    /// let mut batches = 0;
    /// Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
    ///     .batch_size(2)
    ///     .progress(Count(&mut batches))
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(batches, 2);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn progress(mut self, progress: impl Progress + Send + 'a) -> Self {
        self.progress.push(Box::new(progress));
        self
    }

    /// Runs something between epochs.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use striate::{Dense, Initializer, Layer, Tensor, train::{EpochLog, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = |_model: &mut dyn Layer, log: &EpochLog| {
    ///     Ok(if log.loss < 0.5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    /// };
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .epochs(9)
    ///     .callback(stop)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 0.25]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn callback(mut self, callback: impl Callback<T> + Send + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Ends the training once a result no longer gets better.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new().monitor("loss");
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.0))
    ///     .epochs(9)
    ///     .early_stopping(stop)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 1.0]);    // the second is not better
    /// # Ok::<(), striate::Error>(())
    /// ```
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
