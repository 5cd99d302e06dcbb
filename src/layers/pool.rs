//! [`MaxPool2D`] and [`AvgPool2D`].

use crate::layer::{Saved, Tape, mismatch};
use crate::ops::{self, Divisor, PoolIndices, Taps, check_divisor};
use crate::{Cost, Element, Geometry2d, Layer, Padding, Reach, Result, Size2d, Tensor, Window2d};

/// The options that both layers have.
macro_rules! window_options {
    ($layer:literal) => {
        /// How far the window moves between two outputs. Default: the pool size, so that windows touch.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).strides(1);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 8, 8, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn strides(mut self, strides: impl Into<Size2d>) -> Self {
            self.window = self.window.strides(strides);
            self
        }

        /// What lies around the input. Default [`Padding::Valid`].
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Padding, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).padding(Padding::Same);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 5, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn padding(mut self, padding: Padding) -> Self {
            self.window = self.window.padding(padding);
            self
        }

        /// The distance between neighbouring taps of the window. Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).strides(1).dilation(3);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 6, 6, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn dilation(mut self, dilation: impl Into<Size2d>) -> Self {
            self.window = self.window.dilation(dilation);
            self
        }

        /// Whether a last window that reaches beyond the padded input counts, as in PyTorch and ONNX. Default `false`.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(2).ceil_mode(true);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 5, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
            self.window = self.window.ceil_mode(ceil_mode);
            self
        }
    };
}

const MAX: &str = "MaxPool2D";

/// Two-dimensional max pooling: of each window of each map only the largest value is kept.
///
/// ```text
/// y[n, y, x, c] = max over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c]
/// ```
///
/// as [`ops::max_pool2d`]: padding never wins, NaN does, and the gradient of a tie goes to the first position in row-major
/// order. Keras' `MaxPooling2D`, with its defaults and its numbers; PyTorch's `MaxPool2d` with channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// The options are checked when the layer meets an input: sizes, strides or dilation of zero, windows larger than the
/// padded input, and padding so wide that a window sees nothing else are errors.
///
/// ```
/// use ndarray::array;
/// use striate::{Layer, MaxPool2D, Tensor};
/// // keras.layers.MaxPooling2D(pool_size=2)
/// let pool = MaxPool2D::new(2);
/// let x = Tensor::from(array![[[[1.0], [2.0], [5.0], [6.0]], [[3.0], [4.0], [8.0], [7.0]]]]);
/// assert_eq!(pool.forward(&x)?, Tensor::from(array![[[[4.0], [8.0]]]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaxPool2D {
    window: Window2d,
}

impl MaxPool2D {
    /// Windows of `pool_size` that touch each other, inside the input.
    ///
    /// ```
    /// use striate::{Layer, MaxPool2D, Tensor};
    /// let y = MaxPool2D::new((2, 3)).forward(&Tensor::<f32>::zeros(&[1, 6, 6, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 2, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: impl Into<Size2d>) -> Self {
        let pool_size = pool_size.into();
        MaxPool2D { window: Window2d::new(pool_size).strides(pool_size) }
    }

    window_options!("MaxPool2D");
}

