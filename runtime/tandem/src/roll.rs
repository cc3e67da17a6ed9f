//! The push log into the offline history: rows that were pushed become Parquet files, and leave the log.
//!
//! Files come first and are synced before a row leaves the log. What a file has is known by its name ([`tandem_offline::PushedFiles`]), so a process that is
//! killed in between neither loses a row nor doubles one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray, new_null_array};
use tandem_core::canonical::{decode_rows, schema_fingerprint};
use tandem_core::definition::PushSettings;
use tandem_core::key::decode_many;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::time::Timestamp;
use tandem_core::types::{DataType, HISTORY_COLUMNS};
use tandem_offline::{OfflineError, PushedFiles, pushed_schema};
use tandem_online::{LogRow, Store, ViewId};

use crate::error::Error;

/// How often the roller looks at the log.
const LOOK: Duration = Duration::from_secs(1);

/// After how long it tries a view again of which nothing could be rolled.
const RETRY: Duration = Duration::from_secs(30);

/// What is recorded in every file.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The contract of components.
    pub contract: String,
    /// Engine version, flags and target.
    pub runtime_fingerprint: String,
}

/// What was rolled of a view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rolled {
    /// Rows that were in the log and are in files now.
    pub rows: u64,
    /// Files that were written.
    pub files: u64,
    /// Rows that cannot be read; they stay in the log.
    pub corrupt: u64,
}

/// Rolls all that is in a view's log now. Blocking.
///
/// # Errors
///
/// Another process rolls the same view; the file system; the store. What was rolled stays rolled.
pub fn roll(
    store: &Store,
    id: ViewId,
    view: &Arc<BoundView>,
    offline_root: &Path,
    provenance: &Provenance,
    options: PushSettings,
) -> Result<Rolled, Error> {
    roll_from(store, id, view, offline_root, provenance, options, true)
}

/// The same of a copy of a store, whose log keeps its rows.
///
/// # Errors
///
/// As [`roll`].
pub fn roll_copy(
    copy: &Store,
    id: ViewId,
    view: &Arc<BoundView>,
    offline_root: &Path,
    provenance: &Provenance,
    options: PushSettings,
) -> Result<Rolled, Error> {
    roll_from(copy, id, view, offline_root, provenance, options, false)
}

fn roll_from(
    store: &Store,
    id: ViewId,
    view: &Arc<BoundView>,
    offline_root: &Path,
    provenance: &Provenance,
    options: PushSettings,
    forget: bool,
) -> Result<Rolled, Error> {
    // Of a view of aggregates the events were pushed.
    let events = view.events().map(Arc::new);
    let view = events.as_ref().unwrap_or(view);
    let mut files = PushedFiles::open(Arc::clone(view), offline_root)?;
    let mut rolled = Rolled::default();
    let mut from = 0;
    loop {
        let piece = store.log_piece(id, from, options.roll_rows as usize, options.roll_bytes as usize)?;
        let fingerprint = schema_fingerprint(&view.stored_fields());
        let (rows, other): (Vec<LogRow>, Vec<LogRow>) =
            piece.rows.into_iter().partition(|row| row.record.schema_fingerprint == fingerprint);
        rolled.corrupt += (piece.corrupt.len() + other.len()) as u64;
        for (sequence, corruption) in &piece.corrupt {
            tracing::error!(view = view.view.name, sequence, %corruption, "a row of the push log is corrupt; it stays there");
        }
        for row in other {
            let (sequence, found) = (row.sequence, row.record.schema_fingerprint);
            tracing::error!(
                view = view.view.name,
                sequence,
                found,
                "a row of the push log has another schema; it stays there"
            );
        }
        if !rows.is_empty() {
            let batch = batch(view, &rows)?;
            let written = files.write(&batch, piece.epoch, &provenance.contract, &provenance.runtime_fingerprint)?;
            rolled.files += written.len() as u64;
            if forget {
                let sequences: Vec<u64> = rows.iter().map(|row| row.sequence).collect();
                rolled.rows += store.forget_logged(id, &sequences)?;
            } else {
                rolled.rows += written.iter().map(|file| file.rows).sum::<u64>();
            }
        }
        match piece.next {
            Some(next) => from = next,
            None => return Ok(rolled),
        }
    }
}

