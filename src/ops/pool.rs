//! Two-dimensional max and average pooling and their gradients.

use ndarray::{Array4, ArrayView4};

use super::pool_indices::{PoolIndices, Taps};
use super::{check_shape, contiguous, to_array};
use crate::kernels::Buffer;
use crate::kernels::pool::{Taken, Won};
use crate::memory::unwritten;
use crate::{Element, Error, Geometry2d, Result};

pub use crate::kernels::pool::Divisor;

/// The largest value that each window sees:
///
/// ```text
/// y[n, y, x, c] = max over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c]
/// ```
///
/// over the window's taps `(i, j)` that lie inside the input, with strides `s` and dilation `d`. Padding never wins, even
/// where all values are negative; NaN does. `x` is `[batch, height, width, channels]`. The same numbers as Keras'
/// `ops.max_pool` and PyTorch's `max_pool2d`.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the geometry is not one of pooling or `x` does not have its input's
/// shape; [`ErrorKind::Size`](crate::ErrorKind::Size) if the output does not fit in memory.
///
/// ```
/// use ndarray::Array4;
/// use striate::{Window2d, ops};
/// let x = Array4::from_shape_fn((1, 4, 4, 1), |(_, y, x, _)| (4 * y + x) as f32);
/// let geometry = Window2d::new(2).strides(2).pool(x.shape())?;
/// let y = ops::max_pool2d(x.view(), &geometry)?;
/// assert_eq!(y.as_slice(), Some(&[5.0, 7.0, 13.0, 15.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_pool2d<T: Element>(x: ArrayView4<'_, T>, geometry: &Geometry2d) -> Result<Array4<T>> {
    const OP: &str = "max_pool2d";
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    to_array(OP, geometry.output_shape(), max(OP, &contiguous(OP, x)?, geometry)?)
}

/// [`max_pool2d`], and for every output where its value came from, which [`max_pool2d_backward`] needs. Of equal values
/// the first in row-major order counts, as in PyTorch; of several NaN, too.
///
/// # Errors
/// As [`max_pool2d`]; also [`ErrorKind::Size`](crate::ErrorKind::Size) if the window has more than 2^32 taps.
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let x = array![[[[1.0_f32], [3.0]], [[3.0], [2.0]]]];
/// let geometry = Window2d::new(2).pool(x.shape())?;
/// let (y, indices) = ops::max_pool2d_with_indices(x.view(), &geometry)?;
/// assert_eq!(y, array![[[[3.0]]]]);
/// assert_eq!(indices.positions(&geometry)?, array![[[[1]]]]);    // the first 3, at row 0 and column 1
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_pool2d_with_indices<T: Element>(
    x: ArrayView4<'_, T>,
    geometry: &Geometry2d,
) -> Result<(Array4<T>, PoolIndices)> {
    const OP: &str = "max_pool2d_with_indices";
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    let (out, indices) = max_with_indices(OP, &contiguous(OP, x)?, geometry)?;
    Ok((to_array(OP, geometry.output_shape(), out)?, indices))
}

/// The gradient of a loss with respect to the input of [`max_pool2d`], from `grad`, that with respect to its output: each
/// output's gradient goes to the one position that its value came from.
///
/// ```text
/// dx[n, p, q, c] = sum of grad[n, y, x, c] over the windows (y, x) that (p, q) won in channel c
/// ```
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the geometry is not one of pooling, or `grad` or `indices` do not
/// belong to it; [`ErrorKind::Size`](crate::ErrorKind::Size) if the result does not fit in memory.
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let x = array![[[[1.0], [5.0], [2.0]]]];
/// let geometry = Window2d::new((1, 2)).pool(x.shape())?;
/// let (_, indices) = ops::max_pool2d_with_indices(x.view(), &geometry)?;
/// let dx = ops::max_pool2d_backward(array![[[[10.0], [1.0]]]].view(), &indices, &geometry)?;
/// assert_eq!(dx, array![[[[0.0], [11.0], [0.0]]]]);    // the 5 won both windows
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_pool2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    indices: &PoolIndices,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "max_pool2d_backward";
    check_shape(OP, "an output gradient", grad.shape(), &geometry.output_shape())?;
    to_array(OP, geometry.input_shape(), max_backward(OP, &contiguous(OP, grad)?, indices, geometry)?)
}

