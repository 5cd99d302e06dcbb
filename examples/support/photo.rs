//! The two photographs of `examples/data/photos`.
#![allow(dead_code, reason = "not every example uses all of it")]

use std::path::Path;

use image::DynamicImage;
use image::imageops::FilterType;
use striate::Tensor;

use crate::canvas::Outcome;

/// The names of the photographs.
pub const PHOTOS: [&str; 2] = ["china", "flower"];

/// A photograph in colour, so many pixels wide and two thirds of that high.
pub fn photo(name: &str, width: u32) -> Outcome<DynamicImage> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/photos");
    let photo = image::open(folder.join(name).with_extension("jpg"))?;
    Ok(photo.resize_exact(width, width * 2 / 3, FilterType::Triangle))
}

/// The same in shades of grey: a tensor `[1, height, width, 1]` of numbers from 0 (black) to 1 (white).
pub fn grey_photo(name: &str, width: u32) -> Outcome<Tensor> {
    Ok(Tensor::try_from(&photo(name, width)?.grayscale())?)
}
