//! Generations of a view: what is served, and beside it what is being rebuilt, or what was served before.
//!
//! A view's rows, its events and tiles, and the files that were taken lie under a number of their own for each generation. The first generation has the view's number; later ones
//! have numbers from 0x80000000 on, which are given once in a store. Which generation is live is one entry of the table `state`, under the byte `g` and
//! the number of the view (big-endian); a view without it has its first generation alone:
//!
//! ```text
//! offset  size  field (integers little-endian)
//! 0       1     entry format: 1
//! 1       1     the other generation: 0 none, 1 it is being built, 2 it is kept, 3 it is being dropped
//! 2       6     zero
//! 8       4     number of the live generation
//! 12      4     its ordinal: 0 for the first
//! 16      4     number of the other generation; zero where there is none
//! 20      4     its ordinal
//! 24      4     the next ordinal
//! 28      4     CRC-32C of the 28 bytes before
//! ```
//!
//! The number that the next generation gets is an entry under the byte `n`: 4 bytes, little-endian.
//!
//! Whatever is written into a view goes to both generations in one transaction, as long as there are two and the other is not being dropped. So the other one
//! lacks nothing that was acknowledged, and either can be served. A reader takes the pointer and the rows in one snapshot.

use std::ops::ControlFlow;

use crate::environment::{Fault, Snapshot, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::store::Store;
use crate::view::ViewId;

const ENTRY_FORMAT: u8 = 1;
const ENTRY_BYTES: usize = 32;
const KEY_TAG: u8 = b'g';
const NEXT_NUMBER_KEY: &[u8] = b"n";
const FIRST_NUMBER: u32 = 1 << 31;

/// Keys that are removed of a dropped generation in one transaction.
const DROPPED_KEYS: usize = 4_096;

/// What a generation is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GenerationState {
    /// It is served.
    Live,
    /// It is being built, and is not served.
    Building,
    /// It was served before, or was built, and may be served again.
    Kept,
    /// It is being removed.
    Dropping,
}

impl GenerationState {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            GenerationState::Live => "live",
            GenerationState::Building => "building",
            GenerationState::Kept => "kept",
            GenerationState::Dropping => "dropping",
        }
    }
}

/// A generation of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// Which one it is, from 0 on.
    pub ordinal: u32,
    /// What it is there for.
    pub state: GenerationState,
    /// The number under which its keys lie.
    pub(crate) number: ViewId,
}

/// The generations of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generations {
    /// The one that is served.
    pub live: Generation,
    /// Another one.
    pub other: Option<Generation>,
    next_ordinal: u32,
}

/// Into what of a view rows are written: into all of its generations, or into one that is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub(crate) view: ViewId,
    pub(crate) building: Option<ViewId>,
}

impl Target {
    /// The view.
    pub fn view(self) -> ViewId {
        self.view
    }

    /// Whether it is a generation that is being built.
    pub fn is_building(self) -> bool {
        self.building.is_some()
    }
}

impl From<ViewId> for Target {
    fn from(view: ViewId) -> Self {
        Target { view, building: None }
    }
}

/// The numbers that are written to, the one that is told of first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) first: ViewId,
    pub(crate) second: Option<ViewId>,
}

impl Generations {
    fn of(view: ViewId) -> Generations {
        let live = Generation { ordinal: 0, state: GenerationState::Live, number: view };
        Generations { live, other: None, next_ordinal: 1 }
    }

    /// Both, the live one first.
    pub fn all(&self) -> impl Iterator<Item = Generation> {
        [Some(self.live), self.other].into_iter().flatten()
    }

    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut entry = [0; ENTRY_BYTES];
        entry[0] = ENTRY_FORMAT;
        entry[8..12].copy_from_slice(&self.live.number.get().to_le_bytes());
        entry[12..16].copy_from_slice(&self.live.ordinal.to_le_bytes());
        if let Some(other) = self.other {
            entry[1] = other.state as u8;
            entry[16..20].copy_from_slice(&other.number.get().to_le_bytes());
            entry[20..24].copy_from_slice(&other.ordinal.to_le_bytes());
        }
        entry[24..28].copy_from_slice(&self.next_ordinal.to_le_bytes());
        let checksum = crc32c::crc32c(&entry[..28]);
        entry[28..].copy_from_slice(&checksum.to_le_bytes());
        entry
    }

    /// Reads an entry; any bytes may be given.
    fn decode(bytes: &[u8]) -> Option<Generations> {
        let entry: &[u8; ENTRY_BYTES] = bytes.try_into().ok()?;
        let number = |offset: usize| u32::from_le_bytes(std::array::from_fn(|index| entry[offset + index]));
        if entry[0] != ENTRY_FORMAT || entry[2..8] != [0; 6] || crc32c::crc32c(&entry[..28]) != number(28) {
            return None;
        }
        let at = |offset: usize, state| Generation {
            number: ViewId::new(number(offset)),
            ordinal: number(offset + 4),
            state,
        };
        let other = match entry[1] {
            0 => None,
            1 => Some(at(16, GenerationState::Building)),
            2 => Some(at(16, GenerationState::Kept)),
            3 => Some(at(16, GenerationState::Dropping)),
            _ => return None,
        };
        Some(Generations { live: at(8, GenerationState::Live), other, next_ordinal: number(24) })
    }
}

