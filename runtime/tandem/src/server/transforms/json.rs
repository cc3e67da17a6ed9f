//! JSON to the inputs of a transform.

use std::fmt;

use arrow_array::new_empty_array;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use tandem_core::json::decode_column;

use super::plan::{AsOf, InputPlan};
use super::{Bounds, Decoded};
use crate::server::as_of::{self, Clock};
use crate::server::json::{self, Cells, CellsSeed, Form, Key, Progress, Table, value_problem};
use crate::server::problem::{Kind, Problem};

const KEYS: [&str; 3] = ["rows", "columns", "as_of"];

/// Decodes `{"rows": [...]}` or `{"columns": {...}}`, with an optional `as_of`.
pub(super) fn decode(body: &[u8], plan: &InputPlan, clock: Clock, bounds: Bounds) -> Result<Decoded, Problem> {
    let names = plan.names();
    let table = Table { names: &names, things: "inputs", rows_max: bounds.rows_max };
    let (cells, given_as_of) =
        json::read(body, |text, progress| text.deserialize_map(Members { table: &table, progress }))?;
    let Some(Cells { columns, rows, form }) = cells else {
        let problem = Problem::new(Kind::InvalidRequest, "the request has neither `rows` nor `columns`");
        return Err(problem.hint("send {\"rows\": [{...}, ...]} or {\"columns\": {\"name\": [...], ...}}"));
    };
    plan.check_vectors(rows, bounds)?;

    let as_of = match (&columns[names.len() - 1], &given_as_of) {
        (Some(_), Some(_)) => return Err(InputPlan::two_instants()),
        (Some(column), None) => {
            clock.check_replay()?;
            let array = decode_column(&as_of::field(), column.cells(rows)).map_err(|error| value_problem(&error))?;
            AsOf::Column(array)
        }
        (None, given) => AsOf::Instant(clock.instant(given.as_ref())?),
    };
    let arrays = std::iter::zip(plan.columns(), &columns).map(|(field, column)| match column {
        Some(column) => decode_column(field, column.cells(rows)).map_err(|error| value_problem(&error)),
        // No row lacks it.
        None if rows == 0 && form == Form::Rows => Ok(new_empty_array(&field.data_type.to_arrow())),
        None => InputPlan::absent(field, rows),
    });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    let inputs = plan.batch(arrays, &as_of, rows)?;
    let as_of = match as_of {
        AsOf::Instant(instant) => Some(instant),
        AsOf::Column(_) => None,
    };
    Ok(Decoded { inputs, form, as_of })
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
                    json::once(progress, &mut as_of, &key, |_| map.next_value())?;
                    continue;
                }
                _ => return Err(json::unknown_key(progress, &key, &KEYS)),
            };
            if cells.as_ref().is_some_and(|cells| cells.form != form) {
                let problem = Problem::new(Kind::InvalidRequest, "the request has both `rows` and `columns`");
                return Err(progress.stop(problem.hint("send one of them")));
            }
            json::once(progress, &mut cells, &key, |progress| {
                map.next_value_seed(CellsSeed::new(table, Some(form), progress))
            })?;
        }
        Ok((cells, as_of))
    }
}
