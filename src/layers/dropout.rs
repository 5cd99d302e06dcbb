//! [`Dropout`] and [`SpatialDropout`].

use crate::kernels::recycle;
use crate::layer::{Saved, Step, Tape, mismatch};
use crate::memory::len_of;
use crate::ops::check_shape;
use crate::ops::dropout::{apply_mask, check_mask, check_rate, draw_mask};
use crate::{Cost, Element, Error, Layer, Name, Result, Rng, Tensor};

const KIND: &str = "Dropout";

/// Random zeros in training, against overfitting; at inference the identity.
///
/// In training each element is dropped with probability `rate`, and the rest is scaled by `1 / (1 - rate)`, so that the
/// expectation stays; see [`ops::dropout`](crate::ops::dropout). The same as Keras' and PyTorch's `Dropout`. The layer
/// draws from a generator of its own, which [`build`](Layer::build) forks from the model's: the same seed drops the same
/// elements.
///
/// # Errors
/// Building and running it fails with [`ErrorKind::Argument`](crate::ErrorKind::Argument) unless `0 <= rate < 1`. A
/// rate of 1 would drop everything, and nothing is left whose scale could keep the expectation (PyTorch returns zeros
/// there).
///
/// ```
/// use striate::{Dropout, Layer, Rng, Tape, Tensor};
/// let mut dropout = Dropout::new(0.5);
/// Layer::<f32>::build(&mut dropout, &[1, 1000], &mut Rng::seed(1))?;
/// let x = Tensor::<f32>::full(&[1, 1000], 1.0)?;
/// assert_eq!(dropout.forward(&x)?, x);
/// let y = dropout.forward_train(x, &mut Tape::new())?;
/// assert!(y.as_slice().iter().all(|&y| y == 0.0 || y == 2.0));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f64,
    rng: Option<Rng>,
}

impl Dropout {
    /// A layer that drops this share of its input, at least 0 and below 1.
    ///
    /// ```
    /// use striate::{Dropout, Layer};
    /// assert!(Layer::<f32>::output_shape(&Dropout::new(0.3), &[1, 10]).is_ok());
    /// assert!(Layer::<f32>::output_shape(&Dropout::new(1.0), &[1, 10]).is_err());
    /// ```
    pub fn new(rate: f64) -> Self {
        Dropout { rate, rng: None }
    }
}

impl<T: Element> Layer<T> for Dropout {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn build(&mut self, _: &[usize], rng: &mut Rng) -> Result<()> {
        check_rate(self.rate)?;
        self.rng = Some(rng.fork());
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        check_rate(self.rate)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        check_rate(self.rate)?;
        Ok(x.clone())
    }

    fn forward_train(&mut self, mut x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        check_rate(self.rate)?;
        let rng = self.rng.as_mut().ok_or_else(|| Error::not_built(KIND))?;
        let mask = draw_mask(x.shape(), self.rate, rng)?;
        apply_mask(x.as_mut_slice(), &mask, self.rate);
        tape.push(KIND, Saved::Shape(x.shape().to_vec()));
        tape.push(KIND, Saved::Bytes(mask));
        Ok(x)
    }

    fn backward(&mut self, mut grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let mask = match tape.pop(KIND)? {
            Saved::Bytes(mask) => mask,
            other => return Err(mismatch(KIND, "bytes", &other)),
        };
        check_shape(KIND, "an output gradient", grad.shape(), &tape.pop_shape(KIND)?)?;
        check_mask(KIND, &mask, grad.shape())?;
        apply_mask(grad.as_mut_slice(), &mask, self.rate);
        recycle(mask);
        Ok(grad)
    }

    fn generators(&self) -> Vec<(Name, &Rng)> {
        self.rng.iter().map(|rng| ("rng".into(), rng)).collect()
    }

    fn generators_mut(&mut self) -> Vec<(Name, &mut Rng)> {
        self.rng.iter_mut().map(|rng| ("rng".into(), rng)).collect()
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        check_rate(self.rate)?;
        Ok(Cost { saved_bytes: len_of(KIND, input)? + size_of_val(input), ..Cost::default() })
    }

    fn step(&self) -> Result<Option<Step>> {
        check_rate(self.rate)?;
        Ok(Some(Step::NOTHING))
    }
}

const SPATIAL: &str = "SpatialDropout";

