//! [`Residual`] and [`Parallel`]: layers side by side, whose outputs are joined.

use std::borrow::Cow;

use ndarray::{Axis, IxDyn, concatenate};

use super::delegate::delegate_layer;
use super::sequential::named;
use crate::layer::{Name, Param, Saved, Step, Tape};
use crate::memory::{len_of, unwritten};
use crate::ops::{check_shape, each_with};
use crate::summary::{Cost, Row, Summary};
use crate::{Activation, Element, Error, Layer, Result, Rng, Sequential, Tensor};

/// How [`Parallel`] joins the outputs of its branches.
///
/// ```
/// use striate::{Activation, Join, Layer, Parallel, Tensor};
/// let x = Tensor::<f32>::full(&[1, 1, 1, 2], 3.0)?;
/// let joined = |join| Parallel::new(join).with(Activation::Relu).with(Activation::Relu6).forward(&x);
/// assert_eq!(joined(Join::Add)?.as_slice(), [6.0; 2]);
/// assert_eq!(joined(Join::Multiply)?.as_slice(), [9.0; 2]);
/// assert_eq!(joined(Join::Concat)?.as_slice(), [3.0; 4]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Join {
    /// Sums; axes of length 1 stretch to those of the others. Keras' `Add`.
    Add,
    /// Products; axes of length 1 stretch to those of the others, as in squeeze-and-excitation. Keras' `Multiply`.
    Multiply,
    /// One after the other along the last axis, the channels. Keras' `Concatenate`.
    Concat,
}

