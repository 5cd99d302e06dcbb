//! Metrics: what people want to know of a model besides its loss.

use std::cmp::Ordering;
use std::fmt::Debug;

use super::Targets;
use super::loss::{binary_targets, rows_and_classes};
use crate::{Element, Error, ErrorKind, Result, Tensor};

/// A number about predictions and targets that is gathered batch by batch.
///
/// ```
/// use striate::{Result, Tensor, train::{Metric, Targets}};
///
/// /// The largest prediction.
/// #[derive(Debug, Default)]
/// struct Largest(f32);
///
/// impl Metric for Largest {
///     fn name(&self) -> &str {
///         "largest"
///     }
///     fn reset(&mut self) {
///         self.0 = f32::NEG_INFINITY;
///     }
///     fn update(&mut self, predictions: &Tensor, _: &Targets) -> Result<()> {
///         self.0 = predictions.as_slice().iter().copied().fold(self.0, f32::max);
///         Ok(())
///     }
///     fn value(&self) -> f64 {
///         self.0.into()
///     }
/// }
///
/// let mut metric = Largest::default();
/// metric.update(&Tensor::from(ndarray::array![0.5, 2.0]), &[0, 1].into())?;
/// assert_eq!(metric.value(), 2.0);
/// # Ok::<(), striate::Error>(())
/// ```
pub trait Metric<T: Element = f32>: Debug + Send {
    /// The name under which histories list it, such as `"accuracy"`.
    fn name(&self) -> &str;

    /// Forgets all batches.
    fn reset(&mut self);

    /// Takes a batch into account.
    ///
    /// # Errors
    /// If the targets do not fit the predictions.
    fn update(&mut self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<()>;

    /// The number, for all batches since the last [`reset`](Self::reset).
    fn value(&self) -> f64;
}

/// How many of how many.
#[derive(Clone, Debug, Default, PartialEq)]
struct Share {
    hits: u64,
    total: u64,
}

impl Share {
    fn count(&mut self, hit: bool) {
        self.total += 1;
        self.hits += u64::from(hit);
    }

    /// 0 of nothing is 0, as in Keras.
    fn value(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.hits as f64 / self.total as f64 }
    }
}

/// The share of rows whose right class scores highest: Keras' `CategoricalAccuracy` and `SparseCategoricalAccuracy`.
///
/// Predictions have the shape `[batch, ..., classes]`; targets are labels or, in a tensor of the same shape, one-hot or
/// probabilities (the largest counts). Among equal scores the first class wins; a row with a right class that is not a
/// number, or beside one, is wrong.
///
/// ```
/// use striate::{Tensor, train::{Accuracy, Metric}};
/// let mut accuracy = Accuracy::new();
/// accuracy.update(&Tensor::from(ndarray::array![[0.1, 0.9], [0.8, 0.2]]), &[1, 1].into())?;
/// assert_eq!(accuracy.value(), 0.5);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracy(TopK);

impl Default for Accuracy {
    fn default() -> Self {
        Self::new()
    }
}

impl Accuracy {
    /// The accuracy, under the name `"accuracy"`.
    ///
    /// ```
    /// use striate::train::{Accuracy, Metric};
    /// assert_eq!(Metric::<f32>::name(&Accuracy::new()), "accuracy");
    /// ```
    pub fn new() -> Self {
        Accuracy(TopK { name: "accuracy".to_string(), ..TopK::new(1) })
    }

    /// The label of rows to leave out.
    ///
    /// ```
    /// use striate::{Tensor, train::{Accuracy, Metric}};
    /// let mut accuracy = Accuracy::new().ignore_index(255);
    /// accuracy.update(&Tensor::from(ndarray::array![[0.1, 0.9], [0.8, 0.2]]), &[1, 255].into())?;
    /// assert_eq!(accuracy.value(), 1.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn ignore_index(mut self, label: usize) -> Self {
        self.0.ignored = Some(label);
        self
    }

    /// The share among all batches since the last reset; 0 if there are none.
    ///
    /// ```
    /// use striate::{Tensor, train::{Accuracy, Metric}};
    /// let mut accuracy = Accuracy::new();
    /// assert_eq!(accuracy.value(), 0.0);
    /// for labels in [[1, 0], [0, 0]] {
    ///     accuracy.update(&Tensor::from(ndarray::array![[0.1, 0.9], [0.8, 0.2]]), &labels.into())?;
    /// }
    /// assert_eq!(accuracy.value(), 3.0 / 4.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value(&self) -> f64 {
        self.0.share.value()
    }
}

