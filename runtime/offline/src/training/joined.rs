//! One view's answers for all labels.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, RecordBatch};
use tandem_core::canonical::RowEncoder;
use tandem_core::checks::{JoinedChecker, JoinedRows};
use tandem_core::feature_plan::{FeaturePlan, Step};
use tandem_core::model::{FeatureView, KnownBy};
use tandem_core::point_in_time::{Contest, Decided, Rules};
use tandem_core::status::{Status, has_ended};
use tandem_core::time::Timestamp;
use tandem_core::window::Aggregates;

use super::history::{History, Offered};
use super::labels::LabelKeys;
use super::report::LabelCounts;
use super::threads::{in_parallel, on_threads, over_pieces, pieces};
use super::trim::trim;
use super::{Prepared, Shared, TrainingError, TrainingOptions, windows};
use crate::bind::SetAside;

/// What a label gets: a row of the values, or why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    Row(u32),
    Expired,
    NotFound,
}

/// A view whose winners are decided and read.
#[derive(Debug)]
pub(super) struct JoinedView {
    /// Position among the plan's stored steps.
    index: usize,
    keys: Arc<LabelKeys>,
    /// The features that the plan needs, of the rows that won; of aggregates one row for each slot.
    values: RecordBatch,
    /// Of them, those that are asked for; all, if none is.
    asked: Vec<usize>,
    offered: Offered,
    /// None of aggregates, for which no rows compete.
    won: Option<Won>,
}

/// Which rows won.
#[derive(Debug)]
struct Won {
    /// For each slot.
    slots: Vec<SlotWinner>,
    /// The numbers of the rows of `values`, ascending.
    rows: Vec<u64>,
}

/// What a slot gets: all that is asked about a label lies together, since labels are in another order than their slots.
#[derive(Debug, Clone, Copy)]
struct SlotWinner {
    /// The row that won, served or not; None if there is none. This and what follows says nothing then.
    row: Option<u64>,
    event_time: Timestamp,
    /// The place of the row among those whose values were read, where it is served.
    place: u32,
    /// It is too old to be served, or has ended.
    expired: bool,
    /// Another row has its keys and times.
    tied: bool,
    /// Bytes decided between such rows.
    by_bytes: bool,
    /// A row of a later event was not known yet; this is said without a row, too.
    newer_unknown: bool,
    /// It was not known yet.
    known_later: bool,
}

/// What it takes.
pub(super) const WINNER_BYTES: usize = size_of::<SlotWinner>();

impl SlotWinner {
    const NONE: SlotWinner = SlotWinner {
        row: None,
        event_time: Timestamp::MIN,
        place: 0,
        expired: false,
        tied: false,
        by_bytes: false,
        newer_unknown: false,
        known_later: false,
    };

    fn given(&self) -> Given {
        match self.row {
            None => Given::NotFound,
            Some(_) if self.expired => Given::Expired,
            Some(_) => Given::Row(self.place),
        }
    }

    /// The row, if it is served.
    fn served(&self) -> Option<u64> {
        self.row.filter(|_| !self.expired)
    }
}

impl JoinedView {
    /// Both passes over the published rows of the stored step at `index`. Blocking.
    pub(super) fn decide(index: usize, shared: &Shared, keys: Arc<LabelKeys>) -> Result<Self, TrainingError> {
        let (history, request) = (&shared.histories[index], &shared.request);
        let step = &request.plan.stored[index];
        if let Some(aggregates) = windows::needed(step) {
            return Self::aggregates(index, shared, keys, &aggregates);
        }
        let rules = request.rules(&step.view.view);
        let started = Instant::now();
        let (contest, offered) = offer_all(history, &keys, rules, &request.options)?;
        let decided = contest.decide();
        let mut winners = Winners::of(&decided, &step.view.view, &keys, request)?;
        drop(decided);
        trim();
        let offering = started.elapsed();
        let started = Instant::now();
        winners.settle_ties(history)?;
        winners.end(history, &step.view.view, &keys)?;
        let rows = winners.place(request.options.threads)?;
        let values = history.fetch(&rows, &history.output_columns(&step.outputs))?;
        let fetching = started.elapsed();
        shared.report(|report| {
            report.phases.offer += offering;
            report.phases.fetch += fetching;
            report.views[index].slots += winners.slots.len() as u64;
            report.views[index].rows_fetched += rows.len() as u64;
        });
        let asked = asked(index, &request.plan);
        let won = Won { slots: winners.slots, rows };
        Ok(JoinedView { index, keys, values, asked, offered, won: Some(won) })
    }

