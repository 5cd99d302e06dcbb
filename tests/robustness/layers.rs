//! Layers with any options meet any input.

use proptest::prelude::*;
use striate::{
    AdaptiveMaxPool2D, AvgPool2D, AvgPool3D, BatchNorm, ChannelMaxPool, Conv1D, Conv1DTranspose, Conv2D,
    Conv2DTranspose, Conv3D, Conv3DTranspose, Dense, DepthToSpace, DepthwiseConv2D, Dropout, ErrorKind,
    Flatten, GlobalAvgPool1D, GlobalAvgPool2D, GlobalMaxPool2D, GlobalMaxPool3D, GroupNorm, Join, Layer,
    LayerNorm, LocalResponseNorm, LpPool2D, MaxPool1D, MaxPool2D, MaxPool3D, PReLU, Pad2D, PadMode, Padding,
    Parallel, Residual, Rng, Saved, SeparableConv2D, SpaceToDepth, SpatialDropout, Summary, Tape, Tensor,
    UpSample2D,
};

use crate::allocator::frugal;
use crate::common::config;
use crate::wild;

/// The outcome of one case of a property.
type Checked = Result<(), TestCaseError>;

/// Everything that a layer says about a shape, before it is built; then it is built.
fn check_shapes(layer: &mut dyn Layer, input: &[usize], seed: u64) -> Checked {
    let output = frugal(|| layer.output_shape(input));
    let cost = frugal(|| layer.cost(input));
    let summary = frugal(|| Summary::of(&*layer, input));
    prop_assert!(output.is_ok() || cost.is_err(), "{:?}", cost);
    prop_assert!(output.is_ok() || summary.is_err(), "{:?}", summary);
    if let Ok(summary) = summary {
        prop_assert!(summary.to_string().contains("arameters"), "{}", summary);
        summary.training_bytes();
        summary.receptive_fields();
    }
    let built = frugal(|| layer.build(input, &mut Rng::seed(seed)));
    prop_assert!(output.is_ok() || built.is_err());
    if let (Ok(()), Ok(cost)) = (built, cost) {
        let weights: usize = layer.params().iter().map(|(_, param)| param.value().len()).sum();
        prop_assert_eq!(weights, cost.params + cost.frozen_params);
    }
    Ok(())
}

/// Everything that a layer does with an input, in order and out of order.
fn check_passes(layer: &mut dyn Layer, x: &Tensor, other: &Tensor) -> Checked {
    let wanted = layer.output_shape(x.shape());
    let y = frugal(|| layer.forward(x));
    match (&y, &wanted) {
        (Ok(y), Ok(wanted)) => prop_assert_eq!(y.shape(), &wanted[..]),
        (Ok(y), Err(error)) => prop_assert!(false, "output {:?} in spite of: {}", y, error),
        (Err(error), Ok(_)) => {
            let kinds = [ErrorKind::Size, ErrorKind::NotBuilt, ErrorKind::Shape, ErrorKind::Argument];
            prop_assert!(kinds.contains(&error.kind()), "{}", error);
        }
        (Err(_), Err(_)) => {}
    }
    let _ = frugal(|| layer.forward(other));
    let _ = frugal(|| layer.backward(other.clone(), &mut Tape::new()));

    let mut tape = Tape::new();
    let trained = frugal(|| layer.forward_train(x.clone(), &mut tape));
    let Ok(y) = trained else { return Ok(()) };
    prop_assert_eq!(tape.bytes(), layer.cost(x.shape())?.saved_bytes);
    if other.shape() != y.shape() && !tape.is_empty() {
        let wrong = frugal(|| layer.backward(other.clone(), &mut tape.clone()));
        prop_assert!(wrong.is_err(), "a gradient of {:?} for an output of {:?}", other.shape(), y.shape());
        prop_assert!(frugal(|| layer.backward_params(other.clone(), &mut tape.clone())).is_err());
    }
    let saved = !tape.is_empty();
    match frugal(|| layer.backward(y.clone(), &mut tape)) {
        Ok(dx) => prop_assert_eq!(dx.shape(), x.shape()),
        Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Size, "{}", error),
    }
    if saved {
        let error = frugal(|| layer.backward(y, &mut Tape::new())).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Tape);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(6000))]

    #[test]
    fn layers_take_or_refuse_any_shape(mut layer in wild::layer(), input in wild::shape(), seed in any::<u64>()) {
        check_shapes(&mut *layer, &input, seed)?;
    }

    #[test]
    fn layers_take_or_refuse_any_input(mut layer in wild::layer(), x in wild::tensor(), other in wild::tensor()) {
        check_passes(&mut *layer, &x, &other)?;     // not built
        check_shapes(&mut *layer, x.shape(), 1)?;
        check_passes(&mut *layer, &x, &other)?;
        check_passes(&mut *layer, &other, &x)?;     // built for another shape
    }
}

