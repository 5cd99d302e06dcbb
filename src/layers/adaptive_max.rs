//! [`AdaptiveMaxPool2D`] and [`AdaptiveMaxPool1D`].

use ndarray::ArrayView4;

use super::delegate::delegate_layer;
use super::folded::{Fold, Folded};
use crate::geometry::maps;
use crate::layer::{Saved, Tape, mismatch};
use crate::memory::len_of;
use crate::ops::{self, check_shape, sized, view_of};
use crate::{Cost, Element, Error, Layer, Reach, Result, Size2d, Tensor};

const KIND: &str = "AdaptiveMaxPool2D";

/// The largest values of windows that share the maps as evenly as they can, so that the output has a size of choice:
/// [`ops::adaptive_max_pool2d`](crate::ops::adaptive_max_pool2d). PyTorch's `AdaptiveMaxPool2d` with channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// If the size is 0, or in training a map has more than 2^32 positions.
///
/// ```
/// use striate::{AdaptiveMaxPool2D, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[[[1.0], [2.0], [6.0]]]]);
/// assert_eq!(AdaptiveMaxPool2D::new((1, 2)).forward(&x)?.as_slice(), [2.0, 6.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveMaxPool2D {
    output_size: [usize; 2],
}

impl AdaptiveMaxPool2D {
    /// Pooling to this size.
    ///
    /// ```
    /// use striate::{AdaptiveMaxPool2D, Layer, Tensor};
    /// let y = AdaptiveMaxPool2D::new((3, 4)).forward(&Tensor::<f32>::zeros(&[1, 10, 10, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 4, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(output_size: impl Into<Size2d>) -> Self {
        AdaptiveMaxPool2D { output_size: output_size.into().0 }
    }
}

impl<T: Element> Layer<T> for AdaptiveMaxPool2D {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(sized(KIND, input, self.output_size)?.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        sized(KIND, x.shape(), self.output_size)?;
        Ok(ops::adaptive_max_pool2d(x.view4()?, self.output_size)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let [_, height, width, _] = maps(KIND, x.shape())?;
        if u32::try_from(height * width).is_err() {
            return Err(Error::size(KIND, "maps of at most 2^32 positions", height * width));
        }
        let (y, positions) = ops::adaptive_max_pool2d_with_positions(x.view4()?, self.output_size)?;
        tape.push(KIND, Saved::Shape(x.shape().to_vec()));
        tape.push(KIND, Saved::Indices(positions.iter().map(|&place| place as u32).collect()));
        Ok(y.into())
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let positions: Vec<usize> = match tape.pop(KIND)? {
            Saved::Indices(positions) => positions.into_iter().map(|place| place as usize).collect(),
            other => return Err(mismatch(KIND, "indices", &other)),
        };
        let input = tape.pop_shape(KIND)?;
        let output = sized(KIND, &input, self.output_size)?;
        check_shape(KIND, "an output gradient", grad.shape(), &output)?;
        let positions: ArrayView4<'_, usize> = view_of(KIND, output, &positions)?;
        Ok(ops::adaptive_max_pool2d_backward(grad.view4()?, positions, &input)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let outputs = len_of(KIND, &sized(KIND, input, self.output_size)?)?;
        let saved_bytes = size_of_val(input) + outputs * size_of::<u32>();
        Ok(Cost { saved_bytes, reach: Reach::Everything, ..Cost::default() })
    }

    fn takes_maxima(&self) -> bool {
        true
    }
}

/// A sequence of a length of choice, from the largest values of windows that share it as evenly as they can:
/// [`AdaptiveMaxPool2D`] over a sequence. PyTorch's `AdaptiveMaxPool1d` with channels last.
///
/// ```
/// use striate::{AdaptiveMaxPool1D, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[[1.0], [2.0], [6.0]]]);
/// assert_eq!(AdaptiveMaxPool1D::new(2).forward(&x)?.as_slice(), [2.0, 6.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveMaxPool1D(Folded<AdaptiveMaxPool2D>);

impl AdaptiveMaxPool1D {
    /// Pooling to this length.
    ///
    /// ```
    /// use striate::{AdaptiveMaxPool1D, Layer, Tensor};
    /// let y = AdaptiveMaxPool1D::new(3).forward(&Tensor::<f32>::zeros(&[1, 10, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(output_size: usize) -> Self {
        let inner = AdaptiveMaxPool2D::new((1, output_size));
        AdaptiveMaxPool1D(Folded::new("AdaptiveMaxPool1D", Fold::Row, inner))
    }
}

impl<T: Element> Layer<T> for AdaptiveMaxPool1D {
    delegate_layer!("AdaptiveMaxPool1D", 0);
}
