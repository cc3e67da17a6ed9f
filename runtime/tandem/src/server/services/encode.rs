//! The answer of a feature service: values, statuses and event times by feature, in the order of the service.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType as ArrowType, Field as ArrowField, Schema, TimeUnit};
use tandem_core::feature_plan::Step;
use tandem_core::json::{ColumnWriter, JsonError};
use tandem_core::status::FeatureStatus;

use super::Service;
use super::texts::{EventTimes, Texts};
use super::vectors::Vectors;
use crate::server::arrow;
use crate::server::features::write_timestamp;
use crate::server::json::Form;
use crate::server::transforms::{separate, write_list, write_string};

/// Column of an Arrow answer with what failed of a row, null where nothing did.
const ERROR_COLUMN: &str = "__error";

/// Bytes that a value with its status and time is thought to take.
const VALUE_BYTES: usize = 96;

/// Bytes that the answer will take, roughly.
pub(in crate::server) fn estimate(service: &Service, rows: usize) -> usize {
    256 + service.described.len() + rows * service.plan.columns.len() * VALUE_BYTES
}

/// What is written, with everything that stands in it several times as text.
struct Written<'a> {
    vectors: &'a Vectors,
    columns: Vec<Column<'a>>,
    event_times: EventTimes,
}

/// A feature, as it is written.
struct Column<'a> {
    /// `"name":`
    key: &'a str,
    values: Values,
}

/// A feature's values, by place.
enum Values {
    /// Each stands in one row.
    Once(ColumnWriter),
    /// Some stand in several.
    Texts(Texts),
}

impl<'a> Written<'a> {
    fn new(vectors: &'a Vectors) -> Result<Self, JsonError> {
        let columns = vectors.service.plan.columns.iter().enumerate().map(|(index, column)| {
            let values = vectors.values(index);
            let writer = ColumnWriter::new(values, column.data_type)?;
            let values = match vectors.are_spread(index) {
                true => Values::Texts(Texts::new(values.len(), |place, out| writer.write(place, out))),
                false => Values::Once(writer),
            };
            Ok(Column { key: &vectors.service.keys[index], values })
        });
        let event_times = EventTimes::new(vectors, b"null", |time, out| write_timestamp(Some(time), out));
        Ok(Written { vectors, columns: columns.collect::<Result<_, JsonError>>()?, event_times })
    }

    /// `"name":…` of all features of a row.
    fn members(&self, row: usize, out: &mut Vec<u8>, write: impl Fn(&Self, usize, usize, &mut Vec<u8>)) {
        for (index, Column { key, .. }) in self.columns.iter().enumerate() {
            separate(index, out);
            out.extend_from_slice(key.as_bytes());
            write(self, index, row, out);
        }
    }

    fn value(&self, index: usize, row: usize, out: &mut Vec<u8>) {
        let place = self.vectors.place(index, row);
        match &self.columns[index].values {
            Values::Once(writer) => writer.write(place, out),
            Values::Texts(texts) => out.extend_from_slice(texts.get(place)),
        }
    }

    /// The values of all rows.
    fn values(&self, index: usize, out: &mut Vec<u8>) {
        match &self.columns[index].values {
            Values::Texts(texts) if texts.len() == 1 => write_repeated(texts.get(0), self.vectors.rows, out),
            Values::Once(writer) => writer.write_all(out),
            Values::Texts(_) => write_list(self.vectors.rows, out, |row, out| self.value(index, row, out)),
        }
    }

    /// The statuses of all rows.
    fn statuses(&self, index: usize, out: &mut Vec<u8>) {
        let all = match self.vectors.statuses(index) {
            Some(statuses) => {
                let first = statuses.first().map(|first| first.status);
                first.filter(|first| statuses.iter().all(|other| other.status == *first))
            }
            None => None,
        };
        match all {
            Some(status) => {
                let mut word = Vec::new();
                write_word(status.as_str(), &mut word);
                write_repeated(&word, self.vectors.rows, out);
            }
            None => write_list(self.vectors.rows, out, |row, out| self.status(index, row, out)),
        }
    }

