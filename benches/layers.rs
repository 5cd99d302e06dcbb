//! How fast the forward pass is, over real networks' layers and over whole networks.
//!
//! `cargo bench` runs all, `cargo bench -- 7x7` those whose name matches, `cargo bench -- --quick` or
//! `STRIATE_QUICK=1 cargo bench` all of them in less time. After Criterion's own output comes one table, which sets
//! each layer against what the machine can do at most. [peers](peers) compares with other libraries.
#![deny(unsafe_code)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/models.rs"]
mod models;
#[path = "support/suite.rs"]
mod suite;
#[path = "support/table.rs"]
mod table;

use std::cell::{OnceCell, RefCell};
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use striate::{Algorithm, Dense, Layer, Rng, Tensor};
use table::{Row, Table};

/// A group of Criterion's, whose fastest calls go into the table too.
struct Group<'a> {
    criterion: BenchmarkGroup<'a, WallTime>,
    table: &'a RefCell<Table>,
}

impl<'a> Group<'a> {
    fn new(criterion: &'a mut Criterion, table: &'a RefCell<Table>, name: &str) -> Self {
        let mut group = criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat);
        Group { criterion: group, table }
    }

    /// Measures what `layer` makes of an input of this shape. It is only built if its name is asked for.
    fn bench(&mut self, name: &str, layer: impl Fn() -> Box<dyn Layer>, input: &[usize]) {
        self.bench_with(name, None, layer, input);
    }

    /// The same for a layer whose algorithm is known.
    fn bench_with(
        &mut self,
        name: &str,
        algorithm: Option<Algorithm>,
        layer: impl Fn() -> Box<dyn Layer>,
        input: &[usize],
    ) {
        let row = Row::new(name, algorithm, layer().as_ref(), input).expect("a layer that takes the input");
        self.criterion.throughput(match row.operations {
            0 => Throughput::Bytes(row.bytes as u64),
            operations => Throughput::Elements(operations),
        });
        let ready = OnceCell::new();
        self.criterion.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let (layer, x) = ready.get_or_init(|| built(layer(), input));
            time(bencher, layer.as_ref(), x, |call| self.table.borrow_mut().record(&row, call));
        });
    }
}

fn built(mut layer: Box<dyn Layer>, input: &[usize]) -> (Box<dyn Layer>, Tensor) {
    let mut rng = Rng::seed(1);
    layer.build(input, &mut rng).expect("a layer that takes the input");
    let x = Tensor::zeros(input)
        .expect("an input that fits into memory")
        .map(|_: f32| rng.uniform() as f32 - 0.5);
    (layer, x)
}

/// Calls the layer as often as Criterion wants; `record` learns how long the fastest call took.
fn time(bencher: &mut Bencher<'_>, layer: &dyn Layer, x: &Tensor, mut record: impl FnMut(Duration)) {
    bencher.iter_custom(|calls| {
        let (mut total, mut fastest) = (Duration::ZERO, Duration::MAX);
        for _ in 0..calls {
            let clock = Instant::now();
            black_box(layer.forward(black_box(x))).expect("an output");
            let elapsed = clock.elapsed();
            total += elapsed;
            fastest = fastest.min(elapsed);
        }
        record(fastest);
        total
    });
}

fn conv(mut group: Group<'_>) {
    for (name, conv) in suite::convolutions() {
        let plan = conv.layer().plan(&conv.input).expect("a layer that takes the input");
        group.bench_with(name, Some(plan.algorithm()), || Box::new(conv.layer()), &conv.input);
    }
}

fn pool(mut group: Group<'_>) {
    for (name, pool) in suite::pools() {
        group.bench(name, || pool.layer(), &pool.input);
    }
}

fn dense(mut group: Group<'_>) {
    for (inputs, units, batch) in [(784, 128, 64), (4096, 1000, 1), (512, 10, 32)] {
        group.bench(&format!("{inputs}x{units}_b{batch}"), || Box::new(Dense::new(units)), &[batch, inputs]);
    }
}

fn model(mut group: Group<'_>) {
    group.bench("digits_b1", || Box::new(models::digits()), &[1, 28, 28, 1]);
    group.bench("digits_b64", || Box::new(models::digits()), &[64, 28, 28, 1]);
    group.bench("vgg16_b1", || Box::new(models::vgg16()), &[1, 224, 224, 3]);
    group.bench("resnet18_b1", || Box::new(models::resnet18()), &[1, 224, 224, 3]);
    group.bench("upscale_b1", || Box::new(models::upscale()), &[1, 256, 256, 3]);
    group.bench("mobilenet_v1_b1", || Box::new(models::mobilenet_v1()), &[1, 224, 224, 3]);
}

fn main() {
    let quick = std::env::var_os("STRIATE_QUICK").is_some();
    let [warm_up, measurement] = if quick { [50, 200] } else { [300, 1000] }.map(Duration::from_millis);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .configure_from_args();
    let table = RefCell::new(Table::default());
    conv(Group::new(&mut criterion, &table, "conv"));
    pool(Group::new(&mut criterion, &table, "pool"));
    dense(Group::new(&mut criterion, &table, "dense"));
    model(Group::new(&mut criterion, &table, "model"));
    criterion.final_summary();

    // Without this argument, Criterion only tests that the benchmarks run.
    if std::env::args().any(|argument| argument == "--bench") {
        table.borrow().print();
    }
}
