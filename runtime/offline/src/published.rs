//! Published feature rows, read back.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use parquet::arrow::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::FileMetaData;
use tandem_core::model::BoundView;
use tandem_core::time::{DayRange, Timestamp};
use tandem_core::types::{EVENT_ID, RETRACTED_TIME, SUPERSEDED_TIME};

use crate::columns::{RowColumns, feature_schema};
use crate::direct::{self, DirectFile, PassedOver};
use crate::error::OfflineError;
use crate::footers;
use crate::listing::{self, FileEntry, PartitionFiles, PartitionId};
use crate::publish::{Format, check_metadata, view_folder};
use crate::pushed::{list_pushed, pushed_schema};
use crate::rerun::standing;
use crate::source;

/// Feature rows of one partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedBatch {
    /// The partition.
    pub partition: PartitionId,
    /// The file.
    pub file: Arc<FileEntry>,
    /// Rows with the columns of [`feature_schema`], in the order of the file: those that stand, then those that do not any more.
    pub rows: RecordBatch,
}

impl PublishedBatch {
    /// Which of the rows stand: they are neither retracted nor superseded.
    pub fn standing(&self) -> BooleanArray {
        let column = |name| self.rows.column_by_name(name).expect("the schema has it");
        standing(column(RETRACTED_TIME), column(SUPERSEDED_TIME))
    }
}

/// The published rows of a view, partition after partition in the order of their ids; of a view of columns those of its source. Behind them are those
/// that were pushed ([`PartitionId::is_pushed`]).
///
/// A stream of [`PublishedBatch`], each with one row at least. Every file is opened once and read from that one handle, so a run that
/// replaces it meanwhile changes nothing: a partition is the old one or the new one, never half of each.
pub struct PublishedRows {
    schema: SchemaRef,
    partitions: Vec<PartitionId>,
    batches: BoxStream<'static, Result<PublishedBatch, OfflineError>>,
    passed_over: Arc<PassedOver>,
    files: Vec<FileEntry>,
    row_count: u64,
}

/// Which files are taken.
pub type Only = Arc<dyn Fn(&FileEntry) -> bool + Send + Sync>;

impl PublishedRows {
    /// Lists what is published of `view` below `offline_root`, cut to the days of `range` (None for all); files are opened and checked as
    /// the stream comes to them. Batches have at most `batch_rows` rows. Needs a tokio runtime.
    ///
    /// Refused: a view of which nothing is published in the range. The stream fails at a file that holds another view, version or
    /// definition.
    pub async fn open(
        view: Arc<BoundView>,
        offline_root: &Path,
        range: Option<DayRange>,
        batch_rows: usize,
    ) -> Result<Self, OfflineError> {
        Self::open_only(view, offline_root, range, batch_rows, None).await
    }

    /// As [`PublishedRows::open`], of the events of a view of aggregates ([`BoundView::events`]): where these have ids, rows that are set aside are
    /// there too, without an event time, since they may be versions of an event.
    pub async fn open_events(
        events: Arc<BoundView>,
        offline_root: &Path,
        range: Option<DayRange>,
        batch_rows: usize,
    ) -> Result<Self, OfflineError> {
        let kept = events.signature.outputs.iter().any(|output| output.name == EVENT_ID);
        Self::open_as(events, offline_root, range, batch_rows, None, kept).await
    }

    /// As [`PublishedRows::open`], of the files for which `only` holds alone; there may be none then. Of a query, whose rows lie in no file, all rows are
    /// read whatever `only` says.
    pub async fn open_only(
        view: Arc<BoundView>,
        offline_root: &Path,
        range: Option<DayRange>,
        batch_rows: usize,
        only: Option<Only>,
    ) -> Result<Self, OfflineError> {
        Self::open_as(view, offline_root, range, batch_rows, only, false).await
    }

