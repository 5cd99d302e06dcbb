//! All arithmetic on sizes: kernels, strides, dilations, padding, and the output sizes they lead to.
//!
//! [`Window2d`] describes how a window slides; applied to the shapes of real arrays it becomes a [`Geometry2d`],
//! the one checked value that the forward pass and both gradients of convolution and pooling work from. Along
//! each axis, output position `o` sees the input positions
//!
//! ```text
//! o * stride + tap * dilation - pad_before        for tap in 0..kernel
//! ```
//!
//! ```text
//!              pad_before = 1                pad_after = 1
//!                       |                       |
//! padded input          0  a  b  c  d  e  f  g  0        input = 7, kernel = 3, stride = 2
//! output 0              [------]
//! output 1                    [------]
//! output 2                          [------]
//! output 3                                [------]       output = floor((7 + 1 + 1 - 3) / 2) + 1 = 4
//! ```

use std::ops::Range;

use crate::tensor::len_of;
use crate::{Error, ErrorKind, Result};

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

    fn along(self, axis: usize) -> AxisPadding {
        match self {
            Padding::Valid => AxisPadding::Explicit(0, 0),
            Padding::Same => AxisPadding::Same,
            Padding::Explicit { top, bottom, .. } if axis == 0 => AxisPadding::Explicit(top, bottom),
            Padding::Explicit { left, right, .. } => AxisPadding::Explicit(left, right),
        }
    }
}

/// [`Padding`] along one axis.
#[derive(Clone, Copy)]
enum AxisPadding {
    Same,
    Explicit(usize, usize),
}

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
    kernel: [usize; 2],
    strides: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
    ceil_mode: bool,
    groups: usize,
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
        Window2d { kernel, strides: [1, 1], dilation: [1, 1], padding, ceil_mode: false, groups: 1 }
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
    /// [`ErrorKind::Shape`] if a shape has another rank, the kernel another size than the window, a size is zero,
    /// the channels do not match, or the window is larger than the padded input; [`ErrorKind::Argument`] if a
    /// stride, dilation or number of groups is zero, or the groups do not divide the channels and filters;
    /// [`ErrorKind::Size`] if a size overflows.
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
        if [kh, kw] != self.kernel {
            let [kh, kw] = self.kernel;
            return Err(Error::shape(OP, format_args!("a kernel of {kh}x{kw}"), kernel));
        }
        self.check_groups(OP, in_channels, out_channels)?;
        if group_in != in_channels / self.groups {
            let expected = format!(
                "a kernel for {} channels a group ({in_channels} in {} groups)",
                in_channels / self.groups,
                self.groups
            );
            return Err(Error::shape(OP, expected, kernel));
        }
        let [rows, cols] = self.axes(OP, [height, width])?;
        Geometry2d { batch, rows, cols, in_channels, out_channels, groups: self.groups }.checked(OP)
    }

    /// The geometry of pooling an input `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// As [`conv`](Self::conv); also [`ErrorKind::Shape`] if a window would see nothing but padding, and
    /// [`ErrorKind::Argument`] if groups are set.
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
        let geometry =
            Geometry2d { batch, rows, cols, in_channels: channels, out_channels: channels, groups: channels };
        geometry.check_pool(OP)?;
        geometry.checked(OP)
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

    fn axes(&self, operation: &'static str, input: [usize; 2]) -> Result<[Axis; 2]> {
        let along = |axis| {
            let padding = self.padding.along(axis);
            let sizes = (input[axis], self.kernel[axis], self.strides[axis], self.dilation[axis]);
            Axis::new(sizes, padding, self.ceil_mode)
                .map_err(|fault| fault.on(operation, ["height", "width"][axis]))
        };
        Ok([along(0)?, along(1)?])
    }
}

/// `[batch, height, width, channels]` of feature maps; the batch alone may be empty.
pub(crate) fn maps(operation: &'static str, shape: &[usize]) -> Result<[usize; 4]> {
    match <[usize; 4]>::try_from(shape) {
        Ok(maps) if !maps[1..].contains(&0) => Ok(maps),
        _ => Err(Error::shape(operation, "an input of [batch, height, width, channels], none empty", shape)),
    }
}

