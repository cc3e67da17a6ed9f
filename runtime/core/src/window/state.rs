//! What is kept of events: the states that are added to, merged and finished. Tiles are made of them.
//!
//! Every state is a function of the set of events that were added (as a multiset): of neither their order, nor of how they were grouped before they were
//! merged. Equal sets have equal bytes ([`State::encode`]).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::bytes;
use super::custom::Custom;
use super::distinct::Distinct;
use super::exact::Exact;
use super::sketch::Sketch;
use super::value::{Kept, Value};
use crate::time::Timestamp;
use crate::types::DataType;

/// Version of the encoding of states. Tiles of another one are refused.
pub const STATE_VERSION: u8 = 1;

/// What is kept of the events, or of one of their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    /// How many there are; with a column, how many are not null.
    Count,
    /// Their exact sum.
    Sum,
    /// The exact sum of their squares.
    Squares,
    Min,
    Max,
    First,
    /// The last so many.
    Last(u32),
    /// Their distinct values, exactly up to so many.
    Distinct(u32),
    /// How often each value occurs, for so many values at most.
    Frequencies(u32),
    /// Counts in buckets.
    Sketch,
    /// The time of the last event.
    LastTime,
    /// What a component keeps, by the function's position.
    Component(u32),
}

/// When an event happened, and what orders it among events of that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTimes {
    /// When it happened.
    pub event_time: Timestamp,
    /// When the producer came to know it.
    pub created_time: Option<Timestamp>,
    /// Position in the source's log.
    pub sequence: Option<i64>,
}

/// A value with what orders it; of equal times the bytes of the values decide.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    times: EventTimes,
    value: Kept,
}

impl Placed {
    fn order(&self, times: &EventTimes, value: &Value<'_>) -> Ordering {
        self.times.cmp(times).then_with(|| self.value.value().order(value))
    }
}

/// What was added so far, of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct State(pub(super) Inner);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Inner {
    Count(u64),
    /// Also of squares.
    Sum(Sum),
    /// The least or the greatest; NaN if there was one.
    Extreme(Option<Kept>),
    First(Option<Box<Placed>>),
    /// Ascending.
    Last(Vec<Placed>),
    Distinct(Distinct),
    /// None where there are more values than may be kept.
    Frequencies(Option<BTreeMap<Vec<u8>, u64>>),
    Sketch(Sketch),
    LastTime(Option<Timestamp>),
    Component(Box<Custom>),
}

/// An exact sum, and what is no number in it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sum {
    pub(super) finite: Exact,
    pub(super) nan: bool,
    pub(super) above: bool,
    pub(super) below: bool,
}

impl Sum {
    fn add(&mut self, value: f64, squared: bool) {
        if value.is_finite() {
            match squared {
                true => self.finite.add_float_square(value),
                false => self.finite.add_float(value),
            }
        } else if value.is_nan() {
            self.nan = true;
        } else if value > 0.0 || squared {
            self.above = true;
        } else {
            self.below = true;
        }
    }

    fn merge(&mut self, other: &Sum) {
        self.finite.merge(&other.finite);
        self.nan |= other.nan;
        self.above |= other.above;
        self.below |= other.below;
    }

    /// What stands for the sum where a value is not finite.
    pub(super) fn special(&self) -> Option<f64> {
        match (self.nan, self.above, self.below) {
            (false, false, false) => None,
            (false, true, false) => Some(f64::INFINITY),
            (false, false, true) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }
}

impl Kind {
    /// Nothing was added.
    pub(super) fn empty(self) -> State {
        State(match self {
            Kind::Count => Inner::Count(0),
            Kind::Sum | Kind::Squares => Inner::Sum(Sum::default()),
            Kind::Min | Kind::Max => Inner::Extreme(None),
            Kind::First => Inner::First(None),
            Kind::Last(_) => Inner::Last(Vec::new()),
            Kind::Distinct(_) => Inner::Distinct(Distinct::new()),
            Kind::Frequencies(_) => Inner::Frequencies(Some(BTreeMap::new())),
            Kind::Sketch => Inner::Sketch(Sketch::default()),
            Kind::LastTime => Inner::LastTime(None),
            Kind::Component(_) => Inner::Component(Box::default()),
        })
    }

