//! Convolution and pooling in three dimensions.

use ndarray::{Array1, Array5, ArrayView2};
use striate::ops::{self, Divisor};
use striate::{AvgPool3D, Conv3D, Conv3DTranspose, Element, MaxPool3D, Padding, Padding3d, Tensor, Window3d};

use crate::activation;
use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;
use crate::window::Slide;

fn padding(case: &Case) -> Padding3d {
    let (begin, end) = (case.triple("pads_begin", 0), case.triple("pads_end", 0));
    match case.text("padding") {
        Some("same") => Padding::Same.into(),
        Some("valid") => Padding::Valid.into(),
        _ => Padding3d::explicit((begin[0], end[0]), (begin[1], end[1]), (begin[2], end[2])),
    }
}

fn window(case: &Case) -> Window3d {
    Window3d::new(case.triple("kernel", 1))
        .strides(case.triple("strides", 1))
        .dilation(case.triple("dilations", 1))
        .padding(padding(case))
        .ceil_mode(case.flag("ceil_mode"))
        .accuracy(Slide::of(case).accuracy)
}

fn volumes<T: Element>(case: &Case, name: &str) -> Outcome<Array5<T>> {
    Ok(case.arranged(name, "NDHWC")?.mapv(T::of).into_dimensionality()?)
}

pub fn conv<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let groups = case.index("groups").unwrap_or(1);
    let (window, x) = (window(case).groups(groups), volumes::<T>(case, "x")?);
    let kernel: Array5<T> = case.arranged("w", "DHWIO")?.mapv(T::of).into_dimensionality()?;
    let bias: Option<Array1<T>> = case.vector("b")?;
    let function = activation::fused(case)?;

    let bias_view = bias.as_ref().map(|bias| bias.view());
    let sums = ops::conv3d(x.view(), kernel.view(), bias_view, &window)?.into_dyn();
    let y = ops::activate(sums.view(), function)?;
    check.arranged("ops", "y", "NDHWC", &y)?;
    if case.has("grad_y") {
        let grad = volumes::<T>(case, "grad_y")?.into_dyn();
        let saved = if function.saves_output() { y } else { sums };
        let grad: Array5<T> =
            ops::activate_backward(grad.view(), saved.view(), function)?.into_dimensionality()?;
        let grad_x = ops::conv3d_backward_input(grad.view(), kernel.view(), x.shape(), &window)?;
        check.arranged("ops", "grad_x", "NDHWC", &grad_x)?;
        let grad_w = ops::conv3d_backward_kernel(x.view(), grad.view(), kernel.shape(), &window)?;
        check.arranged("ops", "grad_w", "DHWIO", &grad_w)?;
        if bias.is_some() {
            let filters = grad.shape()[4];
            let flat = Tensor::from(grad);
            let flat: ArrayView2<'_, T> =
                flat.view().into_shape_with_order((flat.len() / filters, filters))?;
            check.raw("ops", "grad_b", &ops::dense_backward_bias(flat)?.into())?;
        }
    }

    let mut layer = Conv3D::<T>::new(kernel.shape()[4], case.triple("kernel", 1))
        .strides(case.triple("strides", 1))
        .dilation(case.triple("dilations", 1))
        .padding(padding(case))
        .groups(groups)
        .accuracy(Slide::of(case).accuracy)
        .activation(function)
        .use_bias(bias.is_some());
    let bias = bias.is_some().then_some(("bias", "b", "O"));
    let weights: Vec<_> = std::iter::once(("kernel", "w", "DHWIO")).chain(bias).collect();
    layer::run_case(case, check, &mut layer, &weights)
}

