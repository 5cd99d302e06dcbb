//! Layers and operations with few cases: other kinds of pooling, rectifiers with weights, depth as space, and sums, products
//! and concatenations of arrays.

use ndarray::{Array4, ArrayD, Axis};
use striate::ops::{self, BlockOrder};
use striate::{
    DepthToSpace, Element, Interpolation, Join, Layer, LpPool1D, LpPool2D, PReLU, Parallel, Result,
    SpaceToDepth, Tape, Tensor,
};

use crate::activation::to_end;
use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;
use crate::window::Slide;

pub fn lp_pool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (slide, x) = (Slide::of(case), case.maps::<T>("x")?);
    let p = case.number("p").ok_or("no p")?;
    let geometry = slide.window().pool(x.shape())?;
    let y = ops::lp_pool2d(x.view(), p, &geometry)?;
    check.maps("ops", "y", &y)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps(
            "ops",
            "grad_x",
            &ops::lp_pool2d_backward(grad.view(), x.view(), y.view(), p, &geometry)?,
        )?;
    }
    let Slide { kernel, strides, padding, dilation, ceil_mode, .. } = slide;
    if case.letters()? == "NWC" {
        let pool = LpPool1D::new(p, kernel[1]).strides(strides[1]).padding(padding);
        return layer::run_case::<T>(case, check, &mut pool.dilation(dilation[1]).ceil_mode(ceil_mode), &[]);
    }
    let pool = LpPool2D::new(p, kernel).strides(strides).padding(padding);
    layer::run_case::<T>(case, check, &mut pool.dilation(dilation).ceil_mode(ceil_mode), &[])
}

pub fn max_unpool<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.maps::<T>("x")?;
    let positions: Array4<f64> = case.arranged("indices_in", "NHWC")?.into_dimensionality()?;
    let positions = positions.mapv(|position| position as usize);
    check.maps("ops", "y", &ops::max_unpool2d(x.view(), positions.view(), case.pair("output_size", 1))?)?;
    if let Some(grad) = case.optional_maps::<T>("grad_y")? {
        check.maps("ops", "grad_x", &ops::max_unpool2d_backward(grad.view(), positions.view())?)?;
    }
    Ok(())
}

/// With one slope, one for each channel, or one for every element.
pub fn prelu<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let slopes = case.values("w")?.ndim();
    let axes = &case.letters()?[1..];
    let (mut prelu, axes) = match case.values("w")?.len() {
        1 => (PReLU::<T>::new().single(), "O"),
        _ if slopes == 1 => (PReLU::new().per_channel(), "O"),
        _ => (PReLU::new(), axes),
    };
    let (x, alpha) = (case.like_x::<T>("x")?, Tensor::from(case.arranged("w", axes)?.mapv(T::of)));
    let y = ops::prelu(x.view(), alpha.view())?;
    check.like_x("ops", "y", &y.into())?;
    layer::run_case(case, check, &mut prelu, &[("alpha", "w", axes)])
}

pub fn depth_to_space<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let order = match case.text("mode") {
        Some("DCR") | None => BlockOrder::ChannelsLast,
        Some(_) => BlockOrder::ChannelsFirst,
    };
    let block = case.index("blocksize").ok_or("no block")?;
    if case.op == "space_to_depth" {
        return layer::run_case::<T>(case, check, &mut SpaceToDepth::new(block).order(order), &[]);
    }
    layer::run_case::<T>(case, check, &mut DepthToSpace::new(block).order(order), &[])
}

/// To the size that the case's output has.
pub fn resize<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (x, y) = (case.maps::<T>("x")?, case.maps::<T>("y")?);
    let how = match case.text("mode") {
        Some("linear") => Interpolation::BilinearAligned,
        _ => Interpolation::Nearest,
    };
    check.maps("ops", "y", &ops::resize2d(x.view(), [y.shape()[1], y.shape()[2]], how)?)
}

/// A layer that gives this array, whatever it is given.
#[derive(Debug)]
struct Given<T: Element>(Tensor<T>);

impl<T: Element> Layer<T> for Given<T> {
    fn kind(&self) -> &'static str {
        "Given"
    }
    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(self.0.shape().to_vec())
    }
    fn forward(&self, _: &Tensor<T>) -> Result<Tensor<T>> {
        Ok(self.0.clone())
    }
    fn forward_train(&mut self, x: Tensor<T>, _: &mut Tape<T>) -> Result<Tensor<T>> {
        self.forward(&x)
    }
    fn backward(&mut self, grad: Tensor<T>, _: &mut Tape<T>) -> Result<Tensor<T>> {
        Ok(grad)
    }
}

/// Arrays joined by a container: its branches give them.
pub fn join<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let (join, output) = match case.op.as_str() {
        "Add" => (Join::Add, "C"),
        "Sum" => (Join::Add, "sum"),
        "Mul" => (Join::Multiply, "C"),
        _ => (Join::Concat, "concat_result"),
    };
    let rank = case.values(output)?.ndim();
    let axis = case.attr("axis").and_then(serde_json::Value::as_i64).filter(|_| join == Join::Concat);
    let axis = axis.unwrap_or(-1).rem_euclid(rank as i64) as usize;
    let mut branches = Parallel::<T>::new(join);
    for name in case.tensors.keys().filter(|name| *name != output) {
        let mut array: ArrayD<T> = case.raw(name)?;
        while array.ndim() < rank {
            array = array.insert_axis(Axis(0));
        }
        branches = branches.with(Given(to_end(array, axis).into()));
    }
    let y = branches.forward(&Tensor::default())?;
    check.compare("forward", output, &to_end(case.values(output)?.clone(), axis), y.view());
    Ok(())
}

/// To the shape of the output, whatever the way in which the case writes it.
pub fn reshape<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let shape = case.values("reshaped")?.shape();
    check.raw("Tensor", "reshaped", &case.tensor::<T>("data")?.reshape(shape)?)
}

/// Channels first to channels last.
pub fn transpose<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    check.raw("Tensor", "transposed", &case.tensor::<T>("data")?.to_channels_last()?)
}
