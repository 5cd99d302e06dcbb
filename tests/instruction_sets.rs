//! Every instruction set that the machine has, forced one by one: convolutions against the definition in double
//! precision, and bit by bit on different numbers of threads.
//!
//! A file, and so a process, of its own: what it forces would change the last bits of tests that run beside it.

use ndarray::{Array, Array4, Dimension, ShapeBuilder};
use striate::{
    Accuracy, Activation, Conv2D, Dense, Element, Geometry2d, Isa, Layer, Padding, Rng, Tensor, Window2d,
    force_isa, isa, ops,
};

/// Shapes that take each path: whole and partial panels, several blocks, filters split among threads, in place and
/// padded, strides and dilation, first layers, depthwise, groups of 2, 4 and more.
fn cases() -> Vec<Geometry2d> {
    let case = |input: [usize; 4], kernel: [usize; 4], window: Window2d| {
        let groups = input[3] / kernel[2];
        window.groups(groups).conv(&input, &kernel).unwrap()
    };
    let same = |size| Window2d::new(size).padding(Padding::Same);
    vec![
        case([1, 30, 41, 3], [5, 5, 3, 20], same(5)),
        case([2, 31, 30, 3], [7, 7, 3, 33], Window2d::new(7).strides(2).padding(Padding::all(3))),
        case([1, 7, 7, 64], [3, 3, 64, 72], same(3)),
        // Short sums in panels of every width, all of them whole; tiles that go on in the next line and image.
        case([3, 9, 11, 3], [3, 3, 3, 112], same(3)),
        case([2, 10, 7, 2], [1, 1, 2, 112], Window2d::new(1).strides(3)),
        case([3, 9, 9, 16], [3, 3, 16, 40], same(3).dilation(2)),
        case([1, 14, 14, 32], [1, 1, 32, 24], Window2d::new(1).strides(2)),
        case([2, 23, 23, 12], [1, 1, 12, 17], Window2d::new(1)),
        case([2, 30, 29, 20], [3, 3, 1, 20], same(3)),
        case([1, 30, 29, 9], [5, 5, 1, 9], same(5).strides(2)),
        case([1, 20, 20, 3], [3, 3, 1, 3], same(3)),
        case([1, 33, 34, 20], [3, 3, 1, 20], same(3).strides(2)),
        // Whole register tiles of outputs in the padding.
        case([2, 3, 4, 16], [3, 3, 1, 16], Window2d::new(3).padding(Padding::all(12))),
        case([2, 3, 4, 16], [3, 3, 1, 16], Window2d::new(3).strides(2).padding(Padding::all(25))),
        case([1, 25, 24, 24], [3, 3, 4, 24], same(3)),
        case([1, 25, 24, 10], [3, 3, 2, 10], same(3).strides(2)),
        case([1, 12, 12, 36], [3, 3, 6, 12], same(3)),
        // Windows over so wide gaps that only their patches fit in memory.
        case([2, 6, 5, 4], [3, 3, 4, 5], same(3).dilation(100_000)),
        case([2, 6, 5, 6], [3, 3, 3, 4], same(3).dilation(100_000)),
    ]
}

/// Numbers whose sums are not exact.
fn fractions<T: Element, D: Dimension>(shape: impl ShapeBuilder<Dim = D>, salt: usize) -> Array<T, D> {
    let mut index = 0;
    Array::from_shape_simple_fn(shape, || {
        index += 1;
        T::of(((index * 7919 + salt * 104_729) % 1009) as f64 / 1009.0 - 0.5)
    })
}

/// One output by the definition, and the sum of the sizes of its terms.
fn output<T: Element>(
    x: &Array4<T>,
    kernel: &Array4<T>,
    bias: T,
    geometry: &Geometry2d,
    (n, y, col, f): (usize, usize, usize, usize),
) -> (f64, f64) {
    let [kh, kw, inputs, filters] = geometry.kernel_shape();
    let group = f / (filters / geometry.groups());
    let (mut sum, mut size) = (bias.to_double(), bias.to_double().abs());
    for (i, j) in (0..kh).flat_map(|i| (0..kw).map(move |j| (i, j))) {
        if let (Some(p), Some(q)) = (geometry.rows().source(y, i), geometry.cols().source(col, j)) {
            for c in 0..inputs {
                let product = x[[n, p, q, group * inputs + c]].to_double() * kernel[[i, j, c, f]].to_double();
                (sum, size) = (sum + product, size + product.abs());
            }
        }
    }
    (sum, size)
}

