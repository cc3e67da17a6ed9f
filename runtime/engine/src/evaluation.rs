//! On-demand views over columns of a request and over stored rows, in the order of their plan. Who calls the transforms, and how, is the
//! caller's: a training set with a session, a server with requests that share calls. What they are given is decided here.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow_schema::{Field as ArrowField, Schema};
use arrow_select::filter::filter;
use arrow_select::take::take;
use tandem_core::feature_plan::{FeaturePlan, FeatureRef, InputFrom, Step};
use tandem_core::status::Status;

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
    computed: Vec<Progress>,
}

/// A value that is not known, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// What it is served as: one of the failures.
    pub status: Status,
    /// Why.
    pub message: String,
}

/// How far a computed step is.
#[derive(Debug)]
enum Progress {
    /// What it reads may not be there yet.
    Waiting,
    /// Its inputs were given out.
    Called,
    Done(Computed),
}

#[derive(Debug)]
struct Computed {
    columns: Vec<ArrayRef>,
    failed: BTreeMap<usize, Unknown>,
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
    failed: BTreeMap<usize, Unknown>,
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
            computed: plan.computed.iter().map(|_| Progress::Waiting).collect(),
        }
    }

    /// A view that can be called now, of which there may be several; None where none can: everything is computed, or what is left waits for calls
    /// that are under way. Each is given out once.
    ///
    /// # Errors
    ///
    /// Columns of another type or length than the plan has.
    pub fn ready(&mut self) -> Result<Option<Inputs>, EngineError> {
        let Some(index) = (0..self.computed.len()).find(|index| self.is_ready(*index)) else { return Ok(None) };
        let step = &self.plan.computed[index];
        let mut failed = BTreeMap::new();
        for from in &step.inputs {
            let Some(read) = read_by(from) else { continue };
            let mut unknown = |row: usize, status: Status| {
                failed.entry(row).or_insert_with(|| Unknown {
                    status,
                    message: format!(
                        "`{}`, which it reads, has no value that is known",
                        self.plan.view(read).view.id()
                    ),
                });
            };
            match read {
                // Of what is damaged nothing can be computed: that is a failure of what reads it.
                Step::Stored(read) => {
                    self.stored[read].failed.keys().for_each(|row| unknown(*row, Status::TransformError));
                }
                Step::Computed(read) => self.done(read).failed.iter().for_each(|(row, why)| unknown(*row, why.status)),
            }
        }
        self.computed[index] = Progress::Called;
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
        assert!(matches!(self.computed[step], Progress::Called), "a step whose inputs were given out");
        let row = |row: usize| kept.as_ref().map_or(row, |kept| kept[row]);
        failed.extend(
            outcome.failures.into_iter().map(|failure| {
                (row(failure.row), Unknown { status: Status::TransformError, message: failure.message })
            }),
        );
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
        self.computed[step] = Progress::Done(Computed { columns, failed });
        Ok(())
    }

    /// Whether every step is computed, or given up.
    pub fn is_done(&self) -> bool {
        self.computed.iter().all(|progress| matches!(progress, Progress::Done(_)))
    }

    /// Gives a step up whose inputs were given out: of none of its rows a value is known. What reads it can be called and finds that.
    pub fn give_up(&mut self, step: usize, why: &Unknown) {
        let outputs = &self.plan.computed[step].view.signature.outputs;
        let columns = outputs.iter().map(|output| new_null_array(&output.data_type.to_arrow(), self.rows)).collect();
        let failed = (0..self.rows).map(|row| (row, why.clone())).collect();
        self.computed[step] = Progress::Done(Computed { columns, failed });
    }

    /// Gives up all that is not computed yet.
    pub fn give_up_rest(&mut self, why: &Unknown) {
        for step in 0..self.computed.len() {
            if !matches!(self.computed[step], Progress::Done(_)) {
                self.give_up(step, why);
            }
        }
    }

    fn is_ready(&self, index: usize) -> bool {
        let is_there = |from: &InputFrom| match read_by(from) {
            Some(Step::Computed(read)) => matches!(self.computed[read], Progress::Done(_)),
            Some(Step::Stored(_)) | None => true,
        };
        matches!(self.computed[index], Progress::Waiting) && self.plan.computed[index].inputs.iter().all(is_there)
    }

    fn done(&self, index: usize) -> &Computed {
        match &self.computed[index] {
            Progress::Done(computed) => computed,
            Progress::Waiting | Progress::Called => panic!("computed step {index} is not done"),
        }
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
            Step::Computed(index) => &self.done(index).columns[feature.output],
        }
    }

    /// Rows for which a computed step has no value that is known, and why.
    ///
    /// # Panics
    ///
    /// If the step is not computed yet.
    pub fn failed(&self, computed: usize) -> &BTreeMap<usize, Unknown> {
        &self.done(computed).failed
    }
}

/// The step that an input comes from, if it comes from one.
fn read_by(from: &InputFrom) -> Option<Step> {
    match from {
        InputFrom::Feature(feature) => Some(feature.step),
        InputFrom::EventTime(index) => Some(Step::Stored(*index)),
        InputFrom::Request(_) | InputFrom::AsOf => None,
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn arrow_error(error: arrow_schema::ArrowError) -> EngineError {
    EngineError::Arrow(error.to_string())
}
