//! [`Sequential`]: layers one after the other.

use std::fmt::Display;
use std::ops::Range;

use crate::layer::{Name, Param, Step, Tape, add_to_output};
use crate::summary::{Cost, Summary};
use crate::{Activation, Element, Error, Layer, Result, Rng, Tensor, Window2d};

/// Layers one after the other, each working on the output of the one before; Keras' and PyTorch's `Sequential`.
///
/// It is a [`Layer`] itself, so models nest. Layers are numbered from 0: the fourth layer's kernel is called
/// `"3.kernel"`, and errors name the layer that they come from. Without layers it is the identity.
///
/// [`sequential!`](crate::sequential!) writes the same more briefly.
///
/// ```
/// use striate::{Activation, Conv2D, Dense, Flatten, Layer, MaxPool2D, Rng, Sequential, Tensor};
/// let mut model: Sequential = Sequential::new()
///     .with(Conv2D::new(8, 3).activation(Activation::Relu))
///     .with(MaxPool2D::new(2))
///     .with(Flatten::new())
///     .with(Dense::new(10).activation(Activation::Softmax));
/// model.build(&[1, 28, 28, 1], &mut Rng::seed(1))?;
///
/// let probabilities = model.forward(&Tensor::zeros(&[32, 28, 28, 1])?)?;
/// assert_eq!(probabilities.shape(), [32, 10]);
///
/// let names: Vec<_> = model.params().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.kernel", "0.bias", "3.kernel", "3.bias"]);
///
/// let error = model.forward(&Tensor::zeros(&[32, 28, 28])?).unwrap_err();
/// assert_eq!(error.layer(), Some("0"));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Sequential<T: Element = f32> {
    layers: Vec<Box<dyn Layer<T>>>,
}

