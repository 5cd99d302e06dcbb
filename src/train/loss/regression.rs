//! Losses of regressions: the square, the absolute value, and two that join them.

use super::terms::{Term, Terms};
use super::{Loss, Reduction, loss_of_terms};
use crate::train::Targets;
use crate::{Element, Error, Result, Tensor};

/// The mean of the squared errors, `(prediction - target)^2`: Keras' `MeanSquaredError`, PyTorch's `MSELoss`.
///
/// Targets are a tensor of the predictions' shape (a last axis of 1 may be missing).
///
/// ```
/// use striate::{Tensor, train::{Loss, MeanSquaredError, Targets}};
/// let target: Targets<f64> = Tensor::from(ndarray::array![1.0, 2.0]).into();
/// let (loss, grad) = MeanSquaredError::new().value_and_grad(&Tensor::from(ndarray::array![1.0, 5.0]), &target)?;
/// assert_eq!((loss.as_slice(), grad.as_slice()), (&[4.5][..], &[0.0, 3.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeanSquaredError {
    reduction: Reduction,
}

impl MeanSquaredError {
    /// The mean squared error.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, MeanSquaredError}};
    /// let (x, y) = (Tensor::from(ndarray::array![1.0, 3.0]), Tensor::zeros(&[2])?.into());
    /// assert_eq!(MeanSquaredError::new().forward(&x, &y)?.as_slice(), [(1.0 + 9.0) / 2.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

/// The mean of the absolute errors, `|prediction - target|`: Keras' `MeanAbsoluteError`, PyTorch's `L1Loss`. Its
/// derivative at 0 is 0.
///
/// ```
/// use striate::{Tensor, train::{Loss, MeanAbsoluteError, Targets}};
/// let target: Targets<f64> = Tensor::from(ndarray::array![1.0, 2.0]).into();
/// let loss = MeanAbsoluteError::new().forward(&Tensor::from(ndarray::array![1.0, 5.0]), &target)?;
/// assert_eq!(loss.as_slice(), [1.5]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeanAbsoluteError {
    reduction: Reduction,
}

impl MeanAbsoluteError {
    /// The mean absolute error.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, MeanAbsoluteError}};
    /// let (x, y) = (Tensor::from(ndarray::array![1.0, 3.0]), Tensor::zeros(&[2])?.into());
    /// assert_eq!(MeanAbsoluteError::new().forward(&x, &y)?.as_slice(), [(1.0 + 3.0) / 2.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

/// The absolute error, rounded off near 0 (Girshick 2015, "Fast R-CNN"): PyTorch's `SmoothL1Loss`. With the error
/// `e = prediction - target` it is `e^2 / (2 beta)` where `|e| < beta`, else `|e| - beta / 2`.
///
/// ```
/// use striate::{Tensor, train::{Loss, SmoothL1, Targets}};
/// let target: Targets<f64> = Tensor::from(ndarray::array![0.0, 0.0]).into();
/// let loss = SmoothL1::new(1.0).forward(&Tensor::from(ndarray::array![0.5, 3.5]), &target)?;
/// assert_eq!(loss.as_slice(), [(0.125 + 3.0) / 2.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SmoothL1 {
    beta: f64,
    reduction: Reduction,
}

impl SmoothL1 {
    /// The mean smooth absolute error; `beta` is where the curve becomes straight (PyTorch's default: 1): at least 0, and
    /// neither rounded to 0 nor to infinity in the precision of the predictions.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, MeanAbsoluteError, SmoothL1}};
    /// let (x, y) = (Tensor::from(ndarray::array![1.0, 3.0]), Tensor::zeros(&[2])?.into());
    /// assert_eq!(SmoothL1::new(2.0).forward(&x, &y)?.as_slice(), [(0.25 + 2.0) / 2.0]);
    /// assert_eq!(SmoothL1::new(0.0).forward(&x, &y)?, MeanAbsoluteError::new().forward(&x, &y)?);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(beta: f64) -> Self {
        SmoothL1 { beta, reduction: Reduction::Mean }
    }
}

