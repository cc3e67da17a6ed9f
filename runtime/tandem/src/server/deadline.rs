//! Until when a client waits.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName};
use tokio::time::{Instant, timeout_at};

use super::guard::Deadline;
use super::names;
use super::problem::{Kind, Problem};

/// Header with the milliseconds that the client gives the request, from when its head is read.
pub(super) const TIMEOUT: HeaderName = HeaderName::from_static("tandem-timeout-ms");

/// Until when the answer of a request must be there, and why then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until {
    pub(super) instant: Instant,
    why: Why,
}

#[derive(Debug, Clone, Copy)]
enum Why {
    /// The server gives no request longer.
    Server { seconds: u64 },
    /// The service declares it.
    Service { given: Duration },
    /// The client asks for it.
    Client { given: Duration },
}

impl Until {
    /// The earliest of what the server allows and what the client asks for; where it asks for nothing, `service` stands in.
    pub(super) fn of(
        headers: &HeaderMap,
        server: Deadline,
        server_seconds: u64,
        service: Option<Duration>,
    ) -> Result<Until, Problem> {
        let hard = Until { instant: server.0, why: Why::Server { seconds: server_seconds } };
        let (given, why) = match (asked(headers)?, service) {
            (Some(given), _) => (given, Why::Client { given }),
            (None, Some(given)) => (given, Why::Service { given }),
            (None, None) => return Ok(hard),
        };
        let instant = Instant::now() + given;
        Ok(if instant < hard.instant { Until { instant, why } } else { hard })
    }

    /// What comes of this work, if it is done by then.
    pub(super) async fn run<T>(&self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        timeout_at(self.instant, work).await.unwrap_or_else(|_| Err(self.problem()))
    }

    /// The problem of an answer that is not there by then.
    pub(super) fn problem(&self) -> Problem {
        let late =
            |time: String| Problem::new(Kind::DeadlineExceeded, format!("the answer was not there after {time}"));
        match self.why {
            Why::Server { seconds } => late(format!("{seconds} seconds"))
                .with("limit", "request_seconds_max")
                .with("max", seconds)
                .hint("send fewer rows at once"),
            Why::Service { given } => late(format!("{} ms, the deadline of the service", given.as_millis()))
                .hint("send fewer rows at once, or set the header tandem-timeout-ms"),
            Why::Client { given } => late(format!("{} ms, the time that the request gave", given.as_millis()))
                .hint("send fewer rows at once, or give it more time in the header tandem-timeout-ms"),
        }
    }
}

/// The client's time, at least a millisecond.
fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let text = String::from_utf8_lossy(value.as_bytes());
    match text.trim().parse::<u32>() {
        Ok(millis @ 1..) => Ok(Some(Duration::from_millis(millis.into()))),
        _ => Err(Problem::new(Kind::InvalidRequest, format!("the header {TIMEOUT} is {:?}", names::cut(&text)))
            .hint("write whole milliseconds, at least 1")),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn until(header: Option<&'static str>, service: Option<u64>) -> Result<(u64, String), Problem> {
        let now = Instant::now();
        let headers = HeaderMap::from_iter(header.map(|text| (TIMEOUT, HeaderValue::from_static(text))));
        let server = Deadline(now + Duration::from_secs(30));
        let until = Until::of(&headers, server, 30, service.map(Duration::from_millis))?;
        // To the second: the clock goes on between the two readings.
        Ok(((until.instant - now).as_secs(), until.problem().detail))
    }

    #[test]
    fn the_client_comes_before_the_service_and_the_server_before_all() {
        for (header, service, seconds, words) in [
            (None, None, 30, "30 seconds"),
            (None, Some(5_000), 5, "5000 ms, the deadline of the service"),
            (Some("9000"), Some(5_000), 9, "9000 ms, the time that the request gave"),
            (Some(" 2000 "), None, 2, "2000 ms"),
            (Some("99000"), Some(5_000), 30, "30 seconds"),
            (None, Some(99_000), 30, "30 seconds"),
        ] {
            let (found, detail) = until(header, service).unwrap();
            assert_eq!(found, seconds, "{header:?} {service:?}");
            assert!(detail.contains(words), "{detail}");
        }
        for wrong in ["0", "-1", "1.5", "soon", ""] {
            let problem = until(Some(wrong), None).unwrap_err();
            assert_eq!(problem.kind, Kind::InvalidRequest, "{wrong}");
        }
    }
}
