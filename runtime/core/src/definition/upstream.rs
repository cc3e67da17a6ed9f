//! What a view reads of other views: their rows as its source, or their features as its inputs.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeValue;

use super::graph::Edges;
use super::reader::{Table, Value, check_name};
use super::references::Views;
use super::view::{INPUT_KEYS, Known, SOURCE_VIEW_KEYS, check_join_keys};
use crate::model::{Entity, InputSource, PublishedRows, Selector, Stage, ViewReference, ViewSource, ViewVersion};
use crate::types::AS_OF;

const SOURCE_EXAMPLE: &str =
    "`source = \"...\"`, the name of a `[[source]]`, or `source = { view = \"user_spend@2\" }`";
const INPUTS_EXAMPLE: &str = "`inputs = { amount = \"amount_eur\" }`, from input to source column";
const INPUT_EXAMPLE: &str = "`{ view = \"user_spend@2\", feature = \"mean_30d\" }`";

/// An input with its place.
pub(super) struct Input {
    pub(super) source: InputSource,
    span: Range<usize>,
}

/// The versions that `table` reads, with their places, before anything of it is checked; what cannot be read is left out.
pub(super) fn references(table: &Table<'_>) -> Vec<(ViewVersion, Range<usize>)> {
    let inputs = match table.get("inputs").map(Value::get_ref) {
        Some(DeValue::Table(entries)) => Some(entries.values()),
        _ => None,
    };
    let mut found: Vec<(ViewVersion, Range<usize>)> = Vec::new();
    for value in table.get("source").into_iter().chain(inputs.into_iter().flatten()) {
        let DeValue::Table(entries) = value.get_ref() else { continue };
        let Some(view) = entries.get("view") else { continue };
        let reference = view.get_ref().as_str().and_then(|text| text.parse::<ViewReference>().ok());
        if let Some(ViewReference { name, selector: Selector::Version(version) }) = reference {
            let id = ViewVersion { name, version };
            if !found.iter().any(|(other, _)| *other == id) {
                found.push((id, view.span()));
            }
        }
    }
    found
}

/// The graph of the views in `tables`.
pub(super) fn edges<'t, 'a: 't>(tables: impl Iterator<Item = (&'t ViewVersion, &'t Table<'a>)> + Clone) -> Edges {
    let mut edges: Edges = tables.clone().map(|(id, _)| (id.clone(), Vec::new())).collect();
    for (id, table) in tables {
        let known: Vec<ViewVersion> =
            references(table).into_iter().map(|(id, _)| id).filter(|id| edges.contains_key(id)).collect();
        edges.insert(id.clone(), known);
    }
    edges
}

/// Reads `source`; without the key the view is computed on demand. A misspelled key is not taken for a missing one: what else is
/// said about the view would only confuse.
pub(super) fn read_source(
    table: &Table<'_>,
    known: &Known<'_>,
    views: &Views,
    stage: Option<Stage>,
) -> Option<ViewSource> {
    let Some(value) = table.get("source") else {
        return (!table.has_or_means("source")).then_some(ViewSource::Request);
    };
    let entries = match value.get_ref() {
        DeValue::String(_) => {
            let name = table.text("source", value)?;
            return known.sources.resolve(table, value, name).map(ViewSource::Files);
        }
        DeValue::Table(entries) => entries,
        _ => {
            table.wrong_type("source", value, "a name or a table", format!("write {SOURCE_EXAMPLE}"));
            return None;
        }
    };
    let inner =
        Table::open(table.place, format!("`source` of {}", table.what), value.span(), entries, SOURCE_VIEW_KEYS);
    let at = inner.required("view", "`view = \"user_spend@2\"`")?;
    let id = read_view(&inner, "view", at, views, stage)?;
    let upstream = views.get(&id)?;
    if upstream.is_columns() {
        let source = upstream.source.what();
        let message = format!("feature view `{id}`, the source of {}, is of columns and publishes no rows", table.what);
        inner.error(at, message, format!("name its own source, {source}"));
        return None;
    }
    if upstream.is_aggregates() && upstream.grid().is_none() {
        let message =
            format!("feature view `{id}`, the source of {}, is of aggregates and publishes no rows", table.what);
        let hint = format!(
            "add `every = \"1d\"` to it, at whose instants `tandem batch` then publishes rows; or leave `source` out and read its features: `inputs = {{ x = {{ view = \"{id}\", feature = \"...\" }} }}`"
        );
        inner.error(at, message, hint);
        return None;
    }
    let rows = PublishedRows::of(upstream);
    if rows.is_none() {
        let message =
            format!("feature view `{id}`, the source of {}, is computed on demand and has no rows", table.what);
        let hint = format!(
            "leave `source` out and read its features: `inputs = {{ x = {{ view = \"{id}\", feature = \"...\" }} }}`"
        );
        inner.error(at, message, hint);
    }
    Some(ViewSource::View(Arc::new(rows?)))
}

