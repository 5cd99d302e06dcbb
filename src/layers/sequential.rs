//! sequential
