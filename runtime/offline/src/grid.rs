//! A view of aggregates at the instants of its grid, published as partitions by day.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, new_null_array};
use arrow_schema::SchemaRef;
use tandem_core::checks::Checker;
use tandem_core::model::BoundView;
use tandem_core::time::{Day, DayRange, Timestamp};
use tandem_engine::STACK_BYTES;

use crate::batch::{Place, earlier, look, publish, row_counts, run_id};
use crate::columns::{RowColumns, check_names, feature_schema};
use crate::error::OfflineError;
use crate::listing::{PartitionFiles, PartitionId, snapshot};
use crate::publish::{OutputLock, check_published, metadata, view_folder};
use crate::report::{BatchReport, PartitionReport, Progress, RowCounts, SharedReads};
use crate::staged::{DATA_FILE, StagedWriter, Target};
use crate::training::TrainingError;
use crate::training::threads::on_threads;
use crate::training::windows::grid::{GridEvents, GridOptions, GridRows};

/// `grid_instants_max`: instants of a run at most.
pub const GRID_INSTANTS_MAX: u64 = 1_000_000;

/// What to compute and where to publish it.
#[derive(Debug, Clone)]
pub struct GridRequest {
    /// The view, of aggregates with a grid, its components loaded.
    pub view: Arc<BoundView>,
    /// The days, in UTC.
    pub range: DayRange,
    /// Published rows go below it, to `VIEW/vVERSION/date=DAY/part-0.parquet`.
    pub offline_root: PathBuf,
    /// The present, by the caller's clock. What is known later nobody knows, so that instants past it are left out.
    pub now: Timestamp,
    /// The contract of components, recorded in every file.
    pub contract: String,
    /// Engine version, flags and target, recorded in every file.
    pub runtime_fingerprint: String,
    /// `row_group_rows`: rows of a Parquet row group at most.
    pub row_group_rows: usize,
    /// `threads`: pieces of work at the same time.
    pub threads: usize,
    /// `join_batch_rows`: rows that are read at a time.
    pub batch_rows: usize,
    /// `join_memory_bytes_max`: what events and rows may take, in bytes, before they go into temporary files; estimated.
    pub memory_bytes_max: u64,
}

/// Computes the view at every instant of its grid in the range, up to now, and publishes a partition for each day.
///
/// At an instant an entity has a row if one of its events lies in one of the windows, or did so at the instant before: the values are those that a training set
/// has for a label at that instant. Blocking, and runs user code; one run at a time has the output. Each partition appears whole or not at all, in place of an
/// earlier run's, whose rows stay as its history.
///
/// # Errors
///
/// A range without an instant up to now, or with too many, and what a training set of the view fails on.
pub fn run_grid(request: &GridRequest, progress: &dyn Progress) -> Result<BatchReport, TrainingError> {
    // Components have room on a thread of its own.
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || run(request, progress));
        let thread = thread.map_err(|error| OfflineError::Task(format!("the system gives no thread: {error}")))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(OfflineError::Task("the computation of a grid panicked".to_owned()).into()))
    })
}

fn run(request: &GridRequest, progress: &dyn Progress) -> Result<BatchReport, TrainingError> {
    let start = Instant::now();
    let GridRequest { view, range, offline_root, now, .. } = request;
    let grid = view.view.grid().ok_or_else(|| OfflineError::NoGrid { view: view.view.id() })?;
    check_names(view)?;
    let count = grid.count(*range, *now);
    if count == 0 {
        return Err(OfflineError::NoInstants { view: view.view.id(), range: *range, now: *now }.into());
    }
    if count > GRID_INSTANTS_MAX {
        let (view, every) = (view.view.id(), grid.every());
        return Err(OfflineError::TooManyInstants { view, every, instants: count, max: GRID_INSTANTS_MAX }.into());
    }
    let instants = grid.instants(*range, *now);
    let threads = request.threads.max(1);
    let options =
        GridOptions { threads, batch_rows: request.batch_rows.max(1), memory_bytes_max: request.memory_bytes_max };
    let events = GridEvents::open(view, offline_root, options)?;
    let output = view_folder(offline_root, &view.view.name, view.view.version);
    let lock = Arc::new(OutputLock::take(&output)?);
    let published = check_published(view, &output)?;
    let (first, last) = (instants[0], instants[instants.len() - 1]);
    let days: Vec<Day> = DayRange { from: range.from, to: Day::of(last).next() }.iter().collect();
    let (files, rows) = events.files((first, last))?;
    // The lock is held by one thread at a time.
    let told = Mutex::new(progress);
    let tell = |tell: &dyn Fn(&dyn Progress)| tell(*told.lock().unwrap_or_else(PoisonError::into_inner));
    tell(&|progress| progress.planned(days.len() as u64, rows));
    tracing::info!(view = view.view.name, days = days.len(), instants = count, rows, "grid");
    let computed = events.compute(&instants, |rows| tell(&|progress| progress.rows_done(rows)))?;
    let before = published.into_iter().filter(|old| !old.day.is_some_and(|day| days.contains(&day))).collect();
    let publisher = Publisher { request, events: &events, computed: &computed, output, run_id: run_id(), lock, before };
    let next = AtomicUsize::new(0);
    let parts = on_threads(threads.min(days.len()), || {
        let mut reports = Vec::new();
        while let Some(day) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
            let report = publisher.publish(*day)?;
            tell(&|progress| progress.partition_done(&report));
            reports.push(report);
        }
        Ok(reports)
    })?;
    let mut partitions: Vec<PartitionReport> = parts.into_iter().flatten().collect();
    partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
    let rows = RowCounts {
        rows_in: computed.read.rows,
        quarantined: computed.read.set_aside,
        quarantined_contract: computed.read.broken,
        null_created_times: computed.read.null_created,
        null_keys: computed.read.null_keys,
        ..RowCounts::default()
    };
    let shared = SharedReads { rows, bytes_in: files.iter().map(|file| file.size).sum() };
    let output = publisher.output;
    Ok(BatchReport { output, partitions, shared, orphaned: Vec::new(), elapsed: start.elapsed() })
}

