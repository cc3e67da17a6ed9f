//! Names that definitions give and refer to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use super::reader::{Place, Table, Value, check_name};
use crate::suggest;

/// Things of one kind by name.
pub(super) struct Names<'a, T> {
    /// `entity` or `source`.
    thing: &'static str,
    /// `entities` or `sources`.
    things: &'static str,
    /// Whether there may be more of them than could be read, because the syntax of a file is wrong.
    incomplete: bool,
    found: BTreeMap<String, Named<'a, T>>,
}

struct Named<'a, T> {
    place: Place<'a>,
    span: Range<usize>,
    /// None: it is there, but wrong, which was reported.
    value: Option<T>,
}

impl<'a, T: Clone> Names<'a, T> {
    pub(super) fn new(thing: &'static str, things: &'static str, incomplete: bool) -> Self {
        Names { thing, things, incomplete, found: BTreeMap::new() }
    }

    /// Adds a thing that is defined in `table`; a second one of the name is reported.
    pub(super) fn add(&mut self, table: &Table<'a>, name: String, value: Option<T>) {
        let span = table.get("name").map_or(table.span.clone(), Value::span);
        match self.found.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(Named { place: table.place, span, value });
            }
            Entry::Occupied(entry) => {
                let message = format!("{} `{}` is defined twice", self.thing, entry.key());
                let first = entry.get().place.line(&entry.get().span);
                table.place.error(span, message, format!("the first is at {first}"));
            }
        }
    }

    /// The thing that `table` names in `value`. One that is not there is reported.
    pub(super) fn resolve(&self, table: &Table<'_>, value: &Value<'_>, name: &str) -> Option<T> {
        let found = self.found.get(name);
        if found.is_none() && !self.incomplete {
            let known: Vec<&str> = self.found.keys().map(String::as_str).collect();
            let message = format!("unknown {} `{name}` in {}", self.thing, table.what);
            table.error(value, message, suggest::hint(name, self.things, &known));
        }
        found.and_then(|found| found.value.clone())
    }

    /// All that were read without a mistake, sorted by name.
    pub(super) fn into_values(self) -> Vec<T> {
        self.found.into_values().filter_map(|found| found.value).collect()
    }
}

/// Reads the name of an entity, source or view.
pub(super) fn read_name(table: &Table<'_>) -> Option<String> {
    let value = table.required("name", "`name = \"...\"`")?;
    let name = table.text("name", value)?;
    check_name(table.place, value.span(), "`name`", name).then(|| name.to_owned())
}
