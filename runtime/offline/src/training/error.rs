//! What can go wrong on the way to a training set.

use std::path::PathBuf;

use parquet::errors::ParquetError;
use tandem_core::key::KeyError;
use tandem_core::model::ViewVersion;
use tandem_engine::EngineError;
use tandem_engine::convert::ConvertError;

use crate::error::OfflineError;

/// Why there is no training set. Rows of labels are counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// A column that the labels do not have.
    #[error("the labels have no column `{column}`, which {needed_by} needs; {has}")]
    MissingColumn {
        /// The column.
        column: String,
        /// What reads it.
        needed_by: String,
        /// A column with a similar name, or all that there are.
        has: String,
    },
    /// A key or time of the labels that does not convert to its declared type.
    #[error("labels from row {first_row}: {source}")]
    Convert {
        /// First row of the batch that was converted; the row that the source names is counted from it.
        first_row: u64,
        /// Column, row and reason.
        source: ConvertError,
    },
    /// A label's time that is a text which is no timestamp.
    #[error("labels row {row}: column `{column}`: {reason}")]
    TimeText {
        /// The row.
        row: u64,
        /// The column.
        column: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A label without a time.
    #[error("labels row {row}: the time (column `{column}`) is null")]
    NullTime {
        /// The row.
        row: u64,
        /// The column.
        column: String,
    },
    /// A label that there is not.
    #[error("there is no row {row} of labels; there are {labels}, counted from 0")]
    NoSuchLabel {
        /// The row.
        row: u64,
        /// Labels.
        labels: u64,
    },
    /// More labels than are numbered.
    #[error("there are {labels} labels, and at most {max} can be joined at once")]
    TooManyLabels {
        /// Labels.
        labels: u64,
        /// The limit.
        max: u64,
    },
    /// Aggregates with more bytes or items than an array can have.
    #[error(
        "feature view `{view}`: the values of a feature for all labels have more than 2147483647 bytes or items; hint: lower --memory, so that fewer labels are joined at once"
    )]
    TooLarge {
        /// The view.
        view: ViewVersion,
    },
    /// The component that computes an aggregate failed.
    #[error("the component of feature `{feature}` of feature view `{view}` failed: {reason}")]
    Function {
        /// The view.
        view: ViewVersion,
        /// The feature.
        feature: String,
        /// Why.
        reason: String,
    },
    /// Events that memory does not hold could not be written to a temporary file, or read from it.
    #[error("events that do not fit into memory cannot be kept in a temporary file in {}: {source}", .folder.display())]
    Spill {
        /// Where.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A join key that cannot be one.
    #[error("feature view `{view}`: {source}")]
    Key {
        /// The view.
        view: ViewVersion,
        /// Why.
        source: KeyError,
    },
    /// A column that was named for a join key or an input that nothing asked for has.
    #[error("no feature that is asked for takes `{column}`{}", if .known.is_empty() { String::new() } else { format!("; they take {}", .known.join(", ")) })]
    UnknownRequestColumn {
        /// The join key or input.
        column: String,
        /// Those that are taken.
        known: Vec<String>,
    },
    /// A computed view whose transform was not given.
    #[error("no transform was given for feature view `{view}`")]
    MissingTransform {
        /// The view.
        view: ViewVersion,
    },
    /// An on-demand view that could not be computed, through no row's fault.
    #[error("feature view `{view}`, labels from row {first_row}: {source}")]
    Compute {
        /// The view.
        view: ViewVersion,
        /// The first label of the batch.
        first_row: u64,
        /// Why.
        source: EngineError,
    },
    /// Two columns of one name in the training set.
    #[error("`{column}` would name two columns of the training set")]
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// A labels' file that changed between its two readings.
    #[error("{} changed while it was read: it had {before} rows and has {after}", .file.display())]
    LabelsChanged {
        /// The file.
        file: PathBuf,
        /// Rows at first.
        before: u64,
        /// Rows now.
        after: u64,
    },
    /// A labels' file that cannot be read to its end.
    #[error("{} cannot be read: {source}", .file.display())]
    ReadLabels {
        /// The file.
        file: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A stream that nobody takes.
    #[error("the training set cannot be written: {reason}")]
    Stream {
        /// Why.
        reason: String,
    },
    /// An output that cannot be a file.
    #[error("{} is no place for a file: {reason}", .path.display())]
    Output {
        /// The path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A view's published rows, or the file system.
    #[error(transparent)]
    Offline(#[from] OfflineError),
}

impl TrainingError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            TrainingError::MissingColumn { .. } => {
                "name the column of a join key or an input with --column NAME=COLUMN, that of the time with --time COLUMN"
            }
            TrainingError::Convert { source, .. } => return source.hint(),
            TrainingError::TimeText { .. } => {
                "write times as RFC 3339 with an offset, 2026-01-31T12:00:00Z, name the zone of those that have none with --timezone, or store them as timestamps"
            }
            TrainingError::Spill { .. } => {
                "TMPDIR names another folder for temporary files; the more --memory, the less is in them; nothing half-written is left"
            }
            TrainingError::NullTime { .. } => "give every label the time of its prediction, or leave the row out",
            TrainingError::TooManyLabels { .. } => "divide the labels into several files",
            TrainingError::DuplicateColumn { .. } => "rename the column in the labels",
            TrainingError::LabelsChanged { .. } => "run it again once the file is at rest",
            TrainingError::UnknownRequestColumn { .. } => {
                "--column NAME=COLUMN names a join key or an input, then a column of the labels"
            }
            TrainingError::Function { .. } => {
                "`tandem verify` calls it with generated events; `limits` of the view and `state_bytes_max` of the aggregate say what it may take"
            }
            TrainingError::Offline(error) => return error.hint(),
            _ => return None,
        })
    }
}
