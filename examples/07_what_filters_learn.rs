//! Lesson 7: what filters learn. A network is trained on handwritten digits. Its first filters turn from noise into edges and
//! strokes; its maps go from strokes, which all digits share, to parts that few digits have.
//!
//!     cargo run --release --example 07_what_filters_learn

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/excited.rs"]
mod excited;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/mnist.rs"]
mod mnist;
#[path = "support/numbers.rs"]
mod numbers;

use canvas::{Outcome, RED};
use colours::{channel, enlarge, ink, outline, paint, peak, signed, tile};
use excited::{Excited, outputs, purity, strongest};
use gallery::gallery;
use image::RgbImage;
use mnist::Digits;
use ndarray::{ArrayView4, s};
use numbers::flag;
use striate::train::{Accuracy, Adam, Regularizer, Schedule, SoftmaxCrossEntropy, Trainer};
use striate::{
    Activation, Conv2D, Dense, Flatten, Initializer, Layer, MaxPool2D, Reach, Rng, Sequential, Tensor,
    sequential,
};

/// The places of the convolutions in the network.
const CONVOLUTIONS: [usize; 3] = [0, 2, 4];

fn main() -> Outcome {
    let conv = |filters, size: usize| Conv2D::new(filters, size).activation(Activation::Relu);
    // The first filters start small, so that what they learn shows.
    let small = Initializer::RandomNormal { mean: 0.0, stddev: 0.05 };
    let mut model: Sequential = sequential![
        conv(16, 5).kernel_initializer(small),
        MaxPool2D::new(2),
        conv(24, 5),
        MaxPool2D::new(2),
        conv(32, 3),
        Flatten::new(),
        Dense::new(10),
    ];
    println!("{}", model.summary(&[1, 28, 28, 1])?);
    let (mut training, test) = (mnist::train()?, mnist::test()?);
    if flag("--quick") {
        training.images = training.images.rows(0..1_000)?;
        training.labels.truncate(1_000);
    }
    model.build(&[1, 28, 28, 1], &mut Rng::seed(3))?;
    let before = filters(&model)?;
    let [epochs, steps] = [6, 6 * training.labels.len().div_ceil(32)];
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Schedule::cosine(3e-3, steps)))
        .epochs(epochs)
        .regularizer(Regularizer::l2(1e-4))
        .metric(Accuracy::new());
    trainer.fit(&mut model, &training.images, training.labels)?;
    let accuracy =
        trainer.evaluate(&model, &test.images, test.labels.clone())?.get("accuracy").unwrap_or(0.0);
    println!("test accuracy {:.1} %\n", 100.0 * accuracy);
    let filters = [
        ("before training: noise".to_string(), before),
        ("after: edges and strokes".to_string(), filters(&model)?),
    ];
    gallery("The 16 filters of the first layer (red counts for, blue against)", 1, &filters)?
        .save("07_filters")?;
    feature_maps(&model, &test.images.rows(1..2)?)?;
    what_excites(&model, &test)
}

/// The first layer's filters as a picture.
fn filters(model: &Sequential) -> Outcome<RgbImage> {
    let params = model.params();
    let (_, kernel) = params.iter().find(|(name, _)| name == "0.kernel").ok_or("a model that is built")?;
    let kernel: ArrayView4<'_, f32> = kernel.value().view4()?;
    let picture = |f| {
        let filter = kernel.slice(s![.., .., 0, f]);
        enlarge(&paint(filter, |v| signed(v / peak(filter))), 10)
    };
    Ok(tile(&(0..kernel.dim().3).map(picture).collect::<Vec<_>>(), 16, 3))
}

/// One digit's maps in every convolution.
fn feature_maps(model: &Sequential, x: &Tensor) -> Outcome {
    let outputs = outputs(model, x, CONVOLUTIONS[2])?;
    let mut tiles = vec![("The digit".to_string(), enlarge(&paint(channel(x.view4()?, 0), ink), 3))];
    for (layer, times) in CONVOLUTIONS.into_iter().zip([2, 4, 9]) {
        let maps = outputs[layer].view4()?;
        let (_, height, width, count) = maps.dim();
        let pictures: Vec<RgbImage> = (0..count)
            .map(|c| channel(maps, c))
            .map(|map| enlarge(&paint(map, |v| ink(v / peak(map))), times))
            .collect();
        tiles.push((
            format!("layer {layer}: {count} maps of {height}x{width}"),
            tile(&pictures, if count % 16 == 0 { 16 } else { 12 }, 3),
        ));
    }
    gallery("What the layers make of one digit (black: found)", 1, &tiles)?.save("07_feature_maps")
}

/// For some maps of every convolution, the eight test digits that excite them most, with the part that the map looked at; and
/// how much the digits that excite a map are of one kind.
fn what_excites(model: &Sequential, digits: &Digits) -> Outcome {
    const SHOWN: usize = 3;
    const BEST: usize = 8;
    let fields = model.summary(&[1, 28, 28, 1])?.receptive_fields();
    let maps = outputs(model, &digits.images, CONVOLUTIONS[2])?;
    println!("of the 50 digits that excite a map most, how many are of the most frequent kind?\n");
    println!("{:>5} {:>15} {:>12}", "layer", "receptive field", "mean of maps");
    let mut tiles = vec![];
    for layer in CONVOLUTIONS {
        let Reach::Window { extent, strides } = fields[layer] else {
            return Err("a convolution sees a window".into());
        };
        let maps = maps[layer].view4()?;
        // Without maps that nothing excites.
        let best = (0..maps.dim().3).map(|c| strongest(maps, c)).filter(|best| best[0].0 > 0.0);
        let best: Vec<Excited> = best.collect();
        let purity: f64 = best.iter().map(|best| purity(&best[..50], &digits.labels)).sum();
        println!(
            "{layer:>5} {:>15} {:>10.0} %",
            fields[layer].to_string(),
            100.0 * purity / best.len() as f64
        );

        // The maps that answer most strongly.
        let mut order: Vec<usize> = (0..best.len()).collect();
        order.sort_by(|&a, &b| best[b][0].0.total_cmp(&best[a][0].0));
        let mut pictures = vec![];
        for &map in &order[..SHOWN] {
            for &(_, digit, [p, q]) in &best[map][..BEST] {
                let x = digits.images.rows(digit..digit + 1)?;
                let mut picture = enlarge(&paint(channel(x.view4()?, 0), ink), 3);
                outline(&mut picture, [p * strides[0], q * strides[1], extent[0], extent[1]], 3, RED);
                pictures.push(picture);
            }
        }
        let caption =
            format!("layer {layer}, which sees {}x{}: three maps, a row each", extent[0], extent[1]);
        tiles.push((caption, tile(&pictures, BEST, 2)));
    }
    gallery("The digits that excite a map most, and where it looks", 1, &tiles)?.save("07_what_excites")
}
