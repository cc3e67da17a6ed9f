//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::gauges;
use crate::server::guard;
use crate::server::problem::Problem;
use crate::server::state::Server;

/// The media type of the format, and that of its older form, in which counters of the same text have no type.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Takes neither a slot nor a worker: what a busy server does is what is asked.
pub(in crate::server) async fn metrics(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let media_type = media_type(&headers);
    let text = tokio::task::spawn_blocking(move || server.live.metrics().encode(&gauges::of_now(&server)));
    let text = text.await.map_err(|panic| Problem::internal("the metrics cannot be gathered", &panic))?;
    let text = text.map_err(|error| Problem::internal("the metrics cannot be written", &error))?;
    Ok(guard::ok(text.into_bytes(), media_type, 0))
}

/// OpenMetrics for whoever knows it, plain text for all others, a person with a browser among them.
fn media_type(headers: &HeaderMap) -> &'static str {
    let knows = |value: &header::HeaderValue| value.to_str().is_ok_and(|text| text.contains("openmetrics-text"));
    if headers.get_all(header::ACCEPT).iter().any(knows) { OPEN_METRICS } else { PLAIN }
}
