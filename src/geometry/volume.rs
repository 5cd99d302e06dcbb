//! [`Window3d`]: how a window slides over volumes, as one window over rows and columns and another over planes.

use super::{Geometry2d, Padding, Size2d, Window2d, WindowAxis};
use crate::memory::len_of;
use crate::{Accuracy, Error, Result};

/// `[batch, depth, height, width, channels]` of volumes; the batch alone may be empty.
pub(crate) fn volumes(operation: &'static str, shape: &[usize]) -> Result<[usize; 5]> {
    match <[usize; 5]>::try_from(shape) {
        Ok(volumes) if !volumes[1..].contains(&0) => Ok(volumes),
        _ => Err(Error::shape(
            operation,
            "an input of [batch, depth, height, width, channels], none empty",
            shape,
        )),
    }
}

/// A size per axis of a volume, `[depth, height, width]`; made from one number for all, or from three.
///
/// ```
/// use striate::Size3d;
/// assert_eq!(Size3d::from(3), Size3d([3, 3, 3]));
/// assert_eq!(Size3d::from((1, 3, 5)), Size3d::from([1, 3, 5]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size3d(pub [usize; 3]);

impl From<usize> for Size3d {
    fn from(all: usize) -> Self {
        Size3d([all; 3])
    }
}

impl From<(usize, usize, usize)> for Size3d {
    fn from((depth, height, width): (usize, usize, usize)) -> Self {
        Size3d([depth, height, width])
    }
}

impl From<[usize; 3]> for Size3d {
    fn from(sizes: [usize; 3]) -> Self {
        Size3d(sizes)
    }
}

impl Size3d {
    /// The part along depth, as a size of a window that is one column wide, and that along height and width.
    fn split(self) -> (Size2d, Size2d) {
        let Size3d([depth, height, width]) = self;
        (Size2d([depth, 1]), Size2d([height, width]))
    }
}

/// What lies around volumes: made from [`Padding::Valid`] or [`Padding::Same`], which then hold for all three axes, or
/// from numbers of planes, rows and columns.
///
/// ```
/// use striate::{Padding, Padding3d, Window3d};
/// let output = |padding: Padding3d| Window3d::new(3).padding(padding).output_size([8, 8, 8]);
/// assert_eq!(output(Padding::Valid.into())?, [6, 6, 6]);
/// assert_eq!(output(Padding::Same.into())?, [8, 8, 8]);
/// assert_eq!(output(Padding3d::all(2))?, [10, 10, 10]);
/// assert_eq!(output(Padding3d::explicit((0, 1), (1, 1), (2, 0)))?, [7, 8, 8]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Padding3d {
    depth: Padding,
    planes: Padding,
}

impl Padding3d {
    /// The same number of planes, rows and columns on all six sides, as PyTorch's `padding=n`.
    ///
    /// ```
    /// use striate::Padding3d;
    /// assert_eq!(Padding3d::all(1), Padding3d::explicit((1, 1), (1, 1), (1, 1)));
    /// ```
    pub fn all(n: usize) -> Self {
        Self::explicit((n, n), (n, n), (n, n))
    }

    /// So many planes in front and behind, rows above and below, columns left and right.
    ///
    /// ```
    /// use striate::{Padding, Padding3d};
    /// assert_eq!(Padding3d::explicit((0, 0), (1, 1), (1, 1)), Padding::all(1).into());
    /// ```
    pub fn explicit(depth: (usize, usize), height: (usize, usize), width: (usize, usize)) -> Self {
        Padding3d {
            depth: Padding::Explicit { top: depth.0, bottom: depth.1, left: 0, right: 0 },
            planes: Padding::Explicit { top: height.0, bottom: height.1, left: width.0, right: width.1 },
        }
    }
}

impl From<Padding> for Padding3d {
    /// The same kind of padding along all three axes; rows and columns in numbers are those of every plane.
    fn from(padding: Padding) -> Self {
        match padding {
            Padding::Explicit { top, bottom, left, right } => {
                Self::explicit((0, 0), (top, bottom), (left, right))
            }
            Padding::Valid | Padding::Same | Padding::Causal => Padding3d { depth: padding, planes: padding },
        }
    }
}

/// How a three-dimensional window slides over volumes: the description that [`ops::conv3d`](crate::ops::conv3d) and
/// pooling share, as [`Window2d`] for feature maps.
///
/// ```
/// use striate::{Padding, Window3d};
/// let window = Window3d::new((3, 5, 5)).strides((1, 2, 2)).padding(Padding::Same);
/// assert_eq!(window.output_size([16, 112, 112])?, [16, 56, 56]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window3d {
    /// Over planes, as if each were one position of a single column.
    depth: Window2d,
    planes: Window2d,
}

