//! `[[feature_view]]`: a transform over a source, keyed by entities.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeValue;

use super::names::{Names, read_name};
use super::reader::Table;
use super::references::Views;
use super::{aggregates, checks, columns, defaults, parameters, source, upstream};
use crate::limits::TransformLimits;
use crate::model::{
    AsOf, ColumnFeature, Deprecation, Entity, FeatureView, History, InputSource, InstanceMode, KnownBy, NanMode,
    OnError, Source, SourceKind, Stage, ViewSource, ViewVersion,
};
use crate::suggest;
use crate::time::{Day, Duration};
use crate::window::Bounds;

pub(super) const VIEW_KEYS: &[&str] = &[
    "name",
    "version",
    "stage",
    "deprecated",
    "source",
    "entities",
    "component",
    "features",
    "aggregates",
    "columns",
    "where",
    "bounds",
    "precision",
    "hop",
    "lateness",
    "timezone",
    "retention",
    "every",
    "ttl",
    "freshness",
    "as_of",
    "known_by",
    "history",
    "publish_delay",
    "defaults",
    "on_error",
    "checks",
    "nan",
    "instance",
    "owner",
    "description",
    "tags",
    "inputs",
    "key_columns",
    "parameters",
    "limits",
];
pub(super) const DEPRECATED_KEYS: &[&str] = &["since", "replacement"];
pub(super) const SOURCE_VIEW_KEYS: &[&str] = &["view"];
pub(super) const INPUT_KEYS: &[&str] = &["view", "feature", "event_time"];
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

/// Reads a view whose name and version are known to be good, after the views that it reads. What is wrong is reported.
pub(super) fn read(
    table: &Table<'_>,
    id: &ViewVersion,
    known: &Known<'_>,
    views: &Views,
    root: &Path,
) -> Option<FeatureView> {
    let stage = match table.get("stage") {
        None => Some(Stage::Experimental),
        Some(value) => table.choice("stage", value, &Stage::ALL, Stage::as_str),
    };
    let deprecation = read_deprecation(table, id, stage, views);
    let source = upstream::read_source(table, known, views, stage);
    let on_demand = !table.has_or_means("source");
    let inputs = upstream::read_inputs(table, views, stage, on_demand);
    let entities = match table.get("entities") {
        None if on_demand => upstream::entities(table, &inputs, views),
        _ => read_entities(table, known, on_demand),
    };
    if let (true, Some(entities)) = (on_demand, &entities) {
        upstream::check_entities(table, &inputs, entities, views);
    }
    let aggregates = match table.get("aggregates") {
        Some(value) => Some(aggregates::read(table, value, source.as_ref(), entities.as_deref(), root)),
        None => {
            if !table.has_or_means("aggregates") {
                aggregates::refuse_own_keys(table);
            }
            None
        }
    };
    // Where there are aggregates too, that was reported.
    let columns = table.get("features").filter(|_| aggregates.is_none());
    let columns = columns.map(|value| columns::read(table, value, source.as_ref(), entities.as_deref()));
    let component = match &columns {
        _ if aggregates.is_some() => table.get("component").and_then(|value| table.path("component", value, root)),
        None => table
            .required("component", "`component = \"....wasm\"`, the file that `tandem build` makes")
            .and_then(|value| table.path("component", value, root)),
        Some(_) => None,
    };
    let columns = columns.flatten().unwrap_or_default();
    // The columns of events that a component makes are its outputs.
    let makes_events = aggregates.is_some() && component.is_some();
    let events = aggregates.iter().flatten().filter(|_| !makes_events);
    let events: Vec<ColumnFeature> = events.flat_map(aggregates::inputs).collect();
    let own_names = columns.iter().chain(&events).filter(|feature| feature.column != feature.name);
    let columns_inputs: Vec<(String, InputSource)> =
        own_names.map(|feature| (feature.name.clone(), InputSource::Column(feature.column.clone()))).collect();
    if on_demand {
        upstream::refuse_stored_keys(table);
    }
    let ttl = table.get("ttl").filter(|_| !on_demand).and_then(|value| {
        let ttl = table.duration("ttl", value)?;
        if ttl.as_micros() == 0 {
            let hint = "leave `ttl` out if rows never get too old".to_owned();
            table.error(value, format!("`ttl` of {} is zero: no row would ever be served", table.what), hint);
        }
        Some(ttl)
    });
    let freshness = if on_demand || aggregates.is_some() { None } else { read_freshness(table, ttl) };
    let key_columns = if on_demand { BTreeMap::new() } else { read_key_columns(table, entities.as_deref()) };
    let as_of = match &aggregates {
        _ if on_demand => Some(AsOf::AtOrBefore),
        Some(aggregates) => aggregates.as_ref().map(|aggregates| match aggregates.bounds {
            Bounds::StartIncluded => AsOf::Before,
            Bounds::EndIncluded => AsOf::AtOrBefore,
        }),
        None => read_as_of(table, source.as_ref()),
    };
    let known_by = if on_demand { Some(KnownBy::Event) } else { read_known_by(table, source.as_ref()) };
    let history = table.get("history").filter(|_| !on_demand);
    let history = history.and_then(|value| table.choice("history", value, &History::ALL, History::as_str));
    let publish_delay = if on_demand { None } else { read_publish_delay(table, known_by) };
    let choice = |key, on_error: OnError| {
        table.get(key).and_then(|value| table.choice(key, value, &OnError::ALL, OnError::as_str)).unwrap_or(on_error)
    };
    let view = FeatureView {
        name: id.name.clone(),
        version: id.version,
        component: component.unwrap_or_default(),
        parameters: parameters::read(table),
        key_columns,
        publish_delay,
        defaults: if on_demand { BTreeMap::new() } else { defaults::read(table) },
        ttl,
        freshness,
        on_error: choice("on_error", OnError::Fail),
        nan: table
            .get("nan")
            .and_then(|value| table.choice("nan", value, &NanMode::ALL, NanMode::as_str))
            .unwrap_or(NanMode::Boundary),
        history: history.unwrap_or(History::Append),
        checks: if on_demand { Vec::new() } else { checks::read(table) },
        instance: table
            .get("instance")
            .and_then(|value| table.choice("instance", value, &InstanceMode::ALL, InstanceMode::as_str))
            .unwrap_or(InstanceMode::PerCall),
        limits: read_limits(table),
        owner: table.prose("owner"),
        description: table.prose("description"),
        tags: read_tags(table),
        // Everything was read before a missing part ends it, so that all mistakes are reported.
        inputs: inputs.into_iter().map(|(name, input)| (name, input.source)).chain(columns_inputs).collect(),
        columns,
        aggregates: match aggregates {
            Some(aggregates) => Some(Arc::new(aggregates?)),
            None => None,
        },
        stage: stage?,
        deprecation,
        source: source?,
        entities: entities?,
        as_of: as_of?,
        known_by: known_by?,
    };
    Some(view)
}

