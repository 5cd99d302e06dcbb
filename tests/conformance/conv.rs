//! Convolutions: plain, grouped, depthwise, separable; in one dimension (with a height of 1) or two.

use ndarray::{Array1, Array4, ArrayD};
use striate::{
    Activation, Conv1D, Conv2D, DepthwiseConv2D, Element, Geometry2d, Layer, PadMode, Padding,
    SeparableConv2D, ops,
};

use crate::activation;
use crate::check::Check;
use crate::fixtures::{Case, Outcome};
use crate::layer;
use crate::resample::pad_mode;
use crate::window::Slide;

/// A convolution with its weights.
struct Conv<T: Element> {
    slide: Slide,
    groups: usize,
    kernel: Array4<T>,
    bias: Option<Array1<T>>,
    activation: Activation,
    padding_mode: PadMode,
}

/// A convolution's gradients.
struct Grads<T> {
    x: Array4<T>,
    kernel: Array4<T>,
    bias: Array1<T>,
}

impl<T: Element> Conv<T> {
    /// The sums and what the activation makes of them.
    fn forward(&self, x: &Array4<T>, check: &mut Check<'_>) -> Outcome<[Array4<T>; 2]> {
        let zeros = self.slide.window().groups(self.groups).conv(x.shape(), self.kernel.shape())?;
        self.slide.check(check, &zeros);
        let (x, geometry) = self.padded(x)?;
        let bias = self.bias.as_ref().map(|bias| bias.view());
        let sums = ops::conv2d(x.view(), self.kernel.view(), bias, &geometry)?;
        let y = ops::activate(sums.view().into_dyn(), self.activation)?;
        Ok([sums, y.into_dimensionality()?])
    }

    /// The input as a convolution needs it that knows only zeros in the padding, and its geometry.
    fn padded(&self, x: &Array4<T>) -> Outcome<(Array4<T>, Geometry2d)> {
        let window = self.slide.window().groups(self.groups);
        if self.padding_mode == PadMode::Zeros {
            return Ok((x.clone(), window.conv(x.shape(), self.kernel.shape())?));
        }
        let x = ops::pad2d(x.view(), self.slide.explicit(), self.padding_mode)?;
        let geometry = window.padding(Padding::Valid).conv(x.shape(), self.kernel.shape())?;
        Ok((x, geometry))
    }

    fn backward(&self, x: &Array4<T>, [sums, y]: &[Array4<T>; 2], grad: &Array4<T>) -> Outcome<Grads<T>> {
        let input = x.shape();
        let (x, geometry) = self.padded(x)?;
        let saved = if self.activation.saves_output() { y } else { sums };
        let grad = grad.view().into_dyn();
        let grad: ArrayD<T> = ops::activate_backward(grad, saved.view().into_dyn(), self.activation)?;
        let grad: Array4<T> = grad.into_dimensionality()?;
        let grad_x = ops::conv2d_backward_input(grad.view(), self.kernel.view(), &geometry)?;
        Ok(Grads {
            x: match self.padding_mode {
                PadMode::Zeros => grad_x,
                mode => ops::pad2d_backward(grad_x.view(), input, self.slide.explicit(), mode)?,
            },
            kernel: ops::conv2d_backward_kernel(x.view(), grad.view(), &geometry)?,
            bias: ops::conv2d_backward_bias(grad.view())?,
        })
    }

    fn layer(&self) -> Conv2D<T> {
        Conv2D::new(self.kernel.shape()[3], self.slide.kernel)
            .strides(self.slide.strides)
            .dilation(self.slide.dilation)
            .padding(self.slide.padding)
            .padding_mode(self.padding_mode)
            .groups(self.groups)
            .activation(self.activation)
            .use_bias(self.bias.is_some())
            .accuracy(self.slide.accuracy)
    }

    /// The same for sequences.
    fn line(&self) -> Conv1D<T> {
        let Slide { kernel, strides, dilation, padding, accuracy, .. } = self.slide;
        Conv1D::new(self.kernel.shape()[3], kernel[1])
            .strides(strides[1])
            .dilation(dilation[1])
            .padding(padding)
            .padding_mode(self.padding_mode)
            .groups(self.groups)
            .activation(self.activation)
            .use_bias(self.bias.is_some())
            .accuracy(accuracy)
    }

    /// The same where every channel has its own filters.
    fn depthwise(&self, case: &Case) -> DepthwiseConv2D<T> {
        DepthwiseConv2D::new(self.slide.kernel)
            .strides(self.slide.strides)
            .dilation(self.slide.dilation)
            .padding(self.slide.padding)
            .depth_multiplier(multiplier(case))
            .activation(self.activation)
            .use_bias(self.bias.is_some())
    }
}

