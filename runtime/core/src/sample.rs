//! Sample rows for a transform: generated from its signature, the same for the same seed, in every run and on every machine; and single
//! values of rows, with their bits and with what is simpler than they are.
//!
//! `generate` makes rows up. `vary` changes rows that are known to be sensible, for transforms that refuse most of what is made up.

mod cell;
mod generate;
mod random;
mod simplify;

pub use cell::Cell;
pub use generate::{generate, vary};

#[cfg(test)]
mod tests;
