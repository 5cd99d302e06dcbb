//! Activation functions and their derivatives.

mod formulas;

pub(crate) use formulas::each_with;

use ndarray::{ArrayD, ArrayViewD};

use super::{check_shape, contiguous, copied, to_array};
use crate::{Element, Error, Result};

/// An activation function; itself a [`Layer`](crate::Layer).
///
/// Names and numbers are those of Keras and PyTorch (`Silu` is also known as Swish, `HardSwish` as hard SiLU).
/// With `s(x) = 1 / (1 + exp(-x))`, and `P` the distribution function of the standard normal distribution:
///
/// | | `y` | `dy/dx` | saved |
/// |---|---|---|---|
/// | `Linear` | `x` | `1` | nothing |
/// | `Relu` | `max(x, 0)` | `1` if `y > 0`, else `0` | `y` |
/// | `Relu6` | `min(max(x, 0), 6)` | `1` if `0 < y < 6`, else `0` | `y` |
/// | `LeakyRelu` | `x` if `x > 0`, else `slope * x` | `1` if `x > 0`, else `slope` | `y`; `x` if `slope < 0` |
/// | `Elu` | `x` if `x > 0`, else `alpha * (exp(x) - 1)` | `1` if `x > 0`, else `y + alpha` | `y`; `x` if `alpha < 0` |
/// | `Selu` | `scale * elu(x)` | `scale` if `x > 0`, else `y + scale * alpha` | `y` |
/// | `Celu` | `x` if `x > 0`, else `alpha * (exp(x / alpha) - 1)` | `1` if `x > 0`, else `y / alpha + 1` | `y` |
/// | `Gelu` | `x * P(x)`, `P(x) = (1 + erf(x / sqrt(2))) / 2` | `P(x) + x * exp(-x^2 / 2) / sqrt(2 pi)` | `x` |
/// | `GeluTanh` | `x * s(2u)`, `u = sqrt(2 / pi) * (x + 0.044715 x^3)` | `s(2u) + 2x * u' * s(2u) * (1 - s(2u))` | `x` |
/// | `Silu` | `x * s(x)` | `s(x) + x * s(x) * (1 - s(x))` | `x` |
/// | `Mish` | `x * t`, `t = tanh(ln(1 + exp(x)))` | `t + x * (1 - t^2) * s(x)` | `x` |
/// | `Sigmoid` | `s(x)` | `y * (1 - y)` | `y` |
/// | `LogSigmoid` | `ln(s(x))` | `1 - exp(y)` | `y` |
/// | `HardSigmoid` | `min(max(x + 3, 0), 6) / 6` | `1/6` if `0 < y < 1`, else `0` | `y` |
/// | `HardSwish` | `x * hard_sigmoid(x)` | `x / 3 + 1/2` if `-3 < x < 3`, else `0` or `1` | `x` |
/// | `HardTanh` | `min(max(x, min), max)` | `1` if `min < y < max`, else `0` | `y` |
/// | `Threshold` | `x` if `x > threshold`, else `value` | `1` if `x > threshold`, else `0` | `x` |
/// | `Tanh` | `tanh(x)` | `1 - y^2` | `y` |
/// | `Softplus` | `ln(1 + exp(beta * x)) / beta` | `1 - exp(-beta * y)` | `y` |
/// | `Softsign` | `x / (1 + abs(x))` | `1 / (1 + abs(x))^2` | `x` |
/// | `Exponential` | `exp(x)` | `y` | `y` |
/// | `Softmax` | `exp(x_i) / sum over j of exp(x_j)` | `dx_i = y_i * (dy_i - sum over j of y_j * dy_j)` | `y` |
/// | `LogSoftmax` | `x_i - ln(sum over j of exp(x_j))` | `dx_i = dy_i - exp(y_i) * sum over j of dy_j` | `y` |
///
/// `Selu` has `scale = 1.0507009873554805` and `alpha = 1.6732632423543772`. The last two work along the last axis, the
/// others on every element alone. At kinks the derivative is the one that the table says, as in PyTorch. The formulas are
/// computed in forms that neither overflow nor cancel where the result does not, infinities give the limits, and NaN
/// gives NaN.
///
/// ```
/// use striate::{Activation, Layer, Tensor};
/// let x = Tensor::from(ndarray::array![[-2.0, 0.0, 3.0]]);
/// assert_eq!(Activation::Relu.forward(&x)?.as_slice(), [0.0, 0.0, 3.0]);
/// assert_eq!(Activation::LeakyRelu { negative_slope: 0.5 }.forward(&x)?.as_slice(), [-1.0, 0.0, 3.0]);
/// assert_eq!(Activation::Softmax.forward(&Tensor::<f32>::zeros(&[1, 4])?)?.as_slice(), [0.25; 4]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// The identity.
    #[default]
    Linear,
    /// Rectified linear unit.
    Relu,
    /// Rectified linear unit, capped at 6.
    Relu6,
    /// Rectified linear unit that lets some of the negative side through.
    LeakyRelu {
        /// The slope for negative inputs: 0.3 by default in Keras' layer, 0.2 in its function, 0.01 in PyTorch.
        negative_slope: f64,
    },
    /// Exponential linear unit.
    Elu {
        /// Minus the limit at minus infinity; 1 by default in Keras and PyTorch.
        alpha: f64,
    },
    /// Scaled exponential linear unit.
    Selu,
    /// Continuously differentiable exponential linear unit.
    Celu {
        /// Minus the limit at minus infinity (where positive), not 0; 1 by default in Keras and PyTorch.
        alpha: f64,
    },
    /// Gaussian error linear unit, exactly; the default in PyTorch and in Keras.
    Gelu,
    /// Gaussian error linear unit, approximated through tanh.
    GeluTanh,
    /// Sigmoid linear unit, Swish.
    Silu,
    /// A smooth relative of Silu (Misra, 2019).
    Mish,
    /// The logistic function.
    Sigmoid,
    /// The logarithm of the logistic function.
    LogSigmoid,
    /// The logistic function in three straight pieces.
    HardSigmoid,
    /// Silu with the hard sigmoid.
    HardSwish,
    /// The identity between two bounds.
    HardTanh {
        /// The lower bound; -1 by default in PyTorch.
        min: f64,
        /// The upper bound; 1 by default in PyTorch.
        max: f64,
    },
    /// The identity above a threshold, a constant elsewhere: ONNX' `ThresholdedRelu` for a value of 0.
    Threshold {
        /// Up to where the constant goes.
        threshold: f64,
        /// The constant; 0 by default in Keras.
        value: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// A smooth `max(x, 0)`.
    Softplus {
        /// How sharp the bend is, not 0; 1 in Keras and by default in PyTorch.
        beta: f64,
    },
    /// A sigmoid with slow tails.
    Softsign,
    /// The exponential function.
    Exponential,
    /// The exponential function, normalised to a sum of 1 along the last axis.
    Softmax,
    /// The logarithm of the softmax.
    LogSoftmax,
}

