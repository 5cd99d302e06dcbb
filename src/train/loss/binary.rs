//! [`BinaryCrossEntropy`]: the loss of yes-or-no questions.

use num_traits::clamp;

use super::cross_entropy::EPSILON;
use super::terms::{Term, Terms};
use super::{Loss, Reduction, loss_of_terms};
use crate::train::Targets;
use crate::{Element, Error, Result, Tensor};

const NAME: &str = "BinaryCrossEntropy";

/// The cross-entropy of independent yes-or-no answers: Keras' `BinaryCrossentropy`, PyTorch's `BCEWithLogitsLoss`.
///
/// For every prediction `x` with the target `y` (0 or 1, or a probability), with `p = 1 / (1 + exp(-x))`,
///
/// ```text
/// loss = -z ln p - (1 - z) ln(1 - p),    z = (1 - label_smoothing) * y + label_smoothing / 2
/// ```
///
/// computed as `z softplus(-x) + (1 - z) softplus(x)`, which neither overflows nor loses small probabilities.
/// Targets are a tensor of the predictions' shape, or a label 0 or 1 for each prediction.
/// With `from_logits(false)` the predictions are `p` themselves, clipped to `1e-7 ..= 1 - 1e-7` as in Keras.
///
/// ```
/// use striate::{Tensor, train::{BinaryCrossEntropy, Loss}};
/// let logits = Tensor::from(ndarray::array![[0.0], [-1000.0]]);
/// let loss = BinaryCrossEntropy::new().forward(&logits, &[1, 0].into())?;
/// assert_eq!(loss.as_slice(), [0.5 * 2_f64.ln()]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryCrossEntropy {
    from_logits: bool,
    label_smoothing: f64,
    reduction: Reduction,
}

impl Default for BinaryCrossEntropy {
    fn default() -> Self {
        BinaryCrossEntropy { from_logits: true, label_smoothing: 0.0, reduction: Reduction::Mean }
    }
}

impl BinaryCrossEntropy {
    /// The mean binary cross-entropy from logits.
    ///
    /// ```
    /// use striate::train::{BinaryCrossEntropy, Reduction};
    /// let spelt_out = BinaryCrossEntropy::new().from_logits(true).label_smoothing(0.0).reduction(Reduction::Mean);
    /// assert_eq!(BinaryCrossEntropy::new(), spelt_out);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the predictions are logits (the default) or probabilities.
    ///
    /// ```
    /// use striate::{Tensor, train::{BinaryCrossEntropy, Loss}};
    /// let probabilities = Tensor::from(ndarray::array![[0.25]]);
    /// let loss = BinaryCrossEntropy::new().from_logits(false).forward(&probabilities, &[1].into())?;
    /// assert_eq!(loss.as_slice(), [4_f64.ln()]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> Self {
        self.from_logits = from_logits;
        self
    }

    /// How far targets are drawn towards one half, in `0 ..= 1`.
    ///
    /// ```
    /// use striate::{Tensor, train::{BinaryCrossEntropy, Loss}};
    /// let sure = Tensor::from(ndarray::array![10.0]);
    /// let value = |share| BinaryCrossEntropy::new().label_smoothing(share).forward(&sure, &[1].into());
    /// assert!(value(0.1)?.as_slice()[0] > value(0.0)?.as_slice()[0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn label_smoothing(mut self, share: f64) -> Self {
        self.label_smoothing = share;
        self
    }

    fn terms<'a, T: Element>(
        &self,
        predictions: &'a Tensor<T>,
        targets: &'a Targets<T>,
    ) -> Result<Terms<'a, T, impl Term<T> + use<'a, T>>> {
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(Error::argument(NAME, "a label smoothing within 0 ..= 1", self.label_smoothing));
        }
        let target = binary_targets(NAME, predictions, targets)?;
        let (keep, spread) = (T::of(1.0 - self.label_smoothing), T::of(self.label_smoothing / 2.0));
        let point = if self.from_logits { from_logit } else { from_probability };
        let term = move |i: usize, x: &[T], grad: Option<(&mut [T], T)>| {
            let (loss, slope) = point(x[0], keep * target(i) + spread);
            if let Some((grad, scale)) = grad {
                grad[0] = scale * slope;
            }
            loss
        };
        let weight = predictions.len() as f64;
        Ok(Terms { name: NAME, predictions, width: 1, shape: predictions.shape(), weight, term })
    }
}

loss_of_terms!(BinaryCrossEntropy, BinaryCrossEntropy::new());

