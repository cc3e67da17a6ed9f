//! Durations as definition files write them: `30d`, `12h`, `90m`, `45s`, `1d12h`.

use crate::time::Duration;

/// Longest duration that a definition may have, in days (about a hundred years).
pub const DURATION_DAYS_MAX: u64 = 36_525;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not numbers, each with a unit.
    #[error("`{0}` is not a duration")]
    Form(String),
    /// A unit that is repeated, or larger than the one before it.
    #[error("`{0}` is not a duration: units go from large to small, each at most once")]
    UnitOrder(String),
    /// Longer than the limit.
    #[error("`{0}` is longer than {DURATION_DAYS_MAX} days")]
    TooLong(String),
}

/// Reads whole numbers with the units `d` (24 hours), `h`, `m` (minutes) and `s`, from large to small, without spaces.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let form = || DurationError::Form(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let (mut rest, mut seconds, mut units) = (text, 0_u64, &UNITS[..]);
    if rest.is_empty() {
        return Err(form());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|&digits| digits > 0).ok_or_else(form)?;
        let unit = rest[digits..].chars().next().ok_or_else(form)?;
        let (_, unit_seconds) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(form)?;
        let at = units.iter().position(|(name, _)| *name == unit);
        units = &units[at.ok_or_else(|| DurationError::UnitOrder(text.to_owned()))? + 1..];
        let number: u64 = rest[..digits].parse().map_err(|_| too_long())?;
        seconds = number.checked_mul(unit_seconds).and_then(|more| seconds.checked_add(more)).ok_or_else(too_long)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    if seconds > DURATION_DAYS_MAX * 86_400 {
        return Err(too_long());
    }
    Ok(Duration::from_micros(seconds * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_exactly() {
        for (text, seconds) in [
            ("30d", 30 * 86_400),
            ("12h", 12 * 3_600),
            ("90m", 90 * 60),
            ("45s", 45),
            ("1d12h", 36 * 3_600),
            ("1d2h3m4s", 86_400 + 2 * 3_600 + 3 * 60 + 4),
            ("0s", 0),
            ("007s", 7),
            ("36525d", DURATION_DAYS_MAX * 86_400),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(seconds * 1_000_000)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_by_its_reason() {
        for text in ["", "30", "d", "30 d", "1.5h", "-1d", "+1d", "30D", "5w", "1d 2h", "3é", "1d2", "٣d"] {
            assert_eq!(parse_duration(text), Err(DurationError::Form(text.to_owned())));
        }
        for text in ["12h1d", "1d1d", "5s5m"] {
            assert_eq!(parse_duration(text), Err(DurationError::UnitOrder(text.to_owned())));
        }
        for text in ["36525d1s", "36526d", "99999999999999999999s", "9999999999999999999d"] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong(text.to_owned())));
        }
    }
}
