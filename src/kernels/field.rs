//! The left factor of a convolution: what the windows of a block of positions see of the source, laid out so that no
//! window reaches over an edge.
//!
//! Where no window of the whole problem reaches into padding that is the source itself. Elsewhere a task copies the
//! part of the source that its block sees, with the padding around it. A position's patch is then a chain of *runs*,
//! which lie at the same distances from the position's start everywhere:
//!
//! ```text
//! 3x3 window over a field of width w and c channels, all of them in one group: three runs of 3c numbers,
//!     start + 0,    start + w*c,    start + 2*w*c
//! dilated, or the channels of one of several groups: nine runs, one a tap
//! ```

use std::ops::Range;

use super::matmul::{Left, Row};
use super::patches::Patches;
use crate::Element;

/// How the windows of a convolution lie over a source.
pub(super) struct Field<'a, T> {
    patches: &'a Patches<'a, T>,
    in_place: bool,
    /// Numbers from one line of the field to the next.
    pitch: usize,
    runs: Vec<usize>,
    runs_a_line: usize,
    length: usize,
}

/// A task's memory: its part of the source with the padding, and the rows that start in it.
pub(super) struct Scratch<T> {
    values: Vec<T>,
    rows: Vec<Row>,
}

impl<T> Scratch<T> {
    pub(super) fn new() -> Self {
        Scratch { values: Vec::new(), rows: Vec::new() }
    }
}

impl<'a, T: Element> Field<'a, T> {
    /// The field of windows that see `depth` channels at each tap.
    pub(super) fn new(patches: &'a Patches<'a, T>, depth: usize) -> Self {
        let Patches { channels, ref rows, ref cols, .. } = *patches;
        let in_place = rows.stays_inside() && cols.stays_inside();
        let (before, inside, behind) = cols.cover(0..cols.positions);
        let width = if in_place { cols.source } else { before + inside.len() + behind };
        let pitch = width * channels;
        let whole = depth == channels && cols.is_contiguous();
        let (runs_a_line, length) =
            if whole { (1, cols.taps.len() * depth) } else { (cols.taps.len(), depth) };
        let line =
            |i| (0..runs_a_line).map(move |j| rows.beyond_first(i) * pitch + cols.beyond_first(j) * channels);
        Field {
            patches,
            in_place,
            pitch,
            runs: (0..rows.taps.len()).flat_map(line).collect(),
            runs_a_line,
            length,
        }
    }

    /// Numbers of the field that a block of so many positions takes up, beyond those of the source.
    pub(super) fn copied(&self, positions: usize) -> usize {
        let step = self.patches.rows.step * self.patches.cols.step;
        if self.in_place { 0 } else { positions * step * self.patches.channels }
    }

    /// The left factor of the positions `pixels`, seen by the group of channels from `channel` on after
    /// [`fill`](Self::fill) with the same positions.
    pub(super) fn left<'s>(&'s self, scratch: &'s Scratch<T>, channel: usize) -> Left<'s, T> {
        let values = if self.in_place { self.patches.source } else { &scratch.values };
        Left::Runs { values: &values[channel..], rows: &scratch.rows, runs: &self.runs, length: self.length }
    }

    /// Lays out what the windows of `pixels`, numbered row by row and image by image, see.
    pub(super) fn fill(&self, scratch: &mut Scratch<T>, pixels: Range<usize>) {
        let Patches { ref rows, ref cols, .. } = *self.patches;
        let image = rows.positions * cols.positions;
        scratch.rows.clear();
        scratch.values.clear();
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
        let start = if self.in_place {
            ((first_line + rows.read(lines.start, 0)) * cols.source + cols.read(columns.start, 0)) * channels
        } else {
            let start = scratch.values.len();
            let (above, inside, below) = rows.cover(lines.clone());
            let (before, seen, behind) = cols.cover(columns.clone());
            let blank = |count: usize| std::iter::repeat_n(T::zero(), count);
            scratch.values.extend(blank(above * self.pitch));
            for line in inside {
                let end = scratch.values.len() + self.pitch;
                let from = (first_line + line) * cols.source;
                scratch.values.extend(blank(before * channels));
                scratch
                    .values
                    .extend_from_slice(&source[(from + seen.start) * channels..(from + seen.end) * channels]);
                scratch.values.extend(blank(behind * channels));
                scratch.values.resize(end, T::zero());
            }
            scratch.values.extend(blank(below * self.pitch));
            start
        };
        for line in lines.clone() {
            let seen = rows.inside(line);
            let live = seen.start * self.runs_a_line..seen.end * self.runs_a_line;
            let start = start + (line - lines.start) * rows.step * self.pitch;
            let row = |column| Row { start: start + column * cols.step * channels, live: live.clone() };
            scratch.rows.extend((0..columns.len()).map(row));
        }
    }
}
