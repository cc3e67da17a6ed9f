//! `POST /v1/features`: the values that the online store has for entities.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use tandem_core::model::BoundView;
use tandem_online::{OnlineError, Store, ViewId};
use tokio::time::timeout_at;

pub(super) use answer::write_timestamp;

use super::body::{self, JSON, Media};
use super::guard::{self, Deadline};
use super::problem::{Kind, Problem};
use super::state::{Server, View};
use super::transforms::too_late;
use crate::lookup::{LookupError, lookup};

pub(super) async fn features(
    State(server): State<Arc<Server>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    Media::of_body(&head.headers, &[Media::Json])?;
    accepts_json(&head.headers)?;
    let body = body::read(&head.headers, body, &server.settings, deadline).await?;
    let answered = timeout_at(deadline, answer(Arc::clone(&server), body)).await;
    answered.unwrap_or_else(|_| Err(too_late(server.settings.request_seconds_max)))
}

pub(super) fn accepts_json(headers: &HeaderMap) -> Result<(), Problem> {
    match Media::of_answer(headers, Media::Json)? {
        Media::Json => Ok(()),
        Media::ArrowStream => {
            Err(Problem::new(Kind::NotAcceptable, "features are given as JSON").hint(format!("accept {JSON}")))
        }
    }
}

async fn answer(server: Arc<Server>, body: axum::body::Bytes) -> Result<Response, Problem> {
    let clock = server.clock();
    let shared = Arc::clone(&server);
    let (view, asked) = server
        .compute(body.len(), move || {
            // The view decides which keys and features there are, wherever in the object it is named.
            let view = shared.view(&request::view(&body)?)?;
            let asked = request::decode(&body, &view.bound, clock, shared.settings.rows_max)?;
            Ok::<_, Problem>((view, asked))
        })
        .await??;
    let Some(store) = server.store.clone() else {
        return Err(not_materialized(&view));
    };

    // Lookups block, though not for long, and a read transaction must not live across an await.
    let (looked_up, rows) = (Arc::clone(&view), asked.rows);
    let answered = server
        .on_worker(move || {
            let bound = &looked_up.bound;
            let Some(number) = find_number(&store, bound, looked_up.store_view)? else { return Ok(None) };
            let begin = Instant::now();
            let found = lookup(&store, number, bound, &asked.keys, asked.as_of)?;
            looked_up.metrics.looked_up(&found, &asked.features, asked.as_of, begin.elapsed());
            let body = answer::encode(bound, &asked, &found)?;
            Ok(Some((body, found.corrupt)))
        })
        .await?
        .map_err(|error: FeaturesError| Problem::internal("the online store cannot be read", &error))?;
    let Some((body, corrupt)) = answered else {
        return Err(not_materialized(&view));
    };
    if let Some((row, reason)) = corrupt.first() {
        let view = &view.bound.view;
        let rows = corrupt.len();
        tracing::error!(view = view.name, version = view.version, rows, row, reason, "stored rows are corrupt");
    }
    let mut response = guard::ok(body, JSON, rows);
    server.mark(&view, &mut response);
    Ok(response)
}

pub(super) fn not_materialized(view: &View) -> Problem {
    let view = &view.bound.view;
    if !view.is_stored() {
        let detail = format!("feature view `{}` is computed on demand: it has no online values", view.id());
        return Problem::new(Kind::NotMaterialized, detail)
            .hint(format!("ask a feature service that has it, or /v1/transforms/{} with its inputs", view.id()));
    }
    let detail = format!("version {} of feature view `{}` has no online values", view.version, view.name);
    Problem::new(Kind::NotMaterialized, detail).hint(format!("run `tandem materialize {}`", view.name))
}

/// What keeps an answer from being given.
#[derive(Debug, thiserror::Error)]
pub(super) enum FeaturesError {
    #[error(transparent)]
    Store(#[from] OnlineError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error(transparent)]
    Json(#[from] tandem_core::json::JsonError),
}

/// The view's number in the store; asked for where it was not known at the start, because another process may have materialized it since.
pub(super) fn find_number(
    store: &Store,
    bound: &BoundView,
    known: Option<ViewId>,
) -> Result<Option<ViewId>, OnlineError> {
    if known.is_some() {
        return Ok(known);
    }
    let found = store.find_view(&bound.view.name, bound.view.version)?;
    // Under another definition the values are another view's.
    Ok(found.filter(|found| found.definition_hash == bound.definition_hash).map(|found| found.id))
}
