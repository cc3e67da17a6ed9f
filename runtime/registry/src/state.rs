//! All that one registration holds: as texts and records, and as the definitions that they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use tandem_core::defaults::Defaults;
use tandem_core::definition::{self, File, Settings};
use tandem_core::hash::Digest;
use tandem_core::model::{BoundView, Entity, FeatureView, Project, Selector, Source, ViewReference, ViewVersion};

use crate::error::RegistryError;
use crate::plan::Definitions;
use crate::record::ViewRecord;
use crate::registration::{Header, Kind};
use crate::store::Registry;

/// All that is registered, as texts in the form of definition files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Content {
    /// Versions of feature views.
    pub views: BTreeMap<ViewVersion, ViewRecord>,
    /// Versions that were registered once: a number is never used for another meaning.
    pub removed: BTreeMap<ViewVersion, Removed>,
    /// Feature services by name.
    pub services: BTreeMap<String, String>,
    /// Aliases by `view@alias`.
    pub aliases: BTreeMap<String, String>,
}

/// A version that was registered once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The object with its record.
    pub object: Digest,
    /// What it meant.
    pub definition_hash: Digest,
}

impl Content {
    /// Every text with its kind and name, as it is kept.
    pub(crate) fn texts(&self) -> Vec<(Kind, String, String)> {
        let plain = [(Kind::Service, &self.services), (Kind::Alias, &self.aliases)];
        let plain = plain
            .into_iter()
            .flat_map(|(kind, texts)| texts.iter().map(move |(name, text)| (kind, name.clone(), text.clone())));
        plain.chain(self.views.iter().map(|(id, record)| (Kind::View, id.to_string(), record.encode()))).collect()
    }

    pub(crate) fn add_view(&mut self, name: &str, record: ViewRecord) -> bool {
        view_id(name).is_some_and(|id| self.views.insert(id, record).is_none())
    }

    pub(crate) fn add_removed(&mut self, name: &str, object: Digest, definition_hash: Digest) -> bool {
        let removed = Removed { object, definition_hash };
        view_id(name).is_some_and(|id| self.removed.insert(id, removed).is_none())
    }

    pub(crate) fn add_text(&mut self, kind: Kind, name: &str, text: String) -> bool {
        let texts = match kind {
            Kind::Service => &mut self.services,
            Kind::Alias => &mut self.aliases,
            Kind::View | Kind::Removed => return false,
        };
        texts.insert(name.to_owned(), text).is_none()
    }

    /// Remembers the versions that `before` had or remembered and that this has not: whatever is registered next, their numbers stay taken.
    pub fn remember(&mut self, before: &Content) {
        let gone = before.views.iter().map(|(id, record)| {
            let object = Digest::of(record.encode().as_bytes());
            (id.clone(), Removed { object, definition_hash: record.definition_hash })
        });
        let removed = before.removed.iter().map(|(id, removed)| (id.clone(), *removed));
        self.removed.extend(gone.chain(removed));
        self.removed.retain(|id, _| !self.views.contains_key(id));
    }
}

/// What `Display` of a [`ViewVersion`] writes.
fn view_id(text: &str) -> Option<ViewVersion> {
    let reference: ViewReference = text.parse().ok()?;
    match reference.selector {
        Selector::Version(version) => Some(ViewVersion::new(reference.name, version)),
        Selector::Latest | Selector::Alias(_) => None,
    }
}

/// All that one registration holds. The default is the empty registry.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// Who registered it, when and why; none for the empty registry.
    pub header: Option<Header>,
    /// What.
    pub content: Content,
}

/// The definitions of a registration, with what was recorded of each view: what commands run. Paths of components lead into the registry.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Number of the registration; 0 for the empty registry.
    pub number: u64,
    /// The definitions.
    pub project: Project,
    /// The views with the signatures, digests and definition hashes that were recorded.
    pub bound: BTreeMap<ViewVersion, Arc<BoundView>>,
    /// Versions that were registered once, and what they meant.
    pub removed: BTreeMap<ViewVersion, Digest>,
}

impl State {
    /// Number of the registration; 0 for the empty registry.
    pub fn number(&self) -> u64 {
        self.header.as_ref().map_or(0, |header| header.number)
    }

