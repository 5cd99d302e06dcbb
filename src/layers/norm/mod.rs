//! The normalisation layers.

mod batch;
mod local;
mod sample;

pub use batch::{BatchNorm, RunningVariance};
pub use local::LocalResponseNorm;
pub use sample::{GroupNorm, InstanceNorm, LayerNorm};

/// `epsilon`, `center` and `scale` of a layer with methods `affine_mut` and `clear`.
macro_rules! affine_options {
    ($layer:literal, $new:literal) => {
        /// What is added to the variance, so that nothing is divided by zero. Default 0.001, as in Keras; PyTorch's is
        /// 0.00001.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let norm: ", $layer, " = ", $new, ".epsilon(1e-5);")]
        /// assert!(norm.output_shape(&[1, 4, 4, 8]).is_ok());
        /// assert!(norm.epsilon(-1.0).output_shape(&[1, 4, 4, 8]).is_err());
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn epsilon(mut self, epsilon: f64) -> Self {
            self.affine_mut().epsilon = epsilon;
            self
        }

        /// Whether a trained `beta` is added. Default `true`. A layer that is built already must be built again.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let norm: ", $layer, " = ", $new, ".center(false);")]
        /// assert_eq!(norm.cost(&[1, 4, 4, 8])?.params, 8);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn center(mut self, center: bool) -> Self {
            self.affine_mut().center = center;
            self.clear();
            self
        }

        /// Whether the result is multiplied with a trained `gamma`. Default `true`. A layer that is built already must be
        /// built again.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, ", $layer, "};")]
        #[doc = concat!("let norm: ", $layer, " = ", $new, ".center(false).scale(false);")]
        /// assert_eq!(norm.cost(&[1, 4, 4, 8])?.params, 0);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn scale(mut self, scale: bool) -> Self {
            self.affine_mut().scale = scale;
            self.clear();
            self
        }
    };
}
use affine_options;

use super::weights::{Spec, Weights};
use crate::layer::{Saved, Tape};
use crate::ops::{self, Moments, Over};
use crate::{Element, Initializer, Result, Tensor};

/// What the layers over [`ops::normalize`] have in common.
#[derive(Clone, Copy, Debug)]
struct Affine {
    epsilon: f64,
    center: bool,
    scale: bool,
}

impl Default for Affine {
    fn default() -> Self {
        Affine { epsilon: 1e-3, center: true, scale: true }
    }
}

impl Affine {
    /// `gamma` and `beta`, where they are wanted.
    fn specs(&self, shape: &[usize]) -> Vec<Spec> {
        let gamma = self.scale.then(|| Spec::new("gamma", shape, Initializer::Ones));
        let beta = self.center.then(|| Spec::new("beta", shape, Initializer::Zeros));
        gamma.into_iter().chain(beta).collect()
    }

    fn forward<T: Element>(
        &self,
        x: &Tensor<T>,
        over: Over,
        moments: &Moments<T>,
        weights: &Weights<T>,
    ) -> Result<Tensor<T>> {
        let [gamma, beta] = ["gamma", "beta"].map(|name| weights.find(name).map(Tensor::as_slice));
        Ok(ops::normalize(x.view(), over, moments, gamma, beta, self.epsilon)?.into())
    }

    /// Adds up the gradients of the weights; returns that of the input.
    fn backward<T: Element>(
        &self,
        (grad, x): (Tensor<T>, Tensor<T>),
        over: Over,
        (moments, own): (&Moments<T>, bool),
        weights: &mut Weights<T>,
    ) -> Result<Tensor<T>> {
        let gamma = weights.find("gamma");
        let shape = gamma.or(weights.find("beta")).map(|weight| weight.shape().to_vec()).unwrap_or_default();
        let gamma = gamma.map(Tensor::as_slice);
        let grads = ops::normalize_backward(grad.view(), x.view(), over, moments, gamma, self.epsilon, own)?;
        weights.add_grad("gamma", || Tensor::from_vec(&shape, grads.gamma))?;
        weights.add_grad("beta", || Tensor::from_vec(&shape, grads.beta))?;
        Ok(grads.x.into())
    }
}

/// Saves the input and moments.
fn push<T: Element>(
    tape: &mut Tape<T>,
    layer: &'static str,
    x: Tensor<T>,
    moments: &Moments<T>,
) -> Result<()> {
    tape.push(layer, Saved::Tensor(x));
    for numbers in [moments.mean(), moments.variance()] {
        tape.push(layer, Saved::Tensor(Tensor::from_vec(&[numbers.len()], numbers.to_vec())?));
    }
    Ok(())
}

fn pop<T: Element>(tape: &mut Tape<T>, layer: &'static str) -> Result<(Tensor<T>, Moments<T>)> {
    let (variance, mean) = (tape.pop_tensor(layer)?, tape.pop_tensor(layer)?);
    Ok((tape.pop_tensor(layer)?, Moments::new(mean.into_vec(), variance.into_vec())?))
}

/// Bytes of the moments that [`push`] saves.
fn moments_bytes<T>(sets: usize) -> usize {
    2 * sets * size_of::<T>()
}
