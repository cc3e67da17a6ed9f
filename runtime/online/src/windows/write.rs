//! Events into the state of windows.

use std::collections::btree_map;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use tandem_core::time::Timestamp;
use tandem_core::versions::event_ids;
use tandem_core::window::{Events, State};

use super::stored::Event;
use super::versions::{ById, NO_TIME};
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
    /// Whether it counts from now on, or takes an event back: no later version of its event is there.
    pub(crate) stands: bool,
}

/// Rows that are being written.
pub(super) struct Writing<'a> {
    pub(super) view: ViewId,
    pub(super) rows: &'a [PutRow<'a>],
    pub(super) hash: KeyHash,
    /// Whether they come from the offline history, or are on their way there.
    pub(super) history: bool,
    events: Events,
    tiles: BTreeMap<Vec<u8>, Vec<State>>,
    /// Of each entity since when all of it was known, and what it is from now on.
    entities: HashMap<Prefix, (Option<Timestamp>, Timestamp)>,
    /// Where an event no longer counts that tiles hold: they are made anew.
    pub(super) dirty: BTreeSet<(Prefix, Timestamp)>,
}

impl Writing<'_> {
    /// The answers of an entity at instants before `time` are not those of its tiles.
    pub(super) fn know(
        &mut self,
        txn: &WriteTransaction<'_, '_>,
        prefix: &Prefix,
        time: Timestamp,
    ) -> Result<(), Fault> {
        let entity = match self.entities.entry(prefix.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let last = txn.get(Table::Windows, &entry.key().entity())?.and_then(super::read::last_known);
                entry.insert((last, Timestamp::MIN))
            }
        };
        entity.1 = entity.1.max(time);
        Ok(())
    }
}

impl WindowView {
    /// Writes the events that are not there yet, with the tiles that they fall into. `equals`: of each which of the equal ones it is. `history`: whether they
    /// come from the offline history, or are on their way there. `now`: the present, by which what no window reaches is dropped.
    ///
    /// Where events have ids, a row may be a version that is set aside: without an entity (its key is empty) or without a time ([`NO_TIME`]).
    pub(crate) fn put_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        rows: &[PutRow<'_>],
        equals: &[u16],
        (hash, history, now): (KeyHash, bool, Timestamp),
    ) -> Result<Vec<EventFate>, Fault> {
        let records: Vec<RecordRef<'_>> = rows.iter().map(|row| row.record).collect();
        let arrays = self.arrays(&records).map_err(Fault::Error)?;
        let retracted = self.retractions(&arrays);
        let ids = self.id.map(|column| event_ids(&arrays[column]));
        let mut writing = Writing {
            view,
            rows,
            hash,
            history,
            events: self.look_at(&records, arrays).map_err(Fault::Error)?,
            tiles: BTreeMap::new(),
            entities: HashMap::new(),
            dirty: BTreeSet::new(),
        };
        let mut fates = vec![EventFate { is_new: false, in_history: false, stands: true }; rows.len()];
        let mut by_id = ById::new();
        for index in 0..rows.len() {
            let is_retraction = retracted.get(index).copied().unwrap_or(false);
            if let Some(id) = ids.as_ref().and_then(|ids| ids[index]) {
                let id = std::array::from_fn(|byte| id[byte]);
                by_id.entry(id).or_default().push((index, is_retraction));
                continue;
            }
            // Without an id there is nothing that it could take back, or stand in the place of.
            let counts = !is_retraction && !rows[index].key.is_empty() && rows[index].record.event_time != NO_TIME;
            fates[index] = match counts {
                true => self.put_event(txn, &mut writing, index, equals[index])?,
                false => EventFate { is_new: false, in_history: true, stands: false },
            };
        }
        for (id, rows) in &by_id {
            self.put_versions(txn, &mut writing, id, rows, &mut fates)?;
        }
        let mut bytes = Vec::new();
        for (key, states) in &writing.tiles {
            self.put_tile(txn, key, states, &mut bytes)?;
        }
        self.rebuild(txn, &writing.dirty)?;
        for (prefix, (before, known)) in &writing.entities {
            if before.is_none_or(|before| before < *known) {
                txn.put(Table::Windows, &prefix.entity(), &known.0.to_le_bytes())?;
            }
            self.drop_unreachable(txn, view, prefix, now)?;
        }
        Ok(fates)
    }

