//! What holds for every request: an id, a slot, a deadline, a line in the log, and a problem as the body of every error.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use super::access::{self, Caller};
use super::arrival::Arrival;
use super::feast;
use super::limits;
use super::problem::{Kind, Problem};
use super::state::Server;

/// A busy server is not a dead one, and what it does is asked most then.
pub(super) const HEALTH: &str = "/health";
pub(super) const READY: &str = "/ready";
pub(super) const METRICS: &str = "/metrics";

/// What stands for the route of a path that no route takes.
pub(super) const UNMATCHED: &str = "unmatched";

/// Routes that take no slot.
const WITHOUT_SLOT: [&str; 3] = [HEALTH, READY, METRICS];

/// Header of the id that a client gives, or gets.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id that is taken from a client, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// When a request's answer must be there; handlers take it from the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

/// The request's id; handlers take it from the request.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// Rows of a request, for the log; handlers put it into the response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows(pub(super) usize);

/// Around every route.
pub(super) async fn guard(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id: Arc<str> = given_id(request.headers()).map_or_else(|| server.request_id().into(), Arc::from);
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, |path| path.as_str()).to_owned();

    // What is logged on the way has the id from the span.
    let span = tracing::info_span!("request", id = &*id);
    let caller = match &server.access {
        Some(access) => access.check(&method, &route, request.headers()),
        None => Ok(Caller::default()),
    };
    let name = match &caller {
        Ok(caller) => caller.name.clone(),
        Err(problem) => problem.text(access::TOKEN).map(str::to_owned),
    };
    let answered = async {
        match caller {
            Ok(caller) => answer(&server, &route, started, caller, request, next).await,
            Err(problem) => problem.into_response(),
        }
    };
    let mut response = answered.instrument(span).await;

    let rows = response.extensions_mut().remove::<Rows>().map(|rows| rows.0);
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        // Headers that the router set (Allow) stay.
        let headers = std::mem::take(response.headers_mut());
        response =
            if feast::is_feast(&route) { feast::response(&route, problem, &id) } else { problem.to_response(&id) };
        for (name, value) in &headers {
            response.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }

    let status = response.status();
    let took = started.elapsed();
    let micros = took.as_micros() as u64;
    let problem = problem.map(|problem| problem.kind.slug());
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(%method, route, status = status.as_u16(), rows, micros, token = name, request_id = &*id, problem, "request")
        };
    }
    if status.is_server_error() {
        log!(warn)
    } else {
        log!(info)
    }
    server.live.metrics().answered(route, &method, status, took);
    response
}

/// The route's answer, if there is a slot for it.
async fn answer(
    server: &Server,
    route: &str,
    started: Instant,
    caller: Caller,
    mut request: Request,
    next: Next,
) -> Response {
    server.lateness.arrived();
    let (late, late_max) = (waited(server, &request), server.settings.late_millis_max);
    if !WITHOUT_SLOT.contains(&route) && late > Duration::from_millis(late_max) {
        return limits::late("a thread that takes it", late, late_max).into_response();
    }
    let max = server.settings.concurrent_requests_max;
    let slot = (!WITHOUT_SLOT.contains(&route)).then(|| Arc::clone(&server.slots).try_acquire_owned());
    if let Some(Err(_)) = slot {
        return Problem::new(Kind::Overloaded, format!("{max} requests are under way"))
            .with("limit", "concurrent_requests_max")
            .with("max", max)
            .hint("try again later, with growing pauses")
            .into_response();
    }
    request.extensions_mut().insert(caller);
    request.extensions_mut().insert(Deadline(started + Duration::from_secs(server.settings.request_seconds_max)));
    // A panic is a defect of the server, and one request's alone.
    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Problem::internal("a handler panicked", &text(&*panic)).into_response())
}

/// For how long a request waited before a thread came to it: in its socket, as far as one knows, and behind others since then.
fn waited(server: &Server, request: &Request) -> Duration {
    let since_told = request.extensions().get::<Arc<Arrival>>().map_or(Duration::ZERO, |arrival| arrival.waited());
    server.lateness.unseen() + since_told
}

/// The id that [`guard`] gave the request with these extensions.
pub(super) fn id(request: &Extensions) -> RequestId {
    request.get::<RequestId>().cloned().unwrap_or_else(|| RequestId("".into()))
}

/// The client's id, if it is short and plain enough for a header and a log.
fn given_id(headers: &HeaderMap) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(&byte);
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    ((1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain)).then_some(id)
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic without a text")
}

/// A successful answer of a media type.
pub(super) fn ok(body: impl IntoResponse, media_type: &'static str, rows: usize) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.extensions_mut().insert(Rows(rows));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_are_taken() {
        let of = |id: &[u8]| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(id).unwrap())]);
            given_id(&headers).map(str::to_owned)
        };
        assert_eq!(of(b"a-1_b.c:/+="), Some("a-1_b.c:/+=".to_owned()));
        assert_eq!(of(&[b'x'; 128]).map(|id| id.len()), Some(128));
        for wrong in [&b""[..], b"a b", b"a\"b", b"\xff", &[b'x'; 129]] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
        assert_eq!(given_id(&HeaderMap::new()), None);
    }
}
