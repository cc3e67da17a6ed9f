//! The folder of a view's version: who may write it, what its files say, what an earlier run left behind.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use parquet::file::metadata::{FileMetaData, KeyValue};
use tandem_core::hash::Digest;
use tandem_core::model::BoundView;

use crate::error::OfflineError;
use crate::listing::{self, PartitionId};
use crate::staged::{self, DATA_FILE};
use crate::{footers, staged::sync_folders};

/// Version of the layout of published files, in the metadata key `tandem.format_version`.
pub const FORMAT_VERSION: &str = "2";

/// A layout of published files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Without the history's columns, and without published times. Read, no longer written.
    First,
    /// That of [`FORMAT_VERSION`].
    Current,
    /// The same, with the sequence of each row behind it.
    Pushed,
}

const LOCK_FILE: &str = ".lock";

const QUARANTINE_FOLDER: &str = "_quarantine";

/// Keys of the Parquet metadata of published files.
pub(crate) mod keys {
    pub(crate) const FORMAT_VERSION: &str = "tandem.format_version";
    pub(crate) const VIEW: &str = "tandem.view";
    pub(crate) const VIEW_VERSION: &str = "tandem.view_version";
    pub(crate) const COMPONENT_DIGEST: &str = "tandem.component_digest";
    pub(crate) const DEFINITION_HASH: &str = "tandem.definition_hash";
    pub(crate) const SOURCE_SNAPSHOT: &str = "tandem.source_snapshot";
    pub(crate) const PUSHED_SEQUENCES: &str = "tandem.pushed_sequences";
    pub(crate) const CONTRACT: &str = "tandem.contract";
    pub(crate) const RUNTIME_FINGERPRINT: &str = "tandem.runtime_fingerprint";
}

/// The folder of version `version` of `view`: `OFFLINE_ROOT/VIEW/vVERSION`.
pub fn view_folder(offline_root: &Path, view: &str, version: u32) -> PathBuf {
    offline_root.join(view).join(format!("v{version}"))
}

const REJECTED_FOLDER: &str = "_rejected";

/// Where the rows of a partition go that break a check.
pub(crate) fn rejected_folder(view_folder: &Path, partition: &PartitionId) -> PathBuf {
    partition.folder(&view_folder.join(REJECTED_FOLDER))
}

/// Removes what an earlier run kept aside because it broke a check. Blocking.
pub(crate) fn remove_rejected(view_folder: &Path, partition: &PartitionId) -> Result<(), OfflineError> {
    remove_data(rejected_folder(view_folder, partition), view_folder)
}

/// Where the rows go that a partition sets aside.
pub(crate) fn quarantine_folder(view_folder: &Path, partition: &PartitionId) -> PathBuf {
    partition.folder(&view_folder.join(QUARANTINE_FOLDER))
}

/// Removes the quarantined rows of an earlier run. Blocking.
pub(crate) fn remove_quarantine(view_folder: &Path, partition: &PartitionId) -> Result<(), OfflineError> {
    remove_data(quarantine_folder(view_folder, partition), view_folder)
}

fn remove_data(folder: PathBuf, view_folder: &Path) -> Result<(), OfflineError> {
    let path = folder.join(DATA_FILE);
    match fs::remove_file(&path) {
        Ok(()) => sync_folders(&path, view_folder),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OfflineError::io("remove", &path)(error)),
    }
}

/// The metadata of a file. Sorted and without a clock, so that the same inputs give the same bytes.
pub(crate) fn metadata(view: &BoundView, snapshot: Digest, contract: &str, fingerprint: &str) -> Vec<KeyValue> {
    [
        (keys::COMPONENT_DIGEST, view.digest.to_string()),
        (keys::CONTRACT, contract.to_owned()),
        (keys::DEFINITION_HASH, view.definition_hash.to_string()),
        (keys::FORMAT_VERSION, FORMAT_VERSION.to_owned()),
        (keys::RUNTIME_FINGERPRINT, fingerprint.to_owned()),
        (keys::SOURCE_SNAPSHOT, snapshot.to_string()),
        (keys::VIEW, view.view.name.clone()),
        (keys::VIEW_VERSION, view.view.version.to_string()),
    ]
    .map(|(key, value)| KeyValue::new(key.to_owned(), value))
    .to_vec()
}

/// What the metadata of a file of pushed rows says beside that.
pub(crate) fn pushed_metadata(sequences: &str) -> KeyValue {
    KeyValue::new(keys::PUSHED_SEQUENCES.to_owned(), sequences.to_owned())
}

