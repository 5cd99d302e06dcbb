//! [`SoftmaxCrossEntropy`]: the loss of classifiers.

use num_traits::clamp;

use super::terms::{Term, Terms};
use super::{Loss, Reduction, loss_of_terms};
use crate::train::Targets;
use crate::{Element, Error, ErrorKind, Result, Tensor};

const NAME: &str = "SoftmaxCrossEntropy";

/// Keras' `epsilon()`: probabilities are kept this far from 0 and 1.
pub(super) const EPSILON: f64 = 1e-7;

/// What a classifier's outputs are.
///
/// ```
/// use striate::{Tensor, train::{Loss, Scores, SoftmaxCrossEntropy}};
/// let p = Tensor::from(ndarray::array![[0.25, 0.75]]);
/// let logarithms = p.map(f64::ln);    // whose softmax is p again
/// for (x, scores) in [
///     (&logarithms, Scores::Logits),
///     (&p, Scores::Probabilities),
///     (&logarithms, Scores::LogProbabilities),
/// ] {
///     let loss = SoftmaxCrossEntropy::new().scores(scores).forward(x, &[0].into())?;
///     approx::assert_relative_eq!(loss.as_slice()[0], 4_f64.ln());
/// }
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scores {
    /// Any numbers; the loss applies the softmax. The most accurate.
    #[default]
    Logits,
    /// Probabilities, the output of a softmax. As in Keras they are divided by their sum, then clipped to
    /// `1e-7 ..= 1 - 1e-7`.
    Probabilities,
    /// Logarithms of probabilities, the output of a log-softmax; the loss is then PyTorch's `NLLLoss`.
    LogProbabilities,
}

/// The cross-entropy between the distribution that a classifier predicts and the one it should: Keras'
/// `CategoricalCrossentropy` and `SparseCategoricalCrossentropy`, PyTorch's `CrossEntropyLoss`.
///
/// Predictions have the shape `[batch, ..., classes]`. For every row `x` of classes, with `p = softmax(x)`,
///
/// ```text
/// loss = -sum over c of weight[c] * q[c] * ln p[c],    q[c] = (1 - label_smoothing) * y[c] + label_smoothing / classes
/// ```
///
/// where `y` is the target distribution: 1 at the label and 0 elsewhere, or a row of a tensor of the predictions' shape.
/// The logarithm is computed as `x[c] - max - ln sum exp(x - max)`, which neither overflows nor loses small
/// probabilities.
///
/// | option | default | |
/// |---|---|---|
/// | `from_logits` | `true` | `false`: the predictions are probabilities ([`Scores`] has a third form) |
/// | `label_smoothing` | 0 | in `0 ..= 1` (Szegedy et al. 2016, "Rethinking the Inception Architecture") |
/// | `class_weights` | all 1 | one for each class |
/// | `ignore_index` | none | rows with this label count for nothing |
/// | `reduction` | mean | with labels divided by the sum of their weights, else by the number of rows (PyTorch) |
///
/// If no row counts, the mean is 0.
///
/// ```
/// use striate::{Tensor, train::{Loss, SoftmaxCrossEntropy}};
/// let logits = Tensor::from(ndarray::array![[0.0, 0.0], [0.0, 1000.0]]);
/// let loss = SoftmaxCrossEntropy::new().forward(&logits, &[0, 1].into())?;
/// assert_eq!(loss.as_slice(), [0.5 * 2_f64.ln()]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SoftmaxCrossEntropy {
    scores: Scores,
    label_smoothing: f64,
    class_weights: Option<Vec<f64>>,
    ignore_index: Option<usize>,
    reduction: Reduction,
}

