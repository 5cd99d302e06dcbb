//! [`Callback`]: what looks at the model between epochs; [`EarlyStopping`].

use std::ops::ControlFlow;

use super::EpochLog;
use crate::{Element, Error, Layer, Name, Result, Tensor};

/// Something that runs between the epochs of [`Trainer::fit`](super::Trainer::fit), with the model in hand: to save it,
/// to change it, to end the training.
///
/// A closure is a callback for the ends of epochs:
///
/// ```
/// use std::ops::ControlFlow;
/// use striate::{Layer, Result, train::{Callback, EpochLog}};
///
/// fn is_callback(_: &impl Callback) {}
/// is_callback(&|_model: &mut dyn Layer, log: &EpochLog| {
///     Ok(if log.get("accuracy") > Some(0.99) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
/// });
/// ```
pub trait Callback<T: Element = f32> {
    /// Training begins.
    ///
    /// # Errors
    /// Ends the training, with this error.
    fn on_train_start(&mut self, model: &mut dyn Layer<T>) -> Result<()> {
        let _ = model;
        Ok(())
    }

    /// An epoch is done, its validation included. `Break` makes it the last.
    ///
    /// # Errors
    /// Ends the training, with this error.
    fn on_epoch_end(&mut self, model: &mut dyn Layer<T>, log: &EpochLog) -> Result<ControlFlow<()>>;

    /// Training ends; also if it ends with an error.
    ///
    /// # Errors
    /// The training's, unless that has an error already.
    fn on_train_end(&mut self, model: &mut dyn Layer<T>) -> Result<()> {
        let _ = model;
        Ok(())
    }
}

impl<T, F> Callback<T> for F
where
    T: Element,
    F: FnMut(&mut dyn Layer<T>, &EpochLog) -> Result<ControlFlow<()>>,
{
    fn on_epoch_end(&mut self, model: &mut dyn Layer<T>, log: &EpochLog) -> Result<ControlFlow<()>> {
        self(model, log)
    }
}

/// Ends the training once a result no longer gets better: Keras' `EarlyStopping`.
///
/// An epoch is better if its result beats the best so far by more than `min_delta`; a result that is not a number never
/// is. Training ends after `patience` epochs in a row without a better one (0 is as 1).
///
/// | option | default | |
/// |---|---|---|
/// | `monitor` | `"val_loss"` | a result's name, as in [`EpochLog::get`] |
/// | `maximize` | `false` | whether more is better |
/// | `patience` | 0 | how many epochs in a row without a better one end it |
/// | `min_delta` | 0 | at least 0 |
/// | `restore_best_weights` | `false` | whether the model ends with the best epoch's weights, however the training ends |
///
/// # Errors
/// The training fails with [`ErrorKind::Argument`](crate::ErrorKind::Argument) after the first epoch if there is no
/// result of that name (`"val_..."` needs validation data), and at its end if the model no longer has the parameters of
/// the best epoch, by name and shape.
///
/// ```
/// use striate::train::EarlyStopping;
/// let stop: EarlyStopping = EarlyStopping::new().patience(3).restore_best_weights(true);
/// let stop: EarlyStopping = EarlyStopping::new().monitor("val_accuracy").maximize(true);
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping<T: Element = f32> {
    monitor: String,
    maximize: bool,
    patience: usize,
    min_delta: f64,
    restore: bool,
    best: Option<f64>,
    wait: usize,
    weights: Option<Vec<(Name, Tensor<T>)>>,
}

