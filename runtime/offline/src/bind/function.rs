//! What computes features of rows.

use arrow_array::RecordBatch;
use tandem_engine::{EngineError, Outcome, Session, Transform};

/// Where sessions come from. [`Transform`] is the only one in the product; unit tests have a native one.
pub(crate) trait RowFunction: Send + Sync {
    /// A session for one partition at most.
    fn session(&self) -> Box<dyn RowSession>;
}

/// A session, as [`Session`] has it.
pub(crate) trait RowSession: Send {
    /// Blocking.
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError>;
}

impl RowFunction for Transform {
    fn session(&self) -> Box<dyn RowSession> {
        Box::new(Transform::session(self))
    }
}

impl RowSession for Session {
    fn apply(&mut self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        Session::apply(self, inputs)
    }
}
