//! [`Sampling`]: what the positions along an axis read, forward and backward.

use std::ops::Range;

use super::WindowAxis;

impl WindowAxis {
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