impl SoftmaxCrossEntropy {
    /// The mean cross-entropy from logits.
    ///
    /// ```
    /// use striate::train::{Reduction, SoftmaxCrossEntropy};
    /// let spelt_out = SoftmaxCrossEntropy::new().from_logits(true).label_smoothing(0.0).reduction(Reduction::Mean);
    /// assert_eq!(SoftmaxCrossEntropy::new(), spelt_out);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the predictions are logits (the default) or probabilities.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, SoftmaxCrossEntropy}};
    /// let probabilities = Tensor::from(ndarray::array![[0.25, 0.75]]);
    /// let loss = SoftmaxCrossEntropy::new().from_logits(false).forward(&probabilities, &[0].into())?;
    /// assert_eq!(loss.as_slice(), [4_f64.ln()]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn from_logits(self, from_logits: bool) -> Self {
        self.scores(if from_logits { Scores::Logits } else { Scores::Probabilities })
    }

    /// What the predictions are.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, Scores, SoftmaxCrossEntropy}};
    /// let loss = SoftmaxCrossEntropy::new().scores(Scores::LogProbabilities);
    /// let value = loss.forward(&Tensor::from(ndarray::array![[-0.5, -1.0]]), &[1].into())?;
    /// assert_eq!(value.as_slice(), [1.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn scores(mut self, scores: Scores) -> Self {
        self.scores = scores;
        self
    }

    /// The share of the target distribution that is spread evenly over all classes, in `0 ..= 1`.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, SoftmaxCrossEntropy}};
    /// let sure = Tensor::from(ndarray::array![[10.0, 0.0]]);
    /// let value = |share| SoftmaxCrossEntropy::new().label_smoothing(share).forward(&sure, &[0].into());
    /// assert!(value(0.1)?.as_slice()[0] > value(0.0)?.as_slice()[0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn label_smoothing(mut self, share: f64) -> Self {
        self.label_smoothing = share;
        self
    }

    /// How much each class counts, each at least 0.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, SoftmaxCrossEntropy}};
    /// let logits = Tensor::from(ndarray::array![[0.0, 0.0], [0.0, 0.0]]);
    /// let loss = SoftmaxCrossEntropy::new().class_weights(vec![3.0, 1.0]);
    /// assert_eq!(loss.weight(&logits, &[0, 1].into())?, 4.0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn class_weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.class_weights = Some(weights.into());
        self
    }

    /// The label of rows to leave out; it need not be a class. Only with labels as targets.
    ///
    /// ```
    /// use striate::{Tensor, train::{Loss, SoftmaxCrossEntropy}};
    /// let logits = Tensor::from(ndarray::array![[1.0, 1.0], [5.0, 7.0]]);
    /// let loss = SoftmaxCrossEntropy::new().ignore_index(255);
    /// assert_eq!(loss.forward(&logits, &[0, 255].into())?.as_slice(), [2_f64.ln()]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn ignore_index(mut self, label: usize) -> Self {
        self.ignore_index = Some(label);
        self
    }

    fn terms<'a, T: Element>(
        &self,
        predictions: &'a Tensor<T>,
        targets: &'a Targets<T>,
    ) -> Result<Terms<'a, T, impl Term<T> + use<'a, T>>> {
        let (shape, classes) = rows_and_classes(NAME, predictions)?;
        let weights = self.weights::<T>(classes)?;
        let weight = self.check(predictions, targets)?;
        let (smooth, ignored, scores) = (self.label_smoothing, self.ignore_index, self.scores);
        let (keep, spread) = (T::of(1.0 - smooth), T::of(smooth / classes as f64));
        let term = move |row: usize, x: &[T], grad: Option<(&mut [T], T)>| {
            let y = match targets {
                Targets::Labels(labels) => {
                    Row::Label(labels.get(row).copied().filter(|&label| Some(label) != ignored))
                }
                Targets::Values(values) => Row::Distribution(&values.as_slice()[row * classes..][..classes]),
            };
            if let Row::Label(None) = y {
                return T::zero(); // the derivatives are zero already
            }
            let share = |c: usize| weights[c] * (keep * y.at(c) + spread);
            match scores {
                Scores::Logits => from_logits(x, share, grad),
                Scores::Probabilities => from_probabilities(x, share, grad),
                Scores::LogProbabilities => from_log_probabilities(x, share, grad),
            }
        };
        Ok(Terms { name: NAME, predictions, width: classes, shape, weight, term })
    }

    /// One weight for each class.
    fn weights<T: Element>(&self, classes: usize) -> Result<Vec<T>> {
        match &self.class_weights {
            None => crate::memory::filled(NAME, &[classes], T::one()),
            Some(weights) if weights.len() != classes => {
                let expected = format!("{classes} class weights, one for each class");
                Err(Error::argument(NAME, expected, weights.len()))
            }
            Some(weights) => match weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
                Some(w) => Err(Error::argument(NAME, "finite class weights of 0 or more", w)),
                None => Ok(weights.iter().map(|&w| T::of(w)).collect()),
            },
        }
    }

    /// Checks everything but the class weights, and returns what a mean divides by.
    fn check<T: Element>(&self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<f64> {
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            return Err(Error::argument(NAME, "a label smoothing within 0 ..= 1", self.label_smoothing));
        }
        let (rows, classes) = rows_and_classes(NAME, predictions)?;
        let rows = crate::memory::len_of(NAME, rows)?;
        match targets {
            Targets::Values(_) if self.ignore_index.is_some() => {
                Err(Error::argument(NAME, "labels as targets, to ignore one", "a tensor"))
            }
            Targets::Values(values) if values.shape() == predictions.shape() => Ok(rows as f64),
            Targets::Values(_) => {
                let shape = predictions.shape();
                let expected =
                    format!("labels (Vec<usize>), or a tensor of the predictions' shape {shape:?}");
                Err(Error::new(ErrorKind::Shape, NAME, expected, targets.describe()))
            }
            Targets::Labels(labels) if labels.len() != rows => {
                let maps = predictions.ndim() > 2;
                let hint = if maps { " (Flatten or a global pooling leaves one a sample)" } else { "" };
                let expected = format!("{rows} labels for the predictions {:?}{hint}", predictions.shape());
                Err(Error::new(ErrorKind::Shape, NAME, expected, targets.describe()))
            }
            Targets::Labels(labels) => {
                let mut weight = 0.0;
                for &label in labels.iter().filter(|label| Some(**label) != self.ignore_index) {
                    if label >= classes {
                        return Err(Error::value(
                            NAME,
                            format_args!("labels from 0 to below {classes}, the number of classes"),
                            label,
                        ));
                    }
                    weight += self
                        .class_weights
                        .as_ref()
                        .and_then(|weights| weights.get(label))
                        .map_or(1.0, |&w| w);
                }
                Ok(weight)
            }
        }
    }
}

