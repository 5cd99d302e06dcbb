//! Enlarges a picture of any size to twice its width and height with a pretrained convolutional network.
//!
//!     cargo run --release --example upscale -- photo.jpg
//!
//! writes `target/upscale/photo_2x.png`.
//!
//!     cargo run --release --example upscale -- --compare photo.jpg other.jpg
//!
//! shrinks each picture to half its size, enlarges it again, says how close that comes to the original, and writes a detail
//! side by side: what was enlarged, bicubic, the network, the original. Without arguments it does so with a bundled
//! photograph; with `--quick` with a small part of it.
//!
//! | shrunk to half and enlarged again | bicubic, PSNR | the network, PSNR |
//! |---|---|---|
//! | `flower.jpg` | 33.9 dB | 36.8 dB |
//! | `china.jpg` | 23.2 dB | 23.1 dB |
//! | scikit-image's `astronaut.png` | 30.4 dB | 33.0 dB |
//! | scikit-image's `coffee.png` | 29.3 dB | 31.0 dB |
//! | scikit-image's `chelsea.png` | 34.1 dB | 34.3 dB |

#[path = "support/upscaler.rs"]
mod upscaler;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use image::imageops::{FilterType, crop_imm, replace, resize};
use image::{Rgb, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};
use upscaler::{TILE, Upscaler};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Only a small part of each picture.
const QUICK: &str = "--quick";

fn main() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("target/upscale");
    std::fs::create_dir_all(&folder)?;
    let upscaler = Upscaler::load(&root.join("examples/data/models/waifu2x-vgg7-2x.safetensors"))?;
    let side = TILE as usize + 14;
    let memory = upscaler.network().summary(&[1, side, side, 3])?.inference_bytes();
    println!("tiles of {TILE}x{TILE}; feature maps: {} MB at most", memory.div_ceil(1_000_000));

    let arguments: Vec<PathBuf> =
        std::env::args_os().skip(1).filter(|argument| argument != QUICK).map(PathBuf::from).collect();
    match &arguments[..] {
        [] => compare(&upscaler, &root.join("examples/data/photos/flower.jpg"), &folder),
        [flag, paths @ ..] if flag.as_os_str() == "--compare" => {
            paths.iter().try_for_each(|path| compare(&upscaler, path, &folder))
        }
        paths => paths.iter().try_for_each(|path| {
            let picture = image::open(path)?.into_rgb8();
            let result = enlarge(&upscaler, &picture)?;
            save(&result, &folder, path, "2x")
        }),
    }
}

/// The picture at twice its size, with a progress bar.
fn enlarge(upscaler: &Upscaler, picture: &RgbImage) -> Outcome<RgbImage> {
    let pixels = 4 * u64::from(picture.width()) * u64::from(picture.height());
    let bar =
        ProgressBar::new(pixels).with_style(ProgressStyle::with_template("{bar:40} {percent} % left {eta}")?);
    let start = Instant::now();
    let result = upscaler.enlarge(picture, |pixels| bar.inc(pixels))?;
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let speed = pixels as f64 / 1e6 / seconds;
    println!("{}x{} in {seconds:.2} s: {speed:.2} megapixels/s", result.width(), result.height());
    Ok(result)
}

/// Shrinks, enlarges in two ways, and compares with the original.
fn compare(upscaler: &Upscaler, path: &Path, folder: &Path) -> Outcome {
    let mut original = image::open(path)?.into_rgb8();
    let (mut width, mut height) = (original.width() & !1, original.height() & !1);
    if std::env::args_os().any(|argument| argument == QUICK) {
        (width, height) = (width.min(160), height.min(120));
    }
    let (left, top) = ((original.width() - width) / 2, (original.height() - height) / 2);
    original = crop_imm(&original, left, top, width, height).to_image();

    let small = halved(&original);
    let ours = enlarge(upscaler, &small)?;
    let bicubic = resize(&small, width, height, FilterType::CatmullRom);
    let name = path.file_name().unwrap_or_default().display();
    let (bicubic_psnr, our_psnr) = (psnr(&bicubic, &original), psnr(&ours, &original));
    println!("{name}: PSNR {our_psnr:.2} dB; bicubic {bicubic_psnr:.2} dB");

    let repeated = resize(&small, width, height, FilterType::Nearest);
    save(&side_by_side(&[&repeated, &bicubic, &ours, &original]), folder, path, "compared")
}

/// Half the size: each pixel the mean of four.
fn halved(picture: &RgbImage) -> RgbImage {
    RgbImage::from_fn(picture.width() / 2, picture.height() / 2, |x, y| {
        let pixels = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| picture.get_pixel(2 * x + i, 2 * y + j));
        Rgb([0, 1, 2].map(|c| ((pixels.iter().map(|pixel| u16::from(pixel[c])).sum::<u16>() + 2) / 4) as u8))
    })
}

/// The peak signal-to-noise ratio, in decibels, over all pixels and colours.
fn psnr(picture: &RgbImage, original: &RgbImage) -> f64 {
    let square = |(&a, &b): (&u8, &u8)| (f64::from(a) - f64::from(b)).powi(2);
    let sum: f64 = picture.as_raw().iter().zip(original.as_raw()).map(square).sum();
    10.0 * (255.0_f64.powi(2) * original.as_raw().len() as f64 / sum).log10()
}

/// The middle of each picture, twice as large, in a row.
fn side_by_side(pictures: &[&RgbImage]) -> RgbImage {
    const SIDE: u32 = 120;
    const GAP: u32 = 4;
    let cells = pictures.len() as u32;
    let mut row = RgbImage::from_pixel(cells * (2 * SIDE + GAP) - GAP, 2 * SIDE, Rgb([255; 3]));
    for (picture, i) in pictures.iter().zip(0..) {
        let (left, top) =
            (picture.width().saturating_sub(SIDE) / 2, picture.height().saturating_sub(SIDE) / 2);
        let detail = crop_imm(*picture, left, top, SIDE, SIDE).to_image();
        let detail = resize(&detail, 2 * detail.width(), 2 * detail.height(), FilterType::Nearest);
        replace(&mut row, &detail, i * i64::from(2 * SIDE + GAP), 0);
    }
    row
}

fn save(picture: &RgbImage, folder: &Path, path: &Path, what: &str) -> Outcome {
    let name = path.file_stem().unwrap_or_default().display();
    let path = folder.join(format!("{name}_{what}.png"));
    picture.save(&path)?;
    println!("  {}", path.display());
    Ok(())
}
