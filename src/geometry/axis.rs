//! [`WindowAxis`]: how a window slides along one axis of known size.

use std::ops::Range;

use super::padding::AxisPadding;
use crate::{Error, ErrorKind, Result};

/// From the first tap to the last.
pub(super) fn extent(kernel: usize, dilation: usize) -> Option<usize> {
    kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// What is wrong along an axis, before it is known which axis of which operation.
pub(super) enum Fault {
    Zero(&'static str),
    Window {
        extent: usize,
        padded: usize,
    },
    Overflow(usize),
    /// The output padding of a transposed convolution, and the bound that it must be below.
    OutputPadding {
        extra: usize,
        bound: usize,
    },
    /// The output of a transposed convolution, of which the padding takes away everything.
    NothingLeft {
        full: usize,
        padding: (usize, usize),
    },
}

impl Fault {
    pub(super) fn on(self, operation: &'static str, axis: &str) -> Error {
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
            Fault::OutputPadding { extra, bound } => {
                let expected =
                    format!("an output padding of the {axis} below {bound}, the stride or dilation");
                Error::argument(operation, expected, extra)
            }
            Fault::NothingLeft { full, padding: (before, after) } => {
                let expected = format!("padding of the {axis} that leaves something of {full} positions");
                Error::argument(operation, expected, format_args!("{before} and {after}"))
            }
        }
    }
}

/// Fails if a size of `(input, kernel, stride, dilation)` is zero.
pub(super) fn check_sizes(sizes: (usize, usize, usize, usize)) -> std::result::Result<(), Fault> {
    let (input, kernel, stride, dilation) = sizes;
    let named = [("input", input), ("kernel", kernel), ("stride", stride), ("dilation", dilation)];
    match named.into_iter().find(|&(_, size)| size == 0) {
        Some((what, _)) => Err(Fault::Zero(what)),
        None => Ok(()),
    }
}

/// One axis of a [`Geometry2d`](crate::Geometry2d): how a window slides along it.
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
pub struct WindowAxis {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    pub(crate) pad_before: usize,
    pub(crate) pad_after: usize,
    pub(crate) output: usize,
}

impl WindowAxis {
    pub(super) fn new(
        (input, kernel, stride, dilation): (usize, usize, usize, usize),
        padding: AxisPadding,
        ceil_mode: bool,
    ) -> std::result::Result<Self, Fault> {
        check_sizes((input, kernel, stride, dilation))?;
        let overflow = || Fault::Overflow(input);
        let extent = extent(kernel, dilation).ok_or_else(overflow)?;
        let (pad_before, pad_after) = match padding {
            AxisPadding::Explicit(before, after) => (before, after),
            AxisPadding::Causal => (extent - 1, 0),
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
        Ok(WindowAxis { input, kernel, stride, dilation, pad_before, pad_after, output })
    }

    /// The input's length.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.input(), 7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn input(&self) -> usize {
        self.input
    }

    /// The output's length.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.output(), 3);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn output(&self) -> usize {
        self.output
    }

    /// The number of taps of the window.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.kernel(), 3);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// How far the window moves between two outputs.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.stride(), 2);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The distance between two taps.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.dilation(), 2);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn dilation(&self) -> usize {
        self.dilation
    }

    /// From one tap to the next: 1 where there is only one, whatever the window says.
    #[inline(always)]
    pub(crate) fn tap_step(&self) -> usize {
        if self.kernel == 1 { 1 } else { self.dilation }
    }

    /// The resolved padding: positions before and after the input.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.padding(), (1, 1));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn padding(&self) -> (usize, usize) {
        (self.pad_before, self.pad_after)
    }

    /// The taps of output `o`'s window that lie inside the input.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!((rows.taps(0), rows.taps(1), rows.taps(2)), (1..3, 0..3, 0..2));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn taps(&self, o: usize) -> Range<usize> {
        let (start, end) = self.taps_between(o, self.pad_before, self.pad_before + self.input);
        start..end.max(start)
    }

    /// The number of taps of output `o`'s window that lie inside the input and its padding.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!(rows.padded_taps(2), 3);    // at 3, 5 and 7, the last of them in the padding
    /// # Ok::<(), striate::Error>(())
    /// ```
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
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert_eq!([0, 1, 2].map(|tap| rows.source(0, tap)), [None, Some(1), Some(3)]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn source(&self, o: usize, tap: usize) -> Option<usize> {
        let padded = o.checked_mul(self.stride)?.checked_add(tap.checked_mul(self.dilation)?)?;
        let position = padded.checked_sub(self.pad_before)?;
        (position < self.input).then_some(position)
    }

    /// The same where `tap` is known to be one of [`taps`](Self::taps).
    pub(crate) fn read(&self, o: usize, tap: usize) -> usize {
        o * self.stride + tap * self.dilation - self.pad_before
    }

    /// The outputs `outputs` alone, some or all, as an axis over the input positions that their windows see, and these.
    pub(crate) fn part(&self, outputs: Range<usize>) -> (Range<usize>, Self) {
        let start = outputs.start * self.stride;
        let end = outputs.end.saturating_sub(1) * self.stride + (self.kernel - 1) * self.dilation + 1;
        let inside = |padded: usize| padded.saturating_sub(self.pad_before).min(self.input);
        let seen = inside(start)..inside(end);
        let pad_before = self.pad_before.saturating_sub(start).min(end - start);
        let pad_after = end - start - seen.len() - pad_before;
        (
            seen.clone(),
            WindowAxis { input: seen.len(), output: outputs.len(), pad_before, pad_after, ..*self },
        )
    }

    /// The windows that see input position `i`, as pairs of output and tap, the earliest tap first.
    ///
    /// ```
    /// use striate::{Padding, Window2d};
    /// let window = Window2d::new(3).strides(2).dilation(2).padding(Padding::all(1));
    /// let rows = window.pool(&[1, 7, 7, 1])?.rows();
    /// assert!(rows.windows_over(3).eq([(2, 0), (1, 1), (0, 2)]));
    /// assert_eq!(rows.windows_over(0).count(), 0);    // every window steps over it
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn windows_over(&self, i: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let WindowAxis { kernel, stride, dilation, pad_before, output, .. } = *self;
        let at = i.saturating_add(pad_before);
        let earliest = at.saturating_sub((kernel - 1) * dilation).div_ceil(stride);
        let latest = (at / stride).min(output - 1);
        (earliest..=latest).rev().filter_map(move |o| {
            let distance = at - o * stride;
            distance.is_multiple_of(dilation).then_some((o, distance / dilation))
        })
    }

    /// Fails if some window contains no input position at all: it would have no maximum and no average.
    pub(super) fn check_windows_meet_input(&self, operation: &'static str) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_sees_what_its_outputs_see() {
        let paddings = [AxisPadding::Same, AxisPadding::Explicit(0, 0), AxisPadding::Explicit(5, 3)];
        for (kernel, stride, dilation) in [(3, 1, 1), (3, 2, 1), (2, 3, 1), (1, 1, 1), (3, 1, 2), (5, 2, 3)] {
            for (padding, ceil_mode) in paddings.into_iter().flat_map(|p| [(p, false), (p, true)]) {
                let Ok(axis) = WindowAxis::new((13, kernel, stride, dilation), padding, ceil_mode) else {
                    unreachable!("the window fits");
                };
                for start in 0..axis.output {
                    for end in start + 1..=axis.output {
                        let (seen, part) = axis.part(start..end);
                        assert_eq!((part.input, part.output), (seen.len(), end - start));
                        for (o, tap) in (start..end).flat_map(|o| (0..kernel).map(move |tap| (o, tap))) {
                            let source = part.source(o - start, tap).map(|position| position + seen.start);
                            assert_eq!(source, axis.source(o, tap), "{axis:?}: {start}..{end}");
                        }
                    }
                }
            }
        }
    }
}
