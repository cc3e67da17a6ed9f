//! What an online value is served as, and which rows count at an instant.

use std::fmt;
use std::str::FromStr;

use crate::model::{AsOf, KnownBy};
use crate::time::{Duration, Timestamp};

/// What a value is served as. Nothing is ever silently zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// There is a value.
    Present,
    /// There is a value, and it is older than the view's freshness objective: it is served all the same.
    Stale,
    /// There is a row, and its value is known to be null.
    NullValue,
    /// There is no row of the entity.
    NotFound,
    /// The row is older than the view's ttl; its value is not served.
    OutsideMaxAge,
    /// There is no value, and a declared default stands in. Of features alone, never of a row.
    Defaulted,
    /// The transform failed for the row.
    TransformError,
    /// The time that the request has was over before the value was there.
    DeadlineExceeded,
    /// The stored bytes are damaged (checksum).
    Corrupt,
}

impl Status {
    /// Every status.
    pub const ALL: [Status; 9] = [
        Status::Present,
        Status::Stale,
        Status::NullValue,
        Status::NotFound,
        Status::OutsideMaxAge,
        Status::Defaulted,
        Status::TransformError,
        Status::DeadlineExceeded,
        Status::Corrupt,
    ];

    /// Whether a row of this status is there and gives its values.
    pub const fn gives_values(self) -> bool {
        matches!(self, Status::Present | Status::Stale)
    }

    /// Whether it is a failure: nothing is known of the value, not even that there is none.
    pub const fn is_failure(self) -> bool {
        matches!(self, Status::TransformError | Status::DeadlineExceeded | Status::Corrupt)
    }

    /// Its name in answers and status columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Present => "PRESENT",
            Status::Stale => "STALE",
            Status::NullValue => "NULL_VALUE",
            Status::NotFound => "NOT_FOUND",
            Status::OutsideMaxAge => "OUTSIDE_MAX_AGE",
            Status::Defaulted => "DEFAULTED",
            Status::TransformError => "TRANSFORM_ERROR",
            Status::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Status::Corrupt => "CORRUPT",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a status; the statuses are PRESENT, STALE, NULL_VALUE, NOT_FOUND, OUTSIDE_MAX_AGE, DEFAULTED, TRANSFORM_ERROR, DEADLINE_EXCEEDED and CORRUPT"
)]
pub struct UnknownStatus(pub String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let known = Status::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// What one feature of a row is served as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeatureStatus {
    /// Its status; [`Status::Defaulted`] where its default stands in.
    pub status: Status,
    /// Why the default stands in: what the status would be without it. NULL_VALUE, NOT_FOUND or OUTSIDE_MAX_AGE.
    pub reason: Option<Status>,
}

impl FeatureStatus {
    /// The status of a feature of a row that is served as `row`; `is_null` is whether a row that is there has null for it.
    ///
    /// A default stands in where it is known that there is no value. It never hides a failure: what could not be computed or read stays so.
    pub fn of(row: Status, is_null: bool, has_default: bool) -> Self {
        let status = if row.gives_values() && is_null { Status::NullValue } else { row };
        let stands_in = has_default && matches!(status, Status::NullValue | Status::NotFound | Status::OutsideMaxAge);
        if stands_in {
            FeatureStatus { status: Status::Defaulted, reason: Some(status) }
        } else {
            FeatureStatus { status, reason: None }
        }
    }
}

/// Whether a row counts at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qualification {
    /// It counts.
    Qualifies,
    /// It lies after the instant (or, under [`AsOf::Before`], at it).
    Future,
    /// It is older than the ttl.
    Expired,
}

/// Whether a row of `event_time` counts when a value is asked for `as_of`: `event_time <= as_of` (or `<` under
/// [`AsOf::Before`]) and `event_time >= as_of - ttl`. Both ends are included, and nothing overflows.
pub fn qualifies(event_time: Timestamp, as_of: Timestamp, rule: AsOf, ttl: Option<Duration>) -> Qualification {
    let not_yet = match rule {
        AsOf::AtOrBefore => event_time > as_of,
        AsOf::Before => event_time >= as_of,
    };
    // A start before the first timestamp excludes nothing.
    let start = ttl.and_then(|ttl| as_of.checked_sub(ttl)).unwrap_or(Timestamp::MIN);
    if not_yet {
        Qualification::Future
    } else if event_time < start {
        Qualification::Expired
    } else {
        Qualification::Qualifies
    }
}

