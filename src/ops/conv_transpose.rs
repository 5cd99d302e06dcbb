//! Two-dimensional transposed convolution and its gradients: a convolution's, in other roles.

use ndarray::{Array4, ArrayView1, ArrayView4};
use rayon::prelude::*;

use super::{check_shape, contiguous, conv, to_array};
use crate::memory::unwritten;
use crate::{Element, Geometry2d, Result};

/// Elements from which the bias is added by several threads.
const PARALLEL: usize = 1 << 15;

/// The transposed convolution of feature maps with a kernel, also called deconvolution: every input position adds the
/// kernel, times its value, to the output.
///
/// ```text
/// y[n, p, q, f] = bias[f] + sum over i, j, c of x[n, y, x, c] * kernel[i, j, f, c]
///                 where y*s + i*d - top = p, x*s + j*d - left = q
/// ```
///
/// with strides `s` and dilation `d`: the input gradient of the convolution that goes the other way (Dumoulin and Visin,
/// *A guide to convolution arithmetic for deep learning*, 2016). `x` is `[batch, height, width, channels]`, `kernel`
/// `[kh, kw, filters / groups, channels]`, `bias` `[filters]`, and `geometry` comes from
/// [`Window2d::conv_transpose`](crate::Window2d::conv_transpose). The same numbers as Keras' `ops.conv_transpose` and
/// PyTorch's `conv_transpose2d`, in Keras' layouts.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if an array does not have the geometry's shape;
/// [`ErrorKind::Size`](crate::ErrorKind::Size) if the output does not fit in memory.
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let (x, kernel) = (array![[[[1.0], [10.0]]]], array![[[[1.0]], [[2.0]], [[3.0]]]]);
/// let geometry = Window2d::new((1, 3)).strides((1, 2)).conv_transpose(x.shape(), kernel.shape(), None)?;
/// let y = ops::conv2d_transpose(x.view(), kernel.view(), None, &geometry)?;
/// assert_eq!(y, array![[[[1.0], [2.0], [13.0], [20.0], [30.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d_transpose<T: Element>(
    x: ArrayView4<'_, T>,
    kernel: ArrayView4<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "conv2d_transpose";
    check_shape(OP, "an input", x.shape(), &geometry.output_shape())?;
    check_shape(OP, "a kernel", kernel.shape(), &geometry.kernel_shape())?;
    let (shape, filters) = (geometry.input_shape(), geometry.in_channels);
    if let Some(bias) = &bias {
        check_shape(OP, "a bias", bias.shape(), &[filters])?;
    }
    let mut out = unwritten(OP, &shape)?;
    T::conv_backward_input(&contiguous(OP, x)?, &contiguous(OP, kernel)?, geometry, &mut out);
    if let Some(bias) = bias {
        add_bias(&mut out, &contiguous(OP, bias)?);
    }
    to_array(OP, shape, out)
}

/// Adds a number for each channel to every position.
pub(super) fn add_bias<T: Element>(values: &mut [T], bias: &[T]) {
    let channels = bias.len().max(1);
    let add = |pixel: &mut [T]| pixel.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
    match values.len() < PARALLEL {
        true => values.chunks_exact_mut(channels).for_each(add),
        false => values.par_chunks_exact_mut(channels).with_min_len(PARALLEL / channels).for_each(add),
    }
}

/// The gradient of a loss with respect to the input of [`conv2d_transpose`], from `grad`, that with respect to its output:
/// a convolution of `grad` with the kernel.
///
/// # Errors
/// As [`conv2d_transpose`].
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let kernel = array![[[[1.0]], [[2.0]], [[3.0]]]];
/// let geometry = Window2d::new((1, 3)).strides((1, 2)).conv_transpose(&[1, 1, 2, 1], kernel.shape(), None)?;
/// let grad = array![[[[1.0], [0.0], [1.0], [0.0], [0.0]]]];
/// let dx = ops::conv2d_transpose_backward_input(grad.view(), kernel.view(), &geometry)?;
/// assert_eq!(dx, array![[[[1.0 + 3.0], [1.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d_transpose_backward_input<T: Element>(
    grad: ArrayView4<'_, T>,
    kernel: ArrayView4<'_, T>,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "conv2d_transpose_backward_input";
    check_shape(OP, "an output gradient", grad.shape(), &geometry.input_shape())?;
    conv::conv2d(grad, kernel, None, geometry)
}

/// The gradient of a loss with respect to the kernel of [`conv2d_transpose`], from its input and `grad`, the gradient with
/// respect to its output. That with respect to the bias is [`conv2d_backward_bias`](super::conv2d_backward_bias).
///
/// # Errors
/// As [`conv2d_transpose`].
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let (x, grad) = (array![[[[1.0], [10.0]]]], array![[[[1.0], [0.0], [1.0], [0.0], [0.0]]]]);
/// let geometry = Window2d::new((1, 3)).strides((1, 2)).conv_transpose(x.shape(), &[1, 3, 1, 1], None)?;
/// let dkernel = ops::conv2d_transpose_backward_kernel(x.view(), grad.view(), &geometry)?;
/// assert_eq!(dkernel, array![[[[1.0 + 10.0]], [[0.0]], [[1.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d_transpose_backward_kernel<T: Element>(
    x: ArrayView4<'_, T>,
    grad: ArrayView4<'_, T>,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "conv2d_transpose_backward_kernel";
    check_shape(OP, "an input", x.shape(), &geometry.output_shape())?;
    check_shape(OP, "an output gradient", grad.shape(), &geometry.input_shape())?;
    conv::conv2d_backward_kernel(grad, x, geometry)
}
