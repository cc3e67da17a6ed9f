//! Versions of events with ids: which of them counts, and until when ([`tandem_core::versions::ends`]).
//!
//! Under its id stands where the versions of an event lie, so that a correction may move it to another time or entity:
//!
//! ```text
//! offset  size  field
//! 0       4     CRC-32C of all other bytes, little-endian
//! 4       2     p: length of what the keys of its entity begin with, big-endian
//! 6       p     that
//! 6+p     8     its event time, big-endian
//! 14+p    2     which version it is, big-endian; and so on for each of them
//! ```

use std::collections::BTreeMap;

use tandem_core::time::Timestamp;
use tandem_core::versions::{Placed, Version, content, ends, event_ids};

use super::fold::{Folded, rank};
use super::keys::{EventId, of_id};
use super::stored::{Event, FOR_EVER};
use super::write::{EventFate, Writing};
use super::{Prefix, WindowView};
use crate::environment::{Fault, Snapshot, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::key::KeyHash;
use crate::record::{Record, RecordRef, Stored};
use crate::store::PutRow;
use crate::view::ViewId;

/// The event time of a version that is set aside and has none.
pub(super) const NO_TIME: Timestamp = Timestamp::MIN;

/// Versions of one event at most.
const VERSIONS_MAX: usize = u16::MAX as usize;

/// Keys and values.
type Entries = Vec<(Vec<u8>, Vec<u8>)>;

/// Where a version lies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    prefix: Prefix,
    time: Timestamp,
    version: u16,
}

/// A version, as it is stored or will be.
struct Held {
    place: Place,
    record: Record,
    full_key: Option<Vec<u8>>,
    in_history: bool,
    placed: Placed,
    /// None: it is new.
    was_until: Option<Timestamp>,
    until: Timestamp,
    /// The row among those that are written.
    row: Option<usize>,
    is_changed: bool,
}

/// Where an event's versions are, those that are stored, and what is left of others.
type Versions = (Vec<Place>, Vec<Held>, Vec<(Place, Folded)>);

/// Rows of the event of one id, by their position, with their retractions.
pub(super) type ById = BTreeMap<EventId, Vec<(usize, bool)>>;

impl WindowView {
    /// Writes the versions of one event.
    pub(super) fn put_versions(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        writing: &mut Writing<'_>,
        id: &EventId,
        rows: &[(usize, bool)],
        fates: &mut [EventFate],
    ) -> Result<(), Fault> {
        let (places, mut held, folded) = self.versions(txn, writing, id)?;
        for (index, retracted) in rows {
            let PutRow { key, record } = &writing.rows[*index];
            let is_nobody = key.is_empty();
            let placed = self.placed(record, (!is_nobody).then_some(*key), *retracted);
            if let Some(same) = held.iter_mut().find(|held| held.placed.rank() == placed.rank()) {
                fates[*index] = EventFate { stands: false, ..EventFate::known(same.in_history) };
                if writing.history && !same.in_history {
                    (same.in_history, same.is_changed) = (true, true);
                }
                // What was there before it came this way was known before.
                if placed.known < same.placed.known {
                    same.record.published_time = record.published_time;
                    (same.placed, same.is_changed) = (placed, true);
                }
                continue;
            }
            if folded.iter().any(|(_, folded)| folded.rank == rank(&placed)) {
                fates[*index] = EventFate { stands: false, ..EventFate::known(true) };
                continue;
            }
            let is_closed = folded.iter().any(|(_, folded)| folded.is_closed);
            let has_place = !is_nobody && record.event_time != NO_TIME;
            let prefix = match is_nobody {
                true => Prefix::nobody(writing.view),
                false => Prefix::new(writing.view, key, writing.hash),
            };
            if is_closed || (has_place && writing.is_folded(txn, self, &prefix, record.event_time)?) {
                fates[*index] = EventFate::LATE;
                continue;
            }
            if held.len() + folded.len() >= VERSIONS_MAX {
                let reason = format!("an event has more than {VERSIONS_MAX} versions");
                return Err(Fault::Error(OnlineError::Windows { reason }));
            }
            let taken = held.iter().map(|held| held.place.version).chain(folded.iter().map(|(place, _)| place.version));
            let version = taken.map(|version| version + 1).max().unwrap_or(0);
            held.push(Held {
                full_key: prefix.is_hashed().then(|| key.to_vec()),
                place: Place { prefix, time: record.event_time, version },
                record: record.to_owned(),
                in_history: writing.history,
                placed,
                was_until: None,
                until: FOR_EVER,
                row: Some(*index),
                is_changed: true,
            });
        }
        let placed: Vec<Placed> = held.iter().map(|held| held.placed).collect();
        for (held, end) in held.iter_mut().zip(ends(&placed)) {
            let never = held.placed.version.retracted || held.place.prefix.is_nobody() || held.place.time == NO_TIME;
            held.until = if never { Timestamp::MIN } else { end.unwrap_or(FOR_EVER) };
            held.is_changed |= held.was_until != Some(held.until);
        }
        let mut bytes = Vec::new();
        for held in held.iter().filter(|held| held.is_changed) {
            let Place { prefix, time, version } = &held.place;
            Stored {
                record: held.record.borrow(),
                full_key: held.full_key.as_deref(),
                in_history: held.in_history,
                removed: false,
                until: Some(held.until).filter(|until| *until != FOR_EVER),
            }
            .encode(&mut bytes);
            txn.put(Table::Windows, &prefix.version(*time, id, *version), &bytes)?;
            let stands = held.until == FOR_EVER;
            if let Some(row) = held.row {
                fates[row] = EventFate { stands: stands || held.placed.version.retracted, ..EventFate::NEW };
                if stands {
                    self.add_event(txn, writing, prefix, row)?;
                }
            } else if held.was_until == Some(FOR_EVER) && !stands {
                writing.dirty.insert((prefix.clone(), *time));
            }
            if !prefix.is_nobody() {
                // Before a version was known, and before another took its place, the answer was another one.
                let until = if stands { Timestamp::MIN } else { held.until };
                writing.know(txn, self, prefix, (held.placed.known.max(until), *time))?;
            }
        }
        let folded = folded.into_iter().map(|(place, _)| place);
        let now: Vec<Place> = folded.chain(held.into_iter().map(|held| held.place)).collect();
        if now != places {
            put_places(txn, writing.view, id, &now)?;
        }
        Ok(())
    }