    /// The aggregates of the stored step at `index`, of which there are some for every key. Blocking.
    fn aggregates(
        index: usize,
        shared: &Shared,
        keys: Arc<LabelKeys>,
        aggregates: &Aggregates,
    ) -> Result<Self, TrainingError> {
        let (values, offered) = windows::answer(index, aggregates, shared, &keys)?;
        Ok(JoinedView { index, keys, values, asked: asked(index, &shared.request.plan), offered, won: None })
    }

    /// The keys of the part's labels.
    pub(super) fn keys(&self) -> &LabelKeys {
        &self.keys
    }

    /// What the slot of a label of the part gets, where rows compete and the label has a key.
    fn winner_of(&self, label: usize) -> Option<&SlotWinner> {
        Some(&self.won.as_ref()?.slots[self.keys.slots[label]? as usize])
    }

    /// The row that won for a label of the part, served or not.
    pub(super) fn winner(&self, label: usize) -> Option<u64> {
        self.winner_of(label)?.row
    }

    /// The features of the rows that won.
    pub(super) fn values(&self) -> &RecordBatch {
        &self.values
    }

    /// What a label of the part gets.
    pub(super) fn given(&self, label: usize) -> Given {
        self.keys.slots[label].map_or(Given::NotFound, |slot| self.given_to(slot))
    }

    /// What a slot gets.
    fn given_to(&self, slot: u32) -> Given {
        self.won.as_ref().map_or(Given::Row(slot), |won| won.slots[slot as usize].given())
    }

    /// The event time of a label's row, served or not.
    pub(super) fn event_time(&self, label: usize) -> Option<Timestamp> {
        self.winner_of(label).filter(|winner| winner.row.is_some()).map(|winner| winner.event_time)
    }

    /// What a label's row is served as.
    pub(super) fn row_status(&self, label: usize) -> Status {
        match self.given(label) {
            Given::NotFound => Status::NotFound,
            Given::Expired => Status::OutsideMaxAge,
            Given::Row(_) => Status::Present,
        }
    }

    /// Positions of the features that are asked for among [`JoinedView::values`]; all, if none is.
    pub(super) fn asked(&self) -> &[usize] {
        &self.asked
    }

    /// What a label's values are served as without defaults: NULL_VALUE where the row is there and all features that were asked for are null.
    pub(super) fn status(&self, label: usize) -> Status {
        match self.given(label) {
            Given::NotFound | Given::Expired => self.row_status(label),
            Given::Row(row) if self.is_null(row) => Status::NullValue,
            Given::Row(_) => Status::Present,
        }
    }

    /// Whether all features that were asked for are null in a row of the values.
    fn is_null(&self, row: u32) -> bool {
        let is_null = |column: &usize| self.values.column(*column).is_null(row as usize);
        // A view of which the event time alone is read has no features to be null.
        !self.asked.is_empty() && self.asked.iter().all(is_null)
    }

    /// Shows the rows that the part's labels got to the checks of the view.
    pub(super) fn check(&self, checker: &mut JoinedChecker, labels: usize) {
        let mut counts = vec![0; self.values.num_rows()];
        let (mut without_key, mut tied) = (0, 0);
        for label in 0..labels {
            let Some(slot) = self.keys.slots[label] else {
                without_key += 1;
                continue;
            };
            if let Given::Row(row) = self.given_to(slot) {
                counts[row as usize] += 1;
                tied += u64::from(self.won.as_ref().is_some_and(|won| won.slots[slot as usize].tied));
            }
        }
        let slots: Vec<u64>;
        let numbers = match &self.won {
            Some(won) => &won.rows[..],
            None => {
                slots = (0..counts.len() as u64).collect();
                &slots
            }
        };
        let rows = JoinedRows { features: self.values.columns(), labels: &counts, numbers };
        checker.look(rows, labels as u64, without_key, tied);
    }

