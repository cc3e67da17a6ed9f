//! What definitions mean once they are checked. [`crate::definition`] makes these; nothing here is unchecked.

mod bound;
mod check;
mod column;
mod component;
mod contract;
mod entity;
mod reference;
mod rules;
mod service;
mod source;
mod stage;
mod view;
mod view_source;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use bound::BoundView;
pub use check::{Allowed, Check, CheckAction, Expected};
pub use column::ColumnFeature;
pub use component::{BoundComponent, Code, CodeError, EventTransform, MappedEvents};
pub use contract::{ColumnContract, SourceContract};
pub use entity::{Entity, JoinKey};
pub use reference::{NotAReference, Selector, ViewReference, ViewVersion};
pub use rules::{AsOf, History, InstanceMode, KnownBy, NanMode, OnError};
pub use service::{Alias, FeatureService, Required, ServiceFeatures, Share};
pub use source::{Source, SourceKind, SourceQuery};
pub use stage::{Deprecation, Stage};
pub use view::{FeatureView, InputSource};
pub use view_source::{GRID_PARTITION, PublishedRows, ViewSource};

use crate::definition::Settings;

/// Everything that a project's files say, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// How it runs: `tandem.toml`.
    pub settings: Settings,
    /// All entities, sorted by name.
    pub entities: Vec<Arc<Entity>>,
    /// All sources, sorted by name.
    pub sources: Vec<Arc<Source>>,
    /// All versions of all feature views, sorted by name and version.
    pub views: Vec<FeatureView>,
    /// All feature services, sorted by name.
    pub services: Vec<FeatureService>,
    /// All aliases, sorted by view and name.
    pub aliases: Vec<Alias>,
}

impl Project {
    /// The view that is meant.
    pub fn view(&self, reference: &ViewReference) -> Option<&FeatureView> {
        match &reference.selector {
            Selector::Latest => self.views.iter().rfind(|view| view.name == reference.name),
            Selector::Version(version) => self.version(&ViewVersion::new(&reference.name, *version)),
            Selector::Alias(name) => {
                let alias = self.aliases.iter().find(|alias| alias.view == reference.name && alias.name == *name)?;
                self.version(&alias.target())
            }
        }
    }

    /// The view and all that it reads, directly or through others, each once and after what it reads itself; so the view is the last.
    pub fn with_upstream<'a>(&'a self, view: &'a FeatureView) -> Vec<&'a FeatureView> {
        let mut ordered = Vec::new();
        let mut done = BTreeSet::new();
        // Each view is met twice: first to put what it reads before it, then to take its place.
        let mut waiting = vec![(view, false)];
        while let Some((view, is_ready)) = waiting.pop() {
            if done.contains(&(&view.name, view.version)) {
                continue;
            }
            if is_ready {
                done.insert((&view.name, view.version));
                ordered.push(view);
                continue;
            }
            waiting.push((view, true));
            waiting
                .extend(view.upstream().into_iter().rev().filter_map(|id| self.version(id)).map(|view| (view, false)));
        }
        ordered
    }

    /// This version.
    pub fn version(&self, id: &ViewVersion) -> Option<&FeatureView> {
        let found = self.views.binary_search_by(|view| (&view.name, view.version).cmp(&(&id.name, id.version)));
        found.ok().map(|index| &self.views[index])
    }
}
