//! The columns that a feature service takes, from JSON or Arrow.

use std::fmt;

use arrow_array::{Array, ArrayRef, UInt32Array, new_empty_array, new_null_array};
use arrow_select::take::take;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use tandem_core::feature_plan::{FeaturePlan, RequestColumn};
use tandem_core::json::decode_column;
use tandem_core::types::{AS_OF, Field};

use super::vectors::Rows;
use crate::server::arrow::{self, Columns, Taken};
use crate::server::as_of::Clock;
use crate::server::body::Bounds;
use crate::server::json::{self, Cells, CellsSeed, Form, Key, OneSeed, Progress, Table, value_problem};
use crate::server::limits;
use crate::server::problem::{Kind, Problem};

const THINGS: &str = "join keys and inputs";

/// Members of the object that hold values.
const KEYS: [&str; 4] = ["rows", "columns", "common", "as_of"];

/// Decodes `{"rows": [...]}` or `{"columns": {...}}`, with an optional `common` and `as_of`; members of the names `beside` are somebody else's.
pub(in crate::server) fn decode(
    body: &[u8],
    plan: &FeaturePlan,
    clock: Clock,
    bounds: Bounds,
    beside: &[&str],
) -> Result<(Rows, Form), Problem> {
    let names: Vec<&str> = plan.request.iter().map(|column| column.name.as_str()).collect();
    let table = Table { names: &names, things: THINGS, rows_max: bounds.rows_max };
    let members =
        json::read(body, |text, progress| text.deserialize_map(MembersVisitor { table: &table, progress, beside }))?;
    let common = members.common.map(|cells| cells.columns);
    let cells = match (members.cells, &common) {
        (Some(cells), _) => cells,
        // What holds for all rows asks for one, where no others are given.
        (None, Some(_)) => Cells { columns: names.iter().map(|_| None).collect(), rows: 1, form: Form::Rows },
        (None, None) => {
            let problem = Problem::new(Kind::InvalidRequest, "the request has neither `rows` nor `columns`");
            return Err(problem.hint("send {\"rows\": [{...}, ...]} or {\"columns\": {\"name\": [...], ...}}"));
        }
    };
    check_vectors(plan, cells.rows, bounds)?;
    let (as_of, is_present) = (clock.instant(members.as_of.as_ref())?, members.as_of.is_none());
    let common = common.unwrap_or_else(|| names.iter().map(|_| None).collect());
    let columns = plan.request.iter().zip(&cells.columns).zip(&common).map(|((column, own), common)| {
        let Some(common) = common else { return of_rows(column, own.as_ref(), &cells) };
        if own.is_some() {
            let detail = format!("`{}` stands in `common` and in the rows", column.name);
            return Err(Problem::new(Kind::InvalidRequest, detail)
                .with("input", column.name.as_str())
                .hint("leave one of them out"));
        }
        let one =
            decode_column(&field(column), common.cells(1)).map_err(|error| value_problem(&error).without_row())?;
        repeat(column, &one, cells.rows, bounds)
    });
    let rows = Rows { columns: columns.collect::<Result<_, _>>()?, rows: cells.rows, as_of, is_present };
    Ok((rows, cells.form))
}

/// Decodes an Arrow IPC stream whose columns are matched by name.
pub(in crate::server) fn decode_arrow(
    body: &[u8],
    plan: &FeaturePlan,
    clock: Clock,
    bounds: Bounds,
) -> Result<Rows, Problem> {
    let fields: Vec<Field> = plan.request.iter().map(field).collect();
    let taken = Taken { fields: &fields, things: THINGS, bounds };
    let Columns { columns, rows } = arrow::read(body, &taken, |_, rows| check_vectors(plan, rows, bounds))?;
    let columns = plan.request.iter().zip(columns).map(|(column, given)| match given {
        Some(given) => Ok(given),
        None => absent(column, rows),
    });
    Ok(Rows { columns: columns.collect::<Result<_, _>>()?, rows, as_of: clock.now, is_present: true })
}

/// As [`limits::check_vectors`], of the columns that a request has.
pub(in crate::server) fn check_vectors(plan: &FeaturePlan, rows: usize, bounds: Bounds) -> Result<(), Problem> {
    limits::check_vectors(plan.request.iter().map(|column| column.data_type), rows, bounds)
}

