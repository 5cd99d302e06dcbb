//! Operations against their definitions: gradients are adjoints, sums are those of a naive loop, and layers'
//! derivatives are those of finite differences.

#[path = "../common/mod.rs"]
mod common;

mod slopes;

use common::problem::{Line, Problem, problems};
use common::{config, dot, normal, same_bits, whole};
use ndarray::{Array1, Array2, Array4, s};
use proptest::prelude::*;
use striate::ops::{self, Divisor};
use striate::{Accuracy, Activation, Element, Geometry2d, Padding, Rng, WindowAxis};

/// The outcome of one case of a property.
type Checked = Result<(), TestCaseError>;

/// `a` and `b` are the same sum of products up to rounding, where the products' sizes add up to `size`.
fn check_equal(what: &str, a: f64, b: f64, size: f64) -> Checked {
    prop_assert!((a - b).abs() <= 1e-10 * size, "{}: {} and {} of {}", what, a, b, size);
    Ok(())
}

/// The sum of the products' sizes.
fn size<'a>(a: impl IntoIterator<Item = &'a f64>, b: impl IntoIterator<Item = &'a f64>) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| (a * b).abs()).sum()
}

proptest! {
    #![proptest_config(config(300))]

    /// With `y = conv(x, w)`, linear in both: `<y, g> = <x, dx> = <w, dw>`.
    #[test]
    fn convolution_gradients_are_adjoints(problem in problems()) {
        let (rng, geometry) = (&mut Rng::seed(problem.seed), problem.conv());
        let x: Array4<f64> = normal(rng, problem.input_shape());
        let w: Array4<f64> = normal(rng, problem.kernel_shape());
        let g: Array4<f64> = normal(rng, problem.output_shape());
        let y = ops::conv2d(x.view(), w.view(), None, &geometry)?;
        let dx = ops::conv2d_backward_input(g.view(), w.view(), &geometry)?;
        let dw = ops::conv2d_backward_kernel(x.view(), g.view(), &geometry)?;
        let scale = size(&y, &g).max(size(&x, &dx)).max(size(&w, &dw));
        check_equal("input", dot(&y, &g), dot(&x, &dx), scale)?;
        check_equal("kernel", dot(&y, &g), dot(&w, &dw), scale)?;

        // The bias adds the same to every position.
        let b: Array1<f64> = normal(rng, problem.output_shape()[3]);
        let shifted = ops::conv2d(x.view(), w.view(), Some(b.view()), &geometry)?;
        let db = ops::conv2d_backward_bias(g.view())?;
        let scale = scale.max(size(&shifted, &g)).max(size(&b, &db));
        check_equal("bias", dot(&(shifted - y), &g), dot(&b, &db), scale)?;
    }

    /// Pooling is linear where no window changes its winner, so the same holds for it.
    #[test]
    fn pooling_gradients_are_adjoints(problem in problems(), ceil in any::<bool>(), divisor in 1..5_usize) {
        let rng = &mut Rng::seed(problem.seed);
        let x: Array4<f64> = normal(rng, problem.input_shape());
        // Windows that see nothing but padding have no pooling.
        let Ok(geometry) = problem.window().ceil_mode(ceil).pool(x.shape()) else { return Ok(()) };
        let g: Array4<f64> = normal(rng, geometry.output_shape());

        let (y, winners) = ops::max_pool2d_with_indices(x.view(), &geometry)?;
        let dx = ops::max_pool2d_backward(g.view(), &winners, &geometry)?;
        prop_assert_eq!(&y, &ops::max_pool2d(x.view(), &geometry)?);
        check_equal("max", dot(&y, &g), dot(&x, &dx), size(&y, &g).max(size(&x, &dx)))?;

        for divisor in [Divisor::InsideInput, Divisor::IncludePadding, Divisor::Fixed(divisor)] {
            let y = ops::avg_pool2d(x.view(), divisor, &geometry)?;
            let dx = ops::avg_pool2d_backward(g.view(), divisor, &geometry)?;
            check_equal("average", dot(&y, &g), dot(&x, &dx), size(&y, &g).max(size(&x, &dx)))?;
        }
    }

    /// A transposed convolution is linear in both, too, and the adjoint of the convolution that goes the other way.
    #[test]
    fn transposed_convolution_is_the_adjoint(problem in problems(), extra in any::<bool>()) {
        let rng = &mut Rng::seed(problem.seed);
        let [kh, kw, inputs, filters] = problem.kernel_shape();
        let [batch, height, width, _] = problem.input_shape();
        let window = problem.window().groups(problem.groups).accuracy(Accuracy::Strict);
        let extra = extra.then_some([problem.rows.stride - 1, problem.cols.stride - 1]);
        // The padding may take everything away.
        let Ok(geometry) = window.conv_transpose(&[batch, height, width, filters], &[kh, kw, inputs, filters], extra)
        else {
            return Ok(());
        };
        let x: Array4<f64> = normal(rng, geometry.output_shape());
        let w: Array4<f64> = normal(rng, geometry.kernel_shape());
        let g: Array4<f64> = normal(rng, geometry.input_shape());
        let y = ops::conv2d_transpose(x.view(), w.view(), None, &geometry)?;
        let dx = ops::conv2d_transpose_backward_input(g.view(), w.view(), &geometry)?;
        let dw = ops::conv2d_transpose_backward_kernel(x.view(), g.view(), &geometry)?;
        let scale = size(&y, &g).max(size(&x, &dx)).max(size(&w, &dw));
        check_equal("input", dot(&y, &g), dot(&x, &dx), scale)?;
        check_equal("kernel", dot(&y, &g), dot(&w, &dw), scale)?;
        let sum = naive_transposed(&geometry, &x, &w);
        let error = (&y - &sum).iter().fold(0.0, |most: f64, d| most.max(d.abs()));
        prop_assert!(error <= 1e-10 * (1.0 + size(&sum, &sum)), "{error}");
    }

    #[test]
    fn dense_gradients_are_adjoints(rows in 0..70_usize, inputs in 0..90_usize, outputs in 0..90_usize, seed in any::<u64>()) {
        let rng = &mut Rng::seed(seed);
        let x: Array2<f64> = normal(rng, (rows, inputs));
        let w: Array2<f64> = normal(rng, (inputs, outputs));
        let g: Array2<f64> = normal(rng, (rows, outputs));
        let y = ops::dense(x.view(), w.view(), None)?;
        let dx = ops::dense_backward_input(g.view(), w.view())?;
        let dw = ops::dense_backward_kernel(x.view(), g.view())?;
        let scale = size(&y, &g).max(size(&x, &dx)).max(size(&w, &dw));
        check_equal("input", dot(&y, &g), dot(&x, &dx), scale)?;
        check_equal("kernel", dot(&y, &g), dot(&w, &dw), scale)?;
        let db = ops::dense_backward_bias(g.view())?;
        check_equal("bias", db.sum(), g.sum(), g.iter().map(|g| g.abs()).sum())?;
    }
}

