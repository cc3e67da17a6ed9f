//! One writer at a time.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::RegistryError;
use crate::layout::folder_of;

/// `lock_seconds_max`: how long a writer waits for another, in seconds. A registration is written in much less.
pub const LOCK_SECONDS_MAX: u64 = 30;

/// How often a waiting writer looks, in milliseconds.
const LOOK_MILLIS: u64 = 10;

/// The right to write, until it is dropped or the process ends.
pub(crate) struct WriteLock {
    _file: File,
}

impl WriteLock {
    /// Takes the lock (flock on the file, which is made). Blocking.
    pub(crate) fn take(path: &Path, wait: Duration) -> Result<WriteLock, RegistryError> {
        let refused = |source| RegistryError::NotWritable { folder: folder_of(path).to_owned(), source };
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(refused)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < wait => {
                    std::thread::sleep(Duration::from_millis(LOOK_MILLIS));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut pid = String::new();
                    let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
                    return Err(RegistryError::Busy {
                        folder: folder_of(path).to_owned(),
                        pid,
                        seconds: wait.as_secs(),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
        }
        // The file stays when the lock goes: removing it would let two writers lock two files of one name.
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(refused)?;
        Ok(WriteLock { _file: file })
    }
}
