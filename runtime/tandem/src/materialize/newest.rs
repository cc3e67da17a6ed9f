//! The newest row of each entity among rows that come in any order: in memory up to a limit, beyond it in temporary files that are merged.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use hashbrown::HashTable;
use tandem_core::time::Timestamp;

use super::rows::{RowBytes, Times};

/// Bytes that are asked of the system at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of a file that are read or written at once: there may be some dozen files.
const FILE_BUFFER_BYTES: usize = 256 << 10;

/// What an entity takes beside its key and its row: its slot, and its place in the table.
const SLOT_BYTES: usize = size_of::<Slot>() + 2 * size_of::<Entry>();

/// The newest rows so far.
pub(super) struct Newest {
    bytes_max: usize,
    hasher: RandomState,
    /// Slots, by the hash of their keys.
    table: HashTable<Entry>,
    slots: Vec<Slot>,
    bytes: Chunks,
    runs: Vec<Run>,
}

/// A slot's place in the table.
struct Entry {
    hash: u64,
    slot: u32,
}

struct Slot {
    times: Times,
    key: Place,
    row: Place,
}

/// Bytes in chunks.
#[derive(Clone, Copy)]
struct Place {
    chunk: u32,
    start: u32,
    len: u32,
}

/// Bytes that do not move.
#[derive(Default)]
struct Chunks {
    chunks: Vec<Vec<u8>>,
    /// Bytes of all of them.
    capacity: usize,
}

impl Chunks {
    fn get(&self, place: Place) -> &[u8] {
        &self.chunks[place.chunk as usize][place.start as usize..][..place.len as usize]
    }

    fn add(&mut self, bytes: &[u8]) -> Place {
        if self.chunks.last().is_none_or(|chunk| chunk.capacity() - chunk.len() < bytes.len()) {
            self.chunks.push(Vec::with_capacity(bytes.len().max(CHUNK_BYTES)));
            self.capacity += bytes.len().max(CHUNK_BYTES);
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        let place = Place { chunk: last as u32, start: chunk.len() as u32, len: bytes.len() as u32 };
        chunk.extend_from_slice(bytes);
        place
    }

    /// Puts other bytes in the place of some: where these lie, if there is room.
    fn replace(&mut self, place: Place, bytes: &[u8]) -> Place {
        if bytes.len() > place.len as usize {
            return self.add(bytes);
        }
        self.chunks[place.chunk as usize][place.start as usize..][..bytes.len()].copy_from_slice(bytes);
        Place { len: bytes.len() as u32, ..place }
    }

    fn clear(&mut self) {
        self.chunks.clear();
        self.capacity = 0;
    }
}

impl Newest {
    /// `bytes_max`: what is held in memory, roughly; what is more goes into temporary files.
    pub(super) fn new(bytes_max: usize) -> Self {
        Newest {
            bytes_max,
            hasher: RandomState::new(),
            table: HashTable::new(),
            slots: Vec::new(),
            bytes: Chunks::default(),
            runs: Vec::new(),
        }
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.runs.is_empty()
    }

    /// Bytes in temporary files.
    pub(super) fn spilled_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }

