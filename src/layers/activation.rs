//! [`Activation`] as a layer.

use crate::layer::{Layer, Saved, Step, Tape};
use crate::ops::{self, Activation};
use crate::{Cost, Element, Result, Tensor};

impl<T: Element> Layer<T> for Activation {
    fn kind(&self) -> &'static str {
        self.name()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.channels::<T>(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.on(if *self == Activation::Linear { x.clone() } else { x.copied() })
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        if self.saves_output() {
            let y = self.on(x)?;
            self.save_output(&y, tape);
            return Ok(y);
        }
        let y = self.on(x.copied())?;
        tape.push(self.name(), Saved::Tensor(x));
        Ok(y)
    }

    fn backward(&mut self, mut grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        if *self == Activation::Linear {
            return Ok(grad);
        }
        let saved = tape.pop_tensor(self.name())?;
        ops::check_shape("activation", "an output gradient", grad.shape(), saved.shape())?;
        let channels = self.channels::<T>(saved.shape())?;
        self.gradient(grad.as_mut_slice(), saved.as_slice(), channels);
        Ok(grad)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        self.channels::<T>(input)?;
        let saved = if *self == Activation::Linear { 0 } else { crate::memory::len_of("activation", input)? };
        Ok(Cost { saved_bytes: saved * size_of::<T>(), ..Cost::default() })
    }

    fn last_activation(&self) -> Option<Activation> {
        Some(*self)
    }

    fn last_activation_mut(&mut self) -> Option<&mut Activation> {
        Some(self)
    }

    fn step(&self) -> Result<Option<Step>> {
        Ok(Some(Step::Activation(*self)))
    }
}

impl Activation {
    /// Saves an output that the gradient follows from.
    pub(crate) fn save_output<T: Element>(self, y: &Tensor<T>, tape: &mut Tape<T>) {
        if self != Activation::Linear {
            tape.push(self.name(), Saved::Tensor(y.clone()));
        }
    }

    /// The activations of `x`, written over it where nothing else shares its memory.
    pub(crate) fn on<T: Element>(self, mut x: Tensor<T>) -> Result<Tensor<T>> {
        let channels = self.channels::<T>(x.shape())?;
        if self != Activation::Linear {
            self.apply(x.as_mut_slice(), channels);
        }
        Ok(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use ndarray::array;

    #[test]
    fn training_saves_what_the_gradient_follows_from() {
        let x = Tensor::from(array![[-1.0, 0.5], [2.0, -3.0]]);
        let upstream = Tensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
        for mut activation in
            [Activation::Linear, Activation::Relu, Activation::Silu, Activation::Softmax, Activation::Tanh]
        {
            let mut tape = Tape::new();
            let y = activation.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(y, Layer::<f64>::forward(&activation, &x).unwrap(), "{activation:?}");
            assert_eq!(tape.bytes(), Layer::<f64>::cost(&activation, x.shape()).unwrap().saved_bytes);

            let dx = activation.backward(upstream.clone(), &mut tape).unwrap();
            assert!(tape.is_empty());
            let saved = if activation.saves_output() { &y } else { &x };
            let want = ops::activate_backward(upstream.view(), saved.view(), activation).unwrap();
            assert_eq!(dx, Tensor::from(want), "{activation:?}");
        }
        assert_eq!(x, Tensor::from(array![[-1.0, 0.5], [2.0, -3.0]]), "shared memory is copied, not changed");
    }

    #[test]
    fn mistakes_are_errors() {
        let bad = Activation::HardTanh { min: 1.0, max: 0.0 };
        let x = Tensor::<f32>::zeros(&[2, 2]).unwrap();
        for error in [
            Layer::<f32>::output_shape(&bad, &[2, 2]).unwrap_err(),
            Layer::<f32>::cost(&bad, &[2, 2]).unwrap_err(),
            bad.forward(&x).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Argument);
        }

        let mut tape = Tape::new();
        let mut relu = Activation::Relu;
        assert_eq!(relu.backward(x.clone(), &mut tape).unwrap_err().kind(), ErrorKind::Tape);
        relu.forward_train(x, &mut tape).unwrap();
        let error = relu.backward(Tensor::zeros(&[2, 3]).unwrap(), &mut tape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}
