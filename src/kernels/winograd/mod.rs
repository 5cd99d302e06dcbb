//! Convolution by 3x3 with a stride of one through Winograd's transform: 2.25 or 4 times fewer multiplications.
//!
//! | file | holds |
//! |---|---|
//! | `points` | the algorithm's matrices, and the one-dimensional transforms |
//! | `kernel`, `input`, `output` | the transforms of a kernel, of tiles of the input, and back into the output |
//! | `tiling` | where tiles lie |
//! | `blocking` | how many are done at a time, and by whom |
//! | `driver` | the forward pass: transform a block of tiles, multiply at every point, transform back |
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
pub(super) use driver::{Kernel, forward};
pub(super) use gradient::backward_kernel;
pub(super) use kernel::WinogradKernel;

/// The outputs along a side of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TileSize {
    /// 2x2 outputs from 4x4 inputs: 16 products for 36.
    Two,
    /// 4x4 outputs from 6x6 inputs: 36 products for 144.
    Four,
}

impl TileSize {
    fn outputs(self) -> usize {
        match self {
            TileSize::Two => 2,
            TileSize::Four => 4,
        }
    }

    fn inputs(self) -> usize {
        self.outputs() + 2
    }

    fn points(self) -> usize {
        self.inputs() * self.inputs()
    }
}

#[cfg(test)]
mod tests;
