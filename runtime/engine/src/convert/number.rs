//! Integers and floats.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow_schema::DataType as ArrowType;

use super::{ConvertError, Target, valid_rows};

/// Decimal digits that every f64 keeps apart: a decimal of so many digits reads back from its nearest float.
const DECIMAL_DIGITS_EXACT: u8 = 15;

pub(super) fn to_int64(target: Target<'_>, array: &ArrayRef) -> Result<ArrayRef, ConvertError> {
    match array.data_type() {
        ArrowType::Int64 => Ok(ArrayRef::clone(array)),
        ArrowType::Int8
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::UInt8
        | ArrowType::UInt16
        | ArrowType::UInt32 => target.cast(array, &ArrowType::Int64),
        ArrowType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            let mut values = vec![0; array.len()];
            for row in valid_rows(array) {
                values[row] = i64::try_from(array.value(row))
                    .map_err(|_| target.value(row, array.value(row), "is larger than an int64 can be"))?;
            }
            Ok(Arc::new(Int64Array::new(values.into(), array.nulls().cloned())))
        }
        ArrowType::Decimal32(..) | ArrowType::Decimal64(..) | ArrowType::Decimal128(..) | ArrowType::Decimal256(..) => {
            let (array, scale) = decimal128(target, array)?;
            let array = array.as_primitive::<Decimal128Type>();
            let unit = 10_i128.checked_pow(scale.unsigned_abs().into());
            let mut values = vec![0; array.len()];
            for row in valid_rows(array) {
                let value = array.value(row);
                let whole = match (unit, scale) {
                    (Some(unit), 0..) if value % unit == 0 => Some(value / unit),
                    (Some(unit), ..0) => value.checked_mul(unit),
                    (None, _) if value == 0 => Some(0),
                    _ => None,
                };
                values[row] = whole.and_then(|whole| i64::try_from(whole).ok()).ok_or_else(|| {
                    target.value(row, array.value_as_string(row), "is not a whole number that an int64 can be")
                })?;
            }
            Ok(Arc::new(Int64Array::new(values.into(), array.nulls().cloned())))
        }
        ArrowType::Float16 | ArrowType::Float32 | ArrowType::Float64 => {
            Err(target.refuse(array, Some("declare a float64, or write the column as integers")))
        }
        ArrowType::Timestamp(..) | ArrowType::Date32 | ArrowType::Date64 => {
            Err(target.refuse(array, Some("declare a timestamp")))
        }
        _ => Err(target.refuse(array, None)),
    }
}

pub(super) fn to_float64(target: Target<'_>, array: &ArrayRef) -> Result<ArrayRef, ConvertError> {
    match array.data_type() {
        ArrowType::Float64 => Ok(ArrayRef::clone(array)),
        ArrowType::Float16
        | ArrowType::Float32
        | ArrowType::Int8
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::UInt8
        | ArrowType::UInt16
        | ArrowType::UInt32 => target.cast(array, &ArrowType::Float64),
        ArrowType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            exact_floats(target, array, |row| i128::from(array.value(row)))
        }
        ArrowType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            exact_floats(target, array, |row| i128::from(array.value(row)))
        }
        ArrowType::Decimal32(precision, _)
        | ArrowType::Decimal64(precision, _)
        | ArrowType::Decimal128(precision, _)
        | ArrowType::Decimal256(precision, _)
            if *precision <= DECIMAL_DIGITS_EXACT =>
        {
            let (array, _) = decimal128(target, array)?;
            let array = array.as_primitive::<Decimal128Type>();
            let mut values = vec![0.0; array.len()];
            for row in valid_rows(array) {
                // The decimal text, read by the standard library, is the nearest float.
                let text = array.value_as_string(row);
                values[row] = text.parse().map_err(|_| target.value(row, &text, "is not a decimal number"))?;
            }
            Ok(Arc::new(Float64Array::new(values.into(), array.nulls().cloned())))
        }
        ArrowType::Decimal128(..) | ArrowType::Decimal256(..) | ArrowType::Decimal32(..) | ArrowType::Decimal64(..) => {
            Err(target.refuse(
                array,
                Some("decimals of more than 15 digits do not fit a float64; cast the column where it is written"),
            ))
        }
        _ => Err(target.refuse(array, None)),
    }
}

fn exact_floats(
    target: Target<'_>,
    array: &dyn Array,
    value: impl Fn(usize) -> i128,
) -> Result<ArrayRef, ConvertError> {
    let mut values = vec![0.0; array.len()];
    for row in valid_rows(array) {
        let (integer, float) = (value(row), value(row) as f64);
        if float as i128 != integer {
            return Err(target.value(row, integer, "cannot be a float64 without loss"));
        }
        values[row] = float;
    }
    Ok(Arc::new(Float64Array::new(values.into(), array.nulls().cloned())))
}

/// A decimal of any width as Decimal128 with its scale, where that holds it.
fn decimal128(target: Target<'_>, array: &ArrayRef) -> Result<(ArrayRef, i8), ConvertError> {
    match array.data_type() {
        ArrowType::Decimal128(_, scale) => Ok((ArrayRef::clone(array), *scale)),
        ArrowType::Decimal32(precision, scale) | ArrowType::Decimal64(precision, scale) => {
            Ok((target.cast(array, &ArrowType::Decimal128(*precision, *scale))?, *scale))
        }
        ArrowType::Decimal256(precision, scale) if *precision <= 38 => {
            Ok((target.cast(array, &ArrowType::Decimal128(*precision, *scale))?, *scale))
        }
        _ => Err(target.refuse(array, Some("decimals of more than 38 digits are not taken"))),
    }
}
