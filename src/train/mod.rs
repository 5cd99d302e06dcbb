//! Training: losses, optimizers, schedules and the loop.