    /// Which events are retractions, where there may be some.
    pub(super) fn retractions(&self, arrays: &[ArrayRef]) -> Vec<bool> {
        let column = self.retracted.and_then(|column| arrays[column].as_boolean_opt());
        column.map(|column| column.iter().map(|retracted| retracted == Some(true)).collect()).unwrap_or_default()
    }

    /// Writes an event that has no id.
    fn put_event(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        writing: &mut Writing<'_>,
        index: usize,
        equal: u16,
    ) -> Result<EventFate, Fault> {
        let PutRow { key, record } = writing.rows[index];
        let prefix = Prefix::new(writing.view, key, writing.hash);
        let event_key = prefix.event(&record, equal);
        let full_key = prefix.is_hashed().then_some(key);
        let mut bytes = Vec::new();
        if let Some(found) = txn.get(Table::Windows, &event_key)? {
            let Event { stored, .. } = self.decode_event(found)?;
            if prefix.is_hashed() && stored.full_key != Some(key) {
                return Err(Fault::Error(OnlineError::KeyCollision { row: index }));
            }
            let in_history = stored.in_history;
            if writing.history && !in_history {
                Stored { in_history: true, ..stored }.encode(&mut bytes);
                txn.put(Table::Windows, &event_key, &bytes)?;
            }
            return Ok(EventFate { is_new: false, in_history, stands: true });
        }
        Stored { record, full_key, in_history: writing.history, removed: false, until: None }.encode(&mut bytes);
        txn.put(Table::Windows, &event_key, &bytes)?;
        self.add_to_tiles(txn, writing, &prefix, index)?;
        writing.know(txn, &prefix, self.known_from(&record))?;
        Ok(EventFate { is_new: true, in_history: false, stands: true })
    }

    /// Adds a row to the tiles that it falls into.
    pub(super) fn add_to_tiles(
        &self,
        txn: &WriteTransaction<'_, '_>,
        writing: &mut Writing<'_>,
        prefix: &Prefix,
        row: usize,
    ) -> Result<(), Fault> {
        let time = writing.rows[row].record.event_time;
        for (level, bits) in self.levels.iter().enumerate() {
            let states = match writing.tiles.entry(prefix.tile(level, start(time, *bits))) {
                btree_map::Entry::Occupied(entry) => entry.into_mut(),
                btree_map::Entry::Vacant(entry) => {
                    let states = match txn.get(Table::Windows, entry.key())? {
                        Some(bytes) => self.read_tile(bytes).map_err(Fault::Error)?,
                        None => self.plan.empty(),
                    };
                    entry.insert(states)
                }
            };
            self.plan.add(states, &writing.events, row);
        }
        Ok(())
    }

    fn put_tile(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        key: &[u8],
        states: &[State],
        bytes: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        bytes.clear();
        bytes.extend([0; 4]);
        self.plan.encode(states, bytes);
        let checksum = crc32c::crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        txn.put(Table::Windows, key, bytes)
    }

