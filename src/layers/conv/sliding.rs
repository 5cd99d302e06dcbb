//! What all convolution layers are, but for the transposed ones.

use std::sync::OnceLock;

use super::finish::Finish;
use crate::geometry::maps;
use crate::kernels::conv::{PooledStrips, PreparedKernel};
use crate::layer::{Saved, Step, Tape, add_to_output};
use crate::layers::weights::{Filters, Spec, Weights, delegate_to_weights};
use crate::memory::{len_of, unwritten};
use crate::ops::{self, check_shape, conv_backward_weights, stacked_kernel, to_array, unstacked_kernel};
use crate::{
    Activation, Cost, Element, Error, Geometry2d, Layer, PadMode, Padding, Plan, Reach, Result, Size2d,
    Tensor, Window2d,
};

/// The axes of the parameter that a kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layers) enum Axes {
    /// `[kh, kw, channels / groups, filters]`.
    Plane,
    /// `[kw, channels / groups, filters]`: one row.
    Row,
    /// `[kh, kw, channels, multiplier]`: as many groups as channels.
    Depthwise,
    /// `[kd, kh, kw, channels / groups, filters]`, where the planes are stacked to channels.
    Volume,
}

impl Axes {
    /// The parameter's shape for the geometry's kernel, which `kd` planes are stacked in.
    pub(super) fn shape(self, geometry: &Geometry2d, kd: usize) -> Vec<usize> {
        let [kh, kw, inputs, filters] = geometry.kernel_shape();
        match self {
            Axes::Plane => vec![kh, kw, inputs, filters],
            Axes::Row => vec![kw, inputs, filters],
            Axes::Depthwise => vec![kh, kw, geometry.groups(), filters / geometry.groups()],
            Axes::Volume => vec![kd, kh, kw, inputs / kd.max(1), filters],
        }
    }

    /// `[kh, kw, channels / groups, filters]` of a parameter of that shape.
    pub(super) fn kernel(self, kind: &'static str, shape: &[usize]) -> Result<[usize; 4]> {
        match (self, shape) {
            (Axes::Plane, &[kh, kw, inputs, filters]) => Ok([kh, kw, inputs, filters]),
            (Axes::Row, &[kw, inputs, filters]) => Ok([1, kw, inputs, filters]),
            (Axes::Depthwise, &[kh, kw, channels, multiplier]) => {
                Ok([kh, kw, 1, len_of(kind, &[channels, multiplier])?])
            }
            (Axes::Volume, &[kd, kh, kw, inputs, filters]) => {
                Ok([kh, kw, len_of(kind, &[kd, inputs])?, filters])
            }
            _ => Err(Error::shape(kind, format_args!("a kernel with the axes of {self:?}"), shape)),
        }
    }
}

/// A convolution layer under any name, over maps.
#[derive(Clone, Debug)]
pub(in crate::layers) struct Convolution<T: Element> {
    kind: &'static str,
    axes: Axes,
    /// The kernel's name.
    name: &'static str,
    /// Filters; of a depthwise convolution, those of each channel.
    pub(super) filters: usize,
    pub(super) window: Window2d,
    /// Planes that are stacked to channels.
    pub(super) planes: usize,
    pub(super) padding_mode: PadMode,
    pub(super) finish: Finish,
    weights: Weights<T, Prepared<T>>,
}

/// What comes after the sums of a convolution.
struct After<'a, T: Element> {
    /// What is added to the outputs.
    residual: Option<&'a Tensor<T>>,
    activation: Activation,
    /// Whether the weights will change.
    use_once: bool,
}

/// What inference prepares.
#[derive(Clone, Debug, Default)]
struct Prepared<T: Element> {
    packed: PreparedKernel<T>,
    /// The kernel with its planes stacked, where there are any.
    stacked: OnceLock<Vec<T>>,
}