/// Whether a row is older than the view's freshness objective when a value is asked for `as_of`: `event_time < as_of - freshness`. A row at exactly the border
/// is not, and nothing overflows.
pub fn is_stale(event_time: Timestamp, as_of: Timestamp, freshness: Option<Duration>) -> bool {
    freshness.and_then(|freshness| as_of.checked_sub(freshness)).is_some_and(|start| event_time < start)
}

/// Whether a row was known at `as_of`: rule 2 of the point-in-time join. `published_time` is when Tandem made the row visible; a row without a
/// created time was known from then on. A declared publish delay comes to the same as publishing each row so long after its event
/// ([`published_at`]).
pub fn is_known(
    known_by: KnownBy,
    created_time: Option<Timestamp>,
    published_time: Timestamp,
    as_of: Timestamp,
) -> bool {
    match known_by {
        KnownBy::Created => created_time.unwrap_or(published_time) <= as_of,
        KnownBy::Published => published_time <= as_of,
        KnownBy::Event => true,
    }
}

/// When a row counts as published: `delay` after its event where a delay is declared, else when it really was. None: at no instant, since that would
/// lie after the last.
pub fn published_at(event_time: Timestamp, published_time: Timestamp, delay: Option<Duration>) -> Option<Timestamp> {
    match delay {
        Some(delay) => event_time.checked_add(delay),
        None => Some(published_time),
    }
}

/// Whether a row of a dimension, valid until `valid_to` (excluded), is no longer valid at `as_of`; under [`AsOf::Before`], just before it.
pub fn has_ended(valid_to: Option<Timestamp>, as_of: Timestamp, rule: AsOf) -> bool {
    valid_to.is_some_and(|end| match rule {
        AsOf::AtOrBefore => as_of >= end,
        AsOf::Before => as_of > end,
    })
}

/// Whether a row of a dimension was valid at no instant: it ends where it begins, or before. It counts as if it were not there.
pub fn is_never_valid(valid_from: Timestamp, valid_to: Option<Timestamp>) -> bool {
    valid_to.is_some_and(|end| end <= valid_from)
}

