//! What a model should have answered: [`Targets`].

use std::ops::Range;

use crate::{Element, Error, ErrorKind, Result, Tensor};

/// The right answers for a set of samples: class labels, or numbers.
///
/// Labels are class indices, one for each sample; for a model that classifies every position (a segmentation, say)
/// one for each position, in row-major order. Numbers are what a regression predicts, or a one-hot or probability
/// distribution over the classes; their first axis is the sample.
///
/// Everything that takes targets takes `impl Into<Targets<T>>`, so labels and tensors can be given as they are.
///
/// ```
/// use striate::{Tensor, train::Targets};
/// let labels: Targets = vec![3, 1].into();
/// let one_hot: Targets = Tensor::from(ndarray::array![[0.0, 1.0], [1.0, 0.0]]).into();
/// assert_ne!(labels, one_hot);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Targets<T: Element = f32> {
    /// Class indices, in row-major order if there is more than one a sample.
    Labels(Vec<usize>),
    /// Real values, or a distribution over the classes along the last axis.
    Values(Tensor<T>),
}

impl<T: Element> From<Vec<usize>> for Targets<T> {
    fn from(labels: Vec<usize>) -> Self {
        Targets::Labels(labels)
    }
}

impl<T: Element> From<&[usize]> for Targets<T> {
    fn from(labels: &[usize]) -> Self {
        Targets::Labels(labels.to_vec())
    }
}

impl<T: Element> From<&Vec<usize>> for Targets<T> {
    fn from(labels: &Vec<usize>) -> Self {
        Targets::Labels(labels.clone())
    }
}

impl<T: Element, const N: usize> From<[usize; N]> for Targets<T> {
    fn from(labels: [usize; N]) -> Self {
        Targets::Labels(labels.to_vec())
    }
}

impl<T: Element> From<Tensor<T>> for Targets<T> {
    fn from(values: Tensor<T>) -> Self {
        Targets::Values(values)
    }
}

impl<T: Element> From<&Tensor<T>> for Targets<T> {
    fn from(values: &Tensor<T>) -> Self {
        Targets::Values(values.clone())
    }
}

impl<T: Element> From<&Targets<T>> for Targets<T> {
    fn from(targets: &Targets<T>) -> Self {
        targets.clone()
    }
}

impl<T: Element> Targets<T> {
    /// How many or how large they are, for messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Targets::Labels(labels) => format!("{} labels", labels.len()),
            Targets::Values(values) => format!("a tensor of {:?}", values.shape()),
        }
    }

    /// Checks that these are targets of `samples` samples.
    pub(super) fn check(&self, operation: &'static str, samples: usize) -> Result<()> {
        match self {
            Targets::Labels(labels) if samples == 0 || labels.is_empty() || labels.len() % samples != 0 => {
                let expected = format!("a label for each of {samples} samples, or the same number for each");
                Err(Error::new(ErrorKind::Shape, operation, expected, self.describe()))
            }
            Targets::Values(values) if values.shape().first() != Some(&samples) => {
                let expected = format!("targets whose first axis is {samples}, one for each sample");
                Err(Error::shape(operation, expected, values.shape()))
            }
            _ => Ok(()),
        }
    }

    /// The targets of a range of the `samples` samples.
    pub(super) fn rows(&self, samples: usize, range: Range<usize>) -> Result<Self> {
        self.check("targets", samples)?;
        match self {
            Targets::Values(values) => values.rows(range).map(Targets::Values),
            Targets::Labels(labels) => {
                let each = labels.len() / samples;
                let chosen = labels.get(range.start * each..range.end * each).ok_or_else(|| {
                    Error::shape("targets", format_args!("a range within {samples} samples"), &[range.end])
                })?;
                Ok(Targets::Labels(chosen.to_vec()))
            }
        }
    }

    /// The targets of the chosen ones of the `samples` samples.
    pub(super) fn gather(&self, samples: usize, indices: &[usize]) -> Result<Self> {
        self.check("targets", samples)?;
        match self {
            Targets::Values(values) => values.gather(indices).map(Targets::Values),
            Targets::Labels(labels) => {
                let each = labels.len() / samples;
                let mut chosen = Vec::new();
                crate::memory::reserve(&mut chosen, "targets", &[indices.len(), each])?;
                for &index in indices {
                    let label = labels.get(index * each..(index + 1) * each).ok_or_else(|| {
                        Error::shape("targets", format_args!("indices below {samples}"), &[index])
                    })?;
                    chosen.extend_from_slice(label);
                }
                Ok(Targets::Labels(chosen))
            }
        }
    }

    /// The values, checked to stand for predictions of shape `shape`: of that shape, give or take a last axis of 1.
    pub(super) fn values_like(&self, operation: &'static str, shape: &[usize]) -> Result<&Tensor<T>> {
        match self {
            Targets::Values(values) if same_but_for_ones(values.shape(), shape) => Ok(values),
            Targets::Values(values) => Err(Error::shape(
                operation,
                format_args!("targets of the predictions' shape {shape:?}"),
                values.shape(),
            )),
            Targets::Labels(labels) => {
                let expected = format!("a tensor of targets, of the predictions' shape {shape:?}");
                Err(Error::argument(operation, expected, format_args!("{} labels", labels.len())))
            }
        }
    }
}

/// Whether two shapes agree, or differ by one last axis of 1, as Keras allows: `[batch]` against `[batch, 1]`.
fn same_but_for_ones(a: &[usize], b: &[usize]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short == long || (long.split_last() == Some((&1, short)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_several_positions_stay_together() {
        let targets: Targets = [0, 1, 2, 3, 4, 5].into();
        assert_eq!(targets.rows(3, 1..3).unwrap(), [2, 3, 4, 5].into());
        assert_eq!(targets.gather(3, &[2, 0]).unwrap(), [4, 5, 0, 1].into());
        assert_eq!(targets.rows(6, 0..1).unwrap(), [0].into());
    }

    #[test]
    fn values_are_taken_by_their_first_axis() {
        let targets: Targets = Tensor::from(ndarray::array![[1.0, 2.0], [3.0, 4.0]]).into();
        assert_eq!(targets.rows(2, 1..2).unwrap(), Tensor::from(ndarray::array![[3.0, 4.0]]).into());
        assert_eq!(targets.gather(2, &[1]).unwrap(), Tensor::from(ndarray::array![[3.0, 4.0]]).into());
    }

    #[test]
    fn wrong_counts_are_errors() {
        let labels: Targets = [0, 1, 2].into();
        let values: Targets = Tensor::zeros(&[3, 1]).unwrap().into();
        let none: Targets = Vec::new().into();
        for (targets, samples) in
            [(&labels, 2), (&labels, 4), (&labels, 0), (&values, 2), (&none, 1), (&none, 0)]
        {
            assert_eq!(targets.check("fit", samples).unwrap_err().kind(), ErrorKind::Shape);
        }
        assert!(labels.rows(3, 2..4).is_err() && labels.gather(3, &[3]).is_err());
    }

    #[test]
    fn one_last_axis_of_one_may_be_missing() {
        let column: Targets = Tensor::zeros(&[3, 1]).unwrap().into();
        assert!(column.values_like("loss", &[3]).is_ok() && column.values_like("loss", &[3, 1]).is_ok());
        assert!(
            column.values_like("loss", &[1, 3]).is_err()
                && column.values_like("loss", &[3, 1, 1, 1]).is_err()
        );
        assert_eq!(
            Targets::<f32>::from([1]).values_like("loss", &[1]).unwrap_err().kind(),
            ErrorKind::Argument
        );
    }
}
