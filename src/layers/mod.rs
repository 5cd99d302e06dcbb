//! The layers, each a thin shell over an operation of [`ops`](crate::ops).
//!
//! | layer | what it does | Keras | PyTorch |
//! |---|---|---|---|
//! | [`Conv2D`] | convolution, with groups and dilation | `Conv2D` | `Conv2d` |
//! | [`MaxPool2D`] | the largest of every window | `MaxPooling2D` | `MaxPool2d` |
//! | [`AvgPool2D`] | the mean of every window | `AveragePooling2D` | `AvgPool2d` |
//! | [`GlobalMaxPool2D`] | the largest of every map | `GlobalMaxPooling2D` | `AdaptiveMaxPool2d(1)` |
//! | [`GlobalAvgPool2D`] | the mean of every map | `GlobalAveragePooling2D` | `AdaptiveAvgPool2d(1)` |
//! | [`ChannelMaxPool`] | pooling across channels | | |
//! | [`Dense`] | the fully connected layer | `Dense` | `Linear` |
//! | [`Activation`](crate::Activation) | a function of every number, or softmax | `Activation` | `ReLU`, `GELU`, ... |
//! | [`BatchNorm`] | normalisation over the batch, with moving statistics | `BatchNormalization` | `BatchNorm2d` |
//! | [`LayerNorm`] | normalisation of the last axes | `LayerNormalization` | `LayerNorm` |
//! | [`GroupNorm`] | normalisation of groups of channels | `GroupNormalization` | `GroupNorm` |
//! | [`InstanceNorm`] | normalisation of every map alone | | `InstanceNorm2d` |
//! | [`LocalResponseNorm`] | normalisation across neighbouring channels | | `LocalResponseNorm` |
//! | [`Flatten`], [`Dropout`] | | `Flatten`, `Dropout` | `Flatten`, `Dropout` |
//! | [`Pad2D`] | rows and columns around the maps | `ZeroPadding2D` | `ZeroPad2d`, `ReflectionPad2d`, ... |
//! | [`Crop2D`] | fewer rows and columns | `Cropping2D` | |
//! | [`UpSample2D`] | enlarged maps | `UpSampling2D` | `Upsample` |
//! | [`AdaptiveAvgPool2D`] | means over windows that give a size of choice | | `AdaptiveAvgPool2d` |
//! | [`Residual`], [`Parallel`] | layers side by side, joined by [`Join`] | `Add`, `Multiply`, `Concatenate` | |
//! | [`Sequential`] | layers one after the other | `Sequential` | `Sequential` |
//!
//! A layer of your own implements [`Layer`](crate::Layer).

mod activation;
mod avg_pool;
mod branches;
mod channel_pool;
mod conv;
mod delegate;
mod dense;
mod dropout;
mod flatten;
mod global_pool;
mod norm;
mod pool;
mod resample;
mod sequential;
mod weights;

pub use avg_pool::AvgPool2D;
pub use branches::{Join, Parallel, Residual};
pub use channel_pool::ChannelMaxPool;
pub use conv::Conv2D;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use global_pool::{GlobalAvgPool2D, GlobalMaxPool2D};
pub use norm::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RunningVariance};
pub use pool::MaxPool2D;
pub use resample::{AdaptiveAvgPool2D, Crop2D, Pad2D, UpSample2D, ZeroPad2D};
pub use sequential::Sequential;