    /// Whether a copy of a state takes no memory of its own.
    pub(super) fn is_small(self) -> bool {
        match self {
            Kind::Count | Kind::Sum | Kind::Squares | Kind::Min | Kind::Max | Kind::LastTime | Kind::First => true,
            Kind::Last(n) => n <= 4,
            Kind::Distinct(_) | Kind::Frequencies(_) | Kind::Sketch | Kind::Component(_) => false,
        }
    }

    /// Adds an event whose value is not null; `value` is None where there is no column.
    #[inline]
    pub(super) fn add(self, state: &mut State, times: &EventTimes, value: Option<Value<'_>>) {
        match (&mut state.0, value) {
            (Inner::Count(count), _) => *count += 1,
            (Inner::LastTime(last), _) => *last = (*last).max(Some(times.event_time)),
            // The plan has the component.
            (Inner::Component(_), _) | (_, None) => {}
            (Inner::Sum(sum), Some(value)) => match (value, self) {
                (Value::Float64(value), kind) => sum.add(value, kind == Kind::Squares),
                (Value::Int64(value), Kind::Squares) => sum.finite.add_integer_square(value),
                (Value::Int64(value), _) => sum.finite.add_integer(value),
                // Of booleans the share of those that are true.
                (Value::Boolean(value), _) => sum.finite.add_integer(i64::from(value)),
                (Value::Timestamp(_) | Value::Bytes(_), _) => {}
            },
            (Inner::Extreme(kept), Some(value)) => {
                if self.beats(kept.as_ref(), &value) {
                    *kept = Some(value.keep());
                }
            }
            (Inner::First(first), Some(value)) => {
                if first.as_ref().is_none_or(|first| first.order(times, &value) == Ordering::Greater) {
                    *first = Some(Box::new(Placed { times: *times, value: value.keep() }));
                }
            }
            (Inner::Last(last), Some(value)) => {
                let place = last.partition_point(|kept| kept.order(times, &value) != Ordering::Greater);
                self.insert(last, place, || Placed { times: *times, value: value.keep() });
            }
            (Inner::Distinct(distinct), Some(value)) => {
                if let Kind::Distinct(max) = self {
                    distinct.add(value.hash(), max as usize);
                }
            }
            (Inner::Frequencies(counts), Some(value)) => {
                let mut bytes = Vec::new();
                value.encode(&mut bytes);
                self.count(counts, bytes, 1);
            }
            (Inner::Sketch(sketch), Some(value)) => match value {
                Value::Float64(value) => sketch.add(value),
                Value::Int64(value) => sketch.add(value as f64),
                _ => {}
            },
        }
    }

    /// Adds all that was added to another state of this kind.
    pub(super) fn merge(self, state: &mut State, other: &State) {
        match (&mut state.0, &other.0) {
            (Inner::Count(mine), Inner::Count(theirs)) => *mine += theirs,
            (Inner::Sum(mine), Inner::Sum(theirs)) => mine.merge(theirs),
            (Inner::Extreme(mine), Inner::Extreme(Some(theirs))) if self.beats(mine.as_ref(), &theirs.value()) => {
                *mine = Some(theirs.clone());
            }
            (Inner::First(mine), Inner::First(Some(theirs))) => {
                let value = theirs.value.value();
                if mine.as_ref().is_none_or(|mine| mine.order(&theirs.times, &value) == Ordering::Greater) {
                    *mine = Some(theirs.clone());
                }
            }
            (Inner::Last(mine), Inner::Last(theirs)) => {
                for placed in theirs {
                    let value = placed.value.value();
                    let place = mine.partition_point(|kept| kept.order(&placed.times, &value) != Ordering::Greater);
                    self.insert(mine, place, || placed.clone());
                }
            }
            (Inner::Distinct(mine), Inner::Distinct(theirs)) => {
                if let Kind::Distinct(max) = self {
                    mine.merge(theirs, max as usize);
                }
            }
            (Inner::Frequencies(mine), Inner::Frequencies(theirs)) => match theirs {
                None => *mine = None,
                Some(theirs) => {
                    for (bytes, count) in theirs {
                        self.count(mine, bytes.clone(), *count);
                    }
                }
            },
            (Inner::Sketch(mine), Inner::Sketch(theirs)) => mine.merge(theirs),
            (Inner::LastTime(mine), Inner::LastTime(theirs)) => *mine = (*mine).max(*theirs),
            // The other is empty, or the plan has the component.
            _ => {}
        }
    }

