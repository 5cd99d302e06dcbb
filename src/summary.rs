//! What a model costs, layer by layer: [`Summary`], the table that `model.summary(...)` prints.

use std::fmt;

use crate::layer::Layer;
use crate::tensor::len_of;
use crate::{Element, Error, Result};

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

impl Cost {
    /// The cost of this layer and of `next`, which works on its output.
    pub(crate) fn then(self, next: Cost) -> Cost {
        Cost {
            params: self.params.saturating_add(next.params),
            frozen_params: self.frozen_params.saturating_add(next.frozen_params),
            multiplications: self.multiplications.saturating_add(next.multiplications),
            saved_bytes: self.saved_bytes.saturating_add(next.saved_bytes),
            reach: self.reach.then(next.reach),
        }
    }
}

/// Which part of its input one position of a layer's output sees: its receptive field.
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

impl Reach {
    /// The reach of two layers in a row, this one first: along each axis, windows of extents `a` and `b` with strides
    /// `s` and `t` make one of extent `a + (b - 1) * s` with stride `s * t`. Sizes saturate.
    ///
    /// ```
    /// use striate::Reach;
    /// let conv = Reach::Window { extent: [3, 3], strides: [1, 1] };
    /// let pool = Reach::Window { extent: [2, 2], strides: [2, 2] };
    /// assert_eq!(conv.then(pool).then(conv), Reach::Window { extent: [8, 8], strides: [2, 2] });
    /// assert_eq!(conv.then(Reach::Everything).then(Reach::Pointwise), Reach::Everything);
    /// ```
    #[must_use]
    pub fn then(self, next: Reach) -> Reach {
        match (self, next) {
            (Reach::Everything, _) | (_, Reach::Everything) => Reach::Everything,
            (Reach::Pointwise, other) | (other, Reach::Pointwise) => other,
            (Reach::Window { extent: a, strides: s }, Reach::Window { extent: b, strides: t }) => {
                Reach::Window {
                    extent: [0, 1].map(|axis| {
                        a[axis].saturating_add(b[axis].saturating_sub(1).saturating_mul(s[axis]))
                    }),
                    strides: [0, 1].map(|axis| s[axis].saturating_mul(t[axis])),
                }
            }
        }
    }
}

impl fmt::Display for Reach {
    /// Height and width, such as `5x5`, or `all`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Pointwise => f.write_str("1x1"),
            Reach::Window { extent: [height, width], .. } => write!(f, "{height}x{width}"),
            Reach::Everything => f.write_str("all"),
        }
    }
}

/// One line of a [`Summary`]: a layer.
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
    training_batch: Option<usize>,
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
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The batch size that [`training_bytes`](Self::training_bytes) and the last line of the table are for. Default:
    /// that of the input.
    #[must_use]
    pub fn batch(mut self, batch: usize) -> Self {
        self.training_batch = Some(batch);
        self
    }

    /// The rows, in the order of computation.
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
        let mut field = Reach::Pointwise;
        let next = |row: &Row| {
            field = field.then(row.cost.reach);
            field
        };
        self.rows.iter().map(next).collect()
    }

    /// The number of weights that training changes.
    pub fn params(&self) -> u64 {
        self.total(|row| row.cost.params)
    }

    /// The number of weights that training does not change.
    pub fn frozen_params(&self) -> u64 {
        self.total(|row| row.cost.frozen_params)
    }

    /// Bytes of all weights.
    pub fn param_bytes(&self) -> u64 {
        self.total(|row| row.param_bytes)
    }

    /// Multiplications of one forward pass.
    pub fn multiplications(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.cost.multiplications))
    }

    /// Bytes of the outputs of all layers.
    pub fn output_bytes(&self) -> u64 {
        self.total(|row| row.output_bytes)
    }

    /// Bytes that all layers save on the tape; what two layers share counts twice, as in
    /// [`Tape::bytes`](crate::Tape::bytes).
    pub fn saved_bytes(&self) -> u64 {
        self.total(|row| row.cost.saved_bytes)
    }

    /// Bytes of the feature maps that live at once at inference: the most that a layer's input and output take.
    pub fn inference_bytes(&self) -> u64 {
        let both = |row: &Row| (row.input_bytes as u64).saturating_add(row.output_bytes as u64);
        self.rows.iter().map(both).max().unwrap_or(0)
    }

    /// Bytes of the feature maps that live at once in training, those of all layers, for a [`batch`](Self::batch).
    pub fn training_bytes(&self) -> u64 {
        let bytes = u128::from(self.output_bytes()) * self.batch_sizes()[1] as u128;
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

impl fmt::Display for Summary {
    /// The table, one line a layer, with totals below.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.receptive_fields();
        let mut lines = vec![HEADER.map(str::to_string)];
        lines.extend(self.rows.iter().zip(&fields).map(|(row, field)| {
            [
                row.name.clone(),
                row.kind.to_string(),
                format!("{:?}", row.output_shape),
                thousands(row.cost.params.saturating_add(row.cost.frozen_params) as u64),
                thousands(row.cost.multiplications),
                bytes(row.output_bytes as u64, ""),
                field.to_string(),
            ]
        }));
        lines.push([
            "total".to_string(),
            String::new(),
            String::new(),
            thousands(self.params().saturating_add(self.frozen_params())),
            thousands(self.multiplications()),
            bytes(self.output_bytes(), ""),
            fields.last().copied().unwrap_or_default().to_string(),
        ]);
        write_columns(f, &lines)?;

        let [input, training] = self.batch_sizes();
        let (params, frozen) = (thousands(self.params()), thousands(self.frozen_params()));
        let weights = bytes(self.param_bytes(), " bytes");
        writeln!(f, "\nparameters: {params} trainable, {frozen} frozen, {weights}")?;
        let maps = bytes(self.inference_bytes(), " bytes");
        writeln!(f, "inference, batch of {input}: {maps}, two consecutive layers' feature maps at a time")?;
        let maps = bytes(self.training_bytes(), " bytes");
        writeln!(f, "training, batch of {training}: {maps}, the feature maps of all layers")
    }
}

