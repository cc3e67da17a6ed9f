//! Places of mistakes that are found after parsing: when a view is bound to its component, or its source's data is looked at.
//!
//! The model has no places: it is what definitions mean, and most of it is never at fault. The text is read a second time
//! instead, and only where there is something to show.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::project::File;
use crate::model::{FeatureService, FeatureView, ViewSource, ViewVersion};

/// A key of the definition of a view, of its source, or of a feature service: the place of a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    table: Table,
    path: Vec<String>,
    /// Position in an array.
    item: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    /// The view, or the service.
    Own,
    Source,
}

impl Key {
    /// A key of the view.
    pub fn of(key: &str) -> Self {
        Key { table: Table::Own, path: vec![key.to_owned()], item: None }
    }

    /// Where an input is mapped.
    pub fn input(input: &str) -> Self {
        Key { table: Table::Own, path: vec!["inputs".to_owned(), input.to_owned()], item: None }
    }

    /// Where a join key is mapped.
    pub fn join_key(join_key: &str) -> Self {
        Key { table: Table::Own, path: vec!["key_columns".to_owned(), join_key.to_owned()], item: None }
    }

    /// The default of a feature.
    pub fn default_of(feature: &str) -> Self {
        Key { table: Table::Own, path: vec!["defaults".to_owned(), feature.to_owned()], item: None }
    }

    /// Whether it is where a join key is mapped.
    pub fn is_join_key(&self) -> bool {
        self.table == Table::Own && self.path.first().is_some_and(|key| key == "key_columns")
    }

    /// One of the features of a service, from 0.
    pub fn service_feature(index: usize) -> Self {
        Key { table: Table::Own, path: vec!["features".to_owned()], item: Some(index) }
    }

    /// One of the columns that the contract of that source names, from 0.
    pub fn source_column(index: usize) -> Self {
        Key { table: Table::Source, path: vec!["columns".to_owned()], item: Some(index) }
    }

    /// A key of the source from which the view's rows come.
    pub fn of_source(key: &str) -> Self {
        Key { table: Table::Source, path: vec![key.to_owned()], item: None }
    }
}

/// A mistake in the definition of a view or a feature service, to be shown at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key that is at fault. Where it is not written, the nearest of what is: the key above it, then for an input or a
    /// join key the view's `source`, then the view's name.
    pub key: Key,
    /// What is wrong, naming the thing.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What a mistake is in.
#[derive(Debug, Clone, Copy)]
pub enum Defined<'a> {
    /// A view, or the source of its rows.
    View(&'a FeatureView),
    /// A feature service.
    Service(&'a FeatureService),
}

/// Mistakes at their places in `files`, which the definitions were read from: file by file, from top to bottom. None if there are none.
///
/// A mistake in a source that several views use is shown once.
pub fn locate<'a>(
    files: &[File],
    mistakes: impl IntoIterator<Item = (Defined<'a>, Vec<Mistake>)>,
) -> Option<Diagnostics> {
    let trees: Vec<_> = files.iter().map(|file| DeTable::parse_recoverable(&file.text).0).collect();
    let mut found: Vec<(usize, Diagnostic)> = Vec::new();
    for (defined, mistakes) in mistakes {
        for Mistake { key, message, hint } in mistakes {
            let place = match defined {
                Defined::View(view) => place(&trees, view, &key),
                Defined::Service(service) => place_in_service(&trees, service, &key),
            };
            let (index, span) = place.unwrap_or_default();
            let Some(file) = files.get(index) else { continue };
            let diagnostic = Diagnostic::new(&file.name, &file.text, span, message, hint);
            if !found.iter().any(|(_, known)| *known == diagnostic) {
                found.push((index, diagnostic));
            }
        }
    }
    found.sort_by_key(|(index, diagnostic)| (*index, diagnostic.span.start));
    Diagnostics::of(found.into_iter().map(|(_, diagnostic)| diagnostic).collect())
}

type Tree<'a> = Spanned<DeTable<'a>>;
type Place = (usize, std::ops::Range<usize>);

/// File and span of a key.
fn place(trees: &[Tree<'_>], view: &FeatureView, key: &Key) -> Option<Place> {
    let source = view.source.files().map(|source| source.name.as_str());
    let in_source = match key.table {
        Table::Source => find(trees, "source", |table| text(table, "name") == source),
        Table::Own => None,
    };
    if let Some((index, table)) = in_source {
        let item = key.item.and_then(|position| {
            let [array] = &key.path[..] else { return None };
            Some(table.get(array.as_str())?.get_ref().as_array()?.get(position)?.span())
        });
        let place = item.or_else(|| span(table, &key.path)).or_else(|| span(table, &["name".to_owned()]));
        return Some((index, place?));
    }
    let (index, table) = find(trees, "feature_view", |table| is_version(table, &view.id()))?;
    // A key of a source that is another view's rows: all that is written is that view.
    let path = if key.table == Table::Source { &["source".to_owned()][..] } else { &key.path };
    let (upper, unmapped) = (&path[..1], path.len() > 1);
    let fallback = ["source".to_owned()];
    span(table, path)
        .or_else(|| if unmapped && !matches!(view.source, ViewSource::Request) { span(table, &fallback) } else { None })
        .or_else(|| span(table, upper))
        .or_else(|| span(table, &["name".to_owned()]))
        .map(|span| (index, span))
}

fn place_in_service(trees: &[Tree<'_>], service: &FeatureService, key: &Key) -> Option<Place> {
    let (index, table) = find(trees, "feature_service", |table| text(table, "name") == Some(&service.name))?;
    let item = |position: usize| Some(table.get("features")?.get_ref().as_array()?.get(position)?.span());
    let span = key.item.and_then(item).or_else(|| span(table, &key.path)).or_else(|| span(table, &["name".to_owned()]));
    Some((index, span?))
}

/// The first table under `[[key]]` that is meant, with the index of its file.
fn find<'t, 'a>(
    trees: &'t [Tree<'a>],
    key: &str,
    is_meant: impl Fn(&DeTable<'_>) -> bool,
) -> Option<(usize, &'t DeTable<'a>)> {
    trees.iter().enumerate().find_map(|(index, tree)| {
        let tables = tree.get_ref().get(key)?.get_ref().as_array()?;
        let table = tables.iter().filter_map(|table| table.get_ref().as_table()).find(|table| is_meant(table))?;
        Some((index, table))
    })
}

fn text<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    table.get(key)?.get_ref().as_str()
}

fn is_version(table: &DeTable<'_>, id: &ViewVersion) -> bool {
    let version = table.get("version").and_then(|version| version.get_ref().as_integer());
    let version = version.and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok());
    text(table, "name") == Some(&id.name) && version == Some(id.version)
}

/// The value at the end of the path.
fn span(table: &DeTable<'_>, path: &[String]) -> Option<std::ops::Range<usize>> {
    let (last, above) = path.split_last()?;
    let mut table = table;
    for key in above {
        table = match table.get(key.as_str())?.get_ref() {
            DeValue::Table(inner) => inner,
            _ => return None,
        };
    }
    table.get(last.as_str()).map(Spanned::span)
}
