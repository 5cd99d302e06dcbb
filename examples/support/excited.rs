//! Which pictures excite a map, and where.

use ndarray::{ArrayView4, s};
use striate::{Sequential, Tensor};

use crate::canvas::Outcome;

/// The largest value of a map on every picture, which picture, and where; the largest first.
pub type Excited = Vec<(f32, usize, [usize; 2])>;

/// The outputs of the layers `0..=last`, one after the other.
pub fn outputs(model: &Sequential, x: &Tensor, last: usize) -> Outcome<Vec<Tensor>> {
    let mut outputs: Vec<Tensor> = vec![];
    for layer in model.layers().take(last + 1) {
        outputs.push(layer.forward(outputs.last().unwrap_or(x))?);
    }
    Ok(outputs)
}

/// What excites one of the maps.
pub fn strongest(maps: ArrayView4<'_, f32>, map: usize) -> Excited {
    let mut best: Vec<_> = maps
        .outer_iter()
        .enumerate()
        .filter_map(|(picture, maps)| {
            let map = maps.slice_move(s![.., .., map]);
            let largest = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1));
            largest.map(|((p, q), &value)| (value, picture, [p, q]))
        })
        .collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    best
}

/// The share of the most frequent label.
pub fn purity(best: &[(f32, usize, [usize; 2])], labels: &[usize]) -> f64 {
    let count = |digit| best.iter().filter(|(_, picture, _)| labels[*picture] == digit).count();
    (0..10).map(count).max().unwrap_or(0) as f64 / best.len() as f64
}
