//! Keys of the table `windows`.
//!
//! ```text
//! offset  size  field
//! 0       4     number of the generation, big-endian
//! 4       1     0: the entity key follows; 1: its SHA-256 follows; 2: the id of an event follows, alone; 3: nobody's, k is 0
//! 5       2     k: length of that, big-endian, so that no entity's keys lie among another's
//! 7       k     the entity key, or its SHA-256
//! 7+k     1     0: what is known of the entity; 1: a tile; 2: an event; 3: the id of an event that tiles alone have
//! ```
//!
//! Behind it an event has its time (8, big-endian, the sign bit turned), 12 bytes of the SHA-256 of its created time, sequence and row, and which of the equal
//! ones it is (2, big-endian). Where the source names event ids, an event that has one has instead of these 12 bytes those of the SHA-256 of its id, and which
//! of its versions it is. Under its id (4, 1, 12 bytes) stands where its versions are (`versions`). Nobody's are versions that have neither entity nor time. What is left of an event that was folded
//! into tiles has the key that it had, but for the kind. A tile has its level (1) and its start (8, as an event's time).

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;

use crate::environment::KEY_BYTES_MAX;
use crate::key::KeyHash;
use crate::record::RecordRef;
use crate::view::ViewId;
use crate::windows::Place;

const OF_ID: u8 = 2;
const OF_NOBODY: u8 = 3;

/// The beginning of the SHA-256 of an event's id.
pub(super) type EventId = [u8; 12];

const KIND_ENTITY: u8 = 0;
const KIND_TILE: u8 = 1;
const KIND_EVENT: u8 = 2;
const KIND_ID: u8 = 3;

/// Bytes of an event's key behind the entity's.
const EVENT_BYTES: usize = 8 + 12 + 2;

/// The beginning of all keys of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Prefix {
    bytes: Vec<u8>,
    is_hashed: bool,
}

impl Prefix {
    pub(crate) fn new(view: ViewId, entity_key: &[u8], hash: KeyHash) -> Prefix {
        let is_hashed = 7 + entity_key.len() + 1 + EVENT_BYTES > KEY_BYTES_MAX;
        let mut bytes = view.get().to_be_bytes().to_vec();
        let digest = is_hashed.then(|| hash(entity_key).0);
        let key = digest.as_ref().map_or(entity_key, |digest| &digest[..]);
        bytes.push(u8::from(is_hashed));
        bytes.extend((key.len() as u16).to_be_bytes());
        bytes.extend(key);
        Prefix { bytes, is_hashed }
    }

    /// Of versions that are set aside: they have no entity.
    pub(super) fn nobody(view: ViewId) -> Prefix {
        let mut bytes = view.get().to_be_bytes().to_vec();
        bytes.extend([OF_NOBODY, 0, 0]);
        Prefix { bytes, is_hashed: false }
    }