/// Publishes days.
struct Publisher<'a> {
    request: &'a GridRequest,
    events: &'a GridEvents,
    computed: &'a GridRows,
    output: PathBuf,
    run_id: String,
    lock: Arc<OutputLock>,
    /// What was published before the run and is no part of it.
    before: Vec<PartitionFiles>,
}

impl Publisher<'_> {
    fn publish(&self, day: Day) -> Result<PartitionReport, TrainingError> {
        let start = Instant::now();
        let GridRequest { view, now, .. } = self.request;
        let partition = PartitionId::of_day(day);
        let grid = view.view.grid().ok_or_else(|| OfflineError::NoGrid { view: view.view.id() })?;
        let before = Timestamp(day.start().0.saturating_sub_unsigned(grid.every().as_micros()));
        let (files, _) = self.events.files((before, Timestamp(day.next().start().0.saturating_sub(1))))?;
        let snapshot = snapshot(&files);
        let schema = feature_schema(view);
        let writer = |run_id: String| {
            let request = self.request;
            let metadata = metadata(view, snapshot, &request.contract, &request.runtime_fingerprint);
            let folder = partition.folder(&self.output);
            let lock = Some(Arc::clone(&self.lock));
            let target = Target { folder, file: DATA_FILE, root: &request.offline_root, run_id: &run_id, lock };
            StagedWriter::create(target, Arc::clone(&schema), metadata, request.row_group_rows.max(1))
        };
        let mut features = writer(self.run_id.clone())?;
        let mut checker = Checker::new(&view.view.checks, &view.signature);
        let mut rows_out = 0;
        for columns in self.computed.day(day) {
            let rows = feature_rows(view, &schema, columns?, *now)?;
            rows_out += rows.num_rows() as u64;
            look(&mut checker, view, &rows)?;
            features.write(rows)?;
        }
        if let Some(changed) = files.iter().find(|file| !file.is_unchanged()) {
            return Err(OfflineError::SourceChanged { file: changed.path.clone() }.into());
        }
        let checks = checker.finish(&row_counts(view, &earlier(view, &self.before, &partition))?);
        let place = Place { view, output: &self.output, partition: &partition, now: *now };
        let merged = || writer(format!("{}-merged", self.run_id));
        let done = publish(&place, features.finish()?, checks, merged, None)?;
        let (added, retracted) = (done.changes.added, done.changes.gone);
        Ok(PartitionReport {
            partition,
            snapshot,
            rows: RowCounts { rows_out, added, retracted, ..RowCounts::default() },
            bytes_in: 0,
            bytes_out: done.bytes,
            checks: done.checks,
            rejected: done.rejected,
            elapsed: start.elapsed(),
        })
    }
}

/// Rows as they are published, of their keys, event time and features.
fn feature_rows(
    view: &BoundView,
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    now: Timestamp,
) -> Result<RecordBatch, OfflineError> {
    let RowColumns { times, history, features, .. } = RowColumns::of(view);
    let rows = columns[times].len();
    let null = |column: usize| new_null_array(schema.field(column).data_type(), rows);
    let published = PrimitiveArray::<TimestampMicrosecondType>::from_value(now.0, rows).with_timezone("UTC");
    let mut all = columns;
    let values = all.split_off(times + 1);
    all.extend([null(times + 1), Arc::new(published) as ArrayRef, null(times + 3)]);
    all.extend((history..features).map(null));
    all.extend(values);
    RecordBatch::try_new(Arc::clone(schema), all).map_err(|error| OfflineError::DataFusion(error.into()))
}
