//! What a model costs, layer by layer: [`Summary`], the table that `model.summary(...)` prints.

mod cost;
mod table;

pub use cost::{Cost, Reach};

use crate::layer::Layer;
use crate::memory::len_of;
use crate::{Element, Error, Result};

/// One line of a [`Summary`]: a layer.
///
/// ```
/// use striate::{MaxPool2D, Sequential, sequential};
/// let model: Sequential = sequential![MaxPool2D::new(2)];
/// let summary = model.summary(&[1, 8, 8, 3])?;
/// let row = &summary.rows()[0];
/// assert_eq!((row.kind, &row.output_shape[..], row.output_bytes), ("MaxPool2D", &[1, 4, 4, 3][..], 192));
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Bytes of the weights, trainable or not.
    pub param_bytes: usize,
    /// Bytes of the output that stay in training until the backward pass: all, unless a [`Remat`](crate::Remat) computes
    /// it again. (They count, too, where a max pooling is all that sees them, and they are let go after it: what is saved in
    /// fact is in [`Cost::saved_bytes`].)
    pub kept_bytes: usize,
    /// What the layer costs.
    pub cost: Cost,
}

impl Row {
    /// The row of a layer of elements `T`.
    ///
    /// # Errors
    /// [`ErrorKind::Size`](crate::ErrorKind::Size) if a shape or the weights overflow.
    ///
    /// ```
    /// use striate::{Cost, Row};
    /// let row = Row::new::<f32>("0", "Blur", &[1, 8, 8, 3], &[1, 8, 8, 3], Cost::default())?;
    /// assert_eq!(row.output_bytes, 8 * 8 * 3 * 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn new<T: Element>(
        name: &str,
        kind: &'static str,
        input: &[usize],
        output: &[usize],
        cost: Cost,
    ) -> Result<Self> {
        let bytes = |shape| Ok(len_of("summary", shape)? * size_of::<T>());
        let param_bytes = (cost.params.checked_add(cost.frozen_params))
            .and_then(|params| params.checked_mul(size_of::<T>()))
            .ok_or_else(|| Error::size("summary", "weights that fit in memory", format_args!("{cost:?}")))?;
        Ok(Row {
            name: name.to_string(),
            kind,
            output_shape: output.to_vec(),
            input_bytes: bytes(input)?,
            output_bytes: bytes(output)?,
            param_bytes,
            kept_bytes: bytes(output)?,
            cost,
        })
    }
}

/// The layers of a model with their costs, to read in a program or to print as a table.
///
/// Totals of memory count *feature maps*, the outputs of layers. At inference, those of two consecutive layers at a
/// time are enough: once a layer's output is there, its input can go. In training, all of them must be kept for the
/// backward pass. Sums saturate.
///
/// ```
/// use striate::{Conv2D, Padding, Reach, Sequential, sequential};
/// // 200 filters of 5x5 over a colour picture of 150x100 (width x height).
/// let model: Sequential = sequential![Conv2D::new(200, 5).padding(Padding::Same)];
/// let summary = model.summary(&[1, 100, 150, 3])?.batch(100);
///
/// assert_eq!(summary.params(), (5 * 5 * 3 + 1) * 200);                   // 15,200
/// assert_eq!(summary.multiplications(), 150 * 100 * 200 * 5 * 5 * 3);    // 225 million
/// assert_eq!(summary.rows()[0].output_bytes, 12_000_000);                // 12 MB a picture
/// assert_eq!(summary.training_bytes(), 1_200_000_000);                   // 1.2 GB a batch of 100
/// assert_eq!(summary.to_string(), "\
/// layer  kind    output shape        parameters  multiplications        output bytes  receptive field
/// 0      Conv2D  [1, 100, 150, 200]      15,200      225,000,000  12,000,000 (12 MB)              5x5
/// total                                  15,200      225,000,000  12,000,000 (12 MB)              5x5
///
/// parameters: 15,200 trainable, 0 frozen, 60,800 bytes (60.8 kB)
/// inference, batch of 1: 12,180,000 bytes (12.2 MB), two consecutive layers' feature maps at a time
/// training, batch of 100: 1,200,000,000 bytes (1.2 GB), the feature maps of all layers
/// ");
/// # Ok::<(), striate::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<Row>,
    /// What each row's output sees of the model's input.
    fields: Vec<Reach>,
    /// What the input of the next row sees of it.
    field: Reach,
    /// The most bytes of feature maps that are computed again at once.
    recomputed_bytes: usize,
    training_batch: Option<usize>,
}