fn entry_key(view: ViewId) -> [u8; 5] {
    let [a, b, c, d] = view.get().to_be_bytes();
    [KEY_TAG, a, b, c, d]
}

impl Store {
    fn decode_generations(&self, view: ViewId, bytes: Option<&[u8]>) -> Result<Generations, Fault> {
        let Some(bytes) = bytes else { return Ok(Generations::of(view)) };
        let damaged = || OnlineError::StateCorrupt { path: self.path().to_owned(), what: "the generations of a view" };
        Ok(Generations::decode(bytes).ok_or_else(damaged)?)
    }

    /// The number of a view's live generation.
    pub(crate) fn live_number(&self, snapshot: &Snapshot<'_>, view: ViewId) -> Result<ViewId, Fault> {
        let bytes = snapshot.get(Table::State, &entry_key(view))?;
        Ok(self.decode_generations(view, bytes)?.live.number)
    }

    /// The number of what a target reads: that which is being built, or the live one.
    pub(crate) fn read_number(&self, snapshot: &Snapshot<'_>, target: Target) -> Result<ViewId, Fault> {
        target.building.map_or_else(|| self.live_number(snapshot, target.view), Ok)
    }

    pub(crate) fn generations_at(&self, snapshot: &Snapshot<'_>, view: ViewId) -> Result<Generations, Fault> {
        self.decode_generations(view, snapshot.get(Table::State, &entry_key(view))?)
    }

    pub(crate) fn generations_in(&self, txn: &WriteTransaction<'_, '_>, view: ViewId) -> Result<Generations, Fault> {
        self.decode_generations(view, txn.get(Table::State, &entry_key(view))?)
    }

    /// The numbers that a target writes to.
    pub(crate) fn numbers_in(&self, txn: &WriteTransaction<'_, '_>, target: Target) -> Result<Numbers, Fault> {
        let generations = self.generations_in(txn, target.view)?;
        let Some(building) = target.building else {
            let other = generations.other.filter(|other| other.state != GenerationState::Dropping);
            return Ok(Numbers { first: generations.live.number, second: other.map(|other| other.number) });
        };
        match generations.other {
            Some(Generation { number, state: GenerationState::Building, .. }) if number == building => {
                Ok(Numbers { first: building, second: None })
            }
            _ => Err(Fault::Error(OnlineError::GenerationGone)),
        }
    }

