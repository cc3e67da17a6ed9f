//! Published feature rows into the online store: the newest of each entity, never back in time.

mod newest;
mod rows;
mod windows;

pub(crate) use windows::replay;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::TryStreamExt;
use tandem_core::canonical::schema_fingerprint;
use tandem_core::checks::{CheckResult, Checker};
use tandem_core::model::BoundView;
use tandem_core::time::{DayRange, Duration, Timestamp};
use tandem_engine::Workers;
use tandem_offline::{FileEntry, OfflineError, Only, PartitionId, PublishedBatch, PublishedRows, RowColumns};
use tandem_online::{PutRow, Record, Store, TakenBack, TakenFile, Target, ViewId, ViewIdentity};

use crate::error::Error;
use newest::{Newest, Sorted};
use rows::{Counts, MadeBy, Present, ViewRows};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 16_384;

/// Bytes of keys and rows that are made ready for the store at a time, roughly.
const PIECE_BYTES: usize = 16 << 20;

/// What a run may hold beside the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// `materialize_memory_bytes_max`: of the newest rows so far, in memory, with what it takes to find them. Those beyond it go into temporary files.
    pub memory_bytes_max: usize,
    /// `materialize_spilled_bytes_max`: of them, in temporary files. Beyond it they are written into the store, and their files recorded as taken, before more are read.
    pub spilled_bytes_max: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { memory_bytes_max: 256 << 20, spilled_bytes_max: 8 << 30 }
    }
}

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
    /// Rows that are taken in a second, at most; none: as many as can be. What was read in a second is written then.
    pub rows_per_second_max: Option<u64>,
    /// What it may hold.
    pub bounds: Bounds,
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
    /// Rows written: each was the newest of its entity, of those that were read together and of those that were stored.
    pub written: u64,
    /// Rows not written: the entity has a newer one (also among those that were read), or this one already, or it was valid at no instant.
    pub kept: u64,
    /// Rows with a null key, which match nothing.
    pub null_keys: u64,
    /// Rows whose event time or created time lies too far in the future.
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

/// Reads the published rows of the range, finds the newest of each entity within [`Bounds`], and writes those that are newer than what the store has. Rows that were retracted or superseded are
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
    let known = workers.run(move || of_store.find_view(&view.view.name, view.view.version)).await;
    if known.map_err(worker_error)??.is_none() {
        // A view of which there is nothing to be read stays unknown to the store, so that whoever asks is told that it was never materialized.
        drop(open(&request).await?);
    }
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

