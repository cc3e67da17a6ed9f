//! Typed views of input columns.
//!
//! A view is a few pointers into the columns of the call. Lengths, offsets and UTF-8 are checked once for the column,
//! when the view is made; from then on rows are read without a check that could fail.

mod fixed;
mod nullable;
mod offsets;
mod sequences;
mod validity;
mod var_bytes;

pub use fixed::{Booleans, Timestamps};
pub use nullable::Nullable;
pub use sequences::{Sequences, StringSequences};
pub use validity::Validity;
pub use var_bytes::{Binaries, Strings};

use crate::{
    contract::{Column, DataType, Values},
    data_type,
    error::CallError,
};

/// A column of one type, without copies: `&[i64]`, `&[f64]`, `&[[f32; N]]`, [`Booleans`], [`Timestamps`], [`Strings`],
/// [`Binaries`], [`Sequences`], [`StringSequences`], each also as [`Nullable`].
pub trait View<'a>: Copy {
    /// What a row holds.
    type Item;

    /// Whether rows may be null.
    const NULLABLE: bool = false;

    /// The type of the column in the contract.
    fn data_type() -> DataType;

    /// Views the values of a column; says what is wrong with them.
    fn from_values(values: &'a Values) -> Result<Self, CallError>;

    /// The number of rows.
    fn rows(self) -> usize;

    /// The value of a row. Panics beyond the last.
    fn value(self, row: usize) -> Self::Item;

    /// Views a column of this many rows; says what is wrong with it.
    fn from_column(column: &'a Column, rows: usize) -> Result<Self, CallError> {
        let view = checked_rows::<Self>(&column.values, rows)?;
        let nulls = Validity::from_column(column, rows)?.null_count();
        if nulls > 0 {
            return Err(CallError::new(format!("null in {nulls} of {rows} rows, but it is not nullable")));
        }
        Ok(view)
    }
}

fn checked_rows<'a, V: View<'a>>(values: &'a Values, rows: usize) -> Result<V, CallError> {
    let view = V::from_values(values)?;
    if view.rows() != rows {
        return Err(CallError::new(format!("{} rows in the column, {rows} in the call", view.rows())));
    }
    Ok(view)
}

fn wrong_type(expected: DataType, values: &Values) -> CallError {
    CallError::new(format!(
        "expected {}, given {}",
        data_type::name(expected),
        data_type::name(data_type::of_values(values))
    ))
}
