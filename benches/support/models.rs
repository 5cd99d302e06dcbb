//! Whole networks, to be built with random weights.

use striate::{
    Activation, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, MaxPool2D, Padding, Residual, Sequential,
    sequential,
};

/// The network of the example `digits`, for pictures of 28x28.
pub fn digits() -> Sequential {
    sequential![
        conv(32, 3),
        MaxPool2D::new(2),
        conv(64, 3),
        MaxPool2D::new(2),
        Flatten::new(),
        Dense::new(128).activation(Activation::Relu),
        Dropout::new(0.25),
        Dense::new(10),
    ]
}

/// VGG-16 (Simonyan and Zisserman, 2014), for colour pictures of 224x224.
pub fn vgg16() -> Sequential {
    let mut model = Sequential::new();
    for (convolutions, filters) in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)] {
        for _ in 0..convolutions {
            model = model.with(conv(filters, 3));
        }
        model = model.with(MaxPool2D::new(2));
    }
    model
        .with(Flatten::new())
        .with(Dense::new(4096).activation(Activation::Relu))
        .with(Dense::new(4096).activation(Activation::Relu))
        .with(Dense::new(1000).activation(Activation::Softmax))
}

/// MobileNetV1 (Howard et al., 2017), for colour pictures of 224x224; its normalisations as they are at inference,
/// within the convolutions before them.
pub fn mobilenet_v1() -> Sequential {
    let mut model = Sequential::new().with(conv6(32, 3).strides(2));
    let mut channels = 32;
    let blocks = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)];
    let rest = [(512, 1); 5].into_iter().chain([(1024, 2), (1024, 1)]);
    for (filters, stride) in blocks.into_iter().chain(rest) {
        model = model.with(conv6(channels, 3).groups(channels).strides(stride)).with(conv6(filters, 1));
        channels = filters;
    }
    model.with(GlobalAvgPool2D::new()).with(Dense::new(1000).activation(Activation::Softmax))
}

/// The network of the example `upscale`, for a tile of 256x256 of a colour picture.
pub fn upscale() -> Sequential {
    let leaky = |filters| Conv2D::new(filters, 3).activation(Activation::LeakyRelu { negative_slope: 0.1 });
    let model = sequential![leaky(32), leaky(32), leaky(64), leaky(64), leaky(128), leaky(128)];
    model.with(Conv2D::new(3, 3))
}

/// ResNet-18 (He et al., 2015), for colour pictures of 224x224; its normalisations within the convolutions.
pub fn resnet18() -> Sequential {
    let stem = MaxPool2D::new(3).strides(2).padding(Padding::all(1));
    let mut model = Sequential::new().with(conv(64, 7).strides(2)).with(stem);
    for (filters, stride) in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)] {
        let body = sequential![conv(filters, 3).strides(stride), linear(filters, 3)];
        let block = match stride {
            1 => Residual::new(body),
            _ => Residual::new(body).shortcut(linear(filters, 1).strides(stride)),
        };
        model = model.with(block).with(Activation::Relu);
    }
    model.with(GlobalAvgPool2D::new()).with(Dense::new(1000).activation(Activation::Softmax))
}

fn linear(filters: usize, size: usize) -> Conv2D {
    conv(filters, size).activation(Activation::Linear)
}

fn conv(filters: usize, size: usize) -> Conv2D {
    Conv2D::new(filters, size).padding(Padding::Same).activation(Activation::Relu)
}

fn conv6(filters: usize, size: usize) -> Conv2D {
    conv(filters, size).activation(Activation::Relu6)
}
