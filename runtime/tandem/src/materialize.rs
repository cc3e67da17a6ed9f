//! Published feature rows into the online store: the newest of each entity, never back in time.

mod windows;

pub(crate) use windows::replay;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::TryStreamExt;
use tandem_core::canonical::{RowEncoder, schema_fingerprint};
use tandem_core::checks::{CheckResult, Checker};
use tandem_core::hash::Digest;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, JoinKey};
use tandem_core::status::{is_never_valid, too_far_in_future};
use tandem_core::time::{DayRange, Duration, Timestamp};
use tandem_engine::Workers;
use tandem_offline::{FileEntry, OfflineError, Only, PartitionId, PublishedRows, RowColumns};
use tandem_online::{PutRow, Record, RecordRef, Store, TakenBack, TakenFile, Target, ViewId, ViewIdentity};

use crate::error::Error;

/// Rows that are written in one transaction.
const BATCH_ROWS: usize = 16_384;

/// What to materialize, from where.
pub struct Request {
    /// The view.
    pub view: Arc<BoundView>,
    /// Where its rows are published.
    pub offline_root: std::path::PathBuf,
    /// Days to take; none: all.
    pub range: Option<DayRange>,
    /// The present: rows get it as published time.
    pub now: Timestamp,
    /// Rows further past `now` than this are left out and counted.
    pub max_future: Duration,
    /// Whether files that were taken before, as they are now, are passed over.
    pub incremental: bool,
    /// Whether a new generation is built of the whole history and served then, in the place of the one that is. `range` is none, and `incremental` false.
    pub rebuild: bool,
    /// Rows that are taken in a second, at most; none: as many as can be.
    pub rows_per_second_max: Option<u64>,
}

/// What came of the checks of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// In the order of the view's checks.
    pub checks: Vec<CheckResult>,
}

/// What came of it, in rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows read that count: they are neither retracted nor superseded.
    pub rows: u64,
    /// Rows written: each was the newest of its entity so far.
    pub written: u64,
    /// Rows not written: the entity has a newer one, or this one already, or it was valid at no instant.
    pub kept: u64,
    /// Rows with a null key, which match nothing.
    pub null_keys: u64,
    /// Rows too far in the future.
    pub future: u64,
    /// Entities whose stored row was retracted or superseded: an older row took its place, or none.
    pub taken_back: u64,
    /// Rows of a view of columns that were set aside: without an event time, with a value that does not convert, or breaking the source's contract.
    pub set_aside: u64,
    /// Of them, rows that break the contract.
    pub set_aside_contract: u64,
    /// Of them, rows that the component which makes the view's events fails on.
    pub set_aside_transform: u64,
    /// Of a tiled view, events of files that were not taken before, which lie behind the horizon of their entity and are not known to be there: they were not written, and only
    /// a rebuild counts them.
    pub too_late: u64,
    /// Of a tiled view, events that were folded into tiles after the run.
    pub folded: u64,
    /// Partitions read.
    pub partitions: u64,
    /// Files read.
    pub files: u64,
    /// Files passed over, since they were taken before.
    pub files_before: u64,
    /// Rows of the files that are read, whatever they hold.
    pub rows_all: u64,
    /// Of a rebuild, rows that were taken over from the generation before, since the history does not have them, or not yet.
    pub carried: u64,
    /// Of a rebuild, whether one that was begun before was gone on with.
    pub resumed: bool,
    /// Of a rebuild, the generation that is served now; None if it is not finished: checks failed.
    pub generation: Option<u32>,
    /// What came of the view's checks, where it has any. Nothing is written of partitions of which one fails.
    pub checked: Vec<CheckedPartition>,
}

/// The number of a bound view in the store; registers it at its first use.
///
/// # Errors
///
/// Where the store has rows of this version under another definition.
pub fn store_view(store: &Store, view: &BoundView) -> Result<ViewId, Error> {
    let identity = ViewIdentity {
        name: &view.view.name,
        version: view.view.version,
        definition_hash: view.definition_hash,
        digest: view.digest,
        schema_fingerprint: schema_fingerprint(&view.stored_fields()),
    };
    Ok(store.view(&identity)?)
}

