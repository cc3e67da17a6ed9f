//! Rows compete for the instants of labels.

use std::cmp::Ordering;

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
    /// Where the row is: the caller's number for it.
    pub row: u64,
}

/// What a label gets of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The row; None where none was there.
    pub winner: Option<Winner>,
    /// Whether a row of a later event had happened and was not known yet: what [`KnownBy`] kept out.
    pub newer_unknown: bool,
}

/// The greatest row that was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    /// Its event time.
    pub event_time: Timestamp,
    /// Whether it is too old to be served: OUTSIDE_MAX_AGE.
    pub expired: bool,
    /// The row, or one of those that tie.
    pub row: u64,
    /// Where several rows tie in event time, created time and sequence, all of them, ascending, each once; else empty. That with the greatest
    /// canonical bytes ([`crate::canonical`]) wins.
    pub tied: Vec<u64>,
}

/// The end of a list of ties.
const END: u32 = u32::MAX;

/// The greatest row of a slot.
#[derive(Debug, Clone, Copy)]
struct Best {
    event_time: Timestamp,
    created_time: Option<Timestamp>,
    sequence: Option<i64>,
    row: u64,
    /// Rows that tie with it: the first of a list.
    ties: u32,
}

impl Best {
    /// The order of rows, as far as it goes without their bytes.
    fn cmp(&self, other: &Best) -> Ordering {
        let rank = |best: &Best| (best.event_time, best.created_time, best.sequence);
        rank(self).cmp(&rank(other))
    }
}

/// Lists of rows that share their ends, so that a slot's ties cost only what is new in them.
#[derive(Debug, Default)]
pub(super) struct Ties(pub(super) Vec<(u64, u32)>);

impl Ties {
    /// `row` before the list `rest`.
    fn before(&mut self, row: u64, rest: u32) -> u32 {
        let index = u32::try_from(self.0.len()).ok().filter(|index| *index != END).expect("fewer than 2^32 - 1 ties");
        self.0.push((row, rest));
        index
    }

    /// The rows of a list.
    fn list(&self, first: u32) -> impl Iterator<Item = u64> {
        let node = |index: u32| self.0.get(index as usize).copied();
        std::iter::successors(node(first), move |(_, rest)| node(*rest)).map(|(row, _)| row)
    }
}

/// Slots for the labels' instants, for the rows of one view to be offered to.
#[derive(Debug)]
pub struct Contest<'a> {
    instants: &'a Instants,
    rules: Rules,
    slots: Vec<Option<Best>>,
    /// The latest event that had happened, known or not; empty where all that happened is known.
    happened: Vec<Option<Timestamp>>,
    pub(super) ties: Ties,
}

impl<'a> Contest<'a> {
    /// Without rows yet.
    pub fn new(instants: &'a Instants, rules: Rules) -> Self {
        let watched = if rules.known_by == KnownBy::Event { 0 } else { instants.slots() };
        Contest {
            instants,
            rules,
            slots: vec![None; instants.slots()],
            happened: vec![None; watched],
            ties: Ties::default(),
        }
    }

    /// Offers a row of a group. The order of the offers does not matter, and an offer may be repeated.
    pub fn offer(&mut self, group: u32, row: &JoinRow) {
        let JoinRow { event_time, created_time, published_time, sequence, row } = *row;
        let Some(happened) = self.rules.happened_from(event_time) else { return };
        if !self.happened.is_empty()
            && let Some(slot) = self.instants.first_from(group, happened)
        {
            self.happened[slot] = self.happened[slot].max(Some(event_time));
        }
        let there = happened.max(self.rules.known_from(created_time, published_time));
        if let Some(slot) = self.instants.first_from(group, there) {
            let offered = Best { event_time, created_time, sequence, row, ties: END };
            self.slots[slot] = greater(self.slots[slot], Some(offered), &[], &mut self.ties);
        }
    }

    /// Adds what was offered to another contest for the same labels, of other rows of the same view.
    pub fn join(&mut self, other: Contest<'_>) {
        assert_eq!(self.slots.len(), other.slots.len(), "both are for the same labels");
        for (mine, theirs) in self.slots.iter_mut().zip(other.slots) {
            let tied: Vec<u64> = theirs.into_iter().flat_map(|best| other.ties.list(best.ties)).collect();
            let theirs = theirs.map(|best| Best { ties: END, ..best });
            *mine = greater(*mine, theirs, &tied, &mut self.ties);
        }
        for (mine, theirs) in self.happened.iter_mut().zip(other.happened) {
            *mine = (*mine).max(theirs);
        }
    }

    /// Gives each slot its winner: the greatest of what was offered to it and to those of earlier instants of its group.
    pub fn decide(mut self) -> Decided<'a> {
        for group in 0..self.instants.groups() {
            for slot in self.instants.of_group(group as u32).skip(1) {
                let own: Vec<u64> = self.slots[slot].into_iter().flat_map(|best| self.ties.list(best.ties)).collect();
                let offered = self.slots[slot].map(|best| Best { ties: END, ..best });
                self.slots[slot] = greater(self.slots[slot - 1], offered, &own, &mut self.ties);
                if !self.happened.is_empty() {
                    self.happened[slot] = self.happened[slot].max(self.happened[slot - 1]);
                }
            }
        }
        let Contest { instants, rules, slots, happened, ties } = self;
        Decided { instants, rules, slots, happened, ties }
    }
}

/// The greater of two rows, with both and `tied`, the rows that tie with the second, where they tie.
fn greater(first: Option<Best>, second: Option<Best>, tied: &[u64], ties: &mut Ties) -> Option<Best> {
    let (Some(a), Some(b)) = (first, second) else {
        return first.or_else(|| second.map(|best| with(best, tied, ties)));
    };
    Some(match a.cmp(&b) {
        Ordering::Greater => a,
        Ordering::Less => with(b, tied, ties),
        Ordering::Equal => {
            let a = with(a, tied, ties);
            if a.row == b.row { a } else { with(a, &[b.row], ties) }
        }
    })
}

/// A row that these tie with.
fn with(best: Best, tied: &[u64], ties: &mut Ties) -> Best {
    Best { ties: tied.iter().fold(best.ties, |rest, row| ties.before(*row, rest)), ..best }
}

/// Winners, by slot.
#[derive(Debug)]
pub struct Decided<'a> {
    instants: &'a Instants,
    rules: Rules,
    slots: Vec<Option<Best>>,
    happened: Vec<Option<Timestamp>>,
    pub(super) ties: Ties,
}

impl Decided<'_> {
    /// What the labels of a slot get.
    pub fn answer(&self, slot: usize) -> Answer {
        let winner = self.slots[slot].map(|best| {
            let mut tied: Vec<u64> = self.ties.list(best.ties).collect();
            if !tied.is_empty() {
                tied.push(best.row);
                tied.sort_unstable();
                tied.dedup();
            }
            let expired = self.rules.expired(best.event_time, self.instants.instant(slot));
            Winner { event_time: best.event_time, expired, row: best.row, tied }
        });
        let happened = self.happened.get(slot).copied().flatten();
        let newer_unknown = happened > winner.as_ref().map(|winner| winner.event_time);
        Answer { winner, newer_unknown }
    }
}
