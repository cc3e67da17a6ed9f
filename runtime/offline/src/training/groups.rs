//! The labels' distinct keys, numbered.

use hashbrown::HashMap;
use tandem_core::key::KeyEncoder;
use tandem_core::model::JoinKey;
use tandem_core::types::DataType;

/// No group: a key that no label has, or one with a null or NaN.
pub(super) const NONE: u32 = u32::MAX;

/// Numbers by key.
#[derive(Debug)]
pub(super) enum Groups {
    /// Keys of eight bytes.
    Eight(HashMap<u64, u32>),
    /// Any keys.
    Bytes(HashMap<Box<[u8]>, u32>),
}

/// What came of the keys of a batch.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The group of each row, or [`NONE`].
    pub(super) groups: Vec<u32>,
    /// Rows whose key has a null or NaN.
    pub(super) null_keys: u64,
    bytes: Vec<u8>,
}

impl Groups {
    /// None yet.
    pub(super) fn new(join_keys: &[JoinKey]) -> Self {
        match join_keys {
            [JoinKey { data_type: DataType::Int64 | DataType::Float64 | DataType::Timestamp, .. }] => {
                Groups::Eight(HashMap::new())
            }
            _ => Groups::Bytes(HashMap::new()),
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Groups::Eight(groups) => groups.len(),
            Groups::Bytes(groups) => groups.len(),
        }
    }

    /// The group of a row's key, a new one if it has none yet; None where the key has a null or NaN.
    pub(super) fn add(&mut self, encoder: &KeyEncoder, row: usize, bytes: &mut Vec<u8>) -> Option<u32> {
        bytes.clear();
        if !encoder.encode_into(row, bytes) {
            return None;
        }
        let next = self.len() as u32;
        Some(match self {
            Groups::Eight(groups) => *groups.entry(eight(bytes)).or_insert(next),
            Groups::Bytes(groups) => match groups.get(&bytes[..]) {
                Some(group) => *group,
                None => *groups.entry(bytes.as_slice().into()).or_insert(next),
            },
        })
    }

    /// The groups of all rows of a batch.
    pub(super) fn find(&self, encoder: &KeyEncoder, found: &mut Found) {
        let Found { groups: out, null_keys, bytes } = found;
        out.clear();
        for row in 0..encoder.rows() {
            bytes.clear();
            if !encoder.encode_into(row, bytes) {
                *null_keys += 1;
                out.push(NONE);
                continue;
            }
            let group = match self {
                Groups::Eight(groups) => groups.get(&eight(bytes)),
                Groups::Bytes(groups) => groups.get(&bytes[..]),
            };
            out.push(group.copied().unwrap_or(NONE));
        }
    }
}

fn eight(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("such a key has eight bytes"))
}
