//! Writing: batches of rows, and rows that are pushed, which also go into the log.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tandem_core::order::RowOrder;
use tandem_core::time::Timestamp;

use super::{PutReport, PutRow, Store, read};
use crate::environment::{Fault, Table, WriteTransaction};
use crate::error::OnlineError;
use crate::generation::{Numbers, Target};
use crate::key::{RecordKey, log_key};
use crate::log::LogState;
use crate::record::Stored;
use crate::view::ViewId;
use crate::windows::{Equals, EventFate, How, Place, WindowView};

/// Where pushed rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushTo {
    /// Into the records, if they are newer.
    pub online: bool,
    /// Into the log, and from there into the offline history.
    pub offline: bool,
}

impl PushTo {
    /// Records alone.
    pub const ONLINE: PushTo = PushTo { online: true, offline: false };
    /// The log alone.
    pub const OFFLINE: PushTo = PushTo { online: false, offline: true };
    /// Both.
    pub const BOTH: PushTo = PushTo { online: true, offline: true };
}

/// What became of a pushed row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// It is the newest of its entity, and is served from now on.
    Written,
    /// The entity has a newer one. If it goes into the log, it is there.
    Older,
    /// The same row is there already, and nothing was changed.
    Unchanged,
    /// It goes into the log alone, and is there.
    Logged,
    /// It is an event that lies further behind the newest one of its entity than its view's lateness, or a version of one: it was refused, and is nowhere.
    TooLate,
}

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushReport {
    /// Of its rows online.
    pub put: PutReport,
    /// Of each row, in their order.
    pub outcomes: Vec<RowOutcome>,
    /// First and last sequence of the rows that went into the log, if any did.
    pub sequences: Option<(u64, u64)>,
    /// Rows that went into the log.
    pub logged: usize,
    /// When its rows were made visible: the published time of all of them.
    pub published_time: Timestamp,
}

/// What kind of a batch it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows of the offline history, with their published times.
    Materialized,
    /// Rows that are new; they get their published time now.
    Pushed(PushTo),
}

/// Rows that are written together.
pub(crate) struct Batch<'a> {
    pub(crate) target: Target,
    pub(crate) rows: Vec<PutRow<'a>>,
    pub(crate) kind: Kind,
    /// Of a view of aggregates, how its events are kept: the rows are events.
    pub(crate) windows: Option<Arc<WindowView>>,
}

/// What is done with the rows of a batch.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    /// Whether newer rows are written.
    online: bool,
    /// Whether they are in the offline history, or on their way there.
    history: bool,
}

impl Mode {
    /// Rows of the offline history.
    pub(super) const HISTORY: Mode = Mode { online: true, history: true };
}

/// What became of a row, and whether the log need not have it.
#[derive(Clone, Copy)]
pub(super) struct Fate {
    outcome: RowOutcome,
    in_history: bool,
}

