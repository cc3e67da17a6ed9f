//! A stored value and its bytes.
//!
//! All integers are little-endian. What orders a record among those of its entity stands at a fixed offset.
//!
//! ```text
//! offset  size  field
//! 0       1     record format: 1
//! 1       1     flags: bit 0 has a created time, bit 1 has a sequence, bit 2 holds the full entity key, bit 3 is in the offline
//!               history, bit 4 its values were removed since it is older than the view's ttl (then n is 0),
//!               bit 5 it is a version of an event that ends; others zero
//! 2       2     zero
//! 4       4     CRC-32C (Castagnoli, RFC 3720) of all other bytes of the record
//! 8       8     event time, microseconds since 1970-01-01T00:00:00Z, signed
//! 16      8     created time, likewise; zero where there is none
//! 24      8     sequence, signed; zero where there is none
//! 32      8     published time, likewise in microseconds; takes no part in the order
//! 40      8     fingerprint of the output schema
//! 48      32    SHA-256 of the component that computed the row
//! 80      4     k: length of the full entity key; zero where the record does not hold it
//! 84      k     the full entity key
//! 84+k    8     where it ends: the first instant at which the version no longer counts, in microseconds; the least: it never does
//! then    n     canonical bytes of the row, to the end
//! ```

use std::cmp::Ordering;

use tandem_core::hash::Digest;
use tandem_core::order::RowOrder;
use tandem_core::time::Timestamp;

/// Newest record format that this program writes and reads.
pub const RECORD_FORMAT: u8 = 1;

const HEADER_BYTES: usize = 84;
const HAS_CREATED_TIME: u8 = 1;
const HAS_SEQUENCE: u8 = 1 << 1;
const HAS_FULL_KEY: u8 = 1 << 2;
const IN_HISTORY: u8 = 1 << 3;
const REMOVED: u8 = 1 << 4;
const HAS_UNTIL: u8 = 1 << 5;

/// A feature row as stored. `R` holds the canonical bytes of the row: see [`Record`] and [`RecordRef`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOf<R> {
    /// When the thing happened.
    pub event_time: Timestamp,
    /// When the producer came to know it.
    pub created_time: Option<Timestamp>,
    /// Position in the source's log, where it declares one.
    pub sequence: Option<i64>,
    /// When Tandem made the row visible. It takes no part in the order.
    pub published_time: Timestamp,
    /// SHA-256 of the component that computed the row.
    pub digest: Digest,
    /// Fingerprint of the output schema under which `row` was encoded.
    pub schema_fingerprint: u64,
    /// Canonical bytes of the row's values.
    pub row: R,
}

/// A feature row that owns its bytes.
pub type Record = RecordOf<Vec<u8>>;

/// A feature row that borrows its bytes.
pub type RecordRef<'a> = RecordOf<&'a [u8]>;

/// What is known of a feature row beside its values.
pub type RecordHead = RecordOf<()>;

impl<R> RecordOf<R> {
    /// The record without its values, and those.
    pub fn split(self) -> (RecordHead, R) {
        (self.with_row(()), self.row)
    }

    fn with_row<S>(&self, row: S) -> RecordOf<S> {
        RecordOf {
            event_time: self.event_time,
            created_time: self.created_time,
            sequence: self.sequence,
            published_time: self.published_time,
            digest: self.digest,
            schema_fingerprint: self.schema_fingerprint,
            row,
        }
    }
}

impl<R: AsRef<[u8]>> RecordOf<R> {
    /// What orders the row among the rows of its entity.
    pub fn order(&self) -> RowOrder<'_> {
        RowOrder {
            event_time: self.event_time,
            created_time: self.created_time,
            sequence: self.sequence,
            row: self.row.as_ref(),
        }
    }

    /// The same record, borrowed.
    pub fn borrow(&self) -> RecordRef<'_> {
        self.with_row(self.row.as_ref())
    }

    /// The same record with bytes of its own.
    pub fn to_owned(&self) -> Record {
        self.with_row(self.row.as_ref().to_vec())
    }
}

impl RecordRef<'_> {
    /// The event time of a record's bytes, and whether its values were removed, without looking whether they are whole.
    pub(crate) fn peek(bytes: &[u8]) -> Option<(Timestamp, bool)> {
        let is_record = bytes.len() >= HEADER_BYTES && bytes[0] == RECORD_FORMAT;
        is_record.then(|| (Timestamp(i64::from_le_bytes(array(bytes, 8))), bytes[1] & REMOVED != 0))
    }
}

/// Why stored bytes are not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Corruption {
    /// Shorter than any record.
    #[error("the record has {bytes} bytes; the shortest has {HEADER_BYTES}")]
    Short {
        /// Its bytes.
        bytes: usize,
    },
    /// Another format.
    #[error("the record has format {found}; this program knows format {RECORD_FORMAT}")]
    Format {
        /// The format it names.
        found: u8,
    },
    /// Bytes have changed since they were written.
    #[error("the record's checksum is {stored:08x}; its bytes have {computed:08x}")]
    Checksum {
        /// The checksum in the record.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// A checksum that is right over fields that are not.
    #[error("the record is malformed: {what}")]
    Layout {
        /// What is wrong.
        what: &'static str,
    },
}

