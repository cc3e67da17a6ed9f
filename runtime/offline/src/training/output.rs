//! The columns of a training set.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{ArrowError, DataType as ArrowType, Field, Schema, SchemaRef};
use arrow_select::take::take;

use super::joined::{Given, JoinedView};
use super::{JoinView, Labels, TrainingError};
use crate::error::OfflineError;

/// The label's columns as they are; the features of each view, as `VIEW__FEATURE` where a plain name would stand twice; a status for
/// each view as `VIEW__status`. Of two versions of one view both are named `VIEW_vVERSION`.
pub(super) fn schema(labels: &Labels, views: &[JoinView], statuses: bool) -> Result<SchemaRef, TrainingError> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    let label_names = labels.schema().fields().iter().map(|field| field.name().as_str());
    for name in label_names.chain(views.iter().flat_map(|view| view.features.iter().map(String::as_str))) {
        *times.entry(name).or_default() += 1;
    }
    let view_name = |view: &JoinView| {
        let id = view.view.view.id();
        let versions = views.iter().filter(|other| other.view.view.name == id.name).count();
        if versions > 1 { format!("{}_v{}", id.name, id.version) } else { id.name }
    };
    let mut fields: Vec<Field> = labels.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    for view in views {
        let name = view_name(view);
        for feature in &view.features {
            let output = view.view.signature.outputs.iter().find(|output| output.name == *feature);
            // An unknown feature is told where the view is joined, which also knows near names.
            let data_type = output.map_or(ArrowType::Null, |output| output.data_type.to_arrow());
            let column = if times[feature.as_str()] > 1 { format!("{name}__{feature}") } else { feature.clone() };
            fields.push(Field::new(column, data_type, true));
        }
        if statuses {
            fields.push(Field::new(format!("{name}__status"), ArrowType::Utf8, false));
        }
    }
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = fields.iter().find(|field| !seen.insert(field.name().clone())) {
        return Err(TrainingError::DuplicateColumn { column: twice.name().clone() });
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The rows of the training set for `labels`, which are those at `rows`.
pub(super) fn batch(
    schema: &SchemaRef,
    labels: &RecordBatch,
    views: &[JoinedView],
    rows: Range<usize>,
    statuses: bool,
) -> Result<RecordBatch, TrainingError> {
    let fail = |error: ArrowError| TrainingError::from(OfflineError::DataFusion(error.into()));
    let mut columns: Vec<ArrayRef> = labels.columns().to_vec();
    for view in views {
        let row = |label| match view.given(label) {
            Given::Row(row) => Some(row),
            Given::Expired | Given::NotFound => None,
        };
        let indices: UInt32Array = rows.clone().map(row).collect();
        for values in view.values().columns() {
            columns.push(take(values, &indices, None).map_err(fail)?);
        }
        if statuses {
            let status = |label| view.status(label).as_str();
            columns.push(Arc::new(StringArray::from_iter_values(rows.clone().map(status))));
        }
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(fail)
}
