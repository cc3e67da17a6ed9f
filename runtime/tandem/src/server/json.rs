//! Strict reading of JSON: syntax errors with line and column, no key twice, columns of values by name.
//!
//! Rows or columns are read straight into columns; only single values become [`Value`]s, which core decodes exactly.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::error::Category;
use tandem_core::json::JsonError;

use super::names;
use super::problem::{Kind, Problem};
use crate::output::counted;

/// How a request's, and then its answer's, values are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One object for each row.
    Rows,
    /// One array for each column.
    Columns,
}

/// What is being read, for errors: a fault that serde cannot carry, and where in the columns the reader is.
#[derive(Default)]
pub(super) struct Progress<'t> {
    fault: Option<Problem>,
    at: Option<(&'t str, usize)>,
}

impl Progress<'_> {
    /// Stops the reading with this problem.
    pub(super) fn stop<E: serde::de::Error>(&mut self, problem: Problem) -> E {
        self.fault = Some(problem);
        E::custom("stopped")
    }

    /// The problem for an error of serde_json.
    fn problem(self, error: &serde_json::Error) -> Problem {
        let (line, column) = (error.line(), error.column());
        let problem = match (self.fault, error.classify()) {
            (Some(fault), _) => fault,
            (None, Category::Data) => Problem::new(Kind::InvalidRequest, error.to_string()),
            (None, _) => Problem::new(Kind::InvalidJson, error.to_string()),
        };
        let place = self.at.filter(|_| problem.kind == Kind::InvalidJson);
        let Some((input, row)) = place else {
            return problem.with("line", line).with("column", column);
        };
        let problem = Problem::new(Kind::InvalidJson, format!("`{input}`, row {row}: {}", problem.detail));
        problem.with("line", line).with("column", column).at(input, row).hint(VALUES)
    }
}

/// What to do about a value that is no JSON.
const VALUES: &str = "numbers fit a double (up to 1.7976931348623157e308); NaN and infinities are texts: \"NaN\", \"Infinity\", \"-Infinity\"";

/// A JSON text that is being read.
pub(super) type Text<'de> = serde_json::Deserializer<serde_json::de::SliceRead<'de>>;

/// Reads one JSON text, whole.
pub(super) fn read<'de, 't, T>(
    body: &'de [u8],
    read: impl FnOnce(&mut Text<'de>, &mut Progress<'t>) -> serde_json::Result<T>,
) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut progress = Progress::default();
    let result = read(&mut deserializer, &mut progress).and_then(|value| deserializer.end().map(|()| value));
    result.map_err(|error| progress.problem(&error))
}

/// Reads a body into a type. Members that it does not name are passed over.
pub(super) fn whole<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let kind = if error.is_data() { Kind::InvalidRequest } else { Kind::InvalidJson };
        Problem::new(kind, error.to_string())
    })
}

/// The key of an object, borrowed where it has no escapes.
pub(super) struct Key<'de>(pub(super) Cow<'de, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// The problem of a key that stands twice.
pub(super) fn twice(key: &str) -> Problem {
    let problem =
        Problem::new(Kind::InvalidRequest, format!("the key `{}` stands twice in one object", names::cut(key)));
    problem.hint("leave one of them out")
}

/// The problem of a value that core refuses.
pub(super) fn value_problem(error: &JsonError) -> Problem {
    match error {
        JsonError::Value { field, row, item, expected, found, hint } => {
            let place = item.map(|item| format!(", item {item}")).unwrap_or_default();
            let detail = format!("`{field}`, row {row}{place}: {expected} expected, found {found}");
            let problem = Problem::new(Kind::InvalidValue, detail).at(field, *row);
            let problem = if let Some(item) = item { problem.with("item", *item) } else { problem };
            problem.hint(hint.as_str())
        }
        JsonError::Null { field, row, expected } => {
            let detail = format!("`{field}`, row {row}: {expected} expected, found null or nothing");
            Problem::new(Kind::InvalidValue, detail).at(field, *row).hint("the input is not nullable")
        }
        JsonError::TooLarge { field, row } => {
            let detail = format!("`{field}` has more than 2147483647 bytes or items, at row {row}");
            Problem::new(Kind::BodyTooLarge, detail).at(field, *row).hint("send fewer rows at once")
        }
        JsonError::ColumnType { .. } => Problem::internal("a column has another type than its field", error),
    }
}

/// What is refused where rows or columns are read.
pub(super) struct Table<'a> {
    /// Columns that may be given, by name.
    pub(super) names: &'a [&'a str],
    /// What they are, for messages: "inputs", "join keys".
    pub(super) things: &'static str,
    /// Rows that may be given.
    pub(super) rows_max: usize,
}

/// The values that were given for one name, by increasing row. Absent ones take no room, so that small bodies stay small.
#[derive(Debug, PartialEq)]
pub(super) struct Column(Vec<(usize, Value)>);

