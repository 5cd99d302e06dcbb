//! [`Conv3D`].

use super::finish::{Finish, finish_options};
use super::sliding::{Axes, Convolution};
use crate::geometry::volumes;
use crate::layer::{Name, Param, Saved, Step, Tape};
use crate::ops::{Stacking, check_shape};
use crate::{
    Accuracy, Activation, Cost, Element, Layer, PadMode, Padding3d, Result, Rng, Size3d, Tensor, Window3d,
};

const KIND: &str = "Conv3D";

/// Three-dimensional convolution: every filter slides over the volume and gives a volume of its own.
///
/// ```text
/// y[n, z, y, x, f] = activation(bias[f] + sum over h, i, j, c of
///     x[n, z*s + h*d - front, y*s + i*d - top, x*s + j*d - left, c] * kernel[h, i, j, c, f])
/// ```
///
/// with strides `s` and dilation `d`, as [`ops::conv3d`](crate::ops::conv3d). Keras' `Conv3D`, with its defaults and its
/// numbers; PyTorch's `Conv3d` with channels last. The planes that an output plane sees are copied side by side, and
/// convolved as the channels of one map: training saves that copy, `kd` times the input.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, depth, height, width, channels]` |
/// | output | `[batch, new depth, new height, new width, filters]` |
/// | `kernel` | `[kd, kh, kw, channels / groups, filters]` |
/// | `bias` | `[filters]` |
///
/// # Errors
/// As [`Conv2D`](crate::Conv2D).
///
/// ```
/// use striate::{Conv3D, Layer, Padding, Rng, Tensor};
/// // keras.layers.Conv3D(filters=4, kernel_size=3, padding="same")
/// let mut conv: Conv3D = Conv3D::new(4, 3).padding(Padding::Same);
/// conv.build(&[1, 8, 16, 16, 2], &mut Rng::seed(1))?;
/// assert_eq!(conv.forward(&Tensor::zeros(&[1, 8, 16, 16, 2])?)?.shape(), [1, 8, 16, 16, 4]);
/// assert_eq!(conv.params()[0].1.value().shape(), [3, 3, 3, 2, 4]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv3D<T: Element = f32> {
    window: Window3d,
    /// Over the stacked planes.
    inner: Convolution<T>,
}

