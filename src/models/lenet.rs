//! LeNet-5.

use crate::{Activation, AvgPool2D, Conv2D, Dense, Element, Flatten, Sequential, sequential};

/// LeNet-5 (LeCun et al., *Gradient-based learning applied to document recognition*, 1998), for pictures of 32x32 with one
/// channel; as it is written today, with average pooling in place of trained subsampling and every map of the second
/// convolution seeing all of the first. For pictures of 28x28, pad them by 2.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::lenet5(10);
/// assert_eq!(model.summary(&[1, 32, 32, 1])?.params(), 61_706);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn lenet5<T: Element>(classes: usize) -> Sequential<T> {
    let conv = |filters| Conv2D::new(filters, 5).activation(Activation::Tanh);
    sequential![
        conv(6),
        AvgPool2D::new(2),
        conv(16),
        AvgPool2D::new(2),
        conv(120),
        Flatten::new(),
        Dense::new(84).activation(Activation::Tanh),
        Dense::new(classes),
    ]
}
