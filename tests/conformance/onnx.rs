//! ONNX nodes in the words of the golden suites, as a program that reads ONNX models would translate them.

use ndarray::{ArrayD, IxDyn};
use serde_json::{Value, json};
use striate::train::{Optimizer, Sgd};
use striate::{Element, Param};

use crate::check::Check;
use crate::fixtures::{Case, Outcome, Stored};

/// Operators that the golden suites have no words for.
pub const RUN_AS_THEY_ARE: [&str; 8] =
    ["Add", "Concat", "Erf", "Momentum", "Mul", "Reshape", "Sum", "Transpose"];

/// The case in the words of the golden suites. What it cannot say there, the table of gaps must have caught.
pub fn translate(case: &Case) -> Outcome<Case> {
    let mut to = case.clone();
    let window = |to: &mut Case, op: &str| {
        let axes = case.tensors["X"].shape.len() - 2;
        to.op = format!("{op}{axes}d");
        windows(to, axes)
    };
    match case.op.as_str() {
        "Conv" => {
            window(&mut to, "conv")?;
            for (name, own) in [("X", "x"), ("W", "w"), ("B", "b"), ("Y", "y")] {
                rename(&mut to, name, own);
            }
            lay_out(&mut to, "w", &["OIW", "OIHW", "OIDHW"]);
        }
        "ConvTranspose" => {
            window(&mut to, "conv_transpose")?;
            for (name, own) in [("X", "x"), ("W", "w"), ("B", "b"), ("Y", "y")] {
                rename(&mut to, name, own);
            }
            lay_out(&mut to, "w", &["IOW", "IOHW"]);
        }
        "MaxPool" => {
            window(&mut to, "max_pool")?;
            rename(&mut to, "X", "x");
            rename(&mut to, "Y", "y");
            indices(&mut to)?;
        }
        "AveragePool" => {
            window(&mut to, "avg_pool")?;
            rename(&mut to, "X", "x");
            rename(&mut to, "Y", "y");
        }
        "LpPool" => {
            window(&mut to, "lp_pool")?;
            rename(&mut to, "X", "x");
            rename(&mut to, "Y", "y");
        }
        "MaxUnpool" => {
            to.op = "max_unpool2d".into();
            for (name, own) in [("X", "x"), ("I", "indices_in"), ("output", "y")] {
                rename(&mut to, name, own);
            }
            let size = to.tensors["y"].shape[2..].to_vec();
            to.attrs.insert("output_size".into(), json!(size));
        }
        "PRelu" => prelu(&mut to)?,
        "DepthToSpace" | "SpaceToDepth" => {
            to.op = if case.op == "DepthToSpace" { "depth_to_space" } else { "space_to_depth" }.into();
            rename(&mut to, "input", "x");
            rename(&mut to, "output", "y");
        }
        "Resize" => {
            to.op = "resize".into();
            rename(&mut to, "X", "x");
            rename(&mut to, "Y", "y");
        }
        "GlobalAveragePool" | "GlobalMaxPool" => {
            to.op = if case.op == "GlobalMaxPool" { "global_max_pool2d" } else { "global_avg_pool2d" }.into();
            to.attrs.insert("keepdims".into(), json!(true));
            rename(&mut to, "X", "x");
            rename(&mut to, "Y", "y");
        }
        "Pad" => pad(&mut to)?,
        "BatchNormalization"
        | "GroupNormalization"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "LRN" => {
            normalisation(&mut to);
        }
        "Gemm" | "MatMul" => dense(&mut to)?,
        "Flatten" => {
            to.op = "flatten".into();
            rename(&mut to, "input", "x");
            rename(&mut to, "output", "y");
            split_at_axis(&mut to, &["x"])?;
        }
        "Softmax" | "LogSoftmax" => {
            to.op = if case.op == "Softmax" { "softmax" } else { "log_softmax" }.into();
            rename(&mut to, "input", "x");
            rename(&mut to, "output", "y");
            // Early versions of the operator normalise over all axes from this one on.
            if case.opset < 13 {
                split_at_axis(&mut to, &["x", "y"])?;
                to.attrs.insert("axis".into(), json!(1));
            }
        }
        "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => loss(&mut to),
        "Dropout" => {
            to.op = "dropout".into();
            rename(&mut to, "data", "x");
            rename(&mut to, "output", "y");
            for (name, attr) in [("ratio", "rate"), ("training_mode", "training")] {
                if case.has(name) {
                    let value = case.values(name)?.sum();
                    to.attrs.insert(
                        attr.into(),
                        if name == "ratio" { json!(value) } else { json!(value == 1.0) },
                    );
                }
            }
        }
        _ => activation(&mut to)?,
    }
    Ok(to)
}

