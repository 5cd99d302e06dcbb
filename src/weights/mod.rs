//! Weights in and out of files (features `safetensors` and `npz`).
//!
//! [`save`] writes the parameters of any [`Layer`], each under its name, such as `"3.kernel"`; [`load`] reads them into
//! a layer that is [built](Layer::build). The end of the file's name decides how it is written; how it is read
//! is seen from its first bytes.
//!
//! | | feature | |
//! |---|---|---|
//! | `.safetensors` | `safetensors` | [Hugging Face's format](https://huggingface.co/docs/safetensors), which PyTorch, Keras and others read |
//! | `.npz`, `.npy` | `npz` | NumPy's [`savez`, `savez_compressed`](https://numpy.org/doc/stable/reference/generated/numpy.savez.html) and [`save`](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html); `.npy` holds one array, here named `arr_0` |
//!
//! ```
//! use striate::{Dense, Layer, Rng, Sequential, Tensor, sequential, weights};
//! # let folder = std::env::temp_dir().join(format!("striate-weights-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("model.safetensors");
//! let mut model: Sequential = sequential![Dense::new(4), Dense::new(2)];
//! model.build(&[1, 3], &mut Rng::seed(1))?;
//! weights::save(&model, &path)?;
//!
//! let mut other: Sequential = sequential![Dense::new(4), Dense::new(2)];
//! other.build(&[1, 3], &mut Rng::seed(2))?;
//! weights::load(&mut other, &path)?;
//! let x = Tensor::full(&[1, 3], 0.5)?;
//! assert_eq!(model.forward(&x)?, other.forward(&x)?);
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Transfer`] exchanges weights with other libraries: other names, PyTorch's layouts, a part of the weights. [`Archive`] reads the
//! tensors of a file one by one. A training run, with all that it needs to go on, is saved by
//! [`Trainer::save`](crate::train::Trainer::save).
//!
//! Numbers are written as the model holds them, `f32` or `f64`, and read from `f16`, `bf16`, `f32` and `f64`.
//! Files are written beside their place and moved there when they are complete: whatever fails, the old file stays. Reading
//! trusts nothing: a file that contradicts itself or ends too early is an [`ErrorKind::File`](crate::ErrorKind::File), and
//! no memory is asked for that the file does not fill.

mod archive;
mod atomic;
mod layout;
#[cfg(feature = "npz")]
mod npy;
#[cfg(feature = "npz")]
mod npz;
mod number;
mod report;
#[cfg(feature = "safetensors")]
mod safetensors;
mod transfer;
mod write;

use std::path::Path;

pub use archive::Archive;
pub use layout::Layout;
pub use report::{Mismatch, Report};
pub use transfer::Transfer;

pub(crate) use transfer::put;
pub(crate) use write::{Item, write};

use crate::{Element, Layer, Result};

/// Writes all parameters of a layer or model, frozen ones included, to a file: Keras' `save_weights`.
///
/// # Errors
/// [`ErrorKind::NotBuilt`](crate::ErrorKind::NotBuilt) if there are none;
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if two have the same name;
/// [`ErrorKind::File`](crate::ErrorKind::File) if the file cannot be written, or its name ends in none of the formats'
/// extensions. An old file then stays as it was.
///
/// ```
/// use striate::{Conv2D, Layer, Rng, weights};
/// # let path = std::env::temp_dir().join(format!("striate-save-{}.npz", std::process::id()));
/// let mut conv: Conv2D = Conv2D::new(8, 3);
/// assert!(weights::save(&conv, &path).is_err());    // there are no weights yet
/// conv.build(&[1, 10, 10, 3], &mut Rng::seed(1))?;
/// weights::save(&conv, &path)?;
/// assert_eq!(weights::Archive::open(&path)?.shape("kernel"), Some(&[3, 3, 3, 8][..]));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save<T: Element>(model: &(impl Layer<T> + ?Sized), path: impl AsRef<Path>) -> Result<()> {
    Transfer::new().save(model, path)
}

/// Reads all parameters of a layer or model that is built from a file that [`save`] wrote: Keras' `load_weights`.
///
/// # Errors
/// As [`Transfer::load`]: the file must hold the parameters of the model, and no others; the model then stays as it was.
///
/// ```
/// use striate::{Conv2D, Layer, Rng, weights};
/// # let path = std::env::temp_dir().join(format!("striate-load-{}.npz", std::process::id()));
/// let (mut conv, mut larger): (Conv2D, Conv2D) = (Conv2D::new(8, 3), Conv2D::new(16, 3));
/// conv.build(&[1, 10, 10, 3], &mut Rng::seed(1))?;
/// larger.build(&[1, 10, 10, 3], &mut Rng::seed(1))?;
/// weights::save(&conv, &path)?;
/// let error = weights::load(&mut larger, &path).unwrap_err().to_string();
/// assert!(error.contains("of another shape: kernel ([3, 3, 3, 16], but [3, 3, 3, 8] in the file)"), "{error}");
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn load<T: Element>(model: &mut (impl Layer<T> + ?Sized), path: impl AsRef<Path>) -> Result<()> {
    Transfer::new().load(model, path).map(drop)
}
