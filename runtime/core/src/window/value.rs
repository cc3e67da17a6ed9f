//! Single values of events, borrowed and kept, with the one order that they have.

use std::cmp::Ordering;

use arrow_array::Array;

use crate::canonical::{Column, canonical_f64};
use crate::types::DataType;

/// A value that is not null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Boolean(bool),
    Int64(i64),
    Float64(f64),
    Timestamp(i64),
    /// Of a string or of bytes.
    Bytes(&'a [u8]),
}

/// A value that is kept. Equal ones have equal bytes.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    Boolean(bool),
    Int64(i64),
    /// NaN in its one form.
    Float64(f64),
    Timestamp(i64),
    Bytes(Box<[u8]>),
}

impl<'a> Value<'a> {
    /// The value of a row; None where it is null, and of vectors and sequences, whose values nothing but their presence is asked of.
    pub(super) fn of(column: &'a Column, row: usize) -> Option<Self> {
        match column {
            Column::Boolean(array) => array.is_valid(row).then(|| Value::Boolean(array.value(row))),
            Column::Int64(array) => array.is_valid(row).then(|| Value::Int64(array.value(row))),
            Column::Float64(array) => array.is_valid(row).then(|| Value::Float64(canonical_f64(array.value(row)))),
            Column::Timestamp(array) => array.is_valid(row).then(|| Value::Timestamp(array.value(row))),
            Column::String(array) => array.is_valid(row).then(|| Value::Bytes(array.value(row).as_bytes())),
            Column::Binary(array) => array.is_valid(row).then(|| Value::Bytes(array.value(row))),
            Column::Vector(..) | Column::Sequence(..) => None,
        }
    }

    pub(super) fn keep(self) -> Kept {
        match self {
            Value::Boolean(value) => Kept::Boolean(value),
            Value::Int64(value) => Kept::Int64(value),
            Value::Float64(value) => Kept::Float64(value),
            Value::Timestamp(value) => Kept::Timestamp(value),
            Value::Bytes(value) => Kept::Bytes(value.into()),
        }
    }

    /// The total order of values of one type: false before true; numbers as numbers, -0.0 before 0.0, NaN last; bytes by the first that differs.
    pub(super) fn order(&self, other: &Value<'_>) -> Ordering {
        match (self, other) {
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
            (Value::Int64(a), Value::Int64(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Float64(a), Value::Float64(b)) => a.total_cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            // Values of one column are of one type.
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Boolean(_) => 0,
            Value::Int64(_) => 1,
            Value::Float64(_) => 2,
            Value::Timestamp(_) => 3,
            Value::Bytes(_) => 4,
        }
    }

    pub(super) fn is_nan(&self) -> bool {
        matches!(self, Value::Float64(value) if value.is_nan())
    }

    /// Appends its bytes: 1 of a boolean, 8 little-endian of a number, all of a text or of bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::Boolean(value) => out.push(u8::from(*value)),
            Value::Int64(value) | Value::Timestamp(value) => out.extend(value.to_le_bytes()),
            Value::Float64(value) => out.extend(value.to_bits().to_le_bytes()),
            Value::Bytes(value) => out.extend(*value),
        }
    }

    /// What [`Value::encode`] wrote of a value of this type; None for other bytes.
    pub(super) fn decode(data_type: DataType, bytes: &'a [u8]) -> Option<Self> {
        let eight = || bytes.try_into().ok();
        Some(match data_type {
            DataType::Boolean => match bytes {
                [0] => Value::Boolean(false),
                [1] => Value::Boolean(true),
                _ => return None,
            },
            DataType::Int64 => Value::Int64(i64::from_le_bytes(eight()?)),
            DataType::Float64 => Value::Float64(canonical_f64(f64::from_bits(u64::from_le_bytes(eight()?)))),
            DataType::Timestamp => Value::Timestamp(i64::from_le_bytes(eight()?)),
            DataType::String => Value::Bytes(std::str::from_utf8(bytes).ok()?.as_bytes()),
            DataType::Binary => Value::Bytes(bytes),
            DataType::Float32Vector(_) | DataType::Sequence(_) => return None,
        })
    }

    /// A hash that is the same everywhere and for ever: XXH64 of the bytes, without a seed.
    pub(super) fn hash(&self) -> u64 {
        match self {
            Value::Boolean(value) => super::hash::xxh64(&[u8::from(*value)]),
            Value::Int64(value) | Value::Timestamp(value) => super::hash::xxh64(&value.to_le_bytes()),
            Value::Float64(value) => super::hash::xxh64(&value.to_bits().to_le_bytes()),
            Value::Bytes(value) => super::hash::xxh64(value),
        }
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.value().order(&other.value()).is_eq()
    }
}

impl Kept {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Kept::Boolean(value) => Value::Boolean(*value),
            Kept::Int64(value) => Value::Int64(*value),
            Kept::Float64(value) => Value::Float64(*value),
            Kept::Timestamp(value) => Value::Timestamp(*value),
            Kept::Bytes(value) => Value::Bytes(value),
        }
    }
}
