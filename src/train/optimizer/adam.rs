//! [`Adam`] and [`AdamW`].

use super::state::State;
use super::{Optimizer, OptimizerState, check_decay, check_epsilon, check_size};
use crate::train::Schedule;
use crate::{Element, Name, Param, Result};

/// What is kept for each parameter.
const SLOTS: [&str; 2] = ["mean", "square"];

/// Adam: steps scaled by running means of the gradient and its square (Kingma and Ba 2015, "Adam: A Method for
/// Stochastic Optimization", Algorithm 1).
///
/// With the learning rate `a`, for every weight `w` with gradient `g` in its update number `t`:
///
/// ```text
/// m = beta_1 m + (1 - beta_1) g
/// v = beta_2 v + (1 - beta_2) g^2
/// w = w - a (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
/// ```
///
/// PyTorch does the same. Keras adds its epsilon (1e-7) to `sqrt(v)` before the correction, as the paper suggests in
/// section 2; the two differ only where gradients are about as small as epsilon.
///
/// | option | default | domain |
/// |---|---|---|
/// | `beta_1` | 0.9 | `0 .. 1` |
/// | `beta_2` | 0.999 | `0 .. 1` |
/// | `epsilon` | 1e-8 | above 0 |
///
/// ```
/// use striate::{Param, Tensor, train::{Adam, Optimizer}};
/// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::full(&[1], 1000.0)?)?;
/// Adam::new(0.25).step(&mut [("weight".into(), &mut weight)])?;    // the first step has the size of the rate
/// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.75, epsilon = 1e-10);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adam<T: Element = f32> {
    learning_rate: Schedule,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    state: State<T, 2>,
}

impl<T: Element> Adam<T> {
    /// Adam at a learning rate (the paper suggests 0.001) or [`Schedule`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adam, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// let mut optimizer = Adam::new(0.25);
    /// weight.add_grad(Tensor::full(&[1], -0.01)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 1.25, epsilon = 1e-6);
    /// assert_eq!(optimizer.learning_rate()?, 0.25);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        let learning_rate = learning_rate.into();
        Adam { learning_rate, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, state: State::new() }
    }

    /// The weight of the past in the mean of the gradient, in `0 .. 1`.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adam, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// let mut optimizer = Adam::new(0.25).beta_1(0.0);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// weight.clear_grad();
    /// weight.add_grad(Tensor::full(&[1], 0.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;    // nothing is left of the first gradient
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.75, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn beta_1(mut self, beta_1: f64) -> Self {
        self.beta_1 = beta_1;
        self
    }

    /// The weight of the past in the mean of the squared gradient, in `0 .. 1`.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adam, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// let mut optimizer = Adam::new(0.25).beta_1(0.0).beta_2(0.0);    // only signs count
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// weight.add_grad(Tensor::full(&[1], 8.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.5, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn beta_2(mut self, beta_2: f64) -> Self {
        self.beta_2 = beta_2;
        self
    }

    /// What is added to the square root, above 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adam, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// Adam::new(0.25).epsilon(1.0).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = 1.0 - 0.25 / (1.0 + 1.0);
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-12);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// A step of Adam after shrinking the weights by the learning rate times `decay`.
    fn step_with_decay(
        &mut self,
        name: &'static str,
        params: &mut [(Name, &mut Param<T>)],
        decay: f64,
    ) -> Result<()> {
        check_decay(name, "a beta_1", self.beta_1)?;
        check_decay(name, "a beta_2", self.beta_2)?;
        check_epsilon::<T>(name, self.epsilon)?;
        let (beta_1, beta_2, epsilon) = (self.beta_1, self.beta_2, T::of(self.epsilon));
        self.state.update(name, &self.learning_rate, params, [Some(T::zero()); 2], |step| {
            let rate = T::of(step.rate / (1.0 - beta_1.powf(step.updates)));
            let root = T::of((1.0 - beta_2.powf(step.updates)).sqrt().recip());
            let keep = T::of(1.0 - step.rate * decay);
            let (beta_1, new_1) = (T::of(beta_1), T::of(1.0 - beta_1));
            let (beta_2, new_2) = (T::of(beta_2), T::of(1.0 - beta_2));
            move |weights: &mut [T], grads: &[T], [means, squares]: [&mut [T]; 2]| {
                for (((w, &g), m), v) in weights.iter_mut().zip(grads).zip(means).zip(squares) {
                    *m = beta_1 * *m + new_1 * g;
                    *v = beta_2 * *v + new_2 * g * g;
                    *w = keep * *w - rate * *m / (v.sqrt() * root + epsilon);
                }
            }
        })
    }
}

impl<T: Element> Optimizer<T> for Adam<T> {
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> Result<()> {
        self.step_with_decay("Adam", params, 0.0)
    }

    fn learning_rate(&self) -> Result<f64> {
        self.state.rate(&self.learning_rate)
    }

    fn state(&self) -> Result<OptimizerState<T>> {
        self.state.to_named("Adam", SLOTS)
    }

    fn set_state(&mut self, state: OptimizerState<T>) -> Result<()> {
        self.state = State::from_named("Adam", SLOTS, state)?;
        Ok(())
    }
}

/// [`Adam`] with weight decay of its own (Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization"): before
/// Adam's step, every weight is multiplied by `1 - a d`, with the learning rate `a` and the decay `d`.
///
/// PyTorch and Keras do the same. (In the paper only the schedule multiplies the decay, not the base rate.)
///
/// | option | default | domain |
/// |---|---|---|
/// | `weight_decay` | 0.01 (PyTorch's; Keras has 0.004) | at least 0 |
/// | `beta_1`, `beta_2`, `epsilon` | as [`Adam`] | |
///
/// ```
/// use striate::{Param, Tensor, train::{AdamW, Optimizer}};
/// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::zeros(&[1])?)?;
/// AdamW::new(0.5).weight_decay(0.5).step(&mut [("weight".into(), &mut weight)])?;
/// assert_eq!(weight.value().as_slice(), [0.75]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AdamW<T: Element = f32> {
    adam: Adam<T>,
    weight_decay: f64,
}

