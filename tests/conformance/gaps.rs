//! What the crate does not do yet: every case that is not run must be here, with its reason, and every row must still
//! be needed.

use crate::fixtures::Case;
use crate::pool::is_regular;

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

fn is_3d(case: &Case) -> bool {
    case.tensors.get("X").or(case.tensors.get("x")).is_some_and(|x| x.shape.len() == 5)
}

/// Not the product of two matrices, or with more than a row to add.
fn is_no_dense_layer(case: &Case) -> bool {
    let shape = |name: &str| case.tensors.get(name).map_or(&[][..], |stored| &stored.shape);
    let adds_a_row = shape("C").iter().product::<usize>() == shape("Y").last().copied().unwrap_or(0);
    shape("A").len() != 2 || shape("B").len() != 2 || case.has("C") && !adds_a_row
}

fn is(case: &Case, attr: &str, value: f64) -> bool {
    case.number(attr).is_some_and(|own| (own - value).abs() < 1e-6)
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
    "torch_golden" | "conv3d max_pool3d avg_pool3d" | ALL, any => "windows are two-dimensional";
    "torch_golden" | "conv_transpose1d conv_transpose2d conv_transpose3d" | ALL, any => "no transposed convolution layer";
    "torch_golden" | "adaptive_max_pool1d adaptive_max_pool2d" | "with windows of several sizes",
        |case| !is_regular(case) => "windows have one size";
    "torch_golden" | "lp_pool2d max_unpool2d" | ALL, any => "no such pooling";
    "torch_golden" | "prelu" | ALL, any => "no activation with weights";

    "keras_golden" | "conv3d" | ALL, any => "windows are two-dimensional";
    "keras_golden" | "conv_transpose1d conv_transpose2d" | ALL, any => "no transposed convolution layer";

    "onnx_nodes" | "Add Celu Clip ConvInteger MaxPool Mul Pad QLinearConv" | TYPES, is_of_other_type => "tensors hold f32 and f64";
    "onnx_nodes" | "Conv AveragePool MaxPool" | "in three dimensions", is_3d => "windows are two-dimensional";
    "onnx_nodes" | "ConvTranspose" | ALL, any => "no transposed convolution layer";
    "onnx_nodes" | "LpNormalization" | ALL, any => "no normalisation by a norm";
    "onnx_nodes" | "LpPool MaxUnpool" | ALL, any => "no such pooling";
    "onnx_nodes" | "PRelu" | ALL, any => "no activation with weights";
    "onnx_nodes" | "Resize" | ALL, any => "resizing follows PyTorch's conventions, not ONNX' others";
    "onnx_nodes" | "DepthToSpace SpaceToDepth" | ALL, any => "no layer that turns depth into space";
    "onnx_nodes" | "Hardmax ThresholdedRelu" | ALL, any => "no such activation";
    "onnx_nodes" | "HardSigmoid" | "other than relu6(x + 3) / 6",
        |case| !(is(case, "alpha", 1.0 / 6.0) && is(case, "beta", 0.5)) => "HardSigmoid has Keras' slope";
    "onnx_nodes" | "Selu" | "with other than the paper's constants",
        |case| !(is(case, "alpha", 1.673_263_2) && is(case, "gamma", 1.050_701)) => "Selu has no parameters";
    "onnx_nodes" | "Gemm MatMul" | "other than a matrix times a matrix plus a row", is_no_dense_layer => "Dense multiplies matrices";
    "onnx_nodes" | "Add Concat Mul Reshape Sum Transpose" | ALL, any => "arithmetic on whole arrays is ndarray's";
    "onnx_nodes" | "Adagrad" | ALL, any => "Adagrad's epsilon stands under the root, as in Keras";
    "onnx_nodes" | "Adam" | ALL, any => "the moments that the node starts from cannot be set";
    "onnx_nodes" | "Dropout" | "at inference, with a mask", |case| case.has("mask") && !case.has("training_mode")
        => "dropout has a mask in training only";
};
