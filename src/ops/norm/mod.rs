//! Normalisation: batch, layer, group and instance normalisation over one core.

mod local;
mod sets;

use ndarray::{ArrayD, ArrayViewD};

pub(crate) use local::{LocalResponse, check_local};
pub use local::{local_response_norm, local_response_norm_backward};
pub(crate) use sets::Sets;

use super::{check_shape, contiguous, to_array};
use crate::memory::{len_of, unwritten};
use crate::{Element, Error, ErrorKind, Result};

/// Which elements of `[batch, ..., channels]` share a mean and a variance.
///
/// | | one mean and variance for each | as |
/// |---|---|---|
/// | `Batch` | channel | batch normalisation (Ioffe and Szegedy, 2015) |
/// | `Instance` | sample and channel | instance normalisation (Ulyanov et al., 2016) |
/// | `Groups(g)` | sample and group of channels, of which there are `g` | group normalisation (Wu and He, 2018) |
/// | `Last(k)` | index along the axes before the last `k` | layer normalisation (Ba et al., 2016) |
///
/// ```
/// use ndarray::array;
/// use striate::ops::{self, Over};
/// let x = array![[1.0, 2.0], [3.0, 6.0]].into_dyn();
/// assert_eq!(ops::moments(x.view(), Over::Batch)?.mean(), [2.0, 4.0]);
/// assert_eq!(ops::moments(x.view(), Over::Last(1))?.mean(), [1.5, 4.5]);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// All positions of all samples.
    Batch,
    /// All positions of one sample.
    Instance,
    /// All positions of one sample, in this many groups of channels.
    Groups(usize),
    /// This many last axes.
    Last(usize),
}

impl Over {
    /// The sets of an array of this shape.
    pub(crate) fn sets(self, op: &'static str, shape: &[usize]) -> Result<Sets> {
        len_of(op, shape)?;
        let sets = match (self, shape) {
            (Over::Last(axes), _) if axes > 0 && axes <= shape.len() => {
                let (before, last) = shape.split_at(shape.len() - axes);
                let channels = last.iter().product();
                Sets { samples: before.iter().product(), rows: 1, channels, groups: 1 }
            }
            (Over::Last(_), _) => {
                return Err(Error::shape(op, format_args!("an input with the axes of {self:?}"), shape));
            }
            (Over::Batch, [positions @ .., channels]) => {
                let (rows, channels) = (positions.iter().product(), *channels);
                Sets { samples: 1, rows, channels, groups: channels }
            }
            (_, [batch, positions @ .., channels]) => {
                let groups = if let Over::Groups(groups) = self { groups } else { *channels };
                if groups == 0 || !channels.is_multiple_of(groups) {
                    let expected = format!("groups that divide {channels} channels");
                    return Err(Error::argument(op, expected, groups));
                }
                Sets { samples: *batch, rows: positions.iter().product(), channels: *channels, groups }
            }
            _ => return Err(Error::shape(op, "an input of [batch, ..., channels]", shape)),
        };
        match sets.channels {
            0 => Err(Error::shape(op, "an input with channels", shape)),
            _ => Ok(sets),
        }
    }
}

/// Means and variances, one of each for every set of elements that [`Over`] makes.
///
/// ```
/// use striate::ops::{self, Over};
/// let moments = ops::moments(ndarray::array![[1.0], [3.0]].into_dyn().view(), Over::Batch)?;
/// assert_eq!((moments.mean(), moments.variance()), (&[2.0][..], &[1.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Moments<T> {
    mean: Vec<T>,
    variance: Vec<T>,
}

impl<T: Element> Moments<T> {
    /// Those that were known before.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`](crate::ErrorKind::Shape) unless there are as many means as variances.
    ///
    /// ```
    /// assert!(striate::ops::Moments::new(vec![0.0, 1.0], vec![1.0]).is_err());
    /// ```
    pub fn new(mean: Vec<T>, variance: Vec<T>) -> Result<Self> {
        check_shape("moments", "variances", &[variance.len()], &[mean.len()])?;
        Ok(Moments { mean, variance })
    }

    /// The means.
    ///
    /// ```
    /// assert_eq!(striate::ops::Moments::new(vec![0.5], vec![2.0])?.mean(), [0.5]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn mean(&self) -> &[T] {
        &self.mean
    }

    /// The variances: means of squared deviations, divided by the number of elements.
    ///
    /// ```
    /// assert_eq!(striate::ops::Moments::new(vec![0.5], vec![2.0])?.variance(), [2.0]);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn variance(&self) -> &[T] {
        &self.variance
    }

    /// `1 / sqrt(variance + epsilon)`.
    fn scales(&self, epsilon: f64) -> Vec<T> {
        let scale = |&variance: &T| T::of(1.0 / (variance.to_double() + epsilon).sqrt());
        self.variance.iter().map(scale).collect()
    }
}

