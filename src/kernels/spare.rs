//! The memory of results: it begins with a cache line, and when nobody needs it any more, the next result has it.

use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};

use super::aligned::{aligned_start, line_len};
use super::kept::with_kept;

/// Keeps the memory of a result that nobody needs any more for the next one on this thread.
pub(crate) fn recycle<T: Copy + Default + 'static>(memory: Vec<T>) {
    with_kept(|spare: &mut Spare<T>| spare.put(memory));
}

/// Elements in memory that comes from a past result, and goes to the next one.
#[derive(Debug, Default)]
pub(crate) struct Buffer<T: Copy + Default + 'static> {
    memory: Vec<T>,
    /// Where in it the elements are.
    start: usize,
    len: usize,
}

impl<T: Copy + Default + 'static> Buffer<T> {
    /// Of `len` elements, with whatever they hold: they must all be written. They begin with a cache line.
    pub(crate) fn unwritten(len: usize) -> Self {
        let with_line = len + line_len::<T>();
        let memory = take_spare(with_line).unwrap_or_else(|| vec![T::default(); with_line]);
        Buffer { start: aligned_start(&memory), memory, len }
    }

    /// The same, or the error that there is not enough memory.
    pub(crate) fn try_unwritten(len: usize) -> Result<Self, TryReserveError> {
        let with_line = len.saturating_add(line_len::<T>());
        let mut memory = take_spare(with_line).unwrap_or_default();
        if memory.len() < with_line {
            memory.try_reserve_exact(with_line - memory.len())?;
            memory.resize(with_line, T::default());
        }
        Ok(Buffer { start: aligned_start(&memory), memory, len })
    }

    /// Drops what comes after the first `len` elements.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The memory, and where in it the elements are.
    pub(crate) fn into_memory(mut self) -> (Vec<T>, usize, usize) {
        (std::mem::take(&mut self.memory), self.start, self.len)
    }
}

/// Memory of `len` elements or more, with whatever they hold, that this thread has put down.
pub(crate) fn take_spare<T: Copy + Default + 'static>(len: usize) -> Option<Vec<T>> {
    with_kept(|spare: &mut Spare<T>| spare.take(len))
}

impl<T: Copy + Default + 'static> From<Vec<T>> for Buffer<T> {
    fn from(memory: Vec<T>) -> Self {
        Buffer { len: memory.len(), memory, start: 0 }
    }
}

impl<T: Copy + Default + 'static> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::unwritten(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Copy + Default + 'static> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..][..self.len]
    }
}

impl<T: Copy + Default + 'static> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..][..self.len]
    }
}

impl<T: Copy + Default + 'static> Drop for Buffer<T> {
    fn drop(&mut self) {
        recycle(std::mem::take(&mut self.memory));
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
/// The most buffers that a thread keeps, and the most bytes in all of them but the last.
const MOST_BUFFERS: usize = 16;
const MOST_BYTES: usize = 128 << 20;

impl<T: Copy + Default + 'static> Spare<T> {
    /// A buffer of `len` elements that is not much longer: as long as it is, or the next time a longer one is wanted it
    /// would no longer be there.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let fits = |buffer: &Vec<T>| (len..=2 * len).contains(&buffer.len());
        let index = self.buffers.iter().rposition(fits)?;
        Some(self.buffers.remove(index))
    }

    fn put(&mut self, buffer: Vec<T>) {
        let bytes = |buffer: &Vec<T>| buffer.capacity() * size_of::<T>();
        if bytes(&buffer) < SMALL {
            return;
        }
        // However large, the last one stays until there is another: mostly it is wanted next.
        self.buffers.retain(|buffer| bytes(buffer) <= MOST_BYTES);
        while self.buffers.len() >= MOST_BUFFERS || self.buffers.iter().map(bytes).sum::<usize>() > MOST_BYTES
        {
            self.buffers.remove(0);
        }
        self.buffers.push(buffer);
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
        // One that is too large stays until the next, and drives out nothing but the oldest.
        spare.put(Vec::with_capacity(MOST_BYTES / 4 + 1));
        assert_eq!(spare.buffers.len(), MOST_BUFFERS);
        spare.put(vec![0.0; SMALL]);
        assert_eq!(spare.buffers.len(), MOST_BUFFERS);
        let half = || Vec::with_capacity(MOST_BYTES / 8);
        (0..3).for_each(|_| spare.put(half()));
        assert_eq!(spare.buffers.len(), 3);
        assert!(spare.take(1).is_none());
    }
}
