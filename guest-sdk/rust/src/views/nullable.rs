//! Columns with nulls.

use super::{Validity, View, checked_rows};
use crate::{
    contract::{Column, DataType, Values},
    error::CallError,
};

/// A column whose rows may be null: the values of all rows, and which of them count.
///
/// Under a null lies a zero (or nothing, behind offsets). So a loop may compute over `values` as if there were no nulls,
/// at full speed, and carry `validity` to the output; see [`NullableColumn`](crate::columns::NullableColumn).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nullable<'a, V> {
    /// The values of all rows, zero where null.
    pub values: V,
    /// Which rows have a value.
    pub validity: Validity<'a>,
}

impl<'a, V: View<'a>> Nullable<'a, V> {
    /// A column of these values, without nulls.
    pub fn all_valid(values: V) -> Self {
        Self { values, validity: Validity::all(values.rows()) }
    }

    /// The number of rows.
    #[inline]
    pub fn len(self) -> usize {
        self.values.rows()
    }

    /// Whether there are no rows.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a row, none if it is null. Panics beyond the last.
    #[inline]
    pub fn value(self, row: usize) -> Option<V::Item> {
        self.validity.is_valid(row).then(|| self.values.value(row))
    }

    /// The rows in order, none where null.
    #[inline]
    pub fn iter(self) -> impl ExactSizeIterator<Item = Option<V::Item>> {
        (0..self.len()).map(move |row| self.value(row))
    }
}

impl<'a, V: View<'a>> View<'a> for Nullable<'a, V> {
    type Item = Option<V::Item>;

    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        V::data_type()
    }

    fn from_values(values: &'a Values) -> Result<Self, CallError> {
        V::from_values(values).map(Self::all_valid)
    }

    #[inline]
    fn rows(self) -> usize {
        self.len()
    }

    #[inline]
    fn value(self, row: usize) -> Option<V::Item> {
        Nullable::value(self, row)
    }

    fn from_column(column: &'a Column, rows: usize) -> Result<Self, CallError> {
        Ok(Self { values: checked_rows(&column.values, rows)?, validity: Validity::from_column(column, rows)? })
    }
}
