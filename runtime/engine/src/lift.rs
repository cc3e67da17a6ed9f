//! What a call gives back, checked and turned into Arrow. Nothing is believed: row count, variants, offsets, UTF-8,
//! validity, promises of no nulls; each violation is told with its numbers.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray,
    StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType as ArrowType;
use tandem_core::limits::TransformLimits;
use tandem_core::types::{DataType, Field, ItemType};

use crate::bindings::tandem::feature::{columns as wit, outcomes};
use crate::bits::pack;
use crate::call::CallError;
use crate::clean::{canonical_nans, compact, zeroed};
use crate::instance::bounded_message;
use crate::transform::{Fault, RowFailure};

/// The columns of an outcome, each with `rows` rows, null where a row failed; and the failed rows.
pub(crate) fn lift(
    outcome: outcomes::Outcome,
    outputs: &[Field],
    rows: usize,
    limits: &TransformLimits,
) -> Result<(Vec<ArrayRef>, Vec<RowFailure>), CallError> {
    if outcome.columns.len() != outputs.len() {
        return Err(violation(format!(
            "the signature has {} outputs, the answer {} columns",
            outputs.len(),
            outcome.columns.len()
        )));
    }
    let failures = lift_failures(outcome.failed_rows, rows, limits)?;
    let columns = std::iter::zip(outcome.columns, outputs)
        .map(|(column, field)| {
            lift_column(column, field, rows, &failures)
                .map_err(|what| violation(format!("output `{}`: {what}", field.name)))
        })
        .collect::<Result<_, _>>()?;
    Ok((columns, failures))
}

/// A column with one value for each row.
pub(crate) fn lift_one(column: wit::ColumnResult, field: &Field, rows: usize) -> Result<ArrayRef, CallError> {
    lift_column(column, field, rows, &[]).map_err(|what| violation(format!("output `{}`: {what}", field.name)))
}

fn violation(what: String) -> CallError {
    CallError::Violation(what)
}

fn lift_failures(
    failed: Vec<outcomes::RowFailure>,
    rows: usize,
    limits: &TransformLimits,
) -> Result<Vec<RowFailure>, CallError> {
    let mut failures = Vec::<RowFailure>::with_capacity(failed.len());
    for failure in failed {
        let row = failure.row as usize;
        if row >= rows {
            return Err(violation(format!("failed row {row} of {rows} rows")));
        }
        if failures.last().is_some_and(|last| last.row >= row) {
            return Err(violation(format!("failed row {row} is listed out of order or twice")));
        }
        failures.push(RowFailure { row, message: bounded_message(failure.message, limits), fault: Fault::Row });
    }
    Ok(failures)
}

fn lift_column(
    column: wit::ColumnResult,
    field: &Field,
    rows: usize,
    failures: &[RowFailure],
) -> Result<ArrayRef, String> {
    let nulls = lift_validity(column.validity, field, rows, failures)?;
    lift_values(column.values, field.data_type, rows, nulls)
}

fn lift_validity(
    validity: Option<Vec<u8>>,
    field: &Field,
    rows: usize,
    failures: &[RowFailure],
) -> Result<Option<NullBuffer>, String> {
    let given = match validity {
        None => None,
        Some(bytes) if bytes.len() != rows.div_ceil(8) => {
            return Err(format!("{} bytes of validity for {rows} rows, not {}", bytes.len(), rows.div_ceil(8)));
        }
        Some(bytes) => Some(BooleanBuffer::new(Buffer::from_vec(bytes), 0, rows)),
    };
    if let Some(valid) = given.as_ref().filter(|_| !field.nullable) {
        let failed = |row: &usize| failures.binary_search_by_key(row, |failure| failure.row).is_ok();
        if let Some(row) = (0..rows).find(|row| !valid.value(*row) && !failed(row)) {
            return Err(format!("row {row} is null, and the signature promises that no row is"));
        }
    }
    let valid = if failures.is_empty() {
        given
    } else {
        let mut bits: Vec<bool> = given.map_or_else(|| vec![true; rows], |given| given.iter().collect());
        failures.iter().for_each(|failure| bits[failure.row] = false);
        Some(BooleanBuffer::from(bits))
    };
    Ok(valid.map(NullBuffer::new).filter(|nulls| nulls.null_count() > 0))
}

