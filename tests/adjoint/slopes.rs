//! Layers' derivatives against finite differences.

use ndarray::Array;
use striate::{
    Activation, AdaptiveAvgPool1D, AdaptiveAvgPool2D, AdaptiveMaxPool1D, AdaptiveMaxPool2D, AvgPool1D,
    AvgPool2D, AvgPool3D, BatchNorm, BlockOrder, ChannelMaxPool, Conv1D, Conv1DTranspose, Conv2D,
    Conv2DTranspose, Conv3D, Conv3DTranspose, Crop2D, Dense, DepthToSpace, DepthwiseConv2D, Flatten,
    GlobalAvgPool1D, GlobalAvgPool2D, GlobalAvgPool3D, GlobalMaxPool1D, GlobalMaxPool2D, GlobalMaxPool3D,
    GroupNorm, InstanceNorm, Interpolation, Join, Layer, LayerNorm, LocalResponseNorm, LpPool1D, LpPool2D,
    MaxPool1D, MaxPool2D, MaxPool3D, PReLU, Pad2D, PadMode, Padding, Padding3d, Parallel, Residual, Rng,
    RunningVariance, SeparableConv2D, Sequential, SpaceToDepth, Tape, Tensor, UpSample2D, sequential,
};

use crate::common::{self, distinct, dot, normal, plain_activations};

/// A layer's gradients against the slope of `<forward(x), g>` along random directions.
fn check_slopes(what: &str, layer: &mut dyn Layer<f64>, x: &Tensor<f64>, rng: &mut Rng) {
    const STEP: f64 = 1e-6;
    layer.build(x.shape(), rng).unwrap();
    for (_, param) in layer.params_mut().into_iter().filter(|(_, param)| !param.is_state()) {
        let value: Array<f64, _> = normal(rng, param.value().shape());
        param.set_value((value * 0.5).into()).unwrap();
    }
    let mut tape = Tape::new();
    let y = layer.forward_train(x.clone(), &mut tape).unwrap();
    let g = common::normal_tensor::<f64>(rng, y.shape());
    let dx = layer.backward(g.clone(), &mut tape).unwrap();
    assert!(tape.is_empty(), "{what}");

    // What training computes: at inference, batch normalisation is another function.
    let value = |layer: &mut dyn Layer<f64>, x: &Tensor<f64>| {
        dot(layer.forward_train(x.clone(), &mut Tape::new()).unwrap().as_slice(), g.as_slice())
    };
    let check = |of: &str, ends: [f64; 2], slope: f64| {
        let wanted = (ends[1] - ends[0]) / (2.0 * STEP);
        let scale = wanted.abs().max(ends[0].abs()).max(1.0);
        assert!((slope - wanted).abs() <= 1e-6 * scale, "{what}, {of}: {slope} is not {wanted}");
    };
    let moved = |from: &Tensor<f64>, along: &Tensor<f64>, by: f64| {
        Tensor::from(&from.clone().into_array() + &(along.clone().into_array() * by))
    };
    for _ in 0..3 {
        let along = common::normal_tensor(rng, x.shape());
        let ends = [-STEP, STEP].map(|by| value(layer, &moved(x, &along, by)));
        check("x", ends, dot(dx.as_slice(), along.as_slice()));
        for i in (0..layer.params().len()).filter(|&i| !layer.params()[i].1.is_state()).collect::<Vec<_>>() {
            let (name, start) = (layer.params()[i].0.clone(), layer.params()[i].1.value().clone());
            let along = common::normal_tensor(rng, start.shape());
            let ends = [-STEP, STEP].map(|by| {
                layer.params_mut()[i].1.set_value(moved(&start, &along, by)).unwrap();
                value(layer, x)
            });
            layer.params_mut()[i].1.set_value(start).unwrap();
            let grad = layer.params()[i].1.grad().unwrap().clone();
            check(&name, ends, dot(grad.as_slice(), along.as_slice()));
        }
    }
}

