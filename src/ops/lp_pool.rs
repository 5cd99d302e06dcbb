//! Lp pooling: the norm of every window.

use ndarray::{Array4, ArrayView4};

use super::pool::{self, Divisor};
use super::{check_shape, contiguous, to_array};
use crate::memory::unwritten;
use crate::{Element, Error, Geometry2d, Result};

/// Fails unless `p` is a positive number.
pub(crate) fn check_power<T: Element>(op: &'static str, p: f64) -> Result<()> {
    match T::of(p).is_finite() && T::of(p) > T::zero() {
        true => Ok(()),
        false => Err(Error::argument(op, "a power p above 0", p)),
    }
}

/// The p-norm of what each window sees:
///
/// ```text
/// y[n, y, x, c] = (sum over i, j of |x[n, y*s + i*d - top, x*s + j*d - left, c]| ^ p) ^ (1 / p)
/// ```
///
/// a sum for `p = 1`, near the maximum for a large one. ONNX' `LpPool`; PyTorch's `lp_pool2d` takes no magnitudes: there,
/// negative numbers count against positive ones if `p` is odd.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) unless `p` is above 0, else as [`max_pool2d`](super::max_pool2d).
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let x = array![[[[3.0], [-4.0]]]];
/// let geometry = Window2d::new((1, 2)).pool(x.shape())?;
/// assert_eq!(ops::lp_pool2d(x.view(), 2.0, &geometry)?, array![[[[5.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn lp_pool2d<T: Element>(x: ArrayView4<'_, T>, p: f64, geometry: &Geometry2d) -> Result<Array4<T>> {
    const OP: &str = "lp_pool2d";
    check_power::<T>(OP, p)?;
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    let (x, power) = (contiguous(OP, x)?, T::of(p));
    let mut powers = unwritten(OP, &geometry.input_shape())?;
    powers.iter_mut().zip(&*x).for_each(|(y, x)| *y = x.abs().powf(power));
    let mut sums = pool::avg(OP, &powers, Divisor::Fixed(1), geometry)?;
    sums.iter_mut().for_each(|sum| *sum = sum.powf(T::one() / power));
    to_array(OP, geometry.output_shape(), sums)
}

/// The gradient of a loss with respect to the input of [`lp_pool2d`], from its input `x` and output `y`, and `grad`, the
/// gradient with respect to that:
///
/// ```text
/// dx = sign(x) * |x| ^ (p - 1) * sum of grad * y ^ (1 - p) over the windows that see it
/// ```
///
/// and 0 where `x` or `y` is.
///
/// # Errors
/// As [`lp_pool2d`].
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let x = array![[[[3.0], [-4.0]]]];
/// let geometry = Window2d::new((1, 2)).pool(x.shape())?;
/// let y = ops::lp_pool2d(x.view(), 2.0, &geometry)?;
/// let dx = ops::lp_pool2d_backward(array![[[[10.0]]]].view(), x.view(), y.view(), 2.0, &geometry)?;
/// assert_eq!(dx, array![[[[6.0], [-8.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn lp_pool2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    x: ArrayView4<'_, T>,
    y: ArrayView4<'_, T>,
    p: f64,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "lp_pool2d_backward";
    check_power::<T>(OP, p)?;
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    check_shape(OP, "an output", y.shape(), &geometry.output_shape())?;
    check_shape(OP, "an output gradient", grad.shape(), &geometry.output_shape())?;
    let (zero, power) = (T::zero(), T::of(p - 1.0));
    let mut shares = unwritten(OP, &geometry.output_shape())?;
    for (share, (&g, &y)) in shares.iter_mut().zip(grad.iter().zip(&y)) {
        *share = if y == zero { zero } else { g * y.powf(-power) };
    }
    let mut out = pool::avg_backward(OP, &shares, Divisor::Fixed(1), geometry)?;
    for (dx, &x) in out.iter_mut().zip(&x) {
        *dx = if x == zero { zero } else { *dx * x.signum() * x.abs().powf(power) };
    }
    to_array(OP, geometry.input_shape(), out)
}
