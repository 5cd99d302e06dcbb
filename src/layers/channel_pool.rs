//! [`ChannelMaxPool`].

use super::pool::{indices_bytes, pop_indices, push_indices};
use crate::layer::Tape;
use crate::ops::{self, PoolIndices, channel_geometry, channel_output};
use crate::{Cost, Element, Geometry2d, Layer, Result, Tensor};

const KIND: &str = "ChannelMaxPool";

/// Max pooling across channels: of each window of neighbouring channels only the largest value is kept, position by
/// position.
///
/// ```text
/// y[n, p, q, k] = max over i in 0..pool_size of x[n, p, q, k * strides + i]
/// ```
///
/// as [`ops::channel_max_pool`]; TensorFlow's `max_pool` with a `ksize` of `(1, 1, 1, pool_size)`. After a convolution,
/// the network can learn filters for the same pattern in several orientations, and becomes invariant to which of them
/// responds.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, height, width, (channels - pool_size) / strides + 1]` |
///
/// # Errors
/// The options are checked when the layer meets an input: a window or strides of zero, and windows larger than the
/// channels, are errors.
///
/// ```
/// use ndarray::array;
/// use striate::{ChannelMaxPool, Layer, Tensor};
/// let x = Tensor::from(array![[[[1.0, 5.0, 2.0, -4.0, -3.0, -6.0]]]]);
/// assert_eq!(ChannelMaxPool::new(3).forward(&x)?, Tensor::from(array![[[[5.0, -3.0]]]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChannelMaxPool {
    pool_size: usize,
    strides: usize,
}

impl ChannelMaxPool {
    /// Windows of `pool_size` channels that touch each other.
    ///
    /// ```
    /// use striate::{ChannelMaxPool, Layer, Tensor};
    /// let y = ChannelMaxPool::new(4).forward(&Tensor::<f32>::zeros(&[1, 5, 5, 8])?)?;
    /// assert_eq!(y.shape(), [1, 5, 5, 2]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: usize) -> Self {
        ChannelMaxPool { pool_size, strides: pool_size }
    }

    /// How many channels the window moves by. Default: the pool size.
    ///
    /// ```
    /// use striate::{ChannelMaxPool, Layer, Tensor};
    /// let y = ChannelMaxPool::new(4).strides(1).forward(&Tensor::<f32>::zeros(&[1, 5, 5, 8])?)?;
    /// assert_eq!(y.shape(), [1, 5, 5, 5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(mut self, strides: usize) -> Self {
        self.strides = strides;
        self
    }

    fn geometry(&self, input: &[usize]) -> Result<Geometry2d> {
        channel_geometry(KIND, input, self.pool_size, self.strides)
    }
}

impl<T: Element> Layer<T> for ChannelMaxPool {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(channel_output(KIND, input, &self.geometry(input)?)?.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.geometry(x.shape())?;
        Ok(ops::channel_max_pool(x.view4()?, self.pool_size, self.strides)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        self.geometry(x.shape())?;
        let (y, indices) = ops::channel_max_pool_with_indices(x.view4()?, self.pool_size, self.strides)?;
        push_indices(tape, KIND, x.shape(), indices);
        Ok(y.into())
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (input, taps) = pop_indices(tape, KIND)?;
        let indices = PoolIndices::new(KIND, taps, &self.geometry(&input)?)?;
        let grad = grad.view4()?;
        Ok(ops::channel_max_pool_backward(grad, &indices, self.pool_size, self.strides, &input)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let saved_bytes = indices_bytes(input, &self.geometry(input)?);
        Ok(Cost { saved_bytes, ..Cost::default() })
    }

    fn takes_maxima(&self) -> bool {
        true
    }
}
