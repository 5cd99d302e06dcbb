//! Tests of the training loop as a whole.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use ndarray::array;

use super::*;
use crate::{
    Activation, Conv2D, Dense, Dropout, ErrorKind, Layer, Name, Param, Result, Rng, Saved, Sequential, Tape,
    Tensor,
};

/// `y = w x` for one feature.
fn line(w: f64) -> Dense<f64> {
    let mut model = Dense::new(1).use_bias(false);
    model.build(&[1, 1], &mut Rng::seed(0)).unwrap();
    model.params_mut()[0].1.set_value(Tensor::full(&[1, 1], w).unwrap()).unwrap();
    model
}

fn weight(model: &dyn Layer<f64>) -> f64 {
    model.params()[0].1.value().as_slice()[0]
}

fn column(values: &[f64]) -> Tensor<f64> {
    Tensor::from_vec(&[values.len(), 1], values.to_vec()).unwrap()
}

fn weights<T: crate::Element>(model: &dyn Layer<T>) -> Vec<Tensor<T>> {
    model.params().into_iter().map(|(_, param)| param.value().clone()).collect()
}

/// Passes everything through and notes what comes by. In the backward pass it can refuse to compute its input's gradient,
/// or forget something on the tape.
#[derive(Clone, Debug, Default)]
struct Spy {
    training: Arc<Mutex<Vec<Vec<f64>>>>,
    inference: Arc<Mutex<Vec<Vec<f64>>>>,
    first: bool,
    forgets: bool,
}

impl Layer<f64> for Spy {
    fn kind(&self) -> &'static str {
        "Spy"
    }
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }
    fn forward(&self, x: &Tensor<f64>) -> Result<Tensor<f64>> {
        self.inference.lock().unwrap().push(x.as_slice().to_vec());
        Ok(x.clone())
    }
    fn forward_train(&mut self, x: Tensor<f64>, tape: &mut Tape<f64>) -> Result<Tensor<f64>> {
        self.training.lock().unwrap().push(x.as_slice().to_vec());
        if self.forgets {
            tape.push("Spy", Saved::Shape(vec![1]));
        }
        Ok(x)
    }
    fn backward(&mut self, grad: Tensor<f64>, _: &mut Tape<f64>) -> Result<Tensor<f64>> {
        assert!(!self.first, "the first layer's input gradient is not needed");
        Ok(grad)
    }
    fn backward_params(&mut self, _: Tensor<f64>, _: &mut Tape<f64>) -> Result<()> {
        Ok(())
    }
}

/// A loss of 1 whose gradient is not a number.
#[derive(Debug)]
struct Broken;

impl Loss<f64> for Broken {
    fn forward(&self, _: &Tensor<f64>, _: &Targets<f64>) -> Result<Tensor<f64>> {
        Tensor::full(&[], 1.0)
    }
    fn backward(&self, predictions: &Tensor<f64>, _: &Targets<f64>, _: &Tensor<f64>) -> Result<Tensor<f64>> {
        Tensor::full(predictions.shape(), f64::NAN)
    }
}

#[test]
fn a_network_learns_exclusive_or() {
    let x = Tensor::from(array![[0.0_f32, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
    let labels = [0, 1, 1, 0];
    let mut model = Sequential::new().with(Dense::new(8).activation(Activation::Tanh)).with(Dense::new(2));
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.05))
        .epochs(200)
        .batch_size(4)
        .seed(1)
        .metric(Accuracy::new());
    let history = trainer.fit(&mut model, &x, labels).unwrap();
    assert_eq!((history.epochs.len(), history.last().unwrap().get("accuracy")), (200, Some(1.0)));
    let evaluation = trainer.evaluate(&model, &x, labels).unwrap();
    assert!(evaluation.loss < 0.05 && evaluation.get("accuracy") == Some(1.0), "{evaluation:?}");
}

#[test]
fn steps_are_those_of_gradient_descent() {
    // Mean of (w x - y)^2 over x = 1, 2 and y = 2, 6: the gradient is 5 w - 14.
    let (x, y) = (column(&[1.0, 2.0]), column(&[2.0, 6.0]));
    let mut model = line(1.0);
    let history =
        Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).epochs(3).fit(&mut model, &x, &y).unwrap();
    let (mut w, mut losses) = (1.0_f64, Vec::new());
    for _ in 0..3 {
        losses.push(((w - 2.0).powi(2) + (2.0 * w - 6.0).powi(2)) / 2.0);
        w -= 0.1 * (5.0 * w - 14.0);
    }
    approx::assert_relative_eq!(weight(&model), w, max_relative = 1e-12);
    approx::assert_relative_eq!(history.get("loss")[..], losses[..], max_relative = 1e-12);
}

