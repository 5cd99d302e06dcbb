//! Dropout: random zeros in training.

use ndarray::{ArrayD, ArrayViewD};

use super::{copied, to_array};
use crate::memory::{len_of, zeros};
use crate::{Element, Error, Result, Rng};

/// Checks that `rate` is a share that leaves something.
pub(crate) fn check_rate(rate: f64) -> Result<()> {
    if (0.0..1.0).contains(&rate) {
        Ok(())
    } else {
        Err(Error::argument("dropout", "a rate of at least 0 and below 1", rate))
    }
}

/// Drops each element with probability `rate` and scales the rest by `1 / (1 - rate)`, so that the expectation stays
/// (*inverted dropout*, as in Keras and PyTorch; Srivastava et al., 2014). Returns the output, and 1 for each element
/// that was kept and 0 for each that was dropped.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) unless `0 <= rate < 1`.
///
/// ```
/// use striate::{Rng, ops};
/// let x = ndarray::Array1::<f32>::ones(1000).into_dyn();
/// let (y, kept) = ops::dropout(x.view(), 0.5, &mut Rng::seed(1))?;
/// assert!(y.iter().zip(&kept).all(|(&y, &kept)| y == 2.0 * f32::from(kept)));
/// assert!((450..550).contains(&kept.iter().filter(|&&kept| kept == 1).count()));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn dropout<T: Element>(x: ArrayViewD<'_, T>, rate: f64, rng: &mut Rng) -> Result<(ArrayD<T>, Vec<u8>)> {
    const OP: &str = "dropout";
    check_rate(rate)?;
    let shape = x.shape().to_vec();
    let mut values = copied(OP, &x)?;
    let mask = draw_mask(&shape, rate, rng)?;
    apply_mask(&mut values, &mask, rate);
    Ok((to_array(OP, shape, values)?, mask))
}

/// The gradient of a loss with respect to the input of [`dropout`], from `grad`, that with respect to its output, and
/// the mask: `dx = grad / (1 - rate)` where the element was kept, else 0.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) unless `0 <= rate < 1`;
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) unless the mask has a byte for every element.
///
/// ```
/// let grad = ndarray::array![1.0, 2.0, 3.0].into_dyn();
/// let dx = striate::ops::dropout_backward(grad.view(), &[1, 0, 1], 0.75)?;
/// assert_eq!(dx, ndarray::array![4.0, 0.0, 12.0].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn dropout_backward<T: Element>(grad: ArrayViewD<'_, T>, mask: &[u8], rate: f64) -> Result<ArrayD<T>> {
    const OP: &str = "dropout_backward";
    check_rate(rate)?;
    check_mask(OP, mask, grad.shape())?;
    let shape = grad.shape().to_vec();
    let mut values = copied(OP, &grad)?;
    apply_mask(&mut values, mask, rate);
    to_array(OP, shape, values)
}

/// Fails unless there is a byte for every element of an array of that shape.
pub(crate) fn check_mask(op: &'static str, mask: &[u8], shape: &[usize]) -> Result<()> {
    if mask.len() == len_of(op, shape)? {
        return Ok(());
    }
    Err(Error::shape(op, format_args!("a gradient of {} elements, as many as the mask", mask.len()), shape))
}

/// 1 for each element to keep, 0 for each to drop. Drawn one after the other, whatever the number of threads.
pub(crate) fn draw_mask(shape: &[usize], rate: f64, rng: &mut Rng) -> Result<Vec<u8>> {
    let mut mask: Vec<u8> = zeros("dropout", shape)?;
    mask.iter_mut().for_each(|kept| *kept = u8::from(rng.uniform() >= rate));
    Ok(mask)
}

/// Scales what the mask keeps; what it drops becomes 0 even if it was infinite or NaN.
pub(crate) fn apply_mask<T: Element>(values: &mut [T], mask: &[u8], rate: f64) {
    let scale = T::of(1.0 / (1.0 - rate));
    for (value, &kept) in values.iter_mut().zip(mask) {
        *value = if kept == 0 { T::zero() } else { *value * scale };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use ndarray::{Array, array};

    #[test]
    fn the_expectation_stays_for_every_rate() {
        let x = Array::from_elem((100, 1000), 3.0_f64).into_dyn();
        for rate in [0.0, 0.1, 0.5, 0.9] {
            let (y, mask) = dropout(x.view(), rate, &mut Rng::seed(3)).unwrap();
            let dropped = mask.iter().filter(|&&kept| kept == 0).count() as f64 / mask.len() as f64;
            assert!((dropped - rate).abs() < 0.005, "{dropped} instead of {rate}");
            let deviation = 3.0 * (rate / (1.0 - rate) / mask.len() as f64).sqrt();
            assert!((y.mean().unwrap() - 3.0).abs() <= 4.0 * deviation, "{rate}: {:?}", y.mean());
            assert_eq!(dropout_backward(x.view(), &mask, rate).unwrap(), y, "linear: the same map backwards");
        }
    }

    #[test]
    fn dropped_elements_are_zero_whatever_they_were() {
        let dx = dropout_backward(array![f32::NAN, f32::INFINITY, 1.0].into_dyn().view(), &[0, 0, 1], 0.5);
        assert_eq!(dx.unwrap(), array![0.0, 0.0, 2.0].into_dyn());
    }

    #[test]
    fn mistakes_are_errors() {
        let x = array![1.0_f32, 2.0].into_dyn();
        for rate in [-0.1, 1.0, 2.0, f64::NAN] {
            let error = dropout(x.view(), rate, &mut Rng::seed(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Argument);
            assert_eq!(dropout_backward(x.view(), &[1, 1], rate).unwrap_err().kind(), ErrorKind::Argument);
        }
        assert_eq!(dropout_backward(x.view(), &[1], 0.5).unwrap_err().kind(), ErrorKind::Shape);
    }
}