impl Activation {
    /// Whether the derivative follows from the output, so that this is what to save for
    /// [`activate_backward`], and not the input.
    ///
    /// ```
    /// use striate::Activation;
    /// assert!(Activation::Tanh.saves_output());
    /// assert!(!Activation::Silu.saves_output());      // not monotonic
    /// ```
    pub fn saves_output(self) -> bool {
        use Activation::*;
        match self {
            Gelu | GeluTanh | Silu | Mish | HardSwish | Softsign | Threshold { .. } => false,
            LeakyRelu { negative_slope } => negative_slope >= 0.0,
            Elu { alpha } => alpha >= 0.0,
            _ => true,
        }
    }

    /// The variant's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Activation::Linear => "Linear",
            Activation::Relu => "Relu",
            Activation::Relu6 => "Relu6",
            Activation::LeakyRelu { .. } => "LeakyRelu",
            Activation::Elu { .. } => "Elu",
            Activation::Selu => "Selu",
            Activation::Celu { .. } => "Celu",
            Activation::Gelu => "Gelu",
            Activation::GeluTanh => "GeluTanh",
            Activation::Silu => "Silu",
            Activation::Mish => "Mish",
            Activation::Sigmoid => "Sigmoid",
            Activation::LogSigmoid => "LogSigmoid",
            Activation::HardSigmoid => "HardSigmoid",
            Activation::HardSwish => "HardSwish",
            Activation::HardTanh { .. } => "HardTanh",
            Activation::Threshold { .. } => "Threshold",
            Activation::Tanh => "Tanh",
            Activation::Softplus { .. } => "Softplus",
            Activation::Softsign => "Softsign",
            Activation::Exponential => "Exponential",
            Activation::Softmax => "Softmax",
            Activation::LogSoftmax => "LogSoftmax",
        }
    }

    /// Checks the parameters, as they round in `T`.
    pub(crate) fn check<T: Element>(self) -> Result<()> {
        let finite = |value: f64| T::of(value).is_finite();
        let divisor = |value: f64| finite(value) && !T::of(value).is_zero();
        let (valid, expected) = match self {
            Activation::LeakyRelu { negative_slope } => (finite(negative_slope), "a finite slope"),
            Activation::Elu { alpha } => (finite(alpha), "a finite alpha"),
            Activation::Celu { alpha } => (divisor(alpha), "a finite alpha other than 0"),
            Activation::Softplus { beta } => (divisor(beta), "a finite beta other than 0"),
            Activation::HardTanh { min, max } => (min <= max, "min <= max"),
            Activation::Threshold { threshold, value } => {
                (finite(threshold) && finite(value), "a finite threshold and value")
            }
            _ => return Ok(()),
        };
        if valid { Ok(()) } else { Err(Error::argument("activation", expected, format_args!("{self:?}"))) }
    }

    /// Checks the parameters and that there is an axis to work along; returns the length of the last axis.
    pub(crate) fn channels<T: Element>(self, shape: &[usize]) -> Result<usize> {
        self.check::<T>()?;
        match (self, shape.last()) {
            (_, Some(&channels)) => Ok(channels),
            (Activation::Softmax | Activation::LogSoftmax, None) => {
                Err(Error::shape("activation", "one axis or more", shape))
            }
            (_, None) => Ok(1),
        }
    }
}