#[test]
fn epochs_see_every_sample_once_and_small_last_batches_count_less() {
    let x: Vec<f64> = (0..7).map(f64::from).collect();
    for shuffle in [false, true] {
        let spy = Spy { first: true, ..Spy::default() };
        let seen = spy.training.clone();
        let mut statuses = Vec::new();
        let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
            .epochs(2)
            .batch_size(3)
            .shuffle(shuffle)
            .progress(Recorder(&mut statuses));
        let history = trainer.fit(&mut spy.clone(), &column(&x), column(&[0.0; 7])).unwrap();
        drop(trainer);

        let seen = seen.lock().unwrap();
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1, 3, 3, 1]);
        let (mut first, mut second) = (seen[..3].concat(), seen[3..].concat());
        assert_eq!(first == second, !shuffle);
        first.sort_by(f64::total_cmp);
        second.sort_by(f64::total_cmp);
        assert_eq!((&first, &second), (&x, &x));

        let mean_square = (0..7).map(|i| f64::from(i * i)).sum::<f64>() / 7.0;
        approx::assert_relative_eq!(history.get("loss")[..], [mean_square; 2], max_relative = 1e-12);
        let places: Vec<[usize; 3]> =
            vec![[1, 1, 3], [1, 2, 6], [1, 3, 7], [2, 1, 3], [2, 2, 6], [2, 3, 7], [0, 0, 0]];
        assert_eq!(statuses, places);
    }
}

/// Notes epochs, steps and samples.
struct Recorder<'a>(&'a mut Vec<[usize; 3]>);

impl Progress for Recorder<'_> {
    fn on_epoch_start(&mut self, _: usize, epochs: usize, steps: usize) {
        assert_eq!((epochs, steps), (2, 3));
    }
    fn on_batch(&mut self, status: &Status<'_>) {
        assert_eq!((status.epochs, status.steps, status.learning_rate), (2, 3, 0.1));
        assert!(status.samples_per_second() > 0.0 && status.get("loss") == Some(status.loss));
        self.0.push([status.epoch, status.step, status.samples]);
    }
    fn on_epoch_end(&mut self, log: &EpochLog) {
        assert_eq!((log.epoch, log.samples), (self.0.len() / 3, 7));
    }
    fn on_train_end(&mut self) {
        self.0.push([0, 0, 0]);
    }
}

#[test]
fn a_seed_determines_the_run_on_any_number_of_threads() {
    let mut rng = Rng::seed(5);
    let x = Tensor::<f32>::zeros(&[256, 64]).unwrap().map(|_| rng.normal() as f32);
    let labels: Vec<usize> = (0..256).map(|_| rng.below(10)).collect();
    let run = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut model = Sequential::new()
                .with(Dense::new(300).activation(Activation::Relu))
                .with(Dropout::new(0.3))
                .with(Dense::new(10));
            let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).epochs(2).seed(seed);
            let history = trainer
                .validation_split(0.25)
                .clip(Clip::GlobalNorm(0.5))
                .augment(|x, rng| {
                    x.as_mut_slice().iter_mut().for_each(|v| *v += 0.1 * rng.normal() as f32);
                    Ok(())
                })
                .fit(&mut model, &x, &labels)
                .unwrap();
            (weights(&model), history.get("loss"), history.get("val_loss"))
        })
    };
    let one = run(1, 1);
    assert_eq!(one, run(1, 1));
    assert_eq!(one, run(1, 2));
    assert_ne!(one, run(2, 1));
}

#[test]
fn a_second_fit_goes_on_where_the_first_ended() {
    let (x, y) = (column(&[1.0, 2.0, 3.0]), column(&[3.0, 5.0, 1.0]));
    let run = |epochs: &[usize]| {
        let mut model = line(0.0);
        let mut trainer =
            Trainer::new(MeanSquaredError::new(), Sgd::new(Schedule::step(0.01, 4, 0.5)).momentum(0.9))
                .batch_size(1)
                .seed(3);
        for &epochs in epochs {
            trainer = trainer.epochs(epochs);
            trainer.fit(&mut model, &x, &y).unwrap();
        }
        weight(&model)
    };
    assert_eq!(run(&[4]), run(&[2, 2]));
    assert_ne!(run(&[4]), run(&[2]));
}

