//! The layers, each a thin shell over an operation of [`ops`](crate::ops).
//!
//! | layer | what it does | Keras | PyTorch |
//! |---|---|---|---|
//! | [`Conv2D`] | convolution, with groups and dilation | `Conv2D` | `Conv2d` |
//! | [`MaxPool2D`], [`AvgPool2D`] | pooling over windows | `MaxPooling2D`, `AveragePooling2D` | `MaxPool2d`, `AvgPool2d` |
//! | [`GlobalMaxPool2D`], [`GlobalAvgPool2D`] | pooling over whole maps | `GlobalMaxPooling2D`, `GlobalAveragePooling2D` | `AdaptiveMaxPool2d(1)`, `AdaptiveAvgPool2d(1)` |
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
