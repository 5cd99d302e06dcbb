//! [`Flatten`].

use crate::layer::{Saved, Tape};
use crate::memory::len_of;
use crate::ops::check_shape;
use crate::{Cost, Element, Error, Layer, Result, Tensor};

const KIND: &str = "Flatten";

/// All axes but the batch in one: `[batch, ...]` becomes `[batch, product of the others]`, in row-major order. Nothing
/// is copied.
///
/// Keras' `Flatten`. PyTorch flattens channels first: dense weights that follow a PyTorch `Flatten` need their rows
/// permuted.
///
/// ```
/// use striate::{Flatten, Layer, Tensor};
/// let maps = Tensor::<f32>::zeros(&[8, 7, 7, 64])?;
/// assert_eq!(Flatten::new().forward(&maps)?.shape(), [8, 3136]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten(());

impl Flatten {
    /// The layer.
    ///
    /// ```
    /// use striate::{Flatten, Layer};
    /// assert_eq!(Layer::<f32>::output_shape(&Flatten::new(), &[1, 4, 4, 3])?, [1, 48]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        Flatten(())
    }
}

impl<T: Element> Layer<T> for Flatten {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        match input {
            [batch, rest @ ..] => Ok(vec![*batch, len_of(KIND, rest)?]),
            [] => Err(Error::shape(KIND, "an input of [batch, ...]", input)),
        }
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        x.reshape(&Layer::<T>::output_shape(self, x.shape())?)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let y = self.forward(&x)?;
        tape.push(KIND, Saved::Shape(x.shape().to_vec()));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let input = tape.pop_shape(KIND)?;
        let output = Layer::<T>::output_shape(self, &input)?;
        check_shape(KIND, "an output gradient", grad.shape(), &output)?;
        grad.reshape(&input)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        Layer::<T>::output_shape(self, input)?;
        Ok(Cost { saved_bytes: size_of_val(input), ..Cost::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn there_and_back() {
        let x = Tensor::from_vec(&[2, 1, 3, 2], (0..12).map(f64::from).collect()).unwrap();
        let mut tape = Tape::new();
        let y = Flatten::new().forward_train(x.clone(), &mut tape).unwrap();
        assert_eq!((y.shape(), y.as_slice()), (&[2, 6][..], x.as_slice()));
        assert_eq!(tape.bytes(), Layer::<f64>::cost(&Flatten::new(), x.shape()).unwrap().saved_bytes);
        assert_eq!(Flatten::new().backward(y, &mut tape).unwrap(), x);
        assert!(tape.is_empty());
    }

    #[test]
    fn every_rank_but_zero() {
        let shape = |input: &[usize]| Layer::<f32>::output_shape(&Flatten::new(), input);
        assert_eq!(shape(&[5]).unwrap(), [5, 1]);
        assert_eq!(shape(&[5, 3]).unwrap(), [5, 3]);
        assert_eq!(shape(&[0, 3, 4]).unwrap(), [0, 12]);
        assert_eq!(shape(&[]).unwrap_err().kind(), ErrorKind::Shape);
        assert_eq!(shape(&[1, usize::MAX, 2]).unwrap_err().kind(), ErrorKind::Size);

        let mut tape = Tape::new();
        Flatten::new().forward_train(Tensor::<f32>::zeros(&[2, 2, 2]).unwrap(), &mut tape).unwrap();
        let error = Flatten::new().backward(Tensor::zeros(&[2, 5]).unwrap(), &mut tape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}
