//! [`Conv2D`].

use super::weights::Weights;
use crate::geometry::maps;
use crate::kernels::conv::PreparedKernel;
use crate::kernels::entry::FinishPiece;
use crate::layer::{Name, Param, Saved, Tape};
use crate::memory::unwritten;
use crate::ops::{self, check_shape};
use crate::{
    Accuracy, Activation, Cost, Element, Error, Geometry2d, Initializer, Layer, Padding, Plan, Reach, Result,
    Rng, Size2d, Tensor, Window2d,
};

const KIND: &str = "Conv2D";

/// Two-dimensional convolution: every filter slides over the feature maps and gives one map of its own.
///
/// ```text
/// y[n, y, x, f] = activation(
///     bias[f] + sum over i, j, c of x[n, y*s + i*d - top, x*s + j*d - left, c] * kernel[i, j, c, f])
/// ```
///
/// with strides `s` and dilation `d`, as [`ops::conv2d`](crate::ops::conv2d). Keras' `Conv2D`, with its defaults and its
/// numbers; PyTorch's `Conv2d` with channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, filters]` |
/// | `kernel` | `[kh, kw, channels / groups, filters]`: all positions share it |
/// | `bias` | `[filters]` |
///
/// # Errors
/// The options are checked when the layer meets an input, in [`build`](Layer::build),
/// [`output_shape`](Layer::output_shape), [`cost`](Layer::cost) and [`forward`](Layer::forward): filters, sizes,
/// strides, dilation or groups of zero, groups that do not divide channels and filters, and windows larger than the
/// padded input are errors.
///
/// ```
/// use striate::{Activation, Conv2D, Layer, Padding, Rng, Tensor};
/// // keras.layers.Conv2D(filters=32, kernel_size=3, strides=1, padding="same", activation="relu")
/// let mut conv = Conv2D::new(32, 3).strides(1).padding(Padding::Same).activation(Activation::Relu);
/// conv.build(&[1, 28, 28, 1], &mut Rng::seed(1))?;
/// let maps = conv.forward(&Tensor::<f32>::zeros(&[8, 28, 28, 1])?)?;
/// assert_eq!(maps.shape(), [8, 28, 28, 32]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv2D<T: Element = f32> {
    filters: usize,
    window: Window2d,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: Initializer,
    bias_initializer: Initializer,
    weights: Option<Weights<T, PreparedKernel<T>>>,
}

