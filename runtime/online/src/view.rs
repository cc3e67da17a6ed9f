//! The views in a store and their numbers.
//!
//! A view's version has one entry. Its key is the name, a zero byte and the version (big-endian u32); its value:
//!
//! ```text
//! offset  size  field (integers little-endian)
//! 0       1     entry format: 1
//! 1       3     zero
//! 4       4     number of the view in this store, from 1
//! 8       8     created at, microseconds since 1970-01-01T00:00:00Z, signed
//! 16      8     fingerprint of the output schema
//! 24      32    definition hash
//! 56      32    SHA-256 of the component
//! 88      4     CRC-32C of the 88 bytes before
//! ```

use tandem_core::hash::Digest;
use tandem_core::time::Timestamp;

const ENTRY_FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 92;

/// The number of a view's version inside one store. Only the store gives them out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ViewId(u32);

impl ViewId {
    pub(crate) const fn new(number: u32) -> Self {
        ViewId(number)
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// What a view's version is, as its definition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewIdentity<'a> {
    /// Name of the view.
    pub name: &'a str,
    /// Its version.
    pub version: u32,
    /// Hash over everything that can change a value.
    pub definition_hash: Digest,
    /// SHA-256 of its component.
    pub digest: Digest,
    /// Fingerprint of its output schema.
    pub schema_fingerprint: u64,
}

/// A view's version in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its number in this store.
    pub id: ViewId,
    /// Name of the view.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// Hash over everything that can change a value.
    pub definition_hash: Digest,
    /// SHA-256 of its component.
    pub digest: Digest,
    /// Fingerprint of its output schema.
    pub schema_fingerprint: u64,
    /// When it was first used in this store.
    pub created_at: Timestamp,
}

pub(crate) fn entry_key(name: &str, version: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 5);
    key.extend_from_slice(name.as_bytes());
    key.push(0);
    key.extend_from_slice(&version.to_be_bytes());
    key
}

impl View {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ENTRY_BYTES);
        bytes.extend_from_slice(&[ENTRY_FORMAT, 0, 0, 0]);
        bytes.extend_from_slice(&self.id.0.to_le_bytes());
        bytes.extend_from_slice(&self.created_at.0.to_le_bytes());
        bytes.extend_from_slice(&self.schema_fingerprint.to_le_bytes());
        bytes.extend_from_slice(&self.definition_hash.0);
        bytes.extend_from_slice(&self.digest.0);
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads an entry; any bytes may be given.
    pub(crate) fn decode(key: &[u8], bytes: &[u8]) -> Result<View, &'static str> {
        let (name, version) = key
            .split_last_chunk::<4>()
            .and_then(|(rest, version)| Some((rest.strip_suffix(&[0])?, version)))
            .ok_or("key")?;
        let name = str::from_utf8(name).map_err(|_| "name")?;
        if bytes.len() != ENTRY_BYTES {
            return Err("length");
        }
        if bytes[..4] != [ENTRY_FORMAT, 0, 0, 0] {
            return Err("format");
        }
        if crc32c::crc32c(&bytes[..88]) != u32::from_le_bytes(array(bytes, 88)) {
            return Err("checksum");
        }
        Ok(View {
            id: ViewId(u32::from_le_bytes(array(bytes, 4))),
            name: name.to_owned(),
            version: u32::from_be_bytes(*version),
            definition_hash: Digest(array(bytes, 24)),
            digest: Digest(array(bytes, 56)),
            schema_fingerprint: u64::from_le_bytes(array(bytes, 16)),
            created_at: Timestamp(i64::from_le_bytes(array(bytes, 8))),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View {
            id: ViewId(7),
            name: "spend".to_owned(),
            version: 258,
            definition_hash: Digest([1; 32]),
            digest: Digest([2; 32]),
            schema_fingerprint: 3,
            created_at: Timestamp(-4),
        }
    }

    #[test]
    fn entry_format_1_is_pinned() {
        let key = entry_key("spend", 258);
        assert_eq!(key, b"spend\0\0\0\x01\x02");
        let bytes = view().encode();
        let mut expected = vec![1, 0, 0, 0, 7, 0, 0, 0];
        expected.extend([0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([[1; 32], [2; 32]].concat());
        assert_eq!(bytes[..88], expected);
        assert_eq!(View::decode(&key, &bytes), Ok(view()));
    }

    #[test]
    fn damage_is_found() {
        let (key, bytes) = (entry_key("spend", 258), view().encode());
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(View::decode(&key, &bytes).is_err(), "bit {bit}");
        }
        for end in 0..bytes.len() {
            assert!(View::decode(&key, &bytes[..end]).is_err(), "cut at {end}");
        }
        for key in [&b""[..], b"abc", b"spend\x01\0\0\0\0", b"\xff\0\0\0\0\0"] {
            assert!(View::decode(key, &bytes).is_err(), "key {key:?}");
        }
    }
}