#[test]
fn validation_takes_the_last_samples_before_shuffling() {
    let spy = Spy { first: true, ..Spy::default() };
    let (training, inference) = (spy.training.clone(), spy.inference.clone());
    let x = column(&[0.0, 1.0, 2.0, 3.0, 4.0]);
    let mut trainer =
        Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).batch_size(2).validation_split(0.5);
    let history = trainer.fit(&mut spy.clone(), &x, column(&[0.0; 5])).unwrap();
    let mut seen = training.lock().unwrap().concat();
    seen.sort_by(f64::total_cmp);
    assert_eq!(seen, [0.0, 1.0]);
    assert_eq!(*inference.lock().unwrap(), [vec![2.0, 3.0], vec![4.0]]);
    approx::assert_relative_eq!(
        history.get("val_loss")[..],
        [(4.0 + 9.0 + 16.0) / 3.0],
        max_relative = 1e-12
    );
}

#[test]
fn validation_data_are_evaluated_after_every_epoch() {
    let (x, y) = (column(&[1.0, 2.0]), column(&[2.0, 4.0]));
    let (validation_x, validation_y) = (column(&[3.0, -1.0, 0.5]), column(&[6.0, -2.0, 1.0]));
    let mut model = line(0.0);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.05))
        .epochs(3)
        .batch_size(2)
        .validation_data(&validation_x, &validation_y);
    let history = trainer.fit(&mut model, &x, &y).unwrap();
    let evaluation = trainer.evaluate(&model, &validation_x, &validation_y).unwrap();
    assert_eq!(history.last().unwrap().validation, Some(evaluation));
    assert!(history.get("val_loss").is_sorted_by(|a, b| a > b));
}

#[test]
fn an_evaluation_does_not_depend_on_the_batch_size() {
    let mut rng = Rng::seed(1);
    let x = Tensor::<f64>::zeros(&[11, 3]).unwrap().map(|_| rng.normal());
    let labels: Vec<usize> = (0..11).map(|i| i % 3).collect();
    let loss = || SoftmaxCrossEntropy::new().class_weights([1.0, 5.0, 0.1]).ignore_index(2);
    let whole = loss().forward(&x, &(&labels).into()).unwrap().as_slice()[0];
    for size in [1, 2, 4, 100] {
        let mut trainer =
            Trainer::new(loss(), Sgd::new(0.1)).batch_size(size).metric(Accuracy::new().ignore_index(2));
        let evaluation = trainer.evaluate(&Spy::default(), &x, &labels).unwrap();
        approx::assert_relative_eq!(evaluation.loss, whole, max_relative = 1e-12);
    }
}

/// A bowl that is descended for three epochs, and then climbed: each step multiplies the distance by 0.8, then by -2.
fn descend_and_climb(stopping: EarlyStopping<f64>) -> (History, f64) {
    let schedule = Schedule::custom(|step| if step < 3 { 0.1 } else { 1.5 });
    let (x, y) = (column(&[1.0]), column(&[0.0]));
    let mut model = line(1.0);
    let mut trainer =
        Trainer::new(MeanSquaredError::new(), Sgd::new(schedule)).epochs(10).validation_data(&x, &y);
    trainer = trainer.early_stopping(stopping);
    (trainer.fit(&mut model, &x, &y).unwrap(), weight(&model))
}

#[test]
fn early_stopping_waits_and_restores_the_best() {
    let (history, w) = descend_and_climb(EarlyStopping::new().patience(2).restore_best_weights(true));
    assert_eq!(history.epochs.len(), 5);
    approx::assert_relative_eq!(w, 0.8_f64.powi(3), max_relative = 1e-12);

    let (history, w) = descend_and_climb(EarlyStopping::new());
    assert_eq!(history.epochs.len(), 4);
    approx::assert_relative_eq!(w, -2.0 * 0.8_f64.powi(3), max_relative = 1e-12);

    // The training loss lags an epoch behind, and losses fall by 0.36 at first.
    let (history, _) = descend_and_climb(EarlyStopping::new().monitor("loss"));
    assert_eq!(history.epochs.len(), 5);
    let (history, _) = descend_and_climb(EarlyStopping::new().monitor("loss").min_delta(0.5));
    assert_eq!(history.epochs.len(), 2);
    let (history, _) = descend_and_climb(EarlyStopping::new().maximize(true));
    assert_eq!(history.epochs.len(), 2);

    // The best weights come back also if no epoch is left to wait for.
    let (history, w) = descend_and_climb(EarlyStopping::new().patience(100).restore_best_weights(true));
    assert_eq!(history.epochs.len(), 10);
    approx::assert_relative_eq!(w, 0.8_f64.powi(3), max_relative = 1e-12);
}

