//! Runs the fixtures of `tests/data` (or of the directory that `STRIATE_FIXTURES` names): thousands of numbers that
//! PyTorch, Keras and the ONNX reference computed for layers, gradients and losses. `tests/data/README.md` says what
//! the cases are.
//!
//! Every case goes through the public interface in channels-last layout, converted at the edge: through the functions
//! of `striate::ops` and, where there is one, through the layer. A case that the crate cannot run must be in the table
//! of `conformance/gaps.rs`.

mod activation;
mod check;
mod conv;
mod dense;
mod extra;
mod fixtures;
mod gaps;
mod layer;
mod losses;
mod norm;
mod onnx;
mod pool;
mod replay;
mod resample;
mod sequential;
mod transposed;
mod volume;
mod window;

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};

use check::Check;
use fixtures::{Case, Outcome};
use gaps::{GAPS, Gap};
use striate::Element;

const SUITES: [&str; 3] = ["torch_golden", "keras_golden", "onnx_nodes"];

/// How many cases passed, failed, and were not run.
#[derive(Clone, Copy, Default)]
struct Count([usize; 3]);

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}

const PASSED: Count = Count([1, 0, 0]);
const FAILED: Count = Count([0, 1, 0]);
const UNSUPPORTED: Count = Count([0, 0, 1]);

#[test]
fn fixtures() {
    let directory = fixtures::directory();
    let mut counts: BTreeMap<(&str, String), Count> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut used = vec![Vec::new(); GAPS.len()];
    for suite in SUITES {
        for case in fixtures::read(&directory, suite).expect("readable fixtures") {
            let count = counts.entry((suite, case.op.clone())).or_default();
            if let Some(gap) = GAPS.iter().position(|gap| applies(gap, &case)) {
                used[gap].push(case.op.clone());
                *count += UNSUPPORTED;
                continue;
            }
            let wrong = run(&case);
            *count += if wrong.is_empty() { PASSED } else { FAILED };
            failures.extend(wrong.into_iter().map(|wrong| format!("{suite} {}: {wrong}", case.name)));
        }
    }
    // Other fixtures need not have a case for every row.
    if directory == fixtures::own_directory() {
        failures.extend(stale(&used));
    }
    report(&counts, &failures).expect("a standard output");
    assert!(failures.is_empty(), "{} failures, listed above", failures.len());
}

fn applies(gap: &Gap, case: &Case) -> bool {
    gap.suite == case.suite && gap.ops.split(' ').any(|op| op == case.op) && (gap.matches)(case)
}

/// Rows of the table of gaps that are no longer needed.
fn stale(used: &[Vec<String>]) -> Vec<String> {
    let rows = GAPS.iter().zip(used);
    let unused = |(gap, used): (&'static Gap, &Vec<String>)| {
        let unused: Vec<_> = gap.ops.split(' ').filter(|op| !used.iter().any(|own| own == op)).collect();
        unused.into_iter().map(move |op| {
            let Gap { suite, which, reason, .. } = gap;
            format!("the table of gaps has a row for {suite} {op}, {which} ({reason}), that nothing needs")
        })
    };
    rows.flat_map(unused).collect()
}

/// What is wrong with a case's results; a panic is wrong, too.
fn run(case: &Case) -> Vec<String> {
    let translated = match case.suite.as_str() {
        "onnx_nodes" if !onnx::RUN_AS_THEY_ARE.contains(&case.op.as_str()) => onnx::translate(case),
        _ => Ok(case.clone()),
    };
    let run = |case: Case| {
        let mut check = Check::new(&case);
        let outcome = match case.dtype.as_str() {
            "f32" => run_as::<f32>(&case, &mut check),
            "f64" => run_as::<f64>(&case, &mut check),
            other => Err(format!("no elements of {other}").into()),
        };
        match outcome {
            Ok(()) => check.finish(),
            Err(error) => vec![error.to_string()],
        }
    };
    match translated {
        Ok(case) => catch_unwind(AssertUnwindSafe(|| run(case))).unwrap_or_else(|_| vec!["panic".into()]),
        Err(error) => vec![error.to_string()],
    }
}

fn run_as<T: Element>(case: &Case, check: &mut Check<'_>) -> Outcome {
    let runner = match case.op.as_str() {
        "conv1d" | "conv2d" | "depthwise_conv2d" => conv::conv::<T>,
        "separable_conv2d" => conv::separable::<T>,
        "conv_transpose1d" | "conv_transpose2d" => transposed::conv::<T>,
        "conv_transpose3d" => volume::conv_transpose::<T>,
        "conv3d" => volume::conv::<T>,
        "max_pool3d" => volume::max_pool::<T>,
        "avg_pool3d" => volume::avg_pool::<T>,
        "max_pool1d" | "max_pool2d" => pool::max_pool::<T>,
        "avg_pool1d" | "avg_pool2d" => pool::avg_pool::<T>,
        "adaptive_max_pool1d" | "adaptive_max_pool2d" => pool::adaptive_max_pool::<T>,
        "adaptive_avg_pool1d" | "adaptive_avg_pool2d" => resample::adaptive_average::<T>,
        "global_max_pool1d" | "global_max_pool2d" => pool::global_max_pool::<T>,
        "global_avg_pool1d" | "global_avg_pool2d" => pool::global_avg_pool::<T>,
        "pad2d" | "zero_pad2d" => resample::pad::<T>,
        "upsample2d" => resample::upsample::<T>,
        "lp_pool1d" | "lp_pool2d" => extra::lp_pool::<T>,
        "max_unpool2d" => extra::max_unpool::<T>,
        "prelu" => extra::prelu::<T>,
        "depth_to_space" | "space_to_depth" => extra::depth_to_space::<T>,
        "resize" => extra::resize::<T>,
        "Add" | "Concat" | "Mul" | "Sum" => extra::join::<T>,
        "Reshape" => extra::reshape::<T>,
        "Transpose" => extra::transpose::<T>,
        "dense" => dense::dense::<T>,
        "flatten" => dense::flatten::<T>,
        "dropout" => dense::dropout::<T>,
        "activation" | "softmax" | "log_softmax" => activation::activation::<T>,
        "batch_norm" => norm::batch::<T>,
        "layer_norm" => norm::layer::<T>,
        "group_norm" => norm::group::<T>,
        "instance_norm" => norm::instance::<T>,
        "local_response_norm" => norm::local_response::<T>,
        "cross_entropy" => losses::cross_entropy::<T>,
        "binary_cross_entropy" => losses::binary_cross_entropy::<T>,
        "regression_loss" => losses::regression::<T>,
        "sequential" => sequential::sequential::<T>,
        "Erf" => onnx::erf::<T>,
        "Momentum" => onnx::momentum::<T>,
        other => return Err(format!("no runner for {other}, and no row in the table of gaps").into()),
    };
    runner(case, check)
}

/// Writes past the test harness, which would swallow it when all is well.
fn report(counts: &BTreeMap<(&str, String), Count>, failures: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "\n{:<14}{:<28}{:>8}{:>8}{:>15}",
        "suite", "operation", "passed", "failed", "not supported"
    )?;
    let mut total = Count::default();
    for ((suite, op), count) in counts {
        let Count([passed, failed, unsupported]) = count;
        writeln!(out, "{suite:<14}{op:<28}{passed:>8}{failed:>8}{unsupported:>15}")?;
        total += *count;
    }
    for failure in failures {
        writeln!(out, "FAILED {failure}")?;
    }
    let Count([passed, failed, unsupported]) = total;
    writeln!(out, "conformance: {passed} passed, {failed} failed, {unsupported} unsupported")
}
