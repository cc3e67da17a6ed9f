//! `tandem online`: what is in the online store, copies of it, and back from them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tandem_core::definition::ExpirySettings;
use tandem_core::model::{BoundView, ViewVersion};
use tandem_online::{AGE_BOUNDS_SECONDS, OnlineError, RestoredView, Store, StoreOptions, View, ViewId, ViewStats};

use super::batch::now;
use crate::cli::{Context, RunArguments};
use crate::error::Error;
use crate::output::{Column, Table, bytes, counted, grouped, width};
use crate::roll::{Provenance, Rolled, roll_copy};
use crate::{expiry, materialize};

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
    /// Write the rows and events of a copy into the store, where they are newer than what it has, and its push log into the offline history
    Restore(RestoreArguments),
    /// Serve the newer one of a view's two generations, or with --back the older one
    Switch(SwitchArguments),
    /// Remove the generation of a view that is not served, also one that is being rebuilt
    Drop(ViewArguments),
    /// Remove the values of rows that are older than their view's ttl, as a server does in the background
    Expire(ViewArguments),
}

/// Arguments of `tandem online restore`.
#[derive(Debug, clap::Args)]
struct RestoreArguments {
    /// The copy
    folder: PathBuf,
    #[command(flatten)]
    run: RunArguments,
}

/// Arguments of what acts on one view.
#[derive(Debug, clap::Args)]
struct ViewArguments {
    /// The feature view, as NAME, NAME@VERSION or NAME@ALIAS
    view: String,
    #[command(flatten)]
    run: RunArguments,
}

