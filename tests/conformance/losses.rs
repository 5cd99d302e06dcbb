//! Losses and their gradients.

use ndarray::ArrayD;
use striate::train::{
    BinaryCrossEntropy, Loss, MeanAbsoluteError, MeanSquaredError, Reduction, Scores, SmoothL1,
    SoftmaxCrossEntropy, Targets,
};
use striate::{Activation, Element, Tensor, ops};

use crate::activation::to_end;
use crate::check::Check;
use crate::fixtures::{Case, Outcome};

fn reduction(case: &Case) -> Outcome<Reduction> {
    Ok(match case.text("reduction") {
        Some("mean") => Reduction::Mean,
        Some("sum") => Reduction::Sum,
        Some("none") => Reduction::None,
        other => return Err(format!("no reduction {other:?}").into()),
    })
}

/// Where the classes are; the last axis is -1.
fn class_axis(case: &Case, rank: usize) -> usize {
    let axis = case.attr("class_axis").and_then(serde_json::Value::as_i64).unwrap_or(-1);
    (if axis < 0 { axis + rank as i64 } else { axis }) as usize
}

pub fn cross_entropy<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.raw::<T>("x")?;
    let axis = class_axis(case, x.ndim());
    let x = to_end(x, axis);
    let scores = match (case.text("scores"), case.attr("from_logits")) {
        (Some("log_probabilities"), _) => Scores::LogProbabilities,
        (_, Some(logits)) if logits == false => Scores::Probabilities,
        _ => Scores::Logits,
    };
    let mut loss = SoftmaxCrossEntropy::new()
        .scores(scores)
        .label_smoothing(case.number("label_smoothing").unwrap_or(0.0))
        .reduction(reduction(case)?);
    if let Some(label) = case.index("ignore_index") {
        loss = loss.ignore_index(label);
    }
    if let Some(weights) = case.vector::<f64>("class_weight")? {
        loss = loss.class_weights(weights.to_vec());
    }
    let sparse = case.values("target")?.ndim() < x.ndim();
    let targets = match sparse {
        true => Targets::Labels(case.labels("target")?),
        false => Targets::Values(to_end(case.raw::<T>("target")?, axis).into()),
    };
    if case.has("log_prob") {
        let log_prob = ops::activate(x.view(), Activation::LogSoftmax)?;
        check.compare("ops", "log_prob", &to_end(case.values("log_prob")?.clone(), axis), log_prob.view());
    }
    run(case, check, &loss, x, &targets, axis)
}

pub fn binary_cross_entropy<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let loss = BinaryCrossEntropy::new()
        .from_logits(case.flag("from_logits"))
        .label_smoothing(case.number("label_smoothing").unwrap_or(0.0))
        .reduction(reduction(case)?);
    element_wise::<T>(case, check, &loss)
}

pub fn regression<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let reduction = reduction(case)?;
    match case.text("kind") {
        Some("mse_loss") => element_wise::<T>(case, check, &MeanSquaredError::new().reduction(reduction)),
        Some("l1_loss") => element_wise::<T>(case, check, &MeanAbsoluteError::new().reduction(reduction)),
        Some("smooth_l1_loss") => {
            let beta = case.number("beta").unwrap_or(1.0);
            element_wise::<T>(case, check, &SmoothL1::new(beta).reduction(reduction))
        }
        Some("huber_loss") => {
            let delta = case.number("delta").unwrap_or(1.0);
            element_wise::<T>(case, check, &striate::train::Huber::new(delta).reduction(reduction))
        }
        other => Err(format!("no loss {other:?}").into()),
    }
}

fn element_wise<T: Element>(case: &Case, check: &mut Check<'_>, loss: &dyn Loss<T>) -> Outcome {
    let x = case.raw::<T>("x")?;
    let last = x.ndim();
    run(case, check, loss, x, &Targets::Values(case.tensor("target")?), last)
}

/// Runs a loss forward and back; `axis` is the one that was brought to the end of `x`.
fn run<T: Element>(
    case: &Case,
    check: &mut Check<'_>,
    loss: &dyn Loss<T>,
    x: ArrayD<T>,
    targets: &Targets<T>,
    axis: usize,
) -> Outcome {
    let x = Tensor::from(x);
    let y = loss.forward(&x, targets)?;
    check.raw("forward", "y", &y)?;
    if case.has("grad_y") {
        let upstream = case.tensor::<T>("grad_y")?;
        let grad_x = loss.backward(&x, targets, &upstream)?;
        let want = to_end(case.values("grad_x")?.clone(), axis);
        check.compare("backward", "grad_x", &want, grad_x.view());
        let (value, grad) = loss.value_and_grad(&x, targets)?;
        check.raw("value_and_grad", "y", &value)?;
        let ones = Tensor::full(upstream.shape(), T::one())?;
        check.require("value_and_grad", "another gradient", grad == loss.backward(&x, targets, &ones)?);
    }
    Ok(())
}
