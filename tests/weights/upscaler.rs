//! A pretrained network, loaded from PyTorch's layout, gives ONNX Runtime's numbers; tiles give the whole picture.

#[path = "../../examples/support/upscaler.rs"]
mod example;

use std::path::Path;

use example::{TILE, Upscaler};
use striate::weights::Archive;
use striate::{Layer, Tensor};

fn upscaler() -> Upscaler {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    Upscaler::load(&root.join("examples/data/models/waifu2x-vgg7-2x.safetensors")).unwrap()
}

#[test]
fn it_gives_the_numbers_of_onnx_runtime() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/waifu2x-vgg7-2x.golden.safetensors");
    let mut golden = Archive::open(golden).unwrap();
    let (x, y): (Tensor, Tensor) = (golden.read("x").unwrap(), golden.read("y").unwrap());
    let got = upscaler().network().forward(&x).unwrap();
    assert_eq!(got.shape(), y.shape());
    let worst = got.as_slice().iter().zip(y.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("the largest difference is {worst:e}");
    assert!(worst <= 2e-5, "{worst:e}");

    // The same from the small picture, which the example enlarges and continues beyond its edges itself.
    let small = golden.read::<f32>("small").unwrap().reshape(&[1, 40, 48, 3]).unwrap();
    let small = small.to_image(0).unwrap().into_rgb8();
    let large = upscaler().enlarge(&small, |_| {}).unwrap();
    assert!(differences(&large, &y.to_image(0).unwrap().into_rgb8()) <= 1);
}

#[test]
fn tiles_join_without_seams() {
    let (width, height) = (TILE / 2 + 3, TILE / 2 + 20);
    let picture =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let upscaler = upscaler();
    let mut tiles = Vec::new();
    let large = upscaler.enlarge(&picture, |pixels| tiles.push(pixels)).unwrap();
    assert_eq!((large.width(), large.height()), (2 * width, 2 * height));
    assert_eq!((tiles.len(), tiles.iter().sum::<u64>()), (4, u64::from(4 * width * height)));

    let at = |i: u32, size: u32| i.saturating_sub(7).min(2 * size - 1) / 2;
    let x = image::RgbImage::from_fn(2 * width + 14, 2 * height + 14, |x, y| {
        *picture.get_pixel(at(x, width), at(y, height))
    });
    let whole = upscaler.network().forward(&Tensor::try_from(&x).unwrap()).unwrap();
    assert!(differences(&large, &whole.to_image(0).unwrap().into_rgb8()) <= 1);
}

/// The largest difference of a colour.
fn differences(a: &image::RgbImage, b: &image::RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}
