//! VGG.

use super::conv_relu;
use crate::{Activation, AdaptiveAvgPool2D, Dense, Dropout, Element, Flatten, MaxPool2D, Sequential};

/// So many convolutions with so many filters each, five times, and between them pooling; then three dense layers.
fn vgg<T: Element>(convolutions: [usize; 5], classes: usize) -> Sequential<T> {
    let mut model = Sequential::new();
    for (count, filters) in convolutions.into_iter().zip([64, 128, 256, 512, 512]) {
        (0..count).for_each(|_| model.push(conv_relu(filters, 3)));
        model.push(MaxPool2D::new(2));
    }
    model = model.with(AdaptiveAvgPool2D::new(7)).with(Flatten::new());
    for _ in 0..2 {
        model = model.with(Dense::new(4096).activation(Activation::Relu)).with(Dropout::new(0.5));
    }
    model.with(Dense::new(classes))
}

/// VGG-11 (Simonyan and Zisserman, *Very deep convolutional networks for large-scale image recognition*, 2014), its
/// configuration A.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::vgg11(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 132_863_336);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn vgg11<T: Element>(classes: usize) -> Sequential<T> {
    vgg([1, 1, 2, 2, 2], classes)
}

/// VGG-16, configuration D of [`vgg11`]'s paper.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::vgg16(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 138_357_544);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn vgg16<T: Element>(classes: usize) -> Sequential<T> {
    vgg([2, 2, 3, 3, 3], classes)
}
