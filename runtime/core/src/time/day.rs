//! Days of UTC and ranges of them.

use std::fmt;
use std::str::FromStr;

use super::civil::{Date, Scanner};
use super::{MICROS_PER_DAY, TimeError, Timestamp, Zone, cut};

/// Days since 1970-01-01 (UTC), as Arrow's `date32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// The first day there is; as the start of a range: no bound.
    pub const MIN: Day = Day(i32::MIN);
    /// The last day there is; as the end of a range: no bound.
    pub const MAX: Day = Day(i32::MAX);

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let refuse = |reason| TimeError::Day { text: cut(text), reason };
        let mut scanner = Scanner::new(text);
        let date = Date::scan(&mut scanner).map_err(refuse)?;
        if !scanner.is_empty() {
            return Err(refuse("something follows the date"));
        }
        // Years of four digits are a few million days.
        Ok(Day(date.days() as i32))
    }

    /// The day on which `timestamp` lies, in UTC.
    pub fn of(timestamp: Timestamp) -> Self {
        // The whole range of timestamps is about 107 million days to either side.
        Day(timestamp.0.div_euclid(MICROS_PER_DAY) as i32)
    }

    /// The day on which `timestamp` lies on the clocks of `zone`: it begins at the instant of its local midnight, as [`Zone::local_time`] has it.
    ///
    /// Fails for years outside -9999 to 9999 in a zone other than UTC.
    pub fn of_local(timestamp: Timestamp, zone: &Zone) -> Result<Self, TimeError> {
        // No clock is a day or more away from UTC, so it is this day or one beside it.
        let utc = Day::of(timestamp);
        for day in [utc.next(), utc] {
            if zone.local_time(day.start().0)?.timestamp() <= timestamp {
                return Ok(day);
            }
        }
        Ok(utc.plus(-1))
    }

    /// The day after, or the last one that can be counted.
    pub fn next(self) -> Self {
        self.plus(1)
    }

    /// The day so many days later (earlier if negative), or the last or first one that can be counted.
    pub fn plus(self, days: i32) -> Self {
        Day(self.0.saturating_add(days))
    }

    /// Its midnight, at which it starts; the first or last timestamp where that is out of range.
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0).saturating_mul(MICROS_PER_DAY))
    }
}

/// `YYYY-MM-DD`; years outside 0000 to 9999 have a sign and at least six digits.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Date::of_day(i64::from(self.0)).fmt(f)
    }
}

impl FromStr for Day {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Day::parse(text)
    }
}

/// Days from `from` (included) to `to` (excluded); empty if `to` is not later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DayRange {
    /// The first day.
    pub from: Day,
    /// The day after the last one.
    pub to: Day,
}

impl DayRange {
    /// The days of the range, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Day> + use<> {
        (self.from.0..self.to.0).map(Day)
    }

    /// Whether `day` is in the range.
    pub fn contains(&self, day: Day) -> bool {
        (self.from..self.to).contains(&day)
    }

    /// Whether the range has no day.
    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

/// `2024-05-01..2024-05-31`, where the last day is not in the range; an end without a bound is left out.
impl fmt::Display for DayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from != Day::MIN {
            write!(f, "{}", self.from)?;
        }
        f.write_str("..")?;
        if self.to != Day::MAX {
            write!(f, "{}", self.to)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_ranges_show_their_bound_alone() {
        let day = Day::parse("2024-05-01").unwrap();
        let shown =
            [(day, day.next()), (day, Day::MAX), (Day::MIN, day)].map(|(from, to)| DayRange { from, to }.to_string());
        assert_eq!(shown, ["2024-05-01..2024-05-02", "2024-05-01..", "..2024-05-01"]);
    }
    use proptest::prelude::*;

    #[test]
    fn days_are_read_and_written() {
        assert_eq!(Day::parse("1970-01-01"), Ok(Day(0)));
        assert_eq!(Day::parse("1969-12-31"), Ok(Day(-1)));
        assert_eq!("2024-02-29".parse::<Day>().unwrap().next().to_string(), "2024-03-01");
        assert_eq!(Day::parse("0000-01-01").unwrap().plus(-1).to_string(), "-000001-12-31");
        for text in ["", "2024-2-29", "2023-02-29", "2024-00-01", "2024-01-00", "2024-01-01T", "20240101"] {
            assert!(matches!(Day::parse(text), Err(TimeError::Day { .. })), "{text}");
        }
        assert_eq!(
            Day::parse("2024-01-01T").unwrap_err().to_string(),
            "\"2024-01-01T\" is not a day: something follows the date; hint: write YYYY-MM-DD, for instance 2024-05-01"
        );
    }

    #[test]
    fn the_ends_saturate() {
        assert_eq!(Day::of(Timestamp::MIN).start(), Timestamp::MIN);
        assert_eq!(Day(i32::MAX).start(), Timestamp::MAX);
        assert_eq!(Day(i32::MAX).next(), Day(i32::MAX));
        assert_eq!(Day(i32::MIN).to_string(), "-5877641-06-23");
        assert_eq!(Day(i32::MAX).to_string(), "+5881580-07-11");
    }

    #[test]
    fn ranges_exclude_their_end() {
        let range = DayRange { from: Day(3), to: Day(5) };
        assert_eq!(range.iter().collect::<Vec<_>>(), [Day(3), Day(4)]);
        assert_eq!([2, 3, 4, 5].map(|day| range.contains(Day(day))), [false, true, true, false]);
        assert!(DayRange { from: Day(3), to: Day(3) }.is_empty());
        assert_eq!(DayRange { from: Day(5), to: Day(3) }.iter().count(), 0);
        assert_eq!(range.to_string(), "1970-01-04..1970-01-06");
    }

    proptest! {
        #[test]
        fn a_timestamp_lies_in_its_day(micros in any::<i64>()) {
            let timestamp = Timestamp(micros);
            let day = Day::of(timestamp);
            prop_assert!(day.start() <= timestamp);
            prop_assert!(day.next().start() > timestamp || day.next().start() == Timestamp::MAX);
            let date = format!("{day}T");
            prop_assert!(timestamp.to_string().starts_with(&date));
        }

        #[test]
        fn days_of_four_digit_years_are_read_back(days in -719_528..=2_932_896_i32) {
            prop_assert_eq!(Day::parse(&Day(days).to_string()), Ok(Day(days)));
        }
    }
}
