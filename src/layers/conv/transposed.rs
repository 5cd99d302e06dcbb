//! [`Conv2DTranspose`].

use super::finish::{Finish, finish_options};
use super::sliding::Axes;
use crate::geometry::maps;
use crate::layer::{Saved, Step, Tape};
use crate::layers::delegate::delegate_layer;
use crate::layers::weights::{Filters, Spec, Weights, delegate_to_weights};
use crate::memory::len_of;
use crate::ops::{self, check_shape};
use crate::{
    Accuracy, Activation, Cost, Element, Geometry2d, Layer, Padding, Reach, Result, Size2d, Tensor, Window2d,
};

/// A transposed convolution under any name, over maps.
#[derive(Clone, Debug)]
pub(super) struct Transposed<T: Element> {
    kind: &'static str,
    axes: Axes,
    filters: usize,
    window: Window2d,
    pub(super) output_padding: Option<[usize; 2]>,
    pub(super) finish: Finish,
    weights: Weights<T>,
}

impl<T: Element> Transposed<T> {
    pub(super) fn new(
        (kind, axes): (&'static str, Axes),
        filters: usize,
        kernel_size: impl Into<Size2d>,
    ) -> Self {
        let window = Window2d::new(kernel_size);
        let (finish, weights) = (Finish::default(), Weights::none(kind));
        Transposed { kind, axes, filters, window, output_padding: None, finish, weights }
    }

    /// Changes the window; the kernel's shape must stay.
    pub(super) fn slide(&mut self, change: impl FnOnce(Window2d) -> Window2d) {
        self.window = change(self.window);
    }

    pub(super) fn clear(&mut self) {
        self.weights.clear();
    }

    /// The geometry of the convolution that goes the other way, for an input of this shape.
    fn geometry(&self, input: &[usize]) -> Result<Geometry2d> {
        let [.., channels] = maps(self.kind, input)?;
        self.finish.activation.check::<T>()?;
        self.window.check_groups(self.kind, channels, self.filters)?;
        let ([kh, kw], groups) = (self.window.kernel_size(), self.window.group_count());
        self.window.conv_transpose(input, &[kh, kw, self.filters / groups, channels], self.output_padding)
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        let kernel = self.axes.shape(&self.geometry(input)?, 1);
        Ok(self.finish.specs("kernel", &kernel, self.filters))
    }

    /// The layer's kernel, and the geometry with it.
    fn own_geometry(&self, input: &[usize]) -> Result<(Tensor<T>, Geometry2d)> {
        self.weights.check()?;
        let kernel = self.weights.value("kernel")?;
        let kernel = kernel.reshape(&self.axes.kernel(self.kind, kernel.shape())?)?;
        let geometry = self.window.conv_transpose(input, kernel.shape(), self.output_padding)?;
        Ok((kernel, geometry))
    }

    fn sums(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let (kernel, geometry) = self.own_geometry(x.shape())?;
        let bias = self.weights.find("bias").map(Tensor::view1).transpose()?;
        Ok(ops::conv2d_transpose(x.view4()?, kernel.view4()?, bias, &geometry)?.into())
    }

    /// Adds up the gradients of the weights; returns what the input's gradient follows from.
    fn backward_weights(
        &mut self,
        grad: Tensor<T>,
        tape: &mut Tape<T>,
    ) -> Result<(Tensor<T>, Tensor<T>, Geometry2d)> {
        let grad = self.finish.activation.backward(grad, tape)?;
        let x = tape.pop_tensor(self.kind)?;
        let (kernel, geometry) = self.own_geometry(x.shape())?;
        check_shape(self.kind, "an output gradient", grad.shape(), &geometry.input_shape())?;
        let shape = self.weights.value("kernel")?.shape().to_vec();
        self.weights.add_grad("kernel", || {
            let grad = ops::conv2d_transpose_backward_kernel(x.view4()?, grad.view4()?, &geometry)?;
            Tensor::from(grad).reshape(&shape)
        })?;
        self.weights.add_grad("bias", || ops::conv2d_backward_bias(grad.view4()?))?;
        Ok((grad, kernel, geometry))
    }
}

impl<T: Element> Layer<T> for Transposed<T> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry(input)?.input_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.finish.activation.on(self.sums(x)?)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.sums(&x)?;
        tape.push(self.kind, Saved::Tensor(x));
        self.finish.activation.forward_train(y, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, kernel, geometry) = self.backward_weights(grad, tape)?;
        Ok(ops::conv2d_transpose_backward_input(grad.view4()?, kernel.view4()?, &geometry)?.into())
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.backward_weights(grad, tape).map(drop)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let geometry = self.geometry(input)?;
        let weights = self.weights.cost(&self.specs(input)?)?;
        cost::<T>((self.kind, input), &geometry, &geometry.input_shape(), self.finish.activation, weights)
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        fuse(&mut self.finish, next, (self.filters, self.window.group_count()), &mut self.weights)
    }
}

