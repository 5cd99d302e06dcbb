//! What a training run tells about itself: [`History`], and [`Progress`] while it goes on.

/// The results of one epoch.
///
/// ```
/// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
/// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
/// // The model is y = w x, with w = 1 at first.
/// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
/// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).epochs(2).fit(&mut model, &x, &y)?;
/// let log = &history.epochs[1];
/// assert_eq!((log.epoch, log.loss, log.learning_rate, log.samples), (2, 0.25, 0.25, 1));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EpochLog {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// The mean loss over the epoch's batches, each before its step.
    pub loss: f64,
    /// The metrics over the epoch's batches, with their names, in the trainer's order.
    pub metrics: Vec<(String, f64)>,
    /// The loss and metrics on the validation data after the epoch, if there are any.
    pub validation: Option<Evaluation>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// How many samples the epoch trained on.
    pub samples: usize,
    /// How many seconds the training took, without the validation.
    pub seconds: f64,
}

impl EpochLog {
    /// A result by its name in Keras: `"loss"`, `"val_loss"`, `"accuracy"`, `"val_accuracy"`, ...
    ///
    /// ```
    /// use striate::train::EpochLog;
    /// fn overfits(log: &EpochLog) -> bool {
    ///     log.get("val_loss") > log.get("loss")
    /// }
    /// ```
    pub fn get(&self, name: &str) -> Option<f64> {
        match (name.strip_prefix("val_"), &self.validation) {
            (Some(name), Some(validation)) => validation.get(name),
            _ => find(self.loss, &self.metrics, name),
        }
    }

    /// The names that [`get`](Self::get) knows.
    pub(super) fn names(&self) -> Vec<String> {
        let names = || std::iter::once("loss").chain(self.metrics.iter().map(|(name, _)| name.as_str()));
        let validation = names().filter(|_| self.validation.is_some()).map(|name| format!("val_{name}"));
        names().map(str::to_string).chain(validation).collect()
    }

    /// How many samples a second the training took in.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .epochs(2)
    ///     .fit(&mut model, &x, &y)?;
    /// let log = &history.epochs[0];
    /// approx::assert_relative_eq!(log.samples_per_second(), 1.0 / log.seconds);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn samples_per_second(&self) -> f64 {
        per_second(self.samples, self.seconds)
    }
}

/// The loss and metrics on a set of samples.
///
/// ```
/// # use striate::{Dense, Initializer, Layer, Tensor, train::{BinaryAccuracy, MeanSquaredError, Sgd, Trainer}};
/// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
/// // The model is y = w x, with w = 1 at first.
/// let x = Tensor::<f32>::from(ndarray::array![[1.0], [0.0]]);
/// let y = Tensor::from(ndarray::array![[1.0], [1.0]]);
/// model.build(x.shape(), &mut striate::Rng::seed(1))?;
/// let evaluation = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
///     .metric(BinaryAccuracy::new())
///     .evaluate(&model, &x, &y)?;
/// assert_eq!(evaluation.loss, 0.5);
/// assert_eq!(evaluation.metrics, [("binary_accuracy".to_string(), 0.5)]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The metrics, with their names, in the trainer's order.
    pub metrics: Vec<(String, f64)>,
}

impl Evaluation {
    /// The loss as `"loss"`, or a metric by its name.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Layer, Tensor, train::{BinaryAccuracy, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [0.0]]);
    /// let y = Tensor::from(ndarray::array![[1.0], [1.0]]);
    /// model.build(x.shape(), &mut striate::Rng::seed(1))?;
    /// let evaluation = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
    ///     .metric(BinaryAccuracy::new())
    ///     .evaluate(&model, &x, &y)?;
    /// assert_eq!(["loss", "binary_accuracy", "f1"].map(|name| evaluation.get(name)), [Some(0.5), Some(0.5), None]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<f64> {
        find(self.loss, &self.metrics, name)
    }
}

/// The results of a training run, epoch by epoch.
///
/// ```
/// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
/// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
/// // The model is y = w x, with w = 1 at first.
/// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
/// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).epochs(2).fit(&mut model, &x, &y)?;
/// assert_eq!(history.epochs.len(), 2);
/// assert_eq!(history.get("loss"), [1.0, 0.25]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The epochs that ran.
    pub epochs: Vec<EpochLog>,
}

impl History {
    /// One result over all epochs, by its name as in [`EpochLog::get`]; empty if there is no such result.
    ///
    /// ```
    /// let history = striate::train::History::default();
    /// assert!(history.get("val_accuracy").is_empty());
    /// ```
    pub fn get(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().filter_map(|epoch| epoch.get(name)).collect()
    }

    /// The last epoch.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let history = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .epochs(2)
    ///     .fit(&mut model, &x, &y)?;
    /// assert_eq!(history.last().map(|log| log.epoch), Some(2));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn last(&self) -> Option<&EpochLog> {
        self.epochs.last()
    }
}