    /// Whether `value` takes the place of what is kept as the extreme. NaN, once seen, stays.
    fn beats(self, kept: Option<&Kept>, value: &Value<'_>) -> bool {
        let Some(kept) = kept.map(Kept::value) else { return true };
        if kept.is_nan() {
            return false;
        }
        let order = value.order(&kept);
        value.is_nan() || if self == Kind::Min { order == Ordering::Less } else { order == Ordering::Greater }
    }

    /// Inserts among the last ones, if it is one of them.
    fn insert(self, last: &mut Vec<Placed>, place: usize, placed: impl FnOnce() -> Placed) {
        let Kind::Last(most) = self else { return };
        if last.len() < most as usize {
            last.insert(place, placed());
        } else if place > 0 {
            last[..place].rotate_left(1);
            last[place - 1] = placed();
        }
    }

    fn count(self, counts: &mut Option<BTreeMap<Vec<u8>, u64>>, bytes: Vec<u8>, times: u64) {
        let Kind::Frequencies(most) = self else { return };
        if let Some(known) = counts {
            *known.entry(bytes).or_default() += times;
            if known.len() > most as usize {
                *counts = None;
            }
        }
    }

    /// Appends the state's bytes, which do not say what kind it is; numbers are little-endian. A value is its length (4 bytes) and its bytes, and before one
    /// that is placed stand its times, 8 bytes each, and for created time and sequence a byte that says whether they are there.
    ///
    /// | kind | bytes |
    /// | --- | --- |
    /// | count | 8 |
    /// | sum, squares | 1: NaN (1), infinity (2), minus infinity (4), added up; the exact sum ([`Exact::encode`]) |
    /// | min, max, first | 1: whether there is one; it |
    /// | last | 4: how many; each, ascending |
    /// | distinct | as `distinct.rs` says |
    /// | frequencies | 1: whether they are counted; 4: how many values; each and its count (8), by bytes |
    /// | sketch | as `sketch.rs` says |
    /// | last time | 1: whether there is one; 8 |
    /// | component | as `custom.rs` says |
    pub(super) fn encode(state: &State, out: &mut Vec<u8>) {
        match &state.0 {
            Inner::Count(count) => out.extend(count.to_le_bytes()),
            Inner::Sum(Sum { finite, nan, above, below }) => {
                out.push(u8::from(*nan) | u8::from(*above) << 1 | u8::from(*below) << 2);
                finite.encode(out);
            }
            Inner::Extreme(kept) => {
                out.push(u8::from(kept.is_some()));
                kept.iter().for_each(|kept| encode_value(kept, out));
            }
            Inner::First(first) => {
                out.push(u8::from(first.is_some()));
                first.iter().for_each(|placed| encode_placed(placed, out));
            }
            Inner::Last(last) => {
                out.extend((last.len() as u32).to_le_bytes());
                last.iter().for_each(|placed| encode_placed(placed, out));
            }
            Inner::Distinct(distinct) => distinct.encode(out),
            Inner::Frequencies(counts) => {
                out.push(u8::from(counts.is_some()));
                if let Some(counts) = counts {
                    out.extend((counts.len() as u32).to_le_bytes());
                    for (value, count) in counts {
                        bytes::push_sized(out, value);
                        out.extend(count.to_le_bytes());
                    }
                }
            }
            Inner::Sketch(sketch) => sketch.encode(out),
            Inner::LastTime(last) => {
                out.push(u8::from(last.is_some()));
                last.iter().for_each(|last| out.extend(last.0.to_le_bytes()));
            }
            // The plan has the component.
            Inner::Component(_) => {}
        }
    }