/// Every input position adds the kernel, times its value, to the output.
fn naive_transposed(geometry: &Geometry2d, x: &Array4<f64>, w: &Array4<f64>) -> Array4<f64> {
    let (rows, cols, [kh, kw, inputs, _]) = (geometry.rows(), geometry.cols(), geometry.kernel_shape());
    let mut y = Array4::zeros(geometry.input_shape());
    let place = |axis: WindowAxis, at: usize, tap: usize| {
        let padded = at * axis.stride() + tap * axis.dilation();
        padded.checked_sub(axis.padding().0).filter(|&place| place < axis.input())
    };
    for ((n, row, col, c), &value) in x.indexed_iter() {
        let group = c / (x.dim().3 / geometry.groups());
        for (i, j, f) in (0..kh).flat_map(|i| (0..kw).flat_map(move |j| (0..inputs).map(move |f| (i, j, f))))
        {
            if let (Some(p), Some(q)) = (place(rows, row, i), place(cols, col, j)) {
                y[[n, p, q, group * inputs + f]] += value * w[[i, j, f, c]];
            }
        }
    }
    y
}

/// What a naive loop sums up.
struct Sums(Array4<Sum>);

/// The value, the sizes of the terms, and how many there are.
#[derive(Clone, Copy, Default)]
struct Sum {
    value: f64,
    size: f64,
    terms: f64,
}

impl Sums {
    fn zeros(shape: [usize; 4]) -> Self {
        Sums(Array4::from_elem(shape, Sum::default()))
    }

    fn add(&mut self, place: [usize; 4], term: f64) {
        let sum = &mut self.0[place];
        sum.value += term;
        sum.size += term.abs();
        sum.terms += 1.0;
    }

    /// `got` is as close as sums in `f32` are, whatever the order of their terms.
    fn check(&self, what: &str, got: &Array4<f32>) -> Checked {
        prop_assert_eq!(got.shape(), self.0.shape());
        let unit = f64::from(f32::EPSILON) / 2.0;
        for (place, &got) in got.indexed_iter() {
            let Sum { value, size, terms } = self.0[place];
            let bound = (8.0 * terms.sqrt()).max(16.0) * unit * size;
            let error = (f64::from(got) - value).abs();
            prop_assert!(error <= bound, "{} at {:?}: off by {}, bound {}", what, place, error, bound);
        }
        Ok(())
    }
}

