//! Deprecated views: said in each answer, and in the log now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use tandem_core::model::{Deprecation, FeatureView, ViewVersion};

/// `deprecated_log_seconds`: use of a deprecated view is logged once in so many seconds.
pub const DEPRECATED_LOG_SECONDS: u64 = 600;

/// RFC 9745: since when, in seconds of Unix time.
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

/// What an answer of a deprecated view says, as headers.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    since: HeaderValue,
    successor: Option<HeaderValue>,
}

impl Notice {
    pub(super) fn new(deprecation: &Deprecation) -> Notice {
        const MICROS: i64 = 1_000_000;
        let value = |text: String| HeaderValue::from_str(&text).ok();
        let successor = deprecation.replacement.as_ref();
        Notice {
            since: value(format!("@{}", deprecation.since.start().0.div_euclid(MICROS)))
                .unwrap_or(HeaderValue::from_static("@0")),
            successor: successor.and_then(|id| value(format!("</v1/views/{id}>; rel=\"successor-version\""))),
        }
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        headers.insert(DEPRECATION, self.since.clone());
        if let Some(successor) = &self.successor {
            headers.insert(LINK, successor.clone());
        }
    }
}

/// Uses of deprecated views since they were logged last.
#[derive(Debug, Default)]
pub(super) struct Uses {
    counts: Mutex<HashMap<ViewVersion, (Instant, u64)>>,
}

impl Uses {
    /// Counts a use, and logs it where the last line of the view is long enough ago.
    pub(super) fn count(&self, view: &FeatureView, now: Instant) {
        let Some(deprecation) = &view.deprecation else { return };
        if let Some(requests) = self.due(view.id(), now) {
            let replacement = deprecation.replacement.as_ref().map(ToString::to_string);
            tracing::warn!(
                view = view.name,
                version = view.version,
                since = %deprecation.since,
                replacement,
                requests,
                "a deprecated view is used"
            );
        }
    }

    /// The number of uses to log: this one, and those since the last line.
    fn due(&self, id: ViewVersion, now: Instant) -> Option<u64> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&id) {
            Some((logged, uses)) if now.duration_since(*logged) < Duration::from_secs(DEPRECATED_LOG_SECONDS) => {
                *uses += 1;
                None
            }
            Some((logged, uses)) => {
                *logged = now;
                Some(std::mem::take(uses) + 1)
            }
            None => {
                counts.insert(id, (now, 0));
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_core::time::Day;

    use super::*;

    #[test]
    fn an_answer_says_since_when_and_what_instead() {
        let since = Day::parse("2026-12-01").unwrap();
        let headers = |replacement| {
            let mut headers = HeaderMap::new();
            Notice::new(&Deprecation { since, replacement }).write(&mut headers);
            headers
        };
        let with = headers(Some(ViewVersion::new("risk", 3)));
        assert_eq!(with["deprecation"], "@1796083200");
        assert_eq!(with["link"], "</v1/views/risk@3>; rel=\"successor-version\"");
        assert_eq!(headers(None).len(), 1);
    }

    #[test]
    fn uses_are_logged_once_in_a_while_with_their_number() {
        let (uses, start) = (Uses::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let risk = || ViewVersion::new("risk", 1);
        assert_eq!(uses.due(risk(), at(0)), Some(1));
        assert_eq!([uses.due(risk(), at(1)), uses.due(risk(), at(DEPRECATED_LOG_SECONDS - 1))], [None, None]);
        assert_eq!(uses.due(ViewVersion::new("risk", 2), at(2)), Some(1), "each version by itself");
        assert_eq!(uses.due(risk(), at(DEPRECATED_LOG_SECONDS)), Some(3));
        assert_eq!(uses.due(risk(), at(DEPRECATED_LOG_SECONDS + 1)), None);
    }
}
