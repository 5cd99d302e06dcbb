//! How an output is cut into tiles.

use std::ops::Range;

use super::TileSize;
use crate::geometry::{Geometry2d, WindowAxis};

/// The output of a convolution as square tiles of `side` outputs a side, band by band and image by image. The last tiles
/// of a band, and of an image, may reach over the edge, or lie beyond it.
///
/// Of a dilated window, outputs meet only every `dilation`-th input: they fall into `dilation x dilation` phases, each a
/// plain convolution of its own. A tile is of one phase, its outputs lie `dilation` apart; a *band* is one row of the tiles
/// of all phases, and so whole rows of the output.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    pub(super) geometry: Geometry2d,
    pub(super) size: TileSize,
    /// The outputs along a side of a tile.
    side: usize,
    /// Bands of an image.
    rows: usize,
    /// Tiles of a band.
    pub(super) cols: usize,
    /// Phases of rows, and of columns.
    phases: [usize; 2],
}

/// Where a tile lies: its image, and the position there of its first output.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) col: usize,
}

impl Tiling {
    pub(super) fn new(geometry: &Geometry2d, size: TileSize) -> Self {
        let side = size.outputs();
        let Geometry2d { rows, cols, .. } = *geometry;
        let tiles = |axis: WindowAxis| axis.output.div_ceil(side * axis.dilation);
        // There are no more phases than outputs.
        let phases = [rows, cols].map(|axis| axis.dilation.min(axis.output).max(1));
        let cols = tiles(cols) * phases[0] * phases[1];
        Tiling { geometry: *geometry, size, side, rows: tiles(rows), cols, phases }
    }

    /// The bands of all images.
    pub(super) fn bands(&self) -> usize {
        self.geometry.batch * self.rows
    }

    /// The tiles of all images.
    pub(super) fn tiles(&self) -> usize {
        self.bands() * self.cols
    }

    /// From an output of a tile to the next below it and beside it.
    #[inline(always)]
    pub(super) fn steps(&self) -> [usize; 2] {
        [self.geometry.rows.dilation, self.geometry.cols.dilation]
    }

    /// Where tile `tile` lies.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> Place {
        let (band, tile) = (tile / self.cols, tile % self.cols);
        let (image, band) = (band / self.rows, band % self.rows);
        if self.steps() == [1, 1] {
            return Place { image, row: band * self.side, col: tile * self.side };
        }
        let ([down, right], [above, beside]) = (self.steps(), self.phases);
        let (phase, tile) = (tile % (above * beside), tile / (above * beside));
        let row = band * self.side * down + phase / beside;
        Place { image, row, col: tile * self.side * right + phase % beside }
    }

    /// The rows of the output, counted through all images, in the bands before `band`.
    pub(super) fn output_rows_before(&self, band: usize) -> usize {
        let (height, [down, _]) = (self.geometry.rows.output, self.steps());
        band / self.rows * height + (band % self.rows * self.side * down).min(height)
    }

    /// The elements of the output in the bands `bands`: they lie together.
    pub(super) fn output_of(&self, bands: Range<usize>) -> Range<usize> {
        let row = self.geometry.cols.output * self.geometry.out_channels;
        self.output_rows_before(bands.start) * row..self.output_rows_before(bands.end) * row
    }

    /// The rows and columns of outputs that a tile has, those beyond the edge left out.
    #[inline(always)]
    pub(super) fn covered(&self, place: Place) -> (usize, usize) {
        let Geometry2d { rows, cols, .. } = self.geometry;
        (self.side.min(left(rows, place.row)), self.side.min(left(cols, place.col)))
    }
}

/// How many outputs from `first` on belong to one phase.
#[inline(always)]
fn left(axis: WindowAxis, first: usize) -> usize {
    let left = axis.output.saturating_sub(first);
    if axis.dilation == 1 { left } else { left.div_ceil(axis.dilation) }
}
