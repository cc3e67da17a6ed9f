//! Rows that are older than their view's ttl: their values are removed, and what orders them stays, so that they are still told as too old, and no late row moves them back.

use std::ops::ControlFlow;

use tandem_core::time::Timestamp;

use super::Store;
use super::carry::may_be_before;
use crate::environment::Table;
use crate::error::OnlineError;
use crate::record::Stored;
use crate::view::ViewId;

/// What came of a look at some rows of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Rows that were looked at.
    pub looked: u64,
    /// Rows of which the values were removed.
    pub removed: u64,
    /// From where to go on; None: all were looked at.
    pub next: Option<Vec<u8>>,
}

impl Store {
    /// Looks at `looked_max` rows of a view, in all its generations, and removes the values of those whose event time is before `before`, `rows_max` at most: one read
    /// transaction, and one write transaction where there are any. `from` is where the last look ended.
    ///
    /// # Errors
    /// Nothing is removed.
    pub fn remove_expired(
        &self,
        view: ViewId,
        before: Timestamp,
        from: Option<&[u8]>,
        (looked_max, rows_max): (usize, usize),
    ) -> Result<Expired, OnlineError> {
        let (mut expired, keys) = self.environment().read(|snapshot| {
            let numbers: Vec<[u8; 4]> =
                self.generations_at(snapshot, view)?.all().map(|found| found.number.get().to_be_bytes()).collect();
            let mut expired = Expired::default();
            let mut keys: Vec<Vec<u8>> = Vec::new();
            // A generation that is gone meanwhile is not gone on with.
            let at = from.map_or(Some(0), |from| numbers.iter().position(|number| from.starts_with(number)));
            let Some(at) = at else { return Ok((expired, keys)) };
            let number = numbers[at];
            snapshot.scan(Table::Records, from.unwrap_or(&number), |key, value| {
                if !key.starts_with(&number) {
                    return Ok(ControlFlow::Break(()));
                }
                if expired.looked as usize >= looked_max || keys.len() >= rows_max {
                    expired.next = Some(key.to_vec());
                    return Ok(ControlFlow::Break(()));
                }
                expired.looked += 1;
                if may_be_before(value, before) {
                    keys.push(key.to_vec());
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if expired.next.is_none() {
                expired.next = numbers.get(at + 1).map(|number| number.to_vec());
            }
            Ok((expired, keys))
        })?;
        if !keys.is_empty() {
            expired.removed = self.environment().write(|txn| {
                let (mut removed, mut bytes) = (0, Vec::new());
                for key in &keys {
                    // It may be another by now.
                    let found = txn.get(Table::Records, key)?.and_then(|bytes| Stored::decode(bytes).ok());
                    let Some(found) = found.filter(|found| !found.removed && found.record.event_time < before) else {
                        continue;
                    };
                    let mut record = found.record;
                    record.row = &[];
                    Stored { record, removed: true, ..found }.encode(&mut bytes);
                    txn.put(Table::Records, key, &bytes)?;
                    removed += 1;
                }
                Ok(removed)
            })?;
        }
        Ok(expired)
    }
}
