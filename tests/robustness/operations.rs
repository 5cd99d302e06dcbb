//! The functions on arrays, and tensors, with arguments that do not belong together.

use ndarray::{Array, Array1, Array2, Array4, ArrayD, Dimension, Ix1, Ix2, Ix4};
use proptest::collection::vec;
use proptest::prelude::*;
use striate::ops::{self, Divisor};
use striate::{Activation, ErrorKind, Initializer, Rng, Tensor, Window2d};

use crate::allocator::frugal;
use crate::common::{config, normal};
use crate::wild;

/// A small array of any shape.
fn array<D: Dimension>(rank: usize) -> impl Strategy<Value = Array<f32, D>> {
    (vec(0..=4_usize, rank), any::<u64>()).prop_map(|(shape, seed)| {
        let array: ArrayD<f32> = normal(&mut Rng::seed(seed), shape);
        array.into_dimensionality().unwrap()
    })
}

fn divisor() -> impl Strategy<Value = Divisor> {
    let fixed = wild::count().prop_map(Divisor::Fixed);
    prop_oneof![Just(Divisor::InsideInput), Just(Divisor::IncludePadding), fixed]
}

proptest! {
    #![proptest_config(config(6000))]

    /// A geometry accepts arrays of its own shapes, and no others.
    #[test]
    fn convolutions_take_what_fits_the_geometry(
        window in wild::window(),
        shapes in [vec(wild::length(), 4), vec(wild::length(), 4)],
        (x, kernel, grad, bias) in (array::<Ix4>(4), array::<Ix4>(4), array::<Ix4>(4), array::<Ix1>(1)),
    ) {
        let own = window.conv(x.shape(), kernel.shape());
        for geometry in [own, window.conv(&shapes[0], &shapes[1])].into_iter().flatten() {
            let fits = |array: &Array4<f32>, shape: [usize; 4]| array.shape() == shape;
            let (input, taps, output) = (geometry.input_shape(), geometry.kernel_shape(), geometry.output_shape());
            let bias = Some(bias.view()).filter(|bias| bias.len() < 3);
            let y = frugal(|| ops::conv2d(x.view(), kernel.view(), bias, &geometry));
            let wanted = fits(&x, input) && fits(&kernel, taps) && bias.is_none_or(|bias| bias.len() == output[3]);
            match y {
                Ok(y) => prop_assert!(wanted && fits(&y, output)),
                Err(error) => prop_assert!(!wanted || error.kind() == ErrorKind::Size, "{}", error),
            }
            let dx = frugal(|| ops::conv2d_backward_input(grad.view(), kernel.view(), &geometry));
            let dw = frugal(|| ops::conv2d_backward_kernel(x.view(), grad.view(), &geometry));
            prop_assert!(dx.is_err() || fits(&grad, output) && fits(&kernel, taps));
            prop_assert!(dw.is_err() || fits(&grad, output) && fits(&x, input));
            // The real gradient, of the right shape.
            if wanted && let Ok(y) = ops::conv2d(x.view(), kernel.view(), None, &geometry) {
                prop_assert!(fits(&ops::conv2d_backward_input(y.view(), kernel.view(), &geometry)?, input));
                prop_assert!(fits(&ops::conv2d_backward_kernel(x.view(), y.view(), &geometry)?, taps));
            }
        }
        let _ = frugal(|| ops::conv2d_backward_bias(grad.view()));
    }

    #[test]
    fn pooling_takes_what_fits_the_geometry(
        (window, divisor) in (wild::window(), divisor()),
        shape in vec(wild::length(), 4),
        (x, grad) in (array::<Ix4>(4), array::<Ix4>(4)),
    ) {
        // A convolution's geometry is not always one of pooling.
        let [.., channels] = [x.shape()[0], x.shape()[1], x.shape()[2], x.shape()[3]];
        let [kh, kw] = window.kernel_size();
        let groups = window.group_count().max(1);
        let of_conv = window.conv(x.shape(), &[kh, kw, channels / groups, 2]);
        let window = window.groups(1);
        let mut last = None;
        for geometry in [window.pool(x.shape()), window.pool(&shape), of_conv].into_iter().flatten() {
            let y = frugal(|| ops::max_pool2d(x.view(), &geometry));
            let with = frugal(|| ops::max_pool2d_with_indices(x.view(), &geometry));
            prop_assert!(y.is_err() || x.shape() == geometry.input_shape());
            let average = frugal(|| ops::avg_pool2d(x.view(), divisor, &geometry));
            let dx = frugal(|| ops::avg_pool2d_backward(grad.view(), divisor, &geometry));
            prop_assert!(average.is_err() || x.shape() == geometry.input_shape());
            prop_assert!(dx.is_err() || grad.shape() == geometry.output_shape());
            if let Ok((y, winners)) = with {
                prop_assert!(winners.positions(&geometry)?.iter().all(|&i| i < x.shape()[1] * x.shape()[2]));
                let dx = ops::max_pool2d_backward(y.view(), &winners, &geometry)?;
                prop_assert_eq!(dx.shape(), x.shape());
                last = Some((y, winners));
            }
            // The winners of another pooling.
            if let Some((y, winners)) = &last {
                let _ = frugal(|| ops::max_pool2d_backward(y.view(), winners, &geometry));
                let _ = frugal(|| ops::max_pool2d_backward(grad.view(), winners, &geometry));
                let _ = frugal(|| winners.positions(&geometry));
            }
        }
    }

    #[test]
    fn other_pooling_takes_what_fits(
        (x, grad, rows) in (array::<Ix4>(4), array::<Ix4>(4), array::<Ix2>(2)),
        (size, strides) in (wild::length(), wild::length()),
        shape in wild::shape(),
    ) {
        let _ = frugal(|| ops::global_max_pool2d(x.view()));
        let _ = frugal(|| ops::global_avg_pool2d(x.view()));
        let _ = frugal(|| ops::channel_max_pool(x.view(), size, strides));
        for input in [x.shape(), &shape[..]] {
            let _ = frugal(|| ops::global_avg_pool2d_backward(rows.view(), input));
            if let Ok((y, winners)) = frugal(|| ops::global_max_pool2d_with_indices(x.view())) {
                let _ = frugal(|| ops::global_max_pool2d_backward(rows.view(), &winners, input));
                let _ = frugal(|| ops::global_max_pool2d_backward(y.view(), &winners, input));
            }
            if let Ok((y, winners)) = frugal(|| ops::channel_max_pool_with_indices(x.view(), size, strides)) {
                for grad in [&y, &grad] {
                    let _ = frugal(|| ops::channel_max_pool_backward(grad.view(), &winners, size, strides, input));
                }
            }
        }
    }

    #[test]
    fn matrices_and_elements_take_what_fits(
        (x, kernel, grad) in (array::<Ix2>(2), array::<Ix2>(2), array::<Ix2>(2)),
        bias in proptest::option::of(array::<Ix1>(1)),
        (a, b) in (wild::tensor(), wild::tensor()),
        (activation, rate) in (wild::activation(), wild::number()),
        mask in vec(any::<u8>(), 0..20),
    ) {
        let y = frugal(|| ops::dense(x.view(), kernel.view(), bias.as_ref().map(|bias| bias.view())));
        let fits = x.ncols() == kernel.nrows() && bias.as_ref().is_none_or(|bias| bias.len() == kernel.ncols());
        prop_assert_eq!(y.is_ok(), fits);
        let _ = frugal(|| ops::dense_backward_bias(grad.view()));
        prop_assert_eq!(ops::dense_backward_input(grad.view(), kernel.view()).is_ok(), grad.ncols() == kernel.ncols());
        prop_assert_eq!(ops::dense_backward_kernel(x.view(), grad.view()).is_ok(), grad.nrows() == x.nrows());

        let _ = frugal(|| ops::activate(a.view(), activation));
        let dx = frugal(|| ops::activate_backward(a.view(), b.view(), activation));
        prop_assert!(dx.is_err() || a.shape() == b.shape());
        let _ = frugal(|| ops::dropout(a.view(), rate, &mut Rng::seed(1)));
        let dx = frugal(|| ops::dropout_backward(a.view(), &mask, rate));
        prop_assert!(dx.is_err() || a.len() == mask.len());
    }

    #[test]
    fn tensors_take_or_refuse_any_shape(
        (shape, elements) in (wild::shape(), 0..20_usize),
        tensor in wild::tensor(),
        (start, end, indices) in (wild::count(), wild::count(), vec(wild::count(), 0..4)),
        initializer in wild::initializer(),
    ) {
        let product = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        for made in [frugal(|| Tensor::<f32>::zeros(&shape)), frugal(|| initializer.make(&shape, &mut Rng::seed(1)))] {
            prop_assert!(made.is_err() || product == made.ok().map(|tensor| tensor.len()));
        }
        let made = frugal(|| Tensor::from_vec(&shape, vec![1.0_f32; elements]));
        prop_assert!(made.is_err() || product == Some(elements));
        let reshaped = frugal(|| tensor.reshape(&shape));
        prop_assert!(reshaped.is_err() || product == Some(tensor.len()));
        let rows = frugal(|| tensor.rows(start..end));
        let samples = tensor.shape().first().copied().unwrap_or(0);
        prop_assert!(rows.is_err() || start <= end && end <= samples);
        let gathered = frugal(|| tensor.gather(&indices));
        prop_assert!(gathered.is_err() || indices.iter().all(|&index| index < samples));
        prop_assert_eq!(tensor.view4().is_ok(), tensor.ndim() == 4);
        for moved in [tensor.to_channels_last(), tensor.to_channels_first()] {
            prop_assert_eq!(moved.is_ok(), tensor.ndim() >= 2);
        }
    }
}

