//! What some common mistakes are answered with, word for word.

use striate::train::{Loss, Sgd, SoftmaxCrossEntropy, Trainer};
use striate::{
    Activation, AvgPool2D, ChannelMaxPool, Conv2D, Dense, Dropout, Error, Flatten, Layer, MaxPool2D, Padding,
    Param, Result, Rng, Tape, Tensor, Window2d, ops, sequential,
};

fn message<R: std::fmt::Debug>(result: Result<R>) -> String {
    result.unwrap_err().to_string()
}

fn build(mut layer: impl Layer, input: &[usize]) -> Result<()> {
    layer.build(input, &mut Rng::seed(1))
}

#[test]
fn of_shapes() {
    let conv = || Conv2D::<f32>::new(8, 3);
    assert_eq!(
        message(build(conv(), &[28, 28, 1])),
        "Conv2D: expected an input of [batch, height, width, channels], none empty, got [28, 28, 1]"
    );
    assert_eq!(
        message(build(conv(), &[1, 28, 2, 1])),
        "conv2d: expected a padded width of at least 3 (the window's), got 2"
    );
    let mut built = conv();
    built.build(&[1, 28, 28, 3], &mut Rng::seed(1)).unwrap();
    assert_eq!(
        message(built.forward(&Tensor::zeros(&[1, 28, 28, 4]).unwrap())),
        "conv2d: expected an input [batch, height, width, channels] of 3 channels, for the kernel [3, 3, 3, 8], got [1, 28, 28, 4]"
    );
    assert_eq!(
        message(build(Dense::<f32>::new(3), &[5])),
        "Dense: expected an input of [batch, ..., features], at least one feature, got [5]"
    );
    assert_eq!(
        message(Window2d::new(2).pool(&[1, 0, 4, 3])),
        "pool2d: expected an input of [batch, height, width, channels], none empty, got [1, 0, 4, 3]"
    );
}

#[test]
fn of_options() {
    assert_eq!(
        message(build(Conv2D::<f32>::new(8, 3).strides((1, 0)), &[1, 8, 8, 1])),
        "conv2d: expected a stride width of 1 or more, got 0"
    );
    assert_eq!(
        message(build(Conv2D::<f32>::new(9, 3).groups(2), &[1, 8, 8, 4])),
        "Conv2D: expected groups that divide 4 channels and 9 filters, got 2"
    );
    assert_eq!(
        message(build(Conv2D::<f32>::new(0, 3), &[1, 8, 8, 4])),
        "Conv2D: expected 1 filter or more, got 0"
    );
    assert_eq!(message(build(Dense::<f32>::new(0), &[1, 8])), "Dense: expected 1 unit or more, got 0");
    assert_eq!(
        message(build(Dropout::new(1.0), &[1, 8])),
        "dropout: expected a rate of at least 0 and below 1, got 1"
    );
    assert_eq!(
        message(build(MaxPool2D::new(2).padding(Padding::all(2)), &[1, 4, 4, 1])),
        "pool2d: expected windows that each see a position of the input, got padding of 2 and 2 around 4 with a \
         window over 2"
    );
    assert_eq!(
        message(build(AvgPool2D::new(2).divisor_override(0), &[1, 4, 4, 1])),
        "AvgPool2D: expected a divisor of 1 or more, got 0"
    );
    assert_eq!(
        message(build(ChannelMaxPool::new(5), &[1, 4, 4, 4])),
        "ChannelMaxPool: expected a pool size of 1 to 4 channels, got 5"
    );
    assert_eq!(
        message(build(Activation::Softplus { beta: 0.0 }, &[1])),
        "activation: expected a finite beta other than 0, got Softplus { beta: 0.0 }"
    );
}

#[test]
fn of_the_order_of_calls() {
    let x = Tensor::<f32>::zeros(&[1, 8, 8, 1]).unwrap();
    assert_eq!(
        message(Conv2D::new(8, 3).forward(&x)),
        "Conv2D: expected a built layer (call build first), got one without weights"
    );
    let pool = &mut MaxPool2D::new(2);
    assert_eq!(
        message(pool.backward(x.clone(), &mut Tape::new())),
        "MaxPool2D: expected a tape that ends with what this layer saved (call forward_train first), got an empty one"
    );
    let mut tape = Tape::new();
    Flatten::new().forward_train(x.clone(), &mut tape).unwrap();
    assert_eq!(
        message(pool.backward(x, &mut tape)),
        "MaxPool2D: expected a tape that ends with what this layer saved (call forward_train first), got Flatten's"
    );
}

#[test]
fn of_models_and_training() {
    let model = || sequential![Conv2D::<f32>::new(4, 3), sequential![Flatten::new(), Dense::new(0)]];
    assert_eq!(message(build(model(), &[1, 8, 8, 1])), "layer 1.1: Dense: expected 1 unit or more, got 0");
    assert_eq!(
        message(model().summary(&[1, 2, 2, 1])),
        "layer 0: conv2d: expected a padded height of at least 3 (the window's), got 2"
    );
    let (x, loss) = (Tensor::<f32>::zeros(&[2, 3]).unwrap(), SoftmaxCrossEntropy::new());
    assert_eq!(
        message(loss.forward(&x, &[0, 3].into())),
        "SoftmaxCrossEntropy: expected labels from 0 to below 3, the number of classes, got 3"
    );
    let mut trainer = Trainer::new(loss, Sgd::new(0.1)).batch_size(0);
    assert_eq!(
        message(trainer.fit(&mut Dense::new(3), &x, [0, 1])),
        "fit: expected a batch size of 1 or more, got 0"
    );
}

#[test]
fn of_tensors_and_functions() {
    let x = Tensor::<f32>::zeros(&[2, 3]).unwrap();
    assert_eq!(message(x.reshape(&[4])), "reshape: expected a shape of 6 elements, got [4]");
    assert_eq!(message(x.view4()), "view4: expected 4 axes, got [2, 3]");
    assert_eq!(
        message(Tensor::<f32>::zeros(&[usize::MAX, 2])),
        format!("tensor: expected a size that fits in memory, got [{}, 2]", usize::MAX)
    );
    assert_eq!(
        message(Param::new(x.clone()).set_value(Tensor::zeros(&[3, 2]).unwrap())),
        "set_value: expected the weight's shape [2, 3], got [3, 2]"
    );
    let geometry = Window2d::new(2).pool(&[1, 4, 4, 1]).unwrap();
    let maps = ndarray::Array4::<f32>::zeros((1, 4, 5, 1));
    assert_eq!(
        message(ops::max_pool2d(maps.view(), &geometry)),
        "max_pool2d: expected an input of [1, 4, 4, 1], got [1, 4, 5, 1]"
    );
    let row = ndarray::Array2::<f32>::zeros((1, 3));
    assert_eq!(
        message(ops::dense(row.view(), ndarray::Array2::zeros((2, 4)).view(), None)),
        "dense: expected a kernel of [3, 4], got [2, 4]"
    );
}

/// Errors are small, and can be sent, compared and shown.
#[test]
fn errors_are_values() {
    fn is_portable<E: std::error::Error + Send + Sync + Clone + PartialEq + 'static>() {}
    is_portable::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    let error = build(Dense::<f32>::new(0), &[1, 8]).unwrap_err();
    assert_eq!((error.operation(), error.expected(), error.got()), ("Dense", "1 unit or more", "0"));
}
