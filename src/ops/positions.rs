//! Pooling that says which position of the map every output came from: adaptive max pooling; and what such positions are
//! good for, unpooling.

use ndarray::{Array4, ArrayView4};
use rayon::prelude::*;

use super::{check_shape, contiguous, sized, to_array};
use crate::geometry::{even_window, maps};
use crate::memory::{filled, unwritten};
use crate::{Element, Error, ErrorKind, Result};

/// Elements from which the work is shared among threads.
const PARALLEL: usize = 1 << 15;

/// The largest value of each of the windows that share the maps as evenly as they can, those of
/// [`adaptive_avg_pool2d`](super::adaptive_avg_pool2d); NaN wins. PyTorch's `adaptive_max_pool2d`.
///
/// # Errors
/// As [`adaptive_avg_pool2d`](super::adaptive_avg_pool2d).
///
/// ```
/// use ndarray::array;
/// let x = array![[[[1.0], [5.0], [2.0]]]];
/// assert_eq!(striate::ops::adaptive_max_pool2d(x.view(), [1, 2])?, array![[[[5.0], [5.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn adaptive_max_pool2d<T: Element>(x: ArrayView4<'_, T>, size: [usize; 2]) -> Result<Array4<T>> {
    Ok(adaptive_max_pool2d_with_positions(x, size)?.0)
}

/// [`adaptive_max_pool2d`], and the position `row * width + column` that every value came from, the first of equals:
/// PyTorch's `return_indices`.
///
/// # Errors
/// As [`adaptive_max_pool2d`].
///
/// ```
/// use ndarray::array;
/// let x = array![[[[1.0], [5.0], [2.0]]]];
/// let (_, positions) = striate::ops::adaptive_max_pool2d_with_positions(x.view(), [1, 2])?;
/// assert_eq!(positions, array![[[[1], [1]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn adaptive_max_pool2d_with_positions<T: Element>(
    x: ArrayView4<'_, T>,
    size: [usize; 2],
) -> Result<(Array4<T>, Array4<usize>)> {
    const OP: &str = "adaptive_max_pool2d";
    let output = sized(OP, x.shape(), size)?;
    let [_, height, width, channels] = maps(OP, x.shape())?;
    let x = contiguous(OP, x)?;
    let (mut out, mut positions) = (unwritten(OP, &output)?, filled(OP, &output, 0)?);
    let row = |(index, (out, positions)): (usize, (&mut [T], &mut [usize]))| {
        let first = index / size[0] * height * width;
        let rows = even_window(index % size[0], height, size[0]);
        let pixels = out.chunks_exact_mut(channels).zip(positions.chunks_exact_mut(channels));
        for (col, (best, winners)) in pixels.enumerate() {
            let cols = even_window(col, width, size[1]);
            let mut places = rows.clone().flat_map(|p| cols.clone().map(move |q| p * width + q));
            let pixel = |place: usize| &x[(first + place) * channels..][..channels];
            let Some(start) = places.next() else { continue };
            best.copy_from_slice(pixel(start));
            winners.fill(start);
            for place in places {
                for ((best, winner), &x) in best.iter_mut().zip(&mut *winners).zip(pixel(place)) {
                    if (x > *best || x.is_nan()) && !best.is_nan() {
                        (*best, *winner) = (x, place);
                    }
                }
            }
        }
    };
    let line = size[1] * channels;
    match x.len() < PARALLEL {
        true => out.chunks_mut(line).zip(positions.chunks_mut(line)).enumerate().for_each(row),
        false => out.par_chunks_mut(line).zip(positions.par_chunks_mut(line)).enumerate().for_each(row),
    }
    Ok((to_array(OP, output, out)?, to_array(OP, output, positions)?))
}

/// The gradient of a loss with respect to the input, of the shape `input`, of [`adaptive_max_pool2d`], from `grad`, that
/// with respect to its output, and the positions that the outputs came from.
///
/// # Errors
/// [`ErrorKind::Shape`] if `grad`, `positions` and `input` do not fit each other.
///
/// ```
/// use ndarray::array;
/// let (grad, positions) = (array![[[[3.0], [4.0]]]], array![[[[1], [1]]]]);
/// let dx = striate::ops::adaptive_max_pool2d_backward(grad.view(), positions.view(), &[1, 1, 3, 1])?;
/// assert_eq!(dx, array![[[[0.0], [7.0], [0.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn adaptive_max_pool2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    positions: ArrayView4<'_, usize>,
    input: &[usize],
) -> Result<Array4<T>> {
    scatter("adaptive_max_pool2d_backward", grad, positions, input, |sum, g| *sum += g)
}

