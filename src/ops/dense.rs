//! The fully connected product and its gradients.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::conv::conv_backward_weights;
use super::{check_shape, contiguous, to_array};
use crate::kernels::epilogue::Epilogue;
use crate::memory::unwritten;
use crate::{Element, Geometry2d, Result, Window2d};

/// The product of a fully connected layer, as Keras' `Dense` (PyTorch's `Linear` has the transposed kernel):
///
/// ```text
/// y[n, j] = bias[j] + sum over i of x[n, i] * kernel[i, j]
/// ```
///
/// `x` is `[rows, inputs]`, `kernel` `[inputs, outputs]`, `bias` `[outputs]`.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the sizes do not match;
/// [`ErrorKind::Size`](crate::ErrorKind::Size) if the output does not fit in memory.
///
/// ```
/// use ndarray::array;
/// let (x, kernel, bias) = (array![[1.0, 2.0]], array![[1.0, 0.0, 5.0], [0.0, 1.0, 6.0]], array![0.5, 0.5, 0.5]);
/// let y = striate::ops::dense(x.view(), kernel.view(), Some(bias.view()))?;
/// assert_eq!(y, array![[1.5, 2.5, 17.5]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn dense<T: Element>(
    x: ArrayView2<'_, T>,
    kernel: ArrayView2<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
) -> Result<Array2<T>> {
    const OP: &str = "dense";
    let [rows, inputs, outputs] = [x.nrows(), x.ncols(), kernel.ncols()];
    check_shape(OP, "a kernel", kernel.shape(), &[inputs, outputs])?;
    if let Some(bias) = &bias {
        check_shape(OP, "a bias", bias.shape(), &[outputs])?;
    }
    let mut out = unwritten(OP, &[rows, outputs])?;
    let (x, kernel) = (contiguous(OP, x)?, contiguous(OP, kernel)?);
    let bias = bias.map(|bias| contiguous(OP, bias)).transpose()?;
    match dense_as_convolution(rows, inputs, outputs)? {
        Some(geometry) => {
            T::conv_forward_once(&x, &kernel, &geometry, Epilogue::bias(bias.as_deref()), &mut out);
        }
        None => match bias {
            Some(bias) if outputs > 0 => out.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(&bias)),
            _ => out.fill(T::zero()),
        },
    }
    to_array(OP, (rows, outputs), out)
}

/// The gradient of a loss with respect to the input of [`dense`], from `grad`, that with respect to its output:
/// `dx = grad * transpose(kernel)`.
///
/// # Errors
/// As [`dense`].
///
/// ```
/// use ndarray::array;
/// let kernel = array![[1.0, 0.0, 5.0], [0.0, 1.0, 6.0]];
/// let dx = striate::ops::dense_backward_input(array![[1.0, 1.0, 1.0]].view(), kernel.view())?;
/// assert_eq!(dx, array![[6.0, 7.0]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn dense_backward_input<T: Element>(
    grad: ArrayView2<'_, T>,
    kernel: ArrayView2<'_, T>,
) -> Result<Array2<T>> {
    const OP: &str = "dense_backward_input";
    let [rows, inputs, outputs] = [grad.nrows(), kernel.nrows(), kernel.ncols()];
    check_shape(OP, "an output gradient", grad.shape(), &[rows, outputs])?;
    let mut out = unwritten(OP, &[rows, inputs])?;
    match dense_as_convolution(rows, inputs, outputs)? {
        Some(geometry) => {
            T::conv_backward_input(&contiguous(OP, grad)?, &contiguous(OP, kernel)?, &geometry, &mut out);
        }
        None => out.fill(T::zero()),
    }
    to_array(OP, (rows, inputs), out)
}

/// The gradient of a loss with respect to the kernel of [`dense`], from `grad`, that with respect to its output:
/// `dkernel = transpose(x) * grad`, summed over the rows, not averaged.
///
/// # Errors
/// As [`dense`].
///
/// ```
/// use ndarray::array;
/// let (x, grad) = (array![[1.0, 2.0], [3.0, 4.0]], array![[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]);
/// let dkernel = striate::ops::dense_backward_kernel(x.view(), grad.view())?;
/// assert_eq!(dkernel, array![[1.0, 3.0, 2.0], [2.0, 4.0, 4.0]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn dense_backward_kernel<T: Element>(x: ArrayView2<'_, T>, grad: ArrayView2<'_, T>) -> Result<Array2<T>> {
    const OP: &str = "dense_backward_kernel";
    dense_backward_weights(OP, x, grad, false).map(|(kernel, _)| kernel)
}

