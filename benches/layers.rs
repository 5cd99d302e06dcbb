//! Throughput of the forward pass over the layers of `benches/suite`: real networks' convolution and pooling
//! layers. `cargo bench` runs all, `cargo bench -- 7x7` those whose name matches.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array;
use std::hint::black_box;
use striate::ops::{self, Divisor};
use striate::{Geometry2d, Padding, Result, Rng, Window2d};

/// The lines of a suite: a name, then what describes the layer.
fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    table.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        Some((fields.next()?, fields.collect()))
    })
}

fn numbers<const N: usize>(fields: &[&str]) -> [usize; N] {
    let parsed: Vec<usize> = fields.iter().filter_map(|field| field.parse().ok()).collect();
    parsed.try_into().expect("a suite line with another number of columns")
}

fn random(shape: [usize; 4]) -> Array<f32, ndarray::Ix4> {
    let mut rng = Rng::seed(1);
    Array::from_shape_simple_fn(shape, || rng.uniform() as f32 - 0.5)
}

fn conv_geometry(fields: &[&str]) -> Result<Geometry2d> {
    let [n, h, w, cin, cout, kh, kw, stride, top, bottom, left, right, dilation, groups] = numbers(fields);
    Window2d::new((kh, kw))
        .strides(stride)
        .padding(Padding::Explicit { top, bottom, left, right })
        .dilation(dilation)
        .groups(groups)
        .conv(&[n, h, w, cin], &[kh, kw, cin / groups, cout])
}

fn conv(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conv");
    for (name, fields) in rows(include_str!("suite/conv_layers.tsv")) {
        let geometry = conv_geometry(&fields).expect("a valid suite");
        let (x, kernel) = (random(geometry.input_shape()), random(geometry.kernel_shape()));
        group.throughput(Throughput::Elements(2 * geometry.multiplications()));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| ops::conv2d(black_box(x.view()), kernel.view(), None, &geometry));
        });
    }
}

fn pool(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    for (name, fields) in rows(include_str!("suite/pool_layers.tsv")) {
        let [n, h, w, c, k, stride, pad] = numbers(&fields[1..]);
        let kind = fields[0];
        let x = random([n, h, w, c]);
        let window = Window2d::new(k).strides(stride).padding(Padding::all(pad));
        group.throughput(Throughput::Bytes(size_of_val(x.as_slice().unwrap_or_default()) as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| match kind {
                "max" => window.pool(x.shape()).and_then(|g| ops::max_pool2d(x.view(), &g)).map(drop),
                "avg" => {
                    let pool = |g| ops::avg_pool2d(x.view(), Divisor::IncludePadding, &g);
                    window.pool(x.shape()).and_then(pool).map(drop)
                }
                "global_avg" => ops::global_avg_pool2d(x.view()).map(drop),
                _ => ops::global_max_pool2d(x.view()).map(drop),
            });
        });
    }
}

criterion_group! {
    name = layers;
    config = Criterion::default().sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    targets = conv, pool
}
criterion_main!(layers);
