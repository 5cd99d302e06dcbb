//! Depth to space and back: blocks of pixels as channels.

use ndarray::{Array4, ArrayView4, ArrayView6};

use super::{contiguous, reshaped, to_array, view_of};
use crate::geometry::maps;
use crate::memory::{len_of, unwritten};
use crate::{Element, Error, Result};

/// How the channels of one position are the channels of a block of positions, of which there are `b x b`.
///
/// ```
/// use striate::{BlockOrder, DepthToSpace, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]]]]);
/// let first = |order| DepthToSpace::new(2).order(order).forward(&x).map(|y| y.as_slice()[..2].to_vec());
/// assert_eq!(first(BlockOrder::ChannelsLast)?, [0.0, 1.0]);
/// assert_eq!(first(BlockOrder::ChannelsFirst)?, [0.0, 4.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BlockOrder {
    /// Row, column, channel: TensorFlow's `depth_to_space`, ONNX' `DCR`.
    #[default]
    ChannelsLast,
    /// Channel, row, column: PyTorch's `pixel_shuffle`, ONNX' `CRD`.
    ChannelsFirst,
}

/// The shape of maps whose depth has become space.
pub(crate) fn space_shape(op: &'static str, input: &[usize], block: usize) -> Result<[usize; 4]> {
    let [batch, height, width, channels] = maps(op, input)?;
    let area = block.checked_mul(block).filter(|&area| area > 0 && channels.is_multiple_of(area));
    let Some(area) = area else {
        let expected = format!("a block whose area divides {channels} channels");
        return Err(Error::argument(op, expected, format_args!("{block}x{block}")));
    };
    let shape = [batch, len_of(op, &[height, block])?, len_of(op, &[width, block])?, channels / area];
    len_of(op, &shape)?;
    Ok(shape)
}

/// The shape of maps whose space has become depth.
pub(crate) fn depth_shape(op: &'static str, input: &[usize], block: usize) -> Result<[usize; 4]> {
    let [batch, height, width, channels] = maps(op, input)?;
    if block == 0 || !height.is_multiple_of(block) || !width.is_multiple_of(block) {
        let expected = format!("a block that divides maps of {height}x{width}");
        return Err(Error::argument(op, expected, format_args!("{block}x{block}")));
    }
    let shape = [batch, height / block, width / block, len_of(op, &[channels, block, block])?];
    len_of(op, &shape)?;
    Ok(shape)
}

/// A copy of the elements in this order, as maps of that shape.
fn rearranged<T: Element>(
    op: &'static str,
    elements: ArrayView6<'_, T>,
    shape: [usize; 4],
) -> Result<Array4<T>> {
    let mut out = to_array(op, elements.raw_dim(), unwritten(op, &shape)?)?;
    out.assign(&elements);
    reshaped(op, shape, out)
}

/// Every position of `[batch, height, width, b * b * channels]` as a block of `b x b` positions:
/// `[batch, height * b, width * b, channels]`. What sub-pixel convolution ends with (Shi et al., 2016).
///
/// ```text
/// y[n, p*b + i, q*b + j, c] = x[n, p, q, (i*b + j) * channels + c]      in the order of ChannelsLast
/// ```
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the area of the block does not divide the channels.
///
/// ```
/// use ndarray::array;
/// use striate::ops::{self, BlockOrder};
/// let y = ops::depth_to_space(array![[[[1.0, 2.0, 3.0, 4.0]]]].view(), 2, BlockOrder::ChannelsLast)?;
/// assert_eq!(y, array![[[[1.0], [2.0]], [[3.0], [4.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn depth_to_space<T: Element>(
    x: ArrayView4<'_, T>,
    block: usize,
    order: BlockOrder,
) -> Result<Array4<T>> {
    const OP: &str = "depth_to_space";
    let shape = space_shape(OP, x.shape(), block)?;
    let [batch, height, width, _] = maps(OP, x.shape())?;
    let (x, channels) = (contiguous(OP, x)?, shape[3]);
    let blocks = match order {
        BlockOrder::ChannelsLast => view_of(OP, [batch, height, width, block, block, channels], &x)?,
        BlockOrder::ChannelsFirst => {
            view_of(OP, [batch, height, width, channels, block, block], &x)?.permuted_axes([0, 1, 2, 4, 5, 3])
        }
    };
    rearranged(OP, blocks.permuted_axes([0, 1, 3, 2, 4, 5]), shape)
}

/// Every block of `b x b` positions of `[batch, height, width, channels]` as one position:
/// `[batch, height / b, width / b, b * b * channels]`. The inverse of [`depth_to_space`], and its gradient, as that is the
/// gradient of this.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the block does not divide the maps.
///
/// ```
/// use ndarray::array;
/// use striate::ops::{self, BlockOrder};
/// let y = ops::space_to_depth(array![[[[1.0], [2.0]], [[3.0], [4.0]]]].view(), 2, BlockOrder::ChannelsLast)?;
/// assert_eq!(y, array![[[[1.0, 2.0, 3.0, 4.0]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn space_to_depth<T: Element>(
    x: ArrayView4<'_, T>,
    block: usize,
    order: BlockOrder,
) -> Result<Array4<T>> {
    const OP: &str = "space_to_depth";
    let shape = depth_shape(OP, x.shape(), block)?;
    let [_, _, _, channels] = maps(OP, x.shape())?;
    let ([batch, height, width, _], x) = (shape, contiguous(OP, x)?);
    let blocks = view_of(OP, [batch, height, block, width, block, channels], &x)?;
    let blocks = blocks.permuted_axes(match order {
        BlockOrder::ChannelsLast => [0, 1, 3, 2, 4, 5],
        BlockOrder::ChannelsFirst => [0, 1, 3, 5, 2, 4],
    });
    rearranged(OP, blocks, shape)
}
