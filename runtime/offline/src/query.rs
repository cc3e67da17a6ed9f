//! The rows of a source that is a SQL query: planned over its tables' Parquet files, and written as one file that is read as any source's.
//!
//! A query runs in one partition, one file after another: what it gives depends on the files alone, not on processors. Functions that are not pure
//! are refused while it is planned.

use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use arrow_schema::{DataType as ArrowType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::dataframe::DataFrame;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;
use object_store::path::Path as StorePath;
use parquet::arrow::ArrowWriter;
use tandem_core::model::{Source, SourceQuery};

use crate::batch::run_id;
use crate::columns::NeededColumn;
use crate::error::OfflineError;
use crate::footers::{self, CheckedPartition};
use crate::listing::{self, FileEntry, PartitionFiles, PartitionId};

/// `query_memory_bytes_max`: memory that a query's sorts, joins and aggregates may take, in bytes; beyond it they spill to disk.
pub const QUERY_MEMORY_BYTES_MAX: usize = 1 << 30;

/// Folder of the rows of queries, below that of published rows. Hidden, so that nobody takes it for a view.
const QUERIES_FOLDER: &str = ".queries";

/// The rows of a query, in a file that goes with this value.
#[derive(Debug)]
pub(crate) struct QueryRows {
    folder: PathBuf,
    /// The files of the query's tables.
    pub(crate) tables: Vec<FileEntry>,
}

impl Drop for QueryRows {
    fn drop(&mut self) {
        // Left behind it costs disk; there is nobody to tell.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Runs the query of a source and writes its rows below `offline_root`: a source of files that holds them as long as the other value is there.
/// `only`: files of tables that are taken; None for all. Blocking.
pub(crate) fn run(
    source: &Source,
    query: &SourceQuery,
    offline_root: &Path,
    only: Option<&dyn Fn(&FileEntry) -> bool>,
) -> Result<(Arc<Source>, Arc<QueryRows>), OfflineError> {
    let tables = Tables::open(source, query, only)?;
    sweep(offline_root);
    let queries = offline_root.join(QUERIES_FOLDER);
    let folder = queries.join(format!("{}-{}", source.name, run_id()));
    fs::create_dir_all(&folder).map_err(OfflineError::io("create", &folder))?;
    let files: Vec<FileEntry> =
        tables.0.iter().flat_map(|(_, table)| table.files.iter().map(|file| file.0.clone())).collect();
    let rows = QueryRows { folder: folder.clone(), tables: files };
    let file = folder.join("rows.parquet");
    let written = block_on(async {
        let context = context(&folder, tables)?;
        let planned = planned(&context, source, query).await?;
        let fail = |error: DataFusionError| no_room(&folder, &error).unwrap_or_else(|| failed(source, &error));
        let mut batches = planned.execute_stream().await.map_err(fail)?;
        let schema = batches.schema();
        let created = File::create(&file).map_err(OfflineError::io("create", &file))?;
        let parquet = |source| OfflineError::Write { path: file.clone(), source };
        let mut writer = ArrowWriter::try_new(created, schema, None).map_err(parquet)?;
        while let Some(batch) = batches.next().await {
            writer.write(&batch.map_err(fail)?).map_err(parquet)?;
        }
        writer.close().map_err(parquet)?;
        Ok::<(), OfflineError>(())
    })?;
    written?;
    // The file is as old as what it was made of: a row without a created time is known from then on, and the same tables give the same file.
    if let Some(newest) = rows.tables.iter().map(|file| file.modified).max() {
        let opened = File::options().append(true).open(&file).map_err(OfflineError::io("open", &file))?;
        opened.set_modified(newest).map_err(OfflineError::io("write", &file))?;
    }
    for table in &rows.tables {
        if !table.is_unchanged() {
            return Err(OfflineError::SourceChanged { file: table.path.clone() });
        }
    }
    let files = Source { path: file, query: None, ..source.clone() };
    Ok((Arc::new(files), Arc::new(rows)))
}

/// The columns of a query's rows, without running it. Blocking.
pub(crate) fn schema(source: &Source, query: &SourceQuery) -> Result<SchemaRef, OfflineError> {
    let tables = Tables::open(source, query, None)?;
    block_on(async {
        let context = context(&std::env::temp_dir(), tables)?;
        let planned = planned(&context, source, query).await?;
        Ok(Arc::new(planned.schema().as_arrow().clone()))
    })?
}

/// Files of runs that ended without removing theirs, older than a day. Blocking.
fn sweep(offline_root: &Path) {
    const KEPT: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
    let Ok(folders) = fs::read_dir(offline_root.join(QUERIES_FOLDER)) else { return };
    for folder in folders.flatten() {
        let age = folder.metadata().and_then(|found| found.modified());
        if age.is_ok_and(|modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age > KEPT)) {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, OfflineError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| OfflineError::Task(error.to_string()))?;
    Ok(runtime.block_on(work))
}

fn context(spill: &Path, tables: Tables) -> Result<SessionContext, OfflineError> {
    let mut config = SessionConfig::new().with_target_partitions(1).with_information_schema(false);
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill.to_owned()]));
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(QUERY_MEMORY_BYTES_MAX, 1.0)
        .with_disk_manager_builder(disk)
        .build_arc()?;
    let context = SessionContext::new_with_config_rt(config, runtime);
    for (name, table) in tables.0 {
        context.register_table(name, Arc::new(table))?;
    }
    Ok(context)
}

