//! The labels: rows with join keys and the instant for which values are asked.

mod distinct;

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_cast::cast;
use arrow_schema::{DataType as ArrowType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tandem_core::feature_plan::RequestColumn;
use tandem_core::key::KeyEncoder;
use tandem_core::model::JoinKey;
use tandem_core::point_in_time::Instants;
use tandem_core::suggest::{list, nearest};
use tandem_core::time::{Timestamp, Zone, local_to_utc};
use tandem_core::types::DataType;
use tandem_engine::convert::to_declared;

use super::groups::{Groups, Numbering};
use super::{Prepared, TrainingError};
use crate::error::OfflineError;
use crate::footers;

/// Labels that can be joined at once: they are numbered in 32 bits.
const LABELS_MAX: u64 = u32::MAX as u64;

/// Rows that are read more than once, in the same order.
#[derive(Debug, Clone)]
pub struct Labels {
    schema: SchemaRef,
    rows: u64,
    /// At most so many distinct values has each column, nulls aside.
    distinct_max: Vec<u64>,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    File(PathBuf),
    Rows(Arc<RecordBatch>),
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, TrainingError>> + Send>;

impl Labels {
    /// Those of a Parquet file, which is read as it is asked for. Blocking.
    pub fn parquet(file: &Path) -> Result<Self, TrainingError> {
        let footer = footers::read(file)?;
        let rows = footer.metadata().file_metadata().num_rows().max(0) as u64;
        let distinct_max = distinct::of_file(footer.schema(), footer.metadata());
        Self::new(Arc::clone(footer.schema()), rows, distinct_max, From::File(file.to_owned()))
    }

    /// Those in memory.
    pub fn rows(rows: RecordBatch) -> Result<Self, TrainingError> {
        let distinct_max = rows.columns().iter().map(distinct::of_array).collect();
        Self::new(rows.schema(), rows.num_rows() as u64, distinct_max, From::Rows(Arc::new(rows)))
    }

    fn new(schema: SchemaRef, rows: u64, distinct_max: Vec<u64>, from: From) -> Result<Self, TrainingError> {
        if rows > LABELS_MAX {
            return Err(TrainingError::TooManyLabels { labels: rows, max: LABELS_MAX });
        }
        // The metadata of the labels' file says nothing of the training set.
        let schema = Arc::new(schema.as_ref().clone().with_metadata(HashMap::new()));
        Ok(Labels { schema, rows, distinct_max, from })
    }

    /// The label at `row`, from 0, alone. Blocking.
    ///
    /// # Errors
    ///
    /// A row that there is not.
    pub fn one(&self, row: u64) -> Result<Self, TrainingError> {
        let missing = || TrainingError::NoSuchLabel { row, labels: self.rows };
        let index = usize::try_from(row).ok().filter(|_| row < self.rows).ok_or_else(missing)?;
        let batch = self.batches(None, index..index + 1, 1)?.next().ok_or_else(missing)??;
        let batch = batch.with_schema(Arc::clone(&self.schema)).map_err(|error| self.unreadable(error.into()))?;
        Self::rows(batch)
    }

    /// Their columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Their number.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// How many distinct values a column has at most, nulls aside, as far as that is known without reading it.
    pub(super) fn distinct_max(&self, column: &str) -> u64 {
        let known = self.schema.index_of(column).ok().and_then(|index| self.distinct_max.get(index));
        known.copied().unwrap_or(self.rows).min(self.rows)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The file they are read from; None where they are in memory.
    pub fn file(&self) -> Option<&Path> {
        match &self.from {
            From::File(path) => Some(path),
            From::Rows(_) => None,
        }
    }

    /// Position of a column.
    fn column(&self, name: &str, needed_by: impl FnOnce() -> String) -> Result<usize, TrainingError> {
        self.schema.index_of(name).map_err(|_| {
            let names: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
            TrainingError::MissingColumn {
                column: name.to_owned(),
                needed_by: needed_by(),
                has: match nearest(name, names.iter().copied()) {
                    Some(similar) => format!("they have `{similar}`"),
                    None if names.is_empty() => "they have none".to_owned(),
                    None => format!("they have {}", list(&names)),
                },
            }
        })
    }

    /// The rows at `rows`, in order, of all columns or of those at these positions (ascending). Blocking.
    pub(super) fn batches(
        &self,
        columns: Option<&[usize]>,
        rows: Range<usize>,
        batch_rows: usize,
    ) -> Result<Batches, TrainingError> {
        match &self.from {
            From::Rows(all) => {
                let all = match columns {
                    Some(columns) => all.project(columns).map_err(|error| self.unreadable(error.into()))?,
                    None => RecordBatch::clone(all),
                };
                let rows = all.slice(rows.start, rows.len());
                let starts = (0..rows.num_rows()).step_by(batch_rows);
                Ok(Box::new(starts.map(move |start| Ok(rows.slice(start, batch_rows.min(rows.num_rows() - start))))))
            }
            From::File(path) => {
                let file = File::open(path).map_err(OfflineError::listed("open", path))?;
                let builder =
                    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| self.unreadable(source))?;
                let after = builder.metadata().file_metadata().num_rows().max(0) as u64;
                if after != self.rows {
                    return Err(TrainingError::LabelsChanged { file: path.clone(), before: self.rows, after });
                }
                let mask = match columns {
                    Some(columns) => ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied()),
                    None => ProjectionMask::all(),
                };
                let builder = builder.with_projection(mask).with_batch_size(batch_rows);
                let reader = builder.with_offset(rows.start).with_limit(rows.len()).build();
                let reader = reader.map_err(|source| self.unreadable(source))?;
                let path = path.clone();
                Ok(Box::new(reader.map(move |batch| {
                    batch.map_err(|error| TrainingError::ReadLabels { file: path.clone(), source: error.into() })
                })))
            }
        }
    }

    fn unreadable(&self, source: parquet::errors::ParquetError) -> TrainingError {
        let file = match &self.from {
            From::File(path) => path.clone(),
            From::Rows(_) => PathBuf::from("the labels"),
        };
        TrainingError::ReadLabels { file, source }
    }

    /// T of each label. Blocking.
    pub(super) fn times(
        &self,
        column: &str,
        timezone: Option<&str>,
        batch_rows: usize,
    ) -> Result<Vec<Timestamp>, TrainingError> {
        let index = self.column(column, || "the time".to_owned())?;
        let mut times = Vec::with_capacity(self.rows as usize);
        for batch in self.batches(Some(&[index]), 0..self.rows as usize, batch_rows)? {
            let batch = batch?;
            let array = instants(batch.column(0), column, timezone, times.len() as u64)?;
            let array = array.as_primitive::<TimestampMicrosecondType>();
            if let Some(row) = (0..array.len()).find(|row| array.is_null(*row)) {
                let row = (times.len() + row) as u64;
                return Err(TrainingError::NullTime { row, column: column.to_owned() });
            }
            times.extend(array.values().iter().map(|micros| Timestamp(*micros)));
        }
        Ok(times)
    }
}

/// A column of times as `timestamp[us, UTC]`. Texts are RFC 3339, with an offset where no zone is given.
fn instants(array: &ArrayRef, column: &str, timezone: Option<&str>, first_row: u64) -> Result<ArrayRef, TrainingError> {
    if !matches!(array.data_type(), ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View) {
        let converted = to_declared(array, column, DataType::Timestamp, timezone);
        return converted.map_err(|source| TrainingError::Convert { first_row, source });
    }
    let no_text = |row: usize, reason: String| TrainingError::TimeText {
        row: first_row + row as u64,
        column: column.to_owned(),
        // This error has a hint of its own.
        reason: reason.split("; hint:").next().unwrap_or_default().to_owned(),
    };
    let zone = timezone.map(Zone::parse).transpose().map_err(|error| no_text(0, error.to_string()))?;
    let texts = cast(array, &ArrowType::Utf8).map_err(|error| no_text(0, error.to_string()))?;
    let texts = texts.as_string::<i32>();
    let parse = |(row, text): (usize, Option<&str>)| match text {
        None => Ok(None),
        Some(text) => match Timestamp::parse_rfc3339(text) {
            Ok(time) => Ok(Some(time.0)),
            Err(error) => match zone.as_ref().and_then(|zone| local(text, zone)) {
                Some(time) => Ok(Some(time.0)),
                None => Err(no_text(row, error.to_string())),
            },
        },
    };
    let micros: TimestampMicrosecondArray = texts.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(Arc::new(micros.with_timezone("UTC")))
}

/// A local time of the zone, as RFC 3339 has it but for the offset.
fn local(text: &str, zone: &Zone) -> Option<Timestamp> {
    let local = Timestamp::parse_rfc3339(&format!("{text}Z")).ok()?;
    local_to_utc(local.0, zone).ok()
}

/// Labels whose outcome was observed before their time.
impl Labels {
    /// Counts them; a null is no observation. Blocking.
    pub(super) fn observed_before(
        &self,
        column: &str,
        times: &[Timestamp],
        request: &Prepared,
    ) -> Result<u64, TrainingError> {
        let index = self.column(column, || "the check of the labels' observed times".to_owned())?;
        let (mut row, mut before) = (0, 0);
        for batch in self.batches(Some(&[index]), 0..times.len(), request.options.batch_rows)? {
            let batch = batch?;
            let array = instants(batch.column(0), column, request.timezone.as_deref(), row as u64)?;
            let observed = array.as_primitive::<TimestampMicrosecondType>();
            let is_before = |(observed, time): (Option<i64>, &Timestamp)| observed.is_some_and(|at| at < time.0);
            before += observed.iter().zip(&times[row..]).filter(|pair| is_before(*pair)).count() as u64;
            row += batch.num_rows();
        }
        Ok(before)
    }
}

/// Positions among the labels' columns of the columns of the plan's request, in its order.
pub(super) fn positions(request: &Prepared) -> Result<Vec<usize>, TrainingError> {
    let position = |column: &RequestColumn| {
        let needed_by = || {
            let what = if column.join_key { "join key" } else { "input" };
            let views: Vec<String> = column.needed_by.iter().map(|view| format!("`{view}`")).collect();
            format!("{what} `{}` of {}", column.name, views.join(", "))
        };
        request.labels.column(request.label_column(&column.name), needed_by)
    };
    request.plan.request.iter().map(position).collect()
}

/// A column of the labels as the plan's request has it. `first_row`: the labels' row that the array begins with.
pub(super) fn requested(
    array: &ArrayRef,
    request: &Prepared,
    column: &RequestColumn,
    first_row: u64,
) -> Result<ArrayRef, TrainingError> {
    let (name, timezone) = (request.label_column(&column.name), request.timezone.as_deref());
    if column.data_type == DataType::Timestamp {
        return instants(array, name, timezone, first_row);
    }
    let converted = to_declared(array, name, column.data_type, timezone);
    converted.map_err(|source| TrainingError::Convert { first_row, source })
}

/// The distinct keys of a part's labels, numbered, and the instants that are asked of each.
#[derive(Debug)]
pub(super) struct LabelKeys {
    /// Positions in the plan's request.
    pub(super) keys: Vec<usize>,
    join_keys: Vec<JoinKey>,
    pub(super) groups: Groups,
    pub(super) instants: Instants,
    /// The first and the last of them; None without labels.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// The slot of each label of the part; None where its key has a null or NaN.
    pub(super) slots: Vec<Option<u32>>,
}

impl LabelKeys {
    /// Reads the keys of the labels at `rows`, whose times are `times`. `keys`: positions in the plan's request. Blocking.
    pub(super) fn read(
        request: &Prepared,
        keys: &[usize],
        rows: Range<usize>,
        times: &[Timestamp],
    ) -> Result<Self, TrainingError> {
        let all = positions(request)?;
        let columns: Vec<&RequestColumn> = keys.iter().map(|key| &request.plan.request[*key]).collect();
        let positions: Vec<usize> = keys.iter().map(|key| all[*key]).collect();
        // A projection is in the order of the file, and has each column once.
        let mut projection = positions.clone();
        projection.sort_unstable();
        projection.dedup();
        let join_key = |column: &&RequestColumn| JoinKey { name: column.name.clone(), data_type: column.data_type };
        let join_keys: Vec<JoinKey> = columns.iter().map(join_key).collect();

        let mut numbering = Numbering::new(&join_keys);
        let mut asked = Vec::with_capacity(times.len());
        let mut has_key = Vec::with_capacity(times.len());
        let mut bytes = Vec::new();
        for batch in request.labels.batches(Some(&projection), rows.clone(), request.options.batch_rows)? {
            let batch = batch?;
            let first = has_key.len();
            let convert = |(column, position): (&&RequestColumn, &usize)| {
                let array = batch.column(projection.binary_search(position).expect("it was projected"));
                requested(array, request, column, (rows.start + first) as u64)
            };
            let arrays = columns.iter().zip(&positions).map(convert).collect::<Result<Vec<_>, _>>()?;
            let encoder = KeyEncoder::new(&join_keys, &arrays).expect("columns are of the types of their keys");
            for row in 0..batch.num_rows() {
                let group = numbering.add(&encoder, row, &mut bytes);
                has_key.push(group.is_some());
                asked.extend(group.map(|group| (group, times[first + row])));
            }
        }
        let groups = numbering.finish();
        let (instants, found) = Instants::of(groups.len(), &asked);
        let mut found = found.into_iter();
        let slots = has_key.into_iter().map(|complete| complete.then(|| found.next()).flatten()).collect();
        let span = instants.span();
        Ok(LabelKeys { keys: keys.to_vec(), join_keys, groups, instants, span, slots })
    }

    /// The group of a slot.
    pub(super) fn group_of(&self, slot: usize) -> Option<u32> {
        self.instants.group_of(slot)
    }

    /// The join keys.
    pub(super) fn join_keys(&self) -> &[JoinKey] {
        &self.join_keys
    }
}
