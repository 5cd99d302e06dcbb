//! Writing tensors to files.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use super::archive::{FORMATS, at};
use super::atomic::write_file;
use super::number::{Number, write_floats, write_numbers};
use crate::{Element, Error, ErrorKind, Result, Tensor};

/// A named tensor to be written, of elements or of whole numbers.
pub(crate) struct Item<T: Element> {
    pub(super) name: String,
    values: Values<T>,
}

enum Values<T: Element> {
    Floats(Tensor<T>),
    Counts([usize; 1], Vec<u64>),
}

impl<T: Element> Item<T> {
    pub(crate) fn floats(name: impl Into<String>, values: Tensor<T>) -> Self {
        Item { name: name.into(), values: Values::Floats(values) }
    }

    pub(crate) fn counts(name: impl Into<String>, values: impl Into<Vec<u64>>) -> Self {
        let values = values.into();
        Item { name: name.into(), values: Values::Counts([values.len()], values) }
    }

    pub(super) fn shape(&self) -> &[usize] {
        match &self.values {
            Values::Floats(values) => values.shape(),
            Values::Counts(shape, _) => shape,
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Floats(values) => values.len(),
            Values::Counts(_, values) => values.len(),
        }
    }

    pub(super) fn number(&self) -> Number {
        match &self.values {
            Values::Floats(_) => Number::of::<T>(),
            Values::Counts(..) => Number::U64,
        }
    }

    pub(super) fn write_values(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.values {
            Values::Floats(values) => write_floats(out, values.as_slice()),
            Values::Counts(_, values) => write_numbers(out, values, u64::to_le_bytes),
        }
    }
}

/// Writes tensors to a file, in the format that its name's end says.
pub(crate) fn write<T: Element>(path: &Path, items: &[Item<T>]) -> Result<()> {
    let mut names = HashSet::new();
    if let Some(item) = items.iter().find(|item| !names.insert(&item.name)) {
        let got = format_args!("{} twice", item.name);
        return Err(Error::argument("save", "parameters with different names", got));
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let written = match extension.as_deref() {
        #[cfg(feature = "safetensors")]
        Some("safetensors") => write_file(path, |out| super::safetensors::write(out, items)),
        #[cfg(feature = "npz")]
        Some("npz") => write_file(path, |out| super::npz::write(out, items)),
        #[cfg(feature = "npz")]
        Some("npy") => match items {
            [item] => write_file(path, |out| super::npy::write(out, item)),
            _ => {
                let got = format_args!("{} tensors (.npz holds any number)", items.len());
                return Err(Error::new(ErrorKind::File, "save", "one tensor for a .npy file", got));
            }
        },
        _ => {
            let expected = format!("a name that ends in {FORMATS}");
            return Err(Error::new(ErrorKind::File, "save", expected, path.display()));
        }
    };
    written.map_err(|error| at(path, "save", Error::new(ErrorKind::File, "save", "a writable file", error)))
}
