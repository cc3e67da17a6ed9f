//! What the store had, as statuses and JSON.

use tandem_core::json::{self, ColumnWriter, JsonError};
use tandem_core::model::BoundView;
use tandem_core::status::FeatureStatus;
use tandem_core::time::Timestamp;

use super::request::Asked;
use crate::lookup::{Found, Served};
use crate::server::transforms::{separate, write_string};

/// The answer: what is neither `PRESENT` nor `DEFAULTED` has no value.
pub(super) fn encode(bound: &BoundView, asked: &Asked, found: &Found) -> Result<Vec<u8>, JsonError> {
    let (served, columns) = (&found.rows, &found.features);
    let keys = bound
        .view
        .join_keys()
        .zip(&asked.keys)
        .map(|(key, array)| Ok((format!("\"{}\":", key.name), ColumnWriter::new(array, key.data_type)?)))
        .collect::<Result<Vec<_>, JsonError>>()?;
    let features = asked
        .features
        .iter()
        .map(|index| {
            let field = &bound.signature.outputs[*index];
            let writer = ColumnWriter::new(&columns[*index], field.data_type)?;
            Ok(Feature { key: format!("\"{}\":", field.name), statuses: &found.statuses[*index], writer })
        })
        .collect::<Result<Vec<_>, JsonError>>()?;

    let has_defaults = !bound.defaults.is_empty();
    let mut out = Vec::with_capacity(256 + served.len() * (256 + 40 * features.len()));
    out.extend_from_slice(b"{\"view\":");
    write_string(&bound.view.name, &mut out);
    out.extend_from_slice(format!(",\"version\":{},\"as_of\":", bound.view.version).as_bytes());
    write_timestamp(Some(asked.as_of), &mut out);
    out.extend_from_slice(b",\"features\":[");
    for (position, index) in asked.features.iter().enumerate() {
        separate(position, &mut out);
        write_string(&bound.signature.outputs[*index].name, &mut out);
    }
    out.extend_from_slice(b"],\"rows\":[");
    for (row, served) in served.iter().enumerate() {
        separate(row, &mut out);
        out.extend_from_slice(b"{\"entity\":{");
        for (index, (key, writer)) in keys.iter().enumerate() {
            separate(index, &mut out);
            out.extend_from_slice(key.as_bytes());
            writer.write(row, &mut out);
        }
        write_row(served, &features, row, has_defaults, &mut out);
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

struct Feature<'a> {
    key: String,
    statuses: &'a [FeatureStatus],
    writer: ColumnWriter,
}

fn write_row(served: &Served, features: &[Feature<'_>], row: usize, has_defaults: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("}},\"status\":\"{}\",\"event_time\":", served.status).as_bytes());
    let record = served.record.as_ref();
    write_timestamp(record.map(|record| record.event_time), out);
    out.extend_from_slice(b",\"created_time\":");
    write_timestamp(record.and_then(|record| record.created_time), out);
    out.extend_from_slice(b",\"digest\":");
    match record {
        Some(record) => out.extend_from_slice(format!("\"{}\"", record.digest).as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"values\":{");
    for (index, feature) in features.iter().enumerate() {
        separate(index, out);
        out.extend_from_slice(feature.key.as_bytes());
        feature.writer.write(row, out);
    }
    out.extend_from_slice(b"},\"statuses\":{");
    for (index, feature) in features.iter().enumerate() {
        separate(index, out);
        out.extend_from_slice(format!("{}\"{}\"", feature.key, feature.statuses[row].status).as_bytes());
    }
    if has_defaults {
        out.extend_from_slice(b"},\"reasons\":{");
        let reasons = features.iter().filter_map(|feature| Some((&feature.key, feature.statuses[row].reason?)));
        for (index, (key, reason)) in reasons.enumerate() {
            separate(index, out);
            out.extend_from_slice(format!("{key}\"{reason}\"").as_bytes());
        }
    }
    out.extend_from_slice(b"}}");
}

/// A timestamp as core writes it ([`tandem_core::json`]), or null.
pub(in crate::server) fn write_timestamp(timestamp: Option<Timestamp>, out: &mut Vec<u8>) {
    match timestamp {
        Some(timestamp) => json::write_timestamp(timestamp, out),
        None => out.extend_from_slice(b"null"),
    }
}