    /// The definitions of it, as a project that runs by `settings`. Paths are joined to `root`, the folder of `tandem.toml`.
    ///
    /// # Errors
    ///
    /// Definitions that this program does not understand.
    pub fn registered(
        &self,
        registry: &Registry,
        settings: Settings,
        root: &Path,
    ) -> Result<Registered, RegistryError> {
        let content = &self.content;
        let file = |kind: Kind, name: &dyn Display, text: &String| File {
            name: format!("{} {name}", kind.as_str()),
            text: text.clone(),
        };
        let views = content.views.iter().map(|(id, record)| file(Kind::View, id, &record.definition));
        let services = content.services.iter().map(|(name, text)| file(Kind::Service, name, text));
        let aliases = content.aliases.iter().map(|(name, text)| file(Kind::Alias, name, text));
        let files: Vec<File> = views.chain(services).chain(aliases).collect();
        let definition::Registered { mut views, services, aliases } = definition::parse_registered(&files, root)
            .map_err(|diagnostics| RegistryError::Definitions {
                folder: registry.folder().to_owned(),
                number: self.number(),
                diagnostics,
            })?;
        for view in &mut views {
            let Some(record) = content.views.get(&view.id()) else { continue };
            if let Some(component) = record.component {
                view.component = registry.component_path(component);
            }
            let paths = record.components.iter().map(|component| registry.component_path(component.digest));
            view.set_event_components(paths.collect());
        }
        let (entities, sources) = of_views(&views);
        let project = Project { settings, entities, sources, views, services, aliases };
        let bound = bind_all(&project.views, &content.views);
        let removed = content.removed.iter().map(|(id, removed)| (id.clone(), removed.definition_hash)).collect();
        Ok(Registered { number: self.number(), project, bound, removed })
    }
}

/// The views in an order in which each comes after those that it reads, as far as they are among `views`. Views that were parsed together have no
/// cycles; of views that do, some are left out.
pub fn upstream_first(views: &[FeatureView]) -> Vec<&FeatureView> {
    let all: BTreeMap<ViewVersion, &FeatureView> = views.iter().map(|view| (view.id(), view)).collect();
    let (mut ordered, mut done, mut begun) = (Vec::with_capacity(views.len()), BTreeSet::new(), BTreeSet::new());
    let mut waiting: Vec<ViewVersion> = all.keys().rev().cloned().collect();
    while let Some(id) = waiting.pop() {
        let Some(view) = all.get(&id).filter(|_| !done.contains(&id)) else { continue };
        let missing: Vec<ViewVersion> =
            view.upstream().into_iter().filter(|id| all.contains_key(*id) && !done.contains(*id)).cloned().collect();
        if missing.is_empty() {
            done.insert(id);
            ordered.push(*view);
        } else if begun.insert(id.clone()) {
            waiting.push(id);
            waiting.extend(missing);
        }
    }
    ordered
}

/// The entities and sources of views, each once, sorted by name. Those of one name are one: a change of one is a change of all that use it.
fn of_views(views: &[FeatureView]) -> (Vec<Arc<Entity>>, Vec<Arc<Source>>) {
    let entities = views.iter().flat_map(|view| &view.entities).map(|entity| (&entity.name, Arc::clone(entity)));
    let sources = views.iter().filter_map(|view| view.source.files()).map(|source| (&source.name, Arc::clone(source)));
    let entities: BTreeMap<_, _> = entities.collect();
    let sources: BTreeMap<_, _> = sources.collect();
    (entities.into_values().collect(), sources.into_values().collect())
}

/// Every view with what was recorded of it.
fn bind_all(
    views: &[FeatureView],
    records: &BTreeMap<ViewVersion, ViewRecord>,
) -> BTreeMap<ViewVersion, Arc<BoundView>> {
    let mut bound: BTreeMap<ViewVersion, Arc<BoundView>> = BTreeMap::new();
    for view in upstream_first(views) {
        let Some(record) = records.get(&view.id()) else { continue };
        let declared = view.declared_with(&record.components).map(|(_, digest)| digest);
        let Some(digest) = record.component.or(declared) else { continue };
        let made = BoundView {
            view: view.clone(),
            // Those that were bound once are values of their features.
            defaults: Defaults::of(view, &record.signature).0,
            signature: record.signature.clone(),
            digest,
            definition_hash: record.definition_hash,
            upstream: view.upstream().into_iter().filter_map(|id| bound.get(id).cloned()).collect(),
            components: record.components.clone(),
        };
        bound.insert(view.id(), Arc::new(made));
    }
    bound
}

impl Registered {
    /// What a plan compares with.
    pub fn definitions(&self) -> Definitions {
        Definitions::new(&self.project, self.bound.values().cloned())
    }

    /// The view that is meant.
    pub fn view(&self, reference: &ViewReference) -> Option<&Arc<BoundView>> {
        self.bound.get(&self.project.view(reference)?.id())
    }
}
