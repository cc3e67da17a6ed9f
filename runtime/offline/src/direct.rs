//! The files of a source as the feature rows of a view of columns: what a batch would publish of them, without one.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter_record_batch;
use futures::stream::{self, BoxStream, StreamExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use tandem_core::model::{BoundView, OnError, Source, SourceContract};
use tandem_core::time::{DayRange, Timestamp};
use tandem_engine::convert::ConvertError;

use crate::bind::{Binding, SetAside, local_day};
use crate::columns::{RowColumns, check_names, feature_schema, needed_columns};
use crate::error::OfflineError;
use crate::footers::{self, CheckedPartition};
use crate::listing::{self, FileEntry, PartitionFiles, PartitionId};
use crate::published::PublishedBatch;
use crate::query::QueryRows;
use crate::source::{self, Resolved};

/// Batches that a reader is ahead of who takes them.
const BATCHES_AHEAD: usize = 2;

/// Which rows of a file are read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    All,
    RowGroup(usize),
    /// Ascending, each once, at least one.
    Rows(&'a [u64]),
}

/// One file of the source of a view of columns.
#[derive(Debug, Clone)]
pub(crate) struct DirectFile {
    view: Arc<BoundView>,
    source: Arc<Source>,
    /// The source without its contract.
    unpromised: Arc<Source>,
    /// The rows of a query, which the file has.
    query: Option<Arc<QueryRows>>,
    /// The file alone, with the folders that it lies in.
    place: PartitionFiles,
    footer: ArrowReaderMetadata,
}

/// The files of a view's source that are `only` wanted, in the order of their partitions, cut to the days of `range`. Blocking.
pub(crate) fn list(
    view: &Arc<BoundView>,
    offline_root: &Path,
    range: Option<&DayRange>,
    only: Option<&dyn Fn(&FileEntry) -> bool>,
) -> Result<Vec<DirectFile>, OfflineError> {
    check_names(view)?;
    let Resolved { source, query } = source::resolve(view, offline_root, only)?;
    // Of a query the tables' files were chosen.
    let only = only.filter(|_| query.is_none());
    let unpromised = Arc::new(Source { contract: SourceContract::default(), ..Source::clone(&source) });
    let mut files = Vec::new();
    for partition in listing::list(&source, range)?.partitions {
        for file in partition.files.iter().filter(|file| only.is_none_or(|only| only(file))) {
            let footer = footers::read(&file.path)?;
            let place = PartitionFiles { files: vec![file.clone()], ..partition.clone() };
            let file = DirectFile {
                view: Arc::clone(view),
                source: Arc::clone(&source),
                unpromised: Arc::clone(&unpromised),
                query: query.clone(),
                place,
                footer,
            };
            // All columns are there, in every file, before any is read.
            file.checked(view, &source)?;
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(OfflineError::NoPartitions { path: source.path.clone(), range: range.map(ToString::to_string) });
    }
    Ok(files)
}

/// Rows that were read of a view of columns and are passed over.
#[derive(Debug, Default)]
pub(crate) struct PassedOver {
    /// Without an event time, with a value that does not convert, or breaking the source's contract.
    pub(crate) rows: AtomicU64,
    /// Of them, rows that break the contract.
    pub(crate) broken: AtomicU64,
    /// Of them, rows on which the component that makes the events fails.
    pub(crate) failed: AtomicU64,
}

/// The feature rows of a view of columns, partition after partition; rows that are set aside stay, without an event time, where they are `kept`. Needs a
/// tokio runtime.
pub(crate) fn rows(
    files: Vec<DirectFile>,
    batch_rows: usize,
    passed_over: Arc<PassedOver>,
    kept: bool,
) -> BoxStream<'static, Result<PublishedBatch, OfflineError>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(BATCHES_AHEAD);
    tokio::task::spawn_blocking(move || {
        for file in files {
            let (partition, entry) = (file.place.id.clone(), Arc::new(file.entry().clone()));
            let sent = |batch: Result<RecordBatch, OfflineError>| {
                let batch =
                    batch.map(|rows| PublishedBatch { partition: partition.clone(), file: Arc::clone(&entry), rows });
                sender.blocking_send(batch).is_ok()
            };
            let whole: Vec<usize> = (0..feature_schema(&file.view).fields().len()).collect();
            let mut batches = match file.read(&whole, Which::All, batch_rows.max(1)) {
                Ok(batches) => batches,
                Err(error) => {
                    sent(Err(error));
                    return;
                }
            };
            for batch in batches.by_ref() {
                let rows = batch.as_ref().map_or(0, RecordBatch::num_rows);
                let mut gone = 0;
                let batch = batch.and_then(|batch| {
                    if kept {
                        return Ok(batch);
                    }
                    let there = file.kept(&batch)?;
                    gone = rows - there.num_rows();
                    Ok(there)
                });
                let failed = batch.is_err();
                passed_over.rows.fetch_add(gone as u64, Ordering::Relaxed);
                if !sent(batch) || failed {
                    return;
                }
            }
            let SetAside { broken, failed } = batches.set_aside();
            passed_over.broken.fetch_add(broken, Ordering::Relaxed);
            passed_over.failed.fetch_add(failed, Ordering::Relaxed);
            if !file.entry().is_unchanged() {
                let changed = OfflineError::SourceChanged { file: file.entry().path.clone() };
                sent(Err(changed));
                return;
            }
        }
    });
    let batches = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let has_rows = |batch: &Result<PublishedBatch, OfflineError>| {
        futures::future::ready(batch.as_ref().map_or(true, |batch| batch.rows.num_rows() > 0))
    };
    batches.filter(has_rows).boxed()
}

/// The partitions that files lie in, each once.
pub(crate) fn partitions(files: &[DirectFile]) -> Vec<PartitionId> {
    let mut partitions: Vec<PartitionId> = files.iter().map(|file| file.place.id.clone()).collect();
    partitions.dedup();
    partitions
}

impl DirectFile {
    pub(crate) fn entry(&self) -> &FileEntry {
        &self.place.files[0]
    }

    /// Its rows, whatever they hold.
    pub(crate) fn rows(&self) -> u64 {
        self.footer.metadata().file_metadata().num_rows().max(0) as u64
    }

    /// The files of the tables, where the rows are those of a query.
    pub(crate) fn tables(&self) -> Option<&[FileEntry]> {
        self.query.as_ref().map(|query| &query.tables[..])
    }

    pub(crate) fn footer(&self) -> &ArrowReaderMetadata {
        &self.footer
    }

    /// The first instant of the file's day, where the source has partitions.
    pub(crate) fn day_start(&self) -> Result<Option<Timestamp>, OfflineError> {
        let start = self.place.day.map(|day| local_day(day, self.source.timezone.as_deref()));
        Ok(start.transpose()?.map(|(start, _)| Timestamp(start)))
    }

    /// The first instants of the file's day and of the next, where the source has partitions.
    pub(crate) fn day(&self) -> Result<Option<(Timestamp, Timestamp)>, OfflineError> {
        let day = self.place.day.map(|day| local_day(day, self.source.timezone.as_deref()));
        Ok(day.transpose()?.map(|(start, end)| (Timestamp(start), Timestamp(end))))
    }

    /// Which columns of the feature rows are to be read to know which rows count: where a row is set aside for any value of it, all. Those of the source's
    /// contract are read beside them.
    pub(crate) fn deciding_columns(&self) -> Vec<usize> {
        let keys = RowColumns::of(&self.view).features;
        let features = match self.view.view.on_error {
            OnError::Fail => 0,
            OnError::Quarantine => self.view.signature.outputs.len(),
        };
        let valid_to = self.view.view.source.has_valid_to().then_some(keys + self.view.signature.outputs.len());
        (0..keys + features).chain(valid_to).collect()
    }

    /// These columns of the feature rows (positions in [`feature_schema`]), for every row of those; a row that is set aside has no event time.
    /// Blocking.
    pub(crate) fn read(
        &self,
        columns: &[usize],
        which: Which<'_>,
        batch_rows: usize,
    ) -> Result<DirectRows, OfflineError> {
        let keys = RowColumns::of(&self.view).features;
        if self.view.maps_events() {
            // A component takes all of its inputs, whatever is wanted of what it gives.
            return self.read_as(Arc::clone(&self.view), columns.to_vec(), which, batch_rows);
        }
        // The features that are wanted, in the order of the view; what is bound has keys and times before them.
        let outputs = self.view.signature.outputs.len();
        let mut features: Vec<usize> =
            columns.iter().filter_map(|column| column.checked_sub(keys)).filter(|feature| *feature < outputs).collect();
        features.sort_unstable();
        features.dedup();
        let positions = columns.iter().map(|column| match column.checked_sub(keys) {
            None => *column,
            // The end of validity is behind the features.
            Some(feature) if feature == outputs => keys + features.len(),
            Some(feature) => keys + features.binary_search(&feature).expect("it was collected"),
        });
        self.read_as(Arc::new(narrowed(&self.view, &features)), positions.collect(), which, batch_rows)
    }

    /// The columns at these positions of the feature rows of `narrow`.
    fn read_as(
        &self,
        narrow: Arc<BoundView>,
        positions: Vec<usize>,
        which: Which<'_>,
        batch_rows: usize,
    ) -> Result<DirectRows, OfflineError> {
        // Rows that are chosen were read before, and kept what is promised.
        let source = match which {
            Which::Rows(_) => &self.unpromised,
            Which::All | Which::RowGroup(_) => &self.source,
        };
        let checked = Arc::new(self.checked(&narrow, source)?);
        // Times lie in the future of nobody: a label sees what had happened.
        let binding = Binding::new(
            narrow,
            Arc::clone(source),
            Arc::clone(&checked),
            Timestamp::MAX,
            Timestamp::MIN,
            Arc::default(),
        )?;

        let path = &self.entry().path;
        let file = File::open(path).map_err(OfflineError::listed("open", path))?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.footer.clone());
        let schema = Arc::clone(self.footer.schema());
        let wanted = |name: &str| checked.file_schema.index_of(name).is_ok();
        let roots = schema.fields().iter().enumerate().filter(|(_, field)| wanted(field.name()));
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.map(|(index, _)| index));
        builder = builder.with_projection(mask).with_batch_size(batch_rows);
        let (mut row, mut selected) = (0, None);
        match which {
            Which::All => {}
            Which::RowGroup(group) => {
                let before = self.footer.metadata().row_groups()[..group].iter();
                row = before.map(|group| group.num_rows().max(0) as u64).sum();
                builder = builder.with_row_groups(vec![group]);
            }
            Which::Rows(rows) => {
                let (groups, selection) = footers::selection(&self.footer, rows);
                builder = builder.with_row_groups(groups).with_row_selection(selection);
                selected = Some(rows.to_vec());
            }
        }
        let reader = builder.build().map_err(|source| OfflineError::ReadFile { file: path.clone(), source })?;
        Ok(DirectRows { reader, checked, binding, set_aside: SetAside::default(), positions, row, selected })
    }

    fn checked(&self, view: &BoundView, source: &Source) -> Result<CheckedPartition, OfflineError> {
        CheckedPartition::of_file(self.place.clone(), &self.footer, &needed_columns(view, source))
    }

    /// The rows that are not set aside.
    fn kept(&self, rows: &RecordBatch) -> Result<RecordBatch, OfflineError> {
        let times = rows.column(self.view.view.join_keys().count()).as_primitive::<TimestampMicrosecondType>();
        let there: BooleanArray = (0..rows.num_rows()).map(|row| Some(times.is_valid(row))).collect();
        let kept = filter_record_batch(rows, &there).map_err(arrow)?;
        RecordBatch::try_new(feature_schema(&self.view), kept.columns().to_vec()).map_err(arrow)
    }
}

