//! The rustc that cargo will use for a crate.

use std::path::{Path, PathBuf};

use super::command;
use crate::{BuildError, TARGET};

/// What is to be known about a compiler. A crate may select its own (`rust-toolchain.toml`), so it is asked in the
/// crate's folder.
#[derive(Debug, Clone)]
pub(crate) struct Compiler {
    /// The crate's folder.
    pub(crate) directory: PathBuf,
    /// All of `rustc -vV`.
    pub(crate) verbose_version: String,
    /// `1.95.0`.
    pub(crate) release: String,
    /// The commit that it was built from, or `unknown`.
    pub(crate) commit: String,
    /// Its own sysroot.
    pub(crate) sysroot: PathBuf,
    /// Cargo's home, where the sources of dependencies lie.
    pub(crate) cargo_home: Option<PathBuf>,
}

impl Compiler {
    /// Asks the rustc of the crate in `directory`.
    pub(crate) fn query(directory: &Path) -> Result<Compiler, BuildError> {
        let verbose_version = ask(directory, &["-vV"])?;
        let sysroot = ask(directory, &["--print", "sysroot"])?;
        let line = |name: &str| {
            let value = verbose_version.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            value.unwrap_or("unknown").to_owned()
        };
        Ok(Compiler {
            directory: directory.to_path_buf(),
            release: line("release:"),
            commit: line("commit-hash:"),
            sysroot: sysroot.trim_end().into(),
            cargo_home: cargo_home(),
            verbose_version,
        })
    }

    /// Whether its own sysroot has the standard library for [`TARGET`].
    pub(crate) fn has_target(&self) -> Result<bool, BuildError> {
        let libraries = ask(&self.directory, &["--print", "target-libdir", "--target", TARGET])?;
        Ok(has_standard_library(Path::new(libraries.trim_end())))
    }
}

/// Whether the folder of a target's libraries has `std`.
pub(crate) fn has_standard_library(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        })
    })
}

fn ask(directory: &Path, arguments: &[&str]) -> Result<String, BuildError> {
    let output = command("rustc", directory)
        .args(arguments)
        .output()
        .map_err(|source| BuildError::Toolchain { program: "rustc", source })?;
    if !output.status.success() {
        return Err(BuildError::Rustc {
            arguments: arguments.join(" "),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_compiler_answers() {
        let compiler = Compiler::query(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(compiler.verbose_version.contains(&format!("release: {}", compiler.release)));
        assert!(compiler.sysroot.join("lib").is_dir(), "{compiler:?}");
    }

    #[test]
    fn a_folder_without_std_is_no_target() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!has_standard_library(folder.path()));
        std::fs::write(folder.path().join("libstd_detect-1.rlib"), "").unwrap();
        assert!(!has_standard_library(folder.path()));
        std::fs::write(folder.path().join("libstd-1.rlib"), "").unwrap();
        assert!(has_standard_library(folder.path()));
    }
}