impl Column {
    /// One value for each row.
    pub(super) fn of(values: &[Value]) -> Column {
        Column(values.iter().cloned().enumerate().collect())
    }

    /// One item for each row, None where no value was given.
    pub(super) fn cells(&self, rows: usize) -> impl Iterator<Item = Option<&Value>> {
        let mut given = self.0.iter().peekable();
        (0..rows).map(move |row| given.next_if(|(at, _)| *at == row).map(|(_, value)| value))
    }

    /// The first row without a value.
    pub(super) fn first_absent(&self, rows: usize) -> Option<usize> {
        self.cells(rows).position(|cell| cell.is_none())
    }
}

/// Values as they were given: a column for each name, None where it was not given at all.
#[derive(Debug, PartialEq)]
pub(super) struct Cells {
    /// In the order of [`Table::names`].
    pub(super) columns: Vec<Option<Column>>,
    pub(super) rows: usize,
    pub(super) form: Form,
}

/// Reads an array of objects, or an object of arrays, into columns.
pub(super) struct CellsSeed<'a, 't> {
    table: &'t Table<'t>,
    progress: &'a mut Progress<'t>,
    /// None takes either form.
    form: Option<Form>,
}

impl<'a, 't> CellsSeed<'a, 't> {
    pub(super) fn new(table: &'t Table<'t>, form: Option<Form>, progress: &'a mut Progress<'t>) -> Self {
        CellsSeed { table, progress, form }
    }

    fn reader(self) -> Reader<'a, 't> {
        let index = self.table.names.iter().enumerate().map(|(index, name)| (*name, index)).collect();
        Reader { table: self.table, progress: self.progress, index, form: self.form }
    }
}

impl<'de> DeserializeSeed<'de> for CellsSeed<'_, '_> {
    type Value = Cells;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cells, D::Error> {
        let form = self.form;
        let reader = self.reader();
        match form {
            Some(Form::Rows) => deserializer.deserialize_seq(reader),
            Some(Form::Columns) => deserializer.deserialize_map(reader),
            None => deserializer.deserialize_any(reader),
        }
    }
}

/// Reads one object, of values that hold for all rows.
pub(super) struct OneSeed<'a, 't>(CellsSeed<'a, 't>);

impl<'a, 't> OneSeed<'a, 't> {
    pub(super) fn new(table: &'t Table<'t>, progress: &'a mut Progress<'t>) -> Self {
        OneSeed(CellsSeed::new(table, Some(Form::Rows), progress))
    }
}

impl<'de> DeserializeSeed<'de> for OneSeed<'_, '_> {
    type Value = Cells;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cells, D::Error> {
        let mut columns: Vec<_> = self.0.table.names.iter().map(|_| None).collect();
        let mut reader = self.0.reader();
        RowSeed { reader: &mut reader, columns: &mut columns, row: 0 }.deserialize(deserializer)?;
        Ok(Cells { columns, rows: 1, form: Form::Rows })
    }
}

struct Reader<'a, 't> {
    table: &'t Table<'t>,
    progress: &'a mut Progress<'t>,
    index: HashMap<&'t str, usize>,
    form: Option<Form>,
}

impl Reader<'_, '_> {
    fn find(&self, key: &str, row: Option<usize>) -> Result<usize, Problem> {
        self.index.get(key).copied().ok_or_else(|| {
            let place = row.map(|row| format!("row {row}: ")).unwrap_or_default();
            let (name, things) = (names::cut(key), self.table.things);
            let problem = Problem::new(Kind::UnknownName, format!("{place}`{name}` is none of the {things}"));
            let problem = problem.with("input", name.as_str());
            let problem = if let Some(row) = row { problem.with("row", row) } else { problem };
            problem.hint(names::hint(key, things, self.table.names))
        })
    }
}

/// The problem of rows beyond the limit.
pub(super) fn too_many_rows(max: usize) -> Problem {
    Problem::new(Kind::TooManyRows, format!("the request has more than {max} rows"))
        .with("limit", "rows_max")
        .with("max", max)
        .hint("send fewer rows at once, or raise `rows_max` under `[server]` in tandem.toml")
}

