//! `POST /v1/transforms/{name}`: a view's transform over values that the request gives.

mod arrow;
mod encode;
mod json;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::{Value, json};
use tandem_core::status::Status;
use tandem_core::time::Timestamp;
use tandem_engine::{EngineError, RowFailure, Unknown};
use tokio::time::sleep_until;

use super::as_of::Clock;
use super::body::{self, Bounds, Media};
use super::deadline::Until;
use super::guard::{self, Deadline};
use super::json::Form;
use super::limits;
use super::problem::{FAILURES_SHOWN_MAX, Kind, Problem, RETRY_AFTER_MEMBER};
use super::state::{Server, View};
use crate::output::counted;

pub(super) use encode::{separate, write_list, write_string};
pub(super) use plan::InputPlan;

/// Header of the component's digest.
const DIGEST: HeaderName = HeaderName::from_static("tandem-digest");

/// Header of the view's version.
const VERSION: HeaderName = HeaderName::from_static("tandem-version");

/// Header of the instant that was asked for, where it is one for all rows.
const AS_OF: HeaderName = HeaderName::from_static("tandem-as-of");

/// A request, decoded: what the transform takes.
#[derive(Debug)]
struct Decoded {
    inputs: RecordBatch,
    form: Form,
    /// None where each row has its own.
    as_of: Option<Timestamp>,
}

pub(super) async fn transform(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::new(Kind::InvalidPath, "the view's name is not UTF-8"))?;
    let view = server.view(&name)?;
    if view.on_demand.is_none() {
        return Err(no_transform(&view));
    }
    let (head, body) = request.into_parts();
    let media = Media::of_body(&head.headers, &[Media::Json, Media::ArrowStream])?;
    let answer_media = Media::of_answer(&head.headers, media)?;
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, None)?;
    let body = body::read(&server, &head.headers, body, until.instant).await?;

    let clock = server.clock(&head.extensions);
    until.run(answer(&server, &view, (media, answer_media), clock, body, &until)).await
}

/// The problem of a view of columns, of which nothing is computed.
pub(super) fn no_transform(view: &View) -> Problem {
    let (name, version) = view.name_and_version();
    let detail = format!(
        "feature view `{name}@{version}` has no transform: its features are columns or aggregates of its source's rows"
    );
    Problem::new(Kind::NoTransform, detail).hint("ask for its features with POST /v1/features")
}

async fn answer(
    server: &Server,
    view: &View,
    (media, answer_media): (Media, Media),
    clock: Clock,
    body: axum::body::Bytes,
    until: &Until,
) -> Result<Response, Problem> {
    let plan = Arc::clone(&view.plan);
    let bounds = Bounds::of(&server.settings);
    let Decoded { inputs, form, as_of } = match media {
        Media::Json => server.compute(body.len(), move || json::decode(&body, &plan, clock, bounds)).await??,
        // Arrow's reader may panic on hostile bytes, which must not unwind through the executor.
        Media::ArrowStream => server.on_worker(move || arrow::decode(&body, &plan, clock, bounds)).await??,
    };

    let rows = inputs.num_rows();
    let Some(on_demand) = &view.on_demand else { return Err(no_transform(view)) };
    let begin = Instant::now();
    let called = on_demand.apply_until(inputs, sleep_until(until.instant)).await;
    view.metrics.transformed(rows, &called, begin.elapsed());
    let outcome = called.map_err(|error| engine_problem(&error))?.ok_or_else(|| until.problem())?;

    let (bound, bytes) = (Arc::clone(&view.bound), outcome.outputs.get_array_memory_size());
    let encoded = server
        .compute(bytes, move || match answer_media {
            Media::Json => encode::json(&bound, &outcome, form).map_err(|error| error.to_string()),
            Media::ArrowStream => encode::arrow(&bound, &outcome).map_err(|error| error.to_string()),
        })
        .await?
        .map_err(|error| Problem::internal("outputs cannot be encoded", &error))?;

    let mut response = guard::ok(encoded, answer_media.as_str(), rows);
    let headers = response.headers_mut();
    headers.insert(VERSION, HeaderValue::from(view.bound.view.version));
    headers.insert(DIGEST, view.digest.clone());
    headers.extend(as_of.and_then(|as_of| HeaderValue::from_str(&as_of.to_string()).ok()).map(|value| (AS_OF, value)));
    server.mark(view, &mut response);
    Ok(response)
}

/// What a client is told about an error of the engine.
pub(super) fn engine_problem(error: &EngineError) -> Problem {
    match error {
        EngineError::InstancesExhausted { max } => {
            tracing::warn!(max, "all instances are in use");
            Problem::new(Kind::Overloaded, "all instances of transforms are in use").hint("try again later")
        }
        EngineError::CircuitOpen { seconds, .. } => {
            Problem::new(Kind::CircuitOpen, format!("the transform is not called: {error}"))
                .with(RETRY_AFTER_MEMBER, *seconds)
                .hint(
                    "the server's log says what failed; `tandem test` and `tandem verify` call the transform elsewhere",
                )
        }
        EngineError::QueueFull { max } => limits::queue_full("a call of the transform", *max),
        EngineError::TooManyFailures { failures, max } => {
            let shown: Vec<Value> = failures.iter().take(FAILURES_SHOWN_MAX).map(failure).collect();
            let failed = counted(failures.len() as u64, "row");
            let detail = format!("at least {failed} failed; the first of them are in `failed_rows`");
            Problem::new(Kind::TooManyFailures, detail)
                .with("limit", "failed_rows_max")
                .with("max", *max)
                .with("failed_rows", shown)
        }
        other => Problem::internal("a transform cannot be called", other),
    }
}

fn failure(failure: &RowFailure) -> Value {
    failure_of(failure.row, &Unknown { status: Status::TransformError, message: failure.message.clone() })
}

/// A failed row, as problems list it.
pub(super) fn failure_of(row: usize, why: &Unknown) -> Value {
    json!({ "row": row, "status": why.status.as_str(), "message": why.message })
}
