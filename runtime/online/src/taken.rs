//! Which files of a view's offline history were materialized: what a next run need not read again.
//!
//! An entry of the table `state`, under the byte `m`, the number of the generation ([`crate::generation`], big-endian) and the first 16 bytes of the SHA-256 of the file's path:
//!
//! ```text
//! offset  size  field (integers little-endian)
//! 0       1     entry format: 1
//! 1       7     zero
//! 8       8     size of the file in bytes, unsigned
//! 16      16    time of its last modification, nanoseconds since 1970-01-01T00:00:00Z, signed
//! 32      4     CRC-32C of the 32 bytes before
//! ```

use std::collections::HashMap;
use std::ops::ControlFlow;

use tandem_core::hash::Digest;

use crate::environment::Table;
use crate::error::OnlineError;
use crate::generation::Target;
use crate::store::Store;
use crate::view::ViewId;

const ENTRY_FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 36;
pub(crate) const KEY_TAG: u8 = b'm';
const PREFIX_BYTES: usize = 5;

/// A file as it was when it was materialized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenFile {
    /// Its size in bytes.
    pub size: u64,
    /// Time of its last modification, in nanoseconds since the Unix epoch.
    pub modified_nanos: i128,
}

/// The files of a view that were materialized.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    files: HashMap<[u8; 16], TakenFile>,
}

impl Taken {
    /// Whether this file was, as it is now.
    pub fn has(&self, path: &str, file: TakenFile) -> bool {
        self.files.get(&name(path)) == Some(&file)
    }
}

fn name(path: &str) -> [u8; 16] {
    let Digest(digest) = Digest::of(path.as_bytes());
    std::array::from_fn(|index| digest[index])
}

fn key(view: ViewId, path: &str) -> Vec<u8> {
    [&prefix(view)[..], &name(path)].concat()
}

fn prefix(view: ViewId) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = view.get().to_be_bytes();
    [KEY_TAG, a, b, c, d]
}

impl TakenFile {
    fn encode(self) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        entry[0] = ENTRY_FORMAT;
        entry[8..16].copy_from_slice(&self.size.to_le_bytes());
        entry[16..32].copy_from_slice(&self.modified_nanos.to_le_bytes());
        let checksum = crc32c::crc32c(&entry[..32]);
        entry[32..].copy_from_slice(&checksum.to_le_bytes());
        entry
    }

    /// Reads an entry; any bytes may be given.
    fn decode(bytes: &[u8]) -> Option<TakenFile> {
        let entry: &[u8; ENTRY_BYTES] = bytes.try_into().ok()?;
        let checksum = u32::from_le_bytes(std::array::from_fn(|index| entry[32 + index]));
        let sound = entry[..8] == [ENTRY_FORMAT, 0, 0, 0, 0, 0, 0, 0] && crc32c::crc32c(&entry[..32]) == checksum;
        sound.then(|| TakenFile {
            size: u64::from_le_bytes(std::array::from_fn(|index| entry[8 + index])),
            modified_nanos: i128::from_le_bytes(std::array::from_fn(|index| entry[16 + index])),
        })
    }
}

impl Store {
    /// The files of a view's history that were materialized. What cannot be read is as if it were not there: the file is read again, which changes nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn taken(&self, target: impl Into<Target>) -> Result<Taken, OnlineError> {
        let target = target.into();
        self.environment().read(|snapshot| {
            let prefix = prefix(self.read_number(snapshot, target)?);
            let mut taken = Taken::default();
            snapshot.scan(Table::State, &prefix, |key, value| {
                let Some(name) = key.strip_prefix(&prefix) else { return Ok(ControlFlow::Break(())) };
                if let (Ok(name), Some(file)) = (name.try_into(), TakenFile::decode(value)) {
                    taken.files.insert(name, file);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(taken)
        })
    }

    /// Records files that were materialized: all of their rows are in the store, or need not be. When it returns, that is on disk.
    ///
    /// # Errors
    /// Nothing is recorded.
    pub fn take_files(&self, target: impl Into<Target>, files: &[(String, TakenFile)]) -> Result<(), OnlineError> {
        let target = target.into();
        self.environment().write(|txn| {
            // The other one reads them again, should it be served: that changes nothing.
            let number = self.numbers_in(txn, target)?.first;
            files.iter().try_for_each(|(path, file)| txn.put(Table::State, &key(number, path), &file.encode()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_format_1_is_pinned() {
        let file = TakenFile { size: 258, modified_nanos: -2 };
        let bytes = file.encode();
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0];
        expected.extend((-2_i128).to_le_bytes());
        assert_eq!(bytes[..32], expected);
        assert_eq!(TakenFile::decode(&bytes), Some(file));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(TakenFile::decode(&bytes), None, "bit {bit}");
        }
        let key = key(ViewId::new(0x0102_0304), "a");
        assert_eq!((key.len(), &key[..5]), (21, &b"m\x01\x02\x03\x04"[..]));
    }
}