impl Join {
    fn name(self) -> &'static str {
        match self {
            Join::Add => "Add",
            Join::Multiply => "Multiply",
            Join::Concat => "Concat",
        }
    }

    /// The shape of what shapes join to.
    fn shape(self, shapes: &[Vec<usize>]) -> Result<Vec<usize>> {
        let Some((first, others)) = shapes.split_first() else {
            return Err(Error::argument(self.name(), "1 branch or more", 0));
        };
        let mismatch = |shape: &[usize]| {
            Error::shape(self.name(), format_args!("branches that fit the first one's {first:?}"), shape)
        };
        let mut joined = first.clone();
        for shape in others {
            if shape.len() != joined.len() {
                return Err(mismatch(shape));
            }
            let last = shape.len().saturating_sub(1);
            for (axis, (own, &other)) in joined.iter_mut().zip(shape).enumerate() {
                match self {
                    Join::Concat if axis == last => {
                        *own = own.checked_add(other).ok_or_else(|| mismatch(shape))?;
                    }
                    Join::Add | Join::Multiply if *own == 1 => *own = other,
                    Join::Add | Join::Multiply if other == 1 => {}
                    _ if *own == other => {}
                    _ => return Err(mismatch(shape)),
                }
            }
        }
        if self == Join::Concat && joined.is_empty() {
            return Err(mismatch(first));
        }
        len_of(self.name(), &joined)?;
        Ok(joined)
    }

    /// Joins outputs.
    fn join<T: Element>(self, mut outputs: Vec<Tensor<T>>) -> Result<Tensor<T>> {
        let shapes: Vec<_> = outputs.iter().map(|y| y.shape().to_vec()).collect();
        let shape = self.shape(&shapes)?;
        if self == Join::Concat {
            let views: Vec<_> = outputs.iter().map(Tensor::view).collect();
            let joined = concatenate(Axis(shape.len() - 1), &views);
            return Ok(joined.map_err(|e| Error::shape(self.name(), e, &shape))?.into());
        }
        // Into the first output that is as large as the result, or a copy.
        let place = shapes.iter().position(|own| *own == shape).unwrap_or(0);
        let mut joined = outputs.remove(place);
        if joined.shape() != shape {
            let mut all = Tensor::from_buffer(&shape, unwritten(self.name(), &shape)?)?;
            self.apply(&mut all, &joined, |_, b| b)?;
            joined = all;
        }
        for other in &outputs {
            match self {
                Join::Add => self.apply(&mut joined, other, |a, b| a + b)?,
                _ => self.apply(&mut joined, other, |a, b| a * b)?,
            }
        }
        Ok(joined)
    }

    /// `to = f(to, other)` for every element, with the axes of length 1 of `other` stretched.
    fn apply<T: Element>(
        self,
        to: &mut Tensor<T>,
        other: &Tensor<T>,
        f: impl Fn(T, T) -> T + Copy + Send + Sync,
    ) -> Result<()> {
        if to.shape() == other.shape() {
            each_with(to.as_mut_slice(), other.as_slice(), f);
            return Ok(());
        }
        let (shape, view) = (IxDyn(to.shape()), other.view());
        let error =
            || Error::shape(self.name(), format_args!("axes that stretch to {shape:?}"), other.shape());
        let other = view.broadcast(shape.clone()).ok_or_else(error)?;
        to.as_mut_slice().iter_mut().zip(&other).for_each(|(a, &b)| *a = f(*a, b));
        Ok(())
    }

    /// Saves what the gradients of the branches follow from: for a product the outputs, else their shapes.
    fn save<T: Element>(self, outputs: &[Tensor<T>], tape: &mut Tape<T>) {
        for y in outputs {
            tape.push(
                self.name(),
                match self {
                    Join::Multiply => Saved::Tensor(y.clone()),
                    Join::Add | Join::Concat => Saved::Shape(y.shape().to_vec()),
                },
            );
        }
    }

    /// The bytes of what [`save`](Self::save) saves for outputs of these shapes.
    fn saved_bytes<T: Element>(self, shapes: &[Vec<usize>]) -> Result<usize> {
        shapes.iter().try_fold(0_usize, |sum, shape| {
            let saved = match self {
                Join::Multiply => len_of(self.name(), shape)?.saturating_mul(size_of::<T>()),
                Join::Add | Join::Concat => size_of_val(&shape[..]),
            };
            Ok(sum.saturating_add(saved))
        })
    }

    /// The gradients of the branches' outputs, of which there are `count`.
    fn split<T: Element>(self, grad: Tensor<T>, count: usize, tape: &mut Tape<T>) -> Result<Vec<Tensor<T>>> {
        let name = self.name();
        if self == Join::Multiply {
            let outputs = (0..count).map(|_| tape.pop_tensor(name)).collect::<Result<Vec<_>>>()?;
            let outputs: Vec<_> = outputs.into_iter().rev().collect();
            let shapes: Vec<_> = outputs.iter().map(|y| y.shape().to_vec()).collect();
            check_shape(name, "an output gradient", grad.shape(), &self.shape(&shapes)?)?;
            let of = |(own, shape): (usize, &Vec<usize>)| {
                let mut product = grad.clone();
                for (_, other) in outputs.iter().enumerate().filter(|(i, _)| *i != own) {
                    self.apply(&mut product, other, |a, b| a * b)?;
                }
                shrunk(product, shape)
            };
            return shapes.iter().enumerate().map(of).collect();
        }
        let shapes = (0..count).map(|_| tape.pop_shape(name)).collect::<Result<Vec<_>>>()?;
        let shapes: Vec<_> = shapes.into_iter().rev().collect();
        check_shape(name, "an output gradient", grad.shape(), &self.shape(&shapes)?)?;
        if self == Join::Add {
            return shapes.iter().map(|shape| shrunk(grad.clone(), shape)).collect();
        }
        let last = Axis(grad.ndim() - 1);
        let mut start = 0;
        let part = |shape: &Vec<usize>| {
            let end = start + shape.last().copied().unwrap_or(0);
            let view = grad.view();
            let part = view.slice_axis(last, (start..end).into()).into();
            start = end;
            part
        };
        Ok(shapes.iter().map(part).collect())
    }
}

/// The sums over the axes that were stretched from a length of 1.
fn shrunk<T: Element>(grad: Tensor<T>, shape: &[usize]) -> Result<Tensor<T>> {
    if grad.shape() == shape {
        return Ok(grad);
    }
    let mut array = grad.into_array();
    for (axis, &len) in shape.iter().enumerate() {
        if len == 1 && array.shape()[axis] != 1 {
            array = array.sum_axis(Axis(axis)).insert_axis(Axis(axis));
        }
    }
    Ok(array.into())
}

/// The sum of two gradients.
fn sum<T: Element>(kind: &'static str, mut a: Tensor<T>, b: &Tensor<T>) -> Result<Tensor<T>> {
    check_shape(kind, "input gradients that agree", b.shape(), a.shape())?;
    each_with(a.as_mut_slice(), b.as_slice(), |a, b| a + b);
    Ok(a)
}

