//! `tandem batch`: a feature view over the partitions of its source.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tandem_core::model::BoundView;
use tandem_core::time::{Day, DayRange, Timestamp};
use tandem_offline::training::TrainingOptions;
use tandem_offline::{BatchOptions, BatchReport, BatchRequest, GridRequest, OfflineError, run_grid};

use crate::cli::{Context, RangeArguments, RunArguments, async_runtime};
use crate::error::Error;
use crate::output::{ProgressBar, bytes, counted, grouped, rate};
use crate::project::Opened;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The feature view, as NAME, NAME@VERSION or NAME@ALIAS
    view: String,
    #[command(flatten)]
    range: RangeArguments,
    #[command(flatten)]
    run: RunArguments,
    /// Rows given to the transform in one call; changes no value [default: batch.rows_per_call]
    #[arg(long, value_name = "ROWS")]
    rows_per_call: Option<usize>,
    /// Memory for events and rows of a view of aggregates, such as 512MiB; what is beyond it goes into temporary files [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = super::training_set::size)]
    memory: Option<u64>,
}

/// Runs the batch and prints what came of it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let range = arguments.range.range()?;
    let opened = context.open_to_run(&arguments.run)?;
    let found = opened.view(&arguments.view)?;
    let settings = &opened.project.settings;
    let progress = context.output.progress(&arguments.view);
    if found.bound.view.is_aggregates() {
        context.warn_deprecated(&found.bound.view);
        let report = run_grid(&grid(&opened, found.bound, range, arguments)?, &progress)?;
        return told(context, &arguments.view, progress, &report);
    }
    let (view, transform) = found.computed("computed in batch")?;
    context.warn_deprecated(&view.view);
    let request = BatchRequest {
        view,
        transform,
        range,
        offline_root: settings.storage.offline.clone(),
        now: now(),
        contract: tandem_engine::CONTRACT.to_owned(),
        runtime_fingerprint: opened.engine.fingerprint(),
        options: BatchOptions {
            rows_per_call: arguments.rows_per_call.unwrap_or(settings.batch.rows_per_call),
            partitions_in_flight: settings.batch.partitions_in_flight,
            calls_in_flight: settings.batch.calls_in_flight,
            row_group_rows: settings.batch.row_group_rows,
            max_future: settings.max_future,
        },
    };
    let report = async_runtime()?.block_on(tandem_offline::run(request, &opened.workers, &progress))?;
    told(context, &arguments.view, progress, &report)
}

/// What is computed of a view of aggregates.
fn grid(
    opened: &Opened,
    view: Arc<BoundView>,
    range: Option<DayRange>,
    arguments: &Arguments,
) -> Result<GridRequest, Error> {
    if view.view.grid().is_none() {
        return Err(OfflineError::NoGrid { view: view.view.id() }.into());
    }
    let bounded = range.filter(|range| range.from != Day::MIN && range.to != Day::MAX);
    let range = bounded.ok_or_else(|| Error::Argument {
        what: format!("tandem batch {}", arguments.view),
        reason: "a grid has no first and no last day: say both, with --from and --to".to_owned(),
    })?;
    let settings = &opened.project.settings;
    let options = TrainingOptions::default();
    Ok(GridRequest {
        view,
        range,
        offline_root: settings.storage.offline.clone(),
        now: now(),
        contract: tandem_engine::CONTRACT.to_owned(),
        runtime_fingerprint: opened.engine.fingerprint(),
        row_group_rows: settings.batch.row_group_rows,
        threads: opened.workers.threads(),
        batch_rows: options.batch_rows,
        memory_bytes_max: arguments.memory.unwrap_or(options.memory_bytes_max),
    })
}

