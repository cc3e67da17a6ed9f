//! The contract as tools of other languages read it: a folder with the WIT.

use std::path::{Path, PathBuf};

use crate::BuildError;

/// `wit/feature.wit`, as this program was built with it.
pub(crate) const TEXT: &str = include_str!("../../../wit/feature.wit");

/// The world that a transform implements.
pub(crate) const WORLD: &str = "transform";

/// The world that a function of aggregates implements.
pub(crate) const AGGREGATE_WORLD: &str = "aggregate";

/// Writes `text`, the contract or a form of it, into `scratch`; gives the folder that tools are told.
pub(crate) fn write(scratch: &Path, text: &str) -> Result<PathBuf, BuildError> {
    let folder = scratch.join("wit");
    let file = folder.join("feature.wit");
    let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, text));
    written.map_err(|source| BuildError::Write { path: file, source })?;
    Ok(folder)
}