#[test]
fn the_best_weights_only_return_to_the_parameters_they_come_from() {
    let built = |mut model: Sequential<f64>| {
        model.build(&[1, 1], &mut Rng::seed(1)).unwrap();
        model
    };
    let (biased, plain) = (Dense::new, |units| Dense::new(units).use_bias(false));
    let mut model = built(Sequential::new().with(plain(1)).with(biased(1)));
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1));
    let history = trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap();
    for (other, expected) in [
        (Sequential::new().with(biased(1)), "the 3 parameters of the best epoch"),
        (
            Sequential::new().with(biased(1)).with(plain(1)),
            "1.kernel of shape [1, 1], as in the best epoch", // which the other has as its third, not second
        ),
        (Sequential::new().with(plain(2)).with(biased(1)), "0.kernel of shape [1, 1], as in the best epoch"),
    ] {
        let mut other = built(other);
        let before = weights(&other);
        let mut stopping = EarlyStopping::new().monitor("loss").restore_best_weights(true);
        stopping.on_train_start(&mut model).unwrap();
        assert!(stopping.on_epoch_end(&mut model, history.last().unwrap()).unwrap().is_continue());
        let error = stopping.on_train_end(&mut other).unwrap_err();
        assert_eq!((error.kind(), error.expected()), (ErrorKind::Argument, expected));
        assert_eq!(weights(&other), before);
    }
}

#[test]
fn divergence_is_an_error_that_leaves_a_usable_model() {
    let (x, y) = (Tensor::from(array![[1.0_f32], [2.0]]), Tensor::from(array![[1.0_f32], [1.0]]));
    let mut model = Dense::new(1);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(1e30)).batch_size(1).epochs(5);
    let error = trainer.fit(&mut model, &x, &y).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(
        error.to_string(),
        "fit: expected a finite loss, got inf in epoch 1, step 2: training diverged (try a smaller learning rate, or inputs \
         between 0 and 1)"
    );
    assert!(model.params().iter().all(|(_, param)| param.grad().is_none()));
    assert!(predict(&model, &x, 8).unwrap().as_slice().iter().all(|y| y.is_finite()));
    trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1));
    model.build(&[1, 1], &mut Rng::seed(1)).unwrap();
    trainer.fit(&mut model, &x, &y).unwrap();
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let mut model = line(1.0);
    let mut ended = false;
    let error = Trainer::new(Broken, Sgd::new(0.1))
        .callback(End(&mut ended))
        .fit(&mut model, &column(&[1.0]), column(&[1.0]))
        .unwrap_err();
    assert_eq!((error.kind(), error.expected()), (ErrorKind::Value, "a finite gradient of kernel"));
    assert_eq!((weight(&model), ended), (1.0, true));
    assert!(model.params()[0].1.grad().is_none());
}

/// Notes the end of the training.
struct End<'a>(&'a mut bool);

impl Callback<f64> for End<'_> {
    fn on_epoch_end(&mut self, _: &mut dyn Layer<f64>, _: &EpochLog) -> Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }
    fn on_train_end(&mut self, _: &mut dyn Layer<f64>) -> Result<()> {
        *self.0 = true;
        Ok(())
    }
}

#[test]
fn callbacks_see_the_model_and_can_end_the_training() {
    let mut seen = Vec::new();
    let mut model = line(1.0);
    let stop = |model: &mut dyn Layer<f64>, log: &EpochLog| {
        seen.push((log.epoch, weight(model)));
        Ok(if log.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).epochs(9).callback(stop);
    let history = trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap();
    drop(trainer);
    assert_eq!((history.epochs.len(), seen), (2, vec![(1, 0.5), (2, 0.25)]));

    let fail = |_: &mut dyn Layer<f64>, _: &EpochLog| Err(crate::Error::not_built("callback"));
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).callback(fail);
    let error = trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotBuilt);
}

#[test]
fn frozen_parameters_stay() {
    let mut model = Sequential::new().with(line(2.0)).with(line(3.0));
    model.params_mut()[0].1.set_trainable(false);
    let mut trainer = Trainer::new(MeanSquaredError::new(), AdamW::new(0.1)).epochs(3);
    trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap();
    let values: Vec<f64> = weights(&model).iter().map(|w| w.as_slice()[0]).collect();
    assert!(values[0] == 2.0 && values[1] < 3.0, "{values:?}");
}

