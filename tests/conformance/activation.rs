//! Activations and softmax.

use ndarray::{ArrayD, IxDyn};
use striate::{Activation, Element, Tensor, ops};

use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;

/// The activation of a name, with the parameters of the case or Keras' defaults.
fn named(kind: &str, case: &Case) -> Outcome<Activation> {
    let or = |name: &str, default: f64| case.number(name).unwrap_or(default);
    Ok(match kind {
        "linear" => Activation::Linear,
        "relu" => Activation::Relu,
        "relu6" => Activation::Relu6,
        "leaky_relu" => Activation::LeakyRelu { negative_slope: or("negative_slope", 0.2) },
        "elu" => Activation::Elu { alpha: or("alpha", 1.0) },
        "selu" => Activation::Selu,
        "celu" => Activation::Celu { alpha: or("alpha", 1.0) },
        "gelu" if case.text("approximate") == Some("tanh") => Activation::GeluTanh,
        "gelu" => Activation::Gelu,
        "silu" | "swish" => Activation::Silu,
        "mish" => Activation::Mish,
        "sigmoid" => Activation::Sigmoid,
        "log_sigmoid" => Activation::LogSigmoid,
        "hard_sigmoid" => Activation::HardSigmoid,
        "hard_swish" | "hard_silu" => Activation::HardSwish,
        "hard_tanh" => Activation::HardTanh { min: or("min", -1.0), max: or("max", 1.0) },
        "threshold" => {
            Activation::Threshold { threshold: or("threshold", 1.0), value: or("default_value", 0.0) }
        }
        "tanh" => Activation::Tanh,
        "softplus" => Activation::Softplus { beta: or("beta", 1.0) },
        "softsign" => Activation::Softsign,
        "exponential" => Activation::Exponential,
        "softmax" => Activation::Softmax,
        "log_softmax" => Activation::LogSoftmax,
        other => return Err(format!("no activation {other}").into()),
    })
}

/// What a layer with weights applies to its result.
pub fn fused(case: &Case) -> Outcome<Activation> {
    named(case.text("activation").unwrap_or("linear"), case)
}

/// The activation that the case itself is.
pub fn of(case: &Case) -> Outcome<Activation> {
    named(case.text("kind").unwrap_or(&case.op), case)
}

/// An activation alone; a softmax along any axis by bringing that to the end first.
pub fn activation<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let mut function = of(case)?;
    let axis = axis(case, case.values("x")?.ndim());
    let want = |name: &str| Outcome::Ok(to_end(case.values(name)?.clone(), axis));
    let moved = |name: &str| Outcome::Ok(to_end(case.raw::<T>(name)?, axis));

    let x = moved("x")?;
    let y = ops::activate(x.view(), function)?;
    check.compare("ops", "y", &want("y")?, y.view());
    let grad = if case.has("grad_y") { Some(moved("grad_y")?) } else { None };
    if let Some(grad) = &grad {
        let saved = if function.saves_output() { &y } else { &x };
        let grad_x = ops::activate_backward(grad.view(), saved.view(), function)?;
        check.compare("ops", "grad_x", &want("grad_x")?, grad_x.view());
    }

    let grad = grad.map(Tensor::from);
    let computed = layer::run(check, &mut function, &x.into(), Vec::new(), grad.as_ref())?;
    for (way, y) in computed.outputs() {
        check.compare(way, "y", &want("y")?, y.view());
    }
    if let Some(grad_x) = &computed.grad_x {
        check.compare("backward", "grad_x", &want("grad_x")?, grad_x.view());
    }
    Ok(())
}

/// The axis that the case works along: the last one, unless it says otherwise.
fn axis(case: &Case, rank: usize) -> usize {
    let axis = case.attr("axis").and_then(serde_json::Value::as_i64).unwrap_or(-1);
    (if axis < 0 { axis + rank as i64 } else { axis }) as usize
}

/// Brings an axis to the end.
pub fn to_end<X>(array: ArrayD<X>, axis: usize) -> ArrayD<X> {
    let mut order: Vec<usize> = (0..array.ndim()).collect();
    order.retain(|&own| own != axis);
    if order.len() < array.ndim() {
        order.push(axis);
    }
    array.permuted_axes(IxDyn(&order))
}
