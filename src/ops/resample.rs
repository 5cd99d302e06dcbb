//! Padding, resizing and adaptive averages of feature maps: linear maps of rows and of columns.

use ndarray::{Array4, ArrayView4};
use rayon::prelude::*;

use super::{check_shape, contiguous, to_array};
use crate::geometry::{AxisMap, Resize, maps, padded_size};
use crate::memory::{len_of, unwritten};
use crate::{Element, Error, Geometry2d, PadMode, Padding, Result, Window2d};

/// Elements from which rows are shared among threads.
const PARALLEL: usize = 1 << 15;

/// A linear map of feature maps, along rows and columns: `y[oy, ox] = sum of wy * wx * x[iy, ix]` over the taps of both.
pub(crate) fn resample<T: Element>(
    op: &'static str,
    x: &[T],
    shape: [usize; 4],
    [rows, cols]: [&AxisMap; 2],
) -> Result<Array4<T>> {
    let [batch, height, width, channels] = shape;
    check_shape(op, "maps", &[height, width], &[rows.input(), cols.input()])?;
    let output = [batch, rows.output(), cols.output(), channels];
    let mut out = unwritten(op, &output)?;
    let line = cols.output() * channels;
    if out.is_empty() {
        return to_array(op, output, out);
    }
    let write_line = |(index, out): (usize, &mut [T])| {
        let image = index / rows.output() * height;
        let row_taps = rows.taps(index % rows.output());
        for (ox, out) in out.chunks_exact_mut(channels).enumerate() {
            let pixel = |iy: usize, ix: usize| &x[((image + iy) * width + ix) * channels..][..channels];
            // A copy, so that NaN and infinity of other positions stay out.
            if let ([(iy, wy)], [(ix, wx)]) = (row_taps, cols.taps(ox))
                && *wy == 1.0
                && *wx == 1.0
            {
                out.copy_from_slice(pixel(*iy, *ix));
                continue;
            }
            out.fill(T::zero());
            for (iy, wy) in row_taps {
                for (ix, wx) in cols.taps(ox) {
                    let weight = T::of(wy * wx);
                    out.iter_mut().zip(pixel(*iy, *ix)).for_each(|(y, &x)| *y += weight * x);
                }
            }
        }
    };
    match out.len() < PARALLEL {
        true => out.chunks_exact_mut(line).enumerate().for_each(write_line),
        false => out.par_chunks_exact_mut(line).enumerate().for_each(write_line),
    }
    to_array(op, output, out)
}

/// The same backwards: from the gradient with respect to the output to that with respect to the input.
pub(crate) fn resample_backward<T: Element>(
    op: &'static str,
    grad: ArrayView4<'_, T>,
    [rows, cols]: [&AxisMap; 2],
) -> Result<Array4<T>> {
    let (batch, height, width, channels) = grad.dim();
    check_shape(op, "an output gradient", &[height, width], &[rows.output(), cols.output()])?;
    let (rows, cols) = (rows.transposed()?, cols.transposed()?);
    resample(op, &contiguous(op, grad)?, [batch, height, width, channels], [&rows, &cols])
}

/// How many rows and columns a padding adds to maps of this shape. That of windows is for windows of one position.
fn amounts(op: &'static str, input: &[usize], padding: Padding) -> Result<[(usize, usize); 2]> {
    let [_, height, width, _] = maps(op, input)?;
    let geometry = Window2d::new(1).padding(padding).axes(op, [height, width])?;
    Ok(geometry.map(|axis| axis.padding()))
}

/// The shape of padded maps.
pub(crate) fn padded_shape(
    op: &'static str,
    input: &[usize],
    padding: Padding,
    mode: PadMode,
) -> Result<[usize; 4]> {
    let [batch, height, width, channels] = maps(op, input)?;
    let [rows, cols] = amounts(op, input, padding)?;
    let (height, width) = (padded_size(op, height, rows, mode)?, padded_size(op, width, cols, mode)?);
    let shape = [batch, height, width, channels];
    len_of(op, &shape)?;
    Ok(shape)
}

fn pad_maps(input: &[usize], padding: Padding, mode: PadMode) -> Result<[AxisMap; 2]> {
    padded_shape("pad2d", input, padding, mode)?;
    let [_, height, width, _] = maps("pad2d", input)?;
    let [rows, cols] = amounts("pad2d", input, padding)?;
    Ok([AxisMap::padded(height, rows, mode)?, AxisMap::padded(width, cols, mode)?])
}

