//! Rows of a file as the inputs of a transform: Parquet, CSV or JSON, by the ending of its name.
//!
//! A column is taken for the input of its name, or for the input to which a view maps it. Other columns are ignored; a column that is not
//! there is an error. A null is always let through: where the transform takes none, the engine fails that row alone, as in batch.
//! [`read_columns`] takes columns that somebody else names.

mod csv;
mod json;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use serde_json::Value;
use tandem_core::json::{JsonError, decode_column};
use tandem_core::model::{FeatureView, InputSource};
use tandem_core::suggest::nearest;
use tandem_core::time::Timestamp;
use tandem_core::types::{AS_OF, DataType, Field, Signature};
use tandem_engine::convert::{ConvertError, to_declared};
use tandem_offline::{SourceColumn, read_rows};

use crate::error::{Error, io};

/// `text_bytes_max`: bytes of a CSV or JSON file of rows, which is held in memory as a whole.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;

/// Names of the file with a crate's sample rows; the first that is there is taken.
pub const SAMPLE_FILES: [&str; 5] =
    ["samples.json", "samples.jsonl", "samples.ndjson", "samples.csv", "samples.parquet"];

/// The sample rows in a folder, if there are any.
pub fn samples_in(folder: &Path) -> Option<PathBuf> {
    SAMPLE_FILES.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// How a file's columns become inputs.
pub struct Mapping<'a> {
    /// What the transform takes.
    pub signature: &'a Signature,
    /// The view whose mapping of columns holds, where there is one.
    pub view: Option<&'a FeatureView>,
    /// The instant for all rows, for a file without a column `as_of`.
    pub as_of: Option<Timestamp>,
    /// The zone in which timestamps without one are read; none: that of the view's source.
    pub timezone: Option<&'a str>,
}

/// Rows as a transform takes them.
#[derive(Debug)]
pub struct Rows {
    /// A column for each input, in the signature's order, of its canonical Arrow type.
    pub inputs: RecordBatch,
    /// Rows of the file; there may be more than were taken.
    pub total: u64,
}

