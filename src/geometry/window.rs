//! [`Window2d`]: how a window slides, before it is known over what.

use super::axis::{Fault, extent};
use super::{Geometry2d, Padding, WindowAxis, maps};
use crate::{Accuracy, Error, Result};

/// A size per spatial axis, `[height, width]`; made from one number for both, or from a pair.
///
/// ```
/// use striate::Size2d;
/// assert_eq!(Size2d::from(3), Size2d([3, 3]));
/// assert_eq!(Size2d::from((3, 5)), Size2d::from([3, 5]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size2d(pub [usize; 2]);

impl From<usize> for Size2d {
    fn from(both: usize) -> Self {
        Size2d([both, both])
    }
}

impl From<(usize, usize)> for Size2d {
    fn from((height, width): (usize, usize)) -> Self {
        Size2d([height, width])
    }
}

impl From<[usize; 2]> for Size2d {
    fn from(sizes: [usize; 2]) -> Self {
        Size2d(sizes)
    }
}

/// The most taps of a convolution along an axis: kernels make a table of them.
const MOST_TAPS: usize = 1 << 24;

/// How a two-dimensional window slides over feature maps: the description that convolution and pooling share.
///
/// Any value can be described; [`output_size`](Self::output_size), [`conv`](Self::conv) and [`pool`](Self::pool)
/// check it against the sizes it meets.
///
/// ```
/// use striate::{Padding, Window2d};
/// let window = Window2d::new((3, 5)).strides(2).padding(Padding::Same);
/// assert_eq!(window.output_size([224, 224])?, [112, 112]);
///
/// // ResNet's first convolution: 7x7, stride 2, three rows and columns of zeros around the picture.
/// let window = Window2d::new(7).strides(2).padding(Padding::all(3));
/// assert_eq!(window.conv(&[1, 224, 224, 3], &[7, 7, 3, 64])?.output_shape(), [1, 112, 112, 64]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window2d {
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilation: [usize; 2],
    pub(super) padding: Padding,
    pub(super) ceil_mode: bool,
    pub(super) groups: usize,
    pub(super) accuracy: Accuracy,
}

