//! JSON to values.

use arrow_array::ArrayRef;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use super::{FOUND_CHARS_MAX, INFINITY, JsonError, NAN, NEGATIVE_INFINITY};
use crate::canonical::{ColumnBuilder, OffsetOverflow};
use crate::time::{TimeError, Timestamp};
use crate::types::{DataType, Field, ItemType};

/// Reads one value for each row into an array of the field's canonical Arrow type. None and JSON's null are a null, and
/// an error if the field is not nullable. Needs serde_json's `float_roundtrip`, which this crate switches on.
pub fn decode_column<'a>(
    field: &Field,
    values: impl Iterator<Item = Option<&'a Value>>,
) -> Result<ArrayRef, JsonError> {
    let mut builder = ColumnBuilder::new(field.data_type, values.size_hint().0);
    for (row, value) in values.enumerate() {
        let Some(value) = value.filter(|value| !value.is_null()) else {
            if !field.nullable {
                return Err(JsonError::Null { field: field.name.clone(), row, expected: field.data_type });
            }
            builder.null();
            continue;
        };
        decode_value(value, &mut builder).map_err(|fault| match fault {
            Fault::Value { item, found, hint } => JsonError::Value {
                field: field.name.clone(),
                row,
                item,
                expected: field.data_type,
                found,
                hint: hint.to_owned(),
            },
            Fault::TooLarge => JsonError::TooLarge { field: field.name.clone(), row },
        })?;
    }
    Ok(builder.finish())
}

enum Fault {
    Value { item: Option<usize>, found: String, hint: &'static str },
    TooLarge,
}

impl Fault {
    fn at(self, index: usize) -> Self {
        match self {
            Fault::Value { found, hint, .. } => Fault::Value { item: Some(index), found, hint },
            Fault::TooLarge => Fault::TooLarge,
        }
    }
}

impl From<OffsetOverflow> for Fault {
    fn from(_: OffsetOverflow) -> Self {
        Fault::TooLarge
    }
}

fn refuse(value: &Value, hint: &'static str) -> Fault {
    Fault::Value { item: None, found: describe(value), hint }
}

/// A bounded text for a value of any size.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => {
            let shown: String = text.chars().take(FOUND_CHARS_MAX).collect();
            let rest = if shown.len() < text.len() { "…" } else { "" };
            format!("{shown:?}{rest}")
        }
        Value::Array(items) if items.len() == 1 => "an array of one item".to_owned(),
        Value::Array(items) => format!("an array of {} items", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}

fn decode_value(value: &Value, builder: &mut ColumnBuilder) -> Result<(), Fault> {
    match builder.data_type() {
        DataType::Boolean => builder.boolean(value.as_bool().ok_or_else(|| refuse(value, "write true or false"))?),
        DataType::Int64 => builder.int64(int64(value)?),
        DataType::Float64 => builder.float64(float64(value)?),
        DataType::Timestamp => builder.int64(timestamp(value)?),
        DataType::String => builder.bytes(string(value)?.as_bytes())?,
        DataType::Binary => builder.bytes(&binary(value)?)?,
        DataType::Float32Vector(width) => {
            let items = array(value)?;
            if items.len() != width as usize {
                return Err(refuse(value, "write exactly as many numbers as the width"));
            }
            builder.vector(each(items, float32)?.into_iter());
        }
        DataType::Sequence(ItemType::Int64) => builder.int64s(each(array(value)?, int64)?.into_iter())?,
        DataType::Sequence(ItemType::Float64) => builder.float64s(each(array(value)?, float64)?.into_iter())?,
        DataType::Sequence(ItemType::String) => builder.strings(each(array(value)?, string)?.into_iter())?,
    }
    Ok(())
}

fn each<'a, T>(items: &'a [Value], read: impl Fn(&'a Value) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
    items.iter().enumerate().map(|(index, item)| read(item).map_err(|fault| fault.at(index))).collect()
}

fn array(value: &Value) -> Result<&[Value], Fault> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| refuse(value, "write an array"))
}

fn int64(value: &Value) -> Result<i64, Fault> {
    const RANGE: &str =
        "write an integer from -9223372036854775808 to 9223372036854775807, without fraction or exponent";
    value.as_i64().ok_or_else(|| match value {
        Value::String(text) if text.trim().parse::<i64>().is_ok() => refuse(value, "write the integer without quotes"),
        _ => refuse(value, RANGE),
    })
}

fn float64(value: &Value) -> Result<f64, Fault> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            NAN => Some(f64::NAN),
            INFINITY => Some(f64::INFINITY),
            NEGATIVE_INFINITY => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
    .ok_or_else(|| refuse(value, "write a number without quotes, or one of \"NaN\", \"Infinity\", \"-Infinity\""))
}

fn float32(value: &Value) -> Result<f32, Fault> {
    let wide = float64(value)?;
    let narrow = wide as f32;
    if narrow.is_infinite() && wide.is_finite() {
        return Err(refuse(value, "f32 holds magnitudes up to 3.4028235e38"));
    }
    Ok(narrow)
}

fn timestamp(value: &Value) -> Result<i64, Fault> {
    const FORM: &str = "write RFC 3339 with an offset, for instance 2024-05-01T12:30:00Z, or an integer of microseconds since the epoch";
    match value {
        Value::String(text) => {
            Timestamp::parse_rfc3339(text).map(|timestamp| timestamp.0).map_err(|error| match error {
                TimeError::Timestamp { reason, .. } => refuse(value, reason),
                _ => refuse(value, FORM),
            })
        }
        _ => value.as_i64().ok_or_else(|| refuse(value, FORM)),
    }
}

fn string(value: &Value) -> Result<&str, Fault> {
    value.as_str().ok_or_else(|| refuse(value, "write a string in quotes"))
}

fn binary(value: &Value) -> Result<Vec<u8>, Fault> {
    let text = value.as_str().and_then(|text| BASE64_STANDARD.decode(text).ok());
    text.ok_or_else(|| refuse(value, "write base64 with the standard alphabet and padding (RFC 4648, section 4)"))
}