    /// What [`Kind::encode`] wrote of a column of this type; None for other bytes.
    pub(super) fn decode(self, data_type: DataType, from: &mut &[u8]) -> Option<State> {
        Some(State(match self {
            Kind::Count => Inner::Count(u64::from_le_bytes(bytes::eight(from)?)),
            Kind::Sum | Kind::Squares => {
                let [flags] = bytes::take(from)?;
                if flags > 7 {
                    return None;
                }
                let (nan, above, below) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
                Inner::Sum(Sum { finite: Exact::decode(from)?, nan, above, below })
            }
            Kind::Min | Kind::Max => Inner::Extreme(match flag(from)? {
                true => Some(decode_value(data_type, from)?),
                false => None,
            }),
            Kind::First => Inner::First(match flag(from)? {
                true => Some(Box::new(decode_placed(data_type, from)?)),
                false => None,
            }),
            Kind::Last(most) => {
                let length = bytes::length(from)?;
                if length > most as usize {
                    return None;
                }
                let last: Option<Vec<Placed>> = (0..length).map(|_| decode_placed(data_type, from)).collect();
                let last = last?;
                let ascends =
                    |pair: &[Placed]| pair[0].order(&pair[1].times, &pair[1].value.value()) != Ordering::Greater;
                if !last.windows(2).all(ascends) {
                    return None;
                }
                Inner::Last(last)
            }
            Kind::Distinct(max) => Inner::Distinct(Distinct::decode(from, max as usize)?),
            Kind::Frequencies(most) => Inner::Frequencies(match flag(from)? {
                false => None,
                true => {
                    let length = bytes::length(from)?;
                    if length > most as usize {
                        return None;
                    }
                    let mut counts: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
                    for _ in 0..length {
                        let value = bytes::sized(from)?.to_vec();
                        Value::decode(data_type, &value)?;
                        if counts.last_key_value().is_some_and(|(last, _)| *last >= value) {
                            return None;
                        }
                        counts.insert(value, u64::from_le_bytes(bytes::eight(from)?));
                    }
                    Some(counts)
                }
            }),
            Kind::Sketch => Inner::Sketch(Sketch::decode(from)?),
            Kind::LastTime => Inner::LastTime(match flag(from)? {
                true => Some(Timestamp(i64::from_le_bytes(bytes::eight(from)?))),
                false => None,
            }),
            Kind::Component(_) => return None,
        }))
    }
}

fn flag(from: &mut &[u8]) -> Option<bool> {
    match bytes::take(from)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
    }
}

fn encode_value(kept: &Kept, out: &mut Vec<u8>) {
    let mut value = Vec::new();
    kept.value().encode(&mut value);
    bytes::push_sized(out, &value);
}

fn decode_value(data_type: DataType, from: &mut &[u8]) -> Option<Kept> {
    Value::decode(data_type, bytes::sized(from)?).map(Value::keep)
}

fn encode_placed(placed: &Placed, out: &mut Vec<u8>) {
    let Placed { times: EventTimes { event_time, created_time, sequence }, value } = placed;
    out.extend(event_time.0.to_le_bytes());
    for optional in [created_time.map(|time| time.0), *sequence] {
        out.push(u8::from(optional.is_some()));
        optional.iter().for_each(|number| out.extend(number.to_le_bytes()));
    }
    encode_value(value, out);
}

fn decode_placed(data_type: DataType, from: &mut &[u8]) -> Option<Placed> {
    let event_time = Timestamp(i64::from_le_bytes(bytes::eight(from)?));
    let mut optional = || -> Option<Option<i64>> {
        Some(match flag(from)? {
            true => Some(i64::from_le_bytes(bytes::eight(from)?)),
            false => None,
        })
    };
    let created_time = optional()?.map(Timestamp);
    let sequence = optional()?;
    let times = EventTimes { event_time, created_time, sequence };
    Some(Placed { times, value: decode_value(data_type, from)? })
}

impl Placed {
    pub(super) fn value(&self) -> &Kept {
        &self.value
    }
}
