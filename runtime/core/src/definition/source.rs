//! `[[source]]`: where rows come from and what their times are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZoneDatabase;

use super::contract;
use super::reader::{Table, check_name};
use crate::model::{Source, SourceKind, SourceQuery};
use crate::suggest;
use crate::types::AS_OF;

pub(super) const SOURCE_KEYS: &[&str] = &[
    "name",
    "path",
    "query",
    "tables",
    "kind",
    "event_time",
    "valid_from",
    "valid_to",
    "created_time",
    "sequence",
    "event_id",
    "retracted",
    "timezone",
    "partition",
    "columns",
    "on_violation",
    "description",
];

/// Reads a source whose name is known to be good. What is wrong is reported.
pub(super) fn read(table: &Table<'_>, name: &str, root: &Path) -> Option<Source> {
    let query = table.get("query").map(|value| read_query(table, value, root));
    let path = match &query {
        Some(_) => Some(PathBuf::new()),
        None => {
            refuse(
                table,
                "tables",
                "no `query` that names them, and cannot have",
                "add `query = \"select ...\"`, or take it out",
            );
            table.required("path", "`path = \"data/...\"`").and_then(|value| table.path("path", value, root))
        }
    };
    let kind = table
        .required("kind", "`kind = \"events\"`, `kind = \"state\"` or `kind = \"dimension\"`")
        .and_then(|value| table.choice("kind", value, &SourceKind::ALL, SourceKind::as_str));
    let (event_time, valid_to) = read_times(table, kind);
    let optional = |key| table.get(key).and_then(|value| column(table, key, value));
    let source = Source {
        name: name.to_owned(),
        path: path.clone().unwrap_or_default(),
        query: query.clone().flatten(),
        kind: kind.unwrap_or(SourceKind::Events),
        event_time: event_time.clone().unwrap_or_default(),
        valid_to,
        created_time: optional("created_time"),
        sequence: optional("sequence"),
        event_id: optional("event_id"),
        retracted: optional("retracted"),
        timezone: timezone(table),
        partition: optional("partition"),
        contract: contract::read(table),
        description: table.prose("description"),
    };
    refuse_without(
        table,
        "event_id",
        "created_time",
        "nothing would say from when on a later version of an event counts",
    );
    refuse_without(table, "retracted", "event_id", "nothing would say which event is taken back");
    // Where one of these is missing it was reported, and the source is of no use; the rest was checked all the same.
    let there = path.is_some() && query.is_none_or(|query| query.is_some());
    (kind.is_some() && event_time.is_some() && there).then_some(source)
}

/// Refuses a key; `problem` stands between the source and the key.
fn refuse(table: &Table<'_>, key: &'static str, problem: &str, hint: &str) {
    if let Some(value) = table.get(key) {
        table.error(value, format!("{} has {problem} `{key}`", table.what), hint.to_owned());
    }
}

const TABLES_EXAMPLE: &str = "`tables = { payments = \"data/payments\" }`, from table to folder";

/// Reads `query` and `tables`.
fn read_query<'a>(table: &Table<'a>, value: &'a super::reader::Value<'a>, root: &Path) -> Option<SourceQuery> {
    refuse(table, "path", "a `query` and cannot have", "the files are those of its `tables`");
    let hint = "a query's rows have no partitions; the files of its tables may";
    refuse(table, "partition", "a `query` and cannot have", hint);
    let text = table.text("query", value);
    let mut tables = BTreeMap::new();
    let mut complete = true;
    if table.required("tables", TABLES_EXAMPLE).is_some() {
        for (key, value) in table.entries("tables", TABLES_EXAMPLE) {
            let name = key.get_ref().as_ref();
            let named = check_name(table.place, key.span(), &format!("a table of {}", table.what), name);
            match table.path(&format!("tables.{name}"), value, root).filter(|_| named) {
                Some(path) => drop(tables.insert(name.to_owned(), path)),
                None => complete = false,
            }
        }
        if complete && tables.is_empty() {
            table.error(value, format!("{} names no table", table.what), format!("add {TABLES_EXAMPLE}"));
        }
    }
    (complete && !tables.is_empty()).then_some(SourceQuery { text: text?.to_owned(), tables })
}

/// Refuses a key without another that it needs.
fn refuse_without(table: &Table<'_>, key: &'static str, needed: &'static str, why: &str) {
    if let Some(value) = table.get(key).filter(|_| !table.has_or_means(needed)) {
        let message = format!("{} has `{key}` and no `{needed}`: {why}", table.what);
        table.error(value, message, format!("add `{needed} = \"...\"`, or take `{key}` out"));
    }
}

/// The columns of the event time, and of the end of a row's validity. A dimension names the first one `valid_from`.
fn read_times(table: &Table<'_>, kind: Option<SourceKind>) -> (Option<String>, Option<String>) {
    let refuse_time = |key: &'static str, problem: &str, hint: &str| {
        if let Some(value) = table.get(key) {
            table.error(value, format!("{} {problem} `{key}`", table.what), hint.to_owned());
        }
    };
    if kind == Some(SourceKind::Dimension) {
        refuse_time("event_time", "is a dimension and cannot have", "its event time is the column `valid_from`");
        let from = table.required("valid_from", "`valid_from = \"...\"`, the column from which on a row is valid");
        let to = table.required(
            "valid_to",
            "`valid_to = \"...\"`, the column with the end of it: excluded, null where it is open",
        );
        let from = from.and_then(|value| column(table, "valid_from", value));
        let to = to.and_then(|value| column(table, "valid_to", value));
        return (from.filter(|_| to.is_some()), to);
    }
    for key in ["valid_from", "valid_to"] {
        refuse_time(
            key,
            "is no dimension and cannot have",
            "write `kind = \"dimension\"` if its rows tell when they end",
        );
    }
    let event_time = table.required("event_time", "`event_time = \"...\"`, the column with the event time");
    (event_time.and_then(|value| column(table, "event_time", value)), None)
}

/// A column of the source: any text that is not empty, but `as_of`, which stands for the time that is asked for.
pub(super) fn column<'a>(table: &Table<'a>, key: &str, value: &'a super::reader::Value<'a>) -> Option<String> {
    let column = table.text(key, value)?;
    if column == AS_OF {
        let hint = "`as_of` stands for the time that is asked for; rename the column in the data".to_owned();
        table.error(value, format!("`{key}` of {} cannot be the reserved name `as_of`", table.what), hint);
        return None;
    }
    Some(column.to_owned())
}

/// The zone under its canonical name, so that `utc` and `UTC` are one definition.
pub(super) fn timezone(table: &Table<'_>) -> Option<String> {
    let value = table.get("timezone")?;
    let text = table.text("timezone", value)?;
    // The bundled database and never the system's: a definition must mean the same on every machine.
    let zones = TimeZoneDatabase::bundled();
    let found = zones.get(text).ok().and_then(|zone| zone.iana_name().map(str::to_owned));
    if found.is_none() {
        let known: Vec<String> = zones.available().map(|name| name.to_string()).collect();
        let hint = match suggest::nearest(text, known.iter().map(String::as_str)) {
            Some(name) => format!("did you mean `{name}`?"),
            None => "a time zone is named as in the IANA database, like \"UTC\" or \"Europe/Vienna\"".to_owned(),
        };
        table.error(value, format!("`timezone` of {} is not known: `{text}`", table.what), hint);
    }
    found
}