    /// Makes the tiles over these times anew: nothing can be subtracted from them. The narrowest are made of events, each wider one of those below.
    fn rebuild(&self, txn: &mut WriteTransaction<'_, '_>, dirty: &BTreeSet<(Prefix, Timestamp)>) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        for (level, bits) in self.levels.iter().enumerate() {
            let tiles: BTreeSet<(&Prefix, Timestamp)> =
                dirty.iter().map(|(prefix, time)| (prefix, start(*time, *bits))).collect();
            for (prefix, first) in tiles {
                let end = first.0.checked_add(1 << bits).map_or(Timestamp::MAX, Timestamp);
                let states = match level {
                    0 => self.states_of_events(txn, prefix, (first, end))?,
                    _ => self.states_of_tiles(txn, prefix, level - 1, (first, end))?,
                };
                let key = prefix.tile(level, first);
                match states {
                    Some(states) => self.put_tile(txn, &key, &states, &mut bytes)?,
                    None => drop(txn.delete(Table::Windows, &key)?),
                }
            }
        }
        Ok(())
    }

    /// The states of the events from a time to before another that count for ever; None if there is none.
    fn states_of_events(
        &self,
        txn: &WriteTransaction<'_, '_>,
        prefix: &Prefix,
        (first, end): (Timestamp, Timestamp),
    ) -> Result<Option<Vec<State>>, Fault> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        txn.scan(Table::Windows, &prefix.events(first), |key, value| {
            if prefix.event_time(key).is_none_or(|time| time >= end) {
                return Ok(ControlFlow::Break(()));
            }
            found.push(value.to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        let decoded = found.iter().map(|bytes| self.decode_event(bytes)).collect::<Result<Vec<_>, _>>()?;
        let records: Vec<RecordRef<'_>> =
            decoded.iter().filter(|event| event.stands()).map(|event| *event.record()).collect();
        if records.is_empty() {
            return Ok(None);
        }
        let events = self.look(&records).map_err(Fault::Error)?;
        let mut states = self.plan.empty();
        (0..events.len()).for_each(|row| self.plan.add(&mut states, &events, row));
        Ok(Some(states))
    }

    /// The same of the tiles of a level.
    fn states_of_tiles(
        &self,
        txn: &WriteTransaction<'_, '_>,
        prefix: &Prefix,
        level: usize,
        (first, end): (Timestamp, Timestamp),
    ) -> Result<Option<Vec<State>>, Fault> {
        let mut states: Option<Vec<State>> = None;
        txn.scan(Table::Windows, &prefix.tile(level, first), |key, value| {
            if prefix.tile_start(level, key).is_none_or(|start| start >= end) {
                return Ok(ControlFlow::Break(()));
            }
            let tile = self.read_tile(value).map_err(Fault::Error)?;
            match &mut states {
                Some(states) => self.plan.merge(states, &tile),
                None => states = Some(tile),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(states)
    }

    /// Drops what no window can reach any more at `now` or later.
    fn drop_unreachable(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        prefix: &Prefix,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let Some(retention) = self.retention else { return Ok(()) };
        let reached = Timestamp(now.0.saturating_sub(retention));
        let mut dropped: Vec<Vec<u8>> = Vec::new();
        // Versions without a time stay: they say what became of their events.
        let first = if self.has_ids() { Timestamp(NO_TIME.0 + 1) } else { Timestamp::MIN };
        txn.scan(Table::Windows, &prefix.events(first), |key, _| {
            match prefix.event_time(key) {
                Some(time) if time < reached && dropped.len() < DROPPED_MAX => dropped.push(key.to_vec()),
                _ => return Ok(ControlFlow::Break(())),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for key in dropped {
            match prefix.event_version(&key).filter(|_| self.has_ids()) {
                Some((id, _)) if self.is_version(txn, &key)? => self.drop_event(txn, view, &id, reached)?,
                _ => drop(txn.delete(Table::Windows, &key)?),
            }
        }
        let mut dropped: Vec<Vec<u8>> = Vec::new();
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

    /// Whether a stored event has an id.
    fn is_version(&self, txn: &WriteTransaction<'_, '_>, key: &[u8]) -> Result<bool, Fault> {
        let (Some(column), Some(bytes)) = (self.id, txn.get(Table::Windows, key)?) else { return Ok(false) };
        let record = *self.decode_event(bytes)?.record();
        Ok(self.arrays(&[record]).map_err(Fault::Error)?[column].is_valid(0))
    }
}

/// The start of the tile of a level that an event falls into.
pub(super) fn start(time: Timestamp, bits: u32) -> Timestamp {
    Timestamp(time.0 >> bits << bits)
}
