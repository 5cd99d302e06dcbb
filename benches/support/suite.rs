//! The layers of `benches/suite`: real networks' convolution and pooling layers, as layers of this crate.

use striate::{AvgPool2D, Conv2D, GlobalAvgPool2D, GlobalMaxPool2D, Layer, MaxPool2D, Padding};

/// A line of `conv_layers.tsv`. Convolutions have a bias and no activation.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    pub input: [usize; 4],
    pub filters: usize,
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Top, bottom, left, right.
    pub pads: [usize; 4],
    pub dilation: usize,
    pub groups: usize,
}

#[derive(Clone, Copy, Debug)]
pub enum PoolKind {
    Max,
    /// Padding is not counted.
    Average,
    GlobalAverage,
    GlobalMax,
}

/// A line of `pool_layers.tsv`.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    pub kind: PoolKind,
    pub input: [usize; 4],
    pub size: usize,
    pub stride: usize,
    pub pad: usize,
}

impl Conv {
    pub fn layer(&self) -> Conv2D {
        Conv2D::new(self.filters, self.kernel)
            .strides(self.stride)
            .padding(self.padding())
            .dilation(self.dilation)
            .groups(self.groups)
    }

    fn padding(&self) -> Padding {
        let [top, bottom, left, right] = self.pads;
        Padding::Explicit { top, bottom, left, right }
    }
}

impl Pool {
    pub fn layer(&self) -> Box<dyn Layer> {
        let padding = Padding::all(self.pad);
        match self.kind {
            PoolKind::Max => Box::new(MaxPool2D::new(self.size).strides(self.stride).padding(padding)),
            PoolKind::Average => Box::new(AvgPool2D::new(self.size).strides(self.stride).padding(padding)),
            PoolKind::GlobalAverage => Box::new(GlobalAvgPool2D::new()),
            PoolKind::GlobalMax => Box::new(GlobalMaxPool2D::new()),
        }
    }
}

/// The convolutions, each with its name.
pub fn convolutions() -> Vec<(&'static str, Conv)> {
    rows(include_str!("../suite/conv_layers.tsv")).map(|(name, fields)| (name, conv(&fields))).collect()
}

/// The convolutions that are trained, each with its name.
#[allow(dead_code)] // of use to those who compare training
pub fn training() -> Vec<(&'static str, Conv)> {
    let convolutions = convolutions();
    let conv = |of: &str| convolutions.iter().find(|(name, _)| *name == of).map(|(_, conv)| *conv);
    let rows = rows(include_str!("../suite/train_layers.tsv"));
    rows.map(|(name, fields)| (name, conv(fields[0]).expect("a line of conv_layers.tsv"))).collect()
}

/// The pooling layers, each with its name.
pub fn pools() -> Vec<(&'static str, Pool)> {
    rows(include_str!("../suite/pool_layers.tsv")).map(|(name, fields)| (name, pool(&fields))).collect()
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.collect()))
    })
}

fn conv(fields: &[&str]) -> Conv {
    let [n, h, w, channels, filters, kh, kw, stride, top, bottom, left, right, dilation, groups] =
        numbers(fields);
    Conv {
        input: [n, h, w, channels],
        filters,
        kernel: [kh, kw],
        stride,
        pads: [top, bottom, left, right],
        dilation,
        groups,
    }
}

fn pool(fields: &[&str]) -> Pool {
    let [n, h, w, channels, size, stride, pad] = numbers(&fields[1..]);
    let kind = match fields[0] {
        "max" => PoolKind::Max,
        "avg" => PoolKind::Average,
        "global_avg" => PoolKind::GlobalAverage,
        "global_max" => PoolKind::GlobalMax,
        other => panic!("no pooling is called {other}"),
    };
    Pool { kind, input: [n, h, w, channels], size, stride, pad }
}

fn numbers<const N: usize>(fields: &[&str]) -> [usize; N] {
    let parsed: Vec<usize> = fields.iter().map(|field| field.parse().expect("a number")).collect();
    parsed.try_into().expect("a suite line with another number of columns")
}
