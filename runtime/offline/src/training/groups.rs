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
    /// Keys of eight bytes that lie close together, by what they are more than the least; [`NONE`] for those between them.
    Dense { least: u64, numbers: Vec<u32>, len: usize },
    /// Any keys.
    Bytes(HashMap<Box<[u8]>, u32>),
}

/// Places in a table of dense keys for each of them: beyond this it takes more memory than a hash table.
const DENSE_PLACES_MAX: usize = 8;

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

    /// The keys of all of them, each once, numbered in their order, and the bytes of each.
    pub(super) fn in_order(join_keys: &[JoinKey], all: Vec<Groups>) -> (Self, Vec<Box<[u8]>>) {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        for groups in all {
            match groups {
                Groups::Eight(groups) => keys.extend(groups.into_keys().map(|key| Box::from(key.to_be_bytes()))),
                Groups::Dense { least, numbers, .. } => {
                    let there = (least..).zip(numbers).filter(|(_, number)| *number != NONE);
                    keys.extend(there.map(|(key, _)| Box::from(key.to_be_bytes())));
                }
                Groups::Bytes(groups) => keys.extend(groups.into_keys()),
            }
        }
        keys.sort_unstable();
        keys.dedup();
        let mut numbered = Groups::new(join_keys);
        for (number, key) in keys.iter().enumerate() {
            match &mut numbered {
                Groups::Eight(groups) => {
                    let key = key[..].try_into().expect("such a key has eight bytes");
                    groups.insert(u64::from_be_bytes(key), number as u32);
                }
                Groups::Bytes(groups) => drop(groups.insert(key.clone(), number as u32)),
                Groups::Dense { .. } => unreachable!("none are finished yet"),
            }
        }
        (numbered.finished(), keys)
    }

    /// The same, to be looked up: no key is added any more.
    pub(super) fn finished(self) -> Self {
        let Groups::Eight(groups) = &self else { return self };
        let (Some(least), Some(greatest)) = (groups.keys().min(), groups.keys().max()) else { return self };
        let (least, span) = (*least, greatest - least);
        if span >= (groups.len() * DENSE_PLACES_MAX) as u64 {
            return self;
        }
        let mut numbers = vec![NONE; span as usize + 1];
        groups.iter().for_each(|(key, number)| numbers[(key - least) as usize] = *number);
        Groups::Dense { least, numbers, len: groups.len() }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Groups::Eight(groups) => groups.len(),
            Groups::Dense { len, .. } => *len,
            Groups::Bytes(groups) => groups.len(),
        }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Groups::Eight(groups) => groups.allocation_size() as u64,
            Groups::Dense { numbers, .. } => size_of_val(&numbers[..]) as u64,
            // Each key is allocated for itself, with what the allocator needs for it.
            Groups::Bytes(groups) => {
                let keys: usize = groups.keys().map(|key| key.len().next_multiple_of(16) + 16).sum();
                (groups.allocation_size() + keys) as u64
            }
        }
    }

    /// The group of a row's key, a new one if it has none yet; None where the key has a null or NaN.
    ///
    /// # Panics
    ///
    /// If they are [`Groups::finished`].
    pub(super) fn add(&mut self, encoder: &KeyEncoder, row: usize, bytes: &mut Vec<u8>) -> Option<u32> {
        let next = self.len() as u32;
        match self {
            Groups::Eight(groups) => encoder.eight(row).map(|key| *groups.entry(key).or_insert(next)),
            Groups::Dense { .. } => panic!("they are finished"),
            Groups::Bytes(groups) => {
                bytes.clear();
                encoder.encode_into(row, bytes).then(|| match groups.get(&bytes[..]) {
                    Some(group) => *group,
                    None => *groups.entry(bytes.as_slice().into()).or_insert(next),
                })
            }
        }
    }

    /// The groups of all rows of a batch.
    pub(super) fn find(&self, encoder: &KeyEncoder, found: &mut Found) {
        let Found { groups: out, null_keys, bytes } = found;
        out.clear();
        let mut group = |there: bool, group: Option<&u32>| {
            *null_keys += u64::from(!there);
            group.copied().unwrap_or(NONE)
        };
        match self {
            Groups::Eight(groups) => {
                encoder.eights(|key| out.push(group(key.is_some(), key.and_then(|key| groups.get(&key)))));
            }
            Groups::Dense { least, numbers, .. } => encoder.eights(|key| {
                let number = |key: u64| numbers.get(usize::try_from(key.checked_sub(*least)?).ok()?);
                out.push(group(key.is_some(), key.and_then(number)));
            }),
            Groups::Bytes(groups) => out.extend((0..encoder.rows()).map(|row| {
                bytes.clear();
                let there = encoder.encode_into(row, bytes);
                group(there, if there { groups.get(&bytes[..]) } else { None })
            })),
        }
    }
}
