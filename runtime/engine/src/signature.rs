//! What `describe` answers, bounded and turned into core's types.

use tandem_core::limits::TransformLimits;
use tandem_core::types::{DataType, Field, ItemType, Signature};

use crate::bindings::tandem::feature::signatures as wit;
use crate::error::EngineError;
use crate::instance::bounded_message;

/// Lifts a signature; names and types are checked by [`Signature::check`].
pub(crate) fn lift(described: wit::Signature, limits: &TransformLimits) -> Result<Signature, EngineError> {
    let fields = (described.inputs.len() + described.outputs.len()) as u64;
    if fields > limits.fields_max {
        return Err(EngineError::TooManyFields { fields, max: limits.fields_max });
    }
    let lift = |fields: Vec<wit::Field>| {
        fields
            .into_iter()
            .map(|field| Field {
                name: field.name,
                data_type: data_type(field.data_type),
                nullable: field.nullable,
                doc: bounded_message(field.doc, limits),
            })
            .collect()
    };
    Ok(Signature {
        inputs: lift(described.inputs),
        outputs: lift(described.outputs),
        doc: bounded_message(described.doc, limits),
    })
}

fn data_type(data_type: wit::DataType) -> DataType {
    match data_type {
        wit::DataType::Boolean => DataType::Boolean,
        wit::DataType::Int64 => DataType::Int64,
        wit::DataType::Float64 => DataType::Float64,
        wit::DataType::Timestamp => DataType::Timestamp,
        wit::DataType::String => DataType::String,
        wit::DataType::Binary => DataType::Binary,
        wit::DataType::Float32Vector(width) => DataType::Float32Vector(width),
        wit::DataType::Sequence(item) => DataType::Sequence(match item {
            wit::ItemType::Int64 => ItemType::Int64,
            wit::ItemType::Float64 => ItemType::Float64,
            wit::ItemType::String => ItemType::String,
        }),
    }
}
