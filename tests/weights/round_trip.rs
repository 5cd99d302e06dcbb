//! What is saved comes back; what differs is reported, and leaves the model as it was.

use striate::weights::{self, Archive, Layout, Transfer};
use striate::{
    Activation, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Dense, DepthwiseConv2D, Dropout,
    Element, ErrorKind, Flatten, Layer, Rng, SeparableConv2D, Sequential, Tensor, sequential,
};

use crate::folder::Folder;

/// A small network inside another.
fn model<T: Element>(seed: u64, units: usize) -> Sequential<T> {
    let head = sequential![Dense::new(units), Dropout::new(0.5), Activation::Softmax];
    let mut model = sequential![Conv2D::new(4, (3, 2)).groups(2), Flatten::new(), head];
    model.build(&[1, 6, 6, 2], &mut Rng::seed(seed)).unwrap();
    model
}

fn values<T: Element>(model: &Sequential<T>) -> Vec<(String, Tensor<T>)> {
    model.params().into_iter().map(|(name, param)| (name.into_owned(), param.value().clone())).collect()
}

fn check<T: Element>(file: &str) {
    let folder = Folder::new(&format!("round-trip-{}-{file}", T::NAME));
    let path = folder.file(file);
    let (saved, mut loaded) = (model::<T>(1, 3), model::<T>(2, 3));
    assert_ne!(values(&saved), values(&loaded));
    weights::save(&saved, &path).unwrap();
    weights::load(&mut loaded, &path).unwrap();
    assert_eq!(values(&saved), values(&loaded));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");

    let foreign = Transfer::new().layout(Layout::PyTorch).names(|name| format!("net/{name}"));
    let mut again = model::<T>(3, 3);
    foreign.save(&saved, &path).unwrap();
    let kernel = Archive::open(&path).unwrap().shape("net/0.kernel").unwrap().to_vec();
    assert_eq!(kernel, [4, 1, 3, 2]);
    assert!(weights::load(&mut again, &path).is_err());
    assert_eq!(values(&again), values(&model::<T>(3, 3)));
    foreign.load(&mut again, &path).unwrap();
    assert_eq!(values(&saved), values(&again));
}

#[test]
fn every_format_and_precision_comes_back() {
    for file in ["model.safetensors", "model.npz", "model.NPZ"] {
        check::<f32>(file);
        check::<f64>(file);
    }
}

