//! The layers.
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
