//! Local times of a named zone, for timestamps that were written without one.

use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::{TimeError, Timestamp, cut};

/// Up to when changes of clocks are looked at, of zones that change them every year: 2100-01-01, in seconds.
const RULES_UNTIL_SECONDS: i64 = 4_102_444_800;

/// A time zone of the IANA database, looked up once. The rules are those of the database that is compiled in, so that a
/// local time means the same instant on every machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    /// None is UTC, where local time is the timestamp itself.
    rules: Option<TimeZone>,
}

/// How a local time maps to instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTime {
    /// Clocks showed it once.
    Once(Timestamp),
    /// Clocks never showed it: they were set forward over it. The instant is by the offset before the change.
    Skipped(Timestamp),
    /// Clocks showed it twice: they were set back over it. The instant is the earlier one.
    Repeated(Timestamp),
}

impl LocalTime {
    /// The instant.
    pub fn timestamp(self) -> Timestamp {
        match self {
            LocalTime::Once(timestamp) | LocalTime::Skipped(timestamp) | LocalTime::Repeated(timestamp) => timestamp,
        }
    }
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Zone { name: "UTC".to_owned(), rules: None }
    }

    /// Looks a name up, without regard to case: `UTC`, `Europe/Berlin`.
    pub fn parse(name: &str) -> Result<Self, TimeError> {
        let unknown = || TimeError::Zone { text: cut(name) };
        let rules = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
        // jiff's `Etc/Unknown` is no zone of the database, and has no name.
        let name = rules.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Zone { name, rules: Some(rules).filter(|rules| *rules != TimeZone::UTC) })
    }

    /// Its name, as the database writes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the days that begin by these clocks, since 1970 and as far as rules are known, begin at multiples of `hop` since the Unix epoch.
    pub fn days_begin_at_multiples_of(&self, hop: super::Duration) -> bool {
        let hop = i128::from(hop.as_micros());
        let divides = |seconds: i64| hop > 0 && i128::from(seconds) * i128::from(super::MICROS_PER_SECOND) % hop == 0;
        let Some(rules) = &self.rules else { return divides(86_400) };
        let offset = |at| divides(i64::from(rules.to_offset(at).seconds()));
        let changes = rules
            .following(jiff::Timestamp::UNIX_EPOCH)
            .take_while(|change| change.timestamp().as_second() < RULES_UNTIL_SECONDS);
        divides(86_400) && offset(jiff::Timestamp::UNIX_EPOCH) && changes.map(|change| change.timestamp()).all(offset)
    }

    /// The instant of a local time, given as microseconds from 1970-01-01T00:00:00 on the zone's clocks, by the
    /// rule of RFC 5545, section 3.3.5: a local time that was skipped is read with the offset before the
    /// change (so it lies after it), one that was repeated is the first of the two.
    ///
    /// Fails for years outside -9999 to 9999 in a zone other than UTC.
    pub fn local_time(&self, micros_local: i64) -> Result<LocalTime, TimeError> {
        let Some(rules) = &self.rules else { return Ok(LocalTime::Once(Timestamp(micros_local))) };
        let out_of_range = || TimeError::LocalRange { micros: micros_local, zone: self.name.clone() };
        let clock = jiff::Timestamp::from_microsecond(micros_local).map_err(|_| out_of_range())?;
        let at = |offset: Offset| {
            let micros = micros_local.checked_sub(i64::from(offset.seconds()) * super::MICROS_PER_SECOND);
            micros.map(Timestamp).ok_or_else(out_of_range)
        };
        Ok(match rules.to_ambiguous_timestamp(Offset::UTC.to_datetime(clock)).offset() {
            AmbiguousOffset::Unambiguous { offset } => LocalTime::Once(at(offset)?),
            AmbiguousOffset::Gap { before, .. } => LocalTime::Skipped(at(before)?),
            AmbiguousOffset::Fold { before, .. } => LocalTime::Repeated(at(before)?),
        })
    }
}

/// A stretch of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    /// From midnight on.
    Day,
    /// From Monday on.
    Week,
    /// From the first day of a month on.
    Month,
    /// From the first of January on.
    Year,
}

impl CalendarUnit {
    /// Every variant.
    pub const ALL: [CalendarUnit; 4] = [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Year];

    /// Its word as a window in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            CalendarUnit::Day => "today",
            CalendarUnit::Week => "this_week",
            CalendarUnit::Month => "this_month",
            CalendarUnit::Year => "this_year",
        }
    }
}

impl Zone {
    /// The instant at which the day, week, month or year began in which clocks of this zone are at `at`. Where clocks skipped midnight, the first instant
    /// of the day. In years outside -9999 to 9999 by UTC.
    pub fn start_of(&self, unit: CalendarUnit, at: Timestamp) -> Timestamp {
        self.local_start_of(unit, at).unwrap_or_else(|| {
            let first = first_day(unit, at.0.div_euclid(super::MICROS_PER_DAY));
            Timestamp(first.saturating_mul(super::MICROS_PER_DAY))
        })
    }

    fn local_start_of(&self, unit: CalendarUnit, at: Timestamp) -> Option<Timestamp> {
        let rules = self.rules.as_ref()?;
        let clock = jiff::Timestamp::from_microsecond(at.0).ok()?;
        let offset = i64::from(rules.to_offset(clock).seconds()) * super::MICROS_PER_SECOND;
        let day = first_day(unit, at.0.checked_add(offset)?.div_euclid(super::MICROS_PER_DAY));
        self.local_time(day.checked_mul(super::MICROS_PER_DAY)?).ok().map(|start| match start {
            // With the offset before the change, the instant lies after it by as much as midnight after the clocks' last time: the day began at the change.
            LocalTime::Skipped(start) => self.change_before(start).unwrap_or(start),
            start => start.timestamp(),
        })
    }

