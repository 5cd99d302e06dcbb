//! Pictures shifted, turned and resized.
#![allow(dead_code, reason = "not every example uses all of it")]

use striate::Tensor;

use crate::canvas::Outcome;

/// A change of place, about the middle of the picture.
#[derive(Clone, Copy)]
pub struct Warp {
    pub right: f64,
    pub down: f64,
    /// Clockwise.
    pub degrees: f64,
    pub scale: f64,
}

impl Default for Warp {
    fn default() -> Self {
        Warp { right: 0.0, down: 0.0, degrees: 0.0, scale: 1.0 }
    }
}

/// Grey pictures `[batch, height, width, 1]`, all changed alike; what comes in from outside is 0.
pub fn warp(pictures: &Tensor, change: &Warp) -> Outcome<Tensor> {
    let &[_, height, width, 1] = pictures.shape() else { return Err("grey pictures are expected".into()) };
    let mut changed = Tensor::zeros(pictures.shape())?;
    let pixels = height * width;
    for (to, from) in
        changed.as_mut_slice().chunks_exact_mut(pixels).zip(pictures.as_slice().chunks_exact(pixels))
    {
        copy(from, (height, width), to, (height, width), change);
    }
    Ok(changed)
}

/// Draws a picture on another, middle on middle, then changed; between pixels it goes evenly from one to the next.
pub fn copy(
    from: &[f32],
    (h, w): (usize, usize),
    to: &mut [f32],
    (height, width): (usize, usize),
    change: &Warp,
) {
    let (sin, cos) = change.degrees.to_radians().sin_cos();
    let middle = |size: usize| (size as f64 - 1.0) / 2.0;
    for (place, pixel) in to.iter_mut().enumerate() {
        // Where this pixel came from.
        let y = (place / width) as f64 - middle(height) - change.down;
        let x = (place % width) as f64 - middle(width) - change.right;
        let row = (-sin * x + cos * y) / change.scale + middle(h);
        let column = (cos * x + sin * y) / change.scale + middle(w);
        *pixel += between(from, (h, w), row, column);
    }
}

fn between(picture: &[f32], (height, width): (usize, usize), row: f64, column: f64) -> f32 {
    let at = |row: f64, column: f64| {
        let inside = row >= 0.0 && column >= 0.0 && row < height as f64 && column < width as f64;
        if inside { picture[row as usize * width + column as usize] } else { 0.0 }
    };
    let (top, left) = (row.floor(), column.floor());
    let (down, right) = ((row - top) as f32, (column - left) as f32);
    let upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
    let lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
    upper * (1.0 - down) + lower * down
}