proptest! {
    #![proptest_config(config(2000))]

    /// Models may have used memory for their first layers when a later one fails.
    #[test]
    fn models_take_or_refuse_any_input(mut model in wild::model(), shape in wild::shape(), x in wild::tensor()) {
        for input in [&shape[..], x.shape()] {
            let output = model.output_shape(input);
            let summary = model.summary(input).map(|summary| summary.to_string());
            prop_assert!(output.is_ok() || summary.is_err(), "{:?}", summary);
        }
        let mut tape = Tape::new();
        let built = model.build(x.shape(), &mut Rng::seed(1));
        if let (Ok(()), Ok(y)) = (built, model.forward_train(x.clone(), &mut tape)) {
            prop_assert_eq!(y.shape(), model.output_shape(x.shape())?);
            if let Ok(dx) = model.backward(y, &mut tape) {
                prop_assert_eq!(dx.shape(), x.shape());
            }
        }
    }
}

/// One of each, built for maps of 4x4x4 where it can be built.
fn built() -> Vec<Box<dyn Layer>> {
    let mut layers: Vec<Box<dyn Layer>> = vec![
        Box::new(Conv2D::new(4, 3).padding(Padding::Same).activation(striate::Activation::Silu)),
        Box::new(Dense::new(4).activation(striate::Activation::Softmax)),
        Box::new(MaxPool2D::new(2)),
        Box::new(MaxPool2D::new((1, 2)).strides(1).padding(Padding::Same)),
        Box::new(AvgPool2D::new(2)),
        Box::new(GlobalMaxPool2D::new()),
        Box::new(GlobalAvgPool2D::new()),
        Box::new(ChannelMaxPool::new(2)),
        Box::new(Flatten::new()),
        Box::new(Dropout::new(0.5)),
        Box::new(striate::Activation::Tanh),
        Box::new(BatchNorm::new()),
        Box::new(LayerNorm::new()),
        Box::new(GroupNorm::new(2)),
        Box::new(LocalResponseNorm::new(3)),
        Box::new(Pad2D::new(Padding::all(1)).mode(PadMode::Reflect)),
        Box::new(UpSample2D::new(2)),
        Box::new(DepthwiseConv2D::new(3)),
        Box::new(SeparableConv2D::new(3, 2)),
        Box::new(Conv2DTranspose::new(3, 2).strides(2)),
        Box::new(DepthToSpace::new(2)),
        Box::new(SpaceToDepth::new(2)),
        Box::new(AdaptiveMaxPool2D::new(3)),
        Box::new(LpPool2D::new(2.0, 2)),
        Box::new(SpatialDropout::new(0.5)),
        Box::new(PReLU::new()),
        Box::new(Residual::new(Dense::new(4))),
        Box::new(Parallel::new(Join::Multiply).with(Flatten::new()).with(Flatten::new())),
    ];
    for layer in &mut layers {
        layer.build(&[2, 4, 4, 4], &mut Rng::seed(1)).unwrap();
    }
    layers
}

/// One of each over sequences and volumes, with the shape that they are built for.
fn built_otherwise() -> Vec<(Vec<usize>, Box<dyn Layer>)> {
    let (sequences, volumes) = (vec![2, 4, 4], vec![2, 4, 4, 4, 4]);
    let mut layers: Vec<(Vec<usize>, Box<dyn Layer>)> = vec![
        (sequences.clone(), Box::new(Conv1D::new(3, 2))),
        (sequences.clone(), Box::new(Conv1DTranspose::new(3, 2))),
        (sequences.clone(), Box::new(MaxPool1D::new(2))),
        (sequences.clone(), Box::new(GlobalAvgPool1D::new())),
        (volumes.clone(), Box::new(Conv3D::new(3, 2))),
        (volumes.clone(), Box::new(Conv3DTranspose::new(3, 2))),
        (volumes.clone(), Box::new(MaxPool3D::new(2))),
        (volumes.clone(), Box::new(AvgPool3D::new(2))),
        (volumes.clone(), Box::new(GlobalMaxPool3D::new())),
    ];
    for (shape, layer) in &mut layers {
        layer.build(shape, &mut Rng::seed(1)).unwrap();
    }
    layers
}

/// What might lie on a tape.
fn saved() -> impl Strategy<Value = Saved> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..140);
    let indices = proptest::collection::vec(any::<u32>(), 0..140);
    prop_oneof![
        wild::tensor().prop_map(Saved::Tensor),
        wild::shape().prop_map(Saved::Shape),
        Just(Saved::Shape(vec![2, 4, 4, 4])),
        bytes.prop_map(Saved::Bytes),
        Just(Saved::Bytes(vec![255; 32])),
        Just(Saved::Bytes(vec![3; 128])),
        indices.prop_map(Saved::Indices),
    ]
}