/// Layers that work on the same input, and how their outputs are joined: what [`Parallel`] and [`Residual`] are.
#[derive(Debug)]
struct Branches<T: Element> {
    kind: &'static str,
    layers: Vec<(Name, Box<dyn Layer<T>>)>,
    join: Join,
    /// Taken over from the layer that comes next.
    activation: Activation,
}

impl<T: Element> Branches<T> {
    /// What `step` makes of every branch; there must be one.
    fn each<R>(&self, mut step: impl FnMut(&dyn Layer<T>) -> Result<R>) -> Result<Vec<R>> {
        if self.layers.is_empty() {
            return Err(Error::argument(self.kind, "1 branch or more", 0));
        }
        self.layers.iter().map(|(name, layer)| step(&**layer).map_err(|e| e.in_layer(name))).collect()
    }

    /// The same with the layers to be changed, together with the things of `with`.
    fn each_mut<A, R>(
        &mut self,
        with: impl Iterator<Item = A>,
        mut step: impl FnMut(&mut dyn Layer<T>, A) -> Result<R>,
    ) -> Result<Vec<R>> {
        if self.layers.is_empty() {
            return Err(Error::argument(self.kind, "1 branch or more", 0));
        }
        let layers = self.layers.iter_mut().zip(with);
        layers.map(|((name, layer), with)| step(&mut **layer, with).map_err(|e| e.in_layer(&*name))).collect()
    }

    fn shapes(&self, input: &[usize]) -> Result<Vec<Vec<usize>>> {
        self.each(|layer| layer.output_shape(input))
    }

    /// The output for `x`, where the first branch adds the others' sum to its own output while that is at hand: where
    /// they are of one shape.
    fn forward_onto_others(&self, x: &Tensor<T>) -> Result<Option<Tensor<T>>> {
        let [(name, first), others @ ..] = &self.layers[..] else {
            return Ok(None);
        };
        if self.join != Join::Add || others.is_empty() {
            return Ok(None);
        }
        let shapes = self.shapes(x.shape())?;
        if shapes.iter().any(|shape| *shape != shapes[0]) {
            return Ok(None);
        }
        let others = others.iter().map(|(name, layer)| layer.forward(x).map_err(|e| e.in_layer(name)));
        let (residual, mut out) = (self.join.join(others.collect::<Result<_>>()?)?, Tensor::default());
        first.forward_add(x, (&residual, self.activation), &mut out).map_err(|e| e.in_layer(name))?;
        Ok(Some(out))
    }

    /// The bytes of what is saved besides what the branches save, for outputs of these shapes.
    fn saved_bytes(&self, shapes: &[Vec<usize>]) -> Result<usize> {
        let activation = Layer::<T>::cost(&self.activation, &self.join.shape(shapes)?)?;
        Ok(self.join.saved_bytes::<T>(shapes)?.saturating_add(activation.saved_bytes))
    }

    /// The gradients of the branches' outputs, with the last branch first.
    fn grads(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Vec<Tensor<T>>> {
        let mut grads = self.join.split(grad, self.layers.len(), tape)?;
        grads.reverse();
        Ok(grads)
    }
}

impl<T: Element> Layer<T> for Branches<T> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        self.each_mut(std::iter::repeat(()), |layer, ()| layer.build(input, rng))?;
        self.output_shape(input).map(drop)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.join.shape(&self.shapes(input)?)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        if let Some(y) = self.forward_onto_others(x)? {
            return Ok(y);
        }
        self.activation.on(self.join.join(self.each(|layer| layer.forward(x))?)?)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let outputs =
            self.each_mut(std::iter::repeat(()), |layer, ()| layer.forward_train(x.clone(), tape))?;
        self.join.save(&outputs, tape);
        self.activation.forward_train(self.join.join(outputs)?, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let grad = self.activation.backward(grad, tape)?;
        let (kind, grads) = (self.kind, self.grads(grad, tape)?);
        let mut total: Option<Tensor<T>> = None;
        for ((name, layer), grad) in self.layers.iter_mut().rev().zip(grads) {
            let own = layer.backward(grad, tape).map_err(|e| e.in_layer(&*name))?;
            total = Some(match total {
                Some(total) => sum(kind, own, &total)?,
                None => own,
            });
        }
        total.ok_or_else(|| Error::argument(kind, "1 branch or more", 0))
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        let grad = self.activation.backward(grad, tape)?;
        let grads = self.grads(grad, tape)?;
        for ((name, layer), grad) in self.layers.iter_mut().rev().zip(grads) {
            layer.backward_params(grad, tape).map_err(|e| e.in_layer(&*name))?;
        }
        Ok(())
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        named(self.layers.iter().map(|(name, layer)| (name, layer.params())))
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        named(self.layers.iter_mut().map(|(name, layer)| (&*name, layer.params_mut())))
    }

