//! The memory of results that nobody needs any more, for the next ones.

use std::ops::{Deref, DerefMut};

use super::kept::with_kept;

/// A buffer of `len` elements, with whatever it holds, that this thread has put down.
pub(crate) fn take_spare<T: Copy + Default + 'static>(len: usize) -> Option<Vec<T>> {
    with_kept(|spare: &mut Spare<T>| spare.take(len))
}

/// Keeps the memory of a result that nobody needs any more for the next one on this thread.
pub(crate) fn recycle<T: Copy + Default + 'static>(elements: Vec<T>) {
    with_kept(|spare: &mut Spare<T>| spare.put(elements));
}

/// What kernels prepare and keep for a while: its memory goes to the next one.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer<T: Copy + Default + 'static>(Vec<T>);

impl<T: Copy + Default + 'static> Buffer<T> {
    /// Of `len` elements, with whatever they hold: they must all be written.
    pub(super) fn unwritten(len: usize) -> Self {
        Buffer(take_spare(len).unwrap_or_else(|| vec![T::default(); len]))
    }
}

impl<T: Copy + Default + 'static> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Copy + Default + 'static> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T: Copy + Default + 'static> Drop for Buffer<T> {
    fn drop(&mut self) {
        recycle(std::mem::take(&mut self.0));
    }
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

impl<T: Copy + Default + 'static> Spare<T> {
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
