//! [`Schedule`]: the learning rate at every step.

use std::fmt;
use std::sync::Arc;

use crate::{Error, Result};

/// The learning rate as a function of the step, counted in batches from 0.
///
/// A number is the schedule that always returns it. All others start from a rate too, and can be given a warm-up:
///
/// ```
/// use striate::train::Schedule;
/// let schedule = Schedule::cosine(0.1, 1000).warm_up(9);
/// assert_eq!(schedule.rate(0)?, 0.1 * 0.1);
/// assert_eq!(schedule.rate(9)?, 0.1);
/// assert!(schedule.rate(1009)? < 1e-12);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Schedule {
    /// Always the same.
    Constant(f64),
    /// `initial * factor^floor(step / every)`: PyTorch's `StepLR`.
    Step {
        /// The rate at the start.
        initial: f64,
        /// After how many steps the rate changes.
        every: usize,
        /// What it is multiplied by.
        factor: f64,
    },
    /// `end + (initial - end) * (1 + cos(pi * step / steps)) / 2`, then `end` (Loshchilov and Hutter 2017, "SGDR:
    /// Stochastic Gradient Descent with Warm Restarts", without restarts): Keras' `CosineDecay`.
    Cosine {
        /// The rate at the start.
        initial: f64,
        /// The rate after `steps`.
        end: f64,
        /// How many steps the decay takes.
        steps: usize,
    },
    /// `(step + 1) / (steps + 1)` of the first rate of `then` for `steps` steps, after which `then` begins (Goyal et al.
    /// 2017, "Accurate, Large Minibatch SGD", gradual warm-up).
    WarmUp {
        /// How many steps the warm-up takes.
        steps: usize,
        /// What follows.
        then: Box<Schedule>,
    },
    /// A function of the step.
    Custom(Custom),
}

/// The function of a [`Schedule::custom`].
///
/// ```
/// use striate::train::Schedule;
/// let schedule = Schedule::custom(|step| if step < 10 { 0.1 } else { 0.01 });
/// let Schedule::Custom(function) = &schedule else { unreachable!() };
/// assert_eq!(format!("{function:?}"), "Custom(..)");
/// assert_eq!(Schedule::Custom(function.clone()).rate(10)?, 0.01);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone)]
pub struct Custom(Arc<dyn Fn(usize) -> f64 + Send + Sync>);