    pub(super) fn placed(&self, record: &RecordRef<'_>, key: Option<&[u8]>, retracted: bool) -> Placed {
        Placed {
            version: Version { created_time: record.created_time, sequence: record.sequence, retracted },
            content: content(key, (record.event_time != NO_TIME).then_some(record.event_time), record.row),
            known: self.known_from(record),
        }
    }

    /// Where the id of an event says that its versions are (retention may have dropped some), those that are stored, and what is left of those behind the
    /// horizon of their entity.
    fn versions(
        &self,
        txn: &WriteTransaction<'_, '_>,
        writing: &mut Writing<'_>,
        id: &EventId,
    ) -> Result<Versions, Fault> {
        let places = places(txn, writing.view, id)?;
        let (mut held, mut folded) = (Vec::with_capacity(places.len() + 1), Vec::new());
        for place in &places {
            let has_place = !place.prefix.is_nobody() && place.time != NO_TIME;
            let is_folded = has_place && writing.is_folded(txn, self, &place.prefix, place.time)?;
            if is_folded && let Some(left) = self.left_of(txn, &place.prefix, (place.time, id, place.version))? {
                folded.push((place.clone(), left));
                continue;
            }
            let key = place.prefix.version(place.time, id, place.version);
            let Some(bytes) = txn.get(Table::Windows, &key)? else { continue };
            let event = self.decode_event(bytes)?;
            if is_folded && let Some(left) = self.folded(&place.prefix, &event)? {
                folded.push((place.clone(), left));
                continue;
            }
            let Event { stored, until } = event;
            let arrays = self.arrays(&[stored.record]).map_err(Fault::Error)?;
            let retracted = self.retractions(&arrays).first().copied().unwrap_or(false);
            let entity = place.prefix.entity_key().or(stored.full_key);
            held.push(Held {
                place: place.clone(),
                placed: self.placed(&stored.record, entity, retracted),
                record: stored.record.to_owned(),
                full_key: stored.full_key.map(<[u8]>::to_vec),
                in_history: stored.in_history,
                was_until: Some(until),
                until,
                row: None,
                is_changed: false,
            });
        }
        Ok((places, held, folded))
    }

