//! The usual random changes to pictures, for [`Trainer::augment`](super::Trainer::augment).
//!
//! A network that has seen each picture in other places and mirrored takes longer to learn them by heart. Pictures are
//! `[batch, height, width, channels]`; each of a batch is changed in its own way.
//!
//! ```
//! use striate::train::{Sgd, SoftmaxCrossEntropy, Trainer, augment};
//! let trainer: Trainer<'_> = Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(0.1))
//!     .augment(augment::random_horizontal_flip())
//!     .augment(augment::random_crop([32, 32], 4))
//!     .augment(|batch, _rng| augment::normalize(batch, &[0.49, 0.48, 0.45], &[0.25, 0.24, 0.26]));
//! # let _ = trainer;
//! ```

use rayon::prelude::*;

use crate::memory::unwritten;
use crate::{Element, Error, Result, Rng, Tensor};

/// Mirrors every other picture, at random, left to right.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) from the change, unless there are four axes.
///
/// ```
/// use striate::{Rng, Tensor, train::augment};
/// let picture = Tensor::from_vec(&[1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let (mut flip, mut rng) = (augment::random_horizontal_flip(), Rng::seed(1));
/// for _ in 0..9 {
///     let mut changed = picture.clone();
///     flip(&mut changed, &mut rng)?;
///     assert!(changed == picture || changed.as_slice() == [3.0, 4.0, 1.0, 2.0]);
/// }
/// # Ok::<(), striate::Error>(())
/// ```
pub fn random_horizontal_flip<T: Element>()
-> impl FnMut(&mut Tensor<T>, &mut Rng) -> Result<()> + Clone + Send {
    |batch, rng| {
        let [_, height, width, channels] = shape("random_horizontal_flip", batch)?;
        flip(batch, rng, height * width * channels, width * channels, channels);
        Ok(())
    }
}

/// Mirrors every other picture, at random, upside down.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) from the change, unless there are four axes.
///
/// ```
/// use striate::{Rng, Tensor, train::augment};
/// let picture = Tensor::from_vec(&[1, 2, 1, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// let (mut flip, mut rng) = (augment::random_vertical_flip(), Rng::seed(1));
/// for _ in 0..9 {
///     let mut changed = picture.clone();
///     flip(&mut changed, &mut rng)?;
///     assert!(changed == picture || changed.as_slice() == [3.0, 4.0, 1.0, 2.0]);
/// }
/// # Ok::<(), striate::Error>(())
/// ```
pub fn random_vertical_flip<T: Element>() -> impl FnMut(&mut Tensor<T>, &mut Rng) -> Result<()> + Clone + Send
{
    |batch, rng| {
        let [_, height, width, channels] = shape("random_vertical_flip", batch)?;
        let picture = height * width * channels;
        flip(batch, rng, picture, picture, width * channels);
        Ok(())
    }
}

/// Cuts a part of this height and width from each picture, at a random place, after `padding` rows and columns of zeros
/// have been added on every side; PyTorch's `RandomCrop`.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) from the change, unless there are four axes and the part fits into the
/// padded picture.
///
/// ```
/// use striate::{Rng, Tensor, train::augment};
/// let mut picture = Tensor::from_vec(&[1, 1, 4, 1], vec![1.0, 2.0, 3.0, 4.0])?;
/// augment::random_crop([1, 3], 0)(&mut picture, &mut Rng::seed(1))?;
/// assert!([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]].contains(&picture.as_slice().try_into().unwrap()));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn random_crop<T: Element>(
    size: [usize; 2],
    padding: usize,
) -> impl FnMut(&mut Tensor<T>, &mut Rng) -> Result<()> + Clone + Send {
    move |batch, rng| crop("random_crop", batch, rng, size, [padding; 2])
}

/// Moves each picture by at most so many rows up or down, and columns left or right. Zeros come in from the edges.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) from the change, unless there are four axes.
///
/// ```
/// use striate::{Rng, Tensor, train::augment};
/// let mut picture = Tensor::from_vec(&[1, 1, 3, 1], vec![1.0, 2.0, 3.0])?;
/// augment::random_translation(0, 1)(&mut picture, &mut Rng::seed(1))?;
/// let moved = [[2.0, 3.0, 0.0], [1.0, 2.0, 3.0], [0.0, 1.0, 2.0]];
/// assert!(moved.contains(&picture.as_slice().try_into().unwrap()));
/// # Ok::<(), striate::Error>(())
/// ```
pub fn random_translation<T: Element>(
    rows: usize,
    columns: usize,
) -> impl FnMut(&mut Tensor<T>, &mut Rng) -> Result<()> + Clone + Send {
    move |batch, rng| {
        const NAME: &str = "random_translation";
        let [_, height, width, _] = shape(NAME, batch)?;
        crop(NAME, batch, rng, [height, width], [rows, columns])
    }
}

