//! Transposed convolutions, in one dimension (with a height of 1) or two.

use ndarray::{Array1, Array4, ArrayD};
use striate::{Conv1DTranspose, Conv2DTranspose, Element, Layer, ops};

use crate::activation;
use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;
use crate::window::Slide;

pub fn conv<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let slide = Slide::of(case);
    let (groups, function) = (case.index("groups").unwrap_or(1), activation::fused(case)?);
    let extra = case.attr("output_padding").map(|_| case.pair("output_padding", 0));
    let x = case.maps::<T>("x")?;
    let kernel: Array4<T> = case.arranged("w", "HWOI")?.mapv(T::of).into_dimensionality()?;
    let bias: Option<Array1<T>> = case.vector("b")?;

    let window = slide.window().groups(groups);
    let geometry = window.conv_transpose(x.shape(), kernel.shape(), extra)?;
    let bias_view = bias.as_ref().map(|bias| bias.view());
    let sums = ops::conv2d_transpose(x.view(), kernel.view(), bias_view, &geometry)?.into_dyn();
    let y: ArrayD<T> = ops::activate(sums.view(), function)?;
    check.maps("ops", "y", &y)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        let saved = if function.saves_output() { y } else { sums };
        let grad = ops::activate_backward(grad.view().into_dyn(), saved.view(), function)?;
        let grad: Array4<T> = grad.into_dimensionality()?;
        let grad_x = ops::conv2d_transpose_backward_input(grad.view(), kernel.view(), &geometry)?;
        check.maps("ops", "grad_x", &grad_x)?;
        let grad_w = ops::conv2d_transpose_backward_kernel(x.view(), grad.view(), &geometry)?;
        check.arranged("ops", "grad_w", "HWOI", &grad_w)?;
        if bias.is_some() {
            check.raw("ops", "grad_b", &ops::conv2d_backward_bias(grad.view())?.into())?;
        }
    }

    let filters = kernel.shape()[2] * groups;
    let Slide { kernel, strides, dilation, padding, accuracy, .. } = slide;
    let (mut layer, axes): (Box<dyn Layer<T>>, _) = match case.letters()? {
        "NWC" => {
            let conv = Conv1DTranspose::new(filters, kernel[1]).strides(strides[1]).dilation(dilation[1]);
            let conv = conv.padding(padding).groups(groups).activation(function).accuracy(accuracy);
            let conv = extra.map_or(conv.clone(), |extra| conv.output_padding(extra[1]));
            (Box::new(conv.use_bias(bias.is_some())), "WOI")
        }
        _ => {
            let conv = Conv2DTranspose::new(filters, kernel).strides(strides).dilation(dilation);
            let conv = conv.padding(padding).groups(groups).activation(function).accuracy(accuracy);
            let conv = extra.map_or(conv.clone(), |extra| conv.output_padding(extra));
            (Box::new(conv.use_bias(bias.is_some())), "HWOI")
        }
    };
    let bias = bias.is_some().then_some(("bias", "b", "O"));
    let weights: Vec<_> = std::iter::once(("kernel", "w", axes)).chain(bias).collect();
    layer::run_case(case, check, &mut *layer, &weights)
}
