//! `columns` and `on_violation` of a source: what is promised of its rows.

use toml::de::DeValue;

use super::checks::{allowed, bounds};
use super::reader::{Table, Value};
use super::source;
use crate::model::{Allowed, ColumnContract, OnError, SourceContract};
use crate::suggest;
use crate::types::DataType;

const COLUMN_KEYS: &[&str] = &["name", "type", "nullable", "allowed", "min", "max"];

const EXAMPLE: &str = "`columns = [{ name = \"amount\", type = \"float64\", nullable = false, min = 0 }]`";

/// Reads the contract of a source. What is wrong is reported and left out.
pub(super) fn read(source: &Table<'_>) -> SourceContract {
    let on_violation = source
        .get("on_violation")
        .and_then(|value| source.choice("on_violation", value, &OnError::ALL, OnError::as_str))
        .unwrap_or(OnError::Fail);
    let Some(value) = source.get("columns") else {
        if let Some(value) = source.get("on_violation").filter(|_| on_violation == OnError::Quarantine) {
            let message = format!(
                "{} sets rows aside and has no `columns`: nothing is promised that a row could break",
                source.what
            );
            source.error(value, message, format!("add {EXAMPLE}, or take `on_violation` out"));
        }
        return SourceContract::default();
    };
    let DeValue::Array(items) = value.get_ref() else {
        source.wrong_type("columns", value, "an array of tables", format!("write {EXAMPLE}"));
        return SourceContract::default();
    };
    let mut columns: Vec<ColumnContract> = Vec::new();
    for item in items {
        if let Some(column) = read_column(source, item, &columns) {
            columns.push(column);
        }
    }
    SourceContract { columns, on_violation }
}

fn read_column<'a>(source: &Table<'a>, item: &'a Value<'a>, others: &[ColumnContract]) -> Option<ColumnContract> {
    let DeValue::Table(entries) = item.get_ref() else {
        source.wrong_type("columns", item, "an array of tables", format!("write {EXAMPLE}"));
        return None;
    };
    let table = Table::open(source.place, format!("a column of {}", source.what), item.span(), entries, COLUMN_KEYS);
    let name = table.required("name", "`name = \"amount\"`, the column").and_then(|value| {
        let name = source::column(&table, "name", value)?;
        if others.iter().any(|other| other.name == name) {
            table.error(
                value,
                format!("column `{name}` of {} stands twice", source.what),
                "take one of them out".to_owned(),
            );
            return None;
        }
        Some(name)
    });
    let data_type = table.required("type", "`type = \"float64\"`").and_then(|value| data_type(&table, value));
    let nullable = table.boolean_or("nullable", true);
    let mut complete = true;
    let mut refuse = |key: &'static str, types: &str, fits: bool| {
        if let Some(value) = table.get(key).filter(|_| !fits) {
            let of = data_type.map_or(String::new(), |data_type| format!(", and this one is {data_type}"));
            let message = format!("this `{key}` of {} is of {types} columns{of}", table.what);
            table.error(value, message, format!("take `{key}` out"));
            complete = false;
        }
    };
    let is_number = data_type.is_none_or(|data_type| matches!(data_type, DataType::Int64 | DataType::Float64));
    refuse("min", "int64 and float64", is_number);
    refuse("max", "int64 and float64", is_number);
    let (min, max) = match table.get("min").or(table.get("max")) {
        Some(_) => bounds(&table, f64::NEG_INFINITY)?,
        None => (None, None),
    };
    let allowed = match table.get("allowed") {
        None => None,
        Some(value) => {
            let allowed = allowed(&table, value)?;
            let (types, takes) = match &allowed {
                Allowed::Texts(_) => ("string", DataType::String),
                Allowed::Integers(_) => ("int64", DataType::Int64),
            };
            refuse("allowed", types, data_type.is_none_or(|data_type| data_type == takes));
            Some(allowed)
        }
    };
    let column = ColumnContract { name: name?, data_type: data_type?, nullable, allowed, min, max };
    complete.then_some(column)
}

/// The type that a column has by its definition.
pub(super) fn data_type<'a>(table: &Table<'a>, value: &'a Value<'a>) -> Option<DataType> {
    data_type_of(table, "type", value, &table.what)
}

/// The same under another key; `what` has the type.
pub(super) fn data_type_of<'a>(table: &Table<'a>, key: &str, value: &'a Value<'a>, what: &str) -> Option<DataType> {
    let text = table.text(key, value)?;
    let found = text.parse::<DataType>().ok();
    if found.is_none() {
        let names = ["boolean", "int64", "float64", "timestamp", "string", "binary"];
        let names =
            [&names[..], &["float32_vector[N]", "sequence[int64]", "sequence[float64]", "sequence[string]"]].concat();
        let hint = suggest::hint(text, "types", &names);
        table.error(value, format!("{what} cannot be of type `{text}`"), hint);
    }
    found
}
