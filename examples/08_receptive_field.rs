//! Lesson 8: how much of the picture a position of a deep map sees. Each convolution of 3x3 adds a ring of pixels, each
//! pooling doubles what the later ones add. The sum follows from the layers, and the gradient measures it: it is zero for
//! every pixel that does not count.
//!
//!     cargo run --release --example 08_receptive_field

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/colours.rs"]
mod colours;
#[path = "support/gallery.rs"]
mod gallery;
#[path = "support/numbers.rs"]
mod numbers;
#[path = "support/photo.rs"]
mod photo;

use canvas::{BLUE, GREEN, ORANGE, Outcome, PURPLE, RED};
use colours::{enlarge, heat, outline, paint};
use gallery::gallery;
use ndarray::{Array2, Axis, s};
use numbers::flag;
use striate::{
    Accuracy, Activation, Conv2D, Initializer, Layer, MaxPool2D, Reach, Rng, Sequential, Tape, Tensor,
};

/// The layers: convolutions of 3x3 with so many filters, and pooling of 2x2 where there are none.
const FILTERS: [usize; 11] = [8, 8, 0, 16, 16, 0, 16, 16, 0, 16, 16];
/// The pixel that all windows are laid around, `[down, right]`.
const MIDDLE: [usize; 2] = [80, 86];
/// The layers whose fields are drawn.
const DRAWN: [usize; 5] = [1, 4, 7, 9, 10];
const COLOURS: [[u8; 3]; 5] = [RED, ORANGE, GREEN, BLUE, PURPLE];

/// The first `depth` layers, without padding, so that position `p` of an output starts to see at `p * stride`.
/// Plain sums, for the faster transforms leave rounding errors where a gradient is zero.
fn network(depth: usize) -> Sequential {
    let conv = |filters| Conv2D::new(filters, 3).activation(Activation::Relu).accuracy(Accuracy::Strict);
    FILTERS[..depth].iter().fold(Sequential::new(), |model, &filters| match filters {
        0 => model.with(MaxPool2D::new(2)),
        _ => model.with(conv(filters).kernel_initializer(Initializer::HeNormal)),
    })
}

fn main() -> Outcome {
    let picture = photo::photo("china", 240)?;
    let x = Tensor::try_from(&picture)?;
    let seeds = if flag("--quick") { 3 } else { 40 };
    println!("a picture of {}x{}; each 3x3 convolution or 2x2 pooling sees", x.shape()[1], x.shape()[2]);
    println!("  extent = extent before + (window - 1) * stride before, and pooling doubles the stride\n");
    println!(
        "{:>5} {:<10} {:>8} {:>7} {:>9} {:>22}",
        "layer", "kind", "computed", "stride", "measured", "in the middle quarter"
    );
    let summary = network(FILTERS.len()).summary(x.shape())?;
    let mut drawn = picture.to_rgb8();
    drawn = enlarge(&drawn, 2);
    let mut tiles = vec![];
    for (layer, (row, field)) in summary.rows().iter().zip(summary.receptive_fields()).enumerate() {
        let Reach::Window { extent, strides } = field else { return Err("every layer sees a window".into()) };
        // The position whose window lies nearest to that pixel.
        let place = [0, 1].map(|axis| (MIDDLE[axis] - extent[axis] / 2) / strides[axis]);
        let start = [0, 1].map(|axis| place[axis] * strides[axis]);
        let gradient = gradient(layer + 1, &x, place, seeds)?;
        let (seen, middle) = measure(&gradient, start, extent);
        println!(
            "{layer:>5} {:<10} {:>8} {:>7} {seen:>9} {middle:>20.0} %",
            row.kind,
            field.to_string(),
            strides[0]
        );
        if let Some(i) = DRAWN.iter().position(|&drawn| drawn == layer) {
            let window = [start[0], start[1], extent[0], extent[1]];
            outline(&mut drawn, window, 2, COLOURS[i]);
            let most = gradient.iter().fold(1e-12_f32, |most, &v| v.max(most));
            // Over 1000 from the least shown to the largest.
            let shade = |v: f32| if v == 0.0 { [255; 3] } else { heat(1.0 + (v / most).log10() / 3.0) };
            let part = gradient.slice(s![MIDDLE[0] - 42..MIDDLE[0] + 38, MIDDLE[1] - 42..MIDDLE[1] + 38]);
            let mut shown = enlarge(&paint(part, shade), 3);
            outline(
                &mut shown,
                [start[0] + 42 - MIDDLE[0], start[1] + 42 - MIDDLE[1], extent[0], extent[1]],
                3,
                COLOURS[i],
            );
            tiles.push((format!("layer {layer}: {}x{}", extent[0], extent[1]), shown));
        }
    }
    println!();
    let caption = "red: layer 1, orange: 4, green: 7, blue: 9, purple: 10".to_string();
    gallery("What one position of a map sees of the picture", 1, &[(caption, drawn)])?
        .save("08_receptive_field")?;
    let title =
        "Measured: how much each pixel counts (yellow: most; white: not at all); framed: the computed window";
    gallery(title, 5, &tiles)?.save("08_measured")
}

/// How much an output at `place` changes with every pixel: the gradient's size, the mean over random networks. In a single
/// network pooling and rectifiers let through only some paths.
fn gradient(depth: usize, x: &Tensor, [p, q]: [usize; 2], seeds: u64) -> Outcome<Array2<f32>> {
    let mut sum = Array2::zeros((x.shape()[1], x.shape()[2]));
    for seed in 0..seeds {
        let (mut model, mut tape) = (network(depth), Tape::new());
        model.build(x.shape(), &mut Rng::seed(seed))?;
        let y = model.forward_train(x.clone(), &mut tape)?;
        // The sum of that position's channels is the loss: its gradient is 1 there and 0 elsewhere.
        let mut grad = Tensor::zeros(y.shape())?.into_array();
        grad.slice_mut(s![0, p, q, ..]).fill(1.0);
        let dx = model.backward(Tensor::from(grad), &mut tape)?;
        sum += &dx.view4()?.index_axis_move(Axis(0), 0).map(|v| v.abs()).sum_axis(Axis(2));
    }
    Ok(sum / seeds as f32)
}

/// The size of the smallest window with all pixels that count, and which share of the gradient is in the middle quarter of
/// the computed window.
fn measure(gradient: &Array2<f32>, start: [usize; 2], extent: [usize; 2]) -> (String, f32) {
    let counts =
        gradient.indexed_iter().filter(|(_, v)| **v > 0.0).map(|(place, _)| <[usize; 2]>::from(place));
    let counts: Vec<[usize; 2]> = counts.collect();
    let span = |axis: usize| {
        let places = counts.iter().map(|place| place[axis]);
        places.clone().max().zip(places.min()).map_or(0, |(last, first)| last + 1 - first)
    };
    let [top, left] = [0, 1].map(|axis| start[axis] + extent[axis] / 4);
    let [height, width] = extent.map(|n| n.div_ceil(2));
    let middle = gradient.slice(s![top..top + height, left..left + width]).sum();
    (format!("{}x{}", span(0), span(1)), 100.0 * middle / gradient.sum())
}
