//! Events into the state of windows.

use std::collections::btree_map;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use tandem_core::time::Timestamp;
use tandem_core::versions::event_ids;
use tandem_core::window::{Events, State};

use super::entity::Entity;
use super::levels::{end, start};
use super::versions::{ById, NO_TIME};
use super::{Place, Prefix, WindowView};
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::key::KeyHash;
use crate::record::{RecordRef, Stored};
use crate::store::PutRow;
use crate::view::ViewId;

/// Tiles whose states a component makes together.
const TILES_PER_CALL: usize = 256;

/// Events and tiles of one entity that are dropped in one transaction at most, once no window reaches them.
pub const DROPPED_MAX: usize = 256;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventFate {
    /// Whether it is new.
    pub(crate) is_new: bool,
    /// Whether the log need not have it.
    pub(crate) in_history: bool,
    /// Whether it counts from now on, or takes an event back: no later version of its event is there.
    pub(crate) stands: bool,
    /// Whether it was refused, since it lies behind the horizon of its entity, or its event does, and it is not known to be there.
    pub(crate) is_late: bool,
}

impl EventFate {
    pub(super) const NEW: EventFate = EventFate { is_new: true, in_history: false, stands: true, is_late: false };
    pub(super) const LATE: EventFate = EventFate { is_new: false, in_history: true, stands: false, is_late: true };

    pub(super) fn known(in_history: bool) -> EventFate {
        EventFate { is_new: false, in_history, stands: true, is_late: false }
    }
}

/// How events are written.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) hash: KeyHash,
    /// Whether they come from the offline history, or are on their way there.
    pub(crate) history: bool,
    /// The present, by which what no window reaches is dropped.
    pub(crate) now: Timestamp,
    /// Whether what lies far back is folded now. Not as long as more of the history is to come.
    pub(crate) folds: bool,
}

/// Rows that are being written.
pub(super) struct Writing<'a> {
    pub(super) view: ViewId,
    pub(super) rows: &'a [PutRow<'a>],
    pub(super) hash: KeyHash,
    /// Whether they come from the offline history, or are on their way there.
    pub(super) history: bool,
    events: Events,
    /// What is added to tiles of the narrowest level, by entity and start.
    added: Added,
    /// What is known of each entity.
    entities: Vec<Known>,
    of_prefix: HashMap<Arc<Prefix>, usize>,
    of_key: HashMap<&'a [u8], usize>,
    /// Bytes of the last event that was written.
    bytes: Vec<u8>,
    /// Where an event no longer counts that tiles hold: they are made anew.
    pub(super) dirty: BTreeSet<(Prefix, Timestamp)>,
}

/// States by entity and start of a tile.
type Added = BTreeMap<(usize, Timestamp), Vec<State>>;

/// What was known of an entity, and what is from now on.
struct Known {
    prefix: Arc<Prefix>,
    before: Entity,
    is_new: bool,
    is_written: bool,
    after: Entity,
}

impl<'a> Writing<'a> {
    /// The position of an entity among those that are written to.
    fn entity(
        &mut self,
        txn: &WriteTransaction<'_, '_>,
        windows: &WindowView,
        prefix: &Prefix,
    ) -> Result<usize, Fault> {
        if let Some(known) = self.of_prefix.get(prefix) {
            return Ok(*known);
        }
        let (before, is_there) = windows.entity_in(txn, prefix)?;
        let prefix = Arc::new(prefix.clone());
        self.of_prefix.insert(Arc::clone(&prefix), self.entities.len());
        self.entities.push(Known { prefix, before, is_new: !is_there, is_written: false, after: before });
        Ok(self.entities.len() - 1)
    }

    /// The same, of its key.
    fn entity_of(
        &mut self,
        txn: &WriteTransaction<'_, '_>,
        windows: &WindowView,
        key: &'a [u8],
    ) -> Result<usize, Fault> {
        if let Some(known) = self.of_key.get(key) {
            return Ok(*known);
        }
        let entity = self.entity(txn, windows, &Prefix::new(self.view, key, self.hash))?;
        self.of_key.insert(key, entity);
        Ok(entity)
    }

    /// Something of an event at a time was written, and the answers of its entity at instants before `known` are not those of its tiles.
    fn written(&mut self, windows: &WindowView, entity: usize, (known, event_time): (Timestamp, Timestamp)) {
        let entity = &mut self.entities[entity];
        entity.is_written = true;
        entity.after.last_known = entity.after.last_known.max(known);
        if windows.late.is_some() {
            entity.after.newest = entity.after.newest.max(event_time);
        }
    }

    /// Whether tiles alone have what lies at this time.
    pub(super) fn is_folded(
        &mut self,
        txn: &WriteTransaction<'_, '_>,
        windows: &WindowView,
        prefix: &Prefix,
        time: Timestamp,
    ) -> Result<bool, Fault> {
        if windows.late.is_none() {
            return Ok(false);
        }
        let entity = self.entity(txn, windows, prefix)?;
        Ok(self.entities[entity].before.is_folded(time))
    }

