//! The files of a partition against the columns that the view needs, by their Parquet footers alone.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType as ArrowType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use tandem_core::hash::Digest;
use tandem_core::suggest::nearest;

use crate::columns::NeededColumn;
use crate::error::OfflineError;
use crate::listing::{FileEntry, PartitionFiles};

/// A partition whose files all have the needed columns, with one type each.
#[derive(Debug, Clone)]
pub(crate) struct CheckedPartition {
    pub(crate) partition: PartitionFiles,
    /// The needed columns that come from the files.
    pub(crate) file_schema: SchemaRef,
    /// The needed columns that come from the folders.
    pub(crate) hive: Vec<(String, Option<String>)>,
    /// Rows of each file.
    pub(crate) file_rows: Vec<u64>,
}

impl CheckedPartition {
    /// Reads the footers. Blocking.
    ///
    /// A folder's value goes before a column of the same name inside the files, as in Hive and Spark. Between partitions types may differ:
    /// each converts to the declared types on its own, losslessly or not at all.
    pub(crate) fn check(partition: PartitionFiles, needed: &[NeededColumn]) -> Result<Self, OfflineError> {
        let files = partition.files.clone();
        Self::of(partition, files.iter().map(|file| read(&file.path)), needed)
    }

    /// The same for a partition of one file whose footer was read.
    pub(crate) fn of_file(
        partition: PartitionFiles,
        footer: &ArrowReaderMetadata,
        needed: &[NeededColumn],
    ) -> Result<Self, OfflineError> {
        Self::of(partition, std::iter::once(Ok(footer.clone())), needed)
    }

    /// `footers`: those of the partition's files, in their order.
    fn of(
        partition: PartitionFiles,
        mut footers: impl Iterator<Item = Result<ArrowReaderMetadata, OfflineError>>,
        needed: &[NeededColumn],
    ) -> Result<Self, OfflineError> {
        let mut hive = Vec::new();
        let mut in_files = Vec::new();
        for column in needed {
            match partition.hive.iter().rev().find(|(name, _)| *name == column.name) {
                Some(value) => hive.push(value.clone()),
                None => in_files.push(column),
            }
        }
        // Optional columns go by the first file: those who write files without them write one for each partition.
        let first = footers.next().transpose()?;
        in_files.retain(|column| {
            let there = first.as_ref().is_some_and(|footer| footer.schema().field_with_name(&column.name).is_ok());
            !column.optional || there
        });
        let mut types: Vec<ArrowType> = Vec::new();
        let mut file_rows = Vec::new();
        for (file, footer) in partition.files.iter().zip(first.map(Ok).into_iter().chain(footers)) {
            let footer = footer?;
            let found = column_types(file, footer.schema(), &in_files)?;
            if types.is_empty() {
                types = found;
            } else if let Some(at) = (0..types.len()).find(|at| !types[*at].equals_datatype(&found[*at])) {
                return Err(OfflineError::ColumnType {
                    column: in_files[at].name.clone(),
                    needed_by: in_files[at].needed_by.as_str().into(),
                    file: partition.files[0].path.as_path().into(),
                    data_type: types[at].to_string().into(),
                    other_file: file.path.as_path().into(),
                    other_type: found[at].to_string().into(),
                });
            }
            file_rows.push(footer.metadata().file_metadata().num_rows().max(0) as u64);
        }
        // Nullable whatever a file says: nulls are judged where inputs are bound. No field metadata: it may differ between files.
        let fields = in_files.iter().zip(types).map(|(column, data_type)| Field::new(&column.name, data_type, true));
        let file_schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(CheckedPartition { partition, file_schema, hive, file_rows })
    }

    /// Rows of all files.
    pub(crate) fn rows(&self) -> u64 {
        self.file_rows.iter().sum()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.partition.files.iter().map(|file| file.size).sum()
    }

    /// The file in which row `row` of the partition lies, and the row's number there. Rows past the end belong to the last file.
    pub(crate) fn locate(&self, row: u64) -> (&FileEntry, u64) {
        let mut before = 0;
        for (file, rows) in self.partition.files.iter().zip(&self.file_rows) {
            if row < before + rows {
                return (file, row - before);
            }
            before += rows;
        }
        let last = self.partition.files.len() - 1;
        (&self.partition.files[last], row - before + self.file_rows[last])
    }
}

/// The footer of a Parquet file. Blocking.
pub(crate) fn read(path: &Path) -> Result<ArrowReaderMetadata, OfflineError> {
    let file = File::open(path).map_err(OfflineError::listed("open", path))?;
    ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|source| OfflineError::Footer { file: path.to_owned(), source })
}

fn column_types(file: &FileEntry, schema: &Schema, needed: &[&NeededColumn]) -> Result<Vec<ArrowType>, OfflineError> {
    needed
        .iter()
        .map(|column| match schema.field_with_name(&column.name) {
            Ok(field) => Ok(field.data_type().clone()),
            Err(_) => Err(OfflineError::MissingColumn {
                file: file.path.clone(),
                column: column.name.clone(),
                needed_by: column.needed_by.clone(),
                similar: nearest(&column.name, schema.fields().iter().map(|field| field.name().as_str()))
                    .map(str::to_owned),
            }),
        })
        .collect()
}

/// The row groups with these rows (ascending, at least one), and where the rows lie within them: so that nothing before and behind them is looked at.
pub(crate) fn selection(footer: &ArrowReaderMetadata, rows: &[u64]) -> (Vec<usize>, RowSelection) {
    let (first, last) = (rows[0], rows[rows.len() - 1]);
    let (mut groups, mut start, mut total, mut row) = (Vec::new(), 0, 0, 0);
    for (index, group) in footer.metadata().row_groups().iter().enumerate() {
        let end = row + group.num_rows().max(0) as u64;
        if end > first && row <= last {
            if groups.is_empty() {
                start = row;
            }
            groups.push(index);
            total = end - start;
        }
        row = end;
    }
    let runs = rows.chunk_by(|a, b| a + 1 == *b).map(|run| {
        let begin = (run[0] - start) as usize;
        begin..begin + run.len()
    });
    (groups, RowSelection::from_consecutive_ranges(runs, total as usize))
}

/// SHA-256 of a Parquet file's footer, as it lies in the file. Blocking.
pub(crate) fn digest(path: &Path) -> Result<Digest, OfflineError> {
    let mut file = File::open(path).map_err(OfflineError::listed("open", path))?;
    let mut read = |from: SeekFrom, bytes: usize| {
        let mut buffer = vec![0; bytes];
        file.seek(from).and_then(|_| file.read_exact(&mut buffer)).map(|()| buffer)
    };
    let broken = OfflineError::io("read", path);
    // The length of the footer, little-endian, and the magic are the last eight bytes:
    // https://parquet.apache.org/docs/file-format/
    let tail = match read(SeekFrom::End(-8), 8) {
        Ok(tail) => tail,
        Err(error) => return Err(broken(error)),
    };
    let bytes = i64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    match read(SeekFrom::End(-8 - bytes), bytes as usize) {
        Ok(footer) => Ok(Digest::of(&footer)),
        Err(error) => Err(broken(error)),
    }
}