/// The gradients with respect to the kernel and, if there is one, the bias, in one go.
pub(crate) fn dense_backward_weights<T: Element>(
    op: &'static str,
    x: ArrayView2<'_, T>,
    grad: ArrayView2<'_, T>,
    has_bias: bool,
) -> Result<(Array2<T>, Option<Array1<T>>)> {
    let [rows, inputs, outputs] = [x.nrows(), x.ncols(), grad.ncols()];
    check_shape(op, "an output gradient", grad.shape(), &[rows, outputs])?;
    let (x, grad) = (contiguous(op, x)?, contiguous(op, grad)?);
    let (kernel, bias) = match dense_as_convolution(rows, inputs, outputs)? {
        Some(geometry) => conv_backward_weights(op, (&x, &grad), &geometry, has_bias)?,
        None => {
            let (mut kernel, mut bias) = (unwritten(op, &[inputs, outputs])?, unwritten(op, &[outputs])?);
            kernel.fill(T::zero());
            T::column_sums(&grad, &mut bias);
            (kernel, has_bias.then_some(bias))
        }
    };
    let bias = bias.map(|bias| to_array(op, outputs, bias)).transpose()?;
    Ok((to_array(op, (inputs, outputs), kernel)?, bias))
}

/// [`dense`] as a convolution of 1x1 over maps of one position; `None` where there is nothing to multiply.
pub(crate) fn dense_as_convolution(rows: usize, inputs: usize, outputs: usize) -> Result<Option<Geometry2d>> {
    if rows == 0 || inputs == 0 || outputs == 0 {
        return Ok(None);
    }
    Window2d::new(1).conv(&[rows, 1, 1, inputs], &[1, 1, inputs, outputs]).map(Some)
}

/// The gradient of a loss with respect to the bias of [`dense`]: the sum of the rows of `grad`, that with respect to
/// its output.
///
/// # Errors
/// [`ErrorKind::Size`](crate::ErrorKind::Size) if the elements of a view do not fit in memory.
///
/// ```
/// use ndarray::array;
/// let dbias = striate::ops::dense_backward_bias(array![[1.0, 2.0], [3.0, 4.0]].view())?;
/// assert_eq!(dbias, array![4.0, 6.0]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn dense_backward_bias<T: Element>(grad: ArrayView2<'_, T>) -> Result<Array1<T>> {
    const OP: &str = "dense_backward_bias";
    let mut out = unwritten(OP, &[grad.ncols()])?;
    T::column_sums(&contiguous(OP, grad)?, &mut out);
    to_array(OP, out.len(), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use ndarray::Array;
    use proptest::prelude::*;

    /// Small whole numbers, whose sums are exact in any order.
    fn matrix(rows: usize, cols: usize, salt: usize) -> Array2<f32> {
        Array::from_shape_fn((rows, cols), |(i, j)| ((i * 37 + j * 11 + salt) % 17) as f32 - 8.0)
    }

    proptest! {
        #[test]
        fn all_four_are_those_of_ndarray(
            rows in 0_usize..70, inputs in 0_usize..40, outputs in 0_usize..40, turned: bool
        ) {
            let (mut x, kernel, grad) = (matrix(rows, inputs, 1), matrix(inputs, outputs, 2), matrix(rows, outputs, 3));
            let bias = matrix(1, outputs, 4).remove_axis(ndarray::Axis(0));
            if turned {
                x = matrix(inputs, rows, 1).reversed_axes();
            }
            prop_assert_eq!(dense(x.view(), kernel.view(), Some(bias.view())).unwrap(), x.dot(&kernel) + &bias);
            prop_assert_eq!(dense(x.view(), kernel.view(), None).unwrap(), x.dot(&kernel));
            prop_assert_eq!(dense_backward_input(grad.view(), kernel.view()).unwrap(), grad.dot(&kernel.t()));
            prop_assert_eq!(dense_backward_kernel(x.view(), grad.view()).unwrap(), x.t().dot(&grad));
            prop_assert_eq!(dense_backward_bias(grad.view()).unwrap(), grad.sum_axis(ndarray::Axis(0)));
        }
    }

    #[test]
    fn sizes_must_match() {
        let (x, kernel, bias) = (matrix(4, 3, 1), matrix(3, 2, 2), Array1::zeros(3));
        for error in [
            dense(x.view(), kernel.t(), None).unwrap_err(),
            dense(x.view(), kernel.view(), Some(bias.view())).unwrap_err(),
            dense_backward_input(x.view(), kernel.view()).unwrap_err(),
            dense_backward_kernel(x.view(), kernel.view()).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        }
    }
}
