//! Entity keys: the bytes of join-key values, equal exactly where the keys match, and in the order of the values.
//!
//! A key is its values one after another, in the order of the join keys:
//!
//! | type | bytes |
//! | --- | --- |
//! | boolean | 1: `0x00` false, `0x01` true |
//! | int64, timestamp | 8: big-endian two's complement with the sign bit flipped |
//! | float64 | 8: big-endian IEEE 754 binary64, all bits flipped if negative, else the sign bit; -0.0 as 0.0 |
//! | string, binary | the bytes, each `0x00` as `0x00 0xff`, then `0x00 0x01` |
//!
//! So each value ends where it says, composite keys are unambiguous (`("ab", "c")` is not `("a", "bc")`), and comparing keys as
//! bytes compares the values in order: false before true, numbers by size, strings and binaries by their bytes, a
//! prefix first. The escape is that of CockroachDB's key encoding (`pkg/util/encoding`).
//!
//! A null or NaN in any join key makes no key: it never matches.

use arrow_array::{Array, ArrayRef};

use crate::canonical::{Column, ColumnBuilder};
use crate::model::JoinKey;
use crate::types::DataType;

/// Version of the layout of this page, for stores to keep beside what they key with it.
pub const FORMAT_VERSION: u8 = 1;

/// The canonical bytes of one entity's join-key values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityKey(pub Vec<u8>);

impl AsRef<[u8]> for EntityKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// So that maps can be asked with bytes from [`KeyEncoder::encode_into`].
impl std::borrow::Borrow<[u8]> for EntityKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// Why columns make no keys, or bytes are none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A join key of a type that cannot identify.
    #[error(
        "join key `{name}` is {data_type}; hint: join keys are boolean, int64, float64, timestamp, string or binary"
    )]
    KeyType {
        /// The join key.
        name: String,
        /// Its type.
        data_type: DataType,
    },
    /// A column of another type than its join key.
    #[error("join key `{name}` is {expected}, its column has the Arrow type {found}; hint: convert the column first")]
    ColumnType {
        /// The join key.
        name: String,
        /// Its type.
        expected: DataType,
        /// The Arrow type of the column.
        found: String,
    },
    /// Not one column for each join key.
    #[error("there are {found} columns for {expected} join keys")]
    ColumnCount {
        /// Join keys.
        expected: usize,
        /// Columns.
        found: usize,
    },
    /// Columns of different lengths.
    #[error("the column of join key `{name}` has {found} rows, the first one has {expected}")]
    RowCount {
        /// The join key.
        name: String,
        /// Rows of the first column.
        expected: usize,
        /// Rows of this one.
        found: usize,
    },
    /// Bytes that no key has.
    #[error("the bytes are no key: `{name}`: {reason}")]
    Malformed {
        /// The join key in which reading stopped.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes behind the last value.
    #[error("the bytes are no key: {extra} bytes follow the last value; hint: are these all join keys of the view?")]
    TrailingBytes {
        /// How many.
        extra: usize,
    },
}

/// Encodes the keys of the rows of columns that were looked at once.
#[derive(Debug, Clone)]
pub struct KeyEncoder {
    columns: Vec<Column>,
    rows: usize,
}

impl KeyEncoder {
    /// Takes one column for each join key, in its order, of its canonical Arrow type. Arrays are shared, not copied.
    pub fn new(join_keys: &[JoinKey], columns: &[ArrayRef]) -> Result<Self, KeyError> {
        if join_keys.len() != columns.len() {
            return Err(KeyError::ColumnCount { expected: join_keys.len(), found: columns.len() });
        }
        let rows = columns.first().map_or(0, |column| column.len());
        let prepare = |(key, array): (&JoinKey, &ArrayRef)| {
            check_type(key)?;
            if array.len() != rows {
                return Err(KeyError::RowCount { name: key.name.clone(), expected: rows, found: array.len() });
            }
            Column::new(array).ok().filter(|column| column.data_type() == key.data_type).ok_or_else(|| {
                let found = array.data_type().to_string();
                KeyError::ColumnType { name: key.name.clone(), expected: key.data_type, found }
            })
        };
        Ok(KeyEncoder { columns: join_keys.iter().zip(columns).map(prepare).collect::<Result<_, _>>()?, rows })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The key of a row; None where a value is null or NaN.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn encode(&self, row: usize) -> Option<EntityKey> {
        let mut bytes = Vec::new();
        self.encode_into(row, &mut bytes).then_some(EntityKey(bytes))
    }

    /// The eight bytes of a key of one value of eight bytes, as a number; None where it is null or NaN.
    ///
    /// # Panics
    /// If there is no such row, or keys have more or fewer bytes.
    pub fn eight(&self, row: usize) -> Option<u64> {
        let [column] = &self.columns[..] else { panic!("such a key has one value") };
        if column.is_null(row) {
            return None;
        }
        match column {
            Column::Int64(array) => Some(array.value(row) as u64 ^ SIGN),
            Column::Timestamp(array) => Some(array.value(row) as u64 ^ SIGN),
            Column::Float64(array) => Some(array.value(row)).filter(|value| !value.is_nan()).map(ordered_bits),
            _ => panic!("such a key has eight bytes"),
        }
    }

    /// The keys of all rows in order, as [`KeyEncoder::eight`] has them.
    ///
    /// # Panics
    /// If keys have more or fewer bytes.
    pub fn eights(&self, mut each: impl FnMut(Option<u64>)) {
        match &self.columns[..] {
            [Column::Int64(array)] if array.null_count() == 0 => {
                array.values().iter().for_each(|value| each(Some(*value as u64 ^ SIGN)));
            }
            _ => (0..self.rows()).for_each(|row| each(self.eight(row))),
        }
    }

    /// Appends the key of a row to `out`; false where a value is null or NaN, and then `out` is as it was.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn encode_into(&self, row: usize, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let complete = self.columns.iter().all(|column| encode_value(column, row, out));
        if !complete {
            out.truncate(start);
        }
        complete
    }
}