    /// The last change of clocks at or before an instant.
    fn change_before(&self, at: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(at.0.checked_add(1)?).ok()?;
        let change = self.rules.as_ref()?.preceding(after).next()?;
        Some(Timestamp(change.timestamp().as_microsecond()))
    }
}

/// The first day of the stretch that a day lies in; both counted from 1970-01-01.
fn first_day(unit: CalendarUnit, day: i64) -> i64 {
    let date = || super::civil::Date::of_day(day);
    match unit {
        CalendarUnit::Day => day,
        // 1970-01-01 was a Thursday.
        CalendarUnit::Week => day - (day + 3).rem_euclid(7),
        CalendarUnit::Month => super::civil::Date { day: 1, ..date() }.days(),
        CalendarUnit::Year => super::civil::Date { day: 1, month: 1, ..date() }.days(),
    }
}

/// The instant of a local time: [`Zone::local_time`] where skipped and repeated times need no counting.
pub fn local_to_utc(micros_local: i64, zone: &Zone) -> Result<Timestamp, TimeError> {
    zone.local_time(micros_local).map(LocalTime::timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn local(text: &str) -> i64 {
        Timestamp::parse(&format!("{text}Z")).unwrap().0
    }

    fn instant(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn local_times_follow_rfc_5545() {
        let zone = Zone::parse("America/New_York").unwrap();
        let at = |text| zone.local_time(local(text)).unwrap();
        assert_eq!(at("2013-01-01T05:15:00"), LocalTime::Once(instant("2013-01-01T05:15:00-05:00")));
        assert_eq!(at("2013-07-01T05:15:00"), LocalTime::Once(instant("2013-07-01T05:15:00-04:00")));
        assert_eq!(at("2013-03-10T02:30:00"), LocalTime::Skipped(instant("2013-03-10T03:30:00-04:00")));
        assert_eq!(at("2013-11-03T01:30:00"), LocalTime::Repeated(instant("2013-11-03T01:30:00-04:00")));
        assert_eq!(at("2013-11-03T02:00:00"), LocalTime::Once(instant("2013-11-03T02:00:00-05:00")));
        assert_eq!(local_to_utc(local("2013-03-10T02:30:00"), &zone), Ok(instant("2013-03-10T07:30:00Z")));
    }

    #[test]
    fn utc_is_the_identity_everywhere() {
        let zone = Zone::parse("utc").unwrap();
        assert_eq!(zone, Zone::utc());
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            assert_eq!(local_to_utc(micros, &zone), Ok(Timestamp(micros)));
        }
    }

    #[test]
    fn unknown_zones_and_far_years_are_refused() {
        for name in ["", "CEST", "Europe/Atlantis", "+02:00", "Etc/Unknown", "../etc/passwd"] {
            assert_eq!(Zone::parse(name), Err(TimeError::Zone { text: name.to_owned() }), "{name}");
        }
        let zone = Zone::parse("asia/kathmandu").unwrap();
        assert_eq!(zone.name(), "Asia/Kathmandu");
        for micros in [i64::MIN, i64::MAX] {
            let refused = TimeError::LocalRange { micros, zone: "Asia/Kathmandu".to_owned() };
            assert_eq!(zone.local_time(micros), Err(refused));
        }
    }

    #[test]
    fn a_day_begins_at_midnight_or_where_clocks_skipped_it_at_the_change() {
        // Clocks went from 24:00 to 01:00.
        let zone = Zone::parse("America/Sao_Paulo").unwrap();
        let day = |text| zone.start_of(CalendarUnit::Day, instant(text));
        assert_eq!(day("2018-11-04T12:00:00-02:00"), instant("2018-11-04T01:00:00-02:00"));
        assert_eq!(day("2018-11-04T01:00:00-02:00"), instant("2018-11-04T01:00:00-02:00"));
        assert_eq!(day("2018-11-03T23:59:59-03:00"), instant("2018-11-03T00:00:00-03:00"));
        assert_eq!(
            Zone::utc().start_of(CalendarUnit::Week, instant("1970-01-01T05:00:00Z")),
            instant("1969-12-29T00:00:00Z")
        );
        assert_eq!(
            Zone::utc().start_of(CalendarUnit::Year, instant("1970-07-01T05:00:00Z")),
            instant("1970-01-01T00:00:00Z")
        );
        assert!(Zone::utc().start_of(CalendarUnit::Year, Timestamp::MIN) <= Timestamp(i64::MIN + 366 * 86_400_000_000));
        assert!(zone.start_of(CalendarUnit::Day, Timestamp::MAX) <= Timestamp::MAX);
    }

    proptest! {
        #[test]
        fn the_clock_of_an_instant_leads_back_to_it(seconds in -10_000_000_000..10_000_000_000_i64) {
            let zone = Zone::parse("Europe/Berlin").unwrap();
            let theirs = jiff::Timestamp::from_second(seconds).unwrap();
            let offset = zone.rules.as_ref().unwrap().to_offset(theirs);
            let micros_local = (seconds + i64::from(offset.seconds())) * 1_000_000;
            match zone.local_time(micros_local).unwrap() {
                LocalTime::Once(timestamp) => prop_assert_eq!(timestamp, Timestamp(seconds * 1_000_000)),
                LocalTime::Repeated(timestamp) => prop_assert!(timestamp <= Timestamp(seconds * 1_000_000)),
                LocalTime::Skipped(_) => prop_assert!(false, "a clock cannot show a skipped time"),
            }
        }
    }
}
