//! What the losses have in common: many terms, each of a few neighbouring predictions, and how they are reduced.

use rayon::prelude::*;

use super::Reduction;
use crate::memory::filled;
use crate::{Element, Error, Result, Tensor};

/// Below this many predictions, entering the thread pool costs more than it saves.
const PARALLEL: usize = 1 << 14;

/// A function `term(i, predictions, grad)` that returns term `i`, and given `(derivatives, scale)` sets the derivatives
/// to `scale` times those of the term.
pub(super) trait Term<T>: Fn(usize, &[T], Option<(&mut [T], T)>) -> T + Sync {}

impl<T, F: Fn(usize, &[T], Option<(&mut [T], T)>) -> T + Sync> Term<T> for F {}

/// A loss that is made of terms: term `i` depends on the predictions `i * width .. (i + 1) * width`.
pub(super) struct Terms<'a, T: Element, F> {
    /// The loss' name, for messages.
    pub(super) name: &'static str,
    pub(super) predictions: &'a Tensor<T>,
    pub(super) width: usize,
    /// The shape of the terms together.
    pub(super) shape: &'a [usize],
    /// What a mean divides by.
    pub(super) weight: f64,
    pub(super) term: F,
}

impl<T: Element, F: Term<T>> Terms<'_, T, F> {
    /// The reduced loss.
    pub(super) fn forward(&self, reduction: Reduction) -> Result<Tensor<T>> {
        let mut losses = self.losses()?;
        let predictions = self.predictions.as_slice();
        let term = |i: usize, loss: &mut T, x: &[T]| *loss = (self.term)(i, x, None);
        if predictions.len() < PARALLEL {
            let terms = losses.iter_mut().zip(predictions.chunks(self.width));
            terms.enumerate().for_each(|(i, (loss, x))| term(i, loss, x));
        } else {
            let terms = losses.par_iter_mut().zip(predictions.par_chunks(self.width));
            terms.enumerate().with_min_len(self.grain()).for_each(|(i, (loss, x))| term(i, loss, x));
        }
        self.reduce(reduction, losses)
    }

    /// The reduced loss and its gradient, given the gradient with respect to the reduced loss; all ones if `None`.
    pub(super) fn backward(
        &self,
        reduction: Reduction,
        grad: Option<&Tensor<T>>,
    ) -> Result<(Tensor<T>, Tensor<T>)> {
        let scale = self.scale(reduction, grad)?;
        let mut losses = self.losses()?;
        let mut grads = filled(self.name, self.predictions.shape(), T::zero())?;
        let (predictions, width) = (self.predictions.as_slice(), self.width);
        let term = |i: usize, loss: &mut T, x: &[T], grad: &mut [T]| {
            *loss = (self.term)(i, x, Some((grad, scale(i))));
        };
        if predictions.len() < PARALLEL {
            let terms = losses.iter_mut().zip(predictions.chunks(width)).zip(grads.chunks_mut(width));
            terms.enumerate().for_each(|(i, ((loss, x), grad))| term(i, loss, x, grad));
        } else {
            let terms =
                losses.par_iter_mut().zip(predictions.par_chunks(width)).zip(grads.par_chunks_mut(width));
            let terms = terms.enumerate().with_min_len(self.grain());
            terms.for_each(|(i, ((loss, x), grad))| term(i, loss, x, grad));
        }
        Ok((self.reduce(reduction, losses)?, Tensor::from_vec(self.predictions.shape(), grads)?))
    }

    /// One zero for each term; an error if there is none.
    fn losses(&self) -> Result<Vec<T>> {
        if self.predictions.is_empty() {
            return Err(Error::shape(self.name, "at least one prediction", self.predictions.shape()));
        }
        filled(self.name, self.shape, T::zero())
    }

    /// How many terms make a task worth handing to another thread.
    fn grain(&self) -> usize {
        (PARALLEL / 4 / self.width.max(1)).max(1)
    }

    /// The derivative of the scalar that is differentiated with respect to each term.
    fn scale<'g>(
        &self,
        reduction: Reduction,
        grad: Option<&'g Tensor<T>>,
    ) -> Result<impl Fn(usize) -> T + Sync + use<'g, T, F>> {
        let expected = if reduction == Reduction::None { self.shape } else { &[] };
        if let Some(grad) = grad.filter(|grad| grad.shape() != expected) {
            return Err(Error::shape(
                self.name,
                format_args!("a gradient of the loss' shape {expected:?}"),
                grad.shape(),
            ));
        }
        let (grads, single) = (grad.map(Tensor::as_slice), reduction != Reduction::None);
        let factor = if reduction == Reduction::Mean { T::of(reciprocal(self.weight)) } else { T::one() };
        Ok(move |i: usize| {
            let index = if single { 0 } else { i };
            grads.and_then(|grads| grads.get(index)).map_or(factor, |&grad| factor * grad)
        })
    }

    fn reduce(&self, reduction: Reduction, losses: Vec<T>) -> Result<Tensor<T>> {
        let sum = || losses.iter().map(|loss| loss.to_double()).sum::<f64>();
        match reduction {
            Reduction::None => Tensor::from_vec(self.shape, losses),
            Reduction::Sum => Tensor::full(&[], T::of(sum())),
            Reduction::Mean => Tensor::full(&[], T::of(sum() * reciprocal(self.weight))),
        }
    }
}

/// `1 / weight`; 0 where nothing counts, so that the mean of nothing is 0, as in Keras.
fn reciprocal(weight: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight.recip() }
}
