//! Activation functions and their derivatives.

use ndarray::{ArrayD, ArrayViewD};
use rayon::prelude::*;

use super::{check_shape, contiguous, to_array};
use crate::{Element, Error, Result};

/// Elements from which the work is shared among threads.
const PARALLEL_LEN: usize = 1 << 15;
/// Elements that one task works through.
const CHUNK: usize = 1 << 13;

/// SELU's constants, which make mean 0 and variance 1 a fixed point (Klambauer et al., 2017).
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// The coefficient of the cubic term in GELU's approximation (Hendrycks and Gimpel, 2016).
const GELU_CUBIC: f64 = 0.044_715;

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
/// | `Selu` | `scale * elu(x)`, `scale = 1.0507009873554805`, `alpha = 1.6732632423543772` | `scale` if `x > 0`, else `y + scale * alpha` | `y` |
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
/// | `Tanh` | `tanh(x)` | `1 - y^2` | `y` |
/// | `Softplus` | `ln(1 + exp(beta * x)) / beta` | `1 - exp(-beta * y)` | `y` |
/// | `Softsign` | `x / (1 + abs(x))` | `1 / (1 + abs(x))^2` | `x` |
/// | `Exponential` | `exp(x)` | `y` | `y` |
/// | `Softmax` | `exp(x_i) / sum over j of exp(x_j)` | `dx_i = y_i * (dy_i - sum over j of y_j * dy_j)` | `y` |
/// | `LogSoftmax` | `x_i - ln(sum over j of exp(x_j))` | `dx_i = dy_i - exp(y_i) * sum over j of dy_j` | `y` |
///
/// The last two work along the last axis, the others on every element alone. At kinks the derivative is the one that
/// the table says, as in PyTorch. The formulas are computed in forms that neither overflow nor cancel where the result
/// does not, infinities give the limits, and NaN gives NaN.
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
            Gelu | GeluTanh | Silu | Mish | HardSwish | Softsign => false,
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

    /// Replaces `values`, rows of `channels`, with their activations. The parameters must have passed
    /// [`check`](Self::check).
    pub(crate) fn apply<T: Element>(self, values: &mut [T], channels: usize) {
        let (zero, one, three, six) = (T::zero(), T::one(), T::of(3.0), T::of(6.0));
        let bent = |alpha: T, x: T| if x > zero { x } else { alpha * x.exp_m1() };
        match self {
            Activation::Linear => {}
            Activation::Relu => each(values, |x| if x <= zero { zero } else { x }),
            Activation::Relu6 => each(values, |x| clip(x, zero, six)),
            Activation::LeakyRelu { negative_slope } => {
                let slope = T::of(negative_slope);
                each(values, |x| if x > zero { x } else { slope * x });
            }
            Activation::Elu { alpha } => {
                let alpha = T::of(alpha);
                each(values, |x| bent(alpha, x));
            }
            Activation::Selu => each(values, |x| T::of(SELU_SCALE) * bent(T::of(SELU_ALPHA), x)),
            Activation::Celu { alpha } => {
                let alpha = T::of(alpha);
                each(values, |x| if x > zero { x } else { alpha * (x / alpha).exp_m1() });
            }
            Activation::Gelu => each(values, |x| times(normal_distribution(x), x)),
            Activation::GeluTanh => each(values, |x| times(sigmoid(gelu_exponent(x)), x)),
            Activation::Silu => each(values, |x| times(sigmoid(x), x)),
            Activation::Mish => each(values, |x| times(softplus(x).tanh(), x)),
            Activation::Sigmoid => each(values, sigmoid),
            Activation::LogSigmoid => each(values, |x| -softplus(-x)),
            Activation::HardSigmoid => each(values, |x| clip(x + three, zero, six) / six),
            Activation::HardSwish => each(values, |x| times(clip(x + three, zero, six) / six, x)),
            Activation::HardTanh { min, max } => {
                let (min, max) = (T::of(min), T::of(max));
                each(values, |x| clip(x, min, max));
            }
            Activation::Tanh => each(values, T::tanh),
            Activation::Softplus { beta } => {
                let beta = T::of(beta);
                each(values, |x| softplus(beta * x) / beta);
            }
            Activation::Softsign => {
                each(values, |x| if x.is_infinite() { x.signum() } else { x / (one + x.abs()) });
            }
            Activation::Exponential => each(values, T::exp),
            Activation::Softmax => rows(values, channels, softmax),
            Activation::LogSoftmax => rows(values, channels, log_softmax),
        }
    }

    /// Replaces `grad`, the gradient with respect to the output, with that with respect to the input, from what was
    /// saved: the output or the input, as [`saves_output`](Self::saves_output) says.
    pub(crate) fn gradient<T: Element>(self, grad: &mut [T], saved: &[T], channels: usize) {
        let (zero, one, six) = (T::zero(), T::one(), T::of(6.0));
        let between = |min: T, max: T| move |g: T, y: T| if y <= min || y >= max { T::zero() } else { g };
        match self {
            Activation::Linear => {}
            Activation::Relu => each_with(grad, saved, |g, y| if y <= zero { zero } else { g }),
            Activation::Relu6 => each_with(grad, saved, between(zero, six)),
            Activation::LeakyRelu { negative_slope } => {
                let slope = T::of(negative_slope);
                each_with(grad, saved, |g, s| if s > zero { g } else { slope * g });
            }
            Activation::Elu { alpha } => {
                let alpha = T::of(alpha);
                match self.saves_output() {
                    true => each_with(grad, saved, |g, y| if y > zero { g } else { g * (y + alpha) }),
                    false => each_with(grad, saved, |g, x| if x > zero { g } else { g * alpha * x.exp() }),
                }
            }
            Activation::Selu => {
                let (scale, limit) = (T::of(SELU_SCALE), T::of(SELU_SCALE * SELU_ALPHA));
                each_with(grad, saved, |g, y| if y > zero { g * scale } else { g * (y + limit) });
            }
            Activation::Celu { alpha } => {
                let alpha = T::of(alpha);
                each_with(grad, saved, |g, y| if y > zero { g } else { g * (y / alpha + one) });
            }
            Activation::Gelu => each_with(grad, saved, |g, x| g * gelu_slope(x)),
            Activation::GeluTanh => each_with(grad, saved, |g, x| g * gelu_tanh_slope(x)),
            Activation::Silu => each_with(grad, saved, |g, x| {
                let s = sigmoid(x);
                g * (s + times(s * (one - s), x))
            }),
            Activation::Mish => each_with(grad, saved, |g, x| {
                let t = softplus(x).tanh();
                g * (t + times((one - t * t) * sigmoid(x), x))
            }),
            Activation::Sigmoid => each_with(grad, saved, |g, y| g * y * (one - y)),
            Activation::LogSigmoid => each_with(grad, saved, |g, y| g * -y.exp_m1()),
            Activation::HardSigmoid => {
                let inside = between(zero, one);
                each_with(grad, saved, |g, y| inside(g, y) / six);
            }
            Activation::HardSwish => each_with(grad, saved, |g, x| g * hard_swish_slope(x)),
            Activation::HardTanh { min, max } => each_with(grad, saved, between(T::of(min), T::of(max))),
            Activation::Tanh => each_with(grad, saved, |g, y| g * (one - y * y)),
            Activation::Softplus { beta } => {
                let beta = T::of(beta);
                each_with(grad, saved, |g, y| g * -(-beta * y).exp_m1());
            }
            Activation::Softsign => each_with(grad, saved, |g, x| g / (one + x.abs()).powi(2)),
            Activation::Exponential => each_with(grad, saved, |g, y| g * y),
            Activation::Softmax => rows_with(grad, saved, channels, |grad, y| {
                let mean: T = grad.iter().zip(y).map(|(&g, &y)| g * y).sum();
                grad.iter_mut().zip(y).for_each(|(g, &y)| *g = y * (*g - mean));
            }),
            Activation::LogSoftmax => rows_with(grad, saved, channels, |grad, y| {
                let sum: T = grad.iter().copied().sum();
                grad.iter_mut().zip(y).for_each(|(g, &y)| *g -= y.exp() * sum);
            }),
        }
    }
}

