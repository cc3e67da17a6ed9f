//! `[[feature_view]]`: a transform over a source, keyed by entities.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::names::{Names, read_name};
use super::reader::{Table, check_name};
use super::{parameters, source};
use crate::limits::TransformLimits;
use crate::model::{AsOf, Entity, FeatureView, InputSource, KnownBy, NanMode, OnError, Source, SourceKind};
use crate::suggest;
use crate::types::AS_OF;

pub(super) const VIEW_KEYS: &[&str] = &[
    "name",
    "version",
    "source",
    "entities",
    "component",
    "ttl",
    "as_of",
    "known_by",
    "on_error",
    "nan",
    "owner",
    "description",
    "tags",
    "inputs",
    "key_columns",
    "parameters",
    "limits",
];
pub(super) const LIMIT_KEYS: &[&str] = &[
    "fuel_base",
    "fuel_per_row",
    "call_seconds_max",
    "memory_bytes_max",
    "table_elements_max",
    "output_bytes_max",
    "message_bytes_max",
    "fields_max",
    "failed_rows_max",
];

/// What views refer to.
pub(super) struct Known<'a> {
    pub(super) entities: Names<'a, Arc<Entity>>,
    pub(super) sources: Names<'a, Arc<Source>>,
}

/// Reads a view whose name and version are known to be good. What is wrong is reported.
pub(super) fn read(table: &Table<'_>, name: &str, version: u32, known: &Known<'_>, root: &Path) -> Option<FeatureView> {
    let source = table.required("source", "`source = \"...\"`, the name of a `[[source]]`").and_then(|value| {
        let name = table.text("source", value)?;
        known.sources.resolve(table, value, name)
    });
    let entities = read_entities(table, known);
    let component = table
        .required("component", "`component = \"....wasm\"`, the file that `tandem build` makes")
        .and_then(|value| table.path("component", value, root));
    let ttl = table.get("ttl").and_then(|value| {
        let ttl = table.duration("ttl", value)?;
        if ttl.as_micros() == 0 {
            let hint = "leave `ttl` out if rows never get too old".to_owned();
            table.error(value, format!("`ttl` of {} is zero: no row would ever be served", table.what), hint);
        }
        Some(ttl)
    });
    let inputs = read_inputs(table);
    let key_columns = read_key_columns(table, entities.as_deref());
    let as_of = read_as_of(table, source.as_deref());
    let known_by = read_known_by(table, source.as_deref());
    let choice = |key, on_error: OnError| {
        table.get(key).and_then(|value| table.choice(key, value, &OnError::ALL, OnError::as_str)).unwrap_or(on_error)
    };
    let view = FeatureView {
        name: name.to_owned(),
        version,
        component: component.unwrap_or_default(),
        parameters: parameters::read(table),
        inputs,
        key_columns,
        ttl,
        on_error: choice("on_error", OnError::Fail),
        nan: table
            .get("nan")
            .and_then(|value| table.choice("nan", value, &NanMode::ALL, NanMode::as_str))
            .unwrap_or(NanMode::Boundary),
        limits: read_limits(table),
        owner: table.prose("owner"),
        description: table.prose("description"),
        tags: read_tags(table),
        // Everything was read before a missing part ends it, so that all mistakes are reported.
        source: source?,
        entities: entities?,
        as_of: as_of?,
        known_by: known_by?,
    };
    Some(view)
}

fn read_entities(table: &Table<'_>, known: &Known<'_>) -> Option<Vec<Arc<Entity>>> {
    const EXAMPLE: &str = "`entities = [\"user\"]`";
    let value = table.required("entities", EXAMPLE)?;
    let names = table.texts("entities", value, EXAMPLE)?;
    if names.is_empty() {
        let message = format!("{} has no entity: nothing would key its rows", table.what);
        table.error(value, message, format!("write {EXAMPLE}"));
        return None;
    }
    let mut entities: Vec<Arc<Entity>> = Vec::new();
    let mut seen = BTreeSet::new();
    for &(name, item) in &names {
        if !seen.insert(name) {
            table.error(item, format!("{} names entity `{name}` twice", table.what), None);
            continue;
        }
        let Some(entity) = known.entities.resolve(table, item, name) else { continue };
        for other in &entities {
            if let Some(key) = entity.join_keys.iter().find(|key| other.join_keys.iter().any(|o| o.name == key.name)) {
                let message = format!(
                    "entities `{}` and `{name}` of {} both have a join key `{}`",
                    other.name, table.what, key.name
                );
                table.error(item, message, "give the join keys different names and use `key_columns`".to_owned());
            }
        }
        entities.push(entity);
    }
    (entities.len() == names.len()).then_some(entities)
}

fn read_inputs(table: &Table<'_>) -> BTreeMap<String, InputSource> {
    let mut inputs = BTreeMap::new();
    for (key, value) in table.entries("inputs", "`inputs = { amount = \"amount_eur\" }`, from input to source column") {
        let name = key.get_ref().as_ref();
        if name == AS_OF {
            let hint = "leave it out: an input named `as_of` always is the time that is asked for".to_owned();
            table.place.error(key.span(), format!("`inputs` of {} cannot map `as_of`", table.what), hint);
            continue;
        }
        let named = check_name(table.place, key.span(), &format!("an input of {}", table.what), name);
        let input = match table.text(&format!("inputs.{name}"), value) {
            Some(AS_OF) => InputSource::AsOf,
            Some(column) => InputSource::Column(column.to_owned()),
            None => continue,
        };
        if named {
            inputs.insert(name.to_owned(), input);
        }
    }
    inputs
}

