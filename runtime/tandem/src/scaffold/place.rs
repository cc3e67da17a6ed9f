//! Folders on disk: the one to make, and the way from it to an SDK.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, io};

/// Whether the folder can be made: it is not there, or it is empty and not the one this process is in.
pub(super) fn check(folder: &Path) -> Result<(), Error> {
    let mut entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            // It, or what lies above it.
            let taken = folder.ancestors().find(|path| path.exists()).unwrap_or(folder);
            return Err(Error::FolderTaken { folder: taken.to_owned(), by: "is not a folder" });
        }
        entries => entries.map_err(io("list", folder))?,
    };
    let by = if entries.next().is_some() {
        "is not empty"
    } else if is_here(folder) {
        // It would be replaced below the shell's feet.
        "is the folder you are in"
    } else {
        return Ok(());
    };
    Err(Error::FolderTaken { folder: folder.to_owned(), by })
}

fn is_here(folder: &Path) -> bool {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    matches!((here, folder.canonicalize()), (Ok(here), Ok(folder)) if here == folder)
}

/// Writes all files into a folder beside `folder`, then renames it.
pub(super) fn write(folder: &Path, files: &[(String, String)]) -> Result<(), Error> {
    let absolute = std::path::absolute(folder).map_err(io("make", folder))?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(Error::FolderTaken { folder: folder.to_owned(), by: "is the root folder" });
    };
    fs::create_dir_all(parent).map_err(io("make the folder", parent))?;
    // Of this process alone: a command makes one folder.
    let staged = parent.join(format!(".{}.{}.staged", name.to_string_lossy(), std::process::id()));
    let written = write_all(&staged, files).and_then(|()| put_in_place(&staged, folder));
    if written.is_err() {
        let _ = fs::remove_dir_all(&staged);
    }
    written
}

fn write_all(staged: &Path, files: &[(String, String)]) -> Result<(), Error> {
    fs::create_dir(staged).map_err(io("make the folder", staged))?;
    for (path, text) in files {
        let path = staged.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io("make the folder", parent))?;
        }
        fs::write(&path, text).map_err(io("write", &path))?;
    }
    Ok(())
}

fn put_in_place(staged: &Path, folder: &Path) -> Result<(), Error> {
    // An empty folder makes way; `remove_dir` refuses one that has been filled meanwhile.
    match fs::remove_dir(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io("replace", folder)(error)),
        _ => {}
    }
    fs::rename(staged, folder).map_err(io("make the folder", folder))
}

/// How the SDK of a language is known.
pub(super) struct SdkPlace {
    /// Its manifest.
    pub(super) manifest: &'static str,
    /// The line of the manifest that names it, without spaces and without a comma at its end.
    pub(super) name_line: &'static str,
    /// Its folder in a checkout.
    pub(super) home: &'static str,
}

/// The SDK's folder as the manifest in `folder` should have it: relative where it was given so, since the two then move together.
pub(super) fn path_to_sdk(folder: &Path, sdk: &Path, place: &SdkPlace) -> Result<String, Error> {
    let refuse = |reason: String| Error::NotAnSdk { folder: sdk.to_owned(), reason, home: place.home };
    let manifest = sdk.join(place.manifest);
    let text = match fs::read_to_string(&manifest) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(refuse(format!("it has no {}", place.manifest)));
        }
        text => text.map_err(io("read", manifest))?,
    };
    let names_it = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().replace(' ', "");
        line.trim().trim_end_matches(',') == place.name_line
    };
    if !text.lines().any(names_it) {
        return Err(refuse(format!("its {} is not that of tandem-sdk", place.manifest)));
    }
    let real = sdk.canonicalize().map_err(io("open", sdk))?;
    let path = if sdk.is_absolute() {
        real
    } else {
        let folder = std::path::absolute(folder).map_err(io("make", folder))?;
        relative(&resolved(&folder), &real)
    };
    let path = path.to_str().ok_or_else(|| refuse("its path is not UTF-8".to_owned()))?;
    Ok(path.replace('\\', "/"))
}

/// A path that need not be there, with the links of what is there followed.
fn resolved(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(parent), Some(name)) => resolved(parent).join(name),
        _ => path.to_owned(),
    }
}

/// The way from one absolute folder to another.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
    up.chain(to[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_folders() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to)).to_str().unwrap().to_owned();
        assert_eq!(way("/a/b/c", "/a/x/y"), "../../x/y");
        assert_eq!(way("/a", "/a/x"), "x");
        assert_eq!(way("/a/b", "/a"), "..");
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        // A file cannot be a folder of another: the second write fails.
        let files = [("a".to_owned(), String::new()), ("a/b".to_owned(), String::new())];
        let folder = root.path().join("new");
        assert!(write(&folder, &files).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        fs::write(&folder, "taken").unwrap();
        assert!(write(&folder, &files[..1]).is_err());
        assert_eq!(fs::read_to_string(&folder).unwrap(), "taken");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
