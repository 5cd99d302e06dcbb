//! A small array drawn as a grid of numbers.
#![allow(dead_code, reason = "not every example uses all of it")]

use ndarray::ArrayView2;

use crate::canvas::{Canvas, GREY, HPos, INK, Outcome};

/// The values of a grid as coloured squares of `cell` pixels, with their numbers where `label` gives any.
pub fn grid(
    canvas: &mut Canvas,
    (x, y): (i32, i32),
    cell: i32,
    values: ArrayView2<'_, f32>,
    colour: impl Fn(f32) -> [u8; 3],
    label: impl Fn(f32) -> String,
) -> Outcome {
    for ((row, column), &value) in values.indexed_iter() {
        let place = (x + cell * column as i32, y + cell * row as i32);
        let shade = colour(value);
        canvas.fill(place, (cell - 1, cell - 1), shade)?;
        canvas.frame(place, (cell - 1, cell - 1), 1, GREY)?;
        let dark = shade.iter().map(|&c| u32::from(c)).sum::<u32>() < 380;
        let height = (cell / 3).clamp(11, 16);
        let place = (place.0 + cell / 2, place.1 + (cell - height) / 2 - 1);
        canvas.write(place, height, &label(value), (HPos::Center, if dark { [255; 3] } else { INK }))?;
    }
    Ok(())
}
