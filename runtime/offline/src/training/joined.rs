//! One view's answers for all labels.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::RecordBatch;
use tandem_core::canonical::RowEncoder;
use tandem_core::point_in_time::{Contest, Decided, Rules};
use tandem_core::status::Status;
use tandem_core::suggest::nearest;
use tandem_core::time::Timestamp;

use super::history::{History, Offered};
use super::labels::LabelKeys;
use super::report::ViewReport;
use super::{JoinView, TrainingError, TrainingOptions};
use crate::error::OfflineError;

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
    view: JoinView,
    keys: Arc<LabelKeys>,
    /// For each slot.
    given: Vec<Given>,
    /// For each slot: the event time of its row, if it has one.
    event_times: Vec<Option<Timestamp>>,
    /// The features that were asked for, of the rows that won.
    values: RecordBatch,
    offered: Offered,
    /// Slots in which bytes decided between rows.
    ties: Vec<bool>,
    /// Slots for which a row of a later event was not known yet.
    newer_unknown: Vec<bool>,
}

impl JoinedView {
    /// Both passes over the view's published rows. Blocking.
    pub(super) fn decide(
        view: &JoinView,
        keys: Arc<LabelKeys>,
        offline_root: &Path,
        options: &TrainingOptions,
    ) -> Result<Self, TrainingError> {
        let history = History::open(&view.view, offline_root)?;
        let columns = feature_columns(view, &history)?;
        let rules = Rules::of(&view.view.view);
        let (contest, offered) = offer_all(&history, &keys, rules, options)?;
        let decided = contest.decide();

        let slots = keys.instants.slots();
        let mut winners = Winners::of(&decided, slots);
        winners.settle_ties(&history)?;
        let mut rows: Vec<u64> = winners.rows.iter().filter_map(|(row, expired)| (!expired).then_some(*row)?).collect();
        rows.sort_unstable();
        rows.dedup();
        let given = winners.rows.iter().map(|(row, expired)| match row {
            Some(_) if *expired => Given::Expired,
            Some(row) => Given::Row(rows.binary_search(row).expect("it was collected") as u32),
            None => Given::NotFound,
        });
        let given = given.collect();
        // A row can be chosen through two names of one feature, a column can be read once.
        let mut projection = columns.clone();
        projection.sort_unstable();
        projection.dedup();
        let fetched = history.fetch(&rows, &projection)?;
        let order: Vec<usize> =
            columns.iter().map(|column| projection.binary_search(column).expect("it was projected")).collect();
        let values = fetched.project(&order).map_err(|error| OfflineError::DataFusion(error.into()))?;
        let Winners { event_times, ties, newer_unknown, .. } = winners;
        Ok(JoinedView { view: view.clone(), keys, given, event_times, values, offered, ties, newer_unknown })
    }

    /// The features of the rows that won.
    pub(super) fn values(&self) -> &RecordBatch {
        &self.values
    }

    /// What a label gets.
    pub(super) fn given(&self, label: usize) -> Given {
        self.keys.slots[label].map_or(Given::NotFound, |slot| self.given[slot as usize])
    }

    /// What a label's values are served as: NULL_VALUE where the row is there and all features that were asked for are null.
    pub(super) fn status(&self, label: usize) -> Status {
        match self.given(label) {
            Given::NotFound => Status::NotFound,
            Given::Expired => Status::OutsideMaxAge,
            Given::Row(row) if self.values.columns().iter().all(|column| column.is_null(row as usize)) => {
                Status::NullValue
            }
            Given::Row(_) => Status::Present,
        }
    }

    pub(super) fn report(&self, times: &[Timestamp]) -> ViewReport {
        let bound = &self.view.view;
        let mut report = ViewReport::new(bound.view.id(), bound.digest, bound.definition_hash);
        report.rows_read = self.offered.rows;
        report.rows_without_key = self.offered.null_keys;
        report.rows_without_created_time = self.offered.null_created;
        for (label, time) in times.iter().enumerate() {
            let slot = self.keys.slots[label].map(|slot| slot as usize);
            match self.status(label) {
                Status::Present => report.present += 1,
                Status::NullValue => report.null_value += 1,
                Status::OutsideMaxAge => report.outside_max_age += 1,
                _ if slot.is_none() => report.labels_without_key += 1,
                _ => report.not_found += 1,
            }
            if let Some(slot) = slot {
                report.decided_by_bytes += u64::from(self.ties[slot]);
                report.newer_unknown += u64::from(self.newer_unknown[slot]);
                let served = matches!(self.given[slot], Given::Row(_));
                report.at_label_time += u64::from(served && self.event_times[slot] == Some(*time));
            }
        }
        report
    }
}

/// Columns of the feature rows, one for each feature that is asked for.
fn feature_columns(view: &JoinView, history: &History) -> Result<Vec<usize>, TrainingError> {
    let column = |feature: &String| {
        history.feature_column(feature).ok_or_else(|| {
            let known = view.view.signature.outputs.iter().map(|output| output.name.as_str());
            TrainingError::UnknownFeature {
                view: view.view.view.id(),
                feature: feature.clone(),
                similar: nearest(feature, known).map(str::to_owned),
            }
        })
    };
    view.features.iter().map(column).collect()
}

/// Offers all files' rows, several files at a time.
fn offer_all<'a>(
    history: &History,
    keys: &'a LabelKeys,
    rules: Rules,
    options: &TrainingOptions,
) -> Result<(Contest<'a>, Offered), TrainingError> {
    let files = history.files().len();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut contest = Contest::new(&keys.instants, rules);
        let mut offered = Offered::default();
        loop {
            let file = next.fetch_add(1, Ordering::Relaxed);
            if file >= files {
                return Ok((contest, offered));
            }
            offered += history.offer(file, keys, &mut contest, options.batch_rows.max(1))?;
        }
    };
    let threads = options.threads.clamp(1, files.max(1));
    let done: Vec<Result<(Contest<'a>, Offered), TrainingError>> = std::thread::scope(|scope| {
        let running: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        let first = work();
        let rest = running.into_iter().map(|thread| {
            thread.join().unwrap_or_else(|_| Err(OfflineError::Task("a reader panicked".to_owned()).into()))
        });
        std::iter::once(first).chain(rest).collect()
    });
    let mut all = done.into_iter();
    let (mut contest, mut offered) = all.next().expect("there is one thread at least")?;
    for part in all {
        let (theirs, rows) = part?;
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
    /// Slots with rows that tie.
    tied: Vec<(usize, Vec<u64>)>,
}

impl Winners {
    fn of(decided: &Decided<'_>, slots: usize) -> Self {
        let mut winners = Winners {
            rows: Vec::with_capacity(slots),
            event_times: Vec::with_capacity(slots),
            newer_unknown: Vec::with_capacity(slots),
            ties: vec![false; slots],
            tied: Vec::new(),
        };
        for slot in 0..slots {
            let answer = decided.answer(slot);
            winners.newer_unknown.push(answer.newer_unknown);
            winners.event_times.push(answer.winner.as_ref().map(|winner| winner.event_time));
            match answer.winner {
                None => winners.rows.push((None, false)),
                Some(winner) => {
                    winners.rows.push((Some(winner.row), winner.expired));
                    if !winner.tied.is_empty() && !winner.expired {
                        winners.tied.push((slot, winner.tied));
                    }
                }
            }
        }
        winners
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
