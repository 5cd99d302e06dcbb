//! Average pooling: the rows and the columns of a window are added up one after the other. Two short sums in place of one
//! long one are faster, and round less. No sum goes on from that of a neighbouring window: what
//! large numbers take from the small ones would stay when they leave.

use std::iter::zip;
use std::ops::Range;

use super::forward::{Reduction, reduce};
use super::{Direction, Rows, columns_inside, compute, piece};
use crate::kernels::simd::{Simd, isa};
use crate::kernels::sum::add;
use crate::{Element, Geometry2d, WindowAxis};

/// What average pooling divides the sum over a window by.
///
/// The frameworks differ where a window reaches beyond the input:
///
/// | | TensorFlow, Keras | PyTorch | ONNX |
/// |---|---|---|---|
/// | default | `InsideInput` | `IncludePadding` | `InsideInput` |
/// | option | | `count_include_pad`, `divisor_override` | `count_include_pad` |
///
/// ```
/// use striate::{Padding, Window2d, ops::{self, Divisor}};
/// let x = ndarray::Array4::<f32>::ones((1, 2, 2, 1));
/// let geometry = Window2d::new(2).strides(2).padding(Padding::all(1)).pool(x.shape())?;
/// let corner = |divisor| Ok(ops::avg_pool2d(x.view(), divisor, &geometry)?[[0, 0, 0, 0]]);
/// assert_eq!(corner(Divisor::InsideInput)?, 1.0);       // the corner window sees one 1
/// assert_eq!(corner(Divisor::IncludePadding)?, 0.25);
/// assert_eq!(corner(Divisor::Fixed(2))?, 0.5);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Divisor {
    /// The number of the window's positions that lie inside the input.
    #[default]
    InsideInput,
    /// The number of the window's positions that lie inside the input and its padding. Positions that a window reaches
    /// only because of [`ceil_mode`](crate::Window2d::ceil_mode) never count.
    IncludePadding,
    /// Always this number, 1 or more.
    Fixed(usize),
}

impl Divisor {
    /// How many positions of window `o` count along one axis.
    fn count(self, axis: &WindowAxis, o: usize) -> usize {
        match self {
            Divisor::InsideInput => axis.taps(o).len(),
            Divisor::IncludePadding => axis.padded_taps(o),
            Divisor::Fixed(_) => 1,
        }
    }

    /// What to divide by where so many rows and columns count.
    fn of<T: Element>(self, rows: usize, cols: usize) -> T {
        T::of(if let Divisor::Fixed(n) = self { n } else { rows * cols } as f64)
    }
}

/// The sum over each window, divided by its divisor. Writes all of `out`.
pub(crate) fn average<T: Element>(input: &[T], geometry: &Geometry2d, divisor: Divisor, out: &mut [T]) {
    reduce(isa(), input, geometry, Mean { divisor }, out);
}

/// Sums, divided.
#[derive(Clone, Copy)]
pub(super) struct Mean {
    pub(super) divisor: Divisor,
}

impl<T: Element> Reduction<T> for Mean {
    type Exact = Self;

    #[inline(always)]
    fn join<S: Simd<T>>(self, simd: S, a: S::V, b: S::V) -> S::V {
        simd.add(a, b)
    }

    #[inline(always)]
    fn divisor(self, geometry: &Geometry2d, row: usize, col: usize) -> Option<T> {
        let (rows, cols) = (self.divisor.count(&geometry.rows, row), self.divisor.count(&geometry.cols, col));
        Some(self.divisor.of(rows, cols))
    }

    fn exact(self) -> Self {
        self
    }
}

/// The gradient of the input: every position gets its share of the gradients of all windows that see it. Writes all
/// of `out`.
pub(crate) fn average_backward<T: Element>(
    grad: &[T],
    geometry: &Geometry2d,
    divisor: Divisor,
    out: &mut [T],
) {
    let direction = Backward { grad, geometry, divisor, inside: columns_inside(geometry) };
    let nothing = &mut vec![(); out.len()];
    compute(&direction, Rows::of_input(geometry), out, nothing);
}

struct Backward<'a, T> {
    grad: &'a [T],
    geometry: &'a Geometry2d,
    divisor: Divisor,
    inside: Vec<Range<usize>>,
}

impl<T: Element> Direction<T, ()> for Backward<'_, T> {
    #[inline(always)]
    fn row(&self, image: usize, row: usize, out: &mut [T], _: &mut [()], shares: &mut Vec<T>) {
        let Geometry2d { rows, cols, in_channels: channels, .. } = *self.geometry;
        let line = cols.output * channels;
        shares.clear();
        shares.resize(line, T::zero());
        for (output_row, _) in rows.windows_over(row) {
            let row_count = self.divisor.count(&rows, output_row);
            let grads = piece(self.grad, image * rows.output + output_row, line).chunks_exact(channels);
            for (col, (shares, grad)) in zip(shares.chunks_exact_mut(channels), grads).enumerate() {
                let divisor: T = self.divisor.of(row_count, self.divisor.count(&cols, col));
                zip(shares, grad).for_each(|(share, &grad)| *share += grad / divisor);
            }
        }
        out.fill(T::zero());
        for ((col, shares), taps) in shares.chunks_exact(channels).enumerate().zip(&self.inside) {
            for j in taps.clone() {
                add(&mut out[cols.read(col, j) * channels..][..channels], shares);
            }
        }
    }
}
