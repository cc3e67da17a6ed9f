//! What differs between what is registered and what should be, what follows from it, and whether it may be. Pure.

mod differences;
mod downstream;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use tandem_core::hash::Digest;
use tandem_core::model::{Alias, BoundView, FeatureService, FeatureView, Project, Stage, ViewVersion};
use tandem_core::time::Duration;

pub use differences::Differences;

use crate::registration::{Kind, RecordedChange};
use crate::state::upstream_first;
use differences::{of_services, of_views, outputs};
use downstream::Graph;

/// Views, services and aliases: what a plan compares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definitions {
    /// Every version of every view.
    pub views: BTreeMap<ViewVersion, Arc<BoundView>>,
    /// Services by name.
    pub services: BTreeMap<String, FeatureService>,
    /// Aliases by view and name.
    pub aliases: BTreeMap<(String, String), Alias>,
}

impl Definitions {
    /// Those of a project whose views are bound.
    pub fn new(project: &Project, bound: impl IntoIterator<Item = Arc<BoundView>>) -> Definitions {
        let services = project.services.iter().map(|service| (service.name.clone(), service.clone()));
        let aliases = project.aliases.iter().map(|alias| ((alias.view.clone(), alias.name.clone()), alias.clone()));
        Definitions {
            views: bound.into_iter().map(|bound| (bound.view.id(), bound)).collect(),
            services: services.collect(),
            aliases: aliases.collect(),
        }
    }
}

/// How much a change asks of whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nobody who uses what is registered sees another value.
    Safe,
    /// Somebody may have to change something; made only where it is allowed explicitly.
    Breaking,
    /// Never made.
    Refused,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Safe => "safe",
            Severity::Breaking => "breaking",
            Severity::Refused => "refused",
        }
    }
}

/// Somebody who uses a view, directly or through other views.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consumer {
    /// A view that reads it.
    View(ViewVersion),
    /// A service that names it.
    Service(String),
    /// An alias that stands for it: `view@alias`.
    Alias(String),
}

/// "view card_risk@2", "service checkout", "alias card_risk@champion".
impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Consumer::View(id) => write!(f, "view {id}"),
            Consumer::Service(name) => write!(f, "service {name}"),
            Consumer::Alias(name) => write!(f, "alias {name}"),
        }
    }
}

/// What is to be changed about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A version of a view that was never registered, or a service, or an alias.
    New {
        /// For a view: its greatest version below this one, and in what this one differs from it.
        against: Option<(u32, Vec<String>)>,
    },
    /// A version of a view that was registered once, with the same meaning.
    Restored,
    /// Nothing that a value depends on: what people read, and where files lie.
    Documentation {
        /// What, such as `description` or `source.path`.
        fields: Vec<String>,
    },
    /// The lifecycle.
    Stage {
        /// As registered.
        from: Stage,
        /// As it should be.
        to: Stage,
    },
    /// A registered version that would mean something else.
    Meaning {
        /// In what, such as `component` or `parameters.threshold`.
        fields: Vec<String>,
        /// The next number that is free.
        next_version: u32,
    },
    /// A number that a removed version had, with another meaning.
    Taken {
        /// The next number that is free.
        next_version: u32,
    },
    /// Features of a service.
    Features {
        /// Features that it gets.
        added: Vec<String>,
        /// Features that it loses.
        removed: Vec<String>,
        /// Whether the others come in another order, or under other names (`prefix`).
        rearranged: bool,
    },
    /// An alias stands for another version.
    Moved {
        /// As registered.
        from: u32,
        /// As it should be.
        to: u32,
    },
    /// Gone from the files.
    Removed {
        /// Who still uses it: then it is refused.
        consumers: Vec<Consumer>,
    },
}

/// In words, without what it is about.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::New { against: None } => f.write_str("new"),
            What::New { against: Some((version, fields)) } if fields.is_empty() => {
                write!(f, "new; the same as @{version}")
            }
            What::New { against: Some((version, fields)) } => {
                write!(f, "new; differs from @{version} in {}", fields.join(", "))
            }
            What::Restored => f.write_str("restored"),
            What::Documentation { fields } => write!(f, "documentation: {}", fields.join(", ")),
            What::Stage { from, to } => write!(f, "stage: {} -> {}", from.as_str(), to.as_str()),
            What::Meaning { fields, next_version } => {
                write!(f, "would mean something else: {}; make it version {next_version}", fields.join(", "))
            }
            What::Taken { next_version } => {
                write!(f, "a removed version of this number meant something else; make it version {next_version}")
            }
            What::Features { added, removed, rearranged } => {
                let mut parts = Vec::new();
                parts.extend(added.iter().map(|feature| format!("+{feature}")));
                parts.extend(removed.iter().map(|feature| format!("-{feature}")));
                parts.extend(rearranged.then(|| "another order or other names".to_owned()));
                write!(f, "features: {}", parts.join(", "))
            }
            What::Moved { from, to } => write!(f, "moved: @{from} -> @{to}"),
            What::Removed { consumers } if consumers.is_empty() => f.write_str("removed"),
            What::Removed { consumers } => {
                let consumers: Vec<String> = consumers.iter().map(Consumer::to_string).collect();
                write!(f, "removed, but used by {}", consumers.join(", "))
            }
        }
    }
}

