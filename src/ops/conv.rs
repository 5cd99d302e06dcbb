//! Two-dimensional convolution and its gradients.

use ndarray::{Array1, Array4, ArrayView1, ArrayView4};

use super::{check_shape, contiguous, to_array};
use crate::kernels::Buffer;
use crate::kernels::epilogue::Epilogue;
use crate::memory::{len_of, unwritten};
use crate::{Element, Geometry2d, Result};

/// The convolution of feature maps with a kernel, as CNNs mean it (a cross-correlation: the kernel is not flipped):
///
/// ```text
/// y[n, y, x, f] = bias[f] + sum over i, j, c of x[n, y*s + i*d - top, x*s + j*d - left, c] * kernel[i, j, c, f]
/// ```
///
/// with strides `s` and dilation `d`. `x` is `[batch, height, width, channels]`, `kernel`
/// `[kh, kw, channels / groups, filters]`, `bias` `[filters]`; what lies in the padding is zero. Filter `f` belongs to
/// group `f / (filters / groups)` and sees that group's channels. The same numbers as Keras' `ops.conv` and PyTorch's
/// `conv2d`, in Keras' layouts.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if an array does not have the geometry's shape;
/// [`ErrorKind::Size`](crate::ErrorKind::Size) if the output does not fit in memory.
///
/// ```
/// use ndarray::{Array4, array};
/// use striate::{Window2d, ops};
/// let picture = Array4::from_shape_fn((1, 3, 3, 1), |(_, y, x, _)| (3 * y + x) as f32);
/// let sobel = array![[[[-1.0_f32]], [[0.0]], [[1.0]]], [[[-2.0]], [[0.0]], [[2.0]]], [[[-1.0]], [[0.0]], [[1.0]]]];
/// let geometry = Window2d::new(3).conv(picture.shape(), sobel.shape())?;
/// let edges = ops::conv2d(picture.view(), sobel.view(), None, &geometry)?;
/// assert_eq!(edges, Array4::from_elem((1, 1, 1, 1), 8.0));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d<T: Element>(
    x: ArrayView4<'_, T>,
    kernel: ArrayView4<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "conv2d";
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    check_shape(OP, "a kernel", kernel.shape(), &geometry.kernel_shape())?;
    if let Some(bias) = &bias {
        check_shape(OP, "a bias", bias.shape(), &[geometry.out_channels])?;
    }
    let shape = geometry.output_shape();
    let mut out = unwritten(OP, &shape)?;
    let kernel = contiguous(OP, kernel)?;
    let bias = bias.map(|bias| contiguous(OP, bias)).transpose()?;
    let after = Epilogue::bias(bias.as_deref());
    T::conv_forward_once(&contiguous(OP, x)?, &kernel, geometry, after, &mut out);
    to_array(OP, shape, out)
}

/// The gradient of a loss with respect to the input of [`conv2d`], from `grad`, that with respect to its output:
///
/// ```text
/// dx[n, p, q, c] = sum over i, j, f of grad[n, y, x, f] * kernel[i, j, c, f]
///                  where y*s + i*d - top = p, x*s + j*d - left = q
/// ```
///
/// The same as Keras' and PyTorch's; the operation behind transposed convolution (Dumoulin and Visin, *A guide to
/// convolution arithmetic for deep learning*, 2016).
///
/// # Errors
/// As [`conv2d`].
///
/// ```
/// use ndarray::Array4;
/// use striate::{Window2d, ops};
/// let kernel = Array4::from_elem((2, 2, 1, 1), 3.0);
/// let geometry = Window2d::new(2).conv(&[1, 3, 3, 1], kernel.shape())?;
/// let grad = Array4::<f64>::ones(geometry.output_shape());
/// let dx = ops::conv2d_backward_input(grad.view(), kernel.view(), &geometry)?;
/// assert_eq!((dx[[0, 0, 0, 0]], dx[[0, 1, 1, 0]]), (3.0, 12.0));    // seen by one window, and by four
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d_backward_input<T: Element>(
    grad: ArrayView4<'_, T>,
    kernel: ArrayView4<'_, T>,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "conv2d_backward_input";
    check_shape(OP, "an output gradient", grad.shape(), &geometry.output_shape())?;
    check_shape(OP, "a kernel", kernel.shape(), &geometry.kernel_shape())?;
    let shape = geometry.input_shape();
    let mut out = unwritten(OP, &shape)?;
    T::conv_backward_input(&contiguous(OP, grad)?, &contiguous(OP, kernel)?, geometry, &mut out);
    to_array(OP, shape, out)
}

