//! The layers.
mod activation;
mod conv;
mod dense;
mod dropout;
mod flatten;
mod pool;
mod sequential;
mod weights;

pub use conv::Conv2D;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use sequential::Sequential;
