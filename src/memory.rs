//! The only way from a size that a caller chose to memory; and memory that is used again.

use crate::kernels::with_kept;
use crate::{Element, Error, Result};

/// The number of elements of `shape`, checked to be addressable.
pub(crate) fn len_of(operation: &'static str, shape: &[usize]) -> Result<usize> {
    // ndarray wants the product of the non-zero axes to fit, too.
    let product = shape.iter().filter(|&&n| n > 0).try_fold(1_usize, |product, &n| product.checked_mul(n));
    match product.filter(|&len| len <= isize::MAX as usize / size_of::<f64>()) {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(len) => Ok(len),
        None => Err(Error::size(operation, "a size that fits in memory", format_args!("{shape:?}"))),
    }
}

/// Reserves memory for the elements of `shape`, or says that there is not enough: the only place where a size
/// that a caller chose becomes an allocation.
pub(crate) fn reserve<T>(elements: &mut Vec<T>, operation: &'static str, shape: &[usize]) -> Result<()> {
    let len = len_of(operation, shape)?;
    elements
        .try_reserve_exact(len)
        .map_err(|_| Error::size(operation, "a size that fits in memory", format_args!("{shape:?}")))
}

/// As many copies of `value` as `shape` has elements, or the error that there is not enough memory.
pub(crate) fn filled<T: Clone>(operation: &'static str, shape: &[usize], value: T) -> Result<Vec<T>> {
    let mut elements = Vec::new();
    reserve(&mut elements, operation, shape)?;
    elements.resize(len_of(operation, shape)?, value);
    Ok(elements)
}

/// Memory for the elements of `shape`, with whatever it holds: for results that are written in full.
pub(crate) fn unwritten<T: Element>(operation: &'static str, shape: &[usize]) -> Result<Vec<T>> {
    let len = len_of(operation, shape)?;
    let mut elements = with_kept(|spare: &mut Spare<T>| spare.take(len)).unwrap_or_default();
    if elements.is_empty() {
        reserve(&mut elements, operation, shape)?;
    }
    elements.resize(len, T::zero());
    Ok(elements)
}

/// Keeps the memory of a result that nobody needs any more for the next one on this thread.
pub(crate) fn recycle<T: Element>(elements: Vec<T>) {
    with_kept(|spare: &mut Spare<T>| spare.put(elements));
}

/// The memory of past results: fresh memory costs a page fault every 4096 bytes, which for a large feature map takes
/// longer than convolving it.
struct Spare<T> {
    /// The one put down last at the end.
    buffers: Vec<Vec<T>>,
}

/// Bytes below which the allocator is as quick.
const SMALL: usize = 16 << 10;
/// The most buffers, and the most bytes in all of them, that a thread keeps.
const MOST_BUFFERS: usize = 16;
const MOST_BYTES: usize = 128 << 20;

impl<T: Element> Spare<T> {
    /// A buffer for `len` elements that is not much larger.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let fits = |buffer: &Vec<T>| (len..=2 * len).contains(&buffer.len());
        let index = self.buffers.iter().rposition(fits)?;
        let mut buffer = self.buffers.remove(index);
        buffer.truncate(len);
        Some(buffer)
    }

    fn put(&mut self, buffer: Vec<T>) {
        let bytes = |buffer: &Vec<T>| buffer.capacity() * size_of::<T>();
        if bytes(&buffer) < SMALL {
            return;
        }
        self.buffers.push(buffer);
        while self.buffers.len() > MOST_BUFFERS || self.buffers.iter().map(bytes).sum::<usize>() > MOST_BYTES
        {
            self.buffers.remove(0);
        }
    }
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Spare { buffers: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;

    #[test]
    fn a_dropped_result_lends_its_memory_to_the_next() {
        let shape = [1, 100, 100, 3];
        let first = unwritten::<f32>("test", &shape).unwrap();
        let address = first.as_ptr();
        let tensor = Tensor::from_vec(&shape, first).unwrap();
        let shared = tensor.clone();
        drop(tensor);
        let other = unwritten::<f32>("test", &shape).unwrap();
        assert_ne!(other.as_ptr(), address);
        drop(shared);
        let second = unwritten::<f32>("test", &[29_000]).unwrap();
        assert_eq!((second.as_ptr(), second.len()), (address, 29_000));
    }

    #[test]
    fn a_thread_keeps_a_bounded_part() {
        let mut spare = Spare::default();
        (0..2 * MOST_BUFFERS).for_each(|_| spare.put(vec![0.0_f32; SMALL]));
        spare.put(vec![0.0; 1]);
        assert_eq!(spare.buffers.len(), MOST_BUFFERS);
        spare.put(Vec::with_capacity(MOST_BYTES / 4 + 1));
        assert_eq!(spare.buffers.len(), 0);
        assert!(spare.take(1).is_none());
    }
}
