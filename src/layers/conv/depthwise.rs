//! [`DepthwiseConv2D`] and [`SeparableConv2D`].

use super::finish::{Finish, finish_options};
use super::sliding::{Axes, Convolution};
use crate::layer::{Name, Param, Step, Tape};
use crate::layers::delegate::delegate_layer;
use crate::{
    Accuracy, Activation, Cost, Element, Initializer, Layer, PadMode, Padding, Plan, Result, Rng, Size2d,
    Tensor,
};

/// The options of the layers whose depthwise convolution a method `depthwise_mut` lends; for the examples, the name of one,
/// and what its `new` takes before the kernel's size, for 8 filters.
macro_rules! depthwise_options {
    ($layer:literal, $before:literal) => {
        /// How many filters each channel has. Default 1. A layer that is built already must be built again.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Rng, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $before, "3);")]
        /// let mut conv = conv.depth_multiplier(2);
        /// conv.build(&[1, 9, 9, 8], &mut Rng::seed(1))?;
        /// assert_eq!(conv.params()[0].1.value().shape(), [3, 3, 8, 2]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn depth_multiplier(mut self, multiplier: usize) -> Self {
            self.depthwise_mut().filters = multiplier;
            self.clear();
            self
        }

        /// How far the filters move between two outputs. Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $before, "3).strides(2);")]
        /// assert_eq!(conv.output_shape(&[1, 9, 9, 8])?, [1, 4, 4, 8]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn strides(mut self, strides: impl Into<Size2d>) -> Self {
            self.depthwise_mut().slide(|window| window.strides(strides));
            self
        }

        /// What lies around the input. Default [`Padding::Valid`].
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Padding, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $before, "3).padding(Padding::Same);")]
        /// assert_eq!(conv.output_shape(&[1, 9, 9, 8])?, [1, 9, 9, 8]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn padding(mut self, padding: Padding) -> Self {
            self.depthwise_mut().slide(|window| window.padding(padding));
            self
        }

        /// What stands in the padding. Default zeros.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, PadMode, Padding, Rng, Tensor, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $before, "3).padding(Padding::Same);")]
        /// let mut conv = conv.padding_mode(PadMode::Constant(1.0));
        /// conv.build(&[1, 9, 9, 8], &mut Rng::seed(1))?;
        /// assert_ne!(conv.forward(&Tensor::zeros(&[1, 9, 9, 8])?)?.as_slice()[0], 0.0);    // a corner
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn padding_mode(mut self, mode: PadMode) -> Self {
            self.depthwise_mut().padding_mode = mode;
            self
        }

        /// The distance between neighbouring taps of a filter (Keras' `dilation_rate`). Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $before, "3).dilation(2);")]
        /// assert_eq!(conv.output_shape(&[1, 9, 9, 8])?, [1, 5, 5, 8]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn dilation(mut self, dilation: impl Into<Size2d>) -> Self {
            self.depthwise_mut().slide(|window| window.dilation(dilation));
            self
        }
    };
}

/// Depthwise convolution: every channel is convolved with filters of its own, and channels do not mix.
///
/// ```text
/// y[n, y, x, c*m + k] = activation(
///     bias[c*m + k] + sum over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c] * kernel[i, j, c, k])
/// ```
///
/// for `k` below the multiplier `m`. Keras' `DepthwiseConv2D`, with its defaults and its numbers; PyTorch's
/// `Conv2d(c, m * c, k, groups=c)` with channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels * multiplier]` |
/// | `depthwise_kernel` | `[kh, kw, channels, multiplier]` |
/// | `bias` | `[channels * multiplier]` |
///
/// # Errors
/// As [`Conv2D`](crate::Conv2D).
///
/// ```
/// use striate::{DepthwiseConv2D, Layer, Padding, Rng, Tensor};
/// // keras.layers.DepthwiseConv2D(kernel_size=3, padding="same", depth_multiplier=2)
/// let mut conv: DepthwiseConv2D = DepthwiseConv2D::new(3).padding(Padding::Same).depth_multiplier(2);
/// conv.build(&[1, 28, 28, 16], &mut Rng::seed(1))?;
/// assert_eq!(conv.forward(&Tensor::zeros(&[8, 28, 28, 16])?)?.shape(), [8, 28, 28, 32]);
/// assert_eq!(conv.params()[0].1.value().shape(), [3, 3, 16, 2]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DepthwiseConv2D<T: Element = f32>(Convolution<T>);