/// Refuses a file that is not a published file of `view`, as it is defined now.
pub(crate) fn check_metadata(view: &BoundView, path: &Path, footer: &FileMetaData) -> Result<Format, OfflineError> {
    let pairs = footer.key_value_metadata().into_iter().flatten();
    let found: HashMap<&str, &str> =
        pairs.filter_map(|pair| Some((pair.key.as_str(), pair.value.as_deref()?))).collect();
    let not_ours = |reason: String| OfflineError::NotOurs { path: path.to_owned(), reason };
    let get = |key: &str| found.get(key).copied().ok_or_else(|| not_ours(format!("its metadata has no `{key}`")));
    let format = match get(keys::FORMAT_VERSION)? {
        "1" => Format::First,
        FORMAT_VERSION if found.contains_key(keys::PUSHED_SEQUENCES) => Format::Pushed,
        FORMAT_VERSION => Format::Current,
        other => {
            let known = format!("this program knows \"1\" and {FORMAT_VERSION:?}");
            return Err(not_ours(format!("its format version is {other:?}, and {known}")));
        }
    };
    let (name, version) = (get(keys::VIEW)?, get(keys::VIEW_VERSION)?);
    if name != view.view.name || version != view.view.version.to_string() {
        return Err(not_ours(format!("it holds version {version} of view `{name}`")));
    }
    let published = get(keys::DEFINITION_HASH)?;
    if published != view.definition_hash.to_string() {
        return Err(OfflineError::DefinitionChanged {
            view: view.view.name.clone(),
            version: view.view.version,
            path: path.to_owned(),
            published: published.to_owned(),
            current: view.definition_hash,
        });
    }
    Ok(format)
}

/// The right to write the folder of a view's version, until it is dropped or the process ends.
pub(crate) struct OutputLock {
    _file: File,
}

impl OutputLock {
    /// Takes the lock (flock on `.lock` in `folder`, which is made) or says who has it, and removes what killed runs left staged. Blocking,
    /// without waiting for the lock.
    pub(crate) fn take(folder: &Path) -> Result<Self, OfflineError> {
        Self::take_for(folder, staged::is_staged)
    }

    /// The same for a folder with other files: what `is_staged` holds for is removed.
    pub(crate) fn take_for(folder: &Path, is_staged: fn(&str) -> bool) -> Result<Self, OfflineError> {
        fs::create_dir_all(folder).map_err(OfflineError::io("create", folder))?;
        let path = folder.join(LOCK_FILE);
        let mut options = File::options();
        let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(OfflineError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let read = file.read_to_string(&mut pid);
                let pid = read.ok().and_then(|_| pid.trim().parse().ok());
                return Err(OfflineError::Locked { folder: folder.to_owned(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(OfflineError::io("lock", &path)(error)),
        }
        // The file stays when the lock goes: removing it would let two runs lock two files of one name.
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(OfflineError::io("write", &path))?;
        for staged in listing::staged_files(folder, is_staged)? {
            tracing::info!(path = %staged.display(), "removing what a killed run left staged");
            fs::remove_file(&staged).map_err(OfflineError::io("remove", &staged))?;
        }
        Ok(OutputLock { _file: file })
    }
}

/// The partitions that are published in `folder`, every one checked against `view` as it is defined now. Blocking.
pub(crate) fn check_published(view: &BoundView, folder: &Path) -> Result<Vec<listing::PartitionFiles>, OfflineError> {
    let listing = listing::list_folder(folder, view.view.published_partition(), None)?;
    for file in listing.partitions.iter().flat_map(|partition| &partition.files) {
        let footer = footers::read(&file.path).map_err(OfflineError::published)?;
        check_metadata(view, &file.path, footer.metadata().file_metadata())?;
    }
    Ok(listing.partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_has_the_lock() {
        let root = tempfile::tempdir().unwrap();
        let folder = view_folder(root.path(), "spend", 3);
        let lock = OutputLock::take(&folder).unwrap();
        let error = OutputLock::take(&folder).err().unwrap();
        let me = std::process::id();
        assert!(matches!(&error, OfflineError::Locked { pid: Some(pid), .. } if *pid == me));
        assert_eq!(error.to_string(), format!("{} is being written by process {me}", folder.display()));
        drop(lock);
        assert!(OutputLock::take(&folder).is_ok());
    }

    #[test]
    fn the_next_run_removes_what_a_killed_one_staged() {
        let root = tempfile::tempdir().unwrap();
        let kept = ["date=2026-01-01/part-0.parquet", "date=2026-01-01/.part-0.parquet.notes"];
        let stale =
            ["date=2026-01-01/.part-0.parquet.77-1.staged", "_quarantine/date=2026-01-01/.part-0.parquet.77-1.staged"];
        for file in kept.iter().chain(&stale) {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        OutputLock::take(root.path()).unwrap();
        assert!(kept.iter().all(|file| root.path().join(file).exists()));
        assert!(stale.iter().all(|file| !root.path().join(file).exists()));
    }
}
