//! The table after the benchmarks: each layer against what the machine can do at most.

use std::time::Duration;

use striate::{Algorithm, Layer, Result};

use crate::machine::Machine;

/// What a layer has to do, and how long it takes.
#[derive(Clone, Debug)]
pub struct Row {
    name: String,
    /// Of a convolution.
    algorithm: Option<Algorithm>,
    /// Multiplications and additions, those with padding included; none for pooling.
    pub operations: u64,
    /// Read or written at least once: the input, the weights, the output.
    pub bytes: usize,
    /// The fastest call.
    time: Duration,
}

impl Row {
    /// What `layer` has to do for an input of this shape; it need not be built.
    pub fn new(name: &str, algorithm: Option<Algorithm>, layer: &dyn Layer, input: &[usize]) -> Result<Row> {
        let cost = layer.cost(input)?;
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let numbers = elements(input) + cost.params + elements(&layer.output_shape(input)?);
        Ok(Row {
            name: name.to_string(),
            algorithm,
            operations: 2 * cost.multiplications,
            bytes: numbers * size_of::<f32>(),
            time: Duration::MAX,
        })
    }

    fn seconds(&self) -> f64 {
        self.time.as_secs_f64()
    }

    fn speed(&self) -> String {
        match self.operations {
            0 => format!("{:.1} GB/s", self.bytes as f64 / self.seconds() / 1e9),
            operations => format!("{:.1} GFLOP/s", operations as f64 / self.seconds() / 1e9),
        }
    }

    fn share_of_peak(&self, machine: &Machine) -> String {
        match self.operations {
            0 => "-".to_string(),
            operations => percent(operations as f64 / self.seconds() / machine.flops),
        }
    }

    fn share_of_limit(&self, machine: &Machine) -> String {
        percent(self.limit(machine) / self.seconds())
    }

    /// The least seconds, when an earlier call has left the data in the nearest memory that holds them: the roofline
    /// (Williams, Waterman and Patterson, 2009).
    fn limit(&self, machine: &Machine) -> f64 {
        let holding = machine.bandwidths.iter().find(|(size, _)| self.bytes <= *size);
        let bandwidth =
            holding.or(machine.bandwidths.last()).map_or(f64::INFINITY, |(_, bandwidth)| *bandwidth);
        (self.operations as f64 / machine.flops).max(self.bytes as f64 / bandwidth)
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A column: its header, its width, and what it says of a row.
type Column = (&'static str, usize, fn(&Row, &Machine) -> String);

/// From left to right, after the layers' names.
const COLUMNS: [Column; 5] = [
    ("algorithm", 21, |row, _| row.algorithm.map_or("-".to_string(), |algorithm| algorithm.to_string())),
    ("time", 14, |row, _| format!("{:.1} us", row.seconds() * 1e6)),
    ("speed", 15, |row, _| row.speed()),
    ("of the peak", 13, Row::share_of_peak),
    ("of the limit", 14, Row::share_of_limit),
];

/// The rows of what was measured, in the order of the measurements.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// A call of this row's layer took so long.
    pub fn record(&mut self, row: &Row, time: Duration) {
        match self.0.iter_mut().find(|known| known.name == row.name) {
            Some(known) => known.time = known.time.min(time),
            None => self.0.push(Row { time, ..row.clone() }),
        }
    }

    /// Measures the machine, and prints the rows against it; nothing if there are none.
    pub fn print(&self) {
        let Some(width) = self.0.iter().map(|row| row.name.len()).max() else { return };
        let threads = rayon::current_num_threads();
        let machine = Machine::measure(threads);
        let headers: String = COLUMNS.iter().map(|(header, width, _)| format!("{header:>width$}")).collect();
        println!("\n{:width$}{headers}", "layer");
        for row in &self.0 {
            let cells: String =
                COLUMNS.iter().map(|(_, width, cell)| format!("{:>width$}", cell(row, &machine))).collect();
            println!("{:width$}{cells}", row.name);
        }
        explain(&machine, threads);
    }
}

fn explain(machine: &Machine, threads: usize) {
    let Machine { instructions, flops, bandwidths } = machine;
    let data = bandwidths.iter().map(|(size, rate)| format!("{} KiB {:.0} GB/s", size >> 10, rate / 1e9));
    let data: Vec<String> = data.collect();
    println!("\nPeak: {:.1} GFLOP/s of {instructions} with {threads} threads.", flops / 1e9);
    println!("Bandwidth, for so many bytes of data: {}.", data.join(", "));
    println!(
        "Limit: the longer of the times for the operations at that peak and for the data at that bandwidth."
    );
    println!(
        "Algorithms that need fewer operations than the definition, and data that stay nearer, pass 100 %."
    );
}
