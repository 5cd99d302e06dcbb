//! [`Layer`]: what every layer is.

mod param;
mod step;
mod tape;

pub use param::Param;
pub use step::Step;
pub(crate) use tape::mismatch;
pub use tape::{Saved, Tape};

use std::borrow::Cow;
use std::fmt::Debug;

use crate::ops::{check_shape, each_with};
use crate::summary::{Cost, Row, Summary};
use crate::{Activation, Element, Result, Rng, Tensor, Window2d};

/// The name of a parameter inside its layer, such as `"kernel"`; inside a container a path, such as `"3.kernel"`.
pub type Name = Cow<'static, str>;

/// A step of a network: it makes its weights once the input's shape is known, computes outputs, and passes
/// gradients back.
///
/// Shapes always include the batch axis; `build`, `output_shape` and `cost` accept any batch size, and weights
/// do not depend on it. Inference (`forward`) takes `&self`, so one model serves any number of threads.
/// In training, what a layer needs to remember lies on the [`Tape`], a stack: `backward` pops what
/// `forward_train` pushed, so layers nest, and one layer can be used twice.
///
/// A layer without weights needs five methods; implement it for your own types to use them in a
/// [`Sequential`](crate::Sequential):
///
/// ```
/// use striate::{Layer, Result, Rng, Tape, Tensor};
///
/// /// y = factor * x, so dx = factor * dy.
/// #[derive(Debug)]
/// struct Scale(f32);
///
/// impl Layer for Scale {
///     fn kind(&self) -> &'static str {
///         "Scale"
///     }
///     fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
///         Ok(input.to_vec())
///     }
///     fn forward(&self, x: &Tensor) -> Result<Tensor> {
///         Ok(x.map(|v| self.0 * v))
///     }
///     fn forward_train(&mut self, x: Tensor, _: &mut Tape) -> Result<Tensor> {
///         self.forward(&x)
///     }
///     fn backward(&mut self, grad: Tensor, _: &mut Tape) -> Result<Tensor> {
///         Ok(grad.map(|g| self.0 * g))
///     }
/// }
///
/// assert_eq!(Scale(2.0).forward(&Tensor::full(&[1, 2], 3.0)?)?.as_slice(), [6.0, 6.0]);
/// # Ok::<(), striate::Error>(())
/// ```
pub trait Layer<T: Element = f32>: Debug + Send + Sync {
    /// The name of this kind of layer, such as `"Conv2D"`, for summaries and messages.
    fn kind(&self) -> &'static str;