impl<T: Element> Convolution<T> {
    pub(super) fn new(
        (kind, axes, name): (&'static str, Axes, &'static str),
        filters: usize,
        kernel_size: impl Into<Size2d>,
    ) -> Self {
        Convolution {
            kind,
            axes,
            name,
            filters,
            window: Window2d::new(kernel_size),
            planes: 1,
            padding_mode: PadMode::Zeros,
            finish: Finish::default(),
            weights: Weights::none(kind),
        }
    }

    /// Changes the window; the kernel's shape must stay.
    pub(super) fn slide(&mut self, change: impl FnOnce(Window2d) -> Window2d) {
        self.window = change(self.window);
    }

    pub(super) fn clear(&mut self) {
        self.weights.clear();
    }

    /// The window over an input of this shape, and the shape of the kernel that the options ask for.
    fn wanted(&self, input: &[usize]) -> Result<(Window2d, [usize; 4])> {
        let [.., channels] = maps(self.kind, input)?;
        self.finish.activation.check::<T>()?;
        let (window, filters) = match self.axes {
            Axes::Depthwise => (self.window.groups(channels), len_of(self.kind, &[channels, self.filters])?),
            _ => (self.window, self.filters),
        };
        window.check_groups(self.kind, channels, filters)?;
        let [kh, kw] = window.kernel_size();
        Ok((window, [kh, kw, channels / window.group_count(), filters]))
    }

    /// The geometry over an input of this shape, which fits its own kernel's.
    pub(super) fn geometry(&self, input: &[usize]) -> Result<Geometry2d> {
        let (window, kernel) = self.wanted(input)?;
        let geometry = window.conv(input, &kernel)?;
        self.padded(&geometry)?;
        Ok(geometry)
    }

    /// How the layer would compute an input of this shape.
    pub(super) fn plan(&self, input: &[usize]) -> Result<Plan> {
        let (window, kernel) = self.wanted(input)?;
        Ok(Plan::new::<T>(&self.computed(window, input, &kernel)?.0))
    }

    /// How to pad the input before the convolution, and its shape then: where the padding is not of zeros.
    fn padded(&self, geometry: &Geometry2d) -> Result<Option<(Padding, [usize; 4])>> {
        if self.padding_mode == PadMode::Zeros {
            return Ok(None);
        }
        let padding = ops::explicit_padding(geometry);
        let shape = ops::padded_shape(self.kind, &geometry.input_shape(), padding, self.padding_mode)?;
        Ok(Some((padding, shape)))
    }

    /// Bytes of the input, or of the padded input and the input's shape.
    fn saved_bytes(&self, input: &[usize], geometry: &Geometry2d) -> Result<usize> {
        let bytes = |shape: &[usize]| Ok(len_of(self.kind, shape)?.saturating_mul(size_of::<T>()));
        match self.padded(geometry)? {
            Some((_, padded)) => Ok(bytes(&padded)?.saturating_add(size_of_val(input))),
            None => bytes(input),
        }
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        let geometry = self.geometry(input)?;
        let kernel = self.axes.shape(&geometry, self.planes);
        Ok(self.finish.specs(self.name, &kernel, geometry.output_shape()[3]))
    }

    /// The geometry with the layer's own kernel, over padded maps unless the padding is of zeros; and how to pad them.
    fn own_geometry(&self, input: &[usize]) -> Result<(Geometry2d, Option<Padding>)> {
        self.weights.check()?;
        let kernel = self.axes.kernel(self.kind, self.weights.value(self.name)?.shape())?;
        let window = match self.axes {
            Axes::Depthwise => self.window.groups(kernel[3] / self.filters.max(1)),
            _ => self.window,
        };
        self.computed(window, input, &kernel)
    }