impl<T: Element> Sequential<T> {
    /// A model without layers.
    ///
    /// ```
    /// assert!(striate::Sequential::<f32>::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Sequential { layers: Vec::new() }
    }

    /// The model with one more layer at the end.
    ///
    /// ```
    /// use striate::{Activation, Sequential};
    /// assert_eq!(Sequential::<f32>::new().with(Activation::Relu).len(), 1);
    /// ```
    #[must_use]
    pub fn with(mut self, layer: impl Layer<T> + 'static) -> Self {
        self.push(layer);
        self
    }

    /// Adds a layer at the end.
    ///
    /// ```
    /// use striate::{Dense, Sequential};
    /// let mut model: Sequential = Sequential::new();
    /// for units in [64, 32, 10] {
    ///     model.push(Dense::new(units));
    /// }
    /// assert_eq!(model.len(), 3);
    /// ```
    pub fn push(&mut self, layer: impl Layer<T> + 'static) {
        self.layers.push(Box::new(layer));
    }

    /// The number of layers.
    ///
    /// ```
    /// assert_eq!(striate::Sequential::<f32>::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    ///
    /// ```
    /// assert!(!striate::Sequential::<f32>::new().with(striate::Flatten::new()).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The layers, in order.
    ///
    /// ```
    /// use striate::{Dense, Flatten, Sequential, sequential};
    /// let model: Sequential = sequential![Flatten::new(), Dense::new(10)];
    /// let kinds: Vec<_> = model.layers().map(|layer| layer.kind()).collect();
    /// assert_eq!(kinds, ["Flatten", "Dense"]);
    /// ```
    pub fn layers(&self) -> impl ExactSizeIterator<Item = &dyn Layer<T>> {
        self.layers.iter().map(|layer| &**layer)
    }

    /// The layer at this place.
    ///
    /// ```
    /// use striate::{Flatten, Sequential, sequential};
    /// let model: Sequential = sequential![Flatten::new()];
    /// assert_eq!(model.get(0).map(|layer| layer.kind()), Some("Flatten"));
    /// assert!(model.get(1).is_none());
    /// ```
    pub fn get(&self, index: usize) -> Option<&dyn Layer<T>> {
        self.layers.get(index).map(|layer| &**layer)
    }

    /// The layer at this place, to change its weights.
    ///
    /// ```
    /// use striate::{Dense, Layer, Rng, Sequential, Tensor, sequential};
    /// let mut model: Sequential = sequential![Dense::new(1).use_bias(false)];
    /// model.build(&[1, 2], &mut Rng::seed(1))?;
    /// for (_, param) in model.get_mut(0).unwrap().params_mut() {
    ///     param.set_value(Tensor::full(&[2, 1], 0.5)?)?;
    /// }
    /// assert_eq!(model.forward(&Tensor::full(&[1, 2], 3.0)?)?.as_slice(), [3.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn get_mut(&mut self, index: usize) -> Option<&mut dyn Layer<T>> {
        match self.layers.get_mut(index) {
            Some(layer) => Some(&mut **layer),
            None => None,
        }
    }

    /// What the model costs for an input of this shape, layer by layer. Works before `build`.
    ///
    /// # Errors
    /// If a layer cannot take what reaches it, or a size overflows.
    ///
    /// ```
    /// use striate::{Dense, Sequential, sequential};
    /// let model: Sequential = sequential![Dense::new(128), Dense::new(10)];
    /// assert_eq!(model.summary(&[1, 784])?.params(), (784 + 1) * 128 + (128 + 1) * 10);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn summary(&self, input: &[usize]) -> Result<Summary> {
        Summary::of(self, input)
    }

    /// The output of the layers before number `end`, to `out`.
    fn forward_to(&self, end: usize, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        let (mut x, mut i) = (x.clone(), 0);
        while i < end {
            let mut between = Tensor::default();
            i = self.advance(i..end, &x, &mut between, out)?;
            x = between;
        }
        if end == 0 {
            *out = x;
        }
        Ok(())
    }

    /// The output of the first of `layers`, and of a pooling after it where the layer does that as well, to `out` if no more are
    /// left, to `between` otherwise. Returns the number of the next layer.
    fn advance(
        &self,
        layers: Range<usize>,
        x: &Tensor<T>,
        between: &mut Tensor<T>,
        out: &mut Tensor<T>,
    ) -> Result<usize> {
        let i = layers.start;
        let (layer, in_layer) = (&self.layers[i], |e: Error| e.in_layer(i));
        if let Some((next, window)) = self.pooling_after(i).filter(|(next, _)| *next <= layers.end) {
            let to = if next == layers.end { &mut *out } else { &mut *between };
            if layer.forward_pooled(x, &window, to).map_err(in_layer)? {
                return Ok(next);
            }
        }
        let to = if i + 1 == layers.end { out } else { between };
        layer.forward_into(x, to).map_err(in_layer)?;
        Ok(i + 1)
    }

    /// The window of the max pooling that comes after this layer, with nothing between, and the number of the layer after that.
    fn pooling_after(&self, layer: usize) -> Option<(usize, Window2d)> {
        let nothing = |layer: &dyn Layer<T>| {
            layer.last_activation() == Some(Activation::Linear)
                && layer.step().is_ok_and(|step| step == Some(Step::NOTHING))
        };
        let mut after = (layer + 1..).zip(&self.layers[layer + 1..]);
        let (pooling, layer) = after.find(|(_, layer)| !nothing(&***layer))?;
        Some((pooling + 1, layer.max_window()?))
    }

    /// The activation at the end of this layer that training applies after the next one, a max pooling.
    fn deferred(&self, layer: usize) -> Option<Activation> {
        let pooled = self.layers.get(layer + 1)?.takes_maxima();
        self.layers[layer].last_activation().filter(|activation| pooled && activation.keeps_maxima())
    }

    /// The activation of the layer before this one that comes only now, after it.
    fn deferred_to(&self, layer: usize) -> Activation {
        layer.checked_sub(1).and_then(|before| self.deferred(before)).unwrap_or_default()
    }

    /// Calls `f` with a layer that leaves out the activation which comes later.
    fn with_layer<R>(&mut self, i: usize, f: impl FnOnce(&mut dyn Layer<T>) -> Result<R>) -> Result<R> {
        let deferred = self.deferred(i);
        let checked = deferred.map_or(Ok(()), |activation| activation.check::<T>());
        let layer = WithoutActivation::new(&mut *self.layers[i], deferred);
        checked.and_then(|()| f(&mut *layer.layer)).map_err(|e| e.in_layer(i))
    }

    /// Leads a gradient back through the activation that comes only after this layer, and by `f` through the layer.
    fn back<R>(
        &mut self,
        i: usize,
        (grad, tape): (Tensor<T>, &mut Tape<T>),
        f: impl FnOnce(&mut dyn Layer<T>, Tensor<T>, &mut Tape<T>) -> Result<R>,
    ) -> Result<R> {
        let grad = self.deferred_to(i).backward(grad, tape).map_err(|e| e.in_layer(i))?;
        self.with_layer(i, |layer| f(layer, grad, tape))
    }

    /// The bytes that this layer of so many `own` ones saves in training, with those of activations where they come.
    fn saved_bytes(&self, layer: usize, own: usize, output: &[usize]) -> Result<usize> {
        let bytes = |activation: Activation| Ok(Layer::<T>::cost(&activation, output)?.saved_bytes);
        let later = bytes(self.deferred(layer).unwrap_or_default())?;
        Ok(own.saturating_sub(later).saturating_add(bytes(self.deferred_to(layer))?))
    }

    /// The number of the last layer that does anything at inference.
    fn last_step(&self) -> Result<Option<usize>> {
        for (i, layer) in self.layers.iter().enumerate().rev() {
            if layer.step().map_err(|e| e.in_layer(i))? != Some(Step::NOTHING) {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }

    /// Leads the shape `input` through `step(number, layer, shape)`, which says what becomes of it at each layer.
    fn through(
        &self,
        input: &[usize],
        mut step: impl FnMut(usize, &dyn Layer<T>, &[usize]) -> Result<Vec<usize>>,
    ) -> Result<Vec<usize>> {
        self.layers.iter().enumerate().try_fold(input.to_vec(), |shape, (i, layer)| {
            step(i, &**layer, &shape).map_err(|e| e.in_layer(i))
        })
    }
}

/// A [`Sequential`] of these layers.
///
/// ```
/// use striate::{Activation, Conv2D, Dense, Flatten, MaxPool2D, Sequential, sequential};
/// let model: Sequential = sequential![
///     Conv2D::new(32, 3).activation(Activation::Relu),
///     MaxPool2D::new(2),
///     Flatten::new(),
///     Dense::new(10),
/// ];
/// assert_eq!(model.len(), 4);
/// ```
#[macro_export]
macro_rules! sequential {
    ($($layer:expr),* $(,)?) => {
        $crate::Sequential::new()$(.with($layer))*
    };
}

/// Multiplications of a model from which on some layer is likely to be shared among threads.
const PARALLEL_MODEL: u64 = 1 << 19;

impl<T: Element> Layer<T> for Sequential<T> {
    fn kind(&self) -> &'static str {
        "Sequential"
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        let mut shape = input.to_vec();
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let output = layer.build(&shape, rng).and_then(|()| layer.output_shape(&shape));
            shape = output.map_err(|e| e.in_layer(i))?;
        }
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.through(input, |_, layer, shape| layer.output_shape(shape))
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let mut out = Tensor::default();
        self.forward_into(x, &mut out)?;
        Ok(out)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        let mut all = || self.forward_to(self.len(), x, out);
        // The threads are entered once, and not once a layer: coming from outside costs tens of microseconds.
        let outside = rayon::current_thread_index().is_none();
        match outside.then(|| self.cost(x.shape())) {
            Some(Ok(cost)) if cost.multiplications >= PARALLEL_MODEL => rayon::scope(|_| all()),
            _ => all(),
        }
    }

    fn forward_add(&self, x: &Tensor<T>, after: (&Tensor<T>, Activation), out: &mut Tensor<T>) -> Result<()> {
        match self.last_step()? {
            Some(last) => {
                let mut before = Tensor::default();
                self.forward_to(last, x, &mut before)?;
                self.layers[last].forward_add(&before, after, out).map_err(|e| e.in_layer(last))
            }
            None => add_to_output(self, x, after, out),
        }
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        (0..self.len()).try_fold(x, |x, i| {
            let y = self.with_layer(i, |layer| layer.forward_train(x, tape))?;
            self.deferred_to(i).forward_train(y, tape).map_err(|e| e.in_layer(i))
        })
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        (0..self.len()).rev().try_fold(grad, |grad, i| {
            self.back(i, (grad, tape), |layer, grad, tape| layer.backward(grad, tape))
        })
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        let grad = (1..self.len()).rev().try_fold(grad, |grad, i| {
            self.back(i, (grad, tape), |layer, grad, tape| layer.backward(grad, tape))
        })?;
        match self.is_empty() {
            true => Ok(()),
            false => self.back(0, (grad, tape), |layer, grad, tape| layer.backward_params(grad, tape)),
        }
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        named(self.layers.iter().enumerate().map(|(i, layer)| (i, layer.params())))
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        named(self.layers.iter_mut().enumerate().map(|(i, layer)| (i, layer.params_mut())))
    }

    fn generators(&self) -> Vec<(Name, &Rng)> {
        named(self.layers.iter().enumerate().map(|(i, layer)| (i, layer.generators())))
    }

    fn generators_mut(&mut self) -> Vec<(Name, &mut Rng)> {
        named(self.layers.iter_mut().enumerate().map(|(i, layer)| (i, layer.generators_mut())))
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let mut total = Cost::default();
        self.through(input, |i, layer, shape| {
            let (cost, output) = (layer.cost(shape)?, layer.output_shape(shape)?);
            let saved_bytes = self.saved_bytes(i, cost.saved_bytes, &output)?;
            total = total.then(Cost { saved_bytes, ..cost });
            Ok(output)
        })?;
        Ok(total)
    }

    fn last_activation(&self) -> Option<Activation> {
        self.layers.last()?.last_activation()
    }

    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        self.layers.last_mut()?.last_activation_mut()
    }

    fn step(&self) -> Result<Option<Step>> {
        Ok(self.is_empty().then_some(Step::NOTHING))
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        match self.last_step()? {
            Some(last) => self.layers[last].fuse(next).map_err(|e| e.in_layer(last)),
            None => Ok(false),
        }
    }

    fn for_inference(&mut self) -> Result<()> {
        // The last layer that has something to do.
        let mut last: Option<&mut Box<dyn Layer<T>>> = None;
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let step = layer.for_inference().and_then(|()| layer.step()).map_err(|e| e.in_layer(i))?;
            let done = match (&step, &mut last) {
                (Some(step), _) if *step == Step::NOTHING => true,
                (Some(step), Some(last)) => last.fuse(step).map_err(|e| e.in_layer(i))?,
                _ => false,
            };
            match done {
                true => *layer = Box::new(Activation::Linear),
                false => last = Some(layer),
            }
        }
        Ok(())
    }

    fn summarize(&self, name: &str, input: &[usize], summary: &mut Summary) -> Result<Vec<usize>> {
        self.through(input, |i, layer, shape| {
            let name = if name.is_empty() { i.to_string() } else { format!("{name}.{i}") };
            let output = layer.summarize(&name, shape, summary)?;
            if let Some(row) = summary.last_row_mut() {
                row.cost.saved_bytes = self.saved_bytes(i, row.cost.saved_bytes, &output)?;
            }
            Ok(output)
        })
    }
}

