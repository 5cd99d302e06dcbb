use super::*;
use crate::{
    BatchNorm, ChannelMaxPool, Conv1D, Conv2D, Conv2DTranspose, Conv3D, Dense, DepthwiseConv2D, Dropout,
    ErrorKind, Flatten, GlobalMaxPool2D, MaxPool1D, MaxPool2D, MaxPool3D, Padding, Reach, Remat, Residual,
    SeparableConv2D,
};
use ndarray::array;

/// Flatten, then two dense layers inside a model of their own, then softmax.
fn nested() -> Sequential<f64> {
    let inner = sequential![Dense::new(5).activation(Activation::Tanh), Dropout::new(0.5), Dense::new(3)];
    let mut model = sequential![Flatten::new(), inner, Activation::Softmax];
    model.build(&[1, 2, 2, 1], &mut Rng::seed(1)).unwrap();
    model
}

fn names(model: &Sequential<f64>) -> Vec<String> {
    model.params().into_iter().map(|(name, _)| name.into_owned()).collect()
}

#[test]
fn names_are_paths_in_the_same_order_to_read_and_to_write() {
    let mut model = nested();
    let want = ["1.0.kernel", "1.0.bias", "1.2.kernel", "1.2.bias"];
    assert_eq!(names(&model), want);
    let to_write: Vec<String> = model.params_mut().into_iter().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(to_write, want);
}

#[test]
fn computes_what_its_layers_compute() {
    let model = nested();
    let x = Tensor::from_vec(&[3, 2, 2, 1], (0..12).map(|i| f64::from(i) / 6.0 - 1.0).collect()).unwrap();
    let mut want = x.clone();
    for layer in model.layers() {
        want = layer.forward(&want).unwrap();
    }
    assert_eq!(model.forward(&x).unwrap(), want);
    assert_eq!(model.output_shape(x.shape()).unwrap(), want.shape());
}

#[test]
fn a_convolution_pools_large_maps_itself() {
    let (pool, input) = (|| MaxPool2D::new(2).ceil_mode(true), [1, 191, 190, 1]);
    let conv = || Conv2D::new(8, 3).padding(Padding::Same);
    let models: [Sequential<f64>; 3] = [
        sequential![conv().activation(Activation::Relu), pool()],
        sequential![conv(), Activation::Linear, pool(), conv()],
        sequential![sequential![conv(), BatchNorm::new(), Activation::Tanh], pool(), pool()],
    ];
    let x =
        Tensor::from_vec(&input, (0..191 * 190).map(|i| f64::from(i % 31) / 7.0 - 2.0).collect()).unwrap();
    for mut model in models {
        model.build(&input, &mut Rng::seed(1)).unwrap();
        let window = Layer::<f64>::max_window(&pool()).unwrap();
        let first = model.layers().next().unwrap();
        let plain = first.params().len() == 2;
        assert_eq!(first.forward_pooled(&x, &window, &mut Tensor::default()).unwrap(), plain);
        let want = model.layers().try_fold(x.clone(), |x, layer| layer.forward(&x)).unwrap();
        let mut out = Tensor::zeros(want.shape()).unwrap();
        let memory = out.as_slice().as_ptr();
        model.forward_into(&x, &mut out).unwrap();
        assert!(bits(&out) == bits(&want));
        assert!(!plain || out.as_slice().as_ptr() == memory);
        // A pooling that comes last adds by itself.
        model.forward_add(&x, (&want, Activation::Relu), &mut out).unwrap();
        let sum = want.map(|v| (v + v).max(0.0));
        assert!(bits(&out) == bits(&sum));
    }
    let mut model: Sequential<f64> = sequential![conv(), MaxPool2D::new(200)];
    model.layers.first_mut().unwrap().build(&input, &mut Rng::seed(1)).unwrap();
    assert_eq!(model.forward(&x).unwrap_err().layer(), Some("1"));
}

