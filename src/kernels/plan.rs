//! How a convolution will be computed: what is decided before any number is touched.

use std::fmt;

use super::depthwise::GroupWeights;
use super::matmul::MR;
use super::patches::Patches;
use super::simd::{Isa, isa};
use super::winograd::{self, TileSize};
use super::{depthwise, direct};
use crate::Element;
use crate::geometry::Geometry2d;

/// How a convolution is computed.
///
/// ```
/// use striate::{Algorithm, Conv2D};
/// let depthwise: Conv2D = Conv2D::new(32, 3).groups(32);
/// assert_eq!(depthwise.plan(&[1, 28, 28, 32])?.algorithm(), Algorithm::GroupVectors);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// A matrix product whose left factor, the patches that windows see, is read in place: plain sums.
    ImplicitGemm,
    /// Plain sums in vectors over the channels of all groups: depthwise convolution, and small groups.
    GroupVectors,
    /// Winograd's F(2x2, 3x3): 16 products for the 36 of a tile of 2x2 outputs.
    WinogradF2,
    /// Winograd's F(4x4, 3x3): 36 products for the 144 of a tile of 4x4 outputs.
    WinogradF4,
    /// The same idea for windows that move by two: 81 products for the 144 of a tile of 4x4 outputs.
    WinogradStrided,
    /// Winograd's F(2x2, 5x5): 36 products for the 100 of a tile of 2x2 outputs.
    Winograd5x5,
    /// Winograd's F(4, 3) along rows, for windows of 1x3: 6 products for the 12 of four outputs.
    WinogradRow,
    /// The same along columns, for windows of 3x1.
    WinogradColumn,
}

impl Algorithm {
    /// What a convolution of `T` is fastest with, as its accuracy allows.
    pub(super) fn choose<T: Element>(geometry: &Geometry2d) -> Self {
        if GroupWeights::<T>::suit(geometry) {
            return Algorithm::GroupVectors;
        }
        match winograd::choose::<T>(geometry) {
            Some(TileSize::Two) => Algorithm::WinogradF2,
            Some(TileSize::Four) => Algorithm::WinogradF4,
            Some(TileSize::Strided) => Algorithm::WinogradStrided,
            Some(TileSize::TwoOfFive) => Algorithm::Winograd5x5,
            Some(TileSize::Row) => Algorithm::WinogradRow,
            Some(TileSize::Column) => Algorithm::WinogradColumn,
            None => Algorithm::ImplicitGemm,
        }
    }

    /// The tiles of Winograd's.
    pub(super) fn tiles(self) -> Option<TileSize> {
        match self {
            Algorithm::ImplicitGemm | Algorithm::GroupVectors => None,
            Algorithm::WinogradF2 => Some(TileSize::Two),
            Algorithm::WinogradF4 => Some(TileSize::Four),
            Algorithm::WinogradStrided => Some(TileSize::Strided),
            Algorithm::Winograd5x5 => Some(TileSize::TwoOfFive),
            Algorithm::WinogradRow => Some(TileSize::Row),
            Algorithm::WinogradColumn => Some(TileSize::Column),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Algorithm::ImplicitGemm => "implicit GEMM",
            Algorithm::GroupVectors => "group vectors",
            Algorithm::WinogradF2 => "Winograd F(2x2,3x3)",
            Algorithm::WinogradF4 => "Winograd F(4x4,3x3)",
            Algorithm::WinogradStrided => "Winograd F(4x4,3x3) by two",
            Algorithm::Winograd5x5 => "Winograd F(2x2,5x5)",
            Algorithm::WinogradRow => "Winograd F(1x4,1x3)",
            Algorithm::WinogradColumn => "Winograd F(4x1,3x1)",
        })
    }
}

/// How a layer will compute a convolution at inference: from [`Conv2D::plan`](crate::Conv2D::plan). It depends on the shapes, the
/// instruction set and the [`Accuracy`](crate::Accuracy); of the current thread pool only the scratch does.
///
/// ```
/// use striate::{Conv2D, Padding};
/// let conv: Conv2D = Conv2D::new(128, 3).padding(Padding::Same);
/// let plan = conv.plan(&[1, 28, 28, 128])?;
/// println!("{plan}"); // Winograd F(4x4,3x3) on avx2, tile 6x16, 0.6 MiB of scratch a thread, about 2.4x FMA peak
/// assert!(plan.workspace_bytes() <= 3 << 19);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    algorithm: Algorithm,
    isa: Isa,
    tile: [usize; 2],
    workspace_bytes: usize,
    expected_share: f64,
}