    /// As [`Writing::written`], of the entity with this prefix.
    pub(super) fn know(
        &mut self,
        txn: &WriteTransaction<'_, '_>,
        windows: &WindowView,
        prefix: &Prefix,
        times: (Timestamp, Timestamp),
    ) -> Result<(), Fault> {
        let entity = self.entity(txn, windows, prefix)?;
        self.written(windows, entity, times);
        Ok(())
    }
}

impl WindowView {
    /// Writes the events that are not there yet, with the tiles that they fall into. `places`: of each where it stands among its equals.
    ///
    /// Where events have ids, a row may be a version that is set aside: without an entity (its key is empty) or without a time ([`NO_TIME`]).
    pub(crate) fn put_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        rows: &[PutRow<'_>],
        places: &[Place],
        How { hash, history, now, folds }: How,
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
            added: Added::new(),
            entities: Vec::new(),
            of_prefix: HashMap::new(),
            of_key: HashMap::new(),
            bytes: Vec::new(),
            dirty: BTreeSet::new(),
        };
        let mut fates = vec![EventFate::known(false); rows.len()];
        let mut by_id = ById::new();
        // In the order of keys, neighbours are on pages that the one before has touched.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|row| (rows[*row].key.len(), rows[*row].key, rows[*row].record.event_time));
        for index in order {
            let is_retraction = retracted.get(index).copied().unwrap_or(false);
            if let Some(id) = ids.as_ref().and_then(|ids| ids[index]) {
                let id = std::array::from_fn(|byte| id[byte]);
                by_id.entry(id).or_default().push((index, is_retraction));
                continue;
            }
            // Without an id there is nothing that it could take back, or stand in the place of.
            let counts = !is_retraction && !rows[index].key.is_empty() && rows[index].record.event_time != NO_TIME;
            fates[index] = match counts {
                true => self.put_event(txn, &mut writing, index, &places[index])?,
                false => EventFate { stands: false, ..EventFate::known(true) },
            };
        }
        for (id, rows) in &by_id {
            self.put_versions(txn, &mut writing, id, rows, &mut fates)?;
        }
        let added = std::mem::take(&mut writing.added);
        self.add_to_tiles(txn, &writing.entities, added)?;
        self.rebuild(txn, &writing.dirty)?;
        for Known { prefix, before, is_new, is_written, mut after } in writing.entities {
            if !is_written {
                continue;
            }
            if folds {
                let _ = self.fold(txn, view, &prefix, &mut after, now)?; // what is left is folded next time
            }
            if is_new || before != after {
                self.put_entity(txn, &prefix, &after)?;
            }
            let _ = self.drop_unreachable(txn, view, &prefix, now)?; // what is left is dropped next time
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
        place: &Place,
    ) -> Result<EventFate, Fault> {
        let PutRow { key, record } = writing.rows[index];
        let entity = writing.entity_of(txn, self, key)?;
        let prefix = Arc::clone(&writing.entities[entity].prefix);
        let event_key = prefix.event(record.event_time, place);
        let full_key = prefix.is_hashed().then_some(key);
        let is_folded = self.late.is_some() && writing.entities[entity].before.is_folded(record.event_time);
        let mut bytes = std::mem::take(&mut writing.bytes);
        Stored { record, full_key, in_history: writing.history, removed: false, until: None }.encode(&mut bytes);
        // Most are new.
        let is_new = !is_folded && txn.put_new(Table::Windows, &event_key, &bytes)?;
        writing.bytes = bytes;
        if is_new {
            self.add(writing, entity, index);
            writing.written(self, entity, (self.known_from(&record), record.event_time));
            return Ok(EventFate::NEW);
        }
        if let Some(found) = txn.get(Table::Windows, &event_key)? {
            let found = found.to_vec();
            let event = self.decode_event(&found)?;
            let stored = event.stored;
            if prefix.is_hashed() && stored.full_key != Some(key) {
                return Err(Fault::Error(OnlineError::KeyCollision { row: index }));
            }
            if writing.history && !stored.in_history {
                if is_folded {
                    self.forget(txn, &prefix, &event_key, &event)?;
                } else {
                    let mut bytes = Vec::new();
                    Stored { in_history: true, ..stored }.encode(&mut bytes);
                    txn.put(Table::Windows, &event_key, &bytes)?;
                }
            }
            return Ok(EventFate::known(stored.in_history));
        }
        // It is not there, so it lies behind the horizon.
        let is_known = txn.get(Table::Windows, &prefix.id_of(&event_key))?.is_some();
        Ok(if is_known { EventFate::known(true) } else { EventFate::LATE })
    }

    /// Adds a row to what is added to tiles.
    fn add(&self, writing: &mut Writing<'_>, entity: usize, row: usize) {
        let first = start(writing.rows[row].record.event_time, self.levels.width(0));
        let states = writing.added.entry((entity, first)).or_insert_with(|| self.plan.empty());
        self.plan.add(states, &writing.events, row);
    }

