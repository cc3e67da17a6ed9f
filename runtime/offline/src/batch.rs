//! A view over the partitions of its source: scanned, transformed and published, several at a time.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_select::filter::filter_record_batch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::{StreamExt, TryStreamExt, stream};
use tandem_core::checks::{CheckResult, Checker};
use tandem_core::model::{BoundView, Expected, Source};
use tandem_core::time::{DayRange, Timestamp};
use tandem_engine::{Transform, Workers};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bind::{Binding, RowFunction};
use crate::columns::{RowColumns, check_names, needed_columns};
use crate::error::OfflineError;
use crate::footers::CheckedPartition;
use crate::listing::{self, PartitionFiles, PartitionId};
use crate::options::BatchOptions;
use crate::publish::{
    OutputLock, check_published, metadata, quarantine_folder, rejected_folder, remove_quarantine, remove_rejected,
    view_folder,
};
use crate::query::QueryRows;
use crate::report::{BatchReport, PartitionReport, Progress, RowCounts, SharedReads};
use crate::rerun::{self, Changes, PublishedFile};
use crate::scan;
use crate::source::{self, Resolved};
use crate::staged::{DATA_FILE, Staged, StagedWriter, Target};
use crate::transform_exec::TransformExec;
use crate::versions::Versions;

/// Messages between partitions and the task that tells the progress; a full channel makes partitions wait.
const MESSAGES_MAX: usize = 256;

/// What to compute and where to publish it.
#[derive(Clone)]
pub struct BatchRequest {
    /// The view.
    pub view: Arc<BoundView>,
    /// Its transform, bound to the view's parameters and limits.
    pub transform: Transform,
    /// Days of the source's partition column; None for all partitions.
    pub range: Option<DayRange>,
    /// Published rows go below it, to `VIEW/vVERSION/PARTITION/part-0.parquet`.
    pub offline_root: PathBuf,
    /// The present, by the caller's clock; event times past it by more than `max_future` are set aside.
    pub now: Timestamp,
    /// The contract of the component, recorded in every file ([`tandem_engine::CONTRACT`]).
    pub contract: String,
    /// Engine version, flags and target, recorded in every file.
    pub runtime_fingerprint: String,
    /// Limits and choices.
    pub options: BatchOptions,
}

/// Computes and publishes every partition of the range, replacing those that an earlier run published, and says what came of it.
///
/// Runs on the caller's tokio runtime; calls into the transform, Parquet encoding and the blocking work on files run on `workers`. One run at
/// a time has the output (a lock). Each partition appears whole or not at all, whenever the run ends: the first error stops the others
/// between two batches, and those already published stay. A dropped future leaves at most staged files, which nobody reads and the next
/// run removes.
///
/// A partition whose files have no rows, or whose rows are all set aside, is published as a file without rows: whoever reads sees that the
/// day was computed.
pub async fn run(
    request: BatchRequest,
    workers: &Workers,
    progress: &dyn Progress,
) -> Result<BatchReport, OfflineError> {
    let (expected, found) = (request.view.digest, request.transform.digest());
    if expected != found {
        return Err(OfflineError::OtherComponent { view: request.view.view.name.clone(), expected, found });
    }
    let function: Arc<dyn RowFunction> = Arc::new(request.transform.clone());
    run_with(Job::new(request, workers), function, workers, progress).await
}

/// A request without its transform.
pub(crate) struct Job {
    pub(crate) view: Arc<BoundView>,
    pub(crate) range: Option<DayRange>,
    pub(crate) offline_root: PathBuf,
    pub(crate) now: Timestamp,
    pub(crate) contract: String,
    pub(crate) runtime_fingerprint: String,
    pub(crate) options: BatchOptions,
}

impl Job {
    fn new(request: BatchRequest, workers: &Workers) -> Self {
        let BatchRequest { view, range, offline_root, now, contract, runtime_fingerprint, options, .. } = request;
        let options = options.resolved(workers.threads());
        Job { view, range, offline_root, now, contract, runtime_fingerprint, options }
    }
}

