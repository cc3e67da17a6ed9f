//! Dates of the proleptic Gregorian calendar, and the reading of fixed-width numbers.

use std::fmt;

/// A date of the proleptic Gregorian calendar; the year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_0: i64 = 719_468;

/// Days of 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;

impl Date {
    /// The date so many days after 1970-01-01. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
    /// `civil_from_days`.
    pub(super) fn of_day(days: i64) -> Date {
        let days = days + EPOCH_FROM_MARCH_0;
        let era = days.div_euclid(ERA_DAYS);
        let day_of_era = days.rem_euclid(ERA_DAYS);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months count from March, so that the leap day is the last of its year.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Date { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
    }

    /// Days since 1970-01-01. Source: as [`Date::of_day`], `days_from_civil`.
    pub(super) fn days(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_from_march = (self.month + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * ERA_DAYS + day_of_era - EPOCH_FROM_MARCH_0
    }

    /// Reads `YYYY-MM-DD`.
    pub(super) fn scan(scanner: &mut Scanner<'_>) -> Result<Date, &'static str> {
        let year = scanner.number(4, 9999, "the year must have four digits")?;
        Date::scan_rest(year, scanner)
    }

    /// Reads `+YYYYYY-MM-DD` or `-YYYYYY-MM-DD`, ECMAScript's expanded years, of which -000000 is none.
    pub(super) fn scan_expanded(scanner: &mut Scanner<'_>) -> Result<Date, &'static str> {
        let negative = scanner.next() == Some(b'-');
        let year = scanner.number(6, 999_999, "a year with a sign must have six digits")?;
        if negative && year == 0 {
            return Err("there is no year -000000");
        }
        Date::scan_rest(if negative { -year } else { year }, scanner)
    }

    fn scan_rest(year: i64, scanner: &mut Scanner<'_>) -> Result<Date, &'static str> {
        const FORM: &str = "the date must be written YYYY-MM-DD";
        scanner.expect(b'-', FORM)?;
        let month = scanner.number(2, 12, "the month must be 01 to 12")?;
        scanner.expect(b'-', FORM)?;
        let day = scanner.number(2, 31, "the day must be 01 to 31")?;
        if month == 0 {
            return Err("the month must be 01 to 12");
        }
        if day == 0 {
            return Err("the day must be 01 to 31");
        }
        let date = Date { year, month, day };
        // A day that the month does not have counts into the next one.
        if Date::of_day(date.days()) == date { Ok(date) } else { Err("the month has no such day") }
    }
}

/// `YYYY-MM-DD`; years outside 0000 to 9999 with a sign and at least six digits.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (0..=9999).contains(&self.year) {
            write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
        } else {
            write!(f, "{:+07}-{:02}-{:02}", self.year, self.month, self.day)
        }
    }
}

/// What is left of a text that is read from left to right.
pub(super) struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Scanner(text.as_bytes())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn expect(&mut self, byte: u8, reason: &'static str) -> Result<(), &'static str> {
        if self.next() == Some(byte) { Ok(()) } else { Err(reason) }
    }

    /// Reads a number of exactly `digits` digits that is at most `max`.
    pub(super) fn number(&mut self, digits: usize, max: i64, reason: &'static str) -> Result<i64, &'static str> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or(reason)?;
        if !number.iter().all(u8::is_ascii_digit) {
            return Err(reason);
        }
        let value = number.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
        self.0 = rest;
        if value <= max { Ok(value) } else { Err(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_the_calendar_agrees_with_jiff() {
        let mut theirs = jiff::civil::date(-9999, 1, 1);
        let mut days = Date { year: -9999, month: 1, day: 1 }.days();
        assert_eq!(Date { year: 1970, month: 1, day: 1 }.days(), 0);
        loop {
            let date = Date::of_day(days);
            let expected = (i64::from(theirs.year()), i64::from(theirs.month()), i64::from(theirs.day()));
            assert_eq!((date.year, date.month, date.day), expected);
            assert_eq!(date.days(), days);
            let Ok(tomorrow) = theirs.tomorrow() else { break };
            theirs = tomorrow;
            days += 1;
        }
        assert_eq!(Date::of_day(days), Date { year: 9999, month: 12, day: 31 });
    }
}