/// The plan of a query that gives the same rows for the same files.
async fn planned(context: &SessionContext, source: &Source, query: &SourceQuery) -> Result<DataFrame, OfflineError> {
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let planned = context.sql_with_options(&query.text, reading).await.map_err(|error| failed(source, &error))?;
    if let Some(function) = impure(planned.logical_plan()).map_err(|error| failed(source, &error))? {
        return Err(OfflineError::ImpureQuery { source_name: source.name.clone(), function });
    }
    Ok(planned)
}

/// What a query says that spills where there is no room: of the disk, and not of the query.
fn no_room(folder: &Path, error: &DataFusionError) -> Option<OfflineError> {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    let code = causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error())?;
    Some(OfflineError::io("write", folder)(io::Error::from_raw_os_error(code)))
}

fn failed(source: &Source, error: &DataFusionError) -> OfflineError {
    let reason = error.strip_backtrace();
    OfflineError::Query { source_name: source.name.clone(), reason }
}

/// A function of the plan whose value is not that of its arguments alone: of a clock, of chance.
fn impure(plan: &LogicalPlan) -> Result<Option<String>, DataFusionError> {
    let mut found = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                let function = match expression {
                    Expr::ScalarFunction(call) => Some((call.func.name(), call.func.signature().volatility)),
                    Expr::AggregateFunction(call) => Some((call.func.name(), call.func.signature().volatility)),
                    Expr::WindowFunction(call) => Some((call.fun.name(), call.fun.signature().volatility)),
                    _ => None,
                };
                if let Some((name, volatility)) = function
                    && volatility != Volatility::Immutable
                {
                    found.get_or_insert_with(|| name.to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The tables of a query.
struct Tables(Vec<(String, Table)>);

impl Tables {
    /// Lists the files and reads their footers.
    fn open(
        source: &Source,
        query: &SourceQuery,
        only: Option<&dyn Fn(&FileEntry) -> bool>,
    ) -> Result<Self, OfflineError> {
        let open = |(name, path): (&String, &PathBuf)| Ok((name.clone(), Table::open(source, name, path, only)?));
        query.tables.iter().map(open).collect::<Result<_, _>>().map(Tables)
    }
}

/// The Parquet files of a folder as one table, in the order of their paths: their columns, and as texts those of their hive folders.
#[derive(Debug)]
struct Table {
    schema: TableSchema,
    /// Each with the values of its folders.
    files: Vec<(FileEntry, Vec<ScalarValue>)>,
}

impl Table {
    fn open(
        source: &Source,
        name: &str,
        path: &Path,
        only: Option<&dyn Fn(&FileEntry) -> bool>,
    ) -> Result<Self, OfflineError> {
        let no_table = |reason: String| OfflineError::Query {
            source_name: source.name.clone(),
            reason: format!("its table `{name}` {reason}"),
        };
        if !path.exists() {
            return Err(no_table(format!("is not there: {}", path.display())));
        }
        let mut files: Vec<(FileEntry, PartitionFiles)> = Vec::new();
        for partition in listing::list_folder(path, None, None)?.partitions {
            let wanted = partition.files.iter().filter(|file| only.is_none_or(|only| only(file)));
            files.extend(wanted.map(|file| (file.clone(), partition.clone())));
        }
        let Some((first, partition)) = files.first() else {
            return Err(no_table(format!("has no Parquet file in {}", path.display())));
        };
        let hive: Vec<String> = partition.hive.iter().map(|(column, _)| column.clone()).collect();
        let columns = footers::read(&first.path)?;
        let columns = columns.schema().fields().iter().map(|field| field.name().clone());
        let needed: Vec<NeededColumn> = columns
            .filter(|column| !hive.contains(column))
            .map(|column| NeededColumn { name: column, needed_by: format!("table `{name}`"), optional: false })
            .collect();
        let entries = files.iter().map(|(file, _)| file.clone()).collect();
        let together = PartitionFiles { id: PartitionId::default(), hive: Vec::new(), day: None, files: entries };
        let checked = CheckedPartition::check(together, &needed)?;
        let values = files.into_iter().map(|(file, partition)| {
            let value = |column: &String| partition.hive.iter().rev().find(|(name, _)| name == column);
            let values = hive.iter().map(|column| Some(ScalarValue::Utf8(value(column)?.1.clone())));
            let values: Option<Vec<ScalarValue>> = values.collect();
            let path = file.path.clone();
            let values = values.filter(|values| values.len() == partition.hive.len());
            values
                .map(|values| (file, values))
                .ok_or_else(|| no_table(format!("has files in folders of other names: {}", path.display())))
        });
        let files = values.collect::<Result<Vec<_>, OfflineError>>()?;
        let hive: Vec<FieldRef> =
            hive.iter().map(|column| Arc::new(Field::new(column, ArrowType::Utf8, true))).collect();
        // Times without a zone stay so: the source's time zone says what they are.
        let plain: Vec<Field> = checked.file_schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        let schema = TableSchema::builder(Arc::new(Schema::new(plain))).with_table_partition_cols(hive).build();
        Ok(Table { schema, files })
    }

    fn plan(
        &self,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let mut files = Vec::with_capacity(self.files.len());
        for (entry, values) in &self.files {
            let mut file = PartitionedFile::new(String::new(), entry.size).with_partition_values(values.clone());
            file.object_meta.location = StorePath::from_absolute_path(&entry.path)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            files.push(file);
        }
        let source = ParquetSource::new(self.schema.clone());
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), Arc::new(source))
            .with_file_group(FileGroup::new(files))
            .with_preserve_order(true)
            .with_limit(limit)
            .with_projection_indices(projection.cloned())?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

type Planning<'a> = Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>, DataFusionError>> + Send + 'a>>;

impl TableProvider for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.schema.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn scan<'life0, 'life1, 'life2, 'life3, 'async_trait>(
        &'life0 self,
        _: &'life1 dyn Session,
        projection: Option<&'life2 Vec<usize>>,
        _: &'life3 [Expr],
        limit: Option<usize>,
    ) -> Planning<'async_trait>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        'life2: 'async_trait,
        'life3: 'async_trait,
        Self: 'async_trait,
    {
        let plan = self.plan(projection, limit);
        Box::pin(async move { plan })
    }
}

#[cfg(test)]
mod tests;
