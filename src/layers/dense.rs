//! [`Dense`]: the fully connected layer.

use ndarray::ArrayView1;

use super::weights::{Filters, Spec, Weights, delegate_to_weights};
use crate::kernels::conv::PreparedKernel;
use crate::layer::{Saved, Step, Tape};
use crate::memory::len_of;
use crate::ops::{self, check_shape};
use crate::{Activation, Cost, Element, Error, Initializer, Layer, Reach, Result, Tensor};

const KIND: &str = "Dense";

/// A fully connected layer, Keras' `Dense` and PyTorch's `Linear`:
/// `y = activation(x * kernel + bias)` along the last axis.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, ..., features]`: two axes or more |
/// | output | `[batch, ..., units]` |
/// | `"kernel"` | `[features, units]`, the transpose of PyTorch's |
/// | `"bias"` | `[units]` |
///
/// As in Keras, the activation is linear, the kernel Glorot-uniform and the bias zero unless told otherwise, and the
/// axes between batch and features stay as they are: on feature maps, the layer is a 1x1 convolution.
///
/// ```
/// use striate::{Activation, Dense, Layer, Rng, Tensor};
/// let mut head: Dense = Dense::new(10).activation(Activation::Softmax);
/// head.build(&[1, 128], &mut Rng::seed(1))?;
/// let y = head.forward(&Tensor::full(&[32, 128], 0.5)?)?;
/// assert_eq!(y.shape(), [32, 10]);
/// assert_eq!(head.cost(&[1, 128])?.params, 128 * 10 + 10);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dense<T: Element = f32> {
    units: usize,
    activation: Activation,
    use_bias: bool,
    kernel_initializer: Initializer,
    bias_initializer: Initializer,
    weights: Weights<T, PreparedKernel<T>>,
}

impl<T: Element> Dense<T> {
    /// A layer with this many outputs.
    ///
    /// ```
    /// use striate::{Dense, Layer};
    /// assert_eq!(Dense::<f32>::new(10).output_shape(&[32, 128])?, [32, 10]);
    /// assert!(Dense::<f32>::new(0).output_shape(&[32, 128]).is_err());
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(units: usize) -> Self {
        Dense {
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            weights: Weights::none(KIND),
        }
    }

