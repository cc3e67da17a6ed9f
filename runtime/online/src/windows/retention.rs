//! Events that no window reaches any more, of entities that nobody writes to: looked for a few entities at a time.

use std::ops::ControlFlow;

use tandem_core::time::Timestamp;

use super::levels::end;
use super::{Prefix, WindowView};
use crate::environment::{Fault, Snapshot, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::store::{Expired, Store};
use crate::view::ViewId;

impl Store {
    /// Looks at `entities_max` entities of a view of aggregates, in all its generations, and drops the events and tiles that no window can reach at `now` or later: one
    /// read transaction, and one write transaction for up to `dropped_max` of these entities, where there are any. `from` is where the last look ended. Nothing is
    /// dropped where the view has no retention.
    ///
    /// # Errors
    /// Nothing is dropped.
    pub fn drop_unreachable(
        &self,
        view: ViewId,
        windows: &WindowView,
        now: Timestamp,
        from: Option<&[u8]>,
        (entities_max, dropped_max): (usize, usize),
    ) -> Result<Expired, OnlineError> {
        let Some(retention) = windows.retention else { return Ok(Expired::default()) };
        let reached = Timestamp(now.0.saturating_sub(retention));
        let (mut expired, found) = self.environment().read(|snapshot| {
            let numbers: Vec<ViewId> = self.generations_at(snapshot, view)?.all().map(|found| found.number).collect();
            let mut expired = Expired::default();
            let mut found: Vec<(ViewId, Prefix)> = Vec::new();
            let bytes = |number: &ViewId| number.get().to_be_bytes();
            // A generation that is gone meanwhile is not gone on with.
            let place = from.map_or(Some(0), |from| numbers.iter().position(|number| from.starts_with(&bytes(number))));
            let Some(place) = place else { return Ok((expired, found)) };
            let number = numbers[place];
            let mut at = from.map_or_else(|| bytes(&number).to_vec(), <[u8]>::to_vec);
            let entity_from = |at: &[u8]| {
                let first = snapshot.first(Table::Windows, at)?;
                Ok::<_, Fault>(first.and_then(|key| Prefix::of_entity_key(number, &key)))
            };
            while let Some(prefix) = entity_from(&at)? {
                if expired.looked as usize >= entities_max || found.len() >= dropped_max.max(1) {
                    expired.next = Some(prefix.bytes().to_vec());
                    break;
                }
                expired.looked += 1;
                at = prefix.after();
                if windows.has_unreachable(snapshot, &prefix, reached)? {
                    found.push((number, prefix));
                }
            }
            if expired.next.is_none() {
                expired.next = numbers.get(place + 1).map(|number| bytes(number).to_vec());
            }
            Ok((expired, found))
        })?;
        if found.is_empty() {
            return Ok(expired);
        }
        let (removed, again) = self.environment().write(|txn| {
            let (mut removed, mut again) = (0, None);
            for (number, prefix) in &found {
                let (events, is_all) = windows.drop_unreachable(txn, *number, prefix, now)?;
                removed += events as u64;
                if is_all {
                    windows.forget_entity(txn, prefix)?;
                } else if again.is_none() && events > 0 {
                    // There is more of it than one transaction takes.
                    again = Some(prefix.bytes().to_vec());
                }
            }
            Ok((removed, again))
        })?;
        expired.removed = removed;
        expired.next = again.or(expired.next);
        Ok(expired)
    }
}

impl WindowView {
    /// Whether there is something of an entity that no window reaches.
    fn has_unreachable(&self, snapshot: &Snapshot<'_>, prefix: &Prefix, reached: Timestamp) -> Result<bool, Fault> {
        let first = |from: Vec<u8>| snapshot.first(Table::Windows, &from);
        let event = first(prefix.events(self.first_droppable()))?.and_then(|key| prefix.event_time(&key));
        // Tiles without an event are of those that were dropped.
        let Some(event) = event else { return Ok(!self.has_events(snapshot, prefix)?) };
        if event < reached {
            return Ok(true);
        }
        for (level, width) in self.levels.widths().enumerate() {
            let tile = first(prefix.tile(level, Timestamp::MIN))?;
            let end = tile.and_then(|key| end(prefix.tile_start(level, &key)?, width));
            if end.is_some_and(|end| end <= reached) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_events(&self, snapshot: &Snapshot<'_>, prefix: &Prefix) -> Result<bool, Fault> {
        let first = snapshot.first(Table::Windows, &prefix.events(Timestamp::MIN))?;
        Ok(first.is_some_and(|key| prefix.event_time(&key).is_some()))
    }

    /// Forgets an entity of which no event is left: the widest tiles may end later than what was dropped of them.
    fn forget_entity(&self, txn: &mut WriteTransaction<'_, '_>, prefix: &Prefix) -> Result<(), Fault> {
        let (mut left, mut is_left): (Vec<Vec<u8>>, bool) = (Vec::new(), false);
        txn.scan(Table::Windows, &prefix.entity(), |key, _| {
            if !key.starts_with(prefix.bytes()) {
                return Ok(ControlFlow::Break(()));
            }
            is_left |= prefix.event_time(key).is_some();
            left.push(key.to_vec());
            Ok(if is_left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        for key in left.iter().filter(|_| !is_left) {
            txn.delete(Table::Windows, key)?;
        }
        Ok(())
    }
}