/// Whether values of a type can be join keys.
pub fn is_key_type(data_type: DataType) -> bool {
    use DataType::{Binary, Boolean, Float64, Int64, String, Timestamp};
    matches!(data_type, Boolean | Int64 | Float64 | Timestamp | String | Binary)
}

fn check_type(key: &JoinKey) -> Result<(), KeyError> {
    if is_key_type(key.data_type) {
        Ok(())
    } else {
        Err(KeyError::KeyType { name: key.name.clone(), data_type: key.data_type })
    }
}

const SIGN: u64 = 1 << 63;

fn encode_value(column: &Column, row: usize, out: &mut Vec<u8>) -> bool {
    if column.is_null(row) {
        return false;
    }
    match column {
        Column::Boolean(array) => out.push(u8::from(array.value(row))),
        Column::Int64(array) => out.extend_from_slice(&(array.value(row) as u64 ^ SIGN).to_be_bytes()),
        Column::Timestamp(array) => out.extend_from_slice(&(array.value(row) as u64 ^ SIGN).to_be_bytes()),
        Column::Float64(array) => {
            let value = array.value(row);
            if value.is_nan() {
                return false;
            }
            out.extend_from_slice(&ordered_bits(value).to_be_bytes());
        }
        Column::String(array) => escape(array.value(row).as_bytes(), out),
        Column::Binary(array) => escape(array.value(row), out),
        Column::Vector(..) | Column::Sequence(..) => unreachable!("KeyEncoder::new takes no such join key"),
    }
    true
}

fn ordered_bits(value: f64) -> u64 {
    // Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
}

const ESCAPED_ZERO: u8 = 0xff;
const TERMINATOR: u8 = 0x01;

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, part) in bytes.split(|byte| *byte == 0).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[0, ESCAPED_ZERO]);
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&[0, TERMINATOR]);
}

/// The values of a key: one array of one row for each join key, of its canonical Arrow type. Bytes that
/// [`KeyEncoder`] does not write are an error.
pub fn decode(join_keys: &[JoinKey], bytes: &[u8]) -> Result<Vec<ArrayRef>, KeyError> {
    decode_many(join_keys, std::iter::once(bytes))
}

/// The values of many keys: one array for each join key, with one slot for each of `keys`, as [`decode`] has them.
pub fn decode_many<'a>(
    join_keys: &[JoinKey],
    keys: impl ExactSizeIterator<Item = &'a [u8]>,
) -> Result<Vec<ArrayRef>, KeyError> {
    let mut builders = Vec::with_capacity(join_keys.len());
    for key in join_keys {
        check_type(key)?;
        builders.push(ColumnBuilder::new(key.data_type, keys.len()));
    }
    for mut rest in keys {
        for (key, builder) in join_keys.iter().zip(&mut builders) {
            decode_value(&mut rest, builder)
                .map_err(|reason| KeyError::Malformed { name: key.name.clone(), reason })?;
        }
        if !rest.is_empty() {
            return Err(KeyError::TrailingBytes { extra: rest.len() });
        }
    }
    Ok(builders.into_iter().map(ColumnBuilder::finish).collect())
}

fn decode_value(rest: &mut &[u8], builder: &mut ColumnBuilder) -> Result<(), &'static str> {
    match builder.data_type() {
        DataType::Boolean => match take::<1>(rest)? {
            [0] => builder.boolean(false),
            [1] => builder.boolean(true),
            _ => return Err("a boolean is neither 0 nor 1"),
        },
        DataType::Float64 => {
            let ordered = u64::from_be_bytes(take(rest)?);
            let value = f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered ^ SIGN });
            if value.is_nan() {
                return Err("a key is never NaN");
            }
            if ordered_bits(value) != ordered {
                return Err("a key is never -0.0");
            }
            builder.float64(value);
        }
        DataType::String => {
            let value = unescape(rest)?;
            let text = std::str::from_utf8(&value).map_err(|_| "a string is not UTF-8")?;
            builder.bytes(text.as_bytes()).map_err(|_| TOO_LONG)?;
        }
        DataType::Binary => builder.bytes(&unescape(rest)?).map_err(|_| TOO_LONG)?,
        _ => builder.int64((u64::from_be_bytes(take(rest)?) ^ SIGN) as i64),
    }
    Ok(())
}

const TOO_LONG: &str = "a value is longer than 2147483647 bytes";
const TOO_SHORT: &str = "the bytes end too early";

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (bytes, tail) = rest.split_first_chunk().ok_or(TOO_SHORT)?;
    *rest = tail;
    Ok(*bytes)
}

fn unescape(rest: &mut &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut value = Vec::new();
    loop {
        let zero = rest.iter().position(|byte| *byte == 0).ok_or(TOO_SHORT)?;
        value.extend_from_slice(&rest[..zero]);
        let follows = *rest.get(zero + 1).ok_or(TOO_SHORT)?;
        *rest = &rest[zero + 2..];
        match follows {
            ESCAPED_ZERO => value.push(0),
            TERMINATOR => return Ok(value),
            _ => return Err("a zero byte is neither escaped nor the end"),
        }
    }
}

#[cfg(test)]
mod tests;