/// The target of the prediction at a flat position: labels 0 and 1, or values of the predictions' shape.
pub(in crate::train) fn binary_targets<'a, T: Element>(
    operation: &'static str,
    predictions: &Tensor<T>,
    targets: &'a Targets<T>,
) -> Result<impl Fn(usize) -> T + Sync + use<'a, T>> {
    match targets {
        Targets::Values(_) => targets.values_like(operation, predictions.shape()).map(drop)?,
        Targets::Labels(labels) if labels.len() != predictions.len() => {
            let expected = format!("a label for each prediction of {:?}", predictions.shape());
            return Err(Error::shape(operation, expected, &[labels.len()]));
        }
        Targets::Labels(labels) => {
            if let Some(label) = labels.iter().find(|label| **label > 1) {
                return Err(Error::value(operation, "labels 0 and 1", label));
            }
        }
    }
    Ok(move |i: usize| match targets {
        Targets::Labels(labels) if labels[i] == 0 => T::zero(),
        Targets::Labels(_) => T::one(),
        Targets::Values(values) => values.as_slice()[i],
    })
}

/// The loss and its derivative by the logit `x`.
fn from_logit<T: Element>(x: T, z: T) -> (T, T) {
    let tail = (-x.abs()).exp();
    let softplus = |v: T| v.max(T::zero()) + tail.ln_1p();
    let sigmoid = if x >= T::zero() { T::one() / (T::one() + tail) } else { tail / (T::one() + tail) };
    (z * softplus(-x) + (T::one() - z) * softplus(x), sigmoid - z)
}

/// The loss and its derivative by the probability `x`, which is 0 where it is clipped.
fn from_probability<T: Element>(x: T, z: T) -> (T, T) {
    let p = clamp(x, T::of(EPSILON), T::of(1.0 - EPSILON));
    let rest = T::one() - p;
    let slope = if p == x { (p - z) / (p * rest) } else { T::zero() };
    (-z * p.ln() - (T::one() - z) * rest.ln(), slope)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{REDUCTIONS, check_gradient, normal};
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn gradients() {
        for reduction in REDUCTIONS {
            for smoothing in [0.0, 0.2] {
                let loss = BinaryCrossEntropy::new().label_smoothing(smoothing).reduction(reduction);
                let logits = normal(&[3, 2], 1);
                let probabilities = logits.map(|v| 1.0 / (1.0 + (-v).exp()));
                let soft = probabilities.map(|p| 1.0 - p).into();
                for targets in [&[0, 1, 1, 0, 1, 0].into(), &soft] {
                    check_gradient(&loss, &logits, targets);
                    check_gradient(&loss.clone().from_logits(false), &probabilities, targets);
                }
            }
        }
    }

    #[test]
    fn it_is_the_logarithm_of_the_sigmoid() {
        let (x, y) = (normal(&[5], 1), normal(&[5], 2).map(|v| v.abs().min(1.0)));
        let losses = BinaryCrossEntropy::new().reduction(Reduction::None).forward(&x, &(&y).into()).unwrap();
        for ((&x, &y), &got) in x.as_slice().iter().zip(y.as_slice()).zip(losses.as_slice()) {
            let p = 1.0 / (1.0 + (-x).exp());
            approx::assert_relative_eq!(got, -y * p.ln() - (1.0 - y) * (1.0 - p).ln(), max_relative = 1e-12);
        }
    }

    #[test]
    fn large_logits_neither_overflow_nor_vanish() {
        let x = Tensor::from(ndarray::array![1e4_f32, -1e4, 30.0]);
        let loss = BinaryCrossEntropy::new().reduction(Reduction::None);
        let (value, grad) = loss.value_and_grad(&x, &[0, 0, 1].into()).unwrap();
        assert_eq!(value.as_slice(), [1e4, 0.0, (-30_f32).exp()]);
        assert_eq!(grad.as_slice()[..2], [1.0, 0.0]);
    }

    #[test]
    fn probabilities_are_clipped() {
        let loss = BinaryCrossEntropy::new().from_logits(false);
        let (value, grad) = loss.value_and_grad(&Tensor::from(ndarray::array![0.0]), &[1].into()).unwrap();
        assert_eq!((value.as_slice(), grad.as_slice()), (&[-(1e-7_f64.ln())][..], &[0.0][..]));
    }

    #[test]
    fn mistakes_are_errors() {
        let x = normal(&[2, 1], 1);
        let kind =
            |targets: Targets<f64>| BinaryCrossEntropy::new().forward(&x, &targets).unwrap_err().kind();
        assert_eq!(kind([0, 2].into()), ErrorKind::Value);
        assert_eq!(kind([0].into()), ErrorKind::Shape);
        assert_eq!(kind(normal(&[1, 2], 1).into()), ErrorKind::Shape);
        let empty = Tensor::<f64>::zeros(&[0, 1]).unwrap();
        assert!(BinaryCrossEntropy::new().forward(&empty, &Vec::new().into()).is_err());
        assert!(BinaryCrossEntropy::new().label_smoothing(-0.1).forward(&x, &[0, 1].into()).is_err());
    }
}
