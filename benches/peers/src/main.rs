//! Times one engine, over the layers of `benches/suite`, when asked: `striate-peers ENGINE THREADS MODELS` reads
//! requests from standard input, a line each, and answers each with a line. `MODELS` is a folder with an ONNX file
//! for every layer. `compare.py` starts one such process for every engine, so that none has another's idle threads
//! beside it, and asks them in turn.
//!
//! | request | answer |
//! |---|---|
//! | `time LAYER MILLISECONDS` | `ok`, the fastest and the median call in microseconds, how many calls, and the output's mean square |
//! | `ready` | `ok ready` |
//! | `memory` | `ok`, the most bytes that the process has had in memory |
//! | `machine` | `ok`, operations a second, then sizes of data and bytes a second, then the instructions |
//!
//! An answer that does not begin with `ok` says what went wrong.
#![deny(unsafe_code)]

mod data;
mod engines;
#[path = "../../support/machine.rs"]
mod machine;
#[path = "../../support/models.rs"]
mod models;
#[path = "../../support/suite.rs"]
mod suite;
mod timing;

use std::collections::HashMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

use engines::{Engine, Layer, Prepared, Setup};
use machine::Machine;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [engine, threads, models] = arguments.as_slice() else {
        return Err("usage: striate-peers ENGINE THREADS MODELS".into());
    };
    // Engines on rayon need not wake a thread of its pool for each call: this is one.
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let setup = Setup { threads: threads.parse()?, models: PathBuf::from(models) };
    let mut server = Server::new(engines::named(engine)?, setup);
    for line in std::io::stdin().lock().lines() {
        let answer =
            server.answer(&line?).unwrap_or_else(|error| format!("error {error}").replace('\n', " "));
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

struct Server {
    engine: Engine,
    setup: Setup,
    layers: HashMap<&'static str, Layer>,
    /// The layer of the last request: the same is often asked for again.
    prepared: Option<(&'static str, Prepared)>,
}

impl Server {
    fn new(engine: Engine, setup: Setup) -> Server {
        Server { engine, setup, layers: engines::layers(), prepared: None }
    }

    fn answer(&mut self, request: &str) -> Result<String> {
        match request.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["time", layer, milliseconds] => self.time(layer, Duration::from_millis(milliseconds.parse()?)),
            ["ready"] => Ok("ok ready".into()),
            ["memory"] => Ok(format!("ok {}", peak_memory()?)),
            ["machine"] => Ok(describe(&Machine::measure(self.setup.threads))),
            _ => Err(format!("{request:?} is not a request").into()),
        }
    }

    fn time(&mut self, name: &str, budget: Duration) -> Result<String> {
        let prepared = self.prepare(name)?;
        let times = timing::measure(&mut prepared.call, budget)?;
        Ok(format!("ok {} {} {} {}", times.minimum, times.median, times.calls, prepared.mean_square))
    }

    fn prepare(&mut self, name: &str) -> Result<&mut Prepared> {
        if self.prepared.as_ref().is_none_or(|(last, _)| *last != name) {
            self.prepared = None; // frees the last one's memory first
            let (name, layer) =
                self.layers.get_key_value(name).ok_or_else(|| format!("no layer is called {name}"))?;
            self.prepared = Some((name, (self.engine)(name, layer, &self.setup)?));
        }
        self.prepared.as_mut().map(|(_, prepared)| prepared).ok_or_else(|| "nothing was prepared".into())
    }
}

/// Of this process, in bytes, as Linux counts it.
fn peak_memory() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}

fn describe(machine: &Machine) -> String {
    let bandwidths: Vec<String> =
        machine.bandwidths.iter().map(|(size, bandwidth)| format!("{size}:{bandwidth}")).collect();
    format!("ok {} {} {}", machine.flops, bandwidths.join(","), machine.instructions)
}