/// Reads the published rows of the range and writes those that are newer than what the store has. Rows that were retracted or superseded are
/// taken back where the store still has them: the greatest row of the entity that counts takes their place, from whatever partition. Idempotent;
/// stopped at any moment it leaves whole rows, and a next run goes on.
///
/// A file is recorded as taken once all of its rows are in the store, or need not be. An incremental run passes over files that were taken as they are
/// now, so it follows what is new to the store, and not event time: a late row is taken, and a run that was killed goes on with the file in which it was.
///
/// A rebuild writes into a generation of its own, beside the live one, and serves it when it has all: what is published, and what was pushed and is not there yet. Whatever
/// is written into the view meanwhile, by whatever process, reaches both. One that is stopped is gone on with by the next.
pub async fn run(
    mut request: Request,
    store: &Store,
    workers: &Workers,
    progress: impl FnMut(&Report),
) -> Result<Report, Error> {
    let (of_store, view) = (store.clone(), Arc::clone(&request.view));
    let id = workers.run(move || store_view(&of_store, &view)).await.map_err(worker_error)??;
    if !request.rebuild {
        return fill(request, store, id.into(), workers, progress).await;
    }
    let (of_store, view, now) = (store.clone(), Arc::clone(&request.view), request.now);
    let of_rebuild = Arc::clone(&view);
    // What is in the log is taken before files are listed: on its way from one to the other it is in either.
    let begun = workers.run(move || {
        let (target, resumed) = of_store.begin_rebuild(id)?;
        let carried = of_store.carry_over(target, of_store.window_view(&of_rebuild).as_deref())?;
        Ok::<_, Error>((target, resumed, carried))
    });
    let (target, resumed, carried) = begun.await.map_err(worker_error)??;
    // Files that one before has taken are passed over.
    request.incremental = true;
    let filled = match fill(request, store, target, workers, progress).await {
        // Nothing is published: all that there is was pushed.
        Err(Error::Offline(OfflineError::NotPublished { .. } | OfflineError::NoPartitions { .. })) if carried > 0 => {
            Report::default()
        }
        filled => filled?,
    };
    let is_whole = !filled.checked.iter().any(|part| part.checks.iter().any(CheckResult::fails));
    let of_store = store.clone();
    let finish = move || {
        let Some(generations) = is_whole.then(|| of_store.finish_rebuild(target)).transpose()? else {
            return Ok((None, 0));
        };
        let windows = of_store.window_view(&view);
        let folded = windows.map_or(Ok(0), |windows| of_store.fold(id, &windows, now))?;
        Ok::<_, Error>((Some(generations.live.ordinal), folded))
    };
    let (generation, folded) = workers.run(finish).await.map_err(worker_error)??;
    Ok(Report { carried, resumed, generation, folded, ..filled })
}

