//! The push log: rows that were pushed, in the order in which they were acknowledged, until they are in the offline history.
//!
//! A row's key is the number of its view and its sequence; its value is a record ([`crate::record`]) that holds the entity key. Sequences of a view
//! begin at 1, grow by one from row to row, and are never given twice. What is known of a view's log stands in the table `state`, under the byte `l` and
//! the number of the view (big-endian):
//!
//! ```text
//! offset  size  field (integers little-endian)
//! 0       1     entry format: 1
//! 1       7     zero
//! 8       8     the next sequence, unsigned
//! 16      8     published time of the last row, microseconds since 1970-01-01T00:00:00Z, signed
//! 24      8     rows that are in the log, unsigned
//! 32      8     their bytes, without keys, unsigned
//! 40      8     epoch: a random number, given when the log began
//! 48      4     CRC-32C of the 48 bytes before
//! ```

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::ControlFlow;

use tandem_core::time::Timestamp;

use crate::environment::{Table, WriteTransaction};
use crate::error::OnlineError;
use crate::key::{log_key, parse_log_key};
use crate::record::{Corruption, Record, Stored};
use crate::store::Store;
use crate::view::ViewId;

const ENTRY_FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 52;

/// Rows that are removed from the log in one transaction.
const REMOVED_ROWS: usize = 4_096;

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its place in the view's log.
    pub sequence: u64,
    /// The entity ([`tandem_core::key`]).
    pub key: Vec<u8>,
    /// The row; its published time is that of its acknowledgement.
    pub record: Record,
}

/// A piece of a view's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPiece {
    /// Rows, by sequence.
    pub rows: Vec<LogRow>,
    /// Rows that cannot be read, by sequence. They stay in the log.
    pub corrupt: Vec<(u64, Corruption)>,
    /// Tells this log from others of the same view: one that began anew, in a store that was lost, gives the same sequences to other rows.
    pub epoch: u64,
    /// The sequence behind the piece; None if the log ends there.
    pub next: Option<u64>,
}

/// Sizes of a view's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStats {
    /// The view.
    pub view: ViewId,
    /// Rows in the log.
    pub rows: u64,
    /// Their bytes, without keys.
    pub bytes: u64,
    /// Published time of the oldest of them; None if there is none, or it cannot be read.
    pub oldest: Option<Timestamp>,
    /// The next sequence.
    pub next_sequence: u64,
}

/// What is known of a view's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogState {
    pub(crate) next: u64,
    pub(crate) published_time: Timestamp,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) epoch: u64,
}

const KEY_TAG: u8 = b'l';

impl LogState {
    pub(crate) fn key(view: ViewId) -> [u8; 5] {
        let [a, b, c, d] = view.get().to_be_bytes();
        [KEY_TAG, a, b, c, d]
    }

    /// That of a log that begins.
    fn new() -> Self {
        // The standard library's hasher is seeded by the system's randomness.
        let epoch = RandomState::new().build_hasher().finish();
        LogState { next: 1, published_time: Timestamp::MIN, rows: 0, bytes: 0, epoch }
    }

    /// One more row of so many bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.next += 1;
        self.rows += 1;
        self.bytes += bytes as u64;
    }

    pub(crate) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        entry[0] = ENTRY_FORMAT;
        entry[8..16].copy_from_slice(&self.next.to_le_bytes());
        entry[16..24].copy_from_slice(&self.published_time.0.to_le_bytes());
        entry[24..32].copy_from_slice(&self.rows.to_le_bytes());
        entry[32..40].copy_from_slice(&self.bytes.to_le_bytes());
        entry[40..48].copy_from_slice(&self.epoch.to_le_bytes());
        let checksum = crc32c::crc32c(&entry[..48]);
        entry[48..].copy_from_slice(&checksum.to_le_bytes());
        entry
    }

    /// Reads an entry; any bytes may be given.
    pub(crate) fn decode(bytes: &[u8]) -> Option<LogState> {
        let entry: &[u8; ENTRY_BYTES] = bytes.try_into().ok()?;
        let number = |offset: usize| u64::from_le_bytes(std::array::from_fn(|index| entry[offset + index]));
        let checksum = u32::from_le_bytes([entry[48], entry[49], entry[50], entry[51]]);
        let sound = entry[..8] == [ENTRY_FORMAT, 0, 0, 0, 0, 0, 0, 0] && crc32c::crc32c(&entry[..48]) == checksum;
        sound.then(|| LogState {
            next: number(8),
            published_time: Timestamp(number(16) as i64),
            rows: number(24),
            bytes: number(32),
            epoch: number(40),
        })
    }
}

impl Store {
    pub(crate) fn log_state(
        &self,
        txn: &WriteTransaction<'_, '_>,
        view: ViewId,
    ) -> Result<LogState, crate::environment::Fault> {
        Ok(self.decode_log_state(txn.get(Table::State, &LogState::key(view))?)?)
    }

