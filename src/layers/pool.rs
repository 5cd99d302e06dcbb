//! [`MaxPool2D`], and what it shares with the other pooling layers.

use crate::layer::{Saved, Tape, mismatch};
use crate::ops::{self, PoolIndices, Taps};
use crate::{Cost, Element, Geometry2d, Layer, Padding, Reach, Result, Size2d, Tensor, Window2d};

/// The options of the layers with a `window`.
macro_rules! window_options {
    ($layer:literal) => {
        window_options!($layer, "");
    };
    // The same for a layer whose `new` takes something before the pool size.
    ($layer:literal, $before:literal) => {
        /// How far the window moves between two outputs. Default: the pool size, so that windows touch.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).strides(1);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 8, 8, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn strides(mut self, strides: impl Into<Size2d>) -> Self {
            self.window = self.window.strides(strides);
            self
        }

        /// What lies around the input. Default [`Padding::Valid`].
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Padding, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).padding(Padding::Same);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 5, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn padding(mut self, padding: Padding) -> Self {
            self.window = self.window.padding(padding);
            self
        }

        /// The distance between neighbouring taps of the window. Default 1.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).strides(1).dilation(3);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 6, 6, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn dilation(mut self, dilation: impl Into<Size2d>) -> Self {
            self.window = self.window.dilation(dilation);
            self
        }

        /// Whether a last window that reaches beyond the padded input counts, as in PyTorch and ONNX. Default `false`.
        ///
        /// ```
        #[doc = concat!("use striate::{Layer, Tensor, ", $layer, "};")]
        #[doc = concat!("let pool = ", $layer, "::new(", $before, "2).ceil_mode(true);")]
        /// assert_eq!(pool.forward(&Tensor::<f32>::zeros(&[1, 9, 9, 3])?)?.shape(), [1, 5, 5, 3]);
        /// # Ok::<(), striate::Error>(())
        /// ```
        #[must_use]
        pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
            self.window = self.window.ceil_mode(ceil_mode);
            self
        }
    };
}

pub(super) use window_options;

const KIND: &str = "MaxPool2D";

/// Two-dimensional max pooling: of each window of each map only the largest value is kept.
///
/// ```text
/// y[n, y, x, c] = max over i, j of x[n, y*s + i*d - top, x*s + j*d - left, c]
/// ```
///
/// as [`ops::max_pool2d`]: padding never wins, NaN does, and the gradient of a tie goes to the first position in
/// row-major order. Keras' `MaxPooling2D`, with its defaults and its numbers; PyTorch's `MaxPool2d` with channels last.
///
/// | | shape |
/// |---|---|
/// | input | `[batch, height, width, channels]` |
/// | output | `[batch, new height, new width, channels]` |
///
/// # Errors
/// The options are checked when the layer meets an input: sizes, strides or dilation of zero, windows larger than the
/// padded input, and padding so wide that a window sees nothing else are errors.
///
/// ```
/// use ndarray::array;
/// use striate::{Layer, MaxPool2D, Tensor};
/// // keras.layers.MaxPooling2D(pool_size=2)
/// let pool = MaxPool2D::new(2);
/// let x = Tensor::from(array![[[[1.0], [2.0], [5.0], [6.0]], [[3.0], [4.0], [8.0], [7.0]]]]);
/// assert_eq!(pool.forward(&x)?, Tensor::from(array![[[[4.0], [8.0]]]]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MaxPool2D {
    window: Window2d,
}

impl MaxPool2D {
    /// Windows of `pool_size` that touch each other, inside the input.
    ///
    /// ```
    /// use striate::{Layer, MaxPool2D, Tensor};
    /// let y = MaxPool2D::new((2, 3)).forward(&Tensor::<f32>::zeros(&[1, 6, 6, 8])?)?;
    /// assert_eq!(y.shape(), [1, 3, 2, 8]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new(pool_size: impl Into<Size2d>) -> Self {
        let pool_size = pool_size.into();
        MaxPool2D { window: Window2d::new(pool_size).strides(pool_size) }
    }

    window_options!("MaxPool2D");
}

impl<T: Element> Layer<T> for MaxPool2D {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.window.pool(input)?.output_shape().to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        let geometry = self.window.pool(x.shape())?;
        Ok(ops::max_pool2d(x.view4()?, &geometry)?.into())
    }

    fn forward_train(&mut self, x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let geometry = self.window.pool(x.shape())?;
        let (y, indices) = ops::max_pool2d_with_indices(x.view4()?, &geometry)?;
        push_indices(tape, KIND, x.shape(), indices);
        Ok(y.into())
    }

    fn backward(&mut self, grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (input, taps) = pop_indices(tape, KIND)?;
        let geometry = self.window.pool(&input)?;
        let indices = PoolIndices::new(KIND, taps, &geometry)?;
        Ok(ops::max_pool2d_backward(grad.view4()?, &indices, &geometry)?.into())
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let saved_bytes = indices_bytes(input, &self.window.pool(input)?);
        Ok(Cost { saved_bytes, reach: reach(&self.window), ..Cost::default() })
    }

    fn takes_maxima(&self) -> bool {
        true
    }

    fn max_window(&self) -> Option<Window2d> {
        Some(self.window)
    }
}

/// What a layer sees through this window.
pub(super) fn reach(window: &Window2d) -> Reach {
    Reach::Window { extent: window.extent(), strides: window.stride_sizes() }
}

/// Saves the shape of the input and which taps won.
pub(super) fn push_indices<T: Element>(
    tape: &mut Tape<T>,
    layer: &'static str,
    input: &[usize],
    indices: PoolIndices,
) {
    tape.push(layer, Saved::Shape(input.to_vec()));
    push_taps(tape, layer, indices);
}

