//! Lesson 6: a letter learnt in one corner is read anywhere, by a network that shares its filters among all positions. In
//! training, every letter stands in the top left corner of its sheet; in the test, it stands in 81 places.
//!
//!     cargo run --release --example 06_position_invariance     # with seeds 1, 2 and 3, or one of `-- --seed 4`
//!
//! Three networks learn the same sheets: convolutions and global pooling; the same convolutions, but every position of the
//! last maps with weights of its own (`Flatten`); and dense layers alone, with as many parameters as the first. In per cent,
//! with seeds 1, 2 and 3 (on another instruction set the last digits differ):
//!
//! | network | same corner | other places | cut off by the edge |
//! |---|---|---|---|
//! | convolutions, global pooling | 97.5; 97.5; 99.0 | 96.3; 97.1; 99.1 | 86.5; 90.2; 91.1 |
//! | convolutions, flattened | 95.0; 95.5; 95.5 | 9.7; 10.9; 12.1 | 8.7; 11.7; 11.4 |
//! | dense layers | 54.0; 53.0; 56.0 | 8.5; 11.3; 11.1 | 10.2; 10.2; 9.8 |
//!
//! Convolutions alone are not enough: they move with the letter, and what comes after them must not care where.

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/grid.rs"]
mod grid;
#[path = "support/letters.rs"]
mod letters;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/places.rs"]
mod places;
#[path = "support/warp.rs"]
mod warp;

use canvas::Outcome;
use colours::{channel, enlarge, ink, paint};
use letters::{LETTERS, Letters, SHEET};
use ndarray::Array2;
use numbers::{flag, option, thousands};
use places::{CORNER, PLACES};
use striate::train::{Accuracy, Adam, Schedule, SoftmaxCrossEntropy, Trainer};
use striate::{
    Activation, Conv2D, Dense, Flatten, GlobalMaxPool2D, MaxPool2D, Padding, Rng, Sequential, Tensor,
    sequential,
};

const NETWORKS: [&str; 3] = ["convolutions, global pooling", "convolutions, flattened", "dense layers"];

fn network(which: usize) -> Sequential {
    if which == 2 {
        return sequential![
            Flatten::new(),
            Dense::new(18).activation(Activation::Relu),
            Dense::new(LETTERS.len())
        ];
    }
    let conv = |filters| Conv2D::new(filters, 3).padding(Padding::Same).activation(Activation::Relu);
    let mut model: Sequential =
        sequential![conv(16), MaxPool2D::new(2), conv(32), MaxPool2D::new(2), conv(64)];
    match which {
        0 => model.push(GlobalMaxPool2D::new()),
        _ => model.push(Flatten::new()),
    }
    model.with(Dense::new(LETTERS.len()))
}

fn main() -> Outcome {
    let seeds = match option("--seed") {
        Some(seed) => vec![seed.parse()?],
        None if flag("--quick") => vec![1],
        None => vec![1, 2, 3],
    };
    let letters = Letters::new()?;
    println!(
        "sheets of {SHEET}x{SHEET} pixels, {} letters in ten typefaces, turned, resized and noisy",
        LETTERS.len()
    );
    println!("accuracy in %, for sheets that the network has not seen; chance is 10:\n");
    println!(
        "{:<30} {:>10} {:>5} {:>11} {:>13} {:>8}",
        "network", "parameters", "seed", "same corner", "other places", "cut off"
    );
    let mut sums = vec![Array2::<f32>::zeros((PLACES.len(), PLACES.len())); NETWORKS.len()];
    for &seed in &seeds {
        for (which, sum) in sums.iter_mut().enumerate() {
            let accuracy = experiment(&letters, which, seed)?;
            let params = network(which).summary(&[1, SHEET, SHEET, 1])?.params();
            let [corner, others, cut] = places::areas(&accuracy);
            println!(
                "{:<30} {:>10} {seed:>5} {corner:>11.1} {others:>13.1} {cut:>8.1}",
                NETWORKS[which],
                thousands(params)
            );
            *sum += &accuracy;
        }
    }
    println!();
    show_sheets(&letters)?;
    let means: Vec<_> = sums.into_iter().map(|sum| sum / seeds.len() as f32).collect();
    places::heat_maps(&means, NETWORKS, seeds.len())?.save("06_position_invariance")
}

fn in_the_corner(rng: &mut Rng) -> [f64; 2] {
    [0, 1].map(|_| CORNER[0] + (CORNER[1] - CORNER[0]) * rng.uniform())
}

/// Trains a network on letters in the corner, and tests it with letters at every place: the share that it reads.
fn experiment(letters: &Letters, which: usize, seed: u64) -> Outcome<Array2<f32>> {
    let (count, tests) = if flag("--quick") { (500, 10) } else { (6000, 50) };
    // Dense layers take longer to learn, and less time for it.
    let (epochs, rate) = if which == 2 { (40, 2e-3) } else { (2, 3e-3) };
    let rng = &mut Rng::seed(seed);
    let (x, y) = letters.sheets(count, rng, in_the_corner)?;
    let steps = epochs * count.div_ceil(32);
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Schedule::cosine(rate, steps)))
        .epochs(epochs)
        .seed(seed)
        .augment(grain)
        .metric(Accuracy::new());
    let mut model = network(which);
    trainer.fit(&mut model, &x, y)?;

    let mut accuracy = Array2::zeros((PLACES.len(), PLACES.len()));
    for ((row, column), share) in accuracy.indexed_iter_mut() {
        let (x, y) = letters.sheets(tests, rng, |_| [PLACES[row], PLACES[column]])?;
        *share = trainer.evaluate(&model, &x, y)?.get("accuracy").unwrap_or(0.0) as f32;
    }
    Ok(accuracy)
}

/// New noise in every epoch, or dense layers learn the noise by heart.
fn grain(sheets: &mut Tensor, rng: &mut Rng) -> striate::Result<()> {
    sheets.as_mut_slice().iter_mut().for_each(|v| *v += 0.1 * (rng.uniform() - 0.5) as f32);
    Ok(())
}

fn show_sheets(letters: &Letters) -> Outcome {
    let rng = &mut Rng::seed(7);
    let (seen, _) = letters.sheets(5, rng, in_the_corner)?;
    let (tests, _) = letters.sheets(5, rng, |rng| [0, 1].map(|_| 28.0 * (rng.uniform() - 0.5)))?;
    let mut tiles = vec![];
    for (x, first) in [(seen, "training: in the corner"), (tests, "test: anywhere")] {
        for i in 0..5 {
            let caption = if i == 0 { first.to_string() } else { String::new() };
            tiles.push((caption, enlarge(&paint(channel(x.rows(i..i + 1)?.view4()?, 0), ink), 4)));
        }
    }
    gallery::gallery("Letters, in ten typefaces", 5, &tiles)?.save("06_letters")
}
