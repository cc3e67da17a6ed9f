//! Folding: of events that lie far behind the newest one of their entity tiles alone are kept.
//!
//! Tiles have every event from the moment at which it is written. So to fold is to forget: the event itself, and tiles narrower than a hop. In the place of
//! an event its key stays, under a kind of its own, until the horizon is as far behind as it went behind the newest event; by it the same event is known
//! when it comes again. Its value:
//!
//! ```text
//! offset  size  field
//! 0       1     1: its event is closed, since this version counts for ever or takes it back; else 0
//! 1       12    of a version of an event with an id, the beginning of the SHA-256 of what orders it and of what it says
//! ```
//!
//! An event that the offline history does not have is never forgotten, though tiles have it too: a rebuild could not make it again.

use std::ops::ControlFlow;

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;
use tandem_core::versions::Placed;

use super::entity::Entity;
use super::keys::EventId;
use super::levels::start;
use super::stored::Event;
use super::{Late, Prefix, WindowView};
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::generation::Target;
use crate::store::Store;
use crate::view::ViewId;

/// Events of one entity that are folded in one transaction, roughly: hops are folded whole.
pub const FOLDED_MAX: usize = 4_096;

/// Entities that are looked at in one transaction.
const LOOKED_MAX: usize = 4_096;

/// What tells a version from others of its event.
pub(super) type Rank = [u8; 12];

/// A version of an event that lies behind the horizon of its entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folded {
    /// What tells it from others.
    pub(super) rank: Rank,
    /// Whether no other version can take its place any more.
    pub(super) is_closed: bool,
}

impl Folded {
    /// `until`: the first instant at which it no longer counts.
    pub(super) fn of(placed: &Placed, stands: bool) -> Folded {
        Folded { rank: rank(placed), is_closed: stands || placed.version.retracted }
    }

    fn encode(&self) -> [u8; 13] {
        let mut bytes = [u8::from(self.is_closed); 13];
        bytes[1..].copy_from_slice(&self.rank);
        bytes
    }

    /// Reads what is left of a version; any bytes may be given.
    pub(super) fn decode(bytes: &[u8]) -> Option<Folded> {
        let (is_closed, rank) = bytes.split_first()?;
        Some(Folded { rank: rank.try_into().ok()?, is_closed: *is_closed == 1 })
    }
}

/// What tells a version from others of its event.
pub(super) fn rank(placed: &Placed) -> Rank {
    let Placed { version, content, known: _ } = placed;
    let mut bytes = Vec::with_capacity(35);
    for optional in [version.created_time.map(|time| time.0), version.sequence] {
        bytes.push(u8::from(optional.is_some()));
        bytes.extend(optional.unwrap_or_default().to_be_bytes());
    }
    bytes.push(u8::from(version.retracted));
    bytes.extend(content);
    let Digest(digest) = Digest::of(&bytes);
    std::array::from_fn(|byte| digest[byte])
}

impl Late {
    /// Where the horizon of an entity is to be, at an instant.
    fn horizon(&self, entity: &Entity, now: Timestamp) -> Timestamp {
        let newest = entity.newest.min(now);
        start(Timestamp(newest.0.saturating_sub(self.lateness)), self.hop)
    }
}

impl Store {
    /// Folds what lies further behind the newest event of its entity than the view's lateness, of all entities of the generation that is served, some of them in each
    /// transaction. What is written to an entity later folds it too. Nothing is done where the view has no lateness. Gives how many events were folded.
    ///
    /// # Errors
    /// What was folded stays so.
    pub fn fold(&self, view: ViewId, windows: &WindowView, now: Timestamp) -> Result<u64, OnlineError> {
        if windows.late.is_none() {
            return Ok(0);
        }
        let (mut folded, mut from) = (0, None::<Vec<u8>>);
        loop {
            let (of_piece, next) = self.environment().write(|txn| {
                let number = self.numbers_in(txn, Target::from(view))?.first;
                // Another generation is served since: it begins anew.
                let beginning = number.get().to_be_bytes();
                let mut at = from.clone().filter(|from| from.starts_with(&beginning)).unwrap_or(beginning.to_vec());
                let (mut folded, mut looked) = (0, 0);
                while folded < FOLDED_MAX && looked < LOOKED_MAX {
                    let first = txn.first(Table::Windows, &at)?;
                    let entity = first.and_then(|key| Prefix::of_entity_key(number, &key));
                    let Some(prefix) = entity else { return Ok((folded, None)) };
                    looked += 1;
                    let (before, _) = windows.entity_in(txn, &prefix)?;
                    let mut entity = before;
                    let (count, is_all) = windows.fold(txn, number, &prefix, &mut entity, now)?;
                    folded += count;
                    if entity != before {
                        windows.put_entity(txn, &prefix, &entity)?;
                    }
                    // One that has more is gone on with.
                    at = if is_all { prefix.after() } else { prefix.bytes().to_vec() };
                }
                Ok((folded, Some(at)))
            })?;
            folded += of_piece as u64;
            from = next;
            if from.is_none() {
                return Ok(folded);
            }
        }
    }
}