/// Arguments of `tandem online switch`.
#[derive(Debug, clap::Args)]
struct SwitchArguments {
    #[command(flatten)]
    view: ViewArguments,
    /// Serve the generation of before
    #[arg(long)]
    back: bool,
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
            if folder.exists() {
                let reason = "something is there already; a copy goes into a folder that does not exist yet".to_owned();
                return Err(Error::Argument { what: folder.display().to_string(), reason });
            }
            let copied = Store::open_read_only(&storage.online, options)?.backup(folder)?;
            if copied.corrupt > 0 {
                let rows = grouped(copied.corrupt);
                context.output.warning(format!("rows that cannot be read, copied as they are: {rows}"));
            }
            context.output.data(
                || {
                    let (entries, logged) = (counted(copied.entries, "row"), grouped(copied.logged));
                    format!("{entries}, {logged} in the push log, {}\n{}\n", bytes(copied.bytes), folder.display())
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
        Action::Restore(arguments) => restore(context, arguments),
        Action::Switch(SwitchArguments { view, back }) => switch(context, view, *back),
        Action::Drop(arguments) => drop_generation(context, arguments),
        Action::Expire(arguments) => expire(context, arguments),
    }
}

/// The store, opened for writing, and a view's number in it.
fn open_view(
    context: &Context,
    arguments: &ViewArguments,
) -> Result<(Store, Arc<BoundView>, ViewId, ExpirySettings), Error> {
    let opened = context.open_to_run(&arguments.run)?;
    let view = opened.view(&arguments.view)?.bound;
    let storage = &opened.project.settings.storage;
    if !view.view.is_stored() {
        let reason = "it is computed on demand and has no rows in the store".to_owned();
        return Err(Error::Argument { what: arguments.view.clone(), reason });
    }
    let store = Store::open(&storage.online, StoreOptions { fsync: storage.fsync, ..StoreOptions::default() })?;
    let id = materialize::store_view(&store, &view)?;
    Ok((store, view, id, opened.project.settings.expiry))
}

fn switch(context: &Context, arguments: &ViewArguments, back: bool) -> Result<(), Error> {
    let (store, view, id, _) = open_view(context, arguments)?;
    let (generations, changed) = store.switch_generation(id, back)?;
    let (id, live) = (view.view.id(), generations.live.ordinal);
    context.output.data(
        || match changed {
            true => format!("{id}: generation {live} is served now\n"),
            false => format!("{id}: generation {live} is served, as before\n"),
        },
        || json!({ "view": id.to_string(), "generation": live, "changed": changed }),
    );
    Ok(())
}

fn drop_generation(context: &Context, arguments: &ViewArguments) -> Result<(), Error> {
    let (store, view, id, _) = open_view(context, arguments)?;
    let (dropped, keys) = store.drop_generation(id)?;
    let id = view.view.id();
    context.output.data(
        || format!("{id}: generation {} dropped, {} removed\n", dropped.ordinal, counted(keys, "key")),
        || json!({ "view": id.to_string(), "generation": dropped.ordinal, "keys": keys }),
    );
    Ok(())
}

fn expire(context: &Context, arguments: &ViewArguments) -> Result<(), Error> {
    let (store, view, id, options) = open_view(context, arguments)?;
    let Some(ttl) = view.view.ttl else {
        let reason = "it has no `ttl`, so none of its rows is ever too old".to_owned();
        return Err(Error::Argument { what: arguments.view.clone(), reason });
    };
    let (mut looked, mut removed) = (0, 0);
    let mut from = None;
    loop {
        let step = expiry::step(&store, id, ttl, now(), from.as_deref(), options)?;
        looked += step.looked;
        removed += step.removed;
        from = step.next;
        if from.is_none() {
            break;
        }
    }
    let id = view.view.id();
    context.output.data(
        || format!("{id}: values of {} of {} removed\n", grouped(removed), counted(looked, "row")),
        || json!({ "view": id.to_string(), "looked": looked, "removed": removed }),
    );
    Ok(())
}

fn restore(context: &Context, arguments: &RestoreArguments) -> Result<(), Error> {
    let opened = context.open_to_run(&arguments.run)?;
    let settings = &opened.project.settings;
    let copy = Store::open_read_only(&arguments.folder, StoreOptions::default()).map_err(|error| match error {
        OnlineError::NoStore { path } => {
            let reason = "there is no copy of an online store; `tandem online backup` makes one".to_owned();
            Error::Argument { what: path.display().to_string(), reason }
        }
        error => error.into(),
    })?;
    let options = StoreOptions { fsync: settings.storage.fsync, ..StoreOptions::default() };
    let store = Store::open(&settings.storage.online, options)?;
    let mut known: BTreeMap<ViewVersion, Arc<BoundView>> = BTreeMap::new();
    for view in copy.views()? {
        let id = ViewVersion::new(&view.name, view.version);
        let Some(defined) = opened.project.version(&id) else { continue };
        let bound = opened.bind(defined)?.bound;
        if bound.definition_hash == view.definition_hash {
            known.insert(id, bound);
        }
    }
    let id = |view: &View| ViewVersion::new(&view.name, view.version);
    let restored = store.restore(&copy, |view| store.window_view(known.get(&id(view))?))?;
    // What the copy's log has, and the history does not, becomes files of it: the names say which it has.
    let provenance =
        Provenance { contract: tandem_engine::CONTRACT.to_owned(), runtime_fingerprint: opened.engine.fingerprint() };
    let mut rolled: BTreeMap<ViewVersion, Rolled> = BTreeMap::new();
    for log in copy.logs()?.iter().filter(|log| log.rows > 0) {
        let Some(RestoredView { view, .. }) = restored.iter().find(|restored| restored.view.id == log.view) else {
            continue;
        };
        match known.get(&id(view)) {
            Some(bound) => {
                let files = roll_copy(&copy, log.view, bound, &settings.storage.offline, &provenance, settings.push)?;
                rolled.insert(id(view), files);
            }
            None => context.output.warning(format!(
                "{} has rows in the copy's push log, and is not defined here: they stay there",
                id(view)
            )),
        }
    }
    for RestoredView { view, left_out, .. } in restored.iter().filter(|restored| restored.left_out > 0) {
        let what = if known.contains_key(&id(view)) {
            "that cannot be read"
        } else {
            "of a view that is not defined here, or that cannot be read"
        };
        context.output.warning(format!("{}: rows of the copy {what}, left out: {}", id(view), grouped(*left_out)));
    }
    let files = |view: &View| rolled.get(&id(view)).copied().unwrap_or_default();
    context.output.data(
        || {
            let line = |RestoredView { view, put, .. }: &RestoredView| {
                let (written, kept) = (counted(put.written as u64, "row"), grouped(put.kept as u64));
                let line = format!("{}: {written} written, {kept} older or equal to what was there", id(view));
                match files(view).rows {
                    0 => format!("{line}\n"),
                    rows => format!("{line}, {} from the push log into the offline history\n", grouped(rows)),
                }
            };
            restored.iter().map(line).collect()
        },
        || {
            let view = |RestoredView { view, put, left_out }: &RestoredView| {
                json!({
                    "view": id(view).to_string(),
                    "written": put.written,
                    "kept": put.kept,
                    "logged": files(view).rows,
                    "left_out": left_out,
                })
            };
            json!({ "views": restored.iter().map(view).collect::<Vec<_>>() })
        },
    );
    Ok(())
}

fn stats(context: &Context, store: &Store) -> Result<(), Error> {
    let (sizes, views, logs) = (store.stats()?, store.view_stats(now())?, store.logs()?);
    let logged: u64 = logs.iter().map(|log| log.rows).sum();
    context.output.data(
        || {
            let columns = ["view", "generation", "rows", "bytes", "corrupt", "expired", "folded", "ids"].into_iter().chain(AGES);
            let columns = columns.map(|name| Column { name: name.to_owned(), right: !["view", "generation"].contains(&name) });
            let columns: Vec<Column> = columns.collect();
            let row = |stats: &ViewStats| {
                let id = ViewVersion::new(&stats.view.name, stats.view.version).to_string();
                let generation = format!("{} {}", stats.generation.ordinal, stats.generation.state.as_str());
                let counts = [stats.corrupt, stats.removed, stats.folded, stats.ids].map(grouped);
                let sizes = [grouped(stats.entries), bytes(stats.bytes)].into_iter().chain(counts);
                [id, generation].into_iter().chain(sizes).chain(stats.ages.map(grouped)).collect()
            };
            let table = Table { split: columns.len(), columns, rows: views.iter().map(row).collect() };
            format!(
                "{}\n{} of {}, {} in the push log; {} in use of a map of {}; {} of {} reader slots\n{}\n",
                table.render(width()),
                counted(sizes.entries as u64, "row"),
                counted(sizes.views as u64, "version"),
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
                    "generation": stats.generation.ordinal,
                    "state": stats.generation.state.as_str(),
                    "rows": stats.entries,
                    "bytes": stats.bytes,
                    "corrupt": stats.corrupt,
                    "expired": stats.removed,
                    "folded": stats.folded,
                    "ids": stats.ids,
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