impl Plan {
    /// The plan for a convolution of `T`.
    pub(crate) fn new<T: Element>(geometry: &Geometry2d) -> Self {
        Self::by::<T>(Algorithm::choose::<T>(geometry), geometry)
    }

    /// The plan to compute it by this algorithm.
    pub(super) fn by<T: Element>(algorithm: Algorithm, geometry: &Geometry2d) -> Self {
        let (workspace_bytes, cost) = match algorithm.tiles() {
            Some(tiles) => winograd::forecast::<T>(geometry, tiles),
            None if algorithm == Algorithm::GroupVectors => (0, depthwise::cost::<T>(geometry)),
            None => {
                let patches = Patches::of_input(&[], geometry);
                (direct::workspace_bytes::<T>(&patches, geometry), direct::cost::<T>(geometry))
            }
        };
        let vectors = T::vectors(isa());
        let tile = [MR, vectors.panel * vectors.lanes];
        let expected_share = geometry.multiplications() as f64 / cost.max(1.0);
        Plan { algorithm, isa: isa(), tile, workspace_bytes, expected_share }
    }

    /// The algorithm.
    ///
    /// ```
    /// let pointwise: striate::Conv2D = striate::Conv2D::new(64, 1);
    /// assert_eq!(pointwise.plan(&[1, 56, 56, 64])?.algorithm(), striate::Algorithm::ImplicitGemm);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The instruction set.
    ///
    /// ```
    /// let conv: striate::Conv2D = striate::Conv2D::new(64, 1);
    /// assert_eq!(conv.plan(&[1, 56, 56, 64])?.isa(), striate::isa());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The scratch of a thread in bytes, beside the packed weights: at most 1.5 MiB, unless a single window or tile needs
    /// more.
    ///
    /// ```
    /// let conv: striate::Conv2D = striate::Conv2D::new(512, 3);
    /// assert!(conv.plan(&[1, 56, 56, 512])?.workspace_bytes() <= 3 << 19);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn workspace_bytes(&self) -> usize {
        self.workspace_bytes
    }

    /// The expected speed as a share of the fused multiply-adds that the processor can do: the multiplications of
    /// the definition, over those that the time would do. More than 1 where an algorithm needs fewer multiplications.
    ///
    /// ```
    /// use striate::{Conv2D, Padding};
    /// let conv: Conv2D = Conv2D::new(64, 3).padding(Padding::Same);
    /// assert!(conv.plan(&[1, 56, 56, 64])?.expected_share() > 1.5);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn expected_share(&self) -> f64 {
        self.expected_share
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { algorithm, isa, tile: [rows, columns], workspace_bytes, expected_share } = self;
        let scratch = *workspace_bytes as f64 / (1 << 20) as f64;
        write!(f, "{algorithm} on {isa}, ")?;
        if *algorithm != Algorithm::GroupVectors {
            write!(f, "tile {rows}x{columns}, ")?;
        }
        write!(f, "{scratch:.1} MiB of scratch a thread, about {expected_share:.1}x FMA peak")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Accuracy, Padding, Window2d};

    #[test]
    fn scratch_is_bounded_whatever_the_window() {
        let plan = |window: Window2d, input: [usize; 4], filters| {
            let [kh, kw] = window.kernel_size();
            Plan::new::<f32>(&window.conv(&input, &[kh, kw, input[3], filters]).unwrap())
        };
        // As many as the multiplications can be counted of.
        let filters = if cfg!(target_pointer_width = "64") { 96 } else { 48 };
        for channels in [3, 64, 512, 2048] {
            for (kernel, stride, dilation) in [
                ([1, 1], 1, 1),
                ([3, 3], 1, 1),
                ([3, 3], 2, 1),
                ([3, 3], 1, 2),
                ([5, 5], 1, 1),
                ([5, 5], 2, 1),
                ([7, 7], 2, 1),
                ([1, 3], 1, 1),
                ([3, 1], 1, 1),
            ] {
                let kernel = (kernel[0], kernel[1]);
                let window = Window2d::new(kernel).strides(stride).dilation(dilation).padding(Padding::Same);
                for accuracy in [Accuracy::Fast, Accuracy::Strict] {
                    for maps in [[0, 28, 28], [2, 28, 28], [96, 4, 4]] {
                        let [batch, height, width] = maps;
                        let plan = plan(window.accuracy(accuracy), [batch, height, width, channels], filters);
                        let fits = plan.workspace_bytes() <= 3 << 19;
                        assert!(fits, "{plan} for {maps:?} of {channels} channels, {window:?}");
                    }
                }
            }
        }
    }
}
