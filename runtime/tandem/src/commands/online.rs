//! `tandem online`: what is in the online store, copies of it, and back from them.

use std::path::PathBuf;

use serde_json::json;
use tandem_core::model::ViewVersion;
use tandem_online::{AGE_BOUNDS_SECONDS, Store, StoreOptions, ViewStats};

use super::batch::now;
use crate::cli::Context;
use crate::error::Error;
use crate::output::{Column, Table, bytes, grouped, width};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show rows, bytes and ages of each view, and the sizes of the store
    Stats,
    /// Copy the store, as it is at one moment, into a folder that does not exist yet
    Backup {
        /// The folder
        folder: PathBuf,
    },
    /// Write the rows of a copy into the store, where they are newer than what it has
    Restore {
        /// The copy
        folder: PathBuf,
    },
}

/// The columns of ages, in the order of the store's bounds.
const AGES: [&str; AGE_BOUNDS_SECONDS.len() + 1] = ["<1m", "<1h", "<1d", "<7d", "<30d", "<365d", "older"];

/// Runs it.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let storage = crate::project::settings(&context.root()?)?.storage;
    let options = StoreOptions { fsync: storage.fsync, ..StoreOptions::default() };
    match &arguments.action {
        Action::Stats => stats(context, &Store::open_read_only(&storage.online, options)?),
        Action::Backup { folder } => {
            let copied = Store::open_read_only(&storage.online, options)?.backup(folder)?;
            if copied.corrupt > 0 {
                let rows = grouped(copied.corrupt);
                context.output.warning(format!("rows that cannot be read, copied as they are: {rows}"));
            }
            context.output.data(
                || {
                    let (entries, logged) = (grouped(copied.entries), grouped(copied.logged));
                    format!("{entries} rows, {logged} in the push log, {}\n{}\n", bytes(copied.bytes), folder.display())
                },
                || {
                    json!({
                        "rows": copied.entries,
                        "logged": copied.logged,
                        "bytes": copied.bytes,
                        "corrupt": copied.corrupt,
                        "folder": folder.display().to_string(),
                    })
                },
            );
            Ok(())
        }
        Action::Restore { folder } => {
            let copy = Store::open_read_only(folder, StoreOptions::default())?;
            let (restored, corrupt) = Store::open(&storage.online, options)?.restore(&copy)?;
            if corrupt > 0 {
                context.output.warning(format!("rows of the copy that cannot be read, left out: {}", grouped(corrupt)));
            }
            let id = |view: &tandem_online::View| ViewVersion::new(&view.name, view.version);
            context.output.data(
                || {
                    let line = |(view, put): &(tandem_online::View, tandem_online::PutReport)| {
                        let (written, kept) = (grouped(put.written as u64), grouped(put.kept as u64));
                        format!("{}: {written} rows written, {kept} older or equal to what was there\n", id(view))
                    };
                    restored.iter().map(line).collect()
                },
                || {
                    let view = |(view, put): &(tandem_online::View, tandem_online::PutReport)| {
                        json!({ "view": id(view).to_string(), "written": put.written, "kept": put.kept })
                    };
                    json!({ "views": restored.iter().map(view).collect::<Vec<_>>(), "corrupt": corrupt })
                },
            );
            Ok(())
        }
    }
}

fn stats(context: &Context, store: &Store) -> Result<(), Error> {
    let (sizes, views, logs) = (store.stats()?, store.view_stats(now())?, store.logs()?);
    let logged: u64 = logs.iter().map(|log| log.rows).sum();
    context.output.data(
        || {
            let columns = ["view", "rows", "bytes", "corrupt"].into_iter().chain(AGES);
            let columns = columns.map(|name| Column { name: name.to_owned(), right: name != "view" });
            let columns: Vec<Column> = columns.collect();
            let row = |stats: &ViewStats| {
                let id = ViewVersion::new(&stats.view.name, stats.view.version).to_string();
                let sizes = [grouped(stats.entries), bytes(stats.bytes), grouped(stats.corrupt)];
                [id].into_iter().chain(sizes).chain(stats.ages.map(grouped)).collect()
            };
            let table = Table { split: columns.len(), columns, rows: views.iter().map(row).collect() };
            format!(
                "{}\n{} rows of {} versions, {} in the push log; {} in use of a map of {}; {} of {} reader slots\n{}\n",
                table.render(width()),
                grouped(sizes.entries as u64),
                sizes.views,
                grouped(logged),
                bytes(sizes.used_bytes as u64),
                bytes(sizes.map_bytes as u64),
                sizes.readers,
                grouped(u64::from(sizes.readers_max)),
                store.path().display(),
            )
        },
        || {
            let view = |stats: &ViewStats| {
                json!({
                    "view": ViewVersion::new(&stats.view.name, stats.view.version).to_string(),
                    "rows": stats.entries,
                    "bytes": stats.bytes,
                    "corrupt": stats.corrupt,
                    "ages": AGES.iter().zip(stats.ages).map(|(age, rows)| (age.to_string(), json!(rows))).collect::<serde_json::Map<_, _>>(),
                })
            };
            json!({
                "rows": sizes.entries,
                "logged": logged,
                "used_bytes": sizes.used_bytes,
                "map_bytes": sizes.map_bytes,
                "readers": sizes.readers,
                "readers_max": sizes.readers_max,
                "store": store.path().display().to_string(),
                "views": views.iter().map(view).collect::<Vec<_>>(),
            })
        },
    );
    Ok(())
}
