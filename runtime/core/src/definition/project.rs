//! All files of a project, read together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::Diagnostics;
use super::graph::{self, Ordered};
use super::names::{Names, read_name};
use super::reader::{Place, Report, Table};
use super::references::Views;
use super::settings::{self, FEATURES_DEFAULT, Settings};
use super::view::Known;
use super::{entity, parameters, service, source, upstream, view};
use crate::model::{Alias, Entity, FeatureService, FeatureView, Project, Source, ViewVersion};
use crate::parameter::Parameters;
use crate::suggest;

/// The text of a definition file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// How messages name it; usually its path as the user knows it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The texts of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// `tandem.toml`.
    pub settings: File,
    /// The feature files; their order changes nothing but the order of messages.
    pub features: Vec<File>,
}

/// Keys at the top of a feature file.
pub(super) const FEATURE_FILE_KEYS: &[&str] = &["entity", "source", "feature_view", "feature_service", "alias"];

/// The folder of the feature files, joined to `root`, the folder of `tandem.toml`.
///
/// Mistakes in the file are not reported here but by [`parse_project`], so that they come together with those of the
/// feature files; where the folder cannot be read from the file, it is the default.
pub fn features_folder(settings: &File, root: &Path) -> PathBuf {
    let (tree, _) = DeTable::parse_recoverable(&settings.text);
    let folder = tree.get_ref().get("project").and_then(|project| project.get_ref().get("features"));
    let folder = folder.and_then(|folder| folder.get_ref().as_str()).filter(|folder| !folder.is_empty());
    root.join(folder.unwrap_or(FEATURES_DEFAULT))
}

/// Reads `tandem.toml` alone. Paths in it are joined to `root`, the folder of the file.
pub fn parse_settings(settings: &File, root: &Path) -> Result<Settings, Diagnostics> {
    let report = Report::default();
    let read = read_settings(Place { report: &report, file: settings, index: 0 }, root);
    report.finish(read)
}

/// Reads all files of a project; reports all mistakes of all files. Paths are joined to `root`, the folder of
/// `tandem.toml`.
///
/// In a file whose syntax is wrong nothing else is checked, and names that other files refer to are given the benefit
/// of the doubt.
pub fn parse_project(sources: &Sources, root: &Path) -> Result<Project, Diagnostics> {
    let report = Report::default();
    let settings = read_settings(Place { report: &report, file: &sources.settings, index: 0 }, root);
    let read = read_features(&report, &sources.features, root, NamesOf::AllFiles);
    let Features { entities, sources, views, services, aliases } = read;
    report.finish(settings.map(|settings| Project { settings, entities, sources, views, services, aliases }))
}

/// Reads parameters that were given outside a definition file, as lines of `name = value`; the values are those of
/// `[feature_view.parameters]`.
pub fn parse_parameters(lines: &File) -> Result<Parameters, Diagnostics> {
    let report = Report::default();
    let file = File { name: lines.name.clone(), text: format!("[parameters]\n{}", lines.text) };
    let parsed = {
        let place = Place { report: &report, file: &file, index: 0 };
        let (tree, parsed) = place.parse();
        let table = Table::open(place, lines.name.clone(), tree.span(), tree.get_ref(), &["parameters"]);
        parsed.then(|| parameters::read(&table))
    };
    report.finish(parsed)
}

fn read_settings(place: Place<'_>, root: &Path) -> Option<Settings> {
    let (tree, parsed) = place.parse();
    parsed.then(|| settings::read(place, tree.get_ref(), root)).flatten()
}

/// What feature files say.
pub(super) struct Features {
    /// Empty where each file has its own.
    entities: Vec<Arc<Entity>>,
    /// Empty where each file has its own.
    sources: Vec<Arc<Source>>,
    pub(super) views: Vec<FeatureView>,
    pub(super) services: Vec<FeatureService>,
    pub(super) aliases: Vec<Alias>,
}

pub(super) fn read_features(report: &Report, files: &[File], root: &Path, names: NamesOf) -> Features {
    // The settings come first in the report.
    let places = files.iter().enumerate().map(|(index, file)| Place { report, file, index: index + 1 });
    let parsed: Vec<_> = places.map(|place| (place, place.parse())).collect();
    let incomplete = parsed.iter().any(|(_, (_, parsed))| !parsed);
    let trees: Vec<_> =
        parsed.iter().filter(|(_, (_, parsed))| *parsed).map(|(place, (tree, _))| (*place, tree)).collect();
    for &(place, tree) in &trees {
        refuse_unknown_keys(place, tree);
    }

    let scopes = match names {
        NamesOf::AllFiles => Scopes::One(Known::read(&trees, incomplete, root)),
        NamesOf::EachFile => {
            let each = trees.iter().map(|tree| (tree.0.index, Known::read(&[*tree], incomplete, root)));
            Scopes::Each(each.collect())
        }
    };
    let views = read_views(&trees, &scopes, incomplete, root);
    let mut services = Names::new("feature service", "feature services", incomplete);
    for table in tables(&trees, "feature_service", "feature service", service::SERVICE_KEYS) {
        let name = read_name(&table);
        let service = service::read(&table, name.as_deref().unwrap_or_default(), &views);
        if let Some(name) = name {
            services.add(&table, name, service);
        }
    }
    let aliases = service::read_aliases(&tables(&trees, "alias", "alias", service::ALIAS_KEYS), &views);
    let (entities, sources) = match scopes {
        Scopes::One(known) => (known.entities.into_values(), known.sources.into_values()),
        Scopes::Each(_) => (Vec::new(), Vec::new()),
    };
    Features { entities, sources, views: views.into_values(), services: services.into_values(), aliases }
}