/// Why a file of rows is not taken. Rows count from 0.
#[derive(Debug, thiserror::Error)]
pub enum RowsFault {
    /// A format that is not known.
    #[error("the name of a file of rows ends in .parquet, .csv, .json, .jsonl or .ndjson")]
    Format,
    /// A format of labels that is not known.
    #[error("the name of a file of labels ends in .parquet, .csv, .arrow, .arrows, .ipc or .feather")]
    LabelFormat,
    /// Arrow that cannot be read.
    #[error("it is no Arrow IPC file and no stream: {0}")]
    Arrow(arrow_schema::ArrowError),
    /// More text than is held in memory.
    #[error("the file has {bytes} bytes; the limit text_bytes_max is {max}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// Bytes that are no text.
    #[error("it is not UTF-8 after byte {0}")]
    NotUtf8(usize),
    /// No JSON, or JSON that is not objects.
    #[error("not rows as JSON objects: {0}")]
    Json(serde_json::Error),
    /// No CSV.
    #[error("line {line}: {reason}")]
    Csv {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Nothing to run over.
    #[error("it has no rows")]
    Empty,
    /// A column that is needed.
    #[error("no column `{column}`, which {needed_by}{}", .similar.as_ref().map(|name| format!("; there is `{name}`")).unwrap_or_default())]
    MissingColumn {
        /// The column.
        column: String,
        /// By whom, with its verb.
        needed_by: String,
        /// One with a similar name.
        similar: Option<String>,
    },
    /// Nobody says at which instant.
    #[error("no column `as_of`, and the transform asks for the instant")]
    NoAsOf,
    /// Two say it.
    #[error("there is a column `as_of`, and --as-of was given too")]
    TwoAsOf,
    /// A value that is not of its input's type.
    #[error(transparent)]
    Value(#[from] JsonError),
    /// A column or value that does not convert to its input's type.
    #[error(transparent)]
    Convert(#[from] ConvertError),
}

impl RowsFault {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            RowsFault::TooLarge { .. } => Some("give Parquet, of which only the first rows are read"),
            RowsFault::Json(_) => Some("write an array of objects, or one object a line: {\"amount\": 1.5}"),
            RowsFault::NoAsOf => Some("give one for all rows: --as-of 2026-01-31T12:00:00Z"),
            RowsFault::TwoAsOf => Some("take one of them away"),
            RowsFault::Convert(ConvertError::NoZone { .. }) => Some("or give the zone with --timezone"),
            _ => None,
        }
    }
}

/// Reads at most `rows_max` rows from the file's beginning.
///
/// # Errors
///
/// [`Error::Rows`] with the column and the row at fault; a Parquet file that cannot be read.
pub fn read(file: &Path, mapping: &Mapping<'_>, rows_max: usize) -> Result<Rows, Error> {
    let fail = |fault| Error::Rows { file: file.to_owned(), fault: Box::new(fault) };
    let wanted = |name: &str| mapping.signature.inputs.iter().any(|field| mapping.names(field).contains(&name.into()));
    let contents = open(file, rows_max, wanted)?;
    let inputs = mapping.bind(&contents, rows_max).map_err(fail)?;
    Ok(Rows { inputs, total: contents.total() })
}

/// Columns of a file, and the names of those that it has beside them.
#[derive(Debug)]
pub struct Columns {
    /// The columns that were asked for, in their order, nullable, of their canonical Arrow types.
    pub rows: RecordBatch,
    /// Columns of the file that nobody asked for, sorted.
    pub others: Vec<String>,
}

/// Reads these columns of all rows. `timezone` is that of timestamps in Parquet that have none.
///
/// # Errors
///
/// [`Error::Rows`] with the column and the row at fault; a Parquet file that cannot be read.
pub fn read_columns(file: &Path, columns: &[SourceColumn], timezone: Option<&str>) -> Result<Columns, Error> {
    let contents = open(file, usize::MAX, |name| columns.iter().any(|column| column.name == name))?;
    let read = || {
        let rows = usize::try_from(contents.total()).unwrap_or(usize::MAX);
        if rows == 0 {
            return Err(RowsFault::Empty);
        }
        let fields: Vec<Field> =
            columns.iter().map(|column| Field::new(&column.name, column.data_type, true)).collect();
        let arrays = columns.iter().zip(&fields).map(|(column, field)| {
            if contents.has(&column.name) {
                contents.column(&column.name, field, timezone, rows)
            } else {
                Err(contents.missing(&column.name, format!("is {}", column.needed_by)))
            }
        });
        batch(&fields, arrays.collect::<Result<_, _>>()?, rows)
    };
    let rows = read().map_err(|fault| Error::Rows { file: file.to_owned(), fault: Box::new(fault) })?;
    let mut others: Vec<String> = contents.columns().into_iter().map(str::to_owned).collect();
    others.sort();
    others.dedup();
    others.retain(|name| columns.iter().all(|column| column.name != *name));
    Ok(Columns { rows, others })
}

/// Reads a CSV file with all of its columns: those in `types` of that type, the others of the narrowest that all their values have.
///
/// # Errors
///
/// [`Error::Rows`] with the column and the row at fault.
pub(crate) fn read_csv(file: &Path, types: &BTreeMap<String, DataType>) -> Result<RecordBatch, Error> {
    let text = text(file)?;
    let read = || {
        let table = csv::parse(&text)?;
        let fields = table.columns.iter().map(|name| {
            let data_type = types.get(name).copied().unwrap_or_else(|| table.narrowest(name));
            Field::new(name, data_type, true)
        });
        let fields: Vec<Field> = fields.collect();
        let columns = fields.iter().map(|field| {
            let values = table.values(&field.name, field.data_type);
            decode_column(field, values.iter().map(Option::as_ref)).map_err(RowsFault::from)
        });
        batch(&fields, columns.collect::<Result<_, _>>()?, table.rows.len())
    };
    read().map_err(|fault| Error::Rows { file: file.to_owned(), fault: Box::new(fault) })
}

fn batch(fields: &[Field], columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, RowsFault> {
    let fields: Vec<_> = fields.iter().map(|field| field.to_arrow().with_nullable(true)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields));
    RecordBatch::try_new_with_options(schema, columns, &options)
        .map_err(|error| RowsFault::Convert(ConvertError::Arrow { column: "*".to_owned(), reason: error.to_string() }))
}

/// Reads the file; of Parquet only the first `rows_max` rows and the columns that are wanted.
fn open(file: &Path, rows_max: usize, wanted: impl Fn(&str) -> bool) -> Result<Contents, Error> {
    let fail = |fault| Error::Rows { file: file.to_owned(), fault: Box::new(fault) };
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    Ok(match ending.as_str() {
        "parquet" => {
            let read = read_rows(file, rows_max, wanted)?;
            Contents::Parquet { rows: read.rows, columns: read.columns, total: read.total }
        }
        "csv" => Contents::Csv(csv::parse(&text(file)?).map_err(fail)?),
        "json" | "jsonl" | "ndjson" => Contents::Json(json::parse(&text(file)?).map_err(fail)?),
        _ => return Err(fail(RowsFault::Format)),
    })
}

fn text(file: &Path) -> Result<String, Error> {
    let fail = |fault| Error::Rows { file: file.to_owned(), fault: Box::new(fault) };
    let bytes = std::fs::metadata(file).map_err(io("read", file))?.len();
    if bytes > TEXT_BYTES_MAX {
        return Err(fail(RowsFault::TooLarge { bytes, max: TEXT_BYTES_MAX }));
    }
    let bytes = std::fs::read(file).map_err(io("read", file))?;
    let text = String::from_utf8(bytes).map_err(|error| fail(RowsFault::NotUtf8(error.utf8_error().valid_up_to())))?;
    // A byte order mark, as spreadsheets write it, is no part of the first name.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// What a file has.
enum Contents {
    Parquet { rows: RecordBatch, columns: Vec<String>, total: u64 },
    Csv(csv::Table),
    Json(json::Objects),
}

impl Contents {
    fn total(&self) -> u64 {
        match self {
            Contents::Parquet { total, .. } => *total,
            Contents::Csv(table) => table.rows.len() as u64,
            Contents::Json(objects) => objects.len() as u64,
        }
    }

    fn has(&self, column: &str) -> bool {
        match self {
            Contents::Parquet { columns, .. } => columns.iter().any(|name| name == column),
            Contents::Csv(table) => table.columns.iter().any(|name| name == column),
            Contents::Json(objects) => objects.iter().any(|object| object.contains_key(column)),
        }
    }

    fn columns(&self) -> Vec<&str> {
        match self {
            Contents::Parquet { columns, .. } => columns.iter().map(String::as_str).collect(),
            Contents::Csv(table) => table.columns.iter().map(String::as_str).collect(),
            Contents::Json(objects) => objects.iter().flat_map(|object| object.keys().map(String::as_str)).collect(),
        }
    }

    fn missing(&self, column: &str, needed_by: String) -> RowsFault {
        let similar = nearest(column, self.columns()).map(str::to_owned);
        RowsFault::MissingColumn { column: column.to_owned(), needed_by, similar }
    }

    /// A column that is there, of the field's type, in the first `rows` rows.
    fn column(&self, name: &str, field: &Field, timezone: Option<&str>, rows: usize) -> Result<ArrayRef, RowsFault> {
        match self {
            Contents::Parquet { rows: batch, .. } => {
                let array = batch.column_by_name(name).expect("the columns of inputs are read");
                Ok(to_declared(&array.slice(0, rows), name, field.data_type, timezone)?)
            }
            Contents::Csv(table) => {
                let values = table.values(name, field.data_type);
                Ok(decode_column(field, values.iter().take(rows).map(Option::as_ref))?)
            }
            Contents::Json(objects) => {
                Ok(decode_column(field, objects.iter().take(rows).map(|object| object.get(name)))?)
            }
        }
    }
}

impl Mapping<'_> {
    /// The columns that may be an input, the first that is there is it.
    fn names(&self, field: &Field) -> Vec<String> {
        let mut names = vec![field.name.clone()];
        if let Some(InputSource::Column(column)) = self.view.map(|view| view.input_source(&field.name))
            && column != field.name
        {
            names.insert(0, column);
        }
        names
    }

    fn bind(&self, contents: &Contents, rows_max: usize) -> Result<RecordBatch, RowsFault> {
        let rows = usize::try_from(contents.total()).unwrap_or(usize::MAX).min(rows_max);
        if rows == 0 {
            return Err(RowsFault::Empty);
        }
        let inputs = &self.signature.inputs;
        let columns = inputs.iter().map(|field| self.input(field, contents, rows)).collect::<Result<Vec<_>, _>>()?;
        batch(inputs, columns, rows)
    }

    fn input(&self, field: &Field, contents: &Contents, rows: usize) -> Result<ArrayRef, RowsFault> {
        let nullable = Field { nullable: true, ..field.clone() };
        let names = self.names(field);
        let found = names.iter().find(|name| contents.has(name));
        match (found, self.as_of) {
            (Some(_), Some(_)) if field.name == AS_OF => Err(RowsFault::TwoAsOf),
            (Some(name), _) => {
                let zone = self.view.and_then(|view| view.source.files()?.timezone.as_deref());
                contents.column(name, &nullable, self.timezone.or(zone), rows)
            }
            (None, Some(as_of)) if field.name == AS_OF => {
                let value = Value::from(as_of.0);
                Ok(decode_column(&nullable, std::iter::repeat_n(Some(&value), rows))?)
            }
            (None, None) if field.name == AS_OF => Err(RowsFault::NoAsOf),
            (None, _) => Err(contents.missing(&names[0], "the transform takes".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
