//! `tandem parity`: offline against online, bit by bit.

use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use tandem_core::model::BoundView;
use tandem_core::time::Timestamp;
use tandem_online::{Store, StoreOptions};

use super::batch::now;
use crate::cli::{Context, RangeArguments, RunArguments, ServerArguments, async_runtime};
use crate::error::Error;
use crate::output::{counted, grouped};
use crate::parity::{self, Format, Report, Server, windows};
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
    /// The server, which must allow replay [default: the project's server.listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    reached: ServerArguments,
    /// What travels
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
    /// Compare about so many rows, spread evenly [default: all]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    sample: Option<u64>,
    /// Of a view of aggregates, the instants at which each entity is asked for [default: the time of its event]
    #[arg(long, value_name = "TIME", value_delimiter = ',')]
    at: Vec<Timestamp>,
    /// With --at, replay what had been published by each instant into a scratch store, and tell where the server answered otherwise then
    #[arg(long, requires = "at")]
    replay: bool,
}

/// Events whose entities are asked for where nothing is said.
const SAMPLE: u64 = 10_000;

/// Compares and prints; a difference is an error.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let range = arguments.range.range()?;
    let opened = context.open_to_run(&arguments.run)?;
    let found = opened.view(&arguments.view)?;
    if found.bound.view.is_aggregates() {
        context.warn_deprecated(&found.bound.view);
        return of_aggregates(context, arguments, &opened, found.bound);
    }
    if !arguments.at.is_empty() {
        let reason = "it goes with views of aggregates alone: other rows are compared at their own times".to_owned();
        return Err(Error::Argument { what: "--at".to_owned(), reason });
    }
    let (view, _) = found.computed("compared")?;
    context.warn_deprecated(&view.view);
    let settings = &opened.project.settings;
    let scheme = if settings.server.tls.is_some() { "https" } else { "http" };
    let url = arguments.url.clone().unwrap_or_else(|| format!("{scheme}://{}", settings.server.listen));
    let server = Arc::new(Server::new(arguments.reached.client("--url", &url)?, arguments.format));
    let max_future = settings.max_future.as_micros();
    let request = parity::Request {
        view,
        offline_root: settings.storage.offline.clone(),
        range,
        sample: arguments.sample,
        event_time_max: Timestamp(now().0.saturating_add_unsigned(max_future)),
    };
    let progress = context.output.progress(&arguments.view);
    let report = async_runtime()?.block_on(parity::run(request, server, &opened.workers, |rows| progress.set(rows)))?;
    progress.finish();
    context.output.data(|| text(&report), || json(&report));
    warn_of_nothing(context, report.compared());
    match report.different() {
        0 => Ok(()),
        differences => Err(Error::Parity { differences, compared: report.compared() }),
    }
}

/// Nothing that differs is no proof where nothing was compared.
fn warn_of_nothing(context: &Context, compared: u64) {
    if compared == 0 {
        context.output.warning(
            "no value was compared; hint: is there a row in the range, and one side that can answer for it?".to_owned(),
        );
    }
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let width = report.features.iter().map(|feature| feature.feature.len()).max().unwrap_or(0);
    for feature in &report.features {
        let (equal, different) = (grouped(feature.equal), grouped(feature.different));
        let _ = writeln!(text, "{:width$}  {equal} equal to the last bit, {different} different", feature.feature);
    }
    for difference in &report.differences {
        let _ = writeln!(
            text,
            "{} row {} {}\n  offline {}\n  online  {}",
            difference.partition, difference.row, difference.feature, difference.offline, difference.online
        );
    }
    for (partition, offline, online) in &report.missing_rows {
        let _ = writeln!(text, "{partition}: {} offline, {online} online", counted(*offline, "row"));
    }
    let _ = writeln!(
        text,
        "{}, {} compared, {} different",
        counted(report.rows, "row"),
        counted(report.compared(), "value"),
        grouped(report.different())
    );
    text
}

fn json(report: &Report) -> Value {
    json!({
        "rows": report.rows,
        "failed_rows": report.failed_rows,
        "compared": report.compared(),
        "different": report.different(),
        "features": report.features.iter().map(|feature| json!({
            "feature": feature.feature, "equal": feature.equal, "different": feature.different,
        })).collect::<Vec<_>>(),
        "differences": report.differences.iter().map(|difference| json!({
            "partition": difference.partition.as_str(), "row": difference.row, "feature": difference.feature,
            "offline": difference.offline, "online": difference.online,
        })).collect::<Vec<_>>(),
        "missing_rows": report.missing_rows.iter().map(|(partition, offline, online)| json!({
            "partition": partition.as_str(), "offline": offline, "online": online,
        })).collect::<Vec<_>>(),
    })
}

