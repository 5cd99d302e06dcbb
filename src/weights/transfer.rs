//! [`Transfer`]: parameters to and from files.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use super::archive::at;
use super::{Archive, Item, Layout, Mismatch, Report, write};
use crate::{Element, Error, ErrorKind, Layer, Name, Param, Result, Tensor};

/// How parameters are exchanged with a file: under which names, in which layout, and whether all of them.
///
/// | option | default | |
/// |---|---|---|
/// | `names` | the model's | the name in the file of each parameter |
/// | `layout` | [`Layout::Keras`] | the order of kernels' axes in the file |
/// | `partial` | `false` | whether model and file may differ |
///
/// ```
/// use striate::{Activation, Conv2D, Layer, Rng, Sequential, sequential};
/// use striate::weights::{Layout, Transfer};
/// # let path = std::env::temp_dir().join(format!("striate-transfer-{}.safetensors", std::process::id()));
/// let mut model: Sequential = sequential![Conv2D::new(8, 3), Activation::Relu, Conv2D::new(4, 3)];
/// model.build(&[1, 10, 10, 3], &mut Rng::seed(1))?;
///
/// // A PyTorch module with the layers `conv1` and `conv2`: here "2.kernel", there "conv2.weight".
/// let pytorch = Transfer::new().layout(Layout::PyTorch).names(|name| {
///     name.replace("0.", "conv1.").replace("2.", "conv2.").replace("kernel", "weight")
/// });
/// pytorch.save(&model, &path)?;    // safetensors.torch.load_file() reads it
/// pytorch.load(&mut model, &path)?;
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Default)]
pub struct Transfer<'a> {
    names: Option<Names<'a>>,
    layout: Layout,
    partial: bool,
}

/// From a parameter's name in the model to its name in the file.
type Names<'a> = Box<dyn Fn(&str) -> String + 'a>;

/// Parameters' names in the model, each with its new value if there is one, in the model's order and layout.
pub(crate) type Found<T> = Vec<(Name, Option<Tensor<T>>)>;