impl Window3d {
    /// A window of `kernel` positions, moving by one, without dilation, padding or groups.
    ///
    /// ```
    /// assert_eq!(striate::Window3d::new(3).output_size([5, 6, 7])?, [3, 4, 5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(kernel: impl Into<Size3d>) -> Self {
        let (depth, planes) = kernel.into().split();
        Window3d { depth: Window2d::new(depth), planes: Window2d::new(planes) }
    }

    /// How far the window moves between two outputs. Default 1.
    ///
    /// ```
    /// assert_eq!(striate::Window3d::new(3).strides((1, 2, 2)).output_size([5, 5, 7])?, [3, 2, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn strides(self, strides: impl Into<Size3d>) -> Self {
        let (depth, planes) = strides.into().split();
        Window3d { depth: self.depth.strides(depth), planes: self.planes.strides(planes) }
    }

    /// The distance between neighbouring taps of the window. Default 1.
    ///
    /// ```
    /// assert_eq!(striate::Window3d::new(3).dilation(2).output_size([5, 6, 7])?, [1, 2, 3]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Size3d>) -> Self {
        let (depth, planes) = dilation.into().split();
        Window3d { depth: self.depth.dilation(depth), planes: self.planes.dilation(planes) }
    }

    /// What lies around the input. Default: nothing.
    ///
    /// ```
    /// use striate::{Padding, Window3d};
    /// assert_eq!(Window3d::new(3).padding(Padding::Same).output_size([5, 6, 7])?, [5, 6, 7]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding3d>) -> Self {
        let Padding3d { depth, planes } = padding.into();
        Window3d { depth: self.depth.padding(depth), planes: self.planes.padding(planes) }
    }

    /// As [`Window2d::ceil_mode`], along all three axes. Default `false`.
    ///
    /// ```
    /// assert_eq!(striate::Window3d::new(2).strides(2).ceil_mode(true).output_size([5, 6, 7])?, [3, 3, 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Window3d { depth: self.depth.ceil_mode(ceil_mode), planes: self.planes.ceil_mode(ceil_mode) }
    }

    /// Into how many groups a convolution splits its channels, as [`Window2d::groups`]. Default 1.
    ///
    /// ```
    /// use striate::{Window3d, ops};
    /// let x = ndarray::Array5::<f32>::ones((1, 2, 2, 2, 4));
    /// let kernel = ndarray::Array5::ones((2, 2, 2, 2, 4));
    /// let y = ops::conv3d(x.view(), kernel.view(), None, &Window3d::new(2).groups(2))?;
    /// assert_eq!(y[[0, 0, 0, 0, 0]], 8.0 * 2.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Window3d { planes: self.planes.groups(groups), ..self }
    }

    /// How exactly a convolution is computed, as [`Window2d::accuracy`].
    ///
    /// ```
    /// use striate::{Accuracy, Window3d};
    /// assert_ne!(Window3d::new(3).accuracy(Accuracy::Strict), Window3d::new(3));
    /// ```
    #[must_use]
    pub fn accuracy(self, accuracy: Accuracy) -> Self {
        Window3d { planes: self.planes.accuracy(accuracy), ..self }
    }

    /// `[depth, height, width]` of the output for an input of `[depth, height, width]`.
    ///
    /// # Errors
    /// As [`Window2d::output_size`].
    ///
    /// ```
    /// let error = striate::Window3d::new(3).output_size([2, 8, 8]).unwrap_err();
    /// assert_eq!(error.to_string(), "window: expected a padded depth of at least 3 (the window's), got 2");
    /// ```
    pub fn output_size(&self, input: [usize; 3]) -> Result<[usize; 3]> {
        let [depth, height, width] = input;
        let depth = self.depth_axis("window", depth)?.output;
        let [height, width] = self.planes.output_size([height, width])?;
        Ok([depth, height, width])
    }

    /// The window over rows and columns.
    pub(crate) fn planes(&self) -> Window2d {
        self.planes
    }

    /// The number of planes that the window sees.
    pub(crate) fn kernel_depth(&self) -> usize {
        self.depth.kernel[0]
    }

    /// The axis of planes.
    pub(crate) fn depth_axis(&self, operation: &'static str, depth: usize) -> Result<WindowAxis> {
        self.depth.axis(0, depth).map_err(|fault| fault.on(operation, "depth"))
    }

    /// Pooling of a volume in two steps, each two-dimensional: every plane by itself, `[batch * depth, height, width,
    /// channels]`, then every pile of positions, `[batch, depth, new height * new width, channels]`.
    pub(crate) fn pool(&self, operation: &'static str, input: &[usize]) -> Result<[Geometry2d; 2]> {
        let [batch, depth, height, width, channels] = volumes(operation, input)?;
        self.depth_axis(operation, depth)?;
        let planes = self.planes.pool(&[len_of(operation, &[batch, depth])?, height, width, channels])?;
        let positions = len_of(operation, &[planes.rows.output, planes.cols.output])?;
        Ok([planes, self.depth.pool(&[batch, depth, positions, channels])?])
    }

    /// A convolution of volumes as one of feature maps: the planes that an output plane sees become the channels of one
    /// map. Returns the axis of planes, and the geometry over maps `[batch * new depth, height, width, kd * channels]` with a
    /// kernel `[kh, kw, kd * channels / groups, filters]`.
    pub(crate) fn conv(
        &self,
        operation: &'static str,
        input: &[usize],
        kernel: &[usize],
    ) -> Result<(WindowAxis, Geometry2d)> {
        let &[kd, kh, kw, group_in, filters] = kernel else {
            let expected = "a kernel of [depth, height, width, channels / groups, filters]";
            return Err(Error::shape(operation, expected, kernel));
        };
        self.check_depth(operation, kd, kernel)?;
        let (depth, stacked) = self.stacked(operation, input)?;
        let group_in = len_of(operation, &[group_in, kd])?;
        Ok((depth, self.planes.conv(&stacked, &[kh, kw, group_in, filters])?))
    }

    /// Fails if the kernel is not as deep as the window.
    fn check_depth(&self, operation: &'static str, kd: usize, kernel: &[usize]) -> Result<()> {
        let depth = self.kernel_depth();
        if kd != depth {
            return Err(Error::shape(operation, format_args!("a kernel {depth} deep"), kernel));
        }
        Ok(())
    }

    /// A transposed convolution of an input `[batch, depth, height, width, channels]` with a kernel
    /// `[kd, kh, kw, filters / groups, channels]` as one of feature maps: every input plane gives a map whose channels are
    /// `kd` output planes. Returns the axis of planes of the convolution that goes the other way, its geometry over maps, and
    /// the shape of the result.
    pub(crate) fn conv_transpose(
        &self,
        operation: &'static str,
        input: &[usize],
        kernel: &[usize],
        output_padding: Option<[usize; 3]>,
    ) -> Result<(WindowAxis, Geometry2d, [usize; 5])> {
        let [batch, depth, height, width, channels] = volumes(operation, input)?;
        let &[kd, kh, kw, group_out, kernel_in] = kernel else {
            let expected = "a kernel of [depth, height, width, filters / groups, channels]";
            return Err(Error::shape(operation, expected, kernel));
        };
        self.check_depth(operation, kd, kernel)?;
        if self.depth.padding == Padding::Causal {
            return Err(Error::argument(operation, "valid, same or explicit padding", "causal"));
        }
        let sizes = (depth, kd, self.depth.strides[0], self.depth.dilation[0]);
        let extra = output_padding.map(|[depth, ..]| depth);
        let depth = WindowAxis::transposed(sizes, (self.depth.padding, 0), extra)
            .map_err(|fault| fault.on(operation, "depth"))?;
        let maps = [len_of(operation, &[batch, depth.output])?, height, width, channels];
        let stacked = [kh, kw, len_of(operation, &[group_out, kd])?, kernel_in];
        let extra = output_padding.map(|[_, height, width]| [height, width]);
        let planes = self.planes.conv_transpose(&maps, &stacked, extra)?;
        let [_, height, width, wide] = planes.input_shape();
        let output = [batch, depth.input, height, width, wide / kd];
        len_of(operation, &output)?;
        Ok((depth, planes, output))
    }

    /// The axis of planes, and the shape of the maps `[batch * new depth, height, width, kd * channels]`.
    pub(crate) fn stacked(
        &self,
        operation: &'static str,
        input: &[usize],
    ) -> Result<(WindowAxis, [usize; 4])> {
        let [batch, depth, height, width, channels] = volumes(operation, input)?;
        let depth = self.depth_axis(operation, depth)?;
        let maps = len_of(operation, &[batch, depth.output])?;
        let stacked = [maps, height, width, len_of(operation, &[channels, depth.kernel])?];
        len_of(operation, &stacked)?;
        Ok((depth, stacked))
    }
}