loss_of_terms!(
    SoftmaxCrossEntropy,
    SoftmaxCrossEntropy::new(),
    fn weight(&self, predictions: &Tensor<T>, targets: &Targets<T>) -> Result<f64> {
        match self.reduction {
            Reduction::Mean => self.check(predictions, targets),
            _ => Ok(predictions.shape().first().map_or(1.0, |&samples| samples as f64)),
        }
    }
);

/// The target distribution of one row.
enum Row<'a, T> {
    /// All on one class; `None` where the row is to be left out.
    Label(Option<usize>),
    Distribution(&'a [T]),
}

impl<T: Element> Row<'_, T> {
    fn at(&self, class: usize) -> T {
        match self {
            Row::Label(label) if *label == Some(class) => T::one(),
            Row::Label(_) => T::zero(),
            Row::Distribution(y) => y[class],
        }
    }
}

/// The shape of the rows and the number of classes of predictions `[batch, ..., classes]`.
pub(in crate::train) fn rows_and_classes<'a, T: Element>(
    operation: &'static str,
    predictions: &'a Tensor<T>,
) -> Result<(&'a [usize], usize)> {
    match predictions.shape() {
        shape @ [rows @ .., classes] if !rows.is_empty() && !shape.contains(&0) => Ok((rows, *classes)),
        shape => {
            Err(Error::shape(operation, "predictions of shape [batch, ..., classes], none of them 0", shape))
        }
    }
}

/// `sum of share(c) * cost(c)`, where classes without a share add nothing whatever they cost.
fn expectation<T: Element>(classes: usize, share: impl Fn(usize) -> T, cost: impl Fn(usize) -> T) -> T {
    let mut sum = T::zero();
    for c in 0..classes {
        let share = share(c);
        if share != T::zero() {
            sum += share * cost(c);
        }
    }
    sum
}

fn from_logits<T: Element>(x: &[T], share: impl Fn(usize) -> T, grad: Option<(&mut [T], T)>) -> T {
    let max = x.iter().copied().fold(T::neg_infinity(), T::max);
    let log_sum = x.iter().map(|&v| (v - max).exp()).sum::<T>().ln();
    if let Some((grad, scale)) = grad {
        let total = expectation(x.len(), &share, |_| T::one());
        for (c, (grad, &v)) in grad.iter_mut().zip(x).enumerate() {
            *grad = scale * (total * (v - max - log_sum).exp() - share(c));
        }
    }
    expectation(x.len(), share, |c| max - x[c] + log_sum)
}