/// Mean and variance of every set of elements: of `m` elements, `mean = sum of x / m` and
/// `variance = sum of (x - mean)^2 / m`. Without elements both are NaN.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) or [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `over` does not
/// fit the array.
///
/// ```
/// use striate::ops::{self, Over};
/// let x = ndarray::array![[1.0, 3.0, -1.0, 1.0]].into_dyn();
/// let moments = ops::moments(x.view(), Over::Groups(2))?;
/// assert_eq!((moments.mean(), moments.variance()), (&[2.0, 0.0][..], &[1.0, 1.0][..]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn moments<T: Element>(x: ArrayViewD<'_, T>, over: Over) -> Result<Moments<T>> {
    let sets = over.sets("moments", x.shape())?;
    Ok(moments_of(&contiguous("moments", x)?, &sets))
}

pub(crate) fn moments_of<T: Element>(x: &[T], sets: &Sets) -> Moments<T> {
    let averages = |sums: sets::Sums| -> Vec<T> {
        sums.sets.iter().map(|sum| T::of(sum[0] / sets.members() as f64)).collect()
    };
    let mean = averages(sets.sums::<T, 0>([], None, |row, [], [sums, _]| {
        sums.iter_mut().zip(&x[row]).for_each(|(sum, &x)| *sum += x);
    }));
    let variance = averages(sets.sums([&mean], None, |row, [mean], [sums, _]| {
        for ((sum, &x), &mean) in sums.iter_mut().zip(&x[row]).zip(mean) {
            *sum += (x - mean) * (x - mean);
        }
    }));
    Moments { mean, variance }
}

/// Normalisation: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, with the moments of the element's set.
///
/// `gamma` and `beta` hold one number a channel, or for [`Over::Last`] one for every element of the last axes; without
/// them they are 1 and 0.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `epsilon` is negative or not finite;
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) if the arrays do not fit each other.
///
/// ```
/// use ndarray::array;
/// use striate::ops::{self, Over};
/// let x = array![[1.0, 3.0]].into_dyn();
/// let moments = ops::moments(x.view(), Over::Last(1))?;
/// let y = ops::normalize(x.view(), Over::Last(1), &moments, Some(&[1.0, 2.0]), None, 0.0)?;
/// assert_eq!(y, array![[-1.0, 2.0]].into_dyn());
/// # Ok::<(), striate::Error>(())
/// ```
pub fn normalize<T: Element>(
    x: ArrayViewD<'_, T>,
    over: Over,
    moments: &Moments<T>,
    gamma: Option<&[T]>,
    beta: Option<&[T]>,
    epsilon: f64,
) -> Result<ArrayD<T>> {
    const OP: &str = "normalize";
    let sets = checked(OP, over, x.shape(), moments, [gamma, beta], epsilon)?;
    let shape = x.shape().to_vec();
    let mut out = unwritten(OP, &shape)?;
    let x = contiguous(OP, x)?;
    let (gamma, beta) = (or_fill(gamma, &sets, T::one()), or_fill(beta, &sets, T::zero()));
    sets.write([&moments.mean, &moments.scales(epsilon)], &mut out, |row, [mean, scale], out| {
        let affine = gamma.iter().zip(beta.iter());
        let numbers = x[row].iter().zip(mean.iter().zip(scale)).zip(affine);
        for (y, ((&x, (&mean, &scale)), (&gamma, &beta))) in out.iter_mut().zip(numbers) {
            *y = (x - mean) * scale * gamma + beta;
        }
    });
    to_array(OP, shape, out)
}

/// The gradients of a loss with respect to the arguments of [`normalize`].
///
/// ```
/// use ndarray::array;
/// use striate::ops::{self, Over};
/// let x = array![[1.0], [3.0]].into_dyn();
/// let moments = ops::moments(x.view(), Over::Batch)?;
/// let grad = array![[1.0], [0.0]].into_dyn();
/// let grads = ops::normalize_backward(grad.view(), x.view(), Over::Batch, &moments, None, 0.0, true)?;
/// assert_eq!((grads.gamma, grads.beta), (vec![-1.0], vec![1.0]));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NormGradients<T> {
    /// That of the input.
    pub x: ArrayD<T>,
    /// That of the factors: `sum of grad * (x - mean) / sqrt(variance + epsilon)`.
    pub gamma: Vec<T>,
    /// That of the summands: `sum of grad`.
    pub beta: Vec<T>,
}

