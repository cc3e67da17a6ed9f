//! A DataFusion scan of one partition: an explicit list of files, the needed columns, in the order of files and rows.

use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path as StorePath;

use crate::error::OfflineError;
use crate::footers::CheckedPartition;

/// The physical plan that reads `checked` as one sequential stream of batches of at most `rows_per_call` rows. Its columns are those of
/// `checked.file_schema`, then `checked.hive` as strings. A batch never spans two files.
pub(crate) fn plan(checked: &CheckedPartition, rows_per_call: usize) -> Result<Arc<dyn ExecutionPlan>, OfflineError> {
    let hive_fields: Vec<FieldRef> =
        checked.hive.iter().map(|(name, _)| Arc::new(Field::new(name, ArrowType::Utf8, true))).collect();
    let hive_values: Vec<ScalarValue> =
        checked.hive.iter().map(|(_, value)| ScalarValue::Utf8(value.clone())).collect();
    let table = TableSchema::builder(Arc::clone(&checked.file_schema)).with_table_partition_cols(hive_fields).build();
    let mut files = Vec::with_capacity(checked.partition.files.len());
    for entry in &checked.partition.files {
        let mut file = PartitionedFile::new(String::new(), entry.size).with_partition_values(hive_values.clone());
        file.object_meta.location =
            StorePath::from_absolute_path(&entry.path).map_err(|error| DataFusionError::External(Box::new(error)))?;
        files.push(file);
    }
    // Neither page index nor bloom filters: the scan has no predicate that they could serve.
    let source = ParquetSource::new(table).with_enable_page_index(false).with_bloom_filter_on_read(false);
    let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
        .with_file_group(FileGroup::new(files))
        .with_preserve_order(true)
        .with_batch_size(Some(rows_per_call))
        .build();
    Ok(DataSourceExec::from_data_source(config))
}