    /// Adds what came of the part's labels, whose times are `times`, to the report.
    pub(super) fn report(&self, shared: &Shared, times: &[Timestamp]) -> Result<(), TrainingError> {
        let threads = shared.request.options.threads;
        let pieces = pieces(threads, times.len());
        let counts = in_parallel(threads, pieces.len(), |piece| Ok(self.count(times, pieces[piece].clone())))?;
        shared.report(|report| {
            let report = &mut report.views[self.index];
            report.row_groups_read += self.offered.row_groups;
            report.rows_read += self.offered.rows;
            report.rows_without_key += self.offered.null_keys;
            report.rows_without_created_time += self.offered.null_created;
            // Each part reads the same rows; the one with the last label reads all that any of them does.
            report.rows_set_aside = report.rows_set_aside.max(self.offered.set_aside);
            let SetAside { broken, failed } = self.offered.reasons;
            report.rows_breaking_contract = report.rows_breaking_contract.max(broken);
            report.rows_failing_transform = report.rows_failing_transform.max(failed);
            counts.iter().for_each(|counts| report.labels += *counts);
        });
        Ok(())
    }

    /// What came of these of the part's labels.
    fn count(&self, times: &[Timestamp], labels: Range<usize>) -> LabelCounts {
        let mut counts = LabelCounts::default();
        for label in labels {
            let slot = self.keys.slots[label];
            let given = self.given(label);
            match given {
                Given::Row(row) if self.is_null(row) => counts.null_value += 1,
                Given::Row(_) => counts.present += 1,
                Given::Expired => counts.outside_max_age += 1,
                Given::NotFound if slot.is_none() => counts.labels_without_key += 1,
                Given::NotFound => counts.not_found += 1,
            }
            let (Some(slot), Some(winner)) = (slot, self.winner_of(label)) else { continue };
            counts.decided_by_bytes += u64::from(winner.by_bytes);
            counts.newer_unknown += u64::from(winner.newer_unknown);
            counts.known_later += u64::from(winner.known_later);
            let served = matches!(given, Given::Row(_));
            counts.at_label_time += u64::from(served && winner.event_time == times[label]);
            let has_rows = || self.keys.group_of(slot as usize).is_some_and(|group| self.offered.seen(group));
            counts.only_later += u64::from(given == Given::NotFound && has_rows());
        }
        counts
    }
}

/// Positions of the features that are asked for among those that the stored step at `index` gives; all, if none is.
fn asked(index: usize, plan: &FeaturePlan) -> Vec<usize> {
    let outputs = &plan.stored[index].outputs;
    let asked = plan.columns.iter().map(|column| column.from).filter(|from| from.step == Step::Stored(index));
    let asked: Vec<usize> = asked.filter_map(|from| outputs.binary_search(&from.output).ok()).collect();
    if asked.is_empty() { (0..outputs.len()).collect() } else { asked }
}

/// Offers all rows, several units at a time.
fn offer_all<'a>(
    history: &History,
    keys: &'a LabelKeys,
    rules: Rules,
    options: &TrainingOptions,
) -> Result<(Contest<'a>, Offered), TrainingError> {
    let units = history.units();
    let next = AtomicUsize::new(0);
    let threads = options.threads.clamp(1, units.len().max(1));
    let parts = on_threads(threads, || {
        let mut contest = Contest::new(&keys.instants, rules);
        let mut offered = Offered::default();
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            offered += history.offer(unit, keys, rules, |rows| contest.offer_all(rows), options.batch_rows.max(1))?;
        }
        Ok((contest, offered))
    })?;
    let mut all = parts.into_iter();
    let (mut contest, mut offered) = all.next().expect("there is one thread at least");
    for (theirs, rows) in all {
        contest.join(theirs);
        offered += rows;
    }
    Ok((contest, offered))
}

/// The rows that won.
struct Winners {
    /// For each slot.
    slots: Vec<SlotWinner>,
    /// Slots with rows that tie, ascending.
    tied: Vec<(usize, Vec<u64>)>,
}

