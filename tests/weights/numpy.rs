//! Files that NumPy wrote: `tests/data/numpy`.

use std::path::{Path, PathBuf};

use striate::weights::Archive;
use striate::{ErrorKind, Tensor};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/numpy").join(name)
}

fn numbers() -> Tensor<f64> {
    Tensor::from_vec(&[2, 3, 4], (0..24).map(f64::from).collect()).unwrap()
}

#[test]
fn every_form_of_array_is_read() {
    for file in ["stored.npz", "deflated.npz"] {
        let mut archive = Archive::open(path(file)).unwrap();
        for name in ["f16", "f32", "f64", "big_endian", "big_endian_f64", "columns_first"] {
            assert_eq!(archive.read::<f64>(name).unwrap(), numbers(), "{name} in {file}");
            assert_eq!(archive.read::<f32>(name).unwrap(), numbers().cast(), "{name} in {file}");
        }
        assert_eq!(archive.read::<f32>("layer/scalar").unwrap(), Tensor::full(&[], 7.0).unwrap());
        assert_eq!(archive.read::<f32>("empty").unwrap().shape(), [3, 0, 2]);
        let error = archive.read::<f32>("integers").unwrap_err();
        assert_eq!((error.kind(), error.layer()), (ErrorKind::File, Some("integers")));
        assert_eq!(archive.shape("integers"), Some(&[2, 3, 4][..]));
    }
}

#[test]
fn a_single_array_is_read() {
    let mut archive = Archive::open(path("columns_first.npy")).unwrap();
    assert_eq!(archive.names().collect::<Vec<_>>(), ["arr_0"]);
    assert_eq!(archive.read::<f64>("arr_0").unwrap(), numbers());
}