impl<T: Element> DepthwiseConv2D<T> {
    /// A layer of filters of `kernel_size`, one for each channel; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{DepthwiseConv2D, Layer};
    /// let conv: DepthwiseConv2D = DepthwiseConv2D::new(3).strides(2);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 5])?, [1, 4, 4, 5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(kernel_size: impl Into<Size2d>) -> Self {
        let form = ("DepthwiseConv2D", Axes::Depthwise, "depthwise_kernel");
        DepthwiseConv2D(Convolution::new(form, 1, kernel_size))
    }

    /// How the layer would compute maps of this shape, as [`Conv2D::plan`](crate::Conv2D::plan).
    ///
    /// # Errors
    /// As [`output_shape`](Layer::output_shape).
    ///
    /// ```
    /// use striate::{Algorithm, DepthwiseConv2D};
    /// let conv: DepthwiseConv2D = DepthwiseConv2D::new(3);
    /// assert_eq!(conv.plan(&[1, 56, 56, 64])?.algorithm(), Algorithm::GroupVectors);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn plan(&self, input: &[usize]) -> Result<Plan> {
        self.0.plan(input)
    }

    depthwise_options!("DepthwiseConv2D", "");
    finish_options!("DepthwiseConv2D", "1", "[1, 1, 1, 1]");

    fn depthwise_mut(&mut self) -> &mut Convolution<T> {
        &mut self.0
    }

    fn finish_mut(&mut self) -> &mut Finish {
        &mut self.0.finish
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl<T: Element> Layer<T> for DepthwiseConv2D<T> {
    delegate_layer!("DepthwiseConv2D", 0);
}

const SEPARABLE: &str = "SeparableConv2D";

/// A depthwise convolution, and then one of 1x1 that mixes its channels (Chollet, *Xception*, 2017): with far fewer
/// multiplications than a convolution of the same window.
///
/// Keras' `SeparableConv2D`, with its defaults and its numbers: the bias and the activation come at the end.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, filters]` |
/// | `depthwise_kernel` | `[kh, kw, channels, multiplier]` |
/// | `pointwise_kernel` | `[1, 1, channels * multiplier, filters]` |
/// | `bias` | `[filters]` |
///
/// # Errors
/// As [`Conv2D`](crate::Conv2D).
///
/// ```
/// use striate::{Activation, Layer, Padding, Rng, SeparableConv2D, Tensor};
/// // keras.layers.SeparableConv2D(filters=32, kernel_size=3, padding="same", activation="relu")
/// let conv: SeparableConv2D = SeparableConv2D::new(32, 3).padding(Padding::Same).activation(Activation::Relu);
/// assert_eq!(conv.cost(&[1, 28, 28, 16])?.params, 3 * 3 * 16 + 16 * 32 + 32);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeparableConv2D<T: Element = f32> {
    depthwise: Convolution<T>,
    pointwise: Convolution<T>,
}