fn extent(kernel: usize, dilation: usize) -> Option<usize> {
    kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// What is wrong along an axis, before it is known which axis of which operation.
enum Fault {
    Zero(&'static str),
    Window { extent: usize, padded: usize },
    Overflow(usize),
}

impl Fault {
    fn on(self, operation: &'static str, axis: &str) -> Error {
        match self {
            Fault::Zero("input") => {
                Error::new(ErrorKind::Shape, operation, format_args!("an input {axis} of 1 or more"), 0)
            }
            Fault::Zero(what) => Error::argument(operation, format_args!("a {what} {axis} of 1 or more"), 0),
            Fault::Window { extent, padded } => {
                let expected = format!("a padded {axis} of at least {extent} (the window's)");
                Error::new(ErrorKind::Shape, operation, expected, padded)
            }
            Fault::Overflow(input) => {
                let got = format!("an overflow for the input's {axis} {input}");
                Error::size(operation, format_args!("kernel, dilation and padding that fit in memory"), got)
            }
        }
    }
}

/// One axis of a [`Geometry2d`]: how a window slides along it.
///
/// ```
/// use striate::{Padding, Window2d};
/// let geometry = Window2d::new(3).strides(2).padding(Padding::all(1)).pool(&[1, 7, 7, 1])?;
/// let rows = geometry.rows();
/// assert_eq!((rows.input(), rows.output(), rows.padding()), (7, 4, (1, 1)));
/// assert_eq!(rows.taps(0), 1..3);          // the first window's first tap lies in the padding
/// assert_eq!(rows.source(1, 0), Some(1));  // the second window starts at input row 1
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad_before: usize,
    pub(crate) pad_after: usize,
    pub(crate) output: usize,
}

impl Axis {
    fn new(
        (input, kernel, stride, dilation): (usize, usize, usize, usize),
        padding: AxisPadding,
        ceil_mode: bool,
    ) -> std::result::Result<Self, Fault> {
        for (what, size) in [("input", input), ("kernel", kernel), ("stride", stride), ("dilation", dilation)]
        {
            if size == 0 {
                return Err(Fault::Zero(what));
            }
        }
        let overflow = || Fault::Overflow(input);
        let extent = extent(kernel, dilation).ok_or_else(overflow)?;
        let (pad_before, pad_after) = match padding {
            AxisPadding::Explicit(before, after) => (before, after),
            AxisPadding::Same => {
                let last_start = (input.div_ceil(stride) - 1) * stride;
                let total = last_start.checked_add(extent).ok_or_else(overflow)?.saturating_sub(input);
                (total / 2, total - total / 2)
            }
        };
        let padded = (input.checked_add(pad_before))
            .and_then(|sum| sum.checked_add(pad_after))
            // Positions are computed in `isize`, and the last window may reach one stride further.
            .filter(|&sum| sum.checked_add(stride).is_some_and(|reach| reach <= isize::MAX as usize))
            .ok_or_else(overflow)?;
        let slack = padded.checked_sub(extent).ok_or(Fault::Window { extent, padded })?;
        let last = if ceil_mode { slack.div_ceil(stride) } else { slack / stride };
        let output = if ceil_mode && last * stride >= input + pad_before { last } else { last + 1 };
        Ok(Axis { input, kernel, stride, dilation, pad_before, pad_after, output })
    }

    /// The input's length.
    pub fn input(&self) -> usize {
        self.input
    }

    /// The output's length.
    pub fn output(&self) -> usize {
        self.output
    }

    /// The number of taps of the window.
    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// How far the window moves between two outputs.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The distance between two taps.
    pub fn dilation(&self) -> usize {
        self.dilation
    }

    /// The resolved padding: positions before and after the input.
    pub fn padding(&self) -> (usize, usize) {
        (self.pad_before, self.pad_after)
    }

    /// The taps of output `o`'s window that lie inside the input.
    pub fn taps(&self, o: usize) -> Range<usize> {
        let (start, end) = self.taps_between(o, self.pad_before, self.pad_before + self.input);
        start..end.max(start)
    }

    /// The number of taps of output `o`'s window that lie inside the input and its padding.
    pub fn padded_taps(&self, o: usize) -> usize {
        let (start, end) = self.taps_between(o, 0, self.pad_before + self.input + self.pad_after);
        end.saturating_sub(start)
    }

    /// The first tap of window `o` at `low` or beyond, and the first at `high` or beyond, in padded positions.
    fn taps_between(&self, o: usize, low: usize, high: usize) -> (usize, usize) {
        let start = o.saturating_mul(self.stride);
        let first_at = |bound: usize| bound.saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        (first_at(low), first_at(high))
    }

    /// The input position that `tap` of output `o`'s window sees; `None` in the padding.
    pub fn source(&self, o: usize, tap: usize) -> Option<usize> {
        let padded = o.checked_mul(self.stride)?.checked_add(tap.checked_mul(self.dilation)?)?;
        let position = padded.checked_sub(self.pad_before)?;
        (position < self.input).then_some(position)
    }

    /// The same where `tap` is known to be one of [`taps`](Self::taps).
    pub(crate) fn read(&self, o: usize, tap: usize) -> usize {
        o * self.stride + tap * self.dilation - self.pad_before
    }

    /// The windows that see input position `i`, as pairs of output and tap, the earliest tap first.
    pub fn windows_over(&self, i: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Axis { kernel, stride, dilation, pad_before, output, .. } = *self;
        let at = i.saturating_add(pad_before);
        let earliest = at.saturating_sub((kernel - 1) * dilation).div_ceil(stride);
        let latest = (at / stride).min(output - 1);
        (earliest..=latest).rev().filter_map(move |o| {
            let distance = at - o * stride;
            distance.is_multiple_of(dilation).then_some((o, distance / dilation))
        })
    }

    /// What each output position reads of the input: the forward direction.
    pub(crate) fn sampling(&self) -> Sampling {
        let offset = |tap| (tap * self.dilation) as isize - self.pad_before as isize;
        Sampling {
            positions: self.output,
            step: self.stride,
            taps: (0..self.kernel).map(|tap| Tap { index: tap, offset: offset(tap) }).collect(),
            source: self.input,
        }
    }

    /// What the input positions `phase, phase + stride, ...` read of the *output* on the way back: every window
    /// that covers them. With the taps that fall between outputs left out, each phase has a step of one.
    pub(crate) fn backward_sampling(&self, phase: usize) -> Sampling {
        let start = phase + self.pad_before;
        let stride = self.stride as isize;
        let offset = |tap| start as isize - (tap * self.dilation) as isize;
        // The last tap first: it belongs to the earliest output.
        let taps = (0..self.kernel).rev().filter(|&tap| offset(tap) % stride == 0);
        Sampling {
            positions: self.input.saturating_sub(phase).div_ceil(self.stride),
            step: 1,
            taps: taps.map(|tap| Tap { index: tap, offset: offset(tap) / stride }).collect(),
            source: self.output,
        }
    }

    /// Fails if some window contains no input position at all: it would have no maximum and no average.
    fn check_windows_meet_input(&self, operation: &'static str) -> Result<()> {
        // Only a dilation beyond the input can step over it, so beyond these sizes no real network is refused.
        const EXAMINED: usize = 1 << 16;
        let reach = (self.kernel - 1) * self.dilation + 1;
        let inside =
            self.pad_before < reach && (self.output - 1) * self.stride < self.pad_before + self.input;
        let steps_over = self.kernel > 1 && self.dilation > self.input;
        let empty = |o| self.taps(o).is_empty();
        if !inside || steps_over && (self.output > EXAMINED || (0..self.output).any(empty)) {
            let expected = "windows that each see a position of the input";
            let got = format!(
                "padding of {} and {} around {} with a window over {reach}",
                self.pad_before, self.pad_after, self.input
            );
            return Err(Error::new(ErrorKind::Shape, operation, expected, got));
        }
        Ok(())
    }
}

/// Where along one axis each position of a result reads a source: at `position * step + offset`, for every tap,
/// in the order of growing offsets. Forward convolution and both gradients are the same loop over one of these.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    pub(crate) positions: usize,
    pub(crate) step: usize,
    pub(crate) taps: Vec<Tap>,
    pub(crate) source: usize,
}