/// A file's rows, batch after batch.
pub(crate) struct DirectRows {
    reader: ParquetRecordBatchReader,
    checked: Arc<CheckedPartition>,
    binding: Binding,
    /// Rows so far that are set aside.
    set_aside: SetAside,
    positions: Vec<usize>,
    /// The number of the next row in the file; where rows are selected, its position among them.
    row: u64,
    selected: Option<Vec<u64>>,
}

impl DirectRows {
    fn batch(&mut self, batch: &RecordBatch) -> Result<RecordBatch, OfflineError> {
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for field in self.checked.file_schema.fields() {
            let index = batch.schema_ref().index_of(field.name()).map_err(arrow)?;
            columns.push(Arc::clone(batch.column(index)));
        }
        for (_, value) in &self.checked.hive {
            columns.push(Arc::new((0..rows).map(|_| value.as_deref()).collect::<StringArray>()));
        }
        let (bound, set_aside) = self.binding.aligned(columns, rows, self.row).map_err(|error| self.placed(error))?;
        self.set_aside += set_aside;
        self.row += rows as u64;
        bound.project(&self.positions).map_err(arrow)
    }
}

impl DirectRows {
    /// Rows so far that are set aside for a reason that is counted.
    pub(crate) fn set_aside(&self) -> SetAside {
        self.set_aside
    }

