//! Events of views of aggregates, and tiles over them: what windows are computed of.
//!
//! Everything of a view lies in the table `windows`, under a prefix for each entity (`keys`). Events are records, whose rows are the canonical bytes of their
//! columns. Over them lie tiles: the states of all events of a stretch of time, in levels of which each is 16 times as wide as the one below
//! ([`tandem_core::window::State`]). A push writes the events and the tiles that they fall into in one transaction; a read merges whole tiles and adds the
//! events at the ends of a window one by one. So the number of events of an entity hardly matters, and no value depends on how they came.
//!
//! An event is known by its key, its times, its sequence and its values: sent again it changes nothing. Events that are equal in all of these and come
//! together count each. Where the source names event ids, it is known by its id: every version is kept with the instant until which it counts, and tiles hold
//! those that no other stands in the place of (`versions`).

mod entity;
mod fold;
mod keys;
mod levels;
mod read;
mod retention;
mod stored;
#[cfg(test)]
mod tests;
mod versions;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use tandem_core::canonical::{decode_rows, schema_fingerprint};
use tandem_core::hash::Digest;
use tandem_core::model::{AsOf, BoundView, KnownBy};
use tandem_core::time::{Duration, Timestamp};
use tandem_core::types::{EVENT_ID, Field, RETRACTED};
use tandem_core::window::{Events, Plan, Precision, Window};

use arrow_array::{ArrayRef, Int64Array, TimestampMicrosecondArray};

use crate::error::OnlineError;
use crate::record::RecordRef;

pub(crate) use entity::folded_of;
pub use fold::FOLDED_MAX;
pub(crate) use keys::Prefix;
pub(crate) use keys::{is_entity, is_id, is_of_id, parse_event};
use levels::Levels;
pub use write::DROPPED_MAX;
pub(crate) use write::{EventFate, How};

/// How far back events are kept one by one.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// Tiles of this width are what is left, in microseconds.
    hop: i64,
    /// How far behind the newest event of its entity an event may come, in microseconds.
    lateness: i64,
}

/// How the events of a view of aggregates are kept.
#[derive(Debug)]
pub struct WindowView {
    plan: Plan,
    columns: Vec<Field>,
    fingerprint: u64,
    /// The column with the event's id, where the source names one.
    id: Option<usize>,
    /// The column that is true where a row takes its event back.
    retracted: Option<usize>,
    known_by: KnownBy,
    as_of: AsOf,
    levels: Levels,
    /// Where only tiles are kept of what lies further back; None where all events are kept.
    late: Option<Late>,
    /// Microseconds after which an event is dropped; None: never.
    retention: Option<i64>,
}

impl WindowView {
    /// How those of `view` are kept; None if it is no view of aggregates.
    pub fn new(view: &BoundView) -> Option<Arc<WindowView>> {
        let aggregates = view.view.aggregates.as_ref()?;
        let events = view.events()?;
        let plan = Plan::with_functions(aggregates, &view.functions());
        let windows: Vec<Window> = (0..plan.windows()).map(|window| plan.window(window)).collect();
        let columns = events.signature.outputs.clone();
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        let late = match (plan.spans().precision, aggregates.lateness) {
            (Precision::Tiled { hop }, Some(lateness)) => Some(Late { hop: micros(hop), lateness: micros(lateness) }),
            _ => None,
        };
        Some(Arc::new(WindowView {
            fingerprint: schema_fingerprint(&columns),
            id: columns.iter().position(|column| column.name == EVENT_ID),
            retracted: columns.iter().position(|column| column.name == RETRACTED),
            columns,
            known_by: view.view.known_by,
            as_of: view.view.as_of,
            levels: Levels::of(&windows, late.map(|late| late.hop)),
            late,
            retention: retention(&plan, &windows, aggregates.retention.map(|retention| retention.as_micros())),
            plan,
        }))
    }

    /// The plan of its features.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// When an event was known.
    fn known_from(&self, record: &RecordRef<'_>) -> Timestamp {
        match self.known_by {
            KnownBy::Created => record.created_time.unwrap_or(record.published_time),
            KnownBy::Published => record.published_time,
            KnownBy::Event => Timestamp::MIN,
        }
    }

