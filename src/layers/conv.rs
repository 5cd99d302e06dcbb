//! The convolution layers: [`Conv2D`] here, its relatives in modules.

mod depthwise;
mod finish;
mod line;
mod sliding;
mod transposed;
mod transposed_volume;
mod volume;

pub use depthwise::{DepthwiseConv2D, SeparableConv2D};
pub use line::{Conv1D, Conv1DTranspose};
pub use transposed::Conv2DTranspose;
pub use transposed_volume::Conv3DTranspose;
pub use volume::Conv3D;

use super::delegate::delegate_layer;
use crate::{Accuracy, Activation, Element, Initializer, Layer, PadMode, Padding, Plan, Result, Size2d};
use sliding::{Axes, Convolution};

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
pub struct Conv2D<T: Element = f32>(Convolution<T>);

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
        Conv2D(Convolution::new(("Conv2D", Axes::Plane, "kernel"), filters, kernel_size))
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
        self.0.slide(|window| window.strides(strides));
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
        self.0.slide(|window| window.dilation(dilation));
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
        self.0.slide(|window| window.padding(padding));
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
        self.0.padding_mode = mode;
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
        self.0.slide(|window| window.groups(groups));
        self.0.clear();
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
        self.0.finish.activation = activation;
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
        self.0.finish.use_bias = use_bias;
        self.0.clear();
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
        self.0.slide(|window| window.accuracy(accuracy));
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
        self.0.finish.kernel_initializer = initializer;
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
        self.0.finish.bias_initializer = initializer;
        self
    }

    /// How the layer would compute maps of this shape at inference: the algorithm, its tile, its scratch, and how near it is
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
        self.0.plan(input)
    }
}

impl<T: Element> Layer<T> for Conv2D<T> {
    delegate_layer!("Conv2D", 0);
}
