//! [`Accuracy`].

/// How exactly a convolution is computed: whether algorithms that transform their input may be used.
///
/// | | rounding, `u = 2^-24` for `f32` | not finite |
/// |---|---|---|
/// | `Strict` | `max(8 sqrt(K), 16) u` times `sum of abs(x * w)`, over `K` products: a plain sum | stays in the windows that see it |
/// | `Fast`, the default | kernels of 3x3, 5x5, 1x3 and 3x1 through Winograd's transform: up to `24 u` times the largest such sum of a tile of at most 4x4 outputs, on average at most about twice a plain sum's | may spread over such a tile (of a dilated layer, of outputs that lie as far apart) |
///
/// Whole numbers that are small enough are summed exactly under `Strict`.
///
/// Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016, describe the transform; DESIGN.md says when
/// it is used.
///
/// ```
/// use striate::{Accuracy, Conv2D, Layer, Padding, Rng, Tensor};
/// let layer = || Conv2D::new(64, 3).padding(Padding::Same);
/// let (mut fast, mut strict) = (layer(), layer().accuracy(Accuracy::Strict));
/// fast.build(&[1, 28, 28, 64], &mut Rng::seed(1))?;
/// strict.build(&[1, 28, 28, 64], &mut Rng::seed(1))?;
/// let x = Tensor::<f32>::full(&[1, 28, 28, 64], 0.5)?;
/// approx::assert_relative_eq!(fast.forward(&x)?, strict.forward(&x)?, epsilon = 1e-5);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Accuracy {
    /// The fastest algorithm whose error is bounded as the table says.
    #[default]
    Fast,
    /// Plain sums of products only.
    Strict,
}