fn from_probabilities<T: Element>(x: &[T], share: impl Fn(usize) -> T, grad: Option<(&mut [T], T)>) -> T {
    let (low, high) = (T::of(EPSILON), T::of(1.0 - EPSILON));
    let sum = x.iter().copied().sum::<T>();
    if let Some((grad, scale)) = grad {
        // With p = x / sum and g = d loss / d p: d loss / d x[j] = (g[j] - sum over c of g[c] p[c]) / sum.
        let slope = |p: T, share: T| if p >= low && p <= high { -share / p } else { T::zero() };
        let mean: T = x.iter().enumerate().map(|(c, &v)| slope(v / sum, share(c)) * (v / sum)).sum();
        for (c, (grad, &v)) in grad.iter_mut().zip(x).enumerate() {
            *grad = scale * (slope(v / sum, share(c)) - mean) / sum;
        }
    }
    expectation(x.len(), share, |c| -clamp(x[c] / sum, low, high).ln())
}

fn from_log_probabilities<T: Element>(x: &[T], share: impl Fn(usize) -> T, grad: Option<(&mut [T], T)>) -> T {
    if let Some((grad, scale)) = grad {
        for (c, grad) in grad.iter_mut().enumerate() {
            *grad = -scale * share(c);
        }
    }
    expectation(x.len(), share, |c| -x[c])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{REDUCTIONS, check_gradient, normal};
    use super::*;

    fn labels(values: &[usize]) -> Targets<f64> {
        values.into()
    }

    /// Rows that sum to one.
    fn distributions(shape: &[usize], seed: u64) -> Tensor<f64> {
        let mut x = normal(shape, seed).map(f64::exp);
        for row in x.as_mut_slice().chunks_mut(shape[shape.len() - 1]) {
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|v| *v /= sum);
        }
        x
    }

    #[test]
    fn gradients() {
        let plain = SoftmaxCrossEntropy::new();
        let weighted = plain.clone().class_weights([0.5, 2.0, 0.0, 1.5]).label_smoothing(0.2);
        for reduction in REDUCTIONS {
            for loss in [&plain, &weighted] {
                let loss = loss.clone().reduction(reduction);
                let distribution = distributions(&[3, 4], 2).into();
                for targets in [&labels(&[1, 0, 3]), &distribution] {
                    check_gradient(&loss, &normal(&[3, 4], 1), targets);
                    check_gradient(&loss.clone().from_logits(false), &distributions(&[3, 4], 3), targets);
                    check_gradient(
                        &loss.clone().scores(Scores::LogProbabilities),
                        &normal(&[3, 4], 4),
                        targets,
                    );
                }
                let ignoring = loss.clone().ignore_index(7);
                check_gradient(&ignoring, &normal(&[2, 2, 4], 5), &labels(&[1, 7, 2, 0]));
            }
        }
    }

    #[test]
    fn one_hot_targets_are_labels() {
        let x = normal(&[2, 3], 1);
        let one_hot = Tensor::from(ndarray::array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).into();
        for loss in [SoftmaxCrossEntropy::new(), SoftmaxCrossEntropy::new().label_smoothing(0.3)] {
            let by_label = loss.value_and_grad(&x, &labels(&[2, 0])).unwrap();
            assert_eq!(by_label, loss.value_and_grad(&x, &one_hot).unwrap());
        }
    }

    #[test]
    fn a_weighted_mean_divides_by_the_weights_of_the_labels() {
        let x = normal(&[3, 2], 1);
        let each =
            SoftmaxCrossEntropy::new().reduction(Reduction::None).forward(&x, &labels(&[0, 1, 1])).unwrap();
        let each = each.as_slice();
        let loss = SoftmaxCrossEntropy::new().class_weights([3.0, 0.5]).ignore_index(9);
        let mean = |targets: &[usize]| loss.forward(&x, &labels(targets)).unwrap().as_slice()[0];
        let expected = (3.0 * each[0] + 0.5 * each[1] + 0.5 * each[2]) / 4.0;
        approx::assert_relative_eq!(mean(&[0, 1, 1]), expected, max_relative = 1e-14);
        let expected = (3.0 * each[0] + 0.5 * each[2]) / 3.5;
        approx::assert_relative_eq!(mean(&[0, 9, 1]), expected, max_relative = 1e-14);
        assert_eq!(loss.weight(&x, &labels(&[0, 9, 1])).unwrap(), 3.5);
        assert_eq!(mean(&[9, 9, 9]), 0.0);
    }

    #[test]
    fn large_logits_neither_overflow_nor_vanish() {
        let x = Tensor::from(ndarray::array![[1e4_f32, -1e4, 0.0], [-3e38, -3e38, -3e38]]);
        let loss = SoftmaxCrossEntropy::new().reduction(Reduction::None);
        let (value, grad) = loss.value_and_grad(&x, &[1, 0].into()).unwrap();
        assert_eq!(value.as_slice()[0], 2e4);
        assert!((value.as_slice()[1] - 3_f32.ln()).abs() < 1e-6);
        assert_eq!(grad.as_slice()[..3], [1.0, -1.0, 0.0]);

        // A masked class (minus infinity) costs nothing unless it is the target.
        let masked = Tensor::from(ndarray::array![[0.0, f64::NEG_INFINITY, 0.0]]);
        assert_eq!(loss.forward(&masked, &labels(&[0])).unwrap().as_slice(), [2_f64.ln()]);
        assert_eq!(loss.forward(&masked, &labels(&[1])).unwrap().as_slice(), [f64::INFINITY]);
    }

    #[test]
    fn probabilities_are_renormalised_and_clipped() {
        let loss = SoftmaxCrossEntropy::new().from_logits(false);
        let (value, grad) =
            loss.value_and_grad(&Tensor::from(ndarray::array![[0.0, 4.0]]), &labels(&[0])).unwrap();
        assert_eq!((value.as_slice(), grad.as_slice()), (&[-(1e-7_f64.ln())][..], &[0.0, 0.0][..]));
        let value = loss.forward(&Tensor::from(ndarray::array![[1.0, 3.0]]), &labels(&[0])).unwrap();
        assert_eq!(value.as_slice(), [4_f64.ln()]);
    }

    #[test]
    fn many_rows_give_the_same_on_any_number_of_threads() {
        let x = normal(&[6000, 5], 1);
        let targets = labels(&(0..6000).map(|i| i % 5).collect::<Vec<_>>());
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| SoftmaxCrossEntropy::new().value_and_grad(&x, &targets).unwrap())
        };
        assert_eq!(run(1), run(2));
        let each = SoftmaxCrossEntropy::new().reduction(Reduction::None).forward(&x, &targets).unwrap();
        approx::assert_relative_eq!(
            run(1).0.as_slice()[0],
            each.view().mean().unwrap(),
            max_relative = 1e-12
        );
    }

    #[test]
    fn mistakes_are_errors() {
        let loss = SoftmaxCrossEntropy::new;
        let x = normal(&[2, 3], 1);
        let kind = |loss: SoftmaxCrossEntropy, x: &Tensor<f64>, targets: Targets<f64>| {
            loss.forward(x, &targets).unwrap_err().kind()
        };
        assert_eq!(kind(loss(), &x, labels(&[0, 3])), ErrorKind::Value);
        assert_eq!(kind(loss(), &x, labels(&[0])), ErrorKind::Shape);
        assert_eq!(kind(loss(), &x, normal(&[3, 2], 1).into()), ErrorKind::Shape);
        for empty in [&[0, 3][..], &[2, 0], &[3]] {
            assert_eq!(kind(loss(), &Tensor::zeros(empty).unwrap(), labels(&[])), ErrorKind::Shape);
        }
        let valid = || labels(&[0, 2]);
        assert_eq!(kind(loss().label_smoothing(1.5), &x, valid()), ErrorKind::Argument);
        assert_eq!(kind(loss().label_smoothing(f64::NAN), &x, valid()), ErrorKind::Argument);
        assert_eq!(kind(loss().class_weights([1.0, 1.0]), &x, valid()), ErrorKind::Argument);
        assert_eq!(kind(loss().class_weights([1.0, -1.0, 1.0]), &x, valid()), ErrorKind::Argument);
        assert_eq!(kind(loss().ignore_index(0), &x, x.clone().into()), ErrorKind::Argument);
        let grad = Tensor::zeros(&[2]).unwrap();
        assert_eq!(loss().backward(&x, &valid(), &grad).unwrap_err().kind(), ErrorKind::Shape);
    }
}
