//! Filters for lines at any number of angles.

use ndarray::Array4;
use striate::{Padding, Tensor, Window2d, ops};

use crate::canvas::Outcome;

/// The sides of the filters.
const SIZE: usize = 9;

/// What `count` filters for bars at angles from 0 (upright) to below 180 degrees find in grey pictures: maps
/// `[batch, height, width, count]` without negative values.
pub fn line_maps(x: &Tensor, count: usize) -> Outcome<Tensor> {
    let mut kernel = Array4::zeros((SIZE, SIZE, 1, count));
    for (f, mut filter) in kernel.axis_iter_mut(ndarray::Axis(3)).enumerate() {
        let (sin, cos) = (std::f64::consts::PI * f as f64 / count as f64).sin_cos();
        let middle = (SIZE as f64 - 1.0) / 2.0;
        // A round filter is the same at every angle; corners would make some angles stronger.
        let places = filter.indexed_iter_mut().map(|((i, j, _), weight)| {
            let (y, x) = (i as f64 - middle, j as f64 - middle);
            (y.hypot(x) <= middle, x * cos + y * sin, weight)
        });
        // High along a line through the middle, and as much taken away elsewhere.
        let inside = places.filter(|(inside, ..)| *inside);
        let mut places: Vec<(f64, &mut f32)> =
            inside.map(|(_, distance, weight)| ((-0.5 * distance.powi(2)).exp(), weight)).collect();
        let mean = places.iter().map(|(value, _)| value).sum::<f64>() / places.len() as f64;
        let length = places.iter().map(|(value, _)| (value - mean).powi(2)).sum::<f64>().sqrt();
        places.iter_mut().for_each(|(value, weight)| **weight = ((*value - mean) / length) as f32);
    }
    let geometry = Window2d::new(SIZE).padding(Padding::Same).conv(x.shape(), kernel.shape())?;
    Ok(Tensor::from(ops::conv2d(x.view4()?, kernel.view(), None, &geometry)?).map(|v| v.max(0.0)))
}
