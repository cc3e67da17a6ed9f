//! Columns and rows, put together and looked at.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};
use arrow_select::filter::filter_record_batch;
use datafusion::error::DataFusionError;
use tandem_core::canonical::{CanonicalError, RowEncoder, decode_rows};

use crate::error::OfflineError;

/// The column with every NaN in its one form, as a transform's outputs have it.
pub(super) fn one_nan(column: &ArrayRef, field: &tandem_core::types::Field) -> Result<ArrayRef, OfflineError> {
    let items = match (column.as_fixed_size_list_opt(), column.as_list_opt::<i32>()) {
        (Some(vectors), _) => vectors.values(),
        (None, Some(sequences)) => sequences.values(),
        (None, None) => column,
    };
    let wide = items.as_primitive_opt::<Float64Type>().map(|floats| floats.values().iter().any(|float| float.is_nan()));
    let narrow =
        items.as_primitive_opt::<Float32Type>().map(|floats| floats.values().iter().any(|float| float.is_nan()));
    if !wide.or(narrow).unwrap_or(false) {
        return Ok(Arc::clone(column));
    }
    let external = |error: CanonicalError| DataFusionError::External(Box::new(error));
    let encoder = RowEncoder::new(std::slice::from_ref(column)).map_err(external)?;
    let encode = |row| {
        let mut bytes = Vec::new();
        encoder.encode(row, &mut bytes);
        bytes
    };
    let rows: Vec<Vec<u8>> = (0..column.len()).map(encode).collect();
    let decoded = decode_rows(std::slice::from_ref(field), rows.iter().map(|row| Some(&row[..]))).map_err(external)?;
    Ok(Arc::clone(&decoded[0]))
}

pub(super) fn is_null_or_nan(key: &ArrayRef, row: usize) -> bool {
    key.is_null(row) || key.as_primitive_opt::<Float64Type>().is_some_and(|floats| floats.value(row).is_nan())
}

/// The rows for which `wanted` holds; `all` spares the copy where it holds for every row.
pub(super) fn keep(
    batch: &RecordBatch,
    wanted: impl Fn(usize) -> bool,
    all: bool,
) -> Result<RecordBatch, OfflineError> {
    if all {
        return Ok(batch.clone());
    }
    let mask: BooleanArray = (0..batch.num_rows()).map(|row| Some(wanted(row))).collect();
    filter_record_batch(batch, &mask).map_err(arrow)
}

pub(super) fn record_batch(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, OfflineError> {
    // A transform may have no inputs at all: the number of rows is said, not inferred.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(arrow)
}

pub(super) fn arrow(error: ArrowError) -> OfflineError {
    OfflineError::DataFusion(DataFusionError::from(error))
}
