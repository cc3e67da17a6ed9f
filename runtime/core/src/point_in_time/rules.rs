//! From which instant on a row counts, and until when it is served.

use crate::model::{AsOf, FeatureView, KnownBy};
use crate::status::{Qualification, published_at, qualifies};
use crate::time::{Duration, Timestamp};

/// What a view says about its rows at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether a row at exactly T counts.
    pub as_of: AsOf,
    /// What "known by T" means.
    pub known_by: KnownBy,
    /// So long after its event time a row counts as published, whenever it really was.
    pub publish_delay: Option<Duration>,
    /// How long after its event time a row is served.
    pub ttl: Option<Duration>,
}

impl Rules {
    /// Those of a view.
    pub fn of(view: &FeatureView) -> Self {
        Rules { as_of: view.as_of, known_by: view.known_by, publish_delay: view.publish_delay, ttl: view.ttl }
    }

    /// The first instant at which what a row tells has happened; None if it never has (an event at the last instant, under [`AsOf::Before`]).
    pub fn happened_from(&self, event_time: Timestamp) -> Option<Timestamp> {
        match self.as_of {
            AsOf::AtOrBefore => Some(event_time),
            AsOf::Before => event_time.0.checked_add(1).map(Timestamp),
        }
    }

    /// The first instant at which a row is known; None if there is none. A row without a created time is known from its published time on.
    pub fn known_from(
        &self,
        event_time: Timestamp,
        created_time: Option<Timestamp>,
        published_time: Timestamp,
    ) -> Option<Timestamp> {
        match self.known_by {
            KnownBy::Created => Some(created_time.unwrap_or(published_time)),
            KnownBy::Published => published_at(event_time, published_time, self.publish_delay),
            KnownBy::Event => Some(Timestamp::MIN),
        }
    }

    /// The first instant at which a row has happened and is known; at all later ones it has and is, too.
    pub fn there_from(
        &self,
        event_time: Timestamp,
        created_time: Option<Timestamp>,
        published_time: Timestamp,
    ) -> Option<Timestamp> {
        Some(self.happened_from(event_time)?.max(self.known_from(event_time, created_time, published_time)?))
    }

    /// Whether a row that is there at `instant` is too old to be served.
    pub fn expired(&self, event_time: Timestamp, instant: Timestamp) -> bool {
        qualifies(event_time, instant, self.as_of, self.ttl) == Qualification::Expired
    }
}
