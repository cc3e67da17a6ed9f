//! Entities of tiled views from a copy, whole: what was folded of them cannot be made of events again.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::Store;
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::generation::GenerationState;
use crate::view::ViewId;
use crate::windows::{Prefix, WindowView, is_of_id, parse_event};

/// Ids of events that are written in one transaction.
const PIECE_IDS: usize = 4_096;

/// An entity of a copy.
struct TakenEntity {
    prefix: Prefix,
    /// Its keys and values.
    entries: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the versions of its events with ids lie: keys and values.
    places: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What was taken over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whole {
    /// Events of entities that were not there.
    pub(super) events: usize,
    /// Folded events of entities that were there, with fewer of them.
    pub(super) left_out: u64,
}

impl Store {
    /// Takes over from a copy (`number` is that of its generation) all entities of a tiled view that this store does not have, each in one transaction with where the ids of
    /// its events say that they lie: a correction that comes in between finds them. Those of entities that are there follow.
    ///
    /// # Errors
    /// What was written before stays.
    pub(super) fn take_entities(
        &self,
        view: ViewId,
        windows: &WindowView,
        copy: &Store,
        number: ViewId,
    ) -> Result<Whole, OnlineError> {
        let mut whole = Whole::default();
        let mut at = number.get().to_be_bytes().to_vec();
        while let Some(entity) = copy.whole_entity(windows, number, &at)? {
            at = entity.prefix.after();
            let (events, left_out) = self.environment().write(|txn| {
                let (live, kept) = self.whole_numbers(txn, view)?;
                if let Some(kept) = kept {
                    windows.take_entity(txn, kept, &entity)?;
                }
                windows.take_entity(txn, live, &entity)
            })?;
            whole.events += events;
            whole.left_out += left_out;
        }
        copy.raw_pieces(
            Table::Windows,
            number,
            |key, _| is_of_id(key),
            |piece| {
                for entries in piece.entries.chunks(PIECE_IDS) {
                    self.environment().write(|txn| {
                        let (live, kept) = self.whole_numbers(txn, view)?;
                        for number in [Some(live), kept].into_iter().flatten() {
                            entries.iter().try_for_each(|(key, value)| windows.take_places(txn, number, key, value))?;
                        }
                        Ok(())
                    })?;
                }
                Ok(())
            },
        )?;
        Ok(whole)
    }

    /// The numbers that take whole entities: of the live generation, and of one that is kept. One that is being built is made of the history, and takes events one by one.
    fn whole_numbers(&self, txn: &WriteTransaction<'_, '_>, view: ViewId) -> Result<(ViewId, Option<ViewId>), Fault> {
        let generations = self.generations_in(txn, view)?;
        let kept = generations.other.filter(|other| other.state == GenerationState::Kept);
        Ok((generations.live.number, kept.map(|kept| kept.number)))
    }

    /// The first entity whose keys lie at or behind `at`, with all of them, of one moment.
    fn whole_entity(
        &self,
        windows: &WindowView,
        number: ViewId,
        at: &[u8],
    ) -> Result<Option<TakenEntity>, OnlineError> {
        self.environment().read(|snapshot| {
            let (mut prefix, mut entries) = (None::<Prefix>, Vec::new());
            snapshot.scan(Table::Windows, at, |key, value| {
                let of = Prefix::of_entity_key(number, key);
                if of.is_none() || prefix.as_ref().is_some_and(|prefix| Some(prefix) != of.as_ref()) {
                    return Ok(ControlFlow::Break(()));
                }
                prefix = of;
                entries.push((key.to_vec(), value.to_vec()));
                Ok(ControlFlow::Continue(()))
            })?;
            let Some(prefix) = prefix else { return Ok(None) };
            let mut places = Vec::new();
            if windows.has_ids() {
                let keys: BTreeSet<Vec<u8>> =
                    entries.iter().filter_map(|(key, _)| prefix.place_of(number, key)).collect();
                for key in keys {
                    if let Some(value) = snapshot.get(Table::Windows, &key)? {
                        places.push((key, value.to_vec()));
                    }
                }
            }
            Ok(Some(TakenEntity { prefix, entries, places }))
        })
    }
}

impl WindowView {
    /// Writes an entity of a copy under a number, if there is none. Gives its events, or how many folded ones are left out.
    fn take_entity(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        number: ViewId,
        TakenEntity { prefix, entries, places }: &TakenEntity,
    ) -> Result<(usize, u64), Fault> {
        let own = prefix.under(number);
        if let Some(folded) = self.folded_in(txn, &own)? {
            let theirs = entries.first().and_then(|(_, value)| crate::windows::folded_of(value)).unwrap_or_default();
            return Ok((0, theirs.saturating_sub(folded)));
        }
        for (key, value) in entries {
            let rest = &key[prefix.bytes().len()..];
            txn.put(Table::Windows, &[own.bytes(), rest].concat(), value)?;
        }
        for (key, value) in places {
            self.take_places(txn, number, key, value)?;
        }
        Ok((entries.iter().filter(|(key, _)| parse_event(key).is_some()).count(), 0))
    }
}
