//! Pictures of letters in ten typefaces, turned, resized and noisy, at any place of a sheet.

use image::RgbImage;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};
use striate::{Rng, Tensor};

use crate::canvas::Outcome;
use crate::warp::{Warp, copy};

/// The letters; a label is a place in this list.
pub const LETTERS: [char; 10] = ['A', 'B', 'E', 'G', 'H', 'K', 'N', 'R', 'S', 'T'];
/// The side of a sheet, in pixels.
pub const SHEET: usize = 36;
/// About the height of a letter.
pub const LETTER: f64 = 13.0;

/// The side of a letter's own picture, and the height of the type in it.
const GLYPH: usize = 32;
const TYPE: f64 = 26.0;

/// Every letter in every typeface, as ink on a square.
pub struct Letters(Vec<Vec<Vec<f32>>>);

impl Letters {
    pub fn new() -> Outcome<Self> {
        let faces: [&'static [u8]; 10] = [
            dejavu::sans::regular(),
            dejavu::sans::bold(),
            dejavu::sans::extra_light(),
            dejavu::sans::oblique(),
            dejavu::sans_condensed::bold(),
            dejavu::sans_mono::regular(),
            dejavu::sans_mono::bold_oblique(),
            dejavu::serif::regular(),
            dejavu::serif::bold(),
            dejavu::serif_condensed::italic(),
        ];
        let names: Vec<String> = (0..faces.len()).map(|face| format!("letters {face}")).collect();
        for (name, face) in names.iter().zip(faces) {
            register_font(name, FontStyle::Normal, face).map_err(|_| "a typeface that cannot be read")?;
        }
        let glyphs = LETTERS.map(|letter| names.iter().map(|name| draw(letter, name)).collect());
        Ok(Letters(glyphs.into_iter().collect::<Outcome<_>>()?))
    }

    /// `count` sheets `[count, SHEET, SHEET, 1]` with a random letter each, and which. `place` says how far from the middle
    /// of the sheet the letter's middle is, `[down, right]`.
    pub fn sheets(
        &self,
        count: usize,
        rng: &mut Rng,
        mut place: impl FnMut(&mut Rng) -> [f64; 2],
    ) -> Outcome<(Tensor, Vec<usize>)> {
        let mut sheets = Tensor::zeros(&[count, SHEET, SHEET, 1])?;
        let mut labels = vec![];
        for sheet in sheets.as_mut_slice().chunks_exact_mut(SHEET * SHEET) {
            let label = rng.below(LETTERS.len());
            let glyph = &self.0[label][rng.below(self.0[label].len())];
            let [down, right] = place(rng);
            let degrees = 20.0 * (rng.uniform() - 0.5);
            let scale = LETTER / TYPE * (0.9 + 0.2 * rng.uniform());
            copy(glyph, (GLYPH, GLYPH), sheet, (SHEET, SHEET), &Warp { right, down, degrees, scale });
            let ink = (0.7 + 0.3 * rng.uniform()) as f32;
            sheet.iter_mut().for_each(|pixel| *pixel = *pixel * ink + 0.05 * rng.normal() as f32);
            labels.push(label);
        }
        Ok((sheets, labels))
    }
}

/// A letter with the middle of its ink in the middle of the square.
fn draw(letter: char, face: &str) -> Outcome<Vec<f32>> {
    let first = draw_at(letter, face, 0)?;
    let rows: Vec<usize> = first
        .chunks(GLYPH)
        .enumerate()
        .filter(|(_, row)| row.iter().any(|&v| v > 0.5))
        .map(|(i, _)| i)
        .collect();
    let middle = rows.first().zip(rows.last()).map_or(GLYPH, |(first, last)| first + last);
    draw_at(letter, face, (GLYPH as i32 - middle as i32) / 2)
}

fn draw_at(letter: char, face: &str, down: i32) -> Outcome<Vec<f32>> {
    let side = GLYPH as u32;
    let mut pixels = vec![0; 3 * GLYPH * GLYPH];
    let area = BitMapBackend::with_buffer(&mut pixels, (side, side)).into_drawing_area();
    let style = TextStyle::from((face, TYPE)).pos(Pos::new(HPos::Center, VPos::Center)).color(&WHITE);
    area.draw(&Text::new(letter.to_string(), (side as i32 / 2, side as i32 / 2 + down), style))?;
    drop(area);
    let picture = RgbImage::from_raw(side, side, pixels).ok_or("a buffer of the picture's size")?;
    Ok(picture.pixels().map(|pixel| f32::from(pixel[0]) / 255.0).collect())
}
