//! Pooling of sequences: the two-dimensional layers over maps of one row.

use super::delegate::delegate_layer;
use super::folded::{Fold, Folded};
use crate::{
    AdaptiveAvgPool2D, AvgPool2D, Element, GlobalAvgPool2D, GlobalMaxPool2D, Layer, MaxPool2D, Padding,
};

/// The options of the layers with a window; for the examples, the name of one, and what its `new` takes before the pool
/// size.
macro_rules! line_window_options {
    ($layer:literal, $before:literal) => {
        /// How far the window moves between two outputs. Default: the pool size, so that windows touch.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).strides(1);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 3])?)?.shape(), [1, 8, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn strides(self, strides: usize) -> Self {
            Self(self.0.map(|pool| pool.strides((1, strides))))
        }

        /// What lies before and behind the sequence: [`Padding::Valid`] (the default), [`Padding::Same`] or
        /// [`Padding::ends`].
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Padding, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).padding(Padding::Same);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 3])?)?.shape(), [1, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn padding(self, padding: Padding) -> Self {
            Self(self.0.map(|pool| pool.padding(padding)))
        }

        /// The distance between neighbouring taps of the window. Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).strides(1).dilation(3);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 3])?)?.shape(), [1, 6, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn dilation(self, dilation: usize) -> Self {
            Self(self.0.map(|pool| pool.dilation((1, dilation))))
        }

        /// Whether a last window that reaches beyond the padded input counts, as in PyTorch and ONNX. Default `false`.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).ceil_mode(true);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 3])?)?.shape(), [1, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn ceil_mode(self, ceil_mode: bool) -> Self {
            Self(self.0.map(|pool| pool.ceil_mode(ceil_mode)))
        }
    };
}

pub(super) use line_window_options;

/// One-dimensional max pooling, as [`MaxPool2D`] over a sequence. Keras' `MaxPooling1D`; PyTorch's `MaxPool1d` with channels
/// last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, length, channels]` |
/// | output | `[batch, new length, channels]` |
///
/// # Errors
/// As [`MaxPool2D`]; padding in numbers must be of the two ends alone: [`Padding::ends`].
///
/// ```
/// use striate::{Layer, MaxPool1D, Tensor};
/// let x = Tensor::from(ndarray::array![[[1.0], [3.0], [2.0], [5.0]]]);
/// assert_eq!(MaxPool1D::new(2).forward(&x)?.as_slice(), [3.0, 5.0]);
/// assert_eq!(MaxPool1D::new(2).strides(1).forward(&x)?.as_slice(), [3.0, 3.0, 5.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaxPool1D(Folded<MaxPool2D>);

impl MaxPool1D {
    /// Windows of `pool_size` positions that touch each other.
    ///
    /// ```
    /// use striate::{Layer, MaxPool1D, Tensor};
    /// let y = MaxPool1D::new(3).forward(&Tensor::<f32>::zeros(&[1, 10, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: usize) -> Self {
        MaxPool1D(Folded::new("MaxPool1D", Fold::Row, MaxPool2D::new((1, pool_size))))
    }

    line_window_options!("MaxPool1D", "");
}

impl<T: Element> Layer<T> for MaxPool1D {
    delegate_layer!("MaxPool1D", 0);
}

/// One-dimensional average pooling, as [`AvgPool2D`] over a sequence. Keras' `AveragePooling1D`; PyTorch's `AvgPool1d` with
/// channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, length, channels]` |
/// | output | `[batch, new length, channels]` |
///
/// # Errors
/// As [`AvgPool2D`]; padding in numbers must be of the two ends alone: [`Padding::ends`].
///
/// ```
/// use striate::{AvgPool1D, Layer, Padding, Tensor};
/// let x = Tensor::from(ndarray::array![[[1.0], [3.0], [2.0], [6.0]]]);
/// assert_eq!(AvgPool1D::new(2).forward(&x)?.as_slice(), [2.0, 4.0]);
/// let padded = AvgPool1D::new(2).padding(Padding::ends(1, 1)).count_include_pad(true);
/// assert_eq!(padded.forward(&x)?.as_slice(), [0.5, 2.5, 3.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AvgPool1D(Folded<AvgPool2D>);

impl AvgPool1D {
    /// Windows of `pool_size` positions that touch each other.
    ///
    /// ```
    /// use striate::{AvgPool1D, Layer, Tensor};
    /// let y = AvgPool1D::new(3).forward(&Tensor::<f32>::zeros(&[1, 10, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: usize) -> Self {
        AvgPool1D(Folded::new("AvgPool1D", Fold::Row, AvgPool2D::new((1, pool_size))))
    }

    line_window_options!("AvgPool1D", "");

    /// Whether positions in the padding count as zeros, as PyTorch does by default. Default `false`, as in Keras.
    ///
    /// ```
    /// use striate::{AvgPool1D, Layer, Padding, Tensor};
    /// let pool = AvgPool1D::new(2).padding(Padding::ends(1, 0)).count_include_pad(true);
    /// assert_eq!(pool.forward(&Tensor::full(&[1, 1, 1], 4.0)?)?.as_slice(), [2.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self(self.0.map(|pool| pool.count_include_pad(count_include_pad)))
    }

    /// A number to divide every sum by, whatever the window sees.
    ///
    /// ```
    /// use striate::{AvgPool1D, Layer, Tensor};
    /// let x = Tensor::full(&[1, 2, 1], 3.0)?;
    /// assert_eq!(AvgPool1D::new(2).divisor_override(1).forward(&x)?.as_slice(), [6.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn divisor_override(self, divisor: usize) -> Self {
        Self(self.0.map(|pool| pool.divisor_override(divisor)))
    }
}

