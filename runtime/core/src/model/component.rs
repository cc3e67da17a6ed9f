//! Components that a view of aggregates runs, with their code once somebody has loaded it: what runs it is not for this crate to know.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};

use crate::hash::Digest;
use crate::types::Signature;
use crate::window::AggregateFunction;

/// A transform that makes events of the rows of a source.
pub trait EventTransform: Send + Sync {
    /// Outputs for rows with a column for each input of the signature, in their order and canonical types. Blocking.
    ///
    /// # Errors
    ///
    /// What is no row's fault.
    fn apply(&self, inputs: &RecordBatch) -> Result<MappedEvents, CodeError>;
}

/// What came of rows.
#[derive(Debug, Clone)]
pub struct MappedEvents {
    /// A column for each output of the signature, with as many rows as were given; null where one failed.
    pub outputs: Vec<ArrayRef>,
    /// Rows that failed, ascending, and why.
    pub failures: Vec<(usize, String)>,
}

/// Why code gave nothing: the error of whoever runs it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CodeError(pub Box<dyn std::error::Error + Send + Sync>);

/// A component of a view of aggregates. Two are equal if they are the same component with the same declaration, loaded or not.
#[derive(Clone)]
pub struct BoundComponent {
    /// What it declares under its parameters.
    pub signature: Signature,
    /// SHA-256 of it.
    pub digest: Digest,
    /// What runs it.
    pub code: Code,
}

/// What runs a component.
#[derive(Clone, Default)]
pub enum Code {
    /// Nobody loaded it.
    #[default]
    NotLoaded,
    /// A transform of events.
    Events(Arc<dyn EventTransform>),
    /// A function of aggregates.
    Function(Arc<dyn AggregateFunction>),
}

impl PartialEq for BoundComponent {
    fn eq(&self, other: &Self) -> bool {
        (&self.signature, self.digest) == (&other.signature, other.digest)
    }
}

impl fmt::Debug for BoundComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_loaded = !matches!(self.code, Code::NotLoaded);
        f.debug_struct("BoundComponent")
            .field("signature", &self.signature)
            .field("digest", &self.digest)
            .field("is_loaded", &is_loaded)
            .finish()
    }
}
