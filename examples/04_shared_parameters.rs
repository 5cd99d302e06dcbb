//! Lesson 4: why convolutions have few parameters and still need much memory. A filter's numbers are shared by all
//! positions; a dense layer has a number for every pair of input and output. But every position gives an output, and
//! training keeps them all.
//!
//!     cargo run --release --example 04_shared_parameters
//!
//! Computes a textbook's sums with `summary`, and measures what the process really asks for.

#[path = "support/canvas.rs"]
mod canvas;
#[path = "support/chart.rs"]
mod chart;
#[path = "support/heap.rs"]
mod heap;
#[path = "support/numbers.rs"]
mod numbers;

use canvas::{BLUE, Canvas, LARGE, ORANGE, Outcome, SMALL};
use chart::{Series, chart};
use numbers::{flag, thousands};
use plotters::prelude::SeriesLabelPosition;
use striate::{Conv2D, Dense, Flatten, Layer, Padding, Rng, Sequential, Summary, Tape, Tensor, sequential};

/// A colour picture of 150x100 (width x height).
const PICTURE: [usize; 4] = [1, 100, 150, 3];
const MEGA: f64 = 1e6;

fn main() -> Outcome {
    let conv: Sequential = sequential![Conv2D::new(200, 5).padding(Padding::Same)];
    let sums = conv.summary(&PICTURE)?.batch(100);
    println!("200 filters of 5x5 over a colour picture of 150x100:\n\n{sums}");

    // A dense layer with as many outputs. Nothing is built: it would not fit.
    let outputs = sums.rows()[0].output_shape.iter().product();
    let dense: Sequential = sequential![Flatten::new(), Dense::new(outputs)];
    let rows = [("convolution", sums.clone()), ("dense layer", dense.summary(&PICTURE)?)];
    println!("the same number of outputs, {}, from a dense layer:\n", thousands(outputs as u64));
    println!("{:<12} {:>17} {:>17} {:>24}", "", "parameters", "multiplications", "bytes of parameters");
    for (name, sums) in &rows {
        let [params, work, bytes] =
            [sums.params(), sums.multiplications(), sums.param_bytes()].map(thousands);
        println!("{name:<12} {params:>17} {work:>17} {bytes:>24}");
    }
    println!("\nthe convolution uses each parameter at {} positions\n", thousands(150 * 100));

    let batches: &[usize] = if flag("--quick") { &[1, 2] } else { &[1, 2, 4, 8, 16] };
    let measured = measure(&sums, batches)?;
    draw(&rows, &sums, &measured)?.save("04_shared_parameters")
}

/// The most memory that a forward pass and a training step have at once, in bytes, for some sizes of batches: small ones,
/// because a batch of 100 takes what the last line says.
fn measure(sums: &Summary, batches: &[usize]) -> Outcome<Vec<(usize, [usize; 2])>> {
    println!("memory in MB: computed from the shapes, and measured at the allocator\n");
    println!("{:>5} {:>9} {:>9} {:>24} {:>9}", "", "outputs", "", "outputs, their", "");
    println!(
        "{:>5} {:>9} {:>9} {:>24} {:>9}",
        "batch", "computed", "measured", "gradients, input", "measured"
    );
    let one = sums.rows()[0].output_bytes;
    let line =
        |n: usize| [n * one, n * (2 * one + sums.rows()[0].input_bytes)].map(|bytes| bytes as f64 / MEGA);
    let mut conv = Conv2D::<f32>::new(200, 5).padding(Padding::Same);
    conv.build(&PICTURE, &mut Rng::seed(1))?;
    let mut measured = vec![];
    for &batch in batches {
        let x = Tensor::full(&[batch, 100, 150, 3], 0.5)?;
        let (forward, outputs) = heap::peak(|| conv.forward(&x).map(|maps| maps.len()))?;
        assert_eq!(outputs?, batch * one / size_of::<f32>());
        // A step: the input stays on the tape, and the outputs' gradient is as large as the outputs.
        let (training, result) = heap::peak(|| -> striate::Result<()> {
            let mut tape = Tape::new();
            let y = conv.forward_train(Tensor::full(&[batch, 100, 150, 3], 0.5)?, &mut tape)?;
            let grad = y.map(|v| v);
            conv.backward_params(grad, &mut tape)
        })?;
        result?;
        let [outputs, all] = line(batch);
        println!(
            "{batch:>5} {outputs:>9.1} {:>9.1} {all:>24.1} {:>9.1}",
            forward as f64 / MEGA,
            training as f64 / MEGA
        );
        measured.push((batch, [forward, training]));
    }
    let [outputs, all] = line(100);
    println!("{:>5} {outputs:>9.1} {:>9} {all:>24.1} {:>9}", 100, "-", "-");
    println!(
        "\nThe textbook's 1.2 GB are the outputs of the forward pass. The backward pass has their gradients besides.\n"
    );
    Ok(measured)
}

/// Parameters as bars over a logarithmic axis; memory over the size of the batch.
fn draw(rows: &[(&str, Summary); 2], sums: &Summary, measured: &[(usize, [usize; 2])]) -> Outcome<Canvas> {
    let mut canvas = Canvas::new(900, 400);
    canvas.text((20, 12), LARGE, "Few parameters, shared by all positions ...")?;
    canvas.text((470, 12), LARGE, "... but outputs at all positions to keep")?;
    let bars = rows.iter().flat_map(|(name, sums)| {
        [
            (*name, "parameters", sums.params(), BLUE),
            (*name, "multiplications", sums.multiplications(), ORANGE),
        ]
    });
    for ((name, what, number, colour), i) in bars.zip(0..) {
        let y = 64 + 74 * i;
        canvas.text((20, y), SMALL, &format!("{name}: {} {what}", thousands(number)))?;
        // Every power of ten is as wide as the next.
        canvas.fill((20, y + 22), ((33.0 * (number as f64).log10()) as i32, 20), colour)?;
    }
    canvas.text((20, 360), SMALL, "(every 33 pixels to the right: ten times as many)")?;
    let one = sums.rows()[0].output_bytes as f64 / MEGA;
    let batches = measured.last().map_or(1, |(batch, _)| *batch) as f64;
    let step = 2.0 * one + sums.rows()[0].input_bytes as f64 / MEGA;
    let mut series = vec![];
    for (i, colour, slope, names) in [
        (0, BLUE, one, ["forward: computed", "forward: measured"]),
        (1, ORANGE, step, ["training step: computed", "training step: measured"]),
    ] {
        let line = vec![(0.0, 0.0), (batches, batches * slope)];
        let dots = measured.iter().map(|&(n, bytes)| (n as f64, bytes[i] as f64 / MEGA)).collect();
        series.push(Series { name: names[0], colour, points: line, dots: false });
        series.push(Series { name: names[1], colour, points: dots, dots: true });
    }
    let axes = [("pictures in a batch", 0.0..1.05 * batches), ("MB", 0.0..1.15 * batches * step)];
    chart(&mut canvas, (460, 50), (420, 335), axes, SeriesLabelPosition::UpperLeft, &series)?;
    Ok(canvas)
}
