//! The left factor of a convolution: what the windows of a block of positions see of the source, laid out so that no
//! window reaches over an edge.
//!
//! Where no window of the whole problem reaches into padding that is the source itself. Elsewhere a task copies the
//! part of the source that its block sees, with the padding around it; or, where windows with wide gaps see little of
//! what they reach over, their patches. A position's patch is then a chain of *runs*, which lie at the same distances
//! from the position's start everywhere:
//!
//! ```text
//! 3x3 window over a field of width w and c channels, all of them in one group: three runs of 3c numbers,
//!     start + 0,    start + w*c,    start + 2*w*c
//! dilated, or the channels of one of several groups: nine runs, one a tap
//! gathered patches: one run, or one a tap
//! ```

use std::ops::Range;

use super::matmul::{Left, Series};
use super::patches::Patches;
use super::pieces::even_pieces;
use super::simd::Runs;
use crate::Element;

/// Numbers of a patch up to which finding out which of them are padding takes longer than multiplying with it.
const SHORT_PATCH: usize = 32;

/// How the windows of a convolution lie over a source.
pub(super) struct Field<'a, T> {
    patches: &'a Patches<'a, T>,
    layout: Layout,
    /// Numbers from one line of the field to the next.
    pitch: usize,
    runs: Runs,
}

/// Where the numbers of a field lie.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// In the source.
    Source,
    /// In a copy of the part that a block sees, with its padding.
    Padded,
    /// In patches, one after the other.
    Patches,
}

/// A task's memory: its part of the source with the padding, and the rows that start in it.
#[derive(Default)]
pub(super) struct Scratch<T> {
    /// As long as it ever was; of it, so many numbers are in use.
    values: Vec<T>,
    used: usize,
    rows: Vec<Series>,
}

impl<T: Element> Scratch<T> {
    /// The next `len` numbers, with whatever they hold.
    fn take(&mut self, len: usize) -> &mut [T] {
        let start = self.used;
        self.used += len;
        if self.values.len() < self.used {
            self.values.resize(self.used, T::zero());
        }
        &mut self.values[start..self.used]
    }
}

impl<'a, T: Element> Field<'a, T> {
    /// The field of windows that see `depth` channels at each tap, for blocks of `block` positions.
    pub(super) fn new(patches: &'a Patches<'a, T>, depth: usize, block: usize) -> Self {
        let layout = layout(patches, block);
        let Patches { channels, ref rows, ref cols, .. } = *patches;
        let whole = depth == channels;
        let taps = rows.taps * cols.taps;
        if layout == Layout::Patches {
            let runs =
                if whole { Runs::one(taps * depth) } else { Runs::new([1, 0], [taps, channels], depth) };
            return Field { patches, layout, pitch: 0, runs };
        }
        let width =
            if layout == Layout::Source { cols.source } else { cols.reach(0..cols.positions.min(block)) };
        let pitch = width * channels;
        let (in_line, length) =
            if whole && cols.is_contiguous() { (1, cols.taps * depth) } else { (cols.taps, depth) };
        let (line_pitch, run_pitch) = (rows.beyond_first(1) * pitch, cols.beyond_first(1) * channels);
        let runs = Runs::new([rows.taps, line_pitch], [in_line, run_pitch], length);
        Field { patches, layout, pitch, runs }
    }

    /// The most bytes that [`fill`](Self::fill) takes for `block` positions.
    pub(super) fn scratch_bytes(&self, block: usize) -> usize {
        let Patches { channels, ref rows, ref cols, .. } = *self.patches;
        let values = match self.layout {
            Layout::Source => 0,
            Layout::Patches => block * rows.taps * cols.taps * channels,
            Layout::Padded => {
                let (lines, rectangles) = self.most_rectangles(block);
                ((lines - rectangles) * rows.step + rectangles * rows.reach(0..1)) * self.pitch
            }
        };
        let lines = if self.layout == Layout::Patches { 1 } else { block.div_ceil(cols.positions) + 1 };
        values * size_of::<T>() + lines * size_of::<Series>()
    }