/// Every activation, with parameters on both sides of where their formulas change.
fn activations() -> Vec<Activation> {
    use Activation::*;
    let parameters = [-1.25, -0.5, 0.25, 1.5];
    let mut all = plain_activations();
    all.extend([HardTanh { min: -1.0, max: 1.0 }, HardTanh { min: -0.25, max: 0.5 }]);
    all.push(Threshold { threshold: 0.25, value: -0.5 });
    for p in parameters {
        all.extend([
            LeakyRelu { negative_slope: p },
            Elu { alpha: p },
            Celu { alpha: p },
            Softplus { beta: p },
        ]);
    }
    all
}

#[test]
fn activations_have_their_slopes() {
    for (seed, activation) in (1..).zip(activations()) {
        let rng = &mut Rng::seed(seed);
        let what = format!("{activation:?}");
        let maps = common::normal_tensor(rng, &[2, 5, 4, 2]);
        check_slopes(&what, &mut { activation }, &maps, rng);
        let mut conv =
            Conv2D::new(4, 3).strides((2, 1)).padding(Padding::Same).groups(2).activation(activation);
        check_slopes(&format!("Conv2D with {what}"), &mut conv, &maps, rng);
        let rows = common::normal_tensor(rng, &[5, 7]);
        check_slopes(&format!("Dense with {what}"), &mut Dense::new(4).activation(activation), &rows, rng);
    }
}

#[test]
fn pooling_layers_have_their_slopes() {
    let pools: Vec<(&str, Box<dyn Layer<f64>>)> = vec![
        ("max", Box::new(MaxPool2D::new(2))),
        ("overlapping max", Box::new(MaxPool2D::new(3).strides(1).padding(Padding::Same))),
        ("dilated max", Box::new(MaxPool2D::new((2, 3)).strides((1, 2)).dilation(2).ceil_mode(true))),
        ("wide max", Box::new(MaxPool2D::new((6, 7)).strides(1).padding(Padding::all(2)))),
        ("average", Box::new(AvgPool2D::new(2))),
        (
            "average with padding",
            Box::new(AvgPool2D::new(3).padding(Padding::all(1)).count_include_pad(true)),
        ),
        ("average by 5", Box::new(AvgPool2D::new(2).strides(1).dilation(3).divisor_override(5))),
        ("average of a last part", Box::new(AvgPool2D::new(3).strides(2).ceil_mode(true))),
        ("global max", Box::new(GlobalMaxPool2D::new())),
        ("global average", Box::new(GlobalAvgPool2D::new().keepdims(true))),
        ("channel max", Box::new(ChannelMaxPool::new(2).strides(1))),
    ];
    for (seed, (what, mut pool)) in (1..).zip(pools) {
        let rng = &mut Rng::seed(seed);
        let x = distinct::<f64, _, _>(rng, (2, 8, 9, 3)).into();
        check_slopes(what, &mut *pool, &x, rng);
    }
}

/// A layer, and the shape of an input for it.
type Shaped<'a> = (&'a str, &'a [usize], Box<dyn Layer<f64>>);

