//! Training runs that PyTorch and Keras recorded (`tests/data/replay/record.py` says how), step by step.

use serde_json::Value;
use striate::train::{Adam, Loss, Optimizer, Sgd, SoftmaxCrossEntropy, Targets};
use striate::{
    Activation, Conv2D, Dense, Element, Flatten, Layer, MaxPool2D, Name, Padding, Param, Rng, Sequential,
    Tape, Tensor, sequential,
};

use crate::fixtures::Outcome;

const SAMPLES: usize = 48;

/// The numbers that the script makes.
fn sines<T: Element>(shape: &[usize], pace: f64, size: f64) -> striate::Result<Tensor<T>> {
    let len: usize = shape.iter().product();
    Tensor::from_vec(shape, (1..=len).map(|i| T::of(size * (pace * i as f64).sin())).collect())
}

fn network<T: Element>() -> striate::Result<Sequential<T>> {
    let mut model = sequential![
        Conv2D::new(4, 3).padding(Padding::Same).activation(Activation::Relu),
        MaxPool2D::new(2),
        Flatten::new(),
        Dense::new(3),
    ];
    model.build(&[1, 8, 8, 1], &mut Rng::seed(1))?;
    let numbers = [(1.3, 0.4), (2.1, 0.1), (0.7, 0.2), (1.9, 0.1)];
    for ((_, param), (pace, size)) in model.params_mut().into_iter().zip(numbers) {
        let shape = param.value().shape().to_vec();
        param.set_value(sines(&shape, pace, size)?)?;
    }
    Ok(model)
}

/// The loss of every step, before it.
fn losses<T: Element>(order: &[Vec<usize>], optimizer: &mut dyn Optimizer<T>) -> striate::Result<Vec<f64>> {
    let (mut model, mut tape, loss) = (network()?, Tape::new(), SoftmaxCrossEntropy::new());
    let noise = sines::<f64>(&[SAMPLES, 8 * 8], 0.37, 0.5)?;
    let pattern = sines::<f64>(&[8 * 8], 0.9, 0.5)?;
    let label = |n: usize| 7 * n % 3;
    let picture = |n: usize| {
        let noise = noise.as_slice()[n * 64..][..64].iter();
        let both = noise.zip(pattern.as_slice()).map(move |(x, p)| x + (label(n) as f64 - 1.0) * p);
        both.map(T::of).collect::<Vec<_>>()
    };
    let step = |batch: &Vec<usize>| {
        let pictures = batch.iter().flat_map(|&n| picture(n)).collect();
        let labels = Targets::Labels(batch.iter().map(|&n| label(n)).collect());
        let scores = model.forward_train(Tensor::from_vec(&[batch.len(), 8, 8, 1], pictures)?, &mut tape)?;
        let (value, grad) = loss.value_and_grad(&scores, &labels)?;
        model.backward_params(grad, &mut tape)?;
        let mut params = model.params_mut();
        optimizer.step(&mut params)?;
        params.iter_mut().for_each(|(_, param)| param.clear_grad());
        Ok(value.as_slice()[0].to_double())
    };
    order.iter().map(step).collect()
}

fn optimizer<T: Element>(run: &str) -> Box<dyn Optimizer<T>> {
    match run {
        "torch_sgd" => Box::new(Sgd::new(0.02).momentum(0.9)),
        "torch_adam" => Box::new(Adam::new(0.01).epsilon(1e-8)),
        "keras_sgd" => Box::new(Sgd::new(0.02).momentum(0.9).nesterov(true)),
        "keras_adam" => Box::new(KerasAdam { adam: Adam::new(0.01), steps: 0 }),
        other => panic!("no run is called {other}"),
    }
}

/// Keras adds its epsilon before the squares' mean is corrected: to correct epsilon, too, is the same.
#[derive(Debug)]
struct KerasAdam<T: Element> {
    adam: Adam<T>,
    steps: i32,
}

impl<T: Element> Optimizer<T> for KerasAdam<T> {
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> striate::Result<()> {
        self.steps += 1;
        let epsilon = 1e-7 / (1.0 - 0.999_f64.powi(self.steps)).sqrt();
        self.adam = self.adam.clone().epsilon(epsilon);
        self.adam.step(params)
    }

    fn learning_rate(&self) -> striate::Result<f64> {
        self.adam.learning_rate()
    }
}

fn compare<T: Element>(run: &str, order: &[Vec<usize>], want: &[f64], tolerance: f64) -> striate::Result<()> {
    let got = losses::<T>(order, &mut *optimizer(run))?;
    assert_eq!(got.len(), want.len());
    for (step, (got, want)) in got.into_iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance, "{run} in {}, step {step}: {got}, not {want}", T::NAME);
    }
    Ok(())
}

#[test]
fn training_goes_as_in_pytorch_and_keras() -> Outcome<()> {
    let recorded: Value = serde_json::from_str(include_str!("../data/replay/replay.json"))?;
    let order: Vec<Vec<usize>> = serde_json::from_value(recorded["order"].clone())?;
    let runs = recorded["runs"].as_object().ok_or("no runs")?;
    assert_eq!(runs.len(), 4);
    for (run, losses) in runs {
        let losses: Vec<f64> = serde_json::from_value(losses.clone())?;
        assert!(losses.len() == 50 && losses[49] < losses[0] / 2.0, "a run that learns");
        compare::<f64>(run, &order, &losses, 1e-9)?;
        compare::<f32>(run, &order, &losses, 2e-5)?;
    }
    Ok(())
}
