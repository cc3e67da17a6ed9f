//! Definitions that were rendered one by one, read back together.

use std::path::Path;

use super::diagnostic::Diagnostics;
use super::project::{Features, File, NamesOf, read_features};
use super::reader::Report;
use crate::model::{Alias, FeatureService, FeatureView};

/// What was registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// Sorted by name and version.
    pub views: Vec<FeatureView>,
    /// Sorted by name.
    pub services: Vec<FeatureService>,
    /// Sorted by view and name.
    pub aliases: Vec<Alias>,
}

/// Reads files that [`render_view`](super::render_view), [`render_service`](super::render_service) and
/// [`render_alias`](super::render_alias) wrote. Paths are joined to `root`, as they were relative to it when they were written.
///
/// Entities and sources have their names within one file only: two versions of a view were registered at two times, and a source
/// may have been moved in between. Views are known in all files, so all that are read must be among them.
pub fn parse_registered(files: &[File], root: &Path) -> Result<Registered, Diagnostics> {
    let report = Report::default();
    let Features { views, services, aliases, .. } = read_features(&report, files, root, NamesOf::EachFile);
    report.finish(Some(Registered { views, services, aliases }))
}
