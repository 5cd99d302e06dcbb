//! Three-dimensional convolution, transposed convolution and their gradients, as two-dimensional ones of stacked planes.

use std::borrow::Cow;

use ndarray::{Array4, Array5, ArrayView1, ArrayView5};

use super::conv_transpose::add_bias;
use super::stack::Stacking;
use super::{check_shape, contiguous, conv, reshaped, to_array, view_of};
use crate::geometry::volumes;
use crate::{Element, Geometry2d, PadMode, Result, Window3d};

/// What a convolution of these shapes comes to.
struct Plan {
    stacking: Stacking,
    geometry: Geometry2d,
    output: [usize; 5],
}

impl Plan {
    fn new(op: &'static str, input: &[usize], kernel: &[usize], window: &Window3d) -> Result<Self> {
        let [batch, ..] = volumes(op, input)?;
        let (depth, geometry) = window.conv(op, input, kernel)?;
        let [_, height, width, filters] = geometry.output_shape();
        let stacking = Stacking::new(op, &depth, PadMode::Zeros, geometry.groups)?;
        Ok(Plan { stacking, geometry, output: [batch, depth.output, height, width, filters] })
    }

    /// The planes that each output plane sees, as the channels of one map.
    fn stack<T: Element>(&self, op: &'static str, x: ArrayView5<'_, T>) -> Result<Array4<T>> {
        let shape = self.geometry.input_shape();
        to_array(op, shape, self.stacking.stack(op, &contiguous(op, x)?, shape)?)
    }

    /// The elements of a gradient of the output, which are those of maps, too.
    fn flat_grad<'a, T: Element>(&self, op: &'static str, grad: ArrayView5<'a, T>) -> Result<Cow<'a, [T]>> {
        check_shape(op, "an output gradient", grad.shape(), &self.output)?;
        contiguous(op, grad)
    }
}

/// A kernel `[kd, kh, kw, channels / groups, filters]` as `[kh, kw, kd * channels / groups, filters]`.
pub(crate) fn stacked_kernel<T: Element>(kernel: ArrayView5<'_, T>) -> Vec<T> {
    kernel.permuted_axes([1, 2, 0, 3, 4]).iter().copied().collect()
}

/// The inverse of [`stacked_kernel`].
pub(crate) fn unstacked_kernel<T: Element>(
    op: &'static str,
    stacked: Array4<T>,
    kernel: &[usize],
) -> Result<Array5<T>> {
    let [kd, kh, kw, inputs, filters] = volumes(op, kernel)?;
    let stacked = reshaped(op, [kh, kw, kd, inputs, filters], stacked)?;
    Ok(stacked.permuted_axes([2, 0, 1, 3, 4]).as_standard_layout().into_owned())
}

/// The convolution of volumes with a kernel:
///
/// ```text
/// y[n, z, y, x, f] = bias[f] + sum over h, i, j, c of
///     x[n, z*s + h*d - front, y*s + i*d - top, x*s + j*d - left, c] * kernel[h, i, j, c, f]
/// ```
///
/// `x` is `[batch, depth, height, width, channels]`, `kernel` `[kd, kh, kw, channels / groups, filters]`, `bias`
/// `[filters]`; what lies in the padding is zero. Keras' `ops.conv` and PyTorch's `conv3d`, in Keras' layouts. The planes
/// that an output plane sees are copied side by side, `kd` times the input, and convolved as one map.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) or [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the arrays do
/// not fit the window; [`ErrorKind::Size`](crate::ErrorKind::Size) if something does not fit in memory.
///
/// ```
/// use ndarray::Array5;
/// use striate::{Window3d, ops};
/// let (x, kernel) = (Array5::<f32>::ones((1, 3, 3, 3, 2)), Array5::ones((3, 3, 3, 2, 1)));
/// let y = ops::conv3d(x.view(), kernel.view(), None, &Window3d::new(3))?;
/// assert_eq!(y, Array5::from_elem((1, 1, 1, 1, 1), 54.0));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv3d<T: Element>(
    x: ArrayView5<'_, T>,
    kernel: ArrayView5<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
    window: &Window3d,
) -> Result<Array5<T>> {
    const OP: &str = "conv3d";
    let plan = Plan::new(OP, x.shape(), kernel.shape(), window)?;
    let kernel = to_array(OP, plan.geometry.kernel_shape(), stacked_kernel(kernel))?;
    let y = conv::conv2d(plan.stack(OP, x)?.view(), kernel.view(), bias, &plan.geometry)?;
    reshaped(OP, plan.output, y)
}