/// Maps of `size` with the values of `x` at `positions`, `row * width + column` as
/// [`PoolIndices::positions`](super::PoolIndices::positions) gives them, and zeros elsewhere; of several values at one
/// position the last stays. PyTorch's `max_unpool2d`, in place of bilinear enlargement since SegNet (Badrinarayanan et al.,
/// 2017).
///
/// # Errors
/// [`ErrorKind::Shape`] if there are not as many positions as values, or a position lies outside.
///
/// ```
/// use ndarray::array;
/// let (x, positions) = (array![[[[5.0], [7.0]]]], array![[[[1], [2]]]]);
/// let y = striate::ops::max_unpool2d(x.view(), positions.view(), [2, 2])?;
/// assert_eq!(y, array![[[[0.0], [5.0]], [[7.0], [0.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_unpool2d<T: Element>(
    x: ArrayView4<'_, T>,
    positions: ArrayView4<'_, usize>,
    size: [usize; 2],
) -> Result<Array4<T>> {
    const OP: &str = "max_unpool2d";
    let output = sized(OP, x.shape(), size)?;
    scatter(OP, x, positions, &output, |place, x| *place = x)
}

/// The gradient of a loss with respect to the input of [`max_unpool2d`], from `grad`, that with respect to its output:
/// what stands at the positions.
///
/// # Errors
/// As [`max_unpool2d`].
///
/// ```
/// use ndarray::array;
/// let grad = array![[[[1.0], [2.0]], [[3.0], [4.0]]]];
/// let dx = striate::ops::max_unpool2d_backward(grad.view(), array![[[[1], [2]]]].view())?;
/// assert_eq!(dx, array![[[[2.0], [3.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn max_unpool2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    positions: ArrayView4<'_, usize>,
) -> Result<Array4<T>> {
    const OP: &str = "max_unpool2d_backward";
    let [batch, height, width, channels] = maps(OP, grad.shape())?;
    let wanted = [batch, positions.dim().1, positions.dim().2, channels];
    check_shape(OP, "positions", positions.shape(), &wanted)?;
    check_positions(OP, &positions, height * width)?;
    let (grad, mut out) = (contiguous(OP, grad)?, unwritten(OP, &wanted)?);
    for (out, ((n, _, _, c), &place)) in out.iter_mut().zip(positions.indexed_iter()) {
        *out = grad[(n * height * width + place) * channels + c];
    }
    to_array(OP, wanted, out)
}

/// Fails if a position lies outside of maps of so many positions.
fn check_positions(op: &'static str, positions: &ArrayView4<'_, usize>, area: usize) -> Result<()> {
    match positions.iter().find(|&&place| place >= area) {
        Some(place) => Err(Error::new(ErrorKind::Shape, op, format_args!("positions below {area}"), place)),
        None => Ok(()),
    }
}

/// Zeros of the shape `output`, to which `put` adds each value at its position.
fn scatter<T: Element>(
    op: &'static str,
    values: ArrayView4<'_, T>,
    positions: ArrayView4<'_, usize>,
    output: &[usize],
    put: impl Fn(&mut T, T),
) -> Result<Array4<T>> {
    let [batch, height, width, channels] = maps(op, output)?;
    let (_, rows, cols, _) = values.dim();
    check_shape(op, "an array", values.shape(), &[batch, rows, cols, channels])?;
    check_shape(op, "positions", positions.shape(), values.shape())?;
    check_positions(op, &positions, height * width)?;
    let mut out = filled(op, &[batch, height, width, channels], T::zero())?;
    for (((n, _, _, c), &value), &place) in values.indexed_iter().zip(&positions) {
        put(&mut out[(n * height * width + place) * channels + c], value);
    }
    to_array(op, [batch, height, width, channels], out)
}