impl<T: Element> Conv2D<T> {
    /// A layer of `filters` filters of `kernel_size`; the other options as Keras' defaults: stride 1, `valid`, no
    /// dilation, one group, linear, with a bias of zeros and a Glorot-uniform kernel.
    ///
    /// ```
    /// use striate::{Conv2D, Layer};
    /// let conv: Conv2D = Conv2D::new(8, (3, 5));
    /// assert_eq!(conv.output_shape(&[1, 10, 10, 3])?, [1, 8, 6, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: impl Into<Size2d>) -> Self {
        Conv2D {
            filters,
            window: Window2d::new(kernel_size),
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            weights: None,
        }
    }

    /// How far the filters move between two outputs.
    ///
    /// ```
    /// use striate::{Conv2D, Layer};
    /// let conv: Conv2D = Conv2D::new(8, 3).strides(2);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 4, 4, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Size2d>) -> Self {
        self.window = self.window.strides(strides);
        self
    }

    /// The distance between neighbouring taps of a filter (Keras' `dilation_rate`).
    ///
    /// ```
    /// use striate::{Conv2D, Layer};
    /// let conv: Conv2D = Conv2D::new(8, 3).dilation(2);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 5, 5, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Size2d>) -> Self {
        self.window = self.window.dilation(dilation);
        self
    }

    /// The zeros around the input.
    ///
    /// ```
    /// use striate::{Conv2D, Layer, Padding};
    /// let conv: Conv2D = Conv2D::new(8, 3).padding(Padding::Same);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 3])?, [1, 9, 9, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.window = self.window.padding(padding);
        self
    }

    /// Into how many groups the channels fall; each group of filters sees only its own group of channels. As many
    /// groups as channels make a depthwise convolution.
    ///
    /// ```
    /// use striate::{Conv2D, Layer};
    /// let conv: Conv2D = Conv2D::new(8, 3).groups(4);
    /// assert_eq!(conv.cost(&[1, 9, 9, 4])?.params, 3 * 3 * 1 * 8 + 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.window = self.window.groups(groups);
        self.weights = None;
        self
    }

    /// The function applied to every output.
    ///
    /// ```
    /// use striate::{Activation, Conv2D, Initializer, Layer, Rng, Tensor};
    /// let mut conv = Conv2D::new(1, 1).activation(Activation::Relu).kernel_initializer(Initializer::Constant(-1.0));
    /// conv.build(&[1, 1, 1, 1], &mut Rng::seed(1))?;
    /// assert_eq!(conv.forward(&Tensor::<f32>::full(&[1, 1, 1, 1], 2.0)?)?.as_slice(), [0.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Whether a number is added to every map. A layer that is built already must be built again.
    ///
    /// ```
    /// use striate::{Conv2D, Layer};
    /// let conv: Conv2D = Conv2D::new(8, 3).use_bias(false);
    /// assert_eq!(conv.cost(&[1, 9, 9, 1])?.params, 3 * 3 * 1 * 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Self {
        self.use_bias = use_bias;
        self.weights = None;
        self
    }

    /// How exactly the layer computes: see [`Accuracy`].
    ///
    /// ```
    /// use striate::{Accuracy, Conv2D, Padding};
    /// let conv: Conv2D = Conv2D::new(64, 3).padding(Padding::Same).accuracy(Accuracy::Strict);
    /// assert!(conv.plan(&[1, 56, 56, 64])?.to_string().starts_with("implicit GEMM"));
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(mut self, accuracy: Accuracy) -> Self {
        self.window = self.window.accuracy(accuracy);
        self
    }

    /// What the kernel starts from.
    ///
    /// ```
    /// use striate::{Conv2D, Initializer, Layer, Rng};
    /// let mut conv: Conv2D = Conv2D::new(1, 2).kernel_initializer(Initializer::Ones);
    /// conv.build(&[1, 9, 9, 1], &mut Rng::seed(1))?;
    /// assert_eq!(conv.params()[0].1.value().as_slice(), [1.0; 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// What the bias starts from.
    ///
    /// ```
    /// use striate::{Conv2D, Initializer, Layer, Rng};
    /// let mut conv: Conv2D = Conv2D::new(2, 3).bias_initializer(Initializer::Constant(0.1));
    /// conv.build(&[1, 9, 9, 1], &mut Rng::seed(1))?;
    /// assert_eq!(conv.params()[1].1.value().as_slice(), [0.1; 2]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// How the layer would compute maps of this shape: the algorithm, its tile, its scratch, and how near it is
    /// expected to come to the processor's limit.
    ///
    /// # Errors
    /// As [`output_shape`](Layer::output_shape).
    ///
    /// ```
    /// use striate::{Conv2D, Padding};
    /// let conv: Conv2D = Conv2D::new(64, 3).padding(Padding::Same);
    /// println!("{}", conv.plan(&[1, 56, 56, 64])?);
    /// assert_eq!(conv.plan(&[1, 56, 56, 64])?.algorithm(), striate::Algorithm::WinogradF4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn plan(&self, input: &[usize]) -> Result<Plan> {
        Ok(Plan::new::<T>(&self.geometry(input)?))
    }

    /// The geometry over an input of this shape, which fits its own kernel's.
    fn geometry(&self, input: &[usize]) -> Result<Geometry2d> {
        let [.., channels] = maps(KIND, input)?;
        self.activation.check::<T>()?;
        self.window.check_groups(KIND, channels, self.filters)?;
        let [kh, kw] = self.window.kernel_size();
        self.window.conv(input, &[kh, kw, channels / self.window.group_count(), self.filters])
    }

    /// The convolution with the layer's weights to `out`, each tile of it through `finish`.
    fn convolve(&self, x: &Tensor<T>, finish: FinishPiece<'_, T>, out: &mut Tensor<T>) -> Result<()> {
        let weights = self.weights.as_ref().ok_or_else(|| Error::not_built(KIND))?;
        weights.check(KIND)?;
        let geometry = self.window.conv(x.shape(), weights.kernel().shape())?;
        let out = out.unwritten(KIND, &geometry.output_shape())?;
        T::conv_forward(x.as_slice(), weights.prepared(), weights.bias(), &geometry, finish, out);
        Ok(())
    }

    /// Adds up the gradients of the weights; returns what the input's gradient follows from.
    fn backward_weights(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<(Tensor<T>, Geometry2d)> {
        let grad = self.activation.backward(grad, tape)?;
        let x = tape.pop_tensor(KIND)?;
        let weights = self.weights.as_mut().ok_or_else(|| Error::not_built(KIND))?;
        weights.check(KIND)?;
        let geometry = self.window.conv(x.shape(), weights.kernel().shape())?;
        check_shape(KIND, "an output gradient", grad.shape(), &geometry.output_shape())?;
        let mut kernel_grad = unwritten(KIND, &geometry.kernel_shape())?;
        T::conv_backward_kernel(x.as_slice(), grad.as_slice(), &geometry, &mut kernel_grad);
        let kernel_grad = Tensor::from_vec(&geometry.kernel_shape(), kernel_grad)?;
        let grads = grad.view4()?;
        weights.add_grads(kernel_grad, || ops::conv2d_backward_bias(grads))?;
        Ok((grad, geometry))
    }
}