/// The average over each window:
///
/// ```text
/// y[n, y, x, c] = sum over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c] / divisor
/// ```
///
/// over the window's taps `(i, j)` that lie inside the input, with strides `s` and dilation `d`. `x` is
/// `[batch, height, width, channels]`. With [`Divisor::InsideInput`] the same numbers as Keras' `ops.average_pool`, with
/// [`Divisor::IncludePadding`] as PyTorch's `avg_pool2d`.
///
/// # Errors
/// As [`max_pool2d`]; also [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the divisor is zero.
///
/// ```
/// use ndarray::{Array4, array};
/// use striate::{Window2d, ops::{self, Divisor}};
/// let x = Array4::from_shape_fn((1, 2, 4, 1), |(_, y, x, _)| (4 * y + x) as f32);
/// let geometry = Window2d::new(2).strides(2).pool(x.shape())?;
/// assert_eq!(ops::avg_pool2d(x.view(), Divisor::InsideInput, &geometry)?, array![[[[2.5], [4.5]]]]);
/// assert_eq!(ops::avg_pool2d(x.view(), Divisor::Fixed(1), &geometry)?, array![[[[10.0], [18.0]]]]);
/// assert!(ops::avg_pool2d(x.view(), Divisor::Fixed(0), &geometry).is_err());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn avg_pool2d<T: Element>(
    x: ArrayView4<'_, T>,
    divisor: Divisor,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "avg_pool2d";
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    to_array(OP, geometry.output_shape(), avg(OP, &contiguous(OP, x)?, divisor, geometry)?)
}

/// The gradient of a loss with respect to the input of [`avg_pool2d`], from `grad`, that with respect to its output:
///
/// ```text
/// dx[n, p, q, c] = sum of grad[n, y, x, c] / divisor over the windows (y, x) that see (p, q)
/// ```
///
/// # Errors
/// As [`avg_pool2d`].
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops::{self, Divisor}};
/// let geometry = Window2d::new((1, 2)).pool(&[1, 1, 3, 1])?;
/// let dx = ops::avg_pool2d_backward(array![[[[4.0], [2.0]]]].view(), Divisor::InsideInput, &geometry)?;
/// assert_eq!(dx, array![[[[2.0], [3.0], [1.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn avg_pool2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    divisor: Divisor,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "avg_pool2d_backward";
    check_shape(OP, "an output gradient", grad.shape(), &geometry.output_shape())?;
    to_array(OP, geometry.input_shape(), avg_backward(OP, &contiguous(OP, grad)?, divisor, geometry)?)
}

/// [`max_pool2d`] on elements in row-major order.
pub(super) fn max<T: Element>(op: &'static str, x: &[T], geometry: &Geometry2d) -> Result<Buffer<T>> {
    geometry.check_pool(op)?;
    let mut out = unwritten(op, &geometry.output_shape())?;
    T::max_pool(x, geometry, &mut out, Taken::Nowhere);
    Ok(out)
}

/// [`max_pool2d_with_indices`] on elements in row-major order.
pub(super) fn max_with_indices<T: Element>(
    op: &'static str,
    x: &[T],
    geometry: &Geometry2d,
) -> Result<(Buffer<T>, PoolIndices)> {
    geometry.check_pool(op)?;
    let mut out = unwritten(op, &geometry.output_shape())?;
    let mut taps = Taps::zeros(op, geometry)?;
    let taken = match &mut taps {
        Taps::Bytes(taps) => Taken::Bytes(taps),
        Taps::Numbers(taps) => Taken::Numbers(taps),
    };
    T::max_pool(x, geometry, &mut out, taken);
    Ok((out, PoolIndices::new(op, taps, geometry)?))
}

/// [`max_pool2d_backward`] on elements in row-major order.
pub(super) fn max_backward<T: Element>(
    op: &'static str,
    grad: &[T],
    indices: &PoolIndices,
    geometry: &Geometry2d,
) -> Result<Buffer<T>> {
    geometry.check_pool(op)?;
    indices.check(op, geometry)?;
    let mut out = unwritten(op, &geometry.input_shape())?;
    let won = match indices.taps() {
        Taps::Bytes(taps) => Won::Bytes(taps),
        Taps::Numbers(taps) => Won::Numbers(taps),
    };
    T::max_pool_backward(grad, won, geometry, &mut out);
    Ok(out)
}

/// [`avg_pool2d`] on elements in row-major order.
pub(super) fn avg<T: Element>(
    op: &'static str,
    x: &[T],
    divisor: Divisor,
    geometry: &Geometry2d,
) -> Result<Buffer<T>> {
    geometry.check_pool(op)?;
    check_divisor(op, divisor)?;
    let mut out = unwritten(op, &geometry.output_shape())?;
    T::average_pool(x, geometry, divisor, &mut out);
    Ok(out)
}

/// [`avg_pool2d_backward`] on elements in row-major order.
pub(super) fn avg_backward<T: Element>(
    op: &'static str,
    grad: &[T],
    divisor: Divisor,
    geometry: &Geometry2d,
) -> Result<Buffer<T>> {
    geometry.check_pool(op)?;
    check_divisor(op, divisor)?;
    let mut out = unwritten(op, &geometry.input_shape())?;
    T::average_pool_backward(grad, geometry, divisor, &mut out);
    Ok(out)
}

