//! `POST /v1/services/{name}`: the features of a feature service, stored ones and those computed on demand, for rows that the request gives.
//!
//! - `service`: what is asked for together, with what requests need of it worked out once
//! - `request`: the rows of a request, from JSON or Arrow
//! - `vectors`: their features
//! - `encode`: the answer; `texts`: what stands in it several times

mod encode;
pub(super) mod request;
mod service;
#[cfg(test)]
mod tests;
pub(super) mod texts;
pub(super) mod vectors;

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;

pub(super) use service::{Lists, Service, find};

use super::INLINE_BYTES_MAX;
use super::body::{self, Bounds, Media};
use super::deadline::Until;
use super::guard::{self, Deadline, RequestId};
use super::json::Form;
use super::problem::{Kind, Problem};
use super::state::Server;
use vectors::{Rows, Vectors, gather, gather_stored};

pub(super) async fn service(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::new(Kind::InvalidPath, "the service's name is not UTF-8"))?;
    let service = server.service(&name)?;
    let begin = Instant::now();
    let answered = asked(&server, &service, deadline, request).await;
    service.answered(&answered, begin.elapsed());
    answered
}

async fn asked(
    server: &Server,
    service: &Arc<Service>,
    deadline: Deadline,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let media = Media::of_body(&head.headers, &[Media::Json, Media::ArrowStream])?;
    let answer_media = Media::of_answer(&head.headers, media)?;
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, service.deadline)?;
    let body = body::read(server, &head.headers, body, until.instant).await?;
    let (clock, bounds, shared) = (server.clock(&head.extensions), Bounds::of(&server.settings), Arc::clone(service));
    let decoded = async {
        match media {
            Media::Json => {
                let decode = move |body: &Bytes| request::decode(body, &shared.plan, clock, bounds, &[]);
                server.compute(body.len(), move || decode(&body)).await?
            }
            // Arrow's reader takes its time, and may panic on hostile bytes.
            Media::ArrowStream => {
                let decode = move || request::decode_arrow(&body, &shared.plan, clock, bounds);
                Ok((server.on_worker(decode).await??, Form::Columns))
            }
        }
    };
    let (rows, form) = until.run(decoded).await?;
    answer(server, service, rows, &until, &guard::id(&head.extensions), (answer_media, form)).await
}

/// The features of rows as an answer, in this media type and form.
pub(super) async fn answer(
    server: &Server,
    service: &Arc<Service>,
    rows: Rows,
    until: &Until,
    id: &RequestId,
    (media, form): (Media, Form),
) -> Result<Response, Problem> {
    let (count, bytes) = (rows.rows, encode::estimate(service, rows.rows));
    let buffers = Arc::clone(&server.buffers);
    let encode = move |vectors: &Vectors| {
        let out = buffers.take(bytes);
        let encoded = match media {
            Media::Json => encode::json(vectors, form, out).map_err(|error| error.to_string()),
            Media::ArrowStream => encode::arrow(vectors, out).map_err(|error| error.to_string()),
        };
        encoded.map(|answer| buffers.body(answer))
    };
    let encoded = match service.computed.is_empty() && bytes > INLINE_BYTES_MAX {
        // What is large goes to a worker: once, and not for each step.
        true => {
            let (vectors, encoded) = gather_stored(server, service, rows, until, encode).await?;
            vectors.iter().for_each(|vectors| server.log_vectors(vectors, id));
            encoded
        }
        false => {
            let vectors = Arc::new(gather(server, service, rows, until).await?);
            server.log_vectors(&vectors, id);
            server.compute(bytes, move || encode(&vectors)).await?
        }
    };
    let encoded = encoded.map_err(|error| Problem::internal("features cannot be encoded", &error))?;
    let mut response = guard::ok(encoded, media.as_str(), count);
    for view in service.views() {
        server.mark(view, &mut response);
    }
    Ok(response)
}