/// Reads the published rows of the range and writes them into a view, or into a generation of it.
async fn fill(
    request: Request,
    store: &Store,
    id: Target,
    workers: &Workers,
    mut progress: impl FnMut(&Report),
) -> Result<Report, Error> {
    let view = Arc::clone(&request.view);
    if let Some(windows) = store.window_view(&view) {
        return windows::run(request, store, id, &windows, workers, progress).await;
    }
    let checked = check(&request, workers).await?;
    let rejected: HashSet<PartitionId> = checked
        .iter()
        .filter(|part| part.checks.iter().any(CheckResult::fails))
        .map(|part| part.partition.clone())
        .collect();
    let is_query = view.view.source.files().is_some_and(|source| source.query.is_some());
    let files_before = Arc::new(AtomicU64::new(0));
    let only: Option<Only> = match request.incremental && !is_query {
        true => {
            let (store, passed) = (store.clone(), Arc::clone(&files_before));
            let taken = workers.run(move || store.taken(id)).await.map_err(worker_error)??;
            Some(Arc::new(move |file: &FileEntry| {
                let (path, file) = named(file);
                let is_new = !taken.has(&path, file);
                passed.fetch_add(u64::from(!is_new), Ordering::Relaxed);
                is_new
            }))
        }
        false => None,
    };
    let batch_rows =
        request.rows_per_second_max.map_or(BATCH_ROWS, |max| (max / 4).clamp(1, BATCH_ROWS as u64) as usize);
    let (root, range) = (&request.offline_root, request.range);
    let mut rows = PublishedRows::open_only(Arc::clone(&view), root, range, batch_rows, only).await?;
    let partitions = rows.partitions().iter().filter(|id| !rejected.contains(id)).count() as u64;
    let mut report = Report {
        partitions,
        checked,
        files: rows.files().len() as u64,
        files_before: files_before.load(Ordering::Relaxed),
        rows_all: rows.row_count(),
        ..Report::default()
    };
    // Files whose rows are not all in the store: they are read again the next time.
    let mut not_taken: HashSet<PathBuf> = HashSet::new();
    let mut files = rows.files().to_vec().into_iter().peekable();
    let mut stored = Vec::new();
    let began = Instant::now();
    progress(&report);
    while let Some(batch) = rows.try_next().await? {
        if rejected.contains(&batch.partition) {
            not_taken.insert(batch.file.path.clone());
            continue;
        }
        // Whatever lies before this file is done.
        let mut done = Vec::new();
        while let Some(file) = files.next_if(|file| file.path != batch.file.path) {
            done.push(file);
        }
        // What was taken back is not done before the end.
        if stored.is_empty() && !is_query && !done.is_empty() {
            take_files(store, id, workers, done, &not_taken).await?;
        }
        let file = Arc::clone(&batch.file);
        let (store, view) = (store.clone(), Arc::clone(&view));
        let (now, max_future) = (request.now, request.max_future);
        let (part, gone) = workers
            .run(move || {
                let (standing, pushed) = (batch.standing(), batch.partition.is_pushed());
                let rows = filter(&batch.rows, &standing)?;
                let part = put_batch(&store, id, &Rows::encode(&view, &rows, pushed, now, max_future)?)?;
                let gone = filter(&batch.rows, &negated(&standing))?;
                let gone = Rows::encode(&view, &gone, pushed, now, max_future)?;
                Ok::<_, Error>((part, still_stored(&store, id, &gone)?))
            })
            .await
            .map_err(worker_error)??;
        stored.extend(gone);
        report.rows += part.rows;
        report.written += part.written;
        report.kept += part.kept;
        report.null_keys += part.null_keys;
        report.future += part.future;
        if part.future > 0 {
            not_taken.insert(file.path.clone());
        }
        progress(&report);
        if let Some(max) = request.rows_per_second_max {
            let due = std::time::Duration::from_secs_f64(report.rows as f64 / max.max(1) as f64);
            tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        }
    }
    (report.set_aside, report.set_aside_contract) = rows.passed_over();
    if !stored.is_empty() {
        report.taken_back = take_back(&request, store, id, workers, stored).await?;
    }
    if !is_query {
        take_files(store, id, workers, rows.files().to_vec(), &not_taken).await?;
    }
    Ok(report)
}

/// Path and state of a file, as the store records them.
fn named(file: &FileEntry) -> (String, TakenFile) {
    let nanos = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    let taken = TakenFile { size: file.size, modified_nanos: nanos(file.modified) };
    (file.path.to_string_lossy().into_owned(), taken)
}

/// Records files as taken, but for those of which rows are missing.
async fn take_files(
    store: &Store,
    id: Target,
    workers: &Workers,
    files: Vec<FileEntry>,
    not_taken: &HashSet<PathBuf>,
) -> Result<(), Error> {
    let files: Vec<_> = files.iter().filter(|file| !not_taken.contains(&file.path)).map(named).collect();
    let store = store.clone();
    Ok(workers.run(move || store.take_files(id, &files)).await.map_err(worker_error)??)
}

/// Looks at all rows of the range that count, if the view has checks: what is published may be older than they are.
async fn check(request: &Request, workers: &Workers) -> Result<Vec<CheckedPartition>, Error> {
    let view = &request.view;
    if view.view.checks.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = PublishedRows::open(Arc::clone(view), &request.offline_root, request.range, BATCH_ROWS).await?;
    let new = || Checker::new(&view.view.checks, &view.signature);
    // Rows that were pushed are served already, and no partition.
    let mut checkers: BTreeMap<PartitionId, (Checker, u64)> =
        rows.partitions().iter().filter(|id| !id.is_pushed()).map(|id| (id.clone(), (new(), 0))).collect();
    while let Some(batch) = rows.try_next().await? {
        if batch.partition.is_pushed() {
            continue;
        }
        let (mut checker, mut count) = checkers.remove(&batch.partition).unwrap_or_else(|| (new(), 0));
        let (view, partition) = (Arc::clone(view), batch.partition.clone());
        let looked = workers.run(move || {
            let rows = filter(&batch.rows, &batch.standing())?;
            let RowColumns { keys, times, features, .. } = RowColumns::of(&view);
            let outputs: Vec<usize> = (features..rows.num_columns()).collect();
            let outputs = rows.project(&outputs).map_err(|error| Error::Data(error.to_string()))?;
            let looked = checker.look(&rows.columns()[..keys], rows.column(times), &outputs);
            looked.map_err(|error| Error::Data(error.to_string()))?;
            count += rows.num_rows() as u64;
            Ok::<_, Error>((checker, count))
        });
        checkers.insert(partition, looked.await.map_err(worker_error)??);
    }
    let above = |id: &PartitionId| id.as_str().rsplit_once('/').map(|(above, _)| above.to_owned());
    // Of each folder above, the numbers of rows so far, the latest first.
    let mut before: HashMap<Option<String>, Vec<u64>> = HashMap::new();
    let finish = |(partition, (checker, count)): (PartitionId, (Checker, u64))| {
        let before = before.entry(above(&partition)).or_default();
        let checks = checker.finish(before);
        before.insert(0, count);
        CheckedPartition { partition, checks }
    };
    Ok(checkers.into_iter().map(finish).collect())
}