const DEPRECATED_EXAMPLE: &str = "`deprecated = { since = \"2026-12-01\", replacement = \"card_risk@3\" }`";

fn read_deprecation(table: &Table<'_>, id: &ViewVersion, stage: Option<Stage>, views: &Views) -> Option<Deprecation> {
    let Some(value) = table.get("deprecated") else {
        if let (Some(Stage::Deprecated), Some(at)) = (stage, table.get("stage")) {
            let message = format!("{} is deprecated and does not say since when", table.what);
            table.error(at, message, format!("add {DEPRECATED_EXAMPLE}; the replacement may be left out"));
        }
        return None;
    };
    if let Some(stage) = stage.filter(|stage| *stage != Stage::Deprecated) {
        let message = format!("{} has `deprecated`, but its stage is {}", table.what, stage.as_str());
        table.error(value, message, "set `stage = \"deprecated\"`, or take `deprecated` out".to_owned());
    }
    let DeValue::Table(entries) = value.get_ref() else {
        table.wrong_type("deprecated", value, "a table", format!("write {DEPRECATED_EXAMPLE}"));
        return None;
    };
    let inner =
        Table::open(table.place, format!("`deprecated` of {}", table.what), value.span(), entries, DEPRECATED_KEYS);
    let since = inner.required("since", "`since = \"2026-12-01\"`, a day").and_then(|value| {
        let hint = "a day is written like \"2026-12-01\", in quotes".to_owned();
        let DeValue::String(text) = value.get_ref() else {
            inner.wrong_type("since", value, "a day", hint);
            return None;
        };
        let day = Day::parse(text).ok();
        if day.is_none() {
            inner.error(value, format!("`since` of {}: {text:?} is not a day", inner.what), hint);
        }
        day
    });
    let replacement = inner.get("replacement").and_then(|value| {
        let text = inner.text("replacement", value)?;
        let replacement = views.pinned(&inner, "replacement", value, text)?;
        if replacement == *id {
            let hint = "name another version, or leave `replacement` out".to_owned();
            inner.error(value, format!("{} is named as its own replacement", table.what), hint);
            return None;
        }
        views.exists(&inner, value, &replacement).then_some(replacement)
    });
    Some(Deprecation { since: since?, replacement })
}