    /// The most lines, and the most rectangles, of `block` positions.
    fn most_rectangles(&self, block: usize) -> (usize, usize) {
        let Patches { ref rows, ref cols, .. } = *self.patches;
        let image = rows.positions * cols.positions;
        // If blocks do not end with lines, they begin and end within some; and the same of images.
        let cut_lines = !block.is_multiple_of(cols.positions);
        let cut_images = !image.is_multiple_of(block);
        let lines = block.div_ceil(cols.positions) + usize::from(cut_lines && block > 1);
        let images = block.div_ceil(image) + usize::from(cut_images);
        (lines, lines.min(images + 2 * usize::from(cut_lines)))
    }

    /// The left factor of the positions `pixels`, seen by the group of channels from `channel` on after
    /// [`fill`](Self::fill) with the same positions.
    pub(super) fn left<'s>(&'s self, scratch: &'s Scratch<T>, channel: usize) -> Left<'s, T> {
        let (values, rows, runs) = self.seen(scratch, channel);
        Left::Runs { values, rows, runs, live_from: self.has_blanks().then_some(0) }
    }

    /// The left factor of all channels in slices of at most `most` of its columns: which they are, and the slice.
    pub(super) fn slices<'s>(
        &'s self,
        scratch: &'s Scratch<T>,
        most: usize,
    ) -> impl Iterator<Item = (Range<usize>, Left<'s, T>)> {
        let (values, rows, runs) = self.seen(scratch, 0);
        let whole = runs.numbers() <= most;
        let (count, length) = if whole { (1, runs.numbers()) } else { (runs.count(), runs.length()) };
        (0..count).flat_map(move |run| {
            even_pieces(0..length, most).map(move |(first, count)| {
                let columns = run * length + first..run * length + first + count;
                if whole {
                    return (columns, self.left(scratch, 0));
                }
                let values = &values[runs.offset(run) + first..];
                let live_from = self.has_blanks().then_some(runs.line(run));
                (columns, Left::Runs { values, rows, runs: Runs::one(count), live_from })
            })
        })
    }

    /// Whether it pays to pass over lines that are padding.
    fn has_blanks(&self) -> bool {
        self.layout == Layout::Padded && self.runs.numbers() > SHORT_PATCH
    }

    /// The same as what it consists of: the numbers, where the positions' rows start, and how these run.
    pub(super) fn seen<'s>(
        &'s self,
        scratch: &'s Scratch<T>,
        channel: usize,
    ) -> (&'s [T], &'s [Series], Runs) {
        let values = if self.layout == Layout::Source { self.patches.source } else { &scratch.values };
        (&values[channel..], &scratch.rows, self.runs)
    }

    /// Lays out what the windows of `pixels`, numbered row by row and image by image, see.
    pub(super) fn fill(&self, scratch: &mut Scratch<T>, pixels: Range<usize>) {
        let Patches { ref rows, ref cols, .. } = *self.patches;
        let image = rows.positions * cols.positions;
        scratch.rows.clear();
        scratch.used = 0;
        if self.layout == Layout::Patches {
            let patch = rows.taps * cols.taps * self.patches.channels;
            let (taps, channels) = (0..rows.taps, 0..self.patches.channels);
            scratch.rows.push(Series::dense(pixels.len(), patch));
            let values = scratch.take(pixels.len() * patch);
            return self.patches.gather(pixels, taps, channels, values);
        }
        let mut pixel = pixels.start;
        while pixel < pixels.end {
            // As large a rectangle as starts here: a part of a line, or whole lines of an image.
            let (n, row, col) = self.patches.place(pixel);
            let left = (pixels.end - pixel).min(image - pixel % image);
            let (height, width) = match col {
                0 if left >= cols.positions => (left / cols.positions, cols.positions),
                _ => (1, left.min(cols.positions - col)),
            };
            self.rectangle(scratch, n, row..row + height, col..col + width);
            pixel += height * width;
        }
    }

    /// Adds the rows of a rectangle of positions, and what they see.
    fn rectangle(&self, scratch: &mut Scratch<T>, image: usize, lines: Range<usize>, columns: Range<usize>) {
        let Patches { source, channels, ref rows, ref cols } = *self.patches;
        let first_line = image * rows.source;
        let start = if self.layout == Layout::Source {
            ((first_line + rows.read(lines.start, 0)) * cols.source + cols.read(columns.start, 0)) * channels
        } else {
            let start = scratch.used;
            let (above, inside, below) = rows.cover(lines.clone());
            let (before, seen, _) = cols.cover(columns.clone());
            let mut values = scratch.take((above + inside.len() + below) * self.pitch);
            let mut gap = above * self.pitch + before * channels;
            for line in inside {
                let first = (first_line + line) * cols.source;
                let from = &source[(first + seen.start) * channels..(first + seen.end) * channels];
                let (blank, rest) = values.split_at_mut(gap);
                let (to, rest) = rest.split_at_mut(from.len());
                blank.fill(T::zero());
                to.copy_from_slice(from);
                // As far as to what the next line holds.
                (values, gap) = (rest, self.pitch - from.len());
            }
            values.fill(T::zero());
            start
        };
        for line in lines.clone() {
            let start = start + (line - lines.start) * rows.step * self.pitch;
            // Where there is one column only, the step may be as long as it likes.
            let (count, step) = (columns.len(), cols.step.wrapping_mul(channels));
            let live = rows.inside(line);
            let line = Series { count, start, step, live };
            if !scratch.rows.last_mut().is_some_and(|last| last.joins(&line)) {
                scratch.rows.push(line);
            }
        }
    }
}

