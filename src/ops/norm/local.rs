//! Local response normalisation, across neighbouring channels.

use std::borrow::Cow;

use ndarray::{ArrayD, ArrayViewD};

use super::super::pool::{self, Divisor};
use super::super::{check_shape, contiguous, to_array};
use crate::kernels::Buffer;
use crate::memory::{len_of, unwritten};
use crate::{Element, Error, Geometry2d, Padding, Result, Window2d};

/// The constants of local response normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LocalResponse {
    pub(crate) size: usize,
    pub(crate) alpha: f64,
    pub(crate) beta: f64,
    pub(crate) k: f64,
}

/// Checks the constants and the shape; the windows over channels are those of a pooling of `[1, positions, channels, 1]`.
pub(crate) fn check_local(op: &'static str, shape: &[usize], constants: LocalResponse) -> Result<Geometry2d> {
    let LocalResponse { size, alpha, beta, k } = constants;
    if ![alpha, beta, k].iter().all(|number| number.is_finite()) {
        return Err(Error::argument(op, "finite alpha, beta and k", format_args!("{constants:?}")));
    }
    let (positions, channels) = match shape {
        [positions @ .., channels] if !positions.is_empty() && *channels > 0 => (positions, *channels),
        _ => return Err(Error::shape(op, "an input of [batch, ..., channels]", shape)),
    };
    if size == 0 {
        return Err(Error::argument(op, "a size of 1 or more", 0));
    }
    // Without positions there is nothing to compute, but a window to check.
    let positions = len_of(op, positions)?.max(1);
    let padding = Padding::Explicit { top: 0, bottom: 0, left: size / 2, right: (size - 1) / 2 };
    Window2d::new((1, size)).padding(padding).pool(&[1, positions, channels, 1])
}

/// `k + alpha * mean of x^2`, over the windows.
fn denominators<T: Element>(
    op: &'static str,
    x: &[T],
    shape: &[usize],
    constants: LocalResponse,
) -> Result<(Buffer<T>, Geometry2d)> {
    let geometry = check_local(op, shape, constants)?;
    if x.is_empty() {
        return Ok((Buffer::default(), geometry));
    }
    let mut squares = unwritten(op, shape)?;
    squares.iter_mut().zip(x).for_each(|(square, &x)| *square = x * x);
    let mut sums = pool::avg(op, &squares, Divisor::Fixed(constants.size), &geometry)?;
    let (alpha, k) = (T::of(constants.alpha), T::of(constants.k));
    sums.iter_mut().for_each(|sum| *sum = k + alpha * *sum);
    Ok((sums, geometry))
}

/// Local response normalisation (Krizhevsky et al., 2012): with `n` the `size` channels around `c`, of which `size / 2` lie
/// before it,
///
/// ```text
/// y[.., c] = x[.., c] / (k + alpha / size * sum over n of x[.., n]^2) ^ beta
/// ```
///
/// Channels that are not there count as zeros. PyTorch's `local_response_norm`; TensorFlow's
/// `local_response_normalization` does not divide `alpha` by `size`.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `size` is 0 or a number is not finite; [`ErrorKind::Shape`](crate::ErrorKind::Shape) if there are no channels.
///
/// ```
/// use ndarray::array;
/// let x = array![[1.0, 2.0, 2.0]].into_dyn();
/// let y = striate::ops::local_response_norm(x.view(), 3, 3.0, 1.0, 1.0)?;
/// assert_eq!(y, array![[1.0 / 6.0, 2.0 / 10.0, 2.0 / 9.0]].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn local_response_norm<T: Element>(
    x: ArrayViewD<'_, T>,
    size: usize,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result<ArrayD<T>> {
    const OP: &str = "local_response_norm";
    let shape = x.shape().to_vec();
    let x = contiguous(OP, x)?;
    let (mut out, _) = denominators(OP, &x, &shape, LocalResponse { size, alpha, beta, k })?;
    let power = T::of(-beta);
    out.iter_mut().zip(&*x).for_each(|(out, &x)| *out = x * out.powf(power));
    to_array(OP, shape, out)
}

/// The gradient of a loss with respect to the input of [`local_response_norm`], from `grad`, that with respect to its
/// output. With the denominators `d = k + alpha / size * sum of x^2`,
///
/// ```text
/// dx[c] = grad[c] / d[c]^beta - 2 * alpha * beta / size * x[c] * sum of grad[m] * x[m] / d[m]^(beta + 1)
/// ```
///
/// over the channels `m` in whose window `c` lies.
///
/// # Errors
/// As [`local_response_norm`], and [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` has another shape.
///
/// ```
/// use ndarray::array;
/// let (x, grad) = (array![[2.0]].into_dyn(), array![[9.0]].into_dyn());
/// let dx = striate::ops::local_response_norm_backward(grad.view(), x.view(), 1, 1.0, 1.0, -1.0)?;
/// assert_eq!(dx, array![[-5.0]].into_dyn());    // y = x / (x^2 - 1), dy = -(x^2 + 1) / (x^2 - 1)^2
/// # Ok::<(), striate::Error>(())
/// ```
pub fn local_response_norm_backward<T: Element>(
    grad: ArrayViewD<'_, T>,
    x: ArrayViewD<'_, T>,
    size: usize,
    alpha: f64,
    beta: f64,
    k: f64,
) -> Result<ArrayD<T>> {
    const OP: &str = "local_response_norm_backward";
    check_shape(OP, "an output gradient", grad.shape(), x.shape())?;
    let shape = x.shape().to_vec();
    let (x, grad): (Cow<'_, [T]>, Cow<'_, [T]>) = (contiguous(OP, x)?, contiguous(OP, grad)?);
    let (mut scales, geometry) = denominators(OP, &x, &shape, LocalResponse { size, alpha, beta, k })?;
    if x.is_empty() {
        return to_array(OP, shape, scales);
    }
    let mut terms = unwritten(OP, &shape)?;
    let power = T::of(-beta);
    for ((term, scale), (&x, &g)) in terms.iter_mut().zip(scales.iter_mut()).zip(x.iter().zip(&*grad)) {
        let denominator = *scale;
        *scale = denominator.powf(power);
        *term = g * x * *scale / denominator;
    }
    let mut out = pool::avg_backward(OP, &terms, Divisor::Fixed(size), &geometry)?;
    let factor = T::of(2.0 * alpha * beta);
    for ((dx, &scale), (&x, &g)) in out.iter_mut().zip(scales.iter()).zip(x.iter().zip(&*grad)) {
        *dx = g * scale - factor * x * *dx;
    }
    to_array(OP, shape, out)
}
