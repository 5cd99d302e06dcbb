//! Training: losses, optimizers, schedules and the loop.
//!
//! | | |
//! |---|---|
//! | [`Trainer`] | Keras' `compile`, `fit` and `evaluate`; [`predict`] |
//! | [`Loss`] of classes | [`SoftmaxCrossEntropy`], [`BinaryCrossEntropy`] |
//! | [`Loss`] of numbers | [`MeanSquaredError`], [`MeanAbsoluteError`], [`SmoothL1`], [`Huber`] |
//! | [`Optimizer`] | [`Sgd`], [`Adam`], [`AdamW`], [`RmsProp`], [`Adagrad`]; [`Schedule`], [`Clip`], [`Regularizer`] |
//! | [`Metric`] | [`Accuracy`], [`TopK`], [`BinaryAccuracy`] |
//! | [`Callback`], [`Progress`] | [`EarlyStopping`]; [`History`] |
//! | [`augment`] | random flips, crops and translations; normalisation |
//!
//! Losses, optimizers, metrics, callbacks and progress are traits: yours work as these do. So does a loop of your own:
//!
//! ```
//! use striate::{Dense, Layer, Rng, Tape, Tensor};
//! use striate::train::{Loss, MeanSquaredError, Optimizer, Sgd, Targets};
//!
//! let x = Tensor::from(ndarray::array![[1.0], [2.0], [3.0]]);
//! let y: Targets<f64> = x.map(|x| 2.0 * x + 1.0).into();
//! let mut model = Dense::new(1);
//! model.build(x.shape(), &mut Rng::seed(1))?;
//! let (loss, mut optimizer) = (MeanSquaredError::new(), Sgd::new(0.05).momentum(0.9));
//! for _ in 0..200 {
//!     let mut tape = Tape::new();
//!     let predictions = model.forward_train(x.clone(), &mut tape)?;
//!     let (_value, grad) = loss.value_and_grad(&predictions, &y)?;
//!     model.backward_params(grad, &mut tape)?;
//!     let mut params = model.params_mut();
//!     optimizer.step(&mut params)?;
//!     params.iter_mut().for_each(|(_, param)| param.clear_grad());
//! }
//! assert!(loss.forward(&model.forward(&x)?, &y)?.as_slice()[0] < 1e-3);
//! # Ok::<(), striate::Error>(())
//! ```

pub mod augment;
mod callback;
#[cfg(any(feature = "npz", feature = "safetensors"))]
mod checkpoint;
mod clip;
mod data;
mod fit;
mod history;
mod loader;
mod loss;
mod metric;
mod optimizer;
mod regularizer;
mod schedule;
mod target;
#[cfg(test)]
mod tests;
mod trainer;

pub use callback::{Callback, EarlyStopping};
pub use clip::Clip;
pub use fit::predict;
pub use history::{EpochLog, Evaluation, History, Progress, Status};
pub use loss::*;
pub use metric::{Accuracy, BinaryAccuracy, Metric, TopK};
pub use optimizer::*;
pub use regularizer::Regularizer;
pub use schedule::{Custom, Schedule};
pub use target::Targets;
pub use trainer::Trainer;
