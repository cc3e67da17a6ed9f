//! Rows of one file, published or of a view's source.

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::super::TrainingError;
use super::History;
use crate::bind::SetAside;
use crate::direct::DirectRows;
use crate::error::OfflineError;

/// Rows of one file.
pub(in super::super) enum FileRows<'a> {
    Direct { history: &'a History, file: usize, rows: Box<DirectRows> },
    Published { history: &'a History, file: usize, rows: Box<ParquetRecordBatchReader> },
}

impl FileRows<'_> {
    /// Rows so far that are set aside for a reason that is counted.
    pub(in super::super) fn set_aside(&self) -> SetAside {
        match self {
            FileRows::Direct { rows, .. } => rows.set_aside(),
            FileRows::Published { .. } => SetAside::default(),
        }
    }
}

impl Iterator for FileRows<'_> {
    type Item = Result<RecordBatch, TrainingError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            FileRows::Direct { history, file, rows } => Some(rows.next()?.map_err(|error| match error {
                OfflineError::ReadFile { source, .. } => history.unreadable(*file, source),
                error => error.into(),
            })),
            FileRows::Published { history, file, rows } => {
                Some(rows.next()?.map_err(|error| history.unreadable(*file, error.into())))
            }
        }
    }
}
