//! [`Regularizer`]: a penalty on large weights.

use super::clip::sum_of_squares;
use crate::{Element, Error, Name, Param, Result, Tensor};

/// A penalty on large weights, added to the loss: `l1 * sum of |w| + l2 * sum of w^2`. Keras' `L1`, `L2` and `L1L2`, as the
/// `kernel_regularizer` of every layer.
///
/// It counts the kernels that are trained, parameters whose names end in `kernel`, unless [`of`](Self::of) says otherwise.
/// With [`Sgd`](super::Sgd), PyTorch's `weight_decay = d` is `l2 = d / 2` of all parameters; with adaptive optimizers the
/// two differ ([`AdamW`](super::AdamW)).
///
/// ```
/// use striate::{Dense, Initializer, Layer, Tensor, train::{MeanSquaredError, Regularizer, Sgd, Trainer}};
/// let mut model = Dense::new(1).kernel_initializer(Initializer::Constant(3.0));
/// let (x, y) = (Tensor::<f64>::zeros(&[1, 1])?, Tensor::zeros(&[1, 1])?);
/// let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).regularizer(Regularizer::l2(0.5));
/// let history = trainer.fit(&mut model, &x, &y)?;
/// assert_eq!(history.get("loss"), [0.5 * 9.0]);
/// // The gradient of the penalty is 2 * 0.5 * 3.
/// approx::assert_relative_eq!(model.params()[0].1.value().as_slice()[0], 3.0 - 0.1 * 3.0);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Regularizer {
    l1: f64,
    l2: f64,
    of: fn(&str) -> bool,
}

