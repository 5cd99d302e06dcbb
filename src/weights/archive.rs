//! [`Archive`]: the tensors of an open file.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ndarray::{Array, IxDyn, ShapeBuilder};

use super::number::{Number, Stream, failed};
use crate::memory::len_of;
use crate::{Element, Error, ErrorKind, Result, Tensor};

/// An open file of named tensors, each read when it is asked for.
///
/// Opening reads the list of tensors alone and checks it against the file: names must differ, and numbers must lie within
/// the file, those of two tensors apart.
///
/// ```
/// use striate::{Tensor, weights::Archive};
/// // The smallest safetensors file: the length of the list, the list, the numbers.
/// let list = br#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
/// let file = [&54_u64.to_le_bytes()[..], list, &1.5_f32.to_le_bytes(), &2.0_f32.to_le_bytes()].concat();
///
/// let mut archive = Archive::new(std::io::Cursor::new(file))?;
/// assert_eq!(archive.names().collect::<Vec<_>>(), ["x"]);
/// assert_eq!(archive.shape("x"), Some(&[2][..]));
/// let x: Tensor<f64> = archive.read("x")?;
/// assert_eq!(x.as_slice(), [1.5, 2.0]);
/// # Ok::<(), striate::Error>(())
/// ```
pub struct Archive {
    source: Source,
    entries: BTreeMap<String, Entry>,
}

/// Where bytes come from.
pub(super) trait Bytes: Read + Seek + Send {}

impl<R: Read + Seek + Send> Bytes for R {}

enum Source {
    /// Numbers lie in the file itself.
    Plain(Box<dyn Bytes>),
    #[cfg(feature = "npz")]
    Zip(super::npz::Zip),
}

/// How one tensor is stored.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) number: Number,
    pub(super) big_endian: bool,
    /// Whether the first axis runs fastest.
    pub(super) columns_first: bool,
    pub(super) shape: Vec<usize>,
    /// Where its numbers begin in the file, or which part of the `.npz` it is.
    pub(super) place: u64,
}

