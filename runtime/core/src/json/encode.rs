//! Values to JSON.

use arrow_array::{Array, ArrayRef};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter};

use super::{INFINITY, JsonError, NAN, NEGATIVE_INFINITY};
use crate::canonical::{Column, Items, item_range, vector_items};
use crate::time::Timestamp;
use crate::types::DataType;

/// Writes the values of a column that was looked at once.
#[derive(Debug, Clone)]
pub struct ColumnWriter {
    column: Column,
    rows: usize,
}

impl ColumnWriter {
    /// Takes an array of the canonical Arrow type of `data_type`. It is shared, not copied.
    pub fn new(array: &ArrayRef, data_type: DataType) -> Result<Self, JsonError> {
        prepare(array, data_type).map(|column| ColumnWriter { column, rows: array.len() })
    }

    /// Appends the values of all rows, as a JSON array: faster than one by one.
    pub fn write_all(&self, out: &mut Vec<u8>) {
        match &self.column {
            Column::Int64(array) if array.null_count() == 0 => {
                write_array(array.values().iter().copied(), out, write_i64)
            }
            Column::Float64(array) if array.null_count() == 0 => {
                write_array(array.values().iter().copied(), out, write_f64)
            }
            _ => write_array(0..self.rows, out, |row, out| self.write(row, out)),
        }
    }

    /// Appends the JSON text of a row's value to `out`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.column.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.column {
            Column::Boolean(array) => out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }),
            Column::Int64(array) => write_i64(array.value(row), out),
            Column::Float64(array) => write_f64(array.value(row), out),
            Column::Timestamp(array) => write_timestamp(Timestamp(array.value(row)), out),
            Column::String(array) => write_string(array.value(row), out),
            // Base64 has nothing that JSON escapes.
            Column::Binary(array) => write_quoted(&BASE64_STANDARD.encode(array.value(row)), out),
            Column::Vector(rows, values) => {
                write_array(vector_items(rows, values, row).iter().copied(), out, write_f32)
            }
            Column::Sequence(rows, items) => {
                let range = item_range(rows, row);
                match items {
                    Items::Int64(items) => write_array(items.values()[range].iter().copied(), out, write_i64),
                    Items::Float64(items) => write_array(items.values()[range].iter().copied(), out, write_f64),
                    Items::String(items) => write_array(range.map(|item| items.value(item)), out, write_string),
                }
            }
        }
    }
}

/// The JSON of a row's value. [`ColumnWriter`] is faster where text is wanted; both give the same numbers.
///
/// # Panics
/// If the array is not of the canonical Arrow type of `data_type`, or has no such row.
pub fn encode_value(array: &dyn Array, data_type: DataType, row: usize) -> Value {
    let column = prepare(array, data_type).unwrap_or_else(|error| panic!("{error}"));
    if column.is_null(row) {
        return Value::Null;
    }
    match &column {
        Column::Boolean(array) => Value::Bool(array.value(row)),
        Column::Int64(array) => Value::from(array.value(row)),
        Column::Float64(array) => float64(array.value(row)),
        Column::Timestamp(array) => {
            let timestamp = Timestamp(array.value(row));
            if timestamp.is_rfc3339() { Value::from(timestamp.to_string()) } else { Value::from(timestamp.0) }
        }
        Column::String(array) => Value::from(array.value(row)),
        Column::Binary(array) => Value::from(BASE64_STANDARD.encode(array.value(row))),
        Column::Vector(rows, values) => vector_items(rows, values, row).iter().copied().map(float32).collect(),
        Column::Sequence(rows, items) => {
            let range = item_range(rows, row);
            match items {
                Items::Int64(items) => items.values()[range].iter().copied().collect(),
                Items::Float64(items) => items.values()[range].iter().copied().map(float64).collect(),
                Items::String(items) => range.map(|item| items.value(item)).collect(),
            }
        }
    }
}

fn prepare(array: &dyn Array, data_type: DataType) -> Result<Column, JsonError> {
    let column = Column::new(array).ok().filter(|column| column.data_type() == data_type);
    column.ok_or_else(|| JsonError::ColumnType { expected: data_type, found: array.data_type().to_string() })
}

/// The one finite f32 (and its negative) whose shortest decimal, read as a double and then rounded to f32, is another f32.
const TWICE_ROUNDED: u32 = 0x15ae_43fd;

fn is_twice_rounded(value: f32) -> bool {
    value.abs().to_bits() == TWICE_ROUNDED
}

/// What stands for a number that JSON does not have.
fn not_finite(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some(NAN)
    } else if value.is_infinite() {
        Some(if value > 0.0 { INFINITY } else { NEGATIVE_INFINITY })
    } else {
        None
    }
}

fn float64(value: f64) -> Value {
    not_finite(value).map_or_else(|| Value::from(value), Value::from)
}

/// The double that the shortest decimal of `value` reads as.
fn float32(value: f32) -> Value {
    if !value.is_finite() || is_twice_rounded(value) {
        return float64(f64::from(value));
    }
    let mut text = Vec::new();
    write_f32(value, &mut text);
    serde_json::from_slice(&text).expect("a finite number is written as JSON")
}

/// Why writing into a vector cannot fail.
const IN_MEMORY: &str = "writing to memory does not fail";

fn write_f64(value: f64, out: &mut Vec<u8>) {
    match not_finite(value) {
        Some(text) => write_quoted(text, out),
        None => CompactFormatter.write_f64(out, value).expect(IN_MEMORY),
    }
}

fn write_f32(value: f32, out: &mut Vec<u8>) {
    if !value.is_finite() || is_twice_rounded(value) {
        write_f64(f64::from(value), out);
    } else {
        CompactFormatter.write_f32(out, value).expect(IN_MEMORY);
    }
}

fn write_i64(value: i64, out: &mut Vec<u8>) {
    CompactFormatter.write_i64(out, value).expect(IN_MEMORY);
}

/// Appends a timestamp: as RFC 3339, or, where that has no text for its year, in microseconds.
pub fn write_timestamp(timestamp: Timestamp, out: &mut Vec<u8>) {
    if timestamp.is_rfc3339() {
        out.push(b'"');
        timestamp.write(out);
        out.push(b'"');
    } else {
        write_i64(timestamp.0, out);
    }
}

fn write_string(value: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect(IN_MEMORY);
}

fn write_quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn write_array<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}
