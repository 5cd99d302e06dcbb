//! Plain functions on ndarray views: every operation without its layer, for people who want only that.
//!
//! Feature maps are `[batch, height, width, channels]`; views may have any strides (those in standard layout are read
//! in place). Convolution and pooling take a [`Geometry2d`](crate::Geometry2d), which has checked all sizes.

mod activation;
mod channel_pool;
mod conv;
mod conv3d;
mod conv_transpose;
mod dense;
pub(crate) mod dropout;
mod global_pool;
mod lp_pool;
mod norm;
mod pool;
mod pool3d;
mod pool_indices;
mod positions;
mod prelu;
mod resample;
mod space;
mod stack;

pub(crate) use activation::each_with;
pub use activation::{Activation, activate, activate_backward};
pub use channel_pool::{channel_max_pool, channel_max_pool_backward, channel_max_pool_with_indices};
pub(crate) use conv::conv_backward_weights;
pub use conv::{conv2d, conv2d_backward_bias, conv2d_backward_input, conv2d_backward_kernel};
pub use conv_transpose::{
    conv2d_transpose, conv2d_transpose_backward_input, conv2d_transpose_backward_kernel,
};
pub use conv3d::{
    conv3d, conv3d_backward_input, conv3d_backward_kernel, conv3d_transpose, conv3d_transpose_backward_input,
    conv3d_transpose_backward_kernel,
};
pub use dense::{dense, dense_backward_bias, dense_backward_input, dense_backward_kernel};
pub(crate) use dense::{dense_as_convolution, dense_backward_weights};
pub use dropout::{dropout, dropout_backward};
pub use global_pool::{
    global_avg_pool2d, global_avg_pool2d_backward, global_max_pool2d, global_max_pool2d_backward,
    global_max_pool2d_with_indices,
};
pub use lp_pool::{lp_pool2d, lp_pool2d_backward};
pub use norm::{
    Moments, NormGradients, Over, local_response_norm, local_response_norm_backward, moments, normalize,
    normalize_backward,
};
pub use pool::{
    Divisor, avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward, max_pool2d_with_indices,
};
pub use pool_indices::PoolIndices;
pub use pool3d::{
    PoolIndices3d, avg_pool3d, avg_pool3d_backward, max_pool3d, max_pool3d_backward, max_pool3d_with_indices,
};
pub use positions::{
    adaptive_max_pool2d, adaptive_max_pool2d_backward, adaptive_max_pool2d_with_positions, max_unpool2d,
    max_unpool2d_backward,
};
pub use prelu::{prelu, prelu_backward};
pub use resample::{
    Interpolation, adaptive_avg_pool2d, adaptive_avg_pool2d_backward, pad2d, pad2d_backward, resize2d,
    resize2d_backward,
};
pub use space::{BlockOrder, depth_to_space, space_to_depth};

pub(crate) use channel_pool::{channel_geometry, channel_output};
pub(crate) use conv3d::{stacked_kernel, unstacked_kernel};
pub(crate) use global_pool::global_geometry;
pub(crate) use lp_pool::check_power;
pub(crate) use norm::{LocalResponse, check_epsilon, check_local, moments_of};
pub(crate) use pool::check_divisor;
pub(crate) use pool_indices::Taps;
pub(crate) use pool3d::pooled_shape;
pub(crate) use resample::{explicit_padding, padded_shape, resample, resample_backward, sized};
pub(crate) use space::{depth_shape, space_shape};
pub(crate) use stack::Stacking;

use std::borrow::Cow;

use ndarray::{Array, ArrayView, Dimension, IntoDimension, ShapeError};

use crate::kernels::Buffer;
use crate::memory::{array_of, reserve};
use crate::{Element, Error, Result};

/// Fails unless an array called `what` has just the shape that is wanted.
pub(crate) fn check_shape(op: &'static str, what: &str, got: &[usize], wanted: &[usize]) -> Result<()> {
    if got == wanted { Ok(()) } else { Err(Error::shape(op, format_args!("{what} of {wanted:?}"), got)) }
}

/// The elements of a view in row-major order: borrowed where they lie so, copied otherwise.
pub(crate) fn contiguous<'a, T: Element, D: Dimension>(
    op: &'static str,
    view: ArrayView<'a, T, D>,
) -> Result<Cow<'a, [T]>> {
    match view.to_slice() {
        Some(slice) => Ok(Cow::Borrowed(slice)),
        None => copied(op, &view).map(Cow::Owned),
    }
}

/// A copy of the elements of a view in row-major order. A broadcast view may have more of them than fit in memory.
pub(crate) fn copied<T: Element, D: Dimension>(
    op: &'static str,
    view: &ArrayView<'_, T, D>,
) -> Result<Vec<T>> {
    let mut elements = Vec::new();
    reserve(&mut elements, op, view.shape())?;
    match view.as_slice() {
        Some(slice) => elements.extend_from_slice(slice),
        None => elements.extend(view.iter().copied()),
    }
    Ok(elements)
}

/// The array in another shape of as many elements.
pub(crate) fn reshaped<T, D: Dimension, S: IntoDimension>(
    op: &'static str,
    shape: S,
    array: Array<T, D>,
) -> Result<Array<T, S::Dim>> {
    let got = array.len();
    array.into_shape_with_order(shape.into_dimension()).map_err(|e| misfit(op, e, got))
}

/// The array of this shape and these elements.
pub(crate) fn to_array<T: Copy + Default + 'static, S: IntoDimension>(
    op: &'static str,
    shape: S,
    elements: impl Into<Buffer<T>>,
) -> Result<Array<T, S::Dim>> {
    let elements = elements.into();
    let got = elements.len();
    array_of(shape.into_dimension(), elements).map_err(|e| misfit(op, e, got))
}

/// A view of elements in row-major order as an array of this shape.
pub(crate) fn view_of<'a, T, S: IntoDimension>(
    op: &'static str,
    shape: S,
    elements: &'a [T],
) -> Result<ArrayView<'a, T, S::Dim>> {
    let got = elements.len();
    ArrayView::from_shape(shape.into_dimension(), elements).map_err(|e| misfit(op, e, got))
}

fn misfit(op: &'static str, error: ShapeError, elements: usize) -> Error {
    Error::new(crate::ErrorKind::Shape, op, error, format_args!("{elements} elements"))
}