fn read_key_columns(table: &Table<'_>, entities: Option<&[Arc<Entity>]>) -> BTreeMap<String, String> {
    let join_keys: Option<Vec<&str>> =
        entities.map(|all| all.iter().flat_map(|one| &one.join_keys).map(|key| key.name.as_str()).collect());
    let mut columns = BTreeMap::new();
    for (key, value) in
        table.entries("key_columns", "`key_columns = { user_id = \"customer\" }`, from join key to source column")
    {
        let name = key.get_ref().as_ref();
        // Where an entity is unknown, so are its join keys.
        if let Some(join_keys) = join_keys.as_ref().filter(|join_keys| !join_keys.contains(&name)) {
            let message = format!("`key_columns` of {} maps `{name}`, which is no join key of it", table.what);
            table.place.error(key.span(), message, suggest::hint(name, "join keys", join_keys));
        }
        if let Some(column) = source::column(table, &format!("key_columns.{name}"), value) {
            columns.insert(name.to_owned(), column);
        }
    }
    columns
}

fn read_as_of(table: &Table<'_>, source: Option<&Source>) -> Option<AsOf> {
    if let Some(value) = table.get("as_of") {
        return table.choice("as_of", value, &AsOf::ALL, AsOf::as_str);
    }
    match source?.kind {
        SourceKind::State => Some(AsOf::AtOrBefore),
        SourceKind::Events => {
            let message = format!("{} has no `as_of`, and its source is events", table.what);
            let hint = "a row of events may be the very thing that is predicted on: add `as_of = \"before\"` to leave out \
                 rows at exactly the time that is asked for, or `as_of = \"at_or_before\"` to count them";
            table.place.error(table.span.clone(), message, hint.to_owned());
            None
        }
    }
}

fn read_known_by(table: &Table<'_>, source: Option<&Source>) -> Option<KnownBy> {
    let Some(value) = table.get("known_by") else {
        return source.map(|source| if source.created_time.is_some() { KnownBy::Created } else { KnownBy::Event });
    };
    let known_by = table.choice("known_by", value, &KnownBy::ALL, KnownBy::as_str)?;
    if let Some(source) = source.filter(|source| known_by == KnownBy::Created && source.created_time.is_none()) {
        let message =
            format!("`known_by` of {} is `created`, but source `{}` has no created time", table.what, source.name);
        table.error(value, message, "add `created_time` to the source, or use `published` or `event`".to_owned());
    }
    Some(known_by)
}

fn read_tags(table: &Table<'_>) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for (key, value) in table.entries("tags", "`tags = { team = \"risk\" }`") {
        match value.get_ref() {
            DeValue::String(text) => drop(tags.insert(key.get_ref().to_string(), text.to_string())),
            _ => table.wrong_type(&format!("tags.{}", key.get_ref()), value, "a string", None),
        }
    }
    tags
}

fn read_limits(view: &Table<'_>) -> TransformLimits {
    let defaults = TransformLimits::default();
    let Some(value) = view.get("limits") else { return defaults };
    let DeValue::Table(entries) = value.get_ref() else {
        view.wrong_type("limits", value, "a table", "write `[feature_view.limits]`".to_owned());
        return defaults;
    };
    let table = Table::open(view.place, format!("`limits` of {}", view.what), value.span(), entries, LIMIT_KEYS);
    // TOML's integers end at 2^63 - 1.
    const ANY: u64 = i64::MAX as u64;
    // What a slot of the engine's pool has room for.
    const TABLE_ELEMENTS_MAX: u64 = 100_000;
    // A transform has 32-bit memory.
    const MEMORY_BYTES_MAX: u64 = 1 << 32;
    TransformLimits {
        fuel_base: table.integer_or("fuel_base", defaults.fuel_base, 1, ANY),
        fuel_per_row: table.integer_or("fuel_per_row", defaults.fuel_per_row, 0, ANY),
        call_seconds_max: table.integer_or("call_seconds_max", defaults.call_seconds_max, 1, 86_400),
        memory_bytes_max: table.integer_or("memory_bytes_max", defaults.memory_bytes_max, 1 << 16, MEMORY_BYTES_MAX),
        table_elements_max: table.integer_or("table_elements_max", defaults.table_elements_max, 0, TABLE_ELEMENTS_MAX),
        output_bytes_max: table.integer_or("output_bytes_max", defaults.output_bytes_max, 1, MEMORY_BYTES_MAX),
        message_bytes_max: table.integer_or("message_bytes_max", defaults.message_bytes_max, 0, 1 << 20),
        fields_max: table.integer_or("fields_max", defaults.fields_max, 1, 1 << 20),
        failed_rows_max: table.integer_or("failed_rows_max", defaults.failed_rows_max, 0, ANY),
    }
}

/// Reads name and version, which identify a view.
pub(super) fn read_identity(table: &Table<'_>) -> (Option<String>, Option<u32>) {
    let name = read_name(table);
    let version = table
        .required("version", "`version = 1`")
        .and_then(|value| table.integer("version", value, 1, u64::from(u32::MAX)))
        .map(|version| version as u32);
    (name, version)
}