/// The gradient of a loss with respect to the input of [`conv3d`], whose shape is `input`, from `grad`, that with respect
/// to its output.
///
/// # Errors
/// As [`conv3d`].
///
/// ```
/// use ndarray::Array5;
/// use striate::{Window3d, ops};
/// let (grad, kernel) = (Array5::<f32>::ones((1, 2, 1, 1, 1)), Array5::from_elem((2, 1, 1, 1, 1), 3.0));
/// let dx = ops::conv3d_backward_input(grad.view(), kernel.view(), &[1, 3, 1, 1, 1], &Window3d::new((2, 1, 1)))?;
/// assert_eq!(dx.as_slice(), Some(&[3.0, 6.0, 3.0][..]));    // the plane in the middle is seen twice
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv3d_backward_input<T: Element>(
    grad: ArrayView5<'_, T>,
    kernel: ArrayView5<'_, T>,
    input: &[usize],
    window: &Window3d,
) -> Result<Array5<T>> {
    const OP: &str = "conv3d_backward_input";
    let (input, plan) = (volumes(OP, input)?, Plan::new(OP, input, kernel.shape(), window)?);
    let kernel = to_array(OP, plan.geometry.kernel_shape(), stacked_kernel(kernel))?;
    let grad = plan.flat_grad(OP, grad)?;
    let grad = view_of(OP, plan.geometry.output_shape(), &grad)?;
    let stacked = conv::conv2d_backward_input(grad, kernel.view(), &plan.geometry)?;
    let stacked = contiguous(OP, stacked.view())?;
    to_array(OP, input, plan.stacking.unstack(OP, &stacked, input)?)
}

/// The gradient of a loss with respect to the kernel of [`conv3d`], whose shape is `kernel`, from its input and `grad`, the
/// gradient with respect to its output. That with respect to the bias is the sum of `grad` for each filter.
///
/// # Errors
/// As [`conv3d`].
///
/// ```
/// use ndarray::{Array5, array};
/// use striate::{Window3d, ops};
/// let x = array![[[[[1.0]]], [[[2.0]]], [[[4.0]]]]];
/// let grad = Array5::<f64>::ones((1, 2, 1, 1, 1));
/// let dkernel = ops::conv3d_backward_kernel(x.view(), grad.view(), &[2, 1, 1, 1, 1], &Window3d::new((2, 1, 1)))?;
/// assert_eq!(dkernel.as_slice(), Some(&[3.0, 6.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv3d_backward_kernel<T: Element>(
    x: ArrayView5<'_, T>,
    grad: ArrayView5<'_, T>,
    kernel: &[usize],
    window: &Window3d,
) -> Result<Array5<T>> {
    const OP: &str = "conv3d_backward_kernel";
    let plan = Plan::new(OP, x.shape(), kernel, window)?;
    let (x, grad) = (plan.stack(OP, x)?, plan.flat_grad(OP, grad)?);
    let grad = view_of(OP, plan.geometry.output_shape(), &grad)?;
    let stacked = conv::conv2d_backward_kernel(x.view(), grad, &plan.geometry)?;
    unstacked_kernel(OP, stacked, kernel)
}

/// What a transposed convolution of these shapes comes to.
fn transposed_plan(
    op: &'static str,
    input: &[usize],
    kernel: &[usize],
    window: &Window3d,
    output_padding: Option<[usize; 3]>,
) -> Result<Plan> {
    let (depth, geometry, output) = window.conv_transpose(op, input, kernel, output_padding)?;
    let stacking = Stacking::new(op, &depth, PadMode::Zeros, geometry.groups)?;
    Ok(Plan { stacking, geometry, output })
}

