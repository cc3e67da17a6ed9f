//! One value of one row.

use std::fmt::Write;

use arrow_array::{Array, ArrayRef};

use crate::canonical::{Column, ColumnBuilder, Items, encode_row, item_range, vector_items};
use crate::types::{DataType, ItemType};

/// Bytes of a value that [`Cell::bits`] shows at most.
const SHOWN_BYTES_MAX: usize = 64;

/// The value of one row of one column.
#[derive(Debug, Clone)]
pub enum Cell {
    /// No value.
    Null,
    /// Of a boolean.
    Boolean(bool),
    /// Of an int64.
    Int64(i64),
    /// Of a float64.
    Float64(f64),
    /// Of a timestamp, in microseconds since the epoch.
    Timestamp(i64),
    /// Of a string.
    String(String),
    /// Of a binary.
    Binary(Vec<u8>),
    /// Of a float32_vector.
    Vector(Vec<f32>),
    /// Of a `sequence[int64]`.
    Int64s(Vec<i64>),
    /// Of a `sequence[float64]`.
    Float64s(Vec<f64>),
    /// Of a `sequence[string]`.
    Strings(Vec<String>),
}

impl Cell {
    /// The value of a row of an array of a canonical Arrow type ([`DataType::to_arrow`]).
    ///
    /// # Panics
    /// If the type is another, an item is null, or there is no such row.
    pub fn of(array: &dyn Array, row: usize) -> Cell {
        let column = Column::new(array).unwrap_or_else(|_| panic!("{} is not canonical", array.data_type()));
        if column.is_null(row) {
            return Cell::Null;
        }
        match &column {
            Column::Boolean(array) => Cell::Boolean(array.value(row)),
            Column::Int64(array) => Cell::Int64(array.value(row)),
            Column::Float64(array) => Cell::Float64(array.value(row)),
            Column::Timestamp(array) => Cell::Timestamp(array.value(row)),
            Column::String(array) => Cell::String(array.value(row).to_owned()),
            Column::Binary(array) => Cell::Binary(array.value(row).to_owned()),
            Column::Vector(rows, values) => Cell::Vector(vector_items(rows, values, row).to_vec()),
            Column::Sequence(rows, items) => {
                let range = item_range(rows, row);
                match items {
                    Items::Int64(items) => Cell::Int64s(items.values()[range].to_vec()),
                    Items::Float64(items) => Cell::Float64s(items.values()[range].to_vec()),
                    Items::String(items) => Cell::Strings(range.map(|item| items.value(item).to_owned()).collect()),
                }
            }
        }
    }

    /// A column of cells, in the canonical Arrow type of `data_type`; NaN is made canonical.
    ///
    /// # Panics
    /// If a cell is of another type, or the column has more than 2 GiB.
    pub fn column<'a>(data_type: DataType, cells: impl IntoIterator<Item = &'a Cell>) -> ArrayRef {
        let mut builder = ColumnBuilder::new(data_type, 0);
        for cell in cells {
            cell.append(&mut builder);
        }
        builder.finish()
    }

    fn append(&self, builder: &mut ColumnBuilder) {
        const SMALL: &str = "samples are smaller than 2 GiB";
        match self {
            Cell::Null => builder.null(),
            Cell::Boolean(value) => builder.boolean(*value),
            Cell::Int64(value) | Cell::Timestamp(value) => builder.int64(*value),
            Cell::Float64(value) => builder.float64(*value),
            Cell::String(text) => builder.bytes(text.as_bytes()).expect(SMALL),
            Cell::Binary(bytes) => builder.bytes(bytes).expect(SMALL),
            Cell::Vector(values) => builder.vector(values.iter().copied()),
            Cell::Int64s(items) => builder.int64s(items.iter().copied()).expect(SMALL),
            Cell::Float64s(items) => builder.float64s(items.iter().copied()).expect(SMALL),
            Cell::Strings(items) => builder.strings(items.iter().map(String::as_str)).expect(SMALL),
        }
    }

    /// Its type; a null has none.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Cell::Null => return None,
            Cell::Boolean(_) => DataType::Boolean,
            Cell::Int64(_) => DataType::Int64,
            Cell::Float64(_) => DataType::Float64,
            Cell::Timestamp(_) => DataType::Timestamp,
            Cell::String(_) => DataType::String,
            Cell::Binary(_) => DataType::Binary,
            Cell::Vector(values) => DataType::Float32Vector(values.len() as u32),
            Cell::Int64s(_) => DataType::Sequence(ItemType::Int64),
            Cell::Float64s(_) => DataType::Sequence(ItemType::Float64),
            Cell::Strings(_) => DataType::Sequence(ItemType::String),
        })
    }

    /// Whether it has the same bits; every NaN is the same.
    pub fn is_same(&self, other: &Cell) -> bool {
        let bytes = |cell: &Cell| {
            let data_type = cell.data_type()?;
            let mut bytes = Vec::new();
            encode_row(&[Cell::column(data_type, [cell])], 0, &mut bytes);
            Some((data_type, bytes))
        };
        bytes(self) == bytes(other)
    }

    /// Its bits for people: numbers in hexadecimal, most significant digit first; strings and binaries byte by byte; items in brackets.
    /// What is long is cut.
    pub fn bits(&self) -> String {
        let float = |value: &f64| format!("{:#018x}", value.to_bits());
        let whole = |value: &i64| format!("{:#018x}", *value as u64);
        match self {
            Cell::Null => "null".to_owned(),
            Cell::Boolean(value) => u8::from(*value).to_string(),
            Cell::Int64(value) | Cell::Timestamp(value) => whole(value),
            Cell::Float64(value) => float(value),
            Cell::String(text) => hexadecimal(text.as_bytes()),
            Cell::Binary(bytes) => hexadecimal(bytes),
            Cell::Vector(values) => list(values, 4, |value| format!("{:#010x}", value.to_bits())),
            Cell::Int64s(items) => list(items, 8, whole),
            Cell::Float64s(items) => list(items, 8, float),
            Cell::Strings(items) => list(items, 16, |item| hexadecimal(item.as_bytes())),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(SHOWN_BYTES_MAX) {
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > SHOWN_BYTES_MAX {
        let _ = write!(text, "… ({} bytes)", bytes.len());
    }
    if text.is_empty() { "no bytes".to_owned() } else { text }
}

fn list<T>(items: &[T], bytes: usize, show: impl Fn(&T) -> String) -> String {
    let shown: Vec<_> = items.iter().take(SHOWN_BYTES_MAX / bytes).map(show).collect();
    let rest = if items.len() > shown.len() { format!(", … ({} items)", items.len()) } else { String::new() };
    format!("[{}{rest}]", shown.join(", "))
}