    /// Takes a row, if it is the newest of its entity so far. `encode` replaces what is in a buffer by the row's canonical bytes; it is only called where these are
    /// needed. Of rows that are equal the first stays.
    ///
    /// # Errors
    /// A temporary file cannot be written.
    pub(super) fn add(
        &mut self,
        key: &[u8],
        times: Times,
        buffer: &mut Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> io::Result<()> {
        let (slots, bytes) = (&mut self.slots, &mut self.bytes);
        let hash = self.hasher.hash_one(key);
        let is_it = |entry: &Entry| entry.hash == hash && bytes.get(slots[entry.slot as usize].key) == key;
        if let Some(entry) = self.table.find(hash, is_it) {
            let slot = &mut slots[entry.slot as usize];
            match times.order().cmp(&slot.times.order()) {
                Ordering::Less => return Ok(()),
                Ordering::Equal => {
                    encode(buffer);
                    if buffer[..] <= *bytes.get(slot.row) {
                        return Ok(());
                    }
                }
                Ordering::Greater => encode(buffer),
            }
            slot.times = times;
            slot.row = bytes.replace(slot.row, buffer);
        } else {
            encode(buffer);
            let entry = Entry { hash, slot: slots.len() as u32 };
            slots.push(Slot { times, key: bytes.add(key), row: bytes.add(buffer) });
            self.table.insert_unique(hash, entry, |entry| entry.hash);
        }
        if self.bytes.capacity + self.slots.len() * SLOT_BYTES > self.bytes_max {
            self.spill()?;
        }
        Ok(())
    }

    /// Positions of slots in the order of their keys.
    fn order(&self) -> Vec<u32> {
        let key = |slot: u32| self.bytes.get(self.slots[slot as usize].key);
        // The first bytes of keys decide mostly, and lie beside each other.
        let beginning = |slot: u32| {
            let (key, mut beginning) = (key(slot), [0; 8]);
            let len = key.len().min(8);
            beginning[..len].copy_from_slice(&key[..len]);
            (u64::from_be_bytes(beginning), slot)
        };
        let mut order: Vec<(u64, u32)> = (0..self.slots.len() as u32).map(beginning).collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| key(a.1).cmp(key(b.1))));
        order.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Writes what is in memory into a temporary file.
    fn spill(&mut self) -> io::Result<()> {
        // Without a name, so that it is gone with the process.
        let mut file = BufWriter::with_capacity(FILE_BUFFER_BYTES, tempfile::tempfile()?);
        for slot in self.order() {
            let Slot { times, key, row } = &self.slots[slot as usize];
            write_row(&mut file, self.bytes.get(*key), times, self.bytes.get(*row))?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let bytes = file.stream_position()?;
        file.rewind()?;
        self.runs.push(Run { file, bytes, rows: self.slots.len() as u64 });
        self.table.clear();
        self.slots.clear();
        self.bytes.clear();
        Ok(())
    }

    /// The newest rows in the order of their keys.
    ///
    /// # Errors
    /// A temporary file cannot be written or read.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        if self.runs.is_empty() {
            self.table = HashTable::new();
            let order = self.order().into_iter();
            return Ok(Sorted::Memory(self, order));
        }
        if !self.slots.is_empty() {
            self.spill()?;
        }
        let (mut readers, mut heads) = (Vec::new(), BinaryHeap::new());
        for (at, run) in self.runs.into_iter().enumerate() {
            let file = BufReader::with_capacity(FILE_BUFFER_BYTES, run.file);
            let mut reader = RunReader { file, rows_left: run.rows };
            let mut head = Head { key: Vec::new(), times: Times::default(), row: Vec::new(), run: at };
            if reader.read(&mut head)? {
                heads.push(Reverse(head));
            }
            readers.push(reader);
        }
        Ok(Sorted::Files(readers, heads))
    }
}

/// Rows in the order of their keys, of each entity one.
pub(super) enum Sorted {
    Memory(Newest, std::vec::IntoIter<u32>),
    Files(Vec<RunReader>, BinaryHeap<Reverse<Head>>),
}

impl Sorted {
    /// The next rows: at most `rows_max`, and not many more than `bytes_max` bytes of them; empty at the end.
    ///
    /// # Errors
    /// A temporary file cannot be read.
    pub(super) fn next(&mut self, rows_max: usize, bytes_max: usize) -> io::Result<RowBytes> {
        let mut rows = RowBytes::default();
        while rows.rows.len() < rows_max && rows.bytes.len() < bytes_max {
            match self {
                Sorted::Memory(newest, order) => {
                    let Some(slot) = order.next() else { break };
                    let Slot { times, key, row } = &newest.slots[slot as usize];
                    rows.push(newest.bytes.get(*key), *times, newest.bytes.get(*row));
                }
                Sorted::Files(readers, heads) => {
                    let Some(Reverse(mut best)) = heads.pop() else { break };
                    // The others of the entity, in the order in which they came.
                    while heads.peek().is_some_and(|Reverse(head)| head.key == best.key) {
                        let Some(Reverse(mut other)) = heads.pop() else { break };
                        if (other.times.order(), &other.row) > (best.times.order(), &best.row) {
                            std::mem::swap(&mut best, &mut other);
                        }
                        if readers[other.run].read(&mut other)? {
                            heads.push(Reverse(other));
                        }
                    }
                    rows.push(&best.key, best.times, &best.row);
                    if readers[best.run].read(&mut best)? {
                        heads.push(Reverse(best));
                    }
                }
            }
        }
        Ok(rows)
    }
}

/// Rows in a temporary file, sorted by their keys.
struct Run {
    file: File,
    bytes: u64,
    rows: u64,
}

pub(super) struct RunReader {
    file: BufReader<File>,
    rows_left: u64,
}

