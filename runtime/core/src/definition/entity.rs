//! `[[entity]]`: what features describe and the columns that identify it.

use toml::de::DeValue;

use super::reader::{Table, Value};
use crate::model::{Entity, JoinKey};
use crate::suggest;
use crate::types::{self, DataType};

pub(super) const ENTITY_KEYS: &[&str] = &["name", "join_keys", "description"];
pub(super) const JOIN_KEY_KEYS: &[&str] = &["name", "type"];

const JOIN_KEYS_EXAMPLE: &str = "`join_keys = [{ name = \"user_id\", type = \"int64\" }]`";

/// Types that a join key may have: those with one canonical encoding of bounded meaning, compared by value.
const JOIN_KEY_TYPES: [DataType; 6] =
    [DataType::Boolean, DataType::Int64, DataType::Float64, DataType::Timestamp, DataType::String, DataType::Binary];

/// Reads an entity whose name is known to be good. What is wrong is reported.
pub(super) fn read<'a>(table: &Table<'a>, name: &str) -> Option<Entity> {
    let description = table.prose("description");
    let value = table.required("join_keys", JOIN_KEYS_EXAMPLE)?;
    let DeValue::Array(items) = value.get_ref() else {
        table.wrong_type("join_keys", value, "an array of tables", format!("write {JOIN_KEYS_EXAMPLE}"));
        return None;
    };
    if items.is_empty() {
        table.error(value, format!("{} has no join key", table.what), format!("write {JOIN_KEYS_EXAMPLE}"));
    }
    let mut join_keys: Vec<JoinKey> = Vec::new();
    for item in items {
        if let Some(join_key) = read_join_key(table, item, &join_keys) {
            join_keys.push(join_key);
        }
    }
    (join_keys.len() == items.len() && !items.is_empty()).then(|| Entity {
        name: name.to_owned(),
        join_keys,
        description,
    })
}

fn read_join_key<'a>(entity: &Table<'a>, item: &'a Value<'a>, others: &[JoinKey]) -> Option<JoinKey> {
    let DeValue::Table(entries) = item.get_ref() else {
        let hint = format!("write {JOIN_KEYS_EXAMPLE}");
        entity.error(item, format!("a join key of {} must be a table with `name` and `type`", entity.what), hint);
        return None;
    };
    let what = format!("join key of {}", entity.what);
    let table = Table::open(entity.place, what, item.span(), entries, JOIN_KEY_KEYS);
    let name = table.required("name", "`name = \"user_id\"`").and_then(|value| {
        let name = table.name("name", value)?;
        if is_reserved(name) {
            let hint = "rename it here, and map it with `key_columns` in the views".to_owned();
            table.error(value, format!("join key `{name}` of {} has a reserved name", entity.what), hint);
            return None;
        }
        if others.iter().any(|other| other.name == name) {
            table.error(value, format!("join key `{name}` of {} is defined twice", entity.what), None);
            return None;
        }
        Some(name.to_owned())
    });
    let data_type = table.required("type", "`type = \"int64\"`").and_then(|value| {
        let text = table.text("type", value)?;
        let found = text.parse().ok().filter(|found| JOIN_KEY_TYPES.contains(found));
        if found.is_none() {
            let names = JOIN_KEY_TYPES.map(|known| known.to_string());
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let hint = suggest::hint(text, "types of join keys", &names);
            table.error(value, format!("a join key of {} cannot be of type `{text}`", entity.what), hint);
        }
        found
    });
    Some(JoinKey { name: name?, data_type: data_type? })
}

/// Whether the name stands for a column of every feature row, or for the runtime's own input.
pub(super) fn is_reserved(name: &str) -> bool {
    types::is_reserved(name)
}
