//! An Arrow IPC stream to columns, and columns to one.
//!
//! The stream comes from anybody. Before Arrow's reader sees it, [`frames`] walks over its messages: their lengths must
//! lie within the body, and nothing may be compressed, so that no number in the stream decides how much memory is taken.

mod expansion;
mod frames;

use std::collections::HashSet;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use arrow_select::concat::concat;
use tandem_core::types::Field;
use tandem_engine::convert::{ConvertError, to_declared};

use super::body::Bounds;
use super::names;
use super::problem::{Kind, Problem};

/// What a field of a stream takes beside its values, roughly.
const STREAM_BYTES: usize = 512;

/// What a stream may have.
pub(super) struct Taken<'a> {
    /// The columns, by name, with the types that they are converted to.
    pub(super) fields: &'a [Field],
    /// What they are, for messages: "inputs".
    pub(super) things: &'static str,
    pub(super) bounds: Bounds,
}

/// A stream, read.
#[derive(Debug)]
pub(super) struct Columns {
    /// In the order of [`Taken::fields`]; None where the stream has no such column.
    pub(super) columns: Vec<Option<ArrayRef>>,
    pub(super) rows: usize,
}

/// Reads a stream whose columns are matched by name. `check` is asked once schema and number of rows are known, before any column is made. A
/// panic of Arrow's reader is a malformed stream.
pub(super) fn read(
    body: &[u8],
    taken: &Taken<'_>,
    check: impl FnOnce(&Schema, usize) -> Result<(), Problem>,
) -> Result<Columns, Problem> {
    guarded(|| {
        let (schema, batches, rows) = batches(body, taken, check)?;
        let column = |field: &Field| match schema.column_with_name(&field.name) {
            Some((index, _)) => column(field, index, &batches).map(Some),
            None => Ok(None),
        };
        Ok(Columns { columns: taken.fields.iter().map(column).collect::<Result<_, _>>()?, rows })
    })
}

/// A panic of Arrow's reader is a malformed stream.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(malformed("its buffers are not those of its schema")))
}

/// As [`read`], with the columns as they came; to be called by [`guarded`].
pub(super) fn batches(
    body: &[u8],
    taken: &Taken<'_>,
    check: impl FnOnce(&Schema, usize) -> Result<(), Problem>,
) -> Result<(SchemaRef, Vec<RecordBatch>, usize), Problem> {
    frames::check(body, taken.bounds.rows_max)?;
    let broken = |error: ArrowError| malformed(&error.to_string());
    let reader = StreamReader::try_new(Cursor::new(body), None).map_err(broken)?;
    let schema = reader.schema();
    check_schema(&schema, taken)?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    check(&schema, rows)?;
    check_unpacked(&batches, taken.bounds)?;
    Ok((schema, batches, rows))
}

/// A batch as a stream.
pub(super) fn write(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    write_to(Vec::new(), batch)
}

/// The same, into an empty buffer.
pub(super) fn write_to(mut out: Vec<u8>, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    out.reserve(batch.get_array_memory_size() + STREAM_BYTES * (1 + batch.num_columns()));
    let mut writer = StreamWriter::try_new(out, &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}

pub(super) fn malformed(reason: &str) -> Problem {
    Problem::new(Kind::InvalidArrow, format!("the body is not an Arrow IPC stream: {reason}"))
        .hint("send the streaming format (not the file format), uncompressed")
}

fn check_schema(schema: &Schema, taken: &Taken<'_>) -> Result<(), Problem> {
    let known: Vec<&str> = taken.fields.iter().map(|field| field.name.as_str()).collect();
    let things = taken.things;
    let mut seen = HashSet::new();
    for field in schema.fields() {
        let name = field.name().as_str();
        let input = |problem: Problem| problem.with("input", names::cut(name));
        if !known.contains(&name) {
            let problem = Problem::new(Kind::UnknownName, format!("`{}` is none of the {things}", names::cut(name)));
            return Err(input(problem).hint(names::hint(name, things, &known)));
        }
        if !seen.insert(name) {
            return Err(input(Problem::new(Kind::InvalidRequest, format!("the column `{name}` stands twice")))
                .hint("leave one of them out"));
        }
        if !expansion::is_taken(field.data_type()) {
            let detail = format!("the column `{name}` has Arrow's {}, which is not taken over HTTP", field.data_type());
            return Err(input(Problem::new(Kind::InvalidValue, detail)).hint("send the column in a plain type"));
        }
    }
    Ok(())
}

fn check_unpacked(batches: &[RecordBatch], bounds: Bounds) -> Result<(), Problem> {
    let columns = batches.iter().flat_map(RecordBatch::columns);
    let bytes = columns.map(expansion::unpacked_bytes).fold(0, u64::saturating_add);
    if bytes <= bounds.body_bytes_max {
        return Ok(());
    }
    Err(Problem::new(Kind::BodyTooLarge, format!("dictionaries and views unpack to {bytes} bytes"))
        .with("limit", "body_bytes_max")
        .with("max", bounds.body_bytes_max)
        .hint("send fewer rows at once"))
}

/// The column at `index`, in the field's type.
fn column(field: &Field, index: usize, batches: &[RecordBatch]) -> Result<ArrayRef, Problem> {
    let mut first = 0;
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(batches.len());
    for batch in batches {
        let array = to_declared(batch.column(index), &field.name, field.data_type, None)
            .map_err(|error| refused(&error, first))?;
        let null = (!field.nullable).then(|| (0..array.len()).find(|row| array.is_null(*row))).flatten();
        if let Some(row) = null.map(|row| first + row) {
            let detail = format!("`{}`, row {row}: {} expected, found null", field.name, field.data_type);
            let problem = Problem::new(Kind::InvalidValue, detail).at(&field.name, row);
            return Err(problem.hint("the input is not nullable"));
        }
        first += array.len();
        parts.push(array);
    }
    match parts.len() {
        0 => Ok(new_empty_array(&field.data_type.to_arrow())),
        1 => Ok(parts.swap_remove(0)),
        _ => {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat(&parts).map_err(|error| malformed(&error.to_string()))
        }
    }
}

/// The problem of a column that cannot be converted; `first` is the row at which its array starts.
pub(super) fn refused(error: &ConvertError, first: usize) -> Problem {
    let problem = |detail: String, column: &str| Problem::new(Kind::InvalidValue, detail).with("input", column);
    match error {
        ConvertError::Type { column, found, declared, hint } => {
            let problem = problem(format!("`{column}`: {declared} expected, found Arrow's {found}"), column);
            if let Some(hint) = hint.or(error.hint()) { problem.hint(hint) } else { problem }
        }
        ConvertError::Value { column, row, value, reason } => {
            let row = first + row;
            problem(format!("`{column}`, row {row}: {} {reason}", names::cut(value)), column).with("row", row)
        }
        ConvertError::NoZone { column } => problem(format!("`{column}` has timestamps without a time zone"), column)
            .hint("give the column's type a zone"),
        ConvertError::UnknownZone { column, timezone } => {
            problem(format!("`{column}`: the time zone `{}` is not known", names::cut(timezone)), column)
        }
        ConvertError::Arrow { column, reason } => problem(format!("`{column}`: {reason}"), column),
    }
}
