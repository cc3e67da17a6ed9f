//! Why a label got what it got: the rows that were there for it, and what became of each.

use std::path::PathBuf;

use tandem_core::model::{AsOf, KnownBy, ViewVersion};
use tandem_core::point_in_time::JoinRow;
use tandem_core::status::Status;
use tandem_core::time::{Duration, Timestamp};

use super::history::{History, place};
use super::joined::JoinedView;
use super::part::Part;
use super::{TrainingError, TrainingSet, windows};

/// What one label got of one stored view.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewExplanation {
    /// The view.
    pub view: ViewVersion,
    /// What its rows are joined by.
    pub as_of: AsOf,
    /// What counts as known.
    pub known_by: KnownBy,
    /// For how long a row is served.
    pub ttl: Option<Duration>,
    /// What the row is served as, before any default.
    pub status: Status,
    /// Whether the label has a key that can be looked for: no null, no NaN.
    pub has_key: bool,
    /// All rows of the label's entity that were read, the greatest first. Rows of row groups whose events all happened later are not.
    pub rows: Vec<Candidate>,
}

/// A row of the label's entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Where it is read.
    pub origin: Origin,
    /// Its row there, from 0.
    pub row: u64,
    /// When it happened.
    pub event_time: Timestamp,
    /// When its producer knew of it.
    pub created_time: Option<Timestamp>,
    /// Since when Tandem has it.
    pub published_time: Timestamp,
    /// Its position in the source's log.
    pub sequence: Option<i64>,
    /// Until when it counts; None for ever.
    pub until: Option<Timestamp>,
    /// What became of it.
    pub verdict: Verdict,
}

/// Where a row is read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file of published rows, or of the source of a view of columns.
    File(PathBuf),
    /// What the query of this source gives: its file is gone with the run.
    Query(String),
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the label's row.
    Won,
    /// It would be, but is too old, or no longer valid: OUTSIDE_MAX_AGE.
    Expired,
    /// Another row is greater.
    Older,
    /// It has the times and the sequence of the row that won; that row's bytes are greater, or the same.
    LostTie,
    /// It had not happened.
    Future,
    /// It was known from then on.
    NotKnown(Timestamp),
    /// It counted until then.
    Ended(Timestamp),
    /// An event that a window of the view takes in.
    Counted,
    /// An event before the start of every window.
    OutsideWindows,
    /// An event that the view's filter leaves out.
    Filtered,
    /// The row that takes an event back.
    Retraction,
}

impl Verdict {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Won => "won",
            Verdict::Expired => "expired",
            Verdict::Older => "older",
            Verdict::LostTie => "lost_tie",
            Verdict::Future => "future",
            Verdict::NotKnown(_) => "not_known",
            Verdict::Ended(_) => "ended",
            Verdict::Counted => "counted",
            Verdict::OutsideWindows => "outside_windows",
            Verdict::Filtered => "filtered",
            Verdict::Retraction => "retraction",
        }
    }
}

impl TrainingSet {
    /// What the label at `row` got of each stored view, in the order of the plan, by the same join. Blocking.
    ///
    /// # Errors
    ///
    /// As [`TrainingSet::stream`].
    pub fn explain(&self, row: usize) -> Result<Vec<ViewExplanation>, TrainingError> {
        let shared = &self.shared;
        let part = Part::join(shared, row..row + 1)?;
        let instant = shared.times[row];
        let explain = |(index, (history, joined)): (usize, (&History, &JoinedView))| {
            if shared.request.plan.stored[index].view.view.is_aggregates() {
                return windows::explain(index, shared, joined, instant);
            }
            let view = &history.view().view;
            let (keys, rules) = (joined.keys(), shared.request.rules(view));
            let mut rows: Vec<JoinRow> = Vec::new();
            for unit in history.units() {
                let take = |offered: &[(u32, JoinRow)]| rows.extend(offered.iter().map(|(_, row)| *row));
                history.offer(&unit, keys, rules, take, shared.request.options.batch_rows)?;
            }
            // The greatest first; what ties lies side by side.
            rows.sort_by_key(|row| std::cmp::Reverse((row.event_time, row.created_time, row.sequence, row.row)));
            let winner = joined.winner(0);
            let status = joined.row_status(0);
            let of_winner = rows.iter().find(|row| Some(row.row) == winner).map(rank);
            let candidate = |row: &JoinRow| {
                let happened = rules.happened_from(row.event_time);
                let known = rules.there_from(row.event_time, row.created_time, row.published_time);
                let known = known.map(|known| known.max(row.corrected_time.unwrap_or(Timestamp::MIN)));
                let verdict = match (happened, known) {
                    (None, _) => Verdict::Future,
                    (Some(happened), _) if happened > instant => Verdict::Future,
                    (_, Some(known)) if known > instant => Verdict::NotKnown(known),
                    _ if row.until.is_some_and(|until| until <= instant) => {
                        Verdict::Ended(row.until.unwrap_or(instant))
                    }
                    _ if Some(row.row) == winner && status == Status::OutsideMaxAge => Verdict::Expired,
                    _ if Some(row.row) == winner => Verdict::Won,
                    _ if Some(rank(row)) == of_winner => Verdict::LostTie,
                    _ => Verdict::Older,
                };
                let (file, at) = place(row.row);
                Candidate {
                    origin: history.origin(file),
                    row: at,
                    event_time: row.event_time,
                    created_time: row.created_time,
                    published_time: row.published_time,
                    sequence: row.sequence,
                    until: row.until,
                    verdict,
                }
            };
            Ok(ViewExplanation {
                view: view.id(),
                as_of: rules.as_of,
                known_by: rules.known_by,
                ttl: rules.ttl,
                status,
                has_key: keys.slots[0].is_some(),
                rows: rows.iter().map(candidate).collect(),
            })
        };
        shared.histories.iter().zip(&part.views).enumerate().map(explain).collect()
    }
}

fn rank(row: &JoinRow) -> (Timestamp, Option<Timestamp>, Option<i64>) {
    (row.event_time, row.created_time, row.sequence)
}
