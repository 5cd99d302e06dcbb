//! Where the time of a network goes: how long each layer takes within the network, and alone.
//!
//!     cargo run --release --example layer_times -- mobilenet_v1
//!
//! knows `digits`, `mobilenet_v1`, `resnet18`, `upscale` and `vgg16`, with random weights and for one picture; by default it takes
//! `digits`; with `--quick` it measures but for a moment. `RAYON_NUM_THREADS=1` keeps it to one thread.
//!
//! Within the network, a layer's weights and its input are where the other layers have left them. Alone, it is computed again and
//! again, and finds all that fits in a cache there. Both times are medians.

#[path = "../benches/support/models.rs"]
mod models;

use std::time::{Duration, Instant};

use striate::{Layer, Result, Rng, Sequential, Tensor};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let name = arguments.iter().find(|argument| *argument != "--quick").map_or("digits", String::as_str);
    let (mut model, shape) = match name {
        "digits" => (models::digits(), [1, 28, 28, 1]),
        "mobilenet_v1" => (models::mobilenet_v1(), [1, 224, 224, 3]),
        "resnet18" => (models::resnet18(), [1, 224, 224, 3]),
        "upscale" => (models::upscale(), [1, 256, 256, 3]),
        "vgg16" => (models::vgg16(), [1, 224, 224, 3]),
        other => {
            eprintln!("there is no network {other}: digits, mobilenet_v1, resnet18, upscale or vgg16");
            std::process::exit(2);
        }
    };
    let mut rng = Rng::seed(1);
    model.build(&shape, &mut rng)?;
    model.for_inference()?;
    let picture = Tensor::full(&shape, 0.0)?.map(|_: f32| rng.normal() as f32);
    // Layers are measured and not the way into the thread pool, which a `Sequential` takes once for all of them.
    let mut result = Ok(());
    let budget = Duration::from_millis(if quick { 10 } else { 2000 });
    rayon::scope(|_| result = measure(&model, &picture, budget));
    result
}

/// Measures every layer, all of them for as long as `budget` and each for a tenth of it, and prints a line for each.
fn measure(model: &Sequential, picture: &Tensor, budget: Duration) -> Result<()> {
    let goes_on = |start: Instant, done: usize, budget| done < 3 || start.elapsed() < budget;
    let mut inputs = vec![picture.clone()];
    inputs.resize(model.len() + 1, Tensor::default());
    let mut within = vec![Vec::new(); model.len()];
    let start = Instant::now();
    while goes_on(start, within[0].len(), budget) {
        for (i, layer) in model.layers().enumerate() {
            let (input, output) = inputs[i..].split_at_mut(1);
            within[i].push(time(|| layer.forward_into(&input[0], &mut output[0]))?);
        }
    }
    println!("layer            input                     within, us   alone, us   alone, GFLOP/s");
    let mut sums = [Duration::ZERO; 2];
    for ((layer, input), mut within) in model.layers().zip(&inputs).zip(within) {
        let mut output = Tensor::default();
        let (mut alone, start) = (Vec::new(), Instant::now());
        while goes_on(start, alone.len(), budget / 10) {
            alone.push(time(|| layer.forward_into(input, &mut output))?);
        }
        // The first call packs the weights.
        let medians = [&mut within, &mut alone].map(|times| median(&mut times[1..]));
        let [within, alone] = medians.map(|median| median.as_secs_f64() * 1e6);
        let flops = 2.0 * layer.cost(input.shape())?.multiplications as f64;
        let (kind, shape, speed) = (layer.kind(), format!("{:?}", input.shape()), flops / alone / 1e3);
        println!("{kind:<16} {shape:<24} {within:>11.1} {alone:>11.1} {speed:>17.0}");
        sums = [sums[0] + medians[0], sums[1] + medians[1]];
    }
    let [within, alone] = sums.map(|sum| sum.as_secs_f64() * 1e6);
    println!("{:<41} {within:>11.1} {alone:>11.1}", "all");
    Ok(())
}

/// How long a call takes.
fn time(call: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed())
}

/// The median of some times.
fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
