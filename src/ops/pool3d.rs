//! Three-dimensional max and average pooling: of every plane, and then of what lies behind each other.

use ndarray::{Array5, ArrayView5};

use super::pool::{self, Divisor};
use super::pool_indices::PoolIndices;
use super::{check_shape, contiguous, to_array};
use crate::geometry::volumes;
use crate::memory::filled;
use crate::{Element, Error, ErrorKind, Geometry2d, Result, Window3d};

/// The shape of the output of both steps of a pooling, for an input of this shape.
pub(crate) fn pooled_shape(
    op: &'static str,
    input: &[usize],
    [planes, depth]: &[Geometry2d; 2],
) -> Result<[usize; 5]> {
    let [batch, _, _, _, channels] = volumes(op, input)?;
    Ok([batch, depth.rows.output, planes.rows.output, planes.cols.output, channels])
}

/// The largest value that each window sees, as [`max_pool2d`](super::max_pool2d) in three dimensions: from
/// `[batch, depth, height, width, channels]`. Keras' `ops.max_pool` and PyTorch's `max_pool3d`.
///
/// # Errors
/// As [`Window2d::pool`](crate::Window2d::pool); [`ErrorKind::Size`](crate::ErrorKind::Size) if the output does not fit in
/// memory.
///
/// ```
/// use ndarray::Array5;
/// use striate::{Window3d, ops};
/// let x = Array5::from_shape_fn((1, 2, 2, 2, 1), |(_, z, y, x, _)| (4 * z + 2 * y + x) as f32);
/// assert_eq!(ops::max_pool3d(x.view(), &Window3d::new(2))?[[0, 0, 0, 0, 0]], 7.0);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_pool3d<T: Element>(x: ArrayView5<'_, T>, window: &Window3d) -> Result<Array5<T>> {
    const OP: &str = "max_pool3d";
    let steps = window.pool(OP, x.shape())?;
    let shape = pooled_shape(OP, x.shape(), &steps)?;
    let flat = pool::max(OP, &contiguous(OP, x)?, &steps[0])?;
    to_array(OP, shape, pool::max(OP, &flat, &steps[1])?)
}

/// Where the outputs of a three-dimensional max pooling came from.
///
/// ```
/// use ndarray::Array5;
/// use striate::{Window3d, ops};
/// let x = Array5::<f32>::from_shape_fn((1, 2, 2, 2, 1), |(_, z, y, x, _)| (4 * z + 2 * y + x) as f32);
/// let (_, indices) = ops::max_pool3d_with_indices(x.view(), &Window3d::new(2))?;
/// assert_eq!(indices.positions(x.shape(), &Window3d::new(2))?[[0, 0, 0, 0, 0]], 7);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolIndices3d {
    planes: PoolIndices,
    depth: PoolIndices,
}

impl PoolIndices3d {
    pub(crate) fn new(planes: PoolIndices, depth: PoolIndices) -> Self {
        PoolIndices3d { planes, depth }
    }

    /// Those of every plane, and those of what lies behind each other.
    pub(crate) fn into_parts(self) -> [PoolIndices; 2] {
        [self.planes, self.depth]
    }

    /// The positions `(plane * height + row) * width + column` in the unpadded input that the outputs came from, in the
    /// output's shape: PyTorch's `return_indices`. `input` is the input's shape.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if input and window are not those of the pooling, and
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if the result does not fit in memory.
    ///
    /// ```
    /// use striate::{Window3d, ops};
    /// let x = ndarray::Array5::<f32>::ones((1, 3, 1, 2, 1));
    /// let window = Window3d::new((2, 1, 1));
    /// let (_, indices) = ops::max_pool3d_with_indices(x.view(), &window)?;
    /// let positions = indices.positions(x.shape(), &window)?;
    /// assert_eq!(positions.as_slice(), Some(&[0, 1, 2, 3][..]));    // of equals the first
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn positions(&self, input: &[usize], window: &Window3d) -> Result<Array5<usize>> {
        const OP: &str = "positions";
        let [planes, depth] = window.pool(OP, input)?;
        let shape = pooled_shape(OP, input, &[planes, depth])?;
        let in_plane = self.planes.positions(&planes)?;
        let in_pile = self.depth.positions(&depth)?;
        let (area, pile) = (planes.rows.input * planes.cols.input, depth.cols.input);
        let mut positions = filled(OP, &shape, 0)?;
        let missing = || Error::new(ErrorKind::Shape, OP, "indices of one pooling", "others");
        for (position, ((batch, _, _, channel), &place)) in positions.iter_mut().zip(in_pile.indexed_iter()) {
            // In a pile, a position is a plane and a place in the pooled plane.
            let (plane, place) = (place / pile, place % pile);
            let (row, col) = (place / planes.cols.output, place % planes.cols.output);
            let index = [batch * depth.rows.input + plane, row, col, channel];
            *position = plane * area + in_plane.get(index).ok_or_else(missing)?;
        }
        to_array(OP, shape, positions)
    }
}

