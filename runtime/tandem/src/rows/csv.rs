//! CSV (RFC 4180): a line of names, then a line for each row; `,` between values, `"` around them where needed.
//!
//! An empty value is null; `""` is the empty string. (PostgreSQL's COPY has the same rule; parsers that give unquoted values cannot tell the
//! two, so this one is written here.) Everything else is read as its JSON form ([`tandem_core::json`]) without the quotes: `12`, `0.5`,
//! `NaN`, `true`, `2026-01-31T12:00:00Z`, base64, `"[1, 2]"`. A space is part of its value.

use std::collections::HashSet;
use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;
use tandem_core::time::Timestamp;
use tandem_core::types::DataType;

use super::RowsFault;
use crate::output::counted;

/// A file's values, as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    /// As many values in each as there are columns; none: an empty value without quotes.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// The type that all values of a column that is there have: the first of timestamp, integer, number and boolean, else text. Numbers that
    /// other programs would write differently (`007`, `+1`, ` 1`) are text.
    pub(super) fn narrowest(&self, column: &str) -> DataType {
        let index = self.columns.iter().position(|name| name == column);
        let values = || self.rows.iter().filter_map(|row| row[index?].as_deref());
        let is_int = |text: &str| text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
        let is_float = |text: &str| {
            let starts = text.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
            let padded = text
                .trim_start_matches('-')
                .strip_prefix('0')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            starts && !padded && text.parse::<f64>().is_ok_and(f64::is_finite)
        };
        if values().next().is_none() {
            DataType::String
        } else if values().all(|text| Timestamp::parse_rfc3339(text).is_ok()) {
            DataType::Timestamp
        } else if values().all(is_int) {
            DataType::Int64
        } else if values().all(is_float) {
            DataType::Float64
        } else if values().all(|text| text == "true" || text == "false") {
            DataType::Boolean
        } else {
            DataType::String
        }
    }

    /// The values of a column that is there, as JSON of the type.
    pub(super) fn values(&self, column: &str, data_type: DataType) -> Vec<Option<Value>> {
        let index = self.columns.iter().position(|name| name == column);
        let value = |row: &Vec<Option<String>>| row[index?].as_deref().map(|text| value(text, data_type));
        self.rows.iter().map(value).collect()
    }
}

/// A value's JSON. What is none of its type becomes a string, which the decoder refuses with the right words.
fn value(text: &str, data_type: DataType) -> Value {
    let json = || {
        // serde_json skips space around a value; here it would be part of it.
        let whole = !text.starts_with(char::is_whitespace) && !text.ends_with(char::is_whitespace);
        serde_json::from_str::<Value>(text).ok().filter(|value| whole && !value.is_null() && !value.is_string())
    };
    let parsed = match data_type {
        DataType::String | DataType::Binary => None,
        _ => json(),
    };
    parsed.unwrap_or_else(|| Value::from(text))
}

/// Reads a whole file.
pub(super) fn parse(text: &str) -> Result<Table, RowsFault> {
    let mut reader = Reader { chars: text.chars().peekable(), line: 1 };
    let mut columns = Vec::new();
    if let Some(header) = reader.record()? {
        columns = header.into_iter().map(Option::unwrap_or_default).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(RowsFault::Csv { line: 1, reason: format!("two columns are named `{twice}`") });
        }
    }
    let mut rows = Vec::new();
    loop {
        let line = reader.line;
        let Some(row) = reader.record()? else { break };
        // An empty line is a null where there is one column, and nothing where there are more.
        if row == [None] && columns.len() > 1 {
            continue;
        }
        if row.len() != columns.len() {
            let reason = format!(
                "{}, and the first line names {}",
                counted(row.len() as u64, "value"),
                counted(columns.len() as u64, "column")
            );
            return Err(RowsFault::Csv { line, reason });
        }
        rows.push(row);
    }
    Ok(Table { columns, rows })
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    /// From 1; a quoted value may go over several.
    line: usize,
}