/// Whether a row is to be quarantined because a time of it is more than `max_future` after `now`. A row at exactly
/// `now + max_future` is not.
pub fn too_far_in_future(time: Timestamp, now: Timestamp, max_future: Duration) -> bool {
    now.checked_add(max_future).is_some_and(|latest| time > latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_known_depends_on_the_rule() {
        use KnownBy::*;
        let (created, published) = (Some(Timestamp(5)), Timestamp(8));
        let known = |known_by, created, as_of| is_known(known_by, created, published, Timestamp(as_of));
        assert_eq!([4, 5, 7, 8].map(|as_of| known(Created, created, as_of)), [false, true, true, true]);
        assert_eq!([4, 5, 7, 8].map(|as_of| known(Created, None, as_of)), [false, false, false, true]);
        assert_eq!([4, 5, 7, 8].map(|as_of| known(Published, created, as_of)), [false, false, false, true]);
        assert_eq!([4, 5, 7, 8].map(|as_of| known(Event, None, as_of)), [true; 4]);
    }

    #[test]
    fn a_default_stands_in_for_what_is_not_there_and_for_no_failure() {
        use Status::*;
        let of = |row, is_null, has_default| {
            let FeatureStatus { status, reason } = FeatureStatus::of(row, is_null, has_default);
            (status, reason)
        };
        for row in [NotFound, OutsideMaxAge] {
            assert_eq!(of(row, true, true), (Defaulted, Some(row)));
            assert_eq!(of(row, true, false), (row, None));
        }
        assert_eq!(of(Present, true, true), (Defaulted, Some(NullValue)));
        assert_eq!(of(Present, true, false), (NullValue, None));
        assert_eq!(of(Present, false, true), (Present, None));
        assert_eq!(of(Stale, false, true), (Stale, None));
        assert_eq!(of(Stale, true, false), (NullValue, None));
        assert_eq!(of(Stale, true, true), (Defaulted, Some(NullValue)));
        for failure in [TransformError, Corrupt] {
            assert_eq!(of(failure, true, true), (failure, None));
        }
    }

    #[test]
    fn statuses_survive_text() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert_eq!("present".parse::<Status>(), Err(UnknownStatus("present".to_owned())));
    }

    #[test]
    fn a_row_of_a_dimension_is_valid_from_its_start_to_before_its_end() {
        let ended = |end: Option<i64>, rule| [4, 5, 6].map(|at| has_ended(end.map(Timestamp), Timestamp(at), rule));
        assert_eq!(ended(Some(5), AsOf::AtOrBefore), [false, true, true]);
        assert_eq!(ended(Some(5), AsOf::Before), [false, false, true]);
        assert_eq!(ended(None, AsOf::AtOrBefore), [false; 3]);
        let never = |end: Option<i64>| is_never_valid(Timestamp(5), end.map(Timestamp));
        assert_eq!([Some(4), Some(5), Some(6), None].map(never), [true, true, false, false]);
    }

    #[test]
    fn both_ends_are_included() {
        let ttl = Some(Duration::from_micros(10));
        let at = |event, rule| qualifies(Timestamp(event), Timestamp(100), rule, ttl);
        assert_eq!(at(101, AsOf::AtOrBefore), Qualification::Future);
        assert_eq!(at(100, AsOf::AtOrBefore), Qualification::Qualifies);
        assert_eq!(at(100, AsOf::Before), Qualification::Future);
        assert_eq!(at(99, AsOf::Before), Qualification::Qualifies);
        assert_eq!(at(90, AsOf::AtOrBefore), Qualification::Qualifies);
        assert_eq!(at(89, AsOf::AtOrBefore), Qualification::Expired);
        assert!(!too_far_in_future(Timestamp(110), Timestamp(100), Duration::from_micros(10)));
        assert!(too_far_in_future(Timestamp(111), Timestamp(100), Duration::from_micros(10)));
    }

    fn instants() -> impl Strategy<Value = i64> {
        prop_oneof![-3..3_i64, any::<i64>(), i64::MIN..i64::MIN + 3, i64::MAX - 2..=i64::MAX]
    }

    fn spans() -> impl Strategy<Value = u64> {
        prop_oneof![0..6_u64, any::<u64>(), u64::MAX - 2..=u64::MAX, i64::MAX as u64 - 2..i64::MAX as u64 + 3]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        // The oracle is the rule as it stands in the text, in integers wide enough for every sum.
        #[test]
        fn agrees_with_the_rule_in_wide_integers(
            event in instants(), as_of in instants(), before in any::<bool>(), ttl in proptest::option::of(spans()),
        ) {
            let (e, t) = (i128::from(event), i128::from(as_of));
            let happened = if before { e < t } else { e <= t };
            let fresh = ttl.is_none_or(|ttl| e >= t - i128::from(ttl));
            let expected = match (happened, fresh) {
                (false, _) => Qualification::Future,
                (true, false) => Qualification::Expired,
                (true, true) => Qualification::Qualifies,
            };
            let rule = if before { AsOf::Before } else { AsOf::AtOrBefore };
            let ttl = ttl.map(Duration::from_micros);
            prop_assert_eq!(qualifies(Timestamp(event), Timestamp(as_of), rule, ttl), expected);
        }

        #[test]
        fn staleness_agrees_with_wide_integers(
            event in instants(), as_of in instants(), freshness in proptest::option::of(spans()),
        ) {
            let expected = freshness.is_some_and(|span| i128::from(event) < i128::from(as_of) - i128::from(span));
            let freshness = freshness.map(Duration::from_micros);
            prop_assert_eq!(is_stale(Timestamp(event), Timestamp(as_of), freshness), expected);
        }

        #[test]
        fn the_future_agrees_with_wide_integers(event in instants(), now in instants(), span in spans()) {
            let expected = i128::from(event) > i128::from(now) + i128::from(span);
            let actual = too_far_in_future(Timestamp(event), Timestamp(now), Duration::from_micros(span));
            prop_assert_eq!(actual, expected);
        }
    }
}
