//! [`PoolIndices`]: where the outputs of max pooling came from.

use ndarray::Array4;

use super::to_array;
use crate::kernels::recycle;
use crate::memory::{filled, zeros};
use crate::{Error, ErrorKind, Geometry2d, Result};

/// Where the outputs of a max pooling came from: for each, the tap of its window, `row * kw + column`. One byte each, or
/// four where the window has more than 256 taps.
///
/// ```
/// use ndarray::array;
/// use striate::{Window2d, ops};
/// let x = array![[[[1.0_f32], [0.0], [4.0], [5.0]]]];
/// let geometry = Window2d::new((1, 2)).strides((1, 2)).pool(x.shape())?;
/// let (_, indices) = ops::max_pool2d_with_indices(x.view(), &geometry)?;
/// assert_eq!(indices.positions(&geometry)?, array![[[[0], [3]]]]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolIndices {
    taps: Taps,
    geometry: Geometry2d,
}

/// The taps of [`PoolIndices`], one an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taps {
    Bytes(Vec<u8>),
    Numbers(Vec<u32>),
}

impl Taps {
    /// The first tap for every output of `geometry`.
    pub(super) fn zeros(op: &'static str, geometry: &Geometry2d) -> Result<Self> {
        let shape = geometry.output_shape();
        let taps = geometry.rows.kernel * geometry.cols.kernel;
        if taps.saturating_sub(1) > u32::MAX as usize {
            return Err(Error::size(op, "a window of at most 2^32 taps", taps));
        }
        Ok(match Self::bytes_each(geometry) {
            1 => Taps::Bytes(zeros(op, &shape)?),
            _ => Taps::Numbers(zeros(op, &shape)?),
        })
    }

    /// How many bytes each tap of `geometry` takes.
    pub(crate) fn bytes_each(geometry: &Geometry2d) -> usize {
        if geometry.rows.kernel * geometry.cols.kernel <= 256 { 1 } else { 4 }
    }

    fn len(&self) -> usize {
        match self {
            Taps::Bytes(taps) => taps.len(),
            Taps::Numbers(taps) => taps.len(),
        }
    }
}

impl Drop for PoolIndices {
    /// The memory is kept for the next ones on this thread.
    fn drop(&mut self) {
        match self.take_taps() {
            Taps::Bytes(taps) => recycle(taps),
            Taps::Numbers(taps) => recycle(taps),
        }
    }
}

impl PoolIndices {
    /// The taps of a max pooling of this geometry.
    pub(crate) fn new(op: &'static str, taps: Taps, geometry: &Geometry2d) -> Result<Self> {
        let output = geometry.output_shape();
        if taps.len() != output.iter().product::<usize>() {
            return Err(Error::new(ErrorKind::Shape, op, format_args!("indices for {output:?}"), taps.len()));
        }
        Ok(PoolIndices { taps, geometry: *geometry })
    }

    pub(crate) fn taps(&self) -> &Taps {
        &self.taps
    }

    pub(crate) fn into_taps(mut self) -> Taps {
        self.take_taps()
    }

    fn take_taps(&mut self) -> Taps {
        std::mem::replace(&mut self.taps, Taps::Bytes(Vec::new()))
    }

    /// Fails unless these are indices of a pooling of that geometry.
    pub(super) fn check(&self, op: &'static str, geometry: &Geometry2d) -> Result<()> {
        if self.geometry == *geometry {
            return Ok(());
        }
        let expected = format!("indices of the same pooling, {geometry:?}");
        Err(Error::new(ErrorKind::Shape, op, expected, format_args!("those of {:?}", self.geometry)))
    }

    /// The positions `row * width + column` in the unpadded input that the outputs came from, in the output's shape:
    /// PyTorch's `return_indices`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `geometry` is not that of the pooling, and
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if the result does not fit in memory.
    ///
    /// ```
    /// use ndarray::{Array4, array};
    /// use striate::{Padding, Window2d, ops};
    /// let x = Array4::<f32>::ones((1, 3, 3, 1));
    /// let geometry = Window2d::new(2).strides(2).padding(Padding::all(1)).pool(x.shape())?;
    /// let (_, indices) = ops::max_pool2d_with_indices(x.view(), &geometry)?;
    /// assert_eq!(indices.positions(&geometry)?, array![[[[0], [1]], [[3], [4]]]]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn positions(&self, geometry: &Geometry2d) -> Result<Array4<usize>> {
        const OP: &str = "positions";
        self.check(OP, geometry)?;
        let positions = match &self.taps {
            Taps::Bytes(taps) => self.resolve(OP, taps.iter().map(|&tap| usize::from(tap)), geometry),
            Taps::Numbers(taps) => self.resolve(OP, taps.iter().map(|&tap| tap as usize), geometry),
        };
        to_array(OP, geometry.output_shape(), positions?)
    }

    /// The positions that the taps, one an output, look at.
    fn resolve(
        &self,
        op: &'static str,
        taps: impl Iterator<Item = usize>,
        geometry: &Geometry2d,
    ) -> Result<Vec<usize>> {
        let Geometry2d { rows, cols, .. } = *geometry;
        let [_, height, width, channels] = geometry.output_shape();
        let mut positions = filled(op, &geometry.output_shape(), 0)?;
        for (index, (position, tap)) in positions.iter_mut().zip(taps).enumerate() {
            let pixel = index / channels;
            let row = rows.source(pixel / width % height, tap / cols.kernel);
            let col = cols.source(pixel % width, tap % cols.kernel);
            *position = match (row, col) {
                (Some(row), Some(col)) => row * cols.input + col,
                _ => return Err(Error::new(ErrorKind::Shape, op, "taps inside the input", tap)),
            };
        }
        Ok(positions)
    }
}