/// What all partitions of a run share.
struct Run {
    job: Job,
    source: Arc<Source>,
    /// The rows of a query, for as long as they are read.
    _query: Option<Arc<QueryRows>>,
    versions: Versions,
    /// What was published before the run and is no part of it.
    before: Vec<PartitionFiles>,
    function: Arc<dyn RowFunction>,
    workers: Workers,
    output: PathBuf,
    run_id: String,
    lock: Arc<OutputLock>,
    /// An error elsewhere: stop between two batches.
    stopped: AtomicBool,
    rows_done: mpsc::Sender<u64>,
}

pub(crate) async fn run_with(
    job: Job,
    function: Arc<dyn RowFunction>,
    workers: &Workers,
    progress: &dyn Progress,
) -> Result<BatchReport, OfflineError> {
    let start = Instant::now();
    check_names(&job.view)?;
    let output = view_folder(&job.offline_root, &job.view.view.name, job.view.view.version);
    let Resolved { source, query } = {
        let (view, root) = (Arc::clone(&job.view), job.offline_root.clone());
        workers.run(move || source::resolve(&view, &root, None)).await??
    };
    let versions = Versions::read(&source, job.now, workers).await?;
    let mut partitions = plan(&job, &source, workers, None).await?;
    let (lock, published) = {
        let (view, output) = (Arc::clone(&job.view), output.clone());
        workers
            .run(move || {
                let lock = OutputLock::take(&output)?;
                Ok::<_, OfflineError>((lock, check_published(&view, &output)?))
            })
            .await??
    };
    // A later version of an event changes what is published of the earlier one, wherever that is.
    let ids: BTreeSet<PartitionId> = partitions.iter().map(|checked| checked.partition.id.clone()).collect();
    let mut corrected = versions.superseded_by(&ids);
    corrected.retain(|id| published.iter().any(|old| old.id == *id));
    if !corrected.is_empty() {
        tracing::info!(partitions = corrected.len(), "partitions outside the range have events that were corrected");
        partitions.extend(plan(&job, &source, workers, Some(&corrected)).await?);
    }
    let rows = partitions.iter().map(CheckedPartition::rows).sum();
    progress.planned(partitions.len() as u64, rows);
    tracing::info!(view = job.view.view.name, partitions = partitions.len(), rows, "batch");
    let ids: BTreeSet<&PartitionId> = partitions.iter().map(|checked| &checked.partition.id).collect();
    let before = published.iter().filter(|old| !ids.contains(&old.id)).cloned().collect();
    let orphaned = {
        let there: HashSet<_> = partitions.iter().map(|checked| &checked.partition.id).collect();
        let in_range = |partition: &PartitionFiles| match (&job.range, partition.day) {
            (Some(range), Some(day)) => range.contains(day),
            _ => true,
        };
        published.into_iter().filter(|old| in_range(old) && !there.contains(&old.id)).map(|old| old.id).collect()
    };

    let (rows_done, messages) = mpsc::channel(MESSAGES_MAX);
    let run = Arc::new(Run {
        run_id: run_id(),
        job,
        source,
        _query: query,
        versions,
        before,
        function,
        workers: workers.clone(),
        output: output.clone(),
        lock: Arc::new(lock),
        stopped: AtomicBool::new(false),
        rows_done,
    });
    let mut partitions = all_partitions(run, partitions, messages, progress).await?;
    partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok(BatchReport { output, partitions, shared: SharedReads::default(), orphaned, elapsed: start.elapsed() })
}

/// Lists the source and reads the footers of all its files in the range, or of these partitions whatever the range.
async fn plan(
    job: &Job,
    source: &Arc<Source>,
    workers: &Workers,
    only: Option<&BTreeSet<PartitionId>>,
) -> Result<Vec<CheckedPartition>, OfflineError> {
    let mut listing = {
        let (source, range) = (Arc::clone(source), job.range.filter(|_| only.is_none()));
        workers.run(move || listing::list(&source, range.as_ref())).await??
    };
    listing.partitions.retain(|partition| only.is_none_or(|only| only.contains(&partition.id)));
    if listing.partitions.is_empty() {
        let range = job.range.map(|range| format!("in {range}"));
        return Err(OfflineError::NoPartitions { path: source.path.clone(), range });
    }
    let needed = Arc::new(needed_columns(&job.view, source));
    stream::iter(listing.partitions)
        .map(|partition| {
            let needed = Arc::clone(&needed);
            async move { workers.run(move || CheckedPartition::check(partition, &needed)).await? }
        })
        .buffered(workers.threads())
        .try_collect()
        .await
}

