//! Whole models: layers in order, with a loss at the end.

use ndarray::{ArrayD, IxDyn};
use serde_json::Value;
use striate::train::{Loss, SoftmaxCrossEntropy, Targets};
use striate::{
    Activation, AvgPool2D, BatchNorm, Conv2D, Dense, Element, Flatten, GlobalAvgPool2D, GlobalMaxPool2D,
    Layer, MaxPool2D, Sequential, Tensor,
};

use crate::activation;
use crate::check::Check;
use crate::fixtures::{Case, Outcome, arrange};
use crate::layer;
use crate::window::Slide;

/// The layers that the case lists, each as a case of its own.
fn layers(case: &Case) -> Vec<Case> {
    let list = case.attr("layers").and_then(Value::as_array).into_iter().flatten();
    let part = |layer: &Value| {
        let op = layer["op"].as_str().unwrap_or_default().to_string();
        Case { op, attrs: layer.as_object().cloned().unwrap_or_default(), ..case.clone() }
    };
    list.map(part).collect()
}

pub fn sequential<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = Tensor::from(case.maps::<T>("x")?);
    let layers = layers(case);
    let (loss, layers) = layers.split_last().ok_or("a model without layers")?;
    if loss.op != "cross_entropy" {
        return Err(format!("no loss {}", loss.op).into());
    }

    let mut model = Sequential::<T>::new();
    let mut flattened = vec![None; layers.len() + 1];
    for (i, part) in layers.iter().enumerate() {
        let kernel = format!("l{i}.w");
        // After channels first were flattened, a dense kernel's rows are in their order.
        let before = model.output_shape(x.shape())?;
        if part.op == "flatten" && part.text("order") == Some("C,H,W") {
            flattened[i + 1] = Some([before[3], before[1], before[2]]);
        }
        push(&mut model, part, case.tensors.get(&kernel).map_or(&[][..], |stored| &stored.shape))?;
    }
    let to_kernel = |name: &str, i: usize| match case.suite.as_str() {
        "keras_golden" => Ok(case.values(name)?.clone()),
        _ => to_kernel(case.values(name)?, flattened[i]),
    };
    let mut named = Vec::new();
    for (i, part) in layers.iter().enumerate() {
        for (short, own) in [("w", "kernel"), ("b", "bias"), ("gamma", "gamma"), ("beta", "beta")] {
            let name = format!("l{i}.{short}");
            if case.has(&name) {
                named.push((format!("{i}.{own}"), to_kernel(&name, i)?.mapv(T::of), name));
            }
        }
        if part.op == "batch_norm" {
            // They do not matter in training.
            let channels = case.values(&format!("l{i}.gamma"))?;
            named.push((format!("{i}.moving_mean"), channels.mapv(|_| T::zero()), String::new()));
            named.push((format!("{i}.moving_variance"), channels.mapv(|_| T::one()), String::new()));
        }
    }
    let weights: Vec<_> = named.iter().map(|(own, value, _)| (&own[..], value.clone().into())).collect();

    // The loss' gradient is the upstream gradient of the model.
    let targets = Targets::Labels(case.labels("target")?);
    let loss = SoftmaxCrossEntropy::new();
    let logits = layer::run(check, &mut model, &x, weights.clone(), None)?;
    let only_in_training = layers.iter().any(|part| part.op == "batch_norm");
    for (way, logits) in logits.outputs().into_iter().skip(only_in_training.into()) {
        check.raw(way, "logits", logits)?;
    }
    check.raw("loss", "y", &loss.forward(&logits.training, &targets)?)?;
    let grad = loss.backward(&logits.training, &targets, &case.tensor("grad_y")?)?;
    let computed = layer::run(check, &mut model, &x, weights, Some(&grad))?;
    if let Some(grad_x) = &computed.grad_x {
        check.maps("backward", "grad_x", &grad_x.clone().into_array())?;
    }
    for (own, _, name) in named.iter().filter(|(_, _, name)| !name.is_empty()) {
        let i = own.split('.').next().unwrap_or_default().parse()?;
        let name = format!("grad_{name}");
        check.compare("layer", &name, &to_kernel(&name, i)?, computed.grad(own)?.view());
    }
    Ok(())
}

/// Weights of PyTorch's layout in this crate's; `flattened` are the lengths of channels, rows and columns that were
/// flattened before a dense layer, if any.
fn to_kernel(weights: &ArrayD<f64>, flattened: Option<[usize; 3]>) -> Outcome<ArrayD<f64>> {
    match (weights.shape(), flattened) {
        ([_, _, _, _], _) => arrange(weights, "OIHW", "HWIO"),
        (&[units, features], Some([channels, height, width])) => {
            let apart = weights.clone().into_shape_with_order(IxDyn(&[units, channels, height, width]))?;
            let last = arrange(&apart, "OIHW", "HWIO")?.as_standard_layout().into_owned();
            Ok(last.into_shape_with_order(IxDyn(&[features, units]))?)
        }
        ([_], _) => Ok(weights.clone()),
        _ => arrange(weights, "OI", "IO"),
    }
}

fn push<T: Element>(model: &mut Sequential<T>, part: &Case, weights: &[usize]) -> Outcome {
    let slide = Slide::of(part);
    match (part.op.as_str(), weights.first()) {
        ("conv2d", Some(&filters)) => model.push(
            Conv2D::new(filters, slide.kernel)
                .strides(slide.strides)
                .padding(slide.padding)
                .dilation(slide.dilation)
                .groups(part.index("groups").unwrap_or(1))
                .activation(activation::fused(part)?),
        ),
        ("dense", Some(&units)) => model.push(Dense::new(units).activation(activation::fused(part)?)),
        ("batch_norm", None) => model.push(BatchNorm::new().epsilon(part.number("epsilon").unwrap_or(1e-3))),
        ("activation", None) => model.push(activation::of(part)?),
        ("max_pool2d", None) => {
            model.push(MaxPool2D::new(slide.kernel).strides(slide.strides).padding(slide.padding));
        }
        ("avg_pool2d", None) => {
            model.push(AvgPool2D::new(slide.kernel).strides(slide.strides).padding(slide.padding));
        }
        ("global_avg_pool2d", None) => model.push(GlobalAvgPool2D::new()),
        ("global_max_pool2d", None) => model.push(GlobalMaxPool2D::new()),
        ("flatten", None) => model.push(Flatten::new()),
        ("softmax", None) => model.push(Activation::Softmax),
        (op, _) => return Err(format!("no layer {op}").into()),
    }
    Ok(())
}
