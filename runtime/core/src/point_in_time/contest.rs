//! Rows compete for the instants of labels.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::slots::Slots;
use super::spans::Spans;
use super::ties::{NONE, Ties};
use super::{Instants, Rules};
use crate::model::KnownBy;
use crate::time::Timestamp;

/// A row of a view, without its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinRow {
    /// When the thing happened.
    pub event_time: Timestamp,
    /// When the producer came to know it.
    pub created_time: Option<Timestamp>,
    /// Since when Tandem has the row.
    pub published_time: Timestamp,
    /// Position in the source's log.
    pub sequence: Option<i64>,
    /// The first instant at which the row counts, as if it had not happened before; None where its event and what is known of it decide alone.
    pub corrected_time: Option<Timestamp>,
    /// The first instant at which the row no longer counts, as if it had never been there; None where it counts for ever.
    pub until: Option<Timestamp>,
    /// Where the row is: the caller's number for it, below [`u64::MAX`].
    pub row: u64,
}

/// What a label gets of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The row; None where none was there.
    pub winner: Option<Winner>,
    /// Whether a row of a later event had happened, still counted and was not known yet: what [`KnownBy`] kept out.
    pub newer_unknown: bool,
}

/// The greatest row that was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    /// Its event time.
    pub event_time: Timestamp,
    /// Its created time.
    pub created_time: Option<Timestamp>,
    /// Whether it is too old to be served: OUTSIDE_MAX_AGE.
    pub expired: bool,
    /// The row, or one of those that tie.
    pub row: u64,
    /// Where several rows tie in event time, created time and sequence, all of them, ascending, each once; else empty. That with the greatest
    /// canonical bytes ([`crate::canonical`]) wins.
    pub tied: Vec<u64>,
}

/// The greatest row of a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Best {
    pub(super) event_time: Timestamp,
    pub(super) created_time: Option<Timestamp>,
    pub(super) sequence: Option<i64>,
    pub(super) row: u64,
    /// A list of rows that tie with it.
    pub(super) ties: u32,
}

impl Best {
    /// The same row, with its list of ties under another number.
    pub(super) fn moved(self, moved: impl Fn(u32) -> u32) -> Self {
        Best { ties: moved(self.ties), ..self }
    }

    /// The order of rows, as far as it goes without their bytes.
    fn cmp(&self, other: &Best) -> Ordering {
        let rank = |best: &Best| (best.event_time, best.created_time, best.sequence);
        rank(self).cmp(&rank(other))
    }
}

/// Rows for which a step is taken before the next.
pub(super) const CHUNK: usize = 64;

/// Where a row is offered.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The end of the slots of its group.
    end: usize,
    /// The first of them at which it has happened; the end, if there is none.
    happened: usize,
    /// The first of them at which it is there.
    there: usize,
}

/// Slots for the labels' instants, for the rows of one view to be offered to.
#[derive(Debug)]
pub struct Contest<'a> {
    instants: &'a Instants,
    rules: Rules,
    slots: Slots,
    /// The latest event that had happened, known or not; empty where all that happened is known.
    happened: Vec<Option<Timestamp>>,
    /// Rows that end before the last instant of their group, by group.
    spans: HashMap<u32, Spans>,
    pub(super) ties: Ties,
}

impl<'a> Contest<'a> {
    /// Without rows yet.
    pub fn new(instants: &'a Instants, rules: Rules) -> Self {
        let watched = if is_watched(rules) { instants.slots() } else { 0 };
        Contest {
            instants,
            rules,
            slots: Slots::new(instants.slots()),
            happened: vec![None; watched],
            spans: HashMap::new(),
            ties: Ties::default(),
        }
    }

    /// Bytes that are taken for each slot, if a row ties with another in each; `has_later`: where rows have created times or sequences. Groups of which rows
    /// were taken back take more.
    pub fn bytes_of_slot(rules: Rules, has_later: bool) -> usize {
        let watched = if is_watched(rules) { size_of::<Option<Timestamp>>() } else { 0 };
        Slots::bytes_of_slot(has_later) + watched + Ties::BYTES_OF_ROW
    }