fn rename(case: &mut Case, from: &str, to: &str) {
    if let Some(stored) = case.tensors.remove(from) {
        case.tensors.insert(to.to_string(), stored);
    }
}

/// Declares a layout, by the number of spatial axes.
fn lay_out(case: &mut Case, name: &str, layouts: &[&str]) {
    if let Some(stored) = case.tensors.get_mut(name) {
        stored.layout = Some(layouts[stored.shape.len() - 3].to_string());
    }
}

/// Replaces the numbers of a tensor.
fn replace(case: &mut Case, name: &str, values: ArrayD<f64>) {
    if let Some(stored) = case.tensors.get_mut(name) {
        *stored = Stored { shape: values.shape().to_vec(), values: Some(values), ..stored.clone() };
    }
}

/// The attributes of a window.
fn windows(case: &mut Case, axes: usize) -> Outcome {
    for (name, own) in [("kernel_shape", "kernel"), ("group", "groups")] {
        if let Some(value) = case.attrs.remove(name) {
            case.attrs.insert(own.into(), value);
        }
    }
    let pads = case.sizes("resolved_pads");
    let (begin, end) = pads.split_at_checked(axes).ok_or("no pads")?;
    case.attrs.insert("pads_begin".into(), json!(begin));
    case.attrs.insert("pads_end".into(), json!(end));
    Ok(())
}

/// ONNX counts positions through the whole input, the golden suites through one plane.
fn indices(case: &mut Case) -> Outcome {
    if case.has("Indices") {
        let plane: usize = case.tensors["x"].shape[2..].iter().product();
        let values = case.values("Indices")?.mapv(|position| position % plane as f64);
        replace(case, "Indices", values);
        rename(case, "Indices", "indices");
    }
    Ok(())
}

/// Padding of rows and columns; later versions of the operator take amounts and constant as inputs.
fn pad(case: &mut Case) -> Outcome {
    let number = |name: &str| Outcome::Ok(case.values(name)?.sum());
    let rank = case.tensors["data"].shape.len();
    let mut pads = vec![0.0; 2 * rank];
    let given = match case.has("pads") {
        true => case.values("pads")?.iter().copied().collect(),
        false => case.sizes("pads").iter().map(|&pad| pad as f64).collect::<Vec<_>>(),
    };
    let axes: Vec<usize> = match case.has("axes") {
        true => {
            case.values("axes")?.iter().map(|&axis| (axis as i64).rem_euclid(rank as i64) as usize).collect()
        }
        false => (0..rank).collect(),
    };
    for (place, &axis) in axes.iter().enumerate() {
        pads[axis] = given[place];
        pads[rank + axis] = given[axes.len() + place];
    }
    if rank != 4 || pads.iter().any(|&pad| pad < 0.0) || pads[..2] != [0.0; 2] || pads[4..6] != [0.0; 2] {
        return Err("padding of other axes than rows and columns".into());
    }
    let value = if case.has("constant_value") { number("constant_value")? } else { 0.0 };
    let sizes = |pads: &[f64]| json!(pads.iter().map(|&pad| pad as u64).collect::<Vec<_>>());
    let mode = match case.text("mode") {
        Some("edge") => "replicate",
        Some("wrap") => "circular",
        Some(mode) => mode,
        None => "constant",
    };
    case.attrs = serde_json::Map::from_iter([
        ("pads_begin".to_string(), sizes(&pads[2..4])),
        ("pads_end".to_string(), sizes(&pads[6..8])),
        ("pad_mode".to_string(), json!(mode)),
        ("value".to_string(), json!(case.number("value").unwrap_or(value))),
    ]);
    case.op = "pad2d".into();
    rename(case, "data", "x");
    rename(case, "output", "y");
    Ok(())
}

fn normalisation(case: &mut Case) {
    let (op, is_training) = (case.op.clone(), case.flag("training_mode"));
    let axis = case.attr("axis").and_then(Value::as_i64).unwrap_or(-1);
    if op == "BatchNormalization" && is_training {
        rename(case, "running_mean", "new_running_mean");
        rename(case, "running_var", "new_running_var");
    }
    let names = [
        ("X", "x"),
        ("input", "x"),
        ("Y", "y"),
        ("output", "y"),
        ("scale", "gamma"),
        ("Scale", "gamma"),
        ("B", "beta"),
        ("bias", "beta"),
        ("input_mean", "running_mean"),
        ("mean", "running_mean"),
        ("input_var", "running_var"),
        ("var", "running_var"),
    ];
    names.iter().for_each(|(name, own)| rename(case, name, own));
    let shape = case.tensors["x"].shape.clone();
    let first = if axis < 0 { axis + shape.len() as i64 } else { axis } as usize;
    case.op = match op.as_str() {
        "BatchNormalization" => "batch_norm",
        "GroupNormalization" => "group_norm",
        "InstanceNormalization" => "instance_norm",
        "LRN" => "local_response_norm",
        _ => "layer_norm",
    }
    .into();
    case.attrs.insert("training".into(), json!(is_training));
    case.attrs.insert("normalized_shape".into(), json!(shape[first.min(shape.len())..]));
    if let Some(bias) = case.attrs.remove("bias") {
        case.attrs.insert("k".into(), bias);
    }
}

