//! Pooling: windows, adaptive pooling where the windows are regular, and global pooling.

use ndarray::{Array2, Array4};
use striate::ops::{self, Divisor};
use striate::{AvgPool2D, Element, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D, Tensor};

use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;
use crate::window::Slide;

pub fn max_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    max(case, check, Slide::of(case), case.maps::<T>("x")?)
}

fn max<T: Element>(case: &Case, check: &mut Check<'_>, slide: Slide, x: Array4<T>) -> Outcome {
    let geometry = slide.window().pool(x.shape())?;
    slide.check(check, &geometry);
    check.maps("ops", "y", &ops::max_pool2d(x.view(), &geometry)?)?;
    let (y, indices) = ops::max_pool2d_with_indices(x.view(), &geometry)?;
    check.maps("ops with indices", "y", &y)?;
    if case.has("indices") {
        check.maps("ops", "indices", &indices.positions(&geometry)?.mapv(|position| position as f64))?;
    }
    let grad = case.optional_maps::<T>("grad_y")?;
    if let Some(grad) = &grad {
        check.maps("ops", "grad_x", &ops::max_pool2d_backward(grad.view(), &indices, &geometry)?)?;
    }

    let mut pool = MaxPool2D::new(slide.kernel)
        .strides(slide.strides)
        .padding(slide.padding)
        .dilation(slide.dilation)
        .ceil_mode(slide.ceil_mode);
    let grad = grad.map(Tensor::from);
    layer::run(check, &mut pool, &x.into(), Vec::new(), grad.as_ref())?.check_maps(check)
}

pub fn avg_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    average(case, check, Slide::of(case), case.maps::<T>("x")?)
}

fn average<T: Element>(case: &Case, check: &mut Check<'_>, slide: Slide, x: Array4<T>) -> Outcome {
    let include = case.flag("count_include_pad");
    let divisor = match case.index("divisor_override") {
        Some(divisor) => Divisor::Fixed(divisor),
        None if include => Divisor::IncludePadding,
        None => Divisor::InsideInput,
    };
    let geometry = slide.window().pool(x.shape())?;
    slide.check(check, &geometry);
    check.maps("ops", "y", &ops::avg_pool2d(x.view(), divisor, &geometry)?)?;
    let grad = case.optional_maps::<T>("grad_y")?;
    if let Some(grad) = &grad {
        check.maps("ops", "grad_x", &ops::avg_pool2d_backward(grad.view(), divisor, &geometry)?)?;
    }

    let mut pool = AvgPool2D::new(slide.kernel)
        .strides(slide.strides)
        .padding(slide.padding)
        .dilation(slide.dilation)
        .ceil_mode(slide.ceil_mode)
        .count_include_pad(include);
    if let Divisor::Fixed(divisor) = divisor {
        pool = pool.divisor_override(divisor);
    }
    let grad = grad.map(Tensor::from);
    layer::run(check, &mut pool, &x.into(), Vec::new(), grad.as_ref())?.check_maps(check)
}

/// Whether adaptive pooling is pooling with windows of one size: the output divides the input.
pub fn is_regular(case: &Case) -> bool {
    let (input, output) = (&case.tensors["x"].shape[2..], case.sizes("output_size"));
    input.iter().zip(output).all(|(input, output)| input.is_multiple_of(output))
}

/// The windows of regular adaptive pooling.
fn regular(case: &Case) -> Outcome<Slide> {
    let x = case.maps::<f64>("x")?;
    let [height, width] = case.pair("output_size", 1);
    let kernel = [x.shape()[1] / height, x.shape()[2] / width];
    let mut slide = Slide::of(case);
    (slide.kernel, slide.strides) = (kernel, kernel);
    Ok(slide)
}

pub fn adaptive_max_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    max(case, check, regular(case)?, case.maps::<T>("x")?)
}

/// The rows of maps of one position.
fn rows<T: Element>(maps: &Array4<T>) -> Outcome<Array2<T>> {
    let (batch, _, _, channels) = maps.dim();
    Ok(maps.as_standard_layout().into_owned().into_shape_with_order((batch, channels))?)
}

/// Compares rows with maps of one position.
fn check_rows<T: Element>(check: &mut Check<'_>, way: &str, name: &str, got: Array2<T>) -> Outcome {
    let (batch, channels) = got.dim();
    check.maps(way, name, &got.into_shape_with_order((batch, 1, 1, channels))?)
}

pub fn global_max_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.maps::<T>("x")?;
    check_rows(check, "ops", "y", ops::global_max_pool2d(x.view())?)?;
    let (y, indices) = ops::global_max_pool2d_with_indices(x.view())?;
    check_rows(check, "ops with indices", "y", y)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        let grad_x = ops::global_max_pool2d_backward(rows(&grad)?.view(), &indices, x.shape())?;
        check.maps("ops", "grad_x", &grad_x)?;
    }
    global_layer(case, check, &mut GlobalMaxPool2D::new().keepdims(case.flag("keepdims")), x)
}

pub fn global_avg_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.maps::<T>("x")?;
    check_rows(check, "ops", "y", ops::global_avg_pool2d(x.view())?)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps("ops", "grad_x", &ops::global_avg_pool2d_backward(rows(&grad)?.view(), x.shape())?)?;
    }
    global_layer(case, check, &mut GlobalAvgPool2D::new().keepdims(case.flag("keepdims")), x)
}

fn global_layer<T: Element>(
    case: &Case,
    check: &mut Check<'_>,
    pool: &mut dyn striate::Layer<T>,
    x: Array4<T>,
) -> Outcome {
    let grad = match case.optional_maps::<T>("grad_y")? {
        Some(grad) if case.flag("keepdims") => Some(grad.into()),
        Some(grad) => Some(rows(&grad)?.into()),
        None => None,
    };
    let mut computed = layer::run(check, pool, &x.into(), Vec::new(), grad.as_ref())?;
    for y in [&mut computed.inference, &mut computed.training] {
        let wanted = if case.flag("keepdims") { 4 } else { 2 };
        check.require("keepdims", "another rank", y.ndim() == wanted);
        let (batch, channels) = (y.shape()[0], y.shape()[y.ndim() - 1]);
        *y = y.reshape(&[batch, 1, 1, channels])?;
    }
    computed.check_maps(check)
}
