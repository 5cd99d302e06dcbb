//! Trains a small convolutional network on real handwritten digits, tests it on 2,000 others, and shows some that it
//! gets wrong.
//!
//!     cargo run --release --example digits
//!
//! With `-- --quick` it trains for one epoch on a part of the digits, with `-- --seed 2` from other weights.

#[path = "support/mnist.rs"]
mod mnist;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/progress.rs"]
mod progress;

use std::error::Error;
use std::time::Instant;

use mnist::Digits;
use numbers::{flag, option};
use progress::Bar;
use striate::sequential;
use striate::train::{Accuracy, Adam, Schedule, SoftmaxCrossEntropy, Trainer};
use striate::{
    Activation, Conv2D, Dense, Dropout, Flatten, Layer, MaxPool2D, Padding, Rng, Sequential, Tensor,
};

const EPOCHS: usize = 22;
const BATCH: usize = 64;

fn main() -> Result<(), Box<dyn Error>> {
    let small = flag("--quick");
    let seed = option("--seed").map_or(Ok(1), |seed| seed.parse())?;
    let start = Instant::now();
    let mut training = mnist::train()?;
    let test = mnist::test()?;
    if small {
        training.images = training.images.rows(0..2_000)?;
        training.labels.truncate(2_000);
    }
    let epochs = if small { 1 } else { EPOCHS };

    let mut model: Sequential = sequential![
        Conv2D::new(32, 3).padding(Padding::Same).activation(Activation::Relu),
        MaxPool2D::new(2),
        Conv2D::new(64, 3).padding(Padding::Same).activation(Activation::Relu),
        MaxPool2D::new(2),
        Flatten::new(),
        Dense::new(128).activation(Activation::Relu),
        Dropout::new(0.25),
        Dense::new(10),
    ];
    println!("{}", model.summary(&[1, 28, 28, 1])?.batch(BATCH));

    let steps = epochs * training.labels.len().div_ceil(BATCH);
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Schedule::cosine(2e-3, steps)))
        .epochs(epochs)
        .batch_size(BATCH)
        .seed(seed)
        .metric(Accuracy::new())
        .augment(vary)
        .progress(Bar::default());
    trainer.fit(&mut model, &training.images, training.labels)?;

    let result = trainer.evaluate(&model, &test.images, test.labels.clone())?;
    println!(
        "test accuracy {:.2} % on {} digits, after {:.1} s",
        100.0 * result.get("accuracy").unwrap_or(0.0),
        test.labels.len(),
        start.elapsed().as_secs_f64()
    );
    show_mistakes(&model, &test)
}

/// Moves every picture of a batch by up to two pixels and slants it a little, so that the network sees each digit in
/// many places and handwritings.
fn vary(batch: &mut Tensor, rng: &mut Rng) -> striate::Result<()> {
    const REACH: f64 = 2.0;
    const SLANT: f64 = 0.25;
    let (_, height, width, _) = batch.view4()?.dim();
    let mut moved = vec![0.0; height * width];
    for picture in batch.as_mut_slice().chunks_exact_mut(height * width) {
        let mut between = |limit: f64| limit * (2.0 * rng.uniform() - 1.0);
        let (down, right, slant) = (between(REACH + 0.5), between(REACH + 0.5), between(SLANT));
        moved.fill(0.0);
        for (row, line) in moved.chunks_exact_mut(width).enumerate() {
            let Some(from_row) = row.checked_add_signed(-down.round() as isize).filter(|&r| r < height)
            else {
                continue;
            };
            let shift = (right + slant * (row as f64 - height as f64 / 2.0)).round() as isize;
            for (col, pixel) in line.iter_mut().enumerate() {
                if let Some(from) = col.checked_add_signed(-shift).filter(|&c| c < width) {
                    *pixel = picture[from_row * width + from];
                }
            }
        }
        picture.copy_from_slice(&moved);
    }
    Ok(())
}

/// Prints the first few digits that the model takes for others, side by side.
fn show_mistakes(model: &Sequential, digits: &Digits) -> Result<(), Box<dyn Error>> {
    const SHOWN: usize = 4;
    let predictions = model.forward(&digits.images)?;
    let guesses = predictions.as_slice().chunks_exact(10).map(|scores| {
        scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(digit, _)| digit)
    });
    let wrong = guesses.zip(&digits.labels).enumerate().filter(|(_, (guess, label))| guess != *label);
    let wrong: Vec<_> = wrong.map(|(index, (guess, label))| (index, guess, *label)).collect();
    println!("{} wrong; the first of them:", wrong.len());

    let shown = &wrong[..wrong.len().min(SHOWN)];
    let captions =
        shown.iter().map(|(_, guess, label)| format!("{:<28}", format!("a {label} taken for a {guess}")));
    println!("{}", captions.collect::<Vec<_>>().join("   "));
    let pictures = shown.iter().map(|&(index, ..)| digits.images.rows(index..index + 1));
    let pictures = pictures.collect::<striate::Result<Vec<_>>>()?;
    for row in 0..14 {
        let lines = pictures.iter().map(|picture| text_line(picture.as_slice(), row));
        println!("{}", lines.collect::<Vec<_>>().join("   "));
    }
    Ok(())
}

/// Two rows of a 28x28 picture as one line of text, the darker the more ink.
fn text_line(picture: &[f32], row: usize) -> String {
    let ink = |col: usize| (picture[2 * row * 28 + col] + picture[(2 * row + 1) * 28 + col]) / 2.0;
    (0..28).map(|col| [' ', '.', ':', 'o', '#', '@'][(ink(col) * 5.0).round() as usize]).collect()
}