impl<T: Element> Conv3D<T> {
    /// A layer of `filters` filters of `kernel_size`; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{Conv3D, Layer};
    /// let conv: Conv3D = Conv3D::new(8, (1, 3, 5)).strides((1, 1, 2));
    /// assert_eq!(conv.output_shape(&[1, 4, 9, 9, 3])?, [1, 4, 7, 3, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: impl Into<Size3d>) -> Self {
        let window = Window3d::new(kernel_size);
        let form = (KIND, Axes::Volume, "kernel");
        let mut inner = Convolution::new(form, filters, window.planes().kernel_size());
        inner.planes = window.kernel_depth();
        Conv3D { window, inner }
    }

    fn slide(mut self, change: impl FnOnce(Window3d) -> Window3d) -> Self {
        self.window = change(self.window);
        self.inner.window = self.window.planes();
        self
    }

    /// How far the filters move between two outputs. Default 1.
    ///
    /// ```
    /// use striate::{Conv3D, Layer};
    /// let conv: Conv3D = Conv3D::new(8, 3).strides((1, 2, 2));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 3, 4, 4, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(self, strides: impl Into<Size3d>) -> Self {
        self.slide(|window| window.strides(strides))
    }

    /// What lies around the input: a [`Padding`](crate::Padding), or a [`Padding3d`]. Default: nothing.
    ///
    /// ```
    /// use striate::{Conv3D, Layer, Padding3d};
    /// let conv: Conv3D = Conv3D::new(8, 3).padding(Padding3d::all(2));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 7, 11, 11, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding3d>) -> Self {
        self.slide(|window| window.padding(padding))
    }

    /// What stands in the padding. Default zeros. PyTorch's `padding_mode`.
    ///
    /// ```
    /// use striate::{Conv3D, Initializer, Layer, PadMode, Padding, Rng, Tensor};
    /// let conv = Conv3D::new(1, (3, 1, 1)).padding(Padding::Same).padding_mode(PadMode::Circular);
    /// let mut conv = conv.kernel_initializer(Initializer::Ones);
    /// conv.build(&[1, 3, 1, 1, 1], &mut Rng::seed(1))?;
    /// let y = conv.forward(&Tensor::from_vec(&[1, 3, 1, 1, 1], vec![1.0, 2.0, 4.0])?)?;
    /// assert_eq!(y.as_slice(), [7.0, 7.0, 7.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding_mode(mut self, mode: PadMode) -> Self {
        self.inner.padding_mode = mode;
        self
    }

    /// The distance between neighbouring taps of a filter (Keras' `dilation_rate`). Default 1.
    ///
    /// ```
    /// use striate::{Conv3D, Layer};
    /// let conv: Conv3D = Conv3D::new(8, 3).dilation((1, 2, 2));
    /// assert_eq!(conv.output_shape(&[1, 5, 9, 9, 3])?, [1, 3, 5, 5, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Size3d>) -> Self {
        self.slide(|window| window.dilation(dilation))
    }

    /// Into how many groups the channels fall, as [`Conv2D::groups`](crate::Conv2D::groups). A layer that is built already
    /// must be built again.
    ///
    /// ```
    /// use striate::{Conv3D, Layer};
    /// let conv: Conv3D = Conv3D::new(8, 3).groups(4);
    /// assert_eq!(conv.cost(&[1, 5, 9, 9, 4])?.params, 3 * 3 * 3 * 1 * 8 + 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.clear();
        self.slide(|window| window.groups(groups))
    }

    /// How exactly the layer computes: see [`Accuracy`].
    ///
    /// ```
    /// use striate::{Accuracy, Conv3D, Layer, Rng, Tensor};
    /// let mut conv = Conv3D::new(64, (1, 3, 3)).accuracy(Accuracy::Strict);
    /// conv.build(&[1, 1, 18, 18, 64], &mut Rng::seed(1))?;
    /// let mut x = Tensor::<f32>::zeros(&[1, 1, 18, 18, 64])?;
    /// x.as_mut_slice()[(8 * 18 + 8) * 64] = f32::NAN;    // which 3 x 3 windows see
    /// assert_eq!(conv.forward(&x)?.as_slice().iter().filter(|y| y.is_nan()).count(), 3 * 3 * 64);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(self, accuracy: Accuracy) -> Self {
        self.slide(|window| window.accuracy(accuracy))
    }

    finish_options!("Conv3D", "1, 1", "[1, 1, 1, 1, 1]");

    fn finish_mut(&mut self) -> &mut Finish {
        &mut self.inner.finish
    }

    fn clear(&mut self) {
        self.inner.clear();
    }

    /// How planes are stacked, and the shape of the maps that they become.
    fn stacking(&self, input: &[usize]) -> Result<(Stacking, [usize; 4])> {
        let (depth, maps) = self.window.stacked(KIND, input)?;
        self.inner.geometry(&maps)?;
        let groups = self.window.planes().group_count();
        Ok((Stacking::new(KIND, &depth, self.inner.padding_mode, groups)?, maps))
    }

    fn stacked(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let (stacking, maps) = self.stacking(x.shape())?;
        self.inner.check(&maps)?;
        Tensor::from_buffer(&maps, stacking.stack(KIND, x.as_slice(), maps)?)
    }

    /// The maps' gradient for one of an output, and how they were stacked from what input.
    fn flat_grad(&self, grad: &Tensor<T>, tape: &mut Tape<T>) -> Result<(Tensor<T>, Stacking, Vec<usize>)> {
        let input = tape.pop_shape(KIND)?;
        check_shape(KIND, "an output gradient", grad.shape(), &self.output_shape(&input)?)?;
        let (stacking, maps) = self.stacking(&input)?;
        Ok((grad.reshape(&self.inner.output_shape(&maps)?)?, stacking, input))
    }
}

impl<T: Element> Layer<T> for Conv3D<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        self.output_shape(input)?;
        let (_, maps) = self.window.stacked(KIND, input)?;
        self.inner.build(&maps, rng)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let [batch, .., channels] = volumes(KIND, input)?;
        self.window.planes().check_groups(KIND, channels, self.inner.filters)?;
        let (depth, maps) = self.window.stacked(KIND, input)?;
        let [_, height, width, filters] = self.inner.geometry(&maps)?.output_shape();
        Ok(vec![batch, depth.output, height, width, filters])
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let output = self.output_shape(x.shape())?;
        self.inner.forward(&self.stacked(x)?)?.reshape(&output)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (input, output) = (x.shape().to_vec(), self.output_shape(x.shape())?);
        let stacked = self.stacked(&x)?;
        drop(x);
        let y = self.inner.forward_train(stacked, tape)?;
        tape.push(KIND, Saved::Shape(input));
        y.reshape(&output)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, stacking, input) = self.flat_grad(&grad, tape)?;
        let dx = self.inner.backward(grad, tape)?;
        check_shape(KIND, "stacked planes", dx.shape(), &self.stacking(&input)?.1)?;
        Tensor::from_buffer(&input, stacking.unstack(KIND, dx.as_slice(), volumes(KIND, &input)?)?)
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        let (grad, ..) = self.flat_grad(&grad, tape)?;
        self.inner.backward_params(grad, tape)
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        self.inner.params()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        self.inner.params_mut()
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        self.output_shape(input)?;
        let (_, maps) = self.window.stacked(KIND, input)?;
        let cost = self.inner.cost(&maps)?;
        Ok(Cost { saved_bytes: cost.saved_bytes.saturating_add(size_of_val(input)), ..cost })
    }

    fn last_activation(&self) -> Option<Activation> {
        self.inner.last_activation()
    }

    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        self.inner.last_activation_mut()
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        self.inner.fuse(next)
    }
}
