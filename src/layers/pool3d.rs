//! Pooling of volumes.

use super::delegate::delegate_layer;
use super::folded::{Fold, Folded};
use super::pool::{pop_taps, push_indices, push_taps, reach, taps_bytes};
use super::pool1d::global_pool;
use crate::layer::{Saved, Tape};
use crate::ops::{self, Divisor, PoolIndices, PoolIndices3d, check_divisor, pooled_shape};
use crate::{
    Cost, Element, GlobalAvgPool2D, GlobalMaxPool2D, Layer, Padding3d, Result, Size3d, Tensor, Window3d,
};

/// The options of the layers with a `window`; for the examples, the name of one.
macro_rules! volume_window_options {
    ($layer:literal) => {
        /// How far the window moves between two outputs. Default: the pool size, so that windows touch.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).strides((1, 2, 2));")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 5, 9, 9, 3])?)?.shape(), [1, 4, 4, 4, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn strides(mut self, strides: impl Into<Size3d>) -> Self {
            self.window = self.window.strides(strides);
            self
        }

        /// What lies around the input: a [`Padding`](crate::Padding), or a [`Padding3d`]. Default: nothing.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Padding, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).padding(Padding::Same);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 5, 9, 9, 3])?)?.shape(), [1, 3, 5, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn padding(mut self, padding: impl Into<Padding3d>) -> Self {
            self.window = self.window.padding(padding);
            self
        }

        /// The distance between neighbouring taps of the window. Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).strides(1).dilation(3);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 5, 9, 9, 3])?)?.shape(), [1, 2, 6, 6, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn dilation(mut self, dilation: impl Into<Size3d>) -> Self {
            self.window = self.window.dilation(dilation);
            self
        }

        /// Whether a last window that reaches beyond the padded input counts, as in PyTorch and ONNX. Default `false`.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).ceil_mode(true);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 5, 9, 9, 3])?)?.shape(), [1, 3, 5, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
            self.window = self.window.ceil_mode(ceil_mode);
            self
        }
    };
}

const MAX: &str = "MaxPool3D";

/// Three-dimensional max pooling: of each window only the largest value is kept, as [`ops::max_pool3d`]. Keras'
/// `MaxPooling3D`, with its defaults and its numbers; PyTorch's `MaxPool3d` with channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, depth, height, width, channels]` |
/// | output | `[batch, new depth, new height, new width, channels]` |
///
/// # Errors
/// As [`MaxPool2D`](crate::MaxPool2D).
///
/// ```
/// use striate::{Layer, MaxPool3D, Tensor};
/// let x = Tensor::from_vec(&[1, 2, 2, 2, 1], vec![1.0, 2.0, 3.0, 4.0, 8.0, 7.0, 6.0, 5.0])?;
/// assert_eq!(MaxPool3D::new(2).forward(&x)?.as_slice(), [8.0]);
/// assert_eq!(MaxPool3D::new((2, 1, 1)).forward(&x)?.as_slice(), [8.0, 7.0, 6.0, 5.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaxPool3D {
    window: Window3d,
}

impl MaxPool3D {
    /// Windows of `pool_size` that touch each other, inside the input.
    ///
    /// ```
    /// use striate::{Layer, MaxPool3D, Tensor};
    /// let y = MaxPool3D::new((1, 2, 3)).forward(&Tensor::<f32>::zeros(&[1, 4, 6, 6, 8])?)?;
    /// assert_eq!(y.shape(), [1, 4, 3, 2, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: impl Into<Size3d>) -> Self {
        let pool_size = pool_size.into();
        MaxPool3D { window: Window3d::new(pool_size).strides(pool_size) }
    }

    volume_window_options!("MaxPool3D");
}