/// A change of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// View, service or alias.
    pub kind: Kind,
    /// Its name: `card_risk@2`, `checkout`, `card_risk@champion`.
    pub name: String,
    /// What changes.
    pub what: What,
    /// Whether it may be.
    pub severity: Severity,
    /// Why not, or why not without being allowed; empty where it is safe.
    pub why: &'static str,
    /// Everybody downstream, as registered or as it should be, sorted. For a service: nobody that a registry knows.
    pub downstream: Vec<Consumer>,
}

/// History of a stored view that has to be computed before it can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// The view.
    pub view: ViewVersion,
    /// How far back served rows go: its ttl. None: the whole history. Training needs the history of its labels in any case.
    pub ttl: Option<Duration>,
}

/// A name without a version, or whose version was left open, that will mean another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestMove {
    /// The view's name.
    pub view: String,
    /// Its greatest version as registered.
    pub from: u32,
    /// Its greatest version as it should be.
    pub to: u32,
}

/// All changes, and what follows from them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Views by name and version, then services, then aliases; of one thing in the order of [`What`].
    pub changes: Vec<Change>,
    /// Stored views whose history is missing, upstream first.
    pub backfills: Vec<Backfill>,
    /// Views whose greatest version changes: requests without a version get another one.
    pub latest: Vec<LatestMove>,
    /// How many views, services and aliases do not change.
    pub unchanged: usize,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The worst of all changes.
    pub fn severity(&self) -> Severity {
        self.changes.iter().map(|change| change.severity).max().unwrap_or(Severity::Safe)
    }

    /// How many changes are as bad as this.
    pub fn count(&self, severity: Severity) -> usize {
        self.changes.iter().filter(|change| change.severity == severity).count()
    }

    /// The changes as the history keeps them.
    pub fn recorded(&self) -> Vec<RecordedChange> {
        let recorded = |change: &Change| RecordedChange {
            kind: change.kind,
            name: change.name.clone(),
            what: change.what.to_string(),
        };
        self.changes.iter().map(recorded).collect()
    }
}

const NEEDS_VERSION: &str = "what a version means never changes; a changed view gets a new version";
const STILL_USED: &str = "it is still used";
const GONE: &str = "whoever asks for it gets an error";
const FROZEN: &str = "the features of a production service never change; make a new service";
const OTHER_FEATURES: &str = "whoever asks for it gets other features";
const OTHER_VERSION: &str = "whoever asks for it gets another version";
const LESS: &str = "whoever relies on it relies on less";

/// Compares. `taken` are versions that were registered once and are not now, with their definition hashes.
pub fn plan(registered: &Definitions, taken: &BTreeMap<ViewVersion, Digest>, desired: &Definitions) -> Plan {
    let graph = Graph::new([registered, desired]);
    let remaining = Graph::new([desired]);
    let mut plan = Plan::default();
    let ids: BTreeSet<&ViewVersion> = registered.views.keys().chain(desired.views.keys()).collect();
    for id in ids {
        let next_version = || next_version(&id.name, [registered, desired], taken);
        let changes = match (registered.views.get(id), desired.views.get(id)) {
            (Some(before), Some(after)) => of_version(before, after, next_version),
            (None, Some(after)) => match taken.get(id) {
                Some(hash) if *hash == after.definition_hash => vec![(What::Restored, Severity::Safe, "")],
                Some(_) => vec![(What::Taken { next_version: next_version() }, Severity::Refused, NEEDS_VERSION)],
                None => vec![(What::New { against: against(after, [registered, desired]) }, Severity::Safe, "")],
            },
            (Some(_), None) => {
                let consumers = remaining.direct(id);
                let (severity, why) =
                    if consumers.is_empty() { (Severity::Breaking, GONE) } else { (Severity::Refused, STILL_USED) };
                vec![(What::Removed { consumers }, severity, why)]
            }
            (None, None) => Vec::new(),
        };
        plan.add(Kind::View, id.to_string(), changes, || graph.downstream(id));
    }
    let names: BTreeSet<&String> = registered.services.keys().chain(desired.services.keys()).collect();
    for name in names {
        let changes = of_service(registered.services.get(name), desired.services.get(name));
        plan.add(Kind::Service, name.clone(), changes, Vec::new);
    }
    let names: BTreeSet<_> = registered.aliases.keys().chain(desired.aliases.keys()).collect();
    for name in names {
        let changes = of_alias(registered.aliases.get(name), desired.aliases.get(name));
        plan.add(Kind::Alias, format!("{}@{}", name.0, name.1), changes, Vec::new);
    }
    plan.backfills = backfills(registered, desired);
    plan.latest = latest(registered, desired);
    plan
}

/// Everybody downstream of a view, sorted.
pub fn consumers(definitions: &Definitions, view: &ViewVersion) -> Vec<Consumer> {
    Graph::new([definitions]).downstream(view)
}

