//! Comparing what was computed with what was expected.

use std::collections::BTreeSet;

use ndarray::{Array, ArrayD, ArrayViewD, Dimension};
use striate::{Element, Tensor};

use crate::fixtures::{Case, Outcome};

/// Collects the comparisons of one case.
pub struct Check<'a> {
    case: &'a Case,
    compared: BTreeSet<String>,
    failures: Vec<String>,
}

impl<'a> Check<'a> {
    pub fn new(case: &'a Case) -> Self {
        Check { case, compared: BTreeSet::new(), failures: Vec::new() }
    }

    /// Compares with a tensor of the case, whose axes are brought into the order of `letters` first. `way` says
    /// which way through the crate the numbers came.
    pub fn arranged<T: Element, D: Dimension>(
        &mut self,
        way: &str,
        name: &str,
        letters: &str,
        got: &Array<T, D>,
    ) -> Outcome {
        let want = self.case.arranged(name, letters)?;
        self.compare(way, name, &want, got.view().into_dyn());
        Ok(())
    }

    /// Compares with feature maps.
    pub fn maps<T: Element, D: Dimension>(&mut self, way: &str, name: &str, got: &Array<T, D>) -> Outcome {
        self.arranged(way, name, "NHWC", got)
    }

    /// Compares with a tensor like the case's input.
    pub fn like_x<T: Element>(&mut self, way: &str, name: &str, got: &Tensor<T>) -> Outcome {
        let want = self.case.arranged(name, self.case.letters()?)?;
        self.compare(way, name, &want, got.view());
        Ok(())
    }

    /// Compares with a tensor of the case as it is.
    pub fn raw<T: Element>(&mut self, way: &str, name: &str, got: &Tensor<T>) -> Outcome {
        let want = self.case.values(name)?.clone();
        self.compare(way, name, &want, got.view());
        Ok(())
    }

    /// Compares with `want`, which the case calls `name`, within the case's tolerance: none where every number
    /// is a whole one, since then all sums are exact.
    pub fn compare<T: Element>(&mut self, way: &str, name: &str, want: &ArrayD<f64>, got: ArrayViewD<'_, T>) {
        self.compared.insert(name.to_string());
        if want.shape() != got.shape() {
            self.failures.push(format!("{name} by {way}: shape {:?}, not {:?}", got.shape(), want.shape()));
            return;
        }
        let stored = &self.case.tensors[name];
        let (rtol, atol) = match self.case.is_tagged("integer_data") {
            true => (0.0, 0.0),
            false => (stored.rtol.max(reference_error(self.case, name)), stored.atol),
        };
        let close = |got: f64, want: f64| {
            got == want || got.is_nan() && want.is_nan() || (got - want).abs() <= atol + rtol * want.abs()
        };
        let pairs = || got.iter().map(|got| got.to_double()).zip(want.iter().copied());
        let wrong = pairs().filter(|&(got, want)| !close(got, want)).count();
        if let Some((place, (got, want))) = pairs().enumerate().find(|&(_, (got, want))| !close(got, want)) {
            let count = format!("{wrong} of {} elements", stored.shape.iter().product::<usize>());
            self.failures.push(format!("{name} by {way}: {count}; number {place} is {got}, not {want}"));
        }
    }

    /// Notes a failure that is not one of numbers.
    pub fn require(&mut self, way: &str, what: &str, holds: bool) {
        if !holds {
            self.failures.push(format!("{way}: {what}"));
        }
    }

    /// Everything that is wrong; also, that something expected was never looked at.
    pub fn finish(mut self) -> Vec<String> {
        let expected = self.case.tensors.iter().filter(|(_, stored)| stored.role.starts_with("expected"));
        for (name, _) in expected {
            if !self.compared.contains(name) {
                self.failures.push(format!("{name}: never compared"));
            }
        }
        self.failures
    }
}

/// How far the reference itself is off, relative to the result.
fn reference_error(case: &Case, name: &str) -> f64 {
    match (case.suite.as_str(), case.text("kind"), name) {
        // PyTorch's gradient is multiplied by 1/6 as it rounds in f32, whatever the type.
        ("torch_golden", Some("hard_sigmoid"), "grad_x") => f64::from(f32::EPSILON),
        _ => 0.0,
    }
}
