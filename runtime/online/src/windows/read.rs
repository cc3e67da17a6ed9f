//! Windows at an instant: whole tiles, and the events at their ends.

use std::ops::ControlFlow;

use tandem_core::canonical::encode_row;
use tandem_core::hash::Digest;
use tandem_core::status::qualifies;
use tandem_core::time::Timestamp;
use tandem_core::types::Field;
use tandem_core::window::{Answers, Events, Span, State, Window};

use super::entity::Entity;
use super::levels::{ceiling, fits, start};
use super::stored::Event;
use super::{Prefix, WindowView};
use crate::environment::{Fault, Snapshot, Table};
use crate::error::OnlineError;
use crate::key::KeyHash;
use crate::record::{Corruption, Record, RecordRef};
use crate::store::{Lookup, Store};
use crate::view::ViewId;

/// How many times a session's gap is looked back at first; each further look goes twice as far.
const SESSION_GAPS: u64 = 16;

/// Events, and until when each counts.
type Found<'a> = (Vec<RecordRef<'a>>, Vec<Timestamp>);

/// An entity that is read.
struct Of<'a, 's> {
    snapshot: &'a Snapshot<'s>,
    prefix: &'a Prefix,
    entity: Entity,
}

impl Of<'_, '_> {
    fn behind_horizon(&self) -> OnlineError {
        OnlineError::BehindHorizon { horizon: self.entity.horizon.max(self.entity.folded_known) }
    }
}

/// What is added to get a window from the next shorter one.
#[derive(Default)]
struct Step {
    /// Tiles, merged.
    tiles: Option<Vec<State>>,
    /// Events, by their position among those that were read.
    events: std::ops::Range<usize>,
}

impl Store {
    /// The features of entities of a view of aggregates at `at`, in one snapshot: for each key a record whose row is the canonical bytes of their values
    /// (`features` are the view's, `digest` its own), and whose event time is the last that its windows take in. An entity without events has one too.
    ///
    /// # Errors
    ///
    /// State that was written by another version of the program, or is damaged; [`OnlineError::BehindHorizon`]: of what an entity had at `at`, tiles alone are left.
    /// `is_present`: whether `at` is the present, at which all that is folded is known.
    pub fn windows_of<K: AsRef<[u8]>>(
        &self,
        id: ViewId,
        view: &WindowView,
        (features, digest): (&[Field], Digest),
        keys: &[K],
        (at, is_present): (Timestamp, bool),
    ) -> Result<Vec<Lookup>, OnlineError> {
        let hash = self.hash();
        let schema_fingerprint = tandem_core::canonical::schema_fingerprint(features);
        let event_time = view.plan.spans().last(at).unwrap_or(at);
        self.environment().read(|snapshot| {
            let id = self.live_number(snapshot, id)?;
            let lookup = |key: &K| {
                let mut answers = Answers::new(&view.plan, 1);
                match view.answer(snapshot, (id, hash), key.as_ref(), (at, is_present), &mut answers) {
                    Ok(()) => {}
                    // One entity's damage is nobody else's.
                    Err(Fault::Error(error @ OnlineError::Windows { .. })) => {
                        tracing::error!(%error, "the events of an entity cannot be read");
                        return Ok(Lookup::Corrupt(Corruption::Layout { what: "its events or tiles cannot be read" }));
                    }
                    Err(fault) => return Err(fault),
                }
                let failed = answers.take_failed();
                let mut row = Vec::new();
                encode_row(&answers.finish(), 0, &mut row);
                let record = Record {
                    event_time,
                    created_time: None,
                    sequence: None,
                    published_time: at,
                    digest,
                    schema_fingerprint,
                    row,
                };
                Ok(match failed.is_empty() {
                    true => Lookup::Found(record),
                    false => Lookup::Partly(record, failed),
                })
            };
            keys.iter().map(lookup).collect()
        })
    }

    /// Events of a view of aggregates that are stored, over all entities.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn window_entries(&self) -> Result<usize, OnlineError> {
        self.environment().read(|snapshot| snapshot.len(Table::Windows))
    }
}

