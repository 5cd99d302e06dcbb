//! [`RmsProp`].

use super::state::State;
use super::{Optimizer, OptimizerState, check_decay, check_epsilon};
use crate::train::Schedule;
use crate::{Element, Name, Param, Result};

/// What is kept for each parameter.
const SLOTS: [&str; 3] = ["square", "mean", "velocity"];

/// RMSprop: steps divided by the root of a running mean of the squared gradient (Tieleman and Hinton 2012, lecture 6.5
/// of "Neural Networks for Machine Learning"; centred, and with momentum, by Graves 2013, "Generating Sequences with
/// Recurrent Neural Networks", equations 38 to 41).
///
/// With the learning rate `a`, for every weight `w` with gradient `g`:
///
/// ```text
/// s = rho s + (1 - rho) g^2
/// c = rho c + (1 - rho) g                          0 unless centered
/// v = momentum v + a g / sqrt(s - c^2 + epsilon)
/// w = w - v
/// ```
///
/// Epsilon stands inside of the root, as in Graves' paper and in Keras; PyTorch adds it (1e-8) to the root, calls rho
/// `alpha` (0.99), and applies the rate after the momentum rather than before.
///
/// | option | default | domain |
/// |---|---|---|
/// | `rho` | 0.9 | `0 .. 1` |
/// | `momentum` | 0 | `0 .. 1` |
/// | `centered` | `false` | |
/// | `epsilon` | 1e-7 | above 0 |
///
/// ```
/// use striate::{Param, Tensor, train::{Optimizer, RmsProp}};
/// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::full(&[1], 2.0)?)?;
/// RmsProp::new(0.25).rho(0.75).step(&mut [("weight".into(), &mut weight)])?;    // s = 0.25 * 4
/// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.5, epsilon = 1e-7);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RmsProp<T: Element = f32> {
    learning_rate: Schedule,
    rho: f64,
    momentum: f64,
    centered: bool,
    epsilon: f64,
    state: State<T, 3>,
}

impl<T: Element> RmsProp<T> {
    /// RMSprop at a learning rate (the lecture suggests 0.001) or [`Schedule`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, RmsProp}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 2.0)?)?;
    /// RmsProp::new(0.5).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = 1.0 - 0.5 * 2.0 / (0.1 * 4.0_f64).sqrt();
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-6);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        RmsProp {
            learning_rate: learning_rate.into(),
            rho: 0.9,
            momentum: 0.0,
            centered: false,
            epsilon: 1e-7,
            state: State::new(),
        }
    }

    /// The weight of the past in the running means, in `0 .. 1`.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, RmsProp}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 8.0)?)?;
    /// RmsProp::new(0.25).rho(0.0).step(&mut [("w".into(), &mut weight)])?;
    /// // Without a past, only the sign of the gradient counts.
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.75, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// The share of the last change that goes on, in `0 .. 1`.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, RmsProp}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 8.0)?)?;
    /// let mut optimizer = RmsProp::new(0.25).rho(0.0).momentum(0.5);
    /// for _ in 0..2 {
    ///     optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// }
    /// let expected = 1.0 - 0.25 - (0.5 * 0.25 + 0.25);
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Whether to divide by the root of the variance instead of that of the mean square.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, RmsProp}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 4.0)?)?;
    /// RmsProp::new(0.25).rho(0.5).centered(true).step(&mut [("w".into(), &mut weight)])?;
    /// // The mean square is 0.5 * 16, the mean 0.5 * 4: the variance is 8 - 4.
    /// let expected = 1.0 - 0.25 * 4.0 / 2.0;
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn centered(mut self, centered: bool) -> Self {
        self.centered = centered;
        self
    }

    /// What is added under the square root, above 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, RmsProp}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 3.0)?)?;
    /// RmsProp::new(0.5).rho(0.0).epsilon(16.0).step(&mut [("w".into(), &mut weight)])?;
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

