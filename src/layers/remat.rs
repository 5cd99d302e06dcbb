//! [`Remat`]: a layer that computes again what it could have saved.

use crate::layer::{Name, Param, Saved, Step, Tape, mismatch};
use crate::memory::len_of;
use crate::summary::{Cost, Summary};
use crate::{Element, Layer, Result, Rng, Tensor};

/// A layer, mostly a [`Sequential`](crate::Sequential) of several, that saves its input alone in training, and computes the
/// rest again on the way back: gradient checkpointing (Chen et al., *Training Deep Nets with Sublinear Memory Cost*, 2016),
/// Keras' `remat`, PyTorch's `checkpoint`.
///
/// A deep model cut into some segments of about the same size needs the memory of one of them and of the inputs of all, for
/// about a third more time. Outputs, gradients and moving averages are the same to the last bit: dropout drops the same
/// elements, and batches are counted once. At inference nothing changes, nor do the parameters' names.
///
/// | | shape |
/// |---|---|
/// | input, output | the layer's |
///
/// ```
/// use striate::{Activation, Conv2D, Layer, Padding, Remat, Rng, Sequential, Tape, Tensor, sequential};
/// let segment = || {
///     let conv = || Conv2D::new(8, 3).padding(Padding::Same).activation(Activation::Relu);
///     sequential![conv(), conv(), conv()]
/// };
/// let mut model: Sequential = sequential![Remat::new(segment()), Remat::new(segment())];
/// model.build(&[1, 16, 16, 8], &mut Rng::seed(1))?;
///
/// let (x, mut tape) = (Tensor::full(&[1, 16, 16, 8], 0.5)?, Tape::new());
/// let y = model.forward_train(x.clone(), &mut tape)?;
/// assert_eq!(tape.bytes(), 2 * 16 * 16 * 8 * 4);      // the inputs of two segments
/// let dx = model.backward(y, &mut tape)?;
/// assert_eq!(dx.shape(), x.shape());
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Debug)]
pub struct Remat<L> {
    layer: L,
}

const KIND: &str = "Remat";

impl<L> Remat<L> {
    /// `layer`, which will compute again what it could have saved.
    ///
    /// ```
    /// use striate::{Dense, Layer, Remat};
    /// assert_eq!(Layer::<f32>::kind(&Remat::new(Dense::new(3))), "Remat");
    /// ```
    pub fn new(layer: L) -> Self {
        Remat { layer }
    }

    /// Runs the forward pass once more from what is on the tape, as if for the first time, and gives the layer with the tape
    /// that came of it to `backward`.
    fn again<T: Element, R>(
        &mut self,
        tape: &mut Tape<T>,
        backward: impl FnOnce(&mut L, &mut Tape<T>) -> Result<R>,
    ) -> Result<R>
    where
        L: Layer<T>,
    {
        let generators = match tape.pop(KIND)? {
            Saved::Generators(generators) => generators,
            other => return Err(mismatch(KIND, "generators", &other)),
        };
        let x = tape.pop_tensor(KIND)?;
        let states = states(&self.layer);
        let now = self.replace_generators(generators);
        let mut own = Tape::new();
        let outcome = self.layer.forward_train(x, &mut own).map(drop);
        self.replace_generators(now);
        // Batches have been counted the first time.
        let params = self.layer.params_mut().into_iter().map(|(_, param)| param);
        for (param, state) in params.filter(|param| param.is_state()).zip(states) {
            param.set_value(state)?;
        }
        outcome?;
        backward(&mut self.layer, &mut own)
    }

    /// Puts the layer's generators where these stand; returns where they stood.
    fn replace_generators<T: Element>(&mut self, to: Vec<Rng>) -> Vec<Rng>
    where
        L: Layer<T>,
    {
        let own = self.layer.generators_mut().into_iter();
        own.zip(to).map(|((_, own), to)| std::mem::replace(own, to)).collect()
    }
}

/// The layer's states, shared.
fn states<T: Element>(layer: &impl Layer<T>) -> Vec<Tensor<T>> {
    let states = layer.params().into_iter().filter(|(_, param)| param.is_state());
    states.map(|(_, param)| param.value().clone()).collect()
}

