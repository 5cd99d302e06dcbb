//! Convolutional neural networks on the CPU, in pure Rust, on top of [`ndarray`].
#![deny(missing_docs, unsafe_code)]
#![warn(rust_2018_idioms)]

mod element;
mod error;
mod geometry;
mod init;
mod kernels;
mod layer;
pub mod layers;
pub mod ops;
#[cfg(feature = "image")]
mod picture;
mod rng;
mod summary;
mod tensor;
#[cfg(feature = "serde")]
mod tensor_serde;
pub mod train;

pub use element::Element;
pub use error::{Error, ErrorKind, Result};
pub use geometry::{Axis, Geometry2d, Padding, Size2d, Window2d};
pub use init::Initializer;
pub use kernels::simd::{Isa, force_isa, isa};
pub use layer::{Layer, Name, Param, Saved, Tape};
pub use layers::{
    AvgPool2D, ChannelMaxPool, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, GlobalMaxPool2D, MaxPool2D,
    Sequential,
};
pub use ops::Activation;
pub use rng::Rng;
pub use summary::{Cost, Reach, Row, Summary};
pub use tensor::Tensor;
