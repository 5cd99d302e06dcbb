//! ResNet.

use super::{batch_norm, conv};
use crate::{Activation, Conv2D, Dense, Element, GlobalAvgPool2D, MaxPool2D, Padding, Residual, Sequential};

/// A convolution without a bias, and batch normalisation, which has one.
fn conv_norm<T: Element>(model: &mut Sequential<T>, filters: usize, kernel: usize, stride: usize) {
    model.push(conv(filters, kernel, stride).use_bias(false));
    model.push(batch_norm());
}

/// The body with a shortcut around it, which is a 1x1 convolution where the body changes the shape; then a rectifier.
fn residual<T: Element>(
    model: &mut Sequential<T>,
    body: Sequential<T>,
    (filters, stride): (usize, usize),
    changes_shape: bool,
) {
    let mut block = Residual::new(body);
    if changes_shape {
        let mut shortcut = Sequential::new().with(Conv2D::new(filters, 1).strides(stride).use_bias(false));
        shortcut.push(batch_norm());
        block = block.shortcut(shortcut);
    }
    model.push(block);
    model.push(Activation::Relu);
}

/// Two convolutions of 3x3.
pub(super) fn basic_block<T: Element>(
    model: &mut Sequential<T>,
    filters: usize,
    stride: usize,
    changes_shape: bool,
) {
    let mut body = Sequential::new();
    conv_norm(&mut body, filters, 3, stride);
    body.push(Activation::Relu);
    conv_norm(&mut body, filters, 3, 1);
    residual(model, body, (filters, stride), changes_shape);
}

/// A convolution of 3x3 between two of 1x1, the last of which widens; the stride is that of the one in the middle.
pub(super) fn bottleneck<T: Element>(
    model: &mut Sequential<T>,
    filters: usize,
    stride: usize,
    changes_shape: bool,
) {
    let mut body = Sequential::new();
    conv_norm(&mut body, filters, 1, 1);
    body.push(Activation::Relu);
    conv_norm(&mut body, filters, 3, stride);
    body.push(Activation::Relu);
    conv_norm(&mut body, 4 * filters, 1, 1);
    residual(model, body, (4 * filters, stride), changes_shape);
}

/// Adds a block of so many filters with a stride to a model, whose shape it may change.
type Block<T> = fn(&mut Sequential<T>, usize, usize, bool);

/// The first block of a stage halves the maps, except in the first stage, where it only widens, if `widens`.
fn resnet<T: Element>(block: Block<T>, widens: bool, blocks: [usize; 4], classes: usize) -> Sequential<T> {
    let mut model = Sequential::new();
    conv_norm(&mut model, 64, 7, 2);
    model.push(Activation::Relu);
    model.push(MaxPool2D::new(3).strides(2).padding(Padding::all(1)));
    for ((stage, count), filters) in blocks.into_iter().enumerate().zip([64, 128, 256, 512]) {
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            block(&mut model, filters, stride, index == 0 && (stage > 0 || widens));
        }
    }
    model.with(GlobalAvgPool2D::new()).with(Dense::new(classes))
}

/// ResNet-18 (He et al., *Deep residual learning for image recognition*, 2016).
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::resnet18(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 11_689_512);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn resnet18<T: Element>(classes: usize) -> Sequential<T> {
    resnet(basic_block, false, [2, 2, 2, 2], classes)
}

/// ResNet-34, of [`resnet18`]'s paper.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::resnet34(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 21_797_672);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn resnet34<T: Element>(classes: usize) -> Sequential<T> {
    resnet(basic_block, false, [3, 4, 6, 3], classes)
}

/// ResNet-50, of [`resnet18`]'s paper, with the strides in the convolutions of 3x3, as in PyTorch.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::resnet50(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 25_557_032);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn resnet50<T: Element>(classes: usize) -> Sequential<T> {
    resnet(bottleneck, true, [3, 4, 6, 3], classes)
}