    /// Offers a row of a group. The order of the offers does not matter, and an offer may be repeated.
    pub fn offer(&mut self, group: u32, row: &JoinRow) {
        self.offer_all(&[(group, *row)]);
    }

    /// Offers rows, each of a group. What they touch lies far apart in memory, so each step is taken for many rows before the next: their waits
    /// overlap.
    pub fn offer_all(&mut self, rows: &[(u32, JoinRow)]) {
        let mut from = [None; CHUNK];
        let mut places = [Place { end: 0, happened: 0, there: 0 }; CHUNK];
        for rows in rows.chunks(CHUNK) {
            let groups = || rows.iter().map(|(group, _)| *group);
            for (from, (_, row)) in from.iter_mut().zip(rows) {
                let there = self.rules.there_from(row.event_time, row.created_time, row.published_time);
                *from = there.map(|there| there.max(row.corrected_time.unwrap_or(Timestamp::MIN)));
            }
            let found = self.instants.first_of(groups(), &from);
            places.iter_mut().zip(found).for_each(|(place, found)| (place.there, place.end) = found);
            // Where only the event decides, what has happened is there.
            if !self.happened.is_empty() {
                for (from, (_, row)) in from.iter_mut().zip(rows) {
                    let happened = self.rules.happened_from(row.event_time);
                    *from = happened.map(|happened| happened.max(row.corrected_time.unwrap_or(Timestamp::MIN)));
                }
                let found = self.instants.first_of(groups(), &from);
                places.iter_mut().zip(found).for_each(|(place, found)| place.happened = found.0);
            }
            let mut beaten = [false; CHUNK];
            for ((beaten, place), (_, row)) in beaten.iter_mut().zip(&places).zip(rows) {
                *beaten = row.event_time < self.slots.beats(place.there);
            }
            for ((place, beaten), (group, row)) in places.iter().zip(beaten).zip(rows) {
                self.put(place, beaten, *group, row);
            }
        }
    }

    /// `beaten`: the slot at which it is there has a later event already.
    fn put(&mut self, place: &Place, beaten: bool, group: u32, row: &JoinRow) {
        let JoinRow { event_time, created_time, published_time, sequence, corrected_time, until, row } = *row;
        let Place { end, happened, there } = *place;
        let offered = Best { event_time, created_time, sequence, row, ties: NONE };
        if let Some(until) = until
            && let Some(end) = self.instants.first_from(group, until)
        {
            let Some(happened) = self.rules.happened_from(event_time) else { return };
            let there = self.rules.there_from(event_time, created_time, published_time);
            let corrected = corrected_time.unwrap_or(Timestamp::MIN);
            let there = there.map(|there| there.max(corrected));
            return self.offer_until(group, happened.max(corrected), there, end, offered);
        }
        // Where a row is there as soon as it has happened, the winner is no earlier event.
        if !self.happened.is_empty() && happened < there {
            self.happened[happened] = self.happened[happened].max(Some(event_time));
        }
        if there < end && !beaten {
            // A later event wins whatever is there, so that is not read.
            let best = match event_time > self.slots.beats(there) {
                true => Some(offered),
                false => greater(self.slots.get(there), Some(offered), &mut self.ties),
            };
            self.slots.set(there, best);
        }
    }

    /// Offers a row to the slots before `end` alone.
    #[cold]
    fn offer_until(&mut self, group: u32, happened: Timestamp, there: Option<Timestamp>, end: usize, offered: Best) {
        let slots = self.instants.of_group(group);
        let until_end = |from: Option<Timestamp>| {
            let first = from.and_then(|from| self.instants.first_from(group, from)).unwrap_or(end).min(end);
            first - slots.start..end - slots.start
        };
        let (happened, there) = (until_end(Some(happened)), until_end(there));
        // The row has happened wherever it is known.
        if happened.is_empty() {
            return;
        }
        let watched = !self.happened.is_empty();
        let spans = self.spans.entry(group).or_insert_with(|| Spans::new(slots.len(), watched));
        if watched {
            spans.happened(happened, offered.event_time);
        }
        spans.offer(there, offered, &mut self.ties);
    }