impl Winners {
    fn of(
        decided: &Decided<'_>,
        view: &FeatureView,
        keys: &LabelKeys,
        request: &Prepared,
    ) -> Result<Self, TrainingError> {
        // Where created times do not count, a row may win that was not known yet.
        let counts_created = request.ignore_created_time && view.known_by == KnownBy::Created;
        let mut slots = vec![SlotWinner::NONE; keys.instants.slots()];
        let tied = over_pieces(request.options.threads, &mut slots, |first, slots| {
            let mut tied = Vec::new();
            for (slot, found) in (first..).zip(slots) {
                let answer = decided.answer(slot);
                found.newer_unknown = answer.newer_unknown;
                let Some(winner) = answer.winner else { continue };
                let is_later = winner.created_time.is_some_and(|created| created > keys.instants.instant(slot));
                found.row = Some(winner.row);
                found.event_time = winner.event_time;
                found.expired = winner.expired;
                found.known_later = counts_created && !winner.expired && is_later;
                if !winner.tied.is_empty() && !winner.expired {
                    found.tied = true;
                    tied.push((slot, winner.tied));
                }
            }
            tied
        })?;
        Ok(Winners { slots, tied: tied.into_iter().flatten().collect() })
    }

    /// Gives each row that is served its place among them, and gives them: ascending, each once.
    fn place(&mut self, threads: usize) -> Result<Vec<u64>, TrainingError> {
        let mut served: Vec<(u64, u32)> = Vec::with_capacity(self.slots.len());
        let served_of = |(slot, winner): (u32, &SlotWinner)| Some((winner.served()?, slot));
        served.extend((0..).zip(&self.slots).filter_map(served_of));
        over_pieces(threads, &mut served, |_, piece| piece.sort_unstable())?;
        // What is sorted already is merged.
        served.sort();
        let mut rows: Vec<u64> = Vec::with_capacity(served.len());
        for (row, slot) in served {
            if rows.last() != Some(&row) {
                rows.push(row);
            }
            self.slots[slot as usize].place = (rows.len() - 1) as u32;
        }
        Ok(rows)
    }

    /// Rows of a dimension that are no longer valid are not served, and no older ones stand in for them: as online.
    fn end(&mut self, history: &History, view: &FeatureView, keys: &LabelKeys) -> Result<(), TrainingError> {
        let Some(column) = history.valid_to_column() else { return Ok(()) };
        let mut rows: Vec<u64> = self.slots.iter().filter_map(SlotWinner::served).collect();
        rows.sort_unstable();
        rows.dedup();
        let ends = history.fetch(&rows, &[column])?;
        let ends = ends.column(0).as_primitive::<TimestampMicrosecondType>();
        for (slot, winner) in self.slots.iter_mut().enumerate() {
            let Some(row) = winner.served() else { continue };
            let place = rows.binary_search(&row).expect("it was fetched");
            let end = ends.is_valid(place).then(|| Timestamp(ends.value(place)));
            winner.expired = has_ended(end, keys.instants.instant(slot), view.as_of);
        }
        Ok(())
    }

    /// Of rows that tie, that with the greatest canonical bytes wins; of equal ones it does not matter which.
    fn settle_ties(&mut self, history: &History) -> Result<(), TrainingError> {
        let mut rows: Vec<u64> = self.tied.iter().flat_map(|(_, rows)| rows).copied().collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable();
        rows.dedup();
        let values = history.fetch(&rows, &history.feature_columns())?;
        let encoder = RowEncoder::new(values.columns()).expect("features are of canonical types");
        let bytes = |row: u64| {
            let mut bytes = Vec::new();
            encoder.encode(rows.binary_search(&row).expect("it was fetched"), &mut bytes);
            bytes
        };
        for (slot, tied) in &self.tied {
            let mut best = (bytes(tied[0]), tied[0]);
            for row in &tied[1..] {
                let other = (bytes(*row), *row);
                self.slots[*slot].by_bytes |= other.0 != best.0;
                if other.0 > best.0 {
                    best = other;
                }
            }
            self.slots[*slot].row = Some(best.1);
        }
        Ok(())
    }
}