impl<T: Element> Metric<T> for Accuracy {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn reset(&mut self) {
        self.0.share = Share::default();
    }

    fn update(&mut self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<()> {
        self.0.update(predictions, targets)
    }

    fn value(&self) -> f64 {
        self.0.share.value()
    }
}

/// The share of rows whose right class is among the `k` that score highest: Keras' `TopKCategoricalAccuracy`, with
/// predictions and targets as for [`Accuracy`].
///
/// ```
/// use striate::{Tensor, train::{Metric, TopK}};
/// let mut top2 = TopK::new(2);
/// top2.update(&Tensor::from(ndarray::array![[0.1, 0.3, 0.6], [0.1, 0.3, 0.6]]), &[1, 0].into())?;
/// assert_eq!(top2.value(), 0.5);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    k: usize,
    name: String,
    ignored: Option<usize>,
    share: Share,
}

impl TopK {
    /// The accuracy among the first `k`, at least 1, under the name `"top_k_accuracy"` with the number for `k`.
    ///
    /// ```
    /// use striate::train::{Metric, TopK};
    /// assert_eq!(Metric::<f32>::name(&TopK::new(5)), "top_5_accuracy");
    /// ```
    pub fn new(k: usize) -> Self {
        TopK { k, name: format!("top_{k}_accuracy"), ignored: None, share: Share::default() }
    }

    /// The label of rows to leave out.
    ///
    /// ```
    /// use striate::{Tensor, train::{Metric, TopK}};
    /// let mut top2 = TopK::new(2).ignore_index(0);
    /// top2.update(&Tensor::from(ndarray::array![[0.1, 0.3, 0.6]]), &[0].into())?;
    /// top2.update(&Tensor::from(ndarray::array![[0.1, 0.3, 0.6]]), &[1].into())?;
    /// assert_eq!(top2.value(), 1.0);    // without the first row
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn ignore_index(mut self, label: usize) -> Self {
        self.ignored = Some(label);
        self
    }

    /// The share among all batches since the last reset; 0 if there are none.
    ///
    /// ```
    /// use striate::{Tensor, train::{Metric, TopK}};
    /// let mut top2 = TopK::new(2);
    /// for label in [0, 1, 2] {
    ///     top2.update(&Tensor::from(ndarray::array![[0.1, 0.3, 0.6]]), &[label].into())?;
    /// }
    /// assert_eq!(top2.value(), 2.0 / 3.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value(&self) -> f64 {
        self.share.value()
    }
}

impl<T: Element> Metric<T> for TopK {
    fn name(&self) -> &str {
        &self.name
    }

    fn reset(&mut self) {
        self.share = Share::default();
    }

