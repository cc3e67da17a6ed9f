//! What is in a store, view by view; copies of it, and back from them.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use tandem_core::time::Timestamp;

use super::carry::RestoredView;
use super::whole::Whole;
use super::{PutReport, Store};
use crate::environment::{Access, Environment, Fault, Table};
use crate::error::OnlineError;
use crate::generation::{Generation, Target};
use crate::options::StoreOptions;
use crate::record::Stored;
use crate::view::{View, ViewIdentity};
use crate::windows::{WindowView, folded_of, is_entity, is_id, parse_event};

/// Ages, in seconds, between which rows are counted: a minute, an hour, a day, a week, 30 days, 365 days.
pub const AGE_BOUNDS_SECONDS: [u64; 6] = [60, 3_600, 86_400, 604_800, 2_592_000, 31_536_000];

/// Bytes that are copied in one write transaction.
const PIECE_BYTES: usize = 16 << 20;

/// What a store has of a generation of a view's version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStats {
    /// The version.
    pub view: View,
    /// The generation.
    pub generation: Generation,
    /// Its rows; of a view of aggregates, its events.
    pub entries: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// Of them, rows that cannot be read.
    pub corrupt: u64,
    /// Of them, rows whose values were removed since they are older than the ttl.
    pub removed: u64,
    /// Beside them, events of a tiled view that were folded: tiles alone have them, or events that the offline history does not have.
    pub folded: u64,
    /// Of the folded ones, those that are still known by their ids.
    pub ids: u64,
    /// Rows by the age of their event: below each of [`AGE_BOUNDS_SECONDS`] and not below the one before; at the end those that are older. Rows of the
    /// future are the youngest.
    pub ages: [u64; AGE_BOUNDS_SECONDS.len() + 1],
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Feature rows.
    pub entries: u64,
    /// Rows of the push log.
    pub logged: u64,
    /// Keys and values, in bytes.
    pub bytes: u64,
    /// Feature rows that cannot be read; they are copied as they are.
    pub corrupt: u64,
}

