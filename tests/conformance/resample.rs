//! Padding, enlarging and uneven averages of feature maps.

use striate::{
    AdaptiveAvgPool1D, AdaptiveAvgPool2D, Element, Interpolation, Pad2D, PadMode, Padding, UpSample2D, ops,
};

use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;

/// What stands in the padding of a case.
pub fn pad_mode(case: &Case) -> Outcome<PadMode> {
    Ok(match case.text("pad_mode") {
        None | Some("zeros") => PadMode::Zeros,
        Some("constant") => PadMode::Constant(case.number("value").unwrap_or(0.0)),
        Some("reflect") => PadMode::Reflect,
        Some("replicate") => PadMode::Replicate,
        Some("circular") => PadMode::Circular,
        Some(other) => return Err(format!("no padding mode {other}").into()),
    })
}

pub fn pad<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let [[top, left], [bottom, right]] = [case.pair("pads_begin", 0), case.pair("pads_end", 0)];
    let (padding, mode) = (Padding::Explicit { top, bottom, left, right }, pad_mode(case)?);
    let x = case.maps::<T>("x")?;
    check.maps("ops", "y", &ops::pad2d(x.view(), padding, mode)?)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps("ops", "grad_x", &ops::pad2d_backward(grad.view(), x.shape(), padding, mode)?)?;
    }
    layer::run_case::<T>(case, check, &mut Pad2D::new(padding).mode(mode), &[])
}

pub fn upsample<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let interpolation = match (case.text("mode"), case.flag("align_corners")) {
        (Some("nearest"), _) => Interpolation::Nearest,
        (Some("bilinear"), false) => Interpolation::Bilinear,
        (Some("bilinear"), true) => Interpolation::BilinearAligned,
        (other, _) => return Err(format!("no interpolation {other:?}").into()),
    };
    let (x, scale) = (case.maps::<T>("x")?, case.pair("scale", 1));
    let size = [x.shape()[1] * scale[0], x.shape()[2] * scale[1]];
    check.maps("ops", "y", &ops::resize2d(x.view(), size, interpolation)?)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps("ops", "grad_x", &ops::resize2d_backward(grad.view(), x.shape(), interpolation)?)?;
    }
    layer::run_case::<T>(case, check, &mut UpSample2D::new(scale).interpolation(interpolation), &[])
}

pub fn adaptive_average<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (x, size) = (case.maps::<T>("x")?, case.pair("output_size", 1));
    check.maps("ops", "y", &ops::adaptive_avg_pool2d(x.view(), size)?)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps("ops", "grad_x", &ops::adaptive_avg_pool2d_backward(grad.view(), x.shape())?)?;
    }
    match size {
        [1, length] if case.letters()? == "NWC" => {
            layer::run_case::<T>(case, check, &mut AdaptiveAvgPool1D::new(length), &[])
        }
        size => layer::run_case::<T>(case, check, &mut AdaptiveAvgPool2D::new(size), &[]),
    }
}
