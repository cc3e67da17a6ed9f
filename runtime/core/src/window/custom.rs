//! Functions that authors write: what is kept of events is opaque bytes, and a component alone knows how to add to them, merge them and finish them.
//!
//! Events and states are collected, and given to the component when a state or a value is needed: states in the order of their bytes, then events in the
//! order of their times and values. So what the component is given depends on the events alone, as far as tiles do not divide them; that it divides them
//! without a trace is what `verify` proves of it.

use std::sync::Arc;

use arrow_array::ArrayRef;

use super::bytes;
use super::state::EventTimes;
use crate::canonical::decode_rows;
use crate::model::CodeError;
use crate::time::Timestamp;
use crate::types::{DataType, Field};

/// Default of `state_bytes_max`: bytes of the state of a function that a component computes.
pub const STATE_BYTES_DEFAULT: u64 = 64 << 10;

/// Greatest `state_bytes_max`.
pub const STATE_BYTES_MAX: u64 = 1 << 20;

/// The input of a function that is the event's own time.
pub const EVENT_TIME_INPUT: &str = "event_time";

/// Events that are collected before a state is made of them.
const PENDING_MAX: usize = 256;

/// States that are collected before they are merged.
const PARTS_MAX: usize = 32;

/// Bytes of the name of a function in its states.
const IDENTITY_BYTES: usize = 8;

/// Bytes that are kept of why a function failed.
const REASON_BYTES_MAX: usize = 512;

/// What a state is made of: others, and events. Of neither it is the empty one.
#[derive(Debug, Clone)]
pub struct Given<'a> {
    /// States.
    pub states: Vec<&'a [u8]>,
    /// The events' columns, in the order of [`AggregateFunction::inputs`].
    pub events: Vec<ArrayRef>,
}

/// A function of aggregates that is given to the kernel.
pub trait AggregateFunction: Send + Sync {
    /// What its states are told by from those of every other function, and of every other version of it.
    fn identity(&self) -> [u8; IDENTITY_BYTES];

    /// The columns that it takes of events.
    fn inputs(&self) -> &[Field];

    /// The state of all that went into `states` and of the events; of no states and no events the empty one. Blocking.
    ///
    /// # Errors
    ///
    /// The function failed.
    fn state(&self, states: &[&[u8]], events: &[ArrayRef]) -> Result<Vec<u8>, CodeError>;

    /// The value of the same at an instant: an array of one row. Blocking.
    ///
    /// # Errors
    ///
    /// The function failed.
    fn value(&self, states: &[&[u8]], events: &[ArrayRef], at: Timestamp) -> Result<ArrayRef, CodeError>;

    /// As [`AggregateFunction::state`] of each, which may share calls. What one of them comes to does not depend on the others.
    fn states(&self, given: &[Given<'_>]) -> Vec<Result<Vec<u8>, CodeError>> {
        given.iter().map(|one| self.state(&one.states, &one.events)).collect()
    }

    /// As [`AggregateFunction::value`] of each at its instant, likewise.
    fn values(&self, given: &[(Given<'_>, Timestamp)]) -> Vec<Result<ArrayRef, CodeError>> {
        given.iter().map(|(one, at)| self.value(&one.states, &one.events, *at)).collect()
    }
}

/// A function of which nobody loaded the component.
pub(super) struct NotLoaded;

impl AggregateFunction for NotLoaded {
    fn identity(&self) -> [u8; IDENTITY_BYTES] {
        [0; IDENTITY_BYTES]
    }

    fn inputs(&self) -> &[Field] {
        &[]
    }

    fn state(&self, _: &[&[u8]], _: &[ArrayRef]) -> Result<Vec<u8>, CodeError> {
        Err(CodeError("its component is not loaded".into()))
    }

    fn value(&self, _: &[&[u8]], _: &[ArrayRef], _: Timestamp) -> Result<ArrayRef, CodeError> {
        Err(CodeError("its component is not loaded".into()))
    }
}

/// A function with where its inputs come from.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) function: Arc<dyn AggregateFunction>,
    /// For each input the column of the events; None for the event's time.
    pub(super) columns: Vec<Option<usize>>,
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// An event that is not in a state yet: its times, and the canonical bytes of its inputs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    times: EventTimes,
    row: Arc<[u8]>,
}

/// What is kept of events for a function.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Custom {
    parts: Vec<Arc<[u8]>>,
    pending: Vec<Pending>,
    /// Why there is no state: the function failed on some of what was added.
    failed: Option<String>,
}

impl Custom {
    pub(super) fn add(&mut self, times: EventTimes, row: Arc<[u8]>, bound: &Bound) {
        self.pending.push(Pending { times, row });
        if self.pending.len() >= PENDING_MAX {
            self.condense(bound);
        }
    }

    pub(super) fn merge(&mut self, other: &Custom, bound: &Bound) {
        self.parts.extend(other.parts.iter().cloned());
        self.pending.extend(other.pending.iter().cloned());
        if self.failed.is_none() {
            self.failed.clone_from(&other.failed);
        }
        if self.pending.len() >= PENDING_MAX || self.parts.len() >= PARTS_MAX {
            self.condense(bound);
        }
    }

    /// Makes one state of all.
    fn condense(&mut self, bound: &Bound) {
        if self.failed.is_none() {
            match self.given(bound).and_then(|given| bound.function.state(&given.states, &given.events)) {
                Ok(state) => {
                    *self = Custom { parts: vec![state.into()], pending: Vec::new(), failed: None };
                    return;
                }
                Err(error) => self.failed = Some(reason(&error)),
            }
        }
        // What cannot be computed takes no room.
        self.parts.clear();
        self.pending.clear();
    }