/// The layout that copies the least for blocks of `block` positions.
fn layout<T: Element>(patches: &Patches<'_, T>, block: usize) -> Layout {
    let Patches { ref rows, ref cols, .. } = *patches;
    if in_place(patches) {
        return Layout::Source;
    }
    let lines = block.div_ceil(cols.positions).min(rows.positions);
    let padded = rows.reach(0..lines).saturating_mul(cols.reach(0..cols.positions));
    let gathered = block.max(cols.positions) * rows.taps * cols.taps;
    if padded <= gathered { Layout::Padded } else { Layout::Patches }
}

/// Whether the source itself is the field.
pub(super) fn in_place<T: Element>(patches: &Patches<'_, T>) -> bool {
    patches.rows.stays_inside() && patches.cols.stays_inside()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Padding, Window2d};

    #[test]
    fn blocks_take_no_more_than_their_bytes() {
        let windows = [(3, 1, 1), (5, 1, 1), (3, 2, 1), (7, 3, 1), (3, 1, 2), (1, 1, 1), (2, 4, 1)];
        let inputs = [[1, 9, 7, 2], [6, 4, 4, 3], [5, 2, 2, 1], [3, 1, 6, 2], [4, 6, 1, 2]];
        for ((kernel, strides, dilation), input) in
            windows.into_iter().flat_map(|window| inputs.map(|input| (window, input)))
        {
            let window = Window2d::new(kernel).strides(strides).dilation(dilation).padding(Padding::Same);
            let geometry = window.conv(&input, &[kernel, kernel, input[3], 1]).unwrap();
            let source = vec![1.0_f32; input.iter().product()];
            let patches = Patches::of_input(&source, &geometry);
            let pixels = input[0] * patches.positions();
            for block in 1..=pixels {
                let field = Field::new(&patches, input[3], block);
                let mut scratch = Scratch::default();
                for first in (0..pixels).step_by(block) {
                    field.fill(&mut scratch, first..pixels.min(first + block));
                    let taken = size_of::<f32>() * scratch.used + size_of_val(&scratch.rows[..]);
                    assert!(taken <= field.scratch_bytes(block), "{block} of {geometry:?}");
                }
            }
        }
    }
}