async fn all_partitions(
    run: Arc<Run>,
    partitions: Vec<CheckedPartition>,
    mut messages: mpsc::Receiver<u64>,
    progress: &dyn Progress,
) -> Result<Vec<PartitionReport>, OfflineError> {
    let mut waiting = partitions.into_iter();
    let mut tasks = JoinSet::new();
    let mut reports = Vec::new();
    let mut failure = None;
    loop {
        while failure.is_none() && tasks.len() < run.job.options.partitions_in_flight {
            let Some(partition) = waiting.next() else { break };
            let run = Arc::clone(&run);
            tasks.spawn(async move { one_partition(&run, partition).await });
        }
        let ended = tokio::select! {
            biased;
            Some(rows) = messages.recv() => {
                progress.rows_done(rows);
                continue;
            }
            ended = tasks.join_next() => ended,
        };
        match ended {
            None => break,
            Some(Ok(Ok(Some(report)))) => {
                progress.partition_done(&report);
                reports.push(report);
            }
            Some(Ok(Ok(None))) => {}
            Some(Ok(Err(error))) => {
                failure.get_or_insert(error);
            }
            Some(Err(error)) => {
                failure.get_or_insert(OfflineError::Task(error.to_string()));
            }
        }
        // The others are waited for, so that nothing of this run is at work once it has given its error and its lock.
        run.stopped.store(failure.is_some(), Ordering::Relaxed);
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(reports),
    }
}

