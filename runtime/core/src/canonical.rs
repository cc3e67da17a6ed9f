//! The canonical bytes of a row's values: the stored form online, and what decides between rows that otherwise tie.
//!
//! Equal values give equal bytes, and different values different ones: NaN has one form (f64 `0x7ff8000000000000`, f32
//! `0x7fc00000`), -0.0 is not 0.0, and what lies under a null is not looked at. A row is its columns one after another,
//! in the order of the fields, without padding and without a header; every number is little-endian. A column is one byte,
//! `0x00` for null, after which nothing follows, or `0x01`, and then the value:
//!
//! | type | bytes of a value |
//! | --- | --- |
//! | boolean | 1: `0x00` false, `0x01` true |
//! | int64 | 8: two's complement |
//! | float64 | 8: IEEE 754 binary64 |
//! | timestamp | 8: two's complement, microseconds since the Unix epoch |
//! | string | 4: length n in bytes (unsigned); n: UTF-8 |
//! | binary | 4: length n in bytes (unsigned); n |
//! | float32_vector\[w\] | 4 × w: IEEE 754 binary32, w times |
//! | sequence\[int64\], sequence\[float64\] | 4: number n of items (unsigned); 8 × n: the items as above |
//! | sequence\[string\] | 4: number n of items (unsigned); n times length and UTF-8 as above |
//!
//! For fields `(boolean, string)` the row `(true, "ab")` is `01 01 | 01 02 00 00 00 61 62`.
//!
//! The bytes do not name their fields: whoever stores them keeps [`schema_fingerprint`] beside them, which also covers
//! [`FORMAT_VERSION`].

mod build;
mod column;
mod decode;
mod encode;
#[cfg(test)]
pub(crate) mod generate;

pub(crate) use build::{ColumnBuilder, OffsetOverflow};
pub(crate) use column::{Column, Items, NotCanonical, item_range, vector_items};
pub use decode::decode_rows;
pub(crate) use decode::decode_value_into;
pub use encode::{RowEncoder, encode_row};

use crate::hash::Digest;
use crate::types::Field;

/// Version of the layout of this page. It is part of every [`schema_fingerprint`].
pub const FORMAT_VERSION: u8 = 1;

/// Why a row cannot be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A column of an Arrow type that is none of the canonical ones.
    #[error("column {column} has the Arrow type {found}; hint: convert it to one of the types of the contract first")]
    ColumnType {
        /// Its position.
        column: usize,
        /// Its type.
        found: String,
    },
    /// A null inside a vector or a sequence.
    #[error("column {column} has a null item inside a vector or sequence; hint: items are never null, only rows are")]
    NullItem {
        /// Its position.
        column: usize,
    },
    /// Bytes that no row has.
    #[error("row {row} is malformed at byte {offset}, in `{field}`: {reason}")]
    Malformed {
        /// Position of the row.
        row: usize,
        /// The field in which reading stopped.
        field: String,
        /// Bytes of the row that were read before.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes behind the last field.
    #[error("row {row} has {extra} bytes after its last field; hint: were other fields stored?")]
    TrailingBytes {
        /// Position of the row.
        row: usize,
        /// How many.
        extra: usize,
    },
    /// More than an Arrow array with 32-bit offsets holds.
    #[error(
        "`{field}` has more than 2147483647 bytes or items in one batch, at row {row}; hint: decode fewer rows at once"
    )]
    TooLarge {
        /// Position of the first row that does not fit.
        row: usize,
        /// The field.
        field: String,
    },
}

/// Hash of the names and types of fields, in order, and of [`FORMAT_VERSION`]: the first 8 bytes, big-endian, of the
/// SHA-256 of `tandem row 1\n` and `NAME: TYPE\n` for each field (`amount: float64`). Whether a field is nullable does
/// not change its bytes and is not in it.
pub fn schema_fingerprint(fields: &[Field]) -> u64 {
    let mut text = format!("tandem row {FORMAT_VERSION}\n");
    for field in fields {
        text.push_str(&format!("{}: {}\n", field.name, field.data_type));
    }
    let Digest(bytes) = Digest::of(text.as_bytes());
    bytes[..8].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The value itself, or the one NaN.
pub fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value }
}

/// The value itself, or the one NaN.
pub fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value }
}

#[cfg(test)]
mod tests;
