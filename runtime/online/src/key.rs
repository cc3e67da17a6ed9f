//! Keys of records inside LMDB.
//!
//! ```text
//! offset  size  field
//! 0       4     number of the generation, big-endian, so that its records lie together
//! 4       1     0: the entity key follows; 1: its SHA-256 follows
//! 5       n     the entity key (n <= 506), or its SHA-256 (n = 32)
//! ```
//!
//! LMDB takes keys of at most 511 bytes. A longer one is hashed and its record holds the full key, which is compared on every access.

use smallvec::SmallVec;
use tandem_core::hash::Digest;

use crate::environment::KEY_BYTES_MAX;
use crate::view::ViewId;

const PREFIX_BYTES: usize = 5;
const TAG_WHOLE: u8 = 0;
const TAG_HASHED: u8 = 1;

/// Longest entity key that stands in the LMDB key as it is, in bytes.
pub(crate) const WHOLE_KEY_BYTES_MAX: usize = KEY_BYTES_MAX - PREFIX_BYTES;

/// The hash of long keys; a value of its own so that a test can make keys collide.
pub(crate) type KeyHash = fn(&[u8]) -> Digest;

/// The key of an entity's record. A look-up has one for each entity: most are short, and need no memory of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RecordKey(SmallVec<[u8; 40]>);

impl RecordKey {
    pub(crate) fn new(view: ViewId, entity_key: &[u8], hash: KeyHash) -> RecordKey {
        let mut bytes = SmallVec::with_capacity(PREFIX_BYTES + entity_key.len().min(WHOLE_KEY_BYTES_MAX));
        bytes.extend_from_slice(&view.get().to_be_bytes());
        if entity_key.len() <= WHOLE_KEY_BYTES_MAX {
            bytes.push(TAG_WHOLE);
            bytes.extend_from_slice(entity_key);
        } else {
            bytes.push(TAG_HASHED);
            bytes.extend_from_slice(&hash(entity_key).0);
        }
        RecordKey(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its first bytes as a number of the same order; where they are equal the keys decide.
    pub(crate) fn head(&self) -> u128 {
        let mut head = [0; 16];
        let count = self.0.len().min(head.len());
        head[..count].copy_from_slice(&self.0[..count]);
        u128::from_be_bytes(head)
    }

    /// Whether the record must hold the full entity key.
    pub(crate) fn is_hashed(&self) -> bool {
        self.0[PREFIX_BYTES - 1] == TAG_HASHED
    }
}

impl AsRef<[u8]> for RecordKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The entity key of a record: what stands in its own key, or the full key that it holds where its own is a hash. None where they do not go together.
pub(crate) fn entity_key<'a>(record_key: &'a [u8], full_key: Option<&'a [u8]>) -> Option<&'a [u8]> {
    let (prefix, rest) = record_key.split_at_checked(PREFIX_BYTES)?;
    match (prefix[PREFIX_BYTES - 1], full_key) {
        (TAG_WHOLE, None) => Some(rest),
        (TAG_HASHED, Some(key)) => Some(key),
        _ => None,
    }
}

/// The key of a row of the push log: number of the view and sequence, both big-endian.
pub(crate) fn log_key(view: ViewId, sequence: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&view.get().to_be_bytes());
    key[4..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// The view and the sequence of a key of the push log.
pub(crate) fn parse_log_key(key: &[u8]) -> Option<(ViewId, u64)> {
    let (view, sequence) = key.split_first_chunk::<4>()?;
    let sequence = u64::from_be_bytes(sequence.try_into().ok()?);
    Some((ViewId::new(u32::from_be_bytes(*view)), sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_pinned() {
        let view = ViewId::new(0x0102_0304);
        assert_eq!(RecordKey::new(view, b"ab", Digest::of).as_bytes(), b"\x01\x02\x03\x04\x00ab");
        assert_eq!(RecordKey::new(view, b"", Digest::of).as_bytes(), b"\x01\x02\x03\x04\x00");

        let longest = vec![7; WHOLE_KEY_BYTES_MAX];
        let key = RecordKey::new(view, &longest, Digest::of);
        assert_eq!((key.as_bytes().len(), key.is_hashed()), (KEY_BYTES_MAX, false));

        let hashed = vec![7; WHOLE_KEY_BYTES_MAX + 1];
        let key = RecordKey::new(view, &hashed, Digest::of);
        assert_eq!(key.as_bytes()[..5], *b"\x01\x02\x03\x04\x01");
        assert_eq!(key.as_bytes()[5..], Digest::of(&hashed).0);
        assert!(key.is_hashed());
    }

    #[test]
    fn keys_of_the_log_are_pinned() {
        let key = log_key(ViewId::new(0x0102_0304), 5);
        assert_eq!(key, *b"\x01\x02\x03\x04\0\0\0\0\0\0\0\x05");
        assert_eq!(parse_log_key(&key), Some((ViewId::new(0x0102_0304), 5)));
        for wrong in [&key[..11], b"", &[0; 13]] {
            assert_eq!(parse_log_key(wrong), None);
        }
    }

    #[test]
    fn a_key_that_looks_like_a_hash_is_another_key() {
        let view = ViewId::new(1);
        let long = vec![9; 600];
        let hash = Digest::of(&long).0;
        assert_ne!(RecordKey::new(view, &long, Digest::of), RecordKey::new(view, &hash, Digest::of));
    }
}
