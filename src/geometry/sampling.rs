//! [`Sampling`]: what the positions along an axis read, forward and backward.

use std::ops::Range;

use super::WindowAxis;

impl WindowAxis {
    /// What each output position reads of the input: the forward direction.
    pub(crate) fn sampling(&self) -> Sampling {
        Sampling {
            positions: self.output,
            step: self.stride,
            taps: self.kernel,
            first: -(self.pad_before as isize),
            dilation: self.tap_step(),
            source: self.input,
            kernel: KernelTaps { first: 0, step: 1 },
        }
    }

    /// What the input positions `phase, phase + stride, ...` read of the *output* on the way back: every window
    /// that covers them. With the taps that fall between outputs left out, each phase has a step of one.
    pub(crate) fn backward_sampling(&self, phase: usize) -> Sampling {
        let stride = self.stride as isize;
        let offset = |tap: usize| (phase + self.pad_before) as isize - (tap * self.dilation) as isize;
        // Every `period`-th tap falls on an output. The last tap comes first: it belongs to the earliest output.
        let period = self.stride / gcd(self.stride, self.dilation);
        let mut last_taps = (0..self.kernel).rev().take(period);
        let last = last_taps.find(|&tap| offset(tap) % stride == 0);
        let taps = last.map_or(0, |last| last / period + 1);
        Sampling {
            positions: self.input.saturating_sub(phase).div_ceil(self.stride),
            step: 1,
            taps,
            first: last.map_or(0, |last| offset(last) / stride),
            dilation: if taps <= 1 { 1 } else { period.saturating_mul(self.dilation) / self.stride },
            source: self.output,
            kernel: KernelTaps { first: last.unwrap_or(0), step: -(period as isize) },
        }
    }
}

/// Where along one axis each position of a result reads a source: for each of `taps` taps at
/// `position * step + first + tap * dilation`. Forward convolution and both gradients are the same loop over one of
/// these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    pub(crate) positions: usize,
    pub(crate) step: usize,
    pub(crate) taps: usize,
    first: isize,
    dilation: usize,
    pub(crate) source: usize,
    kernel: KernelTaps,
}

/// The rows or columns of the kernel that the taps of a [`Sampling`] are.
#[derive(Clone, Copy, Debug)]
struct KernelTaps {
    first: usize,
    step: isize,
}

impl Sampling {
    /// A window whose outputs read the same, if these move by one and do not start within the source.
    pub(crate) fn as_window(&self) -> Option<WindowAxis> {
        let pad_before = usize::try_from(-self.first).ok().filter(|_| self.step == 1)?;
        let reach = self.positions + self.taps.checked_sub(1)? * self.dilation;
        let pad_after = reach.checked_sub(pad_before + self.source)?;
        let (input, output) = (self.source, self.positions);
        Some(WindowAxis {
            input,
            kernel: self.taps,
            stride: 1,
            dilation: self.dilation,
            pad_before,
            pad_after,
            output,
        })
    }

    /// Which row or column of the kernel a tap is.
    pub(crate) fn kernel_index(&self, tap: usize) -> usize {
        self.kernel.first.wrapping_add_signed(tap as isize * self.kernel.step)
    }

    /// The taps that read inside the source at `position`.
    pub(crate) fn inside(&self, position: usize) -> Range<usize> {
        let base = (position * self.step) as isize + self.first;
        let first_at = |bound: isize| match bound - base {
            distance if distance <= 0 => 0,
            distance => (distance as usize).div_ceil(self.dilation).min(self.taps),
        };
        first_at(0)..first_at(self.source as isize)
    }

    /// What a tap, one of [`inside`](Self::inside), reads at `position`.
    pub(crate) fn read(&self, position: usize, tap: usize) -> usize {
        self.place(position, tap) as usize
    }

    /// What a tap reads at `position`, which may lie behind the last one, if that is inside the source.
    pub(crate) fn at(&self, position: usize, tap: usize) -> Option<usize> {
        usize::try_from(self.place(position, tap)).ok().filter(|&place| place < self.source)
    }

    /// Where a tap lies at `position`, counted from the source's start.
    fn place(&self, position: usize, tap: usize) -> isize {
        (position * self.step + tap * self.dilation) as isize + self.first
    }

    /// How far beyond the first tap another reads.
    pub(crate) fn beyond_first(&self, tap: usize) -> usize {
        tap * self.dilation
    }

    /// Where the last tap reads at position 0.
    fn last(&self) -> isize {
        self.first + (self.taps.saturating_sub(1) * self.dilation) as isize
    }

    /// What the windows of `positions` cover together: so many places before the source, a part of the source, and so
    /// many places behind it. The window of `positions.start + i` begins `i * step` places after the first of them.
    pub(crate) fn cover(&self, positions: Range<usize>) -> (usize, Range<usize>, usize) {
        if self.taps == 0 {
            return (0, 0..0, 0);
        }
        let start = (positions.start * self.step) as isize + self.first;
        let end = ((positions.end - 1) * self.step) as isize + self.last() + 1;
        let source = self.source as isize;
        let inside = start.clamp(0, source) as usize..end.clamp(0, source) as usize;
        let outside = |places: isize| places.clamp(0, end - start) as usize;
        (outside(-start), inside, outside(end - source))
    }

    /// How many places the windows of `positions` reach over together, in the source and outside.
    pub(crate) fn reach(&self, positions: Range<usize>) -> usize {
        let (before, inside, behind) = self.cover(positions);
        before + inside.len() + behind
    }

    /// The positions whose taps all read inside the source; there may be none.
    pub(crate) fn interior(&self) -> Range<usize> {
        if self.taps == 0 {
            return 0..0;
        }
        let before = (-self.first).max(0) as usize;
        let start = before.div_ceil(self.step).min(self.positions);
        let room = self.source as isize - self.last();
        let end = (room.max(0) as usize).div_ceil(self.step).min(self.positions);
        start..end.max(start)
    }

    /// Whether every tap of every position reads inside the source.
    pub(crate) fn stays_inside(&self) -> bool {
        let (before, _, behind) = self.cover(0..self.positions);
        before == 0 && behind == 0
    }

    /// Whether neighbouring taps read neighbouring positions.
    pub(crate) fn is_contiguous(&self) -> bool {
        self.taps <= 1 || self.dilation == 1
    }
}

/// The greatest common divisor (Euclid).
pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
