//! [`Adagrad`].

use super::state::State;
use super::{Optimizer, OptimizerState, check_epsilon, check_size};
use crate::train::Schedule;
use crate::{Element, Name, Param, Result};

/// What is kept for each parameter.
const SLOTS: [&str; 1] = ["square"];

/// Adagrad: steps divided by the root of the sum of all squared gradients (Duchi, Hazan and Singer 2011, "Adaptive
/// Subgradient Methods for Online Learning and Stochastic Optimization").
///
/// With the learning rate `a`, for every weight `w` with gradient `g`:
///
/// ```text
/// s = s + g^2
/// w = w - a g / sqrt(s + epsilon)
/// ```
///
/// This is Keras' form; PyTorch starts from `s = 0` and adds its epsilon (1e-10) to the root.
///
/// | option | default | domain |
/// |---|---|---|
/// | `initial_accumulator_value` | 0.1 | at least 0: the first `s` |
/// | `epsilon` | 1e-7 | above 0 |
///
/// ```
/// use striate::{Param, Tensor, train::{Adagrad, Optimizer}};
/// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::full(&[1], 3.0)?)?;
/// Adagrad::new(0.5).initial_accumulator_value(27.0).step(&mut [("weight".into(), &mut weight)])?;
/// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.75, epsilon = 1e-8);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adagrad<T: Element = f32> {
    learning_rate: Schedule,
    initial: f64,
    epsilon: f64,
    state: State<T, 1>,
}

impl<T: Element> Adagrad<T> {
    /// Adagrad at a learning rate or [`Schedule`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adagrad, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 2.0)?)?;
    /// Adagrad::new(0.5).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = 1.0 - 0.5 * 2.0 / (0.1 + 4.0_f64).sqrt();
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adagrad { learning_rate: learning_rate.into(), initial: 0.1, epsilon: 1e-7, state: State::new() }
    }

    /// What the sum of squares starts from, at least 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adagrad, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 4.0)?)?;
    /// Adagrad::new(0.5).initial_accumulator_value(9.0).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = 1.0 - 0.5 * 4.0 / (9.0 + 16.0_f64).sqrt();
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn initial_accumulator_value(mut self, initial: f64) -> Self {
        self.initial = initial;
        self
    }

    /// What is added under the square root, above 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adagrad, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 3.0)?)?;
    /// Adagrad::new(0.5).initial_accumulator_value(0.0).epsilon(16.0).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = 1.0 - 0.5 * 3.0 / (9.0 + 16.0_f64).sqrt();
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-12);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl<T: Element> Optimizer<T> for Adagrad<T> {
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> Result<()> {
        check_size("Adagrad", "initial accumulator value", self.initial)?;
        check_epsilon::<T>("Adagrad", self.epsilon)?;
        let epsilon = T::of(self.epsilon);
        self.state.update("Adagrad", &self.learning_rate, params, [Some(T::of(self.initial))], |step| {
            let rate = T::of(step.rate);
            move |weights: &mut [T], grads: &[T], [squares]: [&mut [T]; 1]| {
                for ((w, &g), s) in weights.iter_mut().zip(grads).zip(squares) {
                    *s += g * g;
                    *w -= rate * g / (*s + epsilon).sqrt();
                }
            }
        })
    }

    fn learning_rate(&self) -> Result<f64> {
        self.state.rate(&self.learning_rate)
    }

    fn state(&self) -> Result<OptimizerState<T>> {
        self.state.to_named("Adagrad", SLOTS)
    }

    fn set_state(&mut self, state: OptimizerState<T>) -> Result<()> {
        self.state = State::from_named("Adagrad", SLOTS, state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, check_quadratic, history, run};
    use super::*;

    fn reference(g: &[f64], rate: f64, initial: f64, epsilon: f64) -> Vec<f64> {
        let change = |t: usize| {
            let squares: f64 = g[..=t].iter().map(|g| g * g).sum();
            rate * g[t] / (initial + squares + epsilon).sqrt()
        };
        (0..g.len()).map(|t| 0.5 - (0..=t).map(change).sum::<f64>()).collect()
    }

    #[test]
    fn it_follows_the_formula() {
        let g = history(6);
        run(Adagrad::new(0.1), 0.5, &g, &reference(&g, 0.1, 0.1, 1e-7));
        let adagrad = Adagrad::new(0.2).initial_accumulator_value(0.0).epsilon(0.5);
        run(adagrad, 0.5, &g, &reference(&g, 0.2, 0.0, 0.5));
    }

    #[test]
    fn it_finds_the_bottom_of_a_bowl() {
        check_quadratic(Adagrad::new(1.0));
    }

    #[test]
    fn options_outside_their_domain_are_errors() {
        assert_refused(Adagrad::new(0.1).initial_accumulator_value(-1.0));
        assert_refused(Adagrad::new(0.1).epsilon(0.0));
        assert_refused(Adagrad::new(f64::INFINITY));
    }
}
