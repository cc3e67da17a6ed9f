//! The languages, and which one a folder is written in.

use std::fmt::{self, Display};
use std::path::Path;

use crate::{BuildError, c, go, javascript, python, rust};

/// A language in which transforms are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// A crate: `Cargo.toml`.
    Rust,
    /// A module: `pyproject.toml` with a table `[tool.tandem]`.
    Python,
    /// A JavaScript or TypeScript module: `package.json` with `tandem`.
    JavaScript,
    /// C sources: `transform.c`.
    C,
    /// A Go module: `go.mod` that requires `tandem`.
    Go,
}

impl Language {
    /// Every language.
    pub const ALL: [Language; 5] = [Language::Rust, Language::Python, Language::JavaScript, Language::C, Language::Go];

    /// The language of a folder, by its manifest.
    ///
    /// # Errors
    ///
    /// A folder that cannot be read, one without a manifest, one with the manifests of two languages.
    pub fn of(folder: &Path) -> Result<Language, BuildError> {
        std::fs::read_dir(folder).map_err(|source| BuildError::Folder { folder: folder.to_path_buf(), source })?;
        let mut here = Language::ALL.into_iter().filter(|language| language.is_in(folder));
        match (here.next(), here.next()) {
            (Some(language), None) => Ok(language),
            (None, _) => Err(BuildError::NoTransform { folder: folder.to_path_buf() }),
            (Some(first), Some(second)) => {
                Err(BuildError::TwoLanguages { folder: folder.to_path_buf(), first, second })
            }
        }
    }

    fn is_in(self, folder: &Path) -> bool {
        match self {
            Language::Rust => rust::is_here(folder),
            Language::Python => python::is_here(folder),
            Language::JavaScript => javascript::is_here(folder),
            Language::C => c::is_here(folder),
            Language::Go => go::is_here(folder),
        }
    }

    /// What says that a folder is written in it.
    pub fn manifest(self) -> &'static str {
        match self {
            Language::Rust => rust::MANIFEST,
            Language::Python => "pyproject.toml with [tool.tandem]",
            Language::JavaScript => "package.json with \"tandem\"",
            Language::C => c::SOURCE,
            Language::Go => "go.mod that requires tandem",
        }
    }
}

impl Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Language::Rust => "Rust",
            Language::Python => "Python",
            Language::JavaScript => "JavaScript",
            Language::C => "C",
            Language::Go => "Go",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_manifest_says_which_language() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(matches!(Language::of(path), Err(BuildError::NoTransform { .. })));
        assert!(matches!(Language::of(&path.join("missing")), Err(BuildError::Folder { .. })));
        // A manifest that is about something else is none.
        fs::write(path.join("pyproject.toml"), "[project]\nname = \"x\"\n").unwrap();
        assert!(matches!(Language::of(path), Err(BuildError::NoTransform { .. })));
        fs::write(path.join("Cargo.toml"), "").unwrap();
        assert_eq!(Language::of(path).unwrap(), Language::Rust);
        fs::write(path.join("pyproject.toml"), "[tool.tandem]\n").unwrap();
        let error = Language::of(path).unwrap_err();
        assert!(matches!(error, BuildError::TwoLanguages { first: Language::Rust, second: Language::Python, .. }));
        fs::remove_file(path.join("Cargo.toml")).unwrap();
        assert_eq!(Language::of(path).unwrap(), Language::Python);
    }
}