/// Filters of each channel of a depthwise convolution.
fn multiplier(case: &Case) -> usize {
    case.index("depth_multiplier").unwrap_or(1)
}

fn kernel<T: Element>(case: &Case, name: &str) -> Outcome<Array4<T>> {
    Ok(case.arranged(name, "HWIO")?.mapv(T::of).into_dimensionality()?)
}

/// Every convolution with one kernel.
pub fn conv<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.maps::<T>("x")?;
    let groups = match case.op.as_str() {
        "depthwise_conv2d" => x.shape()[3],
        _ => case.index("groups").unwrap_or(1),
    };
    let (kernel, bias) = (kernel(case, "w")?, case.vector("b")?);
    let padding_mode = pad_mode(case)?;
    let activation = activation::fused(case)?;
    let conv = Conv { slide: Slide::of(case), groups, kernel, bias, activation, padding_mode };

    let outputs = conv.forward(&x, check)?;
    check.maps("ops", "y", &outputs[1])?;
    let grad = case.optional_maps::<T>("grad_y")?;
    if let Some(grad) = &grad {
        let grads = conv.backward(&x, &outputs, grad)?;
        check.maps("ops", "grad_x", &grads.x)?;
        check.arranged("ops", "grad_w", "HWIO", &grads.kernel)?;
        if conv.bias.is_some() {
            check.raw("ops", "grad_b", &grads.bias.into())?;
        }
    }

    let bias = conv.bias.is_some().then_some(("bias", "b", "O"));
    let (mut layer, kernel): (Box<dyn Layer<T>>, _) = match case.op.as_str() {
        "conv1d" => (Box::new(conv.line()), ("kernel", "w", "WIO")),
        "depthwise_conv2d" => (Box::new(conv.depthwise(case)), ("depthwise_kernel", "w", "HWIM")),
        _ => (Box::new(conv.layer()), ("kernel", "w", "HWIO")),
    };
    let weights: Vec<_> = std::iter::once(kernel).chain(bias).collect();
    layer::run_case(case, check, &mut *layer, &weights)
}

/// A depthwise convolution, and a 1x1 convolution of what it gives.
pub fn separable<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let x = case.maps::<T>("x")?;
    let (linear, padding_mode) = (Activation::Linear, PadMode::Zeros);
    let (slide, groups) = (Slide::of(case), x.shape()[3]);
    let depthwise = Conv {
        slide,
        groups,
        kernel: kernel(case, "w_depthwise")?,
        bias: None,
        activation: linear,
        padding_mode,
    };
    let mut point = case.clone();
    point.attrs.clear();
    let pointwise = Conv {
        slide: Slide::of(&point),
        groups: 1,
        kernel: kernel(case, "w_pointwise")?,
        bias: case.vector("b")?,
        activation: activation::fused(case)?,
        padding_mode,
    };

    let between = depthwise.forward(&x, check)?;
    let outputs = pointwise.forward(&between[1], check)?;
    check.maps("ops", "y", &outputs[1])?;
    let grad = case.maps::<T>("grad_y")?;
    let last = pointwise.backward(&between[1], &outputs, &grad)?;
    let first = depthwise.backward(&x, &between, &last.x)?;
    check.maps("ops", "grad_x", &first.x)?;
    check.arranged("ops", "grad_w_depthwise", "HWIO", &first.kernel)?;
    check.arranged("ops", "grad_w_pointwise", "HWIO", &last.kernel)?;
    let has_bias = pointwise.bias.is_some();
    if has_bias {
        check.raw("ops", "grad_b", &last.bias.into())?;
    }

    let Slide { kernel, strides, dilation, padding, .. } = depthwise.slide;
    let mut layer = SeparableConv2D::<T>::new(pointwise.kernel.shape()[3], kernel)
        .strides(strides)
        .dilation(dilation)
        .padding(padding)
        .depth_multiplier(multiplier(case))
        .accuracy(depthwise.slide.accuracy)
        .activation(pointwise.activation)
        .use_bias(has_bias);
    let kernels = [("depthwise_kernel", "w_depthwise", "HWIM"), ("pointwise_kernel", "w_pointwise", "HWIO")];
    let weights: Vec<_> = kernels.into_iter().chain(has_bias.then_some(("bias", "b", "O"))).collect();
    layer::run_case(case, check, &mut layer, &weights)
}
