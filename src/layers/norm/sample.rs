//! [`LayerNorm`], [`GroupNorm`] and [`InstanceNorm`], which normalise every sample alone.

use super::{Affine, affine_options, moments_bytes, pop, push};
use crate::layer::{Layer, Tape};
use crate::layers::delegate::delegate_layer;
use crate::layers::weights::{Spec, Weights, delegate_to_weights};
use crate::memory::len_of;
use crate::ops::{self, Moments, Over, check_epsilon};
use crate::{Cost, Element, Reach, Result, Tensor};

/// All three: they differ in what is normalised together.
#[derive(Clone, Debug)]
struct SampleNorm<T: Element> {
    kind: &'static str,
    over: Over,
    affine: Affine,
    weights: Weights<T>,
}

impl<T: Element> SampleNorm<T> {
    fn new(kind: &'static str, over: Over) -> Self {
        SampleNorm { kind, over, affine: Affine::default(), weights: Weights::none(kind) }
    }

    fn check(&self, input: &[usize]) -> Result<()> {
        check_epsilon(self.kind, self.affine.epsilon)?;
        self.over.sets(self.kind, input).map(drop)
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        self.check(input)?;
        let axes = if let Over::Last(axes) = self.over { axes } else { 1 };
        Ok(self.affine.specs(&input[input.len().saturating_sub(axes)..]))
    }

    /// Fails unless the layer is built; one without weights need not be.
    fn check_weights(&self) -> Result<()> {
        if self.affine.center || self.affine.scale { self.weights.check() } else { Ok(()) }
    }

    fn normalize(&self, x: &Tensor<T>) -> Result<(Tensor<T>, Moments<T>)> {
        self.check(x.shape())?;
        self.check_weights()?;
        let moments = ops::moments(x.view(), self.over)?;
        Ok((self.affine.forward(x, self.over, &moments, &self.weights)?, moments))
    }
}

impl<T: Element> Layer<T> for SampleNorm<T> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        Ok(self.normalize(x)?.0)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (y, moments) = self.normalize(&x)?;
        push(tape, self.kind, x, &moments)?;
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        self.check_weights()?;
        let (x, moments) = pop(tape, self.kind)?;
        self.affine.backward((grad, x), self.over, (&moments, true), &mut self.weights)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        check_epsilon(self.kind, self.affine.epsilon)?;
        let sets = self.over.sets(self.kind, input)?;
        let elements = len_of(self.kind, input)?;
        Ok(Cost {
            multiplications: elements as u64,
            saved_bytes: elements * size_of::<T>() + moments_bytes::<T>(sets.count()),
            reach: if self.over == Over::Last(1) { Reach::Pointwise } else { Reach::Everything },
            ..self.weights.cost(&self.specs(input)?)?
        })
    }
}

/// A layer that is a [`SampleNorm`].
macro_rules! sample_norm {
    ($(#[$doc:meta])* $layer:ident, $name:literal, $new:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $layer<T: Element = f32>(SampleNorm<T>);

        impl<T: Element> $layer<T> {
            affine_options!($name, $new);

            fn affine_mut(&mut self) -> &mut Affine {
                &mut self.0.affine
            }

            fn clear(&mut self) {
                self.0.weights.clear();
            }
        }

        impl<T: Element> Layer<T> for $layer<T> {
            delegate_layer!($name, 0);
        }
    };
}

sample_norm! {
    /// Layer normalisation (Ba et al., 2016): the last axis, or some of the last, to the mean 0 and the variance 1, then
    /// `gamma * y + beta`. Every sample, and every index along the other axes, stands alone, so that training and
    /// inference compute the same. Keras' `LayerNormalization`; PyTorch's `LayerNorm`.
    ///
    /// | | shape |
    /// |---|---|
    /// | input, output | any |
    /// | `gamma`, `beta` | that of the last axis, or of the last axes |
    ///
    /// # Errors
    /// If epsilon is negative, or the input has fewer axes.
    ///
    /// ```
    /// use ndarray::array;
    /// use striate::{Layer, LayerNorm, Rng, Tensor};
    /// let mut norm = LayerNorm::new().epsilon(0.0);
    /// norm.build(&[1, 2], &mut Rng::seed(1))?;
    /// let y = norm.forward(&Tensor::from(array![[1.0, 5.0], [3.0, 2.0]]))?;
    /// assert_eq!(y, Tensor::from(array![[-1.0, 1.0], [1.0, -1.0]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    LayerNorm, "LayerNorm", "LayerNorm::new()"
}

impl<T: Element> LayerNorm<T> {
    /// Normalisation of the last axis.
    ///
    /// ```
    /// use striate::{Layer, LayerNorm};
    /// let norm: LayerNorm = LayerNorm::new();
    /// assert_eq!(norm.cost(&[1, 4, 4, 8])?.params, 2 * 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        LayerNorm(SampleNorm::new("LayerNorm", Over::Last(1)))
    }

    /// How many of the last axes are normalised together: as many as PyTorch's `normalized_shape` has.
    ///
    /// ```
    /// use striate::{Layer, LayerNorm};
    /// let norm: LayerNorm = LayerNorm::new().axes(3);
    /// assert_eq!(norm.cost(&[1, 4, 4, 8])?.params, 2 * 4 * 4 * 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn axes(mut self, axes: usize) -> Self {
        self.0.over = Over::Last(axes);
        self.clear();
        self
    }
}

