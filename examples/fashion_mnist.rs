//! Trains a small residual network on Fashion-MNIST, 70,000 pictures of clothes, with all that a longer training run wants:
//! batch normalisation, augmentation, a schedule with a warm-up.
//!
//!     cargo run --release --example fashion_mnist
//!
//! The pictures are Zalando's (MIT licence). Debian and Ubuntu have them in the package `dataset-fashion-mnist`; elsewhere,
//! put the four files of <https://github.com/zalandoresearch/fashion-mnist> into a folder and name it after `--`. After
//! that, `--seed N` and `--epochs N` may follow; with `--quick` it sees 2,000 pictures once.

#[path = "support/mnist.rs"]
mod mnist;
#[path = "support/progress.rs"]
mod progress;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use progress::Bar;
use striate::train::{Accuracy, Schedule, Sgd, SoftmaxCrossEntropy, Trainer, augment};
use striate::{
    Activation, BatchNorm, Conv2D, Dense, GlobalAvgPool2D, MaxPool2D, Padding, Residual, Sequential, Tensor,
    sequential,
};

const FOLDER: &str = "/usr/share/datasets/fashion-mnist";
const BATCH: usize = 128;
/// Mean and standard deviation of the training pictures.
const MEAN: f64 = 0.286;
const STD: f64 = 0.353;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    if !options.folder.join("train-images-idx3-ubyte.gz").exists() {
        println!("no Fashion-MNIST in {}.", options.folder.display());
        println!(
            "Install Debian's package dataset-fashion-mnist, or name the folder that has it after `--`."
        );
        return Ok(());
    }
    let start = Instant::now();
    let mut training = mnist::read(&options.folder, "train")?;
    let mut test = mnist::read(&options.folder, "t10k")?;
    if options.quick {
        training.images = training.images.rows(0..2_000)?;
        training.labels.truncate(2_000);
    }
    let normalize = |pictures: &mut Tensor| augment::normalize(pictures, &[MEAN], &[STD]);
    normalize(&mut test.images)?;

    let mut model = network(32);
    println!("{}", model.summary(&[1, 28, 28, 1])?.batch(BATCH));
    let steps = options.epochs * training.labels.len().div_ceil(BATCH);
    let rate = Schedule::cosine(0.2, steps - steps / 10).warm_up(steps / 10);
    let optimizer = Sgd::new(rate).momentum(0.9).nesterov(true).weight_decay(5e-4);
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new().label_smoothing(0.1), optimizer)
        .epochs(options.epochs)
        .batch_size(BATCH)
        .seed(options.seed)
        .metric(Accuracy::new())
        .augment(augment::random_horizontal_flip())
        .augment(augment::random_translation(1, 1))
        .augment(|pictures, _| normalize(pictures))
        .progress(Bar::default());
    trainer.fit(&mut model, &training.images, training.labels)?;

    let result = trainer.evaluate(&model, &test.images, test.labels)?;
    println!(
        "test accuracy {:.2} %, seed {}, after {} epochs and {:.0} s",
        100.0 * result.get("accuracy").unwrap_or(0.0),
        options.seed,
        options.epochs,
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A convolution, maps of half the size, and three residual blocks (He et al., 2016), of which each but the first halves
/// the maps, too.
fn network(filters: usize) -> Sequential {
    sequential![
        conv(filters, 3, 1),
        BatchNorm::new(),
        Activation::Relu,
        MaxPool2D::new(2),
        block(filters, 1),
        Activation::Relu,
        block(2 * filters, 2),
        Activation::Relu,
        block(4 * filters, 2),
        Activation::Relu,
        GlobalAvgPool2D::new(),
        Dense::new(10),
    ]
}

fn block(filters: usize, stride: usize) -> Residual {
    let body = sequential![
        conv(filters, 3, stride),
        BatchNorm::new(),
        Activation::Relu,
        conv(filters, 3, 1),
        BatchNorm::new(),
    ];
    match stride {
        1 => Residual::new(body),
        _ => Residual::new(body).shortcut(sequential![conv(filters, 1, stride), BatchNorm::new()]),
    }
}

/// Normalisation follows, which has a bias of its own.
fn conv(filters: usize, kernel: usize, stride: usize) -> Conv2D {
    Conv2D::new(filters, kernel).strides(stride).padding(Padding::Same).use_bias(false)
}

struct Options {
    folder: PathBuf,
    epochs: usize,
    seed: u64,
    quick: bool,
}

impl Options {
    fn parse() -> Result<Options, Box<dyn Error>> {
        let mut options = Options { folder: Path::new(FOLDER).into(), epochs: 8, seed: 1, quick: false };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || arguments.next().ok_or_else(|| format!("a number after {argument}"));
            match &*argument {
                "--quick" => (options.quick, options.epochs) = (true, 1),
                "--epochs" => options.epochs = number()?.parse()?,
                "--seed" => options.seed = number()?.parse()?,
                folder => options.folder = folder.into(),
            }
        }
        Ok(options)
    }
}