    fn status(&self, index: usize, row: usize, out: &mut Vec<u8>) {
        write_word(self.vectors.status(index, row).status.as_str(), out);
    }

    fn event_time(&self, index: usize, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.event_times.get(self.vectors, index, row));
    }
}

/// The answer as JSON, in the form of the request, in an empty buffer.
pub(in crate::server) fn json(vectors: &Vectors, form: Form, mut out: Vec<u8>) -> Result<Vec<u8>, JsonError> {
    let service = &vectors.service;
    let written = Written::new(vectors)?;
    out.push(b'{');
    if let Some(name) = &service.name {
        out.extend_from_slice(b"\"service\":");
        write_string(name, &mut out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"as_of\":");
    write_timestamp(Some(vectors.as_of), &mut out);
    out.extend_from_slice(b",\"features\":");
    out.extend_from_slice(&service.described);
    out.push(b',');
    match form {
        Form::Rows => write_rows(&written, &mut out),
        Form::Columns => write_columns(&written, &mut out),
    }
    write_failed(vectors, &mut out);
    out.push(b'}');
    Ok(out)
}

fn has_defaults(vectors: &Vectors) -> bool {
    vectors.service.plan.stored.iter().any(|step| !step.view.defaults.is_empty())
}

fn write_rows(written: &Written<'_>, out: &mut Vec<u8>) {
    let vectors = written.vectors;
    let has_defaults = has_defaults(vectors);
    out.extend_from_slice(b"\"rows\":[");
    for row in 0..vectors.rows {
        separate(row, out);
        out.extend_from_slice(b"{\"values\":{");
        written.members(row, out, Written::value);
        out.extend_from_slice(b"},\"statuses\":{");
        written.members(row, out, Written::status);
        if has_defaults {
            out.extend_from_slice(b"},\"reasons\":{");
            let mut separated = 0;
            for (index, Column { key, .. }) in written.columns.iter().enumerate() {
                let Some(reason) = vectors.status(index, row).reason else { continue };
                separate(separated, out);
                separated += 1;
                out.extend_from_slice(key.as_bytes());
                write_word(reason.as_str(), out);
            }
        }
        out.extend_from_slice(b"},\"event_times\":{");
        written.members(row, out, Written::event_time);
        out.extend_from_slice(b"}}");
    }
    out.push(b']');
}

fn write_columns(written: &Written<'_>, out: &mut Vec<u8>) {
    let vectors = written.vectors;
    // Where the event times of each stored step stand: they are those of all of its features.
    let mut times: Vec<Option<Range<usize>>> = vec![None; vectors.service.plan.stored.len()];
    out.extend_from_slice(b"\"columns\":{");
    for (index, Column { key, .. }) in written.columns.iter().enumerate() {
        separate(index, out);
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"{\"values\":");
        written.values(index, out);
        out.extend_from_slice(b",\"statuses\":");
        written.statuses(index, out);
        if has_defaults(vectors) {
            out.extend_from_slice(b",\"reasons\":");
            write_list(vectors.rows, out, |row, out| match vectors.status(index, row).reason {
                Some(reason) => write_word(reason.as_str(), out),
                None => out.extend_from_slice(b"null"),
            });
        }
        out.extend_from_slice(b",\"event_times\":");
        let start = out.len();
        match vectors.service.plan.columns[index].from.step {
            Step::Stored(step) => match &times[step] {
                Some(written) => out.extend_from_within(written.clone()),
                None => {
                    write_list(vectors.rows, out, |row, out| written.event_time(index, row, out));
                    times[step] = Some(start..out.len());
                }
            },
            Step::Computed(_) => write_repeated(b"null", vectors.rows, out),
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// A list of one text, so many times.
fn write_repeated(text: &[u8], times: usize, out: &mut Vec<u8>) {
    out.push(b'[');
    let start = out.len();
    let end = start + (text.len() + 1) * times;
    if times > 0 {
        out.extend_from_slice(text);
        out.push(b',');
    }
    // Twice as much each time.
    while out.len() < end {
        out.extend_from_within(start..start + (out.len() - start).min(end - out.len()));
    }
    if times > 0 {
        out.pop();
    }
    out.push(b']');
}

/// A word that needs no escapes.
fn write_word(word: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

fn write_failed(vectors: &Vectors, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"failed_rows\":[");
    let mut written = 0;
    for (step, failed) in std::iter::zip(&vectors.service.plan.computed, &vectors.failed) {
        let view = &step.view.view;
        for (row, why) in failed {
            separate(written, out);
            written += 1;
            let (status, name, version) = (why.status, &view.name, view.version);
            let head = format!(
                "{{\"row\":{row},\"view\":\"{name}\",\"version\":{version},\"status\":\"{status}\",\"message\":"
            );
            out.extend_from_slice(head.as_bytes());
            write_string(&why.message, out);
            out.push(b'}');
        }
    }
    out.push(b']');
}

/// The answer as an Arrow IPC stream in an empty buffer: for each feature its values, `NAME__status`, and where it is stored `NAME__event_time`; at the end
/// [`ERROR_COLUMN`].
pub(in crate::server) fn arrow(vectors: &Vectors, out: Vec<u8>) -> Result<Vec<u8>, ArrowError> {
    let plan = &vectors.service.plan;
    let rows = vectors.rows;
    let mut fields: Vec<ArrowField> = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let instant = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    // What is the same for several features is made once: statuses of the feature before, event times of a stored step.
    let mut before: Option<(&Arc<[FeatureStatus]>, Step, ArrayRef)> = None;
    let mut times: Vec<Option<ArrayRef>> = vec![None; plan.stored.len()];
    for (index, column) in plan.columns.iter().enumerate() {
        let bound = plan.view(column.from.step);
        let of = HashMap::from([
            ("tandem.view".to_owned(), bound.view.name.clone()),
            ("tandem.version".to_owned(), bound.view.version.to_string()),
            ("tandem.digest".to_owned(), bound.digest.to_string()),
        ]);
        fields.push(ArrowField::new(&column.name, column.data_type.to_arrow(), true).with_metadata(of));
        columns.push(vectors.column(index));
        fields.push(ArrowField::new(format!("{}__status", column.name), ArrowType::Utf8, false));
        let of_places = vectors.statuses(index);
        let statuses = match &before {
            Some((statuses, step, array)) if *step == column.from.step && of_places == Some(*statuses) => {
                Arc::clone(array)
            }
            _ => {
                let statuses = (0..rows).map(|row| vectors.status(index, row).status.as_str());
                Arc::new(StringArray::from_iter_values(statuses))
            }
        };
        before = of_places.map(|of_places| (of_places, column.from.step, Arc::clone(&statuses)));
        columns.push(statuses);
        if let Step::Stored(step) = column.from.step {
            fields.push(ArrowField::new(format!("{}__event_time", column.name), instant.clone(), true));
            let times = times[step].get_or_insert_with(|| {
                let times = (0..rows).map(|row| vectors.event_time(index, row).map(|time| time.0));
                Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            });
            columns.push(Arc::clone(times));
        }
    }
    fields.push(ArrowField::new(ERROR_COLUMN, ArrowType::Utf8, true));
    let error = |row: usize| vectors.failed.iter().find_map(|failed| Some(failed.get(&row)?.message.as_str()));
    columns.push(Arc::new((0..rows).map(error).collect::<StringArray>()));
    let mut metadata = HashMap::from([("tandem.as_of".to_owned(), vectors.as_of.to_string())]);
    metadata.extend(vectors.service.name.iter().map(|name| ("tandem.service".to_owned(), name.clone())));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    arrow::write_to(out, &RecordBatch::try_new_with_options(schema, columns, &options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_repeated_as_often_as_is_said() {
        for times in 0..70 {
            for text in [&b"null"[..], b"\"PRESENT\"", b"1", b""] {
                let mut out = b"before".to_vec();
                write_repeated(text, times, &mut out);
                let mut expected = b"before".to_vec();
                write_list(times, &mut expected, |_, out| out.extend_from_slice(text));
                assert_eq!(String::from_utf8(out), String::from_utf8(expected), "{times}");
            }
        }
    }
}
