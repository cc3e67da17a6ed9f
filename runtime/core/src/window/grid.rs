//! Instants of a grid, at which an aggregate view is computed in batch.

use std::fmt;

use super::aggregates::{AggregateFeature, Aggregates, Function};
use super::span::{Window, floor};
use crate::time::{DayRange, Duration, MICROS_PER_DAY, Timestamp};

/// The whole multiples of a length of time since the Unix epoch, in UTC. The length divides a day, so that every midnight is one of them.
///
/// An entity has a row at an instant where an event that counts lies in one of the windows, and at the first instant after at which none does: its values
/// are then those of no events, so that the last row at or before any time tells what was true at the last instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid(Duration);

impl Grid {
    /// The grid of so long; None for zero and for what does not divide a day.
    pub fn new(every: Duration) -> Option<Grid> {
        let divides = every.as_micros() > 0 && (MICROS_PER_DAY as u64).is_multiple_of(every.as_micros());
        divides.then_some(Grid(every))
    }

    /// The length of time between two instants.
    pub fn every(self) -> Duration {
        self.0
    }

    /// How many instants `days` have, up to and with `until`.
    pub fn count(self, days: DayRange, until: Timestamp) -> u64 {
        let (first, end) = (days.from.start().0, days.to.start().0.min(until.0.saturating_add(1)));
        end.checked_sub(first).filter(|span| *span > 0).map_or(0, |span| (span as u64).div_ceil(self.0.as_micros()))
    }

    /// The instants of `days` up to and with `until`, ascending, and before them the one before.
    pub fn instants(self, days: DayRange, until: Timestamp) -> Vec<Timestamp> {
        let every = self.0.as_micros() as i64;
        let first = floor(days.from.start(), self.0).0;
        let count = self.count(days, until) as i64;
        (-1..count).map(|place| Timestamp(first.saturating_add(place * every))).collect()
    }
}

/// As definition files write it: `1d`.
impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Aggregates {
    /// The same with a count of the view's events for each of its windows behind the features: whether an entity has a row on a grid.
    pub fn with_presence(&self) -> Aggregates {
        let count = |window: Window| AggregateFeature {
            name: format!("events {window}"),
            function: Function::Count,
            column: None,
            filter: None,
            of: None,
            window,
            description: String::new(),
        };
        let features = self.features.iter().cloned().chain(self.windows().into_iter().map(count));
        Aggregates { features: features.collect(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::Day;

    #[test]
    fn a_grid_divides_a_day() {
        let grid = |text: &str| Grid::new(text.parse().unwrap());
        assert!(["1d", "15m", "1h", "8h", "1us"].into_iter().all(|text| grid(text).is_some()));
        assert!(["0s", "7h", "2d", "1d1us"].into_iter().all(|text| grid(text).is_none()));
        assert_eq!(grid("90m").unwrap().to_string(), "1h30m");
    }

    proptest! {
        #[test]
        fn instants_are_multiples(
            from in -3..3_i32,
            days in 0..3_i32,
            hours in prop_oneof![Just(1_u64), Just(8), Just(24)],
            until in -100..100_i64,
        ) {
            let hour = 3_600_000_000;
            let grid = Grid::new(Duration::from_micros(hours * hour)).unwrap();
            let range = DayRange { from: Day(from), to: Day(from + days) };
            let until = Timestamp(until * hour as i64);
            let naive: Vec<i64> = (i64::from(from) * 24..i64::from(from + days) * 24)
                .filter(|at| at.rem_euclid(hours as i64) == 0 && at * hour as i64 <= until.0)
                .map(|at| at * hour as i64)
                .collect();
            let instants = grid.instants(range, until);
            prop_assert_eq!(instants[0].0, (i64::from(from) * 24 - hours as i64) * hour as i64);
            prop_assert_eq!(instants[1..].iter().map(|at| at.0).collect::<Vec<_>>(), naive);
            prop_assert_eq!(grid.count(range, until), instants.len() as u64 - 1);
        }
    }
}
