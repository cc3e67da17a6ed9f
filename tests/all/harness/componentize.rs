//! componentize-py, as `tests/tools/requirements-python.txt` pins it, installed once into the target folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::guests::workspace;
use super::tools::{self, of_pypi, run};

/// Python's virtual environment with the tool.
pub(crate) fn environment() -> &'static Path {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| of_pypi("python", "requirements-python.txt"))
}

/// A new folder of this name, in which a transform in Python builds.
pub(crate) fn work(name: &str) -> PathBuf {
    let folder = tools::tools().join("python-work").join(name);
    let _ = fs::remove_dir_all(&folder);
    folder
}

/// Puts the environment where a transform in Python looks for it.
pub(crate) fn with_environment(folder: &Path) {
    symlink(environment(), folder.join(".venv")).expect("a link");
}

/// A copy of a transform's files in a new folder, with the environment; its manifest finds the SDK of this workspace.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    let sdk = workspace().join("guest-sdk/python/src");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        let ending = path.extension().unwrap_or_default();
        if ["py", "toml", "json"].iter().any(|kind| ending == *kind) {
            let text = fs::read_to_string(&path).expect("a text");
            let text = match text.split_once("path = [\"") {
                // Wherever it lies, from there.
                Some((before, _)) if ending == "toml" => format!("{before}path = [{sdk:?}]\n"),
                _ => text,
            };
            fs::write(to.join(name), text).expect("a file");
        }
    }
    with_environment(to);
}

/// Python's own tests in a folder, with the SDK of this workspace where `sdk` says so.
pub(crate) fn unittest(folder: &Path, with_sdk: bool) {
    let mut python = Command::new(environment().join("bin/python3"));
    python.args(["-m", "unittest"]).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1");
    if with_sdk {
        python.env("PYTHONPATH", workspace().join("guest-sdk/python/src"));
    }
    let said = run(&mut python);
    assert!(said.trim_end().ends_with("\nOK"), "{said}");
}
