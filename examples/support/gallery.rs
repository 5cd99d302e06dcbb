//! Pictures with captions, in rows.
#![allow(dead_code, reason = "not every example uses all of it")]

use image::RgbImage;

use crate::canvas::{Canvas, GREY, LARGE, Outcome, SMALL, line_height};

const GAP: i32 = 18;

/// The pictures under a title, as many in a row as `columns`; a caption of one or more lines stands over each.
pub fn gallery(title: &str, columns: usize, tiles: &[(String, RgbImage)]) -> Outcome<Canvas> {
    let lines = |tiles: &[(String, RgbImage)]| tiles.iter().map(|(text, _)| text.lines().count()).max();
    let caption = |row: &[(String, RgbImage)]| line_height(SMALL) * lines(row).unwrap_or(0) as i32;
    let tallest = |row: &[(String, RgbImage)]| row.iter().map(|(_, p)| p.height() as i32).max().unwrap_or(0);
    // A column is as wide as its widest picture, or caption.
    let widths: Vec<i32> = (0..columns)
        .map(|column| tiles.iter().skip(column).step_by(columns).map(width).max().unwrap_or(0))
        .collect();
    let top =
        if title.is_empty() { GAP } else { 2 * GAP + line_height(LARGE) * title.lines().count() as i32 };
    let height: i32 = tiles.chunks(columns).map(|row| caption(row) + tallest(row) + GAP).sum();
    let wide = (widths.iter().map(|w| w + GAP).sum::<i32>() + GAP).max(2 * GAP + text_width(title, LARGE));
    let mut canvas = Canvas::new(wide, top + height);
    canvas.text((GAP, GAP), LARGE, title)?;

    let mut y = top;
    for row in tiles.chunks(columns) {
        let mut x = GAP;
        for ((text, picture), width) in row.iter().zip(&widths) {
            canvas.text((x, y), SMALL, text)?;
            let place = (x, y + caption(row));
            canvas.picture(place, picture);
            canvas.frame(place, (picture.width() as i32, picture.height() as i32), 1, GREY)?;
            x += width + GAP;
        }
        y += caption(row) + tallest(row) + GAP;
    }
    Ok(canvas)
}

fn width((text, picture): &(String, RgbImage)) -> i32 {
    text_width(text, SMALL).max(picture.width() as i32)
}

/// About as wide as the widest line, for letters of a usual width.
fn text_width(text: &str, height: i32) -> i32 {
    let letters = text.lines().map(|line| line.chars().count()).max().unwrap_or(0) as i32;
    letters * height * 53 / 100
}