fn check<T: Element>(geometry: &Geometry2d) {
    let (x, kernel) = (fractions(geometry.input_shape(), 1), fractions(geometry.kernel_shape(), 2));
    let bias = fractions::<T, _>(geometry.kernel_shape()[3], 3);
    let [one, others @ ..] = [1, 2, 5].map(|threads| {
        let convolve = || ops::conv2d(x.view(), kernel.view(), Some(bias.view()), geometry).unwrap();
        match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Err(_) if cfg!(target_family = "wasm") => convolve(), // which has no threads
            pool => pool.unwrap().install(convolve),
        }
    });
    let terms = geometry.kernel_shape()[..3].iter().product::<usize>() as f64;
    let bound = (8.0 * terms.sqrt()).max(16.0) * T::epsilon().to_double() / 2.0;
    for (place, got) in one.indexed_iter() {
        let (want, size) = output(&x, &kernel, bias[place.3], geometry, place);
        let error = (got.to_double() - want).abs();
        assert!(
            error <= bound * size,
            "{} on {}: {got} for {want} at {place:?}, {geometry:?}",
            T::NAME,
            isa()
        );
    }
    for other in others {
        assert!(one == other, "{} on {}: the number of threads changes {geometry:?}", T::NAME, isa());
    }
}

/// Layers that take each path to an output, and inputs for them. Most have filters that are not whole vectors.
fn layers<T: Element>(activation: Activation) -> Vec<(Box<dyn Layer<T>>, [usize; 4])> {
    let conv = |filters, size| Conv2D::new(filters, size).padding(Padding::Same).activation(activation);
    vec![
        (Box::new(conv(37, 3)), [1, 14, 15, 32]),
        (Box::new(conv(72, 3)), [1, 7, 7, 64]),
        (Box::new(conv(37, 3).accuracy(Accuracy::Strict)), [1, 14, 15, 32]),
        (Box::new(conv(69, 1)), [2, 13, 13, 11]),
        (Box::new(conv(112, 3)), [1, 7, 9, 3]),
        (Box::new(conv(37, 3).groups(37)), [1, 9, 8, 37]),
        (Box::new(conv(6, 3).groups(6).strides(2)), [1, 9, 8, 6]),
        (Box::new(conv(24, 3).groups(6)), [1, 9, 8, 24]),
        (Box::new(Dense::new(37).activation(activation)), [2, 3, 4, 9]),
    ]
}

/// That activations and residuals within layers give what they give alone, infinities and NaN included, which the bias
/// brings in.
fn check_activations<T: Element>() {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.1, 0.0, 0.1, 7.0].map(T::of);
    for activation in [
        Activation::Relu,
        Activation::Relu6,
        Activation::HardTanh { min: -0.25, max: 0.125 },
        Activation::LeakyRelu { negative_slope: 0.1 },
        Activation::LeakyRelu { negative_slope: 0.0 },
        Activation::LeakyRelu { negative_slope: 1.5 },
        Activation::Tanh,
        Activation::Softmax,
    ] {
        let plain = layers::<T>(Activation::Linear);
        for ((mut layer, input), (mut plain, _)) in layers::<T>(activation).into_iter().zip(plain) {
            let x = Tensor::from(fractions::<T, _>(input, 1).into_dyn());
            let outputs = [&mut layer, &mut plain].map(|layer| {
                layer.build(&input, &mut Rng::seed(1)).unwrap();
                for (_, param) in layer.params_mut().into_iter().filter(|(name, _)| name.as_ref() == "bias") {
                    let bias = special.iter().cycle().copied().take(param.value().len()).collect();
                    param.set_value(Tensor::from_vec(&[param.value().len()], bias).unwrap()).unwrap();
                }
                layer.forward(&x).unwrap()
            });
            let [got, sums] = outputs;
            let residual = Tensor::from(fractions::<T, _>(sums.shape(), 5));
            let added = Tensor::from(&sums.view() + &residual.view());
            let mut got_with_residual = Tensor::default();
            plain.forward_add(&x, (&residual, activation), &mut got_with_residual).unwrap();
            for (got, sums) in [(got, sums), (got_with_residual, added)] {
                let want = activation.forward(&sums).unwrap();
                for (i, (got, want)) in got.as_slice().iter().zip(want.as_slice()).enumerate() {
                    let same = got == want || got.is_nan() && want.is_nan();
                    let layer = layer.kind();
                    assert!(same, "{got} for {want} at {i}: {activation:?} within {layer} on {}", isa());
                }
            }
        }
    }
}

#[test]
fn every_instruction_set_is_accurate_on_any_number_of_threads() {
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
        force_isa(isa).unwrap();
        for geometry in cases() {
            check::<f32>(&geometry);
            check::<f64>(&geometry);
        }
        check_activations::<f32>();
        check_activations::<f64>();
    }
}