fn worker_error(panic: tandem_engine::WorkerPanic) -> Error {
    Error::Engine(panic.into())
}

fn filter(rows: &RecordBatch, wanted: &BooleanArray) -> Result<RecordBatch, Error> {
    filter_record_batch(rows, wanted).map_err(|error| Error::Data(error.to_string()))
}

fn negated(array: &BooleanArray) -> BooleanArray {
    array.iter().map(|value| value.map(|value| !value)).collect()
}

/// Feature rows as the store has them.
struct Rows {
    /// Keys and values behind each other in one buffer.
    bytes: Vec<u8>,
    rows: Vec<EncodedRow>,
    digest: Digest,
    fingerprint: u64,
    /// All rows, those with null keys, those of the future, those that are valid at no instant.
    counts: (u64, u64, u64, u64),
}

struct EncodedRow {
    event_time: Timestamp,
    created_time: Option<Timestamp>,
    sequence: Option<i64>,
    published_time: Timestamp,
    key: Range<usize>,
    row: Range<usize>,
}

impl Rows {
    /// Rows in the columns of [`tandem_offline::feature_schema`], without those that have a null key or lie in the future.
    fn encode(
        view: &BoundView,
        rows: &RecordBatch,
        pushed: bool,
        now: Timestamp,
        max_future: Duration,
    ) -> Result<Self, Error> {
        let join_keys: Vec<JoinKey> = view.view.join_keys().cloned().collect();
        let columns = RowColumns::of(view);
        let (keys, features) = (&rows.columns()[..columns.keys], &rows.columns()[columns.features..]);
        let data =
            |error: &dyn std::fmt::Display| Error::Data(format!("published rows of `{}`: {error}", view.view.name));
        let key_encoder = KeyEncoder::new(&join_keys, keys).map_err(|error| data(&error))?;
        let row_encoder = RowEncoder::new(features).map_err(|error| data(&error))?;
        let time = |column: usize| rows.column(columns.times + column).as_primitive::<TimestampMicrosecondType>();
        let (event_times, created_times, published) = (time(0), time(1), time(2));
        let sequences = rows.column(columns.times + 3).as_primitive::<Int64Type>();

        // The end of validity is behind the features.
        let ends = features.last().filter(|_| view.view.source.has_valid_to());
        let ends = ends.and_then(|ends| ends.as_primitive_opt::<TimestampMicrosecondType>());
        let (mut bytes, mut encoded) = (Vec::new(), Vec::with_capacity(rows.num_rows()));
        let (mut null_keys, mut future, mut never_valid) = (0, 0, 0);
        for row in 0..rows.num_rows() {
            let event_time = Timestamp(event_times.value(row));
            if too_far_in_future(event_time, now, max_future) {
                future += 1;
                continue;
            }
            let end = ends.and_then(|ends| ends.is_valid(row).then(|| Timestamp(ends.value(row))));
            if is_never_valid(event_time, end) {
                never_valid += 1;
                continue;
            }
            let start = bytes.len();
            if !key_encoder.encode_into(row, &mut bytes) {
                null_keys += 1;
                continue;
            }
            let middle = bytes.len();
            row_encoder.encode(row, &mut bytes);
            encoded.push(EncodedRow {
                event_time,
                created_time: created_times.is_valid(row).then(|| Timestamp(created_times.value(row))),
                sequence: sequences.is_valid(row).then(|| sequences.value(row)),
                // What was pushed was visible from then on.
                published_time: if pushed && published.is_valid(row) { Timestamp(published.value(row)) } else { now },
                key: start..middle,
                row: middle..bytes.len(),
            });
        }
        Ok(Rows {
            bytes,
            rows: encoded,
            digest: view.digest,
            fingerprint: schema_fingerprint(&view.stored_fields()),
            counts: (rows.num_rows() as u64, null_keys, future, never_valid),
        })
    }