impl WindowView {
    fn answer(
        &self,
        snapshot: &Snapshot<'_>,
        (id, hash): (ViewId, KeyHash),
        key: &[u8],
        (at, is_present): (Timestamp, bool),
        answers: &mut Answers<'_>,
    ) -> Result<(), Fault> {
        let prefix = Prefix::new(id, key, hash);
        let entity = self.entity(snapshot, &prefix)?;
        let of = Of { snapshot, prefix: &prefix, entity };
        // Tiles hold all that is stored: of an instant before something of it was known, events tell alone.
        let all_known = entity.last_known <= at;
        let folded_known = is_present || entity.folded_known <= at;
        let too_large =
            |error: tandem_core::window::TooLarge| Fault::Error(OnlineError::Windows { reason: error.to_string() });
        // The shortest first, each longer one is that and what lies before.
        let mut spans: Vec<(usize, Span)> = Vec::new();
        for window in 0..self.plan.windows() {
            match (self.plan.window(window), self.plan.spans().of(self.plan.window(window), at)) {
                (Window::Session(gap), _) => {
                    let states = self.session(&of, key, gap.as_micros(), at)?;
                    answers.push(window, &states, at).map_err(too_large)?;
                }
                (_, Some(span)) => spans.push((window, span)),
                (_, None) => answers.push(window, &self.plan.empty(), at).map_err(too_large)?,
            }
        }
        spans.sort_by_key(|(_, span)| std::cmp::Reverse(span.first));
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut steps: Vec<Step> = Vec::new();
        let mut covered: Option<Timestamp> = None;
        for (_, span) in &spans {
            let end = covered.unwrap_or(Timestamp(span.last.0.saturating_add(1)));
            let mut step = Step { tiles: None, events: found.len()..found.len() };
            if span.first < end {
                match all_known {
                    true => self.cover(&of, (span.first, end), &mut step, &mut found)?,
                    false => {
                        let horizon = entity.horizon.clamp(span.first, end);
                        if horizon > span.first {
                            // What was folded may have been another version then, of which nothing tells.
                            if !folded_known {
                                return Err(Fault::Error(of.behind_horizon()));
                            }
                            self.cover(&of, (span.first, horizon), &mut step, &mut found)?;
                        }
                        self.events(&of, (horizon, end), &mut found)?;
                    }
                }
                covered = Some(span.first);
            }
            step.events.end = found.len();
            steps.push(step);
        }
        let (records, until) = self.records(&found, &prefix, key)?;
        let events = self.look(&records).map_err(Fault::Error)?;
        let mut states = self.plan.empty();
        for ((window, _), step) in spans.iter().zip(steps) {
            if let Some(tiles) = &step.tiles {
                self.plan.merge(&mut states, tiles);
            }
            for index in step.events {
                if until[index] > at && self.counts(&records[index], at) {
                    self.plan.add(&mut states, &events, index);
                }
            }
            answers.push(*window, &states, at).map_err(too_large)?;
        }
        Ok(())
    }

    /// Whether an event has happened and is known.
    fn counts(&self, record: &RecordRef<'_>, at: Timestamp) -> bool {
        let happened =
            qualifies(record.event_time, at, self.as_of, None) == tandem_core::status::Qualification::Qualifies;
        happened && self.known_from(record) <= at
    }