/// A layer without the activation at its end, which it has again afterwards, whatever happens in between.
struct WithoutActivation<'a, T: Element> {
    layer: &'a mut dyn Layer<T>,
    activation: Option<Activation>,
}

impl<'a, T: Element> WithoutActivation<'a, T> {
    fn new(layer: &'a mut dyn Layer<T>, activation: Option<Activation>) -> Self {
        let mut this = WithoutActivation { layer, activation };
        this.exchange(Activation::Linear);
        this
    }

    /// Gives the layer this activation, if there is one to be left out.
    fn exchange(&mut self, activation: Activation) {
        if let (Some(own), Some(_)) = (self.layer.last_activation_mut(), self.activation) {
            *own = activation;
        }
    }
}

impl<T: Element> Drop for WithoutActivation<'_, T> {
    fn drop(&mut self) {
        self.exchange(self.activation.unwrap_or_default());
    }
}

/// What layers inside have, each with its layer's name before its own.
pub(super) fn named<L: Display, X>(layers: impl Iterator<Item = (L, Vec<(Name, X)>)>) -> Vec<(Name, X)> {
    let path = |(layer, own): (L, Vec<(Name, X)>)| {
        own.into_iter().map(move |(name, x)| (Name::from(format!("{layer}.{name}")), x))
    };
    layers.flat_map(path).collect()
}

#[cfg(test)]
mod tests;