    fn decode_log_state(&self, bytes: Option<&[u8]>) -> Result<LogState, OnlineError> {
        let Some(bytes) = bytes else { return Ok(LogState::new()) };
        let path = || self.path().to_owned();
        LogState::decode(bytes).ok_or_else(|| OnlineError::StateCorrupt { path: path(), what: "the push log" })
    }

    /// A piece of a view's log from a sequence on, of at most so many rows and about so many bytes; one row at least, if there is one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn log_piece(
        &self,
        view: ViewId,
        from: u64,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<LogPiece, OnlineError> {
        self.environment().read(|snapshot| {
            let state = self.decode_log_state(snapshot.get(Table::State, &LogState::key(view))?)?;
            let (mut piece, mut bytes) = (LogPiece { epoch: state.epoch, ..LogPiece::default() }, 0);
            snapshot.scan(Table::Log, &log_key(view, from), |key, value| {
                let Some((_, sequence)) = parse_log_key(key).filter(|(of, _)| *of == view) else {
                    return Ok(ControlFlow::Break(()));
                };
                bytes += value.len();
                let taken = piece.rows.len() + piece.corrupt.len();
                if taken > 0 && (taken >= rows_max || bytes > bytes_max) {
                    piece.next = Some(sequence);
                    return Ok(ControlFlow::Break(()));
                }
                match Stored::decode(value) {
                    Ok(Stored { record, full_key: Some(key), .. }) => {
                        piece.rows.push(LogRow { sequence, key: key.to_vec(), record: record.to_owned() });
                    }
                    Ok(_) => piece.corrupt.push((sequence, Corruption::Layout { what: "it holds no entity key" })),
                    Err(corruption) => piece.corrupt.push((sequence, corruption)),
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(piece)
        })
    }

    /// Removes rows from a view's log, once the offline history has them, in transactions of a few thousand. Sequences that are not there do not matter.
    /// Gives how many were.
    ///
    /// # Errors
    /// What was removed before stays removed.
    pub fn forget_logged(&self, view: ViewId, sequences: &[u64]) -> Result<u64, OnlineError> {
        let mut removed = 0;
        for sequences in sequences.chunks(REMOVED_ROWS) {
            removed += self.environment().write(|txn| {
                let mut log = self.log_state(txn, view)?;
                let mut gone = 0;
                for sequence in sequences {
                    let key = log_key(view, *sequence);
                    let Some(bytes) = txn.get(Table::Log, &key)?.map(<[u8]>::len) else { continue };
                    txn.delete(Table::Log, &key)?;
                    log.rows = log.rows.saturating_sub(1);
                    log.bytes = log.bytes.saturating_sub(bytes as u64);
                    gone += 1;
                }
                txn.put(Table::State, &LogState::key(view), &log.encode())?;
                Ok(gone)
            })?;
        }
        Ok(removed)
    }

    /// Sizes of the logs of all views that ever had a row in one, by view.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn logs(&self) -> Result<Vec<LogStats>, OnlineError> {
        self.environment().read(|snapshot| {
            let mut logs = Vec::new();
            snapshot.scan(Table::State, &[KEY_TAG], |key, value| {
                let Some((&KEY_TAG, view)) = key.split_first() else { return Ok(ControlFlow::Break(())) };
                let Ok(view) = <[u8; 4]>::try_from(view) else { return Ok(ControlFlow::Continue(())) };
                let state = self.decode_log_state(Some(value))?;
                logs.push((ViewId::new(u32::from_be_bytes(view)), state));
                Ok(ControlFlow::Continue(()))
            })?;
            let mut stats = Vec::with_capacity(logs.len());
            for (view, state) in logs {
                let mut oldest = None;
                snapshot.scan(Table::Log, &log_key(view, 0), |key, value| {
                    if parse_log_key(key).is_some_and(|(of, _)| of == view) {
                        oldest = Stored::decode(value).ok().map(|stored| stored.record.published_time);
                    }
                    Ok(ControlFlow::Break(()))
                })?;
                let LogState { next, rows, bytes, .. } = state;
                stats.push(LogStats { view, rows, bytes, oldest, next_sequence: next });
            }
            Ok(stats)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_format_1_is_pinned() {
        let state = LogState { next: 258, published_time: Timestamp(-2), rows: 3, bytes: 4, epoch: 5 };
        let bytes = state.encode();
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        expected.extend((-2_i64).to_le_bytes());
        expected.extend([3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[..48], expected);
        assert_eq!(LogState::decode(&bytes), Some(state));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LogState::decode(&bytes), None, "bit {bit}");
        }
        assert_eq!(LogState::decode(&bytes[..51]), None);
        assert_eq!(LogState::key(ViewId::new(0x0102_0304)), *b"l\x01\x02\x03\x04");
    }
}