    /// The error with the row's number in the file.
    fn placed(&self, error: OfflineError) -> OfflineError {
        let number = |row: usize| self.selected.as_ref().map_or(row, |selected| selected[row] as usize);
        match error {
            OfflineError::Convert { file, source: ConvertError::Value { column, row, value, reason } } => {
                let source = ConvertError::Value { column, row: number(row), value, reason };
                OfflineError::Convert { file, source }
            }
            error => error,
        }
    }
}

impl Iterator for DirectRows {
    type Item = Result<RecordBatch, OfflineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(|source| {
            let file = self.checked.partition.files[0].path.clone();
            OfflineError::ReadFile { file, source: source.into() }
        });
        Some(batch.and_then(|batch| self.batch(&batch)))
    }
}

/// The view with these of its features alone.
fn narrowed(view: &BoundView, features: &[usize]) -> BoundView {
    let mut narrow = view.clone();
    let only = |fields: &[tandem_core::types::Field]| features.iter().map(|index| fields[*index].clone()).collect();
    narrow.signature.inputs = only(&view.signature.inputs);
    narrow.signature.outputs = only(&view.signature.outputs);
    narrow
}

/// The columns of [`DirectFile::read`], all of them: those of feature rows, with an event time that may be null.
pub(crate) fn aligned_schema(view: &BoundView) -> SchemaRef {
    let event_time = view.view.join_keys().count();
    let schema = feature_schema(view);
    let fields = schema.fields().iter().enumerate().map(|(index, field)| match index == event_time {
        true => field.as_ref().clone().with_nullable(true),
        false => field.as_ref().clone(),
    });
    Arc::new(arrow_schema::Schema::new(fields.collect::<Vec<_>>()))
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn arrow(error: arrow_schema::ArrowError) -> OfflineError {
    OfflineError::DataFusion(error.into())
}
