//! [`Tape`]: what layers save in the forward pass for their backward pass.

use crate::{Element, Error, ErrorKind, Result, Rng, Tensor};

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
    /// Where generators of random numbers stood.
    Generators(Vec<Rng>),
}

impl<T: Element> Saved<T> {
    fn bytes(&self) -> usize {
        match self {
            Saved::Tensor(tensor) => tensor.len() * size_of::<T>(),
            Saved::Shape(shape) => size_of_val(&shape[..]),
            Saved::Bytes(bytes) => bytes.len(),
            Saved::Indices(indices) => size_of_val(&indices[..]),
            Saved::Generators(_) => 0,
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
pub struct Tape<T: Element = f32> {
    saved: Vec<(&'static str, Saved<T>)>,
    forgets: bool,
}

impl<T: Element> Tape<T> {
    /// An empty tape.
    ///
    /// ```
    /// assert!(striate::Tape::<f32>::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Tape { saved: Vec::new(), forgets: false }
    }

    /// A tape for a forward pass that no backward pass follows: it forgets what is pushed.
    pub(crate) fn forgetful() -> Self {
        Tape { saved: Vec::new(), forgets: true }
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
        if !self.forgets {
            self.saved.push((layer, saved));
        }
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
        match self.saved.pop_if(|(kind, _)| *kind == layer) {
            Some((_, saved)) => Ok(saved),
            None => {
                let got =
                    self.saved.last().map_or("an empty one".to_string(), |(kind, _)| format!("{kind}'s"));
                let expected = "a tape that ends with what this layer saved (call forward_train first)";
                Err(Error::new(ErrorKind::Tape, layer, expected, got))
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
        self.saved.is_empty()
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
        self.saved.iter().map(|(_, saved)| saved.bytes()).sum()
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
        self.saved.clear();
    }
}

/// The error of finding `other` on the tape where `expected` was saved.
pub(crate) fn mismatch<T: Element>(layer: &'static str, expected: &str, other: &Saved<T>) -> Error {
    let got = match other {
        Saved::Tensor(_) => "a tensor",
        Saved::Shape(_) => "a shape",
        Saved::Bytes(_) => "bytes",
        Saved::Indices(_) => "indices",
        Saved::Generators(_) => "generators",
    };
    Error::new(ErrorKind::Tape, layer, format_args!("{expected} on the tape"), got)
}
