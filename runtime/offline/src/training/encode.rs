//! Rows into a Parquet file, the columns of a row group side by side.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufWriter;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::TrainingError;
use super::threads::on_threads;
use crate::error::OfflineError;
use crate::staged::{CREATED_BY, Staged, Target};

/// Of zstd. Sets are written once and read soon: a higher level takes longer and saves little.
const ZSTD_LEVEL: i32 = 1;

/// Rows at the beginning of a set that say whether values of a column repeat.
const SAMPLE_ROWS: usize = 8_192;

/// A set being written. Its bytes follow from its rows alone, however they are cut into batches and however many threads there are.
pub(super) struct Encoder {
    staged: Staged,
    schema: SchemaRef,
    row_group_rows: usize,
    threads: usize,
    /// Before the first row group: what its columns are like decides how they are written.
    file: Option<BufWriter<File>>,
    writer: Option<(SerializedFileWriter<BufWriter<File>>, ArrowRowGroupWriterFactory)>,
    row_groups: usize,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    metadata: Vec<KeyValue>,
}

impl Encoder {
    /// Begins a file. Blocking.
    pub(super) fn create(target: Target<'_>, schema: SchemaRef, row_group_rows: usize) -> Result<Self, OfflineError> {
        let (staged, file) = Staged::begin(target)?;
        Ok(Encoder {
            staged,
            schema,
            row_group_rows: row_group_rows.max(1),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            file: Some(BufWriter::new(file)),
            writer: None,
            row_groups: 0,
            waiting: Vec::new(),
            waiting_rows: 0,
            metadata: Vec::new(),
        })
    }

    /// Appends rows. Blocking; whole row groups are encoded here.
    pub(super) fn write(&mut self, mut rows: RecordBatch) -> Result<(), TrainingError> {
        while self.waiting_rows + rows.num_rows() >= self.row_group_rows {
            let fits = self.row_group_rows - self.waiting_rows;
            self.waiting.push(rows.slice(0, fits));
            rows = rows.slice(fits, rows.num_rows() - fits);
            self.flush()?;
        }
        if rows.num_rows() > 0 {
            self.waiting_rows += rows.num_rows();
            self.waiting.push(rows);
        }
        Ok(())
    }

    /// Adds to the file's metadata, which is written at its end.
    pub(super) fn append_metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(KeyValue::new(key.to_owned(), value.to_owned()));
    }

    /// Ends the file and syncs it. Blocking.
    pub(super) fn finish(mut self) -> Result<Staged, TrainingError> {
        if !self.waiting.is_empty() {
            self.flush()?;
        }
        let (mut writer, _) = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin(&[])?,
        };
        self.metadata.drain(..).for_each(|pair| writer.append_key_value_metadata(pair));
        let buffered = writer.into_inner().map_err(|source| self.staged.error(source))?;
        let path = self.staged.path().to_owned();
        let file =
            buffered.into_inner().map_err(|error| error.into_error()).map_err(OfflineError::io("write", &path))?;
        file.sync_all().map_err(OfflineError::io("sync", &path))?;
        Ok(self.staged)
    }

    /// Writes what waits as a row group.
    fn flush(&mut self) -> Result<(), TrainingError> {
        let batches = std::mem::take(&mut self.waiting);
        self.waiting_rows = 0;
        let columns: Vec<Column<'_>> =
            (0..self.schema.fields().len()).map(|index| Column { index, batches: &batches }).collect();
        let (mut writer, factory) = match self.writer.take() {
            Some(writer) => writer,
            None => self.begin(&columns)?,
        };
        let chunks = self.encode(&columns, &factory)?;
        let append = || {
            let mut group = writer.next_row_group()?;
            chunks.into_iter().flatten().try_for_each(|chunk| chunk.append_to_row_group(&mut group))?;
            group.close().map(drop)
        };
        append().map_err(|source| self.staged.error(source))?;
        self.row_groups += 1;
        self.writer = Some((writer, factory));
        Ok(())
    }

    /// Begins the Parquet file, for a first row group of these columns.
    fn begin(
        &mut self,
        first: &[Column<'_>],
    ) -> Result<(SerializedFileWriter<BufWriter<File>>, ArrowRowGroupWriterFactory), OfflineError> {
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|source| self.staged.error(source))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(self.row_group_rows))
            .set_created_by(CREATED_BY.to_owned());
        for column in first.iter().filter(|column| column.is_varied()) {
            let name = self.schema.field(column.index).name();
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(vec![name.clone()]), false);
        }
        let file = self.file.take().expect("a file is begun once");
        let writer = ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(properties.build()));
        let parts = writer.and_then(ArrowWriter::into_serialized_writer);
        parts.map_err(|source| self.staged.error(source))
    }

    /// The chunks of each column, several columns at a time.
    fn encode(
        &self,
        columns: &[Column<'_>],
        factory: &ArrowRowGroupWriterFactory,
    ) -> Result<Vec<Vec<ArrowColumnChunk>>, TrainingError> {
        let fail = |source| TrainingError::from(self.staged.error(source));
        let mut leaves = factory.create_column_writers(self.row_groups).map_err(fail)?.into_iter();
        let writers = columns.iter().map(|column| {
            let count = leaf_count(self.schema.field(column.index).data_type());
            Mutex::new(Some(leaves.by_ref().take(count).collect::<Vec<_>>()))
        });
        let writers: Vec<Mutex<Option<Vec<ArrowColumnWriter>>>> = writers.collect();
        let next = AtomicUsize::new(0);
        let parts = on_threads(self.threads.clamp(1, columns.len().max(1)), || {
            let mut done = Vec::new();
            while let Some(column) = columns.get(next.fetch_add(1, Ordering::Relaxed)) {
                let writers = writers[column.index].lock().unwrap_or_else(PoisonError::into_inner).take();
                let chunks = column.encode(&self.schema, writers.expect("each column is taken once"));
                done.push((column.index, chunks.map_err(fail)?));
            }
            Ok(done)
        })?;
        let mut all: Vec<(usize, Vec<ArrowColumnChunk>)> = parts.into_iter().flatten().collect();
        all.sort_by_key(|(index, _)| *index);
        Ok(all.into_iter().map(|(_, chunks)| chunks).collect())
    }
}

