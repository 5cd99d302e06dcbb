//! The training loop.

use std::fmt;
use std::ops::ControlFlow;
use std::time::Instant;

use rayon::prelude::*;

use super::data::{Data, batches};
use super::loader::Loader;
use super::metric::WeightedMean;
use super::trainer::Validation;
use super::{Clip, EpochLog, Evaluation, History, Regularizer, Status, Targets, Trainer};
use crate::{Element, Error, ErrorKind, Layer, Name, Param, Result, Tape, Tensor};

/// What has happened where numbers are no longer finite, and what to do about it.
const DIVERGED: &str = "training diverged (try a smaller learning rate, or inputs between 0 and 1)";

impl<T: Element> Trainer<'_, T> {
    /// Trains `model` on samples `x` (along the first axis) and their targets.
    ///
    /// In every epoch, every batch goes forward in training mode; the loss' gradient goes back, and the regularizer adds
    /// its own; the gradients are clipped; the optimizer steps. Meanwhile another thread gathers and augments the next
    /// batch. Then the validation data are evaluated, and callbacks run. A model without weights is built first.
    ///
    /// # Errors
    /// If there are no samples, the targets do not fit, an option makes no sense, or a layer, loss, metric or callback
    /// fails. [`ErrorKind::Value`] if the loss or a gradient is not finite: the training has diverged, and the model has
    /// the weights from before that step. So does a step that makes a weight infinite; then it has those from after it.
    ///
    /// ```
    /// use striate::{Dense, Tensor, train::{Accuracy, Sgd, SoftmaxCrossEntropy, Trainer}};
    /// let x = Tensor::from(ndarray::array![[0.0_f32, 1.0], [1.0, 0.0], [0.2, 0.8], [0.7, 0.3]]);
    /// let labels = [1, 0, 1, 0];
    ///
    /// let mut model = Dense::new(2);
    /// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(0.5))
    ///     .epochs(50)
    ///     .batch_size(2)
    ///     .metric(Accuracy::new());
    /// let history = trainer.fit(&mut model, &x, labels)?;
    /// assert!(history.get("loss")[49] < history.get("loss")[0]);
    /// assert_eq!(trainer.evaluate(&model, &x, labels)?.get("accuracy"), Some(1.0));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn fit(
        &mut self,
        model: &mut dyn Layer<T>,
        x: &Tensor<T>,
        targets: impl Into<Targets<T>>,
    ) -> Result<History> {
        let data = Data::new("fit", x.clone(), targets.into())?;
        batches("fit", data.len(), self.batch_size).map(drop)?;
        batches("fit", data.len(), self.micro_batch_size.unwrap_or(1)).map(drop)?;
        self.clip.map(Clip::bound).transpose()?;
        self.regularizer.as_ref().map(Regularizer::check).transpose()?;
        let (training, validation) = match &self.validation {
            Validation::None => (data, None),
            Validation::Split(0.0) => (data, None),
            Validation::Split(share) => data.split(*share).map(|(training, rest)| (training, Some(rest)))?,
            Validation::Data(x, targets) => {
                (data, Some(Data::new("fit: validation data", x.clone(), targets.clone())?))
            }
        };
        if model.params().is_empty() {
            model.build(x.shape(), &mut self.rng.fork())?;
        }
        clear_grads(&mut model.params_mut());
        // The threads are entered once, and not once a layer.
        let mut outcome = rayon::scope(|_| self.run(model, &training, validation.as_ref()));
        let mut params = model.params_mut();
        clear_grads(&mut params);
        params.iter_mut().for_each(|(_, param)| param.release_cleared());
        drop(params);
        self.progress.iter_mut().for_each(|progress| progress.on_train_end());
        for callback in &mut self.callbacks {
            let ended = callback.on_train_end(model);
            outcome = outcome.and_then(|history| ended.map(|()| history));
        }
        outcome
    }

    fn run(
        &mut self,
        model: &mut dyn Layer<T>,
        training: &Data<T>,
        validation: Option<&Data<T>>,
    ) -> Result<History> {
        for callback in &mut self.callbacks {
            callback.on_train_start(model)?;
        }
        let mut history = History::default();
        for epoch in 1..=self.epochs {
            let mut log = self.epoch(model, training, epoch)?;
            self.epochs_done += 1;
            log.validation = validation.map(|data| self.evaluate_data(model, data)).transpose()?;
            let mut flow = ControlFlow::Continue(());
            for callback in &mut self.callbacks {
                if callback.on_epoch_end(model, &log)?.is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            self.progress.iter_mut().for_each(|progress| progress.on_epoch_end(&log));
            history.epochs.push(log);
            if flow.is_break() {
                break;
            }
        }
        Ok(history)
    }

    fn epoch(&mut self, model: &mut dyn Layer<T>, data: &Data<T>, epoch: usize) -> Result<EpochLog> {
        let mut augment = std::mem::take(&mut self.augment);
        let loader = Loader::new(data, self.batch_size, self.shuffle, &mut augment, &mut self.rng);
        let log = loader.and_then(|loader| self.epoch_of(model, loader, epoch));
        self.augment = augment;
        log
    }

    fn epoch_of(
        &mut self,
        model: &mut dyn Layer<T>,
        batches: Loader<'_, '_, T>,
        epoch: usize,
    ) -> Result<EpochLog> {
        let (epochs, steps, start) = (self.epochs, batches.len(), Instant::now());
        self.progress.iter_mut().for_each(|progress| progress.on_epoch_start(epoch, epochs, steps));
        self.metrics.iter_mut().for_each(|metric| metric.reset());
        let (mut mean, mut learning_rate, mut step, mut samples) = (WeightedMean::default(), 0.0, 0, 0);
        batches.for_each(|batch| {
            (step, samples) = (step + 1, samples + batch.len());
            learning_rate = self.optimizer.learning_rate()?;
            let (loss, weight) = self.step(model, batch, &Place { epoch, step })?;
            mean.add(loss, weight);
            if !self.progress.is_empty() {
                let (metrics, loss, seconds) = (self.results(), mean.value(), start.elapsed().as_secs_f64());
                let metrics = &metrics[..];
                let status =
                    Status { epoch, epochs, step, steps, loss, metrics, learning_rate, samples, seconds };
                self.progress.iter_mut().for_each(|progress| progress.on_batch(&status));
            }
            Ok(())
        })?;
        Ok(EpochLog {
            epoch,
            loss: mean.value(),
            metrics: self.results(),
            validation: None,
            learning_rate,
            samples,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// One step of the optimizer. Returns the loss before it and how much that counts.
    fn step(&mut self, model: &mut dyn Layer<T>, batch: Data<T>, place: &Place) -> Result<(f64, f64)> {
        let (value, weight) = self.add_gradients(model, batch, place)?;
        let mut params = model.params_mut();
        let penalty = match &self.regularizer {
            Some(regularizer) => regularizer.apply(&mut params)?,
            None => 0.0,
        };
        if let Some((name, _)) = params.iter().find(|(_, param)| !has_finite_grad(param)) {
            let got = format!("infinity or NaN in {place}: {DIVERGED}");
            return Err(Error::value("fit", format_args!("a finite gradient of {name}"), got));
        }
        if let Some(clip) = self.clip {
            clip.apply(&mut params)?;
        }
        self.optimizer.step(&mut params)?;
        if let Some((name, _)) = params.iter().find(|(_, param)| !all_finite(param.value())) {
            let got = format!("infinity or NaN after {place}: {DIVERGED}");
            return Err(Error::value("fit", format_args!("a finite {name}"), got));
        }
        clear_grads(&mut params);
        Ok((value + penalty, weight))
    }

    /// Adds the gradients of a batch, micro-batch by micro-batch. Returns its loss and how much that counts.
    fn add_gradients(
        &mut self,
        model: &mut dyn Layer<T>,
        batch: Data<T>,
        place: &Place,
    ) -> Result<(f64, f64)> {
        let samples = batch.len();
        let size = self.micro_batch_size.unwrap_or(samples);
        if size >= samples {
            return self.add_gradients_of(model, batch, place, |_| T::one());
        }
        let (mut sum, mut mean) = (0.0, WeightedMean::default());
        let is_sum = self.loss.is_sum();
        for range in batches("fit", samples, size)? {
            let factor = |weight| if is_sum { T::one() } else { T::of(weight) };
            let (value, weight) = self.add_gradients_of(model, batch.rows(range)?, place, factor)?;
            sum += value;
            mean.add(value, weight);
        }
        let weight = mean.weight();
        if is_sum {
            return Ok((sum, weight));
        }
        if weight > 0.0 {
            let factor = T::of(weight.recip());
            for (_, param) in &mut model.params_mut() {
                let grad = param.value_and_grad().map_or(&mut [][..], |(_, grad)| grad);
                grad.iter_mut().for_each(|g| *g *= factor);
            }
        }
        Ok((mean.value(), weight))
    }

    /// Adds the gradients of a micro-batch, times the factor that follows from how much it counts.
    fn add_gradients_of(
        &mut self,
        model: &mut dyn Layer<T>,
        batch: Data<T>,
        place: &Place,
        factor: impl Fn(f64) -> T,
    ) -> Result<(f64, f64)> {
        let mut tape = Tape::new();
        let predictions = model.forward_train(batch.x, &mut tape)?;
        let (value, mut grad) = self.loss.value_and_grad(&predictions, &batch.targets)?;
        let value = single(&value)?;
        if !value.is_finite() {
            let got = format!("{value} in {place}: {DIVERGED}");
            return Err(Error::value("fit", "a finite loss", got));
        }
        let weight = self.loss.weight(&predictions, &batch.targets)?;
        for metric in &mut self.metrics {
            metric.update(&predictions, &batch.targets)?;
        }
        drop(predictions);
        let factor = factor(weight);
        if factor != T::one() {
            grad.as_mut_slice().iter_mut().for_each(|g| *g *= factor);
        }
        model.backward_params(grad, &mut tape)?;
        if !tape.is_empty() {
            let got = format!("{} bytes that {} left", tape.bytes(), model.kind());
            return Err(Error::new(ErrorKind::Tape, "fit", "an empty tape after the backward pass", got));
        }
        Ok((value, weight))
    }

    /// The metrics' names and values.
    pub(super) fn results(&self) -> Vec<(String, f64)> {
        self.metrics.iter().map(|metric| (metric.name().to_string(), metric.value())).collect()
    }

    /// The loss and metrics of `model` on samples `x` and their targets, at inference, batch by batch.
    ///
    /// The loss is that of all samples together, whatever the batch size, with the regularizer's penalty; a loss that is reduced to a sum is averaged
    /// over the batches, weighted by their samples, as in Keras.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), except that a loss which is not finite is a result like any other.
    ///
    /// ```
    /// # use striate::{Dense, Initializer, Layer, Tensor, train::{MeanSquaredError, Sgd, Trainer}};
    /// # let mut model = Dense::new(1).use_bias(false).kernel_initializer(Initializer::Ones);
    /// // The model is y = w x, with w = 1 at first.
    /// let x = Tensor::<f32>::from(ndarray::array![[1.0], [3.0]]);
    /// let y = Tensor::from(ndarray::array![[0.0], [0.0]]);
    /// model.build(x.shape(), &mut striate::Rng::seed(1))?;
    /// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).batch_size(1);
    /// assert_eq!(trainer.evaluate(&model, &x, &y)?.loss, (1.0 + 9.0) / 2.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn evaluate(
        &mut self,
        model: &dyn Layer<T>,
        x: &Tensor<T>,
        targets: impl Into<Targets<T>>,
    ) -> Result<Evaluation> {
        self.evaluate_data(model, &Data::new("evaluate", x.clone(), targets.into())?)
    }

    fn evaluate_data(&mut self, model: &dyn Layer<T>, data: &Data<T>) -> Result<Evaluation> {
        self.metrics.iter_mut().for_each(|metric| metric.reset());
        let mut mean = WeightedMean::default();
        for range in batches("evaluate", data.len(), self.batch_size)? {
            let batch = data.rows(range)?;
            let predictions = model.forward(&batch.x)?;
            let loss = single(&self.loss.forward(&predictions, &batch.targets)?)?;
            mean.add(loss, self.loss.weight(&predictions, &batch.targets)?);
            for metric in &mut self.metrics {
                metric.update(&predictions, &batch.targets)?;
            }
        }
        let penalty = match &self.regularizer {
            Some(regularizer) => regularizer.penalty(&model.params())?,
            None => 0.0,
        };
        Ok(Evaluation { loss: mean.value() + penalty, metrics: self.results() })
    }
}

/// The outputs of `model` for samples `x` (along the first axis), at inference, batch by batch: as
/// [`forward`](Layer::forward), in bounded memory.
///
/// # Errors
/// If `x` has no axis, `batch_size` is 0, or the model fails.
///
/// ```
/// use striate::{Dense, Layer, Rng, Tensor, train::predict};
/// let mut model = Dense::new(3);
/// model.build(&[1, 2], &mut Rng::seed(1))?;
/// let y = predict(&model, &Tensor::<f32>::zeros(&[100, 2])?, 32)?;
/// assert_eq!(y.shape(), [100, 3]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn predict<T: Element>(model: &dyn Layer<T>, x: &Tensor<T>, batch_size: usize) -> Result<Tensor<T>> {
    let Some(&samples) = x.shape().first() else {
        return Err(Error::shape("predict", "an axis of samples", x.shape()));
    };
    let shape = model.output_shape(x.shape())?;
    let mut outputs = Vec::new();
    crate::memory::reserve(&mut outputs, "predict", &shape)?;
    for range in batches("predict", samples, batch_size)? {
        outputs.extend_from_slice(model.forward(&x.rows(range)?)?.as_slice());
    }
    Tensor::from_vec(&shape, outputs)
}

/// Where a run is.
struct Place {
    epoch: usize,
    step: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, step {}", self.epoch, self.step)
    }
}

/// The one number that a loss must be reduced to.
fn single<T: Element>(value: &Tensor<T>) -> Result<f64> {
    match value.as_slice() {
        [value] => Ok(value.to_double()),
        _ => Err(Error::shape("fit", "a loss that is reduced to one number", value.shape())),
    }
}

/// Whether the gradient of a parameter that is trained has neither infinities nor not-a-numbers.
fn has_finite_grad<T: Element>(param: &Param<T>) -> bool {
    param.grad().filter(|_| param.is_trainable()).is_none_or(all_finite)
}

/// Whether a tensor has neither infinities nor not-a-numbers.
fn all_finite<T: Element>(tensor: &Tensor<T>) -> bool {
    const PIECE: usize = 1 << 14;
    // Without a branch for each element, so that the compiler can use vectors.
    let finite = |piece: &[T]| piece.iter().fold(true, |finite, x| finite & x.is_finite());
    match tensor.as_slice() {
        short if short.len() <= PIECE => finite(short),
        long => long.par_chunks(PIECE).all(finite),
    }
}

fn clear_grads<T: Element>(params: &mut [(Name, &mut Param<T>)]) {
    params.iter_mut().for_each(|(_, param)| param.clear_grad());
}
