//! The options that all convolution layers share.

use crate::layer::Step;
use crate::layers::weights::{Filters, Spec, Weights};
use crate::{Activation, Element, Initializer, Result};

/// What weights start from, and what comes after the sums.
#[derive(Clone, Copy, Debug)]
pub(in crate::layers) struct Finish {
    pub(super) activation: Activation,
    pub(super) use_bias: bool,
    pub(super) kernel_initializer: Initializer,
    pub(super) bias_initializer: Initializer,
}

impl Default for Finish {
    /// As Keras' layers.
    fn default() -> Self {
        Finish {
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
        }
    }
}

impl Finish {
    /// A kernel of this name and shape, and the bias of so many filters, if there is to be one.
    pub(super) fn specs(&self, name: &'static str, kernel: &[usize], filters: usize) -> Vec<Spec> {
        let bias = self.use_bias.then(|| Spec::new("bias", &[filters], self.bias_initializer));
        std::iter::once(Spec::new(name, kernel, self.kernel_initializer)).chain(bias).collect()
    }

    /// Takes over the next layer's work, as [`Layer::fuse`](crate::Layer::fuse): `kernel` is the kernel's name and
    /// where its filters are.
    pub(super) fn fuse<T: Element, P: Default>(
        &mut self,
        next: &Step,
        kernel: (&'static str, Filters),
        weights: &mut Weights<T, P>,
    ) -> Result<bool> {
        weights.fuse(next, kernel, &mut self.activation, &mut self.use_bias)
    }
}

/// `activation`, `use_bias`, `kernel_initializer` and `bias_initializer` of a layer with methods `finish_mut` and `clear`;
/// for the examples, its name, what `new` takes for one filter of size 1, and the shape of an input of one element.
macro_rules! finish_options {
    ($layer:literal, $sizes:literal, $one:literal) => {
        /// The function applied to every output. Default [`Activation::Linear`](crate::Activation::Linear).
        ///
        /// ```
        #[doc = concat!("use striate::{Activation, Initializer, Layer, Rng, Tensor, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $sizes, ");")]
        /// let mut conv = conv.activation(Activation::Relu).bias_initializer(Initializer::Constant(-1.0));
        #[doc = concat!("conv.build(&", $one, ", &mut Rng::seed(1))?;")]
        #[doc = concat!("assert_eq!(conv.forward(&Tensor::zeros(&", $one, ")?)?.as_slice(), [0.0]);")]
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn activation(mut self, activation: crate::Activation) -> Self {
            self.finish_mut().activation = activation;
            self
        }

        /// Whether a number is added to every map. Default `true`. A layer that is built already must be built again.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Rng, ", $layer, "};")]
        #[doc = concat!("let mut conv: ", $layer, " = ", $layer, "::new(", $sizes, ").use_bias(false);")]
        #[doc = concat!("conv.build(&", $one, ", &mut Rng::seed(1))?;")]
        /// assert!(conv.params().iter().all(|(name, _)| name != "bias"));
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn use_bias(mut self, use_bias: bool) -> Self {
            self.finish_mut().use_bias = use_bias;
            self.clear();
            self
        }

        /// What the kernel starts from. Default [`Initializer::GlorotUniform`](crate::Initializer::GlorotUniform).
        ///
        /// ```
        #[doc = concat!("use striate::{Initializer, Layer, Rng, Tensor, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $sizes, ");")]
        /// let mut conv = conv.kernel_initializer(Initializer::Zeros);
        #[doc = concat!("conv.build(&", $one, ", &mut Rng::seed(1))?;")]
        #[doc = concat!("assert_eq!(conv.forward(&Tensor::full(&", $one, ", 1.0)?)?.as_slice(), [0.0]);")]
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn kernel_initializer(mut self, initializer: crate::Initializer) -> Self {
            self.finish_mut().kernel_initializer = initializer;
            self
        }

        /// What the bias starts from. Default [`Initializer::Zeros`](crate::Initializer::Zeros).
        ///
        /// ```
        #[doc = concat!("use striate::{Initializer, Layer, Rng, Tensor, ", $layer, "};")]
        #[doc = concat!("let conv: ", $layer, " = ", $layer, "::new(", $sizes, ");")]
        /// let mut conv = conv.bias_initializer(Initializer::Ones);
        #[doc = concat!("conv.build(&", $one, ", &mut Rng::seed(1))?;")]
        #[doc = concat!("assert_eq!(conv.forward(&Tensor::zeros(&", $one, ")?)?.as_slice(), [1.0]);")]
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn bias_initializer(mut self, initializer: crate::Initializer) -> Self {
            self.finish_mut().bias_initializer = initializer;
            self
        }
    };
}
pub(super) use finish_options;
