//! A training set into a Parquet file that is there whole or not at all.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tandem_core::hash::{Digest, Hasher};

use super::TrainingError;
use crate::error::OfflineError;
use crate::staged::{Staged, StagedWriter, Target};

/// A file being written, beside its target. Dropped before [`TrainingFile::finish`], it is removed.
pub struct TrainingFile {
    writer: StagedWriter,
    rows: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Rows.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub digest: Digest,
}

impl TrainingFile {
    /// Begins a file that will be at `target`. What runs that were killed left behind there is removed. Blocking.
    ///
    /// # Errors
    ///
    /// A target that is a folder, or a folder that cannot be written.
    pub fn create(target: &Path, schema: SchemaRef, row_group_rows: usize) -> Result<Self, TrainingError> {
        let (folder, file) = place(target)?;
        remove_left_behind(&folder, &file);
        let run_id = std::process::id().to_string();
        let target = Target { folder: folder.clone(), file: &file, root: &folder, run_id: &run_id, lock: None };
        let writer = StagedWriter::create(target, schema, Vec::new(), row_group_rows)?;
        Ok(TrainingFile { writer, rows: 0 })
    }

    /// Appends rows. Blocking.
    ///
    /// # Errors
    ///
    /// A disk that is full.
    pub fn write(&mut self, rows: RecordBatch) -> Result<(), TrainingError> {
        self.rows += rows.num_rows() as u64;
        Ok(self.writer.write(rows)?)
    }

    /// Ends the file, with these keys and values in its metadata, and syncs it. Blocking.
    ///
    /// # Errors
    ///
    /// A disk that is full. The target is as it was then.
    pub fn finish(mut self, metadata: &[(&str, &str)]) -> Result<FinishedFile, TrainingError> {
        for (key, value) in metadata {
            self.writer.append_metadata(key, value);
        }
        let staged = self.writer.finish()?;
        let (digest, bytes) = digest(staged.path())?;
        Ok(FinishedFile { staged, written: Written { rows: self.rows, bytes, digest } })
    }
}

/// A file that is whole, and not at its place yet. Dropped before [`FinishedFile::publish`], it is removed.
pub struct FinishedFile {
    staged: Staged,
    written: Written,
}

impl FinishedFile {
    /// What it is.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Renames it over its target. Blocking.
    ///
    /// # Errors
    ///
    /// Whatever the file system refuses.
    pub fn publish(self) -> Result<(), TrainingError> {
        Ok(self.staged.publish().map(drop)?)
    }
}

/// SHA-256 and size of a file. Blocking.
///
/// # Errors
///
/// A file that cannot be read.
pub fn digest(path: &Path) -> Result<(Digest, u64), TrainingError> {
    let mut file = fs::File::open(path).map_err(OfflineError::io("open", path))?;
    let (mut hasher, mut bytes, mut buffer) = (Hasher::default(), 0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).map_err(OfflineError::io("read", path))?;
        if read == 0 {
            return Ok((hasher.finish(), bytes));
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Writes a small text file beside its target and renames it over it. What runs that were killed left behind there is removed. Blocking.
///
/// # Errors
///
/// As [`TrainingFile::create`].
pub fn write_text(target: &Path, text: &str) -> Result<(), TrainingError> {
    let (folder, file) = place(target)?;
    remove_left_behind(&folder, &file);
    let staged = folder.join(format!(".{file}.{}.staged", std::process::id()));
    let write = || {
        fs::write(&staged, text)?;
        fs::File::open(&staged)?.sync_all()?;
        fs::rename(&staged, target)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&staged);
        OfflineError::io("write", target)(error).into()
    })
}

fn place(target: &Path) -> Result<(PathBuf, String), TrainingError> {
    let no_place = |reason: String| TrainingError::Output { path: target.to_owned(), reason };
    if target.is_dir() {
        return Err(no_place("it is a folder".to_owned()));
    }
    let file = target.file_name().and_then(|name| name.to_str());
    let file = file.ok_or_else(|| no_place("it has no name, or one that is not UTF-8".to_owned()))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(no_place(format!("there is no folder {}", folder.display())));
    }
    Ok((folder.to_owned(), file.to_owned()))
}

/// Removes files that were staged for `file` by processes that are gone. Where that cannot be told, they stay.
fn remove_left_behind(folder: &Path, file: &str) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let staged = name.to_str().and_then(|name| name.strip_prefix('.')?.strip_prefix(file)?.strip_prefix('.'));
        let Some(pid) = staged.and_then(|rest| rest.strip_suffix(".staged")) else { continue };
        let is_number = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && Path::new("/proc/self").exists() && !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_file(entry.path());
        }
    }
}
