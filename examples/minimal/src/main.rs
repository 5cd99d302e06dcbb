//! Trains a tiny convolutional network to tell upright lines from lying ones. Put your own pictures in place of `lines`.

use ndarray::{Array4, s};
use striate::train::{Accuracy, Adam, SoftmaxCrossEntropy, Trainer};
use striate::{Activation, Conv2D, Dense, GlobalMaxPool2D, Layer, Rng, Sequential, Tensor, sequential};

fn main() -> striate::Result<()> {
    let mut rng = Rng::seed(1);
    let (x, y) = lines(1000, &mut rng);
    let (test_x, test_y) = lines(200, &mut rng);

    // Pictures are [batch, height, width, channels]; the last layer has one output for each class.
    let mut model: Sequential =
        sequential![Conv2D::new(8, 5).activation(Activation::Relu), GlobalMaxPool2D::new(), Dense::new(2),];
    println!("{}", model.summary(&[1, 16, 16, 1])?);

    let mut trainer =
        Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).epochs(5).metric(Accuracy::new());
    for epoch in &trainer.fit(&mut model, &x, y)?.epochs {
        println!("epoch {}: loss {:.4}", epoch.epoch, epoch.loss);
    }
    let result = trainer.evaluate(&model, &test_x, test_y)?;
    println!("test accuracy: {:.1} %", 100.0 * result.get("accuracy").unwrap_or(0.0));

    // Inference: scores for one picture.
    println!("scores of the first picture: {:.2?}", model.forward(&test_x.rows(0..1)?)?.as_slice());
    Ok(())
}

/// Pictures of 16x16 with noise and a line of eight pixels somewhere: class 0 upright, class 1 lying.
fn lines(count: usize, rng: &mut Rng) -> (Tensor, Vec<usize>) {
    let mut pictures = Array4::from_shape_fn((count, 16, 16, 1), |_| 0.3 * rng.normal() as f32);
    let labels: Vec<usize> = (0..count).map(|_| rng.below(2)).collect();
    for (mut picture, label) in pictures.outer_iter_mut().zip(&labels) {
        let (start, across) = (rng.below(8), rng.below(16));
        let mut line = match label {
            0 => picture.slice_mut(s![start..start + 8, across, 0]),
            _ => picture.slice_mut(s![across, start..start + 8, 0]),
        };
        line += 1.0;
    }
    (pictures.into(), labels)
}
