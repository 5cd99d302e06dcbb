//! A layer of one's own: `ChannelAffine` scales and shifts every channel by two weights that training finds, like the
//! second half of batch normalisation. It is used between the crate's layers and trained with them.
//!
//!     cargo run --release --example custom_layer

#[path = "support/mnist.rs"]
mod mnist;

use std::error::Error;

use ndarray::Axis;
use striate::train::{Accuracy, Adam, SoftmaxCrossEntropy, Trainer};
use striate::{
    Activation, AvgPool2D, Conv2D, Cost, Dense, Flatten, Layer, Name, Param, Result, Rng, Saved, Sequential,
    Tape, Tensor, sequential,
};

/// `y = scale[c] * x + shift[c]` in every channel `c`, the last axis.
#[derive(Debug, Default)]
struct ChannelAffine {
    weights: Option<[Param; 2]>,
}

const KIND: &str = "ChannelAffine";

impl ChannelAffine {
    fn weights(&self) -> Result<&[Param; 2]> {
        self.weights.as_ref().ok_or_else(|| striate::Error::not_built(KIND))
    }
}

impl Layer for ChannelAffine {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn build(&mut self, input: &[usize], _: &mut Rng) -> Result<()> {
        let channels = &input[input.len().saturating_sub(1)..];
        self.weights = Some([Param::new(Tensor::full(channels, 1.0)?), Param::new(Tensor::zeros(channels)?)]);
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [scale, shift] = self.weights()?;
        // ndarray broadcasts the two rows of weights over all other axes.
        Ok((&x.view() * &scale.value().view() + shift.value().view()).into())
    }

    fn forward_train(&mut self, x: Tensor, tape: &mut Tape) -> Result<Tensor> {
        let y = self.forward(&x)?;
        tape.push(KIND, Saved::Tensor(x));
        Ok(y)
    }

    /// `dscale = sum of dy * x` and `dshift = sum of dy` over all but the channels; `dx = scale * dy`.
    fn backward(&mut self, grad: Tensor, tape: &mut Tape) -> Result<Tensor> {
        let x = tape.pop_tensor(KIND)?;
        let [scale, shift] = self.weights.as_mut().ok_or_else(|| striate::Error::not_built(KIND))?;
        let mut products = &grad.view() * &x.view();
        let mut sums = grad.clone().into_array();
        while sums.ndim() > 1 {
            (products, sums) = (products.sum_axis(Axis(0)), sums.sum_axis(Axis(0)));
        }
        scale.add_grad(products.into())?;
        shift.add_grad(sums.into())?;
        Ok((&grad.view() * &scale.value().view()).into())
    }

    fn params(&self) -> Vec<(Name, &Param)> {
        self.weights
            .iter()
            .flat_map(|[scale, shift]| [("scale".into(), scale), ("shift".into(), shift)])
            .collect()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param)> {
        self.weights
            .iter_mut()
            .flat_map(|[scale, shift]| [("scale".into(), scale), ("shift".into(), shift)])
            .collect()
    }

    /// What the summary shows.
    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let elements: usize = input.iter().product();
        let channels = input.last().copied().unwrap_or(0);
        Ok(Cost {
            params: 2 * channels,
            multiplications: elements as u64,
            saved_bytes: elements * size_of::<f32>(),
            ..Cost::default()
        })
    }
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut model: Sequential = sequential![
        Conv2D::new(8, 5).strides(2).use_bias(false),
        ChannelAffine::default(),
        Activation::Relu,
        AvgPool2D::new(2),
        Flatten::new(),
        Dense::new(10),
    ];
    println!("{}", model.summary(&[1, 28, 28, 1])?);

    let digits = mnist::train()?;
    let mut trainer =
        Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(3e-3)).epochs(3).metric(Accuracy::new());
    for epoch in &trainer.fit(&mut model, &digits.images, digits.labels)?.epochs {
        println!(
            "epoch {}: loss {:.4}, accuracy {:.2} %",
            epoch.epoch,
            epoch.loss,
            100.0 * epoch.metrics[0].1
        );
    }
    let test = mnist::test()?;
    let accuracy = trainer.evaluate(&model, &test.images, test.labels)?.get("accuracy").unwrap_or(0.0);
    println!("test accuracy {:.2} %", 100.0 * accuracy);
    for (name, weights) in model.params().iter().filter(|(name, _)| name.starts_with("1.")) {
        println!("{name}: {:.3?}", weights.value());
    }
    Ok(())
}
