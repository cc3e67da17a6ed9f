//! The answer, as Feast's feature server gives it.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef};
use serde_json::{Value, json};
use tandem_core::feature_plan::{PlannedColumn, Step};
use tandem_core::json::{ColumnWriter, JsonError};
use tandem_core::status::Status;
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, ItemType};

use super::request::Asked;
use crate::server::services::texts::{EventTimes, Texts};
use crate::server::services::vectors::Vectors;
use crate::server::transforms::{separate, write_list, write_string};

/// The time of what has none.
const EPOCH: &[u8] = b"\"1970-01-01T00:00:00Z\"";

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Bytes that a value with its status and time is thought to take.
const VALUE_BYTES: usize = 64;

/// Bytes that the answer will take, roughly.
pub(super) fn estimate(vectors: &Vectors) -> usize {
    256 + vectors.rows * (vectors.service.plan.columns.len() + 1) * VALUE_BYTES
}

/// Join keys come first, as they were given; then stored features, then computed ones.
pub(super) fn json(asked: &Asked, vectors: &Vectors) -> Result<Vec<u8>, JsonError> {
    let plan = &vectors.service.plan;
    let is_key = |name: &str| plan.request.iter().any(|column| column.join_key && column.name == name);
    let keys: Vec<_> = asked.entities.iter().filter(|(name, _)| is_key(name)).collect();
    let (stored, computed): (Vec<usize>, Vec<usize>) =
        (0..plan.columns.len()).partition(|column| matches!(plan.columns[*column].from.step, Step::Stored(_)));
    let features: Vec<usize> = stored.into_iter().chain(computed).collect();

    let mut out = Vec::with_capacity(estimate(vectors));
    out.extend_from_slice(b"{\"metadata\":{\"feature_names\":[");
    let names = keys.iter().map(|(name, _)| name.clone());
    let names = names.chain(features.iter().map(|column| name(asked, vectors, &plan.columns[*column])));
    for (index, name) in names.enumerate() {
        separate(index, &mut out);
        write_string(&name, &mut out);
    }
    out.push(b']');
    if asked.with_versions {
        let mut views: Vec<Value> = Vec::new();
        for column in &plan.columns {
            let view = &plan.view(column.from.step).view;
            let named = json!({ "name": view.name, "version": view.version });
            if !views.contains(&named) {
                views.push(named);
            }
        }
        out.extend_from_slice(b",\"feature_view_metadata\":");
        out.extend_from_slice(Value::Array(views).to_string().as_bytes());
    }
    out.extend_from_slice(b"},\"results\":[");
    for (index, (_, values)) in keys.iter().enumerate() {
        separate(index, &mut out);
        write_key(values, &mut out);
    }
    let write_time = |time: Timestamp, out: &mut Vec<u8>| out.extend_from_slice(format!("\"{time}\"").as_bytes());
    let event_times = EventTimes::new(vectors, EPOCH, write_time);
    for (index, column) in features.iter().enumerate() {
        separate(keys.len() + index, &mut out);
        write_feature(vectors, *column, &event_times, &mut out)?;
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// A service names its features itself; full names hold for both.
fn name(asked: &Asked, vectors: &Vectors, column: &PlannedColumn) -> String {
    if asked.full_feature_names {
        let view = &vectors.service.plan.view(column.from.step).view.name;
        return format!("{view}__{}", column.feature);
    }
    column.name.clone()
}

fn write_key(values: &[Value], out: &mut Vec<u8>) {
    write_member(b"{\"values\":", values.len(), out, |row, out| {
        out.extend_from_slice(values[row].to_string().as_bytes())
    });
    write_member(b",\"statuses\":", values.len(), out, |_, out| out.extend_from_slice(b"\"PRESENT\""));
    write_member(b",\"event_timestamps\":", values.len(), out, |_, out| out.extend_from_slice(EPOCH));
    out.push(b'}');
}

fn write_feature(
    vectors: &Vectors,
    column: usize,
    event_times: &EventTimes,
    out: &mut Vec<u8>,
) -> Result<(), JsonError> {
    let planned = &vectors.service.plan.columns[column];
    let values = Values::new(vectors.values(column), planned.data_type)?;
    let values = Texts::new(vectors.values(column).len(), |place, out| values.write(place, out));
    let rows = vectors.rows;
    let status = |row: usize| status(vectors.status(column, row).status);
    write_member(b"{\"values\":", rows, out, |row, out| {
        out.extend_from_slice(values.get(vectors.place(column, row)));
    });
    write_member(b",\"statuses\":", rows, out, |row, out| {
        out.push(b'"');
        out.extend_from_slice(status(row).as_bytes());
        out.push(b'"');
    });
    write_member(b",\"event_timestamps\":", rows, out, |row, out| {
        out.extend_from_slice(event_times.get(vectors, column, row));
    });
    out.push(b'}');
    Ok(())
}

fn write_member(key: &[u8], rows: usize, out: &mut Vec<u8>, write: impl Fn(usize, &mut Vec<u8>)) {
    out.extend_from_slice(key);
    write_list(rows, out, write);
}

/// Feast knows four statuses. A failure of a feature that its service requires never comes here: the request failed.
pub(super) fn status(status: Status) -> &'static str {
    match status {
        // A default stands in as the value, and what is stale is served.
        Status::Present | Status::Stale | Status::Defaulted => "PRESENT",
        Status::NullValue => "NULL_VALUE",
        Status::OutsideMaxAge => "OUTSIDE_MAX_AGE",
        Status::NotFound | Status::TransformError | Status::DeadlineExceeded | Status::Corrupt => "NOT_FOUND",
    }
}

/// A column as Feast writes its values: timestamps are whole seconds since the epoch, and a float is never an integer, since clients guess its type.
pub(super) struct Values {
    writer: ColumnWriter,
    kind: Written,
    array: ArrayRef,
}

enum Written {
    Plain,
    Floats,
    Seconds,
}

impl Values {
    pub(super) fn new(array: &ArrayRef, data_type: DataType) -> Result<Values, JsonError> {
        let kind = match data_type {
            DataType::Float64 | DataType::Float32Vector(_) | DataType::Sequence(ItemType::Float64) => Written::Floats,
            DataType::Timestamp => Written::Seconds,
            _ => Written::Plain,
        };
        Ok(Values { writer: ColumnWriter::new(array, data_type)?, kind, array: array.clone() })
    }

    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self.kind {
            Written::Seconds if self.array.is_valid(row) => {
                write_seconds(self.array.as_primitive::<TimestampMicrosecondType>().value(row), out);
            }
            Written::Floats => {
                let start = out.len();
                self.writer.write(row, out);
                mark_floats(start, out);
            }
            _ => self.writer.write(row, out),
        }
    }
}

fn write_seconds(micros: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(Timestamp(micros).0.div_euclid(MICROS_PER_SECOND).to_string().as_bytes());
}

/// Writes `.0` behind each number from `start` on that reads like an integer. There are no strings but those of NaN and infinities.
fn mark_floats(start: usize, out: &mut Vec<u8>) {
    let written = out.split_off(start);
    for (index, token) in written.split(|byte| *byte == b',').enumerate() {
        separate(index, out);
        let digits = token.iter().rposition(u8::is_ascii_digit);
        let integer = |token: &[u8]| token.iter().all(|byte| byte.is_ascii_digit() || b"-[]".contains(byte));
        match digits.filter(|_| integer(token)) {
            Some(last) => {
                out.extend_from_slice(&token[..=last]);
                out.extend_from_slice(b".0");
                out.extend_from_slice(&token[last + 1..]);
            }
            None => out.extend_from_slice(token),
        }
    }
}
