//! An instant, and what can be read from it without a clock or a time zone database.

use std::fmt::{self, Display};

const MICROS_PER_MILLI: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// An instant: microseconds since 1970-01-01T00:00:00Z, in UTC.
///
/// There is no `now`: the instant for which a value is asked is the input `as_of`. Calendar fields are those of UTC and
/// are given as `i64`, the type of an integer feature. Everything rounds towards the past, also before 1970.
///
/// ```
/// use tandem_sdk::Timestamp;
///
/// let login = Timestamp::from_seconds(1_709_208_000);
/// let as_of = Timestamp::from_seconds(1_709_211_661);
/// assert_eq!(login.to_string(), "2024-02-29T12:00:00Z");
/// assert_eq!(as_of.seconds_since(login), 3_661);
/// assert_eq!((as_of.hour_of_day(), as_of.day_of_week()), (13, 4)); // a Thursday
/// assert_eq!(as_of.date().month, 2);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(i64);

/// A day of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Astronomical year: 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);
    /// The earliest instant, in the year -290308.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest instant, in the year 294247.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds since 1970; beyond the range, the earliest or latest instant.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(MICROS_PER_MILLI))
    }

    /// From seconds since 1970; beyond the range, the earliest or latest instant.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// The start of a day; none if there is no such day or it is beyond the range.
    pub const fn from_date(year: i64, month: i64, day: i64) -> Option<Self> {
        if year < -290_308 || year > 294_247 || month < 1 || month > 12 || day < 1 || day > 31 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        let date = civil_from_days(days);
        if date.month != month {
            return None;
        }
        match days.checked_mul(MICROS_PER_DAY) {
            Some(micros) => Some(Self(micros)),
            None => None,
        }
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(MICROS_PER_MILLI)
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Whole days since 1970-01-01.
    pub const fn days(self) -> i64 {
        self.0.div_euclid(MICROS_PER_DAY)
    }

    /// Microseconds from `earlier` to this instant, negative if it is later; at the ends of the range of i64 it stays there.
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds from `earlier` to this instant, rounded down.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.since(earlier, MICROS_PER_MILLI)
    }

    /// Whole seconds from `earlier` to this instant, rounded down.
    pub const fn seconds_since(self, earlier: Self) -> i64 {
        self.since(earlier, MICROS_PER_SECOND)
    }

    /// Whole days of 86,400 seconds from `earlier` to this instant, rounded down.
    pub const fn days_since(self, earlier: Self) -> i64 {
        self.since(earlier, MICROS_PER_DAY)
    }

    /// The difference divided exactly: it needs 65 bits, the quotient never more than 64.
    const fn since(self, earlier: Self, unit: i64) -> i64 {
        (self.0 as i128 - earlier.0 as i128).div_euclid(unit as i128) as i64
    }

    /// This much later, or earlier if negative; beyond the range, the earliest or latest instant.
    #[must_use]
    pub const fn saturating_add_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// This much later, or earlier if negative; beyond the range, the earliest or latest instant.
    #[must_use]
    pub const fn saturating_add_seconds(self, seconds: i64) -> Self {
        self.saturating_add_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Midnight (UTC) of the same day; in the first, cut-off day of the range, [`Timestamp::MIN`].
    #[must_use]
    pub const fn start_of_day(self) -> Self {
        Self(self.days().saturating_mul(MICROS_PER_DAY))
    }

    /// Microseconds since midnight (UTC).
    pub const fn micros_of_day(self) -> i64 {
        self.0.rem_euclid(MICROS_PER_DAY)
    }

    /// Seconds since midnight (UTC), 0 to 86,399.
    pub const fn second_of_day(self) -> i64 {
        self.micros_of_day() / MICROS_PER_SECOND
    }

    /// Hour of the day (UTC), 0 to 23.
    pub const fn hour_of_day(self) -> i64 {
        self.second_of_day() / 3_600
    }

    /// Minute of the hour, 0 to 59.
    pub const fn minute_of_hour(self) -> i64 {
        self.second_of_day() / 60 % 60
    }

    /// Second of the minute, 0 to 59.
    pub const fn second_of_minute(self) -> i64 {
        self.second_of_day() % 60
    }

    /// Day of the week (UTC) as ISO 8601 counts: 1 is Monday, 7 is Sunday.
    pub const fn day_of_week(self) -> i64 {
        (self.days() + 3).rem_euclid(7) + 1 // 1970-01-01 was a Thursday
    }

    /// Day of the year (UTC), 1 to 366.
    pub const fn day_of_year(self) -> i64 {
        self.days() - days_from_civil(self.date().year, 1, 1) + 1
    }

    /// The day (UTC).
    pub const fn date(self) -> Date {
        civil_from_days(self.days())
    }
}

