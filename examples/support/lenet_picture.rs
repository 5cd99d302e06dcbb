//! A picture of what LeNet-5's layers make of a digit.

use image::RgbImage;
use ndarray::{Array2, Axis, s};
use striate::{Sequential, Tensor};

use crate::canvas::{Canvas, GREY, LARGE, Outcome, SMALL};
use crate::colours::{channel, enlarge, ink, paint, peak, signed, tile};

/// One digit on its way through the network.
pub fn draw(model: &Sequential, digit: &Tensor, layers: &[(&str, usize, u64)]) -> Outcome<Canvas> {
    let mut canvas = Canvas::new(1000, 400);
    canvas.text((20, 12), LARGE, "A digit on its way through LeNet-5 (red: positive, blue: negative; output: the scores of 0 to 9 from the top)")?;
    let (mut x, mut left, mut last) = (digit.clone(), 20, None);
    let input = enlarge(&paint(channel(digit.view4()?, 0), |v| ink((v + 0.1) / 1.275)), 4);
    let mut columns = vec![("input".to_string(), input)];
    for (place, layer) in model.layers().enumerate() {
        x = layer.forward(&x)?;
        if let Some((name, ..)) = layers.iter().find(|(_, last, _)| *last == place) {
            let (columns_of, times) = match *name {
                "C1" | "S2" => (1, if *name == "C1" { 1 } else { 2 }),
                "C3" | "S4" => (2, if *name == "C3" { 3 } else { 6 }),
                _ => (1, 1),
            };
            let maps: Vec<RgbImage> = match x.view4() {
                Ok(maps) if maps.dim().1 > 1 => maps
                    .index_axis(Axis(0), 0)
                    .axis_iter(Axis(2))
                    .map(|map| enlarge(&paint(map, |v| signed(v / peak(map))), times))
                    .collect(),
                _ => vec![vector(&x, *name == "C5")?],
            };
            columns.push((format!("{name}: {}", x.shape()[x.ndim() - 1]), tile(&maps, columns_of, 3)));
        }
    }
    for (name, picture) in columns {
        if last.is_some() {
            canvas.arrow((left - 34, 220), (left - 8, 220))?;
        }
        let top = 225 - picture.height() as i32 / 2;
        canvas.text((left, 48), SMALL, &name)?;
        canvas.picture((left, top), &picture);
        canvas.frame((left, top), (picture.width() as i32, picture.height() as i32), 1, GREY)?;
        left += picture.width().max(50) as i32 + 42;
        last = Some(name);
    }
    Ok(canvas)
}

/// A vector as a block of squares: C5's 120 in 15 rows, F6's 84 in 12 rows of 7, the ten scores in a column.
fn vector(x: &Tensor, wide: bool) -> Outcome<RgbImage> {
    let values = x.as_slice();
    let columns = if wide { 8 } else { values.len().div_ceil(12).min(7) };
    let block = Array2::from_shape_vec((values.len() / columns, columns), values.to_vec())?;
    let shown = block.slice(s![.., ..]);
    let most = peak(shown);
    Ok(enlarge(&paint(shown, |v| signed(v / most)), 12))
}
