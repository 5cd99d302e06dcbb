//! Samples with their targets, whole, split and in batches.

use std::ops::Range;

use super::Targets;
use crate::{Element, Error, Result, Tensor};

/// At least one sample, with targets for each.
#[derive(Clone, Debug)]
pub(super) struct Data<T: Element> {
    pub(super) x: Tensor<T>,
    pub(super) targets: Targets<T>,
}

impl<T: Element> Data<T> {
    pub(super) fn new(operation: &'static str, x: Tensor<T>, targets: Targets<T>) -> Result<Self> {
        match x.shape().first() {
            None | Some(0) => Err(Error::shape(operation, "at least one sample", x.shape())),
            Some(&samples) => {
                targets.check(operation, samples)?;
                Ok(Data { x, targets })
            }
        }
    }

    /// The number of samples.
    pub(super) fn len(&self) -> usize {
        self.x.shape().first().copied().unwrap_or(0)
    }

    /// A range of the samples.
    pub(super) fn rows(&self, range: Range<usize>) -> Result<Self> {
        Ok(Data { x: self.x.rows(range.clone())?, targets: self.targets.rows(self.len(), range)? })
    }

    /// The chosen samples, in the given order.
    pub(super) fn gather(&self, indices: &[usize]) -> Result<Self> {
        Ok(Data { x: self.x.gather(indices)?, targets: self.targets.gather(self.len(), indices)? })
    }

    /// The samples without the last `share` of them, and those: Keras' `validation_split`.
    pub(super) fn split(&self, share: f64) -> Result<(Self, Self)> {
        let first = (self.len() as f64 * (1.0 - share)).floor();
        // A comparison with not-a-number fails, too.
        if !(first >= 1.0 && first < self.len() as f64) {
            let samples = self.len();
            let expected = format!(
                "a validation split between 0 and 1 that leaves some of {samples} samples on both sides"
            );
            return Err(Error::argument("fit", expected, share));
        }
        let first = first as usize;
        Ok((self.rows(0..first)?, self.rows(first..self.len())?))
    }
}

/// The ranges of batches of `size` of `samples` samples; the last may be smaller.
pub(super) fn batches(
    operation: &'static str,
    samples: usize,
    size: usize,
) -> Result<impl ExactSizeIterator<Item = Range<usize>>> {
    if size == 0 {
        return Err(Error::argument(operation, "a batch size of 1 or more", size));
    }
    // `batch * size` is below `samples`, so only the end of the last batch can reach beyond.
    Ok((0..samples.div_ceil(size))
        .map(move |batch| batch * size..samples.min((batch * size).saturating_add(size))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Data<f64> {
        let x = Tensor::from_vec(&[n, 1], (0..n).map(|i| i as f64).collect()).unwrap();
        Data::new("test", x, (0..n).collect::<Vec<_>>().into()).unwrap()
    }

    #[test]
    fn the_last_samples_are_split_off() {
        for (n, share, first) in [(10, 0.2, 8), (10, 0.25, 7), (3, 0.5, 1), (2, 0.01, 1)] {
            let (training, validation) = numbers(n).split(share).unwrap();
            assert_eq!((training.len(), validation.len()), (first, n - first));
            assert_eq!(validation.x.as_slice()[0], first as f64);
            assert_eq!(validation.targets, (first..n).collect::<Vec<_>>().into());
        }
        for share in [0.0, 1.0, -0.5, 1.5, 0.95, f64::NAN] {
            assert!(numbers(10).split(share).is_err(), "{share}");
        }
    }

    #[test]
    fn batches_cover_all_samples() {
        let ranges = |samples, size| batches("test", samples, size).unwrap().collect::<Vec<_>>();
        assert_eq!(ranges(5, 2), [0..2, 2..4, 4..5]);
        assert_eq!(ranges(4, 2), [0..2, 2..4]);
        assert_eq!(ranges(4, usize::MAX), ranges(4, 4));
        assert!(batches("test", 4, 0).is_err());
    }

    #[test]
    fn there_must_be_samples_and_as_many_targets() {
        let x = |shape: &[usize]| Tensor::<f64>::zeros(shape).unwrap();
        for (x, labels) in [(x(&[]), 1), (x(&[0, 2]), 0), (x(&[2, 2]), 3), (x(&[2, 2]), 0)] {
            assert!(Data::new("test", x, vec![0; labels].into()).is_err());
        }
    }
}
