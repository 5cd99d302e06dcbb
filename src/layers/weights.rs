//! The weights of a layer: named parameters, made together, and what inference prepares from them.

use crate::kernels::epilogue::{Epilogue, FinishPiece};
use crate::layer::{Name, Param, Step};
use crate::memory::len_of;
use crate::{Activation, Cost, Element, Error, Initializer, Result, Rng, Tensor};

/// What a weight is made from.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    name: &'static str,
    shape: Vec<usize>,
    initializer: Initializer,
    is_state: bool,
}

impl Spec {
    /// A weight that training changes.
    pub(super) fn new(name: &'static str, shape: &[usize], initializer: Initializer) -> Self {
        Spec { name, shape: shape.to_vec(), initializer, is_state: false }
    }

    /// A state of the layer.
    pub(super) fn state(name: &'static str, shape: &[usize], initializer: Initializer) -> Self {
        Spec { is_state: true, ..Self::new(name, shape, initializer) }
    }

    /// `kernel`, and `bias`, a number for each of the kernel's last axis, where there is an initialiser for it.
    pub(super) fn kernel_and_bias(
        kernel: &[usize],
        initializer: Initializer,
        bias: Option<Initializer>,
    ) -> Vec<Self> {
        let channels = &kernel[kernel.len().saturating_sub(1)..];
        let bias = bias.map(|bias| Spec::new("bias", channels, bias));
        std::iter::once(Spec::new("kernel", kernel, initializer)).chain(bias).collect()
    }
}

/// Which filter each number of a kernel belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Filters {
    /// `[..., filters]`.
    Last(usize),
    /// `[..., filters / groups, channels]`, as of transposed convolutions.
    BeforeChannels { filters: usize, channels: usize, groups: usize },
}

impl Filters {
    fn count(self) -> usize {
        match self {
            Filters::Last(filters) | Filters::BeforeChannels { filters, .. } => filters,
        }
    }

    /// The filter of the number at this place; there must be filters, channels and groups.
    fn of(self, index: usize) -> usize {
        match self {
            Filters::Last(filters) => index % filters,
            Filters::BeforeChannels { filters, channels, groups } => {
                let (of_group, channel) = (filters / groups, index % channels);
                channel / (channels / groups) * of_group + index / channels % of_group
            }
        }
    }
}

/// A layer's weights, none before it is built, and a place for what inference prepares from them on first use. It is
/// dropped whenever the weights are lent out to be changed, so it can never be stale.
#[derive(Clone, Debug)]
pub(super) struct Weights<T: Element, P = ()> {
    layer: &'static str,
    /// With the shape that each must have, whatever parameter a borrower may put in its place.
    params: Vec<(&'static str, Vec<usize>, Param<T>)>,
    prepared: P,
}

impl<T: Element, P: Default> Weights<T, P> {
    /// None yet, for a layer of this kind.
    pub(super) fn none(layer: &'static str) -> Self {
        Weights { layer, params: Vec::new(), prepared: P::default() }
    }

    /// Makes new weights.
    pub(super) fn build(&mut self, specs: &[Spec], rng: &mut Rng) -> Result<()> {
        let made = specs.iter().map(|spec| {
            let value = spec.initializer.make(&spec.shape, rng)?;
            let param = if spec.is_state { Param::state(value) } else { Param::new(value) };
            Ok((spec.name, spec.shape.clone(), param))
        });
        let params = made.collect::<Result<_>>()?;
        *self = Weights { params, ..Self::none(self.layer) };
        Ok(())
    }

    /// Forgets the weights: an option has changed what they must be.
    pub(super) fn clear(&mut self) {
        *self = Self::none(self.layer);
    }

    /// Fails if there are none, or if a parameter was exchanged for one of another shape.
    pub(super) fn check(&self) -> Result<()> {
        if self.params.is_empty() {
            return Err(Error::not_built(self.layer));
        }
        let wrong = self.params.iter().find(|(_, shape, param)| param.value().shape() != shape);
        match wrong {
            Some((name, shape, param)) => {
                let expected = format!("a {name} of {shape:?}");
                Err(Error::shape(self.layer, expected, param.value().shape()))
            }
            None => Ok(()),
        }
    }

    /// The value of a weight that this layer always has once it is built.
    pub(super) fn value(&self, name: &str) -> Result<&Tensor<T>> {
        self.find(name).ok_or_else(|| Error::not_built(self.layer))
    }

    /// The value of a weight that this layer may have.
    pub(super) fn find(&self, name: &str) -> Option<&Tensor<T>> {
        self.params.iter().find(|(own, ..)| *own == name).map(|(_, _, param)| param.value())
    }

    /// The elements of `"bias"`, if there is one.
    pub(super) fn bias(&self) -> Option<&[T]> {
        self.find("bias").map(Tensor::as_slice)
    }