/// A column of a row group.
struct Column<'a> {
    index: usize,
    batches: &'a [RecordBatch],
}

impl Column<'_> {
    fn encode(
        &self,
        schema: &SchemaRef,
        mut writers: Vec<ArrowColumnWriter>,
    ) -> Result<Vec<ArrowColumnChunk>, ParquetError> {
        let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch.column(self.index).as_ref()).collect();
        // As one array: where pages end does not follow from how batches came.
        let whole: ArrayRef = match &self.batches {
            [one] => Arc::clone(one.column(self.index)),
            _ => concat(&parts)?,
        };
        let leaves = compute_leaves(schema.field(self.index), &whole)?;
        for (writer, leaf) in writers.iter_mut().zip(&leaves) {
            writer.write(leaf)?;
        }
        writers.into_iter().map(ArrowColumnWriter::close).collect()
    }

    /// Whether most of the first values differ from each other: a dictionary of them would be as long as they are.
    fn is_varied(&self) -> bool {
        let mut parts = Vec::new();
        let mut rows = 0;
        for batch in self.batches {
            let part = batch.column(self.index);
            let part = part.slice(0, part.len().min(SAMPLE_ROWS - rows));
            rows += part.len();
            parts.push(part);
            if rows == SAMPLE_ROWS {
                break;
            }
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        let Ok(sample) = concat(&parts) else { return false };
        let there = sample.len() - sample.null_count();
        let rows = || (0..sample.len()).filter(|row| sample.is_valid(*row));
        let distinct = if let Some(floats) = sample.as_primitive_opt::<Float64Type>() {
            rows().map(|row| floats.value(row).to_bits()).collect::<HashSet<_>>().len()
        } else if let Some(integers) = sample.as_primitive_opt::<Int64Type>() {
            rows().map(|row| integers.value(row)).collect::<HashSet<_>>().len()
        } else if let Some(times) = sample.as_primitive_opt::<TimestampMicrosecondType>() {
            rows().map(|row| times.value(row)).collect::<HashSet<_>>().len()
        } else if let Some(strings) = sample.as_string_opt::<i32>() {
            rows().map(|row| strings.value(row)).collect::<HashSet<_>>().len()
        } else {
            return false;
        };
        distinct * 2 > there
    }
}

