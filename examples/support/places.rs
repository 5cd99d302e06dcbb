//! Accuracy by place on a sheet, one square for each place.

use ndarray::Array2;

use crate::canvas::{Canvas, INK, LARGE, Outcome, RED, SMALL};
use crate::colours::heat;
use crate::grid::grid;

/// How far from the middle of the sheet letters stand in the test, downwards and to the right; beyond 11 a part of them is cut
/// off. In training both are between the first two of `CORNER`.
pub const PLACES: [f64; 9] = [-14.0, -10.5, -7.0, -3.5, 0.0, 3.5, 7.0, 10.5, 14.0];
pub const CORNER: [f64; 2] = [-11.0, -7.0];

/// The mean accuracy, in per cent, where letters stood in training, at the other places, and where the edge cuts them off.
pub fn areas(accuracy: &Array2<f32>) -> [f32; 3] {
    let mut sums = [(0.0, 0.0); 3];
    for ((row, column), share) in accuracy.indexed_iter() {
        let place = [PLACES[row], PLACES[column]];
        let cut = place.iter().any(|p| p.abs() > 11.0);
        let corner = place.iter().all(|p| (CORNER[0]..=CORNER[1]).contains(p));
        let (sum, count) = &mut sums[if cut { 2 } else { usize::from(!corner) }];
        (*sum, *count) = (*sum + 100.0 * share, *count + 1.0);
    }
    sums.map(|(sum, count): (f32, f32)| sum / count)
}

/// The networks' accuracies side by side, under their names; where all letters stood in training is framed.
pub fn heat_maps(accuracy: &[Array2<f32>], names: [&str; 3], seeds: usize) -> Outcome<Canvas> {
    const CELL: i32 = 32;
    let mut canvas = Canvas::new(1000, 400);
    canvas.text((20, 12), LARGE, "Letters seen only in the top left corner: who reads them elsewhere?")?;
    for ((accuracy, name), x) in accuracy.iter().zip(names).zip([20, 350, 680]) {
        canvas.text((x, 52), SMALL, name)?;
        let percent = |share: f32| format!("{:.0}", 100.0 * share);
        grid(&mut canvas, (x, 78), CELL, accuracy.view(), heat, percent)?;
        canvas.frame((x + CELL, 78 + CELL), (2 * CELL - 1, 2 * CELL - 1), 3, RED)?;
    }
    let note = format!(
        "per cent read right by place on the sheet, mean of {seeds} seed(s); chance is 10; red: the corner of training; outer ring: letters partly cut off"
    );
    canvas.coloured((20, 374), SMALL, &note, INK)?;
    Ok(canvas)
}
