//! The labels: rows with join keys and the instant for which values are asked.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow_cast::cast;
use arrow_schema::{DataType as ArrowType, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tandem_core::key::{EntityKey, KeyEncoder};
use tandem_core::model::JoinKey;
use tandem_core::point_in_time::Instants;
use tandem_core::suggest::nearest;
use tandem_core::time::Timestamp;
use tandem_core::types::DataType;
use tandem_engine::convert::to_declared;

use super::TrainingError;
use crate::error::OfflineError;
use crate::footers;

/// Labels that can be joined at once: they are numbered in 32 bits.
const LABELS_MAX: u64 = u32::MAX as u64;

/// Rows that are read more than once, in the same order.
#[derive(Debug, Clone)]
pub struct Labels {
    schema: SchemaRef,
    rows: u64,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    File(PathBuf),
    Rows(Arc<RecordBatch>),
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, TrainingError>>>;

impl Labels {
    /// Those of a Parquet file, which is read as it is asked for. Blocking.
    pub fn parquet(file: &Path) -> Result<Self, TrainingError> {
        let footer = footers::read(file)?;
        let rows = footer.metadata().file_metadata().num_rows().max(0) as u64;
        Self::new(Arc::clone(footer.schema()), rows, From::File(file.to_owned()))
    }

    /// Those in memory.
    pub fn rows(rows: RecordBatch) -> Result<Self, TrainingError> {
        Self::new(rows.schema(), rows.num_rows() as u64, From::Rows(Arc::new(rows)))
    }

    fn new(schema: SchemaRef, rows: u64, from: From) -> Result<Self, TrainingError> {
        if rows > LABELS_MAX {
            return Err(TrainingError::TooManyLabels { labels: rows, max: LABELS_MAX });
        }
        // The metadata of the labels' file says nothing of the training set.
        let schema = Arc::new(schema.as_ref().clone().with_metadata(HashMap::new()));
        Ok(Labels { schema, rows, from })
    }

    /// Their columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Their number.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Position of a column.
    fn column(&self, name: &str, needed_by: impl FnOnce() -> String) -> Result<usize, TrainingError> {
        self.schema.index_of(name).map_err(|_| TrainingError::MissingColumn {
            column: name.to_owned(),
            needed_by: needed_by(),
            similar: nearest(name, self.schema.fields().iter().map(|field| field.name().as_str())).map(str::to_owned),
        })
    }

    /// The rows, in order, of all columns or of those at these positions (ascending). Blocking.
    pub(super) fn batches(&self, columns: Option<&[usize]>, batch_rows: usize) -> Result<Batches, TrainingError> {
        match &self.from {
            From::Rows(rows) => {
                let rows = match columns {
                    Some(columns) => rows.project(columns).map_err(|error| self.unreadable(error.into()))?,
                    None => RecordBatch::clone(rows),
                };
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
                let reader = builder.with_projection(mask).with_batch_size(batch_rows).build();
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
        for batch in self.batches(Some(&[index]), batch_rows)? {
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

/// A column of times as `timestamp[us, UTC]`. Texts are RFC 3339 with an offset.
fn instants(array: &ArrayRef, column: &str, timezone: Option<&str>, first_row: u64) -> Result<ArrayRef, TrainingError> {
    if !matches!(array.data_type(), ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View) {
        let converted = to_declared(array, column, DataType::Timestamp, timezone);
        return converted.map_err(|source| TrainingError::Convert { first_row, source });
    }
    let no_text = |row: usize, reason: String| TrainingError::TimeText {
        row: first_row + row as u64,
        column: column.to_owned(),
        reason,
    };
    let texts = cast(array, &ArrowType::Utf8).map_err(|error| no_text(0, error.to_string()))?;
    let texts = texts.as_string::<i32>();
    let parse = |(row, text): (usize, Option<&str>)| match text {
        None => Ok(None),
        Some(text) => match Timestamp::parse_rfc3339(text) {
            Ok(time) => Ok(Some(time.0)),
            Err(error) => Err(no_text(row, error.to_string())),
        },
    };
    let micros: TimestampMicrosecondArray = texts.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    Ok(Arc::new(micros.with_timezone("UTC")))
}

/// A join key and the label column that has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KeyColumn {
    pub(super) key: JoinKey,
    pub(super) column: String,
}

/// The labels' distinct keys, numbered, and the instants that are asked of each.
#[derive(Debug)]
pub(super) struct LabelKeys {
    pub(super) columns: Vec<KeyColumn>,
    pub(super) groups: HashMap<EntityKey, u32>,
    pub(super) instants: Instants,
    /// The slot of each label; None where its key has a null or NaN.
    pub(super) slots: Vec<Option<u32>>,
}

impl LabelKeys {
    /// Blocking.
    pub(super) fn read(
        labels: &Labels,
        columns: Vec<KeyColumn>,
        times: &[Timestamp],
        timezone: Option<&str>,
        batch_rows: usize,
    ) -> Result<Self, TrainingError> {
        let position = |column: &KeyColumn| labels.column(&column.column, || format!("join key `{}`", column.key.name));
        let positions = columns.iter().map(position).collect::<Result<Vec<_>, _>>()?;
        // A projection is in the order of the file, and has each column once.
        let mut projection = positions.clone();
        projection.sort_unstable();
        projection.dedup();
        let join_keys: Vec<JoinKey> = columns.iter().map(|column| column.key.clone()).collect();

        let mut groups: HashMap<EntityKey, u32> = HashMap::new();
        let mut asked = Vec::with_capacity(times.len());
        let mut has_key = Vec::with_capacity(times.len());
        let mut bytes = Vec::new();
        for batch in labels.batches(Some(&projection), batch_rows)? {
            let batch = batch?;
            let first_row = has_key.len();
            let convert = |(column, position): (&KeyColumn, &usize)| {
                let array = batch.column(projection.binary_search(position).expect("it was projected"));
                to_declared(array, &column.column, column.key.data_type, timezone)
                    .map_err(|source| TrainingError::Convert { first_row: first_row as u64, source })
            };
            let arrays = columns.iter().zip(&positions).map(convert).collect::<Result<Vec<_>, _>>()?;
            let encoder = KeyEncoder::new(&join_keys, &arrays).expect("columns are of the types of their keys");
            for row in 0..batch.num_rows() {
                bytes.clear();
                let complete = encoder.encode_into(row, &mut bytes);
                has_key.push(complete);
                if complete {
                    let next = groups.len() as u32;
                    let group = match groups.get(&bytes[..]) {
                        Some(group) => *group,
                        None => *groups.entry(EntityKey(bytes.clone())).or_insert(next),
                    };
                    asked.push((group, times[first_row + row]));
                }
            }
        }
        let (instants, found) = Instants::of(groups.len(), &asked);
        let mut found = found.into_iter();
        let slots = has_key.into_iter().map(|complete| complete.then(|| found.next()).flatten()).collect();
        Ok(LabelKeys { columns, groups, instants, slots })
    }

    /// The join keys.
    pub(super) fn join_keys(&self) -> Vec<JoinKey> {
        self.columns.iter().map(|column| column.key.clone()).collect()
    }
}
