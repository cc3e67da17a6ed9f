//! One view's answers for all labels.

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
use super::report::TrainingReport;
use super::threads::on_threads;
use super::{Shared, TrainingError, TrainingOptions, windows};
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
    given: Vec<Given>,
    /// For each slot: the event time of its row, if it has one.
    event_times: Vec<Option<Timestamp>>,
    /// For each slot: the row that won, served or not.
    winners: Vec<Option<u64>>,
    /// The numbers of the rows of `values`, ascending.
    rows: Vec<u64>,
    /// Slots whose row has the keys and times of another.
    tied: Vec<bool>,
    /// Slots in which bytes decided between rows.
    ties: Vec<bool>,
    /// Slots for which a row of a later event was not known yet.
    newer_unknown: Vec<bool>,
    /// Slots whose row was not known yet.
    known_later: Vec<bool>,
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
        let slots = keys.instants.slots();
        let mut winners = Winners::of(&decided, &step.view.view, &keys, request.ignore_created_time);
        drop(decided);
        let offering = started.elapsed();
        let started = Instant::now();
        winners.settle_ties(history)?;
        winners.end(history, &step.view.view, &keys)?;
        let (rows, given) = winners.given();
        let won = winners.rows.iter().map(|(row, _)| *row).collect();
        let values = history.fetch(&rows, &history.output_columns(&step.outputs))?;
        let fetching = started.elapsed();
        shared.report(|report| {
            report.phases.offer += offering;
            report.phases.fetch += fetching;
            report.views[index].slots += slots as u64;
            report.views[index].rows_fetched += rows.len() as u64;
        });
        let asked = asked(index, &request.plan);
        let Winners { event_times, ties, newer_unknown, known_later, .. } = winners;
        let mut tied = vec![false; slots];
        winners.tied.iter().for_each(|(slot, _)| tied[*slot] = true);
        let won = Won { given, event_times, winners: won, rows, tied, ties, newer_unknown, known_later };
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

    /// The row that won for a label of the part, served or not.
    pub(super) fn winner(&self, label: usize) -> Option<u64> {
        self.won.as_ref()?.winners[self.keys.slots[label]? as usize]
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
        self.won.as_ref().map_or(Given::Row(slot), |won| won.given[slot as usize])
    }

    /// The event time of a label's row, served or not.
    pub(super) fn event_time(&self, label: usize) -> Option<Timestamp> {
        self.won.as_ref()?.event_times[self.keys.slots[label]? as usize]
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
            Given::Row(row) => {
                let is_null = |column: &usize| self.values.column(*column).is_null(row as usize);
                // A view of which the event time alone is read has no features to be null.
                let all_null = !self.asked.is_empty() && self.asked.iter().all(is_null);
                if all_null { Status::NullValue } else { Status::Present }
            }
        }
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
                tied += u64::from(self.won.as_ref().is_some_and(|won| won.tied[slot as usize]));
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

    /// Adds what came of the part's labels, whose times are `times`.
    pub(super) fn report(&self, report: &mut TrainingReport, times: &[Timestamp]) {
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
        for (label, time) in times.iter().enumerate() {
            let slot = self.keys.slots[label].map(|slot| slot as usize);
            match self.status(label) {
                Status::Present => report.present += 1,
                Status::NullValue => report.null_value += 1,
                Status::OutsideMaxAge => report.outside_max_age += 1,
                _ if slot.is_none() => report.labels_without_key += 1,
                _ => report.not_found += 1,
            }
            let (Some(slot), Some(won)) = (slot, &self.won) else { continue };
            report.decided_by_bytes += u64::from(won.ties[slot]);
            report.newer_unknown += u64::from(won.newer_unknown[slot]);
            report.known_later += u64::from(won.known_later[slot]);
            let served = matches!(won.given[slot], Given::Row(_));
            report.at_label_time += u64::from(served && won.event_times[slot] == Some(*time));
            let has_rows = || self.keys.group_of(slot).is_some_and(|group| self.offered.seen(group));
            report.only_later += u64::from(won.given[slot] == Given::NotFound && has_rows());
        }
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

/// The rows that won, by slot.
struct Winners {
    /// The row, and whether it is too old.
    rows: Vec<(Option<u64>, bool)>,
    event_times: Vec<Option<Timestamp>>,
    newer_unknown: Vec<bool>,
    ties: Vec<bool>,
    known_later: Vec<bool>,
    /// Slots with rows that tie.
    tied: Vec<(usize, Vec<u64>)>,
}

impl Winners {
    /// `ignored`: whether created times do not count, so that a row may win that was not known yet.
    fn of(decided: &Decided<'_>, view: &FeatureView, keys: &LabelKeys, ignored: bool) -> Self {
        let slots = keys.instants.slots();
        let counts_created = ignored && view.known_by == KnownBy::Created;
        let mut winners = Winners {
            rows: Vec::with_capacity(slots),
            event_times: Vec::with_capacity(slots),
            newer_unknown: Vec::with_capacity(slots),
            ties: vec![false; slots],
            known_later: vec![false; slots],
            tied: Vec::new(),
        };
        for slot in 0..slots {
            let answer = decided.answer(slot);
            winners.newer_unknown.push(answer.newer_unknown);
            winners.event_times.push(answer.winner.as_ref().map(|winner| winner.event_time));
            match answer.winner {
                None => winners.rows.push((None, false)),
                Some(winner) => {
                    let is_later = winner.created_time.is_some_and(|created| created > keys.instants.instant(slot));
                    winners.known_later[slot] = counts_created && !winner.expired && is_later;
                    winners.rows.push((Some(winner.row), winner.expired));
                    if !winner.tied.is_empty() && !winner.expired {
                        winners.tied.push((slot, winner.tied));
                    }
                }
            }
        }
        winners
    }

    /// The rows that are served (ascending, each once), and what each slot gets.
    fn given(&self) -> (Vec<u64>, Vec<Given>) {
        let mut given: Vec<Given> = Vec::with_capacity(self.rows.len());
        let mut served: Vec<(u64, u32)> = Vec::with_capacity(self.rows.len());
        for (slot, (row, expired)) in self.rows.iter().enumerate() {
            given.push(match row {
                Some(_) if *expired => Given::Expired,
                Some(_) => Given::Row(0), // until its place is known
                None => Given::NotFound,
            });
            served.extend(row.filter(|_| !*expired).map(|row| (row, slot as u32)));
        }
        served.sort_unstable();
        let mut rows: Vec<u64> = Vec::with_capacity(served.len());
        for (row, slot) in served {
            if rows.last() != Some(&row) {
                rows.push(row);
            }
            given[slot as usize] = Given::Row((rows.len() - 1) as u32);
        }
        (rows, given)
    }

    /// Rows of a dimension that are no longer valid are not served, and no older ones stand in for them: as online.
    fn end(&mut self, history: &History, view: &FeatureView, keys: &LabelKeys) -> Result<(), TrainingError> {
        let Some(column) = history.valid_to_column() else { return Ok(()) };
        let mut rows: Vec<u64> = self.rows.iter().filter_map(|(row, expired)| (!expired).then_some(*row)?).collect();
        rows.sort_unstable();
        rows.dedup();
        let ends = history.fetch(&rows, &[column])?;
        let ends = ends.column(0).as_primitive::<TimestampMicrosecondType>();
        for (slot, (row, expired)) in self.rows.iter_mut().enumerate() {
            let Some(row) = row.filter(|_| !*expired) else { continue };
            let place = rows.binary_search(&row).expect("it was fetched");
            let end = ends.is_valid(place).then(|| Timestamp(ends.value(place)));
            *expired = has_ended(end, keys.instants.instant(slot), view.as_of);
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
                self.ties[*slot] |= other.0 != best.0;
                if other.0 > best.0 {
                    best = other;
                }
            }
            self.rows[*slot].0 = Some(best.1);
        }
        Ok(())
    }
}
