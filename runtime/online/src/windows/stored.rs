//! An event as it is stored: a record, and before it, where the source names event ids, until when the version counts.
//!
//! ```text
//! offset  size  field (little-endian)
//! 0       8     microseconds since 1970-01-01T00:00:00Z; the greatest value: it counts for ever; the least: at no instant
//! 8       4     CRC-32C of these 8 bytes
//! ```

use tandem_core::time::Timestamp;

use super::WindowView;
use crate::environment::Fault;
use crate::error::OnlineError;
use crate::record::{RecordRef, Stored};

const UNTIL_BYTES: usize = 12;

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
    /// Replaces what is in `out` by the bytes of an event.
    pub(super) fn encode_event(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        if self.id.is_none() {
            return event.stored.encode(out);
        }
        let mut record = Vec::new();
        event.stored.encode(&mut record);
        let until = event.until.0.to_le_bytes();
        out.clear();
        out.extend(until);
        out.extend(crc32c::crc32c(&until).to_le_bytes());
        out.extend(record);
    }

    /// Reads the bytes of an event; any bytes may be given.
    pub(super) fn decode_event<'a>(&self, bytes: &'a [u8]) -> Result<Event<'a>, Fault> {
        let fail = |reason: String| Fault::Error(OnlineError::Windows { reason });
        let (until, record) = match self.id {
            None => (FOR_EVER, bytes),
            Some(_) => {
                let cut = || fail("an event is cut short".to_owned());
                let (until, record) = bytes.split_at_checked(UNTIL_BYTES).ok_or_else(cut)?;
                let (until, checksum) = until.split_first_chunk::<8>().ok_or_else(cut)?;
                if crc32c::crc32c(until).to_le_bytes() != checksum {
                    return Err(fail("an event's checksum is not that of its bytes".to_owned()));
                }
                (Timestamp(i64::from_le_bytes(*until)), record)
            }
        };
        Ok(Event { stored: Stored::decode(record).map_err(|error| fail(error.to_string()))?, until })
    }
}
