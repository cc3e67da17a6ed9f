//! An Arrow IPC stream to the inputs of a transform.
//!
//! The stream comes from anybody. Before Arrow's reader sees it, [`frames`] walks over its messages: their lengths must
//! lie within the body, and nothing may be compressed, so that no number in the stream decides how much memory is taken.

mod frames;

use std::collections::HashSet;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::{Array, ArrayRef, RecordBatch, new_empty_array};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, Schema};
use arrow_select::concat::concat;
use tandem_core::types::Field;
use tandem_engine::convert::{ConvertError, to_declared};

use super::plan::{AsOf, InputPlan};
use super::{Bounds, Decoded, expansion};
use crate::server::as_of::Clock;
use crate::server::json::Form;
use crate::server::names;
use crate::server::problem::{Kind, Problem};

/// As [`decode`]; a panic of Arrow's reader is a malformed stream.
pub(super) fn decode_guarded(body: &[u8], plan: &InputPlan, clock: Clock, bounds: Bounds) -> Result<Decoded, Problem> {
    catch_unwind(AssertUnwindSafe(|| decode(body, plan, clock, bounds)))
        .unwrap_or_else(|_| Err(malformed("its buffers are not those of its schema")))
}

/// Decodes a stream whose columns are matched by name.
fn decode(body: &[u8], plan: &InputPlan, clock: Clock, bounds: Bounds) -> Result<Decoded, Problem> {
    frames::check(body, bounds.rows_max)?;
    let broken = |error: ArrowError| malformed(&error.to_string());
    let reader = StreamReader::try_new(Cursor::new(body), None).map_err(broken)?;
    check_schema(&reader.schema(), plan)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(broken)?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    plan.check_vectors(rows, bounds)?;
    check_unpacked(&batches, bounds)?;

    let columns = plan.columns().iter().map(|field| match schema.column_with_name(&field.name) {
        Some((index, _)) => column(field, index, &batches),
        None => InputPlan::absent(field, rows),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let own = plan.given.last().and_then(|field| Some((field, schema.column_with_name(&field.name)?.0)));
    let (as_of, instant) = match own {
        Some((field, index)) => {
            clock.check_replay()?;
            (AsOf::Column(column(field, index, &batches)?), None)
        }
        None => (AsOf::Instant(clock.now), Some(clock.now)),
    };
    Ok(Decoded { inputs: plan.batch(columns, &as_of, rows)?, form: Form::Columns, as_of: instant })
}

fn malformed(reason: &str) -> Problem {
    Problem::new(Kind::InvalidArrow, format!("the body is not an Arrow IPC stream: {reason}"))
        .hint("send the streaming format (not the file format), uncompressed")
}

fn check_schema(schema: &Schema, plan: &InputPlan) -> Result<(), Problem> {
    let known = plan.names();
    let mut seen = HashSet::new();
    for field in schema.fields() {
        let name = field.name().as_str();
        let input = |problem: Problem| problem.with("input", names::cut(name));
        if !known.contains(&name) {
            let problem = Problem::new(Kind::UnknownName, format!("`{}` is none of the inputs", names::cut(name)));
            return Err(input(problem).hint(names::hint(name, "inputs", &known)));
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
fn refused(error: &ConvertError, first: usize) -> Problem {
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
