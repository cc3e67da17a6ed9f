//! Columns with what no transform may see: garbage under nulls, payloads in NaNs, validity where nothing is null, and all of it a slice of
//! something longer. The values are the same; the boundary has to make the rest the same.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray,
    RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType as ArrowType, Field};
use arrow_select::concat::concat;
use arrow_select::take::take;

use crate::error::EngineError;

/// Bits that are set in a NaN beside those that make it one: a sign and a payload.
const PAYLOAD64: u64 = 0x8000_dead_beef_0001;
const PAYLOAD32: u32 = 0x8000_0bad;

/// The same rows, dirty.
pub(super) fn dirty(inputs: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let columns = inputs.columns().iter().map(dirty_column).collect::<Result<_, _>>().map_err(arrow_error)?;
    let options = RecordBatchOptions::new().with_row_count(Some(inputs.num_rows()));
    RecordBatch::try_new_with_options(inputs.schema(), columns, &options).map_err(arrow_error)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn arrow_error(error: arrow_schema::ArrowError) -> EngineError {
    EngineError::Arrow(error.to_string())
}

/// Dirty, with its first row once more before it and behind it, cut off again.
fn dirty_column(column: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    if column.is_empty() {
        return Ok(Arc::clone(column));
    }
    let first = column.slice(0, 1);
    let longer = concat(&[&first, column.as_ref(), &first])?;
    Ok(with_garbage(&longer)?.slice(1, column.len()))
}

fn with_garbage(column: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let rows = column.len();
    let valid = |row: usize| column.is_valid(row);
    // Validity is there, also where nothing is null.
    let nulls = Some(NullBuffer::new(BooleanBuffer::collect_bool(rows, valid)));
    Ok(match column.data_type() {
        ArrowType::Boolean => {
            let bits = column.as_boolean().values();
            Arc::new(BooleanArray::new(BooleanBuffer::collect_bool(rows, |row| !valid(row) || bits.value(row)), nulls))
        }
        ArrowType::Int64 => {
            let values = column.as_primitive::<Int64Type>().values();
            let values: Vec<i64> =
                (0..rows).map(|row| if valid(row) { values[row] } else { -7 - row as i64 }).collect();
            Arc::new(Int64Array::new(values.into(), nulls))
        }
        ArrowType::Timestamp(..) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().values();
            let values: Vec<i64> =
                (0..rows).map(|row| if valid(row) { values[row] } else { -7 - row as i64 }).collect();
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
        }
        ArrowType::Float64 => {
            let values = column.as_primitive::<Float64Type>().values();
            let value = |row: usize| if valid(row) { stray64(values[row]) } else { stray64(f64::NAN) };
            Arc::new(Float64Array::new((0..rows).map(value).collect::<Vec<_>>().into(), nulls))
        }
        ArrowType::Utf8 => {
            let texts = column.as_string::<i32>();
            let texts = (0..rows).map(|row| if valid(row) { texts.value(row) } else { "gärbage" });
            let (offsets, data, _) = StringArray::from_iter_values(texts).into_parts();
            Arc::new(StringArray::new(offsets, data, nulls))
        }
        ArrowType::Binary => {
            let values = column.as_binary::<i32>();
            let values = (0..rows).map(|row| if valid(row) { values.value(row) } else { &[0xff, 0xfe][..] });
            let (offsets, data, _) = BinaryArray::from_iter_values(values).into_parts();
            Arc::new(BinaryArray::new(offsets, data, nulls))
        }
        ArrowType::FixedSizeList(item, width) => {
            let values = column.as_fixed_size_list().values().as_primitive::<Float32Type>().values();
            let value = |index: usize| {
                if valid(index / *width as usize) { stray32(values[index]) } else { stray32(f32::NAN) }
            };
            let values: Vec<f32> = (0..rows * *width as usize).map(value).collect();
            Arc::new(FixedSizeListArray::new(Arc::clone(item), *width, Arc::new(Float32Array::from(values)), nulls))
        }
        ArrowType::List(item) => list_with_garbage(column.as_list::<i32>(), item, nulls)?,
        _ => Arc::clone(column), // no input has another type
    })
}

/// A null gets two items.
fn list_with_garbage(
    list: &ListArray,
    item: &Arc<Field>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let garbage: ArrayRef = match item.data_type() {
        ArrowType::Int64 => Arc::new(Int64Array::from(vec![-7, 7])),
        ArrowType::Float64 => Arc::new(Float64Array::from(vec![stray64(f64::NAN), 7.0])),
        _ => Arc::new(StringArray::from(vec!["gärbage", ""])),
    };
    let items = match item.data_type() {
        ArrowType::Float64 => {
            let items = list.values().as_primitive::<Float64Type>().values();
            Arc::new(Float64Array::from_iter_values(items.iter().map(|item| stray64(*item)))) as ArrayRef
        }
        _ => Arc::clone(list.values()),
    };
    let pool = concat(&[&items, &garbage])?;
    let first_garbage = items.len() as u32;
    let mut indices = Vec::new();
    let mut lengths = Vec::new();
    for row in 0..list.len() {
        let before = indices.len();
        if list.is_valid(row) {
            let offsets = list.value_offsets();
            indices.extend(offsets[row] as u32..offsets[row + 1] as u32);
        } else {
            indices.extend([first_garbage, first_garbage + 1]);
        }
        lengths.push(indices.len() - before);
    }
    let items = take(&pool, &arrow_array::UInt32Array::from(indices), None)?;
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), OffsetBuffer::from_lengths(lengths), items, nulls)?))
}

fn stray64(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(value.to_bits() | PAYLOAD64) } else { value }
}

fn stray32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(value.to_bits() | PAYLOAD32) } else { value }
}

#[cfg(test)]
mod tests {
    use tandem_core::sample::generate;
    use tandem_core::types::{DataType, Field, ItemType, Signature};

    use super::*;
    use crate::lower::lower;

    /// The boundary makes dirty columns the same as clean ones, byte by byte of what a transform gets.
    #[test]
    fn the_boundary_hides_all_of_it() {
        let types = [
            DataType::Boolean,
            DataType::Int64,
            DataType::Float64,
            DataType::Timestamp,
            DataType::String,
            DataType::Binary,
            DataType::Float32Vector(3),
            DataType::Sequence(ItemType::Int64),
            DataType::Sequence(ItemType::Float64),
            DataType::Sequence(ItemType::String),
        ];
        for nullable in [true, false] {
            let inputs: Vec<_> = types.iter().map(|of| Field::new("x", *of, nullable)).collect();
            let signature = Signature { inputs, outputs: Vec::new(), doc: String::new() };
            let clean = generate(&signature, 1, 200);
            let dirty = dirty(&clean).unwrap();
            for ((field, clean), dirty) in signature.inputs.iter().zip(clean.columns()).zip(dirty.columns()) {
                let name = field.data_type;
                assert_eq!(clean.null_count(), dirty.null_count(), "{name}");
                assert!(dirty.nulls().is_some_and(|nulls| nulls.offset() > 0), "{name}: validity, from a bit on");
                let bytes = |array| format!("{:?}", lower(field, array).unwrap().borrow());
                assert_eq!(bytes(clean), bytes(dirty), "{name}");
            }
            let nans = |batch: &RecordBatch| {
                let reals = batch.column(2).as_primitive::<Float64Type>();
                (0..200)
                    .filter(|row| reals.is_valid(*row) && reals.value(*row).is_nan())
                    .map(|row| reals.value(row).to_bits())
                    .max()
            };
            assert_ne!(nans(&clean), nans(&dirty), "there was dirt");
        }
    }
}