impl<T: Element> Default for LayerNorm<T> {
    fn default() -> Self {
        Self::new()
    }
}

sample_norm! {
    /// Group normalisation (Wu and He, 2018): each group of channels of a sample, at all positions, to the mean 0 and the
    /// variance 1, then `gamma * y + beta`. Keras' `GroupNormalization`; PyTorch's `GroupNorm`.
    ///
    /// | | shape |
    /// |---|---|
    /// | input, output | `[batch, ..., channels]` |
    /// | `gamma`, `beta` | `[channels]` |
    ///
    /// # Errors
    /// If epsilon is negative, or the groups do not divide the channels.
    ///
    /// ```
    /// use ndarray::array;
    /// use striate::{GroupNorm, Layer, Rng, Tensor};
    /// let mut norm = GroupNorm::new(2).epsilon(0.0);
    /// norm.build(&[1, 4], &mut Rng::seed(1))?;
    /// let y = norm.forward(&Tensor::from(array![[1.0, 5.0, 3.0, 2.0]]))?;
    /// assert_eq!(y, Tensor::from(array![[-1.0, 1.0, 1.0, -1.0]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    GroupNorm, "GroupNorm", "GroupNorm::new(2)"
}

impl<T: Element> GroupNorm<T> {
    /// Normalisation in this many groups.
    ///
    /// ```
    /// use striate::{GroupNorm, Layer};
    /// let norm: GroupNorm = GroupNorm::new(3);
    /// assert!(norm.output_shape(&[1, 4, 4, 6]).is_ok());
    /// assert!(norm.output_shape(&[1, 4, 4, 8]).is_err());
    /// ```
    pub fn new(groups: usize) -> Self {
        GroupNorm(SampleNorm::new("GroupNorm", Over::Groups(groups)))
    }
}

sample_norm! {
    /// Instance normalisation (Ulyanov et al., 2016): each map of a sample to the mean 0 and the variance 1, then
    /// `gamma * y + beta`. PyTorch's `InstanceNorm1d/2d/3d` with `affine=True`.
    ///
    /// | | shape |
    /// |---|---|
    /// | input, output | `[batch, ..., channels]` |
    /// | `gamma`, `beta` | `[channels]` |
    ///
    /// # Errors
    /// If epsilon is negative, or there are no channels.
    ///
    /// ```
    /// use ndarray::array;
    /// use striate::{InstanceNorm, Layer, Rng, Tensor};
    /// let mut norm = InstanceNorm::new().epsilon(0.0);
    /// norm.build(&[1, 2, 1], &mut Rng::seed(1))?;
    /// let y = norm.forward(&Tensor::from(array![[[1.0], [5.0]]]))?;
    /// assert_eq!(y, Tensor::from(array![[[-1.0], [1.0]]]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    InstanceNorm, "InstanceNorm", "InstanceNorm::new()"
}

impl<T: Element> InstanceNorm<T> {
    /// Normalisation of every map.
    ///
    /// ```
    /// use striate::{InstanceNorm, Layer};
    /// let norm: InstanceNorm = InstanceNorm::new();
    /// assert_eq!(norm.cost(&[1, 4, 4, 8])?.params, 2 * 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        InstanceNorm(SampleNorm::new("InstanceNorm", Over::Instance))
    }
}

impl<T: Element> Default for InstanceNorm<T> {
    fn default() -> Self {
        Self::new()
    }
}
