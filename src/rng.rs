//! The seeded generator of random numbers behind initialisers, dropout and shuffling.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{Rng as _, RngExt, SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// A seeded generator (xoshiro256++): the same seed gives the same numbers on every machine.
///
/// ```
/// use striate::Rng;
/// let (mut a, mut b) = (Rng::seed(7), Rng::seed(7));
/// assert_eq!(a.uniform(), b.uniform());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// The generator that starts from `seed`.
    ///
    /// ```
    /// assert_ne!(striate::Rng::seed(1), striate::Rng::seed(2));
    /// ```
    pub fn seed(seed: u64) -> Self {
        Rng(Xoshiro256PlusPlus::seed_from_u64(seed))
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
