//! Stored bytes from one place to another: into a generation that is being built, and back from a copy. What orders rows decides, as everywhere.

use std::ops::ControlFlow;

use super::{PutReport, PutRow, Store, now, read};
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::generation::{Numbers, Target};
use crate::key::{RecordKey, entity_key};
use crate::record::{RecordRef, Stored};
use crate::view::{View, ViewId};
use crate::windows::{How, Place, WindowView, parse_event};

/// Keys that are looked at in one read transaction, and written in one.
const PIECE_KEYS: usize = 16_384;

/// Bytes of keys and values that one transaction takes, roughly.
const PIECE_BYTES: usize = 16 << 20;

/// Rows of the push log that are looked at in one transaction.
const LOG_ROWS: usize = 4_096;

/// What was taken over from a copy, of one version of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredView {
    /// The version, as the copy has it.
    pub view: View,
    /// Of its rows, and its events.
    pub put: PutReport,
    /// Rows and events that cannot be read, or events whose view is not known; they were left out.
    pub left_out: u64,
}

/// Keys and values of one number, that lie behind each other.
pub(super) struct RawPiece {
    pub(super) entries: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) keys: u64,
    next: Option<Vec<u8>>,
}

impl Store {
    /// Gives what a table has under a number, and `wanted` says, to `visit`: piece by piece, each read in a transaction of its own.
    pub(super) fn raw_pieces(
        &self,
        table: Table,
        number: ViewId,
        wanted: impl Fn(&[u8], &[u8]) -> bool,
        mut visit: impl FnMut(RawPiece) -> Result<(), OnlineError>,
    ) -> Result<(), OnlineError> {
        let prefix = number.get().to_be_bytes();
        let mut from = Some(prefix.to_vec());
        while let Some(key) = from.take() {
            let mut piece = self.environment().read(|snapshot| {
                let mut piece = RawPiece { entries: Vec::new(), keys: 0, next: None };
                let mut bytes = 0;
                snapshot.scan(table, &key, |key, value| {
                    if !key.starts_with(&prefix) {
                        return Ok(ControlFlow::Break(()));
                    }
                    if piece.keys as usize >= PIECE_KEYS || bytes > PIECE_BYTES {
                        piece.next = Some(key.to_vec());
                        return Ok(ControlFlow::Break(()));
                    }
                    piece.keys += 1;
                    bytes += key.len() + value.len();
                    if wanted(key, value) {
                        piece.entries.push((key.to_vec(), value.to_vec()));
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(piece)
            })?;
            from = piece.next.take();
            visit(piece)?;
        }
        Ok(())
    }

    /// Takes over into a generation that is being built what the offline history may not have: rows that were pushed to be served alone, and those that are still in the
    /// push log. `windows`: how the events of a view of aggregates are kept. Gives the rows.
    ///
    /// # Errors
    /// [`OnlineError::GenerationGone`]; the store.
    pub fn carry_over(&self, target: Target, windows: Option<&WindowView>) -> Result<u64, OnlineError> {
        let live = self.generations(target.view)?.live.number;
        let mut carried = 0;
        let only_here = |_: &[u8], value: &[u8]| Stored::decode(value).is_ok_and(|stored| !stored.in_history);
        self.raw_pieces(Table::Records, live, only_here, |piece| {
            carried += self.merge(target, &piece.entries)?.written as u64;
            Ok(())
        })?;
        if let Some(windows) = windows {
            let only_here = |key: &[u8], value: &[u8]| parse_event(key).is_some() && only_here(key, value);
            self.raw_pieces(Table::Windows, live, only_here, |piece| {
                carried += self.merge_events(target, windows, &piece.entries)?.0.written as u64;
                Ok(())
            })?;
        }
        let mut from = Some(0);
        while let Some(first) = from {
            let log = self.log_piece(target.view, first, LOG_ROWS, PIECE_BYTES)?;
            from = log.next;
            let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            self.environment().read(|snapshot| {
                entries.clear();
                for row in &log.rows {
                    match windows {
                        // All that are equal, as they came together.
                        Some(windows) => {
                            let row = (&row.key[..], &row.record.borrow());
                            entries.extend(windows.stored_of(snapshot, live, self.hash(), row)?);
                        }
                        None => {
                            let key = RecordKey::new(live, &row.key, self.hash());
                            if let Some(bytes) = snapshot.get(Table::Records, key.as_bytes())? {
                                entries.push((key.as_bytes().to_vec(), bytes.to_vec()));
                            }
                        }
                    }
                }
                Ok(())
            })?;
            carried += match windows {
                Some(windows) => self.merge_events(target, windows, &entries)?.0.written,
                None => self.merge(target, &entries)?.written,
            } as u64;
        }
        Ok(carried)
    }

    /// Writes records, with keys of whatever number, where they are newer than what is stored.
    pub(super) fn merge(&self, target: Target, entries: &[(Vec<u8>, Vec<u8>)]) -> Result<PutReport, OnlineError> {
        if entries.is_empty() {
            return Ok(PutReport::default());
        }
        self.environment().write(|txn| {
            let Numbers { first, second } = self.numbers_in(txn, target)?;
            let (mut report, mut bytes) = (PutReport::default(), Vec::new());
            for (index, (key, value)) in entries.iter().enumerate() {
                let Ok(stored) = Stored::decode(value) else { continue };
                let Some(key) = entity_key(key, stored.full_key) else { continue };
                if let Some(second) = second {
                    self.merge_in(txn, second, (index, key), &stored, &mut bytes)?;
                }
                match self.merge_in(txn, first, (index, key), &stored, &mut bytes)? {
                    true => report.written += 1,
                    false => report.kept += 1,
                }
            }
            Ok(report)
        })
    }

    fn merge_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        number: ViewId,
        (index, key): (usize, &[u8]),
        stored: &Stored<'_>,
        bytes: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let record_key = RecordKey::new(number, key, self.hash());
        if let Some(Ok(found)) = txn.get(Table::Records, record_key.as_bytes())?.map(|bytes| read(&record_key, bytes)) {
            if found.full_key.is_some_and(|found| found != key) {
                return Err(Fault::Error(OnlineError::KeyCollision { row: index }));
            }
            if found.compare(&stored.record.order(), stored.removed).is_ge() {
                return Ok(false);
            }
        }
        Stored { full_key: record_key.is_hashed().then_some(key), ..*stored }.encode(bytes);
        txn.put(Table::Records, record_key.as_bytes(), bytes)?;
        Ok(true)
    }

    /// Writes events, with keys of whatever number, that are not there yet. Gives what became of them, and how many cannot be read.
    pub(super) fn merge_events(
        &self,
        target: Target,
        windows: &WindowView,
        entries: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(PutReport, u64), OnlineError> {
        let mut left_out = 0;
        // By whether they are in the offline history.
        let mut rows: [(Vec<PutRow<'_>>, Vec<Place>); 2] = Default::default();
        for (key, value) in entries {
            let event = parse_event(key).zip(Stored::decode(value).ok());
            let event = event.and_then(|((key, is_hashed, equal), stored)| {
                let key = if is_hashed { stored.full_key? } else { key };
                Some((PutRow { key, record: stored.record }, equal, stored.in_history))
            });
            match event {
                Some((row, equal, in_history)) => {
                    let (rows, equals) = &mut rows[usize::from(in_history)];
                    equals.push(Place::of(&row.record, equal));
                    rows.push(row);
                }
                None => left_out += 1,
            }
        }
        let mut report = PutReport::default();
        for (in_history, (rows, equals)) in [false, true].into_iter().zip(&rows) {
            if rows.is_empty() {
                continue;
            }
            let fates = self.environment().write(|txn| {
                let numbers = self.numbers_in(txn, target)?;
                let how = How { hash: self.hash(), history: in_history, now: now(), folds: false };
                self.put_events_in(txn, (target.view, numbers), windows, (rows, equals), how)
            })?;
            let written = fates.iter().filter(|fate| fate.is_new).count();
            let behind = fates.iter().filter(|fate| fate.is_late).count();
            report.written += written;
            report.kept += rows.len() - written - behind;
            left_out += behind as u64;
        }
        Ok((report, left_out))
    }
}

/// Whether a record lies before an instant and has its values, by its head alone: whoever acts on it reads it whole.
pub(super) fn may_be_before(bytes: &[u8], before: tandem_core::time::Timestamp) -> bool {
    RecordRef::peek(bytes).is_some_and(|(event_time, removed)| event_time < before && !removed)
}