#[test]
fn clipping_bounds_the_steps() {
    let mut model = line(1000.0);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(1.0)).clip(Clip::Norm(0.5));
    trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap();
    assert_eq!(weight(&model), 999.5);
}

#[test]
fn augmentation_changes_training_batches_only() {
    let spy = Spy { first: true, ..Spy::default() };
    let (training, inference) = (spy.training.clone(), spy.inference.clone());
    let x = column(&[1.0, 2.0, 3.0]);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
        .shuffle(false)
        .augment(|x: &mut Tensor<f64>, _: &mut Rng| {
            x.as_mut_slice().iter_mut().for_each(|v| *v = -*v);
            Ok(())
        })
        .validation_split(0.3);
    trainer.fit(&mut spy.clone(), &x, column(&[0.0; 3])).unwrap();
    assert_eq!(*training.lock().unwrap(), [[-1.0, -2.0]]);
    assert_eq!(*inference.lock().unwrap(), [[3.0]]);
    assert_eq!(x, column(&[1.0, 2.0, 3.0]));
}

#[test]
fn every_position_of_a_map_can_have_a_label() {
    let mut rng = Rng::seed(1);
    let x = Tensor::<f64>::zeros(&[6, 4, 4, 1]).unwrap().map(|_| rng.normal());
    let labels: Vec<usize> = x.as_slice().iter().map(|&v| usize::from(v > 0.0)).collect();
    let mut model = Conv2D::new(2, 1);
    let mut trainer =
        Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.1)).epochs(60).metric(Accuracy::new());
    trainer = trainer.batch_size(4);
    trainer.fit(&mut model, &x, &labels).unwrap();
    assert!(trainer.evaluate(&model, &x, &labels).unwrap().get("accuracy") > Some(0.9));
}

#[test]
fn predictions_are_those_of_the_whole() {
    let mut model = Dense::<f64>::new(3);
    model.build(&[1, 2], &mut Rng::seed(1)).unwrap();
    let mut rng = Rng::seed(2);
    let x = Tensor::zeros(&[7, 2]).unwrap().map(|_| rng.normal());
    for size in [1, 3, 7, 100] {
        assert_eq!(predict(&model, &x, size).unwrap(), model.forward(&x).unwrap());
    }
    assert_eq!(predict(&model, &Tensor::zeros(&[0, 2]).unwrap(), 4).unwrap().shape(), [0, 3]);
    assert_eq!(predict(&model, &x, 0).unwrap_err().kind(), ErrorKind::Argument);
    assert_eq!(predict(&model, &Tensor::zeros(&[]).unwrap(), 1).unwrap_err().kind(), ErrorKind::Shape);
}

#[test]
fn mistakes_are_errors() {
    let (x, y) = (column(&[1.0, 2.0]), column(&[1.0, 2.0]));
    let trainer = || Trainer::<f64>::new(MeanSquaredError::new(), Sgd::new(0.1));
    let kind = |mut trainer: Trainer<'_, f64>, x: &Tensor<f64>, targets: Targets<f64>| {
        let mut model = line(1.0);
        let error = trainer.fit(&mut model, x, targets).unwrap_err();
        assert_eq!(weight(&model), 1.0, "{error}");
        error.kind()
    };
    let y = || Targets::from(&y);
    assert_eq!(kind(trainer(), &x, column(&[1.0]).into()), ErrorKind::Shape);
    assert_eq!(
        kind(trainer(), &Tensor::zeros(&[0, 1]).unwrap(), Tensor::zeros(&[0, 1]).unwrap().into()),
        ErrorKind::Shape
    );
    assert_eq!(kind(trainer(), &Tensor::zeros(&[2, 5]).unwrap(), y()), ErrorKind::Shape);
    assert_eq!(kind(trainer().batch_size(0), &x, y()), ErrorKind::Argument);
    assert_eq!(kind(trainer().validation_split(1.0), &x, y()), ErrorKind::Argument);
    assert_eq!(kind(trainer().validation_data(&x, [0]), &x, y()), ErrorKind::Shape);
    assert_eq!(kind(trainer().clip(Clip::Norm(-1.0)), &x, y()), ErrorKind::Argument);
    assert_eq!(
        kind(trainer().early_stopping(EarlyStopping::new().min_delta(-1.0)), &x, y()),
        ErrorKind::Argument
    );
    let none = MeanSquaredError::new().reduction(Reduction::None);
    assert_eq!(kind(Trainer::new(none, Sgd::new(0.1)), &x, y()), ErrorKind::Shape);
    assert_eq!(
        kind(Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(0.1)), &x, [0, 1].into()),
        ErrorKind::Value
    );
    assert_eq!(kind(Trainer::new(MeanSquaredError::new(), Sgd::new(-0.1)), &x, y()), ErrorKind::Argument);

    let mut unmonitored = trainer().early_stopping(EarlyStopping::new());
    let error = unmonitored.fit(&mut line(1.0), &x, y()).unwrap_err();
    assert_eq!((error.kind(), error.expected()), (ErrorKind::Argument, "to monitor one of loss"));
    let error = trainer().fit(&mut Spy { forgets: true, ..Spy::default() }, &x, y()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tape);
    assert!(trainer().evaluate(&line(1.0), &x, [0]).is_err());
    assert!(trainer().batch_size(0).evaluate(&line(1.0), &x, y()).is_err());
}

