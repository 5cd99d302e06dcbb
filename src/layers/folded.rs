//! Layers of one and of three dimensions that are a two-dimensional one over maps of the same elements.

use crate::layer::{Layer, Name, Param, Saved, Step, Tape};
use crate::memory::len_of;
use crate::ops::check_shape;
use crate::{Activation, Cost, Element, Error, Result, Rng, Tensor};

/// Which arrays are maps in disguise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fold {
    /// Sequences, `[batch, length, channels]`, as maps of one row.
    Row,
    /// Volumes, `[batch, depth, height, width, channels]`, as maps of `depth * height` rows: for layers that make no
    /// difference between positions.
    Volume,
}

/// A two-dimensional layer under another name, over such arrays.
#[derive(Clone, Debug)]
pub(super) struct Folded<L> {
    kind: &'static str,
    fold: Fold,
    pub(super) inner: L,
}

impl<L> Folded<L> {
    pub(super) fn new(kind: &'static str, fold: Fold, inner: L) -> Self {
        Folded { kind, fold, inner }
    }

    /// The same with another option of the layer inside.
    pub(super) fn map(self, change: impl FnOnce(L) -> L) -> Self {
        Folded { kind: self.kind, fold: self.fold, inner: change(self.inner) }
    }

    /// The shape as maps.
    fn maps(&self, shape: &[usize]) -> Result<[usize; 4]> {
        match (self.fold, shape) {
            (Fold::Row, &[batch, length, channels]) => Ok([batch, 1, length, channels]),
            (Fold::Row, _) => Err(Error::shape(self.kind, "an input of [batch, length, channels]", shape)),
            (Fold::Volume, &[batch, depth, height, width, channels]) => {
                Ok([batch, len_of(self.kind, &[depth, height])?, width, channels])
            }
            (Fold::Volume, _) => {
                Err(Error::shape(self.kind, "an input of [batch, depth, height, width, channels]", shape))
            }
        }
    }

    /// The shape of what comes of such maps: of one row again, or of no maps any more.
    fn unfolded(&self, shape: &[usize]) -> Result<Vec<usize>> {
        match (self.fold, shape) {
            (_, &[batch, channels]) => Ok(vec![batch, channels]),
            (Fold::Row, &[batch, 1, length, channels]) => Ok(vec![batch, length, channels]),
            (Fold::Volume, &[batch, 1, 1, channels]) => Ok(vec![batch, 1, 1, 1, channels]),
            _ => {
                let expected = "padding of the two ends of a sequence alone, such as Padding::ends(1, 1)";
                Err(Error::argument(self.kind, expected, "padding above or below it, as of Padding::all"))
            }
        }
    }

    fn fold<T: Element>(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        x.reshape(&self.maps(x.shape())?)
    }

    fn unfold<T: Element>(&self, y: Tensor<T>) -> Result<Tensor<T>> {
        y.reshape(&self.unfolded(y.shape())?)
    }

    /// The gradient of an output as one of the inner layer's, and the input's shape.
    fn inner_grad<T: Element>(&self, grad: &Tensor<T>, tape: &mut Tape<T>) -> Result<(Tensor<T>, Vec<usize>)>
    where
        L: Layer<T>,
    {
        let input = tape.pop_shape(self.kind)?;
        let output = self.inner.output_shape(&self.maps(&input)?)?;
        check_shape(self.kind, "an output gradient", grad.shape(), &self.unfolded(&output)?)?;
        Ok((grad.reshape(&output)?, input))
    }
}

impl<T: Element, L: Layer<T>> Layer<T> for Folded<L> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        let maps = self.maps(input)?;
        self.unfolded(&self.inner.output_shape(&maps)?)?;
        self.inner.build(&maps, rng)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.unfolded(&self.inner.output_shape(&self.maps(input)?)?)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.unfold(self.inner.forward(&self.fold(x)?)?)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        self.inner.forward_into(&self.fold(x)?, out)?;
        *out = self.unfold(std::mem::take(out))?;
        Ok(())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (input, maps) = (x.shape().to_vec(), self.fold(&x)?);
        // The maps alone hold the memory, which a layer may write over.
        drop(x);
        let y = self.inner.forward_train(maps, tape)?;
        tape.push(self.kind, Saved::Shape(input));
        self.unfold(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, input) = self.inner_grad(&grad, tape)?;
        self.inner.backward(grad, tape)?.reshape(&input)
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        let (grad, _) = self.inner_grad(&grad, tape)?;
        self.inner.backward_params(grad, tape)
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        self.inner.params()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        self.inner.params_mut()
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let maps = self.maps(input)?;
        let cost = self.inner.cost(&maps)?;
        self.unfolded(&self.inner.output_shape(&maps)?)?;
        Ok(Cost { saved_bytes: cost.saved_bytes.saturating_add(size_of_val(input)), ..cost })
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        self.inner.fuse(next)
    }

    fn last_activation(&self) -> Option<Activation> {
        self.inner.last_activation()
    }

    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        self.inner.last_activation_mut()
    }

    fn takes_maxima(&self) -> bool {
        self.inner.takes_maxima()
    }
}