impl Divisor {
    /// What PyTorch's options come to.
    pub(crate) fn of_options(count_include_pad: bool, divisor_override: Option<usize>) -> Self {
        match divisor_override {
            Some(divisor) => Divisor::Fixed(divisor),
            None if count_include_pad => Divisor::IncludePadding,
            None => Divisor::InsideInput,
        }
    }
}

/// Fails if the divisor is zero.
pub(crate) fn check_divisor(op: &'static str, divisor: Divisor) -> Result<()> {
    match divisor {
        Divisor::Fixed(0) => Err(Error::argument(op, "a divisor of 1 or more", 0)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::{ErrorKind, Padding, Window2d};

    #[test]
    fn infinities_and_nan_keep_their_places() {
        let inf = f32::INFINITY;
        let x = array![[[[-inf], [-inf], [f32::NAN], [inf], [1.0], [f32::NAN]]]];
        let geometry = Window2d::new((1, 2)).strides((1, 2)).pool(x.shape()).unwrap();
        let (y, indices) = max_pool2d_with_indices(x.view(), &geometry).unwrap();
        assert_eq!(y[[0, 0, 0, 0]], -inf);
        assert!(y[[0, 0, 1, 0]].is_nan() && y[[0, 0, 2, 0]].is_nan());
        assert_eq!(indices.positions(&geometry).unwrap(), array![[[[0], [2], [5]]]]);
    }

    #[test]
    fn views_of_any_strides_give_the_same() {
        let x = Array4::from_shape_fn((2, 5, 6, 3), |(n, y, x, c)| {
            ((n * 31 + y * 17 + x * 7 + c * 3) % 23) as f64
        });
        let backwards = x.slice(ndarray::s![.., ..;-1, ..;2, ..]);
        let geometry = Window2d::new(2).pool(backwards.shape()).unwrap();
        let copied = backwards.to_owned();
        assert_eq!(max_pool2d(backwards, &geometry), max_pool2d(copied.view(), &geometry));
        let average = |x| avg_pool2d(x, Divisor::InsideInput, &geometry);
        assert_eq!(average(backwards), average(copied.view()));
    }

    #[test]
    fn empty_batches_stay_empty() {
        let geometry = Window2d::new(2).pool(&[0, 4, 4, 3]).unwrap();
        let (y, indices) =
            max_pool2d_with_indices(Array4::<f32>::zeros((0, 4, 4, 3)).view(), &geometry).unwrap();
        assert_eq!(y.shape(), [0, 3, 3, 3]);
        assert_eq!(max_pool2d_backward(y.view(), &indices, &geometry).unwrap().shape(), [0, 4, 4, 3]);
        assert_eq!(
            avg_pool2d_backward(y.view(), Divisor::Fixed(2), &geometry).unwrap().shape(),
            [0, 4, 4, 3]
        );
    }

    #[test]
    fn what_does_not_belong_together_is_an_error() {
        let x = Array4::<f32>::zeros((1, 4, 4, 2));
        let kind = |result: Result<Array4<f32>>| result.map_err(|e| e.kind()).unwrap_err();
        let geometry = Window2d::new(2).pool(x.shape()).unwrap();
        let (y, indices) = max_pool2d_with_indices(x.view(), &geometry).unwrap();
        assert_eq!(kind(max_pool2d(y.view(), &geometry)), ErrorKind::Shape);
        assert_eq!(kind(max_pool2d_backward(x.view(), &indices, &geometry)), ErrorKind::Shape);
        assert_eq!(kind(avg_pool2d(x.view(), Divisor::Fixed(0), &geometry)), ErrorKind::Argument);

        // The same output, but a window of another shape: its taps have other numbers.
        let other = Window2d::new((1, 4)).padding(Padding::symmetric(0, 1)).pool(&[1, 3, 4, 2]).unwrap();
        assert_eq!(other.output_shape(), geometry.output_shape());
        assert_eq!(kind(max_pool2d_backward(y.view(), &indices, &other)), ErrorKind::Shape);
        assert_eq!(indices.positions(&other).unwrap_err().kind(), ErrorKind::Shape);

        // Geometries of convolutions: of all channels at once, and one with windows in the padding alone.
        let dense = Window2d::new(2).conv(x.shape(), &[2, 2, 2, 2]).unwrap();
        assert_eq!(kind(max_pool2d(x.view(), &dense)), ErrorKind::Shape);
        let wide =
            Window2d::new(2).padding(Padding::all(2)).groups(2).conv(x.shape(), &[2, 2, 1, 2]).unwrap();
        assert_eq!(kind(avg_pool2d(x.view(), Divisor::InsideInput, &wide)), ErrorKind::Shape);
    }
}
