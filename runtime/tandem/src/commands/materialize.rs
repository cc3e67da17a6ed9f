//! `tandem materialize`: published rows into the online store.

use std::time::Instant;

use serde_json::json;
use tandem_core::checks::CheckResult;
use tandem_online::{Store, StoreOptions};

use super::batch::now;
use crate::cli::{Context, RangeArguments, RunArguments, async_runtime};
use crate::error::Error;
use crate::materialize;
use crate::output::{counted, grouped, rate};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The feature view, as NAME, NAME@VERSION or NAME@ALIAS
    view: String,
    #[command(flatten)]
    range: RangeArguments,
    /// Take only what is new to the store: files that were not taken before, or are others by now
    #[arg(long, conflicts_with_all = ["from", "to"])]
    incremental: bool,
    /// Build a new generation of the whole history beside the one that is served, and serve it then; the old one is kept until `tandem online drop`
    #[arg(long, conflicts_with_all = ["from", "to", "incremental"])]
    rebuild: bool,
    /// Take at most so many rows in a second
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    max_rows_per_second: Option<u64>,
    #[command(flatten)]
    run: RunArguments,
}

/// Materializes and prints what came of it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let range = arguments.range.range()?;
    let opened = context.open_to_run(&arguments.run)?;
    let view = opened.view(&arguments.view)?;
    context.warn_deprecated(&view.bound.view);
    let settings = &opened.project.settings;
    let store = Store::open(
        &settings.storage.online,
        StoreOptions { fsync: settings.storage.fsync, ..StoreOptions::default() },
    )?;
    let request = materialize::Request {
        view: view.bound,
        offline_root: settings.storage.offline.clone(),
        range,
        now: now(),
        max_future: settings.max_future,
        incremental: arguments.incremental,
        rebuild: arguments.rebuild,
        rows_per_second_max: arguments.max_rows_per_second,
        bounds: materialize::Bounds::default(),
    };
    let started = Instant::now();
    let progress = context.output.progress(&arguments.view);
    let report = async_runtime()?.block_on(materialize::run(request, &store, &opened.workers, |report| {
        progress.total(report.rows_all);
        progress.set(report.rows);
    }))?;
    progress.finish();
    let elapsed = started.elapsed();
    for (count, what) in [
        (report.null_keys, "rows with a null key, left out"),
        (report.future, "rows whose event time or created time lies too far in the future, left out"),
        (report.set_aside, "rows set aside, left out"),
        (report.set_aside_contract, "of them rows that break the contract of the source"),
        (report.set_aside_transform, "of them rows that the view's component fails on"),
        (
            report.too_late,
            "events of files that are new to the store, further behind the newest event of their entity than the view's lateness, left out; hint: --rebuild counts them",
        ),
    ] {
        if count > 0 {
            context.output.warning(format!("{what}: {}", grouped(count)));
        }
    }
    let mut rejected = Vec::new();
    for part in &report.checked {
        for check in &part.checks {
            if let Some(broken) = &check.broken {
                let what = if check.fails() { "not materialized: " } else { "" };
                context.output.warning(format!("{}: {what}check {}: {broken}", part.partition, check.check));
            }
        }
        if part.checks.iter().any(CheckResult::fails) {
            rejected.push(part.partition.to_string());
        }
    }
    if report.taken_back > 0 {
        let count = grouped(report.taken_back);
        context.output.note(format!("note: entities whose row was taken back, for an older one or none: {count}"));
    }
    if report.resumed {
        context.output.note("note: a rebuild that was begun and not finished was gone on with".to_owned());
    }
    if report.carried > 0 {
        let count = grouped(report.carried);
        context.output.note(format!("note: rows that were pushed, taken over from the generation before: {count}"));
    }
    if let Some(generation) = report.generation {
        let note = format!(
            "note: generation {generation} is served now; the one before is kept, and written to, until `tandem online drop {}`",
            arguments.view
        );
        context.output.note(note);
    } else if arguments.rebuild {
        context
            .output
            .note("note: the generation before is still served; the same command goes on with this one".to_owned());
    }
    context.output.data(
        || {
            format!(
                "{} read from {}, {} written, {} older or equal to what was there  {:.2} s, {}\n{}\n",
                counted(report.rows, "row"),
                counted(report.partitions, "partition"),
                grouped(report.written),
                grouped(report.kept),
                elapsed.as_secs_f64(),
                rate(report.rows, elapsed),
                store.path().display(),
            )
        },
        || {
            json!({
                "rows": report.rows,
                "written": report.written,
                "kept": report.kept,
                "taken_back": report.taken_back,
                "null_keys": report.null_keys,
                "future": report.future,
                "set_aside": report.set_aside,
                "set_aside_contract": report.set_aside_contract,
                "set_aside_transform": report.set_aside_transform,
                "too_late": report.too_late,
                "folded": report.folded,
                "partitions": report.partitions,
                "files": report.files,
                "files_before": report.files_before,
                "rejected": rejected.clone(),
                "generation": report.generation,
                "seconds": elapsed.as_secs_f64(),
                "store": store.path().display().to_string(),
            })
        },
    );
    if rejected.is_empty() {
        return Ok(());
    }
    Err(Error::ChecksFailed { view: arguments.view.clone(), kept: rejected })
}
