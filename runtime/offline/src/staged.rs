//! A Parquet file that nobody sees until it is whole: written beside its target, synced, renamed over it.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use arrow_select::coalesce::BatchCoalescer;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::error::OfflineError;
use crate::publish::OutputLock;

/// Rows that are handed to the Parquet writer at a time. The writer may end a page where a hand-over ends, so this number, not the sizes of
/// the batches that happen to arrive, decides where pages end.
const WRITE_ROWS: usize = 8_192;

/// What all files say of their writer; changes only with the bytes that the same rows give.
pub(crate) const CREATED_BY: &str = "tandem version 1";

const ZSTD_LEVEL: i32 = 3;

/// Name of the one data file of a partition.
pub(crate) const DATA_FILE: &str = "part-0.parquet";

/// The file beside `file` that run `run_id` writes.
fn staged_name(file: &str, run_id: &str) -> String {
    format!(".{file}.{run_id}.staged")
}

/// Whether a file of this name was staged by some run.
pub(crate) fn is_staged(name: &str) -> bool {
    name.strip_prefix('.').and_then(|name| name.strip_prefix(DATA_FILE)).is_some_and(|rest| rest.ends_with(".staged"))
}

/// Whether a file of this name was staged to be one of pushed rows.
pub(crate) fn is_staged_push(name: &str) -> bool {
    name.starts_with(".push-") && name.ends_with(".staged")
}

/// A file being written. Dropped before [`Staged::publish`], it is removed.
pub(crate) struct StagedWriter {
    writer: ArrowWriter<BufWriter<File>>,
    /// Cuts whatever arrives to [`WRITE_ROWS`].
    chunks: BatchCoalescer,
    staged: Staged,
}

/// A file that is whole and synced, not yet renamed.
pub(crate) struct Staged {
    path: PathBuf,
    target: PathBuf,
    root: PathBuf,
    published: bool,
    /// Nobody else cleans up or writes here before this file is gone or published.
    _lock: Option<Arc<OutputLock>>,
}

/// Where a file goes.
pub(crate) struct Target<'a> {
    /// The folder of its partition.
    pub(crate) folder: PathBuf,
    /// Its name there.
    pub(crate) file: &'a str,
    /// Folders from here down are synced when an entry in them changes.
    pub(crate) root: &'a Path,
    /// Names the run.
    pub(crate) run_id: &'a str,
    /// The lock of the output; a source's folder has none.
    pub(crate) lock: Option<Arc<OutputLock>>,
}

impl StagedWriter {
    /// Begins a file. Blocking.
    pub(crate) fn create(
        target: Target<'_>,
        schema: SchemaRef,
        metadata: Vec<KeyValue>,
        row_group_rows: usize,
    ) -> Result<Self, OfflineError> {
        let (staged, file) = Staged::begin(target)?;
        let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|source| staged.error(source))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(row_group_rows))
            .set_created_by(CREATED_BY.to_owned())
            .set_key_value_metadata(Some(metadata))
            .build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), Arc::clone(&schema), Some(properties))
            .map_err(|source| staged.error(source))?;
        Ok(StagedWriter { writer, chunks: BatchCoalescer::new(schema, WRITE_ROWS), staged })
    }

    /// Appends rows. Blocking; the work of encoding is done here.
    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<(), OfflineError> {
        self.chunks.push_batch(batch).map_err(|error| self.staged.error(error.into()))?;
        self.write_chunks()
    }

    fn write_chunks(&mut self) -> Result<(), OfflineError> {
        while let Some(chunk) = self.chunks.next_completed_batch() {
            self.writer.write(&chunk).map_err(|source| self.staged.error(source))?;
        }
        Ok(())
    }

    /// Ends the file and syncs it. Blocking.
    pub(crate) fn finish(mut self) -> Result<Staged, OfflineError> {
        self.chunks.finish_buffered_batch().map_err(|error| self.staged.error(error.into()))?;
        self.write_chunks()?;
        let StagedWriter { writer, staged, .. } = self;
        let buffered = writer.into_inner().map_err(|source| staged.error(source))?;
        let file = buffered
            .into_inner()
            .map_err(|error| error.into_error())
            .map_err(OfflineError::io("write", &staged.path))?;
        file.sync_all().map_err(OfflineError::io("sync", &staged.path))?;
        Ok(staged)
    }
}

impl Staged {
    /// The empty file beside its target. Blocking.
    pub(crate) fn begin(target: Target<'_>) -> Result<(Self, File), OfflineError> {
        let folder = &target.folder;
        fs::create_dir_all(folder).map_err(OfflineError::io("create", folder))?;
        let path = folder.join(staged_name(target.file, target.run_id));
        let file = File::create(&path).map_err(OfflineError::io("create", &path))?;
        let (target, root, lock) = (folder.join(target.file), target.root.to_owned(), target.lock);
        Ok((Staged { path, target, root, published: false, _lock: lock }, file))
    }

    /// Where it is until it is published.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that it will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Another place for the file, on the same file system; its folder is made. Blocking.
    pub(crate) fn retarget(mut self, target: PathBuf) -> Result<Self, OfflineError> {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(OfflineError::io("create", folder))?;
        }
        self.target = target;
        Ok(self)
    }

    /// Renames the file over its target and syncs the folders, so that it is there after a power cut too; gives its size in bytes. Blocking.
    pub(crate) fn publish(mut self) -> Result<u64, OfflineError> {
        fs::rename(&self.path, &self.target).map_err(OfflineError::io("publish", &self.target))?;
        self.published = true;
        sync_folders(&self.target, &self.root)?;
        fs::metadata(&self.target).map(|found| found.len()).map_err(OfflineError::io("read", &self.target))
    }

    pub(crate) fn error(&self, source: ParquetError) -> OfflineError {
        OfflineError::Write { path: self.path.clone(), source }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a staged file stays until the next run");
        }
    }
}

/// Syncs the folders above `path` up to `root`.
pub(crate) fn sync_folders(path: &Path, root: &Path) -> Result<(), OfflineError> {
    for folder in path.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(OfflineError::io("sync", folder))?;
    }
    Ok(())
}
