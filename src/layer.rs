//! What every layer is: [`Layer`], its weights ([`Param`]), and what it saves for the backward pass ([`Tape`]).

use std::borrow::Cow;
use std::fmt::Debug;

use crate::summary::{Cost, Row, Summary};
use crate::{Element, Error, ErrorKind, Result, Rng, Tensor};

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

/// A weight of a layer, and the gradient that has been added up for it.
///
/// ```
/// use striate::{Param, Tensor};
/// let mut kernel = Param::new(Tensor::<f32>::full(&[2], 1.0)?);
/// kernel.add_grad(Tensor::full(&[2], 0.5)?)?;
/// kernel.add_grad(Tensor::full(&[2], 0.5)?)?;
/// assert_eq!(kernel.grad().unwrap().as_slice(), [1.0, 1.0]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Param<T: Element = f32> {
    value: Tensor<T>,
    grad: Option<Tensor<T>>,
    trainable: bool,
}

impl<T: Element> Param<T> {
    /// A weight that training changes.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(Param::new(Tensor::<f32>::zeros(&[2])?).is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(value: Tensor<T>) -> Self {
        Param { value, grad: None, trainable: true }
    }

    /// A weight that optimizers leave alone: state of the layer, or a part of a model that is frozen.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(!Param::frozen(Tensor::<f32>::zeros(&[2])?).is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn frozen(value: Tensor<T>) -> Self {
        Param { value, grad: None, trainable: false }
    }

    /// Whether optimizers change it.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// bias.set_trainable(false);
    /// assert!(!bias.is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn is_trainable(&self) -> bool {
        self.trainable
    }

    /// Lets optimizers change it, or not.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut kernel = Param::frozen(Tensor::<f32>::zeros(&[2])?);
    /// kernel.set_trainable(true);
    /// assert!(kernel.is_trainable());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn set_trainable(&mut self, trainable: bool) {
        self.trainable = trainable;
    }

    /// The weight itself.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert_eq!(Param::new(Tensor::<f32>::zeros(&[2])?).value().shape(), [2]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value(&self) -> &Tensor<T> {
        &self.value
    }

    /// Replaces the weight.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `value` has another shape.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// bias.set_value(Tensor::full(&[2], 1.0)?)?;
    /// assert!(bias.set_value(Tensor::full(&[3], 1.0)?).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn set_value(&mut self, value: Tensor<T>) -> Result<()> {
        self.check_shape("set_value", &value)?;
        self.value = value;
        Ok(())
    }

    /// The gradient added up since the last [`clear_grad`](Self::clear_grad), of the same shape as the value;
    /// `None` if there is none yet.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// assert!(Param::new(Tensor::<f32>::zeros(&[2])?).grad().is_none());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn grad(&self) -> Option<&Tensor<T>> {
        self.grad.as_ref()
    }

    /// Adds to the gradient.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] if `grad` has another shape than the value.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// assert!(bias.add_grad(Tensor::zeros(&[1])?).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn add_grad(&mut self, grad: Tensor<T>) -> Result<()> {
        self.check_shape("add_grad", &grad)?;
        match &mut self.grad {
            None => self.grad = Some(grad),
            Some(sum) => {
                for (sum, &g) in sum.as_mut_slice().iter_mut().zip(grad.as_slice()) {
                    *sum += g;
                }
            }
        }
        Ok(())
    }

    /// Forgets the gradient.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut bias = Param::new(Tensor::<f32>::zeros(&[2])?);
    /// bias.add_grad(Tensor::zeros(&[2])?)?;
    /// bias.clear_grad();
    /// assert!(bias.grad().is_none());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn clear_grad(&mut self) {
        self.grad = None;
    }

    /// The weight's elements to write to, with the gradient's beside them: what an optimizer works on. `None` if
    /// there is no gradient.
    ///
    /// ```
    /// use striate::{Param, Tensor};
    /// let mut weight = Param::new(Tensor::<f32>::full(&[1], 1.0)?);
    /// weight.add_grad(Tensor::full(&[1], 4.0)?)?;
    /// if let Some((value, grad)) = weight.value_and_grad() {
    ///     value[0] -= 0.125 * grad[0];
    /// }
    /// assert_eq!(weight.value().as_slice(), [0.5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value_and_grad(&mut self) -> Option<(&mut [T], &mut [T])> {
        let grad = self.grad.as_mut()?;
        Some((self.value.as_mut_slice(), grad.as_mut_slice()))
    }

    fn check_shape(&self, operation: &'static str, other: &Tensor<T>) -> Result<()> {
        if other.shape() == self.value.shape() {
            return Ok(());
        }
        Err(Error::shape(
            operation,
            format_args!("the weight's shape {:?}", self.value.shape()),
            other.shape(),
        ))
    }
}

/// Something that a layer saves in the forward pass for its backward pass.
///
/// ```
/// use striate::{Saved, Tape};
/// let mut tape: Tape = Tape::new();
/// tape.push("Dropout", Saved::Bytes(vec![1, 0, 1]));
/// assert!(matches!(tape.pop("Dropout")?, Saved::Bytes(kept) if kept == [1, 0, 1]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Saved<T: Element = f32> {
    /// An input or output.
    Tensor(Tensor<T>),
    /// A shape.
    Shape(Vec<usize>),
    /// A small number per element: which tap of a pooling window was the largest, what dropout kept.
    Bytes(Vec<u8>),
    /// A larger number per element.
    Indices(Vec<u32>),
}

