//! [`GlobalMaxPool2D`] and [`GlobalAvgPool2D`].

use super::pool::{indices_bytes, pop_indices, push_indices};
use crate::geometry::maps;
use crate::layer::{Saved, Tape};
use crate::ops::{self, PoolIndices, check_shape, global_geometry};
use crate::{Cost, Element, Layer, Reach, Result, Tensor};

/// `[batch, channels]`, or with `keepdims` `[batch, 1, 1, channels]`.
fn output(layer: &'static str, input: &[usize], keepdims: bool) -> Result<Vec<usize>> {
    let [batch, _, _, channels] = maps(layer, input)?;
    Ok(if keepdims { vec![batch, 1, 1, channels] } else { vec![batch, channels] })
}

/// The gradient of an output for an input of shape `input`, as `[batch, channels]`.
fn flat_grad<T: Element>(
    layer: &'static str,
    grad: &Tensor<T>,
    input: &[usize],
    keepdims: bool,
) -> Result<Tensor<T>> {
    check_shape(layer, "an output gradient", grad.shape(), &output(layer, input, keepdims)?)?;
    grad.reshape(&output(layer, input, false)?)
}

const MAX: &str = "GlobalMaxPool2D";

/// Global max pooling: of each map only the largest value is kept, `y[n, c] = max over p, q of x[n, p, q, c]`, as
/// [`ops::global_max_pool2d`]. Keras' `GlobalMaxPooling2D`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]`, maps of any size |
/// | output | `[batch, channels]`, or with [`keepdims`](Self::keepdims) `[batch, 1, 1, channels]` |
///
/// ```
/// use ndarray::array;
/// use striate::{GlobalMaxPool2D, Layer, Tensor};
/// let x = Tensor::from(array![[[[1.0, -1.0], [2.0, -2.0]], [[4.0, -4.0], [3.0, -3.0]]]]);
/// assert_eq!(GlobalMaxPool2D::new().forward(&x)?, Tensor::from(array![[4.0, -1.0]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct GlobalMaxPool2D {
    keepdims: bool,
}

impl GlobalMaxPool2D {
    /// Pooling to `[batch, channels]`.
    ///
    /// ```
    /// use striate::{GlobalMaxPool2D, Layer, Tensor};
    /// let y = GlobalMaxPool2D::new().forward(&Tensor::<f32>::zeros(&[8, 7, 7, 512])?)?;
    /// assert_eq!(y.shape(), [8, 512]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the output keeps axes of length 1 for rows and columns. Default `false`.
    ///
    /// ```
    /// use striate::{GlobalMaxPool2D, Layer, Tensor};
    /// let y = GlobalMaxPool2D::new().keepdims(true).forward(&Tensor::<f32>::zeros(&[8, 7, 7, 512])?)?;
    /// assert_eq!(y.shape(), [8, 1, 1, 512]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn keepdims(mut self, keepdims: bool) -> Self {
        self.keepdims = keepdims;
        self
    }
}

impl<T: Element> Layer<T> for GlobalMaxPool2D {
    fn kind(&self) -> &'static str {
        MAX
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        global_geometry(MAX, input)?;
        output(MAX, input, self.keepdims)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let shape = output(MAX, x.shape(), self.keepdims)?;
        Tensor::from(ops::global_max_pool2d(x.view4()?)?).reshape(&shape)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let shape = output(MAX, x.shape(), self.keepdims)?;
        let (y, indices) = ops::global_max_pool2d_with_indices(x.view4()?)?;
        push_indices(tape, MAX, x.shape(), indices);
        Tensor::from(y).reshape(&shape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (input, taps) = pop_indices(tape, MAX)?;
        let indices = PoolIndices::new(MAX, taps, &global_geometry(MAX, &input)?)?;
        let grad = flat_grad(MAX, &grad, &input, self.keepdims)?;
        Ok(ops::global_max_pool2d_backward(grad.view2()?, &indices, &input)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let saved_bytes = indices_bytes(input, &global_geometry(MAX, input)?);
        Ok(Cost { saved_bytes, reach: Reach::Everything, ..Cost::default() })
    }

    fn takes_maxima(&self) -> bool {
        true
    }
}

const AVG: &str = "GlobalAvgPool2D";

/// Global average pooling: of each map the average is kept,
/// `y[n, c] = sum over p, q of x[n, p, q, c] / (height * width)`, as [`ops::global_avg_pool2d`]. Keras'
/// `GlobalAveragePooling2D`; in place of flattening and dense layers since Lin et al., *Network in network*, 2013.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]`, maps of any size |
/// | output | `[batch, channels]`, or with [`keepdims`](Self::keepdims) `[batch, 1, 1, channels]` |
///
/// ```
/// use ndarray::array;
/// use striate::{GlobalAvgPool2D, Layer, Tensor};
/// let x = Tensor::from(array![[[[1.0, -1.0], [2.0, -2.0]], [[4.0, -4.0], [3.0, -3.0]]]]);
/// assert_eq!(GlobalAvgPool2D::new().forward(&x)?, Tensor::from(array![[2.5, -2.5]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct GlobalAvgPool2D {
    keepdims: bool,
}

impl GlobalAvgPool2D {
    /// Pooling to `[batch, channels]`.
    ///
    /// ```
    /// use striate::{GlobalAvgPool2D, Layer, Tensor};
    /// let y = GlobalAvgPool2D::new().forward(&Tensor::<f32>::zeros(&[8, 7, 7, 512])?)?;
    /// assert_eq!(y.shape(), [8, 512]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the output keeps axes of length 1 for rows and columns. Default `false`.
    ///
    /// ```
    /// use striate::{GlobalAvgPool2D, Layer, Tensor};
    /// let y = GlobalAvgPool2D::new().keepdims(true).forward(&Tensor::<f32>::zeros(&[8, 7, 7, 512])?)?;
    /// assert_eq!(y.shape(), [8, 1, 1, 512]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn keepdims(mut self, keepdims: bool) -> Self {
        self.keepdims = keepdims;
        self
    }
}

impl<T: Element> Layer<T> for GlobalAvgPool2D {
    fn kind(&self) -> &'static str {
        AVG
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        global_geometry(AVG, input)?;
        output(AVG, input, self.keepdims)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let shape = output(AVG, x.shape(), self.keepdims)?;
        Tensor::from(ops::global_avg_pool2d(x.view4()?)?).reshape(&shape)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(AVG, Saved::Shape(x.shape().to_vec()));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let input = tape.pop_shape(AVG)?;
        let grad = flat_grad(AVG, &grad, &input, self.keepdims)?;
        Ok(ops::global_avg_pool2d_backward(grad.view2()?, &input)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        global_geometry(AVG, input)?;
        Ok(Cost { saved_bytes: size_of_val(input), reach: Reach::Everything, ..Cost::default() })
    }
}
