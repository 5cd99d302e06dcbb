//! The engines, each in its own file: how a layer is made ready with constant weights, and then called.

mod burn;
mod candle;
mod rten;
mod striate;
mod tract;

use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;

use ::striate::Sequential;

use crate::suite::{self, Conv, Pool};
use crate::{Result, data, models};

#[derive(Clone, Copy, Debug)]
pub enum Layer {
    Conv(Conv),
    Pool(Pool),
    /// Forward, and all gradients: of the input, the kernel and the bias.
    Training(Conv),
    /// A whole network, and its input.
    Network(fn() -> Sequential, [usize; 4]),
    /// A step of a network's training, on a batch of this shape, to tell ten classes apart.
    Step(fn() -> Sequential, [usize; 4]),
}

impl Layer {
    /// `[batch, height, width, channels]`.
    pub fn input(&self) -> [usize; 4] {
        match self {
            Layer::Conv(conv) | Layer::Training(conv) => conv.input,
            Layer::Pool(pool) => pool.input,
            Layer::Network(_, input) | Layer::Step(_, input) => *input,
        }
    }
}

/// `[kh, kw, channels / groups, filters]`.
fn kernel_shape(conv: &Conv) -> [usize; 4] {
    [conv.kernel[0], conv.kernel[1], conv.input[3] / conv.groups, conv.filters]
}

pub struct Setup {
    pub threads: usize,
    /// Where the ONNX files are.
    pub models: PathBuf,
}

/// Makes a layer, whose name comes first, ready.
pub type Engine = fn(&str, &Layer, &Setup) -> Result<Prepared>;

/// A layer that waits to be called.
pub struct Prepared {
    pub call: Box<dyn FnMut() -> Result<()>>,
    /// Of the output.
    pub mean_square: f64,
}

impl Prepared {
    /// From how to compute an output, and how to read its numbers. Outputs are dropped within the call.
    fn new<Y: 'static>(
        mut run: impl FnMut() -> Result<Y> + 'static,
        numbers: impl FnOnce(Y) -> Result<Vec<f32>>,
    ) -> Result<Prepared> {
        let mean_square = data::mean_square(&numbers(run()?)?);
        Ok(Prepared { call: Box::new(move || run().map(|y| drop(black_box(y)))), mean_square })
    }
}

pub fn named(name: &str) -> Result<Engine> {
    match name {
        "striate" => Ok(striate::prepare),
        "rten" => Ok(rten::prepare),
        "tract" => Ok(tract::prepare),
        "candle" => Ok(candle::prepare),
        "burn-flex" => Ok(burn::prepare),
        _ => Err(format!("no engine here is called {name}").into()),
    }
}

/// All layers by their names.
pub fn layers() -> HashMap<&'static str, Layer> {
    let convolutions = suite::convolutions().into_iter().map(|(name, conv)| (name, Layer::Conv(conv)));
    let pools = suite::pools().into_iter().map(|(name, pool)| (name, Layer::Pool(pool)));
    let networks = [
        ("digits", Layer::Network(models::digits, [1, 28, 28, 1])),
        ("mobilenet_v1", Layer::Network(models::mobilenet_v1, [1, 224, 224, 3])),
        ("resnet18", Layer::Network(models::resnet18, [1, 224, 224, 3])),
        ("vgg16", Layer::Network(models::vgg16, [1, 224, 224, 3])),
        ("upscale", Layer::Network(models::upscale, [1, 256, 256, 3])),
    ];
    let steps = [
        ("step_digits", Layer::Step(models::digits, [64, 28, 28, 1])),
        ("step_resnet18", Layer::Step(|| ::striate::models::resnet18(10), [64, 32, 32, 3])),
        ("step_vgg11", Layer::Step(|| ::striate::models::vgg11(10), [64, 32, 32, 3])),
    ];
    let training = suite::training().into_iter().map(|(name, conv)| (name, Layer::Training(conv)));
    convolutions.chain(pools).chain(training).chain(networks).chain(steps).collect()
}