/// Models with a max pooling after an activation that may come later, or may not, and the axes of their inputs.
fn pooled() -> Vec<(Sequential<f64>, &'static [usize])> {
    const MAPS: &[usize] = &[2, 8, 8, 2];
    let relu = Activation::Relu;
    let conv = |activation| Conv2D::new(4, 3).padding(Padding::Same).activation(activation);
    let overlapping = || MaxPool2D::new(3).strides(2).padding(Padding::all(1));
    let hard = Activation::HardTanh { min: -0.1, max: 0.2 };
    vec![
        (sequential![conv(relu), MaxPool2D::new(2), conv(relu), GlobalMaxPool2D::new()], MAPS),
        (sequential![BatchNorm::new(), Activation::Relu6, overlapping()], MAPS),
        (
            sequential![sequential![conv(Activation::Linear), conv(hard)], overlapping(), Activation::Relu],
            MAPS,
        ),
        (sequential![SeparableConv2D::new(4, 3).activation(relu), ChannelMaxPool::new(2)], MAPS),
        (sequential![relu, relu, MaxPool2D::new(2), MaxPool2D::new(2)], MAPS),
        (sequential![conv(Activation::Tanh), MaxPool2D::new(2)], MAPS),
        (sequential![Remat::new(sequential![conv(relu), overlapping()]), conv(relu), overlapping()], MAPS),
        (sequential![Remat::new(conv(relu)), overlapping()], MAPS),
        (sequential![Conv1D::new(5, 3).activation(relu), MaxPool1D::new(2)], &[3, 17, 4]),
        (sequential![Conv3D::new(3, 2).activation(relu), MaxPool3D::new(2)], &[2, 5, 6, 5, 3]),
    ]
}

/// A training step of a model's layers, each on its own: the output and the gradient of the input.
fn one_by_one(model: &mut Sequential<f64>, x: &Tensor<f64>, grad: &Tensor<f64>) -> [Tensor<f64>; 2] {
    let mut tape = Tape::new();
    let layers = model.layers.iter_mut();
    let y = layers.fold(x.clone(), |x, layer| layer.forward_train(x, &mut tape).unwrap());
    let layers = model.layers.iter_mut().rev();
    [y, layers.fold(grad.clone(), |grad, layer| layer.backward(grad, &mut tape).unwrap())]
}

/// The numbers to the last bit, but for the sign of zero.
fn bits(tensor: &Tensor<f64>) -> Vec<u64> {
    tensor.as_slice().iter().map(|v| (v + 0.0).to_bits()).collect()
}

#[test]
fn an_activation_after_the_maxima_changes_nothing_but_what_is_saved() {
    let mut rng = Rng::seed(7);
    let mut random = |shape: &[usize]| Tensor::zeros(shape).unwrap().map(|_: f64| rng.normal());
    for ((mut model, shape), (mut alone, _)) in pooled().into_iter().zip(pooled()) {
        let mut x = random(shape);
        x.as_mut_slice()[17] = f64::NAN;
        for model in [&mut model, &mut alone] {
            model.build(shape, &mut Rng::seed(1)).unwrap();
        }
        let grad = random(&model.output_shape(shape).unwrap());
        let [y, dx] = one_by_one(&mut alone, &x, &grad);

        let mut tape = Tape::new();
        assert_eq!(bits(&model.forward_train(x, &mut tape).unwrap()), bits(&y), "{model:?}");
        assert_eq!(tape.bytes(), model.cost(shape).unwrap().saved_bytes, "{model:?}");
        assert_eq!(tape.bytes() as u64, model.summary(shape).unwrap().saved_bytes(), "{model:?}");
        assert_eq!(bits(&model.backward(grad, &mut tape).unwrap()), bits(&dx), "{model:?}");
        assert!(tape.is_empty());
        for ((_, param), (_, want)) in model.params().into_iter().zip(alone.params()) {
            assert_eq!(param.grad().map(bits), want.grad().map(bits), "{model:?}");
        }
        let activations =
            [&model, &alone].map(|model| model.layers().map(Layer::last_activation).collect::<Vec<_>>());
        assert_eq!(activations[0], activations[1], "each has its own back");
    }
}

#[test]
fn the_backward_pass_empties_the_tape_with_or_without_the_inputs_gradient() {
    let x = Tensor::from_vec(&[3, 2, 2, 1], (0..12).map(|i| f64::from(i) / 6.0 - 1.0).collect()).unwrap();
    let upstream = Tensor::from(array![[1.0, 0.0, -1.0], [0.5, 2.0, 0.0], [0.0, 0.0, 1.0]]);
    let grads = |params_only: bool| {
        let (mut model, mut tape) = (nested(), Tape::new());
        model.forward_train(x.clone(), &mut tape).unwrap();
        assert_eq!(tape.bytes(), model.cost(x.shape()).unwrap().saved_bytes);
        match params_only {
            true => model.backward_params(upstream.clone(), &mut tape).unwrap(),
            false => assert_eq!(model.backward(upstream.clone(), &mut tape).unwrap().shape(), x.shape()),
        }
        assert!(tape.is_empty());
        model.params().into_iter().map(|(_, param)| param.grad().unwrap().clone()).collect::<Vec<_>>()
    };
    assert_eq!(grads(true), grads(false));
}

