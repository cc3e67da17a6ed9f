//! An event as it is stored: a record, and until when it counts.

use tandem_core::time::Timestamp;

use super::WindowView;
use crate::environment::Fault;
use crate::error::OnlineError;
use crate::record::{RecordRef, Stored};

/// Until when a version counts that none stands in the place of.
pub(super) const FOR_EVER: Timestamp = Timestamp::MAX;

/// An event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) stored: Stored<'a>,
    /// The first instant at which it no longer counts.
    pub(super) until: Timestamp,
}

impl<'a> Event<'a> {
    pub(super) fn record(&self) -> &RecordRef<'a> {
        &self.stored.record
    }

    /// Whether tiles hold it.
    pub(super) fn stands(&self) -> bool {
        self.until == FOR_EVER
    }
}

impl WindowView {
    /// Reads the bytes of an event; any bytes may be given.
    pub(super) fn decode_event<'a>(&self, bytes: &'a [u8]) -> Result<Event<'a>, Fault> {
        let fail = |reason: String| Fault::Error(OnlineError::Windows { reason });
        let stored = Stored::decode(bytes).map_err(|error| fail(error.to_string()))?;
        Ok(Event { stored, until: stored.until.unwrap_or(FOR_EVER) })
    }
}
