//! Files that are there whole or not at all, and are still there after a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::error::{RegistryError, io as io_error};
use crate::layout::folder_of;

/// The steps of writing. Tests count them, stop at one of them, and look at their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "only tests look at the steps"))]
pub(crate) enum Step<'a> {
    MakeFolder(&'a Path),
    Write(&'a Path),
    Sync(&'a Path),
    Rename(&'a Path),
    SyncFolder(&'a Path),
}

/// The way to the disk.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    watch: Option<std::sync::Arc<Watch>>,
}

/// Sees each step before it is done, and may refuse it.
#[cfg(test)]
pub(crate) type Watch = dyn Fn(Step<'_>) -> io::Result<()> + Send + Sync;

impl Disk {
    #[cfg(test)]
    pub(crate) fn watched(watch: std::sync::Arc<Watch>) -> Disk {
        Disk { watch: Some(watch) }
    }

    #[cfg(test)]
    fn step(&self, step: Step<'_>) -> io::Result<()> {
        self.watch.as_ref().map_or(Ok(()), |watch| watch(step))
    }

    #[cfg(not(test))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "tests watch here")]
    fn step(&self, _: Step<'_>) -> io::Result<()> {
        Ok(())
    }

    /// Makes a folder, and those above it.
    pub(crate) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        self.step(Step::MakeFolder(folder))?;
        fs::create_dir_all(folder)
    }

    /// Writes `staged`, syncs it and renames it to `path`. The folder of `path` is not synced.
    pub(crate) fn write_whole(&self, staged: &Path, path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        let written = (|| {
            self.step(Step::Write(path))?;
            let mut file = File::create(staged)?;
            file.write_all(bytes)?;
            self.step(Step::Sync(path))?;
            file.sync_all()?;
            self.step(Step::Rename(path))?;
            fs::rename(staged, path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(staged); // the first error is the one to tell; the next writer overwrites what is left
        }
        written.map_err(io_error("write", path))
    }

    /// Makes what was renamed into a folder last.
    pub(crate) fn sync_folder(&self, folder: &Path) -> Result<(), RegistryError> {
        let synced = self.step(Step::SyncFolder(folder)).and_then(|()| File::open(folder)?.sync_all());
        synced.map_err(io_error("sync", folder))
    }

    /// Syncs the folder that holds `path`.
    pub(crate) fn sync_folder_of(&self, path: &Path) -> Result<(), RegistryError> {
        let folder = folder_of(path);
        self.sync_folder(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    }
}