/// Where a training run stands, after a batch.
///
/// ```
/// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Progress, Sgd, Status, Trainer}};
/// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
/// // The model is y = w x, with w = 1 at first.
/// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
/// struct Look;
/// impl Progress for Look {
///     fn on_batch(&mut self, status: &Status<'_>) {
///         assert_eq!((status.epoch, status.epochs, status.step, status.steps), (1, 1, 1, 1));
///         assert_eq!((status.loss, status.learning_rate, status.samples), (1.0, 0.25, 1));
///     }
/// }
///
/// Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).progress(Look).fit(&mut model, &x, &y)?;
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Status<'a> {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// How many epochs there are to be.
    pub epochs: usize,
    /// How many batches of this epoch are done.
    pub step: usize,
    /// How many batches an epoch has.
    pub steps: usize,
    /// The mean loss over this epoch's batches so far.
    pub loss: f64,
    /// The metrics over this epoch's batches so far, with their names, in the trainer's order.
    pub metrics: &'a [(String, f64)],
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// How many samples of this epoch are done.
    pub samples: usize,
    /// How many seconds this epoch has taken so far.
    pub seconds: f64,
}

impl Status<'_> {
    /// The loss so far as `"loss"`, or a metric by its name.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Progress, Sgd, Status, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// struct Look;
    /// impl Progress for Look {
    ///     fn on_batch(&mut self, status: &Status<'_>) {
    ///         assert_eq!((status.get("loss"), status.get("accuracy")), (Some(1.0), None));
    ///     }
    /// }
    ///
    /// Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).progress(Look).fit(&mut model, &x, &y)?;
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn get(&self, name: &str) -> Option<f64> {
        find(self.loss, self.metrics, name)
    }

    /// How many samples a second this epoch took in so far.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{MeanSquaredError, Progress, Sgd, Status, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// struct Look;
    /// impl Progress for Look {
    ///     fn on_batch(&mut self, status: &Status<'_>) {
    ///         approx::assert_relative_eq!(status.samples_per_second(), 1.0 / status.seconds);
    ///     }
    /// }
    ///
    /// Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).progress(Look).fit(&mut model, &x, &y)?;
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn samples_per_second(&self) -> f64 {
        per_second(self.samples, self.seconds)
    }
}

fn find(loss: f64, metrics: &[(String, f64)], name: &str) -> Option<f64> {
    let metric = || metrics.iter().find(|(metric, _)| metric == name).map(|(_, value)| *value);
    if name == "loss" { Some(loss) } else { metric() }
}

fn per_second(samples: usize, seconds: f64) -> f64 {
    if seconds > 0.0 { samples as f64 / seconds } else { 0.0 }
}

/// Shows how a training run goes: a progress bar, a log, a plot. All methods do nothing unless implemented.
///
/// ```
/// use striate::train::{EpochLog, Progress};
///
/// struct Print;
///
/// impl Progress for Print {
///     fn on_epoch_end(&mut self, log: &EpochLog) {
///         println!("epoch {}: loss {:.4}, {:.0} samples/s", log.epoch, log.loss, log.samples_per_second());
///     }
/// }
/// ```
pub trait Progress {
    /// Epoch `epoch` of `epochs`, counted from 1, begins; it will take `steps` batches.
    fn on_epoch_start(&mut self, epoch: usize, epochs: usize, steps: usize) {
        let _ = (epoch, epochs, steps);
    }

    /// A batch is done.
    fn on_batch(&mut self, status: &Status<'_>) {
        let _ = status;
    }

    /// An epoch is done, its validation included.
    fn on_epoch_end(&mut self, log: &EpochLog) {
        let _ = log;
    }

    /// Training ends: after the last epoch, after one that a callback made the last, or with an error.
    fn on_train_end(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_names() {
        let metrics = |value| vec![("accuracy".to_string(), value)];
        let mut log = EpochLog {
            epoch: 1,
            loss: 0.5,
            metrics: metrics(0.75),
            validation: Some(Evaluation { loss: 0.6, metrics: metrics(0.7) }),
            learning_rate: 0.1,
            samples: 10,
            seconds: 2.0,
        };
        let names = ["loss", "accuracy", "val_loss", "val_accuracy"];
        assert_eq!(log.names(), names);
        assert_eq!(names.map(|name| log.get(name)), [Some(0.5), Some(0.75), Some(0.6), Some(0.7)]);
        assert_eq!((log.get("f1"), log.get("val_f1"), log.samples_per_second()), (None, None, 5.0));
        log.validation = None;
        assert_eq!((log.get("val_loss"), log.names().len()), (None, 2));
        let history = History { epochs: vec![log.clone(), log] };
        assert_eq!((history.get("loss"), history.get("val_loss")), (vec![0.5, 0.5], vec![]));
    }
}