/// None if the run was stopped before the partition was published.
async fn one_partition(run: &Run, checked: CheckedPartition) -> Result<Option<PartitionReport>, OfflineError> {
    let start = Instant::now();
    let checked = Arc::new(checked);
    let (partition, snapshot) = (checked.partition.id.clone(), checked.partition.snapshot());
    let event_time_max = Timestamp(run.job.now.0.saturating_add_unsigned(run.job.options.max_future.as_micros()));
    let binding = Arc::new(Binding::new(
        Arc::clone(&run.job.view),
        Arc::clone(&run.source),
        Arc::clone(&checked),
        event_time_max,
        run.job.now,
        run.versions.of(&checked.partition.id),
    )?);
    let mut rows = RowCounts::default();
    let mut writers = Writers::create(run, &binding).await?;
    {
        let operator = TransformExec::new(
            scan::plan(&checked, run.job.options.rows_per_call)?,
            Arc::clone(&binding),
            Arc::clone(&run.function),
            run.workers.clone(),
            run.job.options.calls_in_flight,
            run.job.options.partitions_in_flight,
        );
        let rejected = operator.rejected();
        tracing::debug!(%partition, plan = %displayable(&operator).one_line(), "partition");
        let mut features = operator.execute(0, Arc::new(TaskContext::default())).map_err(OfflineError::from_stream)?;
        while let Some(batch) = features.next().await {
            let batch = batch.map_err(OfflineError::from_stream)?;
            let (counts, quarantine) = rejected.take();
            rows += counts;
            writers = writers.write(run, &binding, batch, quarantine).await?;
            // Nobody listens any more only if the run itself is gone.
            let _ = run.rows_done.send(counts.rows_in).await;
            if run.stopped.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
    }
    let bytes_in = checked.bytes();
    let Published { bytes: bytes_out, changes, checks, rejected } = writers.publish(run, &binding).await?;
    (rows.added, rows.retracted) = (changes.added, changes.gone);
    let elapsed = start.elapsed();
    Ok(Some(PartitionReport { partition, snapshot, rows, bytes_in, bytes_out, checks, rejected, elapsed }))
}

/// The files that a partition writes. They live on the workers while they work, so that encoding never runs on the async executor.
struct Writers {
    features: StagedWriter,
    quarantine: Option<StagedWriter>,
    checker: Checker,
}

/// What became of a partition.
pub(crate) struct Published {
    pub(crate) bytes: u64,
    pub(crate) changes: Changes,
    pub(crate) checks: Vec<CheckResult>,
    pub(crate) rejected: Option<PathBuf>,
}

impl Writers {
    async fn create(run: &Run, binding: &Arc<Binding>) -> Result<Self, OfflineError> {
        let partition = &binding.checked().partition;
        let folder = partition.id.folder(&run.output);
        let create = run.writer(binding, folder, Arc::clone(binding.feature_schema()));
        let checker = Checker::new(&run.job.view.view.checks, &run.job.view.signature);
        Ok(Writers { features: run.workers.run(create).await??, quarantine: None, checker })
    }

    async fn write(
        mut self,
        run: &Run,
        binding: &Arc<Binding>,
        features: RecordBatch,
        quarantine: Vec<RecordBatch>,
    ) -> Result<Self, OfflineError> {
        let folder = quarantine_folder(&run.output, &binding.checked().partition.id);
        let create = run.writer(binding, folder, Arc::clone(binding.quarantine_schema()));
        let view = Arc::clone(&run.job.view);
        run.workers
            .run(move || {
                look(&mut self.checker, &view, &features)?;
                self.features.write(features)?;
                if !quarantine.is_empty() {
                    let mut writer = match self.quarantine.take() {
                        Some(writer) => writer,
                        None => create()?,
                    };
                    quarantine.into_iter().try_for_each(|batch| writer.write(batch))?;
                    self.quarantine = Some(writer);
                }
                Ok(self)
            })
            .await?
    }

    /// Publishes the quarantine, then the features: whoever sees new features sees what was set aside for them.
    async fn publish(self, run: &Run, binding: &Arc<Binding>) -> Result<Published, OfflineError> {
        let earlier = earlier(&run.job.view, &run.before, &binding.checked().partition.id);
        let (output, view, now) = (run.output.clone(), Arc::clone(&run.job.view), run.job.now);
        let folder = binding.checked().partition.id.folder(&output);
        let merged =
            run.writer_as(binding, folder, Arc::clone(binding.feature_schema()), format!("{}-merged", run.run_id));
        let binding = Arc::clone(binding);
        run.workers
            .run(move || {
                let checked = binding.checked();
                if let Some(changed) = checked.partition.files.iter().find(|file| !file.is_unchanged()) {
                    return Err(OfflineError::SourceChanged { file: changed.path.clone() });
                }
                let computed = self.features.finish()?;
                let checks = self.checker.finish(&row_counts(&view, &earlier)?);
                let place = Place { view: &view, output: &output, partition: &checked.partition.id, now };
                publish(&place, computed, checks, merged, self.quarantine)
            })
            .await?
    }
}

/// A partition of a view's output.
pub(crate) struct Place<'a> {
    pub(crate) view: &'a BoundView,
    /// The folder of the view's version.
    pub(crate) output: &'a Path,
    pub(crate) partition: &'a PartitionId,
    /// The present.
    pub(crate) now: Timestamp,
}

/// Publishes what was computed of a partition, beside what is published of it, and before it what was set aside. What a check refuses is kept aside. Blocking.
pub(crate) fn publish(
    place: &Place<'_>,
    computed: Staged,
    checks: Vec<CheckResult>,
    merged: impl FnOnce() -> Result<StagedWriter, OfflineError>,
    quarantine: Option<StagedWriter>,
) -> Result<Published, OfflineError> {
    let Place { view, output, partition, now } = *place;
    if checks.iter().any(CheckResult::fails) {
        // What is published stays, and so does what was set aside for it.
        let kept = rejected_folder(output, partition).join(DATA_FILE);
        let bytes = computed.retarget(kept.clone())?.publish()?;
        return Ok(Published { bytes, changes: Changes::default(), checks, rejected: Some(kept) });
    }
    let target = computed.target().to_owned();
    let (features, changes) = beside_published(view, computed, now, merged)?;
    let publish = || match features {
        Some(features) => features.publish(),
        None => target.metadata().map(|found| found.len()).map_err(OfflineError::io("read", &target)),
    };
    let bytes = match quarantine {
        Some(quarantine) => {
            quarantine.finish()?.publish()?;
            publish()?
        }
        None => {
            let bytes = publish()?;
            remove_quarantine(output, partition)?;
            bytes
        }
    };
    remove_rejected(output, partition)?;
    Ok(Published { bytes, changes, checks, rejected: None })
}