impl Regularizer {
    /// `factor * sum of |w|`, which draws weights to 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::Regularizer};
    /// let kernel = Param::new(Tensor::from(ndarray::array![3.0, -4.0]));
    /// assert_eq!(Regularizer::l1(2.0).penalty(&[("kernel".into(), &kernel)])?, 2.0 * (3.0 + 4.0));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn l1(factor: f64) -> Self {
        Self::l1_l2(factor, 0.0)
    }

    /// `factor * sum of w^2`, which keeps weights small.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::Regularizer};
    /// let kernel = Param::new(Tensor::from(ndarray::array![3.0, -4.0]));
    /// assert_eq!(Regularizer::l2(2.0).penalty(&[("kernel".into(), &kernel)])?, 2.0 * (9.0 + 16.0));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn l2(factor: f64) -> Self {
        Self::l1_l2(0.0, factor)
    }

    /// Both.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::Regularizer};
    /// let kernel = Param::new(Tensor::from(ndarray::array![3.0, -4.0]));
    /// assert_eq!(Regularizer::l1_l2(2.0, 0.5).penalty(&[("kernel".into(), &kernel)])?, 14.0 + 12.5);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn l1_l2(l1: f64, l2: f64) -> Self {
        Regularizer { l1, l2, of: |name| name.ends_with("kernel") }
    }

    /// Which parameters count, by their names. Default: those that end in `kernel`.
    ///
    /// ```
    /// use striate::train::Regularizer;
    /// let last_layer = Regularizer::l1(1e-4).of(|name| name.starts_with("5."));
    /// # let _ = last_layer;
    /// ```
    #[must_use]
    pub fn of(mut self, of: fn(&str) -> bool) -> Self {
        self.of = of;
        self
    }

    /// The penalty on these parameters.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) unless both factors are finite and not negative.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::Regularizer};
    /// let kernel = Param::new(Tensor::from(ndarray::array![3.0, -4.0]));
    /// assert_eq!(Regularizer::l1_l2(1.0, 2.0).penalty(&[("kernel".into(), &kernel)])?, 7.0 + 50.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn penalty<T: Element>(&self, params: &[(Name, &Param<T>)]) -> Result<f64> {
        self.check()?;
        let counted = params.iter().filter(|(name, param)| self.counts(name, param));
        Ok(counted.map(|(_, param)| self.penalty_of(param.value())).sum())
    }

    /// Adds the penalty's gradient, `l1 * sign(w) + 2 * l2 * w`, to those of the parameters; returns the penalty.
    ///
    /// # Errors
    /// As [`penalty`](Self::penalty).
    ///
    /// ```
    /// use striate::{Param, Tensor, train::Regularizer};
    /// let mut kernel = Param::new(Tensor::from(ndarray::array![3.0, -4.0]));
    /// Regularizer::l1_l2(1.0, 2.0).apply(&mut [("kernel".into(), &mut kernel)])?;
    /// assert_eq!(kernel.grad().unwrap().as_slice(), [13.0, -17.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn apply<T: Element>(&self, params: &mut [(Name, &mut Param<T>)]) -> Result<f64> {
        self.check()?;
        let (l1, l2) = (T::of(self.l1), T::of(2.0 * self.l2));
        let mut penalty = 0.0;
        for (name, param) in params {
            if self.counts(name, param) {
                penalty += self.penalty_of(param.value());
                let sign = |w: T| if w == T::zero() { w } else { w.signum() };
                param.add_grad(param.value().map(|w| l1 * sign(w) + l2 * w))?;
            }
        }
        Ok(penalty)
    }

    fn counts<T: Element>(&self, name: &str, param: &Param<T>) -> bool {
        param.is_trainable() && (self.of)(name)
    }

    fn penalty_of<T: Element>(&self, weight: &Tensor<T>) -> f64 {
        let magnitudes = |weight: &[T]| weight.iter().map(|w| w.to_double().abs()).sum::<f64>();
        let l1 = if self.l1 == 0.0 { 0.0 } else { self.l1 * magnitudes(weight.as_slice()) };
        let l2 = if self.l2 == 0.0 { 0.0 } else { self.l2 * sum_of_squares(weight.as_slice()) };
        l1 + l2
    }

    /// Checks the factors.
    pub(super) fn check(&self) -> Result<()> {
        match [self.l1, self.l2].into_iter().find(|factor| !(factor.is_finite() && *factor >= 0.0)) {
            Some(factor) => Err(Error::argument("Regularizer", "finite factors of 0 or more", factor)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{MeanSquaredError, Sgd, Trainer};
    use crate::{Dense, ErrorKind, Initializer, Layer, Rng};

    #[test]
    fn frozen_parameters_and_other_names_do_not_count() {
        let value = || Tensor::<f64>::full(&[2], 3.0).unwrap();
        let (mut kernel, mut bias, mut frozen) =
            (Param::new(value()), Param::new(value()), Param::frozen(value()));
        let mut params: Vec<(Name, &mut Param<f64>)> = vec![
            ("0.kernel".into(), &mut kernel),
            ("0.bias".into(), &mut bias),
            ("1.kernel".into(), &mut frozen),
        ];
        assert_eq!(Regularizer::l2(1.0).apply(&mut params).unwrap(), 18.0);
        assert_eq!(Regularizer::l1(1.0).of(|name| name.ends_with("bias")).apply(&mut params).unwrap(), 6.0);
        assert_eq!(kernel.grad().unwrap().as_slice(), [6.0; 2]);
        assert_eq!(bias.grad().unwrap().as_slice(), [1.0; 2]);
        assert!(frozen.grad().is_none());
    }

    #[test]
    fn weights_without_data_decay_and_evaluation_counts_the_penalty() {
        let mut model = Dense::<f64>::new(1).kernel_initializer(Initializer::Ones);
        model.build(&[1, 1], &mut Rng::seed(1)).unwrap();
        let (x, y) = (Tensor::zeros(&[1, 1]).unwrap(), Tensor::zeros(&[1, 1]).unwrap());
        let trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.25)).epochs(3);
        let mut trainer = trainer.regularizer(Regularizer::l2(1.0));
        trainer.fit(&mut model, &x, &y).unwrap();
        assert_eq!(model.params()[0].1.value().as_slice(), [0.125]);
        assert_eq!(trainer.evaluate(&model, &x, &y).unwrap().loss, 0.125 * 0.125);
    }

    #[test]
    fn factors_that_make_no_sense_are_errors() {
        for bad in [Regularizer::l1(-1.0), Regularizer::l2(f64::NAN), Regularizer::l1_l2(0.0, f64::INFINITY)]
        {
            assert_eq!(bad.penalty::<f32>(&[]).unwrap_err().kind(), ErrorKind::Argument);
            let x = Tensor::<f64>::zeros(&[1, 1]).unwrap();
            let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).regularizer(bad);
            let error = trainer.fit(&mut Dense::new(1), &x, &x).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument);
        }
    }
}