proptest! {
    #![proptest_config(config(3000))]

    /// A tape may hold anything, under any name: what a layer finds there may make no sense.
    #[test]
    fn tapes_of_rubbish_are_errors(entries in proptest::collection::vec(saved(), 0..4), grad in wild::tensor()) {
        let others = built_otherwise().into_iter().map(|(_, layer)| layer);
        for mut layer in built().into_iter().chain(others) {
            let mut tape = Tape::new();
            entries.iter().for_each(|entry| tape.push(layer.kind(), entry.clone()));
            let _ = frugal(|| layer.backward(grad.clone(), &mut tape.clone()));
            let _ = frugal(|| layer.backward_params(grad.clone(), &mut tape));
        }
    }
}

/// What one layer saved is no other's.
#[test]
fn a_tape_of_another_layer_is_an_error() {
    let x: Tensor = Tensor::full(&[2, 4, 4, 4], 0.5).unwrap();
    for mut layer in built() {
        let mut tape = Tape::new();
        let y = layer.forward_train(x.clone(), &mut tape).unwrap();
        for mut other in built() {
            if other.kind() == layer.kind() {
                continue;
            }
            let error = other.backward(y.clone(), &mut tape.clone()).unwrap_err();
            let kinds = [ErrorKind::Tape, ErrorKind::Shape];
            assert!(kinds.contains(&error.kind()), "{} after {}: {error}", other.kind(), layer.kind());
        }
    }
}

/// As many entries as the layer saved, each as rubbish in turn.
#[test]
fn a_tape_with_one_wrong_entry_is_an_error() {
    let maps = built().into_iter().map(|layer| (vec![2, 4, 4, 4], layer));
    for (shape, mut layer) in maps.chain(built_otherwise()) {
        let mut tape = Tape::new();
        let y = layer.forward_train(Tensor::full(&shape, 0.5).unwrap(), &mut tape).unwrap();
        let mut entries = Vec::new();
        let kinds = [layer.kind(), "MaxPool2D", "AdaptiveMaxPool2D", "GlobalMaxPool2D", "GlobalAvgPool2D"];
        while !tape.is_empty() {
            let Some((kind, entry)) =
                kinds.iter().find_map(|kind| Some((*kind, tape.clone().pop(kind).ok()?)))
            else {
                break;
            };
            tape.pop(kind).unwrap();
            entries.insert(0, (kind, entry));
        }
        if !tape.is_empty() {
            continue; // containers and activations have entries of others
        }
        let rubbish =
            [Saved::Shape(vec![2, 3]), Saved::Shape(vec![usize::MAX; 5]), Saved::Bytes(vec![200; 3])];
        for (place, rubbish) in (0..entries.len()).flat_map(|place| rubbish.iter().map(move |r| (place, r))) {
            let mut tape = Tape::new();
            for (i, (kind, entry)) in entries.iter().enumerate() {
                tape.push(kind, if i == place { rubbish.clone() } else { entry.clone() });
            }
            assert!(layer.backward(y.clone(), &mut tape).is_err(), "{layer:?}: {rubbish:?} at {place}");
        }
    }
}

/// Sizes that are fine one by one, and too much together: refused before anything is asked for.
#[test]
fn outputs_that_do_not_fit_are_errors() {
    let x: Tensor = Tensor::full(&[1, 2, 2, 1], 1.0).unwrap();
    let far = Padding::all(1 << 20);
    let mut layers: Vec<Box<dyn Layer>> = vec![
        Box::new(Conv2D::new(1, 1).padding(far)),
        Box::new(Conv2D::new(1 << 20, 1).padding(Padding::all(100))),
        Box::new(Conv2D::new(1, 1 << 16).padding(Padding::all(1 << 16))),
        Box::new(Dense::new(1 << 40)),
    ];
    for layer in &mut layers {
        let built = frugal(|| layer.build(x.shape(), &mut Rng::seed(1)));
        let error = built.and_then(|()| frugal(|| layer.forward(&x))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Size, "{error}");
        assert!(frugal(|| layer.forward_train(x.clone(), &mut Tape::new())).is_err());
    }
}

/// Windows far larger than the input cost no more than the input: no loop and no list runs over their taps.
#[test]
fn pooling_with_huge_windows_is_quick() {
    let x: Tensor = Tensor::full(&[1, 3, 3, 2], 1.5).unwrap();
    for bits in [10, 20, 28] {
        let half = 1 << (bits - 1);
        let window = (2 * half + 1, 3);
        let padding = Padding::symmetric(half, 1);
        let pools: [Box<dyn Layer>; 2] = [
            Box::new(MaxPool2D::new(window).strides(1).padding(padding)),
            Box::new(AvgPool2D::new(window).strides(1).padding(padding)),
        ];
        for mut pool in pools {
            let mut tape = Tape::new();
            let y = pool.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(y, x);
            assert_eq!(pool.backward(y, &mut tape).unwrap().shape(), x.shape());
        }
    }
}