impl<T: Element> Saved<T> {
    fn bytes(&self) -> usize {
        match self {
            Saved::Tensor(tensor) => tensor.len() * size_of::<T>(),
            Saved::Shape(shape) => size_of_val(&shape[..]),
            Saved::Bytes(bytes) => bytes.len(),
            Saved::Indices(indices) => size_of_val(&indices[..]),
        }
    }
}

/// What the layers saved in a forward pass, as a stack: the backward pass pops it in reverse.
///
/// There is no graph of operations: a layer knows its gradient in closed form, and this is all it needs.
///
/// ```
/// use striate::{Saved, Tape, Tensor};
/// let mut tape: Tape = Tape::new();
/// tape.push("Square", Saved::Tensor(Tensor::full(&[4], 3.0)?));
/// assert_eq!(tape.bytes(), 16);
/// assert!(tape.clone().pop("Dense").is_err());     // another layer saved this
/// assert_eq!(tape.pop_tensor("Square")?.as_slice(), [3.0; 4]);
/// assert!(tape.is_empty());
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tape<T: Element = f32>(Vec<(&'static str, Saved<T>)>);

impl<T: Element> Tape<T> {
    /// An empty tape.
    ///
    /// ```
    /// assert!(striate::Tape::<f32>::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Tape(Vec::new())
    }

    /// Saves something for the layer of kind `layer`.
    ///
    /// ```
    /// use striate::{Saved, Tape};
    /// let mut tape: Tape = Tape::new();
    /// tape.push("Flatten", Saved::Shape(vec![2, 3, 4]));
    /// assert!(!tape.is_empty());
    /// ```
    pub fn push(&mut self, layer: &'static str, saved: Saved<T>) {
        self.0.push((layer, saved));
    }

    /// Takes back what was saved last.
    ///
    /// # Errors
    /// [`ErrorKind::Tape`] if the tape is empty or a layer of another kind saved it; it then stays.
    ///
    /// ```
    /// use striate::{ErrorKind, Tape};
    /// assert_eq!(Tape::<f32>::new().pop("Flatten").unwrap_err().kind(), ErrorKind::Tape);
    /// ```
    pub fn pop(&mut self, layer: &'static str) -> Result<Saved<T>> {
        match self.0.pop_if(|(kind, _)| *kind == layer) {
            Some((_, saved)) => Ok(saved),
            None => {
                let got = self.0.last().map_or("an empty one".to_string(), |(kind, _)| format!("{kind}'s"));
                Err(Error::new(ErrorKind::Tape, layer, "a tape that ends with what this layer saved", got))
            }
        }
    }

    /// Takes back a tensor.
    ///
    /// # Errors
    /// [`ErrorKind::Tape`] as [`pop`](Self::pop), or if it is no tensor.
    ///
    /// ```
    /// use striate::{Saved, Tape, Tensor};
    /// let mut tape: Tape = Tape::new();
    /// tape.push("Dense", Saved::Tensor(Tensor::full(&[2], 0.5)?));
    /// assert_eq!(tape.pop_tensor("Dense")?.as_slice(), [0.5, 0.5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn pop_tensor(&mut self, layer: &'static str) -> Result<Tensor<T>> {
        match self.pop(layer)? {
            Saved::Tensor(tensor) => Ok(tensor),
            other => Err(mismatch(layer, "a tensor", &other)),
        }
    }

    /// Takes back a shape.
    ///
    /// # Errors
    /// [`ErrorKind::Tape`] as [`pop`](Self::pop), or if it is no shape.
    ///
    /// ```
    /// use striate::{Saved, Tape};
    /// let mut tape: Tape = Tape::new();
    /// tape.push("Flatten", Saved::Shape(vec![2, 3, 4]));
    /// assert_eq!(tape.pop_shape("Flatten")?, [2, 3, 4]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn pop_shape(&mut self, layer: &'static str) -> Result<Vec<usize>> {
        match self.pop(layer)? {
            Saved::Shape(shape) => Ok(shape),
            other => Err(mismatch(layer, "a shape", &other)),
        }
    }

    /// Whether nothing is saved: so after a backward pass.
    ///
    /// ```
    /// use striate::{Dense, Layer, Rng, Tape, Tensor};
    /// let (mut dense, mut tape) = (Dense::new(1), Tape::new());
    /// dense.build(&[1, 2], &mut Rng::seed(1))?;
    /// let y = dense.forward_train(Tensor::<f32>::zeros(&[1, 2])?, &mut tape)?;
    /// assert!(!tape.is_empty());
    /// dense.backward(y, &mut tape)?;
    /// assert!(tape.is_empty());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes of elements are saved.
    ///
    /// ```
    /// use striate::{Saved, Tape, Tensor};
    /// let mut tape: Tape = Tape::new();
    /// tape.push("Dense", Saved::Tensor(Tensor::zeros(&[2, 5])?));
    /// assert_eq!(tape.bytes(), 2 * 5 * 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, saved)| saved.bytes()).sum()
    }

    /// Forgets everything, for instance after a forward pass that failed half-way.
    ///
    /// ```
    /// use striate::{Saved, Tape, Tensor};
    /// let mut tape: Tape = Tape::new();
    /// tape.push("Dense", Saved::Tensor(Tensor::zeros(&[2])?));
    /// tape.clear();
    /// assert!(tape.is_empty());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The error of finding `other` on the tape where `expected` was saved.
pub(crate) fn mismatch<T: Element>(layer: &'static str, expected: &str, other: &Saved<T>) -> Error {
    let got = match other {
        Saved::Tensor(_) => "a tensor",
        Saved::Shape(_) => "a shape",
        Saved::Bytes(_) => "bytes",
        Saved::Indices(_) => "indices",
    };
    Error::new(ErrorKind::Tape, layer, format_args!("{expected} on the tape"), got)
}
