//! Convolution by 3x3 with a stride of one or two through Winograd's transform: 1.8 to 4 times fewer multiplications.
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
    /// 2x2 outputs from 4x4 inputs: 16 products for 36.
    Two,
    /// 4x4 outputs from 6x6 inputs: 36 products for 144.
    Four,
    /// 4x4 outputs of a window that moves by two, from 9x9 inputs: 81 products for 144.
    Strided,
}

impl TileSize {
    /// How far the window moves.
    fn stride(self) -> usize {
        match self {
            TileSize::Two | TileSize::Four => 1,
            TileSize::Strided => 2,
        }
    }

    /// The outputs along a side.
    pub(crate) fn outputs(self) -> usize {
        match self {
            TileSize::Two => 2,
            TileSize::Four | TileSize::Strided => 4,
        }
    }

    /// The inputs along a side, and the terms along a side: as many.
    fn inputs(self) -> usize {
        self.outputs() * self.stride() + 3 - self.stride()
    }

    /// The points along a side.
    fn points_along(self) -> usize {
        self.outputs() + 3 - self.stride()
    }

    fn terms(self) -> usize {
        self.inputs() * self.inputs()
    }

    fn points(self) -> usize {
        self.points_along() * self.points_along()
    }

    /// The point of a term, and whether the term is the point's first.
    fn point_of(self, term: usize) -> (usize, bool) {
        let (inputs, points) = (self.inputs(), self.points_along());
        let (row, col) = (term / inputs, term % inputs);
        (row % points * points + col % points, row < points && col < points)
    }
}

#[cfg(test)]
mod tests;
