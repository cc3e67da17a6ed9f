//! Values to canonical bytes.

use arrow_array::{Array, ArrayRef};

use super::column::{Column, Items, NotCanonical, item_range, vector_items};
use super::{CanonicalError, canonical_f32, canonical_f64};

/// Tag of a null.
pub(super) const NULL: u8 = 0;

/// Tag of a value.
pub(super) const VALUE: u8 = 1;

/// Encodes rows of columns that were looked at once.
#[derive(Debug, Clone)]
pub struct RowEncoder {
    columns: Vec<Column>,
}

impl RowEncoder {
    /// Takes columns of the canonical Arrow types ([`crate::types::DataType::to_arrow`]), all of one length. Arrays are
    /// shared, not copied.
    pub fn new(columns: &[ArrayRef]) -> Result<Self, CanonicalError> {
        let prepare = |(column, array): (usize, &ArrayRef)| {
            Column::new(array).map_err(|reason| match reason {
                NotCanonical::Type => CanonicalError::ColumnType { column, found: array.data_type().to_string() },
                NotCanonical::NullItem => CanonicalError::NullItem { column },
            })
        };
        Ok(RowEncoder { columns: columns.iter().enumerate().map(prepare).collect::<Result<_, _>>()? })
    }

    /// Appends the bytes of a row to `out`.
    ///
    /// # Panics
    /// If a column has no such row.
    pub fn encode(&self, row: usize, out: &mut Vec<u8>) {
        for column in &self.columns {
            encode_value(column, row, out);
        }
    }
}

/// Appends the bytes of a row to `out`. [`RowEncoder`] is faster for many rows of the same columns.
///
/// # Panics
/// If a column is not of a canonical type, has null items, or has no such row; where that can be, use [`RowEncoder::new`].
pub fn encode_row(columns: &[ArrayRef], row: usize, out: &mut Vec<u8>) {
    match RowEncoder::new(columns) {
        Ok(encoder) => encoder.encode(row, out),
        Err(error) => panic!("{error}"),
    }
}

fn encode_value(column: &Column, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        out.push(NULL);
        return;
    }
    out.push(VALUE);
    match column {
        Column::Boolean(array) => out.push(u8::from(array.value(row))),
        Column::Int64(array) => out.extend_from_slice(&array.value(row).to_le_bytes()),
        Column::Float64(array) => out.extend_from_slice(&canonical_f64(array.value(row)).to_le_bytes()),
        Column::Timestamp(array) => out.extend_from_slice(&array.value(row).to_le_bytes()),
        Column::String(array) => encode_bytes(array.value(row).as_bytes(), out),
        Column::Binary(array) => encode_bytes(array.value(row), out),
        Column::Vector(rows, values) => {
            for value in vector_items(rows, values, row) {
                out.extend_from_slice(&canonical_f32(*value).to_le_bytes());
            }
        }
        Column::Sequence(rows, items) => {
            let range = item_range(rows, row);
            encode_length(range.len(), out);
            match items {
                Items::Int64(items) => {
                    for value in &items.values()[range] {
                        out.extend_from_slice(&value.to_le_bytes());
                    }
                }
                Items::Float64(items) => {
                    for value in &items.values()[range] {
                        out.extend_from_slice(&canonical_f64(*value).to_le_bytes());
                    }
                }
                Items::String(items) => range.for_each(|item| encode_bytes(items.value(item).as_bytes(), out)),
            }
        }
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    encode_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn encode_length(length: usize, out: &mut Vec<u8>) {
    // Arrow's 32-bit offsets bound every length by 2^31 - 1.
    out.extend_from_slice(&(length as u32).to_le_bytes());
}
