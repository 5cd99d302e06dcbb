//! The layers, each a thin shell over an operation of [`ops`](crate::ops).
//!
//! | layer | what it does | Keras | PyTorch |
//! |---|---|---|---|
//! | [`Conv2D`] | convolution, with groups and dilation | `Conv2D` | `Conv2d` |
//! | [`Conv1D`], [`Conv3D`] | the same over sequences and volumes | `Conv1D`, `Conv3D` | `Conv1d`, `Conv3d` |
//! | [`DepthwiseConv2D`] | every channel with filters of its own | `DepthwiseConv2D` | `Conv2d(groups=c)` |
//! | [`SeparableConv2D`] | that, and then a mixture of channels | `SeparableConv2D` | |
//! | [`Conv2DTranspose`], [`Conv1DTranspose`], [`Conv3DTranspose`] | convolution backwards, which enlarges | `Conv2DTranspose` | `ConvTranspose2d` |
//! | [`MaxPool2D`], [`MaxPool1D`], [`MaxPool3D`] | the largest of every window | `MaxPooling2D` | `MaxPool2d` |
//! | [`AvgPool2D`], [`AvgPool1D`], [`AvgPool3D`] | the mean of every window | `AveragePooling2D` | `AvgPool2d` |
//! | [`GlobalMaxPool2D`], [`GlobalMaxPool1D`], [`GlobalMaxPool3D`] | the largest of every map | `GlobalMaxPooling2D` | `AdaptiveMaxPool2d(1)` |
//! | [`GlobalAvgPool2D`], [`GlobalAvgPool1D`], [`GlobalAvgPool3D`] | the mean of every map | `GlobalAveragePooling2D` | `AdaptiveAvgPool2d(1)` |
//! | [`ChannelMaxPool`] | pooling across channels | | |
//! | [`Dense`] | the fully connected layer | `Dense` | `Linear` |
//! | [`Activation`](crate::Activation) | a function of every number, or softmax | `Activation` | `ReLU`, `GELU`, ... |
//! | [`BatchNorm`] | normalisation over the batch, with moving statistics | `BatchNormalization` | `BatchNorm2d` |
//! | [`LayerNorm`] | normalisation of the last axes | `LayerNormalization` | `LayerNorm` |
//! | [`GroupNorm`] | normalisation of groups of channels | `GroupNormalization` | `GroupNorm` |
//! | [`InstanceNorm`] | normalisation of every map alone | | `InstanceNorm2d` |
//! | [`LocalResponseNorm`] | normalisation across neighbouring channels | | `LocalResponseNorm` |
//! | [`PReLU`] | a rectifier with trained slopes | `PReLU` | `PReLU` |
//! | [`Flatten`], [`Dropout`] | | `Flatten`, `Dropout` | `Flatten`, `Dropout` |
//! | [`SpatialDropout`] | dropout of whole maps | `SpatialDropout2D` | `Dropout2d` |
//! | [`DepthToSpace`], [`SpaceToDepth`] | channels as blocks of positions, and back | | `PixelShuffle`, `PixelUnshuffle` |
//! | [`Pad2D`] | rows and columns around the maps | `ZeroPadding2D` | `ZeroPad2d`, `ReflectionPad2d`, ... |
//! | [`Crop2D`] | fewer rows and columns | `Cropping2D` | |
//! | [`UpSample2D`] | enlarged maps | `UpSampling2D` | `Upsample` |
//! | [`AdaptiveAvgPool2D`], [`AdaptiveAvgPool1D`] | means over windows that give a size of choice | | `AdaptiveAvgPool2d` |
//! | [`AdaptiveMaxPool2D`], [`AdaptiveMaxPool1D`] | the largest of such windows | | `AdaptiveMaxPool2d` |
//! | [`LpPool2D`], [`LpPool1D`] | the norm of every window | | `LPPool2d` |
//! | [`Residual`], [`Parallel`] | layers side by side, joined by [`Join`] | `Add`, `Multiply`, `Concatenate` | |
//! | [`Remat`] | a segment that is computed again on the way back, and not saved | `remat` | `checkpoint` |
//! | [`Sequential`] | layers one after the other | `Sequential` | `Sequential` |
//!
//! A layer of your own implements [`Layer`](crate::Layer).

mod activation;
mod adaptive_max;
mod avg_pool;
mod branches;
mod channel_pool;
mod conv;
mod delegate;
mod dense;
mod dropout;
mod flatten;
mod folded;
mod global_pool;
mod lp_pool;
mod norm;
mod pool;
mod pool1d;
mod pool3d;
mod prelu;
mod remat;
mod resample;
mod sequential;
mod space;
mod weights;

pub use adaptive_max::{AdaptiveMaxPool1D, AdaptiveMaxPool2D};
pub use avg_pool::AvgPool2D;
pub use branches::{Join, Parallel, Residual};
pub use channel_pool::ChannelMaxPool;
pub use conv::{
    Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose, DepthwiseConv2D,
    SeparableConv2D,
};
pub use dense::Dense;
pub use dropout::{Dropout, SpatialDropout};
pub use flatten::Flatten;
pub use global_pool::{GlobalAvgPool2D, GlobalMaxPool2D};
pub use lp_pool::{LpPool1D, LpPool2D};
pub use norm::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RunningVariance};
pub use pool::MaxPool2D;
pub use pool1d::{AdaptiveAvgPool1D, AvgPool1D, GlobalAvgPool1D, GlobalMaxPool1D, MaxPool1D};
pub use pool3d::{AvgPool3D, GlobalAvgPool3D, GlobalMaxPool3D, MaxPool3D};
pub use prelu::PReLU;
pub use remat::Remat;
pub use resample::{AdaptiveAvgPool2D, Crop2D, Pad2D, UpSample2D, ZeroPad2D};
pub use sequential::Sequential;
pub use space::{DepthToSpace, SpaceToDepth};
