//! Lesson 9: LeNet-5, layer by layer as it was published (LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied
//! to document recognition*, 1998), trained on handwritten digits.
//!
//!     cargo run --release --example 09_lenet
//!
//! It has the paper's 32x32 input, its scaled tanh, its subsampling with a coefficient and a bias for each map, and its C3,
//! where a map sees only some of S2's. It departs from the paper in the output, ten scores and softmax here and there
//! distances from drawn digits; in the optimizer, Adam here and a diagonal Levenberg-Marquardt there; and in the data, the
//! 8,000 digits of this repository in place of 60,000. `models::lenet5` is the network as it is written today.

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/lenet.rs"]
mod lenet;
#[path = "support/lenet_picture.rs"]
mod lenet_picture;
#[path = "support/mnist.rs"]
mod mnist;
#[path = "support/numbers.rs"]
mod numbers;

use canvas::Outcome;
use lenet::{PartialConv, ScaledTanh};
use numbers::{flag, thousands};
use striate::train::{Accuracy, Adam, Schedule, SoftmaxCrossEntropy, Trainer};
use striate::{
    AvgPool2D, Conv2D, Dense, DepthwiseConv2D, Flatten, Pad2D, PadMode, Padding, Sequential, sequential,
};

/// The paper's layers: where each ends in the network, and how many parameters it says.
const LAYERS: [(&str, usize, u64); 7] = [
    ("C1", 2, 156),
    ("S2", 5, 12),
    ("C3", 7, 1_516),
    ("S4", 10, 32),
    ("C5", 12, 48_120),
    ("F6", 15, 10_164),
    ("output", 16, 0),
];

fn network() -> Sequential {
    // The mean of four pixels, times a coefficient, plus a bias: a convolution of 1x1 with every map alone.
    let halve = || AvgPool2D::new(2);
    let scale = || DepthwiseConv2D::new(1);
    sequential![
        Pad2D::new(Padding::all(2)).mode(PadMode::Constant(-0.1)), // a margin of paper
        Conv2D::new(6, 5),                                         // C1: 6 maps of 28x28
        ScaledTanh,
        halve(),
        scale(), // S2: 6 maps of 14x14
        ScaledTanh,
        PartialConv::new(), // C3: 16 maps of 10x10
        ScaledTanh,
        halve(),
        scale(), // S4: 16 maps of 5x5
        ScaledTanh,
        Conv2D::new(120, 5), // C5: 120 maps of 1x1
        ScaledTanh,
        Flatten::new(),
        Dense::new(84), // F6
        ScaledTanh,
        Dense::new(10),
    ]
}

fn main() -> Outcome {
    let (mut training, mut test) = (mnist::train()?, mnist::test()?);
    let (count, epochs) = if flag("--quick") { (1_000, 2) } else { (training.labels.len(), 8) };
    training.images = training.images.rows(0..count)?;
    training.labels.truncate(count);
    // As published: paper is -0.1 and ink 1.175, so that the mean is about 0 and the variance about 1.
    for images in [&mut training.images, &mut test.images] {
        *images = images.map(|v| -0.1 + 1.275 * v);
    }

    let mut model = network();
    let summary = model.summary(&[1, 28, 28, 1])?;
    println!(
        "{:<7} {:<17} {:>10} {:>10} {:>16}",
        "layer", "maps", "parameters", "published", "multiplications"
    );
    let mut first = 0;
    for (name, last, published) in LAYERS {
        let rows = &summary.rows()[first..=last];
        let params: usize = rows.iter().map(|row| row.cost.params).sum();
        let work: u64 = rows.iter().map(|row| row.cost.multiplications).sum();
        let published = if published > 0 { thousands(published) } else { "other".to_string() };
        let shape = format!("{:?}", &summary.rows()[last].output_shape[1..]);
        println!(
            "{name:<7} {shape:<17} {:>10} {published:>10} {:>16}",
            thousands(params as u64),
            thousands(work)
        );
        first = last + 1;
    }
    println!("{:<25} {:>10}\n", "total", thousands(summary.params()));

    let steps = epochs * count.div_ceil(32);
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Schedule::cosine(2e-3, steps)))
        .epochs(epochs)
        .seed(1)
        .metric(Accuracy::new());
    for log in &trainer.fit(&mut model, &training.images, training.labels)?.epochs {
        let accuracy = 100.0 * log.get("accuracy").unwrap_or(0.0);
        println!("epoch {:>2}: loss {:.4}, accuracy {accuracy:.2} %", log.epoch, log.loss);
    }
    let result = trainer.evaluate(&model, &test.images, test.labels.clone())?;
    println!(
        "\ntest accuracy {:.2} % on {} digits\n",
        100.0 * result.get("accuracy").unwrap_or(0.0),
        test.labels.len()
    );
    lenet_picture::draw(&model, &test.images.rows(1..2)?, &LAYERS)?.save("09_lenet")
}
