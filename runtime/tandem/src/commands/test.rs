//! `tandem test`: a transform over sample rows.

mod shown;

use std::path::{Path, PathBuf};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::executor::block_on;
use serde_json::json;
use tandem_build::{BuildOptions, build};
use tandem_core::time::Timestamp;
use tandem_engine::{Allocation, EngineError, Outcome, RowFailure, Transform};

use super::describe::{self, Bound, ParameterArguments};
use super::verify::is_aggregate;
use crate::bench::{Figures, measure};
use crate::cli::Context;
use crate::error::{Error, io};
use crate::output::{grouped, width};
use crate::rows::{self, Mapping};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Folder of a transform, which is built first, or a component
    #[arg(default_value = ".", value_name = "DIR|COMPONENT")]
    transform: PathBuf,
    /// Rows, as Parquet, CSV or JSON [default: samples.json, .jsonl, .ndjson, .csv or .parquet beside the manifest or the component]
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Rows taken from the file's beginning at most
    #[arg(long, value_name = "ROWS", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// The instant for which features are asked, in RFC 3339, for rows without a column `as_of`
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Zone of timestamps that have none, such as UTC or Europe/Berlin [default: that of the view's source]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Rows may fail: exit code 0 all the same
    #[arg(long)]
    allow_failures: bool,
    /// Measure instead of showing values: rows a second, time and fuel a row
    #[arg(long)]
    bench: bool,
    /// Cargo's folder for intermediate files, for a transform in Rust
    #[arg(long, value_name = "DIR")]
    target_dir: Option<PathBuf>,
    #[command(flatten)]
    parameters: ParameterArguments,
}

/// Builds if need be, runs the rows, shows what came of them.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let as_of = arguments.as_of.as_deref().map(instant).transpose()?;
    let found = std::fs::metadata(&arguments.transform).map_err(io("read the component", &arguments.transform))?;
    let is_folder = found.is_dir();
    let folder = if is_folder { &*arguments.transform } else { arguments.transform.parent().unwrap_or(Path::new("")) };
    let file = match &arguments.rows {
        Some(file) => Ok(file.clone()),
        None => samples(folder),
    };
    let component = if is_folder {
        let options = BuildOptions { target_dir: arguments.target_dir.clone(), ..BuildOptions::default() };
        build(folder, &options)?.component
    } else {
        arguments.transform.clone()
    };
    // Only the component tells.
    let file = match file {
        Ok(file) => file,
        Err(_) if is_aggregate(context, &component)? => {
            let what = component.display().to_string();
            let reason = "it is a function of aggregates, which has no rows to be tried on: `tandem verify` divides events in every way, and its language's own tests ask for values".to_owned();
            return Err(Error::Argument { what, reason });
        }
        Err(error) => return Err(error),
    };
    // A pool is what serving has; it is worth its address space only where time is measured.
    let allocation = if arguments.bench { Allocation::Pooling } else { Allocation::OnDemand };
    let bound = describe::bind(context, &component, &arguments.parameters, allocation)?;
    let mapping = Mapping {
        signature: bound.transform.signature(),
        view: bound.view.as_ref(),
        as_of,
        timezone: arguments.timezone.as_deref(),
    };
    let rows = rows::read(&file, &mapping, arguments.limit as usize)?;
    let taken = rows.inputs.num_rows() as u64;
    if rows.total > taken {
        let (taken, total) = (grouped(taken), grouped(rows.total));
        context.output.note(format!("note: the first {taken} of {total} rows; --limit takes more"));
    }
    let outcome = on_worker(&bound, {
        let inputs = rows.inputs.clone();
        move |transform| transform.apply(&inputs)
    })?
    .map_err(|source| Error::Component { component: component.clone(), source })?;
    let failed = outcome.failures.len() as u64;
    if arguments.bench {
        bench(context, &bound, &component, &rows.inputs, &outcome.failures)?;
    } else {
        show(context, &bound, &rows.inputs, &outcome);
    }
    if failed > 0 && !arguments.allow_failures {
        return Err(Error::RowsFailed { failed, rows: taken });
    }
    Ok(())
}

pub(super) fn instant(text: &str) -> Result<Timestamp, Error> {
    let wrong =
        |error: tandem_core::time::TimeError| Error::Argument { what: "--as-of".to_owned(), reason: error.to_string() };
    Timestamp::parse_rfc3339(text).map_err(wrong)
}

/// The sample rows in a folder.
fn samples(folder: &Path) -> Result<PathBuf, Error> {
    rows::samples_in(folder).ok_or_else(|| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Error::NoSamples { folder: folder.to_owned() }
    })
}

/// User code runs on a worker: its stack has room for the deepest recursion.
fn on_worker<T: Send + 'static>(bound: &Bound, job: impl FnOnce(&Transform) -> T + Send + 'static) -> Result<T, Error> {
    let transform = bound.transform.clone();
    block_on(bound.workers.run(move || job(&transform))).map_err(|panic| Error::Engine(panic.into()))
}

fn show(context: &Context, bound: &Bound, inputs: &RecordBatch, outcome: &Outcome) {
    let shown = shown::Shown { signature: bound.transform.signature(), inputs, outcome };
    context.output.data(
        || shown.text(width()),
        || {
            json!({
                "digest": bound.digest.to_string(),
                "rows": inputs.num_rows(),
                "failed": outcome.failures.len(),
                "fuel": outcome.fuel,
                "results": shown.json(),
            })
        },
    );
}

fn bench(
    context: &Context,
    bound: &Bound,
    component: &Path,
    inputs: &RecordBatch,
    failures: &[RowFailure],
) -> Result<(), Error> {
    let mut kept = vec![true; inputs.num_rows()];
    failures.iter().for_each(|failure| kept[failure.row] = false);
    let rows = filter_record_batch(inputs, &BooleanArray::from(kept))
        .map_err(|error| EngineError::Arrow(error.to_string()))?;
    if rows.num_rows() == 0 {
        return Err(Error::RowsFailed { failed: failures.len() as u64, rows: inputs.num_rows() as u64 });
    }
    if !failures.is_empty() {
        context.output.note(format!("note: {} rows fail and are not measured", grouped(failures.len() as u64)));
    }
    if cfg!(debug_assertions) {
        context
            .output
            .note("note: this program was built without optimisation; what the host does is slower than it should be");
    }
    let report = on_worker(bound, move |transform| measure(transform, &rows))?
        .map_err(|source| Error::Component { component: component.to_owned(), source })?;
    let line = |kind: &str, figures: Figures| {
        format!(
            "{kind:8}  {:>14}  {:>10.1}  {:>12.1}\n",
            grouped(figures.rows_per_second() as u64),
            figures.nanoseconds_per_row,
            figures.fuel_per_row
        )
    };
    let json = |figures: Figures| {
        json!({
            "rows_per_call": figures.rows_per_call,
            "calls": figures.calls,
            "rows_per_second": figures.rows_per_second(),
            "nanoseconds_per_row": figures.nanoseconds_per_row,
            "fuel_per_row": figures.fuel_per_row,
        })
    };
    context.output.data(
        || {
            let rows = grouped(report.used.rows_per_call as u64);
            let head = format!("{:8}  {:>14}  {:>10}  {:>12}\n", "instance", "rows/s", "ns/row", "fuel/row");
            let calls = format!("\nmedian of {} and {} calls of {rows} rows\n", report.used.calls, report.fresh.calls);
            head + &line("used", report.used) + &line("fresh", report.fresh) + &calls
        },
        || json!({ "digest": bound.digest.to_string(), "used": json(report.used), "fresh": json(report.fresh) }),
    );
    Ok(())
}
