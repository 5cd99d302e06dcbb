//! Normalisation.

use ndarray::ArrayD;
use striate::ops::{self, Moments, Over};
use striate::{
    BatchNorm, Element, GroupNorm, InstanceNorm, Layer, LayerNorm, LocalResponseNorm, RunningVariance, Tensor,
};

use crate::check::Check;
use crate::fixtures::{Case, Outcome, arrange};
use crate::layer;

/// Whether the channels are on the second axis and not the last.
fn is_channels_first(case: &Case) -> bool {
    case.index("channel_axis") == Some(1) || case.suite != "keras_golden"
}

/// A tensor with its channels at the end.
fn last(case: &Case, name: &str) -> Outcome<ArrayD<f64>> {
    let values = case.values(name)?.clone();
    let letters = &"NCDHW"[..values.ndim()];
    match is_channels_first(case) && case.op != "layer_norm" {
        true => arrange(&values, letters, &format!("N{}C", &letters[2..])),
        false => Ok(values),
    }
}

fn elements<T: Element>(case: &Case, name: &str) -> Outcome<Option<Tensor<T>>> {
    if case.has(name) { Ok(Some(last(case, name)?.mapv(T::of).into())) } else { Ok(None) }
}

/// The weights that the case has, under this crate's names.
fn weights<T: Element>(case: &Case) -> Outcome<Vec<(&'static str, Tensor<T>)>> {
    let names = [
        ("gamma", "gamma"),
        ("beta", "beta"),
        ("running_mean", "moving_mean"),
        ("running_var", "moving_variance"),
    ];
    names
        .iter()
        .filter(|(name, _)| case.has(name))
        .map(|(name, own)| Ok((*own, case.tensor(name)?)))
        .collect()
}

fn compare<T: Element>(
    case: &Case,
    check: &mut Check<'_>,
    way: &str,
    name: &str,
    got: &Tensor<T>,
) -> Outcome {
    check.compare(way, name, &last(case, name)?, got.view());
    Ok(())
}

/// Everything but batch normalisation in training: the same in training and at inference.
fn run<T: Element>(case: &Case, check: &mut Check<'_>, norm: &mut dyn Layer<T>) -> Outcome {
    let x = elements(case, "x")?.ok_or("no x")?;
    let grad = elements(case, "grad_y")?;
    let computed = layer::run(check, norm, &x, weights(case)?, grad.as_ref())?;
    let is_training = case.op == "batch_norm" && case.flag("training");
    for (way, y) in computed.outputs().into_iter().skip(is_training.into()) {
        compare(case, check, way, "y", y)?;
    }
    if let Some(grad_x) = &computed.grad_x {
        compare(case, check, "backward", "grad_x", grad_x)?;
        for name in ["gamma", "beta"].into_iter().filter(|name| case.has(name)) {
            check.raw("layer", &format!("grad_{name}"), &computed.grad(name)?.into())?;
        }
    }
    for (name, own) in [("new_running_mean", "moving_mean"), ("new_running_var", "moving_variance")] {
        if case.has(name) {
            check.raw("layer", name, computed.state(own)?)?;
        }
    }
    Ok(())
}

fn epsilon(case: &Case) -> f64 {
    case.number("epsilon").unwrap_or(1e-5)
}

pub fn batch<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let momentum = case.number("momentum").unwrap_or(0.9);
    let (kept, variance) = match case.suite.as_str() {
        "torch_golden" => (1.0 - momentum, RunningVariance::Unbiased),
        _ => (momentum, RunningVariance::Biased),
    };
    let mut norm = BatchNorm::<T>::new()
        .momentum(kept)
        .epsilon(epsilon(case))
        .running_variance(variance)
        .center(case.has("beta"))
        .scale(case.has("gamma"))
        .frozen(!case.flag("training"));
    run(case, check, &mut norm)?;

    // The same by plain functions.
    let x = elements::<T>(case, "x")?.ok_or("no x")?;
    let moments = match case.flag("training") {
        true => ops::moments(x.view(), Over::Batch)?,
        false => {
            Moments::new(case.tensor("running_mean")?.into_vec(), case.tensor("running_var")?.into_vec())?
        }
    };
    let [gamma, beta] = ["gamma", "beta"].map(|name| case.tensor::<T>(name).ok());
    let [gamma, beta] = [&gamma, &beta].map(|weight| weight.as_ref().map(Tensor::as_slice));
    let y = ops::normalize(x.view(), Over::Batch, &moments, gamma, beta, epsilon(case))?;
    compare(case, check, "ops", "y", &y.into())
}

pub fn layer<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let axes = case.sizes("normalized_shape").len();
    let mut norm = LayerNorm::<T>::new().axes(axes).epsilon(epsilon(case));
    run(case, check, &mut norm)?;
    // ONNX gives the moments, too.
    if case.has("Mean") {
        let x = case.tensor::<T>("x")?;
        let moments = ops::moments(x.view(), Over::Last(axes))?;
        let shape = case.values("Mean")?.shape().to_vec();
        check.raw("ops", "Mean", &Tensor::from_vec(&shape, moments.mean().to_vec())?)?;
        let scale = |v: &T| T::one() / (*v + T::of(epsilon(case))).sqrt();
        let scales = moments.variance().iter().map(scale).collect();
        check.raw("ops", "InvStdDev", &Tensor::from_vec(&shape, scales)?)?;
    }
    Ok(())
}

pub fn group<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let groups = case.index("num_groups").ok_or("no groups")?;
    run(case, check, &mut GroupNorm::<T>::new(groups).epsilon(epsilon(case)))
}

pub fn instance<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let mut norm = InstanceNorm::<T>::new().epsilon(epsilon(case));
    norm = norm.scale(case.has("gamma")).center(case.has("beta"));
    run(case, check, &mut norm)
}

pub fn local_response<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let number = |name: &str| case.number(name).ok_or_else(|| format!("no {name}"));
    let norm = LocalResponseNorm::new(case.index("size").ok_or("no size")?);
    run::<T>(case, check, &mut norm.alpha(number("alpha")?).beta(number("beta")?).k(number("k")?))
}