impl<T: Element> Layer<T> for Conv2D<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        let kernel = self.geometry(input)?.kernel_shape();
        let bias = self.use_bias.then_some(&self.bias_initializer);
        self.weights = Some(Weights::new(&kernel, &self.kernel_initializer, bias, rng)?);
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let mut out = Tensor::default();
        self.forward_into(x, &mut out)?;
        Ok(out)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        self.convolve(x, &|tile| self.activation.apply(tile, self.filters), out)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let mut y = Tensor::default();
        self.convolve(&x, &|_| {}, &mut y)?;
        tape.push(KIND, Saved::Tensor(x));
        self.activation.forward_train(y, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, geometry) = self.backward_weights(grad, tape)?;
        let weights = self.weights.as_ref().ok_or_else(|| Error::not_built(KIND))?;
        let mut out = unwritten(KIND, &geometry.input_shape())?;
        T::conv_backward_input(grad.as_slice(), weights.kernel().as_slice(), &geometry, &mut out);
        Tensor::from_vec(&geometry.input_shape(), out)
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.backward_weights(grad, tape).map(drop)
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        self.weights.as_ref().map(Weights::params).unwrap_or_default()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        self.weights.as_mut().map(Weights::params_mut).unwrap_or_default()
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let geometry = self.geometry(input)?;
        let activation = Layer::<T>::cost(&self.activation, &geometry.output_shape())?;
        let bias = if self.use_bias { self.filters } else { 0 };
        let params = geometry.kernel_shape().iter().product::<usize>() + bias;
        let frozen_params = self.weights.as_ref().map_or(0, Weights::frozen).min(params);
        Ok(Cost {
            params: params - frozen_params,
            frozen_params,
            multiplications: geometry.multiplications(),
            saved_bytes: input.iter().product::<usize>() * size_of::<T>() + activation.saved_bytes,
            reach: Reach::Window { extent: self.window.extent(), strides: self.window.stride_sizes() },
        })
    }
}
