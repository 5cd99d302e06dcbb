//! The rows of the matrix that a convolution multiplies: for each position of the result, the part of the source
//! that its window sees. Never stored as a whole: tasks gather the rows of a tile at a time.

use std::ops::Range;

use crate::geometry::{Geometry2d, Sampling};

/// Feature maps `[batch, height, width, channels]` as seen through a window.
pub(crate) struct Patches<'a, T> {
    pub(crate) source: &'a [T],
    pub(crate) channels: usize,
    pub(crate) rows: Sampling,
    pub(crate) cols: Sampling,
}

impl<'a, T: Copy + Default> Patches<'a, T> {
    /// What the windows see of the input: the forward direction.
    pub(crate) fn of_input(source: &'a [T], geometry: &Geometry2d) -> Self {
        let (rows, cols) = (geometry.rows.sampling(), geometry.cols.sampling());
        Patches { source, channels: geometry.in_channels, rows, cols }
    }

    /// Positions of the result in one image.
    pub(crate) fn positions(&self) -> usize {
        self.rows.positions * self.cols.positions
    }

    /// Which image, row and column the position `pixel` of the result is.
    #[inline(always)]
    pub(crate) fn place(&self, pixel: usize) -> (usize, usize, usize) {
        let (line, col) = (pixel / self.cols.positions, pixel % self.cols.positions);
        (line / self.rows.positions, line % self.rows.positions, col)
    }

    /// Gathers the patches of `pixels`, numbered row by row and image by image, one after the other. Of each it
    /// takes the window's rows `window_rows` and the channels `channels`; what lies in the padding is zero.
    pub(crate) fn gather(
        &self,
        pixels: Range<usize>,
        window_rows: Range<usize>,
        channels: Range<usize>,
        out: &mut [T],
    ) {
        let line = self.cols.taps * channels.len();
        let patch = window_rows.len() * line;
        let image = self.rows.source * self.cols.source * self.channels;
        for (pixel, out) in pixels.zip(out.chunks_exact_mut(patch)) {
            let (n, row, col) = self.place(pixel);
            let source = &self.source[n * image..][..image];
            let inside = self.rows.inside(row);
            for (place, out) in window_rows.clone().zip(out.chunks_exact_mut(line)) {
                if inside.contains(&place) {
                    let start = self.rows.read(row, place) * self.cols.source * self.channels;
                    self.gather_line(&source[start..], col, channels.clone(), out);
                } else {
                    out.fill(T::default());
                }
            }
        }
    }

    /// Gathers one row of one window from one row of the source.
    fn gather_line(&self, source: &[T], col: usize, channels: Range<usize>, out: &mut [T]) {
        let depth = channels.len();
        let inside = self.cols.inside(col);
        out[..inside.start * depth].fill(T::default());
        out[inside.end * depth..].fill(T::default());
        if inside.is_empty() {
            return;
        }
        let out = &mut out[inside.start * depth..inside.end * depth];
        if depth == self.channels && self.cols.is_contiguous() {
            let start = self.cols.read(col, inside.start) * self.channels;
            out.copy_from_slice(&source[start..][..out.len()]);
            return;
        }
        for (place, out) in inside.zip(out.chunks_exact_mut(depth)) {
            let start = self.cols.read(col, place) * self.channels + channels.start;
            out.copy_from_slice(&source[start..][..depth]);
        }
    }
}