    fn update(&mut self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<()> {
        if self.k == 0 {
            return Err(Error::argument("TopK", "a k of 1 or more", self.k));
        }
        let (rows, classes) = rows_and_classes("Accuracy", predictions)?;
        if classes == 1 {
            let expected = "scores of 2 classes or more (BinaryAccuracy is for one output)";
            return Err(Error::shape("Accuracy", expected, predictions.shape()));
        }
        let rows = crate::memory::len_of("Accuracy", rows)?;
        let fits = match targets {
            Targets::Labels(labels) => labels.len() == rows,
            Targets::Values(values) => values.shape() == predictions.shape(),
        };
        if !fits {
            let shape = predictions.shape();
            let expected = format!("{rows} labels (Vec<usize>), or a tensor of shape {shape:?}");
            return Err(Error::new(ErrorKind::Shape, "Accuracy", expected, targets.describe()));
        }
        for (row, scores) in predictions.as_slice().chunks(classes).enumerate() {
            let label = match targets {
                Targets::Labels(labels) => labels[row],
                Targets::Values(values) => largest(&values.as_slice()[row * classes..][..classes]),
            };
            if Some(label) == self.ignored {
                continue;
            }
            if label >= classes {
                let expected = format!("labels below {classes}, the number of classes");
                return Err(Error::value("Accuracy", expected, label));
            }
            self.share.count(rank(scores, label) < self.k);
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        self.share.value()
    }
}

/// The first of the largest.
fn largest<T: Element>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

/// How many classes come before `label`; all of them and itself if its score is not a number.
fn rank<T: Element>(scores: &[T], label: usize) -> usize {
    let score = scores[label];
    let before = |(c, other): &(usize, &T)| match other.partial_cmp(&&score) {
        Some(Ordering::Less) => false,
        Some(Ordering::Equal) => *c < label,
        Some(Ordering::Greater) | None => true,
    };
    scores.iter().enumerate().filter(before).count()
}

/// The share of yes-or-no predictions on the right side of a threshold: Keras' `BinaryAccuracy`.
///
/// Targets are labels 0 and 1, or a tensor of the predictions' shape in which values above one half stand for yes.
///
/// ```
/// use striate::{Tensor, train::{BinaryAccuracy, Metric}};
/// let mut accuracy = BinaryAccuracy::new().threshold(0.0);    // the predictions are logits
/// accuracy.update(&Tensor::from(ndarray::array![[2.0], [-1.0]]), &[1, 1].into())?;
/// assert_eq!(accuracy.value(), 0.5);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryAccuracy {
    threshold: f64,
    share: Share,
}

impl Default for BinaryAccuracy {
    fn default() -> Self {
        BinaryAccuracy { threshold: 0.5, share: Share::default() }
    }
}

impl BinaryAccuracy {
    /// The accuracy of probabilities, under the name `"binary_accuracy"`.
    ///
    /// ```
    /// use striate::{Tensor, train::{BinaryAccuracy, Metric}};
    /// let mut accuracy = BinaryAccuracy::new();
    /// accuracy.update(&Tensor::from(ndarray::array![0.4, 0.6]), &[0, 1].into())?;
    /// assert_eq!((Metric::<f32>::name(&accuracy), accuracy.value()), ("binary_accuracy", 1.0));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Above which a prediction means yes: one half for probabilities, 0 for logits.
    ///
    /// ```
    /// use striate::{Tensor, train::{BinaryAccuracy, Metric}};
    /// let mut accuracy = BinaryAccuracy::new().threshold(0.8);
    /// accuracy.update(&Tensor::from(ndarray::array![0.7, 0.9]), &[0, 1].into())?;
    /// assert_eq!(accuracy.value(), 1.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// The share among all batches since the last reset; 0 if there are none.
    ///
    /// ```
    /// use striate::{Tensor, train::{BinaryAccuracy, Metric}};
    /// let mut accuracy = BinaryAccuracy::new();
    /// assert_eq!(accuracy.value(), 0.0);
    /// accuracy.update(&Tensor::from(ndarray::array![0.9, 0.9, 0.9, 0.1]), &[1, 1, 1, 1].into())?;
    /// assert_eq!(accuracy.value(), 0.75);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn value(&self) -> f64 {
        self.share.value()
    }
}

impl<T: Element> Metric<T> for BinaryAccuracy {
    fn name(&self) -> &str {
        "binary_accuracy"
    }

    fn reset(&mut self) {
        self.share = Share::default();
    }

    fn update(&mut self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<()> {
        if self.threshold.is_nan() {
            return Err(Error::argument("BinaryAccuracy", "a threshold", self.threshold));
        }
        let target = binary_targets("BinaryAccuracy", predictions, targets)?;
        for (i, x) in predictions.as_slice().iter().enumerate() {
            let yes = target(i) > T::of(0.5);
            self.share.count(!x.is_nan() && (*x > T::of(self.threshold)) == yes);
        }
        Ok(())
    }

    fn value(&self) -> f64 {
        self.share.value()
    }
}

/// The mean of something over batches of different weight: the running loss.
#[derive(Clone, Debug, Default)]
pub(super) struct WeightedMean {
    sum: f64,
    weight: f64,
}

impl WeightedMean {
    pub(super) fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.weight += weight;
    }

    pub(super) fn weight(&self) -> f64 {
        self.weight
    }