impl WindowView {
    /// Moves the horizon of an entity to where it is to be, and forgets what lies before it; `entity` is to be written by the caller. Gives how many events were folded, and whether
    /// that is all: a part of many, and what lies before an event that is not known yet.
    pub(super) fn fold(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        prefix: &Prefix,
        entity: &mut Entity,
        now: Timestamp,
    ) -> Result<(usize, bool), Fault> {
        let Some(late) = self.late else { return Ok((0, true)) };
        let mut horizon = late.horizon(entity, now);
        if horizon <= entity.horizon {
            return Ok((0, true));
        }
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let (mut last, mut is_all) = (Timestamp::MIN, true);
        let first = entity.horizon.max(self.first_droppable());
        txn.scan(Table::Windows, &prefix.events(first), |key, value| {
            let Some(time) = prefix.event_time(key).filter(|time| *time < horizon) else {
                return Ok(ControlFlow::Break(()));
            };
            if found.len() >= FOLDED_MAX && start(time, late.hop) > start(last, late.hop) {
                (horizon, is_all) = (start(time, late.hop), false);
                return Ok(ControlFlow::Break(()));
            }
            last = time;
            found.push((key.to_vec(), value.to_vec()));
            Ok(ControlFlow::Continue(()))
        })?;
        let mut events = Vec::with_capacity(found.len());
        for (key, value) in &found {
            let event = self.decode_event(value)?;
            let known = self.known_until(&event);
            if known > now {
                // At an instant before, it must be told from the others.
                let time = prefix.event_time(key).unwrap_or(entity.horizon);
                (horizon, is_all) = (start(time, late.hop), true);
                break;
            }
            events.push((key, event, known));
        }
        if horizon <= entity.horizon {
            return Ok((0, is_all));
        }
        let mut folded = 0;
        for (key, event, known) in &events {
            if prefix.event_time(key).is_none_or(|time| time >= horizon) {
                continue;
            }
            entity.folded_known = entity.folded_known.max(*known);
            folded += 1;
            if event.stored.in_history {
                self.forget(txn, prefix, key, event)?;
            }
        }
        let before = entity.horizon;
        (entity.horizon, entity.folded) = (horizon, entity.folded + folded as u64);
        self.drop_narrow(txn, prefix, (before, horizon))?;
        self.drop_ids(txn, view, prefix, start(Timestamp(horizon.0.saturating_sub(late.lateness)), late.hop))?;
        Ok((folded, is_all))
    }

    /// The first instant from which on nothing about an event changes any more.
    fn known_until(&self, event: &Event<'_>) -> Timestamp {
        let known = self.known_from(event.record());
        if event.stands() { known } else { known.max(event.until) }
    }

    /// Leaves of an event its key alone.
    pub(super) fn forget(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        prefix: &Prefix,
        key: &[u8],
        event: &Event<'_>,
    ) -> Result<(), Fault> {
        let left = match self.folded(prefix, event)? {
            Some(folded) => folded.encode().to_vec(),
            None => vec![1],
        };
        txn.delete(Table::Windows, key)?;
        txn.put(Table::Windows, &prefix.id_of(key), &left)
    }

    /// What is left of a version of an event with an id; None of an event without one.
    pub(super) fn folded(&self, prefix: &Prefix, event: &Event<'_>) -> Result<Option<Folded>, Fault> {
        let Some(column) = self.id else { return Ok(None) };
        let record = event.record();
        let arrays = self.arrays(&[*record]).map_err(Fault::Error)?;
        if arrow_array::Array::is_null(&arrays[column], 0) {
            return Ok(None);
        }
        let retracted = self.retractions(&arrays).first().copied().unwrap_or(false);
        let key = prefix.entity_key().or(event.stored.full_key);
        Ok(Some(Folded::of(&self.placed(record, key, retracted), event.stands())))
    }

    /// Removes the tiles that are narrower than a hop.
    fn drop_narrow(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        prefix: &Prefix,
        (first, end): (Timestamp, Timestamp),
    ) -> Result<(), Fault> {
        let mut dropped = Vec::new();
        for level in 0..self.levels.of_hop {
            txn.scan(Table::Windows, &prefix.tile(level, first), |key, _| {
                if prefix.tile_start(level, key).is_none_or(|start| start >= end) {
                    return Ok(ControlFlow::Break(()));
                }
                dropped.push(key.to_vec());
                Ok(ControlFlow::Continue(()))
            })?;
        }
        dropped.iter().try_for_each(|key| txn.delete(Table::Windows, key).map(drop))
    }

    /// Removes what is left of events before an instant.
    pub(super) fn drop_ids(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        prefix: &Prefix,
        before: Timestamp,
    ) -> Result<(), Fault> {
        let mut dropped: Vec<(Vec<u8>, bool)> = Vec::new();
        txn.scan(Table::Windows, &prefix.ids(Timestamp::MIN), |key, value| {
            let event = prefix.event_of(key);
            let time = event.and_then(|event| prefix.event_time(&event));
            if time.is_none_or(|time| time >= before) || dropped.len() >= 2 * FOLDED_MAX {
                return Ok(ControlFlow::Break(()));
            }
            dropped.push((key.to_vec(), Folded::decode(value).is_some()));
            Ok(ControlFlow::Continue(()))
        })?;
        for (key, is_version) in &dropped {
            if *is_version && let Some(event) = prefix.event_of(key) {
                self.forget_place(txn, view, prefix, &event)?;
            }
            txn.delete(Table::Windows, key)?;
        }
        Ok(())
    }

    /// Takes a version out of where its id says that versions lie.
    fn forget_place(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        prefix: &Prefix,
        event: &[u8],
    ) -> Result<(), Fault> {
        let (Some((id, version)), Some(time)) = (prefix.event_version(event), prefix.event_time(event)) else {
            return Ok(());
        };
        self.remove_place(txn, view, &id, (prefix, time, version))
    }

    /// What is left of a version that lies behind the horizon, if it is still known.
    pub(super) fn left_of(
        &self,
        txn: &WriteTransaction<'_, '_>,
        prefix: &Prefix,
        (time, id, version): (Timestamp, &EventId, u16),
    ) -> Result<Option<Folded>, Fault> {
        let key = prefix.id_of(&prefix.version(time, id, version));
        Ok(txn.get(Table::Windows, &key)?.and_then(Folded::decode))
    }
}
