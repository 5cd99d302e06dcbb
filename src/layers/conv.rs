//! [`Conv2D`].

use super::weights::{Spec, Weights, delegate_to_weights};
use crate::geometry::maps;
use crate::kernels::conv::PreparedKernel;
use crate::kernels::entry::FinishPiece;
use crate::layer::{Saved, Tape};
use crate::memory::{len_of, unwritten};
use crate::ops::{self, check_shape};
use crate::{
    Accuracy, Activation, Cost, Element, Geometry2d, Initializer, Layer, PadMode, Padding, Plan, Reach,
    Result, Size2d, Tensor, Window2d,
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
    padding_mode: PadMode,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: Initializer,
    bias_initializer: Initializer,
    weights: Weights<T, PreparedKernel<T>>,
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
            padding_mode: PadMode::Zeros,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            weights: Weights::none(KIND),
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

    /// What stands in the padding. Default zeros. PyTorch's `padding_mode`.
    ///
    /// ```
    /// use striate::{Conv2D, Initializer, Layer, PadMode, Padding, Rng, Tensor};
    /// let conv = Conv2D::new(1, (1, 3)).padding(Padding::Same).padding_mode(PadMode::Circular);
    /// let mut conv = conv.kernel_initializer(Initializer::Ones);
    /// conv.build(&[1, 1, 3, 1], &mut Rng::seed(1))?;
    /// let y = conv.forward(&Tensor::from(ndarray::array![[[[1.0], [2.0], [4.0]]]]))?;
    /// assert_eq!(y.as_slice(), [7.0, 7.0, 7.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding_mode(mut self, mode: PadMode) -> Self {
        self.padding_mode = mode;
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
        self.weights.clear();
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
        self.weights.clear();
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
        let kernel = [kh, kw, channels / self.window.group_count(), self.filters];
        let geometry = self.window.conv(input, &kernel)?;
        self.padded(&geometry)?;
        Ok(geometry)
    }

    /// How to pad the input before the convolution, and its shape then: where the padding is not of zeros.
    fn padded(&self, geometry: &Geometry2d) -> Result<Option<(Padding, [usize; 4])>> {
        if self.padding_mode == PadMode::Zeros {
            return Ok(None);
        }
        let padding = ops::explicit_padding(geometry);
        let shape = ops::padded_shape(KIND, &geometry.input_shape(), padding, self.padding_mode)?;
        Ok(Some((padding, shape)))
    }

    /// Bytes of the input, or of the padded input and the input's shape.
    fn saved_bytes(&self, input: &[usize], geometry: &Geometry2d) -> Result<usize> {
        let bytes = |shape: &[usize]| Ok(len_of(KIND, shape)?.saturating_mul(size_of::<T>()));
        match self.padded(geometry)? {
            Some((_, padded)) => Ok(bytes(&padded)?.saturating_add(size_of_val(input))),
            None => bytes(input),
        }
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        let kernel = self.geometry(input)?.kernel_shape();
        let bias = self.use_bias.then_some(self.bias_initializer);
        Ok(Spec::kernel_and_bias(&kernel, self.kernel_initializer, bias))
    }

    /// The geometry with the layer's own kernel, over padded maps unless the padding is of zeros; and how to pad them.
    fn own_geometry(&self, input: &[usize]) -> Result<(Geometry2d, Option<Padding>)> {
        self.weights.check()?;
        let kernel = self.weights.value("kernel")?.shape();
        let geometry = self.window.conv(input, kernel)?;
        match self.padded(&geometry)? {
            Some((padding, padded)) => {
                Ok((self.window.padding(Padding::Valid).conv(&padded, kernel)?, Some(padding)))
            }
            None => Ok((geometry, None)),
        }
    }

    /// The convolution with the layer's weights to `out`, each tile of it through `finish`; returns the padded input, if it
    /// had to be padded before.
    fn convolve(
        &self,
        x: &Tensor<T>,
        finish: FinishPiece<'_, T>,
        out: &mut Tensor<T>,
    ) -> Result<Option<Tensor<T>>> {
        let (geometry, padding) = self.own_geometry(x.shape())?;
        let pad = |padding| Ok(ops::pad2d(x.view4()?, padding, self.padding_mode)?.into());
        let padded: Option<Tensor<T>> = padding.map(pad).transpose()?;
        let out = out.unwritten(KIND, &geometry.output_shape())?;
        let x = padded.as_ref().unwrap_or(x).as_slice();
        let kernel = (self.weights.value("kernel")?.as_slice(), self.weights.prepared());
        T::conv_forward(x, kernel, self.weights.bias(), &geometry, finish, out);
        Ok(padded)
    }

    /// Adds up the gradients of the weights; returns what the input's gradient follows from: the gradient before the
    /// activation, the geometry, and the input's shape with its padding, if it was padded before.
    fn backward_weights(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Backward<T>> {
        let grad = self.activation.backward(grad, tape)?;
        let x = tape.pop_tensor(KIND)?;
        let (geometry, padded) = match self.padding_mode {
            PadMode::Zeros => (self.own_geometry(x.shape())?.0, None),
            _ => {
                let input = tape.pop_shape(KIND)?;
                let (geometry, padding) = self.own_geometry(&input)?;
                check_shape(KIND, "a padded input", x.shape(), &geometry.input_shape())?;
                (geometry, padding.map(|padding| (input, padding)))
            }
        };
        check_shape(KIND, "an output gradient", grad.shape(), &geometry.output_shape())?;
        let mut kernel_grad = unwritten(KIND, &geometry.kernel_shape())?;
        T::conv_backward_kernel(x.as_slice(), grad.as_slice(), &geometry, &mut kernel_grad);
        self.weights.add_grad("kernel", || Tensor::from_vec(&geometry.kernel_shape(), kernel_grad))?;
        self.weights.add_grad("bias", || ops::conv2d_backward_bias(grad.view4()?))?;
        Ok((grad, geometry, padded))
    }
}

/// What the input's gradient follows from.
type Backward<T> = (Tensor<T>, Geometry2d, Option<(Vec<usize>, Padding)>);

impl<T: Element> Layer<T> for Conv2D<T> {
    fn kind(&self) -> &'static str {
        KIND
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
        self.convolve(x, &|tile| self.activation.apply(tile, self.filters), out).map(drop)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let mut y = Tensor::default();
        match self.convolve(&x, &|_| {}, &mut y)? {
            Some(padded) => {
                tape.push(KIND, Saved::Shape(x.shape().to_vec()));
                tape.push(KIND, Saved::Tensor(padded));
            }
            None => tape.push(KIND, Saved::Tensor(x)),
        }
        self.activation.forward_train(y, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, geometry, padded) = self.backward_weights(grad, tape)?;
        let kernel = self.weights.value("kernel")?.as_slice();
        let mut out = unwritten(KIND, &geometry.input_shape())?;
        T::conv_backward_input(grad.as_slice(), kernel, &geometry, &mut out);
        let dx = Tensor::from_vec(&geometry.input_shape(), out)?;
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
        let activation = Layer::<T>::cost(&self.activation, &geometry.output_shape())?;
        Ok(Cost {
            multiplications: geometry.multiplications(),
            saved_bytes: self.saved_bytes(input, &geometry)?.saturating_add(activation.saved_bytes),
            reach: Reach::Window { extent: self.window.extent(), strides: self.window.stride_sizes() },
            ..self.weights.cost(&self.specs(input)?)?
        })
    }
}