impl<T: Element, L: Layer<T>> Layer<T> for Remat<L> {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        self.layer.build(input, rng)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.layer.output_shape(input)
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.layer.forward(x)
    }

    fn forward_into(&self, x: &Tensor<T>, out: &mut Tensor<T>) -> Result<()> {
        self.layer.forward_into(x, out)
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let generators = self.layer.generators().into_iter().map(|(_, rng)| rng.clone()).collect();
        let y = self.layer.forward_train(x.clone(), &mut Tape::forgetful())?;
        tape.push(KIND, Saved::Tensor(x));
        tape.push(KIND, Saved::Generators(generators));
        Ok(y)
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        self.again(tape, |layer, tape| layer.backward(grad, tape))
    }

    fn backward_params(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<()> {
        self.again(tape, |layer, tape| layer.backward_params(grad, tape))
    }

    fn params(&self) -> Vec<(Name, &Param<T>)> {
        self.layer.params()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param<T>)> {
        self.layer.params_mut()
    }

    fn generators(&self) -> Vec<(Name, &Rng)> {
        self.layer.generators()
    }

    fn generators_mut(&mut self) -> Vec<(Name, &mut Rng)> {
        self.layer.generators_mut()
    }

    fn step(&self) -> Result<Option<Step>> {
        self.layer.step()
    }

    fn fuse(&mut self, next: &Step) -> Result<bool> {
        self.layer.fuse(next)
    }

    fn for_inference(&mut self) -> Result<()> {
        self.layer.for_inference()
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let saved_bytes = len_of(KIND, input)?.saturating_mul(size_of::<T>());
        Ok(Cost { saved_bytes, ..self.layer.cost(input)? })
    }

    fn summarize(&self, name: &str, input: &[usize], summary: &mut Summary) -> Result<Vec<usize>> {
        let input_bytes = self.cost(input)?.saved_bytes;
        summary.recomputed(input_bytes, |summary| self.layer.summarize(name, input, summary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Activation, BatchNorm, Conv2D, Dropout, ErrorKind, Flatten, Padding, Residual, Sequential, sequential,
    };

    const INPUT: [usize; 4] = [3, 6, 5, 4];

    fn segment() -> Sequential<f64> {
        let conv = || Conv2D::new(4, 3).padding(Padding::Same).activation(Activation::Tanh);
        let body = sequential![conv(), BatchNorm::new(), Dropout::new(0.3)];
        sequential![conv(), Residual::new(body), BatchNorm::new()]
    }

    /// Outputs, gradients and states of two training steps.
    fn trained(mut model: Sequential<f64>) -> Vec<Tensor<f64>> {
        model.build(&INPUT, &mut Rng::seed(1)).unwrap();
        let mut rng = Rng::seed(2);
        let x = Tensor::zeros(&INPUT).unwrap().map(|_: f64| rng.normal());
        let mut seen = Vec::new();
        for _ in 0..2 {
            let mut tape = Tape::new();
            let y = model.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(tape.bytes(), model.cost(&INPUT).unwrap().saved_bytes);
            assert_eq!(tape.bytes() as u64, model.summary(&INPUT).unwrap().saved_bytes());
            let grad = y.map(f64::sin);
            let dx = model.backward(grad, &mut tape).unwrap();
            assert!(tape.is_empty());
            seen.extend([y, dx]);
        }
        seen.extend(model.params().into_iter().map(|(_, param)| param.value().clone()));
        seen.extend(model.params().into_iter().filter_map(|(_, param)| param.grad().cloned()));
        seen
    }

    #[test]
    fn computing_again_changes_nothing() {
        let plain = trained(sequential![segment(), segment()]);
        assert_eq!(trained(sequential![Remat::new(segment()), Remat::new(segment())]), plain);
        assert_eq!(trained(sequential![Remat::new(Remat::new(segment())), segment()]), plain);
        assert_eq!(plain.len(), 2 * 2 + 2 * (4 + 4 + 4) + 2 * (4 + 2 + 2));
    }

    #[test]
    fn parameters_keep_their_names() {
        let mut model = Remat::new(segment());
        model.build(&INPUT, &mut Rng::seed(1)).unwrap();
        let names: Vec<Name> = model.params().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[..3], ["0.kernel", "0.bias", "1.body.0.kernel"]);
        assert_eq!(model.generators().len(), 1);
    }

    #[test]
    fn the_summary_counts_one_segment_at_a_time() {
        let map = 6 * 5 * 4 * size_of::<f64>() as u64;
        let conv = || Conv2D::new(4, 3).padding(Padding::Same);
        let of = |model: Sequential<f64>| model.summary(&[1, 6, 5, 4]).unwrap();
        let plain =
            of(sequential![sequential![conv(), conv(), conv()], sequential![conv(), conv()], Flatten::new()]);
        assert_eq!(plain.training_bytes(), 6 * map);
        let (three, two) = (sequential![conv(), conv(), conv()], sequential![conv(), conv()]);
        let segments = of(sequential![Remat::new(three), Remat::new(two), Flatten::new()]);
        // Two outputs of segments and the last layer's, and what is inside the first segment.
        assert_eq!(segments.training_bytes(), (3 + 2) * map);
        assert_eq!(segments.output_bytes(), plain.output_bytes());
        assert_eq!(segments.params(), plain.params());
    }

    #[test]
    fn another_layers_tape_is_an_error() {
        let mut model: Remat<Activation> = Remat::new(Activation::Relu);
        let (mut tape, x) = (Tape::<f32>::new(), Tensor::zeros(&[1, 2]).unwrap());
        tape.push("Dense", Saved::Tensor(x.clone()));
        assert_eq!(model.backward(x, &mut tape).unwrap_err().kind(), ErrorKind::Tape);
    }
}
