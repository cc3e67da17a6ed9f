//! A transform that makes the events of a view of aggregates.

use arrow_array::RecordBatch;
use tandem_core::model::{CodeError, EventTransform, MappedEvents};

use crate::transform::Transform;

impl EventTransform for Transform {
    fn apply(&self, inputs: &RecordBatch) -> Result<MappedEvents, CodeError> {
        let outcome = Transform::apply(self, inputs).map_err(|error| CodeError(Box::new(error)))?;
        Ok(MappedEvents {
            outputs: outcome.outputs.columns().to_vec(),
            failures: outcome.failures.into_iter().map(|failure| (failure.row, failure.message)).collect(),
        })
    }
}