/// Rows of the log in the columns of files of pushed rows.
fn batch(view: &BoundView, rows: &[LogRow]) -> Result<RecordBatch, Error> {
    let data = |error: &dyn std::fmt::Display| Error::Data(format!("the push log of `{}`: {error}", view.view.name));
    let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
    let mut columns = decode_many(&join_keys, rows.iter().map(|row| &row.key[..])).map_err(|error| data(&error))?;
    let times = |of: &dyn Fn(&LogRow) -> Option<Timestamp>| -> ArrayRef {
        let times = rows.iter().map(|row| of(row).map(|time| time.0));
        Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    columns.push(times(&|row| Some(row.record.event_time)));
    columns.push(times(&|row| row.record.created_time));
    columns.push(times(&|row| Some(row.record.published_time)));
    columns.push(Arc::new(rows.iter().map(|row| row.record.sequence).collect::<Int64Array>()));
    let none = new_null_array(&DataType::Timestamp.to_arrow(), rows.len());
    columns.extend(std::iter::repeat_n(none, HISTORY_COLUMNS.len()));
    let values = rows.iter().map(|row| Some(&row.record.row[..]));
    columns.extend(decode_rows(&view.stored_fields(), values).map_err(|error| data(&error))?);
    columns.push(Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.sequence as i64))));
    RecordBatch::try_new(pushed_schema(view), columns).map_err(|error| data(&error))
}

/// Views whose logs are rolled, by their definition now.
pub type RolledViews = Box<dyn Fn() -> Vec<Arc<BoundView>> + Send>;

/// What a roller needs.
pub struct Roll {
    /// The store with the logs.
    pub store: Store,
    /// Where the offline history is.
    pub offline_root: PathBuf,
    /// What is served.
    pub views: RolledViews,
    /// What is recorded in every file.
    pub provenance: Provenance,
    /// When.
    pub options: PushSettings,
    /// The clock by which rows have their age.
    pub clock: fn() -> Timestamp,
}

/// A thread that rolls the logs of a store, until it is dropped.
pub struct Roller {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Roller {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn start(roll: Roll) -> std::io::Result<Roller> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("tandem-roller".to_owned()).spawn(move || roll.run(&stopped))?;
        Ok(Roller { stop, thread: Some(thread) })
    }
}

impl Drop for Roller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join(); // if it panicked, its panic was told
        }
    }
}

impl Roll {
    fn run(self, stop: &AtomicBool) {
        let mut resting = BTreeMap::new();
        while !stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(LOOK);
            resting.retain(|_, since: &mut Instant| since.elapsed() < RETRY);
            if let Err(error) = self.look(&mut resting) {
                tracing::error!(%error, "the push log cannot be read");
                std::thread::park_timeout(RETRY);
            }
        }
    }

    /// Rolls what is due, but for views that are `resting`: the last time nothing came of it.
    fn look(&self, resting: &mut BTreeMap<ViewId, Instant>) -> Result<(), Error> {
        let logs = self.store.logs()?;
        if logs.iter().all(|log| log.rows == 0) {
            return Ok(());
        }
        let stored = self.store.views()?;
        let views = (self.views)();
        for log in logs.iter().filter(|log| log.rows > 0) {
            if resting.contains_key(&log.view) {
                continue;
            }
            let age =
                log.oldest.map_or(0, |oldest| (self.clock)().0.saturating_sub(oldest.0).max(0) as u64 / 1_000_000);
            let PushSettings { roll_seconds, roll_rows, roll_bytes } = self.options;
            if age < roll_seconds && log.rows < roll_rows && log.bytes < roll_bytes {
                continue;
            }
            let Some(stored) = stored.iter().find(|stored| stored.id == log.view) else { continue };
            // Of a version that is no longer served the rows stay, until `tandem log flush` finds its definition.
            let is_it = |view: &&Arc<BoundView>| {
                (&view.view.name, view.view.version, view.definition_hash)
                    == (&stored.name, stored.version, stored.definition_hash)
            };
            let Some(view) = views.iter().find(is_it) else { continue };
            match roll(&self.store, log.view, view, &self.offline_root, &self.provenance, self.options) {
                Ok(Rolled { rows: 0, .. }) => {
                    resting.insert(log.view, Instant::now());
                }
                Ok(Rolled { rows, files, .. }) => {
                    tracing::info!(view = %view.view.id(), rows, files, "push log rolled");
                }
                // Another process does it.
                Err(Error::Offline(OfflineError::Locked { .. })) => {}
                Err(error) => {
                    tracing::error!(view = %view.view.id(), %error, "the push log cannot be rolled; its rows stay there");
                    resting.insert(log.view, Instant::now());
                }
            }
        }
        Ok(())
    }
}
