//! What becomes of an LMDB error.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use super::{Access, DATA_FILE, Environment, OPEN};
use crate::error::OnlineError;

/// Bytes that are written to find out whether the disk is full.
const PROBE_BYTES: usize = 1 << 20;
const PROBE_FILE: &str = "probe.tmp";

/// Why a transaction ended without a result.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The map has no more room: it must grow.
    MapFull,
    /// Another process grew the map.
    MapResized,
    /// Every reader slot is taken, perhaps by the dead.
    ReadersFull,
    /// The environment is unusable until it is opened anew.
    Broken,
    /// Anything else; it is the caller's.
    Error(OnlineError),
}

impl From<OnlineError> for Fault {
    fn from(error: OnlineError) -> Self {
        Fault::Error(error)
    }
}

impl Environment {
    pub(super) fn fault(&self, operation: &'static str, error: lmdb::Error) -> Fault {
        match error {
            lmdb::Error::MapFull => Fault::MapFull,
            lmdb::Error::MapResized => Fault::MapResized,
            lmdb::Error::ReadersFull => Fault::ReadersFull,
            lmdb::Error::Panic => Fault::Broken,
            error => Fault::Error(self.error(operation, error)),
        }
    }

    pub(super) fn error(&self, operation: &'static str, error: lmdb::Error) -> OnlineError {
        let path = self.path.clone();
        match error {
            lmdb::Error::ReadersFull => OnlineError::ReadersFull { path, readers_max: self.options.readers_max },
            lmdb::Error::Other(code) => {
                let source = io::Error::from_raw_os_error(code);
                if is_full(&source) {
                    return OnlineError::DiskFull { path, source };
                }
                if matches!(source.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) {
                    return OnlineError::Forbidden { operation, path, source };
                }
                // A write that the system cut short, as it does when the disk becomes full midway, LMDB reports as an I/O error.
                // Making a store commits too.
                if ["commit", OPEN].contains(&operation)
                    && self.access == Access::ReadWrite
                    && let Some(source) = probe(&self.path)
                {
                    return OnlineError::DiskFull { path, source };
                }
                self.environment_error(operation, lmdb::Error::Other(code))
            }
            error => self.environment_error(operation, error),
        }
    }

    pub(super) fn environment_error(&self, operation: &'static str, error: lmdb::Error) -> OnlineError {
        let path = self.path.clone();
        OnlineError::Environment { operation, path, code: error.to_err_code(), reason: error.to_string() }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// The error of a disk that is full, if it is: whether a file as long as the data and a little more may be, and whether
/// the little more can be written.
fn probe(folder: &Path) -> Option<io::Error> {
    let path = folder.join(PROBE_FILE);
    let data_bytes = fs::metadata(folder.join(DATA_FILE)).map_or(0, |metadata| metadata.len());
    let attempt = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        file.set_len(data_bytes + PROBE_BYTES as u64)?;
        file.write_all(&vec![1; PROBE_BYTES])?;
        file.sync_all()
    };
    let full = attempt().err().filter(is_full);
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove the probe of a full disk");
    }
    full
}
