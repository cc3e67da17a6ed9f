//! Any Arrow array as the canonical type of an input: losslessly, or not at all.
//!
//! | declared | taken from |
//! | --- | --- |
//! | boolean | Boolean |
//! | int64 | Int8 to Int64, UInt8 to UInt32; UInt64 and Decimal (scale 0 or whole values) where each value fits |
//! | float64 | Float16 to Float64; Int8 to Int32, UInt8 to UInt32; Int64 and UInt64 where each value is exact; Decimal of up to 15 digits (the nearest float reads back as the same decimal) |
//! | timestamp | Timestamp in s, ms, µs, ns, with a zone, or without one where the definition names one; Date32 and Date64 (midnight UTC). Each value must be whole microseconds and in range |
//! | string | Utf8, LargeUtf8, Utf8View |
//! | binary | Binary, LargeBinary, BinaryView, FixedSizeBinary |
//! | float32_vector | FixedSizeList, List or LargeList of Float16 or Float32, of exactly the width, without null items |
//! | sequence | List, LargeList, ListView, LargeListView or FixedSizeList of items that convert, without null items |
//!
//! Dictionaries and run-end encoded arrays of any of these are unpacked. Everything else is refused by name.

mod list;
mod number;
mod time;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_cast::cast;
use arrow_schema::DataType as ArrowType;
use tandem_core::types::DataType;

/// Why a column cannot be taken as the declared type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The types do not go together at all.
    #[error("column `{column}` has Arrow's {found}, which is not taken for a {declared}{}", .hint.map(|hint| format!("; hint: {hint}")).unwrap_or_default())]
    Type {
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// The declared type.
        declared: DataType,
        /// What to do.
        hint: Option<&'static str>,
    },
    /// One value would lose something.
    #[error("column `{column}`, row {row}: {value} {reason}")]
    Value {
        /// The column.
        column: String,
        /// Row within the array.
        row: usize,
        /// The value.
        value: String,
        /// Why it is refused.
        reason: String,
    },
    /// A timestamp without a zone where none is declared.
    #[error(
        "column `{column}` holds timestamps without a time zone; hint: set `timezone = \"UTC\"` (or the zone they are in) in its source"
    )]
    NoZone {
        /// The column.
        column: String,
    },
    /// A zone that is not known.
    #[error("column `{column}`: time zone `{timezone}` is not in the time zone database")]
    UnknownZone {
        /// The column.
        column: String,
        /// The zone.
        timezone: String,
    },
    /// Arrow's own conversion failed.
    #[error("column `{column}`: {reason}")]
    Arrow {
        /// The column.
        column: String,
        /// Arrow's words.
        reason: String,
    },
}

impl ConvertError {
    /// What to do about it, where the message itself has no hint.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            ConvertError::Type { hint: None, .. } => {
                "write the column in a type that converts to it without loss; docs/reference/types.md names them"
            }
            ConvertError::Value { .. } => "correct the value: what would lose something is refused, never rounded",
            ConvertError::UnknownZone { .. } => {
                "name a zone of the IANA database, such as \"Europe/Vienna\" or \"UTC\""
            }
            ConvertError::Type { hint: Some(_), .. } | ConvertError::NoZone { .. } | ConvertError::Arrow { .. } => {
                return None;
            }
        })
    }
}

/// What is converted, for messages.
#[derive(Clone, Copy)]
struct Target<'a> {
    column: &'a str,
    declared: DataType,
    timezone: Option<&'a str>,
}

/// `array` in the canonical Arrow type of `to`. `timezone` is the zone in which timestamps without one are read.
///
/// # Errors
///
/// Whatever would lose something, with column, row and value.
pub fn to_declared(
    array: &ArrayRef,
    column: &str,
    to: DataType,
    timezone: Option<&str>,
) -> Result<ArrayRef, ConvertError> {
    Target { column, declared: to, timezone }.convert(array)
}

/// As [`to_declared`], of the column with an event's id: to a string also from integers, as their digits, and from bytes, as hexadecimal digits.
///
/// # Errors
///
/// As [`to_declared`].
pub fn to_event_id(array: &ArrayRef, column: &str, to: DataType) -> Result<ArrayRef, ConvertError> {
    if to != DataType::String {
        return to_declared(array, column, to, None);
    }
    let text = match array.data_type() {
        ArrowType::Dictionary(_, values) => {
            return to_event_id(&Target { column, declared: to, timezone: None }.cast(array, values)?, column, to);
        }
        arrow if arrow.is_integer() => {
            let integers = to_declared(array, column, DataType::Int64, None)?;
            let integers = integers.as_primitive::<Int64Type>().iter();
            integers.map(|integer| integer.map(|integer| integer.to_string())).collect::<StringArray>()
        }
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            let binaries = to_declared(array, column, DataType::Binary, None)?;
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            binaries.as_binary::<i32>().iter().map(|bytes| bytes.map(hex)).collect::<StringArray>()
        }
        _ => return to_declared(array, column, to, None),
    };
    Ok(Arc::new(text))
}

impl Target<'_> {
    fn convert(self, array: &ArrayRef) -> Result<ArrayRef, ConvertError> {
        match array.data_type() {
            ArrowType::Dictionary(_, values) => return self.convert(&self.cast(array, values)?),
            ArrowType::RunEndEncoded(_, values) => return self.convert(&self.cast(array, values.data_type())?),
            // A column without any value has every type.
            ArrowType::Null => return self.cast(array, &self.declared.to_arrow()),
            _ => {}
        }
        match self.declared {
            DataType::Boolean => match array.data_type() {
                ArrowType::Boolean => Ok(ArrayRef::clone(array)),
                _ => Err(self.refuse(array, None)),
            },
            DataType::Int64 => number::to_int64(self, array),
            DataType::Float64 => number::to_float64(self, array),
            DataType::Timestamp => time::to_timestamp(self, array),
            DataType::String => match array.data_type() {
                ArrowType::Utf8 => Ok(ArrayRef::clone(array)),
                ArrowType::LargeUtf8 | ArrowType::Utf8View => self.cast(array, &ArrowType::Utf8),
                ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView => Err(self.refuse(
                    array,
                    Some("write the column as UTF-8 strings (Parquet's logical type STRING), or declare a binary"),
                )),
                _ => Err(self.refuse(array, None)),
            },
            DataType::Binary => match array.data_type() {
                ArrowType::Binary => Ok(ArrayRef::clone(array)),
                ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
                    self.cast(array, &ArrowType::Binary)
                }
                _ => Err(self.refuse(array, None)),
            },
            DataType::Float32Vector(width) => list::to_vector(self, array, width),
            DataType::Sequence(item) => list::to_sequence(self, array, item),
        }
    }

    /// Arrow's conversion, for pairs of types that it converts without loss.
    fn cast(self, array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef, ConvertError> {
        cast(array, to)
            .map_err(|error| ConvertError::Arrow { column: self.column.to_owned(), reason: error.to_string() })
    }

    fn refuse(self, array: &ArrayRef, hint: Option<&'static str>) -> ConvertError {
        ConvertError::Type {
            column: self.column.to_owned(),
            found: array.data_type().to_string(),
            declared: self.declared,
            hint,
        }
    }

    fn value(self, row: usize, value: impl ToString, reason: impl Into<String>) -> ConvertError {
        ConvertError::Value { column: self.column.to_owned(), row, value: value.to_string(), reason: reason.into() }
    }
}

/// The rows that have a value, with it.
fn valid_rows(array: &dyn Array) -> impl Iterator<Item = usize> + '_ {
    (0..array.len()).filter(|row| array.is_valid(*row))
}

#[cfg(test)]
mod tests;
