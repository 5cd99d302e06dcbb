use super::*;
use crate::{BatchNorm, Conv2D, Dense, Dropout, GlobalAvgPool2D, MaxPool2D, Padding, Reach, sequential};

fn names<X>(named: Vec<(Name, X)>) -> Vec<String> {
    named.into_iter().map(|(name, _)| name.into_owned()).collect()
}

#[test]
fn names_are_paths_through_containers() {
    let inner = Parallel::new(Join::Concat).with(Dense::new(2)).with(sequential![Dropout::new(0.5)]);
    let mut model: Sequential = sequential![Residual::new(sequential![inner, Dense::new(4)])];
    model.build(&[1, 4], &mut Rng::seed(1)).unwrap();
    let body = ["kernel", "bias"].map(|name| format!("0.body.0.0.{name}"));
    let last = ["kernel", "bias"].map(|name| format!("0.body.1.{name}"));
    let want: Vec<String> = body.into_iter().chain(last).collect();
    assert_eq!(names(model.params()), want);
    assert_eq!(names(model.params_mut()), want);
    assert_eq!(names(model.generators()), ["0.body.0.1.0.rng"]);
    assert_eq!(names(model.generators_mut()), ["0.body.0.1.0.rng"]);
    let error = model.forward(&Tensor::zeros(&[1, 3]).unwrap()).unwrap_err();
    assert_eq!(error.layer(), Some("0.body.0.0"));
}

#[test]
fn summaries_know_that_branches_start_together() {
    let conv = |kernel: usize| Conv2D::new(4, kernel).padding(Padding::Same);
    let body: Sequential = sequential![conv(3), conv(3)];
    let model: Sequential = sequential![conv(3), Residual::new(body).shortcut(conv(1)), MaxPool2D::new(2)];
    let summary = model.summary(&[1, 8, 8, 4]).unwrap();
    let rows: Vec<&str> = summary.rows().iter().map(|row| &row.name[..]).collect();
    assert_eq!(rows, ["0", "1.body.0", "1.body.1", "1.shortcut", "1", "2"]);
    let fields: Vec<String> = summary.receptive_fields().iter().map(Reach::to_string).collect();
    assert_eq!(fields, ["3x3", "5x5", "7x7", "3x3", "7x7", "8x8"]);
    // The shortcut's input and output, and what the body gave; as many in the body.
    assert_eq!(summary.inference_bytes(), 3 * 8 * 8 * 4 * 4);
    let inputs: Vec<usize> = summary.rows().iter().map(|row| row.input_bytes / (8 * 8 * 4 * 4)).collect();
    assert_eq!(inputs, [1, 1, 2, 2, 1, 1]);
    assert_eq!(summary.params() as usize, model.cost(&[1, 8, 8, 4]).unwrap().params);
}

/// A residual block with its rectifier behind it, with weights that are always the same.
fn block(shortcut: bool, normalised: bool) -> Sequential {
    let mut body = sequential![
        Conv2D::new(4, 3).padding(Padding::Same).activation(Activation::Relu),
        Conv2D::new(8, 3).padding(Padding::Same),
    ];
    if normalised {
        body.push(BatchNorm::new());
    }
    let mut block = Residual::new(body);
    if shortcut {
        block = block.shortcut(sequential![Conv2D::new(8, 1)]);
    }
    let mut model = sequential![block, Activation::Relu];
    model.build(&[1, 6, 6, 8], &mut Rng::seed(1)).unwrap();
    model
}

#[test]
fn bodies_take_over_addition_and_activation() {
    let wave = |salt: f32| (0..2 * 6 * 6 * 8).map(|i| (i as f32 * salt).sin()).collect();
    let [x, grad] = [0.37, 0.53].map(|salt| Tensor::from_vec(&[2, 6, 6, 8], wave(salt)).unwrap());
    for (shortcut, normalised) in [(false, true), (true, true), (false, false), (true, false)] {
        let (mut plain, mut fused) = (block(shortcut, normalised), block(shortcut, normalised));
        fused.for_inference().unwrap();
        assert_eq!(fused.layers().last().unwrap().kind(), "Linear");
        let (want, y) = (plain.forward(&x).unwrap(), fused.forward(&x).unwrap());
        approx::assert_abs_diff_eq!(y, want, epsilon = 1e-5);
        if normalised {
            continue;
        }
        assert_eq!(y, want);
        // Training goes on with the activation.
        let [plain, fused] = [&mut plain, &mut fused].map(|model| {
            let mut tape = Tape::new();
            let y = model.forward_train(x.clone(), &mut tape).unwrap();
            assert_eq!(tape.bytes(), model.cost(x.shape()).unwrap().saved_bytes);
            let dx = model.backward(grad.clone(), &mut tape).unwrap();
            assert!(tape.is_empty());
            let grads: Vec<_> =
                model.params().iter().map(|(_, param)| param.grad().unwrap().clone()).collect();
            (y, dx, grads)
        });
        assert_eq!(plain, fused);
    }
}

#[test]
fn outputs_that_do_not_fit_are_errors() {
    let pool = || GlobalAvgPool2D::new();
    for join in [Join::Add, Join::Multiply, Join::Concat] {
        let model: Parallel = Parallel::new(join).with(pool()).with(Sequential::new());
        assert!(model.output_shape(&[1, 4, 4, 3]).is_err(), "{join:?}");
        assert!(model.forward(&Tensor::zeros(&[1, 4, 4, 3]).unwrap()).is_err(), "{join:?}");
        assert!(Parallel::<f32>::new(join).output_shape(&[1]).is_err(), "{join:?}");
    }
}