/// Prints what came of a run.
fn told(context: &Context, view: &str, progress: ProgressBar, report: &BatchReport) -> Result<(), Error> {
    progress.finish();
    warn(context, report);
    context.output.data(|| text(report), || json(report));
    let rejected: Vec<String> = report
        .partitions
        .iter()
        .filter_map(|one| one.rejected.as_ref())
        .map(|path| path.display().to_string())
        .collect();
    if rejected.is_empty() { Ok(()) } else { Err(Error::ChecksFailed { view: view.to_owned(), kept: rejected }) }
}

/// The clock, read at the edge: nothing below reads one.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

fn warn(context: &Context, report: &BatchReport) {
    let rows = report.rows();
    let counts = [
        (rows.quarantined, "rows set aside, in the folder _quarantine of the output"),
        (rows.quarantined_contract, "of them rows that break the contract of the source"),
        (rows.quarantined_future, "of them with an event time too far in the future"),
        (rows.misplaced, "rows with an event time outside the day of their partition"),
        (rows.null_keys, "rows with a null key, which match nothing"),
    ];
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        context.output.warning(format!("{what}: {}", grouped(*count)));
    }
    for partition in &report.partitions {
        for check in &partition.checks {
            if let Some(broken) = &check.broken {
                let what = if check.fails() { "not published: " } else { "" };
                context.output.warning(format!("{}: {what}check {}: {broken}", partition.partition, check.check));
            }
        }
    }
    if rows.retracted > 0 {
        let count = grouped(rows.retracted);
        context.output.note(format!(
            "note: rows that were published before and are gone from the source, no longer counted from now on: {count}"
        ));
    }
    if rows.null_created_times > 0 {
        let count = grouped(rows.null_created_times);
        context
            .output
            .note(format!("note: rows without a created time, known only from when they are published: {count}"));
    }
    if !report.orphaned.is_empty() {
        let names: Vec<_> = report.orphaned.iter().map(ToString::to_string).collect();
        context.output.warning(format!("published before, and gone from the source: {}", names.join(", ")));
    }
}

fn text(report: &BatchReport) -> String {
    let rows = report.rows();
    format!(
        "{} in, {} out, {}  ({} in, {} out)  {:.2} s, {}\n{}\n",
        counted(rows.rows_in, "row"),
        counted(rows.rows_out, "row"),
        counted(report.partitions.len() as u64, "partition"),
        bytes(report.bytes_in()),
        bytes(report.bytes_out()),
        report.elapsed.as_secs_f64(),
        rate(rows.rows_in, report.elapsed),
        report.output.display(),
    )
}

fn json(report: &BatchReport) -> Value {
    let counts = |rows: tandem_offline::RowCounts| {
        json!({
            "rows_in": rows.rows_in,
            "rows_out": rows.rows_out,
            "quarantined": rows.quarantined,
            "quarantined_contract": rows.quarantined_contract,
            "quarantined_future": rows.quarantined_future,
            "retractions": rows.retractions,
            "added": rows.added,
            "retracted": rows.retracted,
            "misplaced": rows.misplaced,
            "null_created_times": rows.null_created_times,
            "null_keys": rows.null_keys,
        })
    };
    let partition = |partition: &tandem_offline::PartitionReport| {
        let mut json = counts(partition.rows);
        json["partition"] = json!(partition.partition.as_str());
        json["source_snapshot"] = json!(partition.snapshot.to_string());
        let checks = partition
            .checks
            .iter()
            .map(|check| json!({ "check": check.check, "action": check.action.as_str(), "broken": check.broken }));
        json["checks"] = checks.collect();
        json["rejected"] = json!(partition.rejected.as_ref().map(|path| path.display().to_string()));
        json["bytes_in"] = json!(partition.bytes_in);
        json["bytes_out"] = json!(partition.bytes_out);
        json["seconds"] = json!(partition.elapsed.as_secs_f64());
        json
    };
    json!({
        "output": report.output.display().to_string(),
        "total": counts(report.rows()),
        "partitions": report.partitions.iter().map(partition).collect::<Vec<_>>(),
        "orphaned": report.orphaned.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        "seconds": report.elapsed.as_secs_f64(),
    })
}
