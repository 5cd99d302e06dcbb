//! Optimizers: how gradients change the parameters.

mod adagrad;
mod adam;
mod rms_prop;
mod sgd;
mod state;
#[cfg(test)]
mod testing;

use std::fmt::Debug;

pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW};
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use crate::{Element, Error, Name, Param, Result, Tensor};

/// A rule that changes parameters by their gradients.
///
/// What it remembers of a parameter (a momentum, say) it keeps under the parameter's name, so one optimizer belongs to
/// one model. Parameters that are frozen or have no gradient are left alone, with what is remembered of them.
///
/// Without a [`Trainer`](super::Trainer), a training step is: run the model forward, pass the loss' gradient back,
/// let the optimizer step, forget the gradients. An optimizer of your own needs two methods:
///
/// ```
/// use striate::{Name, Param, Result, Tensor, train::Optimizer};
///
/// /// Moves every weight by the sign of its gradient.
/// #[derive(Debug)]
/// struct SignSgd(f32);
///
/// impl Optimizer for SignSgd {
///     fn step(&mut self, params: &mut [(Name, &mut Param)]) -> Result<()> {
///         for (_, param) in params.iter_mut().filter(|(_, param)| param.is_trainable()) {
///             if let Some((value, grad)) = param.value_and_grad() {
///                 value.iter_mut().zip(grad).for_each(|(v, g)| *v -= self.0 * g.signum());
///             }
///         }
///         Ok(())
///     }
///     fn learning_rate(&self) -> Result<f64> {
///         Ok(self.0.into())
///     }
/// }
///
/// let mut weight = Param::new(Tensor::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::full(&[1], -3.0)?)?;
/// SignSgd(0.5).step(&mut [("weight".into(), &mut weight)])?;
/// assert_eq!(weight.value().as_slice(), [1.5]);
/// # Ok::<(), striate::Error>(())
/// ```
pub trait Optimizer<T: Element = f32>: Debug + Send {
    /// Changes the parameters, in place, by their gradients.
    ///
    /// # Errors
    /// If an option is outside its domain or two parameters share a name; nothing has then changed.
    fn step(&mut self, params: &mut [(Name, &mut Param<T>)]) -> Result<()>;

    /// The learning rate of the next step.
    ///
    /// # Errors
    /// As [`Schedule::rate`](super::Schedule::rate).
    fn learning_rate(&self) -> Result<f64>;

    /// What the optimizer remembers, so that a training run can be saved.
    ///
    /// # Errors
    /// If the optimizer does not implement this, as those that come with the crate do.
    ///
    /// ```
    /// use striate::{Param, Tensor, train::{Adam, Optimizer}};
    /// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 3.0)?)?;
    /// let (mut first, mut second) = (Adam::new(0.1), Adam::new(0.1));
    /// first.step(&mut [("w".into(), &mut weight)])?;
    /// second.set_state(first.state()?)?;    // goes on as `first` would
    /// assert_eq!(second.state()?, first.state()?);
    /// # Ok::<(), striate::Error>(())
    /// ```
    fn state(&self) -> Result<OptimizerState<T>> {
        Err(Error::argument("save", "an optimizer that implements state()", format_args!("{self:?}")))
    }

    /// Remembers what another optimizer of its kind did; options, the learning rate among them, stay.
    ///
    /// # Errors
    /// If the state is not one of this kind of optimizer, or the optimizer does not implement this; nothing has then
    /// changed.
    fn set_state(&mut self, state: OptimizerState<T>) -> Result<()> {
        let _ = state;
        Err(Error::argument("load", "an optimizer that implements set_state()", format_args!("{self:?}")))
    }
}

/// What an optimizer remembers, under names that begin with its own, such as `"Adam.mean.3.kernel"`.
///
/// ```
/// use striate::{Param, Tensor, train::{Optimizer, Sgd}};
/// let mut weight = Param::new(Tensor::<f64>::full(&[1], 1.0)?);
/// weight.add_grad(Tensor::full(&[1], 3.0)?)?;
/// let mut sgd = Sgd::new(0.5).momentum(0.9);
/// sgd.step(&mut [("w".into(), &mut weight)])?;
/// let state = sgd.state()?;
/// assert_eq!(state.counts, [("Sgd.steps".to_string(), 1), ("Sgd.updates.w".to_string(), 1)]);
/// assert_eq!(state.tensors, [("Sgd.velocity.w".to_string(), Tensor::full(&[1], -1.5)?)]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState<T: Element = f32> {
    /// Whole numbers.
    pub counts: Vec<(String, u64)>,
    /// Arrays.
    pub tensors: Vec<(String, Tensor<T>)>,
}

/// Checks that an option lies in `0 .. 1`: the weight of the past in a running mean.
fn check_decay(optimizer: &'static str, option: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::argument(optimizer, format_args!("{option} of at least 0 and below 1"), value))
}

/// Checks that an option is finite and at least 0.
fn check_size(optimizer: &'static str, option: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::argument(optimizer, format_args!("a finite {option} of 0 or more"), value))
}

/// Checks that an epsilon is above 0 in the precision of the weights, so that it can keep a division from 0 / 0.
fn check_epsilon<T: Element>(optimizer: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && T::of(value) > T::zero() {
        return Ok(());
    }
    Err(Error::argument(optimizer, format_args!("a finite epsilon above 0 in {}", T::NAME), value))
}
