//! Timestamps and dates.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Date64Type, Int64Type};
use arrow_array::{Array, ArrayRef, TimestampMicrosecondArray};
use arrow_cast::cast;
use arrow_schema::{DataType as ArrowType, TimeUnit};
use tandem_core::time::Zone;

use super::{ConvertError, Target, valid_rows};

const MICROS_PER_DAY: i64 = 86_400_000_000;

pub(super) fn to_timestamp(target: Target<'_>, array: &ArrayRef) -> Result<ArrayRef, ConvertError> {
    let (unit, zone) = match array.data_type() {
        ArrowType::Timestamp(unit, zone) => (*unit, zone.as_deref()),
        ArrowType::Date32 => {
            let days = array.as_primitive::<Date32Type>();
            return build(array, |row| Ok(i64::from(days.value(row)) * MICROS_PER_DAY));
        }
        ArrowType::Date64 => {
            let millis = array.as_primitive::<Date64Type>();
            return build(array, |row| {
                let value = millis.value(row);
                value.checked_mul(1000).ok_or_else(|| target.value(row, value, "ms is out of range in microseconds"))
            });
        }
        ArrowType::Int64 | ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => {
            return Err(target.refuse(array, Some("write the column as a timestamp with a time zone")));
        }
        _ => return Err(target.refuse(array, None)),
    };
    if unit == TimeUnit::Microsecond && zone == Some("UTC") {
        return Ok(ArrayRef::clone(array));
    }
    // With a zone the value is an instant whatever the zone; without one it is a local time in the declared zone.
    let local = match (zone, target.timezone) {
        (Some(_), _) => None,
        (None, None) => return Err(ConvertError::NoZone { column: target.column.to_owned() }),
        (None, Some("UTC")) => None,
        (None, Some(timezone)) => Some(Zone::parse(timezone).map_err(|_| ConvertError::UnknownZone {
            column: target.column.to_owned(),
            timezone: timezone.to_owned(),
        })?),
    };
    let raw = cast(array, &ArrowType::Int64)
        .map_err(|error| ConvertError::Arrow { column: target.column.to_owned(), reason: error.to_string() })?;
    let raw = raw.as_primitive::<Int64Type>();
    build(array, |row| {
        let value = raw.value(row);
        let micros = match unit {
            TimeUnit::Second => value.checked_mul(1_000_000),
            TimeUnit::Millisecond => value.checked_mul(1000),
            TimeUnit::Microsecond => Some(value),
            TimeUnit::Nanosecond if value % 1000 != 0 => {
                return Err(target.value(row, value, "ns is not a whole number of microseconds"));
            }
            TimeUnit::Nanosecond => Some(value / 1000),
        };
        let micros =
            micros.ok_or_else(|| target.value(row, value, format!("{unit:?}s are out of range in microseconds")))?;
        match &local {
            None => Ok(micros),
            Some(zone) => zone
                .local_time(micros)
                .map(|local| local.timestamp().0)
                .map_err(|error| target.value(row, micros, format!("µs of local time: {error}"))),
        }
    })
}

fn build(array: &ArrayRef, value: impl Fn(usize) -> Result<i64, ConvertError>) -> Result<ArrayRef, ConvertError> {
    let mut values = vec![0; array.len()];
    for row in valid_rows(array) {
        values[row] = value(row)?;
    }
    let array = TimestampMicrosecondArray::new(values.into(), array.nulls().cloned());
    Ok(Arc::new(array.with_timezone("UTC")))
}
