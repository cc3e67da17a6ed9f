//! What a view of aggregates says beside its features: columns, precision, lateness, grid.

use std::sync::Arc;

use toml::de::DeValue;

use super::super::entity::is_reserved;
use super::super::reader::{self, Table, Value};
use super::super::{contract, source};
use super::{COLUMNS_EXAMPLE, EVENT_COLUMN_KEYS};
use crate::model::{Entity, GRID_PARTITION};
use crate::time::Duration;
use crate::window::{Bounds, EventColumn, Filter, Grid, LATENESS_DEFAULT, Precision};

/// Reads `columns`: column to type, or to a table of both.
pub(super) fn read_columns(view: &Table<'_>) -> Option<Vec<EventColumn>> {
    let mut columns = Vec::new();
    let mut complete = true;
    for (key, value) in view.entries("columns", COLUMNS_EXAMPLE) {
        let name = key.get_ref().as_ref();
        let what = format!("columns.{name}");
        let named = reader::check_name(view.place, key.span(), &format!("a column of {}", view.what), name);
        if is_reserved(name) {
            let hint =
                "rename it here, and name the source's column with `column`: `{ column = \"...\", type = \"...\" }`";
            view.place.error(
                key.span(),
                format!("column `{name}` of {} has a reserved name", view.what),
                hint.to_owned(),
            );
            complete = false;
        }
        let (column, data_type) = match value.get_ref() {
            DeValue::Table(entries) => {
                let table = Table::open(
                    view.place,
                    format!("`{what}` of {}", view.what),
                    value.span(),
                    entries,
                    EVENT_COLUMN_KEYS,
                );
                let data_type = table.required("type", "`type = \"float64\"`");
                let data_type = data_type.and_then(|value| contract::data_type(&table, value));
                let column = table.get("column").map(|value| source::column(&table, "column", value));
                (column.unwrap_or_else(|| Some(name.to_owned())), data_type)
            }
            DeValue::String(_) => (
                Some(name.to_owned()),
                contract::data_type_of(view, &what, value, &format!("`{what}` of {}", view.what)),
            ),
            _ => {
                let hint = format!("write {COLUMNS_EXAMPLE}, or `{{ column = \"...\", type = \"...\" }}`");
                view.wrong_type(&what, value, "a type or a table", hint);
                (None, None)
            }
        };
        match (column, data_type) {
            (Some(column), Some(data_type)) if named => {
                columns.push(EventColumn { name: name.to_owned(), column, data_type });
            }
            _ => complete = false,
        }
    }
    columns.sort_by(|a, b| a.name.cmp(&b.name));
    complete.then_some(columns)
}

/// Reads a filter.
pub(super) fn read_filter<'a>(
    table: &Table<'a>,
    key: &str,
    value: &'a Value<'a>,
    columns: &[EventColumn],
) -> Option<Filter> {
    let text = table.text(key, value)?;
    match Filter::parse(text, columns) {
        Ok(filter) => Some(filter),
        Err(error) => {
            table.error(value, format!("`{key}` of {}: {error}", table.what), error.hint);
            None
        }
    }
}

pub(super) fn read_precision(view: &Table<'_>, bounds: Option<Bounds>) -> Option<Precision> {
    let exact = match view.get("precision") {
        None => true,
        Some(value) => view.choice("precision", value, &["exact", "tiled"], |word| word)? == "exact",
    };
    let hop = view.get("hop");
    if exact {
        if let Some(value) = hop {
            let message = format!("{} has a `hop`, and its `precision` is exact", view.what);
            view.error(value, message, "add `precision = \"tiled\"`, or take `hop` out".to_owned());
            return None;
        }
        return Some(Precision::Exact);
    }
    let at = view.get("precision")?;
    if bounds == Some(Bounds::EndIncluded) {
        let message = format!("{} is tiled, and its bounds are `(]`", view.what);
        let hint =
            "tiles begin at a multiple of the hop and include it: use `bounds = \"[)\"`, or `precision = \"exact\"`";
        view.error(at, message, hint.to_owned());
        return None;
    }
    let hop = view.required("hop", "`hop = \"1h\"`, to whose multiples the starts of windows are rounded down")?;
    let length = view.duration("hop", hop)?;
    if length.as_micros() == 0 {
        view.error(hop, format!("`hop` of {} is zero", view.what), "write it like \"1h\"".to_owned());
        return None;
    }
    Some(Precision::Tiled { hop: length })
}

/// Reads how late an event may come; Some(None) where it may come at any time.
pub(super) fn read_lateness(view: &Table<'_>, precision: Option<Precision>) -> Option<Option<Duration>> {
    match (view.get("lateness"), precision) {
        (Some(value), Some(Precision::Exact)) => {
            let message = format!("{} has a `lateness`, and its `precision` is exact", view.what);
            let hint = "events of exact windows may come at any time: add `precision = \"tiled\"` and a `hop`, or take `lateness` out";
            view.error(value, message, hint.to_owned());
            None
        }
        (Some(value), _) => view.duration("lateness", value).map(Some),
        (None, Some(Precision::Exact)) => Some(None),
        (None, _) => Some(Some(LATENESS_DEFAULT)),
    }
}

/// Reads the grid on which batch computes the view.
pub(super) fn read_every<'a>(view: &Table<'a>, value: &'a Value<'a>, entities: &[Arc<Entity>]) -> Option<Grid> {
    let every = view.duration("every", value)?;
    let Some(grid) = Grid::new(every) else {
        let message = format!("`every` of {} is {every}, which does not divide a day", view.what);
        let hint = "its instants are the same on each day, midnight of UTC among them: write \"1d\", \"6h\", \"1h\" or \"15m\"";
        view.error(value, message, hint.to_owned());
        return None;
    };
    let mut keyed = entities.iter();
    if let Some(entity) = keyed.find(|entity| entity.join_keys.iter().any(|key| key.name == GRID_PARTITION)) {
        let message = format!(
            "{} has `every`, and a join key of entity `{}` is named `{GRID_PARTITION}`, as the folders are in which its rows lie",
            view.what, entity.name
        );
        let hint = "rename the join key, and name the source's column with `key_columns`".to_owned();
        view.error(value, message, hint);
        return None;
    }
    Some(grid)
}