impl<T: Element> Layer<T> for AvgPool1D {
    delegate_layer!("AvgPool1D", 0);
}

/// A global pooling layer over arrays that are folded to maps; for its docs, sizes of the pooled axes, and the ones that
/// `keepdims` keeps of them.
macro_rules! global_pool {
    (
        $(#[$doc:meta])* $layer:ident, $name:literal, $inner:ident, $fold:expr, $sizes:literal => $ones:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $layer(Folded<$inner>);

        impl $layer {
            /// Pooling to `[batch, channels]`.
            ///
            /// ```
            #[doc = concat!("use striate::{Layer, Tensor, ", $name, "};")]
            #[doc = concat!("let x = Tensor::<f32>::zeros(&[8, ", $sizes, ", 16])?;")]
            #[doc = concat!("let y = ", $name, "::new().forward(&x)?;")]
            /// assert_eq!(y.shape(), [8, 16]);
            /// # Ok::<(), striate::Error>(())
            /// ```
            pub fn new() -> Self {
                $layer(Folded::new($name, $fold, $inner::new()))
            }

            #[doc = concat!(
                "Whether the output keeps an axis of length 1 for every pooled one, `[batch, ", $ones,
                ", channels]`. Default `false`."
            )]
            ///
            /// ```
            #[doc = concat!("use striate::{Layer, Tensor, ", $name, "};")]
            #[doc = concat!("let x = Tensor::<f32>::zeros(&[8, ", $sizes, ", 16])?;")]
            #[doc = concat!("let y = ", $name, "::new().keepdims(true).forward(&x)?;")]
            #[doc = concat!("assert_eq!(y.shape(), [8, ", $ones, ", 16]);")]
            /// # Ok::<(), striate::Error>(())
            /// ```
            #[must_use]
            pub fn keepdims(self, keepdims: bool) -> Self {
                Self(self.0.map(|pool| pool.keepdims(keepdims)))
            }
        }

        impl Default for $layer {
            fn default() -> Self {
                Self::new()
            }
        }

        impl<T: Element> Layer<T> for $layer {
            delegate_layer!($name, 0);
        }
    };
}
pub(super) use global_pool;

global_pool! {
    /// The largest value of each channel of a sequence: `[batch, length, channels]` to `[batch, channels]`. Keras'
    /// `GlobalMaxPooling1D`.
    ///
    /// ```
    /// use striate::{GlobalMaxPool1D, Layer, Tensor};
    /// let x = Tensor::from(ndarray::array![[[1.0, 9.0], [3.0, 7.0]]]);
    /// assert_eq!(GlobalMaxPool1D::new().forward(&x)?, Tensor::from(ndarray::array![[3.0, 9.0]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    GlobalMaxPool1D, "GlobalMaxPool1D", GlobalMaxPool2D, Fold::Row, "50" => "1"
}

global_pool! {
    /// The average of each channel of a sequence: `[batch, length, channels]` to `[batch, channels]`. Keras'
    /// `GlobalAveragePooling1D`.
    ///
    /// ```
    /// use striate::{GlobalAvgPool1D, Layer, Tensor};
    /// let x = Tensor::from(ndarray::array![[[1.0, 9.0], [3.0, 7.0]]]);
    /// assert_eq!(GlobalAvgPool1D::new().forward(&x)?, Tensor::from(ndarray::array![[2.0, 8.0]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    GlobalAvgPool1D, "GlobalAvgPool1D", GlobalAvgPool2D, Fold::Row, "50" => "1"
}

/// A sequence of a length of choice, from the averages over windows that share it as evenly as they can:
/// [`AdaptiveAvgPool2D`] over a sequence. PyTorch's `AdaptiveAvgPool1d` with channels last.
///
/// ```
/// use striate::{AdaptiveAvgPool1D, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[[1.0], [2.0], [6.0]]]);
/// assert_eq!(AdaptiveAvgPool1D::new(2).forward(&x)?.as_slice(), [1.5, 4.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdaptiveAvgPool1D(Folded<AdaptiveAvgPool2D>);

impl AdaptiveAvgPool1D {
    /// Pooling to this length.
    ///
    /// ```
    /// use striate::{AdaptiveAvgPool1D, Layer, Tensor};
    /// let y = AdaptiveAvgPool1D::new(3).forward(&Tensor::<f32>::zeros(&[1, 10, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(output_size: usize) -> Self {
        let inner = AdaptiveAvgPool2D::new((1, output_size));
        AdaptiveAvgPool1D(Folded::new("AdaptiveAvgPool1D", Fold::Row, inner))
    }
}

impl<T: Element> Layer<T> for AdaptiveAvgPool1D {
    delegate_layer!("AdaptiveAvgPool1D", 0);
}
