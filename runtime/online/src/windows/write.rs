//! Events into the state of windows.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use tandem_core::time::Timestamp;
use tandem_core::window::State;

use super::{Prefix, WindowView};
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::key::KeyHash;
use crate::record::{RecordRef, Stored};
use crate::store::PutRow;
use crate::view::ViewId;

/// Events and tiles of one entity that are dropped in one transaction at most, once no window reaches them.
const DROPPED_MAX: usize = 256;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventFate {
    /// Whether it is new.
    pub(crate) is_new: bool,
    /// Whether the log need not have it.
    pub(crate) in_history: bool,
}

impl WindowView {
    /// Writes the events that are not there yet, with the tiles that they fall into. `equals`: of each which of the equal ones it is. `history`: whether they
    /// come from the offline history, or are on their way there. `now`: the present, by which what no window reaches is dropped.
    pub(crate) fn put_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        rows: &[PutRow<'_>],
        equals: &[u16],
        (hash, history, now): (KeyHash, bool, Timestamp),
    ) -> Result<Vec<EventFate>, Fault> {
        let records: Vec<RecordRef<'_>> = rows.iter().map(|row| row.record).collect();
        let events = self.look(&records).map_err(Fault::Error)?;
        let mut fates = Vec::with_capacity(rows.len());
        let mut tiles: BTreeMap<Vec<u8>, Vec<State>> = BTreeMap::new();
        let mut entities: HashMap<Prefix, (Option<Timestamp>, Timestamp)> = HashMap::new();
        let mut bytes = Vec::new();
        for (index, (row, equal)) in rows.iter().zip(equals).enumerate() {
            let PutRow { key, record } = row;
            let prefix = Prefix::new(view, key, hash);
            let event_key = prefix.event(record, *equal);
            if let Some(found) = txn.get(Table::Windows, &event_key)? {
                let stored = Stored::decode(found);
                let stored =
                    stored.map_err(|reason| Fault::Error(OnlineError::Windows { reason: reason.to_string() }))?;
                if prefix.is_hashed() && stored.full_key != Some(key) {
                    return Err(Fault::Error(OnlineError::KeyCollision { row: index }));
                }
                fates.push(EventFate { is_new: false, in_history: stored.in_history });
                if history && !stored.in_history {
                    Stored { in_history: true, ..stored }.encode(&mut bytes);
                    txn.put(Table::Windows, &event_key, &bytes)?;
                }
                continue;
            }
            fates.push(EventFate { is_new: true, in_history: false });
            Stored {
                record: *record,
                full_key: prefix.is_hashed().then_some(key),
                in_history: history,
                removed: false,
            }
            .encode(&mut bytes);
            txn.put(Table::Windows, &event_key, &bytes)?;
            for (level, bits) in self.levels.iter().enumerate() {
                let tile_key = prefix.tile(level, start(record.event_time, *bits));
                let states = match tiles.entry(tile_key) {
                    std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                    std::collections::btree_map::Entry::Vacant(entry) => {
                        let states = match txn.get(Table::Windows, entry.key())? {
                            Some(bytes) => self.read_tile(bytes).map_err(Fault::Error)?,
                            None => self.plan.empty(),
                        };
                        entry.insert(states)
                    }
                };
                self.plan.add(states, &events, index);
            }
            let known = self.known_from(record);
            let entity = match entities.entry(prefix) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => {
                    let last = txn.get(Table::Windows, &entry.key().entity())?.and_then(super::read::last_known);
                    entry.insert((last, Timestamp::MIN))
                }
            };
            entity.1 = entity.1.max(known);
        }
        for (key, states) in &tiles {
            bytes.clear();
            bytes.extend([0; 4]);
            self.plan.encode(states, &mut bytes);
            let checksum = crc32c::crc32c(&bytes[4..]);
            bytes[..4].copy_from_slice(&checksum.to_le_bytes());
            txn.put(Table::Windows, key, &bytes)?;
        }
        for (prefix, (before, known)) in &entities {
            if before.is_none_or(|before| before < *known) {
                txn.put(Table::Windows, &prefix.entity(), &known.0.to_le_bytes())?;
            }
            self.drop_unreachable(txn, prefix, now)?;
        }
        Ok(fates)
    }

    /// Drops what no window can reach any more at `now` or later.
    fn drop_unreachable(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        prefix: &Prefix,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let Some(retention) = self.retention else { return Ok(()) };
        let reached = Timestamp(now.0.saturating_sub(retention));
        let mut dropped: Vec<Vec<u8>> = Vec::new();
        txn.scan(Table::Windows, &prefix.events(Timestamp::MIN), |key, _| {
            match prefix.event_time(key) {
                Some(time) if time < reached && dropped.len() < DROPPED_MAX => dropped.push(key.to_vec()),
                _ => return Ok(ControlFlow::Break(())),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for (level, bits) in self.levels.iter().enumerate() {
            txn.scan(Table::Windows, &prefix.tile(level, Timestamp::MIN), |key, _| {
                let end = prefix.tile_start(level, key).and_then(|start| start.0.checked_add(1 << bits));
                match end {
                    Some(end) if end <= reached.0 && dropped.len() < DROPPED_MAX => dropped.push(key.to_vec()),
                    _ => return Ok(ControlFlow::Break(())),
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        for key in dropped {
            txn.delete(Table::Windows, &key)?;
        }
        Ok(())
    }
}

/// The start of the tile of a level that an event falls into.
pub(super) fn start(time: Timestamp, bits: u32) -> Timestamp {
    Timestamp(time.0 >> bits << bits)
}
