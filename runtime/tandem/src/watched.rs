//! Files that may be replaced while the program runs.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// `files_poll_seconds`: how often a server looks whether its tokens, certificate and key are other ones, in seconds.
pub const FILES_POLL_SECONDS: u64 = 1;

/// Files, and what they were when they were last looked at.
#[derive(Debug)]
pub struct Watched {
    files: Vec<PathBuf>,
    seen: Mutex<Vec<Option<Print>>>,
}

/// Which file it is, and of when: device, inode, length, times of change of the content and of the inode, to the nanosecond.
type Print = (u64, u64, u64, (i64, i64), (i64, i64));

impl Watched {
    /// As they are now.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> Watched {
        let files: Vec<PathBuf> = files.into_iter().collect();
        let seen = Mutex::new(prints(&files));
        Watched { files, seen }
    }

    /// Whether one of them is another than at the last look. Blocking, though not for long.
    pub fn changed(&self) -> bool {
        let now = prints(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != now;
        *seen = now;
        changed
    }
}

fn prints(files: &[PathBuf]) -> Vec<Option<Print>> {
    let print = |file: &PathBuf| {
        let of = std::fs::metadata(file).ok()?;
        Some((of.dev(), of.ino(), of.len(), (of.mtime(), of.mtime_nsec()), (of.ctime(), of.ctime_nsec())))
    };
    files.iter().map(print).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, "1").unwrap();
        let watched = Watched::new([one.clone(), other.clone()]);
        assert!(!watched.changed());
        for change in [
            &|| std::fs::write(&other, "2").unwrap() as (),
            &|| std::fs::write(&one, "11").unwrap(),
            &|| {
                std::fs::write(folder.path().join("new"), "11").unwrap();
                std::fs::rename(folder.path().join("new"), &one).unwrap();
            },
            &|| std::fs::remove_file(&other).unwrap(),
        ] as [&dyn Fn(); 4]
        {
            change();
            assert_eq!((watched.changed(), watched.changed()), (true, false));
        }
    }
}