/// What a transposed convolution costs whose input is kept for the gradients.
pub(super) fn cost<T: Element>(
    (kind, input): (&'static str, &[usize]),
    geometry: &Geometry2d,
    output: &[usize],
    activation: Activation,
    weights: Cost,
) -> Result<Cost> {
    let activation = Layer::<T>::cost(&activation, output)?;
    let saved_bytes = len_of(kind, input)?.saturating_mul(size_of::<T>());
    Ok(Cost {
        multiplications: geometry.multiplications(),
        saved_bytes: saved_bytes.saturating_add(activation.saved_bytes),
        reach: Reach::Window { extent: geometry.inputs_of_an_output(), strides: [1, 1] },
        ..weights
    })
}

/// Takes over the next layer's work, as [`Layer::fuse`], for so many filters in so many groups.
pub(super) fn fuse<T: Element>(
    finish: &mut Finish,
    next: &Step,
    (filters, groups): (usize, usize),
    weights: &mut Weights<T>,
) -> Result<bool> {
    let channels = weights.value("kernel")?.shape().last().copied().unwrap_or_default();
    finish.fuse(next, ("kernel", Filters::BeforeChannels { filters, channels, groups }), weights)
}

/// Transposed convolution, also called deconvolution: every position of the maps adds the kernel, times its value, to
/// larger maps.
///
/// ```text
/// y[n, p, q, f] = activation(bias[f] + sum over i, j, c of x[n, y, x, c] * kernel[i, j, f, c]),
///                 where y*s + i*d - top = p, x*s + j*d - left = q
/// ```
///
/// with strides `s` and dilation `d`, as [`ops::conv2d_transpose`](crate::ops::conv2d_transpose). Keras'
/// `Conv2DTranspose`, with its defaults and its numbers; with explicit padding PyTorch's `ConvTranspose2d`, channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, filters]`: see [`Window2d::conv_transpose`] |
/// | `kernel` | `[kh, kw, filters / groups, channels]` |
/// | `bias` | `[filters]` |
///
/// # Errors
/// The options are checked when the layer meets an input: those of [`Conv2D`](crate::Conv2D), padding that leaves nothing,
/// causal padding, and an output padding that is neither below the stride nor below the dilation, are errors.
///
/// ```
/// use striate::{Conv2DTranspose, Layer, Padding, Rng, Tensor};
/// // keras.layers.Conv2DTranspose(filters=8, kernel_size=3, strides=2, padding="same")
/// let mut conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).strides(2).padding(Padding::Same);
/// conv.build(&[1, 7, 7, 16], &mut Rng::seed(1))?;
/// assert_eq!(conv.forward(&Tensor::zeros(&[1, 7, 7, 16])?)?.shape(), [1, 14, 14, 8]);
/// assert_eq!(conv.params()[0].1.value().shape(), [3, 3, 8, 16]);
///
/// // torch.nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1)
/// let conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).strides(2).padding(Padding::all(1)).output_padding(1);
/// assert_eq!(conv.output_shape(&[1, 7, 7, 16])?, [1, 14, 14, 8]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv2DTranspose<T: Element = f32>(Transposed<T>);

impl<T: Element> Conv2DTranspose<T> {
    /// A layer of `filters` filters of `kernel_size`; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{Conv2DTranspose, Layer};
    /// let conv: Conv2DTranspose = Conv2DTranspose::new(8, (3, 5));
    /// assert_eq!(conv.output_shape(&[1, 10, 10, 3])?, [1, 12, 14, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: impl Into<Size2d>) -> Self {
        Conv2DTranspose(Transposed::new(("Conv2DTranspose", Axes::Plane), filters, kernel_size))
    }

    /// How far apart two input positions put the kernel. Default 1.
    ///
    /// ```
    /// use striate::{Conv2DTranspose, Layer};
    /// let conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).strides(2);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 19, 19, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Size2d>) -> Self {
        self.0.slide(|window| window.strides(strides));
        self
    }

    /// How many rows and columns at the edges of the output are left away. Default [`Padding::Valid`]: none.
    ///
    /// ```
    /// use striate::{Conv2DTranspose, Layer, Padding};
    /// let conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).padding(Padding::Same);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 9, 9, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.0.slide(|window| window.padding(padding));
        self
    }

    /// Rows at the bottom and columns at the right that the output has beyond what it would have otherwise. By default as
    /// many as Keras adds.
    ///
    /// ```
    /// use striate::{Conv2DTranspose, Layer};
    /// let conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).strides(2).output_padding((0, 1));
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 19, 19 + 1, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn output_padding(mut self, output_padding: impl Into<Size2d>) -> Self {
        self.0.output_padding = Some(output_padding.into().0);
        self
    }

    /// The distance between neighbouring taps of a filter (Keras' `dilation_rate`). Default 1.
    ///
    /// ```
    /// use striate::{Conv2DTranspose, Layer};
    /// let conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).dilation(2);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 13, 13, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Size2d>) -> Self {
        self.0.slide(|window| window.dilation(dilation));
        self
    }

    /// Into how many groups the channels fall, as [`Conv2D::groups`](crate::Conv2D::groups). A layer that is built already
    /// must be built again.
    ///
    /// ```
    /// use striate::{Conv2DTranspose, Layer};
    /// let conv: Conv2DTranspose = Conv2DTranspose::new(8, 3).groups(4);
    /// assert_eq!(conv.cost(&[1, 9, 9, 4])?.params, 3 * 3 * 4 * 2 + 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.0.slide(|window| window.groups(groups));
        self.clear();
        self
    }

    /// How exactly the layer computes: see [`Accuracy`].
    ///
    /// ```
    /// use striate::{Accuracy, Conv2DTranspose, Layer, Rng, Tape, Tensor};
    /// let mut conv = Conv2DTranspose::new(64, 3).accuracy(Accuracy::Strict);
    /// conv.build(&[1, 16, 16, 64], &mut Rng::seed(1))?;
    /// let mut tape = Tape::new();
    /// let mut grad = conv.forward_train(Tensor::<f32>::zeros(&[1, 16, 16, 64])?, &mut tape)?;
    /// grad.as_mut_slice()[(8 * 18 + 8) * 64] = f32::NAN;    // which 3 x 3 windows see
    /// let dx = conv.backward(grad, &mut tape)?;
    /// assert_eq!(dx.as_slice().iter().filter(|dx| dx.is_nan()).count(), 3 * 3 * 64);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(mut self, accuracy: Accuracy) -> Self {
        self.0.slide(|window| window.accuracy(accuracy));
        self
    }

    finish_options!("Conv2DTranspose", "1, 1", "[1, 1, 1, 1]");

    fn finish_mut(&mut self) -> &mut Finish {
        &mut self.0.finish
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Element> Layer<T> for Conv2DTranspose<T> {
    delegate_layer!("Conv2DTranspose", 0);
}