/// `alpha * A B + beta * C`: the factors go into the weights.
fn dense(case: &mut Case) -> Outcome {
    let factor = |name: &str| case.number(name).unwrap_or(1.0);
    let (alpha, beta) = (factor("alpha"), factor("beta"));
    let units = case.tensors["Y"].shape[1];
    if case.has("C") && case.values("C")?.len() != units {
        // A whole matrix to add is no bias: what comes before it must be the difference.
        let product = case.values("Y")? - &case.values("C")?.mapv(|c| beta * c);
        replace(case, "Y", product);
        case.tensors.remove("C");
    }
    let (trans_a, trans_b) = (case.flag("transA"), case.flag("transB"));
    let a = case.values("A")?.clone();
    replace(case, "A", if trans_a { a.reversed_axes() } else { a });
    let b = case.values("B")?.mapv(|weight| alpha * weight);
    replace(case, "B", b);
    if case.has("C") {
        let bias = case.values("C")?.mapv(|bias| beta * bias);
        let units = bias.len();
        replace(case, "C", bias.into_shape_with_order(IxDyn(&[units]))?);
    }
    for (name, own) in [("A", "x"), ("B", "w"), ("C", "b"), ("Y", "y")] {
        rename(case, name, own);
    }
    if let Some(weights) = case.tensors.get_mut("w") {
        weights.layout = Some(if trans_b { "OI" } else { "IO" }.to_string());
    }
    case.op = "dense".into();
    Ok(())
}

/// Joins the axes before the attribute `axis`, and those from it on. An output that is flat already stays.
fn split_at_axis(case: &mut Case, names: &[&str]) -> Outcome {
    let shape = case.tensors["x"].shape.clone();
    let axis = case.attr("axis").and_then(Value::as_i64).unwrap_or(1);
    let axis = if axis < 0 { axis + shape.len() as i64 } else { axis } as usize;
    let (before, after) = shape.split_at_checked(axis).ok_or("an axis beyond the rank")?;
    // Flattening itself is left to the layer.
    let mut joined = vec![before.iter().product()];
    match names {
        ["x"] => joined.extend(after),
        _ => joined.push(after.iter().product()),
    }
    for name in names {
        let values = case.values(name)?.clone().into_shape_with_order(IxDyn(&joined))?;
        replace(case, name, values);
    }
    Ok(())
}

/// One slope, one for each channel, or one for every element: of a batch of one, then.
fn prelu(case: &mut Case) -> Outcome {
    case.op = "prelu".into();
    for (name, own) in [("X", "x"), ("slope", "w"), ("Y", "y")] {
        rename(case, name, own);
    }
    let slopes = case.values("w")?.clone();
    if slopes.ndim() > 1 {
        for name in ["x", "y"] {
            let values = case.values(name)?.clone().insert_axis(ndarray::Axis(0));
            replace(case, name, values);
        }
        let letters = case.letters()?;
        for (name, layout) in [("x", letters), ("y", letters), ("w", &letters[1..])] {
            if let Some(stored) = case.tensors.get_mut(name) {
                stored.layout = Some(layout.to_string());
            }
        }
    }
    Ok(())
}

fn loss(case: &mut Case) {
    let names = [
        ("scores", "x"),
        ("input", "x"),
        ("labels", "target"),
        ("weights", "class_weight"),
        ("weight", "class_weight"),
        ("output", "y"),
        ("loss", "y"),
    ];
    for (name, own) in names {
        rename(case, name, own);
    }
    if case.op == "NegativeLogLikelihoodLoss" {
        case.attrs.insert("scores".into(), json!("log_probabilities"));
    }
    case.attrs.insert("class_axis".into(), json!(1));
    case.op = "cross_entropy".into();
}

