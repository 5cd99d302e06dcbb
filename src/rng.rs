//! The seeded generator of random numbers behind initialisers, dropout and shuffling.

mod xoshiro;

use rand::seq::SliceRandom;
use rand::{Rng as _, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::{Error, Result};
use xoshiro::Xoshiro;

/// A seeded generator (xoshiro256++): the same seed gives the same numbers on every machine.
///
/// ```
/// use striate::Rng;
/// let (mut a, mut b) = (Rng::seed(7), Rng::seed(7));
/// assert_eq!(a.uniform(), b.uniform());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(Xoshiro);

impl Rng {
    /// The generator that starts from `seed`.
    ///
    /// ```
    /// assert_ne!(striate::Rng::seed(1), striate::Rng::seed(2));
    /// ```
    pub fn seed(seed: u64) -> Self {
        Rng(Xoshiro::seed(seed))
    }

    /// A new generator, seeded from this one, for a part of a program that draws at its own pace.
    ///
    /// ```
    /// let mut rng = striate::Rng::seed(1);
    /// assert_ne!(rng.fork(), rng.fork());
    /// ```
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::seed(self.0.next_u64())
    }

    /// Where the generator stands, to be kept for [`from_state`](Self::from_state).
    ///
    /// ```
    /// use striate::Rng;
    /// let mut rng = Rng::seed(1);
    /// let state = rng.state();
    /// assert_eq!(rng.uniform(), Rng::from_state(state)?.uniform());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn state(&self) -> [u64; 4] {
        self.0.0
    }

    /// The generator that goes on from a [`state`](Self::state).
    ///
    /// # Errors
    /// [`ErrorKind::Value`](crate::ErrorKind::Value) for four zeros, from which the generator would give zeros only.
    ///
    /// ```
    /// assert!(striate::Rng::from_state([1, 2, 3, 4]).is_ok());
    /// assert!(striate::Rng::from_state([0; 4]).is_err());
    /// ```
    pub fn from_state(state: [u64; 4]) -> Result<Self> {
        if state == [0; 4] {
            return Err(Error::value("Rng", "a state other than zeros", "zeros"));
        }
        Ok(Rng(Xoshiro(state)))
    }

    /// A number distributed uniformly over `0.0..1.0`.
    ///
    /// ```
    /// assert!((0.0..1.0).contains(&striate::Rng::seed(1).uniform()));
    /// ```
    pub fn uniform(&mut self) -> f64 {
        self.0.random()
    }

    /// A number of the normal distribution with mean 0 and variance 1.
    ///
    /// ```
    /// assert!(striate::Rng::seed(1).normal().is_finite());
    /// ```
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// A whole number distributed uniformly over `0..bound`; 0 if `bound` is 0.
    ///
    /// ```
    /// assert!(striate::Rng::seed(1).below(10) < 10);
    /// ```
    pub fn below(&mut self, bound: usize) -> usize {
        // Drawn as `u64`, so that 32-bit machines see the same numbers.
        if bound == 0 { 0 } else { self.0.random_range(0..bound as u64) as usize }
    }

    /// Brings `items` into random order.
    ///
    /// ```
    /// let mut order: Vec<usize> = (0..100).collect();
    /// striate::Rng::seed(1).shuffle(&mut order);
    /// assert_ne!(order[..3], [0, 1, 2]);
    /// ```
    pub fn shuffle<X>(&mut self, items: &mut [X]) {
        items.shuffle(&mut self.0);
    }
}
