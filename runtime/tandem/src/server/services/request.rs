//! The columns that a feature service takes, from JSON.

use arrow_array::{new_empty_array, new_null_array};
use tandem_core::feature_plan::{FeaturePlan, RequestColumn};
use tandem_core::json::decode_column;
use tandem_core::types::Field;

use super::Asked;
use crate::server::as_of::Clock;
use crate::server::json::{self, Cells, Form, Table, value_problem};
use crate::server::problem::{Kind, Problem};

/// Decodes `{"rows": [...]}` or `{"columns": {...}}`, with an optional `as_of`.
pub(super) fn decode(body: &[u8], plan: &FeaturePlan, clock: Clock, rows_max: usize) -> Result<Asked, Problem> {
    let names: Vec<&str> = plan.request.iter().map(|column| column.name.as_str()).collect();
    let table = Table { names: &names, things: "join keys and inputs", rows_max };
    let (cells, given_as_of) = json::read_cells(body, &table)?;
    let Some(Cells { columns, rows, form }) = cells else {
        let problem = Problem::new(Kind::InvalidRequest, "the request has neither `rows` nor `columns`");
        return Err(problem.hint("send {\"rows\": [{...}, ...]} or {\"columns\": {\"name\": [...], ...}}"));
    };
    let as_of = clock.instant(given_as_of.as_ref())?;
    let arrays = plan.request.iter().zip(&columns).map(|(column, cells)| {
        let field = Field::new(&column.name, column.data_type, column.nullable);
        match cells {
            // A key that is not there is not the same as one that is not known.
            Some(cells) if column.join_key && cells.first_absent(rows).is_some() => {
                Err(missing(column, cells.first_absent(rows)))
            }
            Some(cells) => decode_column(&field, cells.cells(rows)).map_err(|error| value_problem(&error)),
            None if rows == 0 && form == Form::Rows => Ok(new_empty_array(&column.data_type.to_arrow())),
            None if column.nullable && !column.join_key => Ok(new_null_array(&column.data_type.to_arrow(), rows)),
            None => Err(missing(column, None)),
        }
    });
    Ok(Asked { columns: arrays.collect::<Result<_, _>>()?, rows, as_of })
}

fn missing(column: &RequestColumn, row: Option<usize>) -> Problem {
    let what = if column.join_key { "join key" } else { "input" };
    let place = row.map(|row| format!("row {row}: ")).unwrap_or_default();
    let detail = format!("{place}the {what} `{}` ({}) is missing", column.name, column.data_type);
    let problem = Problem::new(Kind::MissingInput, detail).with("input", column.name.as_str());
    let problem = if let Some(row) = row { problem.with("row", row) } else { problem };
    problem.hint(if column.join_key { "write null where it is not known" } else { "the input is not nullable" })
}