    async fn open_as(
        view: Arc<BoundView>,
        offline_root: &Path,
        range: Option<DayRange>,
        batch_rows: usize,
        only: Option<Only>,
        kept: bool,
    ) -> Result<Self, OfflineError> {
        let source = source::source_of(&view, offline_root)?;
        if range.is_some() && source.partition.is_none() {
            return Err(OfflineError::RangeWithoutPartition { source_name: source.name.clone() });
        }
        if view.view.is_columns() {
            let schema = feature_schema(&view);
            let (of, root) = (Arc::clone(&view), offline_root.to_owned());
            let is_query = source.query.is_some();
            let list = move || {
                let only = only.filter(|_| !is_query);
                let all_pushed = list_pushed(&of, &root, range.as_ref())?;
                let pushed = of_files(all_pushed.clone(), only.as_ref());
                let wanted = only.as_ref().map(|only| move |file: &FileEntry| only(file));
                let wanted = wanted.as_ref().map(|wanted| wanted as &dyn Fn(&FileEntry) -> bool);
                let files = match or_pushed(direct::list(&of, &root, range.as_ref(), wanted), &all_pushed) {
                    // All that is there may have been taken before.
                    Err(OfflineError::NoPartitions { .. }) if only.is_some() => Vec::new(),
                    files => files?,
                };
                let rows = files.iter().map(DirectFile::rows).sum::<u64>() + row_count(&pushed)?;
                Ok::<_, OfflineError>((files, pushed, rows))
            };
            let (files, pushed, row_count) =
                tokio::task::spawn_blocking(list).await.map_err(|error| OfflineError::Task(error.to_string()))??;
            let mut partitions = direct::partitions(&files);
            partitions.extend(pushed.iter().map(|partition| partition.id.clone()));
            let passed_over = Arc::new(PassedOver::default());
            let mut entries: Vec<FileEntry> = files.iter().map(|file| file.entry().clone()).collect();
            entries.extend(pushed.iter().flat_map(|partition| partition.files.iter().cloned()));
            let batches = direct::rows(files, batch_rows, Arc::clone(&passed_over), kept);
            let batches = batches.chain(read(view, Arc::clone(&schema), pushed, batch_rows)).boxed();
            return Ok(PublishedRows { schema, partitions, batches, passed_over, files: entries, row_count });
        }
        let (listed, row_count) = {
            let (view, root) = (Arc::clone(&view), offline_root.to_owned());
            let list = move || {
                let pushed = list_pushed(&view, &root, range.as_ref())?;
                let mut listed = or_pushed(list_published(&view, &root, range.as_ref()), &pushed)?;
                listed.extend(pushed);
                let listed = of_files(listed, only.as_ref());
                let rows = row_count(&listed)?;
                Ok::<_, OfflineError>((listed, rows))
            };
            tokio::task::spawn_blocking(list).await.map_err(|error| OfflineError::Task(error.to_string()))??
        };
        let schema = feature_schema(&view);
        let partitions = listed.iter().map(|partition| partition.id.clone()).collect();
        let files = listed.iter().flat_map(|partition| partition.files.iter().cloned()).collect();
        let batches = read(view, Arc::clone(&schema), listed, batch_rows);
        Ok(PublishedRows { schema, partitions, batches, passed_over: Arc::default(), files, row_count })
    }

    /// The columns of every batch: [`feature_schema`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows of a view of columns that were read so far and are not in the stream: set aside, whatever the reason; and of them those that break the
    /// contract of the source.
    pub fn passed_over(&self) -> (u64, u64) {
        (self.passed_over.rows.load(Ordering::Relaxed), self.passed_over.broken.load(Ordering::Relaxed))
    }

    /// Of the rows that are passed over those that the component which makes the events fails on.
    pub fn failed(&self) -> u64 {
        self.passed_over.failed.load(Ordering::Relaxed)
    }

    /// The files that the stream goes through, in its order, also those without rows.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Rows of these files, whatever they hold.
    pub fn row_count(&self) -> u64 {
        self.row_count
    }

    /// The partitions that the stream goes through, also those without rows.
    pub fn partitions(&self) -> &[PartitionId] {
        &self.partitions
    }
}

impl Stream for PublishedRows {
    type Item = Result<PublishedBatch, OfflineError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_next_unpin(context)
    }
}

/// The rows of published files, file after file.
fn read(
    view: Arc<BoundView>,
    schema: SchemaRef,
    listed: Vec<PartitionFiles>,
    batch_rows: usize,
) -> BoxStream<'static, Result<PublishedBatch, OfflineError>> {
    let files = listed
        .into_iter()
        .flat_map(|PartitionFiles { id, files, .. }| files.into_iter().map(move |file| (id.clone(), file)));
    stream::iter(files)
        .then(move |(id, file)| open_file(Arc::clone(&view), Arc::clone(&schema), id, file, batch_rows))
        .try_flatten()
        .boxed()
}

/// The partitions with those of their files that are wanted.
fn of_files(mut partitions: Vec<PartitionFiles>, only: Option<&Only>) -> Vec<PartitionFiles> {
    if let Some(only) = only {
        partitions.iter_mut().for_each(|partition| partition.files.retain(|file| only(file)));
        partitions.retain(|partition| !partition.files.is_empty());
    }
    partitions
}

/// Rows of files, by their footers. Blocking.
fn row_count(partitions: &[PartitionFiles]) -> Result<u64, OfflineError> {
    let files = partitions.iter().flat_map(|partition| &partition.files);
    let rows = files.map(|file| {
        let footer = footers::read(&file.path).map_err(OfflineError::published)?;
        Ok(footer.metadata().file_metadata().num_rows().max(0) as u64)
    });
    rows.sum()
}