impl<T: Element> Layer<T> for MaxPool2D {
    fn kind(&self) -> &'static str {
        MAX
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.window.pool(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let geometry = self.window.pool(x.shape())?;
        Ok(ops::max_pool2d(x.view4()?, &geometry)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let geometry = self.window.pool(x.shape())?;
        let (y, indices) = ops::max_pool2d_with_indices(x.view4()?, &geometry)?;
        push_indices(tape, MAX, x.shape(), indices);
        Ok(y.into())
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (input, taps) = pop_indices(tape, MAX)?;
        let geometry = self.window.pool(&input)?;
        let indices = PoolIndices::new(MAX, taps, &geometry)?;
        Ok(ops::max_pool2d_backward(grad.view4()?, &indices, &geometry)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let saved_bytes = indices_bytes(input, &self.window.pool(input)?);
        Ok(Cost { saved_bytes, reach: reach(&self.window), ..Cost::default() })
    }
}

/// What a layer sees through this window.
fn reach(window: &Window2d) -> Reach {
    Reach::Window { extent: window.extent(), strides: window.stride_sizes() }
}

/// Saves the shape of the input and which taps won.
pub(super) fn push_indices<T: Element>(
    tape: &mut Tape<T>,
    layer: &'static str,
    input: &[usize],
    indices: PoolIndices,
) {
    tape.push(layer, Saved::Shape(input.to_vec()));
    tape.push(
        layer,
        match indices.into_taps() {
            Taps::Bytes(taps) => Saved::Bytes(taps),
            Taps::Numbers(taps) => Saved::Indices(taps),
        },
    );
}

/// Takes back what [`push_indices`] saved.
pub(super) fn pop_indices<T: Element>(tape: &mut Tape<T>, layer: &'static str) -> Result<(Vec<usize>, Taps)> {
    let taps = match tape.pop(layer)? {
        Saved::Bytes(taps) => Taps::Bytes(taps),
        Saved::Indices(taps) => Taps::Numbers(taps),
        other => return Err(mismatch(layer, "the taps that won", &other)),
    };
    Ok((tape.pop_shape(layer)?, taps))
}

/// The bytes that [`push_indices`] saves for a pooling of this geometry.
pub(super) fn indices_bytes(input: &[usize], geometry: &Geometry2d) -> usize {
    size_of_val(input) + geometry.output_shape().iter().product::<usize>() * Taps::bytes_each(geometry)
}

const AVG: &str = "AvgPool2D";

/// Two-dimensional average pooling: of each window of each map the average is kept.
///
/// ```text
/// y[n, y, x, c] = sum over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c] / divisor
/// ```
///
/// as [`ops::avg_pool2d`]. The divisor is the number of positions that the window sees of the input, as in Keras'
/// `AveragePooling2D`, whose defaults and numbers these are, unless [`count_include_pad`](Self::count_include_pad) or
/// [`divisor_override`](Self::divisor_override) say otherwise, as in PyTorch's `AvgPool2d`.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// The options are checked when the layer meets an input: those of [`MaxPool2D`], and a divisor of zero, are errors.
///
/// ```
/// use ndarray::array;
/// use striate::{AvgPool2D, Layer, Tensor};
/// // keras.layers.AveragePooling2D(pool_size=2)
/// let pool = AvgPool2D::new(2);
/// let x = Tensor::from(array![[[[1.0], [2.0], [5.0], [6.0]], [[3.0], [4.0], [8.0], [7.0]]]]);
/// assert_eq!(pool.forward(&x)?, Tensor::from(array![[[[2.5], [6.5]]]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AvgPool2D {
    window: Window2d,
    count_include_pad: bool,
    divisor_override: Option<usize>,
}

impl AvgPool2D {
    /// Windows of `pool_size` that touch each other, inside the input.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, Tensor};
    /// let y = AvgPool2D::new((2, 3)).forward(&Tensor::<f32>::zeros(&[1, 6, 6, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 2, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: impl Into<Size2d>) -> Self {
        let pool_size = pool_size.into();
        let window = Window2d::new(pool_size).strides(pool_size);
        AvgPool2D { window, count_include_pad: false, divisor_override: None }
    }

    window_options!("AvgPool2D");

    /// Whether positions in the padding count as zeros, as PyTorch does by default; positions that only
    /// [`ceil_mode`](Self::ceil_mode) adds never count. Default `false`, as in Keras.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, Padding, Tensor};
    /// let pool = AvgPool2D::new(2).padding(Padding::Same);
    /// let x = Tensor::full(&[1, 1, 1, 1], 4.0)?;
    /// assert_eq!(pool.forward(&x)?.as_slice(), [4.0]);
    /// let pool = pool.padding(Padding::all(1)).count_include_pad(true);
    /// assert_eq!(pool.forward(&x)?.as_slice(), [1.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn count_include_pad(mut self, count_include_pad: bool) -> Self {
        self.count_include_pad = count_include_pad;
        self
    }

    /// A number to divide every sum by, whatever the window sees: 1 makes sum pooling.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, Tensor};
    /// let x = Tensor::full(&[1, 2, 2, 1], 3.0)?;
    /// assert_eq!(AvgPool2D::new(2).divisor_override(1).forward(&x)?.as_slice(), [12.0]);
    /// assert!(AvgPool2D::new(2).divisor_override(0).forward(&x).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn divisor_override(mut self, divisor: usize) -> Self {
        self.divisor_override = Some(divisor);
        self
    }

    fn divisor(&self) -> Divisor {
        match self.divisor_override {
            Some(divisor) => Divisor::Fixed(divisor),
            None if self.count_include_pad => Divisor::IncludePadding,
            None => Divisor::InsideInput,
        }
    }

    /// The geometry over an input of this shape, once all options are checked.
    fn geometry(&self, input: &[usize]) -> Result<Geometry2d> {
        check_divisor(AVG, self.divisor())?;
        self.window.pool(input)
    }
}

impl<T: Element> Layer<T> for AvgPool2D {
    fn kind(&self) -> &'static str {
        AVG
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.geometry(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let geometry = self.geometry(x.shape())?;
        Ok(ops::avg_pool2d(x.view4()?, self.divisor(), &geometry)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(AVG, Saved::Shape(x.shape().to_vec()));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let geometry = self.geometry(&tape.pop_shape(AVG)?)?;
        Ok(ops::avg_pool2d_backward(grad.view4()?, self.divisor(), &geometry)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        self.geometry(input)?;
        let saved_bytes = size_of_val(input);
        Ok(Cost { saved_bytes, reach: reach(&self.window), ..Cost::default() })
    }
}