    /// The events, and until when each counts.
    fn records<'a>(&self, found: &'a [Vec<u8>], prefix: &Prefix, key: &[u8]) -> Result<Found<'a>, Fault> {
        let (mut records, mut untils) = (Vec::with_capacity(found.len()), Vec::with_capacity(found.len()));
        for bytes in found {
            let Event { stored, until } = self.decode_event(bytes)?;
            if prefix.is_hashed() && stored.full_key != Some(key) {
                let reason = "two entity keys have one hash".to_owned();
                return Err(Fault::Error(OnlineError::Windows { reason }));
            }
            records.push(stored.record);
            untils.push(until);
        }
        Ok((records, untils))
    }

    /// The events from a time to before another.
    fn events(
        &self,
        of: &Of<'_, '_>,
        (from, end): (Timestamp, Timestamp),
        found: &mut Vec<Vec<u8>>,
    ) -> Result<(), Fault> {
        if from >= end {
            return Ok(());
        }
        self.none_folded(of, (from, end))?;
        let Of { snapshot, prefix, entity } = of;
        snapshot.scan(Table::Windows, &prefix.events(from.max(entity.horizon)), |key, value| {
            if prefix.event_time(key).is_none_or(|time| time >= end) {
                return Ok(ControlFlow::Break(()));
            }
            found.push(value.to_vec());
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The same by the widest tiles that fit, and events at the ends.
    fn cover(
        &self,
        of: &Of<'_, '_>,
        (from, end): (Timestamp, Timestamp),
        step: &mut Step,
        found: &mut Vec<Vec<u8>>,
    ) -> Result<(), Fault> {
        let mut at = from;
        let mut reached = 0;
        // Up: to where tiles of each level begin, as long as they fit.
        for (level, width) in self.levels.widths().enumerate() {
            let Some(next) = ceiling(at, width).filter(|next| *next <= end && fits(*next, width, end)) else { break };
            match level {
                0 => self.events(of, (at, next), found)?,
                _ => self.tiles(of, level - 1, (at, next), step)?,
            }
            at = next;
            reached = level + 1;
        }
        // And down again.
        for level in (0..reached).rev() {
            let next = start(end, self.levels.width(level));
            if next > at {
                self.tiles(of, level, (at, next), step)?;
                at = next;
            }
        }
        self.events(of, (at, end), found)
    }

    /// Whoever needs events, or tiles narrower than a hop, from a time to before another finds none where they were folded.
    fn none_folded(&self, of: &Of<'_, '_>, (from, end): (Timestamp, Timestamp)) -> Result<(), Fault> {
        let Of { snapshot, prefix, entity } = of;
        let end = end.min(entity.horizon);
        if from >= end {
            return Ok(());
        }
        let (level, mut is_folded) = (self.levels.of_hop, false);
        snapshot.scan(Table::Windows, &prefix.tile(level, start(from, self.levels.width(level))), |key, _| {
            is_folded = prefix.tile_start(level, key).is_some_and(|start| start < end);
            Ok(ControlFlow::Break(()))
        })?;
        match is_folded {
            true => Err(Fault::Error(of.behind_horizon())),
            false => Ok(()),
        }
    }

    fn tiles(
        &self,
        of: &Of<'_, '_>,
        level: usize,
        (from, end): (Timestamp, Timestamp),
        step: &mut Step,
    ) -> Result<(), Fault> {
        if from >= end {
            return Ok(());
        }
        if level < self.levels.of_hop {
            self.none_folded(of, (from, end))?;
        }
        let Of { snapshot, prefix, .. } = of;
        snapshot.scan(Table::Windows, &prefix.tile(level, from), |key, value| {
            if prefix.tile_start(level, key).is_none_or(|start| start >= end) {
                return Ok(ControlFlow::Break(()));
            }
            let tile = self.read_tile(value).map_err(Fault::Error)?;
            match &mut step.tiles {
                Some(states) => self.plan.merge(states, &tile),
                None => step.tiles = Some(tile),
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The states of a session that reaches `at`.
    fn session(&self, of: &Of<'_, '_>, key: &[u8], gap: u64, at: Timestamp) -> Result<Vec<State>, Fault> {
        let Some(last) = self.plan.spans().last(at) else { return Ok(self.plan.empty()) };
        let mut back = gap.saturating_mul(SESSION_GAPS);
        loop {
            let from = Timestamp(at.0.saturating_sub_unsigned(back));
            let mut found = Vec::new();
            self.events(of, (from, Timestamp(last.0.saturating_add(1))), &mut found)?;
            let (records, until) = self.records(&found, of.prefix, key)?;
            let events: Events = self.look(&records).map_err(Fault::Error)?;
            let mut states = self.plan.empty();
            let mut first = at;
            let mut ended = false;
            for (index, record) in records.iter().enumerate().rev() {
                if until[index] <= at || !self.counts(record, at) || !events.counts(index) {
                    continue;
                }
                if first.0.abs_diff(record.event_time.0) > gap {
                    ended = true;
                    break;
                }
                first = record.event_time;
                self.plan.add(&mut states, &events, index);
            }
            // What lies further back is too far from the first one.
            if ended || from == Timestamp::MIN || first.0.abs_diff(from.0) > gap {
                return Ok(states);
            }
            back = back.saturating_mul(2);
        }
    }

    /// The states of a tile.
    pub(super) fn read_tile(&self, bytes: &[u8]) -> Result<Vec<State>, OnlineError> {
        let fail = |reason: String| OnlineError::Windows { reason };
        let (checksum, states) =
            bytes.split_first_chunk::<4>().ok_or_else(|| fail("a tile is cut short".to_owned()))?;
        if u32::from_le_bytes(*checksum) != crc32c::crc32c(states) {
            return Err(fail("a tile's checksum is not that of its bytes".to_owned()));
        }
        self.plan.decode(states).map_err(|error| fail(error.to_string()))
    }
}
