//! A partition that is computed again: its rows put beside those that are published, so that what was known stays known.
//!
//! [`tandem_core::history`] decides, event by event; here are the files. Both are read from their beginning as long as they are alike, which costs no
//! memory. Of the rows behind the first difference, and of all others of their events, keys, digests and times are held: about 250 bytes a row.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use tandem_core::canonical::RowEncoder;
use tandem_core::hash::Digest;
use tandem_core::history::{EventRow, RowTimes, rerun};
use tandem_core::model::BoundView;
use tandem_core::time::Timestamp;
use tandem_core::types::{HISTORY_COLUMNS, TIME_COLUMNS};

use crate::columns::{RowColumns, feature_schema};
use crate::error::OfflineError;
use crate::footers;
use crate::publish::Format;
use crate::published::{check_file, micros, to_current};
use crate::staged::{Staged, StagedWriter};

/// Rows that are read at a time.
const BATCH_ROWS: usize = 8_192;

/// Which rows stand, by the columns `retracted_time` and `superseded_time`.
pub(crate) fn standing(retracted: &ArrayRef, superseded: &ArrayRef) -> BooleanArray {
    (0..retracted.len()).map(|row| Some(retracted.is_null(row) && superseded.is_null(row))).collect()
}

/// A file of published rows.
pub(crate) struct PublishedFile<'a> {
    view: &'a BoundView,
    path: PathBuf,
    footer: ArrowReaderMetadata,
    schema: SchemaRef,
    format: Format,
    written: Timestamp,
}

impl<'a> PublishedFile<'a> {
    /// Reads its footer, which must be that of a file of `view` as it is defined now. Blocking.
    pub(crate) fn open(view: &'a BoundView, path: &Path) -> Result<Self, OfflineError> {
        let footer = footers::read(path).map_err(OfflineError::published)?;
        let format = check_file(view, path, footer.metadata().file_metadata(), footer.schema())?;
        let modified = path.metadata().and_then(|found| found.modified()).map_err(OfflineError::io("read", path))?;
        let (path, schema) = (path.to_owned(), feature_schema(view));
        Ok(PublishedFile { view, path, footer, schema, format, written: micros(modified) })
    }

    /// Its rows that stand. Blocking.
    pub(crate) fn standing_rows(&self) -> Result<u64, OfflineError> {
        if self.format == Format::First {
            return Ok(self.row_count());
        }
        let history = RowColumns::of(self.view).history;
        let mut standing_rows = 0;
        for batch in self.read(Some(&[history + 1, history + 2]))? {
            let batch = batch?;
            standing_rows += standing(batch.column(0), batch.column(1)).true_count() as u64;
        }
        Ok(standing_rows)
    }

    /// Whole rows in the current format.
    fn rows(&self) -> Result<impl Iterator<Item = Result<RecordBatch, OfflineError>> + '_, OfflineError> {
        let current = |batch: Result<RecordBatch, OfflineError>| {
            to_current(self.view, &self.schema, &batch?, self.format, self.written)
                .map_err(|error| self.unreadable(error.into()))
        };
        Ok(self.read(None)?.map(current))
    }

    fn read(
        &self,
        columns: Option<&[usize]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, OfflineError>> + '_, OfflineError> {
        let opened = File::open(&self.path).map_err(OfflineError::io("open", &self.path))?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(opened, self.footer.clone());
        if let Some(columns) = columns {
            let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|source| self.unreadable(source))?;
        Ok(reader.map(|batch| batch.map_err(|error| self.unreadable(error.into()))))
    }

    fn unreadable(&self, source: ParquetError) -> OfflineError {
        OfflineError::ReadPublished { path: self.path.clone(), source }
    }

    /// Each row with its place, without its values.
    fn entries(&self) -> Result<impl Iterator<Item = Result<Entry, OfflineError>> + '_, OfflineError> {
        let mut first_row = 0;
        let entries = move |batch: Result<RecordBatch, OfflineError>| -> Vec<Result<Entry, OfflineError>> {
            let read = batch.and_then(|batch| entries(self.view, &batch, first_row));
            match read {
                Ok(entries) => {
                    first_row += entries.len() as u64;
                    entries.into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(error)],
            }
        };
        Ok(self.rows()?.flat_map(entries))
    }
}

/// A row without its values.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its position in the file.
    place: u64,
    /// Names keys and event time.
    event: u128,
    row: EventRow<u128>,
}

impl Entry {
    /// Whether a computed row is this published one, and says nothing new of it.
    fn is_again(&self, computed: &Entry) -> bool {
        let (before, now) = (&self.row.times, &computed.row.times);
        (self.event, self.row.content) == (computed.event, computed.row.content)
            && before.retracted_time.is_none()
            && before.superseded_time == now.superseded_time
            && (now.corrected_time.is_none() || before.corrected_time == now.corrected_time)
    }
}

