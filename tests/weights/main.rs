//! Weights in and out of files.

mod folder;
mod hostile;
mod numpy;
mod resume;
mod round_trip;
mod upscaler;
