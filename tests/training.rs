//! Training from end to end: real digits are learnt, and the same seed gives the same bits, on any number of threads.

mod common;

use std::io::Read;
use std::path::Path;

use common::{normal_tensor, same_bits};
use flate2::read::GzDecoder;
use striate::train::{Accuracy, Adam, Clip, History, SoftmaxCrossEntropy, Trainer, predict};
use striate::{
    Activation, AvgPool2D, ChannelMaxPool, Conv1D, Conv2D, Dense, Dropout, Element, Flatten, GlobalAvgPool2D,
    GlobalMaxPool2D, Layer, MaxPool2D, Padding, Rng, Sequential, Tape, Tensor, models, sequential,
};

/// The bytes of a file of the MNIST digits after its header of `header` bytes.
fn idx(name: &str, header: usize) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist").join(name);
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes.split_off(header)
}

/// The first of the digits to train on, as maps of 28x28 in `0 ..= 1`, and their labels.
fn digits<T: Element>(count: usize) -> (Tensor<T>, Vec<usize>) {
    let pixels = idx("train-images-idx3-ubyte.gz", 16);
    let pixels = pixels.iter().take(count * 28 * 28).map(|&p| T::of(f64::from(p) / 255.0)).collect();
    let labels = idx("train-labels-idx1-ubyte.gz", 8);
    let labels = labels.into_iter().take(count).map(usize::from).collect();
    (Tensor::from_vec(&[count, 28, 28, 1], pixels).unwrap(), labels)
}

/// Runs `job` in a thread pool of its own.
fn on_threads<R: Send>(threads: usize, job: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(job)
}

fn classifier<T: Element>() -> Sequential<T> {
    sequential![
        Conv2D::new(8, 3).activation(Activation::Relu),
        MaxPool2D::new(2),
        Conv2D::new(16, 3).padding(Padding::Same).activation(Activation::Relu),
        MaxPool2D::new(2),
        Flatten::new(),
        Dropout::new(0.25),
        Dense::new(32).activation(Activation::Relu),
        Dense::new(10),
    ]
}

fn weights<T: Element>(model: &Sequential<T>) -> Vec<T> {
    let values = model.params().into_iter().flat_map(|(_, param)| param.value().as_slice().to_vec());
    values.collect()
}

fn fit<T: Element>(seed: u64, epochs: usize, samples: usize) -> (Sequential<T>, History) {
    let (x, labels) = digits::<T>(samples);
    let mut model = classifier();
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(3e-3))
        .epochs(epochs)
        .batch_size(48)
        .seed(seed)
        .clip(Clip::GlobalNorm(5.0))
        .metric(Accuracy::new());
    let history = trainer.fit(&mut model, &x, labels).unwrap();
    (model, history)
}

#[test]
fn a_small_network_learns_real_digits() {
    let (model, history) = fit::<f32>(1, 12, 480);
    let (x, labels) = digits(480);
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).metric(Accuracy::new());
    let learnt = trainer.evaluate(&model, &x, &labels).unwrap();
    assert!(learnt.get("accuracy") > Some(0.85), "{learnt:?} after {:?}", history.get("loss"));
    let losses = history.get("loss");
    assert!(losses.last() < losses.first().map(|first| first / 3.0).as_ref(), "{losses:?}");

    // The model has learnt something about digits that it has not seen, too: guessing would be right once in ten.
    let (all, labels) = digits(600);
    let (unseen, labels) = (all.rows(480..600).unwrap(), labels[480..].to_vec());
    let known = trainer.evaluate(&model, &unseen, labels).unwrap();
    assert!(known.get("accuracy") > Some(0.6), "{known:?}");
}

/// What a seeded run leaves behind: the weights, and every loss and accuracy on the way.
fn run<T: Element>(seed: u64) -> (Vec<T>, Vec<u64>) {
    let (model, history) = fit::<T>(seed, 2, 144);
    let results = history.get("loss").into_iter().chain(history.get("accuracy"));
    (weights(&model), results.map(f64::to_bits).collect())
}