/// Maps with rows and columns around them, as `mode` says. PyTorch's `functional.pad`, Keras' `ZeroPadding2D`.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if there are too few positions to reflect or to repeat;
/// [`ErrorKind::Size`](crate::ErrorKind::Size) if the result does not fit in memory.
///
/// ```
/// use ndarray::array;
/// use striate::{PadMode, Padding, ops};
/// let x = array![[[[1.0], [2.0]]]];
/// let y = ops::pad2d(x.view(), Padding::symmetric(0, 1), PadMode::Reflect)?;
/// assert_eq!(y, array![[[[2.0], [1.0], [2.0], [1.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn pad2d<T: Element>(x: ArrayView4<'_, T>, padding: Padding, mode: PadMode) -> Result<Array4<T>> {
    const OP: &str = "pad2d";
    let shape = maps(OP, x.shape())?;
    let [rows, cols] = pad_maps(&shape, padding, mode)?;
    let mut y = resample(OP, &contiguous(OP, x)?, shape, [&rows, &cols])?;
    if let Some(value) = mode.constant().filter(|&value| value != 0.0) {
        for ((_, oy, ox, _), y) in y.indexed_iter_mut() {
            if rows.taps(oy).is_empty() || cols.taps(ox).is_empty() {
                *y = T::of(value);
            }
        }
    }
    Ok(y)
}

/// The gradient of a loss with respect to the input of [`pad2d`], whose shape is `input`, from `grad`, that with respect to
/// its output: every position gets the sum over the places where it stands.
///
/// # Errors
/// As [`pad2d`]; also [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` does not have the output's shape.
///
/// ```
/// use ndarray::array;
/// use striate::{PadMode, Padding, ops};
/// let grad = array![[[[1.0], [2.0], [3.0], [4.0]]]];
/// let dx = ops::pad2d_backward(grad.view(), &[1, 1, 2, 1], Padding::symmetric(0, 1), PadMode::Replicate)?;
/// assert_eq!(dx, array![[[[3.0], [7.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn pad2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    input: &[usize],
    padding: Padding,
    mode: PadMode,
) -> Result<Array4<T>> {
    const OP: &str = "pad2d_backward";
    let output = padded_shape(OP, input, padding, mode)?;
    check_shape(OP, "an output gradient", grad.shape(), &output)?;
    let [rows, cols] = pad_maps(input, padding, mode)?;
    resample_backward(OP, grad, [&rows, &cols])
}

/// How maps are enlarged.
///
/// ```
/// use striate::{Interpolation, Layer, Tensor, UpSample2D};
/// let x = Tensor::from(ndarray::array![[[[0.0], [4.0]]]]);
/// let row = |how| UpSample2D::new((1, 2)).interpolation(how).forward(&x).map(Tensor::into_vec);
/// assert_eq!(row(Interpolation::Nearest)?, [0.0, 0.0, 4.0, 4.0]);
/// assert_eq!(row(Interpolation::Bilinear)?, [0.0, 1.0, 3.0, 4.0]);
/// let aligned: Vec<f64> = row(Interpolation::BilinearAligned)?;    // PyTorch's align_corners=True
/// assert!((aligned[1] - 4.0 / 3.0).abs() < 1e-15 && aligned[3] == 4.0);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// Every position repeated.
    #[default]
    Nearest,
    /// Linear between neighbours, both ways; the outer edges of the outermost positions lie on each other. Keras' and
    /// PyTorch's `bilinear`.
    Bilinear,
    /// Linear between neighbours, both ways; the centres of the outermost positions lie on each other. PyTorch's `bilinear`
    /// with `align_corners=True`.
    BilinearAligned,
}

impl Interpolation {
    pub(crate) fn resize(self) -> Resize {
        match self {
            Interpolation::Nearest => Resize::Nearest,
            Interpolation::Bilinear => Resize::HalfPixel,
            Interpolation::BilinearAligned => Resize::AlignCorners,
        }
    }
}

/// Checks both shapes; the maps from one to the other, given what makes that of an axis.
pub(crate) fn axis_maps(
    op: &'static str,
    input: &[usize],
    size: [usize; 2],
    map: impl Fn(usize, usize) -> Result<AxisMap>,
) -> Result<[AxisMap; 2]> {
    let [_, height, width, _] = maps(op, input)?;
    sized(op, input, size)?;
    Ok([map(height, size[0])?, map(width, size[1])?])
}

/// The shape of maps of this size.
pub(crate) fn sized(op: &'static str, input: &[usize], size: [usize; 2]) -> Result<[usize; 4]> {
    let [batch, _, _, channels] = maps(op, input)?;
    if size.contains(&0) {
        return Err(Error::argument(op, "a size of 1 or more", format_args!("{size:?}")));
    }
    let shape = [batch, size[0], size[1], channels];
    len_of(op, &shape)?;
    Ok(shape)
}