#[test]
fn no_epochs_is_no_training() {
    let mut model = line(1.0);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).epochs(0);
    assert_eq!(trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap(), History::default());
    assert_eq!(weight(&model), 1.0);
}

#[test]
fn options_are_checked_before_the_model_is_built() {
    let trainer = || Trainer::<f64>::new(MeanSquaredError::new(), Sgd::new(0.1)).epochs(0);
    let fit = |mut trainer: Trainer<'_, f64>| {
        let mut model = Dense::new(1);
        let result = trainer.fit(&mut model, &column(&[1.0, 2.0]), column(&[0.0, 0.0]));
        (result.map_err(|error| error.kind()), !model.params().is_empty())
    };
    assert_eq!(fit(trainer()), (Ok(History::default()), true));
    assert_eq!(fit(trainer().validation_split(0.0)), (Ok(History::default()), true));
    for trainer in [
        trainer().batch_size(0),
        trainer().micro_batch_size(0),
        trainer().clip(Clip::Norm(-1.0)),
        trainer().validation_split(1.0),
        trainer().validation_split(f64::NAN),
    ] {
        assert_eq!(fit(trainer), (Err(ErrorKind::Argument), false));
    }
    assert_eq!(fit(trainer().validation_data(&column(&[1.0, 2.0]), [0])), (Err(ErrorKind::Shape), false));
}

#[test]
fn gradients_from_before_do_not_count() {
    let mut model = line(1.0);
    let mut stale: Vec<(Name, &mut Param<f64>)> = model.params_mut();
    stale[0].1.add_grad(Tensor::full(&[1, 1], 1e6).unwrap()).unwrap();
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25));
    trainer.fit(&mut model, &column(&[1.0]), column(&[0.0])).unwrap();
    assert_eq!(weight(&model), 0.5);
}

/// The weights and losses of a small network after two epochs on batches of 7 of 24 samples.
fn in_parts(micro_batch: usize, loss: impl Loss<f64>) -> (Vec<Tensor<f64>>, Vec<f64>) {
    let mut rng = Rng::seed(1);
    let x = Tensor::zeros(&[24, 5]).unwrap().map(|_: f64| rng.normal());
    let labels: Vec<usize> = (0..24).map(|i| i % 3).collect();
    let mut model = Sequential::new()
        .with(Dense::new(8).activation(Activation::Tanh))
        .with(Dropout::new(0.25))
        .with(Dense::new(3));
    let mut trainer = Trainer::new(loss, Sgd::new(0.05).momentum(0.9)).metric(Accuracy::new());
    trainer = trainer.epochs(2).batch_size(7).micro_batch_size(micro_batch);
    let history = trainer.fit(&mut model, &x, labels).unwrap();
    (weights(&model), [history.get("loss"), history.get("accuracy")].concat())
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    let loss = SoftmaxCrossEntropy::new;
    let weighted = || loss().class_weights([0.5, 2.0, 1.0]).ignore_index(1);
    for loss in [loss(), loss().reduction(Reduction::Sum), weighted()] {
        let whole = in_parts(7, loss.clone());
        for size in [1, 2, 3, 6, 100] {
            let parts = in_parts(size, loss.clone());
            for (part, whole) in parts.0.iter().zip(&whole.0) {
                approx::assert_abs_diff_eq!(part, whole, epsilon = 1e-12);
            }
            for (part, whole) in parts.1.iter().zip(&whole.1) {
                approx::assert_abs_diff_eq!(part, whole, epsilon = 1e-12);
            }
        }
    }
}