/// The squared error, made straight far from 0 (Huber 1964, "Robust Estimation of a Location Parameter"): Keras' `Huber`,
/// PyTorch's `HuberLoss`. With the error `e = prediction - target` it is `e^2 / 2` where `|e| < delta`, else
/// `delta (|e| - delta / 2)`.
///
/// ```
/// use striate::{Tensor, train::{Huber, Loss, Targets}};
/// let target: Targets<f64> = Tensor::from(ndarray::array![0.0, 0.0]).into();
/// let loss = Huber::new(2.0).forward(&Tensor::from(ndarray::array![1.0, 3.0]), &target)?;
/// assert_eq!(loss.as_slice(), [(0.5 + 4.0) / 2.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Huber {
    delta: f64,
    reduction: Reduction,
}

impl Huber {
    /// The mean Huber loss; `delta` is where the curve becomes straight (Keras' and PyTorch's default: 1): above 0 and
    /// finite in the precision of the predictions.
    ///
    /// ```
    /// use striate::{Tensor, train::{Huber, Loss, SmoothL1}};
    /// let (x, y) = (Tensor::from(ndarray::array![1.0, 3.0]), Tensor::zeros(&[2])?.into());
    /// assert_eq!(Huber::new(1.0).forward(&x, &y)?, SmoothL1::new(1.0).forward(&x, &y)?);
    /// assert_eq!(Huber::new(0.5).forward(&x, &y)?.as_slice(), [(0.5 * 0.75 + 0.5 * 2.75) / 2.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(delta: f64) -> Self {
        Huber { delta, reduction: Reduction::Mean }
    }
}

/// A loss that is a function of the error alone.
trait Curve {
    const NAME: &'static str;

    /// Checks the options, in the precision in which they are used.
    fn check<T: Element>(&self) -> Result<()> {
        Ok(())
    }

    /// The loss for the error `e`, and its derivative.
    fn at<T: Element>(&self, e: T) -> (T, T);
}

impl Curve for MeanSquaredError {
    const NAME: &'static str = "MeanSquaredError";

    fn at<T: Element>(&self, e: T) -> (T, T) {
        (e * e, e + e)
    }
}

impl Curve for MeanAbsoluteError {
    const NAME: &'static str = "MeanAbsoluteError";

    fn at<T: Element>(&self, e: T) -> (T, T) {
        (e.abs(), sign(e))
    }
}

impl Curve for SmoothL1 {
    const NAME: &'static str = "SmoothL1";

    fn check<T: Element>(&self) -> Result<()> {
        if self.beta == 0.0 || is_curve::<T>(self.beta) {
            return Ok(());
        }
        let expected = format_args!("a beta of 0, or a finite one above 0 in {}", T::NAME);
        Err(Error::argument(Self::NAME, expected, self.beta))
    }

    fn at<T: Element>(&self, e: T) -> (T, T) {
        let (beta, half) = (T::of(self.beta), T::of(0.5));
        if e.abs() < beta { (half * e * e / beta, e / beta) } else { (e.abs() - half * beta, sign(e)) }
    }
}

impl Curve for Huber {
    const NAME: &'static str = "Huber";

    fn check<T: Element>(&self) -> Result<()> {
        if is_curve::<T>(self.delta) {
            return Ok(());
        }
        Err(Error::argument(Self::NAME, format_args!("a finite delta above 0 in {}", T::NAME), self.delta))
    }

    fn at<T: Element>(&self, e: T) -> (T, T) {
        let (delta, half) = (T::of(self.delta), T::of(0.5));
        if e.abs() < delta { (half * e * e, e) } else { (delta * (e.abs() - half * delta), delta * sign(e)) }
    }
}

/// Whether a curve can become straight there: above 0 and finite, also once it is rounded to `T`.
fn is_curve<T: Element>(at: f64) -> bool {
    T::of(at) > T::zero() && T::of(at).is_finite()
}

/// -1, 0 or 1; not-a-number stays.
fn sign<T: Element>(e: T) -> T {
    if e == T::zero() { e } else { e.signum() }
}

macro_rules! loss_of_curve {
    ($type:ty, $new:expr) => {
        impl $type {
            fn terms<'a, T: Element>(
                &'a self,
                predictions: &'a Tensor<T>,
                targets: &'a Targets<T>,
            ) -> Result<Terms<'a, T, impl Term<T>>> {
                terms_of_errors(self, predictions, targets)
            }
        }

        loss_of_terms!($type, $new);
    };
}

