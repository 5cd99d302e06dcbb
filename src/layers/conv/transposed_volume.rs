//! [`Conv3DTranspose`].

use super::finish::{Finish, finish_options};
use super::transposed;
use crate::geometry::volumes;
use crate::layer::{Saved, Step, Tape};
use crate::layers::weights::{Spec, Weights, delegate_to_weights};
use crate::ops::{self, check_shape};
use crate::{Accuracy, Cost, Element, Geometry2d, Layer, Padding3d, Result, Size3d, Tensor, Window3d};

const KIND: &str = "Conv3DTranspose";

/// Three-dimensional transposed convolution: every position of the volume adds the kernel, times its value, to a larger
/// one, as [`ops::conv3d_transpose`](crate::ops::conv3d_transpose).
///
/// Keras' `Conv3DTranspose`, with its defaults and its numbers; with explicit padding PyTorch's `ConvTranspose3d`, channels
/// last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, depth, height, width, channels]` |
/// | output | `[batch, new depth, new height, new width, filters]`: along each axis as [`Conv2DTranspose`](crate::Conv2DTranspose) |
/// | `kernel` | `[kd, kh, kw, filters / groups, channels]` |
/// | `bias` | `[filters]` |
///
/// # Errors
/// As [`Conv2DTranspose`](crate::Conv2DTranspose).
///
/// ```
/// use striate::{Conv3DTranspose, Layer, Padding, Rng, Tensor};
/// // keras.layers.Conv3DTranspose(filters=8, kernel_size=3, strides=2, padding="same")
/// let mut conv: Conv3DTranspose = Conv3DTranspose::new(8, 3).strides(2).padding(Padding::Same);
/// conv.build(&[1, 4, 7, 7, 6], &mut Rng::seed(1))?;
/// assert_eq!(conv.forward(&Tensor::zeros(&[1, 4, 7, 7, 6])?)?.shape(), [1, 8, 14, 14, 8]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv3DTranspose<T: Element = f32> {
    filters: usize,
    kernel_size: [usize; 3],
    window: Window3d,
    output_padding: Option<[usize; 3]>,
    finish: Finish,
    weights: Weights<T>,
}