impl<T: Element> AdamW<T> {
    /// AdamW at a learning rate or [`Schedule`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{AdamW, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 0.0)?)?;
    /// AdamW::new(0.5).step(&mut [("w".into(), &mut weight)])?;
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 1.0 - 0.5 * 0.01, epsilon = 1e-12);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        AdamW { adam: Adam::new(learning_rate), weight_decay: 0.01 }
    }

    /// How strongly weights are drawn to 0.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{AdamW, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// AdamW::new(0.25).weight_decay(1.0).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = (1.0 - 0.25 * 1.0) - 0.25;
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// As [`Adam::beta_1`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{AdamW, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// let mut optimizer = AdamW::new(0.25).weight_decay(0.0).beta_1(0.0);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// weight.clear_grad();
    /// weight.add_grad(Tensor::full(&[1], 0.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;    // nothing is left of the first gradient
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.75, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn beta_1(mut self, beta_1: f64) -> Self {
        self.adam.beta_1 = beta_1;
        self
    }

    /// As [`Adam::beta_2`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{AdamW, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// let mut optimizer = AdamW::new(0.25).weight_decay(0.0).beta_1(0.0).beta_2(0.0);    // only signs count
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// weight.add_grad(Tensor::full(&[1], 8.0)?)?;
    /// optimizer.step(&mut [("w".into(), &mut weight)])?;
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], 0.5, epsilon = 1e-7);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn beta_2(mut self, beta_2: f64) -> Self {
        self.adam.beta_2 = beta_2;
        self
    }

    /// As [`Adam::epsilon`].
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{AdamW, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 1.0)?)?;
    /// AdamW::new(0.25).weight_decay(0.0).epsilon(1.0).step(&mut [("w".into(), &mut weight)])?;
    /// let expected = 1.0 - 0.25 / (1.0 + 1.0);
    /// approx::assert_abs_diff_eq!(weight.value().as_slice()[0], expected, epsilon = 1e-12);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.adam.epsilon = epsilon;
        self
    }
}

impl<T: Element> Optimizer<T> for AdamW<T> {
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> Result<()> {
        check_size("AdamW", "weight decay", self.weight_decay)?;
        self.adam.step_with_decay("AdamW", params, self.weight_decay)
    }

    fn learning_rate(&self) -> Result<f64> {
        self.adam.learning_rate()
    }

    fn state(&self) -> Result<OptimizerState<T>> {
        self.adam.state.to_named("AdamW", SLOTS)
    }

    fn set_state(&mut self, state: OptimizerState<T>) -> Result<()> {
        self.adam.state = State::from_named("AdamW", SLOTS, state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, check_quadratic, history, mean, run};
    use super::*;

    /// The weights after each step, from the closed form of the bias-corrected means.
    fn reference(
        start: f64,
        g: &[f64],
        rate: f64,
        (b1, b2, epsilon): (f64, f64, f64),
        decay: f64,
    ) -> Vec<f64> {
        let mut w = start;
        let step = |t: usize| {
            let past = &g[..=t];
            let squares: Vec<f64> = past.iter().map(|g| g * g).collect();
            let corrected = |b: f64, values: &[f64]| mean(b, values) / (1.0 - b.powi(t as i32 + 1));
            w -= rate * (corrected(b1, past) / (corrected(b2, &squares).sqrt() + epsilon) + decay * w);
            w
        };
        (0..g.len()).map(step).collect()
    }

    #[test]
    fn it_is_algorithm_1_of_the_paper() {
        let g = history(3);
        run(Adam::new(0.01), 0.5, &g, &reference(0.5, &g, 0.01, (0.9, 0.999, 1e-8), 0.0));
        let adam = Adam::new(0.1).beta_1(0.5).beta_2(0.8).epsilon(0.1);
        run(adam, 0.5, &g, &reference(0.5, &g, 0.1, (0.5, 0.8, 0.1), 0.0));
    }

    #[test]
    fn decay_is_decoupled() {
        let g = history(4);
        run(AdamW::new(0.01), 0.5, &g, &reference(0.5, &g, 0.01, (0.9, 0.999, 1e-8), 0.01));
        let adam = AdamW::new(0.1).weight_decay(0.3).beta_1(0.5).beta_2(0.8).epsilon(0.1);
        run(adam, 0.5, &g, &reference(0.5, &g, 0.1, (0.5, 0.8, 0.1), 0.3));
    }

    #[test]
    fn it_finds_the_bottom_of_a_bowl() {
        check_quadratic(Adam::new(Schedule::cosine(0.2, 1000)));
        check_quadratic(AdamW::new(Schedule::cosine(0.2, 1000)).weight_decay(0.0));
    }

    #[test]
    fn options_outside_their_domain_are_errors() {
        for adam in [
            Adam::new(f64::NAN),
            Adam::new(0.1).beta_1(1.0),
            Adam::new(0.1).beta_2(-0.1),
            Adam::new(0.1).epsilon(0.0),
            Adam::new(0.1).epsilon(f64::NAN),
        ] {
            assert_refused(adam);
        }
        assert_refused(AdamW::new(0.1).weight_decay(-0.1));
        assert_refused(AdamW::new(0.1).beta_1(2.0));
        assert!(Adam::<f32>::new(0.1).epsilon(1e-60).step(&mut []).is_err());
    }
}
