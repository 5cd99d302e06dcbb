//! The guide: one short page a subject, every program of which is compiled and run.
//!
//! | page | answers |
//! |---|---|
//! | [`tensors`] | how do numbers get in and out, and in which order do axes come? |
//! | [`layers`] | how is a network written, and what does it cost? |
//! | [`geometry`] | how large is the output, and where do the zeros go? |
//! | [`training`] | how is it trained, watched, stopped and saved? |
//! | [`custom_layers`] | how do I write a layer of my own, and check its gradient? |
//! | [`threads`] | who computes, and are results the same? |
//! | [`accuracy`] | which algorithm computes a layer, and how exact is it? |
//! | [`performance`] | how do I make it fast? |
//! | [`from_keras`], [`from_pytorch`], [`names`] | what is different from what I know, and what is it called here? |
//! | `weights` (features `safetensors`, `npz`) | how do weights get in and out of files? |
//! | [`faq`] | why does it say that? |
//!
//! The numbered examples of the repository (`cargo run --release --example 01_convolution`, and on to `09_lenet`) are a course
//! on convolutional networks in pictures.

#[doc = include_str!("accuracy.md")]
pub mod accuracy {}
#[doc = include_str!("custom_layers.md")]
pub mod custom_layers {}
#[doc = include_str!("faq.md")]
pub mod faq {}
#[doc = include_str!("from_keras.md")]
pub mod from_keras {}
#[doc = include_str!("from_pytorch.md")]
pub mod from_pytorch {}
#[doc = include_str!("geometry.md")]
pub mod geometry {}
#[doc = include_str!("layers.md")]
pub mod layers {}
#[doc = include_str!("names.md")]
pub mod names {}
#[doc = include_str!("performance.md")]
pub mod performance {}
#[doc = include_str!("tensors.md")]
pub mod tensors {}
#[doc = include_str!("threads.md")]
pub mod threads {}
#[doc = include_str!("training.md")]
pub mod training {}
#[cfg(all(feature = "npz", feature = "safetensors"))]
#[doc = include_str!("weights.md")]
pub mod weights {}
