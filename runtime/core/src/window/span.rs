//! Which events a window takes in at an instant.

use std::fmt;

use crate::time::{CalendarUnit, Duration, Timestamp, Zone};

/// A stretch of time before the instant that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// So long.
    Sliding(Duration),
    /// From the first event on.
    Lifetime,
    /// From the start of the day, week, month or year, by the clocks of the view's zone.
    Calendar(CalendarUnit),
    /// From the first of the events that follow each other with no more than so long between them, up to the instant; empty where the last one is longer
    /// ago.
    Session(Duration),
}

/// Whether events at exactly the start and the instant are inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// `[T - w, T)`: an event at T, which may be the one that is scored, is outside.
    StartIncluded,
    /// `(T - w, T]`.
    EndIncluded,
}

impl Bounds {
    /// Every variant.
    pub const ALL: [Bounds; 2] = [Bounds::StartIncluded, Bounds::EndIncluded];

    /// As definition files write it; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            Bounds::StartIncluded => "[)",
            Bounds::EndIncluded => "(]",
        }
    }
}

/// Whether every event counts, or whole hops at the start of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Every event.
    Exact,
    /// The start of a sliding window is rounded down to a multiple of the hop since the Unix epoch; its end is exact. With [`Bounds::StartIncluded`] only.
    Tiled {
        /// The hop.
        hop: Duration,
    },
}

/// The event times from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
}

/// Which events windows take in.
#[derive(Debug, Clone, PartialEq)]
pub struct Spans {
    /// Whether the ends are inside.
    pub bounds: Bounds,
    /// Whether starts are rounded.
    pub precision: Precision,
    /// The zone of calendar windows.
    pub zone: Zone,
}

impl Spans {
    /// The last event time that is inside at `at`; None if none is.
    pub fn last(&self, at: Timestamp) -> Option<Timestamp> {
        match self.bounds {
            Bounds::StartIncluded => at.0.checked_sub(1).map(Timestamp),
            Bounds::EndIncluded => Some(at),
        }
    }

    /// The event times that are inside at `at`; None if none can be. Of a session those that may be: where it begins depends on the events.
    pub fn of(&self, window: Window, at: Timestamp) -> Option<Span> {
        let last = self.last(at)?;
        let first = match window {
            Window::Lifetime | Window::Session(_) => Timestamp::MIN,
            Window::Calendar(unit) => self.zone.start_of(unit, at),
            Window::Sliding(length) => match (at.checked_sub(length), self.bounds, self.precision) {
                // A start before the first timestamp excludes nothing.
                (None, ..) => Timestamp::MIN,
                (Some(start), Bounds::EndIncluded, _) => Timestamp(start.0.saturating_add(1)),
                (Some(start), Bounds::StartIncluded, Precision::Exact) => start,
                (Some(start), Bounds::StartIncluded, Precision::Tiled { hop }) => floor(start, hop),
            },
        };
        (first <= last).then_some(Span { first, last })
    }
}

/// The greatest multiple of `hop` since the Unix epoch that is not after `at`.
pub fn floor(at: Timestamp, hop: Duration) -> Timestamp {
    match i64::try_from(hop.as_micros()) {
        Ok(hop) if hop > 0 => Timestamp(at.0.saturating_sub(at.0.rem_euclid(hop))),
        _ => at,
    }
}

/// As names of features have it: `1h`, `30d`, `lifetime`, `today`, `session_30m`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Sliding(length) => write!(f, "{length}"),
            Window::Lifetime => f.write_str("lifetime"),
            Window::Calendar(unit) => f.write_str(unit.as_str()),
            Window::Session(gap) => write!(f, "session_{gap}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spans(bounds: Bounds, hop: Option<u64>) -> Spans {
        let precision = hop.map_or(Precision::Exact, |hop| Precision::Tiled { hop: Duration::from_micros(hop) });
        Spans { bounds, precision, zone: Zone::utc() }
    }

    proptest! {
        #[test]
        fn a_sliding_window_is_what_its_bounds_say(
            event in prop_oneof![-30..30_i64, Just(i64::MIN), Just(i64::MAX)],
            at in prop_oneof![-30..30_i64, Just(i64::MIN), Just(i64::MAX), Just(i64::MIN + 3)],
            length in 1..20_u64,
            hop in 1..6_u64,
        ) {
            let (t, e, w) = (i128::from(at), i128::from(event), i128::from(length));
            let window = Window::Sliding(Duration::from_micros(length));
            let inside = |spans: Spans| {
                spans.of(window, Timestamp(at)).is_some_and(|span| (span.first.0..=span.last.0).contains(&event))
            };
            prop_assert_eq!(inside(spans(Bounds::StartIncluded, None)), t - w <= e && e < t);
            prop_assert_eq!(inside(spans(Bounds::EndIncluded, None)), t - w < e && e <= t);
            let start = (t - w).max(i128::from(i64::MIN));
            let floored = (start - start.rem_euclid(i128::from(hop))).max(i128::from(i64::MIN));
            prop_assert_eq!(inside(spans(Bounds::StartIncluded, Some(hop))), floored <= e && e < t);
        }
    }

    #[test]
    fn a_day_begins_when_clocks_of_its_zone_say_so() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let spans = Spans {
            bounds: Bounds::StartIncluded,
            precision: Precision::Exact,
            zone: Zone::parse("America/New_York").unwrap(),
        };
        let first = |unit, text| spans.of(Window::Calendar(unit), at(text)).map(|span| span.first);
        assert_eq!(first(CalendarUnit::Day, "2013-03-10T12:00:00Z"), Some(at("2013-03-10T05:00:00Z")));
        assert_eq!(first(CalendarUnit::Day, "2013-03-11T03:59:59Z"), Some(at("2013-03-10T05:00:00Z")));
        assert_eq!(first(CalendarUnit::Day, "2013-03-11T04:00:00Z"), None);
        assert_eq!(first(CalendarUnit::Day, "2013-03-11T04:00:00.000001Z"), Some(at("2013-03-11T04:00:00Z")));
        assert_eq!(first(CalendarUnit::Week, "2013-03-13T12:00:00Z"), Some(at("2013-03-11T04:00:00Z")));
        assert_eq!(first(CalendarUnit::Month, "2013-03-13T12:00:00Z"), Some(at("2013-03-01T05:00:00Z")));
        assert_eq!(first(CalendarUnit::Year, "2013-03-13T12:00:00Z"), Some(at("2013-01-01T05:00:00Z")));
    }
}