    fn generators(&self) -> Vec<(Name, &Rng)> {
        named(self.layers.iter().map(|(name, layer)| (name, layer.generators())))
    }

    fn generators_mut(&mut self) -> Vec<(Name, &mut Rng)> {
        named(self.layers.iter_mut().map(|(name, layer)| (&*name, layer.generators_mut())))
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let costs = self.each(|layer| layer.cost(input))?;
        let total = costs.into_iter().reduce(Cost::beside).unwrap_or_default();
        let saved_bytes = total.saved_bytes.saturating_add(self.saved_bytes(&self.shapes(input)?)?);
        Ok(Cost { saved_bytes, ..total })
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        match next {
            Step::Activation(next) if self.join == Join::Add && self.activation == Activation::Linear => {
                self.activation = *next;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn for_inference(&mut self) -> Result<()> {
        self.each_mut(std::iter::repeat(()), |layer, ()| layer.for_inference()).map(drop)
    }

    fn summarize(&self, name: &str, input: &[usize], summary: &mut Summary) -> Result<Vec<usize>> {
        let inside = |part: &str| if name.is_empty() { part.to_string() } else { format!("{name}.{part}") };
        let mut names = self.layers.iter().map(|(branch, _)| inside(branch));
        let mut fork = summary.fork();
        let shapes = self.each(|layer| {
            let shape = layer.summarize(&names.next().unwrap_or_default(), input, summary)?;
            fork.next_branch(summary, names.len() == 0);
            Ok(shape)
        })?;
        let output = self.join.shape(&shapes)?;
        fork.join(summary);
        let cost = Cost { saved_bytes: self.saved_bytes(&shapes)?, ..Cost::default() };
        let row = Row::new::<T>(name, self.join.name(), &output, &output, cost)?;
        summary.push(row);
        Ok(output)
    }
}

/// Layers side by side, each working on the same input, and their outputs joined: the towers of an inception module
/// (Szegedy et al., 2015), squeeze-and-excitation (Hu et al., 2018), a dense block (Huang et al., 2017).
///
/// Branches are numbered from 0: the kernel of the first layer of the second branch, a [`Sequential`], is `"1.0.kernel"`.
/// [`sequential![]`](crate::sequential!) without layers is a branch that leaves its input as it is.
///
/// | | shape |
/// |---|---|
/// | input | what every branch takes |
/// | output | for [`Join::Concat`] the branches' with the channels added up, else theirs, where axes of length 1 stretch |
///
/// # Errors
/// If there is no branch, a branch fails, or the outputs do not fit each other.
///
/// ```
/// use striate::{Activation, Conv2D, Dense, GlobalAvgPool2D, Join, Layer, Parallel, Rng, Sequential, Tensor, sequential};
/// // Squeeze-and-excitation: the maps, times a weight for each from the averages of all.
/// let weights: Sequential = sequential![
///     GlobalAvgPool2D::new().keepdims(true),
///     Dense::new(2).activation(Activation::Relu),
///     Dense::new(8).activation(Activation::Sigmoid),
/// ];
/// let mut module = Parallel::new(Join::Multiply).with(Sequential::new()).with(weights);
/// module.build(&[1, 6, 6, 8], &mut Rng::seed(1))?;
/// assert_eq!(module.forward(&Tensor::zeros(&[4, 6, 6, 8])?)?.shape(), [4, 6, 6, 8]);
/// assert_eq!(module.params()[0].0, "1.1.kernel");
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Debug)]
pub struct Parallel<T: Element = f32>(Branches<T>);

impl<T: Element> Parallel<T> {
    /// No branch yet, and how they will be joined.
    ///
    /// ```
    /// use striate::{Join, Layer, Parallel};
    /// assert!(Parallel::<f32>::new(Join::Add).output_shape(&[1, 2]).is_err());
    /// ```
    pub fn new(join: Join) -> Self {
        Parallel(Branches { kind: "Parallel", layers: Vec::new(), join, activation: Activation::Linear })
    }