/// Random maps of zeros in training: of every sample each channel is dropped as a whole with probability `rate`, and the
/// rest is scaled by `1 / (1 - rate)` (Tompson et al., 2015); at inference the identity. Where neighbouring positions are
/// alike, as behind convolutions, dropping single ones takes little away.
///
/// Keras' `SpatialDropout1D`, `2D` and `3D`, PyTorch's `Dropout1d`, `2d` and `3d` with channels last. It draws from a
/// generator of its own, as [`Dropout`].
///
/// # Errors
/// As [`Dropout`]; also if the input has not at least two axes, `[batch, ..., channels]`.
///
/// ```
/// use striate::{Layer, Rng, SpatialDropout, Tape, Tensor};
/// let mut dropout = SpatialDropout::new(0.5);
/// Layer::<f32>::build(&mut dropout, &[1, 2, 2, 8], &mut Rng::seed(1))?;
/// let y = dropout.forward_train(Tensor::<f32>::full(&[1, 2, 2, 8], 1.0)?, &mut Tape::new())?;
/// assert_eq!(y.as_slice()[..8], y.as_slice()[8..16]); // the same maps at every position
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpatialDropout(Dropout);

impl SpatialDropout {
    /// A layer that drops this share of the maps, at least 0 and below 1.
    ///
    /// ```
    /// use striate::{Layer, SpatialDropout};
    /// assert!(Layer::<f32>::output_shape(&SpatialDropout::new(0.3), &[1, 4, 4, 10]).is_ok());
    /// assert!(Layer::<f32>::output_shape(&SpatialDropout::new(1.0), &[1, 4, 4, 10]).is_err());
    /// ```
    pub fn new(rate: f64) -> Self {
        SpatialDropout(Dropout::new(rate))
    }

    /// `[batch, channels]` and the number of positions.
    fn maps(&self, input: &[usize]) -> Result<([usize; 2], usize)> {
        check_rate(self.0.rate)?;
        len_of(SPATIAL, input)?;
        match input {
            [batch, positions @ .., channels] => Ok(([*batch, *channels], len_of(SPATIAL, positions)?)),
            _ => Err(Error::shape(SPATIAL, "an input of [batch, ..., channels]", input)),
        }
    }

    /// Scales the maps that the mask keeps, and drops the others.
    fn apply<T: Element>(&self, values: &mut [T], mask: &[u8], [_, channels]: [usize; 2], positions: usize) {
        if values.is_empty() {
            return;
        }
        for (sample, mask) in values.chunks_mut(positions * channels).zip(mask.chunks(channels)) {
            sample.chunks_mut(channels).for_each(|pixel| apply_mask(pixel, mask, self.0.rate));
        }
    }
}