    /// One that [`Prefix::bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Prefix> {
        let of = *bytes.get(4)?;
        (bytes.len() >= 7 && of != OF_ID).then(|| Prefix { bytes: bytes.to_vec(), is_hashed: of == 1 })
    }

    /// Of a key under a number, that of its entity; None for another's, and where no entity's follow.
    pub(crate) fn of_entity_key(number: ViewId, key: &[u8]) -> Option<Prefix> {
        let (head, rest) = key.split_first_chunk::<7>()?;
        let is_entity = head[..4] == number.get().to_be_bytes() && head[4] < OF_ID;
        let length = usize::from(u16::from_be_bytes([head[5], head[6]]));
        let prefix = key.get(..7 + length).filter(|_| is_entity && rest.len() > length)?;
        Prefix::from_bytes(prefix)
    }

    /// The same entity under another number.
    pub(crate) fn under(&self, number: ViewId) -> Prefix {
        let mut bytes = self.bytes.clone();
        bytes[..4].copy_from_slice(&number.get().to_be_bytes());
        Prefix { bytes, is_hashed: self.is_hashed }
    }

    /// Behind all keys of the entity, and before those of any other that follows.
    pub(crate) fn after(&self) -> Vec<u8> {
        [&self.bytes[..], &[u8::MAX]].concat()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entity key, where it is no hash.
    pub(super) fn entity_key(&self) -> Option<&[u8]> {
        (self.bytes[4] == 0).then(|| &self.bytes[7..])
    }

    /// Whether it is that of versions without an entity.
    pub(super) fn is_nobody(&self) -> bool {
        self.bytes[4] == OF_NOBODY
    }

    /// Whether records must hold the full entity key.
    pub(crate) fn is_hashed(&self) -> bool {
        self.is_hashed
    }

    fn of_kind(&self, kind: u8) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.bytes.len() + 1 + EVENT_BYTES);
        key.extend(&self.bytes);
        key.push(kind);
        key
    }

    /// What is known of the entity.
    pub(super) fn entity(&self) -> Vec<u8> {
        self.of_kind(KIND_ENTITY)
    }

    /// Where events from `time` on begin.
    pub(super) fn events(&self, time: Timestamp) -> Vec<u8> {
        let mut key = self.of_kind(KIND_EVENT);
        key.extend(sortable(time));
        key
    }

    /// The key of an event.
    pub(crate) fn event(&self, time: Timestamp, place: &Place) -> Vec<u8> {
        let mut key = self.events(time);
        key.extend(place.identity);
        key.extend(place.equal.to_be_bytes());
        key
    }

    /// Where what is left of events from `time` on begins, of those that were folded.
    pub(super) fn ids(&self, time: Timestamp) -> Vec<u8> {
        let mut key = self.of_kind(KIND_ID);
        key.extend(sortable(time));
        key
    }

    /// The key of what is left of an event, of the event's.
    pub(super) fn id_of(&self, event: &[u8]) -> Vec<u8> {
        let mut key = event.to_vec();
        key[self.bytes.len()] = KIND_ID;
        key
    }

    /// The key that an event had, of what is left of it; None for another's.
    pub(super) fn event_of(&self, id: &[u8]) -> Option<Vec<u8>> {
        id.strip_prefix(&self.bytes[..])?.strip_prefix(&[KIND_ID])?;
        let mut key = id.to_vec();
        key[self.bytes.len()] = KIND_EVENT;
        Some(key)
    }

    /// The key of a version of an event with an id.
    pub(super) fn version(&self, time: Timestamp, id: &EventId, version: u16) -> Vec<u8> {
        let mut key = self.events(time);
        key.extend(id);
        key.extend(version.to_be_bytes());
        key
    }

    /// What tells an event from others of its time, and which of its versions it is.
    pub(super) fn event_version(&self, key: &[u8]) -> Option<(EventId, u16)> {
        let rest = key.strip_prefix(&self.bytes[..])?.strip_prefix(&[KIND_EVENT])?.get(8..)?;
        let (id, version) = rest.split_first_chunk::<12>()?;
        Some((*id, u16::from_be_bytes(version.try_into().ok()?)))
    }

    /// Under which key of a number stands where the versions of an event lie, of the event's key or of that of what is left of it; None for another's. One without an id has
    /// such a key too, under which nothing stands.
    pub(crate) fn place_of(&self, number: ViewId, key: &[u8]) -> Option<Vec<u8>> {
        let event = self.event_of(key);
        let (id, _) = self.event_version(event.as_deref().unwrap_or(key))?;
        Some(of_id(number, &id))
    }

    /// Where tiles of a level from `start` on begin, and the key of that one.
    pub(super) fn tile(&self, level: usize, start: Timestamp) -> Vec<u8> {
        let mut key = self.of_kind(KIND_TILE);
        key.push(level as u8);
        key.extend(sortable(start));
        key
    }

    /// The time of an event's key; None for another's.
    pub(super) fn event_time(&self, key: &[u8]) -> Option<Timestamp> {
        let rest = key.strip_prefix(&self.bytes[..])?.strip_prefix(&[KIND_EVENT])?;
        time(rest)
    }

    /// The start of a tile of a level; None for another key.
    pub(super) fn tile_start(&self, level: usize, key: &[u8]) -> Option<Timestamp> {
        let rest = key.strip_prefix(&self.bytes[..])?.strip_prefix(&[KIND_TILE, level as u8])?;
        time(rest)
    }
}

/// The key of where the versions of an event are.
pub(super) fn of_id(view: ViewId, id: &EventId) -> Vec<u8> {
    let mut key = view.get().to_be_bytes().to_vec();
    key.push(OF_ID);
    key.extend(id);
    key
}

/// Whether a key is that of where the versions of an event are.
pub(crate) fn is_of_id(key: &[u8]) -> bool {
    key.len() == 17 && key[4] == OF_ID
}

/// Whether a key is that of what is known of an entity.
pub(crate) fn is_entity(key: &[u8]) -> bool {
    key.split_first_chunk::<7>().is_some_and(|(head, rest)| {
        let length = usize::from(u16::from_be_bytes([head[5], head[6]]));
        head[4] < OF_ID && rest.len() == length + 1 && rest[length] == KIND_ENTITY
    })
}

/// Whether a key is that of what is left of an event that was folded.
pub(crate) fn is_id(key: &[u8]) -> bool {
    let rest = key.split_first_chunk::<7>().and_then(|(head, rest)| {
        let length = usize::from(u16::from_be_bytes([head[5], head[6]]));
        rest.get(length..)
    });
    rest.is_some_and(|rest| rest.len() == 1 + EVENT_BYTES && rest[0] == KIND_ID)
}

/// Of an event's key: the entity key or its hash, whether it is that, and which of several equal ones it is. None for another's. Nobody's entity key is empty.
pub(crate) fn parse_event(key: &[u8]) -> Option<(&[u8], bool, u16)> {
    let (head, rest) = key.split_first_chunk::<7>()?;
    let (entity, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[5], head[6]])))?;
    let event: &[u8; EVENT_BYTES] = rest.strip_prefix(&[KIND_EVENT])?.try_into().ok()?;
    Some((entity, head[4] == 1, u16::from_be_bytes([event[EVENT_BYTES - 2], event[EVENT_BYTES - 1]])))
}

