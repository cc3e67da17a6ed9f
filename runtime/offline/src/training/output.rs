//! The columns of a training set.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, RecordBatch, Scalar, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};
use arrow_select::take::take;
use arrow_select::zip::zip;
use tandem_core::feature_plan::{FeaturePlan, Step, StoredStep};
use tandem_core::status::{FeatureStatus, Status};
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
    /// The reasons of defaults, of those of them that have any.
    reasons: Vec<String>,
}

/// The features' names, as `VIEW__FEATURE` where a plain name would stand twice; `VIEW__status` for each view. Of two versions of one view both are
/// named `VIEW_vVERSION`. `VIEW__default_reason` for each view of which a feature with a default is asked for.
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
    let with_defaults = asked.iter().filter(|step| has_defaults(plan, **step));
    let reasons = with_defaults.map(|step| format!("{}__default_reason", view_name(*step))).collect();
    Names { features, statuses, reasons }
}

/// Whether a feature of the step that is asked for has a default.
fn has_defaults(plan: &FeaturePlan, step: Step) -> bool {
    let mut columns = plan.columns.iter().filter(|column| column.from.step == step);
    columns.any(|column| plan.view(step).defaults.get(&column.feature).is_some())
}

/// The label's columns as they are, then the features, then the statuses, then the reasons of defaults.
pub(super) fn schema(labels: &Labels, plan: &FeaturePlan, statuses: bool) -> Result<SchemaRef, TrainingError> {
    let names = names(labels, plan);
    let mut fields: Vec<Field> = labels.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    for (column, name) in plan.columns.iter().zip(names.features) {
        fields.push(Field::new(name, column.data_type.to_arrow(), true));
    }
    if statuses {
        fields.extend(names.statuses.into_iter().map(|name| Field::new(name, arrow_schema::DataType::Utf8, false)));
        fields.extend(names.reasons.into_iter().map(|name| Field::new(name, arrow_schema::DataType::Utf8, true)));
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
    let stored = plan.stored.iter().zip(&part.views).map(|(step, view)| stored(step, view, within.clone()));
    let stored = stored.collect::<Result<Vec<_>, ArrowError>>().map_err(arrow_error)?;
    let (stored, defaulted): (Vec<StoredColumns>, Vec<Defaulted>) = stored.into_iter().unzip();
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
    let defaults = plan.columns.iter().map(|column| match column.from.step {
        Step::Stored(index) => defaulted[index].of(&plan.stored[index], column.from.output),
        Step::Computed(_) => 0,
    });
    let defaults = defaults.collect();
    let asked = plan.asked();
    let computed = (0..plan.computed.len()).map(|index| {
        let statuses = computed_statuses(&evaluation, plan, index, rows.len());
        let count = |status| statuses.iter().filter(|other| **other == status).count() as u64;
        let failed = evaluation.failed(index);
        let counts = ComputedCounts {
            present: count(Status::Present),
            null_value: count(Status::NullValue),
            failed: failed.len() as u64,
            first_failure: failed.iter().next().map(|(row, why)| ((rows.start + row) as u64, why.message.clone())),
        };
        (statuses, counts)
    });
    let (computed_statuses, counts): (Vec<Vec<Status>>, Vec<ComputedCounts>) = computed.unzip();
    if shared.request.statuses {
        for step in &asked {
            let texts = match *step {
                Step::Stored(index) => {
                    let status = |(row, label)| match defaulted[index].any(part.views[index].asked(), row) {
                        true => Status::Defaulted,
                        false => part.views[index].status(label),
                    };
                    StringArray::from_iter_values(within.clone().enumerate().map(status).map(Status::as_str))
                }
                Step::Computed(index) => {
                    StringArray::from_iter_values(computed_statuses[index].iter().map(|status| status.as_str()))
                }
            };
            columns.push(Arc::new(texts));
        }
        for step in asked.iter().filter(|step| has_defaults(plan, **step)) {
            let Step::Stored(index) = *step else { continue };
            let view = &part.views[index];
            // A row that is there has a default where its value is null.
            let reason = |(row, label)| match defaulted[index].any(view.asked(), row) {
                true => FeatureStatus::of(view.row_status(label), true, true).reason.map(Status::as_str),
                false => None,
            };
            let reasons: StringArray = within.clone().enumerate().map(reason).collect();
            columns.push(Arc::new(reasons));
        }
    }
    let batch = RecordBatch::try_new(Arc::clone(&shared.schema), columns).map_err(arrow_error)?;
    Ok((batch, Counts { nulls, defaults, computed: counts }))
}

/// For each of a step's `outputs` the rows for which its default stands in; None where it has none.
struct Defaulted(Vec<Option<BooleanArray>>);

impl Defaulted {
    /// Rows for which the default of an output stands in.
    fn of(&self, step: &StoredStep, output: usize) -> u64 {
        let position = step.outputs.binary_search(&output).ok();
        let rows = position.and_then(|position| self.0.get(position)?.as_ref());
        rows.map_or(0, |rows| rows.true_count() as u64)
    }

    /// Whether the default of one of these features stands in.
    fn any(&self, features: &[usize], row: usize) -> bool {
        features.iter().any(|feature| self.0[*feature].as_ref().is_some_and(|rows| rows.value(row)))
    }
}

/// A view's values for labels of its part, with defaults where there are none.
fn stored(
    step: &StoredStep,
    view: &JoinedView,
    labels: Range<usize>,
) -> Result<(StoredColumns, Defaulted), ArrowError> {
    let bound = &step.view;
    let row = |label| match view.given(label) {
        Given::Row(row) => Some(row),
        Given::Expired | Given::NotFound => None,
    };
    let indices: UInt32Array = labels.clone().map(row).collect();
    let features = view.values().columns().iter().zip(&step.outputs).map(|(values, output)| {
        let column = take(values, &indices, None)?;
        let Some(default) = bound.defaults.get(&bound.signature.outputs[*output].name) else {
            return Ok((column, None));
        };
        let status = |(row, label)| FeatureStatus::of(view.row_status(label), column.is_null(row), true).status;
        let stands_in = labels.clone().enumerate().map(|place| Some(status(place) == Status::Defaulted));
        let stands_in: BooleanArray = stands_in.collect();
        Ok((zip(&stands_in, &Scalar::new(default), &column)?, Some(stands_in)))
    });
    let (features, defaulted) = features.collect::<Result<Vec<_>, ArrowError>>()?.into_iter().unzip();
    let event_time = |label| matches!(view.given(label), Given::Row(_)).then(|| view.event_time(label)).flatten();
    let event_times: TimestampMicrosecondArray = labels.map(|label| event_time(label).map(|time| time.0)).collect();
    let columns =
        StoredColumns { features, event_times: Arc::new(event_times.with_timezone("UTC")), failed: BTreeMap::new() };
    Ok((columns, Defaulted(defaulted)))
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
    let failed = evaluation.failed(index);
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
