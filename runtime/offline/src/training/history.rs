//! The published files of a view as one sequence of numbered rows.

mod rows;

use std::collections::BTreeSet;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, PrimitiveArray, RecordBatch, RecordBatchReader};
use arrow_select::concat::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use tandem_core::hash::Digest;
use tandem_core::history::RowTimes;
use tandem_core::key::KeyEncoder;
use tandem_core::model::{BoundView, KnownBy};
use tandem_core::point_in_time::{JoinRow, Rules};
use tandem_core::status::is_never_valid;
use tandem_core::time::Timestamp;
use tandem_core::types::{HISTORY_COLUMNS, TIME_COLUMNS};

use super::TrainingError;
use super::explain::Origin;
use super::groups::{Found, NONE};
use super::labels::LabelKeys;
use super::threads::in_parallel;
use crate::bind::SetAside;
use crate::columns::{RowColumns, feature_schema};
use crate::direct::{self, DirectFile, Which};
use crate::error::OfflineError;
use crate::footers;
use crate::listing::FileEntry;
use crate::publish::Format;
use crate::published::{check_file, list_published, micros, or_pushed};
use crate::pushed::list_pushed;
pub(super) use rows::FileRows;

/// Bits of a row's number that count within its file.
const ROW_BITS: u32 = 40;

/// Rows that are offered at a time: what they take stays near the processor.
const OFFER_ROWS: usize = 128;

/// Row groups that are read at a time.
const UNIT_ROW_GROUPS: usize = 2;

/// A few row groups of a file.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    file: usize,
    groups: Range<usize>,
    rows: Range<u64>,
}

/// What is published of a view.
#[derive(Debug)]
pub(super) struct History {
    view: Arc<BoundView>,
    files: Vec<HistoryFile>,
    keys: usize,
    /// Pieces that are read at the same time.
    threads: usize,
    columns: RowColumns,
}

#[derive(Debug)]
pub(super) struct HistoryFile {
    pub(super) entry: FileEntry,
    footer: ArrowReaderMetadata,
    format: Format,
    /// A file of the view's source, where nothing is published.
    direct: Option<DirectFile>,
}

/// A file whose rows may be joined, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// SHA-256 of its footer, which has places, sizes and extremes of all columns, and the digest of what its rows were computed from.
    pub footer: Digest,
}

/// Rows that were read in the first pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offered {
    /// Row groups.
    pub(super) row_groups: u64,
    /// Groups of the labels' keys that have a row, by number.
    seen: Vec<bool>,
    /// Rows.
    pub(super) rows: u64,
    /// Of them, rows whose key has a null or NaN.
    pub(super) null_keys: u64,
    /// Of them, rows whose created time is null though the view's source has one.
    pub(super) null_created: u64,
    /// Of them, rows that are set aside: without an event time, with a value that does not convert, or breaking the contract of the source.
    pub(super) set_aside: u64,
    /// Of those, rows that break the contract of the view's source, and rows that the component which makes the events fails on.
    pub(super) reasons: SetAside,
}

impl std::ops::AddAssign for Offered {
    fn add_assign(&mut self, other: Self) {
        self.row_groups += other.row_groups;
        if self.seen.len() < other.seen.len() {
            self.seen.resize(other.seen.len(), false);
        }
        for (mine, theirs) in self.seen.iter_mut().zip(other.seen) {
            *mine |= theirs;
        }
        self.rows += other.rows;
        self.null_keys += other.null_keys;
        self.null_created += other.null_created;
        self.set_aside += other.set_aside;
        self.reasons += other.reasons;
    }
}

impl Offered {
    /// Makes room for so many groups.
    pub(super) fn see_groups(&mut self, groups: usize) {
        self.seen.resize(self.seen.len().max(groups), false);
    }

    /// A row of this group was read.
    pub(super) fn see(&mut self, group: u32) {
        self.seen[group as usize] = true;
    }

    /// Whether a row of this group was read.
    pub(super) fn seen(&self, group: u32) -> bool {
        self.seen.get(group as usize).copied().unwrap_or(false)
    }
}

impl Unit {
    /// Its rows.
    pub(super) fn len(&self) -> u64 {
        self.rows.end - self.rows.start
    }

