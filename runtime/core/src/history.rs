//! What becomes of published rows when their partition is computed again: nothing that was known is forgotten.
//!
//! A published row has, beside what its source says, the times of [`RowTimes`]. They say from which instant on it counts
//! ([`RowTimes::counts_from`]) and until which ([`RowTimes::until`]). A run that computes a partition again compares its rows with those that are
//! published ([`rerun`]), event by event: the rows of one event are those with equal keys and equal event time. A row that is there again keeps its
//! times. One that is gone is *retracted*: it counts until now. One that is new to an event that was published before is a *correction*: it counts from now
//! on. So a label of the past still sees what it saw.
//!
//! In which order rows win ([`crate::order`]) no run decides: it is what the source says of each, and so a label after the last run sees what a first run
//! would have given it.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::{History, KnownBy};
use crate::time::Timestamp;

/// The times of a published row that say at which instants it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowTimes {
    /// When the producer came to know it.
    pub created_time: Option<Timestamp>,
    /// When a run published it first.
    pub published_time: Timestamp,
    /// It does not count before: an event that was published already got it later.
    pub corrected_time: Option<Timestamp>,
    /// It does not count from then on: a run found it gone.
    pub retracted_time: Option<Timestamp>,
    /// It does not count from then on, by the producer's word: a later version of the row was created then.
    pub superseded_time: Option<Timestamp>,
    /// When a run published that it is superseded.
    pub superseded_published_time: Option<Timestamp>,
}

impl RowTimes {
    /// Those of a row that a run publishes first. `corrected_time` and `superseded_time` are what its source says.
    pub fn first(
        created_time: Option<Timestamp>,
        corrected_time: Option<Timestamp>,
        superseded_time: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        RowTimes {
            created_time,
            published_time: now,
            corrected_time,
            retracted_time: None,
            superseded_time,
            superseded_published_time: superseded_time.map(|_| now),
        }
    }

    /// Whether it counts from now on for ever: it is neither retracted nor superseded.
    pub fn stands(&self) -> bool {
        self.retracted_time.is_none() && self.superseded_time.is_none()
    }

    /// The first instant at which the row is known. A row without a created time is known from its published time on.
    pub fn counts_from(&self, known_by: KnownBy) -> Timestamp {
        let known = match known_by {
            KnownBy::Created => self.created_time.unwrap_or(self.published_time),
            KnownBy::Published => self.published_time,
            KnownBy::Event => Timestamp::MIN,
        };
        known.max(self.corrected_time.unwrap_or(Timestamp::MIN))
    }

    /// The first instant at which the row no longer counts; None if it counts for ever.
    pub fn until(&self, known_by: KnownBy) -> Option<Timestamp> {
        let superseded = match known_by {
            KnownBy::Created | KnownBy::Event => self.superseded_time,
            KnownBy::Published => self.superseded_published_time,
        };
        self.retracted_time.into_iter().chain(superseded).min()
    }

    /// The latest instant at which a run changed anything of it.
    pub fn latest(&self) -> Timestamp {
        let later = [self.retracted_time, self.superseded_published_time];
        later.into_iter().flatten().fold(self.published_time, Timestamp::max)
    }
}

/// A row of an event, published or computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow<C> {
    /// Names all of the row that its source decides: created time, sequence and features. Equal rows have equal contents.
    pub content: C,
    /// Its times.
    pub times: RowTimes,
}

/// What becomes of the rows of one event, in the order in which they were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rerun {
    /// Of the rows that were published: the times with which one stays beside those that were computed; None where it is one of those, or
    /// is dropped.
    pub published: Vec<Option<RowTimes>>,
    /// The times of those that were computed.
    pub computed: Vec<RowTimes>,
    /// Rows that were found gone now.
    pub gone: usize,
    /// Rows that are new.
    pub added: usize,
}

