//! `POST /get-online-features`: features for clients of Feast, on the wire of its feature server (version 0.67).
//!
//! Names, shapes and statuses are Feast's; values, and what is found at which time, are Tandem's. What is not copied: nulls that are served as
//! PRESENT, a ttl that does not hold online, values of one row that answer another, and a 500 for an unknown feature.
//!
//! - `request`: entities and request data to the columns of a plan
//! - `encode`: the answer, column by column
//! - `error`: problems as Feast's clients read them

mod encode;
mod error;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Request as HttpRequest, State};
use axum::http::request::Parts;
use axum::response::Response;
use tandem_core::time::{TimeError, Timestamp};

pub(super) use error::{is_feast, response};

use super::body::{self, Bounds, JSON, Media};
use super::deadline::Until;
use super::guard::{self, Deadline};
use super::problem::Problem;
use super::services::Service;
use super::services::vectors::gather;
use super::state::Server;
use request::{Asked, Named};

/// The routes of Feast's clients; those that write are in `push` and `materialize`.
pub(super) const GET_ONLINE_FEATURES: &str = "/get-online-features";
pub(super) const PUSH: &str = "/push";
pub(super) const WRITE_TO_ONLINE_STORE: &str = "/write-to-online-store";
pub(super) const MATERIALIZE: &str = "/materialize";
pub(super) const MATERIALIZE_INCREMENTAL: &str = "/materialize-incremental";

/// An instant as Feast's clients write it: without an offset it is UTC.
pub(super) fn naive_utc(text: &str) -> Result<Timestamp, TimeError> {
    Timestamp::parse_rfc3339(text).or_else(|_| Timestamp::parse_rfc3339(&format!("{text}Z")))
}

pub(super) async fn get_online_features(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    request: HttpRequest,
) -> Result<Response, Problem> {
    let begin = Instant::now();
    let (head, body) = request.into_parts();
    Media::of_body(&head.headers, &[Media::Json])?;
    // The service's own deadline is known once the body is read.
    let hard = Until::of(&head.headers, deadline, server.settings.request_seconds_max, None)?;
    let body = body::read(&server, &head.headers, body, hard.instant).await?;
    let bytes = body.len();
    let asked: Asked = hard.run(async { server.compute(bytes, move || request::parse(&body)).await? }).await?;
    let service = match &asked.named {
        Named::Service(name) => server.service(name)?,
        Named::Features(features) => server.list(features.clone(), asked.full_feature_names)?,
    };
    let answered = answer(&server, &service, asked, bytes, &head, deadline).await;
    service.answered(&answered, begin.elapsed());
    answered
}

async fn answer(
    server: &Server,
    service: &Arc<Service>,
    asked: Asked,
    bytes: usize,
    head: &Parts,
    deadline: Deadline,
) -> Result<Response, Problem> {
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, service.deadline)?;
    let (clock, bounds, shared) = (server.clock(&head.extensions), Bounds::of(&server.settings), Arc::clone(service));
    let decoded = until.run(async {
        server
            .compute(bytes, move || request::decode(&asked, &shared.plan, clock, bounds).map(|rows| (asked, rows)))
            .await?
    });
    let (asked, rows) = decoded.await?;
    let vectors = Arc::new(gather(server, service, rows, &until).await?);
    server.log_vectors(&vectors, &guard::id(&head.extensions));
    let rows = vectors.rows;
    let encoded = server.compute(encode::estimate(&vectors), move || encode::json(&asked, &vectors)).await?;
    let encoded = encoded.map_err(|error| Problem::internal("features cannot be encoded", &error))?;
    let mut response = guard::ok(encoded, JSON, rows);
    for view in service.views() {
        server.mark(view, &mut response);
    }
    Ok(response)
}