    pub(super) fn value(&self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { self.sum / self.weight }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn value(
        mut metric: impl Metric<f64>,
        predictions: &Tensor<f64>,
        targets: impl Into<Targets<f64>>,
    ) -> f64 {
        metric.update(predictions, &targets.into()).unwrap();
        metric.value()
    }

    #[test]
    fn accuracy_gathers_batches() {
        let mut accuracy = Accuracy::new();
        let batch = |labels: [usize; 2]| Targets::from(labels);
        let scores = Tensor::from(array![[0.0, 1.0], [1.0, 0.0]]);
        accuracy.update(&scores, &batch([1, 0])).unwrap();
        accuracy.update(&scores, &batch([0, 0])).unwrap();
        assert_eq!(accuracy.value(), 0.75);
        Metric::<f64>::reset(&mut accuracy);
        assert_eq!(accuracy.value(), 0.0);
        assert_eq!(Metric::<f64>::name(&accuracy), "accuracy");
    }

    #[test]
    fn one_hot_targets_and_positions_count_too() {
        let scores = Tensor::from(array![[[0.0, 1.0, 0.5], [2.0, 1.0, 0.0]]]);
        assert_eq!(value(Accuracy::new(), &scores, [1, 1]), 0.5);
        let one_hot = Tensor::from(array![[[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]]);
        assert_eq!(value(Accuracy::new(), &scores, one_hot), 0.5);
        assert_eq!(value(Accuracy::new().ignore_index(9), &scores, [1, 9]), 1.0);
        assert_eq!(value(TopK::new(2), &scores, [2, 2]), 0.5);
        assert_eq!(value(TopK::new(3), &scores, [2, 2]), 1.0);
    }

    #[test]
    fn equal_scores_and_not_a_number() {
        let same = Tensor::from(array![[1.0, 1.0, 1.0]]);
        assert_eq!([0, 1, 2].map(|label| value(Accuracy::new(), &same, [label])), [1.0, 0.0, 0.0]);
        assert_eq!([0, 1, 2].map(|label| value(TopK::new(2), &same, [label])), [1.0, 1.0, 0.0]);
        let broken = Tensor::from(array![[f64::NAN, 1.0]]);
        assert_eq!([0, 1].map(|label| value(Accuracy::new(), &broken, [label])), [0.0, 0.0]);
        let last = Tensor::from(array![[1.0, f64::NAN]]);
        assert_eq!([0, 1].map(|label| value(Accuracy::new(), &last, [label])), [0.0, 0.0]);
    }

    #[test]
    fn binary_accuracy_compares_with_a_threshold() {
        let p = Tensor::from(array![[0.5], [0.6], [0.1], [f64::NAN]]);
        assert_eq!(value(BinaryAccuracy::new(), &p, [0, 1, 1, 1]), 0.5);
        assert_eq!(value(BinaryAccuracy::new().threshold(0.05), &p, [1, 1, 1, 0]), 0.75);
        assert_eq!(value(BinaryAccuracy::new(), &p, Tensor::from(array![0.0, 0.9, 0.0, 0.0])), 0.75);
    }

    #[test]
    fn mistakes_are_errors() {
        fn kind(mut metric: impl Metric<f64>, targets: impl Into<Targets<f64>>) -> ErrorKind {
            let scores = Tensor::zeros(&[2, 3]).unwrap();
            metric.update(&scores, &targets.into()).unwrap_err().kind()
        }
        assert_eq!(kind(Accuracy::new(), [0, 3]), ErrorKind::Value);
        assert_eq!(kind(Accuracy::new(), [0]), ErrorKind::Shape);
        assert_eq!(kind(Accuracy::new(), Tensor::zeros(&[3, 2]).unwrap()), ErrorKind::Shape);
        assert_eq!(kind(TopK::new(0), [0, 1]), ErrorKind::Argument);
        assert_eq!(kind(BinaryAccuracy::new(), [0, 1]), ErrorKind::Shape);
        assert_eq!(kind(BinaryAccuracy::new(), [0, 1, 2, 0, 0, 0]), ErrorKind::Value);
        assert_eq!(kind(BinaryAccuracy::new().threshold(f64::NAN), [0; 6]), ErrorKind::Argument);
        assert!(Accuracy::new().update(&Tensor::<f64>::zeros(&[0, 3]).unwrap(), &Vec::new().into()).is_err());
    }
}
