//! Numbers as colours.
#![allow(dead_code, reason = "not every example uses all of it")]

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use ndarray::{ArrayView2, ArrayView4, s};

/// 0 black, 1 white.
pub fn grey(value: f32) -> [u8; 3] {
    [(255.0 * value).round() as u8; 3]
}

/// 0 white, 1 black: ink on paper.
pub fn ink(value: f32) -> [u8; 3] {
    grey(1.0 - value.clamp(0.0, 1.0))
}

/// -1 blue, 0 white, 1 red.
pub fn signed(value: f32) -> [u8; 3] {
    let end = if value < 0.0 { [31.0, 102.0, 178.0] } else { [204.0, 51.0, 43.0] };
    end.map(|channel: f32| (255.0 + (channel - 255.0) * value.abs().min(1.0)).round() as u8)
}

/// 0 dark blue, then green, 1 yellow; told apart by people who are colour-blind, too.
pub fn heat(value: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 5] = [
        [68.0, 1.0, 84.0],
        [59.0, 82.0, 139.0],
        [33.0, 145.0, 140.0],
        [94.0, 201.0, 98.0],
        [253.0, 231.0, 37.0],
    ];
    let place = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let (low, share) = ((place as usize).min(STOPS.len() - 2), place.fract());
    let share = if place >= (STOPS.len() - 1) as f32 { 1.0 } else { share };
    std::array::from_fn(|c| (STOPS[low][c] + share * (STOPS[low + 1][c] - STOPS[low][c])).round() as u8)
}

/// A map as a picture.
pub fn paint(map: ArrayView2<'_, f32>, colour: impl Fn(f32) -> [u8; 3]) -> RgbImage {
    let (height, width) = map.dim();
    RgbImage::from_fn(width as u32, height as u32, |x, y| Rgb(colour(map[[y as usize, x as usize]])))
}

/// One channel of the first entry of feature maps.
pub fn channel(maps: ArrayView4<'_, f32>, channel: usize) -> ArrayView2<'_, f32> {
    maps.slice_move(s![0, .., .., channel])
}

/// What to divide a map by, so that what is clearly found is near 1: three times the root of the mean square.
pub fn scale(map: ArrayView2<'_, f32>) -> f32 {
    let mean = map.iter().map(|v| v * v).sum::<f32>() / map.len().max(1) as f32;
    3.0 * mean.sqrt().max(1e-9)
}

/// The largest number without its sign.
pub fn peak(map: ArrayView2<'_, f32>) -> f32 {
    map.iter().fold(1e-9, |peak, v| v.abs().max(peak))
}

/// Every pixel as a square of `times` by `times`.
pub fn enlarge(picture: &RgbImage, times: u32) -> RgbImage {
    resize(picture, picture.width() * times, picture.height() * times, FilterType::Nearest)
}

/// The colours from one number to another, as a bar.
pub fn bar(from: f32, to: f32, colour: impl Fn(f32) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(120, 16, |x, _| Rgb(colour(from + (to - from) * x as f32 / 119.0)))
}

/// Pictures of one size side by side, `columns` in a row, with a grey gap between them.
pub fn tile(pictures: &[RgbImage], columns: usize, gap: u32) -> RgbImage {
    let (width, height) = pictures.first().map_or((1, 1), RgbImage::dimensions);
    let rows = pictures.len().div_ceil(columns) as u32;
    let columns = columns as u32;
    let size = (columns * (width + gap) - gap, rows * (height + gap) - gap);
    let mut sheet = RgbImage::from_pixel(size.0, size.1, Rgb([190; 3]));
    for (picture, i) in pictures.iter().zip(0..) {
        let place = (i % columns * (width + gap), i / columns * (height + gap));
        image::imageops::replace(&mut sheet, picture, place.0.into(), place.1.into());
    }
    sheet
}

/// Draws the outline of a window `[top, left, height, width]` into an enlarged picture.
pub fn outline(picture: &mut RgbImage, window: [usize; 4], times: u32, colour: [u8; 3]) {
    let [top, left, height, width] = window.map(|n| n as u32 * times);
    let (bottom, right) = ((top + height).min(picture.height()), (left + width).min(picture.width()));
    for y in top..bottom {
        for x in left..right {
            let edge = y < top + 2 || y + 2 >= bottom || x < left + 2 || x + 2 >= right;
            if edge {
                picture.put_pixel(x, y, Rgb(colour));
            }
        }
    }
}
