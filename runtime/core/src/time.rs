//! Timestamps, durations, days and time zones.
//!
//! A [`Timestamp`] is microseconds since the Unix epoch in UTC, without leap seconds, over the whole range of `i64`
//! (years -290308 to 294247). The calendar is the proleptic Gregorian one with a year 0.

mod civil;
mod day;
mod duration;
mod zone;

pub use day::{Day, DayRange};
pub use duration::Duration;
pub use zone::{CalendarUnit, LocalTime, Zone, local_to_utc};

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use civil::{Date, Scanner};

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;

/// Microseconds in a day of 24 hours.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Characters of a refused text that an error shows.
const SHOWN_CHARS_MAX: usize = 40;

/// Microseconds since 1970-01-01T00:00:00Z, signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Why a text, or a local time, is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not a timestamp.
    #[error(
        "{text:?} is not a timestamp: {reason}; hint: write RFC 3339 with an offset, for instance 2024-05-01T12:30:00Z"
    )]
    Timestamp {
        /// The text, cut to 40 characters.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a day.
    #[error("{text:?} is not a day: {reason}; hint: write YYYY-MM-DD, for instance 2024-05-01")]
    Day {
        /// The text, cut to 40 characters.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a duration.
    #[error(
        "{text:?} is not a duration: {reason}; hint: write whole numbers with the units d, h, m, s, ms, us, greatest first, for instance 30d, 1d12h or 500ms"
    )]
    Duration {
        /// The text, cut to 40 characters.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Not a time zone.
    #[error(
        "{text:?} is not a time zone; hint: write a name of the IANA time zone database, for instance UTC or Europe/Berlin"
    )]
    Zone {
        /// The text, cut to 40 characters.
        text: String,
    },
    /// A local time of a year for which a zone has no rules.
    #[error(
        "the local time of {micros} microseconds since 1970-01-01T00:00:00 in {zone} is outside the years -9999 to 9999"
    )]
    LocalRange {
        /// The local time.
        micros: i64,
        /// The zone's name.
        zone: String,
    },
}

/// The first [`SHOWN_CHARS_MAX`] characters of `text`.
fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

impl Timestamp {
    /// The earliest timestamp.
    pub const MIN: Timestamp = Timestamp(i64::MIN);

    /// The latest timestamp.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Reads all that [`Timestamp::parse_rfc3339`] reads, a day `YYYY-MM-DD` (its midnight, UTC), and what `Display`
    /// writes for years that RFC 3339 cannot (a sign and six digits).
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let refuse = |reason| TimeError::Timestamp { text: cut(text), reason };
        let mut scanner = Scanner::new(text);
        let date = if matches!(scanner.peek(), Some(b'+' | b'-')) {
            Date::scan_expanded(&mut scanner).map_err(refuse)?
        } else {
            Date::scan(&mut scanner).map_err(refuse)?
        };
        if scanner.is_empty() {
            return from_parts(date, 0).map_err(refuse);
        }
        scan_time(&mut scanner).and_then(|micros| from_parts(date, micros)).map_err(refuse)
    }

    /// Reads RFC 3339: `2024-05-01T12:30:00.000001+02:00`. Any offset, which must be there; `t`, `z` and a space for
    /// `T` as section 5.6 allows; any number of fractional digits as long as those after the sixth are zero. A leap
    /// second (`:60`) has no timestamp and is refused.
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        let mut scanner = Scanner::new(text);
        Date::scan(&mut scanner)
            .and_then(|date| from_parts(date, scan_time(&mut scanner)?))
            .map_err(|reason| TimeError::Timestamp { text: cut(text), reason })
    }

    /// Whether RFC 3339 can write this timestamp: its year is 0000 to 9999.
    pub fn is_rfc3339(self) -> bool {
        (0..=9999).contains(&Date::of_day(self.0.div_euclid(MICROS_PER_DAY)).year)
    }

    /// The timestamp so much later, if it is in range.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        self.0.checked_add_unsigned(duration.as_micros()).map(Timestamp)
    }

    /// The timestamp so much earlier, if it is in range.
    pub fn checked_sub(self, duration: Duration) -> Option<Self> {
        self.0.checked_sub_unsigned(duration.as_micros()).map(Timestamp)
    }
}

