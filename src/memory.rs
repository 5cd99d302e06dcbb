//! The only way from a size that a caller chose to memory.

use ndarray::{Array, Dimension, ShapeError, s};

use crate::kernels::{Buffer, take_spare};
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
    elements.try_reserve_exact(len).map_err(|_| too_large(operation, shape))
}

/// As many copies of `value` as `shape` has elements, or the error that there is not enough memory.
pub(crate) fn filled<T: Clone>(operation: &'static str, shape: &[usize], value: T) -> Result<Vec<T>> {
    let mut elements = Vec::new();
    reserve(&mut elements, operation, shape)?;
    elements.resize(len_of(operation, shape)?, value);
    Ok(elements)
}

/// As many zeros as `shape` has elements, where an earlier list was, if this thread has put one down: for lists that the
/// backward pass needs, which [`recycle`](crate::kernels::recycle) puts down again.
pub(crate) fn zeros<T: Copy + Default + 'static>(operation: &'static str, shape: &[usize]) -> Result<Vec<T>> {
    let len = len_of(operation, shape)?;
    match take_spare(len) {
        Some(mut spare) => {
            spare.truncate(len);
            spare.fill(T::default());
            Ok(spare)
        }
        None => filled(operation, shape, T::default()),
    }
}

/// Memory for the elements of `shape`, with whatever it holds: for results that are written in full.
pub(crate) fn unwritten<T: Element>(operation: &'static str, shape: &[usize]) -> Result<Buffer<T>> {
    Buffer::try_unwritten(len_of(operation, shape)?).map_err(|_| too_large(operation, shape))
}

/// The array of these elements.
pub(crate) fn array_of<T: Copy + Default + 'static, D: Dimension>(
    shape: D,
    elements: Buffer<T>,
) -> std::result::Result<Array<T, D>, ShapeError> {
    let (memory, start, len) = elements.into_memory();
    Array::from_vec(memory).slice_move(s![start..start + len]).into_shape_with_order(shape)
}

fn too_large(operation: &'static str, shape: &[usize]) -> Error {
    Error::size(operation, "a size that fits in memory", format_args!("{shape:?}"))
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
        let tensor = Tensor::from_buffer(&shape, first).unwrap();
        let shared = tensor.clone();
        drop(tensor);
        let other = unwritten::<f32>("test", &shape).unwrap();
        assert_ne!(other.as_ptr(), address);
        drop(shared);
        let second = unwritten::<f32>("test", &[29_000]).unwrap();
        assert_eq!((second.as_ptr(), second.len()), (address, 29_000));
    }
}