/// What tells an event from others of its time, but for equal ones.
pub(super) fn identity(record: &RecordRef<'_>) -> [u8; 12] {
    let mut bytes = Vec::with_capacity(18 + record.row.len());
    for optional in [record.created_time.map(|time| time.0), record.sequence] {
        bytes.push(u8::from(optional.is_some()));
        bytes.extend(optional.unwrap_or_default().to_be_bytes());
    }
    bytes.extend(record.row);
    let Digest(digest) = Digest::of(&bytes);
    digest[..12].try_into().expect("a digest is longer")
}

/// Bytes whose order is that of the times.
fn sortable(time: Timestamp) -> [u8; 8] {
    (time.0 ^ i64::MIN).to_be_bytes()
}

fn time(bytes: &[u8]) -> Option<Timestamp> {
    let (first, _) = bytes.split_first_chunk::<8>()?;
    Some(Timestamp(i64::from_be_bytes(*first) ^ i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(key: &[u8]) -> Prefix {
        Prefix::new(ViewId::new(0x0102_0304), key, Digest::of)
    }

    #[test]
    fn keys_are_pinned_and_in_the_order_of_times() {
        assert_eq!(prefix(b"ab").entity(), b"\x01\x02\x03\x04\x00\x00\x02ab\x00");
        assert_eq!(prefix(b"ab").tile(3, Timestamp(1)), b"\x01\x02\x03\x04\x00\x00\x02ab\x01\x03\x80\0\0\0\0\0\0\x01");
        let times = [i64::MIN, -1, 0, 1, i64::MAX];
        let keys = times.map(|time| prefix(b"ab").events(Timestamp(time)));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| prefix(b"ab").event_time(&key)), times.map(|time| Some(Timestamp(time))));
        assert_eq!(prefix(b"ab").event_time(&prefix(b"a").events(Timestamp(0))), None);
        // No entity's keys begin another's.
        assert!(!prefix(b"a\0\x02").events(Timestamp(0)).starts_with(&prefix(b"a").bytes));
    }

    #[test]
    fn entities_are_found_by_any_of_their_keys() {
        let (of, number) = (prefix(b"ab"), ViewId::new(0x0102_0304));
        for key in [of.entity(), of.tile(2, Timestamp(7)), of.events(Timestamp(-1))] {
            assert_eq!(Prefix::of_entity_key(number, &key), Some(of.clone()));
            assert!(key < of.after() && of.after() < prefix(b"ac").entity());
        }
        assert_eq!(Prefix::of_entity_key(ViewId::new(1), &of.entity()), None);
        assert_eq!(Prefix::of_entity_key(number, &of_id(number, b"abcdefghijkl")), None);
        assert_eq!(Prefix::of_entity_key(number, &Prefix::nobody(number).events(Timestamp(0))), None);
    }

    #[test]
    fn versions_lie_where_their_id_says() {
        let of = prefix(b"ab");
        let key = of.version(Timestamp(1), b"abcdefghijkl", 258);
        assert_eq!(of.event_version(&key), Some((*b"abcdefghijkl", 258)));
        assert_eq!(of.event_time(&key), Some(Timestamp(1)));
        assert_eq!(Prefix::from_bytes(of.bytes()), Some(of));
        assert_eq!(of_id(ViewId::new(1), b"abcdefghijkl"), b"\0\0\0\x01\x02abcdefghijkl");
        assert_eq!(Prefix::from_bytes(&of_id(ViewId::new(1), b"abcdefghijkl")), None);
        let nobody = Prefix::nobody(ViewId::new(1));
        assert!(nobody.is_nobody() && !prefix(b"").is_nobody() && nobody.bytes() == b"\0\0\0\x01\x03\0\0");
    }

    #[test]
    fn keys_of_events_are_read_back() {
        let record = RecordRef {
            event_time: Timestamp(5),
            created_time: None,
            sequence: None,
            published_time: Timestamp(6),
            digest: Digest([0; 32]),
            schema_fingerprint: 0,
            row: b"row",
        };
        let long = vec![7; KEY_BYTES_MAX];
        for key in [&b""[..], b"ab", &long] {
            let event = prefix(key).event(record.event_time, &Place::of(&record, 258));
            let hash = Digest::of(key).0;
            let expected = if key.len() > 100 { (&hash[..], true, 258) } else { (key, false, 258) };
            assert_eq!(parse_event(&event), Some(expected));
            for other in [prefix(key).entity(), prefix(key).tile(3, Timestamp(1)), event[..event.len() - 1].to_vec()] {
                assert_eq!(parse_event(&other), None);
            }
        }
    }

    #[test]
    fn long_keys_are_hashed() {
        let longest = vec![7; KEY_BYTES_MAX - 8 - EVENT_BYTES];
        assert!(!prefix(&longest).is_hashed() && prefix(&[&longest[..], &[7]].concat()).is_hashed());
        assert_eq!(prefix(&longest).events(Timestamp(0)).len() + 14, KEY_BYTES_MAX);
    }
}