fn check_runs<T: Element>() {
    let (first, results) = on_threads(1, || run::<T>(7));
    for threads in [1, 2, 5] {
        let (again, same) = on_threads(threads, || run::<T>(7));
        assert!(same_bits(&again, &first), "weights on {threads} threads");
        assert_eq!(same, results, "on {threads} threads");
    }
    let (other, _) = on_threads(2, || run::<T>(8));
    assert!(!same_bits(&other, &first), "another seed, the same weights");
}

#[test]
fn a_seed_decides_every_bit_of_a_training_run() {
    check_runs::<f32>();
    check_runs::<f64>();
}

/// What a layer is called, the layer, and the shape of its input.
type Fed<T> = (&'static str, Box<dyn Layer<T>>, Vec<usize>);

/// Layers large enough for several tasks.
fn large<T: Element>() -> Vec<Fed<T>> {
    let same = Padding::Same;
    let maps = vec![2, 28, 30, 32];
    vec![
        ("3x3", Box::new(Conv2D::new(48, 3).padding(same).activation(Activation::Silu)), maps.clone()),
        ("3x3, stride 2", Box::new(Conv2D::new(40, 3).strides(2).padding(same)), maps.clone()),
        ("dilated", Box::new(Conv2D::new(16, 3).dilation(2).padding(same)), maps.clone()),
        ("5x5", Box::new(Conv2D::new(48, 5).padding(same)), maps.clone()),
        ("1x3", Box::new(Conv2D::new(64, (1, 3)).padding(same)), maps.clone()),
        ("3x1", Box::new(Conv2D::new(64, (3, 1)).padding(same)), maps.clone()),
        ("along a row", Box::new(Conv1D::new(96, 3)), vec![1, 900, 64]),
        ("1x1", Box::new(Conv2D::new(96, 1)), maps.clone()),
        ("stem", Box::new(Conv2D::new(32, 7).strides(2).padding(Padding::all(3))), vec![2, 64, 64, 3]),
        ("grouped", Box::new(Conv2D::new(64, 3).groups(4)), maps.clone()),
        ("depthwise", Box::new(Conv2D::new(32, 5).groups(32).padding(same)), maps.clone()),
        ("max", Box::new(MaxPool2D::new(3).strides(2).padding(same)), maps.clone()),
        ("average", Box::new(AvgPool2D::new(3).strides(1).padding(same)), maps.clone()),
        ("global max", Box::new(GlobalMaxPool2D::new()), maps.clone()),
        ("global average", Box::new(GlobalAvgPool2D::new()), maps.clone()),
        ("channel max", Box::new(ChannelMaxPool::new(4)), maps),
        ("dense", Box::new(Dense::new(300).activation(Activation::Softmax)), vec![70, 500]),
        ("softmax", Box::new(Activation::Softmax), vec![70, 500]),
        ("gelu", Box::new(Activation::Gelu), vec![70, 500]),
    ]
}

/// Outputs, gradients, one after the other.
fn passes<T: Element>(layer: &mut dyn Layer<T>, x: &Tensor<T>) -> Vec<T> {
    layer.build(x.shape(), &mut Rng::seed(3)).unwrap();
    let mut tape = Tape::new();
    let mut all = layer.forward(x).unwrap().into_vec();
    let y = layer.forward_train(x.clone(), &mut tape).unwrap();
    let grad = normal_tensor(&mut Rng::seed(4), y.shape());
    all.extend(y.into_vec());
    all.extend(layer.backward(grad, &mut tape).unwrap().into_vec());
    for (_, param) in layer.params() {
        all.extend(param.grad().unwrap().as_slice());
    }
    all
}

fn check_layers<T: Element>() {
    for (what, mut layer, shape) in large::<T>() {
        let x = normal_tensor(&mut Rng::seed(2), &shape);
        let wanted = on_threads(1, || passes(&mut *layer, &x));
        for threads in [2, 3, 5, 16] {
            let got = on_threads(threads, || passes(&mut *layer, &x));
            assert!(same_bits(&got, &wanted), "{what} on {threads} threads");
        }
    }
}

#[test]
fn layers_give_the_same_bits_on_any_number_of_threads() {
    check_layers::<f32>();
    check_layers::<f64>();
}

/// One model serves many threads at a time, each with its own pool or none, and batches do not touch each other.
#[test]
fn a_model_is_shared_between_threads() {
    let (x, _) = digits::<f32>(64);
    let mut model = classifier();
    model.build(x.shape(), &mut Rng::seed(5)).unwrap();
    let alone: Vec<f32> =
        (0..64).flat_map(|i| model.forward(&x.rows(i..i + 1).unwrap()).unwrap().into_vec()).collect();
    // A fresh model, so that the threads meet at the preparation of its weights.
    let mut fresh = classifier();
    fresh.build(x.shape(), &mut Rng::seed(5)).unwrap();
    let results: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let jobs = [1, 7, 16, 64].map(|batch| {
            let (model, x) = (&fresh, &x);
            scope.spawn(move || on_threads(1 + batch % 3, || predict(model, x, batch).unwrap().into_vec()))
        });
        jobs.into_iter().map(|job| job.join().unwrap()).collect()
    });
    for (result, batch) in results.into_iter().zip([1, 7, 16, 64]) {
        assert!(same_bits(&result, predict(&model, &x, batch).unwrap().as_slice()), "batches of {batch}");
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
        assert!(result.iter().zip(&alone).all(close), "batches of {batch}");
    }
}

