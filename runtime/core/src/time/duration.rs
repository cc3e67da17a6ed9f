//! Durations as definitions write them: `30d`, `1d12h`, `500ms`.

use std::fmt;
use std::str::FromStr;

use super::{TimeError, cut};

/// A span of time in microseconds, never negative. A day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Duration(u64);

/// Units with their length in microseconds, greatest first.
const UNITS: [(&str, u64); 6] =
    [("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

impl Duration {
    /// A span of so many microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Duration(micros)
    }

    /// Its length in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Reads whole numbers with units, greatest unit first and each at most once: `30d`, `1d12h`, `90m`, `500ms`.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        scan(text).map(Duration).map_err(|reason| TimeError::Duration { text: cut(text), reason })
    }
}

fn scan(text: &str) -> Result<u64, &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    let (mut total, mut rest, mut units) = (0_u64, text, &UNITS[..]);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        if number.is_empty() {
            return Err("a number is missing before a unit");
        }
        let (unit, tail) = tail.split_at(tail.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(tail.len()));
        let index = units.iter().position(|(name, _)| *name == unit).ok_or_else(|| {
            if UNITS.iter().any(|(name, _)| *name == unit) {
                "the units must come greatest first, each once"
            } else if unit.is_empty() {
                "a number has no unit"
            } else {
                "a unit is unknown"
            }
        })?;
        const TOO_LONG: &str = "it is longer than 64-bit microseconds can hold";
        let count: u64 = number.parse().map_err(|_| TOO_LONG)?;
        total = count.checked_mul(units[index].1).and_then(|span| total.checked_add(span)).ok_or(TOO_LONG)?;
        units = &units[index + 1..];
        rest = tail;
    }
    Ok(total)
}

/// The canonical text: greatest units first, none that is zero; `0s` for nothing.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (name, length) in UNITS {
            if rest >= length {
                write!(f, "{}{name}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl FromStr for Duration {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Duration::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_and_written_canonically() {
        for (text, micros, canonical) in [
            ("30d", 2_592_000_000_000, "30d"),
            ("12h", 43_200_000_000, "12h"),
            ("1d12h", 129_600_000_000, "1d12h"),
            ("36h", 129_600_000_000, "1d12h"),
            ("90m", 5_400_000_000, "1h30m"),
            ("45s", 45_000_000, "45s"),
            ("500ms", 500_000, "500ms"),
            ("10us", 10, "10us"),
            ("0d", 0, "0s"),
            ("18446744073709551615us", u64::MAX, "213503982d8h1m49s551ms615us"),
        ] {
            assert_eq!(Duration::parse(text), Ok(Duration(micros)), "{text}");
            assert_eq!(Duration(micros).to_string(), canonical);
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        for (text, reason) in [
            ("", "it is empty"),
            ("30", "a number has no unit"),
            ("d", "a number is missing before a unit"),
            ("-1d", "a number is missing before a unit"),
            ("1.5h", "a number has no unit"),
            ("1 d", "a number has no unit"),
            ("1w", "a unit is unknown"),
            ("1D", "a number has no unit"),
            ("12h1d", "the units must come greatest first, each once"),
            ("1h1h", "the units must come greatest first, each once"),
            ("18446744073709551616us", "it is longer than 64-bit microseconds can hold"),
            ("213503983d", "it is longer than 64-bit microseconds can hold"),
        ] {
            assert_eq!(Duration::parse(text), Err(TimeError::Duration { text: text.to_owned(), reason }), "{text}");
        }
        assert!(Duration::parse("30").unwrap_err().to_string().contains("hint: write whole numbers with the units"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micros in any::<u64>()) {
            prop_assert_eq!(Duration::parse(&Duration(micros).to_string()), Ok(Duration(micros)));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[0-9dhmsu]{0,20}") {
            if let Ok(duration) = Duration::parse(&text) {
                prop_assert_eq!(Duration::parse(&duration.to_string()), Ok(duration));
            }
        }
    }
}
