//! An Arrow IPC stream to the inputs of a transform.

use arrow_schema::Schema;
use tandem_core::types::AS_OF;

use super::Decoded;
use super::plan::{AsOf, InputPlan};
use crate::server::arrow::{Columns, Taken, read};
use crate::server::as_of::Clock;
use crate::server::body::Bounds;
use crate::server::json::Form;
use crate::server::problem::Problem;

/// Decodes a stream whose columns are matched by name.
pub(super) fn decode(body: &[u8], plan: &InputPlan, clock: Clock, bounds: Bounds) -> Result<Decoded, Problem> {
    let taken = Taken { fields: &plan.given, things: "inputs", bounds };
    let check = |schema: &Schema, rows| {
        plan.check_vectors(rows, bounds)?;
        schema.column_with_name(AS_OF).map_or(Ok(()), |_| clock.check_replay())
    };
    let Columns { mut columns, rows } = read(body, &taken, check)?;
    let (as_of, instant) = match columns.pop().flatten() {
        Some(column) => (AsOf::Column(column), None),
        None => (AsOf::Instant(clock.now), Some(clock.now)),
    };
    let given = std::iter::zip(plan.columns(), columns);
    let columns = given.map(|(field, column)| column.map_or_else(|| InputPlan::absent(field, rows), Ok));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(Decoded { inputs: plan.batch(columns, &as_of, rows)?, form: Form::Columns, as_of: instant })
}
