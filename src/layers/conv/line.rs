//! [`Conv1D`] and [`Conv1DTranspose`]: the two-dimensional layers over maps of one row.

use super::finish::{Finish, finish_options};
use super::sliding::{Axes, Convolution};
use super::transposed::Transposed;
use crate::layers::delegate::delegate_layer;
use crate::layers::folded::{Fold, Folded};
use crate::{Accuracy, Element, Layer, PadMode, Padding};

/// The options of both layers; for the examples, the name of one, and the length that 9 positions become with strides, or
/// a dilation, of 2.
macro_rules! line_options {
    ($layer:literal, strides: $strides:literal, dilation: $dilation:literal) => {
        /// How far the window moves from one position to the next. Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(8, 3).strides(2);")]
        #[doc = concat!("assert_eq!(conv.output_shape(&[1, 9, 3])?, [1, ", $strides, ", 8]);")]
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn strides(mut self, strides: usize) -> Self {
            self.0.inner.slide(|window| window.strides((1, strides)));
            self
        }

        /// The distance between neighbouring taps of a filter (Keras' `dilation_rate`). Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(8, 3).dilation(2);")]
        #[doc = concat!("assert_eq!(conv.output_shape(&[1, 9, 3])?, [1, ", $dilation, ", 8]);")]
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn dilation(mut self, dilation: usize) -> Self {
            self.0.inner.slide(|window| window.dilation((1, dilation)));
            self
        }

        /// Into how many groups the channels fall, as [`Conv2D::groups`](crate::Conv2D::groups). A layer that is built
        /// already must be built again.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(8, 3).groups(4);")]
        /// assert_eq!(conv.cost(&[1, 9, 4])?.params, 3 * 4 * 8 / 4 + 8);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn groups(mut self, groups: usize) -> Self {
            self.0.inner.slide(|window| window.groups(groups));
            self.clear();
            self
        }

        /// How exactly the layer computes: see [`Accuracy`].
        ///
        /// ```
        #[doc = concat!("use striate::{Accuracy, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(8, 3).accuracy(Accuracy::Strict);")]
        /// assert!(format!("{conv:?}").contains("accuracy: Strict"));
        /// ```
        #[must_use]
        pub fn accuracy(mut self, accuracy: Accuracy) -> Self {
            self.0.inner.slide(|window| window.accuracy(accuracy));
            self
        }

        finish_options!($layer, "1, 1", "[1, 1, 1]");

        fn finish_mut(&mut self) -> &mut Finish {
            &mut self.0.inner.finish
        }

        fn clear(&mut self) {
            self.0.inner.clear();
        }
    };
}

/// One-dimensional convolution: every filter slides over the sequence and gives a sequence of its own.
///
/// ```text
/// y[n, t, f] = activation(bias[f] + sum over i, c of x[n, t*s + i*d - before, c] * kernel[i, c, f])
/// ```
///
/// with strides `s` and dilation `d`. Keras' `Conv1D`, with its defaults and its numbers; PyTorch's `Conv1d` with channels
/// last. It is a [`Conv2D`](crate::Conv2D) over maps of one row.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, length, channels]` |
/// | output | `[batch, new length, filters]` |
/// | `kernel` | `[kw, channels / groups, filters]` |
/// | `bias` | `[filters]` |
///
/// # Errors
/// As [`Conv2D`](crate::Conv2D); padding in numbers must be of the two ends alone: [`Padding::ends`].
///
/// ```
/// use striate::{Conv1D, Initializer, Layer, Padding, Rng, Tensor};
/// // keras.layers.Conv1D(filters=1, kernel_size=2, padding="causal"): no output sees what comes later
/// let mut conv = Conv1D::new(1, 2).padding(Padding::Causal).kernel_initializer(Initializer::Ones);
/// conv.build(&[1, 4, 1], &mut Rng::seed(1))?;
/// let y = conv.forward(&Tensor::from(ndarray::array![[[1.0], [2.0], [3.0], [4.0]]]))?;
/// assert_eq!(y.as_slice(), [1.0, 3.0, 5.0, 7.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv1D<T: Element = f32>(Folded<Convolution<T>>);