/// The convolution, and both gradients, of the naive loop.
fn naive(problem: &Problem, x: &Array4<f32>, w: &Array4<f32>, b: &Array1<f32>, g: &Array4<f32>) -> [Sums; 3] {
    let mut y = Sums::zeros(problem.output_shape());
    let (mut dx, mut dw) = (Sums::zeros(problem.input_shape()), Sums::zeros(problem.kernel_shape()));
    let [x, w, g] = [x, w, g].map(|array| array.mapv(f64::from));
    for (place, _) in g.indexed_iter() {
        y.add(place.into(), b[place.3].into());
    }
    problem.for_each(|at_x, at_w, at_y| {
        let (x, w, g) = (x[at_x], w[at_w], g[at_y]);
        y.add(at_y, x * w);
        dx.add(at_x, g * w);
        dw.add(at_w, x * g);
    });
    [y, dx, dw]
}

/// The same by the crate.
fn computed(
    problem: &Problem,
    x: &Array4<f32>,
    w: &Array4<f32>,
    b: &Array1<f32>,
    g: &Array4<f32>,
) -> striate::Result<[Array4<f32>; 3]> {
    let geometry = problem.conv();
    Ok([
        ops::conv2d(x.view(), w.view(), Some(b.view()), &geometry)?,
        ops::conv2d_backward_input(g.view(), w.view(), &geometry)?,
        ops::conv2d_backward_kernel(x.view(), g.view(), &geometry)?,
    ])
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn convolution_is_the_naive_loop_up_to_rounding(problem in problems()) {
        let rng = &mut Rng::seed(problem.seed);
        let x = normal(rng, problem.input_shape());
        let w = normal(rng, problem.kernel_shape());
        let b = normal(rng, problem.output_shape()[3]);
        let g = normal(rng, problem.output_shape());
        let wanted = naive(&problem, &x, &w, &b, &g);
        for (what, (wanted, got)) in ["y", "dx", "dw"].iter().zip(wanted.iter().zip(computed(&problem, &x, &w, &b, &g)?)) {
            wanted.check(what, &got)?;
        }
    }

    /// Sums of small whole numbers have no rounding at all.
    #[test]
    fn convolution_of_whole_numbers_is_exact(problem in problems()) {
        let rng = &mut Rng::seed(problem.seed);
        let x = whole(rng, problem.input_shape(), 8);
        let w = whole(rng, problem.kernel_shape(), 8);
        let b = whole(rng, problem.output_shape()[3], 100);
        let g = whole(rng, problem.output_shape(), 8);
        let wanted = naive(&problem, &x, &w, &b, &g);
        for (wanted, got) in wanted.iter().zip(computed(&problem, &x, &w, &b, &g)?) {
            prop_assert_eq!(got.mapv(f64::from), wanted.0.mapv(|sum| sum.value));
        }
    }
}

/// Layers of real networks, cut down in number of positions: their reductions and channels fill tiles and panels.
#[test]
fn layers_of_real_networks_are_the_naive_loop() {
    let line = |input, kernel, stride, pad| Line { input, kernel, stride, dilation: 1, pads: (pad, pad) };
    let layers = [
        ("stem", 2, line(32, 7, 2, 3), 1, 3, 64),
        ("3x3", 2, line(14, 3, 1, 1), 1, 64, 72),
        ("3x3 with a stride", 1, line(15, 3, 2, 1), 1, 96, 100),
        ("deep 3x3", 3, line(7, 3, 1, 1), 1, 256, 40),
        ("1x1", 3, line(14, 1, 1, 0), 1, 240, 130),
        ("1x1 with a stride", 1, line(28, 1, 2, 0), 1, 96, 200),
        ("grouped", 1, line(14, 3, 1, 1), 8, 16, 24),
        ("depthwise", 2, line(14, 3, 1, 1), 144, 1, 1),
        ("depthwise with a stride", 1, line(29, 5, 2, 2), 100, 1, 2),
    ];
    for (seed, (what, batch, line, groups, inputs, filters)) in (1..).zip(layers) {
        let pad = line.pads.0;
        let padding = if pad == 0 { Padding::Valid } else { Padding::all(pad) };
        let problem = Problem { batch, rows: line, cols: line, padding, groups, inputs, filters, seed };
        let rng = &mut Rng::seed(seed);
        let x = normal(rng, problem.input_shape());
        let w = normal(rng, problem.kernel_shape());
        let b = normal(rng, problem.output_shape()[3]);
        let g = normal(rng, problem.output_shape());
        let (got, wanted) = (computed(&problem, &x, &w, &b, &g).unwrap(), naive(&problem, &x, &w, &b, &g));
        for (direction, (wanted, got)) in ["y", "dx", "dw"].iter().zip(wanted.iter().zip(got)) {
            wanted.check(&format!("{what} {direction}"), &got).unwrap();
        }
        check_fast(what, &problem, (&x, &w, &b), &wanted[0]);
    }
}

