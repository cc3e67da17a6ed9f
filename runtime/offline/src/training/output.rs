//! The columns of a training set.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use arrow_select::take::take;
use tandem_core::feature_plan::{FeaturePlan, Step};
use tandem_core::status::Status;
use tandem_engine::{Evaluation, StoredColumns};

use super::joined::{Given, JoinedView};
use super::part::Part;
use super::report::{ComputedCounts, Counts};
use super::{Labels, Shared, TrainingError, labels};
use crate::error::OfflineError;

/// Names of the training set's columns beyond the labels'.
pub(super) struct Names {
    /// The features, in the order of the plan.
    pub(super) features: Vec<String>,
    /// The statuses, in the order of [`FeaturePlan::asked`].
    pub(super) statuses: Vec<String>,
}

/// The features' names, as `VIEW__FEATURE` where a plain name would stand twice; `VIEW__status` for each view. Of two versions of one view both are
/// named `VIEW_vVERSION`.
pub(super) fn names(labels: &Labels, plan: &FeaturePlan) -> Names {
    let mut times: HashMap<&str, usize> = HashMap::new();
    let label_names = labels.schema().fields().iter().map(|field| field.name().as_str());
    for name in label_names.chain(plan.columns.iter().map(|column| column.name.as_str())) {
        *times.entry(name).or_default() += 1;
    }
    let asked = plan.asked();
    let view_name = |step: Step| {
        let id = plan.view(step).view.id();
        let versions = asked.iter().filter(|other| plan.view(**other).view.name == id.name).count();
        if versions > 1 { format!("{}_v{}", id.name, id.version) } else { id.name }
    };
    let features = plan.columns.iter().map(|column| {
        let stands_twice = times[column.name.as_str()] > 1;
        if stands_twice { format!("{}__{}", view_name(column.from.step), column.feature) } else { column.name.clone() }
    });
    let features = features.collect();
    let statuses = asked.iter().map(|step| format!("{}__status", view_name(*step))).collect();
    Names { features, statuses }
}

/// The label's columns as they are, then the features, then the statuses.
pub(super) fn schema(labels: &Labels, plan: &FeaturePlan, statuses: bool) -> Result<SchemaRef, TrainingError> {
    let names = names(labels, plan);
    let mut fields: Vec<Field> = labels.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    for (column, name) in plan.columns.iter().zip(names.features) {
        fields.push(Field::new(name, column.data_type.to_arrow(), true));
    }
    if statuses {
        fields.extend(names.statuses.into_iter().map(|name| Field::new(name, arrow_schema::DataType::Utf8, false)));
    }
    let mut seen = std::collections::HashSet::new();
    if let Some(twice) = fields.iter().find(|field| !seen.insert(field.name().clone())) {
        return Err(TrainingError::DuplicateColumn { column: twice.name().clone() });
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// The rows of the training set for `labels`, which are those at `rows`, and what is to be counted of them.
pub(super) fn batch(
    shared: &Shared,
    part: &Part,
    rows: Range<usize>,
    labels: &RecordBatch,
) -> Result<(RecordBatch, Counts), TrainingError> {
    let plan = &shared.request.plan;
    let within = rows.start - part.rows.start..rows.end - part.rows.start;
    let stored = part.views.iter().map(|view| stored(view, within.clone()));
    let stored = stored.collect::<Result<Vec<_>, ArrowError>>().map_err(arrow_error)?;
    let times = TimestampMicrosecondArray::from_iter_values(shared.times[rows.clone()].iter().map(|time| time.0));
    let positions = labels::positions(&shared.request)?;
    let request = plan.request.iter().zip(positions).map(|(column, position)| {
        labels::requested(labels.column(position), &shared.request, column, rows.start as u64)
    });
    let request = request.collect::<Result<Vec<_>, _>>()?;
    let mut evaluation = Evaluation::new(plan, request, Arc::new(times.with_timezone("UTC")), stored);
    shared.computing.run(&mut evaluation, rows.start)?;

    let mut columns: Vec<ArrayRef> = labels.columns().to_vec();
    columns.extend(plan.columns.iter().map(|column| Arc::clone(evaluation.feature(column.from))));
    let nulls = plan.columns.iter().map(|column| evaluation.feature(column.from).null_count() as u64).collect();
    let asked = plan.asked();
    let computed = (0..plan.computed.len()).map(|index| {
        let statuses = computed_statuses(&evaluation, plan, index, rows.len());
        let count = |status| statuses.iter().filter(|other| **other == status).count() as u64;
        let failed = evaluation.failed(Step::Computed(index));
        let counts = ComputedCounts {
            present: count(Status::Present),
            null_value: count(Status::NullValue),
            failed: failed.len() as u64,
            first_failure: failed.iter().next().map(|(row, message)| ((rows.start + row) as u64, message.clone())),
        };
        (statuses, counts)
    });
    let (computed_statuses, counts): (Vec<Vec<Status>>, Vec<ComputedCounts>) = computed.unzip();
    if shared.request.statuses {
        for step in asked {
            let texts = match step {
                Step::Stored(index) => {
                    StringArray::from_iter_values(within.clone().map(|label| part.views[index].status(label).as_str()))
                }
                Step::Computed(index) => {
                    StringArray::from_iter_values(computed_statuses[index].iter().map(|status| status.as_str()))
                }
            };
            columns.push(Arc::new(texts));
        }
    }
    let batch = RecordBatch::try_new(Arc::clone(&shared.schema), columns).map_err(arrow_error)?;
    Ok((batch, Counts { nulls, computed: counts }))
}

/// A view's values for labels of its part.
fn stored(view: &JoinedView, labels: Range<usize>) -> Result<StoredColumns, ArrowError> {
    let row = |label| match view.given(label) {
        Given::Row(row) => Some(row),
        Given::Expired | Given::NotFound => None,
    };
    let indices: UInt32Array = labels.clone().map(row).collect();
    let features = view.values().columns().iter().map(|values| take(values, &indices, None));
    let event_time = |label| matches!(view.given(label), Given::Row(_)).then(|| view.event_time(label)).flatten();
    let event_times: TimestampMicrosecondArray = labels.map(|label| event_time(label).map(|time| time.0)).collect();
    Ok(StoredColumns {
        features: features.collect::<Result<_, _>>()?,
        event_times: Arc::new(event_times.with_timezone("UTC")),
        failed: BTreeMap::new(),
    })
}

/// TRANSFORM_ERROR where the row failed, NULL_VALUE where all features that are asked for are null (all there are, where none is).
fn computed_statuses(evaluation: &Evaluation<'_>, plan: &FeaturePlan, index: usize, rows: usize) -> Vec<Status> {
    let step = Step::Computed(index);
    let asked = plan.columns.iter().map(|column| column.from).filter(|from| from.step == step);
    let mut values: Vec<&ArrayRef> = asked.map(|from| evaluation.feature(from)).collect();
    if values.is_empty() {
        let outputs = 0..plan.computed[index].view.signature.outputs.len();
        let features = outputs.map(|output| tandem_core::feature_plan::FeatureRef { step, output });
        values = features.map(|from| evaluation.feature(from)).collect();
    }
    let failed = evaluation.failed(step);
    let status = |row: usize| match failed.contains_key(&row) {
        true => Status::TransformError,
        false if values.iter().all(|column| column.is_null(row)) => Status::NullValue,
        false => Status::Present,
    };
    (0..rows).map(status).collect()
}

fn arrow_error(error: ArrowError) -> TrainingError {
    TrainingError::from(OfflineError::DataFusion(error.into()))
}