#[test]
fn relatives_of_convolution_have_their_slopes() {
    let uneven = Padding3d::explicit((1, 2), (0, 1), (2, 1));
    let layers: Vec<Shaped<'_>> = vec![
        (
            "depthwise",
            &[2, 6, 7, 3],
            Box::new(DepthwiseConv2D::new(3).strides((2, 1)).padding(Padding::Same).depth_multiplier(2)),
        ),
        (
            "depthwise, reflected",
            &[2, 6, 7, 4],
            Box::new(DepthwiseConv2D::new(3).padding(Padding::all(2)).padding_mode(PadMode::Reflect)),
        ),
        (
            "separable",
            &[2, 6, 7, 3],
            Box::new(SeparableConv2D::new(5, 3).depth_multiplier(2).dilation(2).activation(Activation::Tanh)),
        ),
        (
            "transposed",
            &[2, 4, 3, 4],
            Box::new(Conv2DTranspose::new(6, (3, 2)).strides((2, 3)).groups(2).activation(Activation::Tanh)),
        ),
        (
            "transposed, same",
            &[2, 4, 3, 2],
            Box::new(Conv2DTranspose::new(3, 4).strides(2).padding(Padding::Same).output_padding((1, 0))),
        ),
        (
            "transposed sequences",
            &[2, 5, 3],
            Box::new(Conv1DTranspose::new(2, 3).strides(2).padding(Padding::ends(1, 0)).use_bias(false)),
        ),
        ("sequences", &[2, 9, 4], Box::new(Conv1D::new(6, 3).strides(2).padding(Padding::Causal).groups(2))),
        (
            "sequences in a circle",
            &[2, 9, 2],
            Box::new(Conv1D::new(3, 5).padding(Padding::Same).padding_mode(PadMode::Circular)),
        ),
        (
            "volumes",
            &[2, 5, 4, 6, 4],
            Box::new(
                Conv3D::new(6, (3, 2, 3)).strides((2, 1, 2)).dilation((1, 2, 1)).padding(uneven).groups(2),
            ),
        ),
        (
            "transposed volumes",
            &[2, 3, 2, 4, 4],
            Box::new(
                Conv3DTranspose::new(6, (3, 2, 3))
                    .strides((2, 1, 3))
                    .groups(2)
                    .padding(Padding3d::all(1))
                    .output_padding((1, 0, 2)),
            ),
        ),
        (
            "transposed volumes, same",
            &[2, 3, 2, 4, 2],
            Box::new(
                Conv3DTranspose::new(3, 3).strides(2).padding(Padding::Same).activation(Activation::Tanh),
            ),
        ),
        (
            "volumes, repeated",
            &[1, 4, 3, 3, 2],
            Box::new(Conv3D::new(3, 3).padding(Padding::Same).padding_mode(PadMode::Replicate)),
        ),
        (
            "volumes, a constant",
            &[1, 4, 3, 3, 2],
            Box::new(Conv3D::new(3, 3).padding(Padding3d::all(1)).padding_mode(PadMode::Constant(0.5))),
        ),
        ("depth to space", &[2, 3, 2, 8], Box::new(DepthToSpace::new(2))),
        ("space to depth", &[2, 4, 6, 3], Box::new(SpaceToDepth::new(2).order(BlockOrder::ChannelsFirst))),
        ("a slope for everything", &[2, 3, 4, 3], Box::new(PReLU::new().single())),
        ("a slope for each channel", &[2, 3, 4, 3], Box::new(PReLU::new().per_channel())),
        ("a slope for each element", &[2, 3, 4, 3], Box::new(PReLU::new())),
        // More elements than one task works through.
        ("large volumes", &[2, 12, 20, 20, 6], Box::new(Conv3D::new(4, 3).padding(Padding::Same))),
    ];
    for (seed, (what, shape, mut layer)) in (1..).zip(layers) {
        let rng = &mut Rng::seed(seed);
        check_slopes(what, &mut *layer, &common::normal_tensor(rng, shape), rng);
    }
}

