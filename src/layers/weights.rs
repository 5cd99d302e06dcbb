//! The weights that convolution and dense layers share: a kernel, perhaps a bias, and the kernel packed for the
//! matrix product.

use ndarray::Array1;

use crate::layer::{Name, Param};
use crate::ops::check_shape;
use crate::{Element, Initializer, Result, Rng, Tensor};

/// A kernel, perhaps a bias, and a place for what inference prepares from the kernel on first use. It is
/// dropped whenever the weights are lent out to be changed, so it can never be stale.
#[derive(Clone, Debug)]
pub(super) struct Weights<T: Element, P> {
    /// The kernel's shape, whatever parameter a borrower may put in its place.
    shape: Vec<usize>,
    kernel: Param<T>,
    bias: Option<Param<T>>,
    prepared: P,
}

impl<T: Element, P: Default> Weights<T, P> {
    /// New weights; the bias, one number an output channel, only where there is an initialiser for it.
    pub(super) fn new(
        shape: &[usize],
        kernel: &Initializer,
        bias: Option<&Initializer>,
        rng: &mut Rng,
    ) -> Result<Self> {
        let channels = &shape[shape.len().saturating_sub(1)..];
        Ok(Weights {
            shape: shape.to_vec(),
            kernel: Param::new(kernel.make(shape, rng)?),
            bias: bias.map(|bias| bias.make(channels, rng).map(Param::new)).transpose()?,
            prepared: P::default(),
        })
    }

    /// Fails if a parameter was exchanged for one of another shape.
    pub(super) fn check(&self, layer: &'static str) -> Result<()> {
        check_shape(layer, "a kernel", self.kernel().shape(), &self.shape)?;
        match &self.bias {
            Some(bias) => {
                let channels = &self.shape[self.shape.len().saturating_sub(1)..];
                check_shape(layer, "a bias", bias.value().shape(), channels)
            }
            None => Ok(()),
        }
    }

    pub(super) fn kernel(&self) -> &Tensor<T> {
        self.kernel.value()
    }

    pub(super) fn bias(&self) -> Option<&[T]> {
        self.bias.as_ref().map(|bias| bias.value().as_slice())
    }

    /// The kernel, and what has been prepared from it.
    pub(super) fn prepared(&self) -> (&[T], &P) {
        (self.kernel().as_slice(), &self.prepared)
    }

    /// How many of the weights are set not to be trained.
    pub(super) fn frozen(&self) -> usize {
        let all = std::iter::once(&self.kernel).chain(&self.bias);
        all.filter(|param| !param.is_trainable()).map(|param| param.value().len()).sum()
    }

    /// Adds to the gradients; that of the bias is only computed if there is one.
    pub(super) fn add_grads(
        &mut self,
        kernel: Tensor<T>,
        bias: impl FnOnce() -> Result<Array1<T>>,
    ) -> Result<()> {
        self.kernel.add_grad(kernel)?;
        match &mut self.bias {
            Some(param) => param.add_grad(bias()?.into()),
            None => Ok(()),
        }
    }

    pub(super) fn params(&self) -> Vec<(Name, &Param<T>)> {
        let bias = self.bias.as_ref().map(|bias| ("bias".into(), bias));
        std::iter::once(("kernel".into(), &self.kernel)).chain(bias).collect()
    }

    pub(super) fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        self.prepared = P::default();
        let bias = self.bias.as_mut().map(|bias| ("bias".into(), bias));
        std::iter::once(("kernel".into(), &mut self.kernel)).chain(bias).collect()
    }
}