/// The gradients of a loss with respect to the arguments of [`normalize`], from `grad`, that with respect to its output.
/// With `g = grad * gamma`, the normalised `n = (x - mean) / sqrt(variance + epsilon)` and means over the element's set,
///
/// ```text
/// dx = (g - mean(g) - n * mean(g * n)) / sqrt(variance + epsilon)
/// ```
///
/// where the moments are `own`, those of `x` itself, and `dx = g / sqrt(variance + epsilon)` where they were known before.
///
/// # Errors
/// As [`normalize`].
///
/// ```
/// use ndarray::array;
/// use striate::ops::{self, Moments, Over};
/// let (x, grad) = (array![[5.0]].into_dyn(), array![[1.0]].into_dyn());
/// let moments = Moments::new(vec![1.0], vec![4.0])?;
/// let grads = ops::normalize_backward(grad.view(), x.view(), Over::Batch, &moments, Some(&[3.0]), 0.0, false)?;
/// assert_eq!((grads.x, grads.gamma), (array![[1.5]].into_dyn(), vec![2.0]));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn normalize_backward<T: Element>(
    grad: ArrayViewD<'_, T>,
    x: ArrayViewD<'_, T>,
    over: Over,
    moments: &Moments<T>,
    gamma: Option<&[T]>,
    epsilon: f64,
    own: bool,
) -> Result<NormGradients<T>> {
    const OP: &str = "normalize_backward";
    let sets = checked(OP, over, x.shape(), moments, [gamma, None], epsilon)?;
    check_shape(OP, "an output gradient", grad.shape(), x.shape())?;
    let shape = x.shape().to_vec();
    let (x, grad) = (contiguous(OP, x)?, contiguous(OP, grad)?);
    let (mean, scale) = (&moments.mean[..], &moments.scales(epsilon)[..]);
    let sums = sets.sums([mean, scale], gamma, |row, [mean, scale], [sums, sums_n]| {
        let numbers = x[row.clone()].iter().zip(&grad[row]).zip(mean.iter().zip(scale));
        for ((sum, sum_n), ((&x, &g), (&mean, &scale))) in sums.iter_mut().zip(sums_n).zip(numbers) {
            *sum += g;
            *sum_n += g * ((x - mean) * scale);
        }
    });
    let members = if own { sets.members() as f64 } else { f64::INFINITY };
    let [mean_g, mean_gn] =
        [0, 1].map(|i| sums.sets.iter().map(|sum| T::of(sum[i] / members)).collect::<Vec<T>>());
    let mut out = unwritten(OP, &shape)?;
    let gamma = or_fill(gamma, &sets, T::one());
    sets.write([mean, scale, &mean_g, &mean_gn], &mut out, |row, [mean, scale, mean_g, mean_gn], out| {
        let numbers = x[row.clone()].iter().zip(&grad[row]).zip(mean.iter().zip(scale));
        let means = mean_g.iter().zip(mean_gn).zip(gamma.iter());
        for ((dx, ((&x, &g), (&mean, &scale))), ((&mean_g, &mean_gn), &gamma)) in
            out.iter_mut().zip(numbers).zip(means)
        {
            *dx = scale * (g * gamma - mean_g - (x - mean) * scale * mean_gn);
        }
    });
    let [beta, gamma] = [0, 1].map(|i| sums.channels.iter().map(|sum| T::of(sum[i])).collect());
    Ok(NormGradients { x: to_array(OP, shape, out)?, gamma, beta })
}

/// The sets, if everything fits them.
fn checked<T: Element>(
    op: &'static str,
    over: Over,
    shape: &[usize],
    moments: &Moments<T>,
    affine: [Option<&[T]>; 2],
    epsilon: f64,
) -> Result<Sets> {
    let sets = over.sets(op, shape)?;
    check_epsilon(op, epsilon)?;
    check_shape(op, "moments", &[moments.mean.len()], &[sets.count()])?;
    let wrong = affine.into_iter().flatten().find(|numbers| numbers.len() != sets.channels);
    match wrong {
        Some(numbers) => {
            let expected = format!("gamma and beta of {} numbers, for the input {shape:?}", sets.channels);
            Err(Error::new(ErrorKind::Shape, op, expected, numbers.len()))
        }
        None => Ok(sets),
    }
}

/// Fails unless `epsilon` can be added to a variance.
pub(crate) fn check_epsilon(op: &'static str, epsilon: f64) -> Result<()> {
    match epsilon.is_finite() && epsilon >= 0.0 {
        true => Ok(()),
        false => Err(Error::argument(op, "a finite epsilon of 0 or more", epsilon)),
    }
}

/// The numbers, or as many of another.
fn or_fill<'a, T: Element>(numbers: Option<&'a [T]>, sets: &Sets, fill: T) -> std::borrow::Cow<'a, [T]> {
    numbers.map_or_else(|| vec![fill; sets.channels].into(), Into::into)
}
