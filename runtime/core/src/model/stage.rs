//! How far a version may be relied on.

use super::ViewVersion;
use crate::time::Day;

/// How far a version may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// May be removed at any time; nothing in production may use it.
    Experimental,
    /// Relied on.
    Production,
    /// Still served; whoever uses it is told to move on.
    Deprecated,
}

impl Stage {
    /// Every variant.
    pub const ALL: [Stage; 3] = [Stage::Experimental, Stage::Production, Stage::Deprecated];

    /// Its word in definition files. Never part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Experimental => "experimental",
            Stage::Production => "production",
            Stage::Deprecated => "deprecated",
        }
    }
}

/// What users of a deprecated version are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// From which day on it should not be used.
    pub since: Day,
    /// What to use instead.
    pub replacement: Option<ViewVersion>,
}
