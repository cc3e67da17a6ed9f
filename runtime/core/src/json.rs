//! The exact encoding of values in JSON (RFC 8259). What is written reads back to the same bits.
//!
//! | type | JSON |
//! | --- | --- |
//! | boolean | `true`, `false` |
//! | int64 | an integer from -9223372036854775808 to 9223372036854775807; never through a double, so `1.0`, `1e3` and `"1"` are refused |
//! | float64 | a number, written as the shortest decimal that reads back to the same double; integers are read too; -0.0 is `-0.0`; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | timestamp | RFC 3339 with `Z` and no, three or six fractional digits where the year is 0000 to 9999, else an integer of microseconds since the Unix epoch; any offset (there must be one) and any integer are read, more than six fractional digits only if the rest is zero |
//! | string | a string |
//! | binary | a string in base64, standard alphabet with padding (RFC 4648, section 4), without line breaks |
//! | float32_vector\[w\] | an array of w numbers, each as for float64 but the shortest that reads back to the same f32; read as a double, then rounded to f32 |
//! | sequence\[item\] | an array of items, each as its type above; never null |
//! | null of any type | `null`; when reading, also a value that is missing |
//!
//! Objects, numbers beyond a double's range and anything else not in the table are refused, never converted.
//!
//! The shortest decimal of an f32 that is read as a double and then rounded to f32 is rounded twice. Writing and reading back every
//! positive finite f32 (0 to `0x7f7fffff`; the sign changes nothing) showed that exactly one comes back wrong: 7.038531e-26
//! (`0x15ae43fd`), which as a double lies halfway to its neighbour. It is written with the digits of its double.

mod decode;
mod encode;

pub use decode::decode_column;
pub use encode::{ColumnWriter, encode_value, write_timestamp};

use crate::types::DataType;

/// Characters of a refused value that an error shows.
const FOUND_CHARS_MAX: usize = 40;

/// Why values cannot be written as JSON or read from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A value of another type, or outside the type's range.
    #[error("`{field}`, row {row}{}: {expected} expected, found {found}; hint: {hint}", item.map(|item| format!(", item {item}")).unwrap_or_default())]
    Value {
        /// The field.
        field: String,
        /// Position of the row.
        row: usize,
        /// Position in the row's vector or sequence, where one of its items is at fault.
        item: Option<usize>,
        /// The field's type.
        expected: DataType,
        /// What was found; texts are cut to 40 characters.
        found: String,
        /// What to write instead.
        hint: String,
    },
    /// No value where there must be one.
    #[error("`{field}`, row {row}: {expected} expected, found null or nothing; hint: the field is not nullable")]
    Null {
        /// The field.
        field: String,
        /// Position of the row.
        row: usize,
        /// The field's type.
        expected: DataType,
    },
    /// More than an Arrow array with 32-bit offsets holds.
    #[error(
        "`{field}` has more than 2147483647 bytes or items in one batch, at row {row}; hint: send fewer rows at once"
    )]
    TooLarge {
        /// The field.
        field: String,
        /// Position of the first row that does not fit.
        row: usize,
    },
    /// An array to be written is not of the canonical Arrow type.
    #[error("an array of {expected} expected, found {found}; hint: convert it to the canonical Arrow type first")]
    ColumnType {
        /// The type to be written.
        expected: DataType,
        /// What the array is.
        found: String,
    },
}

/// NaN in JSON.
const NAN: &str = "NaN";

/// Positive infinity in JSON.
const INFINITY: &str = "Infinity";

/// Negative infinity in JSON.
const NEGATIVE_INFINITY: &str = "-Infinity";

#[cfg(test)]
mod tests;
