//! How an output is cut into tiles.

use std::ops::Range;

use crate::geometry::Geometry2d;

/// The output of a convolution as square tiles of `size` outputs a side, row by row and image by image. A *band* is
/// one row of tiles; the last band of an image and the last tile of a band may reach over the edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    pub(super) geometry: Geometry2d,
    pub(super) size: usize,
    /// Bands of an image.
    rows: usize,
    /// Tiles of a band.
    pub(super) cols: usize,
}

/// Where a tile lies: its image, and the position there of its first output.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) col: usize,
}

impl Tiling {
    pub(super) fn new(geometry: &Geometry2d, size: usize) -> Self {
        let [_, height, width, _] = geometry.output_shape();
        Tiling { geometry: *geometry, size, rows: height.div_ceil(size), cols: width.div_ceil(size) }
    }

    /// The bands of all images.
    pub(super) fn bands(&self) -> usize {
        self.geometry.batch * self.rows
    }

    /// The tiles of all images.
    pub(super) fn tiles(&self) -> usize {
        self.bands() * self.cols
    }

    /// Where tile `tile` lies.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> Place {
        let (band, col) = (tile / self.cols, tile % self.cols);
        Place { image: band / self.rows, row: band % self.rows * self.size, col: col * self.size }
    }

    /// The rows of the output, counted through all images, in the bands before `band`.
    pub(super) fn output_rows_before(&self, band: usize) -> usize {
        let height = self.geometry.rows.output;
        band / self.rows * height + (band % self.rows * self.size).min(height)
    }

    /// The elements of the output in the bands `bands`: they lie together.
    pub(super) fn output_of(&self, bands: Range<usize>) -> Range<usize> {
        let row = self.geometry.cols.output * self.geometry.out_channels;
        self.output_rows_before(bands.start) * row..self.output_rows_before(bands.end) * row
    }

    /// The rows and columns of the output that a tile covers, those beyond the edge left out.
    #[inline(always)]
    pub(super) fn covered(&self, place: Place) -> (usize, usize) {
        let [_, height, width, _] = self.geometry.output_shape();
        (self.size.min(height - place.row), self.size.min(width - place.col))
    }
}
