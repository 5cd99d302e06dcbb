//! Reads the handwritten digits of `examples/data/mnist`, and other data sets in gzipped files in MNIST's IDX format.
#![allow(dead_code, reason = "not every example uses all of it")]

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use striate::Tensor;

/// Pictures `[count, 28, 28, 1]` with values from 0 (paper) to 1 (ink), and which digit (or what else) each shows.
pub struct Digits {
    pub images: Tensor,
    pub labels: Vec<usize>,
}

/// The digits to train on.
pub fn train() -> Result<Digits, Box<dyn Error>> {
    read(&folder(), "train")
}

/// The digits held back for the test.
pub fn test() -> Result<Digits, Box<dyn Error>> {
    read(&folder(), "test")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist")
}

/// A part of the data set in a folder.
pub fn read(folder: &Path, part: &str) -> Result<Digits, Box<dyn Error>> {
    let (sizes, pixels) = read_idx::<3>(&folder.join(format!("{part}-images-idx3-ubyte.gz")))?;
    let (_, labels) = read_idx::<1>(&folder.join(format!("{part}-labels-idx1-ubyte.gz")))?;
    let ink = pixels.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
    Ok(Digits {
        images: Tensor::from_vec(&[sizes[0], sizes[1], sizes[2], 1], ink)?,
        labels: labels.into_iter().map(usize::from).collect(),
    })
}

/// A file of bytes with `N` axes: two zeros, the type (8: bytes), the number of axes, each axis' length in four
/// bytes (big-endian), the data.
fn read_idx<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>), Box<dyn Error>> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path)?).read_to_end(&mut bytes)?;
    let header = 4 + 4 * N;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, N as u8] {
        return Err(format!("{}: not an IDX file of bytes with {N} axes", path.display()).into());
    }
    let size = |axis: usize| u32::from_be_bytes(std::array::from_fn(|i| bytes[4 + 4 * axis + i])) as usize;
    let sizes = std::array::from_fn(size);
    Ok((sizes, bytes.split_off(header)))
}
