//! Entities of tiled views from a copy, whole: what was folded of them cannot be made of events again.

use std::ops::ControlFlow;

use super::Store;
use crate::environment::{Fault, Table};
use crate::error::OnlineError;
use crate::generation::Target;
use crate::view::ViewId;
use crate::windows::{Prefix, WindowView, is_of_id, parse_event};

/// Ids of events that are written in one transaction.
const PIECE_IDS: usize = 4_096;

/// What was taken over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Whole {
    /// Events of entities that were not there.
    pub(super) events: usize,
    /// Folded events of entities that were there, with fewer of them.
    pub(super) left_out: u64,
}

impl Store {
    /// Takes over from a copy (`number` is that of its generation) all entities of a tiled view that this store does not have, each in one transaction, and where the ids of
    /// their events say that they lie.
    ///
    /// # Errors
    /// What was written before stays.
    pub(super) fn take_entities(
        &self,
        target: Target,
        windows: &WindowView,
        copy: &Store,
        number: ViewId,
    ) -> Result<Whole, OnlineError> {
        let mut whole = Whole::default();
        let mut at = number.get().to_be_bytes().to_vec();
        loop {
            // An entity and all its keys, of one moment of the copy.
            let found = copy.environment().read(|snapshot| {
                let (mut prefix, mut entries) = (None::<Prefix>, Vec::new());
                snapshot.scan(Table::Windows, &at, |key, value| {
                    let of = Prefix::of_entity_key(number, key);
                    if of.is_none() || prefix.as_ref().is_some_and(|prefix| Some(prefix) != of.as_ref()) {
                        return Ok(ControlFlow::Break(()));
                    }
                    prefix = of;
                    entries.push((key.to_vec(), value.to_vec()));
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(prefix.map(|prefix| (prefix, entries)))
            })?;
            let Some((prefix, entries)) = found else { break };
            at = prefix.after();
            let (events, left_out) = self.environment().write(|txn| {
                let number = self.numbers_in(txn, target)?.first;
                windows.take_entity(txn, &prefix, &prefix.under(number), &entries)
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
                        let number = self.numbers_in(txn, target)?.first;
                        entries.iter().try_for_each(|(key, value)| windows.take_places(txn, number, key, value))
                    })?;
                }
                Ok(())
            },
        )?;
        Ok(whole)
    }
}

impl WindowView {
    /// Writes an entity of a copy, if there is none. Gives its events, or how many folded ones are left out.
    fn take_entity(
        &self,
        txn: &mut crate::environment::WriteTransaction<'_, '_>,
        prefix: &Prefix,
        own: &Prefix,
        entries: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(usize, u64), Fault> {
        if let Some(folded) = self.folded_in(txn, own)? {
            let theirs = entries.first().and_then(|(_, value)| crate::windows::folded_of(value)).unwrap_or_default();
            return Ok((0, theirs.saturating_sub(folded)));
        }
        for (key, value) in entries {
            let rest = &key[prefix.bytes().len()..];
            txn.put(Table::Windows, &[own.bytes(), rest].concat(), value)?;
        }
        Ok((entries.iter().filter(|(key, _)| parse_event(key).is_some()).count(), 0))
    }
}