impl<T: Element> Layer<T> for SpatialDropout {
    fn kind(&self) -> &'static str {
        SPATIAL
    }

    fn build(&mut self, input: &[usize], rng: &mut Rng) -> Result<()> {
        self.maps(input)?;
        Layer::<T>::build(&mut self.0, input, rng)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.maps(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<T>) -> Result<Tensor<T>> {
        self.maps(x.shape())?;
        Ok(x.clone())
    }

    fn forward_train(&mut self, mut x: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let (maps, positions) = self.maps(x.shape())?;
        let rng = self.0.rng.as_mut().ok_or_else(|| Error::not_built(SPATIAL))?;
        let mask = draw_mask(&maps, self.0.rate, rng)?;
        self.apply(x.as_mut_slice(), &mask, maps, positions);
        tape.push(SPATIAL, Saved::Shape(x.shape().to_vec()));
        tape.push(SPATIAL, Saved::Bytes(mask));
        Ok(x)
    }

    fn backward(&mut self, mut grad: Tensor<T>, tape: &mut Tape<T>) -> Result<Tensor<T>> {
        let mask = match tape.pop(SPATIAL)? {
            Saved::Bytes(mask) => mask,
            other => return Err(mismatch(SPATIAL, "bytes", &other)),
        };
        check_shape(SPATIAL, "an output gradient", grad.shape(), &tape.pop_shape(SPATIAL)?)?;
        let (maps, positions) = self.maps(grad.shape())?;
        check_mask(SPATIAL, &mask, &maps)?;
        self.apply(grad.as_mut_slice(), &mask, maps, positions);
        recycle(mask);
        Ok(grad)
    }

    fn generators(&self) -> Vec<(Name, &Rng)> {
        Layer::<T>::generators(&self.0)
    }

    fn generators_mut(&mut self) -> Vec<(Name, &mut Rng)> {
        Layer::<T>::generators_mut(&mut self.0)
    }

    fn cost(&self, input: &[usize]) -> Result<Cost> {
        let (maps, _) = self.maps(input)?;
        let saved_bytes = len_of(SPATIAL, &maps)?.saturating_add(size_of_val(input));
        Ok(Cost { saved_bytes, ..Cost::default() })
    }

    fn step(&self) -> Result<Option<Step>> {
        check_rate(self.0.rate)?;
        Ok(Some(Step::NOTHING))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn built(rate: f64, seed: u64) -> Dropout {
        let mut dropout = Dropout::new(rate);
        Layer::<f32>::build(&mut dropout, &[1, 100], &mut Rng::seed(seed)).unwrap();
        dropout
    }

    #[test]
    fn gradients_flow_where_the_output_did() {
        let (mut dropout, mut tape) = (built(0.25, 1), Tape::new());
        let x = Tensor::<f32>::full(&[2, 3, 50], 3.0).unwrap();
        let y = dropout.forward_train(x.clone(), &mut tape).unwrap();
        assert_eq!(tape.bytes(), Layer::<f32>::cost(&dropout, x.shape()).unwrap().saved_bytes);
        assert!(y.as_slice().contains(&0.0) && y.as_slice().contains(&4.0));
        let dx = dropout.backward(x.clone(), &mut tape).unwrap();
        assert!(tape.is_empty());
        assert_eq!(dx, y);
        assert_eq!(x, Tensor::full(&[2, 3, 50], 3.0).unwrap(), "shared memory is copied, not changed");
    }

    #[test]
    fn whole_maps_are_dropped_and_gradients_flow_where_the_output_did() {
        let (mut dropout, mut tape) = (SpatialDropout::new(0.25), Tape::new());
        let x = Tensor::<f32>::full(&[3, 4, 50], 3.0).unwrap();
        Layer::<f32>::build(&mut dropout, x.shape(), &mut Rng::seed(1)).unwrap();
        assert_eq!(Layer::<f32>::generators(&dropout).len(), 1);
        let y = dropout.forward_train(x.clone(), &mut tape).unwrap();
        assert_eq!(tape.bytes(), Layer::<f32>::cost(&dropout, x.shape()).unwrap().saved_bytes);
        let samples: Vec<&[f32]> = y.as_slice().chunks(200).collect();
        for sample in &samples {
            assert!(sample.chunks(50).all(|pixel| pixel == &sample[..50]), "one mask a sample");
            assert!(sample.iter().all(|&y| y == 0.0 || y == 4.0));
            assert!(sample.contains(&0.0) && sample.contains(&4.0));
        }
        assert_ne!(samples[0], samples[1], "samples have masks of their own");
        assert_eq!(dropout.backward(x.clone(), &mut tape).unwrap(), y);
        assert!(tape.is_empty());
        assert_eq!(dropout.forward(&x).unwrap(), x);
        dropout.forward_train(x, &mut tape).unwrap();
        let error = dropout.backward(Tensor::<f32>::zeros(&[3, 4, 5]).unwrap(), &mut tape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        assert!(Layer::<f32>::output_shape(&dropout, &[3]).is_err());
    }

    #[test]
    fn seeds_decide_and_every_pass_draws_anew() {
        let x = Tensor::<f32>::full(&[1, 100], 1.0).unwrap();
        let passes = |seed| {
            let mut dropout = built(0.5, seed);
            [(); 2].map(|()| dropout.forward_train(x.clone(), &mut Tape::new()).unwrap())
        };
        let first = passes(1);
        assert_eq!(first, passes(1));
        assert_ne!(first, passes(2));
        assert_ne!(first[0], first[1]);
    }

    #[test]
    fn mistakes_are_errors() {
        let x = Tensor::<f32>::zeros(&[2, 2]).unwrap();
        let mut tape = Tape::new();
        assert_eq!(
            Dropout::new(0.5).forward_train(x.clone(), &mut tape).unwrap_err().kind(),
            ErrorKind::NotBuilt
        );
        for rate in [-0.5, 1.0, f64::NAN] {
            let mut dropout = Dropout::new(rate);
            for error in [
                Layer::<f32>::build(&mut dropout, &[2, 2], &mut Rng::seed(1)).unwrap_err(),
                Layer::<f32>::cost(&dropout, &[2, 2]).unwrap_err(),
                dropout.forward(&x).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::Argument, "{error}");
            }
        }
        let mut dropout = built(0.5, 1);
        dropout.forward_train(x, &mut tape).unwrap();
        let error = dropout.backward(Tensor::<f32>::zeros(&[5]).unwrap(), &mut tape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
    }
}
