//! [`AvgPool2D`].

use super::pool::{reach, window_options};
use crate::layer::{Saved, Tape};
use crate::ops::{self, Divisor, check_divisor};
use crate::{Cost, Element, Geometry2d, Layer, Padding, Result, Size2d, Tensor, Window2d};

const KIND: &str = "AvgPool2D";

/// Two-dimensional average pooling: of each window of each map the average is kept.
///
/// ```text
/// y[n, y, x, c] = sum over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c] / divisor
/// ```
///
/// as [`ops::avg_pool2d`]. The divisor is the number of positions that the window sees of the input, as in Keras'
/// `AveragePooling2D`, whose defaults and numbers these are, unless [`count_include_pad`](Self::count_include_pad) or
/// [`divisor_override`](Self::divisor_override) say otherwise, as in PyTorch's `AvgPool2d`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// The options are checked when the layer meets an input: those of [`MaxPool2D`](crate::MaxPool2D), and a divisor of
/// zero, are errors.
///
/// ```
/// use ndarray::array;
/// use striate::{AvgPool2D, Layer, Tensor};
/// // keras.layers.AveragePooling2D(pool_size=2)
/// let pool = AvgPool2D::new(2);
/// let x = Tensor::from(array![[[[1.0], [2.0], [5.0], [6.0]], [[3.0], [4.0], [8.0], [7.0]]]]);
/// assert_eq!(pool.forward(&x)?, Tensor::from(array![[[[2.5], [6.5]]]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AvgPool2D {
    window: Window2d,
    count_include_pad: bool,
    divisor_override: Option<usize>,
}

impl AvgPool2D {
    /// Windows of `pool_size` that touch each other, inside the input.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, Tensor};
    /// let y = AvgPool2D::new((2, 3)).forward(&Tensor::<f32>::zeros(&[1, 6, 6, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 2, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: impl Into<Size2d>) -> Self {
        let pool_size = pool_size.into();
        let window = Window2d::new(pool_size).strides(pool_size);
        AvgPool2D { window, count_include_pad: false, divisor_override: None }
    }

    window_options!("AvgPool2D");

    /// Whether positions in the padding count as zeros, as PyTorch does by default; positions that only
    /// [`ceil_mode`](Self::ceil_mode) adds never count. Default `false`, as in Keras.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, Padding, Tensor};
    /// let pool = AvgPool2D::new(2).padding(Padding::Same);
    /// let x = Tensor::full(&[1, 1, 1, 1], 4.0)?;
    /// assert_eq!(pool.forward(&x)?.as_slice(), [4.0]);
    /// let pool = pool.padding(Padding::all(1)).count_include_pad(true);
    /// assert_eq!(pool.forward(&x)?.as_slice(), [1.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn count_include_pad(mut self, count_include_pad: bool) -> Self {
        self.count_include_pad = count_include_pad;
        self
    }

    /// A number to divide every sum by, whatever the window sees: 1 makes sum pooling.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, Tensor};
    /// let x = Tensor::full(&[1, 2, 2, 1], 3.0)?;
    /// assert_eq!(AvgPool2D::new(2).divisor_override(1).forward(&x)?.as_slice(), [12.0]);
    /// assert!(AvgPool2D::new(2).divisor_override(0).forward(&x).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn divisor_override(mut self, divisor: usize) -> Self {
        self.divisor_override = Some(divisor);
        self
    }

    fn divisor(&self) -> Divisor {
        Divisor::of_options(self.count_include_pad, self.divisor_override)
    }

    /// The geometry over an input of this shape, once all options are checked.
    fn geometry(&self, input: &[usize]) -> Result<Geometry2d> {
        check_divisor(KIND, self.divisor())?;
        self.window.pool(input)
    }
}

impl<T: Element> Layer<T> for AvgPool2D {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let geometry = self.geometry(x.shape())?;
        Ok(ops::avg_pool2d(x.view4()?, self.divisor(), &geometry)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(KIND, Saved::Shape(x.shape().to_vec()));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let geometry = self.geometry(&tape.pop_shape(KIND)?)?;
        Ok(ops::avg_pool2d_backward(grad.view4()?, self.divisor(), &geometry)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        self.geometry(input)?;
        let saved_bytes = size_of_val(input);
        Ok(Cost { saved_bytes, reach: reach(&self.window), ..Cost::default() })
    }
}
