//! [`LpPool2D`] and [`LpPool1D`].

use super::delegate::delegate_layer;
use super::folded::{Fold, Folded};
use super::pool::{reach, window_options};
use super::pool1d::line_window_options;
use crate::layer::{Saved, Tape};
use crate::memory::len_of;
use crate::ops::{self, check_power};
use crate::{Cost, Element, Geometry2d, Layer, Padding, Result, Size2d, Tensor, Window2d};

const KIND: &str = "LpPool2D";

/// Lp pooling: of each window of each map the p-norm is kept, `(sum of |x| ^ p) ^ (1 / p)`, as [`ops::lp_pool2d`]. ONNX'
/// `LpPool`; PyTorch's `LPPool2d` with channels last, for numbers that are not negative.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// As [`MaxPool2D`](crate::MaxPool2D); `p` must be above 0.
///
/// ```
/// use striate::{Layer, LpPool2D, Tensor};
/// let x = Tensor::from(ndarray::array![[[[3.0], [-4.0]]]]);
/// assert_eq!(LpPool2D::new(2.0, (1, 2)).forward(&x)?.as_slice(), [5.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LpPool2D {
    p: f64,
    window: Window2d,
}

impl LpPool2D {
    /// The `p`-norms of windows of `pool_size` that touch each other.
    ///
    /// ```
    /// use striate::{Layer, LpPool2D, Tensor};
    /// let x = Tensor::<f32>::zeros(&[1, 6, 6, 8])?;
    /// assert_eq!(LpPool2D::new(2.0, (2, 3)).forward(&x)?.shape(), [1, 3, 2, 8]);
    /// assert!(LpPool2D::new(0.0, 2).forward(&x).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(p: f64, pool_size: impl Into<Size2d>) -> Self {
        let pool_size = pool_size.into();
        LpPool2D { p, window: Window2d::new(pool_size).strides(pool_size) }
    }

    window_options!("LpPool2D", "2.0, ");

    fn geometry<T: Element>(&self, input: &[usize]) -> Result<Geometry2d> {
        check_power::<T>(KIND, self.p)?;
        self.window.pool(input)
    }
}

impl<T: Element> Layer<T> for LpPool2D {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry::<T>(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let geometry = self.geometry::<T>(x.shape())?;
        Ok(ops::lp_pool2d(x.view4()?, self.p, &geometry)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(KIND, Saved::Tensor(x));
        tape.push(KIND, Saved::Tensor(y.clone()));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (y, x) = (tape.pop_tensor(KIND)?, tape.pop_tensor(KIND)?);
        let geometry = self.geometry::<T>(x.shape())?;
        let (grad, x, y) = (grad.view4()?, x.view4()?, y.view4()?);
        Ok(ops::lp_pool2d_backward(grad, x, y, self.p, &geometry)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let output = self.geometry::<T>(input)?.output_shape();
        let elements = len_of(KIND, input)?.saturating_add(len_of(KIND, &output)?);
        let saved_bytes = elements.saturating_mul(size_of::<T>());
        Ok(Cost { saved_bytes, reach: reach(&self.window), ..Cost::default() })
    }
}

/// One-dimensional Lp pooling, as [`LpPool2D`] over a sequence. PyTorch's `LPPool1d` with channels last, for numbers that
/// are not negative.
///
/// ```
/// use striate::{Layer, LpPool1D, Tensor};
/// let x = Tensor::from(ndarray::array![[[3.0], [-4.0]]]);
/// assert_eq!(LpPool1D::new(2.0, 2).forward(&x)?.as_slice(), [5.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LpPool1D(Folded<LpPool2D>);

impl LpPool1D {
    /// The `p`-norms of windows of `pool_size` positions that touch each other.
    ///
    /// ```
    /// use striate::{Layer, LpPool1D, Tensor};
    /// let x = Tensor::<f32>::full(&[1, 10, 8], 1.0)?;
    /// assert_eq!(LpPool1D::new(1.0, 3).forward(&x)?, Tensor::full(&[1, 3, 8], 3.0)?);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(p: f64, pool_size: usize) -> Self {
        LpPool1D(Folded::new("LpPool1D", Fold::Row, LpPool2D::new(p, (1, pool_size))))
    }

    line_window_options!("LpPool1D", "2.0, ");
}

impl<T: Element> Layer<T> for LpPool1D {
    delegate_layer!("LpPool1D", 0);
}