    /// What the outputs pass through at the end. Default [`Activation::Linear`].
    ///
    /// ```
    /// use striate::{Activation, Dense, Initializer, Layer, Rng, Tensor};
    /// let mut dense = Dense::new(1).activation(Activation::Relu).kernel_initializer(Initializer::Constant(-1.0));
    /// dense.build(&[1, 1], &mut Rng::seed(1))?;
    /// assert_eq!(dense.forward(&Tensor::<f32>::full(&[1, 1], 2.0)?)?.as_slice(), [0.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Whether a bias is added. Default `true`. A layer that is built already must be built again.
    ///
    /// ```
    /// use striate::{Dense, Layer};
    /// assert_eq!(Dense::<f32>::new(10).use_bias(false).cost(&[1, 128])?.params, 1280);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Self {
        self.use_bias = use_bias;
        self.weights.clear();
        self
    }

    /// The first values of the kernel. Default [`Initializer::GlorotUniform`].
    ///
    /// ```
    /// use striate::{Dense, Initializer, Layer, Rng};
    /// let mut dense: Dense = Dense::new(2).kernel_initializer(Initializer::Ones);
    /// dense.build(&[1, 3], &mut Rng::seed(1))?;
    /// assert_eq!(dense.params()[0].1.value().as_slice(), [1.0; 6]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// The first values of the bias. Default [`Initializer::Zeros`].
    ///
    /// ```
    /// use striate::{Dense, Initializer, Layer, Rng};
    /// let mut dense: Dense = Dense::new(2).bias_initializer(Initializer::Constant(0.1));
    /// dense.build(&[1, 3], &mut Rng::seed(1))?;
    /// assert_eq!(dense.params()[1].1.value().as_slice(), [0.1; 2]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// Checks the options and the rank of the input; returns its number of features.
    fn features(&self, input: &[usize]) -> Result<usize> {
        self.activation.check::<T>()?;
        if self.units == 0 {
            return Err(Error::argument(KIND, "1 unit or more", 0));
        }
        match *input {
            [_, .., features] if features > 0 => Ok(features),
            _ => Err(Error::shape(KIND, "an input of [batch, ..., features], at least one feature", input)),
        }
    }

    fn specs(&self, input: &[usize]) -> Result<Vec<Spec>> {
        let kernel = [self.features(input)?, self.units];
        let bias = self.use_bias.then_some(self.bias_initializer);
        Ok(Spec::kernel_and_bias(&kernel, self.kernel_initializer, bias))
    }

    /// The features of `x`, and the kernel, which must have been built for so many.
    fn kernel_for(&self, x: &Tensor<T>) -> Result<(usize, &Tensor<T>)> {
        self.weights.check()?;
        let (features, kernel) = (self.features(x.shape())?, self.weights.value("kernel")?);
        match *kernel.shape() {
            [built, _] if built != features => {
                let expected = format!("an input of [batch, ..., {built}], as the layer was built for");
                Err(Error::shape(KIND, expected, x.shape()))
            }
            _ => Ok((features, kernel)),
        }
    }

    /// Adds up the gradients of the weights; returns the gradient before the activation, as a matrix, and the input's
    /// shape.
    fn backward_weights(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<(Tensor<T>, Vec<usize>)> {
        let grad = self.activation.backward(grad, tape)?;
        let x = tape.pop_tensor(KIND)?;
        check_shape(KIND, "an output gradient", grad.shape(), &self.output_shape(x.shape())?)?;
        self.weights.check()?;
        let (input, x, grad) = (x.shape().to_vec(), matrix(&x)?, matrix(&grad)?);
        self.weights.release_cleared();
        let (kernel, bias) = ops::dense_backward_weights(KIND, x.view2()?, grad.view2()?, self.use_bias)?;
        self.weights.add_grad("kernel", || Ok(kernel))?;
        if let Some(bias) = bias {
            self.weights.add_grad("bias", || Ok(bias))?;
        }
        Ok((grad, input))
    }
}

/// The same elements as a matrix, whose rows are the last axis.
fn matrix<T: Element>(x: &Tensor<T>) -> Result<Tensor<T>> {
    let columns = x.shape().last().copied().unwrap_or(1);
    x.reshape(&[x.len() / columns.max(1), columns])
}

