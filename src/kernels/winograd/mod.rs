//! Convolution through Winograd's transform, with 1.8 to 4 times fewer multiplications: by 3x3 with a stride of one or two, and by 5x5,
//! 1x3 and 3x1.
//!
//! | file | holds |
//! |---|---|
//! | `points` | the algorithm's matrices, and the one-dimensional transforms |
//! | `kernel`, `input`, `output` | the transforms of a kernel, of tiles of the input, and back into the output |
//! | `tiling` | where tiles lie |
//! | `blocking` | how many are done at a time, and by whom |
//! | `driver` | the forward pass: transform a block of tiles, multiply every term, transform back |
//! | `gradient` | the gradient of the kernel |
//! | `cost` | where all this pays |

mod blocking;
mod cost;
mod driver;
mod gradient;
mod input;
mod kernel;
mod output;
mod points;
mod tiling;

pub(super) use cost::{choose, choose_gradient, choose_once, forecast};
pub(super) use driver::{Kernel, forward, forward_part};
pub(super) use gradient::backward_kernel;
pub(super) use kernel::WinogradKernel;

/// What a tile computes. Its transform has *terms*, whose products are summed at *points*, which are transformed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileSize {
    /// 2x2 outputs of 3x3, from 4x4 inputs: 16 products for 36.
    Two,
    /// 4x4 outputs of 3x3, from 6x6 inputs: 36 products for 144.
    Four,
    /// 4x4 outputs of 3x3 that moves by two, from 9x9 inputs: 81 products for 144.
    Strided,
    /// 2x2 outputs of 5x5, from 6x6 inputs: 36 products for 100.
    TwoOfFive,
    /// Four outputs beside each other of 1x3, from six inputs: 6 products for 12.
    Row,
    /// The same of 3x1, below each other.
    Column,
}

/// What a tile computes along its rows, or its columns.
#[derive(Clone, Copy)]
pub(crate) struct Side {
    pub(crate) outputs: usize,
    taps: usize,
    stride: usize,
}

impl Side {
    const ONE: Self = Side { outputs: 1, taps: 1, stride: 1 };
    const TWO: Self = Side { outputs: 2, taps: 3, stride: 1 };
    const FOUR: Self = Side { outputs: 4, taps: 3, stride: 1 };
    const STRIDED: Self = Side { outputs: 4, taps: 3, stride: 2 };
    const TWO_OF_FIVE: Self = Side { outputs: 2, taps: 5, stride: 1 };

    /// The inputs, and the terms: as many.
    fn inputs(self) -> usize {
        (self.outputs - 1) * self.stride + self.taps
    }

    fn points(self) -> usize {
        self.outputs + self.taps.div_ceil(self.stride) - 1
    }
}

impl TileSize {
    const ALL: [Self; 6] = [
        TileSize::Two,
        TileSize::Four,
        TileSize::Strided,
        TileSize::TwoOfFive,
        TileSize::Row,
        TileSize::Column,
    ];

    /// How many there are.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// What it computes from top to bottom, and from left to right.
    pub(crate) fn sides(self) -> [Side; 2] {
        match self {
            TileSize::Two => [Side::TWO; 2],
            TileSize::Four => [Side::FOUR; 2],
            TileSize::Strided => [Side::STRIDED; 2],
            TileSize::TwoOfFive => [Side::TWO_OF_FIVE; 2],
            TileSize::Row => [Side::ONE, Side::FOUR],
            TileSize::Column => [Side::FOUR, Side::ONE],
        }
    }

    /// The taps of the kernel.
    fn taps(self) -> usize {
        self.sides().map(|side| side.taps).iter().product()
    }

    fn terms(self) -> usize {
        self.sides().map(Side::inputs).iter().product()
    }

    fn points(self) -> usize {
        self.sides().map(Side::points).iter().product()
    }

    /// The point of a term, and whether the term is the point's first.
    fn point_of(self, term: usize) -> (usize, bool) {
        let [rows, cols] = self.sides();
        let (row, col) = (term / cols.inputs(), term % cols.inputs());
        let (height, width) = (rows.points(), cols.points());
        (row % height * width + col % width, row < height && col < width)
    }
}

#[cfg(test)]
mod tests;