/// The request's column as a field. Null join keys are taken, and found nowhere.
fn field(column: &RequestColumn) -> Field {
    Field::new(&column.name, column.data_type, column.nullable)
}

fn of_rows(column: &RequestColumn, given: Option<&json::Column>, cells: &Cells) -> Result<ArrayRef, Problem> {
    let rows = cells.rows;
    match given {
        // A key that is not there is not the same as one that is not known.
        Some(given) if column.join_key && given.first_absent(rows).is_some() => {
            Err(missing(column, given.first_absent(rows)))
        }
        Some(given) => decode_column(&field(column), given.cells(rows)).map_err(|error| value_problem(&error)),
        None if rows == 0 && cells.form == Form::Rows => Ok(new_empty_array(&column.data_type.to_arrow())),
        None => absent(column, rows),
    }
}

/// A column that was not given: nulls where they may be.
fn absent(column: &RequestColumn, rows: usize) -> Result<ArrayRef, Problem> {
    if column.nullable && !column.join_key {
        return Ok(new_null_array(&column.data_type.to_arrow(), rows));
    }
    Err(missing(column, None))
}

/// One value for each row. Few bytes must not become very many.
fn repeat(column: &RequestColumn, one: &ArrayRef, rows: usize, bounds: Bounds) -> Result<ArrayRef, Problem> {
    let bytes = (one.get_array_memory_size() as u64).saturating_mul(rows as u64);
    if rows > 1 && bytes > bounds.body_bytes_max {
        let detail = format!("`{}` in `common` takes {bytes} bytes in {rows} rows", column.name);
        return Err(Problem::new(Kind::BodyTooLarge, detail)
            .with("input", column.name.as_str())
            .with("limit", "body_bytes_max")
            .with("max", bounds.body_bytes_max)
            .hint("send fewer rows at once"));
    }
    take(one, &UInt32Array::from(vec![0; rows]), None)
        .map_err(|error| Problem::internal("a value cannot be repeated", &error))
}

fn missing(column: &RequestColumn, row: Option<usize>) -> Problem {
    let what = if column.join_key { "join key" } else { "input" };
    let place = row.map(|row| format!("row {row}: ")).unwrap_or_default();
    let detail = format!("{place}the {what} `{}` ({}) is missing", column.name, column.data_type);
    let problem = Problem::new(Kind::MissingInput, detail).with("input", column.name.as_str());
    let problem = if let Some(row) = row { problem.with("row", row) } else { problem };
    problem.hint(if column.join_key { "write null where it is not known" } else { "the input is not nullable" })
}

#[derive(Default)]
struct Members {
    cells: Option<Cells>,
    common: Option<Cells>,
    as_of: Option<Value>,
}

struct MembersVisitor<'a, 't> {
    table: &'t Table<'t>,
    progress: &'a mut Progress<'t>,
    beside: &'a [&'a str],
}

impl<'de> Visitor<'de> for MembersVisitor<'_, '_> {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `rows` or `columns`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let MembersVisitor { table, progress, beside } = self;
        let mut members = Members::default();
        while let Some(Key(key)) = map.next_key()? {
            let form = match &*key {
                "rows" => Form::Rows,
                "columns" => Form::Columns,
                "common" => {
                    json::once(progress, &mut members.common, &key, |progress| {
                        map.next_value_seed(OneSeed::new(table, progress))
                    })?;
                    continue;
                }
                AS_OF => {
                    json::once(progress, &mut members.as_of, &key, |_| map.next_value())?;
                    continue;
                }
                other if beside.contains(&other) => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                _ => {
                    let known: Vec<&str> = beside.iter().copied().chain(KEYS).collect();
                    return Err(json::unknown_key(progress, &key, &known));
                }
            };
            if members.cells.as_ref().is_some_and(|cells| cells.form != form) {
                let problem = Problem::new(Kind::InvalidRequest, "the request has both `rows` and `columns`");
                return Err(progress.stop(problem.hint("send one of them")));
            }
            json::once(progress, &mut members.cells, &key, |progress| {
                map.next_value_seed(CellsSeed::new(table, Some(form), progress))
            })?;
        }
        Ok(members)
    }
}
