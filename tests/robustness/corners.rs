//! Ways around the front door: parameters exchanged, layers changed after they were built, values of another call.

use ndarray::{Array2, Array4};
use striate::train::{MeanSquaredError, Sgd, Targets, Trainer};
use striate::{Conv2D, Dense, ErrorKind, Layer, Padding, Param, Result, Rng, Tape, Tensor, Window2d, ops};

fn kind<X>(result: Result<X>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// Every parameter of `layer` in turn, exchanged for one of each of these shapes.
fn exchange(build: impl Fn() -> Box<dyn Layer>, input: &[usize], shapes: &[&[usize]]) -> Result<()> {
    let x = Tensor::zeros(input)?;
    for place in 0..2 {
        for shape in shapes {
            let mut layer = build();
            layer.build(input, &mut Rng::seed(1))?;
            let mut tape = Tape::new();
            let y = layer.forward_train(x.clone(), &mut tape)?;
            *layer.params_mut()[place].1 = Param::new(Tensor::zeros(shape)?);
            assert_eq!(kind(layer.forward(&x)), Some(ErrorKind::Shape), "{layer:?}");
            assert_eq!(kind(layer.forward_train(x.clone(), &mut Tape::new())), Some(ErrorKind::Shape));
            assert_eq!(kind(layer.backward(y, &mut tape)), Some(ErrorKind::Shape));
        }
    }
    Ok(())
}

#[test]
fn exchanged_parameters_of_another_shape_are_errors() -> Result<()> {
    let conv = || Box::new(Conv2D::new(8, 3)) as Box<dyn Layer>;
    exchange(conv, &[1, 5, 5, 4], &[&[3, 3, 4, 16], &[3], &[30], &[3, 3, 2, 8], &[0]])?;
    let dense = || Box::new(Dense::new(3)) as Box<dyn Layer>;
    exchange(dense, &[2, 4], &[&[4, 2], &[4], &[1], &[2, 2, 3], &[0]])
}

#[test]
fn a_layer_that_is_changed_must_be_built_again() -> Result<()> {
    let x = Tensor::<f32>::zeros(&[1, 5, 5, 4])?;
    let mut conv = Conv2D::new(8, 3);
    conv.build(x.shape(), &mut Rng::seed(1))?;
    conv.forward(&x)?;
    assert_eq!(kind(conv.clone().groups(2).forward(&x)), Some(ErrorKind::NotBuilt));
    let mut without = conv.use_bias(false);
    assert_eq!(kind(without.forward(&x)), Some(ErrorKind::NotBuilt));
    without.build(x.shape(), &mut Rng::seed(1))?;
    assert_eq!(without.params().len(), 1);
    Ok(())
}

#[test]
fn indices_of_another_pooling_are_errors() -> Result<()> {
    let x = Array4::<f32>::ones((1, 4, 4, 1));
    let apart = Window2d::new(2).strides(2).pool(x.shape())?;
    let overlapping = Window2d::new(2).pool(&[1, 3, 3, 1])?;
    assert_eq!(apart.output_shape(), overlapping.output_shape());
    let (y, indices) = ops::max_pool2d_with_indices(x.view(), &apart)?;
    assert_eq!(kind(ops::max_pool2d_backward(y.view(), &indices, &overlapping)), Some(ErrorKind::Shape));
    assert_eq!(kind(indices.positions(&overlapping)), Some(ErrorKind::Shape));
    Ok(())
}

#[test]
fn nothing_times_something_huge_is_nothing() -> Result<()> {
    const HUGE: usize = 1 << 40;
    let geometry = Window2d::new(1).strides(HUGE).conv(&[0, HUGE, 1, 1], &[1, 1, 1, 1])?;
    let kernel = Array4::<f32>::ones((1, 1, 1, 1));
    let (x, y) = (Array4::zeros(geometry.input_shape()), Array4::zeros(geometry.output_shape()));
    assert!(ops::conv2d(x.view(), kernel.view(), None, &geometry)?.is_empty());
    assert!(ops::conv2d_backward_input(y.view(), kernel.view(), &geometry)?.is_empty());
    assert_eq!(
        ops::conv2d_backward_kernel(x.view(), y.view(), &geometry)?,
        Array4::<f32>::zeros((1, 1, 1, 1))
    );

    let padding = Padding::symmetric(HUGE, 0);
    let conv = Window2d::new((HUGE, 1)).padding(padding).conv(&[1, 1, 1, 1], &[HUGE, 1, 1, 1]);
    assert_eq!(kind(conv), Some(ErrorKind::Size));

    let (flat, tall) = (Array2::<f32>::zeros((0, 1 << 60)), Array2::<f32>::zeros((1 << 60, 0)));
    assert!(ops::dense(flat.view(), tall.view(), None)?.is_empty());
    assert!(ops::dense_backward_kernel(tall.view(), flat.view()).is_err());
    Ok(())
}

#[test]
fn weights_that_are_not_finite_give_the_same_on_any_number_of_threads() -> Result<()> {
    let geometry = Window2d::new(3).padding(Padding::Same).conv(&[1, 31, 29, 8], &[3, 3, 8, 8])?;
    let x = Array4::<f32>::ones(geometry.input_shape());
    let mut kernel = Array4::<f32>::ones(geometry.kernel_shape());
    kernel[[2, 1, 0, 0]] = f32::INFINITY;
    let bits = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        let y = pool.install(|| ops::conv2d(x.view(), kernel.view(), None, &geometry))?;
        Ok(y.iter().map(|v| v.to_bits()).collect::<Vec<_>>())
    };
    let one = bits(1)?;
    for threads in [2, 3, 5, 7] {
        assert!(bits(threads)? == one, "{threads} threads");
    }
    Ok(())
}

#[test]
fn a_last_step_that_diverges_is_an_error() -> Result<()> {
    let x = Tensor::<f32>::full(&[4, 1], 1.0)?;
    let mut model = Dense::new(1);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(1e38));
    let outcome = trainer.fit(&mut model, &x, Targets::from(Tensor::full(&[4, 1], 100.0)?));
    assert_eq!(kind(outcome), Some(ErrorKind::Value));
    Ok(())
}