/// The version that `value` of `inner` pins, where a view of `stage` may read it.
fn read_view<'a>(
    inner: &Table<'a>,
    key: &str,
    value: &'a Value<'a>,
    views: &Views,
    stage: Option<Stage>,
) -> Option<ViewVersion> {
    let text = inner.text(key, value)?;
    let id = views.pinned(inner, key, value, text)?;
    if !views.exists(inner, value, &id) {
        return None;
    }
    let experimental = views.get(&id).is_some_and(|view| view.stage == Stage::Experimental);
    if stage == Some(Stage::Production) && experimental {
        let message =
            format!("{} reads feature view `{id}`, which is experimental, and the view is in production", inner.what);
        let hint = format!("set `stage = \"production\"` in `{id}` first, once it may be relied on");
        inner.error(value, message, hint);
    }
    Some(id)
}

/// Reads `inputs`. What is wrong is reported and left out.
pub(super) fn read_inputs(
    table: &Table<'_>,
    views: &Views,
    stage: Option<Stage>,
    on_demand: bool,
) -> BTreeMap<String, Input> {
    let mut inputs = BTreeMap::new();
    for (key, value) in table.entries("inputs", INPUTS_EXAMPLE) {
        let name = key.get_ref().as_ref();
        if name == AS_OF {
            let hint = "leave it out: an input named `as_of` always is the time that is asked for".to_owned();
            table.place.error(key.span(), format!("`inputs` of {} cannot map `as_of`", table.what), hint);
            continue;
        }
        let named = check_name(table.place, key.span(), &format!("an input of {}", table.what), name);
        let key = format!("inputs.{name}");
        let source = match value.get_ref() {
            DeValue::Table(_) => read_input(table, &key, value, views, stage, on_demand),
            DeValue::String(_) => table.text(&key, value).map(|text| match text {
                AS_OF => InputSource::AsOf,
                column => InputSource::Column(column.to_owned()),
            }),
            _ => {
                let hint = format!("write the name of a column, \"as_of\", or {INPUT_EXAMPLE}");
                table.wrong_type(&key, value, "a string or a table", hint);
                None
            }
        };
        if let (true, Some(source)) = (named, source) {
            inputs.insert(name.to_owned(), Input { source, span: value.span() });
        }
    }
    inputs
}