    /// Adds what was offered to another contest for the same labels, of other rows of the same view.
    pub fn join(&mut self, other: Contest<'_>) {
        assert_eq!(self.slots.len(), other.slots.len(), "both are for the same labels");
        let moved = self.ties.absorb(other.ties);
        for slot in 0..self.slots.len() {
            if let Some(theirs) = other.slots.get(slot) {
                let best = greater(self.slots.get(slot), Some(theirs.moved(&moved)), &mut self.ties);
                self.slots.set(slot, best);
            }
        }
        for (mine, theirs) in self.happened.iter_mut().zip(other.happened) {
            *mine = (*mine).max(theirs);
        }
        let watched = !self.happened.is_empty();
        for (group, theirs) in other.spans {
            let slots = self.instants.of_group(group).len();
            let mine = self.spans.entry(group).or_insert_with(|| Spans::new(slots, watched));
            mine.join(theirs, &mut self.ties, &moved);
        }
    }

    /// Gives each slot its winner: the greatest of what was offered to it, to those of earlier instants of its group, and to spans with it.
    pub fn decide(mut self) -> Decided<'a> {
        for group in 0..self.instants.groups() {
            for slot in self.instants.of_group(group as u32).skip(1) {
                let best = greater(self.slots.get(slot - 1), self.slots.get(slot), &mut self.ties);
                self.slots.set(slot, best);
                if !self.happened.is_empty() {
                    self.happened[slot] = self.happened[slot].max(self.happened[slot - 1]);
                }
            }
        }
        for (group, spans) in std::mem::take(&mut self.spans) {
            let seen = spans.decide(&mut self.ties);
            for (slot, (best, happened)) in self.instants.of_group(group).zip(seen) {
                let best = greater(self.slots.get(slot), best, &mut self.ties);
                self.slots.set(slot, best);
                if !self.happened.is_empty() {
                    self.happened[slot] = self.happened[slot].max(happened);
                }
            }
        }
        let Contest { instants, rules, slots, happened, spans: _, ties } = self;
        Decided { instants, rules, slots, happened, ties }
    }
}

/// Whether something may have happened that is not known.
fn is_watched(rules: Rules) -> bool {
    rules.known_by != KnownBy::Event
}

/// The greater of two rows; where they tie, the first with the other and its ties among its own.
pub(super) fn greater(first: Option<Best>, second: Option<Best>, ties: &mut Ties) -> Option<Best> {
    let (Some(a), Some(b)) = (first, second) else { return first.or(second) };
    Some(match a.cmp(&b) {
        Ordering::Greater => a,
        Ordering::Less => b,
        Ordering::Equal if a.row == b.row && b.ties == NONE => a,
        Ordering::Equal => Best { ties: ties.with(b.row, a.ties, b.ties), ..a },
    })
}

/// Winners, by slot.
#[derive(Debug)]
pub struct Decided<'a> {
    instants: &'a Instants,
    rules: Rules,
    slots: Slots,
    happened: Vec<Option<Timestamp>>,
    pub(super) ties: Ties,
}

impl Decided<'_> {
    /// What the labels of a slot get.
    pub fn answer(&self, slot: usize) -> Answer {
        let winner = self.slots.get(slot).map(|best| {
            let mut tied = self.ties.rows(best.ties);
            if !tied.is_empty() {
                tied.push(best.row);
                tied.sort_unstable();
                tied.dedup();
            }
            let expired = self.rules.expired(best.event_time, self.instants.instant(slot));
            Winner { event_time: best.event_time, created_time: best.created_time, expired, row: best.row, tied }
        });
        let happened = self.happened.get(slot).copied().flatten();
        let newer_unknown = happened > winner.as_ref().map(|winner| winner.event_time);
        Answer { winner, newer_unknown }
    }
}
