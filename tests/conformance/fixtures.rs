//! The fixtures as their README describes them: manifests of cases, and their tensors.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array4, ArrayD, IxDyn};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use striate::{Element, Tensor};

/// Anything that goes wrong while a case is read or run.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The directory of the fixtures: `STRIATE_FIXTURES`, or that of this crate.
pub fn directory() -> PathBuf {
    std::env::var_os("STRIATE_FIXTURES").map_or_else(own_directory, PathBuf::from)
}

/// This crate's own fixtures.
pub fn own_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// One case of a suite.
#[derive(Clone)]
pub struct Case {
    pub suite: String,
    pub name: String,
    pub op: String,
    pub dtype: String,
    pub tags: Vec<String>,
    pub opset: u64,
    pub attrs: Map<String, Value>,
    pub tensors: BTreeMap<String, Stored>,
}

/// One tensor of a case. Numbers of all types are kept in double precision, which holds them exactly.
#[derive(Clone)]
pub struct Stored {
    pub role: String,
    pub shape: Vec<usize>,
    pub layout: Option<String>,
    pub of: Option<String>,
    pub rtol: f64,
    pub atol: f64,
    /// `None` for types that no runner reads, such as `f16`.
    pub values: Option<ArrayD<f64>>,
}

/// Reads all cases of a suite.
pub fn read(directory: &Path, suite: &str) -> Outcome<Vec<Case>> {
    let open = |extension| {
        let path = directory.join(format!("{suite}.{extension}"));
        std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let manifest: Value = serde_json::from_slice(&open("json")?)?;
    let bytes = open("safetensors")?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let tensors: HashMap<&str, _> = tensors.iter().collect();
    let cases = list(&manifest["cases"], |case| read_case(case, &tensors))?;
    if manifest["count"].as_u64() != Some(cases.len() as u64) {
        return Err(format!("{suite}: {} cases, not {}", cases.len(), manifest["count"]).into());
    }
    Ok(cases)
}

fn read_case(case: &Value, tensors: &HashMap<&str, safetensors::tensor::TensorView<'_>>) -> Outcome<Case> {
    let name = text(&case["name"])?;
    let mut stored = BTreeMap::new();
    for (key, entry) in case["tensors"].as_object().ok_or("a case without tensors")? {
        let view =
            tensors.get(&format!("{name}/{key}")[..]).ok_or_else(|| format!("no tensor {name}/{key}"))?;
        let shape = view.shape().to_vec();
        let values = numbers(view.dtype(), view.data());
        let values = values.map(|values| ArrayD::from_shape_vec(IxDyn(&shape), values)).transpose()?;
        let tolerance = |name: &str| entry["tolerance"][name].as_f64().unwrap_or(0.0);
        let optional = |name: &str| entry[name].as_str().map(str::to_string);
        let (rtol, atol) = (tolerance("rtol"), tolerance("atol"));
        let (layout, of) = (optional("layout"), optional("of"));
        stored.insert(
            key.clone(),
            Stored { role: text(&entry["role"])?, shape, layout, of, rtol, atol, values },
        );
    }
    Ok(Case {
        suite: text(&case["suite"])?,
        op: text(&case["op"])?,
        dtype: text(&case["dtype"])?,
        tags: list(&case["tags"], text)?,
        opset: case["opset"].as_u64().unwrap_or(0),
        attrs: case["attrs"].as_object().cloned().unwrap_or_default(),
        tensors: stored,
        name,
    })
}

fn list<T>(value: &Value, read: impl FnMut(&Value) -> Outcome<T>) -> Outcome<Vec<T>> {
    value.as_array().ok_or_else(|| format!("a list, not {value}"))?.iter().map(read).collect()
}

fn text(value: &Value) -> Outcome<String> {
    Ok(value.as_str().ok_or_else(|| format!("a text, not {value}"))?.to_string())
}

/// Little-endian numbers of the types that cases are run in.
fn numbers(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f64>> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Option<Vec<f64>> {
        Some(bytes.as_chunks::<N>().0.iter().map(|&bytes| number(bytes)).collect())
    }
    match dtype {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |b| f32::from_le_bytes(b).into()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        Dtype::BOOL => each(bytes, |[b]| b.into()),
        _ => None,
    }
}

impl Case {
    fn stored(&self, name: &str) -> Outcome<&Stored> {
        self.tensors.get(name).ok_or_else(|| format!("the case has no tensor {name}").into())
    }

    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor's numbers as they lie in the file.
    pub fn values(&self, name: &str) -> Outcome<&ArrayD<f64>> {
        self.stored(name)?.values.as_ref().ok_or_else(|| format!("{name} is of an unread type").into())
    }

    /// The same as elements, in the file's layout.
    pub fn raw<T: Element>(&self, name: &str) -> Outcome<ArrayD<T>> {
        Ok(self.values(name)?.mapv(T::of))
    }

    /// The letters of a tensor's axes: declared, or those of the tensor that it is the gradient of, or what the rank
    /// means in channels-first suites.
    fn layout(&self, name: &str) -> Outcome<String> {
        let stored = self.stored(name)?;
        if let Some(layout) = &stored.layout {
            return Ok(layout.clone());
        }
        if let Some(of) = stored.of.as_deref().filter(|of| *of != name) {
            return self.layout(of);
        }
        let letters = match (stored.role.as_str(), stored.shape.len()) {
            (_, 1) => "O",
            ("param", 2) => "OI",
            ("param", 4) => "OIHW",
            (_, 2) => "NC",
            (_, 3) => "NCW",
            (_, 4) => "NCHW",
            (_, 5) => "NCDHW",
            (role, rank) => return Err(format!("no layout for {name}, {role} of rank {rank}").into()),
        };
        Ok(letters.to_string())
    }

    /// A tensor's numbers with its axes in the order of `letters`; axes that it does not have get the length 1.
    pub fn arranged(&self, name: &str, letters: &str) -> Outcome<ArrayD<f64>> {
        arrange(self.values(name)?, &self.layout(name)?, letters)
    }

    /// The axes of the case's input, channels last.
    pub fn letters(&self) -> Outcome<&'static str> {
        match self.stored("x")?.shape.len() {
            2 => Ok("NC"),
            3 => Ok("NWC"),
            4 => Ok("NHWC"),
            5 => Ok("NDHWC"),
            rank => Err(format!("no axes for rank {rank}").into()),
        }
    }

    /// A tensor like the input, channels last.
    pub fn like_x<T: Element>(&self, name: &str) -> Outcome<Tensor<T>> {
        Ok(self.arranged(name, self.letters()?)?.mapv(T::of).into())
    }

    /// The same; `None` if the case has none of this name.
    pub fn optional_like_x<T: Element>(&self, name: &str) -> Outcome<Option<Tensor<T>>> {
        if self.has(name) { self.like_x(name).map(Some) } else { Ok(None) }
    }

    /// Feature maps as `[batch, height, width, channels]`, of height 1 if they are one-dimensional. The memory stays
    /// in the file's order, so that operations meet strided views.
    pub fn maps<T: Element>(&self, name: &str) -> Outcome<Array4<T>> {
        Ok(self.arranged(name, "NHWC")?.mapv(T::of).into_dimensionality()?)
    }

    /// The same; `None` if the case has none of this name.
    pub fn optional_maps<T: Element>(&self, name: &str) -> Outcome<Option<Array4<T>>> {
        if self.has(name) { self.maps(name).map(Some) } else { Ok(None) }
    }

    /// A vector; `None` if the case has none of this name.
    pub fn vector<T: Element>(&self, name: &str) -> Outcome<Option<Array1<T>>> {
        if !self.has(name) {
            return Ok(None);
        }
        Ok(Some(self.raw(name)?.into_dimensionality()?))
    }

    /// A tensor as it is in the file.
    pub fn tensor<T: Element>(&self, name: &str) -> Outcome<Tensor<T>> {
        Ok(self.raw::<T>(name)?.into())
    }

    /// Class labels, in row-major order. Negative ones, which no class has, become very large ones.
    pub fn labels(&self, name: &str) -> Outcome<Vec<usize>> {
        Ok(self.values(name)?.iter().map(|&label| label as i64 as usize).collect())
    }

    /// An attribute, unless it is missing or null.
    pub fn attr(&self, name: &str) -> Option<&Value> {
        self.attrs.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.attr(name)?.as_str()
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.attr(name)?.as_f64()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.attr(name).is_some_and(|value| value.as_bool().unwrap_or(value.as_u64() == Some(1)))
    }

    pub fn index(&self, name: &str) -> Option<usize> {
        self.attr(name)?.as_i64().map(|value| value as usize)
    }

    /// A list of sizes; empty if the case has none of this name.
    pub fn sizes(&self, name: &str) -> Vec<usize> {
        let list = self.attr(name).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_u64).map(|size| size as usize).collect()
    }

    /// A size for depth, height and width.
    pub fn triple(&self, name: &str, fill: usize) -> [usize; 3] {
        self.sizes(name).try_into().unwrap_or([fill; 3])
    }

    /// A size for height and width; `fill` for an axis that the case does not have.
    pub fn pair(&self, name: &str, fill: usize) -> [usize; 2] {
        match self.sizes(name)[..] {
            [height, width] => [height, width],
            [width] => [fill, width],
            _ => [fill, fill],
        }
    }

    pub fn is_tagged(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }
}

/// Brings the axes called `from` into the order `to`; new ones have the length 1. `HWIM` kernels become `HWIO` with
/// the multiplier inside `O` and one channel in `I`, as grouped convolution has it.
pub fn arrange(array: &ArrayD<f64>, from: &str, to: &str) -> Outcome<ArrayD<f64>> {
    if from == to {
        return Ok(array.clone());
    }
    if let (&[kh, kw, inputs, multiplier], "HWIM") = (array.shape(), from) {
        let grouped = array.as_standard_layout().into_owned();
        let grouped = grouped.into_shape_with_order(IxDyn(&[kh, kw, 1, inputs * multiplier]))?;
        return arrange(&grouped, "HWIO", to);
    }
    if from.len() != array.ndim() || from.chars().any(|axis| !to.contains(axis)) {
        return Err(format!("axes {from} of {:?} in the order {to}", array.shape()).into());
    }
    let kept: Vec<usize> = to.chars().filter_map(|axis| from.find(axis)).collect();
    let mut arranged = array.clone().permuted_axes(IxDyn(&kept));
    for (place, axis) in to.chars().enumerate() {
        if !from.contains(axis) {
            arranged = arranged.insert_axis(ndarray::Axis(place));
        }
    }
    Ok(arranged)
}
