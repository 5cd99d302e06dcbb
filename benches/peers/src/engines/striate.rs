//! striate, as its users call it: a built layer, whose packed weights the first call leaves in it.

use striate::train::{Loss, Optimizer, Sgd, SoftmaxCrossEntropy, Targets};
use striate::{Layer as _, Rng, Sequential, Tape, Tensor};

use super::{Layer, Prepared, Setup};
use crate::Result;
use crate::data::{self, Role};
use crate::suite::Conv;

pub fn prepare(_: &str, layer: &Layer, _: &Setup) -> Result<Prepared> {
    let input = layer.input();
    let layer = match layer {
        Layer::Training(conv) => return training(conv),
        Layer::Step(network, input) => return step(network(), input),
        Layer::Conv(conv) => convolution(conv)?,
        Layer::Pool(pool) => pool.layer(),
        Layer::Network(network, input) => {
            let mut network = weighed(network(), input)?;
            network.for_inference()?;
            Box::new(network)
        }
    };
    let x = data::tensor(Role::Input, &input)?;
    Prepared::new(move || Ok(layer.forward(&x)?), |y| Ok(y.into_vec()))
}

/// A step but for the optimizer's: as after one, nothing is left of what was made of the weights.
fn training(conv: &Conv) -> Result<Prepared> {
    let mut layer = convolution(conv)?;
    let x = data::tensor(Role::Input, &conv.input)?;
    let grad = data::tensor(Role::Gradient, &layer.output_shape(&conv.input)?)?;
    let step = move || {
        let mut tape = Tape::new();
        layer.forward_train(x.clone(), &mut tape)?;
        let mut grads = vec![layer.backward(grad.clone(), &mut tape)?];
        for (_, param) in layer.params_mut() {
            grads.extend(param.grad().cloned());
            param.clear_grad();
        }
        Ok(grads)
    };
    Prepared::new(step, |grads| Ok(grads.into_iter().flat_map(Tensor::into_vec).collect()))
}

/// A whole step of training. What is to agree with other engines is the number of weights.
fn step(mut network: Sequential, input: &[usize]) -> Result<Prepared> {
    network.build(input, &mut Rng::seed(1))?;
    let x = data::tensor(Role::Input, input)?;
    let labels: Targets = (0..input[0]).map(|i| i % 10).collect::<Vec<_>>().into();
    let (loss, mut optimizer) = (SoftmaxCrossEntropy::new(), Sgd::new(1e-4).momentum(0.9));
    let weights = network.summary(input)?.params() as f32;
    let mut step = move || {
        let mut tape = Tape::new();
        let scores = network.forward_train(x.clone(), &mut tape)?;
        let (value, grad) = loss.value_and_grad(&scores, &labels)?;
        network.backward_params(grad, &mut tape)?;
        let mut params = network.params_mut();
        optimizer.step(&mut params)?;
        params.iter_mut().for_each(|(_, param)| param.clear_grad());
        Ok::<_, striate::Error>(value)
    };
    Prepared::new(move || Ok(step()?), move |_| Ok(vec![weights]))
}

fn convolution(conv: &Conv) -> Result<Box<dyn striate::Layer>> {
    let mut layer = conv.layer();
    layer.build(&conv.input, &mut Rng::seed(1))?;
    for ((_, param), role) in layer.params_mut().into_iter().zip([Role::Kernel, Role::Bias]) {
        let shape = param.value().shape().to_vec();
        param.set_value(data::tensor(role, &shape)?)?;
    }
    Ok(Box::new(layer))
}

/// The network with weights of He's variance, and small biases.
fn weighed(mut network: Sequential, input: &[usize]) -> Result<Sequential> {
    network.build(input, &mut Rng::seed(1))?;
    for (index, (_, param)) in network.params_mut().into_iter().enumerate() {
        let shape = param.value().shape().to_vec();
        let scale = match shape.as_slice() {
            [_] => 0.1,
            [inputs @ .., _] => (24.0_f64 / inputs.iter().product::<usize>() as f64).sqrt() as f32,
            [] => 1.0,
        };
        param.set_value(data::tensor(Role::Parameter(index), &shape)?.map(|x| x * scale))?;
    }
    Ok(network)
}