impl Archive {
    /// Opens a file of any of the [formats](super).
    ///
    /// # Errors
    /// [`ErrorKind::File`] if it cannot be read or is none of them.
    ///
    /// ```
    /// use striate::weights::Archive;
    /// # let path = std::env::temp_dir().join(format!("striate-open-{}.npz", std::process::id()));
    /// # let mut conv: striate::Conv2D = striate::Conv2D::new(8, 3);
    /// # striate::Layer::build(&mut conv, &[1, 10, 10, 3], &mut striate::Rng::seed(1))?;
    /// # striate::weights::save(&conv, &path)?;
    /// let archive = Archive::open(&path)?;
    /// for name in archive.names() {
    ///     println!("{name}: {:?}", archive.shape(name));
    /// }
    /// assert!(Archive::open("no such file").is_err());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let place = |error| at(path, "read", error);
        let file = File::open(path).map_err(|error| place(failed("a readable file", error)))?;
        Self::new(BufReader::new(file)).map_err(place)
    }

    /// Opens a file that lies anywhere, in memory for example.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// ```
    /// let error = striate::weights::Archive::new(std::io::Cursor::new("weights")).unwrap_err();
    /// assert_eq!(error.kind(), striate::ErrorKind::File);
    /// ```
    pub fn new(source: impl Read + Seek + Send + 'static) -> Result<Self> {
        let mut source: Box<dyn Bytes> = Box::new(source);
        let io = |error| failed("a readable file", error);
        let length = source.seek(SeekFrom::End(0)).map_err(io)?;
        source.rewind().map_err(io)?;
        let mut first = Vec::new();
        source.by_ref().take(8).read_to_end(&mut first).map_err(io)?;
        source.rewind().map_err(io)?;
        match &first[..] {
            #[cfg(feature = "npz")]
            [b'P', b'K', 3 | 5, 4 | 6, ..] => {
                let (zip, entries) = super::npz::open(source)?;
                Self::with(Source::Zip(zip), entries)
            }
            #[cfg(feature = "npz")]
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => {
                let entry = super::npy::entry(&mut source, length)?;
                Self::with(Source::Plain(source), [("arr_0".to_string(), entry)])
            }
            #[cfg(feature = "safetensors")]
            &[a, b, c, d, e, f, g, h] => {
                let list = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                let entries = super::safetensors::entries(&mut source, list, length)?;
                Self::with(Source::Plain(source), entries)
            }
            other => Err(failed(&format!("a file of weights: {FORMATS}"), format_args!("{other:02x?}..."))),
        }
    }

    fn with(source: Source, list: impl IntoIterator<Item = (String, Entry)>) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (name, entry) in list {
            len_of("read", &entry.shape).map_err(|error| error.in_layer(&name))?;
            match entries.entry(name) {
                btree_map::Entry::Vacant(place) => place.insert(entry),
                btree_map::Entry::Occupied(place) => {
                    return Err(failed(
                        "tensors with different names",
                        format_args!("{:?} twice", place.key()),
                    ));
                }
            };
        }
        Ok(Archive { source, entries })
    }

    /// The names of the tensors, in alphabetical order.
    ///
    /// ```
    /// # let file = [&8_u64.to_le_bytes()[..], b"{}      "].concat();
    /// let archive = striate::weights::Archive::new(std::io::Cursor::new(file))?;
    /// assert_eq!(archive.names().count(), 0);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The shape of a tensor; `None` if there is none of this name.
    ///
    /// ```
    /// # let file = [&8_u64.to_le_bytes()[..], b"{}      "].concat();
    /// let archive = striate::weights::Archive::new(std::io::Cursor::new(file))?;
    /// assert_eq!(archive.shape("kernel"), None);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| &entry.shape[..])
    }

    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Reads a tensor of floats: f16, bf16, f32 or f64.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if there is none of this name; [`ErrorKind::File`] if it holds other numbers or cannot be read;
    /// [`ErrorKind::Value`] if a number is too large for `T`; [`ErrorKind::Size`] if there is not enough memory.
    ///
    /// ```
    /// # let file = [&8_u64.to_le_bytes()[..], b"{}      "].concat();
    /// let mut archive = striate::weights::Archive::new(std::io::Cursor::new(file))?;
    /// let error = archive.read::<f32>("kernel").unwrap_err();
    /// assert_eq!(error.to_string(), r#"read: expected one of the file's 0 tensors, got "kernel""#);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn read<T: Element>(&mut self, name: &str) -> Result<Tensor<T>> {
        let (values, entry) = self.stream(name, |stream| stream.floats())?;
        if entry.columns_first {
            let array = Array::from_shape_vec(IxDyn(&entry.shape).f(), values);
            return array.map(Tensor::from).map_err(|error| failed("an array by columns", error));
        }
        Tensor::from_vec(&entry.shape, values)
    }

    /// Reads whole numbers.
    pub(crate) fn counts(&mut self, name: &str) -> Result<Vec<u64>> {
        self.stream(name, |stream| stream.counts()).map(|(values, _)| values)
    }

    pub(crate) fn holds_counts(&self, name: &str) -> bool {
        self.entries.get(name).is_some_and(|entry| entry.number == Number::U64)
    }

    /// Whether a tensor holds floats other than `T`.
    pub(crate) fn holds_other_floats<T: Element>(&self, name: &str) -> bool {
        self.entries
            .get(name)
            .is_some_and(|entry| entry.number.is_float() && entry.number != Number::of::<T>())
    }

    fn stream<N>(
        &mut self,
        name: &str,
        read: impl FnOnce(Stream<'_>) -> Result<Vec<N>>,
    ) -> Result<(Vec<N>, &Entry)> {
        let count = self.entries.len();
        let Some(entry) = self.entries.get(name) else {
            let expected = format_args!("one of the file's {count} tensors");
            return Err(Error::argument("read", expected, format_args!("{name:?}")));
        };
        let len = len_of("read", &entry.shape)?;
        let (number, big_endian) = (&entry.number, entry.big_endian);
        let values = match &mut self.source {
            Source::Plain(source) => {
                let found = source.seek(SeekFrom::Start(entry.place));
                found.map_err(|error| failed("a tensor's place", error))?;
                read(Stream { source, number, len, big_endian, certain: true })
            }
            #[cfg(feature = "npz")]
            Source::Zip(zip) => super::npz::with_part(zip, entry.place, |source| {
                read(Stream { source, number, len, big_endian, certain: false })
            }),
        };
        Ok((values.map_err(|error| error.in_layer(name))?, entry))
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = self.entries.iter().map(|(name, entry)| (name, &entry.shape));
        f.write_str("Archive ")?;
        f.debug_map().entries(shapes).finish()
    }
}

/// The formats that this build of the crate knows.
pub(super) const FORMATS: &str = match (cfg!(feature = "safetensors"), cfg!(feature = "npz")) {
    (true, true) => ".safetensors, .npz or .npy",
    (true, false) => ".safetensors (.npz and .npy with the feature npz)",
    (false, _) => ".npz or .npy (.safetensors with the feature safetensors)",
};

/// The same error with the file that it is about.
pub(super) fn at(path: &Path, operation: &'static str, error: Error) -> Error {
    let got = format!("{} in {}", error.got(), path.display());
    match error.kind() {
        ErrorKind::File => {
            let moved = Error::new(ErrorKind::File, operation, error.expected(), got);
            error.layer().map_or(moved.clone(), |name| moved.in_layer(name))
        }
        _ => error,
    }
}