/// Fails in `backward`, so that only `backward_params` of the first layer succeeds.
#[derive(Debug)]
struct OnlyParams;

impl Layer<f64> for OnlyParams {
    fn kind(&self) -> &'static str {
        "OnlyParams"
    }
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }
    fn forward(&self, x: &Tensor<f64>) -> Result<Tensor<f64>> {
        Ok(x.clone())
    }
    fn forward_train(&mut self, x: Tensor<f64>, _: &mut Tape<f64>) -> Result<Tensor<f64>> {
        Ok(x)
    }
    fn backward(&mut self, _: Tensor<f64>, _: &mut Tape<f64>) -> Result<Tensor<f64>> {
        Err(crate::Error::not_built("OnlyParams"))
    }
    fn backward_params(&mut self, _: Tensor<f64>, _: &mut Tape<f64>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn the_first_layer_alone_need_not_give_the_inputs_gradient() {
    let grad = Tensor::zeros(&[1, 2]).unwrap();
    let mut first = sequential![sequential![OnlyParams], Activation::Linear];
    first.backward_params(grad.clone(), &mut Tape::new()).unwrap();
    assert_eq!(first.backward(grad.clone(), &mut Tape::new()).unwrap_err().layer(), Some("0.0"));
    let mut second = sequential![Activation::Linear, OnlyParams];
    assert_eq!(second.backward_params(grad, &mut Tape::new()).unwrap_err().layer(), Some("1"));
}

/// Convolutions of every kind and a dense layer, with batch normalisation behind them that does something.
fn normalised() -> Sequential<f64> {
    let body = sequential![Conv2D::new(6, 3).padding(Padding::Same), BatchNorm::new().center(false)];
    let mut model = sequential![
        Conv2D::new(4, 3).use_bias(false),
        BatchNorm::new(),
        Dropout::new(0.5),
        Activation::Relu,
        DepthwiseConv2D::new(3).depth_multiplier(2),
        BatchNorm::new(),
        SeparableConv2D::new(6, 3).use_bias(false),
        BatchNorm::new().scale(false),
        Conv2DTranspose::new(6, 3).groups(2).padding(Padding::all(1)),
        BatchNorm::new(),
        Activation::Silu,
        Residual::new(body),
        Activation::Relu6,
        BatchNorm::new(),
        Flatten::new(),
        sequential![Dense::new(5)],
        BatchNorm::new(),
        Activation::Softmax,
    ];
    let rng = &mut Rng::seed(1);
    model.build(&[1, 10, 10, 3], rng).unwrap();
    for (name, param) in model.params_mut() {
        let value =
            |rng: &mut Rng| if name.contains("variance") { 0.1 + rng.uniform() } else { rng.normal() };
        let values = (0..param.value().len()).map(|_| value(rng)).collect();
        param.set_value(Tensor::from_vec(param.value().shape(), values).unwrap()).unwrap();
    }
    model
}

#[test]
fn inference_merges_normalisation_and_activations_into_weights() {
    let mut model = normalised();
    let x = (0..2 * 300).map(|i| (f64::from(i) * 0.7).sin()).collect();
    let x = Tensor::from_vec(&[2, 10, 10, 3], x).unwrap();
    let want = model.forward(&x).unwrap();
    model.for_inference().unwrap();
    approx::assert_abs_diff_eq!(model.forward(&x).unwrap(), want, epsilon = 1e-12);
    let kinds: Vec<_> = model.layers().map(|layer| layer.kind()).filter(|kind| *kind != "Linear").collect();
    let convolutions = ["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"];
    assert_eq!(kinds[..4], convolutions);
    assert_eq!(kinds[4..], ["Residual", "BatchNorm", "Flatten", "Sequential"]);
    assert_eq!(names(&model)[..4], ["0.kernel", "0.bias", "4.depthwise_kernel", "4.bias"]);
    assert!(names(&model).contains(&"11.body.0.bias".to_string()));
    // What it says of itself is still true, and there is nothing left to merge.
    let params: usize = model.params().iter().map(|(_, param)| param.value().len()).sum();
    let cost = model.cost(x.shape()).unwrap();
    assert_eq!(cost.params + cost.frozen_params, params);
    let before = model.forward(&x).unwrap();
    model.for_inference().unwrap();
    assert_eq!(model.forward(&x).unwrap(), before);
}

#[test]
fn a_model_without_weights_has_nothing_to_merge() {
    let mut model: Sequential<f64> = sequential![Conv2D::new(4, 3), BatchNorm::new()];
    assert_eq!(model.for_inference().unwrap_err().kind(), ErrorKind::NotBuilt);
    model = sequential![Flatten::new(), Activation::Relu];
    model.for_inference().unwrap();
    assert_eq!(model.layers().last().unwrap().kind(), "Relu");
}

#[test]
fn without_layers_it_is_the_identity() {
    let mut empty = Sequential::<f64>::new();
    let (x, mut tape) = (Tensor::from(array![[1.0, 2.0]]), Tape::new());
    empty.build(x.shape(), &mut Rng::seed(1)).unwrap();
    assert_eq!(empty.output_shape(x.shape()).unwrap(), x.shape());
    assert_eq!(empty.forward(&x).unwrap(), x);
    assert_eq!(empty.forward_train(x.clone(), &mut tape).unwrap(), x);
    assert_eq!(empty.backward(x.clone(), &mut tape).unwrap(), x);
    empty.backward_params(x.clone(), &mut tape).unwrap();
    assert_eq!((empty.len(), empty.params().len(), empty.cost(x.shape()).unwrap()), (0, 0, Cost::default()));
    assert!(empty.summary(x.shape()).unwrap().rows().is_empty());
}

#[test]
fn errors_name_the_layer() {
    let model = nested();
    let wrong = Tensor::zeros(&[1, 7]).unwrap();
    let error = model.forward(&wrong).unwrap_err();
    assert_eq!((error.layer(), error.kind()), (Some("1.0"), ErrorKind::Shape));

    let mut bad = sequential![Flatten::new(), sequential![Dense::<f64>::new(3), Dense::new(0)]];
    assert_eq!(bad.build(&[1, 4], &mut Rng::seed(1)).unwrap_err().layer(), Some("1.1"));
    assert_eq!(bad.output_shape(&[1, 4]).unwrap_err().layer(), Some("1.1"));
    assert_eq!(bad.cost(&[1, 4]).unwrap_err().layer(), Some("1.1"));
    assert_eq!(bad.summary(&[1, 4]).unwrap_err().layer(), Some("1.1"));
    let unbuilt = sequential![Flatten::new(), Dense::<f64>::new(3)];
    let error = unbuilt.forward(&wrong).unwrap_err();
    assert_eq!((error.layer(), error.kind()), (Some("1"), ErrorKind::NotBuilt));
}

#[test]
fn summaries_of_nested_models_have_a_row_for_each_layer_inside() {
    let summary = nested().summary(&[2, 2, 2, 1]).unwrap();
    let rows: Vec<_> = summary.rows().iter().map(|row| (row.name.as_str(), row.kind)).collect();
    let want = [("0", "Flatten"), ("1.0", "Dense"), ("1.1", "Dropout"), ("1.2", "Dense"), ("2", "Softmax")];
    assert_eq!(rows, want);
    let cost = nested().cost(&[2, 2, 2, 1]).unwrap();
    assert_eq!(summary.params(), (4 + 1) * 5 + (5 + 1) * 3);
    assert_eq!(summary.params(), cost.params as u64);
    assert_eq!((summary.multiplications(), cost.multiplications), (70, 70));
    assert_eq!((summary.saved_bytes(), cost.reach), (cost.saved_bytes as u64, Reach::Everything));
    assert_eq!(summary.receptive_fields()[0], Reach::Pointwise);
}

#[test]
fn layers_can_be_reached_by_number() {
    let mut model = nested();
    assert_eq!(model.get(1).map(|layer| layer.kind()), Some("Sequential"));
    assert_eq!(model.get_mut(2).map(|layer| layer.kind()), Some("Softmax"));
    assert!(model.get(3).is_none() && model.get_mut(3).is_none());
    assert_eq!(model.layers().len(), model.len());
}

#[test]
fn a_layer_has_its_activation_again_after_a_panic() {
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    let mut model: Sequential = sequential![Activation::Relu, MaxPool2D::new(2)];
    let mut during = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        model.with_layer::<()>(0, |layer| {
            during = layer.last_activation();
            resume_unwind(Box::new(()))
        })
    }));
    assert!(result.is_err());
    assert_eq!((during, model.last_activation()), (Some(Activation::Linear), None));
    assert_eq!(model.layers[0].last_activation(), Some(Activation::Relu));
}
