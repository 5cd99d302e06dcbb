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
//! | [`Flatten`], [`Dropout`] | | `Flatten`, `Dropout` | `Flatten`, `Dropout` |
//! | [`Sequential`] | layers one after the other | `Sequential` | `Sequential` |
//!
//! A layer of your own implements [`Layer`](crate::Layer).

mod activation;
mod avg_pool;
mod channel_pool;
mod conv;
mod dense;
mod dropout;
mod flatten;
mod global_pool;
mod pool;
mod sequential;
mod weights;

pub use avg_pool::AvgPool2D;
pub use channel_pool::ChannelMaxPool;
pub use conv::Conv2D;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use global_pool::{GlobalAvgPool2D, GlobalMaxPool2D};
pub use pool::MaxPool2D;
pub use sequential::Sequential;