    /// States and events in their order.
    fn given(&self, bound: &Bound) -> Result<Given<'_>, CodeError> {
        let mut parts: Vec<&[u8]> = self.parts.iter().map(|part| &**part).collect();
        parts.sort_unstable();
        let mut pending: Vec<&Pending> = self.pending.iter().collect();
        pending.sort_unstable();
        let rows = pending.iter().map(|one| Some(&*one.row)).collect::<Vec<_>>();
        let events =
            decode_rows(bound.function.inputs(), rows.into_iter()).map_err(|error| CodeError(Box::new(error)))?;
        Ok(Given { states: parts, events })
    }

    /// Makes one state of each, in calls that they share.
    pub(super) fn condense_all<'a>(customs: impl Iterator<Item = &'a mut Custom>, bound: &Bound) {
        let mut open: Vec<&mut Custom> = customs.filter(|custom| !custom.is_one()).collect();
        let made = {
            let given = open.iter().map(|custom| custom.to_give(bound).map(|given| (given, ())));
            together(given, |given| {
                let given: Vec<Given<'_>> = given.into_iter().map(|(given, ())| given).collect();
                bound.function.states(&given)
            })
        };
        for (custom, made) in open.iter_mut().zip(made) {
            **custom = match made {
                Ok(state) => Custom { parts: vec![state.into()], ..Custom::default() },
                Err(reason) => Custom { failed: Some(reason), ..Custom::default() },
            };
        }
    }

    /// The value of each at its instant, or why there is none, in calls that they share.
    pub(super) fn values<'a>(
        customs: impl Iterator<Item = (&'a Custom, Timestamp)>,
        bound: &Bound,
    ) -> Vec<Result<ArrayRef, String>> {
        together(customs.map(|(custom, at)| custom.to_give(bound).map(|given| (given, at))), |given| {
            bound.function.values(&given)
        })
    }

    fn to_give(&self, bound: &Bound) -> Result<Given<'_>, String> {
        match &self.failed {
            Some(reason) => Err(reason.clone()),
            None => self.given(bound).map_err(|error| reason(&error)),
        }
    }

    /// Whether it is a state, or nothing.
    fn is_one(&self) -> bool {
        self.pending.is_empty() && self.parts.len() <= 1 && self.failed.is_none()
    }

    /// Appends its bytes: 8 that name the function, 1 (0: nothing was added; 1: a state; 2: the function failed), and of the latter two the state, or why, with
    /// its length (4) before it.
    pub(super) fn encode(&self, bound: &Bound, out: &mut Vec<u8>) {
        let mut one = self.clone();
        if !one.is_one() {
            one.condense(bound);
        }
        out.extend(bound.function.identity());
        match (&one.failed, one.parts.first()) {
            (Some(reason), _) => {
                out.push(2);
                bytes::push_sized(out, reason.as_bytes());
            }
            (None, Some(state)) => {
                out.push(1);
                bytes::push_sized(out, state);
            }
            (None, None) => out.push(0),
        }
    }

    /// What [`Custom::encode`] wrote.
    pub(super) fn decode(bound: &Bound, from: &mut &[u8]) -> Result<Custom, Refused> {
        if bytes::take(from).ok_or(Refused::Malformed)? != bound.function.identity() {
            return Err(Refused::OtherFunction);
        }
        let [kind] = bytes::take(from).ok_or(Refused::Malformed)?;
        let mut read = Custom::default();
        match kind {
            0 => {}
            1 => read.parts.push(bytes::sized(from).ok_or(Refused::Malformed)?.into()),
            2 => {
                let reason = bytes::sized(from).and_then(|reason| std::str::from_utf8(reason).ok());
                read.failed = Some(reason.ok_or(Refused::Malformed)?.to_owned());
            }
            _ => return Err(Refused::Malformed),
        }
        Ok(read)
    }
}

/// What a function makes of those that can be given to it, with what keeps the others from it in their places.
fn together<'a, A, T>(
    given: impl Iterator<Item = Result<(Given<'a>, A), String>>,
    make: impl FnOnce(Vec<(Given<'a>, A)>) -> Vec<Result<T, CodeError>>,
) -> Vec<Result<T, String>> {
    let (mut all, mut kept) = (Vec::new(), Vec::new());
    for one in given {
        all.push(one.map(|given| kept.push(given)));
    }
    let mut made = make(kept).into_iter();
    let next = |one: Result<(), String>| {
        one.and_then(|()| match made.next() {
            Some(made) => made.map_err(|error| reason(&error)),
            None => Err("its function gave too few answers".to_owned()),
        })
    };
    all.into_iter().map(next).collect()
}

/// Why bytes are no state of a function.
pub(super) enum Refused {
    OtherFunction,
    Malformed,
}

fn reason(error: &CodeError) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(REASON_BYTES_MAX));
    text
}

/// Where a function's inputs come from: `mapped` says it for inputs whose column has another name. None for one that no column has.
pub(super) fn columns(
    inputs: &[Field],
    mapped: &std::collections::BTreeMap<String, String>,
    known: &[(&str, DataType)],
) -> Vec<Option<usize>> {
    let column = |input: &Field| {
        let name = mapped.get(&input.name).unwrap_or(&input.name);
        known.iter().position(|(known, _)| known == name)
    };
    inputs.iter().map(column).collect()
}
