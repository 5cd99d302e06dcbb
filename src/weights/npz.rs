//! NumPy's `.npz` format: a ZIP archive of `.npy` files, stored or deflated.

use std::io::{self, Read, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::archive::{Bytes, Entry};
use super::npy;
use super::number::failed;
use super::write::Item;
use crate::{Element, Error, Result};

pub(super) type Zip = ZipArchive<Box<dyn Bytes>>;

/// Opens an archive and lists its arrays.
pub(super) fn open(source: Box<dyn Bytes>) -> Result<(Zip, Vec<(String, Entry)>)> {
    let mut zip = ZipArchive::new(source).map_err(broken)?;
    if zip.has_duplicate_names() {
        return Err(failed("arrays with different names", "two of one name"));
    }
    if zip.has_overlapping_entries().map_err(broken)? {
        return Err(failed("arrays that lie apart", "two that overlap"));
    }
    let mut entries = Vec::new();
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).map_err(broken)?;
        let name = part.name().map_err(broken)?.into_owned();
        let Some(name) = name.strip_suffix(".npy") else {
            let expected = "a .npz file of .npy arrays (from PyTorch or Keras, save .safetensors)";
            return Err(failed(expected, format_args!("one with {name:?}")));
        };
        let length = part.size();
        let mut entry = npy::entry(&mut part, length).map_err(|error| error.in_layer(name))?;
        entry.place = index as u64;
        entries.push((name.to_string(), entry));
    }
    Ok((zip, entries))
}

/// Hands the numbers of an array to `read`, and checks that they end where it ends.
pub(super) fn with_part<N>(
    zip: &mut Zip,
    index: u64,
    read: impl FnOnce(&mut dyn Read) -> Result<N>,
) -> Result<N> {
    let mut part = zip.by_index(index as usize).map_err(broken)?;
    let length = part.size();
    npy::entry(&mut part, length)?;
    let numbers = read(&mut part)?;
    // Only at its end is the sum of the part checked.
    match io::copy(&mut part.take(1), &mut io::sink()) {
        Ok(0) => Ok(numbers),
        Ok(_) => Err(failed("an array's end", "more bytes")),
        Err(error) => Err(failed("an array that is intact", error)),
    }
}

fn broken(error: impl std::fmt::Display) -> Error {
    failed("a ZIP archive", error)
}

/// Writes an archive of these tensors, whose names differ, without compressing them, as `numpy.savez`.
pub(super) fn write<T: Element>(out: &mut (impl Write + Seek), items: &[Item<T>]) -> io::Result<()> {
    /// Bytes from which on an archive's old numbers of 32 bits might not do.
    const LARGE: usize = 1 << 31;
    let mut zip = ZipWriter::new(out);
    for item in items {
        let large = item.len() >= LARGE / 8;
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(large);
        zip.start_file(format!("{}.npy", item.name), options)?;
        npy::write(&mut zip, item)?;
    }
    zip.finish()?;
    Ok(())
}
