//! What is known of an entity beside its events.
//!
//! ```text
//! offset  size  field (integers little-endian; times in microseconds since 1970-01-01T00:00:00Z, signed)
//! 0       8     when the last of its events was known; that is all where no event is ever folded
//! 8       8     the time of its newest event
//! 16      8     the horizon: tiles alone have what lies before, and an event before it is too late; the least time: there is none
//! 24      8     when all that lies before the horizon was known
//! 32      8     events that were folded, unsigned
//! 40      4     CRC-32C of the 40 bytes before
//! ```

use tandem_core::time::Timestamp;

use super::{Prefix, WindowView};
use crate::environment::{Fault, Snapshot, Table, WriteTransaction};
use crate::error::OnlineError;

const TILED_BYTES: usize = 44;

/// What is known of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entity {
    /// When the last of its events was known: before, its answers are not those of its tiles.
    pub(super) last_known: Timestamp,
    /// The time of its newest event.
    pub(super) newest: Timestamp,
    /// Before it there are tiles of a hop and wider alone.
    pub(super) horizon: Timestamp,
    /// When all that lies before the horizon was known.
    pub(super) folded_known: Timestamp,
    /// Events that were folded.
    pub(super) folded: u64,
}

impl Entity {
    /// Nothing is known.
    const NONE: Entity = Entity {
        last_known: Timestamp::MIN,
        newest: Timestamp::MIN,
        horizon: Timestamp::MIN,
        folded_known: Timestamp::MIN,
        folded: 0,
    };

    /// Whether events are told one by one at this time.
    pub(super) fn is_folded(&self, time: Timestamp) -> bool {
        time < self.horizon
    }

    fn encode(&self) -> [u8; TILED_BYTES] {
        let mut bytes = [0; TILED_BYTES];
        let times = [self.last_known, self.newest, self.horizon, self.folded_known].map(|time| time.0.to_le_bytes());
        for (field, value) in times.into_iter().chain([self.folded.to_le_bytes()]).enumerate() {
            bytes[field * 8..field * 8 + 8].copy_from_slice(&value);
        }
        let checksum = crc32c::crc32c(&bytes[..40]);
        bytes[40..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads what [`Entity::encode`] wrote; any bytes may be given.
    fn decode(bytes: &[u8]) -> Option<Entity> {
        let bytes: &[u8; TILED_BYTES] = bytes.try_into().ok()?;
        let field = |field: usize| i64::from_le_bytes(std::array::from_fn(|byte| bytes[field * 8 + byte]));
        let checksum = u32::from_le_bytes([bytes[40], bytes[41], bytes[42], bytes[43]]);
        (crc32c::crc32c(&bytes[..40]) == checksum).then(|| Entity {
            last_known: Timestamp(field(0)),
            newest: Timestamp(field(1)),
            horizon: Timestamp(field(2)),
            folded_known: Timestamp(field(3)),
            folded: field(4) as u64,
        })
    }
}

/// Events that were folded, of what is known of an entity of a view that folds.
pub(crate) fn folded_of(bytes: &[u8]) -> Option<u64> {
    Entity::decode(bytes).map(|entity| entity.folded)
}

impl WindowView {
    fn read_entity(&self, bytes: Option<&[u8]>) -> Result<Option<Entity>, Fault> {
        let Some(bytes) = bytes else { return Ok(None) };
        if self.late.is_none() {
            let last = bytes.try_into().ok().map(i64::from_le_bytes).map(Timestamp);
            return Ok(last.map(|last_known| Entity { last_known, ..Entity::NONE }));
        }
        let damaged =
            || Fault::Error(OnlineError::Windows { reason: "what is known of an entity is damaged".to_owned() });
        Entity::decode(bytes).map(Some).ok_or_else(damaged)
    }

    /// What is known of an entity.
    pub(super) fn entity(&self, snapshot: &Snapshot<'_>, prefix: &Prefix) -> Result<Entity, Fault> {
        let entity = self.read_entity(snapshot.get(Table::Windows, &prefix.entity())?)?;
        Ok(entity.unwrap_or(Entity::NONE))
    }

    /// How many events of an entity were folded; None if there is no such entity.
    pub(crate) fn folded_in(&self, txn: &WriteTransaction<'_, '_>, prefix: &Prefix) -> Result<Option<u64>, Fault> {
        let (entity, is_there) = self.entity_in(txn, prefix)?;
        Ok(is_there.then_some(entity.folded))
    }

    /// The same, and whether there is such an entity.
    pub(super) fn entity_in(&self, txn: &WriteTransaction<'_, '_>, prefix: &Prefix) -> Result<(Entity, bool), Fault> {
        let entity = self.read_entity(txn.get(Table::Windows, &prefix.entity())?)?;
        Ok((entity.unwrap_or(Entity::NONE), entity.is_some()))
    }

    pub(super) fn put_entity(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        prefix: &Prefix,
        entity: &Entity,
    ) -> Result<(), Fault> {
        match self.late {
            None => txn.put(Table::Windows, &prefix.entity(), &entity.last_known.0.to_le_bytes()),
            Some(_) => txn.put(Table::Windows, &prefix.entity(), &entity.encode()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_an_entity_is_pinned() {
        let at = Timestamp;
        let entity =
            Entity { last_known: at(1), newest: at(-2), horizon: at(258), folded_known: at(i64::MIN), folded: 5 };
        let bytes = entity.encode();
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0];
        expected.extend((-2_i64).to_le_bytes());
        expected.extend([2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[..40], expected);
        assert_eq!((Entity::decode(&bytes), folded_of(&bytes)), (Some(entity), Some(5)));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Entity::decode(&bytes), None, "bit {bit}");
        }
        assert_eq!(Entity::decode(&bytes[..43]), None);
    }
}