    /// One more branch.
    ///
    /// ```
    /// use striate::{Conv2D, Join, Layer, Padding, Parallel};
    /// let towers: Parallel = Parallel::new(Join::Concat)
    ///     .with(Conv2D::new(16, 1))
    ///     .with(Conv2D::new(32, 3).padding(Padding::Same));
    /// assert_eq!(towers.output_shape(&[1, 7, 7, 8])?, [1, 7, 7, 48]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn with(mut self, layer: impl Layer<T> + 'static) -> Self {
        let name = self.0.layers.len().to_string().into();
        self.0.layers.push((name, Box::new(layer)));
        self
    }
}

impl<T: Element> Layer<T> for Parallel<T> {
    delegate_layer!("Parallel", 0);

    fn summarize(&self, name: &str, input: &[usize], summary: &mut Summary) -> Result<Vec<usize>> {
        self.0.summarize(name, input, summary)
    }
}

/// A body, and around it a shortcut, which is added to its output: `y = body(x) + shortcut(x)`, by default
/// `y = body(x) + x` (He et al., 2016).
///
/// Parameters are called `"body..."` and `"shortcut..."`: the kernel of the first layer of a [`Sequential`] body is
/// `"body.0.kernel"`, and inside a model `"3.body.0.kernel"`.
///
/// # Errors
/// If the body or the shortcut fails, or their outputs do not fit each other.
///
/// ```
/// use striate::{Activation, Conv2D, Layer, Padding, Residual, Rng, Sequential, sequential};
/// let body: Sequential = sequential![
///     Conv2D::new(8, 3).padding(Padding::Same).activation(Activation::Relu),
///     Conv2D::new(8, 3).padding(Padding::Same),
/// ];
/// let mut model = sequential![Residual::new(body), Activation::Relu];
/// model.build(&[1, 6, 6, 8], &mut Rng::seed(1))?;
/// assert_eq!(model.params()[0].0, "0.body.0.kernel");
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Debug)]
pub struct Residual<T: Element = f32>(Branches<T>);

impl<T: Element> Residual<T> {
    /// This body, with the identity around it.
    ///
    /// ```
    /// use striate::{Activation, Layer, Residual, Tensor};
    /// let x = Tensor::<f32>::full(&[1, 1], -2.0)?;
    /// assert_eq!(Residual::new(Activation::Relu).forward(&x)?, x);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(body: impl Layer<T> + 'static) -> Self {
        let layers: [(Name, Box<dyn Layer<T>>); 2] = [
            (Cow::Borrowed("body"), Box::new(body)),
            (Cow::Borrowed("shortcut"), Box::new(Sequential::new())),
        ];
        Residual(Branches {
            kind: "Residual",
            layers: layers.into(),
            join: Join::Add,
            activation: Activation::Linear,
        })
    }

    /// Another shortcut than the identity: a convolution of 1x1 where the body changes the size or the channels.
    ///
    /// ```
    /// use striate::{Conv2D, Layer, Padding, Residual};
    /// let body = Conv2D::new(16, 3).strides(2).padding(Padding::all(1));
    /// let block: Residual = Residual::new(body).shortcut(Conv2D::new(16, 1).strides(2));
    /// assert_eq!(block.output_shape(&[1, 8, 8, 8])?, [1, 4, 4, 16]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn shortcut(mut self, shortcut: impl Layer<T> + 'static) -> Self {
        self.0.layers.truncate(1);
        self.0.layers.push((Cow::Borrowed("shortcut"), Box::new(shortcut)));
        self
    }
}

impl<T: Element> Layer<T> for Residual<T> {
    delegate_layer!("Residual", 0);

    fn summarize(&self, name: &str, input: &[usize], summary: &mut Summary) -> Result<Vec<usize>> {
        self.0.summarize(name, input, summary)
    }
}

#[cfg(test)]
mod tests;
