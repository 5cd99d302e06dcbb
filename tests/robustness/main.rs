//! Whatever a caller does, the answer is a result or an error that says what was wrong: never a panic, never a request
//! for memory that a call which fails could not use.

#[path = "../common/mod.rs"]
mod common;

mod allocator;
mod corners;
mod layers;
mod messages;
mod operations;
mod training;
mod wild;
