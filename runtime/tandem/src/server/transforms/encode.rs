//! What comes of a transform, to JSON or Arrow.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType as ArrowType, Field as ArrowField, Schema};
use tandem_core::json::{ColumnWriter, JsonError};
use tandem_core::model::BoundView;
use tandem_core::status::Status;
use tandem_engine::{Outcome, RowFailure};

use crate::server::arrow::write;
use crate::server::json::Form;

/// Column with each row's failure, null where there is none. It is the last one, so that an output of the same name would still be told apart.
const ERROR_COLUMN: &str = "__error";

/// Bytes that a value is thought to take when room is made.
const VALUE_BYTES: usize = 16;

/// The answer as JSON, in the form of the request.
pub(super) fn json(bound: &BoundView, outcome: &Outcome, form: Form) -> Result<Vec<u8>, JsonError> {
    let outputs = &bound.signature.outputs;
    let writers = std::iter::zip(outputs, outcome.outputs.columns())
        .map(|(field, array)| Ok((field.name.as_str(), ColumnWriter::new(array, field.data_type)?)))
        .collect::<Result<Vec<_>, JsonError>>()?;
    let rows = outcome.outputs.num_rows();
    let mut out = Vec::with_capacity(256 + rows * outputs.len() * VALUE_BYTES);
    out.extend_from_slice(b"{\"view\":");
    write_string(&bound.view.name, &mut out);
    let (version, digest) = (bound.view.version, bound.digest);
    out.extend_from_slice(format!(",\"version\":{version},\"digest\":\"{digest}\",").as_bytes());
    match form {
        Form::Rows => write_rows(&writers, rows, &outcome.failures, &mut out),
        Form::Columns => write_columns(&writers, rows, &mut out),
    }
    write_failures(&outcome.failures, &mut out);
    out.push(b'}');
    Ok(out)
}

fn write_rows(writers: &[(&str, ColumnWriter)], rows: usize, failures: &[RowFailure], out: &mut Vec<u8>) {
    let mut failed = failures.iter().map(|failure| failure.row).peekable();
    // The names need no escapes: they are identifiers.
    let keys: Vec<String> = writers.iter().map(|(name, _)| format!("\"{name}\":")).collect();
    out.extend_from_slice(b"\"rows\":[");
    for row in 0..rows {
        separate(row, out);
        if failed.next_if_eq(&row).is_some() {
            out.extend_from_slice(b"null");
            continue;
        }
        out.push(b'{');
        for (index, (key, (_, writer))) in std::iter::zip(&keys, writers).enumerate() {
            separate(index, out);
            out.extend_from_slice(key.as_bytes());
            writer.write(row, out);
        }
        out.push(b'}');
    }
    out.push(b']');
}

fn write_columns(writers: &[(&str, ColumnWriter)], rows: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"columns\":{");
    for (index, (name, writer)) in writers.iter().enumerate() {
        separate(index, out);
        out.extend_from_slice(format!("\"{name}\":[").as_bytes());
        for row in 0..rows {
            separate(row, out);
            writer.write(row, out);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn write_failures(failures: &[RowFailure], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"failed_rows\":[");
    for (index, failure) in failures.iter().enumerate() {
        separate(index, out);
        let status = Status::TransformError;
        out.extend_from_slice(format!("{{\"row\":{},\"status\":\"{status}\",\"message\":", failure.row).as_bytes());
        write_string(&failure.message, out);
        out.push(b'}');
    }
    out.push(b']');
}

/// A comma before all but the first.
pub(in crate::server) fn separate(index: usize, out: &mut Vec<u8>) {
    if index > 0 {
        out.push(b',');
    }
}

/// An array of so many items.
pub(in crate::server) fn write_list(items: usize, out: &mut Vec<u8>, write: impl Fn(usize, &mut Vec<u8>)) {
    out.push(b'[');
    for item in 0..items {
        separate(item, out);
        write(item, out);
    }
    out.push(b']');
}

/// A string, escaped.
pub(in crate::server) fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("writing to memory does not fail");
}

/// The answer as an Arrow IPC stream: the outputs, and [`ERROR_COLUMN`].
pub(super) fn arrow(bound: &BoundView, outcome: &Outcome) -> Result<Vec<u8>, ArrowError> {
    let mut errors = vec![None; outcome.outputs.num_rows()];
    for failure in &outcome.failures {
        errors[failure.row] = Some(failure.message.as_str());
    }
    let metadata = HashMap::from([
        ("tandem.view".to_owned(), bound.view.name.clone()),
        ("tandem.version".to_owned(), bound.view.version.to_string()),
        ("tandem.digest".to_owned(), bound.digest.to_string()),
    ]);
    let mut fields: Vec<_> = outcome.outputs.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(ArrowField::new(ERROR_COLUMN, ArrowType::Utf8, true)));
    let mut columns: Vec<ArrayRef> = outcome.outputs.columns().to_vec();
    columns.push(Arc::new(StringArray::from(errors)));
    write(&RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, metadata)), columns)?)
}
