//! Labels that are joined together: as many as memory allows.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;

use super::joined::JoinedView;
use super::labels::LabelKeys;
use super::trim::trim;
use super::{Shared, TrainingError, output};

/// The answers of all stored views for the labels at `rows`.
pub(super) struct Part {
    pub(super) rows: Range<usize>,
    /// One for each of the plan's stored steps.
    pub(super) views: Vec<JoinedView>,
}

/// Labels of a part, and where they are among all.
type LabelBatch = Result<(Range<usize>, RecordBatch), TrainingError>;

impl Part {
    /// Both passes over the rows of each view. Blocking.
    pub(super) fn join(shared: &Shared, rows: Range<usize>) -> Result<Self, TrainingError> {
        // The part before is there no more.
        trim();
        let request = &shared.request;
        let times = &shared.times[rows.clone()];
        let mut known: Vec<Arc<LabelKeys>> = Vec::new();
        let mut views = Vec::with_capacity(request.plan.stored.len());
        for (index, step) in request.plan.stored.iter().enumerate() {
            let started = Instant::now();
            // Views with the same keys share what is made of the labels.
            let keys = match known.iter().find(|keys| keys.keys == step.keys) {
                Some(keys) => Arc::clone(keys),
                None => {
                    let keys = Arc::new(LabelKeys::read(request, &step.keys, rows.clone(), times)?);
                    known.push(Arc::clone(&keys));
                    keys
                }
            };
            let indexed = started.elapsed();
            let view = JoinedView::decide(index, shared, keys)?;
            shared.check(index, &view, times.len());
            shared.report(|report| report.phases.index += indexed);
            view.report(shared, times)?;
            views.push(view);
            // The index of what competed, or events, are there no more.
            trim();
        }
        Ok(Part { rows, views })
    }

    /// The labels, with all their columns. Blocking, as it is read.
    pub(super) fn labels(
        &self,
        shared: &Shared,
    ) -> Result<impl Iterator<Item = LabelBatch> + Send + use<>, TrainingError> {
        let mut at = self.rows.start;
        let batches = shared.request.labels.batches(None, self.rows.clone(), shared.request.options.batch_rows)?;
        Ok(batches.map(move |batch| {
            let batch = batch?;
            let rows = at..at + batch.num_rows();
            at = rows.end;
            Ok((rows, batch))
        }))
    }

    /// The rows of the training set for `labels`, which are those at `rows` among all. Blocking; runs user code.
    pub(super) fn batch(
        &self,
        shared: &Shared,
        rows: Range<usize>,
        labels: &RecordBatch,
    ) -> Result<RecordBatch, TrainingError> {
        let started = Instant::now();
        let (batch, counts) = output::batch(shared, self, rows, labels)?;
        shared.report(|report| {
            report.phases.answer += started.elapsed();
            report.add(&counts);
        });
        Ok(batch)
    }
}