/// Saves which taps won.
pub(super) fn push_taps<T: Element>(tape: &mut Tape<T>, layer: &'static str, indices: PoolIndices) {
    tape.push(
        layer,
        match indices.into_taps() {
            Taps::Bytes(taps) => Saved::Bytes(taps),
            Taps::Numbers(taps) => Saved::Indices(taps),
        },
    );
}

/// Takes back what [`push_indices`] saved.
pub(super) fn pop_indices<T: Element>(tape: &mut Tape<T>, layer: &'static str) -> Result<(Vec<usize>, Taps)> {
    let taps = pop_taps(tape, layer)?;
    Ok((tape.pop_shape(layer)?, taps))
}

/// Takes back what [`push_taps`] saved.
pub(super) fn pop_taps<T: Element>(tape: &mut Tape<T>, layer: &'static str) -> Result<Taps> {
    match tape.pop(layer)? {
        Saved::Bytes(taps) => Ok(Taps::Bytes(taps)),
        Saved::Indices(taps) => Ok(Taps::Numbers(taps)),
        other => Err(mismatch(layer, "the taps that won", &other)),
    }
}

/// The bytes that [`push_indices`] saves for a pooling of this geometry.
pub(super) fn indices_bytes(input: &[usize], geometry: &Geometry2d) -> usize {
    size_of_val(input) + taps_bytes(geometry)
}

/// The bytes that [`push_taps`] saves.
pub(super) fn taps_bytes(geometry: &Geometry2d) -> usize {
    geometry.output_shape().iter().product::<usize>() * Taps::bytes_each(geometry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AvgPool2D, ChannelMaxPool, ErrorKind, GlobalAvgPool2D, GlobalMaxPool2D};

    const INPUT: [usize; 4] = [2, 20, 18, 6];

    fn layers() -> Vec<Box<dyn Layer<f64>>> {
        vec![
            Box::new(MaxPool2D::new(3).strides(2).padding(Padding::Same)),
            Box::new(MaxPool2D::new(17).strides(1)), // taps that do not fit in a byte
            Box::new(AvgPool2D::new((2, 3)).padding(Padding::all(1)).count_include_pad(true).ceil_mode(true)),
            Box::new(AvgPool2D::new(2).divisor_override(3)),
            Box::new(GlobalMaxPool2D::new()),
            Box::new(GlobalMaxPool2D::new().keepdims(true)),
            Box::new(GlobalAvgPool2D::new()),
            Box::new(GlobalAvgPool2D::new().keepdims(true)),
            Box::new(ChannelMaxPool::new(3).strides(2)),
        ]
    }

    /// Numbers at least 1 apart.
    fn input() -> Tensor<f64> {
        let numbers = (0..INPUT.iter().product()).map(|i: usize| ((i * 7919) % 10_007) as f64).collect();
        Tensor::from_vec(&INPUT, numbers).unwrap()
    }

    fn dot(a: &Tensor<f64>, b: &Tensor<f64>) -> f64 {
        a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn gradients_agree_with_finite_differences_and_costs_with_the_tape() {
        let x = input();
        for mut layer in layers() {
            let mut tape = Tape::new();
            let y = layer.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(y, layer.forward(&x).unwrap());
            assert_eq!(y.shape(), layer.output_shape(&INPUT).unwrap());
            assert_eq!(tape.bytes(), layer.cost(&INPUT).unwrap().saved_bytes, "{layer:?}");

            let mut step = -1.0;
            let grad = y.map(|_| {
                step = (step + 0.75) % 2.0;
                step
            });
            let dx = layer.backward(grad.clone(), &mut tape).unwrap();
            assert!(tape.is_empty() && dx.shape() == INPUT);
            // Along `x` itself the winners stay the same, and every layer is linear.
            let slope = (dot(&layer.forward(&x.map(|v| v * 1.5)).unwrap(), &grad) - dot(&y, &grad)) / 0.5;
            assert!((dot(&dx, &x) - slope).abs() <= 1e-9 * slope.abs(), "{layer:?}");
        }
    }

    #[test]
    fn wrong_gradients_and_tapes_are_errors() {
        for mut layer in layers() {
            let mut tape = Tape::new();
            layer.forward_train(input(), &mut tape).unwrap();
            let wrong = Tensor::zeros(&[2, 1, 1, 1]).unwrap();
            assert_eq!(layer.backward(wrong.clone(), &mut tape).unwrap_err().kind(), ErrorKind::Shape);
            assert_eq!(layer.backward(wrong, &mut Tape::new()).unwrap_err().kind(), ErrorKind::Tape);
            assert!(layer.forward(&Tensor::zeros(&[2, 6]).unwrap()).is_err(), "{layer:?}");
        }
    }

    #[test]
    fn options_that_make_no_sense_are_errors() {
        let wrong: Vec<Box<dyn Layer>> = vec![
            Box::new(MaxPool2D::new(0)),
            Box::new(MaxPool2D::new(2).strides(0)),
            Box::new(MaxPool2D::new(2).dilation(0)),
            Box::new(MaxPool2D::new(21)),
            Box::new(AvgPool2D::new(2).padding(Padding::all(2))),
            Box::new(AvgPool2D::new(2).divisor_override(0)),
            Box::new(ChannelMaxPool::new(0)),
            Box::new(ChannelMaxPool::new(7)),
            Box::new(ChannelMaxPool::new(2).strides(0)),
        ];
        for layer in wrong {
            assert!(layer.output_shape(&INPUT).is_err() && layer.cost(&INPUT).is_err(), "{layer:?}");
            assert!(layer.forward(&Tensor::zeros(&INPUT).unwrap()).is_err(), "{layer:?}");
        }
    }
}