impl<T: Element> Default for EarlyStopping<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Element> EarlyStopping<T> {
    /// Stops once `"val_loss"` no longer falls.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new();
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.0))
    ///     .epochs(9)
    ///     .validation_data(&x, &y)
    ///     .early_stopping(stop);
    /// let history = trainer.fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("val_loss"), [1.0, 1.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        EarlyStopping {
            monitor: "val_loss".to_string(),
            maximize: false,
            patience: 0,
            min_delta: 0.0,
            restore: false,
            best: None,
            wait: 0,
            weights: None,
        }
    }

    /// The name of the result to watch.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new().monitor("loss");
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.0)).epochs(9).early_stopping(stop);
    /// let history = trainer.fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 1.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn monitor(mut self, name: impl Into<String>) -> Self {
        self.monitor = name.into();
        self
    }

    /// Whether more is better.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new().monitor("loss").maximize(true);
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .epochs(9)
    ///     .early_stopping(stop);
    /// let history = trainer.fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 0.25]);    // less, and less is worse
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn maximize(mut self, maximize: bool) -> Self {
        self.maximize = maximize;
        self
    }

    /// How many epochs in a row may pass without a better result.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new().monitor("loss").patience(3);
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.0)).epochs(9).early_stopping(stop);
    /// let history = trainer.fit(&mut model, &x, &y)?;
    /// assert_eq!(history.epochs.len(), 1 + 3);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// By how much a result must beat the best.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new().monitor("loss").min_delta(0.5);
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25))
    ///     .epochs(9)
    ///     .early_stopping(stop);
    /// let history = trainer.fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("loss"), [1.0, 0.25, 0.0625]);    // the second step gains too little
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn min_delta(mut self, delta: f64) -> Self {
        self.min_delta = delta;
        self
    }

    /// Whether the model ends with the weights of the best epoch.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Tensor, train::{EarlyStopping, MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let (x, y) = (Tensor::<f32>::from(ndarray::array![[1.0]]), Tensor::from(ndarray::array![[0.0]]));
    /// let stop = EarlyStopping::new().restore_best_weights(true);
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(1.25))
    ///     .epochs(9)
    ///     .validation_data(&x, &y)
    ///     .early_stopping(stop);
    /// let history = trainer.fit(&mut model, &x, &y)?;
    /// assert_eq!(history.get("val_loss"), [2.25, 5.0625]);    // each step multiplies w by -1.5
    /// assert_eq!(trainer.evaluate(&model, &x, &y)?.loss, 2.25);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore = restore;
        self
    }

    fn is_better(&self, value: f64) -> bool {
        match self.best {
            None => !value.is_nan(),
            Some(best) if self.maximize => value - self.min_delta > best,
            Some(best) => value + self.min_delta < best,
        }
    }
}

impl<T: Element> Callback<T> for EarlyStopping<T> {
    fn on_train_start(&mut self, _: &mut dyn Layer<T>) -> Result<()> {
        if !(self.min_delta >= 0.0 && self.min_delta.is_finite()) {
            return Err(Error::argument("EarlyStopping", "a finite min_delta of 0 or more", self.min_delta));
        }
        (self.best, self.wait, self.weights) = (None, 0, None);
        Ok(())
    }

    fn on_epoch_end(&mut self, model: &mut dyn Layer<T>, log: &EpochLog) -> Result<ControlFlow<()>> {
        let value = log.get(&self.monitor).ok_or_else(|| {
            let expected = format!("to monitor one of {}", log.names().join(", "));
            let why = match &log.validation {
                None if self.monitor.starts_with("val_") => " (the trainer has no validation data)",
                _ => "",
            };
            Error::argument("EarlyStopping", expected, format_args!("{}{why}", self.monitor))
        })?;
        if self.is_better(value) {
            (self.best, self.wait) = (Some(value), 0);
            if self.restore {
                // Shares the memory: it is copied when the next step writes to it.
                let params = model.params().into_iter();
                self.weights = Some(params.map(|(name, param)| (name, param.value().clone())).collect());
            }
            return Ok(ControlFlow::Continue(()));
        }
        self.wait += 1;
        Ok(if self.wait >= self.patience { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn on_train_end(&mut self, model: &mut dyn Layer<T>) -> Result<()> {
        let Some(best) = self.weights.take() else { return Ok(()) };
        let params = model.params_mut();
        // Another callback may have changed the model: check everything before anything is restored.
        if params.len() != best.len() {
            let expected = format!("the {} parameters of the best epoch", best.len());
            return Err(Error::argument("EarlyStopping", expected, params.len()));
        }
        for ((name, param), (best_name, best)) in params.iter().zip(&best) {
            if name != best_name || param.value().shape() != best.shape() {
                let expected = format!("{best_name} of shape {:?}, as in the best epoch", best.shape());
                let got = format_args!("{name} of shape {:?}", param.value().shape());
                return Err(Error::argument("EarlyStopping", expected, got));
            }
        }
        params.into_iter().zip(best).try_for_each(|((_, param), (_, best))| param.set_value(best))
    }
}
