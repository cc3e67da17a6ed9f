//! What models use: feature services, and aliases of versions.

use std::collections::BTreeMap;
use std::fmt;

use super::{Stage, ViewVersion};
use crate::time::Duration;

/// The features that a model uses, pinned to versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureService {
    /// Its name.
    pub name: String,
    /// What it gives, in this order; at least one, none twice.
    pub features: Vec<ServiceFeatures>,
    /// Whether a feature is named `view__feature` instead of `feature`, so that two views may have one of the same name.
    pub prefix: bool,
    /// How long a request may take that brings no deadline of its own; None is the server's `request_seconds_max`.
    pub deadline: Option<Duration>,
    /// The features without which an answer is of no use, by their names in it: where one cannot be known, the request fails.
    pub required: Required,
    /// [`Stage::Experimental`] or [`Stage::Production`].
    pub stage: Stage,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// For people; may be empty.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

/// Features of one view, as a service names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceFeatures {
    /// The view.
    pub view: ViewVersion,
    /// One feature of it; None is all of them, in the order of the view's signature.
    pub feature: Option<String>,
}

/// `view@version` or `view@version:feature`.
impl fmt::Display for ServiceFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view.fmt(f)?;
        self.feature.iter().try_for_each(|feature| write!(f, ":{feature}"))
    }
}

/// A second name for one version of a view; it may be moved to another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The view's name.
    pub view: String,
    /// The alias, unique among those of the view.
    pub name: String,
    /// The version that it stands for.
    pub version: u32,
}

impl Alias {
    /// The version that it stands for.
    pub fn target(&self) -> ViewVersion {
        ViewVersion::new(&self.view, self.version)
    }
}

/// `view@alias`.
impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.view, self.name)
    }
}

/// Which features of a service a request cannot do without. The others are answered as far as they are known, each with its status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Required {
    /// None: every feature is best effort.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of these names, sorted, at least one.
    Features(Vec<String>),
}

impl Required {
    /// Whether a feature is one of them.
    pub fn has(&self, feature: &str) -> bool {
        match self {
            Required::None => false,
            Required::All => true,
            Required::Features(names) => names.iter().any(|name| name == feature),
        }
    }
}
