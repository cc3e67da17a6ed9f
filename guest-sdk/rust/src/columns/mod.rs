//! Typed columns of outputs.
//!
//! A column is a `Vec` (`Vec<bool>`, `Vec<i64>`, `Vec<f64>`, `Vec<Timestamp>`, `Vec<[f32; N]>`), or one of the types here for
//! what has no fixed size; [`NullableColumn`] adds nulls to any of them. All are collected from iterators:
//!
//! ```
//! use tandem_sdk::columns::{NullableColumn, SequenceColumn, StringColumn};
//!
//! let plain: Vec<f64> = [1.0, 2.0].into_iter().map(f64::sqrt).collect();
//! let upper: StringColumn = ["a", "é"].into_iter().map(str::to_uppercase).collect();
//! let lengths: NullableColumn<Vec<i64>> = [Some(3), None].into_iter().collect();
//! let histories: SequenceColumn<i64> = [vec![1, 2], vec![]].into_iter().collect();
//! ```

mod fixed;
mod mask;
mod nullable;
mod sequences;
mod var_bytes;

pub use fixed::Slot;
pub use mask::Mask;
pub use nullable::NullableColumn;
pub use sequences::{SequenceColumn, StringSequenceColumn};
pub use var_bytes::{BinaryColumn, StringColumn};

use crate::{
    contract::{Column, DataType, Values},
    error::CallError,
};

/// A column that grows row by row and then crosses the boundary.
pub trait OutputColumn: Sized {
    /// Whether rows may be null.
    const NULLABLE: bool = false;

    /// The type of the column in the contract.
    fn data_type() -> DataType;

    /// An empty column with room for this many rows.
    fn with_capacity(rows: usize) -> Self;

    /// The number of rows so far.
    fn rows(&self) -> usize;

    /// Adds a row without a value: zero or nothing, and null where the column is nullable.
    fn push_empty(&mut self);

    /// The values in the contract's layout; fails if offsets do not fit into 32 bits.
    fn into_values(self) -> Result<Values, CallError>;

    /// The column in the contract's layout.
    fn into_column(self) -> Result<Column, CallError> {
        Ok(Column { values: self.into_values()?, validity: None })
    }
}

/// An offset, or the greatest one if it does not fit: `check_end` refuses the column then.
fn offset(end: usize) -> u32 {
    u32::try_from(end).unwrap_or(u32::MAX)
}

/// Offsets have 32 bits.
fn check_end(end: usize, things: &str) -> Result<(), CallError> {
    match u32::try_from(end) {
        Ok(_) => Ok(()),
        Err(_) => Err(CallError::new(format!("{end} {things} in one column, at most {} fit into a call", u32::MAX))),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn offsets_beyond_32_bits_are_refused() {
        let end = u32::MAX as usize;
        assert_eq!(super::offset(end), u32::MAX);
        assert_eq!(super::offset(end + 1), u32::MAX);
        assert!(super::check_end(end, "bytes").is_ok());
        assert_eq!(
            super::check_end(end + 1, "bytes").unwrap_err().to_string(),
            "4294967296 bytes in one column, at most 4294967295 fit into a call"
        );
    }
}