    /// Calls `f` with what comes after the sums of `channels` numbers: the bias, if there is one, the residual, if there is
    /// one, and the activation.
    pub(super) fn with_epilogue<R>(
        &self,
        (residual, activation): (Option<&[T]>, Activation),
        channels: usize,
        f: impl FnOnce(Epilogue<'_, T>) -> R,
    ) -> R {
        let (bend, rest) = activation.in_registers();
        let finish = |piece: &mut [T]| rest.apply(piece, channels);
        let finish: Option<FinishPiece<'_, T>> =
            if rest == Activation::Linear { None } else { Some(&finish) };
        f(Epilogue { bias: self.bias(), residual, bend, finish })
    }

    /// What has been prepared from the weights.
    pub(super) fn prepared(&self) -> &P {
        &self.prepared
    }

    /// Adds to a weight's gradient, which is only computed if there is such a weight.
    pub(super) fn add_grad<G: Into<Tensor<T>>>(
        &mut self,
        name: &str,
        grad: impl FnOnce() -> Result<G>,
    ) -> Result<()> {
        match self.params.iter_mut().find(|(own, ..)| *own == name) {
            Some((_, _, param)) => {
                param.release_cleared();
                param.add_grad(grad()?.into())
            }
            None => Ok(()),
        }
    }

    /// Leaves the memory of gradients that were cleared to those that come next: that of the first, which mostly is the
    /// kernel's, last, since however large the last is kept.
    pub(super) fn release_cleared(&mut self) {
        self.params.iter_mut().rev().for_each(|(_, _, param)| param.release_cleared());
    }

    /// Replaces a weight's value, for a layer that changes its own state.
    pub(super) fn set_value(&mut self, name: &str, value: Tensor<T>) -> Result<()> {
        self.prepared = P::default();
        match self.params.iter_mut().find(|(own, ..)| *own == name) {
            Some((_, _, param)) => param.set_value(value),
            None => Err(Error::not_built(self.layer)),
        }
    }

    /// Takes over the next layer's work, as [`Layer::fuse`](crate::Layer::fuse), for a layer with such a kernel and bias
    /// before its activation: `kernel` is the kernel's name, and where its filters are.
    pub(super) fn fuse(
        &mut self,
        next: &Step,
        kernel: (&'static str, Filters),
        activation: &mut Activation,
        use_bias: &mut bool,
    ) -> Result<bool> {
        match next {
            _ if *activation != Activation::Linear => Ok(false),
            Step::Activation(next) => {
                *activation = *next;
                Ok(true)
            }
            Step::Affine { scale, shift } => {
                let fused = self.scale(kernel, scale, shift)?;
                *use_bias |= fused;
                Ok(fused)
            }
        }
    }

    /// Lets the outputs be `scale` times what they were, plus `shift`: the weight `kernel` is scaled, and there is a bias from
    /// now on. `false` if there are not as many numbers as filters.
    fn scale(
        &mut self,
        (kernel, filters): (&'static str, Filters),
        scale: &[f64],
        shift: &[f64],
    ) -> Result<bool> {
        self.check()?;
        let count = filters.count();
        if count == 0 || scale.len() != count || shift.len() != count {
            return Ok(false);
        }
        let scaled = |x: &T, scale: f64| x.to_double() * scale;
        let mut weights = self.value(kernel)?.clone();
        for (index, w) in weights.as_mut_slice().iter_mut().enumerate() {
            *w = T::of(scaled(w, scale[filters.of(index)]));
        }
        let shifted = match self.find("bias") {
            Some(bias) => {
                let old = bias.as_slice().iter().zip(scale);
                old.zip(shift).map(|((b, &scale), &shift)| T::of(scaled(b, scale) + shift)).collect()
            }
            None => shift.iter().map(|&shift| T::of(shift)).collect(),
        };
        let bias = Tensor::from_vec(&[count], shifted)?;
        self.set_value(kernel, weights)?;
        if self.find("bias").is_none() {
            self.params.push(("bias", vec![count], Param::new(bias.clone())));
        }
        self.set_value("bias", bias)?;
        self.params.iter_mut().for_each(|(_, _, param)| param.clear_grad());
        Ok(true)
    }

    /// The cost of having these weights, built or not: as they are set to be trained, as far as they are there.
    pub(super) fn cost(&self, specs: &[Spec]) -> Result<Cost> {
        let mut cost = Cost::default();
        for spec in specs {
            let len = len_of(self.layer, &spec.shape)?;
            let built = self.params.iter().find(|(own, ..)| *own == spec.name);
            let trainable = built.map_or(!spec.is_state, |(_, _, param)| param.is_trainable());
            let sum = if trainable { &mut cost.params } else { &mut cost.frozen_params };
            *sum = sum.saturating_add(len);
        }
        Ok(cost)
    }

    pub(super) fn params(&self) -> Vec<(Name, &Param<T>)> {
        self.params.iter().map(|(name, _, param)| ((*name).into(), param)).collect()
    }

    pub(super) fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        self.prepared = P::default();
        self.params.iter_mut().map(|(name, _, param)| ((*name).into(), param)).collect()
    }
}

/// `build`, `params` and `params_mut` of a [`Layer`](crate::Layer) with a field `weights` and a method
/// `specs(&self, input) -> Result<Vec<Spec>>`.
macro_rules! delegate_to_weights {
    () => {
        fn build(&mut self, input: &[usize], rng: &mut crate::Rng) -> crate::Result<()> {
            let specs = self.specs(input)?;
            self.weights.build(&specs, rng)
        }

        fn params(&self) -> Vec<(crate::Name, &crate::Param<T>)> {
            self.weights.params()
        }

        fn params_mut(&mut self) -> Vec<(crate::Name, &mut crate::Param<T>)> {
            self.weights.params_mut()
        }
    };
}
pub(super) use delegate_to_weights;