fn lift_values(
    values: wit::ValuesResult,
    declared: DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, String> {
    use wit::ValuesResult as From;
    let count = |found: usize| {
        if found == rows { Ok(()) } else { Err(format!("{found} rows, not the {rows} that were given")) }
    };
    Ok(match (values, declared) {
        (From::Booleans(bytes), DataType::Boolean) => {
            count(bytes.len())?;
            let other = bytes.iter().fold(false, |other, byte| other | (*byte > 1));
            if other && let Some(row) = bytes.iter().position(|byte| *byte > 1) {
                return Err(format!("the boolean in row {row} is {}, not 0 or 1", bytes[row]));
            }
            let bits = pack(&bytes);
            let bits = nulls.as_ref().map_or_else(|| bits.clone(), |nulls| &bits & nulls.inner());
            Arc::new(BooleanArray::new(bits, nulls))
        }
        (From::Int64s(values), DataType::Int64) => {
            count(values.len())?;
            Arc::new(Int64Array::new(zeroed(values.into(), 1, nulls.as_ref()), nulls))
        }
        (From::Timestamps(values), DataType::Timestamp) => {
            count(values.len())?;
            let array = TimestampMicrosecondArray::new(zeroed(values.into(), 1, nulls.as_ref()), nulls);
            Arc::new(array.with_timezone("UTC"))
        }
        (From::Float64s(values), DataType::Float64) => {
            count(values.len())?;
            Arc::new(Float64Array::new(canonical_nans(zeroed(values.into(), 1, nulls.as_ref())), nulls))
        }
        (From::Strings(bytes), DataType::String) => {
            count(bytes.offsets.len().saturating_sub(1))?;
            Arc::new(strings(bytes, nulls)?)
        }
        (From::Binaries(bytes), DataType::Binary) => {
            count(bytes.offsets.len().saturating_sub(1))?;
            let (offsets, data) = var_bytes(bytes, nulls.as_ref())?;
            Arc::new(BinaryArray::try_new(offsets, data, nulls).map_err(|error| error.to_string())?)
        }
        (From::Float32Vectors(vectors), DataType::Float32Vector(width)) => {
            if vectors.width != width {
                return Err(format!("vectors of width {}, declared are {width}", vectors.width));
            }
            let expected = rows * width as usize;
            if vectors.data.len() != expected {
                return Err(format!(
                    "{} values for {rows} vectors of width {width}, not {expected}",
                    vectors.data.len()
                ));
            }
            let data = canonical_nans(zeroed(vectors.data.into(), width as usize, nulls.as_ref()));
            let ArrowType::FixedSizeList(item, width) = declared.to_arrow() else { unreachable!("a vector's type") };
            Arc::new(FixedSizeListArray::new(item, width, Arc::new(Float32Array::new(data, None)), nulls))
        }
        (From::Sequences(sequences), DataType::Sequence(item)) => {
            count(sequences.offsets.len().saturating_sub(1))?;
            let items: ArrayRef = match (sequences.items, item) {
                (wit::ItemsResult::Int64s(values), ItemType::Int64) => Arc::new(Int64Array::from(values)),
                (wit::ItemsResult::Float64s(values), ItemType::Float64) => {
                    Arc::new(Float64Array::new(canonical_nans(values.into()), None))
                }
                (wit::ItemsResult::Strings(bytes), ItemType::String) => {
                    Arc::new(strings(bytes, None).map_err(|what| format!("items: {what}"))?)
                }
                (_, item) => return Err(format!("items of another type than the declared {item}")),
            };
            let offsets = check_offsets(sequences.offsets, items.len(), "items")?;
            let compacted = compact(offsets, nulls.as_ref());
            let items = compacted.kept.items(&items);
            let ArrowType::List(field) = declared.to_arrow() else { unreachable!("a sequence's type") };
            Arc::new(ListArray::new(field, signed(compacted.offsets), items, nulls))
        }
        (values, declared) => {
            return Err(format!("the answer is a column of {}, declared is {declared}", name(&values)));
        }
    })
}

fn strings(bytes: wit::VarBytesResult, nulls: Option<NullBuffer>) -> Result<StringArray, String> {
    if nulls.is_some() {
        // Before null rows are taken out, so that what is told does not depend on them.
        check_text(&bytes.offsets, &bytes.data)?;
    }
    let (offsets, data) = var_bytes(bytes, nulls.as_ref())?;
    // Arrow checks the text itself, and is not told to trust: reading it here too would cost as much again.
    StringArray::try_new(offsets.clone(), data.clone(), nulls).map_err(|error| {
        let told = check_text(offsets.inner().inner().typed_data(), &data).err();
        told.unwrap_or_else(|| error.to_string())
    })
}

/// Tells what of strings is not text. The offsets are checked to be in order.
fn check_text(offsets: &[u32], data: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(data)
        .map_err(|error| format!("byte {} of the strings is not UTF-8", error.valid_up_to()))?;
    let inside = |offset: &u32| (*offset as usize) < text.len() && !text.is_char_boundary(*offset as usize);
    match offsets.iter().position(inside) {
        Some(row) => Err(format!("offset {row} of the strings, {}, lies inside a character", offsets[row])),
        None => Ok(()),
    }
}

fn var_bytes(bytes: wit::VarBytesResult, nulls: Option<&NullBuffer>) -> Result<(OffsetBuffer<i32>, Buffer), String> {
    let offsets = check_offsets(bytes.offsets, bytes.data.len(), "bytes")?;
    let compacted = compact(offsets, nulls);
    let data = compacted.kept.bytes(&Buffer::from_vec(bytes.data));
    Ok((signed(compacted.offsets), data))
}

fn check_offsets(offsets: Vec<u32>, length: usize, unit: &str) -> Result<ScalarBuffer<u32>, String> {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return Err("no offsets; n rows have n + 1".to_owned());
    };
    if *first != 0 {
        return Err(format!("the first offset is {first}, not 0"));
    }
    // No early exit, so that the loop is vectorised.
    let decreases = std::iter::zip(&offsets, &offsets[1..]).fold(false, |found, (start, end)| found | (start > end));
    if decreases && let Some(row) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        return Err(format!("offsets decrease after row {row}: {} to {}", offsets[row], offsets[row + 1]));
    }
    if *last as usize != length {
        return Err(format!("the last offset is {last}, there are {length} {unit}"));
    }
    if i32::try_from(*last).is_err() {
        return Err(format!("{last} {unit} in one column; at most {} can be held", i32::MAX));
    }
    Ok(ScalarBuffer::from(offsets))
}

/// Offsets that are checked to fit.
fn signed(offsets: ScalarBuffer<u32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(offsets.into_inner()))
}

fn name(values: &wit::ValuesResult) -> &'static str {
    use wit::ValuesResult as From;
    match values {
        From::Booleans(_) => "booleans",
        From::Int64s(_) => "int64s",
        From::Float64s(_) => "float64s",
        From::Timestamps(_) => "timestamps",
        From::Strings(_) => "strings",
        From::Binaries(_) => "binaries",
        From::Float32Vectors(_) => "float32-vectors",
        From::Sequences(_) => "sequences",
    }
}
