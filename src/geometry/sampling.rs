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

    /// How far beyond the first tap the tap at `place` reads.
    pub(crate) fn beyond_first(&self, place: usize) -> usize {
        (self.taps[place].offset - self.taps[0].offset) as usize
    }

    /// What the windows of `positions` cover together: so many places before the source, a part of the source, and so
    /// many places behind it. The window of `positions.start + i` begins `i * step` places after the first of them.
    pub(crate) fn cover(&self, positions: Range<usize>) -> (usize, Range<usize>, usize) {
        let (Some(first), Some(last)) = (self.taps.first(), self.taps.last()) else { return (0, 0..0, 0) };
        let start = (positions.start * self.step) as isize + first.offset;
        let end = ((positions.end - 1) * self.step) as isize + last.offset + 1;
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
        let (Some(first), Some(last)) = (self.taps.first(), self.taps.last()) else { return 0..0 };
        let before = (-first.offset).max(0) as usize;
        let start = before.div_ceil(self.step).min(self.positions);
        let room = self.source as isize - last.offset;
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
        self.taps.windows(2).all(|pair| pair[1].offset == pair[0].offset + 1)
    }
}
