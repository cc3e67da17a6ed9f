//! JSON to rows that are pushed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use arrow_array::ArrayRef;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::Value;
use tandem_core::json::{JsonError, decode_column};
use tandem_core::types::{DataType, Field};

use super::{Wanted, absent, check_vectors, two_names};
use crate::push::{Given, PushPlan};
use crate::server::body::Bounds;
use crate::server::json::{
    Cells, CellsSeed, Column, Form, Key, Progress, Table, once, read, unknown_key, value_problem,
};
use crate::server::problem::{Kind, Problem};

/// How often a column is decoded anew without its rows at fault before each value is decoded alone.
const RETRIES: usize = 8;

/// Decodes `{"rows": [...]}` or `{"columns": {...}}`, with `to` and `on_error` where they stand beside.
pub(super) fn decode(body: &[u8], plan: &PushPlan, wanted: Wanted, bounds: Bounds) -> Result<(Given, Wanted), Problem> {
    let mut wanted = wanted;
    let names = names(plan);
    let table = Table { names: &names, things: "columns", rows_max: bounds.rows_max };
    let cells =
        read(body, |text, progress| text.deserialize_map(Members { table: &table, progress, wanted: &mut wanted }))?;
    let Some(cells) = cells else {
        let problem = Problem::new(Kind::InvalidRequest, "the request has neither `rows` nor `columns`");
        return Err(problem.hint("send {\"rows\": [{...}, ...]} or {\"columns\": {\"name\": [...], ...}}"));
    };
    check_vectors(plan, cells.rows, bounds)?;
    Ok((given(plan, &cells, &|_, value| Cow::Borrowed(value))?, wanted))
}

/// All names under which columns may be given: their own, then the others.
pub(super) fn names(plan: &PushPlan) -> Vec<&str> {
    let own = plan.columns().iter().map(|column| column.name.as_str());
    own.chain(plan.aliases().iter().map(|(name, _)| name.as_str())).collect()
}

/// A value of a column in another form, or as it is.
pub(super) type Rewrite<'a> = dyn for<'v> Fn(&Field, &'v Value) -> Cow<'v, Value> + 'a;

/// The columns of cells that were read under [`names`]; `value` may write a value in another form.
pub(super) fn given(plan: &PushPlan, cells: &Cells, value: &Rewrite<'_>) -> Result<Given, Problem> {
    let own = plan.columns().len();
    let names = names(plan);
    let mut columns: Vec<Option<(usize, &Column)>> =
        cells.columns[..own].iter().enumerate().map(|(name, column)| Some((name, column.as_ref()?))).collect();
    for (index, (_, column)) in plan.aliases().iter().enumerate() {
        let Some(found) = &cells.columns[own + index] else { continue };
        if let Some((other, _)) = columns[*column].replace((own + index, found)) {
            return Err(two_names(names[own + index], names[other]));
        }
    }
    let mut refused = BTreeMap::new();
    let arrays = columns.into_iter().enumerate().map(|(index, column)| match column {
        None => absent(plan, index, cells.rows),
        Some((_, column)) => {
            let field = &plan.columns()[index];
            let is_id = plan.event_id() == Some(index) && field.data_type == DataType::String;
            let cells = column.cells(cells.rows).map(|cell| {
                cell.map(|given| match given {
                    Value::Number(number) if is_id && (number.is_i64() || number.is_u64()) => {
                        Cow::Owned(number.to_string().into())
                    }
                    given => value(field, given),
                })
            });
            decode_values(plan, index, cells.collect(), &mut refused)
        }
    });
    let columns = arrays.collect::<Result<_, _>>()?;
    Ok(Given { columns, refused, rows: cells.rows })
}

/// A column, with null for each value that is refused; why goes into `refused`.
fn decode_values(
    plan: &PushPlan,
    index: usize,
    mut cells: Vec<Option<Cow<'_, Value>>>,
    refused: &mut BTreeMap<usize, (usize, String)>,
) -> Result<ArrayRef, Problem> {
    let field = &plan.columns()[index];
    let mut refuse = |row: usize, error: &JsonError, cells: &mut Vec<Option<Cow<'_, Value>>>| {
        cells[row] = None;
        refused.entry(row).or_insert_with(|| (index, refused_value(error)));
    };
    for _ in 0..RETRIES {
        match decode_column(field, cells.iter().map(Option::as_deref)) {
            Ok(array) => return Ok(array),
            Err(error @ JsonError::Value { row, .. }) => refuse(row, &error, &mut cells),
            Err(error) => return Err(value_problem(&error)),
        }
    }
    for row in 0..cells.len() {
        let error = match decode_column(field, std::iter::once(cells[row].as_deref())) {
            Ok(_) => continue,
            Err(JsonError::Value { field, item, expected, found, hint, .. }) => {
                JsonError::Value { field, row, item, expected, found, hint }
            }
            Err(error) => return Err(value_problem(&error)),
        };
        refuse(row, &error, &mut cells);
    }
    decode_column(field, cells.iter().map(Option::as_deref)).map_err(|error| value_problem(&error))
}

/// Why a value is refused, and what to write: the row is told beside it.
fn refused_value(error: &JsonError) -> String {
    match error {
        JsonError::Value { field, item, expected, found, hint, .. } => {
            let item = item.map(|item| format!(", item {item}")).unwrap_or_default();
            format!("`{field}`{item}: {expected} expected, found {found}; {hint}")
        }
        error => value_problem(error).detail,
    }
}

struct Members<'a, 't> {
    table: &'t Table<'t>,
    progress: &'a mut Progress<'t>,
    wanted: &'a mut Wanted,
}

impl<'de> Visitor<'de> for Members<'_, '_> {
    type Value = Option<Cells>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `rows` or `columns`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Members { table, progress, wanted } = self;
        let mut cells: Option<Cells> = None;
        let (mut to, mut on_error): (Option<String>, Option<String>) = (None, None);
        while let Some(Key(key)) = map.next_key()? {
            let form = match &*key {
                "rows" => Form::Rows,
                "columns" => Form::Columns,
                "to" | "on_error" => {
                    let place = if key == "to" { &mut to } else { &mut on_error };
                    once(progress, place, &key, |_| map.next_value())?;
                    let said = place.as_deref().unwrap_or_default();
                    wanted.set(&key, said).map_err(|problem| progress.stop(problem))?;
                    continue;
                }
                _ => return Err(unknown_key(progress, &key, &["rows", "columns", "to", "on_error"])),
            };
            if cells.as_ref().is_some_and(|cells| cells.form != form) {
                let problem = Problem::new(Kind::InvalidRequest, "the request has both `rows` and `columns`");
                return Err(progress.stop(problem.hint("send one of them")));
            }
            once(progress, &mut cells, &key, |progress| {
                map.next_value_seed(CellsSeed::new(table, Some(form), progress))
            })?;
        }
        Ok(cells)
    }
}
