//! Layers that pad, crop, enlarge, or average evenly: linear maps of rows and of columns.

use crate::geometry::{AxisMap, cropped_size, maps};
use crate::layer::{Layer, Saved, Tape};
use crate::memory::len_of;
use crate::ops::{self, Interpolation, check_shape, padded_shape, resample, resample_backward, sized};
use crate::{Cost, Element, Error, PadMode, Padding, Reach, Result, Size2d, Tensor};

/// A [`Layer`] with methods `shape(&self, input) -> Result<[usize; 4]>` for the output's shape,
/// `apply(&self, &Tensor) -> Result<Array4>` and `gradient(&self, view, input) -> Result<Array4>`.
macro_rules! map_layer {
    ($layer:ident, $kind:literal, $reach:expr) => {
        impl<T: Element> Layer<T> for $layer {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
                Ok(self.shape(input)?.to_vec())
            }

            fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
                self.shape(x.shape())?;
                Ok(self.apply(x)?.into())
            }

            fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
                let y = self.forward(&x)?;
                tape.push($kind, Saved::Shape(x.shape().to_vec()));
                Ok(y)
            }

            fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
                let input = tape.pop_shape($kind)?;
                check_shape($kind, "an output gradient", grad.shape(), &self.shape(&input)?)?;
                Ok(self.gradient(grad.view4()?, &input)?.into())
            }

            fn cost(&self, input: &[usize]) -> Result<Cost> {
                let output = self.shape(input)?;
                let reach: fn(&$layer) -> Reach = $reach;
                len_of($kind, &output)?;
                Ok(Cost { saved_bytes: size_of_val(input), reach: reach(self), ..Cost::default() })
            }
        }
    };
}

/// Rows and columns around feature maps: zeros, or what a [`PadMode`] says. Keras' `ZeroPadding2D`; PyTorch's `ZeroPad2d`,
/// `ConstantPad2d`, `ReflectionPad2d`, `ReplicationPad2d` and `CircularPad2d`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, top + height + bottom, left + width + right, channels]` |
///
/// # Errors
/// If there are too few positions to reflect (one more than the padding) or to repeat (as many).
///
/// ```
/// use striate::{Layer, Pad2D, Padding, Tensor};
/// let y = Pad2D::new(Padding::all(1)).forward(&Tensor::<f32>::full(&[1, 1, 1, 1], 5.0)?)?;
/// assert_eq!(y.as_slice(), [0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pad2D {
    padding: Padding,
    mode: PadMode,
}

/// [`Pad2D`], which pads with zeros unless told otherwise, under Keras' and PyTorch's name.
///
/// ```
/// use striate::{Layer, Padding, ZeroPad2D};
/// let shape = Layer::<f32>::output_shape(&ZeroPad2D::new(Padding::all(3)), &[1, 224, 224, 3])?;
/// assert_eq!(shape, [1, 230, 230, 3]);
/// # Ok::<(), striate::Error>(())
/// ```
pub type ZeroPad2D = Pad2D;

impl Pad2D {
    /// So many zeros on every side.
    ///
    /// ```
    /// use striate::{Layer, Pad2D, Padding};
    /// let pad = Pad2D::new(Padding::symmetric(1, 2));
    /// assert_eq!(Layer::<f32>::output_shape(&pad, &[1, 5, 5, 3])?, [1, 7, 9, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(padding: Padding) -> Self {
        Pad2D { padding, mode: PadMode::Zeros }
    }

    /// What stands there.
    ///
    /// ```
    /// use striate::{Layer, Pad2D, PadMode, Padding, Tensor};
    /// let pad = Pad2D::new(Padding::symmetric(0, 1)).mode(PadMode::Constant(7.0));
    /// assert_eq!(pad.forward(&Tensor::<f32>::zeros(&[1, 1, 1, 1])?)?.as_slice(), [7.0, 0.0, 7.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn mode(mut self, mode: PadMode) -> Self {
        self.mode = mode;
        self
    }

    fn shape(&self, input: &[usize]) -> Result<[usize; 4]> {
        padded_shape("Pad2D", input, self.padding, self.mode)
    }

    fn apply<T: Element>(&self, x: &Tensor<T>) -> Result<ndarray::Array4<T>> {
        ops::pad2d(x.view4()?, self.padding, self.mode)
    }

    fn gradient<T: Element>(
        &self,
        grad: ndarray::ArrayView4<'_, T>,
        input: &[usize],
    ) -> Result<ndarray::Array4<T>> {
        ops::pad2d_backward(grad, input, self.padding, self.mode)
    }
}
map_layer!(Pad2D, "Pad2D", |_| Reach::Pointwise);

/// Feature maps without some rows and columns at their edges. Keras' `Cropping2D`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, height - top - bottom, width - left - right, channels]` |
///
/// # Errors
/// If nothing would be left.
///
/// ```
/// use striate::{Crop2D, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[[[1.0], [2.0], [3.0]]]]);
/// assert_eq!(Crop2D::new((0, 0), (1, 0)).forward(&x)?.as_slice(), [2.0, 3.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Crop2D {
    rows: (usize, usize),
    cols: (usize, usize),
}