/// Training set against online store, in this process.
fn of_aggregates(context: &Context, arguments: &Arguments, opened: &Opened, view: Arc<BoundView>) -> Result<(), Error> {
    let storage = &opened.project.settings.storage;
    let store = Store::open_read_only(&storage.online, StoreOptions::default())?;
    let stored = store.find_view(&view.view.name, view.view.version)?;
    let Some(stored) = stored.filter(|stored| stored.definition_hash == view.definition_hash) else {
        return Err(Error::NotMaterialized { view: view.view.id().to_string(), store: store.path().to_owned() });
    };
    let waiting = store.logs()?.iter().find(|log| log.view == stored.id).map_or(0, |log| log.rows);
    if waiting > 0 {
        let rows = grouped(waiting);
        context.output.warning(format!(
            "{rows} pushed events are in the log and not yet in the offline history; hint: tandem log flush {}",
            view.view.id()
        ));
    }
    let request = windows::Request {
        view,
        offline_root: storage.offline.clone(),
        store: (store, stored.id),
        sample: arguments.sample.unwrap_or(SAMPLE),
        at: arguments.at.clone(),
        replay: arguments.replay,
    };
    let report = async_runtime()?.block_on(windows::run(request, &opened.workers))?;
    context.output.data(|| windows_text(&report), || windows_json(&report));
    warn_of_nothing(context, report.compared());
    match report.different() {
        0 => Ok(()),
        differences => Err(Error::Parity { differences, compared: report.compared() }),
    }
}

fn windows_text(report: &windows::Report) -> String {
    let mut text = String::new();
    let width = report.features.iter().map(|feature| feature.feature.len()).max().unwrap_or(0);
    for one in &report.features {
        let [equal, different, offline, online] =
            [one.equal, one.different, one.missing_offline, one.missing_online].map(grouped);
        let _ = writeln!(
            text,
            "{:width$}  {equal} equal to the last bit, {different} different, {offline} missing offline, {online} missing online{}",
            one.feature,
            if report.replayed.is_empty() {
                String::new()
            } else {
                format!(", {} served otherwise then", grouped(one.skewed))
            }
        );
    }
    for (at, events) in &report.replayed {
        let _ = writeln!(text, "at {at} {} had been published", counted(*events, "event"));
    }
    for one in &report.skews {
        let windows::Difference { entity, at, feature, offline, online } = one;
        let _ = writeln!(
            text,
            "{entity} at {at} {feature}, served otherwise then\n  known   {offline}\n  served  {online}"
        );
    }
    for one in &report.differences {
        let windows::Difference { entity, at, feature, offline, online } = one;
        let _ = writeln!(text, "{entity} at {at} {feature}\n  offline {offline}\n  online  {online}");
    }
    let [rows, different] = [report.rows, report.different()].map(grouped);
    let of = if report.rows == 1 { "entity and instant" } else { "entities and instants" };
    let _ = writeln!(text, "{rows} {of}, {} compared, {different} not the same", counted(report.compared(), "value"));
    if report.behind_horizon > 0 {
        let _ = writeln!(
            text,
            "{} of them not compared: the store has tiles alone there; ask for later instants with --at, or add --replay",
            grouped(report.behind_horizon)
        );
    }
    text
}

fn windows_json(report: &windows::Report) -> Value {
    json!({
        "rows": report.rows,
        "behind_horizon": report.behind_horizon,
        "compared": report.compared(),
        "different": report.different(),
        "features": report.features.iter().map(|one| json!({
            "feature": one.feature, "equal": one.equal, "different": one.different,
            "missing_offline": one.missing_offline, "missing_online": one.missing_online, "skewed": one.skewed,
        })).collect::<Vec<_>>(),
        "replayed": report.replayed.iter().map(|(at, events)| json!({
            "at": at.to_string(), "events": events,
        })).collect::<Vec<_>>(),
        "skews": report.skews.iter().map(|one| json!({
            "entity": one.entity, "at": one.at.to_string(), "feature": one.feature,
            "known": one.offline, "served": one.online,
        })).collect::<Vec<_>>(),
        "differences": report.differences.iter().map(|one| json!({
            "entity": one.entity, "at": one.at.to_string(), "feature": one.feature,
            "offline": one.offline, "online": one.online,
        })).collect::<Vec<_>>(),
    })
}