/// Transforms may round more, as `Accuracy` says: here against the largest sum of all.
fn check_fast(
    what: &str,
    problem: &Problem,
    (x, w, b): (&Array4<f32>, &Array4<f32>, &Array1<f32>),
    y: &Sums,
) {
    let geometry = problem.conv_with(Accuracy::Fast);
    let got = ops::conv2d(x.view(), w.view(), Some(b.view()), &geometry).unwrap();
    let largest = y.0.iter().map(|sum| sum.size).fold(0.0, f64::max);
    for (got, Sum { value, .. }) in got.iter().zip(&y.0) {
        let error = (f64::from(*got) - value).abs();
        assert!(error <= 24.0 * 2_f64.powi(-24) * largest, "{what}, fast: {got}, not {value}");
    }
}

/// The same array in memory that no kernel likes: Fortran's order, channels first, backwards, and in a larger one
/// with gaps that hold NaN.
fn awkward<T: Element>(array: &Array4<T>) -> Vec<Array4<T>> {
    let (n, h, w, c) = array.dim();
    let mut fortran = Array4::zeros(ndarray::ShapeBuilder::f((n, h, w, c)));
    fortran.assign(array);
    let channels_first = array.view().permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned();
    let mut backwards = array.slice(s![.., ..;-1, ..;-1, ..;-1]).as_standard_layout().into_owned();
    (1..4).for_each(|axis| backwards.invert_axis(ndarray::Axis(axis)));
    let mut gaps = Array4::from_elem((n, 2 * h, w + 3, 3 * c), T::nan());
    gaps.slice_mut(s![.., ..;2, 2..2 + w, 1..;3]).assign(array);
    let gaps = gaps.slice_move(s![.., ..;2, 2..2 + w, 1..;3]);
    vec![fortran, channels_first.permuted_axes([0, 2, 3, 1]), backwards, gaps]
}

proptest! {
    #![proptest_config(config(60))]

    /// How an array lies in memory changes nothing, not a bit.
    #[test]
    fn views_of_any_strides_give_the_same_bits(problem in problems()) {
        let (rng, geometry) = (&mut Rng::seed(problem.seed), problem.conv());
        let x: Array4<f32> = normal(rng, problem.input_shape());
        let w: Array4<f32> = normal(rng, problem.kernel_shape());
        let g: Array4<f32> = normal(rng, problem.output_shape());
        let y = ops::conv2d(x.view(), w.view(), None, &geometry)?;
        let dx = ops::conv2d_backward_input(g.view(), w.view(), &geometry)?;
        let dw = ops::conv2d_backward_kernel(x.view(), g.view(), &geometry)?;
        let db = ops::conv2d_backward_bias(g.view())?;
        let activated = ops::activate(x.view().into_dyn(), Activation::Softmax)?;
        let pooled = problem.window().pool(x.shape()).ok();
        let pool = |x: &Array4<f32>| pooled.map(|geometry| {
            let (y, taps) = ops::max_pool2d_with_indices(x.view(), &geometry).unwrap();
            (y, taps, ops::avg_pool2d(x.view(), Divisor::InsideInput, &geometry).unwrap())
        });
        for ((awkward_x, awkward_w), awkward_g) in awkward(&x).iter().zip(awkward(&w)).zip(awkward(&g)) {
            prop_assert_eq!(awkward_x, &x);
            let again = ops::conv2d(awkward_x.view(), awkward_w.view(), None, &geometry)?;
            prop_assert!(same_bits(&again, &y));
            let again = ops::conv2d_backward_input(awkward_g.view(), awkward_w.view(), &geometry)?;
            prop_assert!(same_bits(&again, &dx));
            let again = ops::conv2d_backward_kernel(awkward_x.view(), awkward_g.view(), &geometry)?;
            prop_assert!(same_bits(&again, &dw));
            prop_assert!(same_bits(&ops::conv2d_backward_bias(awkward_g.view())?, &db));
            let again = ops::activate(awkward_x.view().into_dyn(), Activation::Softmax)?;
            prop_assert!(same_bits(&again, &activated));
            prop_assert_eq!(pool(awkward_x), pool(&x));
        }
    }

    /// One picture seen as a whole batch: a stride of zero.
    #[test]
    fn broadcast_views_are_copies_of_one_image(problem in problems()) {
        let (rng, batch) = (&mut Rng::seed(problem.seed), 3);
        let problem = Problem { batch, ..problem };
        let [_, height, width, channels] = problem.input_shape();
        let x: Array4<f32> = normal(rng, (1, height, width, channels));
        let w: Array4<f32> = normal(rng, problem.kernel_shape());
        let many = x.broadcast(problem.input_shape()).unwrap();
        let y = ops::conv2d(many, w.view(), None, &problem.conv())?;
        let copies = ops::conv2d(many.to_owned().view(), w.view(), None, &problem.conv())?;
        prop_assert!(same_bits(&y, &copies));
    }
}
