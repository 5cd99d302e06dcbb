//! Seeded initialisers of weights.
