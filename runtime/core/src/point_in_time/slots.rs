//! The greatest row of each slot, laid out by how often it is looked at.

use super::contest::Best;
use super::ties::NONE;
use crate::time::Timestamp;

/// What is behind the event time of a row.
#[derive(Debug, Clone, Copy)]
struct Rest {
    row: u64,
    ties: u32,
    /// Whether there is a row at all.
    there: bool,
}

/// The best row of each slot. Most rows are beaten by their event time, so that lies by itself, eight bytes a slot; created times and sequences take
/// room where rows have them.
#[derive(Debug)]
pub(super) struct Slots {
    /// The least time where there is no row: nothing is beaten by it.
    event_times: Vec<Timestamp>,
    rest: Vec<Rest>,
    /// Created time and sequence; empty while no row has one.
    later: Vec<(Option<Timestamp>, Option<i64>)>,
}

impl Slots {
    /// Without rows.
    pub(super) fn new(slots: usize) -> Self {
        Slots {
            event_times: vec![Timestamp::MIN; slots],
            rest: vec![Rest { row: 0, ties: NONE, there: false }; slots],
            later: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.event_times.len()
    }

    /// An event time that a row must reach to win a slot; the least, if there is no such slot.
    pub(super) fn beats(&self, slot: usize) -> Timestamp {
        self.event_times.get(slot).copied().unwrap_or(Timestamp::MIN)
    }

    pub(super) fn get(&self, slot: usize) -> Option<Best> {
        let Rest { row, ties, there } = self.rest[slot];
        let (created_time, sequence) = self.later.get(slot).copied().unwrap_or_default();
        there.then(|| Best { event_time: self.event_times[slot], created_time, sequence, row, ties })
    }

    pub(super) fn set(&mut self, slot: usize, best: Option<Best>) {
        let Some(Best { event_time, created_time, sequence, row, ties }) = best else { return };
        self.event_times[slot] = event_time;
        self.rest[slot] = Rest { row, ties, there: true };
        if self.later.is_empty() {
            if created_time.is_none() && sequence.is_none() {
                return;
            }
            self.later = vec![(None, None); self.len()];
        }
        self.later[slot] = (created_time, sequence);
    }
}