/// [`max_pool3d`], and where every value came from, the first of equals in row-major order.
///
/// # Errors
/// As [`max_pool3d`].
///
/// ```
/// use striate::{Window3d, ops};
/// let (x, window) = (ndarray::Array5::<f32>::ones((1, 2, 2, 2, 1)), Window3d::new(2));
/// let (y, indices) = ops::max_pool3d_with_indices(x.view(), &window)?;
/// let dx = ops::max_pool3d_backward(y.view(), &indices, x.shape(), &window)?;
/// assert_eq!((dx[[0, 0, 0, 0, 0]], dx.sum()), (1.0, 1.0));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_pool3d_with_indices<T: Element>(
    x: ArrayView5<'_, T>,
    window: &Window3d,
) -> Result<(Array5<T>, PoolIndices3d)> {
    const OP: &str = "max_pool3d_with_indices";
    let steps = window.pool(OP, x.shape())?;
    let shape = pooled_shape(OP, x.shape(), &steps)?;
    let (flat, planes) = pool::max_with_indices(OP, &contiguous(OP, x)?, &steps[0])?;
    let (out, depth) = pool::max_with_indices(OP, &flat, &steps[1])?;
    Ok((to_array(OP, shape, out)?, PoolIndices3d { planes, depth }))
}

/// The gradient of a loss with respect to the input of [`max_pool3d`], whose shape is `input`, from `grad`, that with
/// respect to its output: each output's gradient goes to the position that its value came from.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` or `indices` do not belong to such a pooling.
///
/// ```
/// use striate::{Window3d, ops};
/// let (x, window) = (ndarray::array![[[[[1.0]]], [[[5.0]]], [[[2.0]]]]], Window3d::new((2, 1, 1)));
/// let (y, indices) = ops::max_pool3d_with_indices(x.view(), &window)?;
/// let dx = ops::max_pool3d_backward(y.view(), &indices, x.shape(), &window)?;
/// assert_eq!(dx.as_slice(), Some(&[0.0, 10.0, 0.0][..]));    // the 5 won both windows
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_pool3d_backward<T: Element>(
    grad: ArrayView5<'_, T>,
    indices: &PoolIndices3d,
    input: &[usize],
    window: &Window3d,
) -> Result<Array5<T>> {
    const OP: &str = "max_pool3d_backward";
    let steps = window.pool(OP, input)?;
    check_shape(OP, "an output gradient", grad.shape(), &pooled_shape(OP, input, &steps)?)?;
    let flat = pool::max_backward(OP, &contiguous(OP, grad)?, &indices.depth, &steps[1])?;
    to_array(OP, volumes(OP, input)?, pool::max_backward(OP, &flat, &indices.planes, &steps[0])?)
}

/// What each of the two steps divides by: counts of positions are products over the axes.
fn divisors(divisor: Divisor) -> [Divisor; 2] {
    match divisor {
        Divisor::Fixed(_) => [Divisor::Fixed(1), divisor],
        Divisor::InsideInput | Divisor::IncludePadding => [divisor; 2],
    }
}

/// The average over each window, as [`avg_pool2d`](super::avg_pool2d) in three dimensions: from
/// `[batch, depth, height, width, channels]`. Keras' `ops.average_pool` with [`Divisor::InsideInput`], PyTorch's
/// `avg_pool3d` with [`Divisor::IncludePadding`].
///
/// # Errors
/// As [`max_pool3d`]; also [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the divisor is zero.
///
/// ```
/// use ndarray::Array5;
/// use striate::{Window3d, ops::{self, Divisor}};
/// let x = Array5::from_shape_fn((1, 2, 2, 2, 1), |(_, z, y, x, _)| (4 * z + 2 * y + x) as f32);
/// let average = |divisor| Ok(ops::avg_pool3d(x.view(), divisor, &Window3d::new(2))?[[0, 0, 0, 0, 0]]);
/// assert_eq!(average(Divisor::InsideInput)?, 3.5);
/// assert_eq!(average(Divisor::Fixed(1))?, 28.0);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn avg_pool3d<T: Element>(
    x: ArrayView5<'_, T>,
    divisor: Divisor,
    window: &Window3d,
) -> Result<Array5<T>> {
    const OP: &str = "avg_pool3d";
    let steps = window.pool(OP, x.shape())?;
    let (shape, divisors) = (pooled_shape(OP, x.shape(), &steps)?, divisors(divisor));
    let flat = pool::avg(OP, &contiguous(OP, x)?, divisors[0], &steps[0])?;
    to_array(OP, shape, pool::avg(OP, &flat, divisors[1], &steps[1])?)
}

/// The gradient of a loss with respect to the input of [`avg_pool3d`], whose shape is `input`, from `grad`, that with
/// respect to its output.
///
/// # Errors
/// As [`avg_pool3d`]; also [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` does not belong to such a pooling.
///
/// ```
/// use ndarray::Array5;
/// use striate::{Window3d, ops::{self, Divisor}};
/// let grad = Array5::<f32>::from_elem((1, 1, 1, 1, 1), 8.0);
/// let dx = ops::avg_pool3d_backward(grad.view(), Divisor::InsideInput, &[1, 2, 2, 2, 1], &Window3d::new(2))?;
/// assert_eq!(dx, Array5::<f32>::ones((1, 2, 2, 2, 1)));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn avg_pool3d_backward<T: Element>(
    grad: ArrayView5<'_, T>,
    divisor: Divisor,
    input: &[usize],
    window: &Window3d,
) -> Result<Array5<T>> {
    const OP: &str = "avg_pool3d_backward";
    let (steps, divisors) = (window.pool(OP, input)?, divisors(divisor));
    check_shape(OP, "an output gradient", grad.shape(), &pooled_shape(OP, input, &steps)?)?;
    let flat = pool::avg_backward(OP, &contiguous(OP, grad)?, divisors[1], &steps[1])?;
    to_array(OP, volumes(OP, input)?, pool::avg_backward(OP, &flat, divisors[0], &steps[0])?)
}