impl<'de> Visitor<'de> for Reader<'_, '_> {
    type Value = Cells;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.form {
            Some(Form::Rows) => "an array with one object for each row",
            Some(Form::Columns) => "an object with one array for each column",
            None => "an array with one object for each row, or an object with one array for each column",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<Cells, A::Error> {
        let mut columns: Vec<_> = self.table.names.iter().map(|_| None).collect();
        let mut row = 0;
        while rows.next_element_seed(RowSeed { reader: &mut self, columns: &mut columns, row })?.is_some() {
            row += 1;
        }
        Ok(Cells { columns, rows: row, form: Form::Rows })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Cells, A::Error> {
        let mut columns: Vec<Option<Column>> = self.table.names.iter().map(|_| None).collect();
        let mut first: Option<(usize, usize)> = None;
        while let Some(Key(key)) = map.next_key()? {
            let column = self.find(&key, None).map_err(|problem| self.progress.stop(problem))?;
            if columns[column].is_some() {
                return Err(self.progress.stop(twice(&key)));
            }
            let values = map.next_value_seed(ColumnSeed { reader: &mut self, column })?;
            let rows = values.0.len();
            let (first, expected) = *first.get_or_insert((column, rows));
            if rows != expected {
                let (name, other) = (self.table.names[column], self.table.names[first]);
                let problem = Problem::new(
                    Kind::InvalidRequest,
                    format!("`{name}` has {}, `{other}` has {expected}", counted(rows as u64, "row")),
                );
                let problem = problem.with("input", name).hint("give every column a value, or null, for each row");
                return Err(self.progress.stop(problem));
            }
            columns[column] = Some(values);
        }
        Ok(Cells { columns, rows: first.map_or(0, |(_, rows)| rows), form: Form::Columns })
    }
}

struct RowSeed<'a, 'r, 't> {
    reader: &'a mut Reader<'r, 't>,
    columns: &'a mut [Option<Column>],
    row: usize,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.row >= self.reader.table.rows_max {
            return Err(self.reader.progress.stop(too_many_rows(self.reader.table.rows_max)));
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the values of row {}", self.row)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let RowSeed { reader, columns, row } = self;
        while let Some(Key(key)) = map.next_key()? {
            let column = reader.find(&key, Some(row)).map_err(|problem| reader.progress.stop(problem))?;
            let Column(cells) = columns[column].get_or_insert(Column(Vec::new()));
            if cells.last().is_some_and(|(last, _)| *last == row) {
                let problem = twice(&key).at(&key, row);
                return Err(reader.progress.stop(problem));
            }
            reader.progress.at = Some((reader.table.names[column], row));
            cells.push((row, map.next_value()?));
            reader.progress.at = None;
        }
        Ok(())
    }
}

struct ColumnSeed<'a, 'r, 't> {
    reader: &'a mut Reader<'r, 't>,
    column: usize,
}

impl<'de> DeserializeSeed<'de> for ColumnSeed<'_, '_, '_> {
    type Value = Column;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ColumnSeed<'_, '_, '_> {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array with the values of `{}`", self.reader.table.names[self.column])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let ColumnSeed { reader, column } = self;
        let mut values = Vec::new();
        loop {
            let row = values.len();
            reader.progress.at = Some((reader.table.names[column], row));
            let Some(value) = items.next_element()? else { break };
            if row >= reader.table.rows_max {
                return Err(reader.progress.stop(too_many_rows(reader.table.rows_max)));
            }
            values.push((row, value));
        }
        reader.progress.at = None;
        Ok(Column(values))
    }
}

/// A key that the object does not take.
pub(super) fn unknown_key<E: serde::de::Error>(progress: &mut Progress<'_>, key: &str, known: &[&str]) -> E {
    let problem = Problem::new(Kind::InvalidRequest, format!("unknown key `{}`", names::cut(key)));
    progress.stop(problem.hint(names::hint(key, "keys", known)))
}

/// Puts a value that may stand once into its place.
pub(super) fn once<'t, E: serde::de::Error, T>(
    progress: &mut Progress<'t>,
    place: &mut Option<T>,
    key: &str,
    read: impl FnOnce(&mut Progress<'t>) -> Result<T, E>,
) -> Result<(), E> {
    if place.is_some() {
        return Err(progress.stop(twice(key)));
    }
    *place = Some(read(progress)?);
    Ok(())
}

/// Reads `{"rows": [...]}` or `{"columns": {...}}`, and `as_of` where it stands beside.
pub(super) fn read_cells(body: &[u8], table: &Table<'_>) -> Result<(Option<Cells>, Option<Value>), Problem> {
    read(body, |text, progress| text.deserialize_map(Members { table, progress }))
}

struct Members<'a, 't> {
    table: &'t Table<'t>,
    progress: &'a mut Progress<'t>,
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = (Option<Cells>, Option<Value>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `rows` or `columns`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Members { table, progress } = self;
        let mut cells: Option<Cells> = None;
        let mut as_of = None;
        while let Some(Key(key)) = map.next_key()? {
            let form = match &*key {
                "rows" => Form::Rows,
                "columns" => Form::Columns,
                "as_of" => {
                    once(progress, &mut as_of, &key, |_| map.next_value())?;
                    continue;
                }
                _ => return Err(unknown_key(progress, &key, &["rows", "columns", "as_of"])),
            };
            if cells.as_ref().is_some_and(|cells| cells.form != form) {
                let problem = Problem::new(Kind::InvalidRequest, "the request has both `rows` and `columns`");
                return Err(progress.stop(problem.hint("send one of them")));
            }
            once(progress, &mut cells, &key, |progress| {
                map.next_value_seed(CellsSeed::new(table, Some(form), progress))
            })?;
        }
        Ok((cells, as_of))
    }
}