impl<'a> Known<'a> {
    fn read(trees: &[Tree<'a>], incomplete: bool, root: &Path) -> Self {
        let mut entities = Names::new("entity", "entities", incomplete);
        for table in tables(trees, "entity", "entity", entity::ENTITY_KEYS) {
            if let Some(name) = read_name(&table) {
                let entity = entity::read(&table, &name).map(Arc::new);
                entities.add(&table, name, entity);
            } else {
                entity::read(&table, "");
            }
        }
        let mut sources = Names::new("source", "sources", incomplete);
        for table in tables(trees, "source", "source", source::SOURCE_KEYS) {
            if let Some(name) = read_name(&table) {
                let source = source::read(&table, &name, root).map(Arc::new);
                sources.add(&table, name, source);
            } else {
                source::read(&table, "", root);
            }
        }
        Known { entities, sources }
    }
}

/// Where the names of entities and sources are known.
#[derive(Clone, Copy)]
pub(super) enum NamesOf {
    /// In all files.
    AllFiles,
    /// In their own file only.
    EachFile,
}

/// Entities and sources, for all files or by the index of a file.
enum Scopes<'a> {
    One(Known<'a>),
    Each(BTreeMap<usize, Known<'a>>),
}

impl<'a> Scopes<'a> {
    fn of(&self, table: &Table<'a>) -> &Known<'a> {
        match self {
            Scopes::One(known) => known,
            // Every file that has a table was read.
            Scopes::Each(known) => &known[&table.place.index],
        }
    }
}

/// A file whose syntax is right.
type Tree<'a> = (Place<'a>, &'a Spanned<DeTable<'a>>);

fn read_views<'a>(trees: &[Tree<'a>], scopes: &Scopes<'a>, incomplete: bool, root: &Path) -> Views {
    let mut identified: BTreeMap<ViewVersion, Table<'a>> = BTreeMap::new();
    // Without a good name and version, or with those of another view: nothing can refer to them, but their mistakes count.
    let mut others = Vec::new();
    for table in tables(trees, "feature_view", "feature view", view::VIEW_KEYS) {
        let (name, version) = view::read_identity(&table);
        let id = ViewVersion { name: name.unwrap_or_default(), version: version.unwrap_or_default() };
        if id.name.is_empty() || id.version == 0 {
            others.push((id, table));
            continue;
        }
        match identified.entry(id) {
            Entry::Vacant(entry) => {
                entry.insert(table);
            }
            Entry::Occupied(entry) => {
                let (id, first) = (entry.key(), entry.get());
                let name_span = |table: &Table<'_>| table.get("name").map_or(table.span.clone(), Spanned::span);
                let message = format!("version {} of feature view `{}` is defined twice", id.version, id.name);
                let at = first.place.line(&name_span(first));
                let hint = format!("the first is at {at}; a changed view gets a new version");
                table.place.error(name_span(&table), message, hint);
                others.push((id.clone(), table));
            }
        }
    }
    let mut views = Views::new(identified.keys().cloned().collect(), incomplete);
    let Ordered { order, circles } = graph::order(&upstream::edges(identified.iter()));
    for circle in &circles {
        report_circle(circle, &identified[&circle[0]]);
    }
    for id in order {
        let table = &identified[&id];
        let view = view::read(table, &id, scopes.of(table), &views, root);
        views.add(id, view);
    }
    for (id, table) in others {
        view::read(&table, &id, scopes.of(&table), &views, root);
    }
    views
}

/// Reports a circle at the reference with which its first view, in `table`, reads the next one.
fn report_circle(circle: &[ViewVersion], table: &Table<'_>) {
    let next = circle.get(1).unwrap_or(&circle[0]);
    let span = upstream::references(table).into_iter().find(|(id, _)| id == next).map(|(_, span)| span);
    let path: Vec<String> = circle.iter().chain(circle.first()).map(|id| format!("`{id}`")).collect();
    let message = format!("feature views read each other in a circle: {}", path.join(" reads "));
    let hint = "nothing could be computed first: take one of these references out".to_owned();
    table.place.error(span.unwrap_or(table.span.clone()), message, hint);
}

fn refuse_unknown_keys(place: Place<'_>, tree: &Spanned<DeTable<'_>>) {
    for key in tree.get_ref().keys().filter(|key| !FEATURE_FILE_KEYS.contains(&key.get_ref().as_ref())) {
        let name = key.get_ref();
        let hint = if settings::TABLES.contains(&name.as_ref()) {
            format!("`[{name}]` belongs in tandem.toml")
        } else {
            suggest::hint(name, "tables", FEATURE_FILE_KEYS)
        };
        place.error(key.span(), format!("unknown table `{name}` in a feature file"), hint);
    }
}

/// All tables under `[[key]]` of all files.
fn tables<'a>(
    trees: &[Tree<'a>],
    key: &'static str,
    thing: &'static str,
    keys: &'static [&'static str],
) -> Vec<Table<'a>> {
    let mut tables = Vec::new();
    for &(place, tree) in trees {
        let Some(value) = tree.get_ref().get(key) else { continue };
        let items = match value.get_ref() {
            DeValue::Array(items) => items,
            _ => {
                let hint = format!("write `[[{key}]]`, in double brackets");
                place.error(value.span(), format!("`{key}` must be an array of tables"), hint);
                continue;
            }
        };
        for item in items {
            let DeValue::Table(entries) = item.get_ref() else {
                place.error(item.span(), format!("`{key}` must be an array of tables"), format!("write `[[{key}]]`"));
                continue;
            };
            let name = entries.get("name").and_then(|name| name.get_ref().as_str());
            let what = name.map_or(format!("this {thing}"), |name| format!("{thing} `{name}`"));
            tables.push(Table::open(place, what, item.span(), entries, keys));
        }
    }
    tables
}
