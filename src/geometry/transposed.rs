//! The sizes of transposed convolution: those of a convolution that is gone through backwards.

use super::axis::{Fault, check_sizes, extent};
use super::{Geometry2d, Padding, Window2d, WindowAxis, maps};
use crate::{Error, Result};

impl Window2d {
    /// The geometry of a transposed convolution of an input `[batch, height, width, channels]` with a kernel
    /// `[kh, kw, filters / groups, channels]`.
    ///
    /// It is that of the convolution which goes the other way, from the result to `input`: its
    /// [`input_shape`](Geometry2d::input_shape) is the shape of the result, and its
    /// [`output_shape`](Geometry2d::output_shape) that of `input`. Along an axis of `n` positions, with the window's
    /// [`extent`](Self::extent) `e = (kernel - 1) * dilation + 1` and an `output_padding` of `p`, the result has
    ///
    /// | padding | positions | as |
    /// |---|---|---|
    /// | `Explicit` | `(n - 1) * stride + e - before - after + p`, without a `p` 0 | PyTorch |
    /// | `Valid` | `(n - 1) * stride + e + p`, without a `p` `max(stride - e, 0)` | Keras |
    /// | `Same` | `(n - 1) * stride + e % 2 + p`, without a `p` `n * stride` | Keras |
    ///
    /// where `Same` leaves the larger half of what it cuts off at the bottom and at the right.
    ///
    /// # Errors
    /// As [`conv`](Self::conv); also [`ErrorKind::Argument`](crate::ErrorKind::Argument) for `Causal` padding, padding that
    /// leaves nothing, and an output padding that is neither below the stride nor below the dilation.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).padding(Padding::all(1));
    /// let geometry = window.conv_transpose(&[1, 7, 7, 8], &[3, 3, 4, 8], Some([1, 1]))?;
    /// assert_eq!(geometry.input_shape(), [1, 14, 14, 4]);    // the result: 6 * 2 + 3 - 1 - 1 + 1
    /// assert_eq!(geometry.output_shape(), [1, 7, 7, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn conv_transpose(
        &self,
        input: &[usize],
        kernel: &[usize],
        output_padding: Option<[usize; 2]>,
    ) -> Result<Geometry2d> {
        const OP: &str = "conv2d_transpose";
        let [batch, height, width, channels] = maps(OP, input)?;
        let [kh, kw, group_out, kernel_in] = <[usize; 4]>::try_from(kernel).map_err(|_| {
            Error::shape(OP, "a kernel of [height, width, filters / groups, channels]", kernel)
        })?;
        self.check_kernel(OP, [kh, kw], kernel)?;
        if kernel_in != channels {
            let expected = format!(
                "an input [batch, height, width, channels] of {kernel_in} channels, for the kernel {kernel:?}"
            );
            return Err(Error::shape(OP, expected, input));
        }
        let filters = group_out.checked_mul(self.groups);
        let filters = filters.ok_or_else(|| Error::size(OP, "a countable number of filters", group_out))?;
        self.check_groups(OP, channels, filters)?;
        let along = |axis: usize, input| {
            let sizes = (input, self.kernel[axis], self.strides[axis], self.dilation[axis]);
            let extra = output_padding.map(|extra| extra[axis]);
            WindowAxis::transposed(sizes, (self.padding, axis), extra)
                .map_err(|fault| fault.on(OP, ["height", "width"][axis]))
        };
        if self.padding == Padding::Causal {
            return Err(Error::argument(OP, "valid, same or explicit padding", "causal"));
        }
        let (rows, cols) = (along(0, height)?, along(1, width)?);
        let (in_channels, out_channels) = (filters, channels);
        let (groups, accuracy) = (self.groups, self.accuracy);
        Geometry2d { batch, rows, cols, in_channels, out_channels, groups, accuracy }.checked(OP)
    }
}

impl Geometry2d {
    /// How many rows and columns of its input an output of the transposed convolution sees: of the windows over a position,
    /// as many as fit into one stride after the other.
    pub(crate) fn inputs_of_an_output(&self) -> [usize; 2] {
        [self.rows, self.cols]
            .map(|axis| extent(axis.kernel, axis.dilation).unwrap_or(usize::MAX).div_ceil(axis.stride))
    }
}