/// The transposed convolution of volumes with a kernel: every input position adds the kernel, times its value, to the
/// output, as [`conv2d_transpose`](super::conv2d_transpose) in three dimensions.
///
/// `x` is `[batch, depth, height, width, channels]`, `kernel` `[kd, kh, kw, filters / groups, channels]`, `bias`
/// `[filters]`; sizes and `output_padding` are as for [`Window2d::conv_transpose`](crate::Window2d::conv_transpose) along
/// each axis. Keras' `ops.conv_transpose` and PyTorch's `conv_transpose3d`, in Keras' layouts.
///
/// # Errors
/// As [`conv3d`].
///
/// ```
/// use ndarray::{Array5, array};
/// use striate::{Window3d, ops};
/// let (x, kernel) = (array![[[[[1.0]]], [[[10.0]]]]], Array5::ones((3, 1, 1, 1, 1)));
/// let window = Window3d::new((3, 1, 1)).strides((2, 1, 1));
/// let y = ops::conv3d_transpose(x.view(), kernel.view(), None, &window, None)?;
/// assert_eq!(y.as_slice(), Some(&[1.0, 1.0, 11.0, 10.0, 10.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv3d_transpose<T: Element>(
    x: ArrayView5<'_, T>,
    kernel: ArrayView5<'_, T>,
    bias: Option<ArrayView1<'_, T>>,
    window: &Window3d,
    output_padding: Option<[usize; 3]>,
) -> Result<Array5<T>> {
    const OP: &str = "conv3d_transpose";
    let plan = transposed_plan(OP, x.shape(), kernel.shape(), window, output_padding)?;
    if let Some(bias) = &bias {
        check_shape(OP, "a bias", bias.shape(), &plan.output[4..])?;
    }
    let kernel = to_array(OP, plan.geometry.kernel_shape(), stacked_kernel(kernel))?;
    let x = contiguous(OP, x)?;
    let x = view_of(OP, plan.geometry.output_shape(), &x)?;
    let stacked = conv::conv2d_backward_input(x, kernel.view(), &plan.geometry)?;
    let mut out = plan.stacking.unstack(OP, &contiguous(OP, stacked.view())?, plan.output)?;
    if let Some(bias) = bias {
        add_bias(&mut out, &contiguous(OP, bias)?);
    }
    to_array(OP, plan.output, out)
}

/// The gradient of a loss with respect to the input of [`conv3d_transpose`], whose shape is `input`, from `grad`, that with
/// respect to its output.
///
/// # Errors
/// As [`conv3d`].
///
/// ```
/// use ndarray::{Array5, array};
/// use striate::{Window3d, ops};
/// let (grad, kernel) = (array![[[[[1.0]]], [[[2.0]]], [[[4.0]]]]], Array5::ones((2, 1, 1, 1, 1)));
/// let window = Window3d::new((2, 1, 1));
/// let dx = ops::conv3d_transpose_backward_input(grad.view(), kernel.view(), &[1, 2, 1, 1, 1], &window, None)?;
/// assert_eq!(dx.as_slice(), Some(&[3.0, 6.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv3d_transpose_backward_input<T: Element>(
    grad: ArrayView5<'_, T>,
    kernel: ArrayView5<'_, T>,
    input: &[usize],
    window: &Window3d,
    output_padding: Option<[usize; 3]>,
) -> Result<Array5<T>> {
    const OP: &str = "conv3d_transpose_backward_input";
    let plan = transposed_plan(OP, input, kernel.shape(), window, output_padding)?;
    check_shape(OP, "an output gradient", grad.shape(), &plan.output)?;
    let kernel = to_array(OP, plan.geometry.kernel_shape(), stacked_kernel(kernel))?;
    let dx = conv::conv2d(plan.stack(OP, grad)?.view(), kernel.view(), None, &plan.geometry)?;
    reshaped(OP, volumes(OP, input)?, dx)
}

/// The gradient of a loss with respect to the kernel of [`conv3d_transpose`], whose shape is `kernel`, from its input and
/// `grad`, the gradient with respect to its output.
///
/// # Errors
/// As [`conv3d`].
///
/// ```
/// use ndarray::array;
/// use striate::{Window3d, ops};
/// let (x, grad) = (array![[[[[1.0]]], [[[10.0]]]]], array![[[[[1.0]]], [[[2.0]]], [[[4.0]]]]]);
/// let (kernel, window) = ([2, 1, 1, 1, 1], Window3d::new((2, 1, 1)));
/// let dkernel = ops::conv3d_transpose_backward_kernel(x.view(), grad.view(), &kernel, &window, None)?;
/// assert_eq!(dkernel.as_slice(), Some(&[21.0, 42.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn conv3d_transpose_backward_kernel<T: Element>(
    x: ArrayView5<'_, T>,
    grad: ArrayView5<'_, T>,
    kernel: &[usize],
    window: &Window3d,
    output_padding: Option<[usize; 3]>,
) -> Result<Array5<T>> {
    const OP: &str = "conv3d_transpose_backward_kernel";
    let plan = transposed_plan(OP, x.shape(), kernel, window, output_padding)?;
    check_shape(OP, "an output gradient", grad.shape(), &plan.output)?;
    let x = contiguous(OP, x)?;
    let x = view_of(OP, plan.geometry.output_shape(), &x)?;
    let stacked = conv::conv2d_backward_kernel(plan.stack(OP, grad)?.view(), x, &plan.geometry)?;
    unstacked_kernel(OP, stacked, kernel)
}