/// What the partition will have: the rows that were computed, beside those of its published file that are no longer among them. None where that
/// is what is published. Blocking.
fn beside_published(
    view: &BoundView,
    computed: Staged,
    now: Timestamp,
    writer: impl FnOnce() -> Result<StagedWriter, OfflineError>,
) -> Result<(Option<Staged>, Changes), OfflineError> {
    if !computed.target().is_file() {
        let added = crate::footers::read(computed.path())?.metadata().file_metadata().num_rows().max(0) as u64;
        return Ok((Some(computed), Changes { added, gone: 0 }));
    }
    let published = PublishedFile::open(view, computed.target())?;
    rerun::merge(&published, &PublishedFile::open(view, computed.path())?, now, writer)
}

/// Shows rows that stand to the checks.
pub(crate) fn look(checker: &mut Checker, view: &BoundView, rows: &RecordBatch) -> Result<(), OfflineError> {
    if view.view.checks.is_empty() {
        return Ok(());
    }
    let RowColumns { keys, times, history, features } = RowColumns::of(view);
    let standing = rerun::standing(rows.column(history + 1), rows.column(history + 2));
    let rows = filter_record_batch(rows, &standing).map_err(|error| OfflineError::DataFusion(error.into()))?;
    let outputs: Vec<usize> = (features..rows.num_columns()).collect();
    let outputs = rows.project(&outputs).map_err(|error| OfflineError::DataFusion(error.into()))?;
    let looked = checker.look(&rows.columns()[..keys], rows.column(times), &outputs);
    looked.map_err(|error| OfflineError::Task(error.to_string()))
}

/// Rows that stand in published partitions. Blocking.
pub(crate) fn row_counts(view: &BoundView, partitions: &[PartitionFiles]) -> Result<Vec<u64>, OfflineError> {
    let rows = |partition: &PartitionFiles| {
        partition.files.iter().map(|file| PublishedFile::open(view, &file.path)?.standing_rows()).sum()
    };
    partitions.iter().map(rows).collect()
}

/// The partitions before one that were published `before` the run and are no part of it, as many as the view's checks look at, the latest first. Those of
/// other folders above it do not count.
pub(crate) fn earlier(view: &BoundView, before: &[PartitionFiles], id: &PartitionId) -> Vec<PartitionFiles> {
    let partitions = view.view.checks.iter().filter_map(|check| match &check.expected {
        Expected::RowCount { partitions, .. } => Some(*partitions as usize),
        _ => None,
    });
    let above = |id: &PartitionId| id.as_str().rsplit_once('/').map(|(above, _)| above.to_owned());
    let is_before = |old: &&PartitionFiles| old.id < *id && above(&old.id) == above(id);
    let mut before: Vec<PartitionFiles> = before.iter().filter(is_before).cloned().collect();
    before.sort_by(|a, b| b.id.cmp(&a.id));
    before.truncate(partitions.max().unwrap_or(0));
    before
}

impl Run {
    /// A job that begins a file in `folder`.
    fn writer(
        &self,
        binding: &Binding,
        folder: PathBuf,
        schema: arrow_schema::SchemaRef,
    ) -> impl FnOnce() -> Result<StagedWriter, OfflineError> + Send + use<> {
        self.writer_as(binding, folder, schema, self.run_id.clone())
    }

    /// [`Run::writer`] with a name of its own for the staged file.
    fn writer_as(
        &self,
        binding: &Binding,
        folder: PathBuf,
        schema: arrow_schema::SchemaRef,
        run_id: String,
    ) -> impl FnOnce() -> Result<StagedWriter, OfflineError> + Send + use<> {
        let snapshot = binding.checked().partition.snapshot();
        let metadata = metadata(&self.job.view, snapshot, &self.job.contract, &self.job.runtime_fingerprint);
        let (root, lock) = (self.job.offline_root.clone(), Arc::clone(&self.lock));
        let row_group_rows = self.job.options.row_group_rows;
        move || {
            StagedWriter::create(
                Target { folder, file: DATA_FILE, root: &root, run_id: &run_id, lock: Some(lock) },
                schema,
                metadata,
                row_group_rows,
            )
        }
    }
}

/// Tells the staged files of this run from those of others; never in a published file.
pub(crate) fn run_id() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}-{nanos:x}", std::process::id())
}

#[cfg(test)]
mod tests;
