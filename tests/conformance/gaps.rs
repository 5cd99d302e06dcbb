//! What the crate does not do yet: every case that is not run must be here, with its reason, and every row must still
//! be needed.

use crate::fixtures::Case;

/// A kind of case that is not run.
pub struct Gap {
    pub suite: &'static str,
    /// Operations, separated by blanks; each must have such a case.
    pub ops: &'static str,
    /// Which of their cases, in words.
    pub which: &'static str,
    pub matches: fn(&Case) -> bool,
    pub reason: &'static str,
}

const ALL: &str = "all";

fn any(_: &Case) -> bool {
    true
}

fn is_no_dense_layer(case: &Case) -> bool {
    ["A", "B"].iter().any(|name| case.tensors.get(*name).is_some_and(|stored| stored.shape.len() != 2))
}

/// Not by a whole factor, or neither linear with aligned corners nor every position repeated.
fn is_resized_otherwise(case: &Case) -> bool {
    let shape = |name: &str| case.tensors.get(name).map_or(&[][..], |stored| &stored.shape);
    let repeats = shape("X").iter().zip(shape("Y")).all(|(from, to)| to.is_multiple_of(*from));
    let is_aligned = case.text("coordinate_transformation_mode") == Some("align_corners");
    !repeats
        || match case.text("mode") {
            Some("linear") => !is_aligned,
            Some("nearest") => false,
            _ => true,
        }
}

/// Not the second axis to the end.
fn moves_other_axes(case: &Case) -> bool {
    let order = case.sizes("perm");
    !order.iter().copied().eq(std::iter::once(0).chain(2..order.len()).chain([1]))
}

/// The words for the types that tensors do not hold.
const TYPES: &str = "of other types than f32 and f64";

fn is_of_other_type(case: &Case) -> bool {
    !["f32", "f64"].contains(&case.dtype.as_str())
}

macro_rules! gaps {
    ($($suite:literal | $ops:literal | $which:expr, $matches:expr => $reason:literal;)*) => {
        &[$(Gap { suite: $suite, ops: $ops, which: $which, matches: $matches, reason: $reason }),*]
    };
}

/// The table. A case is left out by the first row that it matches.
#[rustfmt::skip]
pub const GAPS: &[Gap] = gaps! {
    "onnx_nodes" | "Add Celu Clip ConvInteger MaxPool Mul Pad QLinearConv" | TYPES, is_of_other_type
        => "tensors hold f32 and f64";
    "onnx_nodes" | "Resize" | "in conventions other than PyTorch's", is_resized_otherwise
        => "cubic and antialiased resizing, cropping and odd places between positions";
    "onnx_nodes" | "LpNormalization" | ALL, any => "no normalisation by a norm";
    "onnx_nodes" | "Hardmax" | ALL, any => "nothing flows back through it: the place of a maximum is no layer";
    "onnx_nodes" | "MatMul" | "other than a matrix times a matrix", is_no_dense_layer => "Dense multiplies matrices";
    "onnx_nodes" | "Transpose" | "other than from channels first to last", moves_other_axes
        => "no other order of axes means anything here; ndarray moves them";
    "onnx_nodes" | "Adagrad" | ALL, any => "Adagrad's epsilon stands under the root, as in Keras";
    "onnx_nodes" | "Adam" | ALL, any => "the moments that the node starts from cannot be set";
};
