//! Running a layer as a user would: build it, set its weights, go forward, train, go back.

use ndarray::ArrayD;
use striate::{Element, Layer, Rng, Tape, Tensor};

use crate::check::Check;
use crate::fixtures::{Case, Outcome};

/// What a layer computed.
pub struct Computed<T: Element> {
    pub inference: Tensor<T>,
    pub training: Tensor<T>,
    /// The gradient of the input, if there was an upstream gradient.
    pub grad_x: Option<Tensor<T>>,
    layer_grads: Vec<(String, Tensor<T>)>,
    /// The states after one step of training.
    states: Vec<(String, Tensor<T>)>,
}

impl<T: Element> Computed<T> {
    /// The outputs, and which way each came.
    pub fn outputs(&self) -> [(&'static str, &Tensor<T>); 2] {
        [("forward", &self.inference), ("forward_train", &self.training)]
    }

    /// Compares outputs and the input's gradient, all of them with the axes of the input.
    pub fn check(&self, check: &mut Check<'_>) -> Outcome {
        for (way, y) in self.outputs() {
            check.like_x(way, "y", y)?;
        }
        match &self.grad_x {
            Some(grad_x) => check.like_x("backward", "grad_x", grad_x),
            None => Ok(()),
        }
    }

    /// A state after one step of training.
    pub fn state(&self, param: &str) -> Outcome<&Tensor<T>> {
        let found = self.states.iter().find(|(name, _)| name == param);
        Ok(&found.ok_or_else(|| format!("no state {param}"))?.1)
    }

    /// The gradient of a weight.
    pub fn grad(&self, param: &str) -> Outcome<ArrayD<T>> {
        let found = self.layer_grads.iter().find(|(name, _)| name == param);
        Ok(found.ok_or_else(|| format!("no gradient of {param}"))?.1.clone().into_array())
    }
}

/// Runs a layer on the case's input and compares what comes of it. Of every weight `weights` has the layer's name, the
/// case's, and the axes.
pub fn run_case<T: Element>(
    case: &Case,
    check: &mut Check<'_>,
    layer: &mut dyn Layer<T>,
    weights: &[(&str, &str, &str)],
) -> Outcome {
    let values = weights
        .iter()
        .map(|&(own, name, letters)| Ok((own, Tensor::from(case.arranged(name, letters)?.mapv(T::of)))));
    let values = values.collect::<Outcome<Vec<_>>>()?;
    let grad = case.optional_like_x("grad_y")?;
    let computed = run(check, layer, &case.like_x("x")?, values, grad.as_ref())?;
    computed.check(check)?;
    for (own, name, letters) in weights.iter().filter(|_| computed.grad_x.is_some()) {
        check.arranged("layer", &format!("grad_{name}"), letters, &computed.grad(own)?)?;
    }
    Ok(())
}

/// Sends `x` through `layer` with these weights, and `grad` back.
pub fn run<T: Element>(
    check: &mut Check<'_>,
    layer: &mut dyn Layer<T>,
    x: &Tensor<T>,
    weights: Vec<(&str, Tensor<T>)>,
    grad: Option<&Tensor<T>>,
) -> Outcome<Computed<T>> {
    layer.build(x.shape(), &mut Rng::seed(1))?;
    set_weights(layer, weights)?;
    let inference = layer.forward(x)?;
    check.require("output_shape", "another shape", layer.output_shape(x.shape())? == inference.shape());

    let mut tape = Tape::new();
    let training = layer.forward_train(x.clone(), &mut tape)?;
    check.require("cost", "other saved bytes", layer.cost(x.shape())?.saved_bytes == tape.bytes());
    let params = layer.params().into_iter().filter(|(_, param)| param.is_state());
    let states = params.map(|(name, param)| (name.into_owned(), param.value().clone())).collect();
    let mut computed = Computed { inference, training, grad_x: None, layer_grads: Vec::new(), states };
    let Some(grad) = grad else { return Ok(computed) };

    let again = tape.clone();
    computed.grad_x = Some(layer.backward(grad.clone(), &mut tape)?);
    check.require("backward", "a tape that is not empty", tape.is_empty());
    computed.layer_grads = grads(layer)?;

    // The same once more, without the input's gradient: it adds up to twice as much, exactly.
    layer.backward_params(grad.clone(), &mut again.clone())?;
    let twice = |((_, once), (_, sum)): (&(_, Tensor<T>), &(_, Tensor<T>))| once.map(|g| g + g) == *sum;
    let doubled = computed.layer_grads.iter().zip(&grads(layer)?).all(twice);
    check.require("backward_params", "gradients that do not add up", doubled);
    Ok(computed)
}

fn set_weights<T: Element>(layer: &mut dyn Layer<T>, weights: Vec<(&str, Tensor<T>)>) -> Outcome {
    let mut params = layer.params_mut();
    if params.len() != weights.len() {
        return Err(format!("{} weights, not {}", params.len(), weights.len()).into());
    }
    for (name, value) in weights {
        let param = params.iter_mut().find(|(own, _)| own == name);
        param.ok_or_else(|| format!("no weight called {name}"))?.1.set_value(value)?;
    }
    Ok(())
}

fn grads<T: Element>(layer: &dyn Layer<T>) -> Outcome<Vec<(String, Tensor<T>)>> {
    let grad = |(name, param): (striate::Name, &striate::Param<T>)| {
        let grad = param.grad().ok_or_else(|| format!("no gradient of {name}"))?.clone();
        Ok((name.into_owned(), grad))
    };
    layer.params().into_iter().filter(|(_, param)| !param.is_state()).map(grad).collect()
}
