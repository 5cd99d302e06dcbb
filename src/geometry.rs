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

mod axis;
mod axis_map;
mod padding;
mod sampling;
mod transposed;
mod volume;
mod window;

pub use axis::WindowAxis;
pub(crate) use axis_map::{AxisMap, Resize, cropped_size, even_window, padded_size};
pub use padding::{PadMode, Padding};
pub(crate) use sampling::{Sampling, gcd};
pub(crate) use volume::volumes;
pub use volume::{Padding3d, Size3d, Window3d};
pub use window::{Size2d, Window2d};

use std::ops::Range;

use crate::memory::len_of;
use crate::{Accuracy, Error, Result};

/// `[batch, height, width, channels]` of feature maps; the batch alone may be empty.
pub(crate) fn maps(operation: &'static str, shape: &[usize]) -> Result<[usize; 4]> {
    match <[usize; 4]>::try_from(shape) {
        Ok(maps) if !maps[1..].contains(&0) => Ok(maps),
        _ => Err(Error::shape(operation, "an input of [batch, height, width, channels], none empty", shape)),
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
    pub(crate) rows: WindowAxis,
    pub(crate) cols: WindowAxis,
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) groups: usize,
    pub(crate) accuracy: Accuracy,
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

    /// The output rows `rows` of one image alone, over the input rows that their windows see, and these.
    pub(crate) fn part(&self, rows: Range<usize>) -> (Range<usize>, Self) {
        let (seen, rows) = self.rows.part(rows);
        (seen, Geometry2d { batch: 1, rows, ..*self })
    }

    /// The vertical axis.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!((geometry.rows().input(), geometry.rows().output()), (9, 7));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn rows(&self) -> WindowAxis {
        self.rows
    }

    /// The horizontal axis.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!((geometry.cols().input(), geometry.cols().output()), (7, 7));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn cols(&self) -> WindowAxis {
        self.cols
    }

    /// `[batch, height, width, channels]` of the input.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!(geometry.input_shape(), [8, 9, 7, 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn input_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.input, self.cols.input, self.in_channels]
    }

    /// `[batch, height, width, channels]` of the output.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!(geometry.output_shape(), [8, 7, 7, 16]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.output, self.cols.output, self.out_channels]
    }

    /// `[height, width, channels / groups, filters]` of the kernel.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!(geometry.kernel_shape(), [3, 1, 2, 16]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn kernel_shape(&self) -> [usize; 4] {
        [self.rows.kernel, self.cols.kernel, self.in_channels / self.groups, self.out_channels]
    }

    /// The number of groups; for pooling, the number of channels.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!(geometry.groups(), 2);
    /// assert_eq!(striate::Window2d::new(2).pool(&[1, 4, 4, 5])?.groups(), 5);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// How exactly the convolution is to be computed.
    ///
    /// ```
    /// use striate::{Accuracy, Window2d};
    /// let geometry = Window2d::new(3).conv(&[1, 9, 9, 3], &[3, 3, 3, 8])?;
    /// assert_eq!(geometry.accuracy(), Accuracy::Fast);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn accuracy(&self) -> Accuracy {
        self.accuracy
    }

    /// The multiplications of the forward convolution: `outputs * kh * kw * channels / groups`, those with the
    /// padding's zeros included.
    ///
    /// ```
    /// let geometry = striate::Window2d::new((3, 1)).groups(2).conv(&[8, 9, 7, 4], &[3, 1, 2, 16])?;
    /// assert_eq!(geometry.multiplications(), 8 * 7 * 7 * 16 * (3 * 1 * 2));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn multiplications(&self) -> u64 {
        let [kh, kw, group_in, _] = self.kernel_shape();
        (self.output_shape().iter().product::<usize>() * kh * kw * group_in) as u64
    }
}