impl<'a> Transfer<'a> {
    /// All parameters, as [`save`](super::save) and [`load`](super::load) exchange them.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-new-{}.npz", std::process::id()));
    /// # let mut conv: striate::Conv2D = striate::Conv2D::new(8, 3);
    /// # striate::Layer::build(&mut conv, &[1, 10, 10, 3], &mut striate::Rng::seed(1))?;
    /// use striate::weights::Transfer;
    /// Transfer::new().save(&conv, &path)?;
    /// assert_eq!(Transfer::new().load(&mut conv, &path)?.loaded, ["kernel", "bias"]);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// The name in the file of the parameter that has this name in the model. Parameters that share a name are read from the
    /// same tensor.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-names-{}.npz", std::process::id()));
    /// # let mut conv: striate::Conv2D = striate::Conv2D::new(8, 3);
    /// # striate::Layer::build(&mut conv, &[1, 10, 10, 3], &mut striate::Rng::seed(1))?;
    /// use striate::weights::{Archive, Transfer};
    /// Transfer::new().names(|name| format!("stem/{name}")).save(&conv, &path)?;
    /// assert_eq!(Archive::open(&path)?.names().collect::<Vec<_>>(), ["stem/bias", "stem/kernel"]);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(mut self, name_in_file: impl Fn(&str) -> String + 'a) -> Self {
        self.names = Some(Box::new(name_in_file));
        self
    }

    /// The order of kernels' axes in the file: see [`Layout`].
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-order-{}.npz", std::process::id()));
    /// # let mut dense: striate::Dense = striate::Dense::new(8);
    /// # striate::Layer::build(&mut dense, &[1, 10], &mut striate::Rng::seed(1))?;
    /// use striate::weights::{Archive, Layout, Transfer};
    /// Transfer::new().layout(Layout::PyTorch).save(&dense, &path)?;
    /// assert_eq!(Archive::open(&path)?.shape("kernel"), Some(&[8, 10][..]));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Whether to read what model and file have in common, and to report the rest instead of failing.
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-partial-{}.npz", std::process::id()));
    /// # let mut conv: striate::Conv2D = striate::Conv2D::new(8, 3).use_bias(false);
    /// # striate::Layer::build(&mut conv, &[1, 10, 10, 3], &mut striate::Rng::seed(1))?;
    /// use striate::{Conv2D, Layer, Rng, weights::Transfer};
    /// Transfer::new().save(&conv, &path)?;    // a convolution without a bias
    /// let mut other: Conv2D = Conv2D::new(8, 3);
    /// other.build(&[1, 10, 10, 3], &mut Rng::seed(2))?;
    /// assert!(Transfer::new().load(&mut other, &path).is_err());
    /// assert_eq!(Transfer::new().partial(true).load(&mut other, &path)?.missing, ["bias"]);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn partial(mut self, partial: bool) -> Self {
        self.partial = partial;
        self
    }

    /// Writes all parameters of a layer or model, frozen ones included. `partial` makes no difference.
    ///
    /// # Errors
    /// As [`save`](super::save).
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-save-one-{}.npy", std::process::id()));
    /// # let mut dense: striate::Dense = striate::Dense::new(8).use_bias(false);
    /// # striate::Layer::build(&mut dense, &[1, 10], &mut striate::Rng::seed(1))?;
    /// use striate::weights::{Archive, Layout, Transfer};
    /// // A dense layer without bias has one tensor, which a .npy file can hold: numpy.load() gives it back.
    /// Transfer::new().save(&dense, &path)?;
    /// assert_eq!(Archive::open(&path)?.shape("arr_0"), Some(&[10, 8][..]));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save<T: Element>(&self, model: &(impl Layer<T> + ?Sized), path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), &self.items(model)?)
    }

    /// The parameters as they are to be written.
    pub(crate) fn items<T: Element>(&self, model: &(impl Layer<T> + ?Sized)) -> Result<Vec<Item<T>>> {
        let params = model.params();
        if params.is_empty() {
            return Err(Error::not_built(model.kind()));
        }
        let item = |(name, param): (Name, &Param<T>)| {
            Ok(Item::floats(self.name(&name), self.layout.tensor_to(&name, param.value())?))
        };
        params.into_iter().map(item).collect()
    }

    /// Reads the parameters of a layer or model that is built, and says what it found. Either all that are to be read are
    /// written into the model or, after an error, none.
    ///
    /// Values take the model's precision. PyTorch's counters, `num_batches_tracked`, are not weights and are passed over.
    ///
    /// # Errors
    /// [`ErrorKind::File`] if the file cannot be read or, unless the loading is [`partial`](Self::partial), model and file
    /// differ: the error lists which parameters are missing in the file, unexpected in it, or of another shape.
    /// [`ErrorKind::NotBuilt`] if the model has no parameters; otherwise as [`Archive::read`].
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-load-one-{}.npz", std::process::id()));
    /// # let mut conv: striate::Conv2D = striate::Conv2D::new(8, 3);
    /// # striate::Layer::build(&mut conv, &[1, 10, 10, 3], &mut striate::Rng::seed(1))?;
    /// use striate::weights::Transfer;
    /// Transfer::new().save(&conv, &path)?;
    /// let error = Transfer::new().names(str::to_uppercase).load(&mut conv, &path).unwrap_err();
    /// assert_eq!(error.got(), format!(
    ///     "missing: kernel (KERNEL in the file), bias (BIAS in the file); unexpected: bias, kernel in {}",
    ///     path.display()
    /// ));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load<T: Element>(
        &self,
        model: &mut (impl Layer<T> + ?Sized),
        path: impl AsRef<Path>,
    ) -> Result<Report> {
        let path = path.as_ref();
        let mut archive = Archive::open(path)?;
        self.load_from(model, &mut archive).map_err(|error| at(path, "load", error))
    }

    /// As [`load`](Self::load), from a file that is open, or that lies in memory. To read a large file as the system maps it
    /// into memory, hand its map (from the crate `memmap2`, say) to [`Archive::new`] in a [`Cursor`](std::io::Cursor).
    ///
    /// # Errors
    /// As [`load`](Self::load).
    ///
    /// ```
    /// # let path = std::env::temp_dir().join(format!("striate-load-from-{}.safetensors", std::process::id()));
    /// # let mut conv: striate::Conv2D = striate::Conv2D::new(8, 3);
    /// # striate::Layer::build(&mut conv, &[1, 10, 10, 3], &mut striate::Rng::seed(1))?;
    /// # striate::weights::save(&conv, &path)?;
    /// use striate::weights::{Archive, Transfer};
    /// let bytes = std::fs::read(&path)?;
    /// let mut archive = Archive::new(std::io::Cursor::new(bytes))?;
    /// assert!(Transfer::new().load_from(&mut conv, &mut archive)?.is_complete());
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_from<T: Element>(
        &self,
        model: &mut (impl Layer<T> + ?Sized),
        archive: &mut Archive,
    ) -> Result<Report> {
        let (report, values) = self.read(model, archive, |_| false)?;
        put(model, values)?;
        Ok(report)
    }

    /// The parameters of `model` that the file holds. Tensors for which `other` holds may be in the file, too.
    pub(crate) fn read<T: Element>(
        &self,
        model: &(impl Layer<T> + ?Sized),
        archive: &mut Archive,
        other: impl Fn(&str) -> bool,
    ) -> Result<(Report, Found<T>)> {
        let params = model.params();
        if params.is_empty() {
            return Err(Error::not_built(model.kind()));
        }
        let report = self.compare(&params, archive, other);
        if !report.is_complete() && !self.partial {
            let expected = format!(
                "the parameters of the {}, and no others (Transfer has options for other names, layouts and parts)",
                model.kind()
            );
            return Err(Error::new(ErrorKind::File, "load", expected, report));
        }
        let loaded: HashSet<&str> = report.loaded.iter().map(String::as_str).collect();
        let value = |(name, param): (Name, &Param<T>)| {
            if !loaded.contains(&name[..]) {
                return Ok((name, None));
            }
            let stored = archive.read(&self.name(&name))?;
            let value = self.layout.tensor_from(&name, stored, param.value().shape())?;
            Ok((name, Some(value)))
        };
        let values = params.into_iter().map(value).collect::<Result<_>>()?;
        Ok((report, values))
    }

    /// What can be read, and where model and file differ.
    fn compare<T: Element>(
        &self,
        params: &[(Name, &Param<T>)],
        archive: &Archive,
        other: impl Fn(&str) -> bool,
    ) -> Report {
        let (mut report, mut found) = (Report::default(), HashSet::new());
        for (name, param) in params {
            let in_file = self.name(name);
            let shown =
                if in_file == **name { in_file.clone() } else { format!("{name} ({in_file} in the file)") };
            let Some(entry) = archive.entry(&in_file) else {
                report.missing.push(shown);
                continue;
            };
            found.insert(in_file);
            let wanted = param.value().shape();
            let shape = self.layout.shape_from(name, &entry.shape, wanted);
            if shape == wanted && entry.number.is_float() {
                report.loaded.push(name.to_string());
                continue;
            }
            let number = if entry.number.is_float() { String::new() } else { format!("{} ", entry.number) };
            let (expected, got) = (format!("{wanted:?}"), format!("{number}{shape:?}"));
            report.mismatched.push(Mismatch { name: name.to_string(), expected, got });
        }
        let is_counter = |name: &str| self.layout == Layout::PyTorch && name.ends_with("num_batches_tracked");
        let unexpected = archive.names().filter(|name| !found.contains(*name));
        let unexpected = unexpected.filter(|name| !is_counter(name) && !other(name));
        report.unexpected = unexpected.map(str::to_string).collect();
        report
    }

    /// The name in the file.
    fn name(&self, name: &str) -> String {
        self.names.as_ref().map_or_else(|| name.to_string(), |names| names(name))
    }
}

/// Writes values that [`Transfer::read`] found into the model: all, or none if they do not fit.
pub(crate) fn put<T: Element>(model: &mut (impl Layer<T> + ?Sized), values: Found<T>) -> Result<()> {
    let kind = model.kind();
    let mut params = model.params_mut();
    // A layer of the caller's own may show other parameters to write to than to read.
    let mut fits = params.len() == values.len();
    for ((name, param), (other, value)) in params.iter().zip(&values) {
        let shape = param.value().shape();
        fits &= name == other && value.as_ref().is_none_or(|value| value.shape() == shape);
    }
    if !fits {
        return Err(Error::argument("load", "params_mut() that gives the same as params()", kind));
    }
    for ((_, param), (_, value)) in params.iter_mut().zip(values) {
        value.map_or(Ok(()), |value| param.set_value(value))?;
    }
    Ok(())
}

impl fmt::Debug for Transfer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer")
            .field("names", &self.names.as_ref().map(|_| ".."))
            .field("layout", &self.layout)
            .field("partial", &self.partial)
            .finish()
    }
}