/// `(x - mean) / std`, with one mean and one standard deviation for each channel, the last axis. What a network was
/// trained with, it needs for validation and use as well.
///
/// # Errors
/// [`ErrorKind::Shape`](crate::ErrorKind::Shape) unless there are as many of each as channels;
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a mean is not finite, or a deviation not finite and above 0.
///
/// ```
/// use striate::{Tensor, train::augment::normalize};
/// let mut picture = Tensor::from_vec(&[1, 1, 2, 2], vec![1.0, 2.0, 3.0, 4.0])?;
/// normalize(&mut picture, &[1.0, 0.0], &[2.0, 0.5])?;
/// assert_eq!(picture.as_slice(), [0.0, 4.0, 1.0, 8.0]);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn normalize<T: Element>(batch: &mut Tensor<T>, mean: &[f64], std: &[f64]) -> Result<()> {
    const NAME: &str = "normalize";
    let channels = batch.shape().last().copied().unwrap_or(0);
    if mean.len() != channels || std.len() != channels {
        let expected = format!("{} channels, as there are means, and {} deviations", mean.len(), std.len());
        return Err(Error::shape(NAME, expected, batch.shape()));
    }
    if let Some(mean) = mean.iter().find(|mean| !mean.is_finite()) {
        return Err(Error::argument(NAME, "finite means", mean));
    }
    if let Some(std) = std.iter().find(|std| !(std.is_finite() && **std > 0.0)) {
        return Err(Error::argument(NAME, "finite standard deviations above 0", std));
    }
    let steps: Vec<(T, T)> = mean.iter().zip(std).map(|(&mean, &std)| (T::of(mean), T::of(std))).collect();
    for pixel in batch.as_mut_slice().chunks_exact_mut(channels.max(1)) {
        pixel.iter_mut().zip(&steps).for_each(|(x, &(mean, std))| *x = (*x - mean) / std);
    }
    Ok(())
}

/// The lengths of the four axes.
fn shape<T: Element>(name: &'static str, batch: &Tensor<T>) -> Result<[usize; 4]> {
    let axes = batch.shape().try_into();
    axes.map_err(|_| Error::shape(name, "[batch, height, width, channels]", batch.shape()))
}

/// Reverses, in every other one of the parts of `picture` elements, the order of the pieces of `piece` elements in each of
/// its parts of `line`.
fn flip<T: Element>(batch: &mut Tensor<T>, rng: &mut Rng, picture: usize, line: usize, piece: usize) {
    if picture == 0 {
        return;
    }
    for picture in batch.as_mut_slice().chunks_exact_mut(picture) {
        if rng.below(2) == 1 {
            picture.chunks_exact_mut(line).for_each(|line| reverse(line, piece));
        }
    }
}

/// Reverses the order of pieces of `len` elements.
fn reverse<T>(line: &mut [T], len: usize) {
    let half = line.len() / len / 2 * len;
    let (left, right) = line.split_at_mut(line.len() - half);
    let pieces = left.chunks_exact_mut(len).zip(right.chunks_exact_mut(len).rev());
    pieces.take(half / len).for_each(|(left, right)| left.swap_with_slice(right));
}

/// Replaces each picture by a part of it and of the zeros around it.
fn crop<T: Element>(
    name: &'static str,
    batch: &mut Tensor<T>,
    rng: &mut Rng,
    size: [usize; 2],
    padding: [usize; 2],
) -> Result<()> {
    let [samples, height, width, channels] = shape(name, batch)?;
    // How many places there are along an axis, less one.
    let slack = |axis: usize, len: usize| {
        let padded = padding[axis].checked_mul(2).and_then(|padding| padding.checked_add(len));
        padded.and_then(|padded| padded.checked_sub(size[axis])).filter(|slack| *slack < usize::MAX)
    };
    let (Some(down), Some(right)) = (slack(0, height), slack(1, width)) else {
        let expected = format!("pictures that hold {} x {} with padding {padding:?}", size[0], size[1]);
        return Err(Error::shape(name, expected, batch.shape()));
    };
    let places: Vec<_> = (0..samples).map(|_| (rng.below(down + 1), rng.below(right + 1))).collect();
    let shape = [samples, size[0], size[1], channels];
    let mut cropped = Tensor::from_buffer(&shape, unwritten(name, &shape)?)?;
    let (from, to) = (height * width * channels, size[0] * size[1] * channels);
    if to > 0 {
        let parts = cropped.as_mut_slice().par_chunks_exact_mut(to).zip(places);
        parts.enumerate().for_each(|(sample, (part, (top, left)))| {
            let picture = &batch.as_slice()[sample * from..][..from];
            for (row, line) in part.chunks_exact_mut(size[1] * channels).enumerate() {
                let source = (top + row).checked_sub(padding[0]).filter(|&source| source < height);
                let source =
                    source.map_or(&[][..], |row| &picture[row * width * channels..][..width * channels]);
                copy_from(source, channels, left, padding[1], line);
            }
        });
    }
    *batch = cropped;
    Ok(())
}