impl Window2d {
    /// A window of `kernel` positions, moving by one, without dilation, padding or groups.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(3).output_size([5, 7])?, [3, 5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(kernel: impl Into<Size2d>) -> Self {
        let kernel = kernel.into().0;
        let padding = Padding::Valid;
        let accuracy = Accuracy::default();
        Window2d { kernel, strides: [1, 1], dilation: [1, 1], padding, ceil_mode: false, groups: 1, accuracy }
    }

    /// How far the window moves between two outputs. Default 1.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(3).strides(2).output_size([5, 7])?, [2, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Size2d>) -> Self {
        self.strides = strides.into().0;
        self
    }

    /// The distance between neighbouring taps of the window (1: they touch). Default 1.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(3).dilation(2).output_size([5, 7])?, [1, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Size2d>) -> Self {
        self.dilation = dilation.into().0;
        self
    }

    /// What lies around the input. Default [`Padding::Valid`].
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// assert_eq!(Window2d::new(3).padding(Padding::Same).output_size([5, 7])?, [5, 7]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Whether a last window that reaches beyond the padded input counts (PyTorch's and ONNX' `ceil_mode`).
    /// A window that would start beyond the input and its leading padding never does. Default `false`.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(2).strides(2).ceil_mode(true).output_size([5, 7])?, [3, 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
        self.ceil_mode = ceil_mode;
        self
    }

    /// Into how many groups a convolution splits its channels; each group of outputs sees only its own group of
    /// inputs. Pooling has none. Default 1.
    ///
    /// ```
    /// let depthwise = striate::Window2d::new(3).groups(8);
    /// assert_eq!(depthwise.conv(&[1, 5, 5, 8], &[3, 3, 1, 8])?.output_shape(), [1, 3, 3, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// How exactly a convolution over this window is computed: see [`Accuracy`]. Pooling is always exact.
    ///
    /// ```
    /// use striate::{Accuracy, Window2d};
    /// let geometry = Window2d::new(3).accuracy(Accuracy::Strict).conv(&[1, 9, 9, 3], &[3, 3, 3, 8])?;
    /// assert_eq!(geometry.accuracy(), Accuracy::Strict);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn accuracy(mut self, accuracy: Accuracy) -> Self {
        self.accuracy = accuracy;
        self
    }

    /// `[height, width]` of the window's taps.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new((3, 5)).kernel_size(), [3, 5]);
    /// ```
    pub fn kernel_size(&self) -> [usize; 2] {
        self.kernel
    }

    /// `[height, width]` that the window moves by.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(3).strides((1, 2)).stride_sizes(), [1, 2]);
    /// ```
    pub fn stride_sizes(&self) -> [usize; 2] {
        self.strides
    }

    /// The number of groups.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(3).groups(4).group_count(), 4);
    /// ```
    pub fn group_count(&self) -> usize {
        self.groups
    }

    /// `[height, width]` that the window reaches over with its dilation: `(kernel - 1) * dilation + 1`, or
    /// `usize::MAX` where that overflows.
    ///
    /// ```
    /// assert_eq!(striate::Window2d::new(3).dilation(2).extent(), [5, 5]);
    /// ```
    pub fn extent(&self) -> [usize; 2] {
        [0, 1].map(|axis| extent(self.kernel[axis], self.dilation[axis]).unwrap_or(usize::MAX))
    }

    /// `[height, width]` of the output for an input of `[height, width]`.
    ///
    /// # Errors
    /// As [`pool`](Self::pool) for the sizes.
    ///
    /// ```
    /// use striate::Window2d;
    /// assert_eq!(Window2d::new(3).output_size([28, 28])?, [26, 26]);
    /// let error = Window2d::new(3).output_size([28, 2]).unwrap_err();
    /// assert_eq!(error.to_string(), "window: expected a padded width of at least 3 (the window's), got 2");
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn output_size(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        Ok(self.axes("window", input)?.map(|axis| axis.output))
    }

    /// The geometry of a convolution of an input `[batch, height, width, channels]` with a kernel
    /// `[kh, kw, channels / groups, filters]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if a shape has another rank, the kernel another size than the
    /// window, a size is zero, the channels do not match, or the window is larger than the padded input;
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a stride, dilation or number of groups is zero, or the
    /// groups do not divide the filters; [`ErrorKind::Size`](crate::ErrorKind::Size) if a size overflows.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let geometry = Window2d::new(5).padding(Padding::Same).conv(&[1, 100, 150, 3], &[5, 5, 3, 200])?;
    /// assert_eq!(geometry.output_shape(), [1, 100, 150, 200]);
    /// assert_eq!(geometry.multiplications(), 225_000_000);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn conv(&self, input: &[usize], kernel: &[usize]) -> Result<Geometry2d> {
        const OP: &str = "conv2d";
        let [batch, height, width, in_channels] = maps(OP, input)?;
        let [kh, kw, group_in, out_channels] = <[usize; 4]>::try_from(kernel).map_err(|_| {
            Error::shape(OP, "a kernel of [height, width, channels / groups, filters]", kernel)
        })?;
        self.check_kernel(OP, [kh, kw], kernel)?;
        let wanted = group_in.saturating_mul(self.groups);
        if self.groups > 0 && wanted != in_channels {
            // Somebody's picture has more often the wrong number of channels, or in the wrong place, than a kernel.
            let expected = format!(
                "an input [batch, height, width, channels] of {wanted} channels, for the kernel {kernel:?}{}",
                if self.groups == 1 { String::new() } else { format!(" and {} groups", self.groups) }
            );
            return Err(Error::shape(OP, expected, input));
        }
        self.check_groups(OP, in_channels, out_channels)?;
        let [rows, cols] = self.axes(OP, [height, width])?;
        let (groups, accuracy) = (self.groups, self.accuracy);
        Geometry2d { batch, rows, cols, in_channels, out_channels, groups, accuracy }.checked(OP)
    }

    /// The geometry of pooling an input `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// As [`conv`](Self::conv); also [`ErrorKind::Shape`](crate::ErrorKind::Shape) if a window would see nothing but
    /// padding, and [`ErrorKind::Argument`](crate::ErrorKind::Argument) if groups are set.
    ///
    /// ```
    /// use striate::Window2d;
    /// assert_eq!(Window2d::new(2).strides(2).pool(&[1, 28, 28, 8])?.output_shape(), [1, 14, 14, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn pool(&self, input: &[usize]) -> Result<Geometry2d> {
        const OP: &str = "pool2d";
        let [batch, height, width, channels] = maps(OP, input)?;
        if self.groups != 1 {
            return Err(Error::argument(OP, "no groups (pooling treats every channel alone)", self.groups));
        }
        let [rows, cols] = self.axes(OP, [height, width])?;
        let (in_channels, out_channels, groups) = (channels, channels, channels);
        let accuracy = self.accuracy;
        let geometry = Geometry2d { batch, rows, cols, in_channels, out_channels, groups, accuracy };
        geometry.check_pool(OP)?;
        geometry.checked(OP)
    }

    /// Checks that a kernel of this shape, and of this height and width, is one for this window.
    pub(super) fn check_kernel(
        &self,
        operation: &'static str,
        size: [usize; 2],
        kernel: &[usize],
    ) -> Result<()> {
        if size != self.kernel {
            let [kh, kw] = self.kernel;
            return Err(Error::shape(operation, format_args!("a kernel of {kh}x{kw}"), kernel));
        }
        match size[0].max(size[1]) {
            taps if taps > MOST_TAPS => {
                Err(Error::size(operation, format_args!("at most {MOST_TAPS} taps along an axis"), taps))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the groups divide both numbers of channels.
    pub(crate) fn check_groups(&self, operation: &'static str, inputs: usize, outputs: usize) -> Result<()> {
        if outputs == 0 {
            return Err(Error::argument(operation, "1 filter or more", 0));
        }
        if self.groups == 0 || !inputs.is_multiple_of(self.groups) || !outputs.is_multiple_of(self.groups) {
            let expected = format!("groups that divide {inputs} channels and {outputs} filters");
            return Err(Error::argument(operation, expected, self.groups));
        }
        Ok(())
    }

    /// Both axes over maps of this size.
    pub(crate) fn axes(&self, operation: &'static str, input: [usize; 2]) -> Result<[WindowAxis; 2]> {
        let along = |axis| {
            self.axis(axis, input[axis]).map_err(|fault| fault.on(operation, ["height", "width"][axis]))
        };
        Ok([along(0)?, along(1)?])
    }

    /// One axis, 0 or 1, over so many positions.
    pub(super) fn axis(&self, axis: usize, input: usize) -> std::result::Result<WindowAxis, Fault> {
        let sizes = (input, self.kernel[axis], self.strides[axis], self.dilation[axis]);
        WindowAxis::new(sizes, self.padding.along(axis), self.ceil_mode)
    }
}
