//! The published files of a view as one sequence of numbered rows.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, PrimitiveArray, RecordBatch, RecordBatchReader};
use arrow_select::concat::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;
use tandem_core::key::KeyEncoder;
use tandem_core::model::BoundView;
use tandem_core::point_in_time::{Contest, JoinRow};
use tandem_core::time::Timestamp;

use super::TrainingError;
use super::labels::LabelKeys;
use crate::columns::feature_schema;
use crate::error::OfflineError;
use crate::footers;
use crate::listing::FileEntry;
use crate::published::{check_file, list_published};

/// Bits of a row's number that count within its file.
const ROW_BITS: u32 = 40;

/// What is published of a view.
#[derive(Debug)]
pub(super) struct History {
    view: Arc<BoundView>,
    files: Vec<HistoryFile>,
    keys: usize,
}

#[derive(Debug)]
pub(super) struct HistoryFile {
    pub(super) entry: FileEntry,
    footer: ArrowReaderMetadata,
}

/// Rows that were read in the first pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// Rows.
    pub(super) rows: u64,
    /// Of them, rows whose key has a null or NaN.
    pub(super) null_keys: u64,
    /// Of them, rows whose created time is null though the view's source has one.
    pub(super) null_created: u64,
}

impl std::ops::AddAssign for Offered {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.null_keys += other.null_keys;
        self.null_created += other.null_created;
    }
}

impl History {
    /// Lists the files and reads their footers. Blocking.
    pub(super) fn open(view: &Arc<BoundView>, offline_root: &Path) -> Result<Self, OfflineError> {
        if !view.view.is_stored() {
            return Err(OfflineError::OnDemand { view: view.view.id() });
        }
        let open = |entry: FileEntry| {
            let footer = footers::read(&entry.path).map_err(OfflineError::published)?;
            check_file(view, &entry.path, footer.metadata().file_metadata(), footer.schema())?;
            Ok(HistoryFile { entry, footer })
        };
        let listed = list_published(view, offline_root, None)?;
        let files = listed.into_iter().flat_map(|partition| partition.files);
        let files = files.map(open).collect::<Result<Vec<_>, OfflineError>>()?;
        let keys = view.view.join_keys().count();
        Ok(History { view: Arc::clone(view), files, keys })
    }

    pub(super) fn files(&self) -> &[HistoryFile] {
        &self.files
    }

    /// Offers the rows of a file. Row groups whose events all happened after the last instant are passed over. Blocking.
    pub(super) fn offer(
        &self,
        file: usize,
        labels: &LabelKeys,
        contest: &mut Contest<'_>,
        batch_rows: usize,
    ) -> Result<Offered, TrainingError> {
        let mut offered = Offered::default();
        let HistoryFile { entry, footer } = &self.files[file];
        let Some((_, last)) = labels.instants.span() else { return Ok(offered) };
        // A row without a created time is known from when its file was written.
        let written = micros(entry.modified);
        let has_created = self.view.view.source.has_created_time();
        let join_keys = labels.join_keys();
        let mut key = Vec::new();
        let mut first_row = 0;
        for group in 0..footer.metadata().num_row_groups() {
            let metadata = footer.metadata().row_group(group);
            let mut row = first_row;
            first_row += metadata.num_rows().max(0) as u64;
            if earliest(metadata.column(self.keys).statistics()).is_some_and(|earliest| earliest > last.0) {
                continue;
            }
            let columns: Vec<usize> = (0..self.times(file)).collect();
            for batch in self.reader(file, &columns, Some(vec![group]), None, batch_rows)? {
                let batch = batch.map_err(|error| self.unreadable(file, error.into()))?;
                let encoder = KeyEncoder::new(&join_keys, &batch.columns()[..self.keys])
                    .map_err(|source| TrainingError::Key { view: self.view.view.id(), source })?;
                let time = |column: usize| batch.column(self.keys + column).as_primitive::<TimestampMicrosecondType>();
                let (events, created, published) = (time(0), time(1), time(2));
                let sequences = batch.column(self.keys + 3).as_primitive::<Int64Type>();
                for index in 0..batch.num_rows() {
                    key.clear();
                    let number = row_number(file, row + index as u64);
                    offered.null_created += u64::from(has_created && created.is_null(index));
                    if !encoder.encode_into(index, &mut key) {
                        offered.null_keys += 1;
                        continue;
                    }
                    let Some(group) = labels.groups.get(&key[..]) else { continue };
                    let offer = JoinRow {
                        event_time: Timestamp(events.value(index)),
                        created_time: value(created, index).map(Timestamp),
                        published_time: Timestamp(value(published, index).unwrap_or(written)),
                        sequence: value(sequences, index),
                        until: None,
                        row: number,
                    };
                    contest.offer(*group, &offer);
                }
                row += batch.num_rows() as u64;
                offered.rows += batch.num_rows() as u64;
            }
        }
        self.check_unchanged(file)?;
        Ok(offered)
    }