    /// The keys and values under a number of what is stored of a row, if it is there: all events that are equal to it, or the version that it is.
    pub(crate) fn stored_of(
        &self,
        snapshot: &Snapshot<'_>,
        view: ViewId,
        hash: KeyHash,
        (key, record): (&[u8], &RecordRef<'_>),
    ) -> Result<Entries, Fault> {
        let mut found = Entries::new();
        let id = match self.id {
            Some(column) => event_ids(&self.arrays(&[*record]).map_err(Fault::Error)?[column])[0],
            None => None,
        };
        let Some(id) = id else {
            let prefix = Prefix::new(view, key, hash);
            let identity = super::keys::identity(record);
            for equal in 0..=u16::MAX {
                let key = prefix.event(record.event_time, &super::Place { identity, equal });
                let Some(bytes) = snapshot.get(Table::Windows, &key)? else { break };
                found.push((key, bytes.to_vec()));
            }
            return Ok(found);
        };
        let id = std::array::from_fn(|byte| id[byte]);
        for place in read_places(snapshot.get(Table::Windows, &of_id(view, &id))?)? {
            let key = place.prefix.version(place.time, &id, place.version);
            let Some(bytes) = snapshot.get(Table::Windows, &key)? else { continue };
            if self.decode_event(bytes)?.record().order() == record.order() {
                found.push((key, bytes.to_vec()));
            }
        }
        Ok(found)
    }

    /// Drops an event with all its versions, if no window reaches any of them: what has lost one would not know which counts. Gives how many. `reached` is the first instant
    /// that windows reach.
    pub(super) fn drop_event(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        id: &EventId,
        reached: Timestamp,
    ) -> Result<usize, Fault> {
        let places = places(txn, view, id)?;
        if places.iter().any(|place| place.time >= reached) {
            return Ok(0);
        }
        for place in &places {
            let key = place.prefix.version(place.time, id, place.version);
            txn.delete(Table::Windows, &key)?;
            if self.late.is_some() && !place.prefix.is_nobody() {
                txn.delete(Table::Windows, &place.prefix.id_of(&key))?;
            }
        }
        put_places(txn, view, id, &[])?;
        Ok(places.len())
    }

    /// Adds where versions of an event of a copy lie, under its key and with its value there, as far as they lie here too.
    pub(crate) fn take_places(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), Fault> {
        let Some(id) = key.last_chunk::<12>() else { return Ok(()) };
        let known = places(txn, view, id)?;
        let mut all = known.clone();
        for place in read_places(Some(value))? {
            let place = Place { prefix: place.prefix.under(view), ..place };
            let version = place.prefix.version(place.time, id, place.version);
            let left = (!place.prefix.is_nobody()).then(|| place.prefix.id_of(&version));
            let is_here = txn.get(Table::Windows, &version)?.is_some()
                || left.map_or(Ok(false), |left| Ok::<_, Fault>(txn.get(Table::Windows, &left)?.is_some()))?;
            if is_here && !all.contains(&place) {
                all.push(place);
            }
        }
        if all != known { put_places(txn, view, id, &all) } else { Ok(()) }
    }

    /// Takes a version out of where an id says that its versions lie.
    pub(super) fn remove_place(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        id: &EventId,
        (prefix, time, version): (&Prefix, Timestamp, u16),
    ) -> Result<(), Fault> {
        let mut places = places(txn, view, id)?;
        places.retain(|place| (&place.prefix, place.time, place.version) != (prefix, time, version));
        put_places(txn, view, id, &places)
    }
}

fn places(txn: &WriteTransaction<'_, '_>, view: ViewId, id: &EventId) -> Result<Vec<Place>, Fault> {
    read_places(txn.get(Table::Windows, &of_id(view, id))?)
}

fn read_places(bytes: Option<&[u8]>) -> Result<Vec<Place>, Fault> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let damaged = || Fault::Error(OnlineError::Windows { reason: "where an event lies is damaged".to_owned() });
    let (checksum, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    if u32::from_le_bytes(*checksum) != crc32c::crc32c(rest) {
        return Err(damaged());
    }
    let mut places = Vec::new();
    let place = |rest: &mut &[u8]| {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        let (prefix, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        let (time, behind) = behind.split_first_chunk::<8>()?;
        let (version, behind) = behind.split_first_chunk::<2>()?;
        *rest = behind;
        let (time, version) = (Timestamp(i64::from_be_bytes(*time)), u16::from_be_bytes(*version));
        Some(Place { prefix: Prefix::from_bytes(prefix)?, time, version })
    };
    while !rest.is_empty() {
        places.push(place(&mut rest).ok_or_else(damaged)?);
    }
    Ok(places)
}

fn put_places(txn: &mut WriteTransaction<'_, '_>, view: ViewId, id: &EventId, places: &[Place]) -> Result<(), Fault> {
    let key = of_id(view, id);
    if places.is_empty() {
        txn.delete(Table::Windows, &key)?;
        return Ok(());
    }
    let mut bytes = vec![0; 4];
    for Place { prefix, time, version } in places {
        bytes.extend((prefix.bytes().len() as u16).to_be_bytes());
        bytes.extend(prefix.bytes());
        bytes.extend(time.0.to_be_bytes());
        bytes.extend(version.to_be_bytes());
    }
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    txn.put(Table::Windows, &key, &bytes)
}
