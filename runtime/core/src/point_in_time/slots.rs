//! The greatest row of each slot, laid out by how often it is looked at.

use super::contest::Best;
use super::ties::NONE;
use crate::time::Timestamp;

/// The greatest row of a slot, as far as most rows are compared with it.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The least time where there is no row: nothing is beaten by it.
    event_time: Timestamp,
    /// [`NOBODY`] where there is no row.
    row: u64,
}

/// No row has this number.
const NOBODY: u64 = u64::MAX;

/// The greatest row of each slot. What most rows are beaten by, and what they replace, lies side by side, 16 bytes a slot; the rest takes room where there is any.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Lists of rows that tie; empty while none do.
    ties: Vec<u32>,
    /// Created time and sequence; empty while no row has one.
    later: Vec<(Option<Timestamp>, Option<i64>)>,
}

impl Slots {
    /// Bytes of a slot where rows tie; `has_later`: where they have created times or sequences.
    pub(super) fn bytes_of_slot(has_later: bool) -> usize {
        let later = if has_later { size_of::<(Option<Timestamp>, Option<i64>)>() } else { 0 };
        size_of::<Slot>() + size_of::<u32>() + later
    }

    /// Without rows.
    pub(super) fn new(slots: usize) -> Self {
        let slots = vec![Slot { event_time: Timestamp::MIN, row: NOBODY }; slots];
        Slots { slots, ties: Vec::new(), later: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// An event time that a row must reach to win a slot; the least, if there is no such slot.
    pub(super) fn beats(&self, slot: usize) -> Timestamp {
        self.slots.get(slot).map_or(Timestamp::MIN, |slot| slot.event_time)
    }

    pub(super) fn get(&self, slot: usize) -> Option<Best> {
        let Slot { event_time, row } = self.slots[slot];
        let (created_time, sequence) = self.later.get(slot).copied().unwrap_or_default();
        let ties = self.ties.get(slot).copied().unwrap_or(NONE);
        (row != NOBODY).then_some(Best { event_time, created_time, sequence, row, ties })
    }

    pub(super) fn set(&mut self, slot: usize, best: Option<Best>) {
        let Some(Best { event_time, created_time, sequence, row, ties }) = best else { return };
        debug_assert!(row != NOBODY, "rows are numbered below it");
        self.slots[slot] = Slot { event_time, row };
        if !self.ties.is_empty() || ties != NONE {
            if self.ties.is_empty() {
                self.ties = vec![NONE; self.slots.len()];
            }
            self.ties[slot] = ties;
        }
        if !self.later.is_empty() || created_time.is_some() || sequence.is_some() {
            if self.later.is_empty() {
                self.later = vec![(None, None); self.slots.len()];
            }
            self.later[slot] = (created_time, sequence);
        }
    }
}