impl Store {
    /// Sizes and ages of all generations of all views, by name and version, the live one first. Reads every row, a few thousand in a transaction.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn view_stats(&self, now: Timestamp) -> Result<Vec<ViewStats>, OnlineError> {
        let mut all = Vec::new();
        for view in self.views()? {
            for generation in self.generations(view.id)?.all() {
                let mut stats = ViewStats {
                    view: view.clone(),
                    generation,
                    entries: 0,
                    bytes: 0,
                    corrupt: 0,
                    removed: 0,
                    folded: 0,
                    ids: 0,
                    ages: Default::default(),
                };
                for table in [Table::Records, Table::Windows] {
                    self.raw_pieces(
                        table,
                        generation.number,
                        |_, _| true,
                        |piece| {
                            piece.entries.iter().for_each(|(key, value)| stats.add(table, key, value, now));
                            Ok(())
                        },
                    )?;
                }
                all.push(stats);
            }
        }
        Ok(all)
    }

    /// Copies the store, as it is at one moment, into a folder that does not exist yet. Readers and writers go on; what they replace meanwhile is not used
    /// again before the copy is done.
    ///
    /// # Errors
    /// The folder exists; no room. Nothing is left then.
    pub fn backup(&self, target: &Path) -> Result<CopyReport, OnlineError> {
        let io = |operation, path: &Path, source| OnlineError::Io { operation, path: path.to_owned(), source };
        if target.exists() {
            let source = std::io::ErrorKind::AlreadyExists.into();
            return Err(io("make", target, source));
        }
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".unfinished");
        let unfinished = target.with_file_name(name);
        let copied = self.environment().read(|snapshot| {
            let clear = || match fs::remove_dir_all(&unfinished) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", &unfinished, error)),
                _ => Ok(()),
            };
            clear()?;
            let copy = Environment::open(&unfinished, Access::ReadWrite, &StoreOptions::default())?;
            let mut report = CopyReport::default();
            for table in [Table::Meta, Table::Views, Table::State, Table::Records, Table::Log, Table::Windows] {
                let mut waiting: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
                let mut bytes = 0;
                let write = |waiting: &mut Vec<(Vec<u8>, Vec<u8>)>| {
                    copy.write(|txn| waiting.iter().try_for_each(|(key, value)| txn.put(table, key, value)))?;
                    waiting.clear();
                    Ok::<_, Fault>(())
                };
                snapshot.scan(table, &[], |key, value| {
                    match table {
                        Table::Records => {
                            report.entries += 1;
                            report.corrupt += u64::from(Stored::decode(value).is_err());
                        }
                        Table::Log => report.logged += 1,
                        _ => {}
                    }
                    report.bytes += (key.len() + value.len()) as u64;
                    bytes += key.len() + value.len();
                    waiting.push((key.to_vec(), value.to_vec()));
                    if bytes > PIECE_BYTES {
                        write(&mut waiting)?;
                        bytes = 0;
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                write(&mut waiting)?;
            }
            Ok(report)
        });
        let finished = copied.and_then(|report| {
            fs::rename(&unfinished, target).map_err(|error| io("make", target, error))?;
            let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let sync = fs::File::open(parent).and_then(|folder| folder.sync_all());
            sync.map_err(|error| io("sync", parent, error)).map(|()| report)
        });
        if finished.is_err() {
            let _ = fs::remove_dir_all(&unfinished); // the error that is told is the first one
        }
        finished
    }

    /// Writes the feature rows and events of a copy into this store, where they are newer than what it has, or not there; beside readers and writers. What the store
    /// has is never moved back. What cannot be read is left out. `windows` is how the events of a version are kept, None where that is not known. The
    /// push log of the copy is not touched.
    ///
    /// # Errors
    /// A version that this store has under another definition; what was written before stays.
    pub fn restore(
        &self,
        copy: &Store,
        windows: impl Fn(&View) -> Option<Arc<WindowView>>,
    ) -> Result<Vec<RestoredView>, OnlineError> {
        let mut restored = Vec::new();
        for view in copy.views()? {
            let identity = ViewIdentity {
                name: &view.name,
                version: view.version,
                definition_hash: view.definition_hash,
                digest: view.digest,
                schema_fingerprint: view.schema_fingerprint,
            };
            let target = Target::from(self.view(&identity)?);
            let number = copy.generations(view.id)?.live.number;
            let (mut put, mut left_out) = (PutReport::default(), 0);
            let mut add = |report: PutReport, missing: u64| {
                put.written += report.written;
                put.kept += report.kept;
                left_out += missing;
            };
            copy.raw_pieces(
                Table::Records,
                number,
                |_, _| true,
                |piece| {
                    let report = self.merge(target, &piece.entries)?;
                    add(report, piece.keys - (report.written + report.kept) as u64);
                    Ok(())
                },
            )?;
            let windows = windows(&view);
            // What tiles alone have cannot be made of events: such entities come whole, where they are not there yet.
            let whole = match windows.as_deref().filter(|windows| windows.lateness().is_some()) {
                Some(windows) => self.take_entities(target.view, windows, copy, number)?,
                None => Whole::default(),
            };
            add(PutReport { written: whole.events, ..PutReport::default() }, whole.left_out);
            // Those of them are met again as ones that are there.
            let mut again = whole.events;
            copy.raw_pieces(
                Table::Windows,
                number,
                |key, _| parse_event(key).is_some(),
                |piece| {
                    match &windows {
                        Some(windows) => {
                            let (mut report, missing) = self.merge_events(target, windows, &piece.entries)?;
                            let known = again.min(report.kept);
                            (report.kept, again) = (report.kept - known, again - known);
                            add(report, missing);
                        }
                        None => add(PutReport::default(), piece.entries.len() as u64),
                    }
                    Ok(())
                },
            )?;
            restored.push(RestoredView { view, put, left_out });
        }
        Ok(restored)
    }
}

impl ViewStats {
    fn add(&mut self, table: Table, key: &[u8], value: &[u8], now: Timestamp) {
        self.bytes += (key.len() + value.len()) as u64;
        // Beside events there are tiles, and what is known of entities.
        if matches!(table, Table::Windows) && parse_event(key).is_none() {
            self.ids += u64::from(is_id(key));
            self.folded += folded_of(value).filter(|_| is_entity(key)).unwrap_or_default();
            return;
        }
        self.entries += 1;
        let Ok(stored) = Stored::decode(value) else {
            self.corrupt += 1;
            return;
        };
        self.removed += u64::from(stored.removed);
        let seconds = now.0.saturating_sub(stored.record.event_time.0).max(0) as u64 / 1_000_000;
        self.ages[AGE_BOUNDS_SECONDS.partition_point(|bound| *bound <= seconds)] += 1;
    }
}