/// Days since 1970-01-01 of a civil date: `days_from_civil` of Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms". Years begin in March there, so that the leap day is the last of a year; an era has 400 years.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse, `civil_from_days` of the same source.
const fn civil_from_days(days: i64) -> Date {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Date {
        year: year_of_era + era * 400 + (month <= 2) as i64,
        month,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
    }
}

impl Display for Date {
    /// ISO 8601: `2024-02-29`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl Display for Timestamp {
    /// RFC 3339: `2024-02-29T12:00:00Z`, with six digits of a second where they are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}T{:02}:{:02}:{:02}",
            self.date(),
            self.hour_of_day(),
            self.minute_of_hour(),
            self.second_of_minute()
        )?;
        match self.0.rem_euclid(MICROS_PER_SECOND) {
            0 => f.write_str("Z"),
            micros => write!(f, ".{micros:06}Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        // Day by day over 2,000 years, against counting.
        let mut date = Date { year: 1, month: 1, day: 1 };
        for days in -719_162..=11_248 {
            assert_eq!(civil_from_days(days), date);
            assert_eq!(days_from_civil(date.year, date.month, date.day), days);
            let leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);
            let length = match date.month {
                2 => 28 + i64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            date.day += 1;
            if date.day > length {
                (date.day, date.month) = (1, date.month + 1);
            }
            if date.month > 12 {
                (date.month, date.year) = (1, date.year + 1);
            }
        }
    }

    #[test]
    fn before_1970_it_rounds_towards_the_past() {
        let instant = Timestamp::from_micros(-1);
        assert_eq!(instant.to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!((instant.seconds(), instant.millis(), instant.days()), (-1, -1, -1));
        assert_eq!(instant.day_of_week(), 3);
        assert_eq!(instant.day_of_year(), 365);
        assert_eq!(instant.start_of_day(), Timestamp::from_seconds(-86_400));
        assert_eq!(instant.seconds_since(Timestamp::UNIX_EPOCH), -1);
    }

    #[test]
    fn the_ends_of_the_range_hold() {
        assert_eq!(Timestamp::MAX.to_string(), "294247-01-10T04:00:54.775807Z");
        assert_eq!(Timestamp::MIN.to_string(), "-290308-12-21T19:59:05.224192Z");
        assert_eq!(Timestamp::MAX.micros_since(Timestamp::MIN), i64::MAX);
        assert_eq!(Timestamp::MAX.seconds_since(Timestamp::MIN), 18_446_744_073_709);
        assert_eq!(Timestamp::MIN.start_of_day(), Timestamp::MIN);
        assert_eq!(Timestamp::from_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_add_seconds(i64::MAX), Timestamp::MAX);
        for instant in [Timestamp::MIN, Timestamp::MAX] {
            assert!((1..=366).contains(&instant.day_of_year()));
            assert!((1..=7).contains(&instant.day_of_week()));
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        assert_eq!(Timestamp::from_date(2024, 2, 29).unwrap().date().to_string(), "2024-02-29");
        for (year, month, day) in [
            (2023, 2, 29),
            (2024, 4, 31),
            (2024, 13, 1),
            (2024, 0, 1),
            (2024, 1, 0),
            (294_247, 1, 11),
            (i64::MAX, 1, 1),
        ] {
            assert_eq!(Timestamp::from_date(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