    /// Its row groups.
    pub(super) fn row_groups(&self) -> Range<usize> {
        self.groups.clone()
    }
}

// Of the files of a source, for views of aggregates.
impl History {
    /// The first instants of a unit's day and of the next, where the source has partitions.
    pub(super) fn day(&self, unit: &Unit) -> Result<Option<(Timestamp, Timestamp)>, OfflineError> {
        self.files[unit.file].direct.as_ref().map_or(Ok(None), DirectFile::day)
    }

    /// A unit's file.
    pub(super) fn path_of(&self, unit: &Unit) -> &Path {
        &self.files[unit.file].entry.path
    }

    /// A unit's file as it was listed.
    pub(super) fn entry_of(&self, unit: &Unit) -> &FileEntry {
        &self.files[unit.file].entry
    }

    /// Where a unit's rows are from.
    pub(super) fn origin_of(&self, unit: &Unit) -> Origin {
        self.origin(unit.file)
    }

    /// When a unit's file was written.
    pub(super) fn written(&self, unit: &Unit) -> Timestamp {
        micros(self.files[unit.file].entry.modified)
    }

    /// The number, in its file, of the first row of a row group of a unit.
    pub(super) fn first_row(&self, unit: &Unit, group: usize) -> u64 {
        let groups = &self.files[unit.file].footer.metadata().row_groups()[unit.groups.start..group];
        unit.rows.start + groups.iter().map(|group| group.num_rows().max(0) as u64).sum::<u64>()
    }

    /// The rows of a row group of a unit, with these columns of the feature rows.
    pub(super) fn read_group(
        &self,
        unit: &Unit,
        group: usize,
        columns: &[usize],
        batch_rows: usize,
    ) -> Result<FileRows<'_>, TrainingError> {
        self.read(unit.file, columns, Which::RowGroup(group), batch_rows)
    }

    /// A unit's file must be what it was when its footer was read.
    pub(super) fn check_unit(&self, unit: &Unit) -> Result<(), TrainingError> {
        self.check_unchanged(unit.file)
    }
}

impl History {
    /// Lists the files and reads their footers. `only`: files below `offline_root` that are taken; None for all. Blocking.
    pub(super) fn open(
        view: &Arc<BoundView>,
        offline_root: &Path,
        only: Option<&BTreeSet<PathBuf>>,
        threads: usize,
    ) -> Result<Self, OfflineError> {
        if !view.view.is_stored() {
            return Err(OfflineError::OnDemand { view: view.view.id() });
        }
        let open = |entry: FileEntry| {
            let footer = footers::read(&entry.path).map_err(OfflineError::published)?;
            let format = check_file(view, &entry.path, footer.metadata().file_metadata(), footer.schema())?;
            Ok(HistoryFile { entry, footer, format, direct: None })
        };
        let keys = view.view.join_keys().count();
        // As a manifest names a file.
        let is_wanted = |entry: &FileEntry| {
            let named = entry.path.strip_prefix(offline_root).unwrap_or(&entry.path);
            only.is_none_or(|only| only.contains(named))
        };
        let pushed = list_pushed(view, offline_root, None)?;
        let pushed_files: Vec<FileEntry> =
            pushed.iter().flat_map(|partition| &partition.files).filter(|file| is_wanted(file)).cloned().collect();
        let pushed_files = pushed_files.into_iter();
        if view.view.is_columns() {
            let files = or_pushed(direct::list(view, offline_root, None, Some(&is_wanted)), &pushed)?.into_iter();
            let files = files.map(|file| HistoryFile {
                entry: file.entry().clone(),
                footer: file.footer().clone(),
                format: Format::Current,
                direct: Some(file),
            });
            return Ok(History {
                view: Arc::clone(view),
                files: files.map(Ok).chain(pushed_files.map(open)).collect::<Result<_, OfflineError>>()?,
                keys,
                threads,
                columns: RowColumns::of(view),
            });
        }
        let listed = or_pushed(list_published(view, offline_root, None), &pushed)?;
        let files = listed.into_iter().flat_map(|partition| partition.files).filter(is_wanted);
        let files = files.chain(pushed_files).map(open).collect::<Result<Vec<_>, OfflineError>>()?;
        Ok(History { view: Arc::clone(view), files, keys, threads, columns: RowColumns::of(view) })
    }