/// A place where a model forks: every branch starts from the same input, which stays until the last has read it, as
/// outputs of branches stay until they are joined.
pub(crate) struct Fork {
    start: Reach,
    joined: Option<Reach>,
    /// The first row of the branch that comes next.
    row: usize,
    kept_bytes: usize,
}

impl Fork {
    /// Ends a branch whose rows are in the summary, and starts the next, if this was not the last.
    pub(crate) fn next_branch(&mut self, summary: &mut Summary, is_last: bool) {
        let rows = &mut summary.rows[self.row..];
        let input = rows.first().filter(|_| !is_last).map_or(0, |row| row.input_bytes);
        let output = rows.last().map_or(0, |row| row.output_bytes);
        for (place, row) in rows.iter_mut().enumerate() {
            let kept = if place == 0 { 0 } else { input };
            row.input_bytes = row.input_bytes.saturating_add(self.kept_bytes).saturating_add(kept);
        }
        self.kept_bytes = self.kept_bytes.saturating_add(output);
        self.row = summary.rows.len();
        let end = std::mem::replace(&mut summary.field, self.start);
        self.joined = Some(self.joined.map_or(end, |joined| joined.beside(end)));
    }

    /// Joins the branches.
    pub(crate) fn join(self, summary: &mut Summary) {
        summary.field = self.joined.unwrap_or(self.start);
    }
}

