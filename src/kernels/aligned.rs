//! Memory that begins with a cache line: half of all vectors, or all, would otherwise lie in two lines.

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// So many elements more than are needed, and one of them begins with a cache line.
pub(super) const fn slack<T>() -> usize {
    LINE_BYTES / size_of::<T>()
}

/// The first element of memory with slack that begins with a cache line; the very first, if none does.
pub(super) fn aligned_start<T>(memory: &[T]) -> usize {
    let start = memory.as_ptr().align_offset(LINE_BYTES);
    if start < slack::<T>() { start } else { 0 }
}

/// `len` elements of `memory`, which grows if need be, from the first cache line on, with whatever they hold.
pub(super) fn room<T: Copy + Default>(memory: &mut Vec<T>, len: usize) -> &mut [T] {
    if memory.len() < len + slack::<T>() {
        memory.resize(len + slack::<T>(), T::default());
    }
    let start = aligned_start(memory);
    &mut memory[start..][..len]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_with_a_line() {
        let mut memory = vec![7.0_f64];
        for len in [0, 2, 1000] {
            let room = room(&mut memory, len);
            assert_eq!((room.len(), room.as_ptr() as usize % LINE_BYTES), (len, 0));
            room.fill(1.0);
        }
        assert_eq!(room(&mut memory, 3), [1.0; 3]);
    }
}