    pub(super) fn files(&self) -> &[HistoryFile] {
        &self.files
    }

    pub(super) fn view(&self) -> &Arc<BoundView> {
        &self.view
    }

    /// Where the rows of a file are from.
    pub(super) fn origin(&self, file: usize) -> Origin {
        let of_query = self.files[file].direct.as_ref().is_some_and(|direct| direct.tables().is_some());
        match self.view.view.source.files().filter(|_| of_query) {
            Some(source) => Origin::Query(source.name.clone()),
            None => Origin::File(self.files[file].entry.path.clone()),
        }
    }

    /// Row groups of all files.
    pub(super) fn row_groups(&self) -> u64 {
        self.files.iter().map(|file| file.footer.metadata().num_row_groups() as u64).sum()
    }

    /// The files, as a manifest names them. Reads their footers once more. Blocking.
    pub(super) fn source_files(&self) -> Result<Vec<SourceFile>, TrainingError> {
        let file = |entry: &FileEntry, footer: &ArrowReaderMetadata| {
            Ok(SourceFile {
                path: entry.path.clone(),
                bytes: entry.size,
                rows: footer.metadata().file_metadata().num_rows().max(0) as u64,
                footer: footers::digest(&entry.path)?,
            })
        };
        // The rows of a query are made of its tables' files.
        if let Some(tables) = self.files.first().and_then(|file| file.direct.as_ref()?.tables()) {
            return tables.iter().map(|entry| file(entry, &footers::read(&entry.path)?)).collect();
        }
        self.files.iter().map(|one| file(&one.entry, &one.footer)).collect()
    }

    /// Offers the rows of a unit that have a key of the labels', each with its group; `rules` are the contest's. Row groups whose events all happened
    /// after the last instant are passed over. Blocking.
    pub(super) fn offer(
        &self,
        unit: &Unit,
        labels: &LabelKeys,
        rules: Rules,
        mut to: impl FnMut(&[(u32, JoinRow)]),
        batch_rows: usize,
    ) -> Result<Offered, TrainingError> {
        let mut offered = Offered::default();
        let file = unit.file;
        let HistoryFile { entry, footer, direct, .. } = &self.files[file];
        let Some((_, last)) = labels.span else { return Ok(offered) };
        if let Some(start) = direct.as_ref().map(DirectFile::day_start).transpose()?.flatten()
            && start > last
        {
            return Ok(offered);
        }
        // A row without a created time is known from when its file was written.
        let Timestamp(written) = micros(entry.modified);
        // Where published times are made up, what is known of a row's end is the producer's word.
        let ends_by = if rules.publish_delay.is_some() { KnownBy::Created } else { rules.known_by };
        let has_created = self.view.view.source.has_created_time();
        let join_keys = labels.join_keys();
        offered.seen.resize(labels.instants.groups(), false);
        let (mut found, mut rows) = (Found::default(), Vec::new());
        let mut first_row = unit.rows.start;
        for group in unit.groups.clone() {
            let metadata = footer.metadata().row_group(group);
            let mut row = first_row;
            first_row += metadata.num_rows().max(0) as u64;
            let earliest = match direct {
                Some(_) => None,
                None => earliest(metadata.column(self.keys).statistics()),
            };
            if earliest.is_some_and(|earliest| earliest > last.0) {
                continue;
            }
            offered.row_groups += 1;
            // Where no row was ever corrected or taken back, nothing but the times is read.
            let history = self.history(file).filter(|history| !is_null(metadata, history.clone()));
            let published = || {
                let columns = 0..history.as_ref().map_or(self.columns.history, |history| history.end);
                columns.chain(self.valid_to_column()).collect()
            };
            let columns = direct.as_ref().map_or_else(published, DirectFile::deciding_columns);
            let mut batches = self.read(file, &columns, Which::RowGroup(group), batch_rows)?;
            for batch in batches.by_ref() {
                let batch = batch?;
                let encoder = KeyEncoder::new(join_keys, &batch.columns()[..self.keys])
                    .map_err(|source| TrainingError::Key { view: self.view.view.id(), source })?;
                let time = |column: usize| batch.column(self.keys + column).as_primitive::<TimestampMicrosecondType>();
                let (events, created, published) = (time(0), time(1), time(2));
                let sequences = batch.column(self.keys + 3).as_primitive::<Int64Type>();
                let history: Option<[_; HISTORY_COLUMNS.len()]> =
                    history.as_ref().map(|_| std::array::from_fn(|column| time(TIME_COLUMNS.len() + column)));
                let ends = self.valid_to_column().and(batch.columns().last());
                let ends = ends.and_then(|ends| ends.as_primitive_opt::<TimestampMicrosecondType>());
                offered.set_aside += events.null_count() as u64;
                if has_created {
                    offered.null_created += created.null_count() as u64;
                }
                labels.groups.find(&encoder, &mut found);
                let with_group = found.groups.iter().enumerate().filter(|(_, group)| **group != NONE);
                for (index, group) in with_group {
                    let end = ends.and_then(|ends| value(ends, index)).map(Timestamp);
                    if events.is_null(index) || is_never_valid(Timestamp(events.value(index)), end) {
                        continue;
                    }
                    offered.seen[*group as usize] = true;
                    let [corrected_time, retracted_time, superseded_time, superseded_published_time] = history
                        .map_or_else(Default::default, |columns| {
                            columns.map(|column| value(column, index).map(Timestamp))
                        });
                    let times = RowTimes {
                        created_time: value(created, index).map(Timestamp),
                        published_time: Timestamp(value(published, index).unwrap_or(written)),
                        corrected_time,
                        retracted_time,
                        superseded_time,
                        superseded_published_time,
                    };
                    let offer = JoinRow {
                        event_time: Timestamp(events.value(index)),
                        created_time: times.created_time,
                        published_time: times.published_time,
                        sequence: value(sequences, index),
                        corrected_time,
                        until: times.until(ends_by),
                        row: row_number(file, row + index as u64),
                    };
                    rows.push((*group, offer));
                    if rows.len() == OFFER_ROWS {
                        to(&rows);
                        rows.clear();
                    }
                }
                to(&rows);
                rows.clear();
                row += batch.num_rows() as u64;
                offered.rows += batch.num_rows() as u64;
            }
            offered.reasons += batches.set_aside();
        }
        offered.null_keys = found.null_keys;
        self.check_unchanged(file)?;
        Ok(offered)
    }

