//! Training: losses, optimizers, schedules and the loop.

mod clip;
mod loss;
mod optimizer;
mod schedule;
mod target;

pub use clip::Clip;
pub use loss::*;
pub use optimizer::*;
pub use schedule::{Custom, Schedule};
pub use target::Targets;