/// The activation of every element, or of every row along the last axis: `y = f(x)` of the table at [`Activation`].
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a parameter of the activation makes no sense;
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) for a softmax of a number without axes.
///
/// ```
/// use ndarray::array;
/// use striate::{Activation, ops};
/// let y = ops::activate(array![[-1.0, 9.0]].into_dyn().view(), Activation::Relu6)?;
/// assert_eq!(y, array![[0.0, 6.0]].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn activate<T: Element>(x: ArrayViewD<'_, T>, activation: Activation) -> Result<ArrayD<T>> {
    const OP: &str = "activate";
    let shape = x.shape().to_vec();
    let channels = activation.channels::<T>(&shape)?;
    let mut values = copied(OP, &x)?;
    activation.apply(&mut values, channels);
    to_array(OP, shape, values)
}

/// The gradient of a loss with respect to the input of [`activate`], from `grad`, that with respect to its output, and
/// `saved`: the output where [`Activation::saves_output`], else the input.
///
/// # Errors
/// As [`activate`]; also [`ErrorKind::Shape`](crate::ErrorKind::Shape) if `grad` and `saved` differ in shape.
///
/// ```
/// use ndarray::array;
/// use striate::{Activation, ops};
/// let x = array![[-1.0, 2.0]].into_dyn();
/// let y = ops::activate(x.view(), Activation::Relu)?;
/// let grad = array![[10.0, 10.0]].into_dyn();
/// assert_eq!(ops::activate_backward(grad.view(), y.view(), Activation::Relu)?, array![[0.0, 10.0]].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn activate_backward<T: Element>(
    grad: ArrayViewD<'_, T>,
    saved: ArrayViewD<'_, T>,
    activation: Activation,
) -> Result<ArrayD<T>> {
    const OP: &str = "activate_backward";
    let shape = saved.shape().to_vec();
    let channels = activation.channels::<T>(&shape)?;
    check_shape(OP, "an output gradient", grad.shape(), &shape)?;
    let mut values = copied(OP, &grad)?;
    activation.gradient(&mut values, &contiguous(OP, saved)?, channels);
    to_array(OP, shape, values)
}

#[cfg(test)]
mod tests;
