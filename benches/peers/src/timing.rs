//! How long calls take.

use std::time::{Duration, Instant};

use crate::Result;

/// Of calls, in microseconds.
pub struct Times {
    pub minimum: f64,
    pub median: f64,
    pub calls: usize,
}

/// However long they take, so many calls are timed.
const LEAST_CALLS: usize = 3;
/// The part of the budget that is spent on calls that do not count, to fill caches and wake threads.
const WARM_UP: f64 = 0.2;

/// Calls again and again for as long as `budget`.
pub fn measure(call: &mut dyn FnMut() -> Result<()>, budget: Duration) -> Result<Times> {
    let start = Instant::now();
    call()?;
    while start.elapsed() < budget.mul_f64(WARM_UP) {
        call()?;
    }
    let mut times = Vec::new();
    while times.len() < LEAST_CALLS || start.elapsed() < budget {
        let clock = Instant::now();
        call()?;
        times.push(clock.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(Times { minimum: times[0], median: times[times.len() / 2], calls: times.len() })
}
