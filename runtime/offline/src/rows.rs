//! The first rows of a Parquet file, whatever its columns are.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::OfflineError;

/// Rows of a file.
#[derive(Debug, Clone)]
pub struct FileRows {
    /// The rows that were read, with the types that the file has.
    pub rows: RecordBatch,
    /// The names of all columns of the file, also of those that were not read.
    pub columns: Vec<String>,
    /// Rows of the file.
    pub total: u64,
}

/// Reads at most `rows_max` rows from the file's beginning, of the columns for which `wanted` says so. Blocking; all of it is held in memory.
///
/// # Errors
///
/// A file that cannot be opened, is no whole Parquet file, or cannot be decoded.
pub fn read_rows(file: &Path, rows_max: usize, wanted: impl Fn(&str) -> bool) -> Result<FileRows, OfflineError> {
    let opened = File::open(file).map_err(OfflineError::io("open", file))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened)
        .map_err(|source| OfflineError::Footer { file: file.to_owned(), source })?;
    let total = builder.metadata().file_metadata().num_rows().max(0) as u64;
    let columns: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let read = columns.iter().enumerate().filter(|(_, name)| wanted(name)).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), read);
    let fail = |source| OfflineError::ReadFile { file: file.to_owned(), source };
    let reader = builder.with_projection(mask).with_limit(rows_max).build().map_err(fail)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| fail(error.into()))?;
    let rows = concat_batches(&schema, &batches).map_err(|error| fail(error.into()))?;
    Ok(FileRows { rows, columns, total })
}

/// Batches of the rows of a Parquet file.
pub struct RowBatches {
    reader: ParquetRecordBatchReader,
    columns: Vec<String>,
    file: PathBuf,
}

impl RowBatches {
    /// The names of all columns of the file, also of those that are not read.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }
}

impl Iterator for RowBatches {
    type Item = Result<RecordBatch, OfflineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let fail = |error: ArrowError| OfflineError::ReadFile { file: self.file.clone(), source: error.into() };
        Some(self.reader.next()?.map_err(fail))
    }
}

/// The rows of a Parquet file in batches of at most `batch_rows`, of the columns for which `wanted` says so. Blocking.
///
/// # Errors
///
/// As [`read_rows`].
pub fn row_batches(file: &Path, batch_rows: usize, wanted: impl Fn(&str) -> bool) -> Result<RowBatches, OfflineError> {
    let opened = File::open(file).map_err(OfflineError::io("open", file))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(opened)
        .map_err(|source| OfflineError::Footer { file: file.to_owned(), source })?;
    let columns: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let read = columns.iter().enumerate().filter(|(_, name)| wanted(name)).map(|(index, _)| index);
    let mask = ProjectionMask::roots(builder.parquet_schema(), read);
    let reader = builder.with_projection(mask).with_batch_size(batch_rows.max(1)).build();
    let reader = reader.map_err(|source| OfflineError::ReadFile { file: file.to_owned(), source })?;
    Ok(RowBatches { reader, columns, file: file.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    #[test]
    fn the_first_rows_of_some_columns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from_iter_values(0..5_000)) as ArrayRef),
            ("s", Arc::new(StringArray::from_iter_values((0..5_000).map(|n| n.to_string())))),
        ])
        .unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let read = read_rows(&path, 3_000, |name| name == "s").unwrap();
        assert_eq!(read.columns, ["n", "s"]);
        assert_eq!(read.total, 5_000);
        assert_eq!(read.rows, batch.slice(0, 3_000).project(&[1]).unwrap());
        assert_eq!(read_rows(&path, 9_000, |_| true).unwrap().rows, batch);
    }

    #[test]
    fn what_is_no_parquet_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let error = read_rows(&path, 1, |_| true).unwrap_err();
        assert!(error.to_string().starts_with("cannot open "), "{error}");
        std::fs::write(&path, "PAR1 and no more").unwrap();
        let error = read_rows(&path, 1, |_| true).unwrap_err();
        assert!(error.to_string().contains("a.parquet is not a whole Parquet file: "), "{error}");
    }
}
