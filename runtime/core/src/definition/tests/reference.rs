//! The tables of docs/reference/definitions.md: a default that is written out changes nothing, and ranges end where they say.

use super::*;

/// A row of a table of keys.
struct Row {
    /// The table that the key is of: `server`, `feature_view.limits`.
    table: String,
    key: String,
    data_type: String,
    default: String,
    /// Empty where the page gives none.
    range: String,
}

fn rows() -> Vec<Row> {
    let (mut rows, mut table, mut columns) = (Vec::new(), String::new(), Vec::new());
    for line in REFERENCE.lines() {
        if line.starts_with('#') {
            table = line.trim_matches(|c| "#` []".contains(c)).to_owned();
        } else if line.starts_with("| ") {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            if cells[0] == "key" {
                columns = cells;
            } else if !cells[0].starts_with("---") && columns.contains(&"default") {
                let cell = |name: &str| {
                    let index = columns.iter().position(|column| *column == name);
                    index.map_or("", |index| cells[index]).to_owned()
                };
                let key = cell("key").trim_matches('`').to_owned();
                let (data_type, default, range) = (cell("type"), cell("default"), cell("range"));
                rows.push(Row { table: table.clone(), key, data_type, default, range });
            }
        } else {
            columns = Vec::new();
        }
    }
    rows
}

/// `16 MiB` or `4,096` as a number.
fn number(text: &str) -> Option<i128> {
    let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
    let unit = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    Some(digits.replace(',', "").parse::<i128>().ok()? * unit)
}

/// The stated default as TOML; none where the key is required, or its absence means something that cannot be written.
fn default_value(row: &Row) -> Option<String> {
    let default = row.default.as_str();
    if let Some(number) = number(default) {
        return Some(number.to_string());
    }
    match default {
        "empty" if row.data_type == "text" => Some("\"\"".to_owned()),
        "empty" => Some("{}".to_owned()),
        // One of two keys is required.
        _ if default.starts_with("this or ") => None,
        // Of two, the last is that of a source without a created time, as the one here is.
        _ => default.rsplit('`').nth(1).map(|code| match row.data_type.as_str() {
            "text" if !code.starts_with('"') => format!("{code:?}"),
            _ => code.to_owned(),
        }),
    }
}

/// A project with as little in it as can be, and this line in this table.
fn with(table: &str, line: &str) -> Result<Project, Diagnostics> {
    let mut known = table.is_empty();
    let mut text = |tables: &[(&str, &str)]| -> String {
        known |= tables.iter().any(|(name, _)| name.trim_matches(['[', ']']) == table);
        let line =
            |name: &str| if name.trim_matches(['[', ']']) == table { format!("{line}\n") } else { String::new() };
        tables.iter().map(|(name, keys)| format!("{name}\n{keys}{}", line(name))).collect()
    };
    let settings = text(&[
        ("[project]", "name = \"p\"\n"),
        ("[storage]", ""),
        ("[server]", ""),
        ("[engine]", ""),
        ("[batch]", ""),
        ("[push]", ""),
        ("[expiry]", ""),
        ("[feature_log]", ""),
    ]);
    let features = text(&[
        ("[[entity]]", "name = \"e\"\njoin_keys = [{ name = \"k\", type = \"int64\" }]\n"),
        ("[[source]]", "name = \"s\"\npath = \"s\"\nkind = \"state\"\nevent_time = \"at\"\n"),
        ("[[feature_view]]", "name = \"v\"\nversion = 1\nsource = \"s\"\nentities = [\"e\"]\ncomponent = \"v.wasm\"\n"),
        ("[feature_view.limits]", ""),
        ("[[feature_service]]", "name = \"f\"\nfeatures = [\"v@1\"]\n"),
        ("[[alias]]", "view = \"v\"\nname = \"a\"\nversion = 1\n"),
    ]);
    assert!(known, "no table [{table}]");
    let sources =
        Sources { settings: file("tandem.toml", &settings), features: vec![file("features.toml", &features)] };
    parse_project(&sources, Path::new(""))
}

#[test]
fn a_stated_default_written_out_changes_nothing() {
    let plain = with("", "").unwrap_or_else(|error| panic!("{error}"));
    let mut written = BTreeMap::new();
    for row in rows() {
        let Some(value) = default_value(&row) else { continue };
        let line = format!("{} = {value}", row.key);
        let project = with(&row.table, &line).unwrap_or_else(|error| panic!("[{}] {line}\n{error}", row.table));
        assert_eq!(project, plain, "[{}] {line}", row.table);
        *written.entry(row.table).or_insert(0) += 1;
    }
    let tables: Vec<(&str, usize)> = written.iter().map(|(table, count)| (table.as_str(), *count)).collect();
    let expected = [
        ("batch", 4),
        ("engine", 7),
        ("entity", 1),
        ("expiry", 4),
        ("feature_log", 3),
        ("feature_service", 6),
        ("feature_view", 14),
        ("feature_view.limits", 9),
        ("project", 2),
        ("push", 3),
        ("server", 17),
        ("source", 2),
        ("storage", 6),
    ];
    assert_eq!(tables, expected, "tables of the page, and how many of their keys have a default that can be written");
}

#[test]
fn ranges_end_where_the_page_says() {
    let mut tried = 0;
    for row in rows().into_iter().filter(|row| !row.range.is_empty()) {
        let taken = |value: i128| {
            let line = format!("{} = {value}", row.key);
            with(&row.table, &line).map_err(|error| error.to_string())
        };
        let (low, high) = match row.range.strip_prefix("from ") {
            Some(low) => (number(low), None),
            None => row.range.split_once(" to ").map_or((None, None), |(low, high)| (number(low), number(high))),
        };
        let what = format!("[{}] {}: {}", row.table, row.key, row.range);
        let low = low.unwrap_or_else(|| panic!("{what}"));
        assert!(
            taken(low).is_ok() && taken(low - 1).is_err(),
            "{what}\n{:?}\n{:?}",
            taken(low).err(),
            taken(low - 1).err()
        );
        if let Some(high) = high {
            assert!(taken(high).is_ok() && taken(high + 1).is_err(), "{what}\n{:?}", taken(high).err());
        }
        tried += 1;
    }
    assert!(tried >= 20, "{tried} ranges");
}
