//! Pooling: windows, adaptive and global.

use ndarray::{Array2, Array4};
use striate::ops::{self, Divisor};
use striate::{
    AdaptiveMaxPool1D, AdaptiveMaxPool2D, AvgPool1D, AvgPool2D, Element, GlobalAvgPool1D, GlobalAvgPool2D,
    GlobalMaxPool1D, GlobalMaxPool2D, Layer, MaxPool1D, MaxPool2D,
};

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

    let Slide { kernel, strides, padding, dilation, ceil_mode, .. } = slide;
    if case.letters()? == "NWC" {
        let pool = MaxPool1D::new(kernel[1]).strides(strides[1]).padding(padding);
        return layer::run_case::<T>(case, check, &mut pool.dilation(dilation[1]).ceil_mode(ceil_mode), &[]);
    }
    let pool = MaxPool2D::new(kernel).strides(strides).padding(padding);
    layer::run_case::<T>(case, check, &mut pool.dilation(dilation).ceil_mode(ceil_mode), &[])
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

    let Slide { kernel, strides, padding, dilation, ceil_mode, .. } = slide;
    if case.letters()? == "NWC" {
        let pool = AvgPool1D::new(kernel[1]).strides(strides[1]).padding(padding).dilation(dilation[1]);
        let mut pool = pool.ceil_mode(ceil_mode).count_include_pad(include);
        if let Divisor::Fixed(divisor) = divisor {
            pool = pool.divisor_override(divisor);
        }
        return layer::run_case::<T>(case, check, &mut pool, &[]);
    }
    let pool = AvgPool2D::new(kernel).strides(strides).padding(padding).dilation(dilation);
    let mut pool = pool.ceil_mode(ceil_mode).count_include_pad(include);
    if let Divisor::Fixed(divisor) = divisor {
        pool = pool.divisor_override(divisor);
    }
    layer::run_case::<T>(case, check, &mut pool, &[])
}

pub fn adaptive_max_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (x, size) = (case.maps::<T>("x")?, case.pair("output_size", 1));
    check.maps("ops", "y", &ops::adaptive_max_pool2d(x.view(), size)?)?;
    let (_, positions) = ops::adaptive_max_pool2d_with_positions(x.view(), size)?;
    check.maps("ops", "indices", &positions.mapv(|position| position as f64))?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        let grad_x = ops::adaptive_max_pool2d_backward(grad.view(), positions.view(), x.shape())?;
        check.maps("ops", "grad_x", &grad_x)?;
    }
    match case.letters()? {
        "NWC" => layer::run_case::<T>(case, check, &mut AdaptiveMaxPool1D::new(size[1]), &[]),
        _ => layer::run_case::<T>(case, check, &mut AdaptiveMaxPool2D::new(size), &[]),
    }
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
    let keep = case.flag("keepdims");
    match case.letters()? {
        "NWC" => global_layer::<T>(case, check, &mut GlobalMaxPool1D::new().keepdims(keep)),
        _ => global_layer::<T>(case, check, &mut GlobalMaxPool2D::new().keepdims(keep)),
    }
}

pub fn global_avg_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.maps::<T>("x")?;
    check_rows(check, "ops", "y", ops::global_avg_pool2d(x.view())?)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps("ops", "grad_x", &ops::global_avg_pool2d_backward(rows(&grad)?.view(), x.shape())?)?;
    }
    let keep = case.flag("keepdims");
    match case.letters()? {
        "NWC" => global_layer::<T>(case, check, &mut GlobalAvgPool1D::new().keepdims(keep)),
        _ => global_layer::<T>(case, check, &mut GlobalAvgPool2D::new().keepdims(keep)),
    }
}

fn global_layer<T: Element>(case: &Case, check: &mut Check<'_>, pool: &mut dyn Layer<T>) -> Outcome {
    let keep = case.flag("keepdims");
    let grad = match case.optional_maps::<T>("grad_y")? {
        Some(_) if keep => case.optional_like_x("grad_y")?,
        Some(grad) => Some(rows(&grad)?.into()),
        None => None,
    };
    let computed = layer::run(check, pool, &case.like_x("x")?, Vec::new(), grad.as_ref())?;
    for (way, y) in computed.outputs() {
        check.require("keepdims", "another rank", y.ndim() == if keep { case.letters()?.len() } else { 2 });
        let (batch, channels) = (y.shape()[0], y.shape()[y.ndim() - 1]);
        check.maps(way, "y", &y.reshape(&[batch, 1, 1, channels])?.into_array())?;
    }
    match &computed.grad_x {
        Some(grad_x) => check.like_x("backward", "grad_x", grad_x),
        None => Ok(()),
    }
}