/// The rows of a batch in the current format.
fn entries(view: &BoundView, batch: &RecordBatch, first_row: u64) -> Result<Vec<Entry>, OfflineError> {
    let RowColumns { times, history, features, .. } = RowColumns::of(view);
    let columns = batch.columns();
    let event: Vec<ArrayRef> = columns[..=times].to_vec();
    let mut content = vec![Arc::clone(&columns[times + 1]), Arc::clone(&columns[times + 3])];
    content.extend(columns[features..].iter().cloned());
    let encoder =
        |columns: &[ArrayRef]| RowEncoder::new(columns).map_err(|error| OfflineError::Task(error.to_string()));
    let (event, content) = (encoder(&event)?, encoder(&content)?);
    let column = |index: usize| columns[index].as_primitive::<TimestampMicrosecondType>();
    let (created, published) = (column(times + 1), column(times + 2));
    let history: [_; HISTORY_COLUMNS.len()] = std::array::from_fn(|index| column(history + index));
    let at = |array: &TimestampMicrosecondArray, row| array.is_valid(row).then(|| Timestamp(array.value(row)));
    let mut bytes = Vec::new();
    let mut digest = |encoder: &RowEncoder, row| {
        bytes.clear();
        encoder.encode(row, &mut bytes);
        let Digest(digest) = Digest::of(&bytes);
        u128::from_be_bytes(digest[..16].try_into().expect("half of a digest"))
    };
    let rows = 0..batch.num_rows();
    Ok(rows
        .map(|row| {
            let [corrected_time, retracted_time, superseded_time, superseded_published_time] =
                history.map(|array| at(array, row));
            let times = RowTimes {
                created_time: at(created, row),
                published_time: at(published, row).unwrap_or(Timestamp::MIN),
                corrected_time,
                retracted_time,
                superseded_time,
                superseded_published_time,
            };
            let (event, content) = (digest(&event, row), digest(&content, row));
            Entry { place: first_row + row as u64, event, row: EventRow { content, times } }
        })
        .collect())
}

/// Rows with other times.
fn with_times(view: &BoundView, rows: &RecordBatch, times: &[RowTimes]) -> Result<RecordBatch, OfflineError> {
    let RowColumns { times: first, history, .. } = RowColumns::of(view);
    let mut columns = rows.columns().to_vec();
    let column = |of: fn(&RowTimes) -> Option<Timestamp>| -> ArrayRef {
        let values = times.iter().map(|times| of(times).map(|time| time.0));
        Arc::new(values.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    columns[first + 2] = column(|times| Some(times.published_time));
    let of: [fn(&RowTimes) -> Option<Timestamp>; HISTORY_COLUMNS.len()] = [
        |times| times.corrected_time,
        |times| times.retracted_time,
        |times| times.superseded_time,
        |times| times.superseded_published_time,
    ];
    for (index, of) in of.into_iter().enumerate() {
        columns[history + index] = column(of);
    }
    RecordBatch::try_new(rows.schema(), columns).map_err(|error| OfflineError::DataFusion(error.into()))
}

/// What came of putting a run's rows beside those that were published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Rows that were not published before.
    pub(crate) added: u64,
    /// Rows that were, and are gone.
    pub(crate) gone: u64,
}

/// What becomes of the rows of two files.
struct Decided {
    /// So many rows at the beginning of both are alike; those of them that are in neither map keep their times.
    alike: u64,
    computed: HashMap<u64, RowTimes>,
    published: HashMap<u64, Option<RowTimes>>,
    changes: Changes,
}

/// Writes the rows of `computed` beside those of `published` that stay, all with their times: first the computed ones, in their order. None where that
/// would be the published file once more. Blocking.
pub(crate) fn merge(
    published: &PublishedFile<'_>,
    computed: &PublishedFile<'_>,
    now: Timestamp,
    out: impl FnOnce() -> Result<StagedWriter, OfflineError>,
) -> Result<(Option<Staged>, Changes), OfflineError> {
    let view = published.view;
    let decided = decide(published, computed, now)?;
    if decided.alike == computed.row_count() && published.is_laid_out_as(computed) {
        return Ok((None, decided.changes));
    }
    let mut out = out()?;
    let mut before = published.entries()?;
    let mut place = 0;
    for batch in computed.rows()? {
        let batch = batch?;
        let mut times = Vec::with_capacity(batch.num_rows());
        for _ in 0..batch.num_rows() {
            // The published twin of a row that is alike.
            let twin = if place < decided.alike { before.next().transpose()? } else { None };
            let own = decided.computed.get(&place).copied();
            times.push(own.or(twin.map(|twin| twin.row.times)).ok_or_else(|| published.changed())?);
            place += 1;
        }
        out.write(with_times(view, &batch, &times)?)?;
    }
    let mut place = 0;
    for batch in published.rows()? {
        let batch = batch?;
        let entries = entries(view, &batch, place)?;
        place += entries.len() as u64;
        let stay: Vec<Option<RowTimes>> = entries
            .iter()
            .map(|entry| match decided.published.get(&entry.place) {
                Some(times) => *times,
                None => (entry.place >= decided.alike).then_some(entry.row.times),
            })
            .collect();
        let kept: BooleanArray = stay.iter().map(|times| Some(times.is_some())).collect();
        let rows = arrow_select::filter::filter_record_batch(&batch, &kept)
            .map_err(|error| OfflineError::DataFusion(error.into()))?;
        if rows.num_rows() > 0 {
            out.write(with_times(view, &rows, &stay.into_iter().flatten().collect::<Vec<_>>())?)?;
        }
    }
    Ok((Some(out.finish()?), decided.changes))
}

impl PublishedFile<'_> {
    fn row_count(&self) -> u64 {
        self.footer.metadata().file_metadata().num_rows().max(0) as u64
    }

    /// Whether another file has the same metadata and row groups of the same lengths: it then has the same bytes if it has the same rows.
    fn is_laid_out_as(&self, other: &Self) -> bool {
        let layout = |file: &Self| {
            let metadata = file.footer.metadata();
            let (pairs, by) =
                (metadata.file_metadata().key_value_metadata().cloned(), metadata.file_metadata().created_by());
            // The writer adds its own form of the schema.
            let ours = pairs.into_iter().flatten().filter(|pair| pair.key.starts_with("tandem."));
            let ours: Vec<_> = ours.map(|pair| (pair.key, pair.value)).collect();
            let groups: Vec<_> = metadata.row_groups().iter().map(RowGroupMetaData::num_rows).collect();
            (ours, by.map(str::to_owned), groups)
        };
        layout(self) == layout(other)
    }

    fn changed(&self) -> OfflineError {
        OfflineError::SourceChanged { file: self.path.clone() }
    }
}