impl Store {
    /// Pushes rows in one transaction: as [`Store::put_if_newer`], and into the log. They get the present by `clock` as published time, or that of the
    /// last push of the view if it was later. A row that is stored already, from the same history, changes nothing. When it returns, they are
    /// on disk.
    ///
    /// # Errors
    /// Nothing of the batch is written.
    pub fn push(
        &self,
        view: ViewId,
        rows: &[PutRow<'_>],
        to: PushTo,
        clock: fn() -> Timestamp,
    ) -> Result<PushReport, OnlineError> {
        self.check_batch(rows)?;
        let batch = Batch { target: view.into(), rows: rows.to_vec(), kind: Kind::Pushed(to), windows: None };
        self.inner.environment.write(|txn| self.write_in(txn, &batch, clock()))
    }

    /// Several batches in one transaction, in their order; each must have passed [`Store::check_batch`].
    pub(crate) fn commit(
        &self,
        batches: &[Batch<'_>],
        clock: fn() -> Timestamp,
    ) -> Result<Vec<PushReport>, OnlineError> {
        self.inner.environment.write(|txn| {
            let now = clock();
            batches.iter().map(|batch| self.write_in(txn, batch, now)).collect()
        })
    }

    fn write_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        batch: &Batch<'_>,
        now: Timestamp,
    ) -> Result<PushReport, Fault> {
        let view = batch.target.view;
        let numbers = self.numbers_in(txn, batch.target)?;
        let Kind::Pushed(to) = batch.kind else {
            let mode = Mode::HISTORY;
            if let Some(second) = numbers.second {
                self.put_in(txn, second, &batch.rows, mode)?;
            }
            let (put, fates) = self.put_in(txn, numbers.first, &batch.rows, mode)?;
            let outcomes = fates.into_iter().map(|fate| fate.outcome).collect();
            return Ok(PushReport { put, outcomes, sequences: None, logged: 0, published_time: now });
        };
        let mut log = self.log_state(txn, view)?;
        // A clock that was set back does not make what comes later known before.
        let published_time = now.max(log.published_time);
        let mut rows = batch.rows.clone();
        rows.iter_mut().for_each(|row| row.record.published_time = published_time);
        // What is told is what became of the rows where they are served.
        let (put, fates) = match &batch.windows {
            Some(windows) => {
                self.put_pushed_events(txn, batch.target.view, numbers, &rows, windows, (to, published_time))?
            }
            None => {
                let mode = Mode { online: to.online, history: to.offline };
                if let Some(second) = numbers.second {
                    self.put_in(txn, second, &rows, mode)?;
                }
                self.put_in(txn, numbers.first, &rows, mode)?
            }
        };
        let first = log.next;
        if to.offline {
            let mut seen: HashSet<(&[u8], RowOrder<'_>)> = HashSet::with_capacity(rows.len());
            let mut bytes = Vec::new();
            for (PutRow { key, record }, fate) in rows.iter().zip(&fates) {
                // Equal events that come together count each.
                let again = batch.windows.is_none() && !seen.insert((key, record.order()));
                if fate.in_history || again {
                    continue;
                }
                Stored { record: *record, full_key: Some(key), in_history: true, removed: false, until: None }
                    .encode(&mut bytes);
                txn.put(Table::Log, &log_key(view, log.next), &bytes)?;
                log.add(bytes.len());
            }
        }
        let logged = (log.next - first) as usize;
        if logged > 0 {
            log.published_time = published_time;
            txn.put(Table::State, &LogState::key(view), &log.encode())?;
        }
        let sequences = (logged > 0).then(|| (first, log.next - 1));
        let outcomes = fates.into_iter().map(|fate| fate.outcome).collect();
        Ok(PushReport { put, outcomes, sequences, logged, published_time })
    }

    /// Writes events of a view of aggregates into its generations. What the first does not take is in neither. Gives what became of them in the first.
    pub(super) fn put_events_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        (view, numbers): (ViewId, Numbers),
        windows: &WindowView,
        (rows, equals): (&[PutRow<'_>], &[Place]),
        how: How,
    ) -> Result<Vec<EventFate>, Fault> {
        let fates = windows.put_in(txn, numbers.first, rows, equals, how)?;
        let Some(second) = numbers.second else { return Ok(fates) };
        let is_taken = |index: &usize| !fates[*index].is_late;
        let taken: Vec<usize> = (0..rows.len()).filter(is_taken).collect();
        let (rows, equals): (Vec<PutRow<'_>>, Vec<Place>) = taken.iter().map(|row| (rows[*row], equals[*row])).unzip();
        // A generation that is not served is not folded: another one may have had to be told from its events.
        let put = windows.put_in(txn, second, &rows, &equals, How { folds: false, ..how }).and_then(|in_second| {
            let is_refused = taken.iter().zip(&in_second).any(|(row, fate)| fates[*row].is_new && fate.is_late);
            let reason = || "it has tiles alone of a time at which an event was taken".to_owned();
            if is_refused { Err(Fault::Error(OnlineError::Windows { reason: reason() })) } else { Ok(()) }
        });
        if let Err(fault) = put {
            self.give_up_kept(txn, view, fault)?;
        }
        Ok(fates)
    }

    /// Writes events that are pushed.
    fn put_pushed_events(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        numbers: Numbers,
        rows: &[PutRow<'_>],
        windows: &WindowView,
        (to, now): (PushTo, Timestamp),
    ) -> Result<(PutReport, Vec<Fate>), Fault> {
        if !to.online {
            let fates = vec![Fate { outcome: RowOutcome::Logged, in_history: false }; rows.len()];
            return Ok((PutReport { kept: rows.len(), ..PutReport::default() }, fates));
        }
        let mut equals = Equals::default();
        let places: Vec<Place> = rows.iter().map(|row| equals.next(row.key, &row.record)).collect();
        let how = How { hash: self.inner.hash, history: to.offline, now, folds: true };
        let fates = self.put_events_in(txn, (view, numbers), windows, (rows, &places), how)?;
        let written = fates.iter().filter(|fate| fate.is_new).count();
        let fate = |EventFate { is_new, in_history, stands, is_late }: EventFate| Fate {
            outcome: match (is_new, stands) {
                _ if is_late => RowOutcome::TooLate,
                (false, _) => RowOutcome::Unchanged,
                (true, true) => RowOutcome::Written,
                (true, false) => RowOutcome::Older,
            },
            in_history,
        };
        let report = PutReport { written, kept: rows.len() - written, repaired: 0 };
        Ok((report, fates.into_iter().map(fate).collect()))
    }

    /// Writes those rows that are newer than what is stored, and than the others of the batch.
    pub(super) fn put_in(
        &self,
        txn: &mut WriteTransaction<'_, '_>,
        view: ViewId,
        rows: &[PutRow<'_>],
        mode: Mode,
    ) -> Result<(PutReport, Vec<Fate>), Fault> {
        // Of each entity its greatest row and its last one; of each row the one of its entity before it.
        let mut entities: HashMap<&[u8], (usize, usize)> = HashMap::with_capacity(rows.len());
        let mut before: Vec<Option<usize>> = vec![None; rows.len()];
        for (index, put) in rows.iter().enumerate() {
            match entities.entry(put.key) {
                Entry::Vacant(entry) => drop(entry.insert((index, index))),
                Entry::Occupied(mut entry) => {
                    let (best, last) = entry.get_mut();
                    before[index] = Some(*last);
                    *last = index;
                    if put.record.order() > rows[*best].record.order() {
                        *best = index;
                    }
                }
            }
        }
        let otherwise = if mode.online { RowOutcome::Older } else { RowOutcome::Logged };
        let mut fates = vec![Fate { outcome: otherwise, in_history: false }; rows.len()];
        let mut puts: Vec<_> = entities
            .into_values()
            .map(|(best, last)| (RecordKey::new(view, rows[best].key, self.inner.hash), best, last))
            .collect();
        puts.sort_unstable();
        let mut report = PutReport::default();
        let mut bytes = Vec::new();
        for (record_key, index, last) in puts {
            let PutRow { key, record } = rows[index];
            let full_key = record_key.is_hashed().then_some(key);
            let of_entity = || std::iter::successors(Some(last), |index| before[*index]);
            let mut is_newer = true;
            match txn.get(Table::Records, record_key.as_bytes())?.map(|bytes| read(&record_key, bytes)) {
                Some(Ok(stored)) if stored.full_key.is_some_and(|stored| stored != key) => {
                    return Err(Fault::Error(OnlineError::KeyCollision { row: index }));
                }
                Some(Ok(stored)) => {
                    is_newer = stored.compare(&record.order(), false).is_lt();
                    let again = of_entity().filter(|index| stored.compare(&rows[*index].record.order(), false).is_eq());
                    let mut is_again = false;
                    for index in again {
                        is_again = true;
                        fates[index] = Fate { outcome: RowOutcome::Unchanged, in_history: stored.in_history };
                    }
                    if is_again && !is_newer && mode.history && !stored.in_history {
                        Stored { in_history: true, ..stored }.encode(&mut bytes);
                        txn.put(Table::Records, record_key.as_bytes(), &bytes)?;
                    }
                }
                Some(Err(_)) if mode.online => report.repaired += 1,
                Some(Err(_)) | None => {}
            }
            if !is_newer || !mode.online {
                continue;
            }
            Stored { record, full_key, in_history: mode.history, removed: false, until: None }.encode(&mut bytes);
            txn.put(Table::Records, record_key.as_bytes(), &bytes)?;
            report.written += 1;
            for other in of_entity().filter(|other| rows[*other].record.order() == record.order()) {
                fates[other].outcome = if other == index { RowOutcome::Written } else { RowOutcome::Unchanged };
            }
        }
        report.kept = rows.len() - report.written;
        Ok((report, fates))
    }
}