impl<T: Element> Conv1D<T> {
    /// A layer of `filters` filters over `kernel_size` positions; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{Conv1D, Layer};
    /// let conv: Conv1D = Conv1D::new(8, 5).strides(2);
    /// assert_eq!(conv.output_shape(&[1, 100, 3])?, [1, 48, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: usize) -> Self {
        let inner = Convolution::new(("Conv1D", Axes::Row, "kernel"), filters, (1, kernel_size));
        Conv1D(Folded::new("Conv1D", Fold::Row, inner))
    }

    /// What lies before and behind the sequence: [`Padding::Valid`] (the default), [`Padding::Same`], [`Padding::Causal`]
    /// or [`Padding::ends`].
    ///
    /// ```
    /// use striate::{Conv1D, Layer, Padding};
    /// let conv: Conv1D = Conv1D::new(8, 3).padding(Padding::Causal);
    /// assert_eq!(conv.output_shape(&[1, 9, 3])?, [1, 9, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.0.inner.slide(|window| window.padding(padding));
        self
    }

    /// What stands in the padding. Default zeros. PyTorch's `padding_mode`.
    ///
    /// ```
    /// use striate::{Conv1D, Initializer, Layer, PadMode, Padding, Rng, Tensor};
    /// let conv = Conv1D::new(1, 3).padding(Padding::Same).padding_mode(PadMode::Circular);
    /// let mut conv = conv.kernel_initializer(Initializer::Ones);
    /// conv.build(&[1, 3, 1], &mut Rng::seed(1))?;
    /// let y = conv.forward(&Tensor::from(ndarray::array![[[1.0], [2.0], [4.0]]]))?;
    /// assert_eq!(y.as_slice(), [7.0, 7.0, 7.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding_mode(mut self, mode: PadMode) -> Self {
        self.0.inner.padding_mode = mode;
        self
    }

    line_options!("Conv1D", strides: "4", dilation: "5");
}

impl<T: Element> Layer<T> for Conv1D<T> {
    delegate_layer!("Conv1D", 0);
}

/// One-dimensional transposed convolution: every position of the sequence adds the kernel, times its value, to a longer
/// one.
///
/// Keras' `Conv1DTranspose`, with its defaults and its numbers; with [`Padding::ends`] PyTorch's `ConvTranspose1d`,
/// channels last. It is a [`Conv2DTranspose`](crate::Conv2DTranspose) over maps of one row.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, length, channels]` |
/// | output | `[batch, new length, filters]` |
/// | `kernel` | `[kw, filters / groups, channels]` |
/// | `bias` | `[filters]` |
///
/// # Errors
/// As [`Conv2DTranspose`](crate::Conv2DTranspose); padding in numbers must be of the two ends alone: [`Padding::ends`].
///
/// ```
/// use striate::{Conv1DTranspose, Initializer, Layer, Rng, Tensor};
/// let mut conv = Conv1DTranspose::new(1, 3).strides(2).kernel_initializer(Initializer::Ones);
/// conv.build(&[1, 2, 1], &mut Rng::seed(1))?;
/// let y = conv.forward(&Tensor::from(ndarray::array![[[1.0], [10.0]]]))?;
/// assert_eq!(y.as_slice(), [1.0, 1.0, 11.0, 10.0, 10.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv1DTranspose<T: Element = f32>(Folded<Transposed<T>>);

impl<T: Element> Conv1DTranspose<T> {
    /// A layer of `filters` filters over `kernel_size` positions; the other options as Keras' defaults.
    ///
    /// ```
    /// use striate::{Conv1DTranspose, Layer};
    /// let conv: Conv1DTranspose = Conv1DTranspose::new(8, 4).strides(2);
    /// assert_eq!(conv.output_shape(&[1, 50, 3])?, [1, 102, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(filters: usize, kernel_size: usize) -> Self {
        let inner = Transposed::new(("Conv1DTranspose", Axes::Row), filters, (1, kernel_size));
        Conv1DTranspose(Folded::new("Conv1DTranspose", Fold::Row, inner))
    }

    /// How many positions at the ends of the output are left away: [`Padding::Valid`] (the default), [`Padding::Same`] or
    /// [`Padding::ends`].
    ///
    /// ```
    /// use striate::{Conv1DTranspose, Layer, Padding};
    /// let conv: Conv1DTranspose = Conv1DTranspose::new(8, 3).padding(Padding::ends(1, 0));
    /// assert_eq!(conv.output_shape(&[1, 9, 3])?, [1, 9 + 2 - 1, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.0.inner.slide(|window| window.padding(padding));
        self
    }

    /// Positions at the end that the output has beyond what it would have otherwise. By default as many as Keras adds.
    ///
    /// ```
    /// use striate::{Conv1DTranspose, Layer};
    /// let conv: Conv1DTranspose = Conv1DTranspose::new(8, 3).strides(2).output_padding(1);
    /// assert_eq!(conv.output_shape(&[1, 9, 3])?, [1, 19 + 1, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn output_padding(mut self, output_padding: usize) -> Self {
        self.0.inner.output_padding = Some([0, output_padding]);
        self
    }

    line_options!("Conv1DTranspose", strides: "19", dilation: "13");
}

impl<T: Element> Layer<T> for Conv1DTranspose<T> {
    delegate_layer!("Conv1DTranspose", 0);
}
