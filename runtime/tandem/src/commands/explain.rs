//! `tandem explain`: which row gave a label its values, and what became of the others.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use futures::TryStreamExt;
use serde_json::{Map, Value, json};
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::json::{decode_column, encode_value};
use tandem_core::model::BoundView;
use tandem_core::suggest;
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, Field};
use tandem_offline::training::explain::{Candidate, Origin, Verdict, ViewExplanation};
use tandem_offline::training::{Labels, TrainingError, TrainingOptions, TrainingRequest, TrainingSet};

use super::get::key_value;
use super::training_set::{column, label_types};
use crate::cli::{Context, RunArguments};
use crate::error::Error;
use crate::training::manifest::Options;
use crate::training::{Asked, labels};

/// Column of the instant that is asked for, where no label has it.
const TIME: &str = "event_time";

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Join keys and inputs of on-demand views, as user_id=42; instead of a label
    #[arg(value_name = "NAME=VALUE", value_parser = column, required_unless_present = "labels", conflicts_with = "labels")]
    values: Vec<(String, String)>,
    /// The instant for which values are asked, in RFC 3339
    #[arg(long, value_name = "TIME", required_unless_present = "labels", conflicts_with = "labels")]
    at: Option<Timestamp>,
    /// Labels, of which one is explained
    #[arg(long, value_name = "FILE", requires = "row")]
    labels: Option<PathBuf>,
    /// The label's row, from 0
    #[arg(long, value_name = "ROW", requires = "labels")]
    row: Option<u64>,
    /// The feature service whose features are asked for
    #[arg(long, value_name = "NAME", required_unless_present = "features")]
    service: Option<String>,
    /// The features that are asked for, as for training-set
    #[arg(long, value_name = "FEATURES", value_delimiter = ',', conflicts_with = "service")]
    features: Vec<String>,
    /// Column of the labels with the time of the prediction
    #[arg(long, value_name = "COLUMN", default_value = TIME)]
    time: String,
    /// IANA time zone of label times that have none
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// A join key or input that has another name in the labels
    #[arg(long, value_name = "NAME=COLUMN", value_parser = column)]
    column: Vec<(String, String)>,
    /// Rows that are shown of each view, the newest; all are counted
    #[arg(long, value_name = "ROWS", default_value_t = 10)]
    limit: usize,
    #[command(flatten)]
    run: RunArguments,
}

/// Joins one label, and prints what came of every row of its entity.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let opened = context.open_to_run(&arguments.run)?;
    let asked = match &arguments.service {
        Some(service) => Asked::service(&opened, service)?,
        None => Asked::list(&opened, &arguments.features)?,
    };
    let columns: BTreeMap<String, String> = arguments.column.iter().cloned().collect();
    let label = match (&arguments.labels, arguments.row) {
        (Some(file), Some(row)) => {
            let options = Options {
                time: arguments.time.clone(),
                observed: None,
                timezone: arguments.timezone.clone(),
                columns: columns.clone(),
                status: true,
                ignore_created_time: false,
            };
            labels::read(file, &label_types(&asked, &options))?.one(row)?
        }
        _ => Labels::rows(given(&asked.plan, arguments)?)?,
    };
    let request = TrainingRequest {
        labels: label,
        event_time: arguments.time.clone(),
        observed_time: None,
        timezone: arguments.timezone.clone(),
        plan: asked.plan.clone(),
        transforms: asked.transforms.clone(),
        columns,
        ignore_created_time: false,
        offline_root: opened.project.settings.storage.offline.clone(),
        only_files: None,
        statuses: true,
        options: TrainingOptions::default(),
    };
    let set = TrainingSet::prepare(request)?;
    let rows: Vec<RecordBatch> = futures::executor::block_on(set.stream(&opened.workers, |_| {}).try_collect())?;
    let [row] = &rows[..] else {
        return Err(TrainingError::NoSuchLabel { row: 0, labels: 0 }.into());
    };
    let views = set.explain(0)?;
    let explained = Explained { asked: &asked, set: &set, row, views: &views, limit: arguments.limit };
    context.output.data(|| explained.text(), || explained.json());
    Ok(())
}

