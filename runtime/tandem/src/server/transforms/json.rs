//! JSON to the inputs of a transform.

use arrow_array::new_empty_array;
use tandem_core::json::decode_column;

use super::Decoded;
use super::plan::{AsOf, InputPlan};
use crate::server::as_of::{self, Clock};
use crate::server::body::Bounds;
use crate::server::json::{self, Cells, Form, Table, value_problem};
use crate::server::problem::{Kind, Problem};

/// Decodes `{"rows": [...]}` or `{"columns": {...}}`, with an optional `as_of`.
pub(super) fn decode(body: &[u8], plan: &InputPlan, clock: Clock, bounds: Bounds) -> Result<Decoded, Problem> {
    let names = plan.names();
    let table = Table { names: &names, things: "inputs", rows_max: bounds.rows_max };
    let (cells, given_as_of) = json::read_cells(body, &table)?;
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