impl Crop2D {
    /// Without so many rows at the top and at the bottom, and so many columns at the left and at the right.
    ///
    /// ```
    /// use striate::{Crop2D, Layer};
    /// let crop = Crop2D::new((1, 2), (3, 0));
    /// assert_eq!(Layer::<f32>::output_shape(&crop, &[1, 8, 8, 3])?, [1, 5, 5, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(rows: (usize, usize), cols: (usize, usize)) -> Self {
        Crop2D { rows, cols }
    }

    fn shape(&self, input: &[usize]) -> Result<[usize; 4]> {
        let [batch, height, width, channels] = maps("Crop2D", input)?;
        let (rows, cols) =
            (cropped_size("Crop2D", height, self.rows)?, cropped_size("Crop2D", width, self.cols)?);
        Ok([batch, rows, cols, channels])
    }

    fn maps(&self, input: &[usize]) -> Result<[AxisMap; 2]> {
        let [_, height, width, _] = maps("Crop2D", input)?;
        Ok([AxisMap::cropped(height, self.rows)?, AxisMap::cropped(width, self.cols)?])
    }

    fn apply<T: Element>(&self, x: &Tensor<T>) -> Result<ndarray::Array4<T>> {
        let [rows, cols] = self.maps(x.shape())?;
        resample("Crop2D", x.as_slice(), maps("Crop2D", x.shape())?, [&rows, &cols])
    }

    fn gradient<T: Element>(
        &self,
        grad: ndarray::ArrayView4<'_, T>,
        input: &[usize],
    ) -> Result<ndarray::Array4<T>> {
        let [rows, cols] = self.maps(input)?;
        resample_backward("Crop2D", grad, [&rows, &cols])
    }
}
map_layer!(Crop2D, "Crop2D", |_| Reach::Pointwise);

/// Enlarged feature maps. Keras' `UpSampling2D`; PyTorch's `Upsample` with a whole `scale_factor`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, height * rows, width * columns, channels]` |
///
/// # Errors
/// If the factor is 0 or the result does not fit in memory.
///
/// ```
/// use striate::{Layer, Tensor, UpSample2D};
/// let x = Tensor::from(ndarray::array![[[[1.0], [2.0]]]]);
/// assert_eq!(UpSample2D::new(2).forward(&x)?.as_slice(), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UpSample2D {
    size: [usize; 2],
    interpolation: Interpolation,
}

impl UpSample2D {
    /// Every position repeated so often: `size` times, or by rows and columns.
    ///
    /// ```
    /// use striate::{Layer, UpSample2D};
    /// let shape = Layer::<f32>::output_shape(&UpSample2D::new((2, 3)), &[1, 4, 4, 8])?;
    /// assert_eq!(shape, [1, 8, 12, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(size: impl Into<Size2d>) -> Self {
        UpSample2D { size: size.into().0, interpolation: Interpolation::Nearest }
    }

    /// What stands between positions. Default [`Interpolation::Nearest`].
    ///
    /// ```
    /// use striate::{Interpolation, Layer, Tensor, UpSample2D};
    /// let up = UpSample2D::new((1, 2)).interpolation(Interpolation::Bilinear);
    /// let x = Tensor::from(ndarray::array![[[[0.0], [4.0]]]]);
    /// assert_eq!(up.forward(&x)?.as_slice(), [0.0, 1.0, 3.0, 4.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    fn shape(&self, input: &[usize]) -> Result<[usize; 4]> {
        let [_, height, width, _] = maps("UpSample2D", input)?;
        let grown = |len: usize, factor: usize| {
            len.checked_mul(factor)
                .ok_or_else(|| Error::size("UpSample2D", "a size that fits in memory", factor))
        };
        sized("UpSample2D", input, [grown(height, self.size[0])?, grown(width, self.size[1])?])
    }

    fn apply<T: Element>(&self, x: &Tensor<T>) -> Result<ndarray::Array4<T>> {
        let [_, height, width, _] = self.shape(x.shape())?;
        ops::resize2d(x.view4()?, [height, width], self.interpolation)
    }

    fn gradient<T: Element>(
        &self,
        grad: ndarray::ArrayView4<'_, T>,
        input: &[usize],
    ) -> Result<ndarray::Array4<T>> {
        ops::resize2d_backward(grad, input, self.interpolation)
    }
}
map_layer!(UpSample2D, "UpSample2D", |_| Reach::Pointwise);

/// The averages over windows that share the maps as evenly as they can, so that the output has a size of choice:
/// [`ops::adaptive_avg_pool2d`](crate::ops::adaptive_avg_pool2d). PyTorch's `AdaptiveAvgPool2d`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// If the size is 0.
///
/// ```
/// use striate::{AdaptiveAvgPool2D, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[[[1.0], [2.0], [6.0]]]]);
/// assert_eq!(AdaptiveAvgPool2D::new((1, 2)).forward(&x)?.as_slice(), [1.5, 4.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveAvgPool2D {
    output_size: [usize; 2],
}

impl AdaptiveAvgPool2D {
    /// Pooling to this size.
    ///
    /// ```
    /// use striate::{AdaptiveAvgPool2D, Layer};
    /// let pool = AdaptiveAvgPool2D::new(7);
    /// assert_eq!(Layer::<f32>::output_shape(&pool, &[1, 10, 12, 512])?, [1, 7, 7, 512]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(output_size: impl Into<Size2d>) -> Self {
        AdaptiveAvgPool2D { output_size: output_size.into().0 }
    }

    fn shape(&self, input: &[usize]) -> Result<[usize; 4]> {
        sized("AdaptiveAvgPool2D", input, self.output_size)
    }

    fn apply<T: Element>(&self, x: &Tensor<T>) -> Result<ndarray::Array4<T>> {
        ops::adaptive_avg_pool2d(x.view4()?, self.output_size)
    }

    fn gradient<T: Element>(
        &self,
        grad: ndarray::ArrayView4<'_, T>,
        input: &[usize],
    ) -> Result<ndarray::Array4<T>> {
        ops::adaptive_avg_pool2d_backward(grad, input)
    }
}
map_layer!(AdaptiveAvgPool2D, "AdaptiveAvgPool2D", |_| Reach::Everything);
