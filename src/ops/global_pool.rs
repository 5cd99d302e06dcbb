//! Global pooling: a window as large as the map, so that each map becomes one number.

use ndarray::{Array2, Array4, ArrayView2, ArrayView4};

use super::pool::{self, Divisor};
use super::pool_indices::PoolIndices;
use super::{check_shape, contiguous, to_array};
use crate::geometry::maps;
use crate::{Element, Geometry2d, Result, Window2d};

/// The geometry of pooling an input `[batch, height, width, channels]` over whole maps.
pub(crate) fn global_geometry(op: &'static str, input: &[usize]) -> Result<Geometry2d> {
    let [_, height, width, _] = maps(op, input)?;
    Window2d::new([height, width]).pool(input)
}

/// `[batch, channels]`.
fn flat(geometry: &Geometry2d) -> [usize; 2] {
    [geometry.batch, geometry.out_channels]
}

/// The largest value of each map: `y[n, c] = max over p, q of x[n, p, q, c]`, from `[batch, height, width, channels]` to
/// `[batch, channels]`. NaN wins, as in [`max_pool2d`](super::max_pool2d). Keras' `GlobalMaxPooling2D`.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the maps or channels are empty.
///
/// ```
/// use ndarray::{Array4, array};
/// let x = Array4::from_shape_fn((1, 3, 3, 2), |(_, y, x, c)| if c == 0 { (3 * y + x) as f32 } else { -1.0 });
/// assert_eq!(striate::ops::global_max_pool2d(x.view())?, array![[8.0, -1.0]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn global_max_pool2d<T: Element>(x: ArrayView4<'_, T>) -> Result<Array2<T>> {
    const OP: &str = "global_max_pool2d";
    let geometry = global_geometry(OP, x.shape())?;
    to_array(OP, flat(&geometry), pool::max(OP, &contiguous(OP, x)?, &geometry)?)
}

/// [`global_max_pool2d`], and where in its map each value came from, the first of equals.
///
/// # Errors
/// As [`global_max_pool2d`]; also [`ErrorKind::Size`](crate::ErrorKind::Size) if a map has more than 2^32 positions.
///
/// ```
/// use ndarray::array;
/// use striate::ops;
/// let x = array![[[[1.0], [2.0]], [[2.0], [0.0]]]];
/// let (y, indices) = ops::global_max_pool2d_with_indices(x.view())?;
/// let dx = ops::global_max_pool2d_backward(array![[5.0]].view(), &indices, x.shape())?;
/// assert_eq!((y, dx), (array![[2.0]], array![[[[0.0], [5.0]], [[0.0], [0.0]]]]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn global_max_pool2d_with_indices<T: Element>(x: ArrayView4<'_, T>) -> Result<(Array2<T>, PoolIndices)> {
    const OP: &str = "global_max_pool2d_with_indices";
    let geometry = global_geometry(OP, x.shape())?;
    let (out, indices) = pool::max_with_indices(OP, &contiguous(OP, x)?, &geometry)?;
    Ok((to_array(OP, flat(&geometry), out)?, indices))
}

/// The gradient of a loss with respect to the input of [`global_max_pool2d`], whose shape is `input`: `grad`,
/// `[batch, channels]`, at the positions that the values came from, and zero elsewhere.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` or `indices` do not belong to such an input.
///
/// ```
/// use ndarray::{Array4, array};
/// use striate::ops;
/// let x = Array4::<f64>::zeros((1, 2, 2, 1));    // all equal: the first wins
/// let (_, indices) = ops::global_max_pool2d_with_indices(x.view())?;
/// let dx = ops::global_max_pool2d_backward(array![[3.0]].view(), &indices, x.shape())?;
/// assert_eq!(dx, array![[[[3.0], [0.0]], [[0.0], [0.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn global_max_pool2d_backward<T: Element>(
    grad: ArrayView2<'_, T>,
    indices: &PoolIndices,
    input: &[usize],
) -> Result<Array4<T>> {
    const OP: &str = "global_max_pool2d_backward";
    let geometry = global_geometry(OP, input)?;
    check_shape(OP, "an output gradient", grad.shape(), &flat(&geometry))?;
    let out = pool::max_backward(OP, &contiguous(OP, grad)?, indices, &geometry)?;
    to_array(OP, geometry.input_shape(), out)
}

/// The average of each map: `y[n, c] = sum over p, q of x[n, p, q, c] / (height * width)`, from
/// `[batch, height, width, channels]` to `[batch, channels]`. Keras' `GlobalAveragePooling2D`.
///
/// Columns are added up before rows, so that rounding errors grow with height plus width, not with the area.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the maps or channels are empty.
///
/// ```
/// use ndarray::{Array4, array};
/// let x = Array4::from_shape_fn((1, 3, 3, 1), |(_, y, x, _)| (3 * y + x) as f32);
/// assert_eq!(striate::ops::global_avg_pool2d(x.view())?, array![[4.0]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn global_avg_pool2d<T: Element>(x: ArrayView4<'_, T>) -> Result<Array2<T>> {
    const OP: &str = "global_avg_pool2d";
    let geometry = global_geometry(OP, x.shape())?;
    let out = pool::avg(OP, &contiguous(OP, x)?, Divisor::InsideInput, &geometry)?;
    to_array(OP, flat(&geometry), out)
}

/// The gradient of a loss with respect to the input of [`global_avg_pool2d`], whose shape is `input`:
/// `dx[n, p, q, c] = grad[n, c] / (height * width)`.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` does not belong to such an input.
///
/// ```
/// use ndarray::{Array4, array};
/// let dx = striate::ops::global_avg_pool2d_backward(array![[8.0]].view(), &[1, 2, 2, 1])?;
/// assert_eq!(dx, Array4::from_elem((1, 2, 2, 1), 2.0));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn global_avg_pool2d_backward<T: Element>(grad: ArrayView2<'_, T>, input: &[usize]) -> Result<Array4<T>> {
    const OP: &str = "global_avg_pool2d_backward";
    let geometry = global_geometry(OP, input)?;
    check_shape(OP, "an output gradient", grad.shape(), &flat(&geometry))?;
    let out = pool::avg_backward(OP, &contiguous(OP, grad)?, Divisor::InsideInput, &geometry)?;
    to_array(OP, geometry.input_shape(), out)
}
