//! References from definitions to views: always to one version, so that what a definition means never moves.

use std::collections::{BTreeMap, BTreeSet};

use super::reader::{Table, Value};
use crate::model::{FeatureView, Selector, ViewReference, ViewVersion};
use crate::suggest;

/// The views that references may name.
pub(super) struct Views {
    /// Every version that is written in a file, also a wrong one.
    written: BTreeSet<ViewVersion>,
    /// Those that were read; None: it is wrong, which was reported.
    read: BTreeMap<ViewVersion, Option<FeatureView>>,
    /// Whether there may be more of them than could be read.
    incomplete: bool,
}

impl Views {
    pub(super) fn new(written: BTreeSet<ViewVersion>, incomplete: bool) -> Self {
        Views { written, read: BTreeMap::new(), incomplete }
    }

    /// Adds what came of reading a view.
    pub(super) fn add(&mut self, id: ViewVersion, view: Option<FeatureView>) {
        self.read.insert(id, view);
    }

    /// A view that was read without a mistake.
    pub(super) fn get(&self, id: &ViewVersion) -> Option<&FeatureView> {
        self.read.get(id)?.as_ref()
    }

    /// All that were read without a mistake, sorted by name and version.
    pub(super) fn into_values(self) -> Vec<FeatureView> {
        self.read.into_values().flatten().collect()
    }

    /// Whether this version is written somewhere. One that is not is reported at `value`.
    pub(super) fn exists(&self, table: &Table<'_>, value: &Value<'_>, id: &ViewVersion) -> bool {
        if self.written.contains(id) {
            return true;
        }
        if self.incomplete {
            return false;
        }
        let what = &table.what;
        let versions: Vec<String> = self.versions(&id.name).map(|version| version.to_string()).collect();
        if versions.is_empty() {
            let mut known: Vec<&str> = self.written.iter().map(|id| id.name.as_str()).collect();
            known.dedup();
            let message = format!("unknown feature view `{}` in {what}", id.name);
            table.error(value, message, suggest::hint(&id.name, "feature views", &known));
        } else {
            let message = format!("feature view `{}` has no version {}, which {what} names", id.name, id.version);
            let hint = match &versions[..] {
                [only] => format!("its only version is {only}"),
                _ => format!("its versions are {}", versions.join(", ")),
            };
            table.error(value, message, hint);
        }
        false
    }

    /// Whether there is a version of this view.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.versions(name).next().is_some()
    }

    /// The version that `text`, which stands in `value`, pins. `key` names the value in messages; what is wrong is reported.
    pub(super) fn pinned(&self, table: &Table<'_>, key: &str, value: &Value<'_>, text: &str) -> Option<ViewVersion> {
        let what = &table.what;
        let reference = match text.parse::<ViewReference>() {
            Ok(reference) => reference,
            Err(error) => {
                let hint = "write a view and its version, like \"card_risk@2\"".to_owned();
                table.error(value, format!("`{key}` of {what}: `{}` does not name a view's version", error.0), hint);
                return None;
            }
        };
        let version = || match self.versions(&reference.name).last() {
            Some(version) => format!("write `{}@{version}`", reference.name),
            None => "write the version behind an `@`".to_owned(),
        };
        match &reference.selector {
            Selector::Version(number) => Some(ViewVersion::new(reference.name, *number)),
            Selector::Latest => {
                let message = format!("`{key}` of {what} names feature view `{}` without a version", reference.name);
                let hint = format!("a definition reads one version, so that its meaning never moves: {}", version());
                table.error(value, message, hint);
                None
            }
            Selector::Alias(_) => {
                let message =
                    format!("`{key}` of {what} names feature view `{}` by an alias, `{text}`", reference.name);
                let hint = format!("an alias may move, and the meaning of a definition must not: {}", version());
                table.error(value, message, hint);
                None
            }
        }
    }

    fn versions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        self.written.iter().filter(move |id| id.name == name).map(|id| id.version)
    }
}