#[test]
fn kernels_of_every_kind_have_pytorchs_axes() {
    let folder = Folder::new("kinds");
    let path = folder.file("kinds.npz");
    let pytorch = Transfer::new().layout(Layout::PyTorch);
    /// A layer, the shape of its input, and a parameter with its shape in PyTorch.
    type Kind = (Box<dyn Layer>, &'static [usize], &'static str, &'static [usize]);
    let make = |seed| -> Vec<Kind> {
        let mut layers: Vec<Kind> = vec![
            (Box::new(Conv1D::new(4, 5)), &[1, 9, 2], "kernel", &[4, 2, 5]),
            (Box::new(Conv3D::new(4, (1, 2, 3)).groups(2)), &[1, 5, 5, 5, 6], "kernel", &[4, 3, 1, 2, 3]),
            (
                Box::new(DepthwiseConv2D::new(3).depth_multiplier(2)),
                &[1, 5, 5, 3],
                "depthwise_kernel",
                &[6, 1, 3, 3],
            ),
            (Box::new(SeparableConv2D::new(4, 3)), &[1, 5, 5, 3], "pointwise_kernel", &[4, 3, 1, 1]),
            (Box::new(Conv2DTranspose::new(4, (2, 3)).groups(2)), &[1, 5, 5, 6], "kernel", &[6, 2, 2, 3]),
            (Box::new(Conv1DTranspose::new(4, 3)), &[1, 5, 6], "kernel", &[6, 4, 3]),
        ];
        for (layer, input, ..) in &mut layers {
            layer.build(input, &mut Rng::seed(seed)).unwrap();
        }
        layers
    };
    for ((saved, _, name, shape), (mut loaded, ..)) in make(1).into_iter().zip(make(2)) {
        pytorch.save(&*saved, &path).unwrap();
        assert_eq!(Archive::open(&path).unwrap().shape(name), Some(shape), "{}", saved.kind());
        pytorch.load(&mut *loaded, &path).unwrap();
        for ((name, saved), (_, loaded)) in saved.params().into_iter().zip(loaded.params()) {
            assert_eq!(saved.value(), loaded.value(), "{name}");
        }
    }
}

#[test]
fn precision_is_converted() {
    let folder = Folder::new("precision");
    for file in ["model.safetensors", "model.npz"] {
        let path = folder.file(file);
        let (single, mut double) = (model::<f32>(1, 3), model::<f64>(2, 3));
        weights::save(&single, &path).unwrap();
        weights::load(&mut double, &path).unwrap();
        let cast = |(name, value): (String, Tensor<f32>)| (name, value.cast::<f64>());
        assert_eq!(values(&double), values(&single).into_iter().map(cast).collect::<Vec<_>>());
        weights::save(&double, &path).unwrap();
        let mut back = model::<f32>(3, 3);
        weights::load(&mut back, &path).unwrap();
        assert_eq!(values(&back), values(&single));
    }
}

#[test]
fn strict_loading_lists_all_that_differs_and_changes_nothing() {
    let folder = Folder::new("strict");
    let path = folder.file("model.safetensors");
    weights::save(&model::<f32>(1, 3), &path).unwrap();
    let mut other = model::<f32>(2, 5);
    let renamed = Transfer::new().names(|name| name.replace("0.bias", "0.offset"));
    let error = renamed.load(&mut other, &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    let got = error.got().strip_suffix(&format!(" in {}", path.display())).unwrap();
    assert_eq!(
        got,
        "missing: 0.bias (0.offset in the file), 2.0.bias (2.0.offset in the file); unexpected: 0.bias, 2.0.bias; \
         of another shape: 2.0.kernel ([80, 5], but [80, 3] in the file)"
    );
    assert_eq!(values(&other), values(&model(2, 5)));
}

#[test]
fn partial_loading_reads_the_rest() {
    let folder = Folder::new("partial");
    let path = folder.file("model.npz");
    weights::save(&model::<f32>(1, 3), &path).unwrap();
    let mut other = model::<f32>(2, 5);
    let report = Transfer::new().partial(true).load(&mut other, &path).unwrap();
    assert_eq!(report.loaded, ["0.kernel", "0.bias"]);
    assert!(report.missing.is_empty() && report.unexpected.is_empty() && !report.is_complete());
    let mismatched: Vec<String> = report.mismatched.iter().map(ToString::to_string).collect();
    assert_eq!(
        mismatched,
        ["2.0.kernel ([80, 5], but [80, 3] in the file)", "2.0.bias ([5], but [3] in the file)"]
    );
    let (read, old) = (values(&model::<f32>(1, 3)), values(&model::<f32>(2, 5)));
    assert_eq!(values(&other), [&read[..2], &old[2..]].concat());
    let mut same = model::<f32>(2, 3);
    let report = Transfer::new().partial(true).load(&mut same, &path).unwrap();
    assert_eq!(
        (report.is_complete(), report.to_string()),
        (true, "4 parameters, all as expected".to_string())
    );
}

#[test]
fn prepared_kernels_are_never_stale() {
    let folder = Folder::new("stale");
    let path = folder.file("model.safetensors");
    let x = Tensor::full(&[1, 6, 6, 2], 0.5).unwrap();
    let (saved, mut loaded) = (model::<f32>(1, 3), model::<f32>(2, 3));
    let before = loaded.forward(&x).unwrap();
    weights::save(&saved, &path).unwrap();
    weights::load(&mut loaded, &path).unwrap();
    assert_ne!(loaded.forward(&x).unwrap(), before);
    assert_eq!(loaded.forward(&x).unwrap(), saved.forward(&x).unwrap());
}

#[test]
fn mistakes_are_errors_and_leave_the_old_file() {
    let folder = Folder::new("mistakes");
    let path = folder.file("model.safetensors");
    let saved = model::<f32>(1, 3);
    weights::save(&saved, &path).unwrap();
    let old = std::fs::read(&path).unwrap();

    let unbuilt: Sequential = sequential![Dense::new(3)];
    assert_eq!(weights::save(&unbuilt, &path).unwrap_err().kind(), ErrorKind::NotBuilt);
    let twice = Transfer::new().names(|_| "weight".to_string()).save(&saved, &path).unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Argument);
    for name in ["model", "model.h5", "nowhere/model.npz", "model.npy"] {
        assert_eq!(weights::save(&saved, folder.file(name)).unwrap_err().kind(), ErrorKind::File, "{name}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), old);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let mut unbuilt = unbuilt;
    assert_eq!(weights::load(&mut unbuilt, &path).unwrap_err().kind(), ErrorKind::NotBuilt);
    let missing = weights::load(&mut model::<f32>(1, 3), folder.file("nothing.npz")).unwrap_err();
    assert!(missing.to_string().contains("nothing.npz"), "{missing}");
}