/// One tap of a [`Sampling`]: which row or column of the kernel, and how far from the position's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) index: usize,
    offset: isize,
}

impl Sampling {
    /// The taps that read inside the source at `position`, as places in `taps`.
    pub(crate) fn inside(&self, position: usize) -> Range<usize> {
        let base = (position * self.step) as isize;
        let first_at = |bound: isize| self.taps.partition_point(|tap| base + tap.offset < bound);
        first_at(0)..first_at(self.source as isize)
    }

    /// What the tap at `place`, one of [`inside`](Self::inside), reads at `position`.
    pub(crate) fn read(&self, position: usize, place: usize) -> usize {
        ((position * self.step) as isize + self.taps[place].offset) as usize
    }

    /// Whether neighbouring taps read neighbouring positions.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.taps.windows(2).all(|pair| pair[1].offset == pair[0].offset + 1)
    }

    /// Whether every position reads just its own.
    pub(crate) fn is_identity(&self) -> bool {
        self.step == 1 && self.positions == self.source && matches!(self.taps[..], [Tap { offset: 0, .. }])
    }
}

/// A [`Window2d`] applied to arrays of known shapes: every size that convolution or pooling needs, checked once.
///
/// The forward pass, the input gradient and the kernel gradient all work from the same value.
///
/// ```
/// use striate::Window2d;
/// let geometry = Window2d::new(3).strides(2).conv(&[8, 9, 9, 4], &[3, 3, 4, 16])?;
/// assert_eq!(geometry.input_shape(), [8, 9, 9, 4]);
/// assert_eq!(geometry.kernel_shape(), [3, 3, 4, 16]);
/// assert_eq!(geometry.output_shape(), [8, 4, 4, 16]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Geometry2d {
    pub(crate) batch: usize,
    pub(crate) rows: Axis,
    pub(crate) cols: Axis,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) groups: usize,
}

