//! [`Report`]: what came of loading.

use std::fmt;

/// What [`Transfer::load`](super::Transfer::load) found: which parameters it read, and where model and file differ.
///
/// ```
/// use striate::{Dense, Layer, Rng, Sequential, sequential, weights::{self, Transfer}};
/// # let path = std::env::temp_dir().join(format!("striate-report-{}.npz", std::process::id()));
/// let mut old: Sequential = sequential![Dense::new(8), Dense::new(10)];
/// old.build(&[1, 3], &mut Rng::seed(1))?;
/// weights::save(&old, &path)?;
///
/// let mut new: Sequential = sequential![Dense::new(8), Dense::new(20), Dense::new(5)];
/// new.build(&[1, 3], &mut Rng::seed(1))?;
/// let report = Transfer::new().partial(true).load(&mut new, &path)?;
/// assert_eq!(report.loaded, ["0.kernel", "0.bias"]);
/// assert_eq!(report.missing, ["2.kernel", "2.bias"]);
/// assert_eq!(report.mismatched[1].to_string(), "1.bias ([20], but [10] in the file)");
/// assert!(report.unexpected.is_empty() && !report.is_complete());
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The model's parameters that were read.
    pub loaded: Vec<String>,
    /// The model's parameters that the file does not hold.
    pub missing: Vec<String>,
    /// The file's tensors that belong to no parameter of the model, by their names in the file.
    pub unexpected: Vec<String>,
    /// The model's parameters that the file holds, but not so that they can be read.
    pub mismatched: Vec<Mismatch>,
}

/// A parameter that has another shape in the file, or another type of number than a float.
///
/// ```
/// # let report = striate::weights::Report::default();
/// for mismatch in &report.mismatched {
///     println!("{}: {}, not {}", mismatch.name, mismatch.got, mismatch.expected);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// The parameter's name in the model.
    pub name: String,
    /// The shape that it has in the model.
    pub expected: String,
    /// The shape that it has in the file, in the model's layout; with its type if that is not a float.
    pub got: String,
}

impl Report {
    /// Whether all parameters were read, and nothing was left over.
    ///
    /// ```
    /// assert!(striate::weights::Report::default().is_complete());
    /// ```
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, but {} in the file)", self.name, self.expected, self.got)
    }
}

impl fmt::Display for Report {
    /// The differences, by kind; without any, how many parameters were read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_complete() {
            return write!(f, "{} parameters, all as expected", self.loaded.len());
        }
        let mismatched: Vec<String> = self.mismatched.iter().map(Mismatch::to_string).collect();
        let mut separator = "";
        for (kind, names) in
            [("missing", &self.missing), ("unexpected", &self.unexpected), ("of another shape", &mismatched)]
        {
            if !names.is_empty() {
                write!(f, "{separator}{kind}: {}", names.join(", "))?;
                separator = "; ";
            }
        }
        Ok(())
    }
}
