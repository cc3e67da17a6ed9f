//! How types are called in messages.

use crate::contract::{DataType, ItemType, Items, Values};

/// The type that values have, as far as they tell.
pub(crate) fn of_values(values: &Values) -> DataType {
    match values {
        Values::Booleans(_) => DataType::Boolean,
        Values::Int64s(_) => DataType::Int64,
        Values::Float64s(_) => DataType::Float64,
        Values::Timestamps(_) => DataType::Timestamp,
        Values::Strings(_) => DataType::String,
        Values::Binaries(_) => DataType::Binary,
        Values::Float32Vectors(vectors) => DataType::Float32Vector(vectors.width),
        Values::Sequences(sequences) => DataType::Sequence(match sequences.items {
            Items::Int64s(_) => ItemType::Int64,
            Items::Float64s(_) => ItemType::Float64,
            Items::Strings(_) => ItemType::String,
        }),
    }
}

pub(crate) fn name(data_type: DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Int64 => "int64".into(),
        DataType::Float64 => "float64".into(),
        DataType::Timestamp => "timestamp".into(),
        DataType::String => "string".into(),
        DataType::Binary => "binary".into(),
        DataType::Float32Vector(width) => format!("float32-vector({width})"),
        DataType::Sequence(ItemType::Int64) => "sequence(int64)".into(),
        DataType::Sequence(ItemType::Float64) => "sequence(float64)".into(),
        DataType::Sequence(ItemType::String) => "sequence(string)".into(),
    }
}
