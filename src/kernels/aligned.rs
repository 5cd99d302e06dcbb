//! Memory that begins with a cache line: half of all vectors, or all, would otherwise lie in two lines.

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Elements of a cache line: of so many more than are needed, one begins with a line.
pub(super) const fn line_len<T>() -> usize {
    LINE_BYTES / size_of::<T>()
}

/// The first element of memory with a line to spare that begins with a cache line; the very first, if none does.
pub(super) fn aligned_start<T>(memory: &[T]) -> usize {
    let start = memory.as_ptr().align_offset(LINE_BYTES);
    if start < line_len::<T>() { start } else { 0 }
}

/// `len` elements of `memory`, which grows if need be, from the first cache line on, with whatever they hold.
pub(super) fn room<T: Copy + Default>(memory: &mut Vec<T>, len: usize) -> &mut [T] {
    if memory.len() < len + line_len::<T>() {
        memory.resize(len + line_len::<T>(), T::default());
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