    /// The geometry that is computed with a kernel of that shape, and how to pad the input before.
    fn computed(
        &self,
        window: Window2d,
        input: &[usize],
        kernel: &[usize; 4],
    ) -> Result<(Geometry2d, Option<Padding>)> {
        let geometry = window.conv(input, kernel)?;
        match self.padded(&geometry)? {
            Some((padding, padded)) => {
                Ok((window.padding(Padding::Valid).conv(&padded, kernel)?, Some(padding)))
            }
            None => Ok((geometry, None)),
        }
    }

    /// Fails if the layer cannot take maps of this shape, before anything is computed.
    pub(super) fn check(&self, input: &[usize]) -> Result<()> {
        self.geometry(input)?;
        self.own_geometry(input).map(drop)
    }

    /// The kernel's elements as the convolution reads them.
    fn kernel(&self) -> Result<&[T]> {
        let kernel = self.weights.value(self.name)?;
        match self.axes {
            Axes::Volume => {
                let volume = kernel.view5()?;
                Ok(self.weights.prepared().stacked.get_or_init(|| stacked_kernel(volume)))
            }
            _ => Ok(kernel.as_slice()),
        }
    }

    /// The convolution with the layer's weights, which will change after it if they are to be used once, to `out`, through
    /// what comes `after` it; returns the padded input, if it had to be padded before.
    fn convolve(
        &self,
        x: &Tensor<T>,
        After { residual, activation, use_once }: After<'_, T>,
        out: &mut Tensor<T>,
    ) -> Result<Option<Tensor<T>>> {
        let (geometry, padding) = self.own_geometry(x.shape())?;
        if let Some(residual) = residual {
            check_shape(self.kind, "a summand", residual.shape(), &geometry.output_shape())?;
        }
        let pad = |padding| Ok(ops::pad2d(x.view4()?, padding, self.padding_mode)?.into());
        let padded: Option<Tensor<T>> = padding.map(pad).transpose()?;
        let out = out.unwritten(self.kind, &geometry.output_shape())?;
        let x = padded.as_ref().unwrap_or(x).as_slice();
        let (kernel, residual) = (self.kernel()?, residual.map(Tensor::as_slice));
        self.weights.with_epilogue((residual, activation), geometry.out_channels, |after| {
            if use_once {
                T::conv_forward_once(x, kernel, &geometry, after, out);
            } else {
                T::conv_forward(x, (kernel, &self.weights.prepared().packed), &geometry, after, out);
            }
        });
        Ok(padded)
    }

