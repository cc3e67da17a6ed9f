//! Errors of batch and of reading back.

use std::io;
use std::path::{Path, PathBuf};

use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
use tandem_core::hash::Digest;
use tandem_core::model::ViewVersion;
use tandem_core::time::{DayRange, Duration, Timestamp};
use tandem_engine::convert::ConvertError;
use tandem_engine::{EngineError, WorkerPanic};

use crate::listing::PartitionId;

/// What can go wrong between a source's files and published feature rows. Rows are counted from 0, within their file.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The file system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// No folder (or file) where the source should be.
    #[error("source `{source_name}`: there is nothing at {}", .path.display())]
    NoSource {
        /// The source.
        source_name: String,
        /// Its path.
        path: PathBuf,
    },
    /// A file or folder that was listed and cannot be found any more, or a link that leads nowhere.
    #[error("{} is gone: {source}", .path.display())]
    Vanished {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A name that is not UTF-8.
    #[error("{} is not UTF-8", .path.display())]
    PathNotUtf8 {
        /// The path.
        path: PathBuf,
    },
    /// Folders inside folders without end: a link that points at its own parent, most likely.
    #[error("{} lies deeper than {depth_max} folders below the source", .path.display())]
    FoldersTooDeep {
        /// The folder.
        path: PathBuf,
        /// The limit.
        depth_max: usize,
    },
    /// A file outside every folder of the partition column.
    #[error("{} lies under no folder `{column}=YYYY-MM-DD`, though the source is partitioned by `{column}`", .path.display())]
    PartitionMissing {
        /// The file.
        path: PathBuf,
        /// The source's partition column.
        column: String,
    },
    /// A partition folder whose value is not a day.
    #[error("{}: the partition `{column}={value}` is not a day: {reason}", .path.display())]
    PartitionDay {
        /// The folder.
        path: PathBuf,
        /// The source's partition column.
        column: String,
        /// Its value.
        value: String,
        /// Why it does not parse.
        reason: String,
    },
    /// A range of days for a source that has none.
    #[error("source `{source_name}` is not partitioned by day, so it cannot be cut to a range of days")]
    RangeWithoutPartition {
        /// The source.
        source_name: String,
    },
    /// Nothing to read.
    #[error("{} has no partition with Parquet files{}", .path.display(), .range.as_ref().map(|range| format!(" {range}")).unwrap_or_default())]
    NoPartitions {
        /// The source's folder.
        path: PathBuf,
        /// The range of days, in words.
        range: Option<String>,
    },
    /// A file whose footer cannot be read.
    #[error("{} is not a whole Parquet file: {source}", .file.display())]
    Footer {
        /// The file.
        file: PathBuf,
        /// What the reader says.
        source: ParquetError,
    },
    /// A column that a file does not have.
    #[error("{} has no column `{column}`, which {needed_by} needs{}", .file.display(), .similar.as_ref().map(|name| format!("; it has `{name}`")).unwrap_or_default())]
    MissingColumn {
        /// The file.
        file: PathBuf,
        /// The column.
        column: String,
        /// What reads it.
        needed_by: String,
        /// A column with a similar name.
        similar: Option<String>,
    },
    /// A column whose type differs between the files of a partition.
    #[error("column `{column}`, which {needed_by} needs, is {data_type} in {} and {other_type} in {}", .file.display(), .other_file.display())]
    ColumnType {
        /// The column.
        column: String,
        /// What reads it.
        needed_by: Box<str>,
        /// The first file.
        file: Box<Path>,
        /// The Arrow type there.
        data_type: Box<str>,
        /// The file that differs.
        other_file: Box<Path>,
        /// The Arrow type there.
        other_type: Box<str>,
    },
    /// A transform that is not the view's: a mistake of the caller, which would put a wrong digest into every file.
    #[error("view `{view}` is bound to component {expected}, and the transform is of {found}")]
    OtherComponent {
        /// The view.
        view: String,
        /// The digest it is bound to.
        expected: Digest,
        /// The digest of the transform.
        found: Digest,
    },
    /// A source's query that cannot be planned, or fails.
    #[error("the query of source `{source_name}` is refused: {reason}")]
    Query {
        /// The source.
        source_name: String,
        /// Why.
        reason: String,
    },
    /// Rows for a source that is a query.
    #[error("source `{source_name}` is a query over other files: no rows can be put into it")]
    QueryTakesNoRows {
        /// The source.
        source_name: String,
    },
    /// A source's query with a function of a clock, or of chance.
    #[error("the query of source `{source_name}` calls `{function}`, which does not give the same for the same rows")]
    ImpureQuery {
        /// The source.
        source_name: String,
        /// The function.
        function: String,
    },
    /// A view without rows of its own.
    #[error("feature view `{view}` is computed on demand: it has no source whose rows could be computed or read back")]
    OnDemand {
        /// The view.
        view: ViewVersion,
    },
    /// A view that was bound without the view whose rows it reads: a mistake of the caller.
    #[error("feature view `{view}` reads the rows of `{upstream}`, which was not given with it")]
    UpstreamMissing {
        /// The view.
        view: ViewVersion,
        /// The view whose rows it reads.
        upstream: ViewVersion,
    },
    /// Two columns of one name in the output.
    #[error("`{column}` would name two columns of the view's {of}")]
    DuplicateColumn {
        /// The name.
        column: String,
        /// `feature rows` or `quarantine`.
        of: &'static str,
    },
    /// A value or type that does not convert to the declared type.
    #[error("{}: {source}", .file.display())]
    Convert {
        /// The file.
        file: PathBuf,
        /// Column, row and reason.
        source: ConvertError,
    },
    /// A row without an event time.
    #[error("{} row {row}: the event time (column `{column}`) is null", .file.display())]
    NullEventTime {
        /// The file.
        file: PathBuf,
        /// The row.
        row: u64,
        /// The column.
        column: String,
    },
    /// Rows that the transform failed, where the view says `on_error = "fail"`.
    #[error("partition {partition}: {failed} of {rows} rows in one call failed; {} row {row}: {message}", .file.display())]
    RowsFailed {
        /// The partition.
        partition: PartitionId,
        /// The file of the first failed row.
        file: PathBuf,
        /// The first failed row.
        row: u64,
        /// Why it failed.
        message: String,
        /// Failed rows of the call.
        failed: usize,
        /// All rows of the call.
        rows: usize,
    },
    /// A call that the engine gave up.
    #[error("partition {partition}, rows from {first_row} of {}: {source}", .file.display())]
    Engine {
        /// The partition.
        partition: PartitionId,
        /// The file.
        file: PathBuf,
        /// The first row of the call.
        first_row: u64,
        /// Why.
        source: Box<EngineError>,
    },
    /// A file that cannot be read to its end.
    #[error("{} cannot be read after row {row}: {source}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Rows that were read.
        row: u64,
        /// Why.
        source: DataFusionError,
    },
    /// A source file that changed while it was read.
    #[error("{} changed while it was read", .file.display())]
    SourceChanged {
        /// The file.
        file: PathBuf,
    },
    /// A Parquet file that cannot be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// Another run has the output.
    #[error("{} is being written by {}", .folder.display(), .pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Locked {
        /// The view's output folder.
        folder: PathBuf,
        /// The process that holds the lock.
        pid: Option<u32>,
    },
    /// Published rows of the same version but another definition.
    #[error("version {version} of view `{view}` was published with definition {published} ({}), and is now {current}", .path.display())]
    DefinitionChanged {
        /// The view.
        view: String,
        /// Its version.
        version: u32,
        /// A file that was published.
        path: PathBuf,
        /// The definition hash in it.
        published: String,
        /// The definition hash of the view as given.
        current: Digest,
    },
    /// A file in the output that batch did not write, or not in a format that this program knows.
    #[error("{} is not a file of published feature rows: {reason}", .path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A view of aggregates whose rows batch does not publish.
    #[error(
        "feature view `{view}` is of aggregates and has no `every`: there are no instants at which batch would compute it"
    )]
    NoGrid {
        /// The view.
        view: ViewVersion,
    },
    /// A range in which there is nothing to compute.
    #[error("feature view `{view}`: the range {range} has no instant of its grid up to now, {now}")]
    NoInstants {
        /// The view.
        view: ViewVersion,
        /// The range.
        range: DayRange,
        /// The present.
        now: Timestamp,
    },
    /// A range with more instants than a run computes.
    #[error(
        "feature view `{view}`: the range has {instants} instants, one each {every}, and a run computes at most {max}"
    )]
    TooManyInstants {
        /// The view.
        view: ViewVersion,
        /// How far they are apart.
        every: Duration,
        /// How many there are.
        instants: u64,
        /// `grid_instants_max`.
        max: u64,
    },
    /// Nothing published to read back.
    #[error("version {version} of view `{view}` has no published rows{} in {}", .range.as_ref().map(|range| format!(" {range}")).unwrap_or_default(), .folder.display())]
    NotPublished {
        /// The view.
        view: String,
        /// Its version.
        version: u32,
        /// Where they would be.
        folder: PathBuf,
        /// The range of days, in words.
        range: Option<String>,
    },
    /// A published file that cannot be read to its end.
    #[error("{} cannot be read: {source}", .path.display())]
    ReadPublished {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A file, of no view, that cannot be read to its end.
    #[error("{} cannot be read: {source}", .file.display())]
    ReadFile {
        /// The file.
        file: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// Rows that are not what is promised of their source.
    #[error("{}: row {row} breaks the contract of source `{source_name}`: {message} ({broken} of {rows} rows do)", .file.display())]
    ContractBroken {
        /// The source.
        source_name: String,
        /// The file.
        file: PathBuf,
        /// The first such row.
        row: u64,
        /// What is wrong with it.
        message: String,
        /// Such rows among those that were looked at together.
        broken: usize,
        /// Those.
        rows: usize,
    },
    /// A column that is not of the type that is promised.
    #[error("{}: the contract of source `{source_name}` is broken: {source}", .file.display())]
    ContractType {
        /// The source.
        source_name: String,
        /// The file.
        file: PathBuf,
        /// Why the column is not taken.
        source: Box<ConvertError>,
    },
    /// Rows of a file of this name lie in the source already.
    #[error("{} is there already", .path.display())]
    ImportedBefore {
        /// The file.
        path: PathBuf,
    },
    /// A row that belongs to no day.
    #[error("row {row}: {reason}")]
    NoDay {
        /// The row.
        row: usize,
        /// Why.
        reason: String,
    },
    /// DataFusion or Arrow refused something that is not about one file.
    #[error(transparent)]
    DataFusion(#[from] DataFusionError),
    /// A worker thread panicked: a defect of the program.
    #[error("a worker panicked: {0}")]
    Worker(#[from] WorkerPanic),
    /// A task of a partition panicked: a defect of the program.
    #[error("the task of a partition ended: {0}")]
    Task(String),
}

impl OfflineError {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            OfflineError::NoSource { .. } => {
                "check the source's `path`; a relative one begins in the folder of tandem.toml"
            }
            OfflineError::Vanished { .. } => {
                "something removes files, or it is a link that leads nowhere; run it again once the folder is at rest"
            }
            OfflineError::PartitionMissing { .. } => {
                "move the file into a partition folder, hide it with a leading `_` or `.`, or take `partition` out of the source"
            }
            OfflineError::PartitionDay { .. } => {
                "name the folder like `date=2026-01-31`, or hide it with a leading `_` or `.`"
            }
            OfflineError::RangeWithoutPartition { .. } => {
                "give the source a `partition` column, or run it without a range"
            }
            OfflineError::NoPartitions { .. } => "check the source's path and the range; its end is excluded",
            OfflineError::Footer { .. } => {
                "the writer was cut off, most likely: write the file again, or hide it with a leading `_` or `.`"
            }
            OfflineError::Read { .. } | OfflineError::ReadPublished { .. } | OfflineError::ReadFile { .. } => {
                "it is damaged, most likely: write the file again, or hide it with a leading `_` or `.`"
            }
            OfflineError::MissingColumn { .. } => {
                "`inputs` of the view maps an input to another column, `key_columns` a key; the time columns are named in the source"
            }
            OfflineError::ColumnType { .. } => "write the files of a partition with one type",
            OfflineError::Convert { source, .. } => return source.hint(),
            OfflineError::NullEventTime { .. } | OfflineError::RowsFailed { .. } => {
                "correct the rows, or set `on_error = \"quarantine\"` to set them aside"
            }
            OfflineError::ContractBroken { .. } => {
                "correct the rows, or what `columns` of the source says of them, or set `on_violation = \"quarantine\"` to set them aside"
            }
            OfflineError::ContractType { source, .. } => return source.hint(),
            OfflineError::SourceChanged { .. } => {
                "run it again once the source is at rest; nothing of the partition was published"
            }
            OfflineError::Locked { .. } => "wait for the other run; its lock goes with its process",
            OfflineError::DefinitionChanged { .. } => "raise `version`: what a version means never changes",
            OfflineError::ImportedBefore { .. } => {
                "--replace puts these rows in the place of those; rows beside them go into a file of another name"
            }
            OfflineError::NotOurs { .. } => "move the file away, and run `tandem batch` for the view again",
            OfflineError::QueryTakesNoRows { .. } => "put them into the files of its tables",
            OfflineError::ImpureQuery { .. } => {
                "a training set must come out the same tomorrow: take the time from a column of the tables, or leave it to `as_of`"
            }
            OfflineError::OnDemand { .. } => "ask the server for its features, or give the view a `source`",
            OfflineError::NoGrid { .. } => {
                "add `every = \"1d\"` to the view (another version of it), or ask for its values where they are needed: a training set has them at the labels' times"
            }
            OfflineError::NoInstants { .. } => {
                "the range ends before its last day, and what is known later than now nobody knows yet"
            }
            OfflineError::TooManyInstants { .. } => "divide the range, or make `every` longer",
            OfflineError::NotPublished { .. } => "run `tandem batch` for the view first",
            _ => return None,
        })
    }

    /// For `map_err`: as [`OfflineError::io`], for a path that a listing found.
    pub(crate) fn listed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OfflineError {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => OfflineError::Vanished { path, source },
            _ => OfflineError::Io { action, path, source },
        }
    }

    /// For `map_err`: as what a file that should be a source's is refused, for one that should be published.
    pub(crate) fn published(error: OfflineError) -> OfflineError {
        match error {
            OfflineError::Footer { file: path, source } => {
                OfflineError::NotOurs { path, reason: format!("it is not a whole Parquet file: {source}") }
            }
            other => other,
        }
    }

    /// For `map_err`: an [`OfflineError::Io`] that did `action` on `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OfflineError {
        let path = path.to_owned();
        move |source| OfflineError::Io { action, path, source }
    }

    /// Our own errors travel through DataFusion's streams as external ones; this takes them out again.
    pub(crate) fn from_stream(error: DataFusionError) -> OfflineError {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<OfflineError>() {
                Ok(ours) => *ours,
                Err(other) => OfflineError::DataFusion(DataFusionError::External(other)),
            },
            other => OfflineError::DataFusion(other),
        }
    }
}