/// Reads `{ view = "user_spend@2", feature = "mean_30d" }` or `{ view = "login@1", event_time = true }`.
fn read_input<'a>(
    table: &Table<'a>,
    key: &str,
    value: &'a Value<'a>,
    views: &Views,
    stage: Option<Stage>,
    on_demand: bool,
) -> Option<InputSource> {
    let DeValue::Table(entries) = value.get_ref() else { return None };
    let inner = Table::open(table.place, format!("`{key}` of {}", table.what), value.span(), entries, INPUT_KEYS);
    let view = inner.required("view", "`view = \"user_spend@2\"`");
    let view = view.and_then(|value| Some((value, read_view(&inner, "view", value, views, stage)?)));
    let feature = inner.get("feature").map(|value| (value, inner.name("feature", value)));
    let event_time = inner.get("event_time").map(|value| {
        let truth = matches!(value.get_ref(), DeValue::Boolean(true));
        if !truth {
            inner.error(
                value,
                format!("`event_time` of {} must be true", inner.what),
                "leave it out, or write `event_time = true`".to_owned(),
            );
        }
        (value, truth)
    });
    if !on_demand {
        let message = format!("{} reads another view, but {} has a `source`", inner.what, table.what);
        let hint = "only a view without a `source`, computed on demand, reads features of others; to compute over another \
             view's rows write `source = { view = \"...\" }`";
        inner.error(value, message, hint.to_owned());
        return None;
    }
    match (feature, event_time) {
        (None, None) => {
            let hint =
                "add `feature = \"...\"`, or `event_time = true` for the event time of the view's row".to_owned();
            inner.error(value, format!("{} does not say what it reads of the view", inner.what), hint);
            None
        }
        (Some(_), Some((at, _))) => {
            let message = format!("{} has both `feature` and `event_time`", inner.what);
            inner.error(at, message, "make two inputs of it".to_owned());
            None
        }
        (Some((_, feature)), None) => Some(InputSource::Feature { view: view?.1, feature: feature?.to_owned() }),
        (None, Some((at, truth))) => {
            let (_, view) = view?;
            let of_aggregates = views.get(&view).is_some_and(|upstream| upstream.is_aggregates());
            if of_aggregates || views.get(&view).is_some_and(|upstream| !upstream.is_stored()) {
                let made = if of_aggregates { "is of aggregates" } else { "is computed on demand" };
                let message = format!("feature view `{view}` {made}: it has no rows, and so no event time");
                inner.error(at, message, "an input bound to \"as_of\" is the time that is asked for".to_owned());
                return None;
            }
            truth.then_some(InputSource::EventTime { view })
        }
    }
}

/// The entities of all views that the inputs read, each once, in the order of the inputs' names. None where one of the views is not known.
pub(super) fn entities(table: &Table<'_>, inputs: &BTreeMap<String, Input>, views: &Views) -> Option<Vec<Arc<Entity>>> {
    let mut entities: Vec<Arc<Entity>> = Vec::new();
    for Input { source, span } in inputs.values() {
        let Some(view) = source.view() else { continue };
        for entity in &views.get(view)?.entities {
            if !entities.iter().any(|known| known.name == entity.name) {
                check_join_keys(table, span, &entities, entity);
                entities.push(Arc::clone(entity));
            }
        }
    }
    Some(entities)
}

/// Refuses an input of a view whose entities are not all among `entities`: nothing would say which of its rows is meant.
pub(super) fn check_entities(
    table: &Table<'_>,
    inputs: &BTreeMap<String, Input>,
    entities: &[Arc<Entity>],
    views: &Views,
) {
    let mut seen = Vec::new();
    for Input { source, span } in inputs.values() {
        let Some(view) = source.view().filter(|view| !seen.contains(view)) else { continue };
        seen.push(view);
        let Some(upstream) = views.get(view) else { continue };
        for entity in &upstream.entities {
            if !entities.iter().any(|known| known.name == entity.name) {
                let message = format!(
                    "{} reads feature view `{view}`, which is keyed by entity `{}`, and has no such entity",
                    table.what, entity.name
                );
                let hint = format!(
                    "add \"{}\" to `entities`, or leave `entities` out: it then has all that it needs",
                    entity.name
                );
                table.place.error(span.clone(), message, hint);
            }
        }
    }
}

/// Refuses the keys that say how stored rows are read and served.
pub(super) fn refuse_stored_keys(table: &Table<'_>) {
    let reasons = [
        ("ttl", "it keeps no rows that could get too old"),
        ("freshness", "it keeps no rows that could get old"),
        ("as_of", "it has no rows of its own to count or leave out"),
        ("known_by", "it has no rows that become known"),
        ("history", "it publishes no rows that could be computed again"),
        ("publish_delay", "it has no rows that are published"),
        ("defaults", "it is computed whenever it is asked for, so its transform can give the value itself"),
        ("checks", "it publishes no rows that could be looked at"),
        ("key_columns", "its keys come with the request, under the names of the join keys"),
    ];
    for (key, reason) in reasons {
        if let Some(value) = table.get(key) {
            let message = format!(
                "{} has no `source`, so it is computed on demand and cannot have `{key}`: {reason}",
                table.what
            );
            let hint = format!("take `{key}` out, or add {SOURCE_EXAMPLE}");
            table.error(value, message, hint);
        }
    }
}