impl<T: Element> Optimizer<T> for RmsProp<T> {
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> Result<()> {
        check_decay("RmsProp", "a rho", self.rho)?;
        check_decay("RmsProp", "a momentum", self.momentum)?;
        check_epsilon::<T>("RmsProp", self.epsilon)?;
        let (rho, new) = (T::of(self.rho), T::of(1.0 - self.rho));
        let (momentum, epsilon) = (T::of(self.momentum), T::of(self.epsilon));
        let slot = |used: bool| used.then_some(T::zero());
        let slots = [slot(true), slot(self.centered), slot(self.momentum > 0.0)];
        self.state.update("RmsProp", &self.learning_rate, params, slots, |step| {
            let rate = T::of(step.rate);
            move |weights: &mut [T], grads: &[T], [squares, means, velocities]: [&mut [T]; 3]| {
                for (i, ((w, &g), s)) in weights.iter_mut().zip(grads).zip(squares).enumerate() {
                    *s = rho * *s + new * g * g;
                    let variance = match means.get_mut(i) {
                        None => *s,
                        Some(mean) => {
                            *mean = rho * *mean + new * g;
                            (*s - *mean * *mean).max(T::zero()) // rounding can take it below 0
                        }
                    };
                    let change = rate * g / (variance + epsilon).sqrt();
                    *w -= match velocities.get_mut(i) {
                        None => change,
                        Some(velocity) => {
                            *velocity = momentum * *velocity + change;
                            *velocity
                        }
                    };
                }
            }
        })
    }

    fn learning_rate(&self) -> Result<f64> {
        self.state.rate(&self.learning_rate)
    }

    fn state(&self) -> Result<OptimizerState<T>> {
        self.state.to_named("RmsProp", SLOTS)
    }

    fn set_state(&mut self, state: OptimizerState<T>) -> Result<()> {
        self.state = State::from_named("RmsProp", SLOTS, state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, check_quadratic, history, mean, run};
    use super::*;
    use crate::Tensor;

    /// The weights after each step, from the closed form of the running means.
    fn reference(g: &[f64], rate: f64, rho: f64, momentum: f64, centered: bool, epsilon: f64) -> Vec<f64> {
        let changes: Vec<f64> = (0..g.len())
            .map(|t| {
                let squares: Vec<f64> = g[..=t].iter().map(|g| g * g).collect();
                let centre = if centered { mean(rho, &g[..=t]) } else { 0.0 };
                rate * g[t] / (mean(rho, &squares) - centre.powi(2) + epsilon).sqrt()
            })
            .collect();
        let velocity =
            |t: usize| -> f64 { (0..=t).map(|i| momentum.powi((t - i) as i32) * changes[i]).sum() };
        (0..g.len()).map(|t| 0.5 - (0..=t).map(velocity).sum::<f64>()).collect()
    }

    #[test]
    fn all_forms_follow_the_formula() {
        let g = history(5);
        run(RmsProp::new(0.01), 0.5, &g, &reference(&g, 0.01, 0.9, 0.0, false, 1e-7));
        for (momentum, centered) in [(0.0, true), (0.7, false), (0.7, true)] {
            let optimizer = RmsProp::new(0.02).rho(0.6).momentum(momentum).centered(centered).epsilon(0.01);
            run(optimizer, 0.5, &g, &reference(&g, 0.02, 0.6, momentum, centered, 0.01));
        }
    }

    #[test]
    fn a_constant_gradient_has_no_negative_variance() {
        let mut weight = Param::new(Tensor::full(&[1], 0.0_f32).unwrap());
        let mut optimizer = RmsProp::new(1e-6).centered(true);
        for _ in 0..200 {
            weight.clear_grad();
            weight.add_grad(Tensor::full(&[1], 12345.678).unwrap()).unwrap();
            optimizer.step(&mut [("w".into(), &mut weight)]).unwrap();
        }
        assert!(weight.value().as_slice()[0].is_finite());
    }

    #[test]
    fn it_finds_the_bottom_of_a_bowl() {
        check_quadratic(RmsProp::new(Schedule::cosine(0.02, 1000)));
        check_quadratic(RmsProp::new(Schedule::cosine(0.02, 1000)).momentum(0.5).centered(true));
    }

    #[test]
    fn options_outside_their_domain_are_errors() {
        for optimizer in [
            RmsProp::new(-1.0),
            RmsProp::new(0.1).rho(1.0),
            RmsProp::new(0.1).momentum(-0.5),
            RmsProp::new(0.1).epsilon(0.0),
        ] {
            assert_refused(optimizer);
        }
    }
}
