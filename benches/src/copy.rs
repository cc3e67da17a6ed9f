//! DataFusion copying the files that a batch reads, with the compression and the row groups of what a batch writes.

use std::fs;
use std::path::Path;

use datafusion::config::TableParquetOptions;
use datafusion::dataframe::DataFrameWriteOptions;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt, stream};
use tandem_offline::BatchOptions;

use crate::Failure;

/// Folder of the copy in a project.
pub(crate) const OUTPUT: &str = "data/copy";

/// Copies `data/transactions` file by file, as many at a time as there are threads.
pub(crate) async fn run(project: &Path, threads: usize) -> Result<(), Failure> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
    let mut options = TableParquetOptions::default();
    options.global.compression = Some("zstd(3)".to_owned());
    options.global.max_row_group_size = BatchOptions::default().row_group_rows;
    let mut partitions = Vec::new();
    for entry in fs::read_dir(project.join("data/transactions"))? {
        partitions.push(entry?.file_name());
    }
    partitions.sort();
    stream::iter(partitions)
        .map(|partition| {
            let from = project.join("data/transactions").join(&partition).join("part-0.parquet");
            let to = project.join(OUTPUT).join(&partition).join("part-0.parquet");
            let (context, options) = (&context, options.clone());
            async move {
                let (from, to) = (from.display().to_string(), to.display().to_string());
                let rows = context.read_parquet(from, ParquetReadOptions::default()).await?;
                let single = DataFrameWriteOptions::new().with_single_file_output(true);
                rows.write_parquet(&to, single, Some(options)).await?;
                Ok(())
            }
        })
        .buffer_unordered(threads)
        .try_collect()
        .await
}
