//! A view over the partitions of its source: scanned, transformed and published, several at a time.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::{StreamExt, TryStreamExt, stream};
use tandem_core::model::{BoundView, Source};
use tandem_core::time::{DayRange, Timestamp};
use tandem_engine::{Transform, Workers};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::bind::{Binding, RowFunction};
use crate::columns::{check_names, needed_columns};
use crate::error::OfflineError;
use crate::footers::CheckedPartition;
use crate::listing::{self, PartitionFiles};
use crate::options::BatchOptions;
use crate::publish::{OutputLock, check_published, metadata, quarantine_folder, remove_quarantine, view_folder};
use crate::query::QueryRows;
use crate::report::{BatchReport, PartitionReport, Progress, RowCounts};
use crate::scan;
use crate::source::{self, Resolved};
use crate::staged::{DATA_FILE, StagedWriter, Target};
use crate::transform_exec::TransformExec;

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
    let partitions = plan(&job, &source, workers).await?;
    let (lock, published) = {
        let (view, output) = (Arc::clone(&job.view), output.clone());
        workers
            .run(move || {
                let lock = OutputLock::take(&output)?;
                Ok::<_, OfflineError>((lock, check_published(&view, &output)?))
            })
            .await??
    };
    let rows = partitions.iter().map(CheckedPartition::rows).sum();
    progress.planned(partitions.len() as u64, rows);
    tracing::info!(view = job.view.view.name, partitions = partitions.len(), rows, "batch");
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
        function,
        workers: workers.clone(),
        output: output.clone(),
        lock: Arc::new(lock),
        stopped: AtomicBool::new(false),
        rows_done,
    });
    let mut partitions = all_partitions(run, partitions, messages, progress).await?;
    partitions.sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok(BatchReport { output, partitions, orphaned, elapsed: start.elapsed() })
}

/// Lists the source and reads the footers of all its files in the range.
async fn plan(job: &Job, source: &Arc<Source>, workers: &Workers) -> Result<Vec<CheckedPartition>, OfflineError> {
    let listing = {
        let (source, range) = (Arc::clone(source), job.range);
        workers.run(move || listing::list(&source, range.as_ref())).await??
    };
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
    let bytes_out = writers.publish(run, checked).await?;
    Ok(Some(PartitionReport { partition, snapshot, rows, bytes_in, bytes_out, elapsed: start.elapsed() }))
}

/// The files that a partition writes. They live on the workers while they work, so that encoding never runs on the async executor.
struct Writers {
    features: StagedWriter,
    quarantine: Option<StagedWriter>,
}

impl Writers {
    async fn create(run: &Run, binding: &Arc<Binding>) -> Result<Self, OfflineError> {
        let partition = &binding.checked().partition;
        let folder = partition.id.folder(&run.output);
        let create = run.writer(binding, folder, Arc::clone(binding.feature_schema()));
        Ok(Writers { features: run.workers.run(create).await??, quarantine: None })
    }

    async fn write(
        mut self,
        run: &Run,
        binding: &Arc<Binding>,
        features: arrow_array::RecordBatch,
        quarantine: Vec<arrow_array::RecordBatch>,
    ) -> Result<Self, OfflineError> {
        let folder = quarantine_folder(&run.output, &binding.checked().partition.id);
        let create = run.writer(binding, folder, Arc::clone(binding.quarantine_schema()));
        run.workers
            .run(move || {
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
    async fn publish(self, run: &Run, checked: Arc<CheckedPartition>) -> Result<u64, OfflineError> {
        let output = run.output.clone();
        run.workers
            .run(move || {
                if let Some(changed) = checked.partition.files.iter().find(|file| !file.is_unchanged()) {
                    return Err(OfflineError::SourceChanged { file: changed.path.clone() });
                }
                let features = self.features.finish()?;
                match self.quarantine {
                    Some(quarantine) => {
                        quarantine.finish()?.publish()?;
                        features.publish()
                    }
                    None => {
                        let bytes = features.publish()?;
                        remove_quarantine(&output, &checked.partition.id)?;
                        Ok(bytes)
                    }
                }
            })
            .await?
    }
}

impl Run {
    /// A job that begins a file in `folder`.
    fn writer(
        &self,
        binding: &Binding,
        folder: PathBuf,
        schema: arrow_schema::SchemaRef,
    ) -> impl FnOnce() -> Result<StagedWriter, OfflineError> + Send + use<> {
        let snapshot = binding.checked().partition.snapshot();
        let metadata = metadata(&self.job.view, snapshot, &self.job.contract, &self.job.runtime_fingerprint);
        let (root, run_id, lock) = (self.job.offline_root.clone(), self.run_id.clone(), Arc::clone(&self.lock));
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