    /// Where a file has the columns of the history.
    fn history(&self, file: usize) -> Option<Range<usize>> {
        match &self.files[file] {
            HistoryFile { format: Format::First, .. } | HistoryFile { direct: Some(_), .. } => None,
            _ => Some(self.columns.history..self.columns.features),
        }
    }

    /// These rows (ascending, each once), in their order, with these features' columns of the feature rows. Blocking.
    pub(super) fn fetch(&self, rows: &[u64], columns: &[usize]) -> Result<RecordBatch, TrainingError> {
        let schema = feature_schema(&self.view);
        let schema = Arc::new(schema.project(columns).expect("the columns are the schema's"));
        // Each piece lies in one file and a few of its row groups.
        let mut pieces: Vec<&[u64]> = Vec::new();
        for rows in rows.chunk_by(|a, b| place(*a).0 == place(*b).0) {
            let file = place(rows[0]).0;
            let mut rest = rows;
            for unit in self.units_of(file) {
                let of_unit = rest.partition_point(|row| place(*row).1 < unit.rows.end);
                pieces.push(&rest[..of_unit]);
                rest = &rest[of_unit..];
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        let read = |piece: usize| {
            let rows = pieces[piece];
            let file = place(rows[0]).0;
            let rows: Vec<u64> = rows.iter().map(|row| place(*row).1).collect();
            let mut batches = Vec::new();
            for batch in self.read(file, columns, Which::Rows(&rows), rows.len())? {
                // The reader's schema has the file's metadata.
                let batch = batch?.with_schema(Arc::clone(&schema));
                batches.push(batch.map_err(|error| self.unreadable(file, error.into()))?);
            }
            self.check_unchanged(file)?;
            Ok(batches)
        };
        let batches: Vec<Vec<RecordBatch>> = in_parallel(self.threads, pieces.len(), read)?;
        let fetched = concat_batches(&schema, batches.iter().flatten());
        let fetched = fetched.map_err(|error| OfflineError::DataFusion(error.into()))?;
        assert_eq!(fetched.num_rows(), rows.len(), "one row for each that was asked for");
        Ok(fetched)
    }

    /// What is read at a time: a few row groups of a file.
    pub(super) fn units(&self) -> Vec<Unit> {
        (0..self.files.len()).flat_map(|file| self.units_of(file)).collect()
    }

    fn units_of(&self, file: usize) -> Vec<Unit> {
        let groups = self.files[file].footer.metadata().row_groups();
        let mut units = Vec::new();
        let mut first = 0;
        for (index, groups) in groups.chunks(UNIT_ROW_GROUPS).enumerate() {
            let rows = groups.iter().map(|group| group.num_rows().max(0) as u64).sum::<u64>();
            let start = index * UNIT_ROW_GROUPS;
            units.push(Unit { file, groups: start..start + groups.len(), rows: first..first + rows });
            first += rows;
        }
        units
    }

    /// The columns of the features at these positions among the outputs.
    pub(super) fn output_columns(&self, outputs: &[usize]) -> Vec<usize> {
        outputs.iter().map(|output| self.columns.features + output).collect()
    }

    /// The columns of all values: what decides between rows that tie.
    pub(super) fn feature_columns(&self) -> Vec<usize> {
        (0..self.view.stored_fields().len()).map(|index| self.columns.features + index).collect()
    }

    /// The column with the end of a row's validity, where there is one.
    pub(super) fn valid_to_column(&self) -> Option<usize> {
        self.view.view.source.has_valid_to().then_some(self.columns.features + self.view.signature.outputs.len())
    }

    /// Rows of a file with these columns of the feature rows.
    fn read(
        &self,
        file: usize,
        columns: &[usize],
        which: Which<'_>,
        batch_rows: usize,
    ) -> Result<FileRows<'_>, TrainingError> {
        if let Some(direct) = &self.files[file].direct {
            return Ok(FileRows::Direct {
                history: self,
                file,
                rows: Box::new(direct.read(columns, which, batch_rows)?),
            });
        }
        let (groups, selection) = match which {
            Which::All => (None, None),
            Which::RowGroup(group) => (Some(vec![group]), None),
            Which::Rows(rows) => {
                let (groups, selection) = footers::selection(&self.files[file].footer, rows);
                (Some(groups), Some(selection))
            }
        };
        // Files of the first format have no history, and what is behind it lies before.
        let RowColumns { history, features, .. } = self.columns;
        let missing = if self.files[file].format == Format::First { features - history } else { 0 };
        let place = |column: &usize| if *column < history { *column } else { column - missing };
        let columns: Vec<usize> = columns.iter().map(place).collect();
        let rows = Box::new(self.reader(file, &columns, groups, selection, batch_rows)?);
        Ok(FileRows::Published { history: self, file, rows })
    }

    fn reader(
        &self,
        file: usize,
        columns: &[usize],
        row_groups: Option<Vec<usize>>,
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, TrainingError> {
        let HistoryFile { entry, footer, .. } = &self.files[file];
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
        let path = entry.path.clone();
        match self.files[file].direct {
            Some(_) => OfflineError::ReadFile { file: path, source }.into(),
            None => OfflineError::ReadPublished { path, source }.into(),
        }
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

fn value<T: arrow_array::ArrowPrimitiveType<Native = i64>>(array: &PrimitiveArray<T>, row: usize) -> Option<i64> {
    array.is_valid(row).then(|| array.value(row))
}

/// Whether these columns have no value at all, as far as the file says.
fn is_null(group: &RowGroupMetaData, mut columns: Range<usize>) -> bool {
    let rows = group.num_rows().max(0) as u64;
    columns.all(|column| group.column(column).statistics().and_then(Statistics::null_count_opt) == Some(rows))
}

/// The least value of a column of 64-bit integers, if its file says.
fn earliest(statistics: Option<&Statistics>) -> Option<i64> {
    match statistics {
        Some(Statistics::Int64(statistics)) => statistics.min_opt().copied(),
        _ => None,
    }
}