type Verdict = (What, Severity, &'static str);

impl Plan {
    fn add(&mut self, kind: Kind, name: String, verdicts: Vec<Verdict>, downstream: impl FnOnce() -> Vec<Consumer>) {
        if verdicts.is_empty() {
            self.unchanged += 1;
            return;
        }
        let downstream = downstream();
        self.changes.extend(verdicts.into_iter().map(|(what, severity, why)| Change {
            kind,
            name: name.clone(),
            what,
            severity,
            why,
            downstream: downstream.clone(),
        }));
    }
}

fn of_version(before: &BoundView, after: &BoundView, next_version: impl FnOnce() -> u32) -> Vec<Verdict> {
    let Differences { meaning, documentation } = of_views(before, after);
    let mut verdicts = Vec::new();
    if !documentation.is_empty() {
        verdicts.push((What::Documentation { fields: documentation }, Severity::Safe, ""));
    }
    verdicts.extend(of_stages(before.view.stage, after.view.stage));
    if !meaning.is_empty() {
        let what = What::Meaning { fields: meaning, next_version: next_version() };
        verdicts.push((what, Severity::Refused, NEEDS_VERSION));
    }
    verdicts
}

fn of_stages(from: Stage, to: Stage) -> Option<Verdict> {
    // Deprecated promises as much as production, until it is removed.
    let promises = |stage| stage != Stage::Experimental;
    let (severity, why) =
        if promises(from) && !promises(to) { (Severity::Breaking, LESS) } else { (Severity::Safe, "") };
    (from != to).then_some((What::Stage { from, to }, severity, why))
}

fn of_service(before: Option<&FeatureService>, after: Option<&FeatureService>) -> Vec<Verdict> {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (before, after),
        (None, Some(_)) => return vec![(What::New { against: None }, Severity::Safe, "")],
        (Some(_), None) => return vec![(What::Removed { consumers: Vec::new() }, Severity::Breaking, GONE)],
        (None, None) => return Vec::new(),
    };
    let (features, documentation) = of_services(before, after);
    let mut verdicts = Vec::new();
    if !documentation.is_empty() {
        verdicts.push((What::Documentation { fields: documentation }, Severity::Safe, ""));
    }
    verdicts.extend(of_stages(before.stage, after.stage));
    if let Some(what) = features {
        let frozen = before.stage == Stage::Production;
        let (severity, why) = if frozen { (Severity::Refused, FROZEN) } else { (Severity::Breaking, OTHER_FEATURES) };
        verdicts.push((what, severity, why));
    }
    verdicts
}

fn of_alias(before: Option<&Alias>, after: Option<&Alias>) -> Vec<Verdict> {
    match (before, after) {
        (None, Some(_)) => vec![(What::New { against: None }, Severity::Safe, "")],
        (Some(_), None) => vec![(What::Removed { consumers: Vec::new() }, Severity::Breaking, GONE)],
        (Some(before), Some(after)) if before.version != after.version => {
            let what = What::Moved { from: before.version, to: after.version };
            vec![(what, Severity::Breaking, OTHER_VERSION)]
        }
        _ => Vec::new(),
    }
}

/// The greatest version below a new one, and in what the new one differs from it.
fn against(after: &BoundView, both: [&Definitions; 2]) -> Option<(u32, Vec<String>)> {
    let id = after.view.id();
    let below = ViewVersion::new(&id.name, 0)..id;
    let before =
        both.into_iter().filter_map(|all| all.views.range(below.clone()).next_back()).max_by_key(|(id, _)| *id)?.1;
    let mut fields = of_views(before, after).meaning;
    fields.extend(outputs(&before.signature, &after.signature));
    Some((before.view.version, fields))
}

/// A number that no version of the view has or had, greater than all of them.
fn next_version(name: &str, both: [&Definitions; 2], taken: &BTreeMap<ViewVersion, Digest>) -> u32 {
    let known = both.into_iter().flat_map(|all| all.views.keys()).chain(taken.keys());
    known.filter(|id| id.name == name).map(|id| id.version).max().unwrap_or(0).saturating_add(1)
}

/// Stored views that were not registered before, after those that they read; not those of columns, whose rows are there already.
fn backfills(registered: &Definitions, desired: &Definitions) -> Vec<Backfill> {
    let views: Vec<FeatureView> = desired.views.values().map(|bound| bound.view.clone()).collect();
    let is_computed = |view: &FeatureView| view.is_stored() && (view.has_component() || view.grid().is_some());
    let missing = |view: &&FeatureView| is_computed(view) && !registered.views.contains_key(&view.id());
    upstream_first(&views).into_iter().filter(missing).map(|view| Backfill { view: view.id(), ttl: view.ttl }).collect()
}

fn latest(registered: &Definitions, desired: &Definitions) -> Vec<LatestMove> {
    let greatest = |all: &Definitions| -> BTreeMap<String, u32> {
        all.views.keys().map(|id| (id.name.clone(), id.version)).collect() // sorted: the last one stays
    };
    let after = greatest(desired);
    let moved = |(view, from): (String, u32)| {
        let to = *after.get(&view)?;
        (to != from).then_some(LatestMove { view, from, to })
    };
    greatest(registered).into_iter().filter_map(moved).collect()
}