    /// Makes the weights for inputs of shape `input`, as Keras' `build`. Building again makes new weights.
    ///
    /// # Errors
    /// If the layer's options make no sense, alone or for this input.
    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        let _ = rng;
        self.output_shape(input).map(drop)
    }

    /// The shape of the output for an input of shape `input`; works before `build`.
    ///
    /// # Errors
    /// If the layer cannot take such an input.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>>;

    /// The output for `x`, at inference.
    ///
    /// # Errors
    /// If the layer is not built or cannot take `x`.
    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>>;

    /// The output for `x`, at inference, in place of what `out` holds, whose memory is used again where it can be.
    /// After an error `out` may hold anything.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    ///
    /// ```
    /// use striate::{Conv2D, Layer, Rng, Tensor};
    /// let mut conv = Conv2D::new(8, 3);
    /// conv.build(&[1, 10, 10, 3], &mut Rng::seed(1))?;
    /// let mut maps = Tensor::default();
    /// for picture in [Tensor::<f32>::zeros(&[1, 10, 10, 3])?, Tensor::full(&[1, 10, 10, 3], 1.0)?] {
    ///     conv.forward_into(&picture, &mut maps)?; // the second time, without asking for memory
    ///     assert_eq!(maps, conv.forward(&picture)?);
    /// }
    /// # Ok::<(), striate::Error>(())
    /// ```
    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        *out = self.forward(x)?;
        Ok(())
    }

    /// `activation(output for x + residual)`, at inference, in place of what `out` holds: what ends a
    /// [`Residual`](crate::Residual) block. Convolutions that are linear themselves add and bend what they have in registers.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and if `residual` has not the output's shape, or the activation is not for it.
    ///
    /// ```
    /// use striate::{Activation, Conv2D, Initializer, Layer, Rng, Tensor};
    /// let mut conv = Conv2D::new(1, 1).kernel_initializer(Initializer::Constant(-2.0));
    /// conv.build(&[1, 1, 2, 1], &mut Rng::seed(1))?;
    /// let (x, mut out) = (Tensor::from(ndarray::array![[[[1.0], [3.0]]]]), Tensor::default());
    /// conv.forward_add(&x, (&Tensor::full(&[1, 1, 2, 1], 5.0)?, Activation::Relu), &mut out)?;
    /// assert_eq!(out.as_slice(), [3.0, 0.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    fn forward_add(
        &self,
        x: &Tensor<T>,
        (residual, activation): (&Tensor<T>, Activation),
        out: &mut Tensor<T>,
    ) -> Result<()> {
        add_to_output(self, x, (residual, activation), out)
    }

    /// The largest of what each window of a max pooling sees of the output for `x`, at inference, in place of what `out` holds;
    /// `false` if the layer leaves that to the pooling, as it does by default: then `out` is as it was. Where a layer with a
    /// [`max_window`](Self::max_window) comes next, a [`Sequential`](crate::Sequential) asks for this first. Convolutions of
    /// large maps pool them while they are in the cache, which takes less time, with the same numbers (weights that are not
    /// finite may reach others).
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    ///
    /// ```
    /// use striate::{Conv2D, Layer, MaxPool2D, Padding, Rng, Tensor, Window2d};
    /// let mut conv: Conv2D = Conv2D::new(32, 3).padding(Padding::Same);
    /// conv.build(&[1, 160, 160, 3], &mut Rng::seed(1))?;
    /// let (x, mut out) = (Tensor::full(&[1, 160, 160, 3], 0.5)?, Tensor::default());
    /// assert!(conv.forward_pooled(&x, &Window2d::new(2).strides(2), &mut out)?);
    /// assert_eq!(out, MaxPool2D::new(2).forward(&conv.forward(&x)?)?);
    /// # Ok::<(), striate::Error>(())
    /// ```
    fn forward_pooled(&self, x: &Tensor<T>, window: &Window2d, out: &mut Tensor<T>) -> Result<bool> {
        let _ = (x, window, out);
        Ok(false)
    }

    /// The output for `x`, in training: saves on the tape what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>>;

    /// From the gradient of the loss with respect to the output, that with respect to the input; adds those with
    /// respect to the weights to [`Param::grad`].
    ///
    /// # Errors
    /// If the tape does not hold what `forward_train` saved, or `grad` has not the output's shape.
    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>>;

    /// [`backward`](Self::backward) without the gradient of the input, which the first layer of a model need not
    /// compute.
    ///
    /// # Errors
    /// As [`backward`](Self::backward).
    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.backward(grad, tape).map(drop)
    }

    /// The weights, with their names, in a fixed order; none before `build`.
    fn params(&self) -> Vec<(Name, &Param<T>)> {
        Vec::new()
    }

    /// The weights to write to. A layer that keeps anything derived from them drops it here.
    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        Vec::new()
    }

    /// The generators of random numbers that the layer draws from in training, with their names, in a fixed order; none
    /// before `build`. A saved training run goes on bit by bit because they are saved with it.
    fn generators(&self) -> Vec<(Name, &Rng)> {
        Vec::new()
    }

    /// The generators, to be put where others stand.
    fn generators_mut(&mut self) -> Vec<(Name, &mut Rng)> {
        Vec::new()
    }

    /// What the layer comes to at inference, if that is so simple that the layer before it can do it as well; by default
    /// nothing of the kind.
    ///
    /// # Errors
    /// If the layer is not built.
    fn step(&self) -> Result<Option<Step>> {
        Ok(None)
    }

    /// Takes over the work of the layer that comes next, at inference: from now on this layer's output is that layer's.
    /// Returns whether it can, which by default it cannot.
    ///
    /// # Errors
    /// If the layer is not built.
    fn fuse(&mut self, next: &Step) -> Result<bool> {
        let _ = next;
        Ok(false)
    }

    /// Makes inference faster, where that costs no more than rounding; by default there is nothing to do. Containers let
    /// layers take over what comes after them: convolutions and dense layers batch normalisation (whose factors go into
    /// their weights) and activations. A layer that has nothing left to do stays as the identity, so that the others keep
    /// their names. The outputs at inference stay the same up to rounding; training would go on without what was
    /// normalised or dropped.
    ///
    /// # Errors
    /// If a layer is not built.
    ///
    /// ```
    /// use striate::{Activation, BatchNorm, Conv2D, Layer, Rng, Sequential, Tensor, sequential};
    /// let mut model: Sequential = sequential![Conv2D::new(8, 3).use_bias(false), BatchNorm::new(), Activation::Relu];
    /// model.build(&[1, 9, 9, 3], &mut Rng::seed(1))?;
    /// let before = model.forward(&Tensor::full(&[1, 9, 9, 3], 1.0)?)?;
    /// model.for_inference()?;
    /// approx::assert_abs_diff_eq!(model.forward(&Tensor::full(&[1, 9, 9, 3], 1.0)?)?, before, epsilon = 1e-5);
    /// let names: Vec<_> = model.params().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["0.kernel", "0.bias"]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    fn for_inference(&mut self) -> Result<()> {
        Ok(())
    }

    /// The function that is applied to each output at the layer's end, if a [`Sequential`](crate::Sequential) may exchange it
    /// by [`last_activation_mut`](Self::last_activation_mut): convolutions and activations have one, by default a layer has
    /// none.
    ///
    /// ```
    /// use striate::{Activation, Conv2D, Flatten, Layer};
    /// let conv: Conv2D = Conv2D::new(8, 3).activation(Activation::Relu);
    /// assert_eq!(conv.last_activation(), Some(Activation::Relu));
    /// assert_eq!(Layer::<f32>::last_activation(&Flatten::new()), None);
    /// ```
    fn last_activation(&self) -> Option<Activation> {
        None
    }

    /// The same to be exchanged. Where the next layer [`takes_maxima`](Self::takes_maxima), a
    /// [`Sequential`](crate::Sequential) in training exchanges a clamp, such as ReLU, for the identity, and applies it to what
    /// the pooling leaves: the largest of ReLUs is the ReLU of the largest, so that the results are the same, but fewer
    /// numbers are saved, and go through the gradient.
    ///
    /// A layer has both methods or neither; its `forward_train` and `backward` go by what is there at the time, and its `cost`
    /// counts what the activation saves.
    ///
    /// ```
    /// use striate::{Activation, Conv2D, Layer};
    /// let mut conv: Conv2D = Conv2D::new(8, 3).activation(Activation::Relu);
    /// *conv.last_activation_mut().unwrap() = Activation::Linear;
    /// assert_eq!(conv.last_activation(), Some(Activation::Linear));
    /// ```
    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    /// Whether each output is the largest of some inputs, and nothing is done to it after that: max pooling. By default not.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, MaxPool2D};
    /// assert!(Layer::<f32>::takes_maxima(&MaxPool2D::new(2)));
    /// assert!(!Layer::<f32>::takes_maxima(&AvgPool2D::new(2)));
    /// ```
    fn takes_maxima(&self) -> bool {
        false
    }

    /// The window, if the layer is a max pooling of maps, with which the layer before may do this layer's work: see
    /// [`forward_pooled`](Self::forward_pooled). By default there is none.
    ///
    /// ```
    /// use striate::{AvgPool2D, Layer, MaxPool2D, Window2d};
    /// assert_eq!(Layer::<f32>::max_window(&MaxPool2D::new(2)), Some(Window2d::new(2).strides(2)));
    /// assert_eq!(Layer::<f32>::max_window(&AvgPool2D::new(2)), None);
    /// ```
    fn max_window(&self) -> Option<Window2d> {
        None
    }

    /// What the layer costs for an input of shape `input`: parameters, multiplications, memory, and how far it
    /// sees. Works before `build`.
    ///
    /// # Errors
    /// As [`output_shape`](Self::output_shape).
    fn cost(&self, input: &[usize]) -> Result<Cost> {
        self.output_shape(input).map(|_| Cost::default())
    }

    /// Appends this layer's rows to a summary, for an input of shape `input`, and returns the output's shape.
    /// Containers append one row for each layer inside.
    ///
    /// # Errors
    /// As [`output_shape`](Self::output_shape).
    fn summarize(&self, name: &str, input: &[usize], summary: &mut Summary) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        summary.push(Row::new::<T>(name, self.kind(), input, &output, self.cost(input)?)?);
        Ok(output)
    }
}

/// [`Layer::forward_add`] in two steps, for any layer.
pub(crate) fn add_to_output<T: Element, L: Layer<T> + ?Sized>(
    layer: &L,
    x: &Tensor<T>,
    (residual, activation): (&Tensor<T>, Activation),
    out: &mut Tensor<T>,
) -> Result<()> {
    layer.forward_into(x, out)?;
    check_shape(layer.kind(), "a summand", residual.shape(), out.shape())?;
    each_with(out.as_mut_slice(), residual.as_slice(), |a, b| a + b);
    *out = activation.on(std::mem::take(out))?;
    Ok(())
}