/// The timestamp `micros` after the midnight (UTC) of `date`; `micros` may be negative or longer than a day, by an offset.
fn from_parts(date: Date, micros: i64) -> Result<Timestamp, &'static str> {
    let total = i128::from(date.days()) * i128::from(MICROS_PER_DAY) + i128::from(micros);
    i64::try_from(total).map(Timestamp).map_err(|_| "it is outside the range of 64-bit microseconds")
}

/// Reads `T12:30:00.5+02:00` to the end; gives microseconds since midnight UTC of the date before it.
fn scan_time(scanner: &mut Scanner<'_>) -> Result<i64, &'static str> {
    match scanner.next() {
        Some(b'T' | b't' | b' ') => {}
        None => return Err("the time of day is missing"),
        Some(_) => return Err("the date must be followed by T and the time of day"),
    }
    let hour = scanner.number(2, 23, "the hour must be 00 to 23")?;
    scanner.expect(b':', "hour and minute must be separated by a colon")?;
    let minute = scanner.number(2, 59, "the minute must be 00 to 59")?;
    scanner.expect(b':', "minute and second must be separated by a colon")?;
    let second = scanner.number(2, 60, "the second must be 00 to 59")?;
    if second == 60 {
        return Err("a leap second has no timestamp");
    }
    let mut micros = (hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND;
    if scanner.peek() == Some(b'.') {
        scanner.next();
        micros += scan_fraction(scanner)?;
    }
    let sign = match scanner.next() {
        Some(b'Z' | b'z') => 0,
        Some(b'+') => 1,
        Some(b'-') => -1,
        None => return Err("the offset from UTC (Z or +hh:mm) is missing"),
        Some(_) => return Err("the offset from UTC must be Z, +hh:mm or -hh:mm"),
    };
    if sign != 0 {
        let hours = scanner.number(2, 23, "the hours of the offset must be 00 to 23")?;
        scanner.expect(b':', "the offset must be written +hh:mm or -hh:mm")?;
        let minutes = scanner.number(2, 59, "the minutes of the offset must be 00 to 59")?;
        micros -= sign * (hours * 3600 + minutes * 60) * MICROS_PER_SECOND;
    }
    if scanner.is_empty() { Ok(micros) } else { Err("something follows the offset") }
}

fn scan_fraction(scanner: &mut Scanner<'_>) -> Result<i64, &'static str> {
    let mut micros = 0;
    let mut scale = MICROS_PER_SECOND;
    let mut digits = 0;
    while let Some(digit) = scanner.peek().filter(u8::is_ascii_digit) {
        scanner.next();
        digits += 1;
        scale /= 10;
        if scale == 0 && digit != b'0' {
            return Err("it is finer than a microsecond");
        }
        micros += i64::from(digit - b'0') * scale;
    }
    if digits == 0 { Err("the fraction has no digits") } else { Ok(micros) }
}

impl Timestamp {
    /// Appends the text that [`fmt::Display`] gives.
    pub fn write(self, out: &mut Vec<u8>) {
        use std::io::Write as _;
        match self.plain() {
            Some((text, end)) => out.extend_from_slice(&text[..end]),
            None => write!(out, "{self}").expect("memory takes all that is written"),
        }
    }

    /// The text of a year from 0000 to 9999, and its length, digit by digit: answers have thousands of them.
    fn plain(self) -> Option<([u8; 27], usize)> {
        let Date { year, month, day } = Date::of_day(self.0.div_euclid(MICROS_PER_DAY));
        if !(0..=9999).contains(&year) {
            return None;
        }
        let (seconds, fraction) = self.of_day();
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |at: Range<usize>, mut value: i64| {
            for digit in text[at].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0..4, year);
        put(5..7, month);
        put(8..10, day);
        put(11..13, seconds / 3600);
        put(14..16, seconds / 60 % 60);
        put(17..19, seconds % 60);
        put(20..26, fraction);
        let end = match fraction {
            0 => 19,
            fraction if fraction % 1000 == 0 => 23,
            _ => 26,
        };
        text[end] = b'Z';
        Some((text, end + 1))
    }

    /// Seconds since midnight, and microseconds beyond them.
    fn of_day(self) -> (i64, i64) {
        let micros = self.0.rem_euclid(MICROS_PER_DAY);
        (micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND)
    }
}

/// RFC 3339 with `Z` and the shortest of no, three or six fractional digits that is exact. Years outside 0000 to 9999 have a sign and
/// six digits (ECMAScript's expanded years): `+294247-01-10T04:00:54.775807Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((text, end)) = self.plain() {
            return f.write_str(std::str::from_utf8(&text[..end]).expect("ASCII"));
        }
        let date = Date::of_day(self.0.div_euclid(MICROS_PER_DAY));
        let (seconds, fraction) = self.of_day();
        write!(f, "{date}T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if fraction % 1000 != 0 {
            write!(f, ".{fraction:06}")?;
        } else if fraction != 0 {
            write!(f, ".{:03}", fraction / 1000)?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Timestamp::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn micros(text: &str) -> i64 {
        Timestamp::parse_rfc3339(text).unwrap_or_else(|error| panic!("{error}")).0
    }

    #[test]
    fn reads_rfc3339() {
        assert_eq!(micros("1970-01-01T00:00:00Z"), 0);
        assert_eq!(micros("1969-12-31T23:59:59.999999Z"), -1);
        assert_eq!(micros("1970-01-01t01:00:00.5+01:00"), 500_000);
        assert_eq!(micros("1970-01-01 00:00:00.123456000z"), 123_456);
        assert_eq!(micros("1970-01-01T00:00:00-23:59"), (23 * 60 + 59) * 60_000_000);
        assert_eq!(micros("1970-01-01T00:00:00-00:00"), 0);
        assert_eq!(micros("0000-01-01T00:00:00+00:01"), -62_167_219_260_000_000);
        assert_eq!(micros("9999-12-31T23:59:59.999999-23:59"), 253_402_387_139_999_999);
        assert_eq!(micros("2024-02-29T00:00:00Z"), 1_709_164_800_000_000);
    }

    #[test]
    fn refuses_what_is_not_rfc3339() {
        for (text, reason) in [
            ("", "the year must have four digits"),
            ("2024", "the date must be written YYYY-MM-DD"),
            ("2024-05-01", "the time of day is missing"),
            ("2024-05-01T12:30:00", "the offset from UTC (Z or +hh:mm) is missing"),
            ("2024-05-01T12:30Z", "minute and second must be separated by a colon"),
            ("2024-05-01T12:30:00.Z", "the fraction has no digits"),
            ("2024-05-01T12:30:00.1234567Z", "it is finer than a microsecond"),
            ("2024-05-01T12:30:60Z", "a leap second has no timestamp"),
            ("2024-05-01T24:00:00Z", "the hour must be 00 to 23"),
            ("2024-05-01T12:30:00+2:00", "the hours of the offset must be 00 to 23"),
            ("2024-05-01T12:30:00+0200", "the offset must be written +hh:mm or -hh:mm"),
            ("2024-05-01T12:30:00Z ", "something follows the offset"),
            ("2023-02-29T00:00:00Z", "the month has no such day"),
            ("2024-13-01T00:00:00Z", "the month must be 01 to 12"),
            ("+002024-05-01T00:00:00Z", "the year must have four digits"),
            ("２０２４-05-01T00:00:00Z", "the year must have four digits"),
        ] {
            assert_eq!(
                Timestamp::parse_rfc3339(text),
                Err(TimeError::Timestamp { text: text.to_owned(), reason }),
                "{text}"
            );
        }
        let error = Timestamp::parse_rfc3339("2024-05-01T12:30:00").unwrap_err();
        assert!(error.to_string().contains("hint: write RFC 3339 with an offset"), "{error}");
    }

    #[test]
    fn reads_days_and_expanded_years() {
        assert_eq!(Timestamp::parse("1970-01-02"), Ok(Timestamp(MICROS_PER_DAY)));
        assert_eq!(Timestamp::parse("+294247-01-10T04:00:54.775807Z"), Ok(Timestamp::MAX));
        assert_eq!(Timestamp::parse("-290308-12-21T19:59:05.224192Z"), Ok(Timestamp::MIN));
        for text in ["+294247-01-10T04:00:54.775808Z", "-000000-01-01", "+2024-01-01", "+999999-12-31"] {
            assert!(matches!(Timestamp::parse(text), Err(TimeError::Timestamp { .. })), "{text}");
        }
    }

    #[test]
    fn writes_the_shortest_fraction() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(120_000).to_string(), "1970-01-01T00:00:00.120Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::MAX.to_string(), "+294247-01-10T04:00:54.775807Z");
        assert_eq!(Timestamp::MIN.to_string(), "-290308-12-21T19:59:05.224192Z");
        assert_eq!(Timestamp(-62_167_219_200_000_000).to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp(-62_167_219_200_000_001).to_string(), "-000001-12-31T23:59:59.999999Z");
        assert!(Timestamp(-62_167_219_200_000_000).is_rfc3339());
        assert!(!Timestamp(-62_167_219_200_000_001).is_rfc3339());
        assert!(Timestamp(253_402_300_799_999_999).is_rfc3339());
        assert!(!Timestamp(253_402_300_800_000_000).is_rfc3339());
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let day = Duration::from_micros(MICROS_PER_DAY as u64);
        assert_eq!(Timestamp(0).checked_add(day), Some(Timestamp(MICROS_PER_DAY)));
        assert_eq!(Timestamp(0).checked_sub(day), Some(Timestamp(-MICROS_PER_DAY)));
        assert_eq!(Timestamp::MAX.checked_add(Duration::from_micros(1)), None);
        assert_eq!(Timestamp::MIN.checked_sub(Duration::from_micros(1)), None);
        assert_eq!(Timestamp::MAX.checked_sub(Duration::from_micros(u64::MAX)), Some(Timestamp::MIN));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in any::<i64>()) {
            let timestamp = Timestamp(micros);
            prop_assert_eq!(Timestamp::parse(&timestamp.to_string()), Ok(timestamp));
            if timestamp.is_rfc3339() {
                prop_assert_eq!(Timestamp::parse_rfc3339(&timestamp.to_string()), Ok(timestamp));
            }
        }

        #[test]
        fn both_ways_of_writing_agree(
            seconds in -70_000_000_000..=260_000_000_000_i64,
            fraction in prop_oneof![Just(0), (0..1000_i64).prop_map(|millis| millis * 1000), 0..1_000_000_i64],
        ) {
            let timestamp = Timestamp(seconds * 1_000_000 + fraction);
            let mut written = b"before".to_vec();
            timestamp.write(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), format!("before{timestamp}"));
        }

        #[test]
        fn agrees_with_jiff(micros in -377_705_023_201_000_000..=253_402_207_200_000_000_i64) {
            let timestamp = Timestamp(micros);
            let jiff = jiff::Timestamp::from_microsecond(micros).unwrap();
            if timestamp.is_rfc3339() {
                let theirs: jiff::Timestamp = timestamp.to_string().parse().unwrap();
                prop_assert_eq!(theirs, jiff);
                prop_assert_eq!(Timestamp::parse_rfc3339(&jiff.to_string()), Ok(timestamp));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[-+0-9T:.Z ]{0,40}") {
            if let Ok(timestamp) = Timestamp::parse(&text) {
                prop_assert_eq!(Timestamp::parse(&timestamp.to_string()), Ok(timestamp));
            }
        }
    }
}