    /// The generations of a view.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn generations(&self, view: ViewId) -> Result<Generations, OnlineError> {
        self.environment().read(|snapshot| self.generations_at(snapshot, view))
    }

    /// Begins to build another generation, or goes on with one that was begun and not finished: then the second value is true. From now on whatever is written into the view
    /// reaches it too.
    ///
    /// # Errors
    /// [`OnlineError::GenerationKept`] where there is one already.
    pub fn begin_rebuild(&self, view: ViewId) -> Result<(Target, bool), OnlineError> {
        self.finish_drop(view)?;
        self.environment().write(|txn| {
            let mut generations = self.generations_in(txn, view)?;
            let (number, resumed) = match generations.other {
                Some(Generation { number, state: GenerationState::Building, .. }) => (number, true),
                Some(_) => return Err(Fault::Error(OnlineError::GenerationKept)),
                None => {
                    let next = txn.get(Table::State, NEXT_NUMBER_KEY)?.and_then(|bytes| bytes.try_into().ok());
                    let next = next.map_or(FIRST_NUMBER, u32::from_le_bytes);
                    txn.put(Table::State, NEXT_NUMBER_KEY, &(next + 1).to_le_bytes())?;
                    let number = ViewId::new(next);
                    let ordinal = generations.next_ordinal;
                    generations.next_ordinal += 1;
                    generations.other = Some(Generation { ordinal, state: GenerationState::Building, number });
                    txn.put(Table::State, &entry_key(view), &generations.encode())?;
                    (number, false)
                }
            };
            Ok((Target { view, building: Some(number) }, resumed))
        })
    }

    /// Serves what was built, in one transaction, and keeps what was served before.
    ///
    /// # Errors
    /// [`OnlineError::GenerationGone`] where it is no longer being built.
    pub fn finish_rebuild(&self, target: Target) -> Result<Generations, OnlineError> {
        self.environment().write(|txn| {
            self.numbers_in(txn, target)?;
            self.exchange(txn, target.view)
        })
    }

    /// Serves the older one of two generations, or the newer one, in one transaction, and keeps the other. Gives whether that changed anything.
    ///
    /// # Errors
    /// [`OnlineError::NoOtherGeneration`] where there is none that can be served.
    pub fn switch_generation(&self, view: ViewId, back: bool) -> Result<(Generations, bool), OnlineError> {
        self.environment().write(|txn| {
            let generations = self.generations_in(txn, view)?;
            let Some(other) = generations.other.filter(|other| other.state == GenerationState::Kept) else {
                return Err(Fault::Error(OnlineError::NoOtherGeneration));
            };
            let is_older = other.ordinal < generations.live.ordinal;
            if is_older != back {
                return Ok((generations, false));
            }
            Ok((self.exchange(txn, view)?, true))
        })
    }

    /// What could not be written into the second generation: one that is kept, and whose state of windows this program cannot read, is given up rather than
    /// what is served. Everything else is the caller's.
    pub(crate) fn give_up_kept(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        fault: Fault,
    ) -> Result<(), Fault> {
        let mut generations = self.generations_in(txn, view)?;
        match (&fault, &mut generations.other) {
            (Fault::Error(error @ OnlineError::Windows { .. }), Some(other))
                if other.state == GenerationState::Kept =>
            {
                other.state = GenerationState::Dropping;
                let generation = other.ordinal;
                tracing::error!(view = view.get(), generation, %error, "a kept generation cannot be written, and is given up");
                txn.put(Table::State, &entry_key(view), &generations.encode())
            }
            _ => Err(fault),
        }
    }

    fn exchange(&self, txn: &mut WriteTransaction<'_, '_>, view: ViewId) -> Result<Generations, Fault> {
        let generations = self.generations_in(txn, view)?;
        let Some(other) = generations.other else { return Err(Fault::Error(OnlineError::NoOtherGeneration)) };
        let exchanged = Generations {
            live: Generation { state: GenerationState::Live, ..other },
            other: Some(Generation { state: GenerationState::Kept, ..generations.live }),
            ..generations
        };
        txn.put(Table::State, &entry_key(view), &exchanged.encode())?;
        Ok(exchanged)
    }

    /// Drops the generation that is not served, also one that is being built, in transactions of a few thousand keys; one that is stopped is gone on with by the
    /// next. Gives which one it was, and its keys.
    ///
    /// # Errors
    /// [`OnlineError::NoOtherGeneration`].
    pub fn drop_generation(&self, view: ViewId) -> Result<(Generation, u64), OnlineError> {
        Ok((self.begin_drop(view)?, self.finish_drop(view)?))
    }

    /// Marks the generation that is not served as one that is being dropped: nothing is written into it from now on, and it cannot be served. Gives which one it is.
    ///
    /// # Errors
    /// [`OnlineError::NoOtherGeneration`].
    pub fn begin_drop(&self, view: ViewId) -> Result<Generation, OnlineError> {
        self.environment().write(|txn| {
            let mut generations = self.generations_in(txn, view)?;
            let Some(other) = &mut generations.other else {
                return Err(Fault::Error(OnlineError::NoOtherGeneration));
            };
            // From now on nothing is written into it.
            other.state = GenerationState::Dropping;
            let dropped = *other;
            txn.put(Table::State, &entry_key(view), &generations.encode())?;
            Ok(dropped)
        })
    }

    /// Removes the keys of a generation that is being dropped, if there is one, and then the generation. Gives its keys.
    ///
    /// # Errors
    /// What was removed stays so.
    pub fn finish_drop(&self, view: ViewId) -> Result<u64, OnlineError> {
        let mut removed = 0;
        loop {
            let gone = self.environment().write(|txn| {
                let mut generations = self.generations_in(txn, view)?;
                let other = generations.other.filter(|other| other.state == GenerationState::Dropping);
                let Some(Generation { number, .. }) = other else { return Ok(None) };
                let number = number.get().to_be_bytes();
                let mut keys: Vec<(Table, Vec<u8>)> = Vec::new();
                let taken = [&[crate::taken::KEY_TAG][..], &number].concat();
                for (table, prefix) in
                    [(Table::Records, &number[..]), (Table::Windows, &number), (Table::State, &taken)]
                {
                    txn.scan(table, prefix, |key, _| {
                        if !key.starts_with(prefix) || keys.len() >= DROPPED_KEYS {
                            return Ok(ControlFlow::Break(()));
                        }
                        keys.push((table, key.to_vec()));
                        Ok(ControlFlow::Continue(()))
                    })?;
                }
                for (table, key) in &keys {
                    txn.delete(*table, key)?;
                }
                if keys.is_empty() {
                    generations.other = None;
                    txn.put(Table::State, &entry_key(view), &generations.encode())?;
                    return Ok(None);
                }
                Ok(Some(keys.len() as u64))
            })?;
            let Some(gone) = gone else { return Ok(removed) };
            removed += gone;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_format_1_is_pinned() {
        let at = |number, ordinal, state| Generation { ordinal, state, number: ViewId::new(number) };
        let generations = Generations {
            live: at(258, 0, GenerationState::Live),
            other: Some(at(FIRST_NUMBER, 1, GenerationState::Kept)),
            next_ordinal: 2,
        };
        let bytes = generations.encode();
        let expected = [1, 2, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 2, 0, 0, 0];
        assert_eq!(bytes[..28], expected);
        assert_eq!(Generations::decode(&bytes), Some(generations));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Generations::decode(&bytes), None, "bit {bit}");
        }
        let alone = Generations { other: None, ..generations };
        assert_eq!(Generations::decode(&alone.encode()), Some(alone));
        assert_eq!(entry_key(ViewId::new(0x0102_0304)), *b"g\x01\x02\x03\x04");
    }
}
