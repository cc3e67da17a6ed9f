//! The answer of a feature service.

use arrow_array::Array;
use tandem_core::feature_plan::{FeatureRef, Step};
use tandem_core::json::{ColumnWriter, JsonError};
use tandem_core::status::{FeatureStatus, Status};
use tandem_core::time::Timestamp;
use tandem_engine::Evaluation;

use super::Service;
use crate::lookup::Found;
use crate::server::features::write_timestamp;
use crate::server::transforms::{separate, write_string};

/// The answer as JSON: values, statuses and event times by feature, in the order of the service.
pub(super) fn json(
    service: &Service,
    evaluation: &Evaluation<'_>,
    found: &[Found],
    as_of: Timestamp,
    rows: usize,
) -> Result<Vec<u8>, JsonError> {
    let plan = &service.plan;
    let columns = plan.columns.iter().map(|column| {
        let writer = ColumnWriter::new(evaluation.feature(column.from), column.data_type)?;
        // Names need no escapes: they are identifiers.
        Ok((format!("\"{}\":", column.name), writer, column.from))
    });
    let columns = columns.collect::<Result<Vec<_>, JsonError>>()?;
    let has_defaults = plan.stored.iter().any(|step| !step.view.defaults.is_empty());
    let mut out = Vec::with_capacity(256 + rows * columns.len() * 96);
    out.extend_from_slice(b"{\"service\":");
    write_string(&service.name, &mut out);
    out.extend_from_slice(b",\"as_of\":");
    write_timestamp(Some(as_of), &mut out);
    out.extend_from_slice(b",\"features\":[");
    for (index, column) in plan.columns.iter().enumerate() {
        separate(index, &mut out);
        let bound = plan.view(column.from.step);
        out.extend_from_slice(b"{\"name\":");
        write_string(&column.name, &mut out);
        let (view, version, digest) = (&bound.view.name, bound.view.version, bound.digest);
        out.extend_from_slice(
            format!(",\"view\":\"{view}\",\"version\":{version},\"digest\":\"{digest}\"}}").as_bytes(),
        );
    }
    out.extend_from_slice(b"],\"rows\":[");
    for row in 0..rows {
        separate(row, &mut out);
        out.extend_from_slice(b"{\"values\":{");
        for (index, (key, writer, _)) in columns.iter().enumerate() {
            separate(index, &mut out);
            out.extend_from_slice(key.as_bytes());
            writer.write(row, &mut out);
        }
        out.extend_from_slice(b"},\"statuses\":{");
        for (index, (key, _, from)) in columns.iter().enumerate() {
            separate(index, &mut out);
            let status = status(evaluation, found, *from, row).status;
            out.extend_from_slice(format!("{key}\"{status}\"").as_bytes());
        }
        if has_defaults {
            out.extend_from_slice(b"},\"reasons\":{");
            let reason = |(key, _, from): &(String, ColumnWriter, FeatureRef)| {
                Some((key.clone(), status(evaluation, found, *from, row).reason?))
            };
            for (index, (key, reason)) in columns.iter().filter_map(reason).enumerate() {
                separate(index, &mut out);
                out.extend_from_slice(format!("{key}\"{reason}\"").as_bytes());
            }
        }
        out.extend_from_slice(b"},\"event_times\":{");
        for (index, (key, _, from)) in columns.iter().enumerate() {
            separate(index, &mut out);
            out.extend_from_slice(key.as_bytes());
            write_timestamp(event_time(found, from.step, row), &mut out);
        }
        out.extend_from_slice(b"}}");
    }
    out.extend_from_slice(b"],\"failed_rows\":[");
    let mut written = 0;
    for step in 0..plan.computed.len() {
        let view = &plan.computed[step].view.view;
        for (row, message) in evaluation.failed(Step::Computed(step)) {
            separate(written, &mut out);
            written += 1;
            let (status, name, version) = (Status::TransformError, &view.name, view.version);
            let head = format!(
                "{{\"row\":{row},\"view\":\"{name}\",\"version\":{version},\"status\":\"{status}\",\"message\":"
            );
            out.extend_from_slice(head.as_bytes());
            write_string(message, &mut out);
            out.push(b'}');
        }
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// What a feature's value is served as.
fn status(evaluation: &Evaluation<'_>, found: &[Found], from: FeatureRef, row: usize) -> FeatureStatus {
    match from.step {
        Step::Stored(index) => found[index].statuses[from.output][row],
        Step::Computed(_) => {
            let failed = evaluation.failed(from.step).contains_key(&row);
            let of_row = if failed { Status::TransformError } else { Status::Present };
            FeatureStatus::of(of_row, evaluation.feature(from).is_null(row), false)
        }
    }
}

/// The event time of a stored row, served or too old; what is computed has none.
fn event_time(found: &[Found], step: Step, row: usize) -> Option<Timestamp> {
    match step {
        Step::Stored(index) => found[index].rows[row].record.as_ref().map(|record| record.event_time),
        Step::Computed(_) => None,
    }
}
