//! Distinct keys, numbered: those of labels, or of events.

use hashbrown::HashMap;
use tandem_core::key::KeyEncoder;
use tandem_core::model::JoinKey;
use tandem_core::types::DataType;

/// No group: a key that no label has, or one with a null or NaN.
pub(super) const NONE: u32 = u32::MAX;

/// Keys that are numbered as they come.
#[derive(Debug)]
pub(super) enum Numbering {
    /// Keys of eight bytes.
    Eight(HashMap<u64, u32>),
    /// Any keys.
    Bytes(HashMap<Box<[u8]>, u32>),
}

/// Numbers by key, to be looked up: none is added any more.
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

/// Whether values of a type have eight bytes.
pub(super) fn is_eight(data_type: DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::Float64 | DataType::Timestamp)
}

impl Numbering {
    /// None yet.
    pub(super) fn new(join_keys: &[JoinKey]) -> Self {
        match join_keys {
            [key] if is_eight(key.data_type) => Numbering::Eight(HashMap::new()),
            _ => Numbering::Bytes(HashMap::new()),
        }
    }

    /// The group of a row's key, a new one if it has none yet; None where the key has a null or NaN.
    pub(super) fn add(&mut self, encoder: &KeyEncoder, row: usize, bytes: &mut Vec<u8>) -> Option<u32> {
        match self {
            Numbering::Eight(groups) => {
                let next = groups.len() as u32;
                encoder.eight(row).map(|key| *groups.entry(key).or_insert(next))
            }
            Numbering::Bytes(groups) => {
                bytes.clear();
                let next = groups.len() as u32;
                encoder.encode_into(row, bytes).then(|| match groups.get(&bytes[..]) {
                    Some(group) => *group,
                    None => *groups.entry(bytes.as_slice().into()).or_insert(next),
                })
            }
        }
    }

    /// The same, to be looked up.
    pub(super) fn finish(self) -> Groups {
        match self {
            Numbering::Eight(groups) => Groups::of_eight(groups),
            Numbering::Bytes(groups) => Groups::Bytes(groups),
        }
    }
}

impl Groups {
    /// The keys of all of them, which are of `join_keys`, each once, numbered in their order, and the bytes of each.
    pub(super) fn in_order(join_keys: &[JoinKey], all: Vec<Numbering>) -> (Self, Vec<Box<[u8]>>) {
        let (mut eights, mut others): (Vec<u64>, Vec<Box<[u8]>>) = (Vec::new(), Vec::new());
        for numbering in all {
            match numbering {
                Numbering::Eight(groups) => eights.extend(groups.into_keys()),
                Numbering::Bytes(groups) => others.extend(groups.into_keys()),
            }
        }
        match Numbering::new(join_keys) {
            Numbering::Eight(_) => {
                eights.sort_unstable();
                eights.dedup();
                let groups = Groups::of_eight(eights.iter().copied().zip(0..).collect());
                (groups, eights.into_iter().map(|key| Box::from(key.to_be_bytes())).collect())
            }
            Numbering::Bytes(_) => {
                others.sort_unstable();
                others.dedup();
                (Groups::Bytes(others.iter().cloned().zip(0..).collect()), others)
            }
        }
    }

    /// As a table, where that takes no more memory than they do.
    fn of_eight(groups: HashMap<u64, u32>) -> Self {
        let (Some(least), Some(greatest)) = (groups.keys().min(), groups.keys().max()) else {
            return Groups::Eight(groups);
        };
        let (least, span) = (*least, greatest - least);
        if span >= (groups.len() * DENSE_PLACES_MAX) as u64 {
            return Groups::Eight(groups);
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