/// The label that the arguments give.
fn given(plan: &FeaturePlan, arguments: &Arguments) -> Result<RecordBatch, Error> {
    let names: Vec<&str> = plan.request.iter().map(|column| column.name.as_str()).collect();
    let fail = |what: &str, reason: String| Error::Argument { what: what.to_owned(), reason };
    if let Some((unknown, _)) = arguments.values.iter().find(|(name, _)| !names.contains(&name.as_str())) {
        let hint = suggest::hint(unknown, "join keys and inputs", &names);
        return Err(fail(unknown, format!("is no join key and no input; {hint}")));
    }
    let mut columns: Vec<(&str, ArrayRef)> = Vec::with_capacity(names.len() + 1);
    for column in &plan.request {
        let value = arguments.values.iter().find(|(name, _)| *name == column.name);
        let value = value.map(|(_, text)| key_value(column.data_type, text));
        if value.is_none() && (column.join_key || !column.nullable) {
            return Err(fail(&column.name, "is missing; write NAME=VALUE".to_owned()));
        }
        let field = Field::new(&column.name, column.data_type, true);
        let array = decode_column(&field, std::iter::once(value.as_ref()));
        columns.push((&column.name, array.map_err(|error| fail(&column.name, error.to_string()))?));
    }
    let at = arguments.at.ok_or_else(|| fail("--at", "is missing".to_owned()))?;
    let at = arrow_array::TimestampMicrosecondArray::from(vec![at.0]).with_timezone("UTC");
    columns.push((&arguments.time, std::sync::Arc::new(at)));
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    batch.map_err(|error| fail("NAME=VALUE", error.to_string()))
}

struct Explained<'a> {
    asked: &'a Asked,
    set: &'a TrainingSet,
    row: &'a RecordBatch,
    views: &'a [ViewExplanation],
    limit: usize,
}