impl<T: Element> Conv3DTranspose<T> {
    /// A layer of `filters` filters of `kernel_size`; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{Conv3DTranspose, Layer};
    /// let conv: Conv3DTranspose = Conv3DTranspose::new(8, (1, 3, 5));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 5, 11, 13, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: impl Into<Size3d>) -> Self {
        let kernel_size = kernel_size.into().0;
        Conv3DTranspose {
            filters,
            kernel_size,
            window: Window3d::new(kernel_size),
            output_padding: None,
            finish: Finish::default(),
            weights: Weights::none(KIND),
        }
    }

    /// How far apart two input positions put the kernel. Default 1.
    ///
    /// ```
    /// use striate::{Conv3DTranspose, Layer};
    /// let conv: Conv3DTranspose = Conv3DTranspose::new(8, 3).strides((1, 2, 2));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 7, 19, 19, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Size3d>) -> Self {
        self.window = self.window.strides(strides);
        self
    }

    /// How much at the edges of the output is left away: a [`Padding`](crate::Padding), or a [`Padding3d`]. Default:
    /// nothing.
    ///
    /// ```
    /// use striate::{Conv3DTranspose, Layer, Padding};
    /// let conv: Conv3DTranspose = Conv3DTranspose::new(8, 3).padding(Padding::Same);
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 5, 9, 9, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Padding3d>) -> Self {
        self.window = self.window.padding(padding);
        self
    }

    /// Planes behind, rows at the bottom and columns at the right that the output has beyond what it would have otherwise.
    /// By default as many as Keras adds.
    ///
    /// ```
    /// use striate::{Conv3DTranspose, Layer};
    /// let conv: Conv3DTranspose = Conv3DTranspose::new(8, 3).strides(2).output_padding((1, 0, 0));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 11 + 1, 19, 19, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn output_padding(mut self, output_padding: impl Into<Size3d>) -> Self {
        self.output_padding = Some(output_padding.into().0);
        self
    }

    /// The distance between neighbouring taps of a filter (Keras' `dilation_rate`). Default 1.
    ///
    /// ```
    /// use striate::{Conv3DTranspose, Layer};
    /// let conv: Conv3DTranspose = Conv3DTranspose::new(8, 3).dilation((1, 2, 2));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 7, 13, 13, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Size3d>) -> Self {
        self.window = self.window.dilation(dilation);
        self
    }

    /// Into how many groups the channels fall, as [`Conv2D::groups`](crate::Conv2D::groups). A layer that is built already
    /// must be built again.
    ///
    /// ```
    /// use striate::{Conv3DTranspose, Layer};
    /// let conv: Conv3DTranspose = Conv3DTranspose::new(8, 3).groups(4);
    /// assert_eq!(conv.cost(&[1, 5, 9, 9, 4])?.params, 3 * 3 * 3 * 4 * 2 + 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.window = self.window.groups(groups);
        self.clear();
        self
    }

    /// How exactly the layer computes: see [`Accuracy`].
    ///
    /// ```
    /// use striate::{Accuracy, Conv3DTranspose, Layer, Rng, Tape, Tensor};
    /// let mut conv = Conv3DTranspose::new(64, (1, 3, 3)).accuracy(Accuracy::Strict);
    /// conv.build(&[1, 1, 16, 16, 64], &mut Rng::seed(1))?;
    /// let mut tape = Tape::new();
    /// let mut grad = conv.forward_train(Tensor::<f32>::zeros(&[1, 1, 16, 16, 64])?, &mut tape)?;
    /// grad.as_mut_slice()[(8 * 18 + 8) * 64] = f32::NAN;    // which 3 x 3 windows see
    /// let dx = conv.backward(grad, &mut tape)?;
    /// assert_eq!(dx.as_slice().iter().filter(|dx| dx.is_nan()).count(), 3 * 3 * 64);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(mut self, accuracy: Accuracy) -> Self {
        self.window = self.window.accuracy(accuracy);
        self
    }

    finish_options!("Conv3DTranspose", "1, 1", "[1, 1, 1, 1, 1]");

    fn finish_mut(&mut self) -> &mut Finish {
        &mut self.finish
    }

    fn clear(&mut self) {
        self.weights.clear();
    }

    /// The kernel's shape, the geometry over maps of the convolution that goes the other way, and the output's shape.
    fn geometry(&self, input: &[usize]) -> Result<([usize; 5], Geometry2d, [usize; 5])> {
        let [.., channels] = volumes(KIND, input)?;
        self.finish.activation.check::<T>()?;
        let planes = self.window.planes();
        planes.check_groups(KIND, channels, self.filters)?;
        let [kd, kh, kw] = self.kernel_size;
        let kernel = [kd, kh, kw, self.filters / planes.group_count(), channels];
        let (_, geometry, output) = self.window.conv_transpose(KIND, input, &kernel, self.output_padding)?;
        Ok((kernel, geometry, output))
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        let (kernel, ..) = self.geometry(input)?;
        Ok(self.finish.specs("kernel", &kernel, self.filters))
    }

    /// The layer's kernel, for an input that fits it.
    fn kernel(&self, input: &[usize]) -> Result<&Tensor<T>> {
        self.weights.check()?;
        let kernel = self.weights.value("kernel")?;
        check_shape(KIND, "a kernel", kernel.shape(), &self.geometry(input)?.0)?;
        Ok(kernel)
    }

    fn sums(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let kernel = self.kernel(x.shape())?.view5()?;
        let bias = self.weights.find("bias").map(Tensor::view1).transpose()?;
        Ok(ops::conv3d_transpose(x.view5()?, kernel, bias, &self.window, self.output_padding)?.into())
    }

    /// Adds up the gradients of the weights; returns the gradient before the activation, and the input's shape.
    fn backward_weights(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<(Tensor<T>, Vec<usize>)> {
        let grad = self.finish.activation.backward(grad, tape)?;
        let x = tape.pop_tensor(KIND)?;
        let shape = self.kernel(x.shape())?.shape().to_vec();
        check_shape(KIND, "an output gradient", grad.shape(), &self.output_shape(x.shape())?)?;
        let (window, extra) = (self.window, self.output_padding);
        self.weights.add_grad("kernel", || {
            ops::conv3d_transpose_backward_kernel(x.view5()?, grad.view5()?, &shape, &window, extra)
        })?;
        let rows = [grad.len() / self.filters.max(1), self.filters];
        self.weights.add_grad("bias", || ops::dense_backward_bias(grad.reshape(&rows)?.view2()?))?;
        Ok((grad, x.shape().to_vec()))
    }
}

impl<T: Element> Layer<T> for Conv3DTranspose<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry(input)?.2.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.finish.activation.on(self.sums(x)?)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.sums(&x)?;
        tape.push(KIND, Saved::Tensor(x));
        self.finish.activation.forward_train(y, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, input) = self.backward_weights(grad, tape)?;
        let kernel = self.kernel(&input)?.view5()?;
        let (window, extra) = (&self.window, self.output_padding);
        Ok(ops::conv3d_transpose_backward_input(grad.view5()?, kernel, &input, window, extra)?.into())
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.backward_weights(grad, tape).map(drop)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let (_, geometry, output) = self.geometry(input)?;
        let weights = self.weights.cost(&self.specs(input)?)?;
        transposed::cost::<T>((KIND, input), &geometry, &output, self.finish.activation, weights)
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        let groups = self.window.planes().group_count();
        transposed::fuse(&mut self.finish, next, (self.filters, groups), &mut self.weights)
    }
}
