//! Golden vectors: sample rows and the bits that they came to, kept beside a version, so that a later engine can be held against them.
//!
//! Bytes: `TNDMGOLD`, format version (u32, little-endian), SHA-256 of what follows (32 bytes), an Arrow IPC stream with one batch. Its columns
//! are `input.NAME` for each input, `output.NAME` for each output, and `failure`, the message of a row that the transform failed. Its schema's
//! metadata names the component (`digest`) and what computed it (`fingerprint`).
//!
//! Rows whose call traps or crosses a limit are left out: when that happens may change with the engine.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType as ArrowType, Field, Schema};
use tandem_core::hash::Digest;
use tandem_core::sample::Cell;
use tandem_core::types::DataType;

use super::VerifyOptions;
use super::plan::{RowResult, taken};
use super::report::Mismatch;
use super::sample::{Sample, compute_alone, gather};
use crate::error::EngineError;
use crate::transform::Transform;

const MAGIC: &[u8; 8] = b"TNDMGOLD";

/// Version of the layout above.
pub const FORMAT_VERSION: u32 = 1;

const HEADER_BYTES: usize = 8 + 4 + 32;
const FAILURE: &str = "failure";

/// What came of a replay.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Rows that were computed again.
    pub rows: u64,
    /// Their outputs.
    pub values: u64,
    /// Contract, engine, flags and target that computed the recorded bits.
    pub recorded_by: String,
    /// Rows that came to something else.
    pub different: u64,
    /// The first of them.
    pub difference: Option<GoldenDifference>,
}

/// A row that came to something else.
#[derive(Debug, Clone)]
pub struct GoldenDifference {
    /// Its number among the recorded rows.
    pub row: usize,
    /// Its inputs: a batch of one row.
    pub inputs: RecordBatch,
    /// What is different: `alone` was recorded, `here` is what it comes to now.
    pub mismatch: Mismatch,
}

/// Computes sample rows, each alone in a fresh instance, and gives them with their bits. The rows are those of [`super::verify()`] with the same
/// `given` and options. Blocking; user code runs on this thread.
///
/// # Errors
///
/// Given rows that do not fit the signature, no instance to be had.
pub fn record(
    transform: &Transform,
    given: Option<&RecordBatch>,
    options: &VerifyOptions,
) -> Result<Vec<u8>, EngineError> {
    let sample = Sample::compute(transform, gather(transform, given, options)?, options)?;
    let sound = sample.sound();
    let inputs = taken(&sample.inputs, &sound)?;
    let results: Vec<&RowResult> = sound.iter().map(|row| &sample.alone[*row]).collect();
    let signature = transform.signature();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in std::iter::zip(&signature.inputs, inputs.columns()) {
        fields.push(Field::new(format!("input.{}", field.name), field.data_type.to_arrow(), true));
        columns.push(Arc::clone(column));
    }
    for (index, field) in signature.outputs.iter().enumerate() {
        fields.push(Field::new(format!("output.{}", field.name), field.data_type.to_arrow(), true));
        columns.push(Cell::column(field.data_type, results.iter().map(|result| &result.values[index])));
    }
    fields.push(Field::new(FAILURE, ArrowType::Utf8, true));
    columns.push(Arc::new(StringArray::from_iter(results.iter().map(|result| result.failure.as_deref()))));
    let metadata = HashMap::from([
        ("digest".to_owned(), transform.digest().to_string()),
        ("fingerprint".to_owned(), transform.fingerprint()),
    ]);
    let schema = Arc::new(Schema::new(fields).with_metadata(metadata));
    let options = RecordBatchOptions::new().with_row_count(Some(results.len()));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options).map_err(arrow_error)?;
    let mut stream = StreamWriter::try_new(Vec::new(), &schema).map_err(arrow_error)?;
    stream.write(&batch).map_err(arrow_error)?;
    let body = stream.into_inner().map_err(arrow_error)?;
    Ok([&MAGIC[..], &FORMAT_VERSION.to_le_bytes(), &Digest::of(&body).0, &body].concat())
}

/// Computes recorded rows again and compares bits. Blocking; user code runs on this thread.
///
/// # Errors
///
/// Bytes that are damaged, of another version, or of another component or signature; no instance to be had. A difference is no error.
pub fn replay(transform: &Transform, golden: &[u8]) -> Result<Replay, EngineError> {
    let batch = read(golden)?;
    let metadata = |key: &str| batch.schema_ref().metadata().get(key).cloned().unwrap_or_default();
    let (digest, own) = (metadata("digest"), transform.digest().to_string());
    if digest != own {
        return Err(refuse(format!("they are those of the component {digest}, and this is {own}")));
    }
    let signature = transform.signature();
    let column = |name: String, data_type: DataType| {
        let found = batch.column_by_name(&name).filter(|column| *column.data_type() == data_type.to_arrow());
        found
            .cloned()
            .ok_or_else(|| refuse(format!("they have no column `{name}` of {data_type}; were the parameters others?")))
    };
    let inputs = signature.inputs.iter().map(|field| column(format!("input.{}", field.name), field.data_type));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let outputs = signature.outputs.iter().map(|field| column(format!("output.{}", field.name), field.data_type));
    let outputs = outputs.collect::<Result<Vec<_>, _>>()?;
    let failures = column(FAILURE.to_owned(), DataType::String)?;
    let failures = failures.as_string::<i32>();

    let rows = batch.num_rows();
    let fields: Vec<_> = signature.inputs.iter().map(|field| field.to_arrow().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let inputs =
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), inputs, &options).map_err(arrow_error)?;
    let (mut different, mut difference) = (0, None);
    for row in 0..rows {
        let failure = failures.is_valid(row).then(|| failures.value(row).to_owned());
        let recorded = RowResult::recorded(&outputs, row, failure);
        if let Some(mismatch) = recorded.mismatch(&compute_alone(transform, &inputs, row)?) {
            different += 1;
            difference.get_or_insert_with(|| GoldenDifference { row, inputs: inputs.slice(row, 1), mismatch });
        }
    }
    let rows = rows as u64;
    let values = rows * signature.outputs.len() as u64;
    Ok(Replay { rows, values, recorded_by: metadata("fingerprint"), different, difference })
}

fn read(golden: &[u8]) -> Result<RecordBatch, EngineError> {
    if golden.len() < HEADER_BYTES || golden[..8] != *MAGIC {
        return Err(refuse("they do not begin as such".to_owned()));
    }
    let (head, body) = golden.split_at(HEADER_BYTES);
    if head[8..12] != FORMAT_VERSION.to_le_bytes() {
        let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
        return Err(refuse(format!("they have format version {version}, and this program reads {FORMAT_VERSION}")));
    }
    if head[12..] != Digest::of(body).0 {
        return Err(refuse("they are damaged: their checksum does not match".to_owned()));
    }
    let mut reader = StreamReader::try_new(Cursor::new(body), None).map_err(arrow_error)?;
    reader.next().ok_or_else(|| refuse("they hold no rows".to_owned()))?.map_err(arrow_error)
}

fn refuse(reason: String) -> EngineError {
    EngineError::Golden(reason)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn arrow_error(error: arrow_schema::ArrowError) -> EngineError {
    EngineError::Arrow(error.to_string())
}
