//! A saved training run goes on as if it had never stopped.

use std::path::Path;

use striate::train::{Adagrad, Adam, AdamW, MeanSquaredError, Optimizer, RmsProp, Schedule, Sgd, Trainer};
use striate::{
    Activation, Conv2D, Dense, Dropout, ErrorKind, Flatten, Layer, Rng, Sequential, Tensor, sequential,
};

use crate::folder::Folder;

fn data() -> (Tensor, Tensor) {
    let mut rng = Rng::seed(1);
    let x = Tensor::<f32>::zeros(&[20, 6, 6, 1]).unwrap().map(|_| rng.normal() as f32);
    let y = x.as_slice().chunks(36).map(|x| x[0] - x[35]).collect();
    (x, Tensor::from_vec(&[20, 1], y).unwrap())
}

/// A model that draws random numbers in training.
fn model(seed: u64) -> Sequential {
    let head = sequential![Dense::new(8), Activation::Tanh, Dropout::new(0.3), Dense::new(1)];
    let mut model = sequential![Conv2D::new(3, 3), Dropout::new(0.2), Flatten::new(), head];
    model.build(&[1, 6, 6, 1], &mut Rng::seed(seed)).unwrap();
    model
}

fn trainer(optimizer: impl Optimizer + 'static) -> Trainer<'static> {
    Trainer::new(MeanSquaredError::new(), optimizer).batch_size(8).augment(|batch, rng| {
        batch.as_mut_slice().iter_mut().for_each(|v| *v += 0.01 * rng.normal() as f32);
        Ok(())
    })
}

fn bits(model: &Sequential) -> Vec<u32> {
    let params = model.params();
    params.iter().flat_map(|(_, param)| param.value().as_slice().iter().map(|v| v.to_bits())).collect()
}

fn check<O: Optimizer + 'static>(file: &str, optimizer: impl Fn() -> O) {
    let (x, y) = data();
    let folder = Folder::new(&format!("resume-{file}"));
    let path = folder.file(file);

    let mut whole = model(5);
    let history = trainer(optimizer()).seed(3).epochs(4).fit(&mut whole, &x, &y).unwrap();

    let mut first = model(5);
    let mut before = trainer(optimizer()).seed(3).epochs(2);
    before.fit(&mut first, &x, &y).unwrap();
    before.save(&first, &path).unwrap();
    assert_ne!(bits(&first), bits(&whole));

    // As after a crash: nothing is left but the file; all seeds differ.
    let mut second = model(6);
    let mut after = trainer(optimizer()).seed(4).epochs(2);
    assert_eq!(after.load(&mut second, &path).unwrap(), 2);
    assert_eq!(bits(&first), bits(&second));
    let rest = after.fit(&mut second, &x, &y).unwrap();
    assert_eq!(bits(&second), bits(&whole));
    assert_eq!(rest.get("loss"), history.get("loss")[2..]);

    after.save(&second, &path).unwrap();
    assert_eq!(after.load(&mut second, &path).unwrap(), 4);
}

#[test]
fn two_and_two_epochs_are_four() {
    for file in ["run.safetensors", "run.npz"] {
        check(file, || Sgd::new(Schedule::cosine(0.05, 12)).momentum(0.9).nesterov(true));
        check(file, || Adam::new(Schedule::from(0.01).warm_up(4)));
    }
    check("run.npz", || AdamW::new(0.01));
    check("run.npz", || RmsProp::new(0.01).momentum(0.5).centered(true));
    check("run.npz", || RmsProp::new(0.01));
    check("run.npz", || Adagrad::new(0.1));
    check("run.npz", || Sgd::new(0.01));
}

/// A model trained with Adam, whose run is saved at `path`.
fn saved(path: &Path) -> Sequential {
    let (x, y) = data();
    let mut trained = model(1);
    let mut run = trainer(Adam::new(0.01));
    run.fit(&mut trained, &x, &y).unwrap();
    run.save(&trained, path).unwrap();
    trained
}

#[test]
fn weights_can_be_taken_from_a_run() {
    let folder = Folder::new("taken");
    let path = folder.file("run.safetensors");
    let trained = saved(&path);
    let mut other = model(2);
    let taken = striate::weights::Transfer::new().names(|name| format!("model.{name}")).partial(true);
    assert!(taken.load(&mut other, &path).unwrap().missing.is_empty());
    assert_eq!(bits(&other), bits(&trained));
}

#[test]
fn other_runs_are_errors_and_change_nothing() {
    let folder = Folder::new("other");
    let path = folder.file("run.safetensors");
    saved(&path);

    let mut other = model(2);
    let before = bits(&other);
    let error = trainer(Sgd::new(0.01)).load(&mut other, &path).unwrap_err();
    assert_eq!(error.to_string(), "Sgd: expected a state of Sgd, got Adam.steps");
    striate::weights::save(&other, folder.file("weights.npz")).unwrap();
    for file in ["weights.npz", "nothing.npz"] {
        let error = trainer(Adam::new(0.01)).load(&mut other, folder.file(file)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::File, "{error}");
    }
    assert_eq!(bits(&other), before);

    let mut without_dropout: Sequential = sequential![Dense::new(1)];
    without_dropout.build(&[1, 3], &mut Rng::seed(1)).unwrap();
    assert_eq!(
        trainer(Adam::new(0.01)).load(&mut without_dropout, &path).unwrap_err().kind(),
        ErrorKind::File
    );

    // The same model in double precision would not be the same run.
    let mut double: Sequential<f64> = sequential![Dense::new(1)];
    double.build(&[1, 3], &mut Rng::seed(1)).unwrap();
    let mut other_type = Trainer::new(MeanSquaredError::new(), Adam::new(0.01));
    let error = other_type.load(&mut double, &path).unwrap_err();
    assert!(error.to_string().contains("f64 only"), "{error}");
}

/// An optimizer of the caller's own that does not tell its state.
#[derive(Debug)]
struct Still;

impl Optimizer for Still {
    fn step(&mut self, _: &mut [(striate::Name, &mut striate::Param)]) -> striate::Result<()> {
        Ok(())
    }
    fn learning_rate(&self) -> striate::Result<f64> {
        Ok(0.0)
    }
}

#[test]
fn an_optimizer_without_state_cannot_be_saved_by_mistake() {
    let folder = Folder::new("still");
    let error = trainer(Still).save(&model(1), folder.file("run.npz")).unwrap_err();
    assert_eq!(error.to_string(), "save: expected an optimizer that implements state(), got Still");
    assert!(!folder.file("run.npz").exists());
}
