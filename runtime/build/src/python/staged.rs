//! A copy of the author's folder, as the module is imported from it.
//!
//! The tool walks through every folder that it is told, follows links, and leaves compiled modules behind. So it is not told the author's
//! folder, which has an environment with thousands of files, but a copy of what may belong to the module.

use std::fs;
use std::io;
use std::path::Path;

use crate::BuildError;

/// Largest file that is taken over, in bytes: what a module may read on import, and no data beside it.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Folders that are made by tools and belong to no module, beside hidden ones.
const LEFT_OUT: [&str; 4] = ["__pycache__", "node_modules", "target", "venv"];

/// Copies what may belong to the module in `folder` into `place`.
pub(super) fn copy(folder: &Path, place: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(place).map_err(|source| BuildError::Write { path: place.to_path_buf(), source })?;
    let read = |source: io::Error| BuildError::Read { path: folder.to_path_buf(), source };
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let (name, from) = (entry.file_name(), entry.path());
        let shown = name.to_string_lossy();
        if shown.starts_with('.') || shown.ends_with(".wasm") || LEFT_OUT.contains(&&*shown) {
            continue;
        }
        // A link to a folder may lead back here; one to a file is the file.
        let is_folder = entry.file_type().map_err(read)?.is_dir();
        let to = place.join(&name);
        if is_folder {
            copy(&from, &to)?;
        } else if fs::metadata(&from).is_ok_and(|file| file.is_file() && file.len() <= FILE_BYTES_MAX) {
            fs::copy(&from, &to).map_err(|source| BuildError::Write { path: to, source })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_make_is_left_out() {
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("from"), root.path().join("to"));
        for file in [
            "transform.py",
            "pkg/a.py",
            "words.txt",
            ".venv/lib/x.py",
            "__pycache__/a.pyc",
            "pkg/__pycache__/b.pyc",
            "a.wasm",
        ] {
            fs::create_dir_all(from.join(file).parent().unwrap()).unwrap();
            fs::write(from.join(file), file).unwrap();
        }
        fs::File::create(from.join("large")).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&from, from.join("round")).unwrap();
        copy(&from, &to).unwrap();
        let mut found: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        assert_eq!(found, ["pkg", "transform.py", "words.txt"]);
        assert_eq!(fs::read_dir(to.join("pkg")).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(to.join("pkg/a.py")).unwrap(), "pkg/a.py");
    }
}