impl<T: Element> SeparableConv2D<T> {
    /// A layer of `filters` mixtures of what filters of `kernel_size` see; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{Layer, SeparableConv2D};
    /// let conv: SeparableConv2D = SeparableConv2D::new(32, 3).strides(2);
    /// assert_eq!(conv.output_shape(&[1, 9, 9, 5])?, [1, 4, 4, 32]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: impl Into<Size2d>) -> Self {
        let mut depthwise =
            Convolution::new((SEPARABLE, Axes::Depthwise, "depthwise_kernel"), 1, kernel_size);
        depthwise.finish.use_bias = false;
        let pointwise = Convolution::new((SEPARABLE, Axes::Plane, "pointwise_kernel"), filters, 1);
        SeparableConv2D { depthwise, pointwise }
    }

    depthwise_options!("SeparableConv2D", "8, ");
    finish_options!("SeparableConv2D", "1, 1", "[1, 1, 1, 1]");

    /// What the depthwise kernel starts from, as [`kernel_initializer`](Self::kernel_initializer) says of the pointwise
    /// one. Default [`Initializer::GlorotUniform`].
    ///
    /// ```
    /// use striate::{Initializer, Layer, Rng, SeparableConv2D};
    /// let mut conv: SeparableConv2D = SeparableConv2D::new(8, 2).depthwise_initializer(Initializer::Ones);
    /// conv.build(&[1, 9, 9, 1], &mut Rng::seed(1))?;
    /// assert_eq!(conv.params()[0].1.value().as_slice(), [1.0; 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn depthwise_initializer(mut self, initializer: Initializer) -> Self {
        self.depthwise.finish.kernel_initializer = initializer;
        self
    }

    /// How exactly the layer computes: see [`Accuracy`].
    ///
    /// ```
    /// use striate::{Accuracy, SeparableConv2D};
    /// let conv: SeparableConv2D = SeparableConv2D::new(8, 3).accuracy(Accuracy::Strict);
    /// assert_eq!(format!("{conv:?}").matches("accuracy: Strict").count(), 2);    // of both convolutions
    /// ```
    #[must_use]
    pub fn accuracy(mut self, accuracy: Accuracy) -> Self {
        self.depthwise.slide(|window| window.accuracy(accuracy));
        self.pointwise.slide(|window| window.accuracy(accuracy));
        self
    }

    /// Fails if one of both cannot take what it gets, before anything is computed.
    fn check(&self, input: &[usize]) -> Result<()> {
        self.depthwise.check(input)?;
        self.pointwise.check(&self.depthwise.output_shape(input)?)
    }

    fn depthwise_mut(&mut self) -> &mut Convolution<T> {
        &mut self.depthwise
    }

    fn finish_mut(&mut self) -> &mut Finish {
        &mut self.pointwise.finish
    }

    fn clear(&mut self) {
        self.depthwise.clear();
        self.pointwise.clear();
    }
}

impl<T: Element> Layer<T> for SeparableConv2D<T> {
    fn kind(&self) -> &'static str {
        SEPARABLE
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        let between = self.depthwise.output_shape(input)?;
        self.pointwise.output_shape(&between)?;
        self.depthwise.build(input, rng)?;
        self.pointwise.build(&between, rng)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.pointwise.output_shape(&self.depthwise.output_shape(input)?)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.check(x.shape())?;
        self.pointwise.forward(&self.depthwise.forward(x)?)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        self.check(x.shape())?;
        self.pointwise.forward_into(&self.depthwise.forward(x)?, out)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        self.check(x.shape())?;
        let between = self.depthwise.forward_train(x, tape)?;
        self.pointwise.forward_train(between, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let between = self.pointwise.backward(grad, tape)?;
        self.depthwise.backward(between, tape)
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        let between = self.pointwise.backward(grad, tape)?;
        self.depthwise.backward_params(between, tape)
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        [self.depthwise.params(), self.pointwise.params()].into_iter().flatten().collect()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        [self.depthwise.params_mut(), self.pointwise.params_mut()].into_iter().flatten().collect()
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let between = self.depthwise.output_shape(input)?;
        Ok(self.depthwise.cost(input)?.then(self.pointwise.cost(&between)?))
    }

    fn last_activation(&self) -> Option<Activation> {
        self.pointwise.last_activation()
    }

    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        self.pointwise.last_activation_mut()
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        self.pointwise.fuse(next)
    }
}