/// A view may have more elements than there is memory: one number, broadcast.
#[test]
fn huge_views_of_one_number_are_errors() {
    let many = 1 << 40;
    let number = Array4::from_elem((1, 1, 1, 1), 1.0_f32);
    let maps = number.broadcast((many, 2, 2, 1)).unwrap();
    let row = Array2::from_elem((1, 1), 1.0_f32);
    let rows = row.broadcast((many, 3)).unwrap();
    let pooling = Window2d::new(2).pool(maps.shape()).unwrap();
    let geometry = Window2d::new(1).conv(maps.shape(), &[1, 1, 1, 1]).unwrap();
    let sized = |kind| assert_eq!(kind, ErrorKind::Size);
    sized(frugal(|| ops::conv2d(maps, number.view(), None, &geometry)).unwrap_err().kind());
    sized(frugal(|| ops::conv2d_backward_input(maps, number.view(), &geometry)).unwrap_err().kind());
    sized(frugal(|| ops::conv2d_backward_kernel(maps, maps, &geometry)).unwrap_err().kind());
    sized(frugal(|| ops::conv2d_backward_bias(maps)).unwrap_err().kind());
    sized(frugal(|| ops::max_pool2d(maps, &pooling)).unwrap_err().kind());
    sized(frugal(|| ops::avg_pool2d(maps, Divisor::InsideInput, &pooling)).unwrap_err().kind());
    sized(frugal(|| ops::global_max_pool2d(maps)).unwrap_err().kind());
    sized(frugal(|| ops::channel_max_pool(maps, 1, 1)).unwrap_err().kind());
    sized(frugal(|| ops::dense(rows, rows.slice(ndarray::s![..3, ..]), None)).unwrap_err().kind());
    sized(frugal(|| ops::dense_backward_kernel(rows, rows)).unwrap_err().kind());
    sized(frugal(|| ops::dense_backward_bias(rows)).unwrap_err().kind());
    sized(frugal(|| ops::activate(rows.into_dyn(), Activation::Relu)).unwrap_err().kind());
    sized(
        frugal(|| ops::activate_backward(rows.into_dyn(), rows.into_dyn(), Activation::Relu))
            .unwrap_err()
            .kind(),
    );
    sized(frugal(|| ops::dropout(rows.into_dyn(), 0.5, &mut Rng::seed(1))).unwrap_err().kind());
}

/// Weights as large as memory are refused by every initialiser.
#[test]
fn huge_weights_are_errors() {
    use Initializer::*;
    for initializer in [Zeros, Ones, GlorotUniform, HeNormal, RandomNormal { mean: 0.0, stddev: 1.0 }] {
        for shape in [[1 << 40, 1].as_slice(), &[1 << 32, 1 << 32], &[usize::MAX, 0, 2]] {
            let made = frugal(|| initializer.make::<f32>(shape, &mut Rng::seed(1)));
            assert_eq!(made.unwrap_err().kind(), ErrorKind::Size);
        }
    }
    let one: Array1<f32> = normal(&mut Rng::seed(1), 1);
    assert_eq!(Tensor::from(one).gather(&[0, 1]).unwrap_err().kind(), ErrorKind::Shape);
}
