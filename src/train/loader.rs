//! The batches of an epoch, each prepared while the one before it is computed.

use std::ops::Range;

use super::data::{Data, batches};
use crate::{Element, Result, Rng, Tensor};

/// A change to the samples of a batch.
pub(super) type Augment<'a, T> = Box<dyn FnMut(&mut Tensor<T>, &mut Rng) -> Result<()> + Send + 'a>;

/// Where the batches of one epoch come from: the samples in an order, cut into ranges, and changed.
pub(super) struct Loader<'d, 'a, T: Element> {
    data: &'d Data<T>,
    /// `None` for the order in which the samples lie.
    order: Option<Vec<usize>>,
    ranges: Box<dyn ExactSizeIterator<Item = Range<usize>> + Send>,
    augment: &'d mut [Augment<'a, T>],
    /// The source of the changes alone, so that they do not depend on what else draws meanwhile.
    rng: Rng,
}

impl<'d, 'a, T: Element> Loader<'d, 'a, T> {
    /// Batches of `size` samples, in an order drawn from `rng` if that is to be shuffled.
    pub(super) fn new(
        data: &'d Data<T>,
        size: usize,
        shuffle: bool,
        augment: &'d mut [Augment<'a, T>],
        rng: &mut Rng,
    ) -> Result<Self> {
        let ranges = Box::new(batches("fit", data.len(), size)?);
        let order = if shuffle { Some(shuffled(data.len(), rng)?) } else { None };
        Ok(Loader { data, order, ranges, augment, rng: rng.fork() })
    }

    /// The number of batches.
    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Hands every batch to `work`; another thread of the pool prepares the next one meanwhile.
    pub(super) fn for_each(mut self, mut work: impl FnMut(Data<T>) -> Result<()> + Send) -> Result<()> {
        let mut next = self.prepare();
        while let Some(batch) = next.transpose()? {
            let (done, prepared) = rayon::join(|| work(batch), || self.prepare());
            done?;
            next = prepared;
        }
        Ok(())
    }

    fn prepare(&mut self) -> Option<Result<Data<T>>> {
        let range = self.ranges.next()?;
        let batch = match &self.order {
            Some(order) => self.data.gather(&order[range]),
            None => self.data.rows(range),
        };
        Some(batch.and_then(|mut batch| {
            for change in self.augment.iter_mut() {
                change(&mut batch.x, &mut self.rng)?;
            }
            Ok(batch)
        }))
    }
}

/// The numbers below `samples`, in random order.
fn shuffled(samples: usize, rng: &mut Rng) -> Result<Vec<usize>> {
    let mut order = Vec::new();
    crate::memory::reserve(&mut order, "fit", &[samples])?;
    order.extend(0..samples);
    rng.shuffle(&mut order);
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Data<f64> {
        let x = Tensor::from_vec(&[n, 1], (0..n).map(|i| i as f64).collect()).unwrap();
        Data::new("test", x, (0..n).collect::<Vec<_>>().into()).unwrap()
    }

    fn seen(shuffle: bool, threads: usize) -> Vec<f64> {
        let (data, mut seen) = (numbers(10), Vec::new());
        let mut noise: [Augment<'_, f64>; 1] = [Box::new(|batch, rng| {
            batch.as_mut_slice().iter_mut().for_each(|x| *x += 0.25 * rng.uniform());
            Ok(())
        })];
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let loader = Loader::new(&data, 4, shuffle, &mut noise, &mut Rng::seed(1)).unwrap();
            let batch = |batch: Data<f64>| {
                seen.extend_from_slice(batch.x.as_slice());
                Ok(())
            };
            loader.for_each(batch).unwrap();
        });
        seen
    }

    #[test]
    fn all_samples_come_once_in_the_same_order_on_any_number_of_threads() {
        let in_order: Vec<f64> = seen(false, 1).iter().map(|x| x.floor()).collect();
        assert_eq!(in_order, (0..10).map(f64::from).collect::<Vec<_>>());
        let shuffled = seen(true, 1);
        assert_eq!(shuffled, seen(true, 2));
        assert_ne!(shuffled.iter().map(|x| x.floor()).collect::<Vec<_>>(), in_order);
        let mut sorted = shuffled;
        sorted.sort_by(f64::total_cmp);
        assert_eq!(sorted.iter().map(|x| x.floor()).collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn a_batch_that_fails_ends_the_epoch() {
        let (data, mut count) = (numbers(10), 0);
        let mut fails = |n: usize| {
            let mut calls = 0;
            let mut augment: [Augment<'_, f64>; 1] = [Box::new(move |_, _| {
                calls += 1;
                if calls == n { Err(crate::Error::not_built("test")) } else { Ok(()) }
            })];
            let loader = Loader::new(&data, 4, true, &mut augment, &mut Rng::seed(1)).unwrap();
            let outcome = loader.for_each(|_| {
                count += 1;
                Ok(())
            });
            (outcome.is_err(), std::mem::take(&mut count))
        };
        assert_eq!(fails(1), (true, 0));
        assert_eq!(fails(3), (true, 2));
        assert_eq!(fails(4), (false, 3));
    }
}
