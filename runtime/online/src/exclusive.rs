//! One environment per path and process.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The paths that this process has open.
///
/// The one static of the crate, because the rule it keeps is one of the process: LMDB's locks are POSIX record locks, which the kernel keeps per
/// process and drops when *any* descriptor of the lock file is closed. Closing a second environment of the same path
/// would silently take the first one's locks away.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The right of this process to have the store at a path open, given back on drop.
#[derive(Debug)]
pub(crate) struct Exclusive(PathBuf);

impl Exclusive {
    /// Claims a canonical path; none if the process has it open already.
    pub(crate) fn claim(path: PathBuf) -> Option<Exclusive> {
        // Not built before it is known to be ours: dropping it gives the path back.
        let claimed = open_paths().insert(path.clone());
        claimed.then(|| Exclusive(path))
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        open_paths().remove(&self.0);
    }
}

fn open_paths() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set has no state between two inserts that a panic could have left half-done.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
