//! Rows that count for a span of a group's slots.

use std::ops::Range;

use super::contest::{Best, greater};
use super::ties::Ties;
use crate::time::Timestamp;

/// A tree over the slots of one group: a span is a few nodes, and a slot sees the nodes above it.
///
/// The leaves of `n` slots are the nodes `n..2n`; above node `i` is `i / 2`, up to node 1.
#[derive(Debug)]
pub(super) struct Spans {
    best: Vec<Option<Best>>,
    /// The latest event that had happened; empty where nobody asks.
    happened: Vec<Option<Timestamp>>,
}

impl Spans {
    /// For a group of `slots`.
    pub(super) fn new(slots: usize, watched: bool) -> Self {
        Spans { best: vec![None; 2 * slots], happened: vec![None; if watched { 2 * slots } else { 0 }] }
    }

    /// Offers a row to the slots of a range, counted from the group's first.
    pub(super) fn offer(&mut self, slots: Range<usize>, offered: Best, ties: &mut Ties) {
        for node in nodes(self.best.len() / 2, slots) {
            self.best[node] = greater(self.best[node], Some(offered), ties);
        }
    }

    /// An event happened for the slots of a range.
    pub(super) fn happened(&mut self, slots: Range<usize>, event_time: Timestamp) {
        for node in nodes(self.happened.len() / 2, slots) {
            self.happened[node] = self.happened[node].max(Some(event_time));
        }
    }

    /// Adds another tree for the same slots, whose lists of ties `moved` finds in `ties`.
    pub(super) fn join(&mut self, other: Spans, ties: &mut Ties, moved: impl Fn(u32) -> u32) {
        for (mine, theirs) in self.best.iter_mut().zip(other.best) {
            let theirs = theirs.map(|best| best.moved(&moved));
            *mine = greater(*mine, theirs, ties);
        }
        for (mine, theirs) in self.happened.iter_mut().zip(other.happened) {
            *mine = (*mine).max(theirs);
        }
    }

    /// What each slot sees, in their order: the greatest row, and the latest event.
    pub(super) fn decide(mut self, ties: &mut Ties) -> impl Iterator<Item = (Option<Best>, Option<Timestamp>)> + use<> {
        // From the root down, so that a row's ties are shared by all that see it.
        for node in 2..self.best.len() {
            self.best[node] = greater(self.best[node], self.best[node / 2], ties);
        }
        for node in 2..self.happened.len() {
            self.happened[node] = self.happened[node].max(self.happened[node / 2]);
        }
        let slots = self.best.len() / 2;
        let happened = self.happened;
        let best = self.best.into_iter().enumerate().skip(slots);
        best.map(move |(node, best)| (best, happened.get(node).copied().flatten()))
    }
}

/// The nodes that are exactly above a range of `slots`.
fn nodes(slots: usize, range: Range<usize>) -> impl Iterator<Item = usize> {
    let (mut first, mut end) = (range.start + slots, range.end + slots);
    std::iter::from_fn(move || {
        while first < end {
            // The left neighbour of an odd first, or of an odd end, has another parent: it stands for itself.
            let found = if first % 2 == 1 {
                first += 1;
                Some(first - 1)
            } else if end % 2 == 1 {
                end -= 1;
                Some(end)
            } else {
                None
            };
            if found.is_some() {
                return found;
            }
            (first, end) = (first / 2, end / 2);
        }
        None
    })
}