/// The gradient of a loss with respect to the kernel of [`conv2d`], from `grad`, that with respect to its output:
///
/// ```text
/// dkernel[i, j, c, f] = sum over n, y, x of x[n, y*s + i*d - top, x*s + j*d - left, c] * grad[n, y, x, f]
/// ```
///
/// summed over the batch, not averaged, as in Keras and PyTorch.
///
/// # Errors
/// As [`conv2d`].
///
/// ```
/// use ndarray::Array4;
/// use striate::{Window2d, ops};
/// let geometry = Window2d::new(2).conv(&[1, 3, 3, 1], &[2, 2, 1, 1])?;
/// let x = Array4::from_shape_fn((1, 3, 3, 1), |(_, y, x, _)| (3 * y + x) as f32);
/// let grad = Array4::ones(geometry.output_shape());
/// let dkernel = ops::conv2d_backward_kernel(x.view(), grad.view(), &geometry)?;
/// assert_eq!(dkernel[[0, 0, 0, 0]], 0.0 + 1.0 + 3.0 + 4.0);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d_backward_kernel<T: Element>(
    x: ArrayView4<'_, T>,
    grad: ArrayView4<'_, T>,
    geometry: &Geometry2d,
) -> Result<Array4<T>> {
    const OP: &str = "conv2d_backward_kernel";
    check_shape(OP, "an input", x.shape(), &geometry.input_shape())?;
    check_shape(OP, "an output gradient", grad.shape(), &geometry.output_shape())?;
    let operands = (&*contiguous(OP, x)?, &*contiguous(OP, grad)?);
    let (kernel, _) = conv_backward_weights(OP, operands, geometry, false)?;
    to_array(OP, geometry.kernel_shape(), kernel)
}

/// The elements of the gradients with respect to the kernel and, if there is one, the bias, in one go.
pub(crate) fn conv_backward_weights<T: Element>(
    op: &'static str,
    (x, grad): (&[T], &[T]),
    geometry: &Geometry2d,
    has_bias: bool,
) -> Result<(Buffer<T>, Option<Buffer<T>>)> {
    let len = len_of(op, &geometry.kernel_shape())?;
    let filters = if has_bias { geometry.out_channels } else { 0 };
    let mut kernel = unwritten(op, &[len + filters])?;
    T::conv_backward_kernel(x, grad, geometry, &mut kernel);
    let mut bias = if has_bias { Some(unwritten(op, &[filters])?) } else { None };
    if let Some(bias) = &mut bias {
        bias.copy_from_slice(&kernel[len..]);
    }
    kernel.truncate(len);
    Ok((kernel, bias))
}

/// The gradient of a loss with respect to the bias of [`conv2d`]: the sum of `grad`, that with respect to its output,
/// over batch, rows and columns.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` has no channels.
///
/// ```
/// let grad = ndarray::Array4::<f32>::ones((2, 3, 3, 5));
/// assert_eq!(striate::ops::conv2d_backward_bias(grad.view())?, ndarray::array![18.0, 18.0, 18.0, 18.0, 18.0]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv2d_backward_bias<T: Element>(grad: ArrayView4<'_, T>) -> Result<Array1<T>> {
    const OP: &str = "conv2d_backward_bias";
    let [.., channels] = crate::geometry::maps(OP, grad.shape())?;
    let mut out = unwritten(OP, &[channels])?;
    T::column_sums(&contiguous(OP, grad)?, &mut out);
    to_array(OP, out.len(), out)
}
