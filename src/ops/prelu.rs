//! PReLU: a rectifier whose negative slopes are trained.

use ndarray::{ArrayD, ArrayViewD};
use rayon::prelude::*;

use super::{check_shape, contiguous, copied, to_array};
use crate::memory::filled;
use crate::{Element, Error, Result};

/// Elements that one task works through.
const CHUNK: usize = 1 << 13;

/// The slopes, repeated to one for every index of some of the last axes, if there was one for all of them.
fn slopes<T: Element>(op: &'static str, alpha: ArrayViewD<'_, T>, shape: &[usize]) -> Result<Vec<T>> {
    let fits = shape.ends_with(alpha.shape()) && alpha.ndim() < shape.len().max(1);
    let slopes = copied(op, &alpha)?;
    match (fits, &slopes[..]) {
        (_, [single]) => filled(op, &shape[shape.len().saturating_sub(1)..], *single),
        (true, _) => Ok(slopes),
        (false, _) => {
            let expected = format!("one slope, or slopes for the last axes of {shape:?}");
            Err(Error::shape(op, expected, alpha.shape()))
        }
    }
}

/// The parametric rectifier (He et al., 2015): `y = x` where `x > 0`, else `alpha * x`. `alpha` has the shape of some of
/// the last axes of `x`, or is one number.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `alpha` has another shape.
///
/// ```
/// use ndarray::array;
/// let (x, alpha) = (array![[-2.0, -2.0], [1.0, 4.0]].into_dyn(), array![0.5, 0.1].into_dyn());
/// let y = striate::ops::prelu(x.view(), alpha.view())?;
/// assert_eq!(y, array![[-1.0, -0.2], [1.0, 4.0]].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn prelu<T: Element>(x: ArrayViewD<'_, T>, alpha: ArrayViewD<'_, T>) -> Result<ArrayD<T>> {
    const OP: &str = "prelu";
    let shape = x.shape().to_vec();
    let slopes = slopes(OP, alpha, &shape)?;
    let mut values = copied(OP, &x)?;
    if values.is_empty() {
        return to_array(OP, shape, values);
    }
    let piece = (CHUNK / slopes.len()).max(1) * slopes.len();
    values.par_chunks_mut(piece).for_each(|values| {
        for values in values.chunks_mut(slopes.len()) {
            for (x, &slope) in values.iter_mut().zip(&slopes) {
                *x = if *x > T::zero() { *x } else { slope * *x };
            }
        }
    });
    to_array(OP, shape, values)
}

/// The gradients of a loss with respect to the input and to the slopes of [`prelu`], from `grad`, that with respect to its
/// output: `dx = grad` where `x > 0`, else `alpha * grad`, and `dalpha` the sum of `x * grad` over where `x <= 0`.
///
/// # Errors
/// As [`prelu`].
///
/// ```
/// use ndarray::array;
/// let (x, alpha) = (array![[-2.0, 3.0]].into_dyn(), array![0.5].into_dyn());
/// let grad = array![[10.0, 1.0]].into_dyn();
/// let (dx, dalpha) = striate::ops::prelu_backward(grad.view(), x.view(), alpha.view())?;
/// assert_eq!((dx, dalpha), (array![[5.0, 1.0]].into_dyn(), array![-20.0].into_dyn()));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn prelu_backward<T: Element>(
    grad: ArrayViewD<'_, T>,
    x: ArrayViewD<'_, T>,
    alpha: ArrayViewD<'_, T>,
) -> Result<(ArrayD<T>, ArrayD<T>)> {
    const OP: &str = "prelu_backward";
    check_shape(OP, "an output gradient", grad.shape(), x.shape())?;
    let (shape, alpha_shape) = (x.shape().to_vec(), alpha.shape().to_vec());
    let slopes = slopes(OP, alpha, &shape)?;
    let mut dx = copied(OP, &grad)?;
    // In double precision: one slope may have millions of terms.
    let mut sums = filled(OP, &[slopes.len()], 0.0_f64)?;
    let x = contiguous(OP, x)?;
    if !slopes.is_empty() {
        for (grad, x) in dx.chunks_mut(slopes.len()).zip(x.chunks(slopes.len())) {
            for ((g, &x), (&slope, sum)) in grad.iter_mut().zip(x).zip(slopes.iter().zip(&mut sums)) {
                if x <= T::zero() {
                    *sum += x.to_double() * g.to_double();
                    *g *= slope;
                }
            }
        }
    }
    let dalpha = match alpha_shape.iter().product::<usize>() {
        1 => vec![T::of(sums.iter().sum())],
        _ => sums.iter().map(|&sum| T::of(sum)).collect(),
    };
    Ok((to_array(OP, shape, dx)?, to_array(OP, alpha_shape, dalpha)?))
}
