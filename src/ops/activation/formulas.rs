//! What [`Activation`] computes: functions and derivatives over slices.

use rayon::prelude::*;

use super::Activation;
use crate::Element;
use crate::kernels::epilogue::Bend;

/// Elements from which the work is shared among threads.
pub(super) const PARALLEL_LEN: usize = 1 << 15;
/// Elements that one task works through.
const CHUNK: usize = 1 << 13;

/// SELU's constants, which make mean 0 and variance 1 a fixed point (Klambauer et al., 2017).
pub(super) const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
pub(super) const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// The coefficient of the cubic term in GELU's approximation (Hendrycks and Gimpel, 2016).
const GELU_CUBIC: f64 = 0.044_715;

impl Activation {
    /// The part of the activation that vectors of sums go through before they are written, and the part that is left.
    /// The parameters must have passed [`check`](Self::check).
    pub(crate) fn in_registers<T: Element>(self) -> (Bend<T>, Activation) {
        let bend = match self {
            Activation::Relu => Bend::Clamp(T::zero(), T::infinity()),
            Activation::Relu6 => Bend::Clamp(T::zero(), T::of(6.0)),
            Activation::HardTanh { min, max } => Bend::Clamp(T::of(min), T::of(max)),
            Activation::LeakyRelu { negative_slope } => match T::of(negative_slope) {
                slope if slope > T::zero() && slope <= T::one() => Bend::Leak(slope),
                _ => return (Bend::Straight, self),
            },
            _ => return (Bend::Straight, self),
        };
        (bend, Activation::Linear)
    }

    /// Whether the activation of the largest number is the largest activation, and numbers that differ have the same one
    /// only where the derivative is 0: then it may come after a max pooling as well, to the same outputs and gradients.
    pub(crate) fn keeps_maxima(self) -> bool {
        matches!(self, Activation::Relu | Activation::Relu6 | Activation::HardTanh { .. })
    }