impl Schedule {
    /// [`Schedule::Step`]: the rate is multiplied by `factor` after every so many steps.
    ///
    /// ```
    /// use striate::train::Schedule;
    /// let schedule = Schedule::step(0.8, 100, 0.5);
    /// assert_eq!((schedule.rate(99)?, schedule.rate(100)?, schedule.rate(250)?), (0.8, 0.4, 0.2));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn step(initial: f64, every: usize, factor: f64) -> Self {
        Schedule::Step { initial, every, factor }
    }

    /// [`Schedule::Cosine`] down to 0.
    ///
    /// ```
    /// use striate::train::Schedule;
    /// let schedule = Schedule::cosine(0.1, 100);
    /// assert_eq!((schedule.rate(0)?, schedule.rate(100)?, schedule.rate(200)?), (0.1, 0.0, 0.0));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn cosine(initial: f64, steps: usize) -> Self {
        Schedule::Cosine { initial, end: 0.0, steps }
    }

    /// A function of the step.
    ///
    /// ```
    /// use striate::train::Schedule;
    /// let schedule = Schedule::custom(|step| 0.1 / (1.0 + step as f64));
    /// assert_eq!(schedule.rate(1)?, 0.05);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn custom(rate: impl Fn(usize) -> f64 + Send + Sync + 'static) -> Self {
        Schedule::Custom(Custom(Arc::new(rate)))
    }

    /// This schedule after a warm-up of so many steps.
    ///
    /// ```
    /// use striate::train::Schedule;
    /// let schedule = Schedule::from(0.5).warm_up(3);
    /// assert_eq!([0, 1, 2, 3].map(|step| schedule.rate(step).unwrap()), [0.125, 0.25, 0.375, 0.5]);
    /// ```
    #[must_use]
    pub fn warm_up(self, steps: usize) -> Self {
        Schedule::WarmUp { steps, then: Box::new(self) }
    }

    /// The rate at a step.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if it is negative or not finite, or a number of steps is 0
    /// where that makes no sense.
    ///
    /// ```
    /// use striate::train::Schedule;
    /// approx::assert_relative_eq!(Schedule::cosine(0.5, 100).rate(50)?, 0.25);
    /// assert!(Schedule::from(-0.5).rate(0).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn rate(&self, step: usize) -> Result<f64> {
        let rate = match self {
            Schedule::Constant(rate) => *rate,
            Schedule::Step { every: 0, .. } | Schedule::Cosine { steps: 0, .. } => {
                return Err(Error::argument("Schedule", "1 step or more", 0));
            }
            Schedule::Step { initial, every, factor } => initial * factor.powf((step / every) as f64),
            Schedule::Cosine { end, steps, .. } if step >= *steps => *end,
            Schedule::Cosine { initial, end, steps } => {
                let turn = std::f64::consts::PI * (step as f64 / *steps as f64);
                end + (initial - end) * 0.5 * (1.0 + turn.cos())
            }
            Schedule::WarmUp { steps, then } if step < *steps => {
                then.rate(0)? * ((step + 1) as f64 / (*steps as f64 + 1.0))
            }
            Schedule::WarmUp { steps, then } => then.rate(step - steps)?,
            Schedule::Custom(Custom(rate)) => rate(step),
        };
        if rate.is_finite() && rate >= 0.0 {
            return Ok(rate);
        }
        Err(Error::argument(
            "Schedule",
            format_args!("a finite learning rate of 0 or more at step {step}"),
            rate,
        ))
    }
}

impl From<f64> for Schedule {
    fn from(rate: f64) -> Self {
        Schedule::Constant(rate)
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn rates(schedule: &Schedule, steps: impl IntoIterator<Item = usize>) -> Vec<f64> {
        steps.into_iter().map(|step| schedule.rate(step).unwrap()).collect()
    }

    #[test]
    fn a_number_is_a_schedule() {
        assert_eq!(rates(&0.5.into(), [0, usize::MAX]), [0.5, 0.5]);
    }

    #[test]
    fn cosine_goes_from_the_first_rate_to_the_last() {
        let schedule = Schedule::Cosine { initial: 0.5, end: 0.1, steps: 4 };
        let quarter = std::f64::consts::FRAC_1_SQRT_2;
        let expected = [0.5, 0.3 + 0.2 * quarter, 0.3, 0.3 - 0.2 * quarter, 0.1, 0.1];
        for (got, expected) in rates(&schedule, 0..6).into_iter().zip(expected) {
            approx::assert_abs_diff_eq!(got, expected, epsilon = 1e-15);
        }
    }

    #[test]
    fn a_warm_up_delays_what_follows() {
        let schedule = Schedule::step(0.8, 2, 0.5).warm_up(3);
        assert_eq!(rates(&schedule, 0..8), [0.2, 0.4, 0.8 * 0.75, 0.8, 0.8, 0.4, 0.4, 0.2]);
        assert_eq!(rates(&Schedule::from(0.1).warm_up(0), [0, 1]), [0.1, 0.1]);
    }

    #[test]
    fn mistakes_are_errors() {
        for schedule in [
            Schedule::from(-0.1),
            f64::NAN.into(),
            f64::INFINITY.into(),
            Schedule::step(0.1, 0, 0.5),
            Schedule::cosine(0.1, 0),
            Schedule::cosine(-0.1, 9).warm_up(5),
            Schedule::custom(|_| f64::NAN),
        ] {
            assert_eq!(schedule.rate(0).unwrap_err().kind(), ErrorKind::Argument, "{schedule:?}");
        }
    }
}