    /// Whether events are dropped some time.
    pub fn has_retention(&self) -> bool {
        self.retention.is_some()
    }

    /// How far behind the newest event of its entity an event may come; None: as far as it likes.
    pub fn lateness(&self) -> Option<Duration> {
        self.late.map(|late| Duration::from_micros(late.lateness.unsigned_abs()))
    }

    /// Whether its events have ids.
    pub fn has_ids(&self) -> bool {
        self.id.is_some()
    }

    /// Looks at events once.
    fn look(&self, records: &[RecordRef<'_>]) -> Result<Events, OnlineError> {
        self.look_at(records, self.arrays(records)?)
    }

    /// The columns of events.
    fn arrays(&self, records: &[RecordRef<'_>]) -> Result<Vec<ArrayRef>, OnlineError> {
        let fail = |reason: String| OnlineError::Windows { reason };
        if let Some(record) = records.iter().find(|record| record.schema_fingerprint != self.fingerprint) {
            let found = record.schema_fingerprint;
            return Err(fail(format!("an event has the columns {found:016x}, the view has {:016x}", self.fingerprint)));
        }
        let arrays = decode_rows(&self.columns, records.iter().map(|record| Some(record.row)));
        arrays.map_err(|error| fail(error.to_string()))
    }

    fn look_at(&self, records: &[RecordRef<'_>], mut arrays: Vec<ArrayRef>) -> Result<Events, OnlineError> {
        // A view without columns has the event time in their place.
        arrays.truncate(self.plan.columns());
        let times = |of: &dyn Fn(&RecordRef<'_>) -> Option<Timestamp>| {
            records.iter().map(|record| of(record).map(|time| time.0)).collect::<TimestampMicrosecondArray>()
        };
        let sequences: Int64Array = records.iter().map(|record| record.sequence).collect();
        let events = self.plan.events(
            &arrays,
            times(&|record| Some(record.event_time)),
            times(&|record| record.created_time),
            sequences,
        );
        events.map_err(|error| OnlineError::Windows { reason: error.to_string() })
    }
}

/// What tells an event from others of its entity and time, and which of those that are equal to it it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    identity: [u8; 12],
    equal: u16,
}

impl Place {
    pub(crate) fn of(record: &RecordRef<'_>, equal: u16) -> Place {
        Place { identity: keys::identity(record), equal }
    }
}

/// Which of several equal events each is: those that come together count each, and what comes again counts once.
#[derive(Debug, Default)]
pub struct Equals(HashMap<[u8; 16], u16>);

impl Equals {
    /// The next one of the events that are equal to this one.
    pub fn next(&mut self, key: &[u8], record: &RecordRef<'_>) -> Place {
        let mut bytes = Vec::with_capacity(20 + key.len());
        let identity = keys::identity(record);
        bytes.extend(identity);
        bytes.extend(record.event_time.0.to_le_bytes());
        bytes.extend(key);
        let Digest(digest) = Digest::of(&bytes);
        let count = self.0.entry(digest[..16].try_into().expect("a digest is longer")).or_default();
        let equal = *count;
        *count = count.saturating_add(1);
        Place { identity, equal }
    }
}

/// Nothing is dropped where the view does not say so: an instant of long ago may be asked for.
fn retention(plan: &Plan, windows: &[Window], said: Option<u64>) -> Option<i64> {
    let said = said?;
    const DAY: u64 = 86_400_000_000;
    let hop = match plan.spans().precision {
        Precision::Exact => 0,
        Precision::Tiled { hop } => hop.as_micros(),
    };
    let reach = |window: &Window| match window {
        Window::Sliding(length) => Some(length.as_micros() + hop),
        // Clocks that are set back make it longer.
        Window::Calendar(_) => Some(368 * DAY),
        // Events of a session may be any time ago.
        Window::Lifetime | Window::Session(_) => None,
    };
    let longest = windows.iter().map(reach).collect::<Option<Vec<u64>>>()?.into_iter().max()?;
    // A day more, for instants that are asked for when they are over.
    i64::try_from(longest.max(said) + DAY).ok()
}