/// The next row of a run.
pub(super) struct Head {
    key: Vec<u8>,
    times: Times,
    row: Vec<u8>,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

/// Lengths of key and row, which of the times are there, the four times, each eight bytes; then key and row.
const FRAME_BYTES: usize = 4 + 4 + 1 + 4 * 8;

fn write_row(out: &mut impl Write, key: &[u8], times: &Times, row: &[u8]) -> io::Result<()> {
    let mut frame = [0; FRAME_BYTES];
    frame[..4].copy_from_slice(&(key.len() as u32).to_le_bytes());
    frame[4..8].copy_from_slice(&(row.len() as u32).to_le_bytes());
    frame[8] = u8::from(times.created.is_some()) | u8::from(times.sequence.is_some()) << 1;
    let numbers =
        [times.event.0, times.created.unwrap_or_default().0, times.sequence.unwrap_or_default(), times.published.0];
    for (at, number) in numbers.iter().enumerate() {
        frame[9 + 8 * at..17 + 8 * at].copy_from_slice(&number.to_le_bytes());
    }
    out.write_all(&frame)?;
    out.write_all(key)?;
    out.write_all(row)
}

impl RunReader {
    /// Replaces `head` by the next row; false at the end.
    fn read(&mut self, head: &mut Head) -> io::Result<bool> {
        let Some(left) = self.rows_left.checked_sub(1) else { return Ok(false) };
        self.rows_left = left;
        let mut frame = [0; FRAME_BYTES];
        self.file.read_exact(&mut frame)?;
        let length = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| frame[at + byte])) as usize;
        let number = |at: usize| i64::from_le_bytes(std::array::from_fn(|byte| frame[9 + 8 * at + byte]));
        head.times = Times {
            event: Timestamp(number(0)),
            created: (frame[8] & 1 != 0).then(|| Timestamp(number(1))),
            sequence: (frame[8] & 2 != 0).then(|| number(2)),
            published: Timestamp(number(3)),
        };
        for (bytes, length) in [(&mut head.key, length(0)), (&mut head.row, length(4))] {
            bytes.resize(length, 0);
            self.file.read_exact(bytes)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::rows::EncodedRow;
    use super::*;

    type Row = (Vec<u8>, i64, Option<i64>, Option<i64>, Vec<u8>);

    /// Few entities, times and values, so that ties are the rule, and keys of any length, also with equal beginnings.
    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let key = prop_oneof![vec(0..2_u8, 0..4), (0..6_u8).prop_map(|last| [vec![7; 12], vec![last]].concat())];
        let some = || proptest::option::of(prop_oneof![Just(i64::MIN), 0..2_i64]);
        let row = prop_oneof![vec(0..3_u8, 0..3), (0..3_u8).prop_map(|byte| vec![byte; 40])];
        vec((key, prop_oneof![-1..2_i64, Just(i64::MAX)], some(), some(), row), 0..120)
    }

    fn found(rows: &RowBytes) -> Vec<(Vec<u8>, Times, Vec<u8>)> {
        let row =
            |row: &EncodedRow| (rows.bytes[row.key.clone()].to_vec(), row.times, rows.bytes[row.row.clone()].to_vec());
        rows.rows.iter().map(row).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn each_entity_has_its_greatest_row_whatever_memory_there_is(
            rows in rows(), bytes_max in prop_oneof![Just(0), Just(CHUNK_BYTES + 800), Just(CHUNK_BYTES + 4_000), Just(1 << 30)],
            rows_max in 1..9_usize, piece_bytes in 1..200_usize,
        ) {
            let mut newest = Newest::new(bytes_max);
            let mut expected: BTreeMap<Vec<u8>, (Times, Vec<u8>)> = BTreeMap::new();
            let mut buffer = Vec::new();
            for (at, (key, event, created, sequence, row)) in rows.iter().enumerate() {
                // The published time says which of equal rows it is.
                let times = Times {
                    event: Timestamp(*event), created: created.map(Timestamp), sequence: *sequence, published: Timestamp(at as i64),
                };
                newest.add(key, times, &mut buffer, |buffer| { buffer.clear(); buffer.extend_from_slice(row) }).unwrap();
                let is_greater = |(best, bytes): &(Times, Vec<u8>)| {
                    (event, created, sequence, row) > (&best.event.0, &best.created.map(|time| time.0), &best.sequence, bytes)
                };
                if expected.get(key).is_none_or(is_greater) {
                    expected.insert(key.clone(), (times, row.clone()));
                }
            }
            prop_assert_eq!(newest.is_empty(), rows.is_empty());
            prop_assert!(bytes_max > 0 || newest.spilled_bytes() > 0 || rows.is_empty());
            let mut sorted = newest.sorted().unwrap();
            let mut got = Vec::new();
            loop {
                let rows = sorted.next(rows_max, piece_bytes).unwrap();
                if rows.rows.is_empty() {
                    break;
                }
                prop_assert!(rows.rows.len() <= rows_max);
                got.extend(found(&rows));
            }
            let expected: Vec<_> = expected.into_iter().map(|(key, (times, row))| (key, times, row)).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut newest = Newest::new(4 << 20);
        let mut buffer = Vec::new();
        for number in 0..60_000_u32 {
            let key = number.wrapping_mul(2_654_435_761).to_be_bytes();
            let times = Times { event: Timestamp(i64::from(number)), ..Times::default() };
            newest
                .add(&key, times, &mut buffer, |buffer| {
                    buffer.clear();
                    buffer.resize(200, 1)
                })
                .unwrap();
            assert!(newest.bytes.capacity + newest.slots.len() * SLOT_BYTES <= 4 << 20);
        }
        assert!(newest.runs.len() >= 4, "{} runs", newest.runs.len());
        assert!(newest.spilled_bytes() > 10 << 20);
        let mut sorted = newest.sorted().unwrap();
        let rows = sorted.next(usize::MAX, usize::MAX).unwrap();
        assert_eq!(rows.rows.len(), 60_000);
    }
}
