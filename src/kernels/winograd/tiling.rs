//! How an output is cut into tiles.

use std::ops::Range;

use super::TileSize;
use crate::geometry::Geometry2d;

/// The output of a convolution as tiles, band by band and image by image. The last tiles of a band, and of an image, may reach over
/// the edge, or lie beyond it. The outputs of a band lie together, so that threads can share bands.
///
/// Of a dilated window, outputs meet only every `dilation`-th input: they fall into `dilation x dilation` phases, each a
/// plain convolution of its own. A tile is of one phase, its outputs lie `dilation` apart; a *band* is one row of the tiles
/// of all phases, and so whole rows of the output. Only of tiles that are one output high, not dilated, each is a band.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    pub(super) geometry: Geometry2d,
    pub(super) size: TileSize,
    /// The outputs along the sides of a tile.
    sides: [usize; 2],
    /// Bands of an image, and of a row of tiles.
    bands: usize,
    in_row: usize,
    /// Tiles of a band.
    pub(super) cols: usize,
    /// From an output of a tile to the next below it and beside it.
    pub(super) steps: [usize; 2],
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
        let sides = size.sides().map(|side| side.outputs);
        let axes = [geometry.rows, geometry.cols];
        let steps = axes.map(|axis| axis.tap_step());
        let [rows, cols] = [0, 1].map(|i| axes[i].output.div_ceil(sides[i] * steps[i]));
        // There are no more phases than outputs.
        let phases = [0, 1].map(|i| steps[i].min(axes[i].output).max(1));
        let single = sides[0] == 1 && steps == [1, 1];
        let (in_row, cols) = if single { (cols, 1) } else { (1, cols * phases[0] * phases[1]) };
        Tiling { geometry: *geometry, size, sides, bands: rows * in_row, in_row, cols, steps, phases }
    }

    /// The bands of all images.
    pub(super) fn bands(&self) -> usize {
        self.geometry.batch * self.bands
    }

    /// The tiles of all images.
    pub(super) fn tiles(&self) -> usize {
        self.bands() * self.cols
    }

    /// Where tile `tile` lies.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> Place {
        let (band, tile) = (tile / self.cols, tile % self.cols);
        let (image, band) = (band / self.bands, band % self.bands);
        let ([height, width], [down, right], [above, beside]) = (self.sides, self.steps, self.phases);
        if [down, right] == [1, 1] {
            let (row, part) = (band / self.in_row, band % self.in_row);
            return Place { image, row: row * height, col: (part * self.cols + tile) * width };
        }
        let (phase, tile) = (tile % (above * beside), tile / (above * beside));
        let row = band * height * down + phase / beside;
        Place { image, row, col: tile * width * right + phase % beside }
    }

    /// The positions of the output, counted through all images, in the bands before `band`.
    pub(super) fn positions_before(&self, band: usize) -> usize {
        let Geometry2d { rows, cols, .. } = self.geometry;
        let ([height, width], [down, _]) = (self.sides, self.steps);
        let (image, band) = (band / self.bands, band % self.bands);
        let (row, part) = (band / self.in_row, band % self.in_row);
        let row = (row * height * down).min(rows.output);
        (image * rows.output + row) * cols.output + (part * self.cols * width).min(cols.output)
    }

    /// The elements of the output in the bands `bands`: they lie together.
    pub(super) fn output_of(&self, bands: Range<usize>) -> Range<usize> {
        let depth = self.geometry.out_channels;
        self.positions_before(bands.start) * depth..self.positions_before(bands.end) * depth
    }

    /// The rows and columns of outputs that a tile has, those beyond the edge left out.
    #[inline(always)]
    pub(super) fn covered(&self, place: Place) -> (usize, usize) {
        let Geometry2d { rows, cols, .. } = self.geometry;
        let ([height, width], [down, right]) = (self.sides, self.steps);
        (height.min(left(rows.output, down, place.row)), width.min(left(cols.output, right, place.col)))
    }
}

/// How many of so many outputs, from `first` on, belong to one phase.
#[inline(always)]
fn left(outputs: usize, step: usize, first: usize) -> usize {
    let left = outputs.saturating_sub(first);
    if step == 1 { left } else { left.div_ceil(step) }
}
