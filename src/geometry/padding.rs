//! [`Padding`]: what lies around the input.

/// What lies around the input: nothing, as much as keeps the size, or so many rows and columns.
///
/// ```
/// use striate::{Padding, Window2d};
/// let output = |padding| Window2d::new(3).padding(padding).output_size([8, 8]);
/// assert_eq!(output(Padding::Valid)?, [6, 6]);
/// assert_eq!(output(Padding::Same)?, [8, 8]);
/// assert_eq!(output(Padding::all(2))?, [10, 10]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No padding: windows lie inside the input. Keras' `"valid"`.
    #[default]
    Valid,
    /// As much padding as makes `output = ceil(input / stride)`; where the total is odd, the larger half lies at
    /// the bottom and at the right. Keras' and TensorFlow's `"same"`, ONNX' `SAME_UPPER`.
    Same,
    /// As much padding as [`Valid`](Self::Valid) lacks for a stride of 1, all of it above and at the left, so that no
    /// output sees what comes after it. Keras' `"causal"` for one-dimensional convolution.
    Causal,
    /// So many rows and columns, as in PyTorch and ONNX.
    Explicit {
        /// Rows above the input.
        top: usize,
        /// Rows below the input.
        bottom: usize,
        /// Columns left of the input.
        left: usize,
        /// Columns right of the input.
        right: usize,
    },
}

impl Padding {
    /// The same number of rows and columns on all four sides, as PyTorch's `padding=n`.
    ///
    /// ```
    /// use striate::Padding;
    /// assert_eq!(Padding::all(1), Padding::Explicit { top: 1, bottom: 1, left: 1, right: 1 });
    /// ```
    pub fn all(n: usize) -> Self {
        Self::symmetric(n, n)
    }

    /// `vertical` rows above and below, `horizontal` columns left and right, as PyTorch's `padding=(v, h)`.
    ///
    /// ```
    /// use striate::Padding;
    /// assert_eq!(Padding::symmetric(2, 0), Padding::Explicit { top: 2, bottom: 2, left: 0, right: 0 });
    /// ```
    pub fn symmetric(vertical: usize, horizontal: usize) -> Self {
        Padding::Explicit { top: vertical, bottom: vertical, left: horizontal, right: horizontal }
    }

    /// So many positions before a sequence and behind it, for layers of one dimension.
    ///
    /// ```
    /// use striate::{Conv1D, Layer, Padding};
    /// let conv: Conv1D = Conv1D::new(8, 3).padding(Padding::ends(1, 1)); // PyTorch's padding=1
    /// assert_eq!(conv.output_shape(&[1, 100, 4])?, [1, 100, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn ends(before: usize, after: usize) -> Self {
        Padding::Explicit { top: 0, bottom: 0, left: before, right: after }
    }

    pub(super) fn along(self, axis: usize) -> AxisPadding {
        match self {
            Padding::Valid => AxisPadding::Explicit(0, 0),
            Padding::Same => AxisPadding::Same,
            Padding::Causal => AxisPadding::Causal,
            Padding::Explicit { top, bottom, .. } if axis == 0 => AxisPadding::Explicit(top, bottom),
            Padding::Explicit { left, right, .. } => AxisPadding::Explicit(left, right),
        }
    }
}

/// [`Padding`] along one axis.
#[derive(Clone, Copy)]
pub(super) enum AxisPadding {
    Same,
    Causal,
    Explicit(usize, usize),
}

/// What stands in the padding around feature maps. PyTorch's `padding_mode`; NumPy's names in brackets.
///
/// ```
/// use ndarray::array;
/// use striate::{Layer, Pad2D, PadMode, Padding, Tensor};
/// let x = Tensor::from(array![[[[1.0], [2.0], [3.0]]]]);
/// let row = |mode| Pad2D::new(Padding::symmetric(0, 2)).mode(mode).forward(&x).map(Tensor::into_vec);
/// assert_eq!(row(PadMode::Zeros)?, [0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
/// assert_eq!(row(PadMode::Reflect)?, [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
/// assert_eq!(row(PadMode::Replicate)?, [1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
/// assert_eq!(row(PadMode::Circular)?, [2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PadMode {
    /// Zeros.
    #[default]
    Zeros,
    /// One number everywhere.
    Constant(f64),
    /// The maps mirrored at their outermost positions, which are not repeated (`reflect`).
    Reflect,
    /// The nearest position of the maps (`edge`).
    Replicate,
    /// The maps once more, as on a torus (`wrap`).
    Circular,
}

impl PadMode {
    /// The number in the padding, where it is one.
    pub(crate) fn constant(self) -> Option<f64> {
        match self {
            PadMode::Zeros => Some(0.0),
            PadMode::Constant(value) => Some(value),
            PadMode::Reflect | PadMode::Replicate | PadMode::Circular => None,
        }
    }
}
