//! Losses: how far predictions are from their targets, and in which direction they should move.

mod binary;
mod cross_entropy;
mod regression;
mod terms;
#[cfg(test)]
mod testing;

use std::fmt::Debug;

pub use binary::BinaryCrossEntropy;
pub(super) use binary::binary_targets;
pub(super) use cross_entropy::rows_and_classes;
pub use cross_entropy::{Scores, SoftmaxCrossEntropy};
pub use regression::{Huber, MeanAbsoluteError, MeanSquaredError, SmoothL1};

use super::Targets;
use crate::{Element, Result, Tensor};

/// How the losses of the single positions become one.
///
/// The words are PyTorch's: a position is one element for losses that compare elements, and one row of classes for
/// a cross-entropy. (Keras averages over the last axis before it reduces; the means agree.)
///
/// ```
/// use striate::{Tensor, train::{Loss, MeanSquaredError, Reduction}};
/// let (x, y) = (Tensor::from(ndarray::array![1.0, 3.0]), Tensor::zeros(&[2])?.into());
/// let value = |reduction| MeanSquaredError::new().reduction(reduction).forward(&x, &y);
/// assert_eq!(value(Reduction::None)?.as_slice(), [1.0, 9.0]);
/// assert_eq!(value(Reduction::Sum)?.as_slice(), [10.0]);
/// assert_eq!(value(Reduction::Mean)?.as_slice(), [5.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reduction {
    /// Their mean, weighted if the loss has weights: `sum(loss) / sum(weight)`.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// All of them, as they are. Such a loss cannot drive [`Trainer::fit`](super::Trainer::fit), which needs one number.
    None,
}

/// A function of predictions and targets that training makes small.
///
/// A loss of your own needs [`forward`](Self::forward) and [`backward`](Self::backward):
///
/// ```
/// use striate::{Result, Tensor, train::{Loss, Targets}};
///
/// /// The sum of all predictions, whatever the targets.
/// #[derive(Debug)]
/// struct Total;
///
/// impl Loss for Total {
///     fn forward(&self, predictions: &Tensor, _: &Targets) -> Result<Tensor> {
///         Tensor::full(&[], predictions.as_slice().iter().sum())
///     }
///     fn backward(&self, predictions: &Tensor, _: &Targets, grad: &Tensor) -> Result<Tensor> {
///         Tensor::full(predictions.shape(), grad.as_slice().iter().sum())
///     }
///     fn is_sum(&self) -> bool {
///         true
///     }
/// }
///
/// let (value, grad) = Total.value_and_grad(&Tensor::full(&[2, 1], 3.0)?, &[0, 0].into())?;
/// assert_eq!((value.as_slice(), grad.as_slice()), (&[6.0][..], &[1.0, 1.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub trait Loss<T: Element = f32>: Debug + Send + Sync {
    /// The loss: of shape `[]` if it is reduced to one number, else one number for each position.
    ///
    /// # Errors
    /// If there are no predictions, the targets do not fit them, or an option makes no sense.
    fn forward(&self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<Tensor<T>>;

    /// From `grad`, the gradient with respect to what [`forward`](Self::forward) returns and of its shape, the
    /// gradient with respect to the predictions.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), or if `grad` has another shape than the loss.
    fn backward(&self, predictions: &Tensor<T>, targets: &Targets<T>, grad: &Tensor<T>) -> Result<Tensor<T>>;

    /// The loss, and the gradient of its sum with respect to the predictions: what a training step needs. The
    /// losses of this crate compute both in one go.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn value_and_grad(
        &self,
        predictions: &Tensor<T>,
        targets: &Targets<T>,
    ) -> Result<(Tensor<T>, Tensor<T>)> {
        let value = self.forward(predictions, targets)?;
        let grad = self.backward(predictions, targets, &Tensor::full(value.shape(), T::one())?)?;
        Ok((value, grad))
    }

    /// How much a batch counts in the mean over several batches: the number of its samples, unless the loss is a
    /// weighted mean, which then names its divisor.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn weight(&self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<f64> {
        let _ = targets;
        Ok(predictions.shape().first().map_or(1.0, |&samples| samples as f64))
    }

    /// Whether the loss of a batch is the sum of the losses of its parts, and not their mean by
    /// [`weight`](Self::weight), which is the default. Where batches are computed in parts, the gradients add up alike.
    fn is_sum(&self) -> bool {
        false
    }
}

/// Implements [`Loss`] for types with a method `terms(&self, predictions, targets) -> Result<Terms>` and a field
/// `reduction`, and the option of that name. The expression makes one, in the option's example.
macro_rules! loss_of_terms {
    ($type:ty, $new:expr $(, $weight:item)?) => {
        impl $type {
            /// How the losses of the single positions become one.
            ///
            /// ```
            /// use striate::{Tensor, train::*};
            #[doc = concat!("let loss = ", stringify!($new), ";")]
            /// let x = Tensor::from(ndarray::array![[0.25, 0.75], [0.5, 0.5]]);
            /// let y = Tensor::from(ndarray::array![[1.0, 0.0], [0.0, 1.0]]).into();
            /// let value = |reduction| loss.clone().reduction(reduction).forward(&x, &y);
            /// let sum: f64 = value(Reduction::None)?.as_slice().iter().sum();
            /// assert_eq!(value(Reduction::Sum)?.as_slice(), [sum]);
            /// # Ok::<(), striate::Error>(())
            /// ```
            #[must_use]
            pub fn reduction(mut self, reduction: Reduction) -> Self {
                self.reduction = reduction;
                self
            }
        }

        impl<T: Element> Loss<T> for $type {
            fn forward(&self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<Tensor<T>> {
                self.terms(predictions, targets)?.forward(self.reduction)
            }

            fn backward(&self, predictions: &Tensor<T>, targets: &Targets<T>, grad: &Tensor<T>) -> Result<Tensor<T>> {
                Ok(self.terms(predictions, targets)?.backward(self.reduction, Some(grad))?.1)
            }

            fn value_and_grad(
                &self,
                predictions: &Tensor<T>,
                targets: &Targets<T>,
            ) -> Result<(Tensor<T>, Tensor<T>)> {
                self.terms(predictions, targets)?.backward(self.reduction, None)
            }

            fn is_sum(&self) -> bool {
                self.reduction == Reduction::Sum
            }

            $($weight)?
        }
    };
}
use loss_of_terms;
