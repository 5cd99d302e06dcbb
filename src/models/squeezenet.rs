//! SqueezeNet.

use super::conv_relu;
use crate::{Activation, Conv2D, Dropout, Element, GlobalAvgPool2D, Join, MaxPool2D, Parallel, Sequential};

/// A fire module: few filters of 1x1, and then twice `expand`, half of them of 1x1 and half of 3x3.
pub(super) fn fire<T: Element>(model: &mut Sequential<T>, squeeze: usize, expand: usize) {
    model.push(conv_relu(squeeze, 1));
    model.push(Parallel::new(Join::Concat).with(conv_relu(expand, 1)).with(conv_relu(expand, 3)));
}

fn pool() -> MaxPool2D {
    MaxPool2D::new(3).strides(2).ceil_mode(true)
}

/// A convolution, the fire modules between poolings, and a convolution whose averages are the scores.
fn squeezenet<T: Element>(first: Conv2D<T>, modules: &[&[(usize, usize)]], classes: usize) -> Sequential<T> {
    let mut model = Sequential::new().with(first.strides(2).activation(Activation::Relu));
    for modules in modules {
        model.push(pool());
        modules.iter().for_each(|&(squeeze, expand)| fire(&mut model, squeeze, expand));
    }
    model.with(Dropout::new(0.5)).with(conv_relu(classes, 1)).with(GlobalAvgPool2D::new())
}

/// SqueezeNet 1.0 (Iandola et al., *SqueezeNet*, 2016).
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::squeezenet1_0(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 1_248_424);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn squeezenet1_0<T: Element>(classes: usize) -> Sequential<T> {
    let modules: [&[_]; 3] =
        [&[(16, 64), (16, 64), (32, 128)], &[(32, 128), (48, 192), (48, 192), (64, 256)], &[(64, 256)]];
    squeezenet(Conv2D::new(96, 7), &modules, classes)
}

/// SqueezeNet 1.1, with less to compute than [`squeezenet1_0`].
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::squeezenet1_1(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 1_235_496);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn squeezenet1_1<T: Element>(classes: usize) -> Sequential<T> {
    let modules: [&[_]; 3] =
        [&[(16, 64), (16, 64)], &[(32, 128), (32, 128)], &[(48, 192), (48, 192), (64, 256), (64, 256)]];
    squeezenet(Conv2D::new(64, 3), &modules, classes)
}