/// The published rows of the range, or of a view of aggregates its events, of which nothing is read yet.
async fn open(request: &Request) -> Result<PublishedRows, OfflineError> {
    let (view, root, range) = (Arc::clone(&request.view), &request.offline_root, request.range);
    match view.events() {
        Some(events) => PublishedRows::open_events(Arc::new(events), root, range, BATCH_ROWS).await,
        None => PublishedRows::open(view, root, range, BATCH_ROWS).await,
    }
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
    let mut newest = Newest::new(request.bounds.memory_bytes_max);
    let (mut in_memory, mut last_file) = (0, None);
    let began = Instant::now();
    progress(&report);
    let mut coming = rows.try_next().await;
    loop {
        let (batch, end) = match coming {
            Ok(Some(batch)) => (Some(batch), None),
            Ok(None) => (None, Some(Ok(()))),
            Err(error) => (None, Some(Err(error))),
        };
        // Where reading fails, the file of the last rows counts as the one in which it did.
        let next_file = batch.as_ref().map(|batch| Arc::clone(&batch.file)).or(last_file.take());
        let is_full = newest.spilled_bytes() > request.bounds.spilled_bytes_max
            || request.rows_per_second_max.is_some_and(|max| in_memory >= max);
        if !newest.is_empty() && (is_full || batch.is_none()) {
            let full = std::mem::replace(&mut newest, Newest::new(request.bounds.memory_bytes_max));
            let written = write(full, store, id, workers, MadeBy::of(&view), |written| {
                report.written += written;
                progress(&report);
            });
            let written = written.await?;
            report.kept += in_memory - written;
            in_memory = 0;
        }
        if newest.is_empty() {
            // All that lies before the next row is in the store. What was taken back is not done before the end.
            let is_end = matches!(end, Some(Ok(())));
            let mut done = Vec::new();
            while let Some(file) =
                files.next_if(|file| is_end || next_file.as_ref().is_some_and(|next| next.path != file.path))
            {
                done.push(file);
            }
            if stored.is_empty() && !is_query && !done.is_empty() {
                take_files(store, id, workers, done, &not_taken).await?;
            }
        }
        let Some(batch) = batch else {
            end.unwrap_or(Ok(()))?;
            break;
        };
        if rejected.contains(&batch.partition) {
            not_taken.insert(batch.file.path.clone());
            coming = rows.try_next().await;
            continue;
        }
        let file = last_file.insert(Arc::clone(&batch.file)).clone();
        let (of_store, view) = (store.clone(), Arc::clone(&view));
        let present = Present { now: request.now, max_future: request.max_future };
        let mut gathered = newest;
        let gather = workers.run(move || {
            let counts = gather(&mut gathered, &view, &batch, present)?;
            Ok::<_, Error>((gathered, counts, gone(&of_store, id, &view, &batch, present)?))
        });
        // The next rows are read meanwhile.
        let (gathered, after) = tokio::join!(gather, rows.try_next());
        let (gathered, counts, gone) = gathered.map_err(worker_error)??;
        (newest, coming) = (gathered, after);
        stored.extend(gone);
        report.rows += counts.rows;
        report.kept += counts.never_valid;
        report.null_keys += counts.null_keys;
        report.future += counts.future;
        in_memory += counts.rows - counts.never_valid - counts.null_keys - counts.future;
        if counts.future > 0 {
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
        if !is_query {
            take_files(store, id, workers, rows.files().to_vec(), &not_taken).await?;
        }
    }
    Ok(report)
}

/// Takes the rows of a batch that count, each if it is the newest of its entity so far.
fn gather(newest: &mut Newest, view: &BoundView, batch: &PublishedBatch, present: Present) -> Result<Counts, Error> {
    let rows = filter(&batch.rows, &batch.standing())?;
    let rows = ViewRows::new(view, &rows, batch.partition.is_pushed(), present)?;
    let mut buffer = Vec::new();
    rows.each(|key, times, row| {
        newest.add(key, times, &mut buffer, |buffer| rows.encode(row, buffer)).map_err(|source| Error::Spill { source })
    })
}

/// Those rows of a batch that do not count any more and are the stored ones of their entities.
fn gone(
    store: &Store,
    id: Target,
    view: &BoundView,
    batch: &PublishedBatch,
    present: Present,
) -> Result<Vec<(Vec<u8>, Record)>, Error> {
    let gone = filter(&batch.rows, &negated(&batch.standing()))?;
    if gone.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let gone = ViewRows::new(view, &gone, batch.partition.is_pushed(), present)?.encoded()?;
    let rows: Vec<PutRow<'_>> = gone.puts(MadeBy::of(view)).collect();
    let stored = store.are_stored(id, &rows)?;
    let stored = rows.iter().zip(stored).filter(|(_, is_stored)| *is_stored);
    Ok(stored.map(|(row, _)| (row.key.to_vec(), row.record.to_owned())).collect())
}

/// Writes the newest rows in the order of their keys, so that the pages of the store are written one after another, each once. Tells of each piece how many rows of
/// it were newer than what was stored, and gives their sum.
async fn write(
    newest: Newest,
    store: &Store,
    id: Target,
    workers: &Workers,
    made: MadeBy,
    mut progress: impl FnMut(u64),
) -> Result<u64, Error> {
    let rows_max = store.options().batch_rows_max;
    let piece = move |mut sorted: Sorted| {
        let rows = sorted.next(rows_max, PIECE_BYTES).map_err(|source| Error::Spill { source })?;
        Ok::<_, Error>((sorted, rows))
    };
    let sort = move || piece(newest.sorted().map_err(|source| Error::Spill { source })?);
    let (mut sorted, mut rows) = workers.run(sort).await.map_err(worker_error)??;
    let mut written = 0;
    while !rows.rows.is_empty() {
        let store = store.clone();
        let put = workers.run(move || {
            let puts: Vec<PutRow<'_>> = rows.puts(made).collect();
            let (mut rest, mut written) = (&puts[..], 0);
            while !rest.is_empty() {
                let (done, report) = store.put_newest(id, rest)?;
                written += report.written as u64;
                rest = &rest[done..];
            }
            Ok::<_, Error>(written)
        });
        // The next piece is made while this one goes to the disk.
        let (put, next) = tokio::join!(put, workers.run(move || piece(sorted)));
        let put = put.map_err(worker_error)??;
        written += put;
        progress(put);
        (sorted, rows) = next.map_err(worker_error)??;
    }
    Ok(written)
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
        let (view, present) = (Arc::clone(view), Present { now: request.now, max_future: request.max_future });
        instead = workers
            .run(move || {
                let rows = filter(&batch.rows, &batch.standing())?;
                let rows = ViewRows::new(&view, &rows, batch.partition.is_pushed(), present)?.encoded()?;
                for row in rows.puts(MadeBy::of(&view)) {
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
