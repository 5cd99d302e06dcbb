//! [`Sgd`]: stochastic gradient descent.

use super::state::State;
use super::{Optimizer, OptimizerState, check_decay, check_size};
use crate::train::Schedule;
use crate::{Element, Error, Name, Param, Result};

/// What is kept for each parameter.
const SLOTS: [&str; 1] = ["velocity"];

/// Stochastic gradient descent, with momentum if wanted.
///
/// With the learning rate `a`, the momentum `m` and the weight decay `d`, for every weight `w` with gradient `g`:
///
/// ```text
/// g = g + d w
/// v = m v - a g
/// w = w + v              with nesterov:  w = w + m v - a g
/// ```
///
/// This is Keras' form (Sutskever et al. 2013, "On the Importance of Initialization and Momentum in Deep Learning").
/// PyTorch's has `v = m v + g` and `w = w - a v`: the same for a constant rate, while under a schedule it applies
/// each new rate to the whole past. Weight decay is PyTorch's, the derivative of the penalty `d/2 w^2`; Keras' own is not
/// part of the momentum.
///
/// | option | default | domain |
/// |---|---|---|
/// | `momentum` | 0 | `0 .. 1` |
/// | `nesterov` | `false` | needs a momentum |
/// | `weight_decay` | 0 | at least 0 |
///
/// ```
/// use striate::{Param, Tensor, train::{Optimizer, Sgd}};
/// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::full(&[1], 2.0)?)?;
/// Sgd::new(0.25).step(&mut [("weight".into(), &mut weight)])?;
/// assert_eq!(weight.value().as_slice(), [0.5]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sgd<T: Element = f32> {
    learning_rate: Schedule,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    state: State<T, 1>,
}

impl<T: Element> Sgd<T> {
    /// Plain gradient descent at a learning rate or [`Schedule`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, Schedule, Sgd}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// let mut optimizer = Sgd::new(Schedule::step(0.5, 1, 0.5));
    /// for _ in 0..2 {
    ///     optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// }
    /// assert_eq!(weight.value().as_slice(), [1.0 - 0.5 - 0.25]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Sgd {
            learning_rate: learning_rate.into(),
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            state: State::new(),
        }
    }

    /// The share of the last change that goes on, in `0 .. 1`.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, Sgd}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// let mut optimizer = Sgd::new(0.25).momentum(0.5);
    /// for _ in 0..2 {
    ///     optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// }
    /// assert_eq!(weight.value().as_slice(), [1.0 - 0.25 - (0.5 * 0.25 + 0.25)]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Whether to look ahead by the momentum (Nesterov 1983).
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, Sgd}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// Sgd::new(0.25).momentum(0.5).nesterov(true).step(&mut [("w".into(), &mut weight)])?;
    /// assert_eq!(weight.value().as_slice(), [1.0 - (0.5 * 0.25 + 0.25)]);    // already in the first step
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// How strongly weights are drawn to 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Optimizer, Sgd}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// Sgd::new(0.25).weight_decay(0.5).step(&mut [("w".into(), &mut weight)])?;
    /// assert_eq!(weight.value().as_slice(), [1.0 - 0.25 * (1.0 + 0.5 * 1.0)]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }
}

impl<T: Element> Optimizer<T> for Sgd<T> {
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> Result<()> {
        check_decay("Sgd", "a momentum", self.momentum)?;
        check_size("Sgd", "weight decay", self.weight_decay)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::argument("Sgd", "a momentum above 0 with nesterov", self.momentum));
        }
        let (momentum, decay, nesterov) = (T::of(self.momentum), T::of(self.weight_decay), self.nesterov);
        let remembers = (self.momentum > 0.0).then_some(T::zero());
        self.state.update("Sgd", &self.learning_rate, params, [remembers], |step| {
            let rate = T::of(step.rate);
            move |weights: &mut [T], grads: &[T], [velocities]: [&mut [T]; 1]| {
                let change = |w: T, g: T| -rate * (g + decay * w);
                if remembers.is_none() {
                    weights.iter_mut().zip(grads).for_each(|(w, &g)| *w += change(*w, g));
                }
                for ((w, &g), v) in weights.iter_mut().zip(grads).zip(velocities) {
                    let change = change(*w, g);
                    *v = momentum * *v + change;
                    *w += if nesterov { momentum * *v + change } else { *v };
                }
            }
        })
    }

    fn learning_rate(&self) -> Result<f64> {
        self.state.rate(&self.learning_rate)
    }

    fn state(&self) -> Result<OptimizerState<T>> {
        self.state.to_named("Sgd", SLOTS)
    }

    fn set_state(&mut self, state: OptimizerState<T>) -> Result<()> {
        self.state = State::from_named("Sgd", SLOTS, state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, check_quadratic, history, run};
    use super::*;

    /// `sum over i <= t of m^(t - i) * value[i]`.
    fn faded(m: f64, values: &[f64], t: usize) -> f64 {
        (0..=t).map(|i| m.powi((t - i) as i32) * values[i]).sum()
    }

    #[test]
    fn plain_steps_follow_the_gradient() {
        let g = history(1);
        let expected: Vec<f64> = (1..=g.len()).map(|n| 1.0 - 0.1 * g[..n].iter().sum::<f64>()).collect();
        run(Sgd::new(0.1), 1.0, &g, &expected);
    }

    #[test]
    fn momentum_adds_up_the_past_at_its_own_rates() {
        let (g, m) = (history(2), 0.9);
        let rate = |i: usize| if i < 3 { 0.1 } else { 0.05 };
        let steps: Vec<f64> = g.iter().enumerate().map(|(i, g)| -rate(i) * g).collect();
        let (mut plain, mut nesterov) = (vec![1.0], vec![1.0]);
        for t in 0..g.len() {
            let v = faded(m, &steps, t);
            plain.push(plain[t] + v);
            nesterov.push(nesterov[t] + m * v + steps[t]);
        }
        let sgd = || Sgd::new(Schedule::step(0.1, 3, 0.5)).momentum(m);
        run(sgd(), 1.0, &g[..6], &plain[1..7]);
        run(sgd().nesterov(true), 1.0, &g[..6], &nesterov[1..7]);
    }

    #[test]
    fn weight_decay_shrinks_weights() {
        let expected: Vec<f64> = (1..=5).map(|n| 2.0 * (1.0_f64 - 0.1 * 0.3).powi(n)).collect();
        run(Sgd::new(0.1).weight_decay(0.3), 2.0, &[0.0; 5], &expected);
    }

    #[test]
    fn it_finds_the_bottom_of_a_bowl() {
        check_quadratic(Sgd::new(0.1));
        check_quadratic(Sgd::new(0.05).momentum(0.8));
        check_quadratic(Sgd::new(0.05).momentum(0.8).nesterov(true));
        check_quadratic(Sgd::new(Schedule::cosine(0.2, 500).warm_up(10)));
    }

    #[test]
    fn options_outside_their_domain_are_errors() {
        for sgd in [
            Sgd::new(-0.1),
            Sgd::new(0.1).momentum(1.0),
            Sgd::new(0.1).momentum(f64::NAN),
            Sgd::new(0.1).weight_decay(-1.0),
            Sgd::new(0.1).nesterov(true),
        ] {
            assert_refused(sgd);
        }
    }
}