    /// The same of an event of the entity with this prefix.
    pub(super) fn add_event(
        &self,
        txn: &WriteTransaction<'_, '_>,
        writing: &mut Writing<'_>,
        prefix: &Prefix,
        row: usize,
    ) -> Result<(), Fault> {
        let entity = writing.entity(txn, self, prefix)?;
        self.add(writing, entity, row);
        Ok(())
    }

    /// Adds to the tiles of every level what is added to those of the narrowest: each is read and written once, however many events it gets.
    fn add_to_tiles(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        entities: &[Known],
        mut added: Added,
    ) -> Result<(), Fault> {
        let mut bytes = Vec::new();
        let mut widths = self.levels.widths().skip(1);
        for level in 0..self.levels.len() {
            // Components make the states of many tiles in one call.
            let piece = if self.plan.has_components() { TILES_PER_CALL } else { 1 };
            let mut of_level = added.iter().peekable();
            while of_level.peek().is_some() {
                let (mut keys, mut tiles) = (Vec::with_capacity(piece), Vec::with_capacity(piece));
                for ((entity, first), states) in of_level.by_ref().take(piece) {
                    let key = entities[*entity].prefix.tile(level, *first);
                    tiles.push(match txn.get(Table::Windows, &key)? {
                        Some(found) => {
                            let mut all = self.read_tile(found).map_err(Fault::Error)?;
                            self.plan.merge(&mut all, states);
                            all
                        }
                        None => states.clone(),
                    });
                    keys.push(key);
                }
                self.plan.condense(&mut tiles);
                for (key, states) in keys.iter().zip(&tiles) {
                    self.put_tile(txn, key, states, &mut bytes)?;
                }
            }
            let Some(wider) = widths.next() else { break };
            let mut of_wider = Added::new();
            for ((entity, first), states) in added {
                match of_wider.entry((entity, start(first, wider))) {
                    btree_map::Entry::Occupied(mut entry) => self.plan.merge(entry.get_mut(), &states),
                    btree_map::Entry::Vacant(entry) => drop(entry.insert(states)),
                }
            }
            added = of_wider;
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
        for (level, width) in self.levels.widths().enumerate() {
            let tiles: BTreeSet<(&Prefix, Timestamp)> =
                dirty.iter().map(|(prefix, time)| (prefix, start(*time, width))).collect();
            for (prefix, first) in tiles {
                let end = end(first, width).unwrap_or(Timestamp::MAX);
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

    /// The first time of an event that may be dropped. Versions without a time stay: they say what became of their events.
    pub(super) fn first_droppable(&self) -> Timestamp {
        if self.has_ids() { Timestamp(NO_TIME.0 + 1) } else { Timestamp::MIN }
    }

    /// Drops what no window can reach any more at `now` or later. Gives how many events, and whether nothing more is to be dropped.
    pub(super) fn drop_unreachable(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        prefix: &Prefix,
        now: Timestamp,
    ) -> Result<(usize, bool), Fault> {
        let Some(retention) = self.retention else { return Ok((0, true)) };
        let reached = Timestamp(now.0.saturating_sub(retention));
        let mut dropped: Vec<Vec<u8>> = Vec::new();
        txn.scan(Table::Windows, &prefix.events(self.first_droppable()), |key, _| {
            match prefix.event_time(key) {
                Some(time) if time < reached && dropped.len() < DROPPED_MAX => dropped.push(key.to_vec()),
                _ => return Ok(ControlFlow::Break(())),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let (found, mut events) = (dropped.len(), 0);
        for key in dropped {
            events += match prefix.event_version(&key).filter(|_| self.has_ids()) {
                Some((id, _)) if self.is_version(txn, &key)? => self.drop_event(txn, view, &id, reached)?,
                _ => usize::from(txn.delete(Table::Windows, &key)?),
            };
        }
        let mut dropped: Vec<Vec<u8>> = Vec::new();
        for (level, width) in self.levels.widths().enumerate() {
            txn.scan(Table::Windows, &prefix.tile(level, Timestamp::MIN), |key, _| {
                let end = prefix.tile_start(level, key).and_then(|start| end(start, width));
                match end {
                    Some(end) if end <= reached && dropped.len() < DROPPED_MAX => dropped.push(key.to_vec()),
                    _ => return Ok(ControlFlow::Break(())),
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let is_all = found.max(dropped.len()) < DROPPED_MAX;
        for key in dropped {
            txn.delete(Table::Windows, &key)?;
        }
        Ok((events, is_all))
    }

    /// Whether a stored event has an id.
    fn is_version(&self, txn: &WriteTransaction<'_, '_>, key: &[u8]) -> Result<bool, Fault> {
        let (Some(column), Some(bytes)) = (self.id, txn.get(Table::Windows, key)?) else { return Ok(false) };
        let record = *self.decode_event(bytes)?.record();
        Ok(self.arrays(&[record]).map_err(Fault::Error)?[column].is_valid(0))
    }
}