/// Nothing, where nothing is there of a view but rows that were pushed into it.
pub(crate) fn or_pushed<T>(
    listed: Result<Vec<T>, OfflineError>,
    pushed: &[PartitionFiles],
) -> Result<Vec<T>, OfflineError> {
    match listed {
        Err(OfflineError::NotPublished { .. } | OfflineError::NoPartitions { .. } | OfflineError::NoSource { .. })
            if !pushed.is_empty() =>
        {
            Ok(Vec::new())
        }
        listed => listed,
    }
}

/// The partitions that are published of a stored view below `offline_root`, cut to the days of `range`; at least one. Blocking.
pub(crate) fn list_published(
    view: &BoundView,
    offline_root: &Path,
    range: Option<&DayRange>,
) -> Result<Vec<PartitionFiles>, OfflineError> {
    let folder = view_folder(offline_root, &view.view.name, view.view.version);
    let listed = match folder.try_exists() {
        Ok(false) => Vec::new(),
        _ => listing::list_folder(&folder, view.view.published_partition(), range)?.partitions,
    };
    if listed.is_empty() {
        let range = range.map(|range| format!("in {range}"));
        let (view, version) = (view.view.name.clone(), view.view.version);
        return Err(OfflineError::NotPublished { view, version, folder, range });
    }
    Ok(listed)
}

/// Refuses a file that is not one of published rows of `view`, as it is defined now; says which columns it has.
pub(crate) fn check_file(
    view: &BoundView,
    path: &Path,
    metadata: &FileMetaData,
    found: &Schema,
) -> Result<Format, OfflineError> {
    let format = check_metadata(view, path, metadata)?;
    let expected = file_schema(view, format);
    if found.fields() == expected.fields() {
        return Ok(format);
    }
    let reason = format!("its columns are {:?}, and should be {:?}", found.fields(), expected.fields());
    Err(OfflineError::NotOurs { path: path.to_owned(), reason })
}

/// The columns of a file.
pub(crate) fn file_schema(view: &BoundView, format: Format) -> SchemaRef {
    let schema = feature_schema(view);
    match format {
        Format::Current => schema,
        Format::Pushed => pushed_schema(view),
        Format::First => {
            let RowColumns { history, features, .. } = RowColumns::of(view);
            let fields = schema.fields()[..history].iter().chain(&schema.fields()[features..]);
            Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
        }
    }
}

/// Whole rows of a file, as they would be in one of the current format. What has no published time was published when its file was `written`.
pub(crate) fn to_current(
    view: &BoundView,
    schema: &SchemaRef,
    rows: &RecordBatch,
    format: Format,
    written: Timestamp,
) -> Result<RecordBatch, ArrowError> {
    let mut columns = rows.columns().to_vec();
    if format == Format::First {
        let RowColumns { times, history, features, .. } = RowColumns::of(view);
        let count = rows.num_rows();
        let times_of = |time| Arc::new(TimestampMicrosecondArray::from(vec![time; count]).with_timezone("UTC"));
        let published = columns[times + 2].as_primitive::<TimestampMicrosecondType>();
        let published: TimestampMicrosecondArray = published.iter().map(|time| time.or(Some(written.0))).collect();
        columns[times + 2] = Arc::new(published.with_timezone("UTC"));
        let none: arrow_array::ArrayRef = times_of(None);
        columns.splice(history..history, std::iter::repeat_n(none, features - history));
    }
    columns.truncate(schema.fields().len());
    // The reader's schema carries the file's metadata; ours is the same for every file.
    RecordBatch::try_new(Arc::clone(schema), columns)
}

async fn open_file(
    view: Arc<BoundView>,
    schema: SchemaRef,
    partition: PartitionId,
    file: FileEntry,
    batch_rows: usize,
) -> Result<impl Stream<Item = Result<PublishedBatch, OfflineError>>, OfflineError> {
    let file = Arc::new(file);
    let (path, written) = (file.path.clone(), micros(file.modified));
    let opened = tokio::fs::File::open(&path).await.map_err(OfflineError::listed("open", &path))?;
    let reader = ParquetRecordBatchStreamBuilder::new(opened)
        .await
        .map_err(|source| OfflineError::published(OfflineError::Footer { file: path.clone(), source }))?;
    let format = check_file(&view, &path, reader.metadata().file_metadata(), reader.schema())?;
    let batches = reader
        .with_batch_size(batch_rows.max(1))
        .build()
        .map_err(|source| OfflineError::ReadPublished { path: path.clone(), source })?;
    Ok(batches.map(move |rows| {
        match rows {
            Ok(rows) => {
                let rows = to_current(&view, &schema, &rows, format, written).map_err(|error| error.into());
                rows.map(|rows| PublishedBatch { partition: partition.clone(), file: Arc::clone(&file), rows })
            }
            Err(error) => Err(error),
        }
        .map_err(|source| OfflineError::ReadPublished { path: path.clone(), source })
    }))
}

/// A time of the file system in microseconds since the Unix epoch.
pub(crate) fn micros(time: SystemTime) -> Timestamp {
    Timestamp(match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    })
}

#[cfg(test)]
mod tests;