/// Fills a line with the pixels of another from place `left` on, before and behind which lie `padding` pixels of zeros.
fn copy_from<T: Element>(source: &[T], channels: usize, left: usize, padding: usize, line: &mut [T]) {
    let before = (padding.saturating_sub(left) * channels).min(line.len());
    let source = source.get(left.saturating_sub(padding) * channels..).unwrap_or_default();
    let (zeros, rest) = line.split_at_mut(before);
    let len = rest.len().min(source.len());
    zeros.fill(T::zero());
    rest[..len].copy_from_slice(&source[..len]);
    rest[len..].fill(T::zero());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    /// Pictures of 3x4 pixels and two channels, whose elements tell where they are: sample, row, column, channel.
    fn pictures() -> Tensor<f64> {
        let index = |i: usize| 1000 * (1 + i / 24) + 100 * (i / 8 % 3) + 10 * (i / 2 % 4) + i % 2;
        Tensor::from_vec(&[40, 3, 4, 2], (0..40 * 24).map(|i| index(i) as f64).collect()).unwrap()
    }

    fn changed(mut change: impl FnMut(&mut Tensor<f64>, &mut Rng) -> Result<()>) -> Tensor<f64> {
        let mut batch = pictures();
        change(&mut batch, &mut Rng::seed(3)).unwrap();
        batch
    }

    /// How many pictures equal `f` of where an element is, by row and column; `None` is zero.
    fn count(batch: &Tensor<f64>, f: impl Fn(isize, isize) -> Option<(isize, isize)>) -> usize {
        let view = batch.view4().unwrap();
        let (_, height, width, channels) = view.dim();
        (0..40)
            .filter(|&n| {
                (0..height * width * channels).all(|i| {
                    let (row, col, channel) = (i / channels / width, i / channels % width, i % channels);
                    let want = f(row as isize, col as isize)
                        .filter(|(row, col)| (0..3).contains(row) && (0..4).contains(col))
                        .map_or(0, |(row, col)| {
                            1000 * (1 + n as isize) + 100 * row + 10 * col + channel as isize
                        });
                    view[[n, row, col, channel]] == want as f64
                })
            })
            .count()
    }

    #[test]
    fn about_half_of_the_pictures_are_mirrored() {
        for (batch, mirror) in [
            (changed(random_horizontal_flip()), (|row, col| Some((row, 3 - col))) as fn(isize, isize) -> _),
            (changed(random_vertical_flip()), |row, col| Some((2 - row, col))),
        ] {
            let (same, mirrored) = (count(&batch, |row, col| Some((row, col))), count(&batch, mirror));
            assert_eq!(same + mirrored, 40);
            assert!((10..=30).contains(&mirrored), "{mirrored}");
        }
    }

    #[test]
    fn crops_are_at_every_place_and_zeros_around_them() {
        for (size, padding) in [([2, 3], 0), ([3, 4], 1), ([5, 8], 2), ([1, 1], 0), ([3, 6], 2)] {
            let batch = changed(random_crop(size, padding));
            assert_eq!(batch.shape(), [40, size[0], size[1], 2]);
            let (down, right) = (3 + 2 * padding - size[0], 4 + 2 * padding - size[1]);
            let padding = padding as isize;
            let places =
                (0..=down).flat_map(|top| (0..=right).map(move |left| (top as isize, left as isize)));
            let found: Vec<usize> = places
                .map(|(top, left)| {
                    count(&batch, |row, col| Some((row + top - padding, col + left - padding)))
                })
                .collect();
            assert_eq!(found.iter().sum::<usize>(), 40, "{size:?} {padding}");
            assert!(found.iter().filter(|&&n| n > 0).count() > found.len() / 2, "{found:?}");
        }
    }

    #[test]
    fn translations_keep_the_size() {
        let batch = changed(random_translation(1, 0));
        let moved = |rows| count(&batch, |row, col| Some((row + rows, col)));
        let moved = [-1, 0, 1].map(moved);
        assert_eq!(moved.iter().sum::<usize>(), 40);
        assert!(moved.iter().all(|&n| n > 5), "{moved:?}");
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let kind = |outcome: Result<()>| outcome.unwrap_err().kind();
        let rng = &mut Rng::seed(1);
        let (mut flat, mut four) = (Tensor::<f64>::zeros(&[2, 3]).unwrap(), pictures());
        assert_eq!(kind(random_horizontal_flip()(&mut flat, rng)), ErrorKind::Shape);
        assert_eq!(kind(random_crop([1, 1], 0)(&mut flat, rng)), ErrorKind::Shape);
        assert_eq!(kind(random_crop([6, 4], 1)(&mut four, rng)), ErrorKind::Shape);
        assert_eq!(kind(random_crop([1, 1], usize::MAX)(&mut four, rng)), ErrorKind::Shape);
        assert_eq!(kind(normalize(&mut four, &[0.0], &[1.0])), ErrorKind::Shape);
        assert_eq!(kind(normalize(&mut four, &[0.0; 2], &[1.0, 0.0])), ErrorKind::Argument);
        assert_eq!(kind(normalize(&mut four, &[f64::NAN; 2], &[1.0; 2])), ErrorKind::Argument);
        assert_eq!(four, pictures());
        let mut empty = Tensor::<f64>::zeros(&[0, 3, 4, 2]).unwrap();
        random_vertical_flip()(&mut empty, rng).unwrap();
        random_crop([2, 2], 1)(&mut empty, rng).unwrap();
        assert_eq!(empty.shape(), [0, 2, 2, 2]);
    }
}
