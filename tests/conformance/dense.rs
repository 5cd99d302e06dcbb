//! Dense layers, flattening, and dropout without chance.

use ndarray::{Array2, ArrayD};
use striate::{Dense, Dropout, Element, Flatten, Layer, Rng, Tape, Tensor, ops};

use crate::activation;
use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;

pub fn dense<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x: Array2<T> = case.raw("x")?.into_dimensionality()?;
    let kernel: Array2<T> = case.arranged("w", "IO")?.mapv(T::of).into_dimensionality()?;
    let (bias, function) = (case.vector::<T>("b")?, activation::fused(case)?);

    let sums = ops::dense(x.view(), kernel.view(), bias.as_ref().map(|bias| bias.view()))?.into_dyn();
    let y = ops::activate(sums.view(), function)?;
    check.raw("ops", "y", &y.clone().into())?;
    let grad: Option<ArrayD<T>> = if case.has("grad_y") { Some(case.raw("grad_y")?) } else { None };
    if let Some(grad) = &grad {
        let saved = if function.saves_output() { y } else { sums };
        let grad = ops::activate_backward(grad.view(), saved.view(), function)?;
        let grad: Array2<T> = grad.into_dimensionality()?;
        check.raw("ops", "grad_x", &ops::dense_backward_input(grad.view(), kernel.view())?.into())?;
        check.arranged("ops", "grad_w", "IO", &ops::dense_backward_kernel(x.view(), grad.view())?)?;
        if bias.is_some() {
            check.raw("ops", "grad_b", &ops::dense_backward_bias(grad.view())?.into())?;
        }
    }

    let mut layer = Dense::new(kernel.ncols()).activation(function).use_bias(bias.is_some());
    let mut weights = vec![("kernel", Tensor::from(kernel))];
    let has_bias = bias.is_some();
    weights.extend(bias.map(|bias| ("bias", bias.into())));
    let grad = grad.map(Tensor::from);
    let computed = layer::run(check, &mut layer, &x.into(), weights, grad.as_ref())?;
    check_raw(check, &computed)?;
    if computed.grad_x.is_some() {
        check.arranged("layer", "grad_w", "IO", &computed.grad("kernel")?)?;
        if has_bias {
            check.raw("layer", "grad_b", &computed.grad("bias")?.into())?;
        }
    }
    Ok(())
}

/// Compares outputs and the input's gradient as they are.
fn check_raw<T: Element>(check: &mut Check<'_>, computed: &layer::Computed<T>) -> Outcome {
    for (way, y) in computed.outputs() {
        check.raw(way, "y", y)?;
    }
    match &computed.grad_x {
        Some(grad_x) => check.raw("backward", "grad_x", grad_x),
        None => Ok(()),
    }
}

/// Flattening keeps the order of elements, whatever the axes mean.
pub fn flatten<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let grad = if case.has("grad_y") { Some(case.tensor("grad_y")?) } else { None };
    let computed =
        layer::run::<T>(check, &mut Flatten::new(), &case.tensor("x")?, Vec::new(), grad.as_ref())?;
    check_raw(check, &computed)
}

/// Dropout at inference, or in training with a rate of zero: both are the identity.
pub fn dropout<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.tensor::<T>("x")?;
    check.raw("forward", "y", &Dropout::new(case.number("rate").unwrap_or(0.5)).forward(&x)?)?;
    let mut dropout = Dropout::new(0.0);
    Layer::<T>::build(&mut dropout, x.shape(), &mut Rng::seed(1))?;
    check.raw("forward_train", "y", &dropout.forward_train(x.clone(), &mut Tape::new())?)?;
    let (y, mask) = ops::dropout(x.view(), 0.0, &mut Rng::seed(1))?;
    check.raw("ops", "y", &y.into())?;
    if case.has("mask") {
        let mask = Tensor::from_vec(x.shape(), mask.into_iter().map(f64::from).collect())?;
        check.raw("ops", "mask", &mask)?;
    }
    Ok(())
}
