//! Plain functions on ndarray views: every operation without its layer.
mod activation;
mod conv;
mod dense;
mod dropout;
mod pool;
