//! Two layers that LeNet-5 had and the crate has not, written as anybody can write them.

use striate::{Activation, Conv2D, Cost, Layer, Name, Param, Result, Rng, Saved, Tape, Tensor, ops};

/// `y = 1.7159 * tanh(2/3 * x)`: so that inputs of 1 and -1 give 1 and -1.
#[derive(Debug)]
pub struct ScaledTanh;

const AMPLITUDE: f32 = 1.7159;
const SLOPE: f32 = 2.0 / 3.0;

impl Layer for ScaledTanh {
    fn kind(&self) -> &'static str {
        "ScaledTanh"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        // The crate's own tanh works on whole vectors.
        let tanh = ops::activate(x.map(|v| SLOPE * v).view(), Activation::Tanh)?;
        Ok(Tensor::from(tanh).map(|v| AMPLITUDE * v))
    }

    fn forward_train(&mut self, x: Tensor, tape: &mut Tape) -> Result<Tensor> {
        let y = self.forward(&x)?;
        tape.push("ScaledTanh", Saved::Tensor(y.clone()));
        Ok(y)
    }

    /// `dy/dx = slope * (amplitude - y^2 / amplitude)`
    fn backward(&mut self, grad: Tensor, tape: &mut Tape) -> Result<Tensor> {
        let y = tape.pop_tensor("ScaledTanh")?;
        Ok((&grad.view() * &y.map(|y| SLOPE * (AMPLITUDE - y * y / AMPLITUDE)).view()).into())
    }
}

/// Which of the six maps of S2 each of the sixteen maps of C3 is connected to: table I of the paper.
const CONNECTIONS: [&[usize]; 16] = [
    &[0, 1, 2],
    &[1, 2, 3],
    &[2, 3, 4],
    &[3, 4, 5],
    &[0, 4, 5],
    &[0, 1, 5],
    &[0, 1, 2, 3],
    &[1, 2, 3, 4],
    &[2, 3, 4, 5],
    &[0, 3, 4, 5],
    &[0, 1, 4, 5],
    &[0, 1, 2, 5],
    &[0, 1, 3, 4],
    &[1, 2, 4, 5],
    &[0, 2, 3, 5],
    &[0, 1, 2, 3, 4, 5],
];

/// A 5x5 convolution with the weights of missing connections held at zero: they start there, and have no gradient.
#[derive(Debug)]
pub struct PartialConv(Conv2D);

impl PartialConv {
    pub fn new() -> Self {
        PartialConv(Conv2D::new(CONNECTIONS.len(), 5))
    }

    /// The weights `[5, 5, 6, 16]` that are missing.
    fn missing(weights: &mut [f32]) -> impl Iterator<Item = &mut f32> {
        let connected = |input: usize, filter: usize| CONNECTIONS[filter].contains(&input);
        weights
            .iter_mut()
            .enumerate()
            .filter_map(move |(i, weight)| (!connected(i / 16 % 6, i % 16)).then_some(weight))
    }

    fn mask_gradient(&mut self) {
        for (name, param) in self.0.params_mut() {
            if let Some((_, grad)) = param.value_and_grad().filter(|_| name == "kernel") {
                Self::missing(grad).for_each(|grad| *grad = 0.0);
            }
        }
    }
}

impl Layer for PartialConv {
    fn kind(&self) -> &'static str {
        "PartialConv"
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        self.0.build(input, rng)?;
        for (_, param) in self.0.params_mut().into_iter().filter(|(name, _)| name == "kernel") {
            let mut kernel = param.value().clone();
            Self::missing(kernel.as_mut_slice()).for_each(|weight| *weight = 0.0);
            param.set_value(kernel)?;
        }
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.0.output_shape(input)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }

    fn forward_train(&mut self, x: Tensor, tape: &mut Tape) -> Result<Tensor> {
        self.0.forward_train(x, tape)
    }

    fn backward(&mut self, grad: Tensor, tape: &mut Tape) -> Result<Tensor> {
        let grad = self.0.backward(grad, tape)?;
        self.mask_gradient();
        Ok(grad)
    }

    fn params(&self) -> Vec<(Name, &Param)> {
        self.0.params()
    }

    fn params_mut(&mut self) -> Vec<(Name, &mut Param)> {
        self.0.params_mut()
    }

    /// Without the connections that are missing.
    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let all = self.0.cost(input)?;
        let kept: usize = CONNECTIONS.iter().map(|inputs| 25 * inputs.len()).sum();
        let whole = 25 * 6 * CONNECTIONS.len();
        let multiplications = all.multiplications * kept as u64 / whole as u64;
        Ok(Cost { params: all.params - whole + kept, multiplications, ..all })
    }
}