#[test]
fn pooling_of_sequences_and_volumes_has_its_slopes() {
    let layers: Vec<Shaped<'_>> = vec![
        ("max", &[2, 9, 3], Box::new(MaxPool1D::new(3).strides(2).padding(Padding::ends(1, 0)))),
        ("average", &[2, 9, 3], Box::new(AvgPool1D::new(2).dilation(2).padding(Padding::Same))),
        ("global max", &[2, 9, 3], Box::new(GlobalMaxPool1D::new().keepdims(true))),
        ("global average", &[2, 9, 3], Box::new(GlobalAvgPool1D::new())),
        ("adaptive", &[2, 9, 3], Box::new(AdaptiveAvgPool1D::new(4))),
        (
            "max of volumes",
            &[2, 5, 4, 6, 3],
            Box::new(MaxPool3D::new((2, 3, 2)).strides(1).padding(Padding::Same)),
        ),
        (
            "average of volumes",
            &[2, 5, 4, 6, 3],
            Box::new(
                AvgPool3D::new(3)
                    .strides(2)
                    .padding(Padding3d::all(1))
                    .count_include_pad(true)
                    .ceil_mode(true),
            ),
        ),
        ("sum of volumes", &[2, 5, 4, 6, 3], Box::new(AvgPool3D::new(2).divisor_override(1))),
        ("adaptive max", &[2, 5, 7, 3], Box::new(AdaptiveMaxPool2D::new((3, 4)))),
        ("adaptive max of sequences", &[2, 9, 3], Box::new(AdaptiveMaxPool1D::new(4))),
        ("norms", &[2, 5, 7, 3], Box::new(LpPool2D::new(3.0, 3).strides(2).padding(Padding::Same))),
        ("norms of sequences", &[2, 9, 3], Box::new(LpPool1D::new(1.5, 2).dilation(3))),
        ("global max of volumes", &[2, 5, 4, 6, 3], Box::new(GlobalMaxPool3D::new())),
        ("global average of volumes", &[2, 5, 4, 6, 3], Box::new(GlobalAvgPool3D::new().keepdims(true))),
    ];
    for (seed, (what, shape, mut pool)) in (1..).zip(layers) {
        let rng = &mut Rng::seed(seed);
        let x: Tensor<f64> = distinct::<f64, _, _>(rng, shape).into();
        check_slopes(what, &mut *pool, &x, rng);
        let mut tape = Tape::new();
        let y = pool.forward_train(x.clone(), &mut tape).unwrap();
        assert_eq!(y, pool.forward(&x).unwrap(), "{what}");
        assert_eq!(y.shape(), pool.output_shape(shape).unwrap(), "{what}");
        assert_eq!(tape.bytes(), pool.cost(shape).unwrap().saved_bytes, "{what}");
    }
}

#[test]
fn a_whole_model_has_its_slopes() {
    for seed in 1..=5 {
        let rng = &mut Rng::seed(seed);
        let mut model = sequential![
            Conv2D::new(4, 3).padding(Padding::Same).activation(Activation::Tanh),
            MaxPool2D::new(2),
            sequential![Conv2D::new(6, 3).strides(2).activation(Activation::Gelu), Activation::Softsign],
            AvgPool2D::new(2).strides(1),
            Flatten::new(),
            Dense::new(7).activation(Activation::Elu { alpha: 1.0 }),
            Dense::new(3).activation(Activation::Softmax),
        ];
        let x = common::normal_tensor(rng, &[2, 12, 11, 2]);
        check_slopes("model", &mut model, &x, rng);
    }
}

#[test]
fn normalisation_layers_have_their_slopes() {
    let norms: Vec<(&str, Box<dyn Layer<f64>>)> = vec![
        ("batch", Box::new(BatchNorm::new())),
        (
            "batch, unbiased",
            Box::new(BatchNorm::new().running_variance(RunningVariance::Unbiased).scale(false)),
        ),
        ("batch, frozen", Box::new(BatchNorm::new().frozen(true).center(false))),
        ("layer", Box::new(LayerNorm::new())),
        ("layer, three axes", Box::new(LayerNorm::new().axes(3))),
        ("layer, everything", Box::new(LayerNorm::new().axes(4).center(false))),
        ("group", Box::new(GroupNorm::new(2))),
        ("instance", Box::new(InstanceNorm::new())),
        ("local response", Box::new(LocalResponseNorm::new(4).alpha(0.5).beta(0.6))),
    ];
    for (seed, (what, mut norm)) in (1..).zip(norms) {
        let rng = &mut Rng::seed(seed);
        check_slopes(what, &mut *norm, &common::normal_tensor(rng, &[3, 5, 4, 6]), rng);
    }
    // More elements than one task works through, in one sample and in many.
    for shape in [[1, 70, 60, 6], [700, 3, 3, 6]] {
        let rng = &mut Rng::seed(7);
        let x = common::normal_tensor(rng, &shape);
        check_slopes("large batch", &mut BatchNorm::new(), &x, rng);
        check_slopes("large groups", &mut GroupNorm::new(3), &x, rng);
    }
}