impl<T: Element> Layer<T> for Dense<T> {
    fn kind(&self) -> &'static str {
        KIND
    }

    delegate_to_weights!();

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.features(input)?;
        let mut output = input.to_vec();
        if let Some(last) = output.last_mut() {
            *last = self.units;
        }
        Ok(output)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let mut y = Tensor::default();
        self.forward_into(x, &mut y)?;
        Ok(y)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        self.activation.check::<T>()?;
        let (features, kernel) = self.kernel_for(x)?;
        let geometry = ops::dense_as_convolution(x.len() / features, features, self.units)?;
        let out = out.unwritten(KIND, &self.output_shape(x.shape())?)?;
        let Some(geometry) = geometry else {
            return Ok(());
        };
        let kernel = (kernel.as_slice(), self.weights.prepared());
        self.weights.with_epilogue((None, self.activation), self.units, |after| {
            T::conv_forward(x.as_slice(), kernel, &geometry, after, out);
        });
        Ok(())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (_, kernel) = self.kernel_for(&x)?;
        // Without packing all of the kernel, which the step changes.
        let bias = self.weights.bias().map(ArrayView1::from);
        let y = Tensor::from(ops::dense(matrix(&x)?.view2()?, kernel.view2()?, bias)?);
        let y = y.reshape(&self.output_shape(x.shape())?)?;
        tape.push(KIND, Saved::Tensor(x));
        self.activation.forward_train(y, tape)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (grad, input) = self.backward_weights(grad, tape)?;
        let dx = ops::dense_backward_input(grad.view2()?, self.weights.value("kernel")?.view2()?)?;
        Tensor::from(dx).reshape(&input)
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.backward_weights(grad, tape).map(drop)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let features = self.features(input)?;
        let output = self.output_shape(input)?;
        let overflow =
            || Error::size(KIND, "a countable number of multiplications", format_args!("{input:?}"));
        let outputs = len_of(KIND, &output)? as u64;
        let activation = Layer::<T>::cost(&self.activation, &output)?;
        Ok(Cost {
            multiplications: outputs.checked_mul(features as u64).ok_or_else(overflow)?,
            saved_bytes: len_of(KIND, input)? * size_of::<T>() + activation.saved_bytes,
            // Along more axes, each position is treated alone.
            reach: if input.len() == 2 { Reach::Everything } else { Reach::Pointwise },
            ..self.weights.cost(&self.specs(input)?)?
        })
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        self.weights.fuse(
            next,
            ("kernel", Filters::Last(self.units)),
            &mut self.activation,
            &mut self.use_bias,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Rng};
    use approx::assert_abs_diff_eq;
    use ndarray::array;

    /// 2 features to 3 units with known weights.
    fn dense(activation: Activation) -> Dense<f64> {
        let mut dense = Dense::new(3).activation(activation);
        dense.build(&[1, 2], &mut Rng::seed(1)).unwrap();
        let weights =
            [Tensor::from(array![[1.0, 0.0, -2.0], [0.5, -1.0, 3.0]]), Tensor::from(array![0.1, 0.2, 0.3])];
        for ((_, param), weight) in dense.params_mut().into_iter().zip(weights) {
            param.set_value(weight).unwrap();
        }
        dense
    }

    #[test]
    fn works_along_the_last_axis_of_any_rank() {
        let dense = dense(Activation::Relu);
        let x = Tensor::from(array![[1.0, 2.0], [-3.0, 1.0]]);
        let want = Tensor::from(array![[2.1, 0.0, 4.3], [0.0, 0.0, 9.3]]);
        assert_abs_diff_eq!(dense.forward(&x).unwrap(), want, epsilon = 1e-14);
        let y = dense.forward(&x.reshape(&[1, 2, 1, 2]).unwrap()).unwrap();
        assert_abs_diff_eq!(y, want.reshape(&[1, 2, 1, 3]).unwrap(), epsilon = 1e-14);
        assert_eq!(dense.output_shape(&[7, 5, 2]).unwrap(), [7, 5, 3]);
        assert_eq!(dense.forward(&Tensor::zeros(&[0, 2]).unwrap()).unwrap().shape(), [0, 3]);
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        const STEP: f64 = 1e-6;
        let x = Tensor::from(array![[[0.3, -0.8]], [[1.2, 0.4]]]);
        let upstream = Tensor::from(array![[[1.0, -2.0, 0.5]], [[0.3, 0.7, -1.1]]]);
        let loss = |dense: &Dense<f64>, x: &Tensor<f64>| -> f64 {
            let y = dense.forward(x).unwrap();
            y.as_slice().iter().zip(upstream.as_slice()).map(|(y, g)| y * g).sum()
        };
        for activation in [Activation::Linear, Activation::Tanh, Activation::Gelu, Activation::Softmax] {
            let mut dense = dense(activation);
            let mut tape = Tape::new();
            dense.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(tape.bytes(), dense.cost(x.shape()).unwrap().saved_bytes);
            let dx = dense.backward(upstream.clone(), &mut tape).unwrap();
            assert!(tape.is_empty());

            for i in 0..x.len() {
                let moved = |by: f64| {
                    let mut x = x.clone();
                    x.as_mut_slice()[i] += by;
                    loss(&dense, &x)
                };
                let want = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert_abs_diff_eq!(dx.as_slice()[i], want, epsilon = 1e-8);
            }
            for p in 0..2 {
                let grad = dense.params()[p].1.grad().unwrap().clone();
                for i in 0..grad.len() {
                    let mut moved = |by: f64| {
                        dense.params_mut()[p].1.value_and_grad().unwrap().0[i] += by;
                        loss(&dense, &x)
                    };
                    let (up, down) = (moved(STEP), moved(-2.0 * STEP));
                    moved(STEP);
                    assert_abs_diff_eq!(grad.as_slice()[i], (up - down) / (2.0 * STEP), epsilon = 1e-8);
                }
            }
        }
    }

    #[test]
    fn gradients_of_weights_add_up_with_or_without_the_inputs() {
        let mut dense = dense(Activation::Tanh);
        let (x, upstream) = (Tensor::from(array![[0.3, -0.8]]), Tensor::from(array![[1.0, -2.0, 0.5]]));
        let mut tape = Tape::new();
        dense.forward_train(x.clone(), &mut tape).unwrap();
        dense.backward(upstream.clone(), &mut tape).unwrap();
        let once: Vec<Tensor<f64>> = dense.params().iter().map(|(_, p)| p.grad().unwrap().clone()).collect();
        dense.forward_train(x, &mut tape).unwrap();
        dense.backward_params(upstream, &mut tape).unwrap();
        for ((name, param), once) in dense.params().iter().zip(once) {
            assert_eq!(*param.grad().unwrap(), once.map(|g| 2.0 * g), "{name}");
        }
    }

    #[test]
    fn changed_weights_are_seen() {
        let mut dense = dense(Activation::Linear);
        let x = Tensor::from(array![[1.0, 1.0]]);
        let before = dense.forward(&x).unwrap();
        dense.params_mut()[0].1.set_value(Tensor::zeros(&[2, 3]).unwrap()).unwrap();
        assert_eq!(dense.forward(&x).unwrap(), Tensor::from(array![[0.1, 0.2, 0.3]]));
        dense.build(&[1, 2], &mut Rng::seed(2)).unwrap();
        assert_ne!(dense.forward(&x).unwrap(), before);
    }

    #[test]
    fn weights_and_costs() {
        let mut dense: Dense = Dense::new(10).use_bias(false).kernel_initializer(Initializer::Constant(0.5));
        assert!(dense.params().is_empty() && dense.params_mut().is_empty());
        dense.build(&[1, 784], &mut Rng::seed(1)).unwrap();
        let params = dense.params();
        assert_eq!(params.len(), 1);
        assert_eq!((&*params[0].0, params[0].1.value()), ("kernel", &Tensor::full(&[784, 10], 0.5).unwrap()));

        dense.params_mut()[0].1.set_trainable(false);
        let cost = dense.cost(&[32, 784]).unwrap();
        assert_eq!((cost.params, cost.frozen_params), (0, 7840));

        let cost = Dense::<f32>::new(10).cost(&[32, 784]).unwrap();
        assert_eq!((cost.params, cost.multiplications, cost.reach), (7850, 32 * 7840, Reach::Everything));
        let cost = Dense::<f32>::new(10).cost(&[32, 7, 784]).unwrap();
        assert_eq!((cost.multiplications, cost.reach), (32 * 7 * 7840, Reach::Pointwise));
    }

    #[test]
    fn mistakes_are_errors() {
        let x = Tensor::<f64>::zeros(&[4, 2]).unwrap();
        assert_eq!(Dense::new(3).forward(&x).unwrap_err().kind(), ErrorKind::NotBuilt);
        let built = dense(Activation::Linear);
        for bad in [&[4, 3][..], &[2], &[], &[4, 0]] {
            let error = built.forward(&Tensor::zeros(bad).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape, "{error}");
        }
        let mut rng = Rng::seed(1);
        let bad_initializer =
            Dense::<f32>::new(1).kernel_initializer(Initializer::Constant(f64::NAN)).build(&[1, 1], &mut rng);
        let bad_activation = Dense::<f32>::new(1).activation(Activation::Celu { alpha: 0.0 });
        for error in [
            Dense::<f32>::new(0).build(&[1, 1], &mut rng).unwrap_err(),
            bad_initializer.unwrap_err(),
            bad_activation.output_shape(&[1, 1]).unwrap_err(),
            bad_activation.cost(&[1, 1]).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
        }
        assert_eq!(Dense::<f32>::new(usize::MAX).cost(&[1, 2]).unwrap_err().kind(), ErrorKind::Size);

        let (mut built, mut tape) = (dense(Activation::Linear), Tape::new());
        let grad = Tensor::zeros(&[4, 3]).unwrap();
        assert_eq!(built.backward(grad, &mut tape).unwrap_err().kind(), ErrorKind::Tape);
        built.forward_train(x, &mut tape).unwrap();
        let grad = Tensor::zeros(&[3, 3]).unwrap();
        assert_eq!(built.backward(grad, &mut tape).unwrap_err().kind(), ErrorKind::Shape);
    }
}
