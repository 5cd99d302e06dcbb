//! [`Layout`]: the order of a kernel's axes.

use ndarray::IxDyn;

use crate::{Element, Result, Tensor};

/// The order of a kernel's axes in a file.
///
/// Kernels are the parameters whose names end in `kernel`, depthwise ones those whose names end in `depthwise_kernel`; all
/// others have one axis, or the same axes everywhere.
///
/// | layer | [`Keras`](Layout::Keras) | [`PyTorch`](Layout::PyTorch) |
/// |---|---|---|
/// | convolution | `[kh, kw, in / groups, out]` (HWIO) | `[out, in / groups, kh, kw]` (OIHW) |
/// | depthwise convolution | `[kh, kw, in, multiplier]` | `[in * multiplier, 1, kh, kw]` |
/// | transposed convolution | `[kh, kw, out / groups, in]` (HWOI) | `[in, out / groups, kh, kw]` (IOHW) |
/// | dense | `[in, out]` | `[out, in]` |
///
/// and so in one and three dimensions. In all of them PyTorch's last axes, the spatial ones, come first, and its first two
/// come last, in reverse. A dense layer after a flattened feature map is another matter: PyTorch flattens
/// `[channels, height, width]`, and so the rows of its kernel come in another order than here.
///
/// ```
/// use striate::{Conv2D, Layer, Rng, weights::{Archive, Layout, Transfer}};
/// # let path = std::env::temp_dir().join(format!("striate-layout-{}.npz", std::process::id()));
/// let mut conv: Conv2D = Conv2D::new(8, (3, 5));
/// conv.build(&[1, 10, 10, 2], &mut Rng::seed(1))?;
/// Transfer::new().layout(Layout::PyTorch).save(&conv, &path)?;
/// assert_eq!(Archive::open(&path)?.shape("kernel"), Some(&[8, 2, 3, 5][..]));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// This crate's and Keras'.
    #[default]
    Keras,
    /// PyTorch's and ONNX'.
    PyTorch,
}

impl Layout {
    /// The shape, in the model, of the parameter `name` that has the shape `stored` in a file; `wanted` is what the
    /// model has, which decides how a depthwise kernel's channels are shared out.
    pub(super) fn shape_from(self, name: &str, stored: &[usize], wanted: &[usize]) -> Vec<usize> {
        let Some(order) = self.order(name, stored.len()) else { return stored.to_vec() };
        let shape: Vec<usize> = order.iter().map(|&axis| stored[axis]).collect();
        if is_depthwise(name) && joined(wanted) == Some(shape.clone()) { wanted.to_vec() } else { shape }
    }

    /// The parameter in the model's layout; its shape must be that of [`shape_from`](Self::shape_from).
    pub(super) fn tensor_from<T: Element>(
        self,
        name: &str,
        stored: Tensor<T>,
        wanted: &[usize],
    ) -> Result<Tensor<T>> {
        match self.order(name, stored.ndim()) {
            Some(order) => Tensor::from(stored.view().permuted_axes(IxDyn(&order))).reshape(wanted),
            None => Ok(stored),
        }
    }

    /// A parameter of the model in the file's layout.
    pub(super) fn tensor_to<T: Element>(self, name: &str, value: &Tensor<T>) -> Result<Tensor<T>> {
        let Some(order) = self.order(name, value.ndim()) else { return Ok(value.clone()) };
        let value = match joined(value.shape()).filter(|_| is_depthwise(name)) {
            Some(shape) => value.reshape(&shape)?,
            None => value.clone(),
        };
        // The inverse of the order in which axes are read.
        let mut inverse = order.clone();
        order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
        Ok(value.view().permuted_axes(IxDyn(&inverse)).into())
    }

    /// For every axis of the parameter in the model, its axis in the file; `None` if they are the same.
    fn order(self, name: &str, ndim: usize) -> Option<Vec<usize>> {
        let moves = self == Layout::PyTorch && name.ends_with("kernel") && ndim >= 2;
        moves.then(|| (2..ndim).chain([1, 0]).collect())
    }
}

fn is_depthwise(name: &str) -> bool {
    name.ends_with("depthwise_kernel")
}

/// The shape `[..., 1, in * multiplier]` of a depthwise kernel `[..., in, multiplier]`.
fn joined(shape: &[usize]) -> Option<Vec<usize>> {
    let [spatial @ .., inputs, multiplier] = shape else { return None };
    Some([spatial, &[1, inputs.checked_mul(*multiplier)?]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(shape: &[usize]) -> Tensor<f64> {
        let len: usize = shape.iter().product();
        Tensor::from_vec(shape, (0..len).map(|i| i as f64).collect()).unwrap()
    }

    #[test]
    fn every_kind_of_kernel_finds_its_axes() {
        for (name, stored, wanted) in [
            ("kernel", &[8, 3, 5, 7][..], &[5, 7, 3, 8][..]),
            ("0.kernel", &[8, 3, 5], &[5, 3, 8]),
            ("0.kernel", &[8, 3, 2, 5, 7], &[2, 5, 7, 3, 8]),
            ("dense.kernel", &[10, 4], &[4, 10]),
            ("depthwise_kernel", &[6, 1, 3, 3], &[3, 3, 2, 3]),
            ("0.bias", &[8], &[8]),
            ("0.gamma", &[4, 2], &[4, 2]),
        ] {
            let tensor = numbered(stored);
            assert_eq!(Layout::PyTorch.shape_from(name, stored, wanted), wanted, "{name}");
            let read = Layout::PyTorch.tensor_from(name, tensor.clone(), wanted).unwrap();
            assert_eq!(read.shape(), wanted);
            assert_eq!(Layout::PyTorch.tensor_to(name, &read).unwrap(), tensor);
            assert_eq!(Layout::Keras.tensor_from(name, tensor.clone(), stored).unwrap(), tensor);
        }
    }

    #[test]
    fn elements_go_where_they_belong() {
        let stored = numbered(&[4, 3, 2, 5]);
        let read = Layout::PyTorch.tensor_from("kernel", stored.clone(), &[2, 5, 3, 4]).unwrap();
        for ((o, i, y, x), &value) in stored.view4().unwrap().indexed_iter() {
            assert_eq!(read.view4().unwrap()[[y, x, i, o]], value);
        }
        let stored = numbered(&[6, 1, 2, 2]);
        let read = Layout::PyTorch.tensor_from("depthwise_kernel", stored.clone(), &[2, 2, 3, 2]).unwrap();
        for ((o, _, y, x), &value) in stored.view4().unwrap().indexed_iter() {
            assert_eq!(
                read.view4().unwrap()[[y, x, o / 2, o % 2]],
                value,
                "output channel = input * multiplier + m"
            );
        }
    }

    #[test]
    fn other_shapes_stay_other_shapes() {
        assert_eq!(Layout::PyTorch.shape_from("kernel", &[8, 3, 5, 5], &[5, 5, 4, 8]), [5, 5, 3, 8]);
        assert_eq!(
            Layout::PyTorch.shape_from("depthwise_kernel", &[6, 1, 3, 3], &[3, 3, 2, 4]),
            [3, 3, 1, 6]
        );
        assert_eq!(Layout::Keras.shape_from("kernel", &[8, 3, 5, 5], &[5, 5, 3, 8]), [8, 3, 5, 5]);
    }
}