impl WindowAxis {
    /// The axis along which a window has as many places as `input` has positions.
    pub(super) fn transposed(
        (input, kernel, stride, dilation): (usize, usize, usize, usize),
        (padding, axis): (Padding, usize),
        output_padding: Option<usize>,
    ) -> std::result::Result<Self, Fault> {
        check_sizes((input, kernel, stride, dilation))?;
        let bound = stride.max(dilation);
        if let Some(extra) = output_padding.filter(|&extra| extra >= bound) {
            return Err(Fault::OutputPadding { extra, bound });
        }
        let overflow = || Fault::Overflow(input);
        let extent = extent(kernel, dilation).ok_or_else(overflow)?;
        let starts = (input - 1).checked_mul(stride).ok_or_else(overflow)?;
        let full = starts.checked_add(extent).ok_or_else(overflow)?;
        let with = |size: usize, extra: usize| size.checked_add(extra).ok_or_else(overflow);
        let (pad_before, pad_after, size) = match (padding, output_padding) {
            (Padding::Same, extra) => {
                let size = match extra {
                    Some(extra) => with(with(starts, extent % 2)?, extra)?,
                    None => with(starts, stride)?,
                };
                let total = full.saturating_sub(size);
                (total / 2, total - total / 2, size)
            }
            (Padding::Explicit { top, bottom, left, right }, extra) => {
                let (before, after) = [(top, bottom), (left, right)][axis];
                let size = with(full, extra.unwrap_or(0))?;
                (before, after, size.saturating_sub(before).saturating_sub(after))
            }
            (Padding::Valid | Padding::Causal, extra) => {
                (0, 0, with(full, extra.unwrap_or(stride.saturating_sub(extent)))?)
            }
        };
        if size == 0 {
            return Err(Fault::NothingLeft { full, padding: (pad_before, pad_after) });
        }
        // Positions are computed in `isize`, and the last window may reach one stride further.
        let reach = with(with(with(size.max(full), pad_before)?, pad_after)?, stride)?;
        if reach > isize::MAX as usize {
            return Err(overflow());
        }
        Ok(WindowAxis { input: size, kernel, stride, dilation, pad_before, pad_after, output: input })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn size(window: Window2d, n: usize, extra: Option<usize>) -> Result<usize> {
        let kernel = [window.kernel_size()[0], 1, 1, 1];
        let geometry = window.conv_transpose(&[1, n, 1, 1], &kernel, extra.map(|extra| [extra, 0]))?;
        assert_eq!(geometry.output_shape(), [1, n, 1, 1]);
        Ok(geometry.input_shape()[1])
    }

    #[test]
    fn sizes_are_those_of_keras_and_pytorch() {
        let window = |kernel, stride| Window2d::new((kernel, 1)).strides((stride, 1));
        for (kernel, stride, n, valid, same) in
            [(3, 1, 5, 7, 5), (3, 2, 5, 11, 10), (2, 2, 5, 10, 10), (2, 3, 5, 15, 15), (5, 3, 1, 5, 3)]
        {
            assert_eq!(size(window(kernel, stride), n, None).unwrap(), valid);
            assert_eq!(size(window(kernel, stride).padding(Padding::Same), n, None).unwrap(), same);
        }
        assert_eq!(size(window(3, 2).padding(Padding::Same), 5, Some(1)).unwrap(), 10);
        assert_eq!(size(window(4, 2).padding(Padding::Same), 5, Some(0)).unwrap(), 8);
        assert_eq!(size(window(3, 2).padding(Padding::symmetric(1, 0)), 5, Some(1)).unwrap(), 10);
        // Beyond the stride, but not beyond the dilation.
        assert_eq!(size(window(2, 1).dilation((3, 1)), 5, Some(2)).unwrap(), 10);
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        let window = Window2d::new((3, 1)).strides((2, 1));
        let kind = |window, extra| size(window, 5, extra).unwrap_err().kind();
        assert_eq!(kind(window, Some(2)), ErrorKind::Argument);
        assert_eq!(kind(window.padding(Padding::Causal), None), ErrorKind::Argument);
        assert_eq!(kind(window.padding(Padding::symmetric(6, 0)), None), ErrorKind::Argument);
        assert_eq!(kind(window.strides(0), None), ErrorKind::Argument);
        assert_eq!(kind(window.strides((usize::MAX, 1)), None), ErrorKind::Size);
        assert_eq!(kind(window.dilation((usize::MAX / 4, 1)), None), ErrorKind::Size);
        let other = window.conv_transpose(&[1, 5, 1, 2], &[3, 1, 1, 3], None).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Shape);
    }
}
