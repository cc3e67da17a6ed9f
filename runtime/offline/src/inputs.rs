//! The inputs of a partition's rows, as a batch would give them to the transform: for whoever asks another path for the same rows.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_array::{ArrayRef, RecordBatch};
use datafusion::execution::TaskContext;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use tandem_core::model::BoundView;
use tandem_core::time::{DayRange, Timestamp};
use tandem_engine::Workers;

use crate::bind::Binding;
use crate::columns::{check_names, needed_columns};
use crate::error::OfflineError;
use crate::footers::CheckedPartition;
use crate::listing::{self, PartitionId};
use crate::publish::{check_published, quarantine_folder, view_folder};
use crate::rerun::PublishedFile;
use crate::scan;
use crate::source;
use crate::staged::DATA_FILE;
use crate::versions::Versions;

/// Rows as the transform takes them.
#[derive(Debug, Clone)]
pub struct InputBatch {
    /// One column for each input of the signature.
    pub inputs: RecordBatch,
    /// The event time of each row.
    pub event_times: ArrayRef,
}

/// The inputs of one partition of a view's source, in the order in which batch publishes their rows. Rows that never reach the transform
/// (without an event time, or too far in the future) are left out, as batch leaves them out; so are rows that do not stand any more.
pub struct InputRows {
    batches: BoxStream<'static, Result<InputBatch, OfflineError>>,
}

impl InputRows {
    /// Reads `partition` of the source now; `offline_root` is where views are published, for a view over another's rows. `event_time_max`: later event times are left out. Needs a tokio runtime; conversion runs on `workers`.
    pub async fn open(
        view: Arc<BoundView>,
        offline_root: &Path,
        partition: &PartitionId,
        event_time_max: Timestamp,
        batch_rows: usize,
        workers: &Workers,
    ) -> Result<InputRows, OfflineError> {
        check_names(&view)?;
        let (resolved, checked) = {
            let (view, partition, root) = (Arc::clone(&view), partition.clone(), offline_root.to_owned());
            let check = move || {
                let resolved = source::resolve(&view, &root, None)?;
                let source = &resolved.source;
                let listing = listing::list(source, None)?;
                let found = listing.partitions.into_iter().find(|found| found.id == partition);
                let path = &source.path;
                let found =
                    found.ok_or_else(|| OfflineError::NoPartitions { path: partition.folder(path), range: None })?;
                let checked = CheckedPartition::check(found, &needed_columns(&view, source))?;
                Ok::<_, OfflineError>((resolved, Arc::new(checked)))
            };
            workers.run(check).await??
        };
        let plan = scan::plan(&checked, batch_rows.max(1))?;
        let source::Resolved { source, query } = resolved;
        // None of these rows is published, and since when one is superseded does not matter.
        let superseded = Versions::read(&source, Timestamp::MAX, workers).await?.of(partition);
        let binding = Arc::new(Binding::new(view, source, checked, event_time_max, Timestamp::MIN, superseded)?);
        let batches = plan.execute(0, Arc::new(TaskContext::default())).map_err(OfflineError::from_stream)?;
        let workers = workers.clone();
        let mut first_row = 0;
        let batches = batches.then(move |batch| {
            // The rows of a query are there as long as they are read.
            let (workers, binding, query) = (workers.clone(), Arc::clone(&binding), query.clone());
            let first = first_row;
            first_row += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
            async move {
                let batch = batch.map_err(|source| {
                    let (file, row) = binding.checked().locate(first);
                    file.unreadable(row, source)
                })?;
                let inputs = workers.run(move || binding.inputs(&batch, first)).await?;
                drop(query);
                inputs
            }
        });
        Ok(InputRows { batches: batches.boxed() })
    }
}

impl Stream for InputRows {
    type Item = Result<InputBatch, OfflineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

/// A partition that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPartition {
    /// The partition.
    pub id: PartitionId,
    /// Its published rows that stand: neither retracted nor superseded.
    pub rows: u64,
    /// Whether rows of it were set aside.
    pub has_quarantine: bool,
}

/// What is published of `view`, cut to the days of `range`, by the files' footers.
pub async fn published_partitions(
    view: Arc<BoundView>,
    offline_root: &Path,
    range: Option<DayRange>,
    workers: &Workers,
) -> Result<Vec<PublishedPartition>, OfflineError> {
    let folder = view_folder(offline_root, &view.view.name, view.view.version);
    let list = move || {
        if !folder.try_exists().map_err(OfflineError::io("read", &folder))? {
            let (view, version) = (view.view.name.clone(), view.view.version);
            return Err(OfflineError::NotPublished { view, version, folder, range: None });
        }
        let in_range = |partition: &listing::PartitionFiles| match (&range, partition.day) {
            (Some(range), Some(day)) => range.contains(day),
            _ => true,
        };
        let partitions = check_published(&view, &folder)?.into_iter().filter(in_range);
        let describe = |partition: listing::PartitionFiles| {
            let rows = partition.files.iter().map(|file| {
                let rows = PublishedFile::open(&view, &file.path)?.standing_rows()?;
                Ok(rows)
            });
            let rows = rows.sum::<Result<u64, OfflineError>>()?;
            let has_quarantine = quarantine_folder(&folder, &partition.id).join(DATA_FILE).exists();
            Ok(PublishedPartition { id: partition.id, rows, has_quarantine })
        };
        partitions.map(describe).collect()
    };
    workers.run(list).await?
}
