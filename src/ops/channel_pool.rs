//! Max pooling across channels.

use ndarray::{Array4, ArrayView4};

use super::pool;
use super::pool_indices::PoolIndices;
use super::{check_shape, contiguous, to_array};
use crate::geometry::maps;
use crate::memory::len_of;
use crate::{Element, Error, Geometry2d, Result, Window2d};

/// The pooling of `[batch, height * width, channels, 1]` that pools an input `[batch, height, width, channels]` across
/// its channels.
pub(crate) fn channel_geometry(
    op: &'static str,
    input: &[usize],
    pool_size: usize,
    strides: usize,
) -> Result<Geometry2d> {
    let [batch, height, width, channels] = maps(op, input)?;
    if !(1..=channels).contains(&pool_size) {
        return Err(Error::argument(op, format_args!("a pool size of 1 to {channels} channels"), pool_size));
    }
    if strides == 0 {
        return Err(Error::argument(op, "strides of 1 channel or more", strides));
    }
    let positions = len_of(op, &[height, width])?;
    Window2d::new((1, pool_size)).strides((1, strides)).pool(&[batch, positions, channels, 1])
}

/// The shape of an input like `input` after pooling with `geometry`.
pub(crate) fn channel_output(op: &'static str, input: &[usize], geometry: &Geometry2d) -> Result<[usize; 4]> {
    let [batch, height, width, _] = maps(op, input)?;
    Ok([batch, height, width, geometry.cols.output])
}

/// The largest of each window of `pool_size` neighbouring channels, which moves by `strides` channels and does not reach
/// beyond them:
///
/// ```text
/// y[n, p, q, k] = max over i in 0..pool_size of x[n, p, q, k * strides + i]
/// ```
///
/// from `[batch, height, width, channels]` to `[batch, height, width, (channels - pool_size) / strides + 1]`.
/// TensorFlow's `max_pool` with a `ksize` of `(1, 1, 1, pool_size)`; with equal strides also known as maxout (Goodfellow
/// et al., *Maxout networks*, 2013). NaN wins, as in [`max_pool2d`](super::max_pool2d).
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the maps or channels are empty;
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the window or the strides are zero, or the window is larger
/// than the channels.
///
/// ```
/// use ndarray::array;
/// let x = array![[[[1.0, 5.0, 2.0, -4.0, -3.0, -6.0]]]];
/// assert_eq!(striate::ops::channel_max_pool(x.view(), 3, 3)?, array![[[[5.0, -3.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn channel_max_pool<T: Element>(
    x: ArrayView4<'_, T>,
    pool_size: usize,
    strides: usize,
) -> Result<Array4<T>> {
    const OP: &str = "channel_max_pool";
    let geometry = channel_geometry(OP, x.shape(), pool_size, strides)?;
    let shape = channel_output(OP, x.shape(), &geometry)?;
    to_array(OP, shape, pool::max(OP, &contiguous(OP, x)?, &geometry)?)
}

/// [`channel_max_pool`], and which channel of its window each value came from, the first of equals.
///
/// # Errors
/// As [`channel_max_pool`].
///
/// ```
/// use ndarray::array;
/// use striate::ops;
/// let x = array![[[[1.0, 5.0, 5.0, 2.0]]]];
/// let (y, indices) = ops::channel_max_pool_with_indices(x.view(), 2, 2)?;
/// let dx = ops::channel_max_pool_backward(y.view(), &indices, 2, 2, x.shape())?;
/// assert_eq!(dx, array![[[[0.0, 5.0, 5.0, 0.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn channel_max_pool_with_indices<T: Element>(
    x: ArrayView4<'_, T>,
    pool_size: usize,
    strides: usize,
) -> Result<(Array4<T>, PoolIndices)> {
    const OP: &str = "channel_max_pool_with_indices";
    let geometry = channel_geometry(OP, x.shape(), pool_size, strides)?;
    let shape = channel_output(OP, x.shape(), &geometry)?;
    let (out, indices) = pool::max_with_indices(OP, &contiguous(OP, x)?, &geometry)?;
    Ok((to_array(OP, shape, out)?, indices))
}

/// The gradient of a loss with respect to the input of [`channel_max_pool`], whose shape is `input`, from `grad`, that
/// with respect to its output: each output's gradient goes to the one channel that its value came from.
///
/// # Errors
/// As [`channel_max_pool`]; also [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` or `indices` do not belong to
/// such a pooling.
///
/// ```
/// use ndarray::array;
/// use striate::ops;
/// let x = array![[[[1.0, 5.0, 2.0]]]];
/// let (_, indices) = ops::channel_max_pool_with_indices(x.view(), 2, 1)?;
/// let dx = ops::channel_max_pool_backward(array![[[[10.0, 1.0]]]].view(), &indices, 2, 1, x.shape())?;
/// assert_eq!(dx, array![[[[0.0, 11.0, 0.0]]]]);    // the 5 won both windows
/// # Ok::<(), striate::Error>(())
/// ```
pub fn channel_max_pool_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    indices: &PoolIndices,
    pool_size: usize,
    strides: usize,
    input: &[usize],
) -> Result<Array4<T>> {
    const OP: &str = "channel_max_pool_backward";
    let geometry = channel_geometry(OP, input, pool_size, strides)?;
    check_shape(OP, "an output gradient", grad.shape(), &channel_output(OP, input, &geometry)?)?;
    let out = pool::max_backward(OP, &contiguous(OP, grad)?, indices, &geometry)?;
    to_array(OP, maps(OP, input)?, out)
}