impl Reader<'_> {
    /// The values of a row; none at the end of the text.
    fn record(&mut self) -> Result<Option<Vec<Option<String>>>, RowsFault> {
        if self.chars.peek().is_none() {
            return Ok(None);
        }
        let mut values = Vec::new();
        loop {
            let value = if self.chars.next_if_eq(&'"').is_some() { Some(self.quoted()?) } else { self.bare()? };
            values.push(value);
            match self.chars.next() {
                Some(',') => {}
                Some('\r') if self.chars.next_if_eq(&'\n').is_some() => break,
                Some('\n') | None => break,
                Some(_) => return Err(self.fault("something follows the closing quote of a value")),
            }
        }
        self.line += 1;
        Ok(Some(values))
    }

    fn bare(&mut self) -> Result<Option<String>, RowsFault> {
        let mut value = String::new();
        while let Some(&c) = self.chars.peek() {
            match c {
                ',' | '\n' => break,
                // Only before a line feed is it the end of a line.
                '\r' if self.chars.clone().nth(1) == Some('\n') => break,
                '"' => {
                    return Err(self
                        .fault("a quote inside a value that does not begin with one; double it, and quote the value"));
                }
                _ => value.push(c),
            }
            self.chars.next();
        }
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    fn quoted(&mut self) -> Result<String, RowsFault> {
        let first_line = self.line;
        let mut value = String::new();
        while let Some(c) = self.chars.next() {
            match c {
                '"' if self.chars.next_if_eq(&'"').is_none() => return Ok(value),
                '\n' => {
                    self.line += 1;
                    value.push(c);
                }
                _ => value.push(c),
            }
        }
        self.line = first_line;
        Err(self.fault("a quoted value has no end"))
    }

    fn fault(&self, reason: &str) -> RowsFault {
        RowsFault::Csv { line: self.line, reason: reason.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Vec<Option<String>>> {
        parse(text).unwrap().rows
    }

    fn some(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[test]
    fn values_as_the_rfc_has_them() {
        let table = parse("a,\"b \"\"x\"\"\"\r\n1,\"two\r\nlines, one value\"\r\n, \r\n\"\",é").unwrap();
        assert_eq!(table.columns, ["a", "b \"x\""]);
        let null_and_space = vec![None, Some(" ".to_owned())];
        assert_eq!(table.rows, [some(&["1", "two\r\nlines, one value"]), null_and_space, some(&["", "é"])]);
    }

    #[test]
    fn empty_lines() {
        assert_eq!(rows("a,b\n\n1,2\n\n"), [some(&["1", "2"])]);
        assert_eq!(rows("a\n\n1\n"), [vec![None], some(&["1"])]);
        assert_eq!(parse("").unwrap(), Table { columns: Vec::new(), rows: Vec::new() });
        assert!(rows("a,b\n").is_empty());
    }

    #[test]
    fn mistakes_have_their_line() {
        let told = |text| parse(text).unwrap_err().to_string();
        assert_eq!(told("a,b\n1,2\n\"x\ny\"\n"), "line 3: 1 value, and the first line names 2 columns");
        assert_eq!(told("a,b\n\"x\ny\",1\n1,\"z\n"), "line 4: a quoted value has no end");
        assert_eq!(told("a\n\"x\"y\n"), "line 2: something follows the closing quote of a value");
        assert!(told("a\nx\"y\"\n").starts_with("line 2: a quote inside a value"));
        assert_eq!(told("a,b,a\n"), "line 1: two columns are named `a`");
    }

    #[test]
    fn text_becomes_the_json_of_its_type() {
        use DataType::*;
        let cases = [
            ("12", Int64, Value::from(12)),
            ("007", Int64, Value::from("007")),
            (" 12", Int64, Value::from(" 12")),
            ("null", Int64, Value::from("null")),
            ("\"12\"", Float64, Value::from("\"12\"")),
            ("-0.0", Float64, Value::from(-0.0)),
            ("NaN", Float64, Value::from("NaN")),
            ("true", Boolean, Value::from(true)),
            ("true", String, Value::from("true")),
            ("12", String, Value::from("12")),
            ("2026-01-31T12:00:00Z", Timestamp, Value::from("2026-01-31T12:00:00Z")),
            ("[1, 2.5]", Float32Vector(2), serde_json::json!([1, 2.5])),
        ];
        for (text, data_type, expected) in cases {
            assert_eq!(value(text, data_type), expected, "{text} as {data_type}");
        }
    }
}
