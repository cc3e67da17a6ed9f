//! A training set into a Parquet file that is there whole or not at all.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use tandem_core::hash::{Digest, Hasher};

use super::TrainingError;
use super::encode::Encoder;
use crate::error::OfflineError;
use crate::footers;
use crate::staged::{Staged, Target, sync_folders};

/// Folder beside a training set for one that breaks checks.
const REJECTED: &str = "_rejected";

/// A file being written, beside its target. Dropped before [`TrainingFile::finish`], it is removed.
pub struct TrainingFile {
    writer: Encoder,
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
        let writer = Encoder::create(target, schema, row_group_rows)?;
        Ok(TrainingFile { writer, rows: 0 })
    }

    /// Appends rows. Blocking.
    ///
    /// # Errors
    ///
    /// A disk that is full.
    pub fn write(&mut self, rows: RecordBatch) -> Result<(), TrainingError> {
        self.rows += rows.num_rows() as u64;
        self.writer.write(rows)
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

    /// Renames it over its target, and puts `text` beside it into the file `beside`, in the same folder. A run that is killed in between leaves the new file
    /// without a text beside it, and never beside that of another. Blocking.
    ///
    /// # Errors
    ///
    /// Whatever the file system refuses.
    pub fn publish(self, beside: &Path, text: &str) -> Result<(), TrainingError> {
        let text = StagedText::write(beside, text)?;
        match fs::remove_file(beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(OfflineError::io("remove", beside)(error).into());
            }
            _ => {}
        }
        let folder = self.staged.target().parent().map(Path::to_owned).unwrap_or_default();
        sync_folders(beside, &folder)?;
        let set_aside =
            [self.staged.target(), beside].map(|path| path.file_name().map(|file| folder.join(REJECTED).join(file)));
        self.staged.publish()?;
        text.publish(&folder)?;
        // What an earlier run kept aside is of no use beside a set that is good.
        for path in set_aside.into_iter().flatten() {
            let _ = fs::remove_file(path);
        }
        let _ = fs::remove_dir(folder.join(REJECTED));
        Ok(())
    }

    /// Keeps it aside for a look, in the folder `_rejected` beside its target, with `text` beside it; gives its place. What is at the target stays.
    /// Blocking.
    ///
    /// # Errors
    ///
    /// Whatever the file system refuses.
    pub fn keep_aside(self, beside: &Path, text: &str) -> Result<PathBuf, TrainingError> {
        let aside = |path: &Path| {
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            folder.join(REJECTED).join(path.file_name().unwrap_or_default())
        };
        let (target, beside) = (aside(self.staged.target()), aside(beside));
        let finished = FinishedFile { staged: self.staged.retarget(target.clone())?, written: self.written };
        let text = StagedText::write(&beside, text)?;
        let folder = target.parent().map(Path::to_owned).unwrap_or_default();
        finished.staged.publish()?;
        text.publish(&folder)?;
        Ok(target)
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

/// A small text file that is whole, and not at its place yet. Dropped before [`StagedText::publish`], it is removed.
struct StagedText {
    path: PathBuf,
    target: PathBuf,
}

impl StagedText {
    /// What runs that were killed left behind there is removed. Blocking.
    fn write(target: &Path, text: &str) -> Result<Self, TrainingError> {
        let (folder, file) = place(target)?;
        remove_left_behind(&folder, &file);
        let staged = StagedText {
            path: folder.join(format!(".{file}.{}.staged", std::process::id())),
            target: target.to_owned(),
        };
        let write = || {
            fs::write(&staged.path, text)?;
            fs::File::open(&staged.path)?.sync_all()
        };
        write().map_err(OfflineError::io("write", target))?;
        Ok(staged)
    }

    fn publish(self, folder: &Path) -> Result<(), TrainingError> {
        fs::rename(&self.path, &self.target).map_err(OfflineError::io("write", &self.target))?;
        Ok(sync_folders(&self.target, folder)?)
    }
}

impl Drop for StagedText {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The value of a key in the metadata of a Parquet file. Blocking.
///
/// # Errors
///
/// A file that cannot be read, or is no whole Parquet file.
pub fn metadata(path: &Path, key: &str) -> Result<Option<String>, TrainingError> {
    let footer = footers::read(path)?;
    let pairs = footer.metadata().file_metadata().key_value_metadata();
    let pair = pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == key));
    Ok(pair.and_then(|pair| pair.value.clone()))
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