    /// Adds up the gradients of the weights; returns what the input's gradient follows from: the gradient before the
    /// activation, the geometry, and the input's shape with its padding, if it was padded before.
    fn backward_weights(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Backward<T>> {
        let kind = self.kind;
        let grad = self.finish.activation.backward(grad, tape)?;
        let x = tape.pop_tensor(kind)?;
        let (geometry, padded) = match self.padding_mode {
            PadMode::Zeros => (self.own_geometry(x.shape())?.0, None),
            _ => {
                let input = tape.pop_shape(kind)?;
                let (geometry, padding) = self.own_geometry(&input)?;
                check_shape(kind, "a padded input", x.shape(), &geometry.input_shape())?;
                (geometry, padding.map(|padding| (input, padding)))
            }
        };
        check_shape(kind, "an output gradient", grad.shape(), &geometry.output_shape())?;
        self.weights.release_cleared();
        let has_bias = self.weights.bias().is_some();
        let operands = (x.as_slice(), grad.as_slice());
        let (kernel_grad, bias_grad) = conv_backward_weights(kind, operands, &geometry, has_bias)?;
        let shape = self.weights.value(self.name)?.shape().to_vec();
        let axes = self.axes;
        self.weights.add_grad(self.name, || match axes {
            Axes::Volume => {
                let stacked = to_array(kind, geometry.kernel_shape(), kernel_grad)?;
                Ok(unstacked_kernel(kind, stacked, &shape)?.into())
            }
            _ => Tensor::from_buffer(&shape, kernel_grad),
        })?;
        if let Some(bias_grad) = bias_grad {
            self.weights.add_grad("bias", || Tensor::from_buffer(&[bias_grad.len()], bias_grad))?;
        }
        Ok((grad, geometry, padded))
    }
}

/// What the input's gradient follows from.
type Backward<T> = (Tensor<T>, Geometry2d, Option<(Vec<usize>, Padding)>);

impl<T: Element> Layer<T> for Convolution<T> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let mut out = Tensor::default();
        self.forward_into(x, &mut out)?;
        Ok(out)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        let after = After { residual: None, activation: self.finish.activation, use_once: false };
        self.convolve(x, after, out).map(drop)
    }

    fn forward_add(
        &self,
        x: &Tensor<T>,
        (residual, activation): (&Tensor<T>, Activation),
        out: &mut Tensor<T>,
    ) -> Result<()> {
        if self.finish.activation != Activation::Linear {
            return add_to_output(self, x, (residual, activation), out);
        }
        activation.check::<T>()?;
        let after = After { residual: Some(residual), activation, use_once: false };
        self.convolve(x, after, out).map(drop)
    }

    fn forward_pooled(&self, x: &Tensor<T>, window: &Window2d, out: &mut Tensor<T>) -> Result<bool> {
        let (geometry, padding) = self.own_geometry(x.shape())?;
        let Ok(pool) = window.pool(&geometry.output_shape()) else { return Ok(false) };
        let strips = PooledStrips::new::<T>(&geometry, &pool).filter(|_| padding.is_none());
        let Some(strips) = strips else { return Ok(false) };
        let kernel = (self.kernel()?, &self.weights.prepared().packed);
        let out = out.unwritten(self.kind, &pool.output_shape())?;
        self.weights.with_epilogue((None, self.finish.activation), geometry.out_channels, |after| {
            T::conv_forward_pooled(x.as_slice(), kernel, &strips, after, out);
        });
        Ok(true)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (mut y, mut activation) = (Tensor::default(), self.finish.activation);
        // What the gradient follows from need not be there before the activation.
        let at_once = if activation.saves_output() { activation } else { Activation::Linear };
        match self.convolve(&x, After { residual: None, activation: at_once, use_once: true }, &mut y)? {
            Some(padded) => {
                tape.push(self.kind, Saved::Shape(x.shape().to_vec()));
                tape.push(self.kind, Saved::Tensor(padded));
            }
            None => tape.push(self.kind, Saved::Tensor(x)),
        }
        if at_once == activation {
            activation.save_output(&y, tape);
            return Ok(y);
        }
        activation.forward_train(y, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, geometry, padded) = self.backward_weights(grad, tape)?;
        let mut out = unwritten(self.kind, &geometry.input_shape())?;
        T::conv_backward_input(grad.as_slice(), self.kernel()?, &geometry, &mut out);
        let dx = Tensor::from_buffer(&geometry.input_shape(), out)?;
        match padded {
            Some((input, padding)) => {
                Ok(ops::pad2d_backward(dx.view4()?, &input, padding, self.padding_mode)?.into())
            }
            None => Ok(dx),
        }
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.backward_weights(grad, tape).map(drop)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let geometry = self.geometry(input)?;
        let activation = Layer::<T>::cost(&self.finish.activation, &geometry.output_shape())?;
        Ok(Cost {
            multiplications: geometry.multiplications(),
            saved_bytes: self.saved_bytes(input, &geometry)?.saturating_add(activation.saved_bytes),
            reach: Reach::Window { extent: self.window.extent(), strides: self.window.stride_sizes() },
            ..self.weights.cost(&self.specs(input)?)?
        })
    }

    fn last_activation(&self) -> Option<Activation> {
        Some(self.finish.activation)
    }

    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.finish.activation)
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        let [.., filters] = self.axes.kernel(self.kind, self.weights.value(self.name)?.shape())?;
        self.finish.fuse(next, (self.name, Filters::Last(filters)), &mut self.weights)
    }
}