impl Summary {
    /// The summary of a layer or a model for an input of this shape, batch axis included. Works before `build`.
    ///
    /// # Errors
    /// If the layer cannot take such an input, or a size overflows.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// assert_eq!(Summary::of(&Dense::<f32>::new(10), &[1, 784])?.params(), 7850);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn of<T: Element>(layer: &(impl Layer<T> + ?Sized), input: &[usize]) -> Result<Self> {
        let mut summary = Summary::default();
        layer.summarize("", input, &mut summary)?;
        Ok(summary)
    }

    /// Appends a row; layers do so in [`Layer::summarize`](crate::Layer::summarize).
    ///
    /// ```
    /// use striate::{Cost, Row, Summary};
    /// let mut summary = Summary::default();
    /// summary.push(Row::new::<f32>("0", "Blur", &[1, 8, 8, 3], &[1, 8, 8, 3], Cost::default())?);
    /// assert_eq!(summary.rows().len(), 1);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn push(&mut self, row: Row) {
        self.field = self.field.then(row.cost.reach);
        self.fields.push(self.field);
        self.rows.push(row);
    }

    /// The row that came last.
    pub(crate) fn last_row_mut(&mut self) -> Option<&mut Row> {
        self.rows.last_mut()
    }

    /// Appends rows of layers that are computed again in training from an input of so many bytes.
    pub(crate) fn recomputed<R>(
        &mut self,
        input_bytes: usize,
        rows: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<R> {
        let first = self.rows.len();
        let result = rows(self)?;
        let (mut saved_bytes, mut recomputed_bytes) = (input_bytes, 0_usize);
        let rows = &mut self.rows[first..];
        let inner = rows.len().saturating_sub(1);
        for (index, row) in rows.iter_mut().enumerate() {
            row.cost.saved_bytes = std::mem::take(&mut saved_bytes);
            if index < inner {
                recomputed_bytes = recomputed_bytes.saturating_add(std::mem::take(&mut row.kept_bytes));
            }
        }
        self.recomputed_bytes = self.recomputed_bytes.max(recomputed_bytes);
        Ok(result)
    }

    /// Here, branches start.
    pub(crate) fn fork(&self) -> Fork {
        Fork { start: self.field, joined: None, row: self.rows.len(), kept_bytes: 0 }
    }

    /// The batch size that [`training_bytes`](Self::training_bytes) and the last line of the table are for. Default:
    /// that of the input.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f32>::new(10), &[1, 784])?.batch(64);
    /// assert_eq!(summary.training_bytes(), 64 * 10 * 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.training_batch = Some(batch);
        self
    }

    /// The rows, in the order of computation.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f32>::new(10), &[1, 784])?;
    /// assert_eq!((summary.rows()[0].kind, &summary.rows()[0].output_shape[..]), ("Dense", &[1, 10][..]));
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// For each row, which part of the model's input one position of its output sees.
    ///
    /// ```
    /// use striate::{MaxPool2D, Reach, Sequential, sequential};
    /// let model: Sequential = sequential![MaxPool2D::new(2), MaxPool2D::new(2)];
    /// let fields = model.summary(&[1, 8, 8, 1])?.receptive_fields();
    /// assert_eq!(fields[1], Reach::Window { extent: [4, 4], strides: [4, 4] });
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn receptive_fields(&self) -> Vec<Reach> {
        self.fields.clone()
    }

    /// The number of weights that training changes.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f32>::new(10), &[1, 784])?;
    /// assert_eq!(summary.params(), 784 * 10 + 10);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn params(&self) -> u64 {
        self.total(|row| row.cost.params)
    }

    /// The number of weights that training does not change.
    ///
    /// ```
    /// use striate::{Dense, Layer, Rng, Summary};
    /// let mut dense = Dense::<f32>::new(10);
    /// dense.build(&[1, 784], &mut Rng::seed(1))?;
    /// dense.params_mut()[0].1.set_trainable(false);
    /// assert_eq!(Summary::of(&dense, &[1, 784])?.frozen_params(), 7840);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn frozen_params(&self) -> u64 {
        self.total(|row| row.cost.frozen_params)
    }

    /// Bytes of all weights.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f64>::new(10), &[1, 784])?;
    /// assert_eq!(summary.param_bytes(), 7850 * 8);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn param_bytes(&self) -> u64 {
        self.total(|row| row.param_bytes)
    }

    /// Multiplications of one forward pass.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f32>::new(10), &[32, 784])?;
    /// assert_eq!(summary.multiplications(), 32 * 784 * 10);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn multiplications(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.cost.multiplications))
    }

    /// Bytes of the outputs of all layers.
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f32>::new(10), &[1, 784])?;
    /// assert_eq!(summary.output_bytes(), 10 * 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn output_bytes(&self) -> u64 {
        self.total(|row| row.output_bytes)
    }

    /// Bytes that all layers save on the tape; what two layers share counts twice, as in
    /// [`Tape::bytes`](crate::Tape::bytes).
    ///
    /// ```
    /// use striate::{Dense, Summary};
    /// let summary = Summary::of(&Dense::<f32>::new(10), &[1, 784])?;
    /// assert_eq!(summary.saved_bytes(), 784 * 4);           // the gradient of the kernel needs the input
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn saved_bytes(&self) -> u64 {
        self.total(|row| row.cost.saved_bytes)
    }

    /// Bytes of the feature maps that live at once at inference: the most that a layer's input and output take.
    ///
    /// ```
    /// use striate::{Dense, Sequential, sequential};
    /// let model: Sequential = sequential![Dense::new(100), Dense::new(10)];
    /// assert_eq!(model.summary(&[1, 784])?.inference_bytes(), (784 + 100) * 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn inference_bytes(&self) -> u64 {
        let both = |row: &Row| (row.input_bytes as u64).saturating_add(row.output_bytes as u64);
        self.rows.iter().map(both).max().unwrap_or(0)
    }

    /// Bytes of the feature maps that live at once in training, those of all layers, for a [`batch`](Self::batch). Of what
    /// [`Remat`](crate::Remat)s compute again, only the largest segment counts.
    ///
    /// ```
    /// use striate::{Dense, Sequential, sequential};
    /// let model: Sequential = sequential![Dense::new(100), Dense::new(10)];
    /// assert_eq!(model.summary(&[1, 784])?.batch(32).training_bytes(), 32 * (100 + 10) * 4);
    /// # Ok::<(), striate::Error>(())
    /// ```
    pub fn training_bytes(&self) -> u64 {
        let bytes = self.total(|row| row.kept_bytes).saturating_add(self.recomputed_bytes as u64);
        let bytes = u128::from(bytes) * self.batch_sizes()[1] as u128;
        u64::try_from(bytes / self.batch_sizes()[0].max(1) as u128).unwrap_or(u64::MAX)
    }

    fn total(&self, value: impl Fn(&Row) -> usize) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(value(row) as u64))
    }

    /// The batch sizes of the input and of training.
    fn batch_sizes(&self) -> [usize; 2] {
        let input = self.rows.first().and_then(|row| row.output_shape.first()).copied().unwrap_or(1);
        [input, self.training_batch.unwrap_or(input)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Conv2D, ErrorKind, Padding, Sequential, sequential};

    fn row(name: &str, output: &[usize], cost: Cost) -> Row {
        Row::new::<f32>(name, "Layer", &[2, 10], output, cost).unwrap()
    }

    #[test]
    fn totals() {
        let mut summary = Summary::default();
        let cost =
            Cost { params: 30, frozen_params: 3, multiplications: 500, saved_bytes: 80, ..Cost::default() };
        summary.push(row("0", &[2, 100], cost)); // 80 bytes in, 800 out
        summary.push(row("1", &[2, 5], Cost { reach: Reach::Everything, ..cost }));
        assert_eq!((summary.params(), summary.frozen_params(), summary.param_bytes()), (60, 6, 264));
        assert_eq!((summary.multiplications(), summary.saved_bytes()), (1000, 160));
        assert_eq!((summary.output_bytes(), summary.inference_bytes()), (840, 880));
        assert_eq!(summary.training_bytes(), 840, "for the input's batch of 2");
        assert_eq!(summary.clone().batch(5).training_bytes(), 2100);
        assert_eq!(summary.batch(usize::MAX).training_bytes(), 420_u64.saturating_mul(usize::MAX as u64));
        assert_eq!(Summary::default().training_bytes(), 0);
    }

    #[test]
    fn a_layer_of_the_textbook() {
        let model: Sequential = sequential![Conv2D::new(200, 5).padding(Padding::Same)];
        let summary = model.summary(&[1, 100, 150, 3]).unwrap();
        assert_eq!((summary.params(), summary.multiplications()), (15_200, 225_000_000));
        assert_eq!(summary.rows()[0].output_bytes, 12_000_000);
        assert_eq!(summary.inference_bytes(), 12_000_000 + 180_000);
        assert_eq!(summary.clone().batch(100).training_bytes(), 1_200_000_000);
        let hundred = model.summary(&[100, 100, 150, 3]).unwrap();
        assert_eq!(hundred.training_bytes(), 1_200_000_000);
        assert_eq!(hundred.batch(1).training_bytes(), 12_000_000);
    }

    #[test]
    fn sizes_that_overflow_are_errors() {
        let cost = Cost { params: usize::MAX, frozen_params: 1, ..Cost::default() };
        let row = Row::new::<f32>("0", "Layer", &[1], &[1], cost);
        assert_eq!(row.unwrap_err().kind(), ErrorKind::Size);
        let row = Row::new::<f32>("0", "Layer", &[1], &[usize::MAX], Cost::default());
        assert_eq!(row.unwrap_err().kind(), ErrorKind::Size);
    }
}