impl Geometry2d {
    /// Makes sure that every array and count of this geometry can be addressed.
    fn checked(self, operation: &'static str) -> Result<Self> {
        len_of(operation, &self.input_shape())?;
        len_of(operation, &self.kernel_shape())?;
        let outputs = len_of(operation, &self.output_shape())?;
        let [kh, kw, group_in, _] = self.kernel_shape();
        if outputs.checked_mul(kh * kw * group_in).is_none() {
            return Err(Error::size(
                operation,
                "a countable number of multiplications",
                format_args!("{self:?}"),
            ));
        }
        Ok(self)
    }

    /// Fails unless pooling can follow this geometry: every channel alone, and in every window some of the input.
    /// That of a convolution need not be such.
    pub(crate) fn check_pool(&self, operation: &'static str) -> Result<()> {
        if self.groups != self.in_channels || self.groups != self.out_channels {
            return Err(Error::shape(operation, "the geometry of a pooling", &self.kernel_shape()));
        }
        self.rows.check_windows_meet_input(operation)?;
        self.cols.check_windows_meet_input(operation)
    }

    /// The vertical axis.
    pub fn rows(&self) -> Axis {
        self.rows
    }

    /// The horizontal axis.
    pub fn cols(&self) -> Axis {
        self.cols
    }

    /// `[batch, height, width, channels]` of the input.
    pub fn input_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.input, self.cols.input, self.in_channels]
    }

    /// `[batch, height, width, channels]` of the output.
    pub fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.output, self.cols.output, self.out_channels]
    }

    /// `[height, width, channels / groups, filters]` of the kernel.
    pub fn kernel_shape(&self) -> [usize; 4] {
        [self.rows.kernel, self.cols.kernel, self.in_channels / self.groups, self.out_channels]
    }

    /// The number of groups; for pooling, the number of channels.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The multiplications of the forward convolution: `outputs * kh * kw * channels / groups`, those with the
    /// padding's zeros included.
    pub fn multiplications(&self) -> u64 {
        let [kh, kw, group_in, _] = self.kernel_shape();
        (self.output_shape().iter().product::<usize>() * kh * kw * group_in) as u64
    }
}