#[test]
fn padding_and_resizing_layers_have_their_slopes() {
    let uneven = Padding::Explicit { top: 1, bottom: 3, left: 2, right: 0 };
    let modes = [PadMode::Constant(2.0), PadMode::Reflect, PadMode::Replicate, PadMode::Circular];
    let mut layers: Vec<(String, Box<dyn Layer<f64>>)> = Vec::new();
    for mode in modes {
        layers.push((format!("{mode:?}"), Box::new(Pad2D::new(uneven).mode(mode))));
        let conv = Conv2D::new(3, 3).strides((2, 1)).padding(uneven).activation(Activation::Tanh);
        layers.push((format!("Conv2D, {mode:?}"), Box::new(conv.padding_mode(mode))));
    }
    for how in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::BilinearAligned] {
        layers.push((format!("{how:?}"), Box::new(UpSample2D::new((2, 3)).interpolation(how))));
    }
    layers.push(("crop".into(), Box::new(Crop2D::new((1, 2), (0, 1)))));
    layers.push(("adaptive".into(), Box::new(AdaptiveAvgPool2D::new((3, 7)))));
    for (seed, (what, mut layer)) in (1..).zip(layers) {
        let rng = &mut Rng::seed(seed);
        check_slopes(&what, &mut *layer, &common::normal_tensor(rng, &[2, 5, 5, 3]), rng);
    }
}

#[test]
fn containers_have_their_slopes() {
    let conv = |filters| Conv2D::new(filters, 3).padding(Padding::Same).activation(Activation::Tanh);
    let excitation = || {
        let weights =
            sequential![GlobalAvgPool2D::new().keepdims(true), Dense::new(4).activation(Activation::Sigmoid)];
        Parallel::new(Join::Multiply).with(Sequential::new()).with(weights)
    };
    let containers: Vec<(&str, Box<dyn Layer<f64>>)> = vec![
        ("residual", Box::new(Residual::new(sequential![conv(4), BatchNorm::new(), conv(4)]))),
        ("projected", Box::new(Residual::new(conv(6)).shortcut(Conv2D::new(6, 1)))),
        (
            "inception",
            Box::new(
                Parallel::new(Join::Concat)
                    .with(conv(2))
                    .with(MaxPool2D::new(3).strides(1).padding(Padding::Same))
                    .with(Conv2D::new(3, 1)),
            ),
        ),
        (
            "products",
            Box::new(Parallel::new(Join::Multiply).with(conv(4)).with(conv(4)).with(Activation::Softsign)),
        ),
        ("excitation", Box::new(excitation())),
        (
            "stretched sum",
            Box::new(
                Parallel::new(Join::Add)
                    .with(GlobalAvgPool2D::new().keepdims(true))
                    .with(conv(4))
                    .with(Conv2D::new(1, 1)),
            ),
        ),
        (
            "nested",
            Box::new(sequential![Residual::new(sequential![excitation(), Residual::new(conv(4))]), conv(2)]),
        ),
    ];
    for (seed, (what, mut container)) in (1..).zip(containers) {
        let rng = &mut Rng::seed(seed);
        let x = common::normal_tensor(rng, &[2, 5, 4, 4]);
        check_slopes(what, &mut *container, &x, rng);
        let mut tape = Tape::new();
        let y = container.forward_train(x.clone(), &mut tape).unwrap();
        assert_eq!(y.shape(), container.output_shape(x.shape()).unwrap(), "{what}");
        assert_eq!(tape.bytes(), container.cost(x.shape()).unwrap().saved_bytes, "{what}");
        container.backward_params(y, &mut tape).unwrap();
        assert!(tape.is_empty(), "{what}");
    }
}