pub fn conv_transpose<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let extra = case.attr("output_padding").map(|_| case.triple("output_padding", 0));
    let groups = case.index("groups").unwrap_or(1);
    let (window, x) = (window(case).groups(groups), volumes::<T>(case, "x")?);
    let kernel: Array5<T> = case.arranged("w", "DHWOI")?.mapv(T::of).into_dimensionality()?;
    let bias: Option<Array1<T>> = case.vector("b")?;
    let bias_view = bias.as_ref().map(|bias| bias.view());
    let y = ops::conv3d_transpose(x.view(), kernel.view(), bias_view, &window, extra)?;
    check.arranged("ops", "y", "NDHWC", &y)?;
    if case.has("grad_y") {
        let grad = volumes::<T>(case, "grad_y")?;
        let (grad, shape) = (grad.view(), x.shape());
        let grad_x = ops::conv3d_transpose_backward_input(grad, kernel.view(), shape, &window, extra)?;
        check.arranged("ops", "grad_x", "NDHWC", &grad_x)?;
        let grad_w = ops::conv3d_transpose_backward_kernel(x.view(), grad, kernel.shape(), &window, extra)?;
        check.arranged("ops", "grad_w", "DHWOI", &grad_w)?;
    }
    let layer = Conv3DTranspose::<T>::new(kernel.shape()[3] * groups, case.triple("kernel", 1))
        .strides(case.triple("strides", 1))
        .dilation(case.triple("dilations", 1))
        .padding(padding(case))
        .groups(groups)
        .activation(activation::fused(case)?)
        .use_bias(bias.is_some());
    let mut layer = extra.map_or(layer.clone(), |extra| layer.output_padding(extra));
    let bias = bias.is_some().then_some(("bias", "b", "O"));
    let weights: Vec<_> = std::iter::once(("kernel", "w", "DHWOI")).chain(bias).collect();
    layer::run_case(case, check, &mut layer, &weights)
}

pub fn max_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (window, x) = (window(case), volumes::<T>(case, "x")?);
    check.arranged("ops", "y", "NDHWC", &ops::max_pool3d(x.view(), &window)?)?;
    let (y, indices) = ops::max_pool3d_with_indices(x.view(), &window)?;
    check.arranged("ops with indices", "y", "NDHWC", &y)?;
    if case.has("indices") {
        let positions = indices.positions(x.shape(), &window)?;
        check.arranged("ops", "indices", "NDHWC", &positions.mapv(|position| position as f64))?;
    }
    if case.has("grad_y") {
        let grad = volumes::<T>(case, "grad_y")?;
        let grad_x = ops::max_pool3d_backward(grad.view(), &indices, x.shape(), &window)?;
        check.arranged("ops", "grad_x", "NDHWC", &grad_x)?;
    }
    let mut pool = MaxPool3D::new(case.triple("kernel", 1))
        .strides(case.triple("strides", 1))
        .dilation(case.triple("dilations", 1))
        .padding(padding(case))
        .ceil_mode(case.flag("ceil_mode"));
    layer::run_case::<T>(case, check, &mut pool, &[])
}

pub fn avg_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (window, x) = (window(case), volumes::<T>(case, "x")?);
    let include = case.flag("count_include_pad");
    let divisor = match case.index("divisor_override") {
        Some(divisor) => Divisor::Fixed(divisor),
        None if include => Divisor::IncludePadding,
        None => Divisor::InsideInput,
    };
    check.arranged("ops", "y", "NDHWC", &ops::avg_pool3d(x.view(), divisor, &window)?)?;
    if case.has("grad_y") {
        let grad = volumes::<T>(case, "grad_y")?;
        let grad_x = ops::avg_pool3d_backward(grad.view(), divisor, x.shape(), &window)?;
        check.arranged("ops", "grad_x", "NDHWC", &grad_x)?;
    }
    let mut pool = AvgPool3D::new(case.triple("kernel", 1))
        .strides(case.triple("strides", 1))
        .dilation(case.triple("dilations", 1))
        .padding(padding(case))
        .ceil_mode(case.flag("ceil_mode"))
        .count_include_pad(include);
    if let Divisor::Fixed(divisor) = divisor {
        pool = pool.divisor_override(divisor);
    }
    layer::run_case::<T>(case, check, &mut pool, &[])
}
