//! Batch over hive-partitioned Parquet, and reading back what it published.
//!
//! This crate moves rows; what a value is stands in `tandem-core`, and user code runs in `tandem-engine` alone. It knows neither definitions on
//! disk nor the online store: it is given a bound view and its transform. In the order in which data flows:
//!
//! - [`options`]: every limit and choice of a run, with units and defaults
//! - [`listing`]: folders to explicit lists of files, pruned to days; the only place that lists directories
//! - `footers`, `scan`: files checked against the columns that the view needs, then a DataFusion scan of one partition
//! - `columns`: which source columns a view needs, and the columns of feature rows and of the quarantine
//! - `versions`: rows of a source that later versions of their event stand in the place of
//! - `bind`, `transform_exec`: source rows to inputs, through the engine, to feature rows; a physical operator
//! - `staged`, `publish`: Parquet files written beside their target and renamed over it, under a lock
//! - `rerun`: a partition that is computed again, beside what is published of it
//! - [`batch`]: all of it for the partitions of a range, several at a time; [`report`] says what came of it
//! - [`grid`]: a view of aggregates at the instants of its grid, as partitions
//! - [`rows`]: the rows of one file, of no view
//! - [`import`](mod@import): rows into a source's folder, as Parquet in its partitions
//! - [`training`]: what labels would have seen of it
//! - [`pushed`]: rows that were pushed, as files of the history
//! - [`published`]: what was published, read back; [`inputs`]: what the transform was given for it

pub mod batch;
mod bind;
mod check;
mod columns;
mod direct;
mod error;
mod footers;
pub mod grid;
pub mod import;
pub mod inputs;
pub mod listing;
pub mod options;
mod promised;
mod publish;
pub mod published;
pub mod pushed;
pub mod query;
pub mod report;
mod rerun;
pub mod rows;
mod scan;
mod source;
mod staged;
#[cfg(test)]
mod testing;
pub mod training;
mod transform_exec;
mod versions;

pub use batch::{BatchRequest, run};
pub use check::check_columns;
pub use columns::{RowColumns, SourceColumn, feature_schema, source_columns};
pub use error::OfflineError;
pub use grid::{GRID_INSTANTS_MAX, GridRequest, run_grid};
pub use import::{Imported, ImportedFile, import_rows};
pub use inputs::{InputBatch, InputRows, PublishedPartition, published_partitions};
pub use listing::{FileEntry, Listing, PartitionFiles, PartitionId};
pub use options::BatchOptions;
pub use promised::broken_rows;
pub use publish::{FORMAT_VERSION, view_folder};
pub use published::{Only, PublishedBatch, PublishedRows};
pub use pushed::{PUSH_SEQUENCE, PushedFiles, pushed_schema};
pub use report::{BatchReport, PartitionReport, Progress, RowCounts, SharedReads};
pub use rows::{FileRows, RowBatches, read_rows, row_batches};
