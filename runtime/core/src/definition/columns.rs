//! `features`: the features of a view without a component, which are columns of its source as they are.

use toml::de::DeValue;

use super::contract;
use super::entity::is_reserved;
use super::reader::{Table, Value};
use super::source;
use crate::model::{ColumnFeature, Entity, ViewSource};

pub(super) const COLUMN_KEYS: &[&str] = &["name", "column", "type", "description"];

const EXAMPLE: &str = "`features = [{ name = \"mean_30d\", type = \"float64\" }]`";

/// Keys that say what a component is given, or may do.
const COMPONENT_KEYS: [(&str, &str); 7] = [
    ("component", "its features are columns of the source, and nothing computes them"),
    ("inputs", "a feature says itself which column it is, with `column`"),
    ("parameters", "there is no transform to take them"),
    ("limits", "there is no transform to be limited"),
    ("nan", "there is no transform that computes with NaN"),
    ("history", "nothing is published of it that could be computed again"),
    ("instance", "there is no transform that has instances"),
];

/// Reads `features`, if it is there; `value` is its value. What is wrong is reported.
pub(super) fn read<'a>(
    view: &Table<'a>,
    value: &'a Value<'a>,
    source: Option<&ViewSource>,
    entities: Option<&[std::sync::Arc<Entity>]>,
) -> Option<Vec<ColumnFeature>> {
    match source {
        Some(ViewSource::Request) => {
            let message = format!("{} has `features`, but no `source` of which they could be columns", view.what);
            view.error(
                value,
                message,
                "add `source = \"...\"`, the name of a `[[source]]`, or name a `component`".to_owned(),
            );
        }
        Some(ViewSource::View(rows)) => {
            let message = format!("{} has `features`, but its source is feature view `{}`", view.what, rows.view);
            let hint = "use the features of that view where these were to be used, or name a `component`".to_owned();
            view.error(value, message, hint);
        }
        Some(ViewSource::Files(files)) if files.event_id.is_some() => {
            let message = format!("{} has `features`, but source `{}` has event ids", view.what, files.name);
            let hint = "corrections are found when rows are published: name a `component`, or take `event_id` out";
            view.error(value, message, hint.to_owned());
        }
        Some(ViewSource::Files(_)) | None => {}
    }
    for (key, reason) in COMPONENT_KEYS {
        if let Some(other) = view.get(key) {
            let message = format!("{} has `features` and cannot have `{key}`: {reason}", view.what);
            view.error(other, message, format!("take `{key}` out, or `features`"));
        }
    }
    let DeValue::Array(items) = value.get_ref() else {
        view.wrong_type("features", value, "an array of tables", format!("write {EXAMPLE}"));
        return None;
    };
    if items.is_empty() {
        view.error(value, format!("{} has no feature", view.what), format!("write {EXAMPLE}"));
    }
    let mut features: Vec<ColumnFeature> = Vec::new();
    for item in items {
        if let Some(feature) = read_feature(view, item, &features, entities) {
            features.push(feature);
        }
    }
    (features.len() == items.len() && !items.is_empty()).then_some(features)
}

fn read_feature<'a>(
    view: &Table<'a>,
    item: &'a Value<'a>,
    others: &[ColumnFeature],
    entities: Option<&[std::sync::Arc<Entity>]>,
) -> Option<ColumnFeature> {
    let DeValue::Table(entries) = item.get_ref() else {
        let message = format!("a feature of {} must be a table with `name` and `type`", view.what);
        view.error(item, message, format!("write {EXAMPLE}"));
        return None;
    };
    let table = Table::open(view.place, format!("feature of {}", view.what), item.span(), entries, COLUMN_KEYS);
    let name = table.required("name", "`name = \"mean_30d\"`").and_then(|value| {
        let name = table.name("name", value)?;
        let refuse = |problem: String, hint: &str| {
            table.error(value, format!("feature `{name}` of {} {problem}", view.what), hint.to_owned());
            None
        };
        if is_reserved(name) {
            return refuse("has a reserved name".to_owned(), "rename it here, and name the column with `column`");
        }
        if others.iter().any(|other| other.name == name) {
            return refuse("is defined twice".to_owned(), "rename one of them, and name its column with `column`");
        }
        let mut keyed = entities.unwrap_or_default().iter();
        if let Some(entity) = keyed.find(|entity| entity.join_keys.iter().any(|key| key.name == name)) {
            let problem = format!("has the name of a join key of entity `{}`", entity.name);
            return refuse(problem, "a row has both: rename it here, and name the column with `column`");
        }
        Some(name.to_owned())
    });
    let column = match table.get("column") {
        Some(value) => source::column(&table, "column", value),
        None => name.clone(),
    };
    let data_type = table.required("type", "`type = \"float64\"`").and_then(|value| contract::data_type(&table, value));
    Some(ColumnFeature { name: name?, column: column?, data_type: data_type?, description: table.prose("description") })
}