impl<T: Element> Layer<T> for MaxPool3D {
    fn kind(&self) -> &'static str {
        MAX
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(pooled_shape(MAX, input, &self.window.pool(MAX, input)?)?.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        Layer::<T>::output_shape(self, x.shape())?;
        Ok(ops::max_pool3d(x.view5()?, &self.window)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        Layer::<T>::output_shape(self, x.shape())?;
        let (y, indices) = ops::max_pool3d_with_indices(x.view5()?, &self.window)?;
        let [planes, depth] = indices.into_parts();
        push_indices(tape, MAX, x.shape(), planes);
        push_taps(tape, MAX, depth);
        Ok(y.into())
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (depth, planes) = (pop_taps(tape, MAX)?, pop_taps(tape, MAX)?);
        let input = tape.pop_shape(MAX)?;
        let steps = self.window.pool(MAX, &input)?;
        let planes = PoolIndices::new(MAX, planes, &steps[0])?;
        let indices = PoolIndices3d::new(planes, PoolIndices::new(MAX, depth, &steps[1])?);
        Ok(ops::max_pool3d_backward(grad.view5()?, &indices, &input, &self.window)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let steps = self.window.pool(MAX, input)?;
        let saved_bytes = size_of_val(input) + taps_bytes(&steps[0]) + taps_bytes(&steps[1]);
        Ok(Cost { saved_bytes, reach: reach(&self.window.planes()), ..Cost::default() })
    }

    fn takes_maxima(&self) -> bool {
        true
    }
}

const AVG: &str = "AvgPool3D";

/// Three-dimensional average pooling: of each window the average is kept, as [`ops::avg_pool3d`]. Keras'
/// `AveragePooling3D`, with its defaults and its numbers; with the options PyTorch's `AvgPool3d`, channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, depth, height, width, channels]` |
/// | output | `[batch, new depth, new height, new width, channels]` |
///
/// # Errors
/// As [`AvgPool2D`](crate::AvgPool2D).
///
/// ```
/// use striate::{AvgPool3D, Layer, Tensor};
/// let x = Tensor::from_vec(&[1, 2, 2, 2, 1], vec![1.0, 2.0, 3.0, 4.0, 8.0, 7.0, 6.0, 5.0])?;
/// assert_eq!(AvgPool3D::new(2).forward(&x)?.as_slice(), [4.5]);
/// assert_eq!(AvgPool3D::new(2).divisor_override(1).forward(&x)?.as_slice(), [36.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AvgPool3D {
    window: Window3d,
    count_include_pad: bool,
    divisor_override: Option<usize>,
}

impl AvgPool3D {
    /// Windows of `pool_size` that touch each other, inside the input.
    ///
    /// ```
    /// use striate::{AvgPool3D, Layer, Tensor};
    /// let y = AvgPool3D::new((1, 2, 3)).forward(&Tensor::<f32>::zeros(&[1, 4, 6, 6, 8])?)?;
    /// assert_eq!(y.shape(), [1, 4, 3, 2, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: impl Into<Size3d>) -> Self {
        let pool_size = pool_size.into();
        let window = Window3d::new(pool_size).strides(pool_size);
        AvgPool3D { window, count_include_pad: false, divisor_override: None }
    }

    volume_window_options!("AvgPool3D");

    /// Whether positions in the padding count as zeros, as PyTorch does by default. Default `false`, as in Keras.
    ///
    /// ```
    /// use striate::{AvgPool3D, Layer, Padding3d, Tensor};
    /// let pool = AvgPool3D::new(2).padding(Padding3d::all(1)).count_include_pad(true);
    /// assert_eq!(pool.forward(&Tensor::full(&[1, 1, 1, 1, 1], 8.0)?)?.as_slice(), [1.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn count_include_pad(mut self, count_include_pad: bool) -> Self {
        self.count_include_pad = count_include_pad;
        self
    }

    /// A number to divide every sum by, whatever the window sees.
    ///
    /// ```
    /// use striate::{AvgPool3D, Layer, Tensor};
    /// let x = Tensor::full(&[1, 2, 2, 2, 1], 3.0)?;
    /// assert_eq!(AvgPool3D::new(2).divisor_override(1).forward(&x)?.as_slice(), [24.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn divisor_override(mut self, divisor: usize) -> Self {
        self.divisor_override = Some(divisor);
        self
    }

    fn divisor(&self) -> Divisor {
        Divisor::of_options(self.count_include_pad, self.divisor_override)
    }
}

impl<T: Element> Layer<T> for AvgPool3D {
    fn kind(&self) -> &'static str {
        AVG
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        check_divisor(AVG, self.divisor())?;
        Ok(pooled_shape(AVG, input, &self.window.pool(AVG, input)?)?.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        Layer::<T>::output_shape(self, x.shape())?;
        Ok(ops::avg_pool3d(x.view5()?, self.divisor(), &self.window)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(AVG, Saved::Shape(x.shape().to_vec()));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let input = tape.pop_shape(AVG)?;
        Ok(ops::avg_pool3d_backward(grad.view5()?, self.divisor(), &input, &self.window)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        Layer::<T>::output_shape(self, input)?;
        let saved_bytes = size_of_val(input);
        Ok(Cost { saved_bytes, reach: reach(&self.window.planes()), ..Cost::default() })
    }
}

global_pool! {
    /// The largest value of each channel of a volume: `[batch, depth, height, width, channels]` to `[batch, channels]`.
    /// Keras' `GlobalMaxPooling3D`.
    ///
    /// ```
    /// use striate::{GlobalMaxPool3D, Layer, Tensor};
    /// let x = Tensor::from_vec(&[1, 2, 1, 2, 1], vec![1.0, 4.0, 2.0, 3.0])?;
    /// assert_eq!(GlobalMaxPool3D::new().forward(&x)?, Tensor::from(ndarray::array![[4.0]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    GlobalMaxPool3D, "GlobalMaxPool3D", GlobalMaxPool2D, Fold::Volume, "4, 7, 7" => "1, 1, 1"
}

global_pool! {
    /// The average of each channel of a volume: `[batch, depth, height, width, channels]` to `[batch, channels]`. Keras'
    /// `GlobalAveragePooling3D`.
    ///
    /// ```
    /// use striate::{GlobalAvgPool3D, Layer, Tensor};
    /// let x = Tensor::from_vec(&[1, 2, 1, 2, 1], vec![1.0, 4.0, 2.0, 3.0])?;
    /// assert_eq!(GlobalAvgPool3D::new().forward(&x)?, Tensor::from(ndarray::array![[2.5]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    GlobalAvgPool3D, "GlobalAvgPool3D", GlobalAvgPool2D, Fold::Volume, "4, 7, 7" => "1, 1, 1"
}