/// How many columns of Parquet an Arrow type takes.
fn leaf_count(data_type: &arrow_schema::DataType) -> usize {
    use arrow_schema::DataType::{
        Dictionary, FixedSizeList, LargeList, LargeListView, List, ListView, Map, RunEndEncoded, Struct,
    };
    match data_type {
        Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        List(item) | LargeList(item) | ListView(item) | LargeListView(item) | FixedSizeList(item, _) | Map(item, _) => {
            leaf_count(item.data_type())
        }
        Dictionary(_, values) => leaf_count(values),
        RunEndEncoded(_, values) => leaf_count(values.data_type()),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{Int64Builder, ListBuilder};
    use arrow_array::{BooleanArray, Float64Array, Int64Array, StringArray, StructArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::Encoding;

    use super::*;

    const ROWS: usize = 1_000;

    fn rows() -> RecordBatch {
        let mut lists = ListBuilder::new(Int64Builder::new());
        (0..ROWS)
            .for_each(|row| lists.append_option((row % 3 > 0).then(|| (0..row % 4).map(|item| Some(item as i64)))));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..ROWS as i64).map(|row| row % 7)));
        let pairs = StructArray::try_from(vec![("a", Arc::clone(&numbers)), ("b", Arc::clone(&numbers))]).unwrap();
        let columns: [(&str, ArrayRef); 6] = [
            ("few", numbers),
            (
                "many",
                Arc::new((0..ROWS).map(|row| (row % 5 > 0).then_some(row as f64 / 3.0)).collect::<Float64Array>()),
            ),
            ("text", Arc::new(StringArray::from_iter_values((0..ROWS).map(|row| format!("row {row}"))))),
            ("flag", Arc::new((0..ROWS).map(|row| Some(row % 2 == 0)).collect::<BooleanArray>())),
            ("list", Arc::new(lists.finish())),
            ("pair", Arc::new(pairs)),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    }

    /// The bytes of a file with these batches.
    fn written(batches: &[RecordBatch], threads: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let target = Target { folder: root.to_owned(), file: "set.parquet", root, run_id: "1", lock: None };
        let mut encoder = Encoder::create(target, batches[0].schema(), 300).unwrap();
        encoder.threads = threads;
        batches.iter().for_each(|batch| encoder.write(batch.clone()).unwrap());
        encoder.append_metadata("key", "value");
        let staged = encoder.finish().unwrap();
        let bytes = std::fs::read(staged.path()).unwrap();
        drop(staged);
        assert_eq!(std::fs::read_dir(root).unwrap().count(), 0, "what is not published is removed");
        bytes
    }

    fn reader(bytes: &[u8]) -> ParquetRecordBatchReaderBuilder<File> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap()
    }

    fn read(bytes: &[u8]) -> (RecordBatch, Vec<usize>) {
        let reader = reader(bytes);
        let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows() as usize).collect();
        let schema = Arc::clone(reader.schema());
        let batches: Vec<_> = reader.build().unwrap().collect::<Result<_, _>>().unwrap();
        (arrow_select::concat::concat_batches(&schema, &batches).unwrap(), groups)
    }

    #[test]
    fn bytes_follow_from_the_rows_alone() {
        let whole = rows();
        let bytes = written(std::slice::from_ref(&whole), 1);
        let (found, groups) = read(&bytes);
        assert_eq!(found.columns(), whole.columns());
        assert_eq!(groups, [300, 300, 300, 100]);
        for (size, threads) in [(1_000, 2), (300, 3), (77, 1), (1, 2), (299, 9)] {
            let batches: Vec<_> = (0..ROWS).step_by(size).map(|row| whole.slice(row, size.min(ROWS - row))).collect();
            assert!(written(&batches, threads) == bytes, "batches of {size}, {threads} threads");
        }
    }

    #[test]
    fn only_values_that_repeat_have_a_dictionary() {
        let reader = reader(&written(&[rows()], 2));
        let group = reader.metadata().row_group(0);
        let has = |column: usize| group.column(column).encodings().any(|encoding| encoding == Encoding::RLE_DICTIONARY);
        assert_eq!((0..3).map(has).collect::<Vec<_>>(), [true, false, false]);
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
        assert!(pairs.iter().any(|pair| pair.key == "key" && pair.value.as_deref() == Some("value")));
    }

    #[test]
    fn no_rows_are_a_file_too() {
        let (found, groups) = read(&written(&[rows().slice(0, 0)], 2));
        assert_eq!((found.num_rows(), found.num_columns(), groups.len()), (0, 6, 0));
    }
}