fn read_entities(table: &Table<'_>, known: &Known<'_>, may_be_empty: bool) -> Option<Vec<Arc<Entity>>> {
    const EXAMPLE: &str = "`entities = [\"user\"]`";
    let value = table.required("entities", EXAMPLE)?;
    let names = table.texts("entities", value, EXAMPLE)?;
    if names.is_empty() && !may_be_empty {
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
        check_join_keys(table, &item.span(), &entities, &entity);
        entities.push(entity);
    }
    (entities.len() == names.len()).then_some(entities)
}

/// Refuses an entity that shares the name of a join key with one before it.
pub(super) fn check_join_keys(table: &Table<'_>, span: &Range<usize>, before: &[Arc<Entity>], entity: &Entity) {
    for other in before {
        if let Some(key) = entity.join_keys.iter().find(|key| other.join_keys.iter().any(|o| o.name == key.name)) {
            let message = format!(
                "entities `{}` and `{}` of {} both have a join key `{}`",
                other.name, entity.name, table.what, key.name
            );
            let hint = "give the join keys different names and use `key_columns`".to_owned();
            table.place.error(span.clone(), message, hint);
        }
    }
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

fn read_as_of(table: &Table<'_>, source: Option<&ViewSource>) -> Option<AsOf> {
    if let Some(value) = table.get("as_of") {
        return table.choice("as_of", value, &AsOf::ALL, AsOf::as_str);
    }
    match source?.kind()? {
        SourceKind::State | SourceKind::Dimension => Some(AsOf::AtOrBefore),
        SourceKind::Events => {
            let message = format!("{} has no `as_of`, and its source is events", table.what);
            let hint = "a row of events may be the very thing that is predicted on: add `as_of = \"before\"` to leave out \
                 rows at exactly the time that is asked for, or `as_of = \"at_or_before\"` to count them";
            table.place.error(table.span.clone(), message, hint.to_owned());
            None
        }
    }
}

fn read_known_by(table: &Table<'_>, source: Option<&ViewSource>) -> Option<KnownBy> {
    let Some(value) = table.get("known_by") else {
        return source.map(|source| if source.has_created_time() { KnownBy::Created } else { KnownBy::Event });
    };
    let known_by = table.choice("known_by", value, &KnownBy::ALL, KnownBy::as_str)?;
    if let Some(source) = source.filter(|source| known_by == KnownBy::Created && !source.has_created_time()) {
        let what = source.what();
        let message = format!("`known_by` of {} is `created`, but {what} has no created time", table.what);
        table.error(value, message, "add `created_time` to the source, or use `published` or `event`".to_owned());
    }
    if let Some(source) = source.filter(|source| known_by == KnownBy::Event && source.has_event_ids()) {
        let what = source.what();
        let message = format!("`known_by` of {} is `event`, but {what} has event ids", table.what);
        let hint = "a correction would count before anybody knew it: use `created` or `published`".to_owned();
        table.error(value, message, hint);
    }
    Some(known_by)
}

fn read_publish_delay(table: &Table<'_>, known_by: Option<KnownBy>) -> Option<Duration> {
    let value = table.get("publish_delay")?;
    if known_by.is_some_and(|known_by| known_by != KnownBy::Published) {
        let message = format!("{} has `publish_delay`, but its `known_by` is not `published`", table.what);
        table.error(value, message, "add `known_by = \"published\"`, or take `publish_delay` out".to_owned());
        return None;
    }
    table.duration("publish_delay", value)
}

/// A row past the objective is served as stale: one that is never served, or that is never past it, is a mistake.
fn read_freshness(table: &Table<'_>, ttl: Option<Duration>) -> Option<Duration> {
    let value = table.get("freshness")?;
    let freshness = table.duration("freshness", value)?;
    if freshness.as_micros() == 0 {
        let hint = "write how old a row may be before it is told as stale, as \"1h\"".to_owned();
        table.error(value, format!("`freshness` of {} is zero: every row would be stale", table.what), hint);
    } else if let Some(ttl) = ttl.filter(|ttl| *ttl <= freshness) {
        let message = format!(
            "`freshness` of {} is {freshness}, and its `ttl` {ttl}: a row would be too old before it is stale",
            table.what
        );
        table.error(value, message, "make `freshness` shorter than `ttl`".to_owned());
    }
    Some(freshness)
}

pub(super) fn read_tags(table: &Table<'_>) -> BTreeMap<String, String> {
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
