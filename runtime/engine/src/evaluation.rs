//! On-demand views over columns of a request and over stored rows, in the order of their plan. Who calls the transforms, and how, is the
//! caller's: a training set with a session, a server with requests that share calls. What they are given is decided here.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{Field as ArrowField, Schema};
use arrow_select::filter::filter;
use arrow_select::take::take;
use tandem_core::feature_plan::{FeaturePlan, FeatureRef, InputFrom, Step};

use crate::error::EngineError;
use crate::transform::Outcome;

/// What is known of a stored view's rows, one for each row that is asked for.
#[derive(Debug, Clone)]
pub struct StoredColumns {
    /// A column for each of the step's `outputs`; null where no value is served.
    pub features: Vec<ArrayRef>,
    /// Event time of the row that is served, microseconds, UTC; null where none is.
    pub event_times: ArrayRef,
    /// Rows whose values cannot be known, though there may be some, and why. What reads them fails too.
    pub failed: BTreeMap<usize, String>,
}

/// A plan under way: the rows of one request, or of a batch of labels.
#[derive(Debug)]
pub struct Evaluation<'a> {
    plan: &'a FeaturePlan,
    rows: usize,
    request: Vec<ArrayRef>,
    as_of: ArrayRef,
    stored: Vec<StoredColumns>,
    computed: Vec<Computed>,
}

#[derive(Debug)]
struct Computed {
    columns: Vec<ArrayRef>,
    failed: BTreeMap<usize, String>,
}

/// What the next transform is called with.
#[derive(Debug)]
pub struct Inputs {
    /// Position among the plan's computed steps.
    pub step: usize,
    /// The inputs of the transform: all rows but those that cannot be computed.
    pub batch: RecordBatch,
    /// The rows that are in the batch; None if all are.
    kept: Option<Vec<usize>>,
    /// Rows that are not, and why.
    failed: BTreeMap<usize, String>,
}

impl<'a> Evaluation<'a> {
    /// `request`: a column for each of the plan's, in its canonical type; `as_of`: the instant of each row; `stored`: the stored steps, in their
    /// order. All have as many rows as `as_of`.
    pub fn new(plan: &'a FeaturePlan, request: Vec<ArrayRef>, as_of: ArrayRef, stored: Vec<StoredColumns>) -> Self {
        assert_eq!(
            (request.len(), stored.len()),
            (plan.request.len(), plan.stored.len()),
            "the plan's columns and steps"
        );
        Evaluation {
            plan,
            rows: as_of.len(),
            request,
            as_of,
            stored,
            computed: Vec::with_capacity(plan.computed.len()),
        }
    }

    /// What to call next; None where everything is computed.
    ///
    /// # Errors
    ///
    /// Columns of another type or length than the plan has.
    pub fn next(&self) -> Result<Option<Inputs>, EngineError> {
        let index = self.computed.len();
        let Some(step) = self.plan.computed.get(index) else { return Ok(None) };
        let mut failed = BTreeMap::new();
        for from in &step.inputs {
            let (read, upstream) = match from {
                InputFrom::Feature(FeatureRef { step: Step::Computed(read), .. }) => {
                    (Step::Computed(*read), &self.computed[*read].failed)
                }
                InputFrom::Feature(FeatureRef { step: Step::Stored(read), .. }) | InputFrom::EventTime(read) => {
                    (Step::Stored(*read), &self.stored[*read].failed)
                }
                InputFrom::Request(_) | InputFrom::AsOf => continue,
            };
            for row in upstream.keys() {
                failed.entry(*row).or_insert_with(|| {
                    format!("`{}`, which it reads, has no value that is known", self.plan.view(read).view.id())
                });
            }
        }
        let kept: Option<Vec<usize>> =
            (!failed.is_empty()).then(|| (0..self.rows).filter(|row| !failed.contains_key(row)).collect());
        let mask =
            kept.is_some().then(|| BooleanArray::from_iter((0..self.rows).map(|row| Some(!failed.contains_key(&row)))));
        let signature = &step.view.signature;
        let mut fields = Vec::with_capacity(step.inputs.len());
        let mut columns = Vec::with_capacity(step.inputs.len());
        for (input, from) in signature.inputs.iter().zip(&step.inputs) {
            let column = match from {
                InputFrom::Request(index) => &self.request[*index],
                InputFrom::AsOf => &self.as_of,
                InputFrom::Feature(feature) => self.feature(*feature),
                InputFrom::EventTime(index) => &self.stored[*index].event_times,
            };
            fields.push(ArrowField::new(&input.name, column.data_type().clone(), true));
            columns.push(match &mask {
                Some(mask) => filter(column, mask).map_err(arrow_error)?,
                None => Arc::clone(column),
            });
        }
        let rows = kept.as_ref().map_or(self.rows, Vec::len);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
        Ok(Some(Inputs { step: index, batch: batch.map_err(arrow_error)?, kept, failed }))
    }

    /// What came of the call.
    ///
    /// # Errors
    ///
    /// Columns that Arrow refuses.
    pub fn push(&mut self, inputs: Inputs, outcome: Outcome) -> Result<(), EngineError> {
        let Inputs { step, kept, mut failed, .. } = inputs;
        assert_eq!(step, self.computed.len(), "steps in their order");
        let row = |row: usize| kept.as_ref().map_or(row, |kept| kept[row]);
        failed.extend(outcome.failures.into_iter().map(|failure| (row(failure.row), failure.message)));
        let columns = match &kept {
            None => outcome.outputs.columns().to_vec(),
            Some(kept) => {
                let mut indices: Vec<Option<u32>> = vec![None; self.rows];
                for (position, row) in kept.iter().enumerate() {
                    indices[*row] = Some(position as u32);
                }
                let indices = UInt32Array::from(indices);
                let spread = outcome.outputs.columns().iter().map(|column| take(column, &indices, None));
                spread.collect::<Result<_, _>>().map_err(arrow_error)?
            }
        };
        self.computed.push(Computed { columns, failed });
        Ok(())
    }

    /// A feature of a step that is there: stored, or computed by now. One value for each row.
    ///
    /// # Panics
    ///
    /// If the step is not computed yet, or the feature not among those that the plan reads.
    pub fn feature(&self, feature: FeatureRef) -> &ArrayRef {
        match feature.step {
            Step::Stored(index) => {
                let position = self.plan.stored[index].outputs.binary_search(&feature.output);
                &self.stored[index].features[position.expect("the plan reads it")]
            }
            Step::Computed(index) => &self.computed[index].columns[feature.output],
        }
    }

    /// Rows for which a step has no value that is known, and why.
    pub fn failed(&self, step: Step) -> &BTreeMap<usize, String> {
        match step {
            Step::Stored(index) => &self.stored[index].failed,
            Step::Computed(index) => &self.computed[index].failed,
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn arrow_error(error: arrow_schema::ArrowError) -> EngineError {
    EngineError::Arrow(error.to_string())
}