fn decide(
    published: &PublishedFile<'_>,
    computed: &PublishedFile<'_>,
    now: Timestamp,
) -> Result<Decided, OfflineError> {
    let (mut before, mut after) = (published.entries()?, computed.entries()?);
    let (mut alike, mut same) = (0, true);
    let mut now = now;
    // Events of rows that are not alike.
    let mut events = HashSet::new();
    loop {
        let (old, new) = (before.next().transpose()?, after.next().transpose()?);
        if let Some(old) = &old {
            // A clock that was set back does not set history back.
            now = now.max(old.row.times.latest());
        }
        same &= matches!((&old, &new), (Some(old), Some(new)) if old.is_again(new));
        if same {
            alike += 1;
            continue;
        }
        events.extend(new.iter().map(|new| new.event));
        events.extend(old.iter().filter(|old| old.row.times.retracted_time.is_none()).map(|old| old.event));
        if old.is_none() && new.is_none() {
            break;
        }
    }
    let mut decided =
        Decided { alike, computed: HashMap::new(), published: HashMap::new(), changes: Changes::default() };
    let mut groups: HashMap<u128, [Vec<Entry>; 2]> = HashMap::with_capacity(events.len());
    for (side, file) in [published, computed].into_iter().enumerate() {
        for entry in file.entries()? {
            let entry = entry?;
            if events.contains(&entry.event) {
                groups.entry(entry.event).or_default()[side].push(entry);
            }
        }
    }
    let rows = |entries: &[Entry]| entries.iter().map(|entry| entry.row).collect::<Vec<_>>();
    for [before, after] in groups.into_values() {
        let mut again = rows(&after);
        for row in &mut again {
            let RowTimes { created_time, corrected_time, superseded_time, .. } = row.times;
            row.times = RowTimes::first(created_time, corrected_time, superseded_time, now);
        }
        let rerun = rerun(&rows(&before), &again, now, published.view.view.history);
        decided.changes.added += rerun.added as u64;
        decided.changes.gone += rerun.gone as u64;
        decided.published.extend(before.iter().map(|entry| entry.place).zip(rerun.published));
        decided.computed.extend(after.iter().map(|entry| entry.place).zip(rerun.computed));
    }
    Ok(decided)
}

const _: () =
    assert!(TIME_COLUMNS.len() == 4, "published time and sequence have their places behind event and created time");