const HEADER: [&str; 7] =
    ["layer", "kind", "output shape", "parameters", "multiplications", "output bytes", "receptive field"];
/// Columns of words, which start flush; numbers end flush.
const WORDS: usize = 3;

fn write_columns<const N: usize>(f: &mut fmt::Formatter<'_>, lines: &[[String; N]]) -> fmt::Result {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in lines {
        for (column, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            match column < WORDS {
                true => write!(f, "{gap}{cell:<width$}")?,
                false => write!(f, "{gap}{cell:>width$}")?,
            }
        }
        writeln!(f)?;
    }
    Ok(())
}

/// The number with a comma after every three digits.
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The exact number with `unit`, and from 1000 on rounded to three digits: `60,800 bytes (60.8 kB)`.
fn bytes(n: u64, unit: &str) -> String {
    let exact = thousands(n);
    if n < 1000 {
        return format!("{exact}{unit}");
    }
    let mut rounded = n as f64;
    for prefix in ["k", "M", "G", "T", "P", "E"] {
        rounded /= 1000.0;
        let decimals = if rounded < 9.995 {
            100.0
        } else if rounded < 99.95 {
            10.0
        } else {
            1.0
        };
        let shown = (rounded * decimals).round() / decimals;
        if shown < 1000.0 || prefix == "E" {
            return format!("{exact}{unit} ({shown} {prefix}B)");
        }
    }
    exact
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorKind, Window2d};

    fn window(extent: usize, stride: usize) -> Reach {
        Reach::Window { extent: [extent, extent], strides: [stride, stride] }
    }

    fn row(name: &str, output: &[usize], cost: Cost) -> Row {
        Row::new::<f32>(name, "Layer", &[2, 10], output, cost).unwrap()
    }

    #[test]
    fn receptive_fields_compose_as_in_vgg() {
        let (conv, pool) = (window(3, 1), window(2, 2));
        let vgg = [conv, conv, pool, conv, conv, pool, conv, conv, conv, pool];
        let mut fields = Vec::new();
        vgg.iter().fold(Reach::Pointwise, |field, &next| {
            fields.push(field.then(next));
            field.then(next)
        });
        let sizes = [3, 5, 6, 10, 14, 16, 24, 32, 40, 44]; // Araujo et al., 2019, and by hand
        for (field, size) in fields.iter().zip(sizes) {
            assert!(
                matches!(field, Reach::Window { extent, .. } if *extent == [size; 2]),
                "{field}, not {size}"
            );
        }
        assert_eq!(fields[9], window(44, 8));
    }

    #[test]
    fn reach_treats_axes_alone_and_saturates() {
        let flat = Reach::Window { extent: [1, 5], strides: [1, 3] };
        let tall = Reach::Window { extent: [4, 2], strides: [2, 1] };
        assert_eq!(flat.then(tall), Reach::Window { extent: [4, 8], strides: [2, 3] });
        let huge = window(usize::MAX, usize::MAX);
        assert_eq!(huge.then(huge), huge);
        assert_eq!(window(0, 0).then(window(0, 0)), window(0, 0));
        assert_eq!((flat.to_string(), Reach::Everything.to_string()), ("1x5".to_string(), "all".to_string()));
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
        let geometry =
            Window2d::new(5).padding(crate::Padding::Same).conv(&[1, 100, 150, 3], &[5, 5, 3, 200]).unwrap();
        let cost = Cost { multiplications: geometry.multiplications(), ..Cost::default() };
        let row =
            Row::new::<f32>("0", "Conv2D", &geometry.input_shape(), &geometry.output_shape(), cost).unwrap();
        let mut summary = Summary::default();
        summary.push(row);
        assert_eq!((summary.multiplications(), summary.output_bytes()), (225_000_000, 12_000_000));
        assert_eq!(summary.batch(100).training_bytes(), 1_200_000_000);
    }

    #[test]
    fn numbers_are_readable() {
        for (n, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000 (1 kB)"),
            (60_800, "60,800 (60.8 kB)"),
            (999_499, "999,499 (999 kB)"),
            (999_500, "999,500 (1 MB)"),
            (1_234_567, "1,234,567 (1.23 MB)"),
            (1_200_000_000, "1,200,000,000 (1.2 GB)"),
            (u64::MAX, "18,446,744,073,709,551,615 (18.4 EB)"),
        ] {
            assert_eq!(bytes(n, ""), want);
        }
    }

    #[test]
    fn the_table_lines_up() {
        let mut summary = Summary::default();
        summary.push(row("0", &[2, 100], Cost { params: 1234, ..Cost::default() }));
        summary.push(row("1.0", &[2, 5], Cost { reach: Reach::Everything, ..Cost::default() }));
        let text = summary.to_string();
        let table: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(table.len(), 4);
        assert!(table.iter().all(|line| line.len() == table[0].len()), "{text}");
        assert!(table[1].contains("1,234") && table[2].ends_with("all"), "{text}");
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