/// Names of functions of single elements, and of their parameters.
fn activation(case: &mut Case) -> Outcome {
    let (kind, params): (&str, &[(&str, &str)]) = match case.op.as_str() {
        "Relu" => ("relu", &[]),
        "LeakyRelu" => ("leaky_relu", &[("alpha", "negative_slope")]),
        "Elu" => ("elu", &[("alpha", "alpha")]),
        "Selu" => return selu(case),
        "HardSigmoid" => return hard_sigmoid(case),
        "ThresholdedRelu" => ("threshold", &[("alpha", "threshold")]),
        "Celu" => ("celu", &[("alpha", "alpha")]),
        "Gelu" => ("gelu", &[("approximate", "approximate")]),
        "Sigmoid" => ("sigmoid", &[]),
        "HardSwish" => ("hard_swish", &[]),
        "Softplus" => ("softplus", &[]),
        "Softsign" => ("softsign", &[]),
        "Tanh" => ("tanh", &[]),
        "Mish" => ("mish", &[]),
        "Swish" => ("silu", &[]),
        "Clip" => ("hard_tanh", &[("min", "min"), ("max", "max")]),
        other => return Err(format!("no translation of {other}").into()),
    };
    let mut attrs = serde_json::Map::from_iter([("kind".to_string(), json!(kind))]);
    for (name, own) in params {
        attrs.extend(case.attr(name).map(|value| (own.to_string(), value.clone())));
    }
    if kind == "hard_tanh" {
        // Later versions of the operator take the bounds as inputs; without one there is none.
        for (name, none) in [("min", f64::MIN), ("max", f64::MAX)] {
            let bound = if case.has(name) { case.values(name)?.sum() } else { none };
            attrs.entry(name).or_insert(json!(bound));
        }
    }
    let attrs: Vec<_> = attrs.iter().map(|(name, value)| (&name[..], value.clone())).collect();
    element_wise(case, &attrs);
    Ok(())
}

/// `gamma * elu(x)`: the factor goes to the next layer.
fn selu(case: &mut Case) -> Outcome {
    let number = |name: &str| case.number(name).ok_or_else(|| format!("no {name}"));
    let (alpha, gamma) = (number("alpha")?, number("gamma")?);
    let y = case.values("Y")?.mapv(|y| y / gamma);
    replace(case, "Y", y);
    element_wise(case, &[("kind", json!("elu")), ("alpha", json!(alpha))]);
    Ok(())
}

/// `min(max(alpha * x + beta, 0), 1)`: the layer before gives `alpha * x + beta`.
fn hard_sigmoid(case: &mut Case) -> Outcome {
    let number = |name: &str| case.number(name).ok_or_else(|| format!("no {name}"));
    let (alpha, beta) = (number("alpha")?, number("beta")?);
    let x = case.values("X")?.mapv(|x| alpha * x + beta);
    replace(case, "X", x);
    element_wise(case, &[("kind", json!("hard_tanh")), ("min", json!(0.0)), ("max", json!(1.0))]);
    Ok(())
}

/// An activation with these attributes.
fn element_wise(case: &mut Case, attrs: &[(&str, Value)]) {
    case.attrs = attrs.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    case.op = "activation".into();
    for (name, own) in [("X", "x"), ("input", "x"), ("Y", "y"), ("output", "y")] {
        rename(case, name, own);
    }
}

/// The error function of single elements.
pub fn erf<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    check.raw("Element", "output", &case.tensor::<T>("input")?.map(T::erf))
}

/// ONNX' momentum, `v = alpha * v + g + norm * x`, `x = x - rate * v`, is that of `Sgd` with `-rate * v` for a velocity.
/// A step with no weights before the one that is looked at gives the velocity that the node starts from.
pub fn momentum<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let rate = case.values("R")?.sum();
    let count = (case.tensors.len() - 2) / 5;
    let input = |place: usize| case.tensor::<T>(&format!("inputs_{}", place + 2));
    for i in 0..count {
        let (weights, grad, velocity) = (input(i)?, input(count + i)?, input(2 * count + i)?);
        let mut sgd = Sgd::new(rate)
            .momentum(case.number("alpha").unwrap_or(0.0))
            .weight_decay(case.number("norm_coefficient").unwrap_or(0.0))
            .nesterov(case.text("mode") == Some("nesterov"));
        let mut param = Param::new(weights.map(|_| T::zero()));
        for (start, grad) in [(weights.map(|_| T::zero()), velocity), (weights.clone(), grad)] {
            param.set_value(start)?;
            param.clear_grad();
            param.add_grad(grad)?;
            sgd.step(&mut [("x".into(), &mut param)])?;
        }
        check.raw("Sgd", &format!("outputs_{i}"), param.value())?;
        let change = &weights.into_array() - &param.value().clone().into_array();
        check.raw("Sgd", &format!("outputs_{}", count + i), &change.mapv(|d| d / T::of(rate)).into())?;
    }
    Ok(())
}
