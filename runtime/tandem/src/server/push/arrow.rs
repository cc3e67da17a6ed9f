//! An Arrow IPC stream to rows that are pushed.

use std::collections::BTreeMap;

use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, new_empty_array};
use arrow_schema::Schema;
use arrow_select::concat::concat;
use arrow_select::nullif::nullif;
use tandem_core::types::Field;
use tandem_engine::convert::{ConvertError, to_declared, to_event_id};

use super::{absent, check_vectors, two_names};
use crate::push::{Given, PushPlan};
use crate::server::arrow::{Taken, batches, guarded, malformed, refused as refused_column};
use crate::server::body::Bounds;
use crate::server::problem::Problem;

/// How often a column is converted anew without its rows at fault before each row is converted alone.
const RETRIES: usize = 8;

/// Decodes a stream whose columns are matched by name.
pub(super) fn decode(body: &[u8], plan: &PushPlan, bounds: Bounds) -> Result<Given, Problem> {
    let other =
        plan.aliases().iter().map(|(name, column)| Field { name: name.clone(), ..plan.columns()[*column].clone() });
    let fields: Vec<Field> = plan.columns().iter().cloned().chain(other).collect();
    let taken = Taken { fields: &fields, things: "columns", bounds };
    guarded(|| {
        let (schema, batches, rows) = batches(body, &taken, |_, rows| check_vectors(plan, rows, bounds))?;
        let mut refused = BTreeMap::new();
        let columns = places(&schema, plan)?.into_iter().enumerate().map(|(index, place)| match place {
            None => absent(plan, index, rows),
            Some(place) => {
                let field = &plan.columns()[index];
                let to = |array: &ArrayRef| match plan.event_id() == Some(index) {
                    true => to_event_id(array, &field.name, field.data_type),
                    false => to_declared(array, &field.name, field.data_type, plan.timezone()),
                };
                column((index, field), place, &batches, &to, &mut refused)
            }
        });
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Given { columns, refused, rows })
    })
}

/// For each column of the plan its place in the stream, whose names are known ones.
fn places(schema: &Schema, plan: &PushPlan) -> Result<Vec<Option<usize>>, Problem> {
    let own = plan.columns().iter().enumerate().map(|(column, field)| (field.name.as_str(), column));
    let other = plan.aliases().iter().map(|(name, column)| (name.as_str(), *column));
    let mut places: Vec<Option<usize>> = vec![None; plan.columns().len()];
    for (name, column) in own.chain(other) {
        let Some((place, _)) = schema.column_with_name(name) else { continue };
        if let Some(before) = places[column].replace(place) {
            return Err(two_names(name, schema.field(before).name()));
        }
    }
    Ok(places)
}

/// The column at `place`, in the field's type, with null for each value that is refused.
fn column(
    (index, field): (usize, &Field),
    place: usize,
    batches: &[RecordBatch],
    to: &dyn Fn(&ArrayRef) -> Result<ArrayRef, ConvertError>,
    refused: &mut BTreeMap<usize, (usize, String)>,
) -> Result<ArrayRef, Problem> {
    let mut first = 0;
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(batches.len());
    for batch in batches {
        parts.push(convert(batch.column(place), (index, first), to, refused)?);
        first += batch.num_rows();
    }
    match parts.len() {
        0 => Ok(new_empty_array(&field.data_type.to_arrow())),
        1 => Ok(parts.swap_remove(0)),
        _ => {
            let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
            concat(&parts).map_err(|error| malformed(&error.to_string()))
        }
    }
}

fn convert(
    array: &ArrayRef,
    (index, first): (usize, usize),
    to: &dyn Fn(&ArrayRef) -> Result<ArrayRef, ConvertError>,
    refused: &mut BTreeMap<usize, (usize, String)>,
) -> Result<ArrayRef, Problem> {
    let without = |array: &ArrayRef, rows: &dyn Fn(usize) -> bool| {
        let mask: BooleanArray = (0..array.len()).map(|row| Some(rows(row))).collect();
        nullif(array, &mask).map_err(|error| malformed(&error.to_string()))
    };
    let mut refuse = |row: usize, error: &ConvertError| {
        refused.entry(first + row).or_insert_with(|| (index, refused_column(error, first).detail));
    };
    let mut array = array.clone();
    for _ in 0..RETRIES {
        match to(&array) {
            Ok(array) => return Ok(array),
            Err(error @ ConvertError::Value { row, .. }) => {
                refuse(row, &error);
                array = without(&array, &|at| at == row)?;
            }
            Err(error) => return Err(refused_column(&error, first)),
        }
    }
    let mut wrong = vec![false; array.len()];
    for (row, wrong) in wrong.iter_mut().enumerate() {
        match to(&array.slice(row, 1)) {
            Ok(_) => {}
            Err(ConvertError::Value { column, value, reason, .. }) => {
                refuse(row, &ConvertError::Value { column, row, value, reason });
                *wrong = true;
            }
            Err(error) => return Err(refused_column(&error, first)),
        }
    }
    to(&without(&array, &|row| wrong[row])?).map_err(|error| refused_column(&error, first))
}
