//! A pretrained network, loaded from PyTorch's layout, gives ONNX Runtime's numbers.

use std::path::Path;

use striate::weights::{Archive, Layout, Transfer};
use striate::{Accuracy, Activation, Conv2D, Layer, Rng, Sequential, Tensor};

/// The network of `examples/upscale.rs`.
fn network(accuracy: Accuracy) -> Sequential {
    let mut model = Sequential::new();
    for (i, filters) in [32, 32, 64, 64, 128, 128, 3].into_iter().enumerate() {
        let slope = if i < 6 { 0.1 } else { 1.0 };
        let conv = Conv2D::new(filters, 3).activation(Activation::LeakyRelu { negative_slope: slope });
        model.push(conv.accuracy(accuracy));
    }
    model.build(&[1, 15, 15, 3], &mut Rng::seed(1)).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let foreign = Transfer::new().layout(Layout::PyTorch).names(|name| match name.split_once('.') {
        Some((layer, "kernel")) => format!("conv{}.weight", layer.parse::<usize>().unwrap() + 1),
        Some((layer, other)) => format!("conv{}.{other}", layer.parse::<usize>().unwrap() + 1),
        None => name.to_string(),
    });
    let report =
        foreign.load(&mut model, root.join("examples/data/models/waifu2x-vgg7-2x.safetensors")).unwrap();
    assert_eq!(report.loaded.len(), 14);
    model
}

#[test]
fn it_gives_the_numbers_of_onnx_runtime() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/waifu2x-vgg7-2x.golden.safetensors");
    let mut golden = Archive::open(golden).unwrap();
    let (x, y): (Tensor, Tensor) = (golden.read("x").unwrap(), golden.read("y").unwrap());
    for accuracy in [Accuracy::Fast, Accuracy::Strict] {
        let got = network(accuracy).forward(&x).unwrap();
        assert_eq!(got.shape(), y.shape());
        let worst = got.as_slice().iter().zip(y.as_slice()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{accuracy:?}: the largest difference is {worst:e}");
        assert!(worst <= 2e-5, "{accuracy:?}: {worst:e}");
    }
}