    /// These rows (ascending, each once), in their order, with these columns of the feature rows. Blocking.
    pub(super) fn fetch(&self, rows: &[u64], columns: &[usize]) -> Result<RecordBatch, TrainingError> {
        let schema = feature_schema(&self.view);
        let schema = Arc::new(schema.project(columns).expect("the columns are the schema's"));
        let mut batches = Vec::new();
        for rows in rows.chunk_by(|a, b| a >> ROW_BITS == b >> ROW_BITS) {
            let file = (rows[0] >> ROW_BITS) as usize;
            let total = self.files[file].footer.metadata().file_metadata().num_rows().max(0) as usize;
            let selection = RowSelection::from_consecutive_ranges(ranges(rows), total);
            for batch in self.reader(file, columns, None, Some(selection), rows.len())? {
                let batch = batch.map_err(|error| self.unreadable(file, error.into()))?;
                // The reader's schema has the file's metadata.
                let batch = batch.with_schema(Arc::clone(&schema));
                batches.push(batch.map_err(|error| self.unreadable(file, error.into()))?);
            }
            self.check_unchanged(file)?;
        }
        let fetched = concat_batches(&schema, &batches).map_err(|error| OfflineError::DataFusion(error.into()))?;
        assert_eq!(fetched.num_rows(), rows.len(), "one row for each that was asked for");
        Ok(fetched)
    }

    /// A column of the feature rows by its feature's name.
    pub(super) fn feature_column(&self, feature: &str) -> Option<usize> {
        let outputs = &self.view.signature.outputs;
        outputs.iter().position(|output| output.name == feature).map(|index| self.keys + 4 + index)
    }

    /// The columns of all features.
    pub(super) fn feature_columns(&self) -> Vec<usize> {
        (0..self.view.signature.outputs.len()).map(|index| self.keys + 4 + index).collect()
    }

    fn reader(
        &self,
        file: usize,
        columns: &[usize],
        row_groups: Option<Vec<usize>>,
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, TrainingError> {
        let HistoryFile { entry, footer } = &self.files[file];
        let opened = File::open(&entry.path).map_err(OfflineError::listed("open", &entry.path))?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, footer.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask).with_batch_size(batch_rows);
        if let Some(row_groups) = row_groups {
            builder = builder.with_row_groups(row_groups);
        }
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let reader = builder.build().map_err(|source| self.unreadable(file, source))?;
        debug_assert_eq!(reader.schema().fields().len(), columns.len());
        Ok(reader)
    }

    /// Both passes, and the footer before them, must have seen the same file.
    fn check_unchanged(&self, file: usize) -> Result<(), TrainingError> {
        let entry = &self.files[file].entry;
        if entry.is_unchanged() {
            return Ok(());
        }
        Err(OfflineError::SourceChanged { file: entry.path.clone() }.into())
    }

    fn unreadable(&self, file: usize, source: ParquetError) -> TrainingError {
        let entry = &self.files[file].entry;
        if !entry.is_unchanged() {
            return OfflineError::SourceChanged { file: entry.path.clone() }.into();
        }
        OfflineError::ReadPublished { path: entry.path.clone(), source }.into()
    }
}

fn row_number(file: usize, row: u64) -> u64 {
    debug_assert!(row >> ROW_BITS == 0 && file < 1 << (64 - ROW_BITS));
    (file as u64) << ROW_BITS | row
}

/// Where a row lies: its file's position and the row there.
pub(super) fn place(row: u64) -> (usize, u64) {
    ((row >> ROW_BITS) as usize, row & ((1 << ROW_BITS) - 1))
}

/// The rows of one file as ranges.
fn ranges(rows: &[u64]) -> impl Iterator<Item = Range<usize>> {
    rows.chunk_by(|a, b| a + 1 == *b).map(|run| {
        let start = place(run[0]).1 as usize;
        start..start + run.len()
    })
}

fn value<T: arrow_array::ArrowPrimitiveType<Native = i64>>(array: &PrimitiveArray<T>, row: usize) -> Option<i64> {
    array.is_valid(row).then(|| array.value(row))
}

/// The least value of a column of 64-bit integers, if its file says.
fn earliest(statistics: Option<&Statistics>) -> Option<i64> {
    match statistics {
        Some(Statistics::Int64(statistics)) => statistics.min_opt().copied(),
        _ => None,
    }
}

fn micros(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    }
}