loss_of_curve!(MeanSquaredError, MeanSquaredError::new());
loss_of_curve!(MeanAbsoluteError, MeanAbsoluteError::new());
loss_of_curve!(SmoothL1, SmoothL1::new(1.0));
loss_of_curve!(Huber, Huber::new(1.0));

fn terms_of_errors<'a, T: Element, C: Curve + Sync>(
    curve: &'a C,
    predictions: &'a Tensor<T>,
    targets: &'a Targets<T>,
) -> Result<Terms<'a, T, impl Term<T>>> {
    curve.check::<T>()?;
    let target = targets.values_like(C::NAME, predictions.shape())?.as_slice();
    let term = move |i: usize, x: &[T], grad: Option<(&mut [T], T)>| {
        let (loss, slope) = curve.at(x[0] - target[i]);
        if let Some((grad, scale)) = grad {
            grad[0] = scale * slope;
        }
        loss
    };
    let weight = predictions.len() as f64;
    Ok(Terms { name: C::NAME, predictions, width: 1, shape: predictions.shape(), weight, term })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{REDUCTIONS, check_gradient, normal};
    use super::*;
    use crate::ErrorKind;

    fn all(reduction: Reduction) -> [Box<dyn Loss<f64>>; 4] {
        [
            Box::new(MeanSquaredError::new().reduction(reduction)),
            Box::new(MeanAbsoluteError::new().reduction(reduction)),
            Box::new(SmoothL1::new(0.7).reduction(reduction)),
            Box::new(Huber::new(0.7).reduction(reduction)),
        ]
    }

    #[test]
    fn gradients() {
        for loss in REDUCTIONS.into_iter().flat_map(all) {
            check_gradient(&*loss, &normal(&[4, 3], 1), &normal(&[4, 3], 2).into());
            check_gradient(&*loss, &normal(&[4], 1), &normal(&[4, 1], 2).into());
        }
    }

    #[test]
    fn the_curves_join() {
        for curve in [0.25, 1.0, 3.0] {
            for step in [-1e-9, 1e-9] {
                let e = curve + step;
                approx::assert_abs_diff_eq!(SmoothL1::new(curve).at(e).0, curve / 2.0, epsilon = 1e-8);
                approx::assert_abs_diff_eq!(Huber::new(curve).at(e).0, curve * curve / 2.0, epsilon = 1e-8);
            }
        }
        assert_eq!(SmoothL1::new(0.0).at(-2.0), (2.0, -1.0));
        assert_eq!(MeanAbsoluteError::new().at(0.0), (0.0, 0.0));
    }

    #[test]
    fn options_are_checked_in_the_precision_of_the_predictions() {
        let double = normal(&[2, 3], 1);
        let single =
            Tensor::from_vec(&[2, 3], double.as_slice().iter().map(|&x| x as f32).collect()).unwrap();
        let works = |at: f64| {
            let smooth = SmoothL1::new(at);
            let huber = Huber::new(at);
            [
                smooth.forward(&single, &(&single).into()).is_ok(),
                huber.forward(&single, &(&single).into()).is_ok(),
                smooth.forward(&double, &(&double).into()).is_ok(),
                huber.forward(&double, &(&double).into()).is_ok(),
            ]
        };
        assert_eq!(works(1.0), [true; 4]);
        assert_eq!(works(0.0), [true, false, true, false]);
        for beyond_single in [1e39, 1e-46] {
            assert_eq!(works(beyond_single), [false, false, true, true]);
        }
        for at in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(works(at), [false; 4]);
        }
    }

    #[test]
    fn mistakes_are_errors() {
        let x = normal(&[2, 3], 1);
        for loss in all(Reduction::Mean) {
            assert_eq!(loss.forward(&x, &normal(&[3, 2], 1).into()).unwrap_err().kind(), ErrorKind::Shape);
            assert_eq!(loss.forward(&x, &[1, 2].into()).unwrap_err().kind(), ErrorKind::Argument);
            let empty = Tensor::zeros(&[0, 3]).unwrap();
            assert_eq!(loss.forward(&empty, &(&empty).into()).unwrap_err().kind(), ErrorKind::Shape);
        }
        let error = SmoothL1::new(-1.0).forward(&x, &(&x).into()).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Argument, "SmoothL1"));
        let error = Huber::new(0.0).forward(&x, &(&x).into()).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Argument, "Huber"));
    }
}
