//! [`PReLU`].

use super::weights::{Spec, Weights, delegate_to_weights};
use crate::layer::{Saved, Tape};
use crate::memory::len_of;
use crate::ops::{self, check_shape};
use crate::{Cost, Element, Error, Initializer, Layer, Result, Tensor};

const KIND: &str = "PReLU";

/// What shares a slope.
#[derive(Clone, Copy, Debug)]
enum Shared {
    Nothing,
    Channel,
    Everything,
}

/// The parametric rectifier (He et al., 2015): `y = x` where `x > 0`, else `alpha * x`, with slopes `alpha` that are
/// trained, as [`ops::prelu`].
///
/// | | Keras | PyTorch | `alpha` |
/// |---|---|---|---|
/// | `PReLU::new()` | `PReLU()` | | all axes of the input but the batch's |
/// | `.per_channel()` | `PReLU(shared_axes=[1, 2])` | `PReLU(channels)` | `[channels]` |
/// | `.single()` | | `PReLU()` | `[1]` |
///
/// The slopes start from 0, as in Keras; PyTorch's start from 0.25.
///
/// # Errors
/// If the input has not at least two axes, none of them empty but the batch's.
///
/// ```
/// use striate::{Initializer, Layer, PReLU, Rng, Tensor};
/// let mut rectifier = PReLU::new().per_channel().alpha_initializer(Initializer::Constant(0.25));
/// rectifier.build(&[1, 4, 4, 2], &mut Rng::seed(1))?;
/// let y = rectifier.forward(&Tensor::full(&[1, 4, 4, 2], -2.0)?)?;
/// assert_eq!(y, Tensor::full(&[1, 4, 4, 2], -0.5)?);
/// assert_eq!(rectifier.params()[0].1.value().shape(), [2]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PReLU<T: Element = f32> {
    shared: Shared,
    alpha_initializer: Initializer,
    weights: Weights<T>,
}

impl<T: Element> PReLU<T> {
    /// A slope for every position and channel.
    ///
    /// ```
    /// use striate::{Layer, PReLU};
    /// let rectifier: PReLU = PReLU::new();
    /// assert_eq!(rectifier.cost(&[1, 5, 6, 8])?.params, 5 * 6 * 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        let (shared, alpha_initializer) = (Shared::Nothing, Initializer::Zeros);
        PReLU { shared, alpha_initializer, weights: Weights::none(KIND) }
    }

    /// One slope for each channel. A layer that is built already must be built again.
    ///
    /// ```
    /// use striate::{Layer, PReLU};
    /// let rectifier: PReLU = PReLU::new().per_channel();
    /// assert_eq!(rectifier.cost(&[1, 5, 6, 8])?.params, 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn per_channel(mut self) -> Self {
        self.shared = Shared::Channel;
        self.weights.clear();
        self
    }

    /// One slope for all. A layer that is built already must be built again.
    ///
    /// ```
    /// use striate::{Layer, PReLU};
    /// let rectifier: PReLU = PReLU::new().single();
    /// assert_eq!(rectifier.cost(&[1, 5, 6, 8])?.params, 1);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn single(mut self) -> Self {
        self.shared = Shared::Everything;
        self.weights.clear();
        self
    }

    /// What the slopes start from. Default [`Initializer::Zeros`].
    ///
    /// ```
    /// use striate::{Initializer, Layer, PReLU, Rng};
    /// let mut rectifier: PReLU = PReLU::new().alpha_initializer(Initializer::Constant(0.25));
    /// rectifier.build(&[1, 4], &mut Rng::seed(1))?;
    /// assert_eq!(rectifier.params()[0].1.value().as_slice(), [0.25; 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn alpha_initializer(mut self, initializer: Initializer) -> Self {
        self.alpha_initializer = initializer;
        self
    }

    /// The shape of the slopes for an input of this shape.
    fn alpha(&self, input: &[usize]) -> Result<Vec<usize>> {
        len_of(KIND, input)?;
        match (self.shared, input) {
            (_, [_, axes @ ..]) if axes.is_empty() || axes.contains(&0) => {}
            (Shared::Nothing, [_, axes @ ..]) => return Ok(axes.to_vec()),
            (Shared::Channel, [.., channels]) => return Ok(vec![*channels]),
            (Shared::Everything, [_, ..]) => return Ok(vec![1]),
            (_, []) => {}
        }
        Err(Error::shape(KIND, "an input of [batch, ..., channels], none empty", input))
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        Ok(vec![Spec::new("alpha", &self.alpha(input)?, self.alpha_initializer)])
    }

    /// The slopes, for an input that fits them.
    fn own_alpha(&self, input: &[usize]) -> Result<&Tensor<T>> {
        self.weights.check()?;
        let alpha = self.weights.value("alpha")?;
        check_shape(KIND, "slopes", alpha.shape(), &self.alpha(input)?)?;
        Ok(alpha)
    }
}

impl<T: Element> Default for PReLU<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Element> Layer<T> for PReLU<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.alpha(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        Ok(ops::prelu(x.view(), self.own_alpha(x.shape())?.view())?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(KIND, Saved::Tensor(x));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let x = tape.pop_tensor(KIND)?;
        let alpha = self.own_alpha(x.shape())?;
        let (dx, dalpha) = ops::prelu_backward(grad.view(), x.view(), alpha.view())?;
        self.weights.add_grad("alpha", || Ok(dalpha))?;
        Ok(dx.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let elements = len_of(KIND, input)?;
        Ok(Cost {
            multiplications: elements as u64,
            saved_bytes: elements.saturating_mul(size_of::<T>()),
            ..self.weights.cost(&self.specs(input)?)?
        })
    }
}