impl Explained<'_> {
    /// The features, each with its column of the row.
    fn features(&self) -> impl Iterator<Item = (String, &BoundView, DataType, &ArrayRef)> {
        let report = self.set.report();
        let columns = self.asked.plan.columns.iter().zip(report.features);
        columns.map(|(column, found)| {
            let array = self.row.column_by_name(&found.column).expect("the set has the column");
            (found.column, &**self.asked.plan.view(column.from.step), column.data_type, array)
        })
    }

    /// Statuses and reasons of defaults, by column.
    fn statuses(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let is_status = |name: &str| name.ends_with("__status") || name.ends_with("__default_reason");
        let fields = self.row.schema_ref().fields().iter().zip(self.row.columns());
        fields.filter(move |(field, _)| is_status(field.name())).filter_map(|(field, array)| {
            let texts = array.as_string_opt::<i32>()?;
            Some((field.name().as_str(), texts.is_valid(0).then(|| texts.value(0))))
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let width = self.features().map(|(column, ..)| column.len()).max().unwrap_or(0);
        for (column, bound, data_type, array) in self.features() {
            let (value, view) = (encode_value(array, data_type, 0), bound.view.id());
            let _ = writeln!(text, "{column:width$}  {value}  {view}, {}", made_by(bound));
        }
        for (column, status) in self.statuses() {
            let _ = writeln!(text, "{column}  {}", status.unwrap_or("-"));
        }
        for view in self.views {
            let ttl = view.ttl.map(|ttl| format!(", ttl {ttl}")).unwrap_or_default();
            let (as_of, known_by) = (view.as_of.as_str(), view.known_by.as_str());
            let _ = writeln!(text, "\n{}: as_of {as_of}, known_by {known_by}{ttl}: {}", view.view, view.status);
            if !view.has_key {
                let _ = writeln!(text, "  the label has no key: a null or NaN matches nothing");
            } else if view.rows.is_empty() {
                let _ = writeln!(text, "  no row of this entity is there, or all lie behind the label");
            }
            for row in view.rows.iter().take(self.limit) {
                let _ = writeln!(text, "  {}", line(row));
            }
            if view.rows.len() > self.limit {
                let rest = &view.rows[self.limit..];
                let _ = writeln!(text, "  and {} older ones: {}", rest.len(), counts(rest));
            }
        }
        text
    }

    fn json(&self) -> Value {
        let features = self.features().map(|(column, bound, data_type, array)| {
            json!({
                "column": column,
                "view": bound.view.id().to_string(),
                "digest": bound.digest.to_string(),
                "value": encode_value(array, data_type, 0),
            })
        });
        let views = self.views.iter().map(|view| {
            let rows = view.rows.iter().take(self.limit).map(row_json);
            json!({
                "view": view.view.to_string(),
                "as_of": view.as_of.as_str(),
                "known_by": view.known_by.as_str(),
                "ttl": view.ttl.map(|ttl| ttl.to_string()),
                "status": view.status.as_str(),
                "has_key": view.has_key,
                "rows_total": view.rows.len(),
                "rows": rows.collect::<Vec<_>>(),
            })
        });
        let statuses: Map<String, Value> =
            self.statuses().map(|(column, status)| (column.to_owned(), Value::from(status))).collect();
        json!({
            "features": features.collect::<Vec<_>>(),
            "statuses": statuses,
            "views": views.collect::<Vec<_>>(),
        })
    }
}

fn made_by(bound: &BoundView) -> String {
    if bound.view.is_aggregates() {
        format!("aggregates of the events of its source, {}", bound.digest.short())
    } else if bound.view.is_columns() {
        format!("columns of its source, {}", bound.digest.short())
    } else {
        format!("component {}", bound.digest.short())
    }
}

fn line(row: &Candidate) -> String {
    let what = match row.verdict {
        Verdict::Won => "won".to_owned(),
        Verdict::Expired => "would have won, and is too old or no longer valid".to_owned(),
        Verdict::Older => "older than the one that won".to_owned(),
        Verdict::LostTie => "lost a tie by its bytes, or is equal".to_owned(),
        Verdict::Future => "had not happened".to_owned(),
        Verdict::NotKnown(from) => format!("was not known before {from}"),
        Verdict::Ended(until) => format!("counted until {until}"),
        Verdict::Counted => "counted".to_owned(),
        Verdict::OutsideWindows => "older than every window".to_owned(),
        Verdict::Filtered => "left out by the filter".to_owned(),
        Verdict::Retraction => "takes an event back".to_owned(),
    };
    let created = row.created_time.map(|time| format!(", created {time}")).unwrap_or_default();
    let sequence = row.sequence.map(|sequence| format!(", sequence {sequence}")).unwrap_or_default();
    let (at, event) = (row.row, row.event_time);
    let origin = match &row.origin {
        Origin::File(file) => file.display().to_string(),
        Origin::Query(source) => format!("query of source `{source}`"),
    };
    format!("{what}: event {event}{created}{sequence}, {origin} row {at}")
}

fn counts(rows: &[Candidate]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.verdict.as_str()).or_default() += 1;
    }
    counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect::<Vec<_>>().join(", ")
}

fn row_json(row: &Candidate) -> Value {
    let since = match row.verdict {
        Verdict::NotKnown(from) => Some(from.to_string()),
        _ => None,
    };
    let (file, query) = match &row.origin {
        Origin::File(file) => (Some(file.display().to_string()), None),
        Origin::Query(source) => (None, Some(source)),
    };
    json!({
        "verdict": row.verdict.as_str(),
        "known_from": since,
        "file": file,
        "query": query,
        "row": row.row,
        "event_time": row.event_time.to_string(),
        "created_time": row.created_time.map(|time| time.to_string()),
        "sequence": row.sequence,
        "until": row.until.map(|time| time.to_string()),
    })
}