    /// Replaces `values`, rows of `channels`, with their activations. The parameters must have passed
    /// [`check`](Self::check).
    pub(crate) fn apply<T: Element>(self, values: &mut [T], channels: usize) {
        let (zero, one, three, six) = (T::zero(), T::one(), T::of(3.0), T::of(6.0));
        let bent = move |alpha: T, x: T| if x > zero { x } else { alpha * x.exp_m1() };
        match self {
            Activation::Linear => {}
            Activation::Relu => each(values, move |x| if x <= zero { zero } else { x }),
            Activation::Relu6 => each(values, move |x| clip(x, zero, six)),
            Activation::LeakyRelu { negative_slope } => {
                let slope = T::of(negative_slope);
                each(values, move |x| if x > zero { x } else { slope * x });
            }
            Activation::Elu { alpha } => {
                let alpha = T::of(alpha);
                each(values, move |x| bent(alpha, x));
            }
            Activation::Selu => each(values, move |x| T::of(SELU_SCALE) * bent(T::of(SELU_ALPHA), x)),
            Activation::Celu { alpha } => {
                let alpha = T::of(alpha);
                each(values, move |x| if x > zero { x } else { alpha * (x / alpha).exp_m1() });
            }
            Activation::Gelu => each(values, move |x| times(normal_distribution(x), x)),
            Activation::GeluTanh => each(values, move |x| times(sigmoid(gelu_exponent(x)), x)),
            Activation::Silu => each(values, move |x| times(sigmoid(x), x)),
            Activation::Mish => each(values, move |x| times(mish_gate(x), x)),
            Activation::Sigmoid => each(values, sigmoid),
            Activation::LogSigmoid => each(values, move |x| -softplus(-x)),
            Activation::HardSigmoid => each(values, move |x| clip(x + three, zero, six) / six),
            Activation::HardSwish => each(values, move |x| times(clip(x + three, zero, six) / six, x)),
            Activation::HardTanh { min, max } => {
                let (min, max) = (T::of(min), T::of(max));
                each(values, move |x| clip(x, min, max));
            }
            Activation::Threshold { threshold, value } => {
                let (threshold, value) = (T::of(threshold), T::of(value));
                each(values, move |x| if x <= threshold { value } else { x });
            }
            Activation::Tanh => each(values, T::tanh),
            Activation::Softplus { beta } => {
                let beta = T::of(beta);
                each(values, move |x| softplus(beta * x) / beta);
            }
            Activation::Softsign => {
                each(values, move |x| if x.is_infinite() { x.signum() } else { x / (one + x.abs()) });
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
        let between =
            move |min: T, max: T| move |g: T, y: T| if y <= min || y >= max { T::zero() } else { g };
        match self {
            Activation::Linear => {}
            Activation::Relu => each_with(grad, saved, move |g, y| if y <= zero { zero } else { g }),
            Activation::Relu6 => each_with(grad, saved, between(zero, six)),
            Activation::LeakyRelu { negative_slope } => {
                let slope = T::of(negative_slope);
                each_with(grad, saved, move |g, s| if s > zero { g } else { slope * g });
            }
            Activation::Elu { alpha } => {
                let alpha = T::of(alpha);
                match self.saves_output() {
                    true => each_with(grad, saved, move |g, y| if y > zero { g } else { g * (y + alpha) }),
                    false => {
                        each_with(grad, saved, move |g, x| if x > zero { g } else { g * alpha * x.exp() })
                    }
                }
            }
            Activation::Selu => {
                let (scale, limit) = (T::of(SELU_SCALE), T::of(SELU_SCALE * SELU_ALPHA));
                each_with(grad, saved, move |g, y| if y > zero { g * scale } else { g * (y + limit) });
            }
            Activation::Celu { alpha } => {
                let alpha = T::of(alpha);
                each_with(grad, saved, move |g, y| if y > zero { g } else { g * (y / alpha + one) });
            }
            Activation::Gelu => each_with(grad, saved, move |g, x| g * gelu_slope(x)),
            Activation::GeluTanh => each_with(grad, saved, move |g, x| g * gelu_tanh_slope(x)),
            Activation::Silu => each_with(grad, saved, move |g, x| {
                let s = sigmoid(x);
                g * (s + times(s * (one - s), x))
            }),
            Activation::Mish => each_with(grad, saved, move |g, x| {
                let t = mish_gate(x);
                g * (t + times((one - t * t) * sigmoid(x), x))
            }),
            Activation::Sigmoid => each_with(grad, saved, move |g, y| g * y * (one - y)),
            Activation::LogSigmoid => each_with(grad, saved, move |g, y| g * -y.exp_m1()),
            Activation::HardSigmoid => {
                let inside = between(zero, one);
                each_with(grad, saved, move |g, y| inside(g, y) / six);
            }
            Activation::HardSwish => each_with(grad, saved, move |g, x| g * hard_swish_slope(x)),
            Activation::HardTanh { min, max } => each_with(grad, saved, between(T::of(min), T::of(max))),
            Activation::Threshold { threshold, .. } => {
                let threshold = T::of(threshold);
                each_with(grad, saved, move |g, x| if x <= threshold { zero } else { g });
            }
            Activation::Tanh => each_with(grad, saved, move |g, y| g * (one - y * y)),
            Activation::Softplus { beta } => {
                let beta = T::of(beta);
                each_with(grad, saved, move |g, y| g * -(-beta * y).exp_m1());
            }
            Activation::Softsign => each_with(grad, saved, move |g, x| g / (one + x.abs()).powi(2)),
            Activation::Exponential => each_with(grad, saved, move |g, y| g * y),
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

/// `tanh(ln(1 + exp(x)))`, with the logarithm resolved: `n / (n + 2)` for `n = exp(x) * (exp(x) + 2)`.
fn mish_gate<T: Element>(x: T) -> T {
    let (one, two) = (T::one(), T::of(2.0));
    let e = (-x.abs()).exp();
    if x > T::zero() {
        // Both sides of the fraction divided by exp(2 * x), which may overflow.
        (one + two * e) / (one + two * e + two * e * e)
    } else {
        e * (e + two) / (e * (e + two) + two)
    }
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

fn each<T: Element>(values: &mut [T], f: impl Fn(T) -> T + Copy + Sync + Send) {
    chunks(values, CHUNK, |chunk| replace(chunk, f));
}

pub(crate) fn each_with<T: Element>(grad: &mut [T], saved: &[T], f: impl Fn(T, T) -> T + Copy + Sync + Send) {
    chunks_with(grad, saved, CHUNK, |grad, saved| replace_with(grad, saved, f));
}

/// `f` comes by value: what it holds then stays in registers, and the loop becomes one of vectors.
fn replace<T: Element>(values: &mut [T], f: impl Fn(T) -> T) {
    values.iter_mut().for_each(|x| *x = f(*x));
}

fn replace_with<T: Element>(grad: &mut [T], saved: &[T], f: impl Fn(T, T) -> T) {
    grad.iter_mut().zip(saved).for_each(|(g, &s)| *g = f(*g, s));
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
