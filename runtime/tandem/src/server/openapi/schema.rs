//! JSON Schemas (draft 2020-12) of values, as `docs/reference/types.md` has them.

use serde_json::{Map, Value, json};
use tandem_core::feature_plan::RequestColumn;
use tandem_core::status::Status;
use tandem_core::types::{DataType, Field, ItemType};

/// A value in a request.
pub(super) fn value(data_type: DataType, nullable: bool) -> Value {
    let schema = match data_type {
        DataType::Boolean => json!({ "type": "boolean" }),
        DataType::Int64 => integer(),
        DataType::Float64 => float(f64::MAX),
        DataType::String => json!({ "type": "string" }),
        DataType::Binary => json!({ "type": "string", "contentEncoding": "base64" }),
        DataType::Timestamp => json!({ "$ref": "#/components/schemas/Timestamp" }),
        DataType::Float32Vector(width) => {
            json!({ "type": "array", "items": float(f64::from(f32::MAX)), "minItems": width, "maxItems": width })
        }
        DataType::Sequence(item) => json!({ "type": "array", "items": match item {
            ItemType::Int64 => integer(),
            ItemType::Float64 => float(f64::MAX),
            ItemType::String => json!({ "type": "string" }),
        } }),
    };
    if nullable { json!({ "anyOf": [schema, { "type": "null" }] }) } else { schema }
}

fn integer() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX })
}

fn float(max: f64) -> Value {
    let number = json!({ "type": "number", "format": "double", "minimum": -max, "maximum": max });
    json!({ "anyOf": [number, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
}

/// A column that a request gives.
pub(super) struct Given {
    name: String,
    doc: String,
    value: Value,
    required: bool,
}

impl Given {
    /// An input of a transform.
    pub(super) fn input(field: &Field) -> Given {
        Given {
            name: field.name.clone(),
            doc: field.doc.clone(),
            value: value(field.data_type, field.nullable),
            required: !field.nullable,
        }
    }

    /// A column of a service's request. Null join keys are taken, and found nowhere.
    pub(super) fn requested(column: &RequestColumn) -> Given {
        let by: Vec<String> = column.needed_by.iter().map(ToString::to_string).collect();
        let what = if column.join_key { "join key" } else { "input" };
        Given {
            name: column.name.clone(),
            doc: format!("{what} of {}", by.join(", ")),
            value: value(column.data_type, column.nullable),
            required: column.join_key || !column.nullable,
        }
    }

    /// A column that is pushed. A row whose value is of another type may be set aside, and the others taken: it refuses no request.
    pub(super) fn pushed(field: &Field, required: bool) -> Given {
        let doc = format!("{}; {}", field.data_type, field.doc);
        Given { name: field.name.clone(), doc, value: json!({}), required }
    }

    fn described(&self, schema: Value) -> Value {
        let mut schema = schema;
        if !self.doc.is_empty() {
            schema["description"] = self.doc.clone().into();
        }
        schema
    }
}

/// A row of these columns.
pub(super) fn row(columns: &[Given]) -> Value {
    let properties: Map<String, Value> =
        columns.iter().map(|column| (column.name.clone(), column.described(column.value.clone()))).collect();
    let required: Vec<&str> = columns.iter().filter(|column| column.required).map(|column| &column.name[..]).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// These columns, each an array.
pub(super) fn columns(columns: &[Given]) -> Value {
    let list = |column: &Given| column.described(json!({ "type": "array", "items": column.value }));
    let properties: Map<String, Value> = columns.iter().map(|column| (column.name.clone(), list(column))).collect();
    let required: Vec<&str> = columns.iter().filter(|column| column.required).map(|column| &column.name[..]).collect();
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false, "minProperties": 1,
        "description": "All arrays have one length.",
    })
}

/// An object with these properties and no others, of which `required` must be there.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Schemas that paths refer to.
pub(super) fn shared() -> Value {
    let statuses: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
    json!({
        "Timestamp": {
            "description": "RFC 3339 with an offset, or microseconds since the Unix epoch",
            "anyOf": [
                { "type": "string", "format": "date-time" },
                { "type": "integer", "format": "int64", "minimum": -62_135_596_800_000_000_i64, "maximum": 253_402_300_799_999_999_i64 },
            ],
        },
        "Status": { "type": "string", "enum": statuses },
        "Digest": { "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" },
        "FailedRow": {
            "type": "object",
            "properties": {
                "row": { "type": "integer" }, "status": { "$ref": "#/components/schemas/Status" }, "message": { "type": "string" },
                "view": { "type": "string" }, "version": { "type": "integer" },
            },
            "required": ["row", "status", "message"],
        },
        "Problem": {
            "description": "Problem details, RFC 9457",
            "type": "object",
            "properties": {
                "type": { "type": "string", "pattern": "^urn:tandem:problem:[a-z-]+$" },
                "title": { "type": "string" },
                "status": { "type": "integer" },
                "detail": { "type": "string" },
                "instance": { "type": "string", "description": "the request's id" },
                "hint": { "type": "string" },
            },
            "required": ["type", "title", "status", "detail", "instance"],
        },
    })
}

/// Answers that paths refer to.
pub(super) fn responses() -> Value {
    json!({
        "Problem": {
            "description": "The request was refused, or could not be answered",
            "content": { super::super::problem::PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
        },
        "FeastError": {
            "description": "A JSON string that holds JSON, as Feast's clients read it",
            "content": { "application/json": { "schema": { "type": "string" } } },
        },
    })
}