    fn iter(&self) -> impl Iterator<Item = PutRow<'_>> {
        self.rows.iter().map(|row| PutRow {
            key: &self.bytes[row.key.clone()],
            record: RecordRef {
                event_time: row.event_time,
                created_time: row.created_time,
                sequence: row.sequence,
                published_time: row.published_time,
                digest: self.digest,
                schema_fingerprint: self.fingerprint,
                row: &self.bytes[row.row.clone()],
            },
        })
    }
}

/// So many of these rows as one transaction takes, one at least.
fn transaction<T>(store: &Store, rows: &[T], bytes: impl Fn(&T) -> usize) -> usize {
    let options = store.options();
    let mut size = 0;
    let fits = rows.iter().take(options.batch_rows_max).take_while(|row| {
        size += bytes(row);
        size <= options.batch_bytes_max
    });
    fits.count().max(1)
}

/// Writes what is newer than what is stored.
fn put_batch(store: &Store, id: Target, rows: &Rows) -> Result<Report, Error> {
    let (all, null_keys, future, never_valid) = rows.counts;
    let mut report = Report { rows: all, null_keys, future, kept: never_valid, ..Report::default() };
    let put: Vec<PutRow<'_>> = rows.iter().collect();
    // A batch may have more bytes than one transaction takes.
    let mut rest = &put[..];
    while !rest.is_empty() {
        let fits = transaction(store, rest, |row| row.key.len() + row.record.row.len());
        let (now_rows, later) = rest.split_at(fits);
        let written = store.put_if_newer(id, now_rows)?;
        report.written += written.written as u64;
        report.kept += written.kept as u64;
        rest = later;
    }
    Ok(report)
}

/// Those of these rows that are the stored ones of their entities.
fn still_stored(store: &Store, id: Target, gone: &Rows) -> Result<Vec<(Vec<u8>, Record)>, Error> {
    let rows: Vec<PutRow<'_>> = gone.iter().collect();
    let stored = store.are_stored(id, &rows)?;
    let stored = rows.iter().zip(stored).filter(|(_, is_stored)| *is_stored);
    Ok(stored.map(|(row, _)| (row.key.to_vec(), row.record.to_owned())).collect())
}

/// Puts the greatest rows that count in the place of `stored` ones that do not; gives the number of entities whose row changed.
async fn take_back(
    request: &Request,
    store: &Store,
    id: Target,
    workers: &Workers,
    stored: Vec<(Vec<u8>, Record)>,
) -> Result<u64, Error> {
    let view = &request.view;
    let mut instead: HashMap<Vec<u8>, Option<Record>> = stored.iter().map(|(key, _)| (key.clone(), None)).collect();
    // Whichever days are asked for: the greatest row of an entity may lie in any.
    let mut rows = PublishedRows::open(Arc::clone(view), &request.offline_root, None, BATCH_ROWS).await?;
    while let Some(batch) = rows.try_next().await? {
        let (view, now, max_future) = (Arc::clone(view), request.now, request.max_future);
        instead = workers
            .run(move || {
                let pushed = batch.partition.is_pushed();
                let rows = filter(&batch.rows, &batch.standing())?;
                for row in Rows::encode(&view, &rows, pushed, now, max_future)?.iter() {
                    if let Some(best) = instead.get_mut(row.key)
                        && best.as_ref().is_none_or(|best| best.order() < row.record.order())
                    {
                        *best = Some(row.record.to_owned());
                    }
                }
                Ok::<_, Error>(instead)
            })
            .await
            .map_err(worker_error)??;
    }
    let store = store.clone();
    let taken = workers.run(move || {
        let with = |key: &Vec<u8>| instead.get(key).and_then(Option::as_ref);
        let rows: Vec<TakenBack<'_>> = stored
            .iter()
            // An equal row that counts is the same to the store.
            .filter(|(key, stored)| with(key).is_none_or(|instead| instead.order() != stored.order()))
            .map(|(key, stored)| TakenBack { key, stored: stored.borrow(), instead: with(key).map(Record::borrow) })
            .collect();
        let (mut taken, mut rest) = (0, &rows[..]);
        while !rest.is_empty() {
            let fits = transaction(&store, rest, |row| row.key.len() + row.instead.map_or(0, |row| row.row.len()));
            let (now_rows, later) = rest.split_at(fits);
            taken += store.take_back(id, now_rows)? as u64;
            rest = later;
        }
        Ok::<_, Error>(taken)
    });
    taken.await.map_err(worker_error)?
}
