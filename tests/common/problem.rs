//! A convolution or pooling described by plain numbers, with its own arithmetic: what the crate is measured against.

use proptest::prelude::*;
use striate::{Accuracy, Geometry2d, Padding, Window2d};

/// One axis of a problem.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub input: usize,
    pub kernel: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pads: (usize, usize),
}

impl Line {
    pub fn extent(self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// The number of windows that lie inside the padded input, found by sliding one.
    pub fn output(self) -> usize {
        let padded = self.pads.0 + self.input + self.pads.1;
        (0..).step_by(self.stride).take_while(|start| start + self.extent() <= padded).count()
    }

    /// The number of windows in ceil mode: one more if positions are left over, one less if the last one would start
    /// beyond the input and its leading padding.
    pub fn ceil_output(self) -> usize {
        let padded = self.pads.0 + self.input + self.pads.1;
        let used = (self.output() - 1) * self.stride + self.extent();
        let rounded = self.output() + usize::from(used < padded);
        rounded - usize::from((rounded - 1) * self.stride >= self.pads.0 + self.input)
    }

    /// Where `tap` of window `o` lies in the input, if inside.
    pub fn source(self, o: usize, tap: usize) -> Option<usize> {
        let padded = o * self.stride + tap * self.dilation;
        (padded >= self.pads.0 && padded < self.pads.0 + self.input).then(|| padded - self.pads.0)
    }

    /// The padding that makes `ceil(input / stride)` outputs, the larger half at the end.
    pub fn same_pads(self) -> (usize, usize) {
        let output = (0..self.input).step_by(self.stride).count();
        let wanted = (output - 1) * self.stride + self.extent();
        let total = wanted.saturating_sub(self.input);
        (total / 2, total - total / 2)
    }
}

/// A whole problem: arrays of known shapes and a window sliding over them.
#[derive(Clone, Debug)]
pub struct Problem {
    pub batch: usize,
    pub rows: Line,
    pub cols: Line,
    pub padding: Padding,
    pub groups: usize,
    /// Channels of a group.
    pub inputs: usize,
    /// Filters of a group.
    pub filters: usize,
    /// What the arrays are filled from.
    pub seed: u64,
}

impl Problem {
    pub fn window(&self) -> Window2d {
        let both = |of: fn(Line) -> usize| (of(self.rows), of(self.cols));
        Window2d::new(both(|l| l.kernel))
            .strides(both(|l| l.stride))
            .dilation(both(|l| l.dilation))
            .padding(self.padding)
    }

    pub fn input_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.input, self.cols.input, self.groups * self.inputs]
    }

    pub fn kernel_shape(&self) -> [usize; 4] {
        [self.rows.kernel, self.cols.kernel, self.inputs, self.groups * self.filters]
    }

    pub fn output_shape(&self) -> [usize; 4] {
        [self.batch, self.rows.output(), self.cols.output(), self.groups * self.filters]
    }

    /// Plain sums.
    pub fn conv(&self) -> Geometry2d {
        self.conv_with(Accuracy::Strict)
    }

    pub fn conv_with(&self, accuracy: Accuracy) -> Geometry2d {
        let window = self.window().groups(self.groups).accuracy(accuracy);
        window.conv(&self.input_shape(), &self.kernel_shape()).unwrap()
    }

    /// Visits every multiplication of the convolution with places in the input, the kernel and the output.
    pub fn for_each(&self, mut visit: impl FnMut([usize; 4], [usize; 4], [usize; 4])) {
        let [batch, height, width, filters] = self.output_shape();
        for (n, y, x, f) in quadruples(batch, height, width, filters) {
            for (i, j, c) in triples(self.rows.kernel, self.cols.kernel, self.inputs) {
                let group = f / self.filters;
                if let (Some(p), Some(q)) = (self.rows.source(y, i), self.cols.source(x, j)) {
                    visit([n, p, q, group * self.inputs + c], [i, j, c, f], [n, y, x, f]);
                }
            }
        }
    }
}

fn triples(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

fn quadruples(a: usize, b: usize, c: usize, d: usize) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    (0..a).flat_map(move |n| triples(b, c, d).map(move |(i, j, k)| (n, i, j, k)))
}

/// Which kind of padding a problem has.
#[derive(Clone, Copy, Debug)]
enum Around {
    Nothing,
    Same,
    Explicit,
}

/// Lines whose window fits.
fn lines(around: Around) -> impl Strategy<Value = Line> {
    (1..=12_usize, 1..=5_usize, 1..=4_usize, 1..=3_usize, (0..=4_usize, 0..=4_usize)).prop_map(
        move |(input, kernel, stride, dilation, pads)| {
            let line = Line { input, kernel, stride, dilation, pads: (0, 0) };
            let pads = match around {
                Around::Nothing => (0, 0),
                Around::Same => line.same_pads(),
                Around::Explicit => pads,
            };
            Line { input: input.max(line.extent().saturating_sub(pads.0 + pads.1)), pads, ..line }
        },
    )
}

/// Numbers of groups, and of channels and filters in each: any, many, and depthwise.
fn channels() -> impl Strategy<Value = (usize, usize, usize)> {
    prop_oneof![
        4 => (1..=4_usize, 1..=5_usize, 1..=5_usize),
        1 => (Just(1), 1..=40_usize, 1..=40_usize),
        1 => (1..=40_usize, Just(1), 1..=2_usize),
    ]
}

/// Small problems of every kind: strides, dilation, each kind of padding, groups, an empty batch.
pub fn problems() -> impl Strategy<Value = Problem> {
    let around = prop_oneof![Just(Around::Nothing), Just(Around::Same), Just(Around::Explicit)];
    (around, 0..=3_usize, channels(), any::<u64>()).prop_flat_map(
        |(around, batch, (groups, inputs, filters), seed)| {
            (lines(around), lines(around)).prop_map(move |(rows, cols)| {
                let ((top, bottom), (left, right)) = (rows.pads, cols.pads);
                let padding = match around {
                    Around::Nothing => Padding::Valid,
                    Around::Same => Padding::Same,
                    Around::Explicit => Padding::Explicit { top, bottom, left, right },
                };
                Problem { batch, rows, cols, padding, groups, inputs, filters, seed }
            })
        },
    )
}