/// Weights that change after a model has answered count for its next answer.
#[test]
fn prepared_weights_are_never_stale() {
    let x: Tensor = normal_tensor(&mut Rng::seed(6), &[2, 6, 6, 3]);
    let mut model = sequential![Conv2D::new(4, 3), Flatten::new(), Dense::new(2)];
    model.build(x.shape(), &mut Rng::seed(6)).unwrap();
    let before = model.forward(&x).unwrap();
    for (_, param) in model.params_mut() {
        let doubled = param.value().map(|w| 2.0 * w);
        param.set_value(doubled).unwrap();
    }
    // Both kernels are doubled and the biases are zero.
    assert_eq!(model.forward(&x).unwrap(), before.map(|y| 4.0 * y));
}

/// What networks save for their gradients is what their summaries say, to the byte.
#[test]
fn tapes_of_whole_networks_hold_what_summaries_say() {
    let networks: [(&str, Sequential, [usize; 4]); 8] = [
        ("lenet5", models::lenet5(10), [2, 32, 32, 1]),
        ("vgg11", models::vgg11(10), [2, 32, 32, 3]),
        ("resnet18", models::resnet18(10), [2, 32, 32, 3]),
        ("resnet50", models::resnet50(10), [2, 32, 32, 3]),
        ("mobilenet_v1", models::mobilenet_v1(10), [2, 32, 32, 3]),
        ("mobilenet_v2", models::mobilenet_v2(10), [2, 32, 32, 3]),
        ("squeezenet1_0", models::squeezenet1_0(10), [2, 64, 64, 3]),
        ("squeezenet1_1", models::squeezenet1_1(10), [2, 64, 64, 3]),
    ];
    for (name, mut model, shape) in networks {
        model.build(&shape, &mut Rng::seed(1)).unwrap();
        let mut tape = Tape::new();
        let scores = model.forward_train(normal_tensor(&mut Rng::seed(2), &shape), &mut tape).unwrap();
        let summary = model.summary(&shape).unwrap();
        assert_eq!(tape.bytes() as u64, summary.saved_bytes(), "{name}");
        model.backward(Tensor::zeros(scores.shape()).unwrap(), &mut tape).unwrap();
        assert!(tape.is_empty(), "{name}");
    }
}