/// Puts the rows of one event that were computed now beside those that are published. `computed` have the times of [`RowTimes::first`]. `now` is
/// not before any time of the published ones.
///
/// Under [`History::Replace`] rows that are gone are dropped, and no row is a correction; what is there again keeps its published time all the same.
pub fn rerun<C: Ord + Copy>(
    published: &[EventRow<C>],
    computed: &[EventRow<C>],
    now: Timestamp,
    history: History,
) -> Rerun {
    let mut by_content: BTreeMap<C, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (index, row) in published.iter().enumerate().filter(|(_, row)| row.times.retracted_time.is_none()) {
        by_content.entry(row.content).or_default().0.push(index);
    }
    for (index, row) in computed.iter().enumerate() {
        by_content.entry(row.content).or_default().1.push(index);
    }
    let mut matched = vec![None; computed.len()];
    let mut stays: Vec<bool> = vec![false; published.len()];
    for (mut there, mut again) in by_content.into_values() {
        // Rows of one content, from a source that has a history of its own: the earlier with the earlier.
        let rank = |times: &RowTimes| {
            let superseded = times.superseded_time;
            (times.corrected_time, superseded.is_none(), superseded, times.published_time)
        };
        there.sort_by_key(|index| rank(&published[*index].times));
        again.sort_by_key(|index| rank(&computed[*index].times));
        for (old, new) in there.into_iter().zip(again) {
            matched[new] = Some(old);
            stays[old] = true;
        }
    }
    let keeps = history == History::Append;
    let gone = |index: usize| !stays[index] && published[index].times.retracted_time.is_none();
    let is_gone: Vec<bool> = (0..published.len()).map(gone).collect();
    let after = published.iter().enumerate().map(|(index, row)| {
        let retracted_time = row.times.retracted_time.unwrap_or(now);
        (keeps && !stays[index]).then_some(RowTimes { retracted_time: Some(retracted_time), ..row.times })
    });
    let after: Vec<_> = after.collect();
    let replaced: Vec<Option<Timestamp>> = after.iter().flatten().map(|times| times.created_time).collect();
    let times = computed.iter().zip(&matched).map(|(row, matched)| match matched {
        Some(old) => again(&published[*old].times, &row.times),
        None => {
            let corrected = if keeps { correction(&row.times, published.len(), &replaced, now) } else { None };
            let corrected_time = row.times.corrected_time.max(corrected);
            RowTimes { published_time: now, corrected_time, ..row.times }
        }
    });
    let times: Vec<RowTimes> = times.collect();
    let gone = is_gone.into_iter().filter(|gone| *gone).count();
    let added = matched.iter().filter(|old| old.is_none()).count();
    Rerun { published: after, computed: times, gone, added }
}

/// The times of a row that is there again: those that it had, and what its source says now of its end.
fn again(before: &RowTimes, now: &RowTimes) -> RowTimes {
    let superseded_time = match (before.superseded_time, now.superseded_time) {
        (Some(before), Some(now)) => Some(before.min(now)),
        (before, now) => before.or(now),
    };
    let superseded_published_time = before.superseded_published_time.or(now.superseded_published_time);
    RowTimes { superseded_time, superseded_published_time, ..*before }
}

/// From when on a row counts that is new to an event of which `published` rows were published, with `replaced`, the created times of those that are gone.
fn correction(row: &RowTimes, published: usize, replaced: &[Option<Timestamp>], now: Timestamp) -> Option<Timestamp> {
    match row.created_time {
        // A source with a history of its own says from when on it counts, and none of its rows is gone.
        None if row.corrected_time.is_some() && replaced.is_empty() => None,
        // Nobody says when it was known, so it was not known before it was here.
        None => (published > 0).then_some(now),
        // The producer says when it was known; that is believed unless it is not later than what was known in its place.
        Some(created) if replaced.iter().all(|gone| *gone < Some(created)) => {
            (!replaced.is_empty()).then_some(created.min(now))
        }
        Some(_) => Some(now),
    }
}
