//! Where the time of a network goes: how long each layer takes within the network, and alone.
//!
//!     cargo run --release --example layer_times -- mobilenet_v1
//!
//! knows `digits`, `mobilenet_v1`, `resnet18`, `upscale` and `vgg16`, with random weights and for one picture; by default it takes
//! `digits`; with `--quick` it measures but for a moment. `RAYON_NUM_THREADS=1` keeps it to one thread.
//!
//! Within the network, a layer's weights and its input are where the other layers have left them. Alone, it is computed again and
//! again, and finds all that fits in a cache there. All times are medians. The network as a whole may take less: a large convolution
//! does the pooling after it as well.

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
    let (mut within, start) = (vec![Vec::new(); model.len()], Instant::now());
    while goes_on(start, within[0].len(), budget) {
        let mut input = picture.clone();
        for (layer, times) in model.layers().zip(&mut within) {
            let mut output = Tensor::default();
            times.push(time(|| layer.forward_into(&input, &mut output))?);
            input = output;
        }
    }
    println!("layer            input                     within, us   alone, us   alone, GFLOP/s");
    let (mut input, mut sums) = (picture.clone(), [0.0; 2]);
    for (layer, within) in model.layers().zip(&mut within) {
        let (mut alone, mut output, start) = (Vec::new(), Tensor::default(), Instant::now());
        while goes_on(start, alone.len(), budget / 10) {
            alone.push(time(|| layer.forward_into(&input, &mut output))?);
        }
        let [within, alone] = [within, &mut alone].map(|times| median(times));
        let flops = 2.0 * layer.cost(input.shape())?.multiplications as f64;
        let (kind, shape, speed) = (layer.kind(), format!("{:?}", input.shape()), flops / alone / 1e3);
        println!("{kind:<16} {shape:<24} {within:>11.1} {alone:>11.1} {speed:>17.0}");
        sums = [sums[0] + within, sums[1] + alone];
        input = output;
    }
    let (mut whole, mut output, start) = (Vec::new(), Tensor::default(), Instant::now());
    while goes_on(start, whole.len(), budget) {
        whole.push(time(|| model.forward_into(picture, &mut output))?);
    }
    println!("{:<41} {:>11.1} {:>11.1}", "all, one by one", sums[0], sums[1]);
    println!("{:<41} {:>11.1}", "the network", median(&mut whole));
    Ok(())
}

/// How long a call takes.
fn time(call: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    call()?;
    Ok(start.elapsed())
}

/// The median of some times, in microseconds; the first call, which packs the weights, does not count.
fn median(times: &mut [Duration]) -> f64 {
    let times = &mut times[1..];
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}
