//! `tandem ingest`: rows of a file or of stdin pushed into a view.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tandem_core::hash::Digest;
use tandem_engine::{OnDemand, OnDemandOptions};
use tandem_online::{Store, StoreOptions, Writer};

use super::batch::now;
use crate::cli::{Context, RunArguments, ServerArguments, async_runtime};
use crate::error::Error;
use crate::ingest::{Input, Local, Remote, Request, Sink, run as ingest};
use crate::materialize::store_view;
use crate::output::{counted, grouped, rate};
use crate::project::Opened;
use crate::push::{PushPlan, Pusher};

/// Rows of one batch where nothing is said.
const BATCH_ROWS: u64 = 5_000;

/// How long a server that does not answer is asked again, where the run is to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The feature view, as NAME, NAME@VERSION or NAME@ALIAS
    view: String,
    /// Rows, as newline JSON or Parquet (by its name's ending); - for newline JSON from stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Go on as the file grows, from where the last run that followed it stopped
    #[arg(long)]
    follow: bool,
    /// With --follow, begin at the first line again
    #[arg(long, requires = "follow")]
    from_start: bool,
    /// Push to a running server, such as http://127.0.0.1:8080 [default: write into this project's online store]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    reached: ServerArguments,
    /// Rows that are sent together
    #[arg(long, value_name = "ROWS", default_value_t = BATCH_ROWS, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    batch_rows: u64,
    /// Where rows that are refused are written, with their line numbers [default: FILE.rejected.jsonl]
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    #[command(flatten)]
    run: RunArguments,
}

/// Ingests and prints what came of it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let opened = context.open_to_run(&arguments.run)?;
    let found = opened.view(&arguments.view)?;
    context.warn_deprecated(&found.bound.view);
    let id = found.bound.view.id();
    let plan = PushPlan::new(&found.bound).map_err(|error| Error::Ingest {
        what: id.to_string(),
        reason: error.to_string(),
        hint: "rows are pushed into stored views over a source of files".to_owned(),
    })?;
    let plan = Arc::new(plan);
    if arguments.file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        let reason =
            "CSV is not taken, but newline JSON and Parquet are; `tandem import` takes CSV into a source".to_owned();
        return Err(Error::Argument { what: arguments.file.display().to_string(), reason });
    }
    let input = match arguments.file.as_os_str() == "-" {
        true => Input::Stdin,
        false => Input::File(arguments.file.clone()),
    };
    let rejected = arguments.rejected.clone().unwrap_or_else(|| rejected(&arguments.file));
    let follow = arguments.follow.then(|| state(&opened, &id.to_string(), &arguments.file)).transpose()?;
    let sink: Box<dyn Sink> = match &arguments.server {
        Some(url) => {
            let patience = (!arguments.follow).then_some(PATIENCE);
            Box::new(Remote::new(arguments.reached.client("--server", url)?, &id.to_string(), patience))
        }
        None => {
            let settings = &opened.project.settings;
            let options = StoreOptions { fsync: settings.storage.fsync, ..StoreOptions::default() };
            let store = Store::open(&settings.storage.online, options)?;
            let number = store_view(&store, &found.bound)?;
            let on_demand = found
                .transform
                .map(|transform| OnDemand::new(transform, opened.workers.clone(), OnDemandOptions::default()));
            let writer = Writer::start_with_clock(store, now)?;
            let pusher =
                Pusher { writer, workers: opened.workers.clone(), max_future: settings.max_future, clock: now };
            let server = settings.server.clone();
            Box::new(Local {
                pusher,
                plan: Arc::clone(&plan),
                id: number,
                on_demand,
                settings: server,
                runtime: async_runtime()?,
            })
        }
    };
    let batch_rows = arguments.batch_rows as usize;
    let request = Request { plan, input, follow, from_start: arguments.from_start, batch_rows, rejected };
    let started = Instant::now();
    let progress = context.output.progress(&arguments.view);
    let report = ingest(&request, &*sink, |report| progress.set(report.rows))?;
    progress.finish();
    let elapsed = started.elapsed();
    if !report.left_out.is_empty() {
        let names = report.left_out.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        context.output.note(format!("note: names that are no columns of the view are left out: {names}"));
    }
    for rejection in &report.rejections {
        context.output.warning(format!("line {}: {}", rejection.line, rejection.message));
    }
    context.output.data(
        || {
            format!(
                "{} read, {} accepted ({} written, {} older, {} unchanged), {} rejected  {:.2} s, {}\n",
                counted(report.rows, "row"),
                grouped(report.accepted),
                grouped(report.written),
                grouped(report.older),
                grouped(report.unchanged),
                grouped(report.rejected),
                elapsed.as_secs_f64(),
                rate(report.rows, elapsed),
            )
        },
        || {
            let rejections = report.rejections.iter();
            json!({
                "view": id.to_string(),
                "rows": report.rows,
                "accepted": report.accepted,
                "written": report.written,
                "older": report.older,
                "unchanged": report.unchanged,
                "logged": report.logged,
                "rejected": report.rejected,
                "rejections": rejections.map(|one| json!({ "line": one.line, "message": one.message })).collect::<Vec<_>>(),
                "rejected_file": (report.rejected > 0).then(|| request.rejected.display().to_string()),
                "left_out": report.left_out,
                "seconds": elapsed.as_secs_f64(),
            })
        },
    );
    match report.rejected {
        0 => Ok(()),
        rows => Err(Error::RowsRejected { rows, file: request.rejected }),
    }
}

/// `FILE.rejected.jsonl`, beside it.
fn rejected(file: &Path) -> PathBuf {
    let name = match file.file_name().filter(|name| *name != "-") {
        Some(name) => name.to_owned(),
        None => "stdin".into(),
    };
    let mut name = name;
    name.push(".rejected.jsonl");
    file.with_file_name(name)
}

/// Where it is recorded how far a file was taken into a view.
fn state(opened: &Opened, view: &str, file: &Path) -> Result<PathBuf, Error> {
    // Of stdin the run tells why not.
    let path = match file.as_os_str() == "-" {
        true => file.to_owned(),
        false => file.canonicalize().map_err(crate::error::io("open", file))?,
    };
    let digest = Digest::of(path.as_os_str().as_encoded_bytes()).to_string();
    let digest: String = digest.chars().skip_while(|letter| *letter != ':').skip(1).take(16).collect();
    Ok(opened.project.settings.storage.offline.join("_ingest").join(view).join(format!("{digest}.json")))
}