/// `gate * x`, where a gate of 0 wins over an infinite `x`: the limit of gates that vanish exponentially.
fn times<T: Element>(gate: T, x: T) -> T {
    if gate.is_zero() { T::zero() } else { gate * x }
}

/// `min(max(x, low), high)`, NaN included.
fn clip<T: Element>(x: T, low: T, high: T) -> T {
    if x <= low {
        low
    } else if x >= high {
        high
    } else {
        x
    }
}

fn sigmoid<T: Element>(x: T) -> T {
    let e = (-x.abs()).exp();
    let numerator = if x < T::zero() { e } else { T::one() };
    numerator / (T::one() + e)
}

/// `ln(1 + exp(x))`.
fn softplus<T: Element>(x: T) -> T {
    x.max(T::zero()) + (-x.abs()).exp().ln_1p()
}

fn normal_distribution<T: Element>(x: T) -> T {
    T::of(0.5) * (T::one() + (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf())
}

fn gelu_slope<T: Element>(x: T) -> T {
    let density = T::of(0.398_942_280_401_432_7) * (T::of(-0.5) * x * x).exp();
    normal_distribution(x) + times(density, x)
}

/// The argument of the sigmoid in the approximated GELU: twice that of the tanh, as `(1 + tanh(u)) / 2` is the
/// sigmoid of `2 * u`.
fn gelu_exponent<T: Element>(x: T) -> T {
    T::of(2.0 * 0.797_884_560_802_865_4) * (x + T::of(GELU_CUBIC) * x * x * x)
}

fn gelu_tanh_slope<T: Element>(x: T) -> T {
    let s = sigmoid(gelu_exponent(x));
    let inner = T::of(2.0 * 0.797_884_560_802_865_4) * (T::one() + T::of(3.0 * GELU_CUBIC) * x * x);
    // Far out, the first factor is 0 and wins over the second.
    s + times(s * (T::one() - s), inner * x)
}

fn hard_swish_slope<T: Element>(x: T) -> T {
    if x <= T::of(-3.0) {
        T::zero()
    } else if x >= T::of(3.0) {
        T::one()
    } else {
        x / T::of(3.0) + T::of(0.5)
    }
}

/// Softmax of one row. Subtracting the largest value keeps the exponentials from overflowing.
fn softmax<T: Element>(row: &mut [T]) {
    let largest = largest(row);
    row.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let sum: T = row.iter().copied().sum();
    row.iter_mut().for_each(|x| *x /= sum);
}

fn log_softmax<T: Element>(row: &mut [T]) {
    let largest = largest(row);
    let sum: T = row.iter().map(|&x| (x - largest).exp()).sum();
    // Not `largest + ln(sum)` as one number: the logarithm would drown in a large maximum.
    let log = sum.ln();
    row.iter_mut().for_each(|x| *x = (*x - largest) - log);
}

fn largest<T: Element>(row: &[T]) -> T {
    row.iter().copied().fold(T::neg_infinity(), T::max)
}

fn each<T: Element>(values: &mut [T], f: impl Fn(T) -> T + Sync + Send) {
    chunks(values, CHUNK, |chunk| chunk.iter_mut().for_each(|x| *x = f(*x)));
}

fn each_with<T: Element>(grad: &mut [T], saved: &[T], f: impl Fn(T, T) -> T + Sync + Send) {
    chunks_with(grad, saved, CHUNK, |grad, saved| {
        grad.iter_mut().zip(saved).for_each(|(g, &s)| *g = f(*g, s));
    });
}

fn rows<T: Element>(values: &mut [T], channels: usize, f: impl Fn(&mut [T]) + Sync + Send) {
    chunks(values, rows_len(channels), |rows| rows.chunks_mut(channels.max(1)).for_each(&f));
}

fn rows_with<T: Element>(
    grad: &mut [T],
    saved: &[T],
    channels: usize,
    f: impl Fn(&mut [T], &[T]) + Sync + Send,
) {
    chunks_with(grad, saved, rows_len(channels), |grad, saved| {
        let rows = grad.chunks_mut(channels.max(1)).zip(saved.chunks(channels.max(1)));
        rows.for_each(|(grad, saved)| f(grad, saved));
    });
}

/// About a chunk of elements, in whole rows.
fn rows_len(channels: usize) -> usize {
    (CHUNK / channels.max(1)).max(1) * channels.max(1)
}

fn chunks<T: Element>(values: &mut [T], len: usize, f: impl Fn(&mut [T]) + Sync + Send) {
    if values.len() < PARALLEL_LEN {
        values.chunks_mut(len).for_each(f);
    } else {
        values.par_chunks_mut(len).for_each(f);
    }
}

fn chunks_with<T: Element>(
    grad: &mut [T],
    saved: &[T],
    len: usize,
    f: impl Fn(&mut [T], &[T]) + Sync + Send,
) {
    if grad.len() < PARALLEL_LEN {
        grad.chunks_mut(len).zip(saved.chunks(len)).for_each(|(grad, saved)| f(grad, saved));
    } else {
        grad.par_chunks_mut(len).zip(saved.par_chunks(len)).for_each(|(grad, saved)| f(grad, saved));
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
    let shape = x.shape().to_vec();
    let channels = activation.channels::<T>(&shape)?;
    let mut values = contiguous(x).into_owned();
    activation.apply(&mut values, channels);
    to_array("activate", shape, values)
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
    let mut values = contiguous(grad).into_owned();
    activation.gradient(&mut values, &contiguous(saved), channels);
    to_array(OP, shape, values)
}

#[cfg(test)]
mod tests;
