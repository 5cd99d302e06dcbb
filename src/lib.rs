//! Convolutional neural networks on the CPU, in pure Rust, on top of [`ndarray`]: tensors, convolution and pooling
//! layers, training; Keras' words, and Keras' and PyTorch's numbers.
//!
//! # The tour
//!
//! A [`Tensor`] is an ndarray array in row-major order. Pictures are channels-last, `[batch, height, width, channels]`:
//!
//! ```
//! use ndarray::Array4;
//! use striate::Tensor;
//! let pictures = Tensor::from(Array4::<f32>::zeros((4, 28, 28, 1)));    // moved in; `into_array()` moves it out
//! assert_eq!(pictures.shape(), [4, 28, 28, 1]);
//! ```
//!
//! A [`Layer`] makes its weights when it learns the input's shape, and then computes:
//!
//! ```
//! use striate::{Activation, Conv2D, Layer, Padding, Rng, Tensor};
//! let mut conv = Conv2D::new(32, 3).padding(Padding::Same).activation(Activation::Relu);
//! conv.build(&[1, 28, 28, 1], &mut Rng::seed(42))?;
//! let maps = conv.forward(&Tensor::<f32>::zeros(&[4, 28, 28, 1])?)?;
//! assert_eq!(maps.shape(), [4, 28, 28, 32]);
//! # Ok::<(), striate::Error>(())
//! ```
//!
//! Layers in a row are a [`Sequential`], a layer itself. Its [`summary`](Sequential::summary) says what it costs:
//!
//! ```
//! use striate::{Activation, Conv2D, Dense, Flatten, MaxPool2D, Sequential, sequential};
//! let model: Sequential = sequential![
//!     Conv2D::new(8, 3).activation(Activation::Relu),
//!     MaxPool2D::new(2),
//!     Flatten::new(),
//!     Dense::new(10),
//! ];
//! let summary = model.summary(&[1, 28, 28, 1])?;
//! assert_eq!(summary.params(), (3 * 3 * 1 + 1) * 8 + (13 * 13 * 8 + 1) * 10);
//! println!("{summary}");
//! # Ok::<(), striate::Error>(())
//! ```
//!
//! A [`Trainer`](train::Trainer) trains it, and shows how it goes:
//!
//! ```
//! use striate::train::{Accuracy, Adam, SoftmaxCrossEntropy, Trainer};
//! use striate::{Dense, Sequential, Tensor, sequential};
//! let x = Tensor::from(ndarray::array![[0.0, 1.0], [1.0, 0.0], [0.2, 0.9], [0.8, 0.1]]);
//! let mut model: Sequential = sequential![Dense::new(2)];
//! let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.1)).epochs(20).metric(Accuracy::new());
//! let history = trainer.fit(&mut model, &x, [1, 0, 1, 0])?;
//! assert_eq!(history.get("accuracy").last(), Some(&1.0));
//! # Ok::<(), striate::Error>(())
//! ```
//!
//! # What is where
//!
//! | | |
//! |---|---|
//! | [`guide`] | a page each on tensors, layers, geometry, training, speed; for people from Keras and PyTorch; questions |
//! | [`Tensor`], [`Element`] | arrays of `f32` or `f64` |
//! | [`Layer`], [`Param`], [`Tape`] | what a layer is; write your own |
//! | [`layers`] | convolution, pooling, dense, dropout, containers; [`Activation`], [`Initializer`] |
//! | [`models`] | LeNet-5, VGG, ResNet, MobileNet, SqueezeNet |
//! | [`ops`] | the same as plain functions on ndarray views |
//! | [`Window2d`], [`Geometry2d`], [`Padding`] | the arithmetic of sizes, strides, dilation and padding |
//! | [`train`] | losses, optimizers, schedules, metrics, the loop |
//! | `weights` (with a feature below) | safetensors and NumPy files; other libraries' names and layouts |
//! | [`Summary`] | parameters, multiplications, memory, receptive fields |
//! | [`Error`] | what can go wrong: every mistake is an `Err` that says the operation, what it expected and what it got |
//! | [`Rng`] | seeds: the same seed gives the same weights, and the same training run whatever the number of threads |
//! | [`cpu()`], [`Isa`], [`isa()`], [`force_isa`] | which instructions, vectors and threads the kernels use |
//!
//! # Threads
//!
//! Kernels run on the current [rayon] pool: the global one, or that of `ThreadPool::install`. Small work stays on the
//! calling thread. Results are bit-identical for any number of threads. Inference takes `&self`: share one model.
//!
//! # Features
//!
//! | feature | gives |
//! |---|---|
//! | `image` | `Tensor::try_from(&picture)` and [`Tensor::to_image`](Tensor), for pictures of the `image` crate |
//! | `npz` | `weights`: parameters and training runs in `.npz` and `.npy` files |
//! | `safetensors` | `weights`: parameters and training runs in `.safetensors` files |
//! | `serde` | `Serialize` and `Deserialize` for [`Tensor`] |
#![deny(missing_docs, unsafe_code)]
#![warn(rust_2018_idioms)]

mod accuracy;
mod cpu;
mod element;
mod error;
mod geometry;
pub mod guide;
mod init;
mod kernels;
mod layer;
pub mod layers;
mod memory;
pub mod models;
pub mod ops;
#[cfg(feature = "image")]
mod picture;
mod rng;
mod summary;
mod tensor;
#[cfg(feature = "serde")]
mod tensor_serde;
pub mod train;
#[cfg(any(feature = "npz", feature = "safetensors"))]
pub mod weights;

pub use accuracy::Accuracy;
pub use cpu::{Cpu, cpu};
pub use element::Element;
pub use error::{Error, ErrorKind, Result};
pub use geometry::{Geometry2d, PadMode, Padding, Padding3d, Size2d, Size3d, Window2d, Window3d, WindowAxis};
pub use init::Initializer;
pub use kernels::plan::{Algorithm, Plan};
pub use kernels::simd::{Isa, force_isa, isa};
pub use layer::{Layer, Name, Param, Saved, Step, Tape};
pub use layers::{
    AdaptiveAvgPool1D, AdaptiveAvgPool2D, AdaptiveMaxPool1D, AdaptiveMaxPool2D, AvgPool1D, AvgPool2D,
    AvgPool3D, BatchNorm, ChannelMaxPool, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D,
    Conv3DTranspose, Crop2D, Dense, DepthToSpace, DepthwiseConv2D, Dropout, Flatten, GlobalAvgPool1D,
    GlobalAvgPool2D, GlobalAvgPool3D, GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D, GroupNorm,
    InstanceNorm, Join, LayerNorm, LocalResponseNorm, LpPool1D, LpPool2D, MaxPool1D, MaxPool2D, MaxPool3D,
    PReLU, Pad2D, Parallel, Remat, Residual, RunningVariance, SeparableConv2D, Sequential, SpaceToDepth,
    SpatialDropout, UpSample2D, ZeroPad2D,
};
pub use ops::{Activation, BlockOrder, Interpolation};
pub use rng::Rng;
pub use summary::{Cost, Reach, Row, Summary};
pub use tensor::Tensor;

/// Compiles and runs the README's programs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