/// Maps of another size. PyTorch's `functional.interpolate`, without antialiasing.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the size is 0; [`ErrorKind::Size`](crate::ErrorKind::Size) if the
/// result does not fit in memory.
///
/// ```
/// use ndarray::array;
/// use striate::{Interpolation, ops};
/// let y = ops::resize2d(array![[[[1.0], [2.0]]]].view(), [1, 4], Interpolation::Nearest)?;
/// assert_eq!(y, array![[[[1.0], [1.0], [2.0], [2.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn resize2d<T: Element>(
    x: ArrayView4<'_, T>,
    size: [usize; 2],
    interpolation: Interpolation,
) -> Result<Array4<T>> {
    const OP: &str = "resize2d";
    let shape = maps(OP, x.shape())?;
    let [rows, cols] =
        axis_maps(OP, &shape, size, |from, to| AxisMap::resized(from, to, interpolation.resize()))?;
    resample(OP, &contiguous(OP, x)?, shape, [&rows, &cols])
}

/// The gradient of a loss with respect to the input of [`resize2d`], whose shape is `input`, from `grad`, that with respect
/// to its output.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` is not of the same batch and channels.
///
/// ```
/// use ndarray::array;
/// use striate::{Interpolation, ops};
/// let grad = array![[[[1.0], [2.0], [3.0], [4.0]]]];
/// let dx = ops::resize2d_backward(grad.view(), &[1, 1, 2, 1], Interpolation::Nearest)?;
/// assert_eq!(dx, array![[[[3.0], [7.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn resize2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    input: &[usize],
    interpolation: Interpolation,
) -> Result<Array4<T>> {
    const OP: &str = "resize2d_backward";
    let (_, height, width, _) = grad.dim();
    check_shape(OP, "an output gradient", grad.shape(), &sized(OP, input, [height, width])?)?;
    let [rows, cols] =
        axis_maps(OP, input, [height, width], |from, to| AxisMap::resized(from, to, interpolation.resize()))?;
    resample_backward(OP, grad, [&rows, &cols])
}

/// The averages over windows that share the maps as evenly as they can: window `o` of `n` over `m` positions from
/// `floor(o * m / n)` to `ceil((o + 1) * m / n)`. PyTorch's `adaptive_avg_pool2d`.
///
/// # Errors
/// As [`resize2d`].
///
/// ```
/// use ndarray::array;
/// let x = array![[[[1.0], [2.0], [6.0]]]];
/// assert_eq!(striate::ops::adaptive_avg_pool2d(x.view(), [1, 2])?, array![[[[1.5], [4.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn adaptive_avg_pool2d<T: Element>(x: ArrayView4<'_, T>, size: [usize; 2]) -> Result<Array4<T>> {
    const OP: &str = "adaptive_avg_pool2d";
    let shape = maps(OP, x.shape())?;
    let [rows, cols] = axis_maps(OP, &shape, size, AxisMap::averages)?;
    resample(OP, &contiguous(OP, x)?, shape, [&rows, &cols])
}

/// The gradient of a loss with respect to the input of [`adaptive_avg_pool2d`], whose shape is `input`, from `grad`, that
/// with respect to its output.
///
/// # Errors
/// As [`resize2d_backward`].
///
/// ```
/// use ndarray::array;
/// let grad = array![[[[1.0], [2.0]]]];
/// let dx = striate::ops::adaptive_avg_pool2d_backward(grad.view(), &[1, 1, 3, 1])?;
/// assert_eq!(dx, array![[[[0.5], [1.5], [1.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn adaptive_avg_pool2d_backward<T: Element>(
    grad: ArrayView4<'_, T>,
    input: &[usize],
) -> Result<Array4<T>> {
    const OP: &str = "adaptive_avg_pool2d_backward";
    let (_, height, width, _) = grad.dim();
    check_shape(OP, "an output gradient", grad.shape(), &sized(OP, input, [height, width])?)?;
    let [rows, cols] = axis_maps(OP, input, [height, width], AxisMap::averages)?;
    resample_backward(OP, grad, [&rows, &cols])
}

/// The padding that a convolution of this geometry would have, to be applied before one without.
pub(crate) fn explicit_padding(geometry: &Geometry2d) -> Padding {
    let ((top, bottom), (left, right)) = (geometry.rows().padding(), geometry.cols().padding());
    Padding::Explicit { top, bottom, left, right }
}
