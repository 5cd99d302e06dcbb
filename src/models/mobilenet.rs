//! MobileNet.

use super::{batch_norm, conv};
use crate::{
    Activation, BatchNorm, Conv2D, Dense, DepthwiseConv2D, Dropout, Element, GlobalAvgPool2D, Padding,
    Residual, Sequential,
};

/// MobileNetV1 (Howard et al., *MobileNets*, 2017) of full width, as Keras has it.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::mobilenet_v1(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 4_231_976);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn mobilenet_v1<T: Element>(classes: usize) -> Sequential<T> {
    let finish = |model: Sequential<T>| model.with(BatchNorm::new()).with(Activation::Relu6);
    let same = |filters, kernel: usize, stride: usize| {
        Conv2D::new(filters, kernel).strides(stride).padding(Padding::Same).use_bias(false)
    };
    let mut model = finish(Sequential::new().with(same(32, 3, 2)));
    let first = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
    let rest = [(512, 1); 5].into_iter().chain([(1024, 2), (1024, 1)]);
    for (filters, stride) in first.into_iter().chain(rest) {
        let depthwise = DepthwiseConv2D::new(3).strides(stride).padding(Padding::Same).use_bias(false);
        model = finish(finish(model.with(depthwise)).with(same(filters, 1, 1)));
    }
    model.with(GlobalAvgPool2D::new()).with(Dropout::new(1e-3)).with(Dense::new(classes))
}

/// A convolution of 1x1 that widens, unless the expansion is 1, a depthwise one, and a convolution of 1x1 that narrows; with
/// a shortcut around all where the shape stays.
pub(super) fn inverted_residual<T: Element>(
    model: &mut Sequential<T>,
    channels: usize,
    expansion: usize,
    filters: usize,
    stride: usize,
) {
    let mut body = Sequential::new();
    if expansion > 1 {
        body.push(conv(expansion * channels, 1, 1).use_bias(false));
        body.push(batch_norm());
        body.push(Activation::Relu6);
    }
    body.push(DepthwiseConv2D::new(3).strides(stride).padding(Padding::all(1)).use_bias(false));
    body.push(batch_norm());
    body.push(Activation::Relu6);
    body.push(conv(filters, 1, 1).use_bias(false));
    body.push(batch_norm());
    match stride == 1 && channels == filters {
        true => model.push(Residual::new(body)),
        false => model.push(body),
    }
}

/// MobileNetV2 (Sandler et al., *MobileNetV2: inverted residuals and linear bottlenecks*, 2018) of full width, as PyTorch
/// has it.
///
/// ```
/// use striate::{Sequential, models};
/// let model: Sequential = models::mobilenet_v2(1000);
/// assert_eq!(model.summary(&[1, 224, 224, 3])?.params(), 3_504_872);
/// # Ok::<(), striate::Error>(())
/// ```
pub fn mobilenet_v2<T: Element>(classes: usize) -> Sequential<T> {
    let mut model = Sequential::new().with(conv(32, 3, 2).use_bias(false));
    model = model.with(batch_norm()).with(Activation::Relu6);
    let mut channels = 32;
    let stages = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    for (expansion, filters, count, stride) in stages {
        for index in 0..count {
            let stride = if index == 0 { stride } else { 1 };
            inverted_residual(&mut model, channels, expansion, filters, stride);
            channels = filters;
        }
    }
    model = model.with(conv(1280, 1, 1).use_bias(false)).with(batch_norm()).with(Activation::Relu6);
    model.with(GlobalAvgPool2D::new()).with(Dropout::new(0.2)).with(Dense::new(classes))
}
