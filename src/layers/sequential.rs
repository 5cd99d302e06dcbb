//! [`Sequential`]: layers one after the other.

use std::fmt::Display;

use crate::layer::{Name, Param, Step, Tape, add_to_output};
use crate::summary::{Cost, Summary};
use crate::{Activation, Element, Layer, Result, Rng, Tensor};

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

    /// The output of the layers before number `end`.
    fn forward_to(&self, end: usize, x: &Tensor<T>) -> Result<Tensor<T>> {
        let mut layers = self.layers[..end].iter().enumerate();
        layers.try_fold(x.clone(), |x, (i, layer)| layer.forward(&x).map_err(|e| e.in_layer(i)))
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
        let layer = &mut *self.layers[i];
        let exchange = |layer: &mut dyn Layer<T>, activation| {
            if let (Some(own), Some(activation)) = (layer.last_activation_mut(), activation) {
                *own = activation;
            }
        };
        let checked = deferred.map_or(Ok(()), |activation| activation.check::<T>());
        exchange(layer, deferred.and(Some(Activation::Linear)));
        let result = checked.and_then(|()| f(layer));
        exchange(layer, deferred);
        result.map_err(|e| e.in_layer(i))
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
        let mut all = || {
            let Some((last, before)) = self.layers.split_last() else {
                *out = x.clone();
                return Ok(());
            };
            let x = self.forward_to(before.len(), x)?;
            last.forward_into(&x, out).map_err(|e| e.in_layer(before.len()))
        };
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
                let x = self.forward_to(last, x)?;
                self.layers[last].forward_add(&x, after, out).map_err(|e| e.in_layer(last))
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
            let grad = self.deferred_to(i).backward(grad, tape).map_err(|e| e.in_layer(i))?;
            self.with_layer(i, |layer| layer.backward(grad, tape))
        })
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        let grad = (1..self.len()).rev().try_fold(grad, |grad, i| {
            let grad = self.deferred_to(i).backward(grad, tape).map_err(|e| e.in_layer(i))?;
            self.with_layer(i, |layer| layer.backward(grad, tape))
        })?;
        match self.is_empty() {
            true => Ok(()),
            false => self.with_layer(0, |layer| layer.backward_params(grad, tape)),
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

/// What layers inside have, each with its layer's name before its own.
pub(super) fn named<L: Display, X>(layers: impl Iterator<Item = (L, Vec<(Name, X)>)>) -> Vec<(Name, X)> {
    let path = |(layer, own): (L, Vec<(Name, X)>)| {
        own.into_iter().map(move |(name, x)| (Name::from(format!("{layer}.{name}")), x))
    };
    layers.flat_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        BatchNorm, ChannelMaxPool, Conv1D, Conv2D, Conv2DTranspose, Conv3D, Dense, DepthwiseConv2D, Dropout,
        ErrorKind, Flatten, GlobalMaxPool2D, MaxPool1D, MaxPool2D, MaxPool3D, Padding, Reach, Remat,
        Residual, SeparableConv2D,
    };
    use ndarray::array;

    /// Flatten, then two dense layers inside a model of their own, then softmax.
    fn nested() -> Sequential<f64> {
        let inner = sequential![Dense::new(5).activation(Activation::Tanh), Dropout::new(0.5), Dense::new(3)];
        let mut model = sequential![Flatten::new(), inner, Activation::Softmax];
        model.build(&[1, 2, 2, 1], &mut Rng::seed(1)).unwrap();
        model
    }

    fn names(model: &Sequential<f64>) -> Vec<String> {
        model.params().into_iter().map(|(name, _)| name.into_owned()).collect()
    }

    #[test]
    fn names_are_paths_in_the_same_order_to_read_and_to_write() {
        let mut model = nested();
        let want = ["1.0.kernel", "1.0.bias", "1.2.kernel", "1.2.bias"];
        assert_eq!(names(&model), want);
        let to_write: Vec<String> =
            model.params_mut().into_iter().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(to_write, want);
    }

    #[test]
    fn computes_what_its_layers_compute() {
        let model = nested();
        let x = Tensor::from_vec(&[3, 2, 2, 1], (0..12).map(|i| f64::from(i) / 6.0 - 1.0).collect()).unwrap();
        let mut want = x.clone();
        for layer in model.layers() {
            want = layer.forward(&want).unwrap();
        }
        assert_eq!(model.forward(&x).unwrap(), want);
        assert_eq!(model.output_shape(x.shape()).unwrap(), want.shape());
    }

    /// Models with a max pooling after an activation that may come later, or may not, and the axes of their inputs.
    fn pooled() -> Vec<(Sequential<f64>, &'static [usize])> {
        const MAPS: &[usize] = &[2, 8, 8, 2];
        let relu = Activation::Relu;
        let conv = |activation| Conv2D::new(4, 3).padding(Padding::Same).activation(activation);
        let overlapping = || MaxPool2D::new(3).strides(2).padding(Padding::all(1));
        let hard = Activation::HardTanh { min: -0.1, max: 0.2 };
        vec![
            (sequential![conv(relu), MaxPool2D::new(2), conv(relu), GlobalMaxPool2D::new()], MAPS),
            (sequential![BatchNorm::new(), Activation::Relu6, overlapping()], MAPS),
            (
                sequential![
                    sequential![conv(Activation::Linear), conv(hard)],
                    overlapping(),
                    Activation::Relu
                ],
                MAPS,
            ),
            (sequential![SeparableConv2D::new(4, 3).activation(relu), ChannelMaxPool::new(2)], MAPS),
            (sequential![relu, relu, MaxPool2D::new(2), MaxPool2D::new(2)], MAPS),
            (sequential![conv(Activation::Tanh), MaxPool2D::new(2)], MAPS),
            (
                sequential![Remat::new(sequential![conv(relu), overlapping()]), conv(relu), overlapping()],
                MAPS,
            ),
            (sequential![Remat::new(conv(relu)), overlapping()], MAPS),
            (sequential![Conv1D::new(5, 3).activation(relu), MaxPool1D::new(2)], &[3, 17, 4]),
            (sequential![Conv3D::new(3, 2).activation(relu), MaxPool3D::new(2)], &[2, 5, 6, 5, 3]),
        ]
    }

    /// A training step of a model's layers, each on its own: the output and the gradient of the input.
    fn one_by_one(model: &mut Sequential<f64>, x: &Tensor<f64>, grad: &Tensor<f64>) -> [Tensor<f64>; 2] {
        let mut tape = Tape::new();
        let layers = model.layers.iter_mut();
        let y = layers.fold(x.clone(), |x, layer| layer.forward_train(x, &mut tape).unwrap());
        let layers = model.layers.iter_mut().rev();
        [y, layers.fold(grad.clone(), |grad, layer| layer.backward(grad, &mut tape).unwrap())]
    }

    /// The numbers to the last bit, but for the sign of zero.
    fn bits(tensor: &Tensor<f64>) -> Vec<u64> {
        tensor.as_slice().iter().map(|v| (v + 0.0).to_bits()).collect()
    }

    #[test]
    fn an_activation_after_the_maxima_changes_nothing_but_what_is_saved() {
        let mut rng = Rng::seed(7);
        let mut random = |shape: &[usize]| Tensor::zeros(shape).unwrap().map(|_: f64| rng.normal());
        for ((mut model, shape), (mut alone, _)) in pooled().into_iter().zip(pooled()) {
            let mut x = random(shape);
            x.as_mut_slice()[17] = f64::NAN;
            for model in [&mut model, &mut alone] {
                model.build(shape, &mut Rng::seed(1)).unwrap();
            }
            let grad = random(&model.output_shape(shape).unwrap());
            let [y, dx] = one_by_one(&mut alone, &x, &grad);

            let mut tape = Tape::new();
            assert_eq!(bits(&model.forward_train(x, &mut tape).unwrap()), bits(&y), "{model:?}");
            assert_eq!(tape.bytes(), model.cost(shape).unwrap().saved_bytes, "{model:?}");
            assert_eq!(tape.bytes() as u64, model.summary(shape).unwrap().saved_bytes(), "{model:?}");
            assert_eq!(bits(&model.backward(grad, &mut tape).unwrap()), bits(&dx), "{model:?}");
            assert!(tape.is_empty());
            for ((_, param), (_, want)) in model.params().into_iter().zip(alone.params()) {
                assert_eq!(param.grad().map(bits), want.grad().map(bits), "{model:?}");
            }
            let activations =
                [&model, &alone].map(|model| model.layers().map(Layer::last_activation).collect::<Vec<_>>());
            assert_eq!(activations[0], activations[1], "each has its own back");
        }
    }

    #[test]
    fn the_backward_pass_empties_the_tape_with_or_without_the_inputs_gradient() {
        let x = Tensor::from_vec(&[3, 2, 2, 1], (0..12).map(|i| f64::from(i) / 6.0 - 1.0).collect()).unwrap();
        let upstream = Tensor::from(array![[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 0.0, 1.0]]);
        let grads = |params_only: bool| {
            let (mut model, mut tape) = (nested(), Tape::new());
            model.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(tape.bytes(), model.cost(x.shape()).unwrap().saved_bytes);
            match params_only {
                true => model.backward_params(upstream.clone(), &mut tape).unwrap(),
                false => assert_eq!(model.backward(upstream.clone(), &mut tape).unwrap().shape(), x.shape()),
            }
            assert!(tape.is_empty());
            model.params().into_iter().map(|(_, param)| param.grad().unwrap().clone()).collect::<Vec<_>>()
        };
        assert_eq!(grads(true), grads(false));
    }

    /// Fails in `backward`, so that only `backward_params` of the first layer succeeds.
    #[derive(Debug)]
    struct OnlyParams;

    impl Layer<f64> for OnlyParams {
        fn kind(&self) -> &'static str {
            "OnlyParams"
        }
        fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
            Ok(input.to_vec())
        }
        fn forward(&self, x: &Tensor<f64>) -> Result<Tensor<f64>> {
            Ok(x.clone())
        }
        fn forward_train(&mut self, x: Tensor<f64>, _: &mut Tape<f64>) -> Result<Tensor<f64>> {
            Ok(x)
        }
        fn backward(&mut self, _: Tensor<f64>, _: &mut Tape<f64>) -> Result<Tensor<f64>> {
            Err(crate::Error::not_built("OnlyParams"))
        }
        fn backward_params(&mut self, _: Tensor<f64>, _: &mut Tape<f64>) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_layer_alone_need_not_give_the_inputs_gradient() {
        let grad = Tensor::zeros(&[1, 2]).unwrap();
        let mut first = sequential![sequential![OnlyParams], Activation::Linear];
        first.backward_params(grad.clone(), &mut Tape::new()).unwrap();
        assert_eq!(first.backward(grad.clone(), &mut Tape::new()).unwrap_err().layer(), Some("0.0"));
        let mut second = sequential![Activation::Linear, OnlyParams];
        assert_eq!(second.backward_params(grad, &mut Tape::new()).unwrap_err().layer(), Some("1"));
    }

    /// Convolutions of every kind and a dense layer, with batch normalisation behind them that does something.
    fn normalised() -> Sequential<f64> {
        let body = sequential![Conv2D::new(6, 3).padding(Padding::Same), BatchNorm::new().center(false)];
        let mut model = sequential![
            Conv2D::new(4, 3).use_bias(false),
            BatchNorm::new(),
            Dropout::new(0.5),
            Activation::Relu,
            DepthwiseConv2D::new(3).depth_multiplier(2),
            BatchNorm::new(),
            SeparableConv2D::new(6, 3).use_bias(false),
            BatchNorm::new().scale(false),
            Conv2DTranspose::new(6, 3).groups(2).padding(Padding::all(1)),
            BatchNorm::new(),
            Activation::Silu,
            Residual::new(body),
            Activation::Relu6,
            BatchNorm::new(),
            Flatten::new(),
            sequential![Dense::new(5)],
            BatchNorm::new(),
            Activation::Softmax,
        ];
        let rng = &mut Rng::seed(1);
        model.build(&[1, 10, 10, 3], rng).unwrap();
        for (name, param) in model.params_mut() {
            let value =
                |rng: &mut Rng| if name.contains("variance") { 0.1 + rng.uniform() } else { rng.normal() };
            let values = (0..param.value().len()).map(|_| value(rng)).collect();
            param.set_value(Tensor::from_vec(param.value().shape(), values).unwrap()).unwrap();
        }
        model
    }

    #[test]
    fn inference_merges_normalisation_and_activations_into_weights() {
        let mut model = normalised();
        let x = (0..2 * 300).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let x = Tensor::from_vec(&[2, 10, 10, 3], x).unwrap();
        let want = model.forward(&x).unwrap();
        model.for_inference().unwrap();
        approx::assert_abs_diff_eq!(model.forward(&x).unwrap(), want, epsilon = 1e-12);
        let kinds: Vec<_> =
            model.layers().map(|layer| layer.kind()).filter(|kind| *kind != "Linear").collect();
        let convolutions = ["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"];
        assert_eq!(kinds[..4], convolutions);
        assert_eq!(kinds[4..], ["Residual", "BatchNorm", "Flatten", "Sequential"]);
        assert_eq!(names(&model)[..4], ["0.kernel", "0.bias", "4.depthwise_kernel", "4.bias"]);
        assert!(names(&model).contains(&"11.body.0.bias".to_string()));
        // What it says of itself is still true, and there is nothing left to merge.
        let params: usize = model.params().iter().map(|(_, param)| param.value().len()).sum();
        let cost = model.cost(x.shape()).unwrap();
        assert_eq!(cost.params + cost.frozen_params, params);
        let before = model.forward(&x).unwrap();
        model.for_inference().unwrap();
        assert_eq!(model.forward(&x).unwrap(), before);
    }

    #[test]
    fn a_model_without_weights_has_nothing_to_merge() {
        let mut model: Sequential<f64> = sequential![Conv2D::new(4, 3), BatchNorm::new()];
        assert_eq!(model.for_inference().unwrap_err().kind(), ErrorKind::NotBuilt);
        model = sequential![Flatten::new(), Activation::Relu];
        model.for_inference().unwrap();
        assert_eq!(model.layers().last().unwrap().kind(), "Relu");
    }

    #[test]
    fn without_layers_it_is_the_identity() {
        let mut empty = Sequential::<f64>::new();
        let (x, mut tape) = (Tensor::from(array![[1.0, 2.0]]), Tape::new());
        empty.build(x.shape(), &mut Rng::seed(1)).unwrap();
        assert_eq!(empty.output_shape(x.shape()).unwrap(), x.shape());
        assert_eq!(empty.forward(&x).unwrap(), x);
        assert_eq!(empty.forward_train(x.clone(), &mut tape).unwrap(), x);
        assert_eq!(empty.backward(x.clone(), &mut tape).unwrap(), x);
        empty.backward_params(x.clone(), &mut tape).unwrap();
        assert_eq!(
            (empty.len(), empty.params().len(), empty.cost(x.shape()).unwrap()),
            (0, 0, Cost::default())
        );
        assert!(empty.summary(x.shape()).unwrap().rows().is_empty());
    }

    #[test]
    fn errors_name_the_layer() {
        let model = nested();
        let wrong = Tensor::zeros(&[1, 7]).unwrap();
        let error = model.forward(&wrong).unwrap_err();
        assert_eq!((error.layer(), error.kind()), (Some("1.0"), ErrorKind::Shape));

        let mut bad = sequential![Flatten::new(), sequential![Dense::<f64>::new(3), Dense::new(0)]];
        assert_eq!(bad.build(&[1, 4], &mut Rng::seed(1)).unwrap_err().layer(), Some("1.1"));
        assert_eq!(bad.output_shape(&[1, 4]).unwrap_err().layer(), Some("1.1"));
        assert_eq!(bad.cost(&[1, 4]).unwrap_err().layer(), Some("1.1"));
        assert_eq!(bad.summary(&[1, 4]).unwrap_err().layer(), Some("1.1"));
        let unbuilt = sequential![Flatten::new(), Dense::<f64>::new(3)];
        let error = unbuilt.forward(&wrong).unwrap_err();
        assert_eq!((error.layer(), error.kind()), (Some("1"), ErrorKind::NotBuilt));
    }

    #[test]
    fn summaries_of_nested_models_have_a_row_for_each_layer_inside() {
        let summary = nested().summary(&[2, 2, 2, 1]).unwrap();
        let rows: Vec<_> = summary.rows().iter().map(|row| (row.name.as_str(), row.kind)).collect();
        let want =
            [("0", "Flatten"), ("1.0", "Dense"), ("1.1", "Dropout"), ("1.2", "Dense"), ("2", "Softmax")];
        assert_eq!(rows, want);
        let cost = nested().cost(&[2, 2, 2, 1]).unwrap();
        assert_eq!(summary.params(), (4 + 1) * 5 + (5 + 1) * 3);
        assert_eq!(summary.params(), cost.params as u64);
        assert_eq!((summary.multiplications(), cost.multiplications), (70, 70));
        assert_eq!((summary.saved_bytes(), cost.reach), (cost.saved_bytes as u64, Reach::Everything));
        assert_eq!(summary.receptive_fields()[0], Reach::Pointwise);
    }

    #[test]
    fn layers_can_be_reached_by_number() {
        let mut model = nested();
        assert_eq!(model.get(1).map(|layer| layer.kind()), Some("Sequential"));
        assert_eq!(model.get_mut(2).map(|layer| layer.kind()), Some("Softmax"));
        assert!(model.get(3).is_none() && model.get_mut(3).is_none());
        assert_eq!(model.layers().len(), model.len());
    }
}
