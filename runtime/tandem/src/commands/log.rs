//! `tandem log`: the push log, and rolling it into files of the offline history.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use tandem_core::model::ViewVersion;
use tandem_online::{LogStats, Store, StoreOptions};

use crate::cli::{Context, RunArguments};
use crate::error::Error;
use crate::output::{Column, Table, counted, grouped, width};
use crate::roll::{Provenance, Rolled, roll};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write the rows of the log into files of the offline history, now
    Flush(FlushArguments),
    /// Show what is in the log
    Show,
}

/// Arguments of `tandem log flush`.
#[derive(Debug, clap::Args)]
struct FlushArguments {
    /// The feature view, as NAME, NAME@VERSION or NAME@ALIAS [default: all that have rows in the log]
    view: Option<String>,
    #[command(flatten)]
    run: RunArguments,
}

/// Runs it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    match &arguments.action {
        Action::Flush(arguments) => flush(context, arguments),
        Action::Show => show(context),
    }
}

/// The logs that have rows, with the views that they are of.
fn logs(store: &Store) -> Result<BTreeMap<ViewVersion, LogStats>, Error> {
    let logs = store.logs()?;
    let of = |view: tandem_online::View| {
        let log = logs.iter().find(|log| log.view == view.id && log.rows > 0)?;
        Some((ViewVersion::new(&view.name, view.version), *log))
    };
    Ok(store.views()?.into_iter().filter_map(of).collect())
}

fn flush(context: &Context, arguments: &FlushArguments) -> Result<(), Error> {
    let opened = context.open_to_run(&arguments.run)?;
    let settings = &opened.project.settings;
    let options = StoreOptions { fsync: settings.storage.fsync, ..StoreOptions::default() };
    let store = Store::open(&settings.storage.online, options)?;
    let provenance =
        Provenance { contract: tandem_engine::CONTRACT.to_owned(), runtime_fingerprint: opened.engine.fingerprint() };
    let wanted = arguments.view.as_deref().map(|view| opened.view(view)).transpose()?;
    let mut flushed: Vec<(ViewVersion, Rolled)> = Vec::new();
    let mut left = Vec::new();
    for (id, log) in logs(&store)? {
        if wanted.as_ref().is_some_and(|wanted| wanted.bound.view.id() != id) {
            continue;
        }
        let Some(view) = opened.project.version(&id) else {
            left.push(id);
            continue;
        };
        let bound = opened.bind(view)?.bound;
        // The store refuses another definition of the same version.
        let number = crate::materialize::store_view(&store, &bound)?;
        let rolled = roll(&store, number, &Arc::clone(&bound), &settings.storage.offline, &provenance, settings.push)?;
        debug_assert_eq!(number, log.view);
        flushed.push((id, rolled));
    }
    for id in &left {
        context.output.warning(format!("{id} has rows in the push log, and is not defined here: they stay there"));
    }
    for (id, rolled) in flushed.iter().filter(|(_, rolled)| rolled.corrupt > 0) {
        let rows = grouped(rolled.corrupt);
        context.output.warning(format!("{id}: rows of the push log that cannot be read, which stay there: {rows}"));
    }
    context.output.data(
        || match flushed.is_empty() {
            true => "the push log has no rows\n".to_owned(),
            false => {
                let line = |(id, rolled): &(ViewVersion, Rolled)| {
                    format!("{id}: {} in {}\n", counted(rolled.rows, "row"), counted(rolled.files, "file"))
                };
                flushed.iter().map(line).collect()
            }
        },
        || {
            let view = |(id, rolled): &(ViewVersion, Rolled)| {
                json!({ "view": id.to_string(), "rows": rolled.rows, "files": rolled.files, "corrupt": rolled.corrupt })
            };
            json!({ "views": flushed.iter().map(view).collect::<Vec<_>>() })
        },
    );
    Ok(())
}

fn show(context: &Context) -> Result<(), Error> {
    let settings = crate::project::settings(&context.root()?)?;
    let store = Store::open_read_only(&settings.storage.online, StoreOptions::default())?;
    let logs = logs(&store)?;
    let oldest = |log: &LogStats| log.oldest.map(|time| time.to_string());
    context.output.data(
        || {
            let row = |(id, log): (&ViewVersion, &LogStats)| {
                vec![id.to_string(), grouped(log.rows), grouped(log.bytes), oldest(log).unwrap_or_default()]
            };
            let column = |(name, right): (&str, bool)| Column { name: name.to_owned(), right };
            let columns = [("view", false), ("rows", true), ("bytes", true), ("oldest", false)].map(column).to_vec();
            Table { split: columns.len(), columns, rows: logs.iter().map(row).collect() }.render(width())
        },
        || {
            let view = |(id, log): (&ViewVersion, &LogStats)| {
                json!({
                    "view": id.to_string(),
                    "rows": log.rows,
                    "bytes": log.bytes,
                    "oldest_published_time": oldest(log),
                    "next_sequence": log.next_sequence,
                })
            };
            json!({ "views": logs.iter().map(view).collect::<Vec<_>>() })
        },
    );
    Ok(())
}