/// A record and, where its LMDB key is a hash, the entity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    pub(crate) record: RecordRef<'a>,
    pub(crate) full_key: Option<&'a [u8]>,
    /// Whether it came from the offline history, or is in the log on its way there.
    pub(crate) in_history: bool,
    /// Whether its values were removed, and only what orders it is left.
    pub(crate) removed: bool,
    /// Of an event, the first instant at which it no longer counts, since another version stands in its place; None: it counts for ever.
    pub(crate) until: Option<Timestamp>,
}

impl Stored<'_> {
    /// How a row is ordered against another of its entity. Where the values of one were removed, they do not matter: rows of one time are
    /// older than the ttl together.
    pub(crate) fn compare(&self, other: &RowOrder<'_>, other_removed: bool) -> Ordering {
        let (mut own, mut other) = (self.record.order(), *other);
        if self.removed || other_removed {
            (own.row, other.row) = (&[], &[]);
        }
        own.cmp(&other)
    }

    /// Replaces what is in `out` by the bytes of the record. `full_key` has less than 4 GiB.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let record = &self.record;
        let key = self.full_key.unwrap_or_default();
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        let flags = flag(record.created_time.is_some(), HAS_CREATED_TIME)
            | flag(record.sequence.is_some(), HAS_SEQUENCE)
            | flag(self.full_key.is_some(), HAS_FULL_KEY)
            | flag(self.in_history, IN_HISTORY)
            | flag(self.removed, REMOVED)
            | flag(self.until.is_some(), HAS_UNTIL);
        out.clear();
        out.reserve(HEADER_BYTES + key.len() + record.row.len());
        out.extend_from_slice(&[RECORD_FORMAT, flags, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(&record.event_time.0.to_le_bytes());
        out.extend_from_slice(&record.created_time.unwrap_or_default().0.to_le_bytes());
        out.extend_from_slice(&record.sequence.unwrap_or_default().to_le_bytes());
        out.extend_from_slice(&record.published_time.0.to_le_bytes());
        out.extend_from_slice(&record.schema_fingerprint.to_le_bytes());
        out.extend_from_slice(&record.digest.0);
        out.extend_from_slice(&(key.len() as u32).to_le_bytes());
        out.extend_from_slice(key);
        self.until.iter().for_each(|until| out.extend_from_slice(&until.0.to_le_bytes()));
        out.extend_from_slice(record.row);
        let checksum = checksum(out);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads the bytes of a record; any bytes may be given.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Stored<'_>, Corruption> {
        if bytes.len() < HEADER_BYTES {
            return Err(Corruption::Short { bytes: bytes.len() });
        }
        if bytes[0] != RECORD_FORMAT {
            return Err(Corruption::Format { found: bytes[0] });
        }
        let (stored, computed) = (u32::from_le_bytes(array(bytes, 4)), checksum(bytes));
        if stored != computed {
            return Err(Corruption::Checksum { stored, computed });
        }
        let flags = bytes[1];
        if flags & !(HAS_CREATED_TIME | HAS_SEQUENCE | HAS_FULL_KEY | IN_HISTORY | REMOVED | HAS_UNTIL) != 0
            || bytes[2..4] != [0, 0]
        {
            return Err(Corruption::Layout { what: "a flag that this format does not have" });
        }
        let optional = |offset: usize, bit: u8| match (flags & bit != 0, i64::from_le_bytes(array(bytes, offset))) {
            (true, value) => Ok(Some(value)),
            (false, 0) => Ok(None),
            (false, _) => Err(Corruption::Layout { what: "a value in a field that is absent" }),
        };
        let key_bytes = u32::from_le_bytes(array(bytes, 80)) as usize;
        let rest = &bytes[HEADER_BYTES..];
        let (key, row) = rest
            .split_at_checked(key_bytes)
            .ok_or(Corruption::Layout { what: "the entity key ends after the record" })?;
        let full_key = match (flags & HAS_FULL_KEY != 0, key_bytes) {
            (true, _) => Some(key),
            (false, 0) => None,
            (false, _) => return Err(Corruption::Layout { what: "an entity key where none is announced" }),
        };
        let (until, row) = match flags & HAS_UNTIL != 0 {
            true => {
                let (until, row) =
                    row.split_first_chunk().ok_or(Corruption::Layout { what: "where it ends is cut short" })?;
                (Some(Timestamp(i64::from_le_bytes(*until))), row)
            }
            false => (None, row),
        };
        let record = RecordRef {
            event_time: Timestamp(i64::from_le_bytes(array(bytes, 8))),
            created_time: optional(16, HAS_CREATED_TIME)?.map(Timestamp),
            sequence: optional(24, HAS_SEQUENCE)?,
            published_time: Timestamp(i64::from_le_bytes(array(bytes, 32))),
            schema_fingerprint: u64::from_le_bytes(array(bytes, 40)),
            digest: Digest(array(bytes, 48)),
            row,
        };
        let removed = flags & REMOVED != 0;
        if removed && !row.is_empty() {
            return Err(Corruption::Layout { what: "values that were removed" });
        }
        Ok(Stored { record, full_key, in_history: flags & IN_HISTORY != 0, removed, until })
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..4]), &bytes[8..])
}

/// `N` bytes at an offset inside the header.
fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

#[cfg(test)]
mod tests;
