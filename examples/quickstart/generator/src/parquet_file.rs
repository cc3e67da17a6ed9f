//! Rows to a Parquet file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::day::Transaction;

/// Why a file cannot be written.
#[derive(Debug)]
pub(crate) struct WriteError {
    path: PathBuf,
    reason: String,
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot write `{}`: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for WriteError {}

/// Writes the rows to `path`, staged beside it and renamed over it, so that a reader never sees half a file.
pub(crate) fn write(path: &Path, rows: &[Transaction]) -> Result<(), WriteError> {
    let failed = |reason: String| WriteError { path: path.to_path_buf(), reason };
    let batch = batch(rows).map_err(|error| failed(error.to_string()))?;
    let staged = path.with_extension("parquet.staged");
    stage(&staged, &batch).map_err(|error| failed(error.to_string()))?;
    fs::rename(&staged, path).map_err(|error| failed(error.to_string()))
}

fn stage(path: &Path, batch: &RecordBatch) -> Result<(), ParquetError> {
    let external = |error: io::Error| ParquetError::External(Box::new(error));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(external)?;
    }
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(File::create(path).map_err(external)?, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close().map(|_| ())
}

fn batch(rows: &[Transaction]) -> Result<RecordBatch, ArrowError> {
    let int64 = |value: fn(&Transaction) -> i64| column(rows.iter().map(value).collect::<Int64Array>());
    let float64 = |value: fn(&Transaction) -> f64| column(rows.iter().map(value).collect::<Float64Array>());
    let text = |value: fn(&Transaction) -> &'static str| column(StringArray::from_iter_values(rows.iter().map(value)));
    let instants = |array: TimestampMicrosecondArray| column(array.with_timezone("UTC"));
    RecordBatch::try_from_iter_with_nullable([
        ("transaction_id", int64(|row| row.id), false),
        ("user_id", int64(|row| row.user_id), false),
        ("amount", column(rows.iter().map(|row| row.amount).collect::<Float64Array>()), true),
        ("currency", text(|row| row.currency), false),
        ("merchant", column(rows.iter().map(|row| row.merchant).collect::<StringArray>()), true),
        ("country", text(|row| row.country), false),
        ("card_present", column(rows.iter().map(|row| row.card_present).collect::<BooleanArray>()), true),
        ("latitude", float64(|row| row.latitude), false),
        ("longitude", float64(|row| row.longitude), false),
        ("home_latitude", float64(|row| row.home_latitude), false),
        ("home_longitude", float64(|row| row.home_longitude), false),
        ("event_time", instants(rows.iter().map(|row| Some(row.event_time)).collect()), false),
        ("created_time", instants(rows.iter().map(|row| row.created_time).collect()), true),
    ])
}

fn column(array: impl arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day::{Day, Population};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("date=2026-01-01/part-0.parquet");
        let rows = Day::from_number(0).transactions(&Population::new(10), 100, 1);
        write(&path, &rows).unwrap();
        let read = ParquetRecordBatchReader::try_new(File::open(&path).unwrap(), 1_024).unwrap();
        let batches: Vec<_> = read.collect::<Result<_, _>>().unwrap();
        assert_eq!(batches, [batch(&rows).unwrap()]);
        let types: Vec<_> = batches[0].schema().fields().iter().map(|field| field.data_type().to_string()).collect();
        assert_eq!(types[11..], [r#"Timestamp(µs, "UTC")"#, r#"Timestamp(µs, "UTC")"#]);
    }

    #[test]
    fn an_error_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("taken"), "").unwrap();
        let error = write(&folder.path().join("taken/part-0.parquet"), &[]).unwrap_err().to_string();
        assert!(error.starts_with("cannot write `") && error.contains("taken/part-0.parquet`: "), "{error}");
    }
}
