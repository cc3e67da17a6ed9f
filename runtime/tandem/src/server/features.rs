//! `POST /v1/features`: the values that the online store has for entities of one view, or the features of a list for rows.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::Response;
use tandem_core::model::BoundView;
use tandem_online::{OnlineError, Store, ViewId};

pub(super) use answer::write_timestamp;

use request::{LIST_KEYS, Named};

use super::as_of::Clock;
use super::body::{self, Bounds, JSON, Media};
use super::deadline::Until;
use super::guard::{self, Deadline};
use super::limits;
use super::problem::{Kind, Problem};
use super::services;
use super::state::{Server, View};
use crate::lookup::{Ask, At, LookupError, lookup};

pub(super) async fn features(
    State(server): State<Arc<Server>>,
    Extension(deadline): Extension<Deadline>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    Media::of_body(&head.headers, &[Media::Json])?;
    let answer_media = Media::of_answer(&head.headers, Media::Json)?;
    let until = Until::of(&head.headers, deadline, server.settings.request_seconds_max, None)?;
    let body = body::read(&server, &head.headers, body, until.instant).await?;
    let bytes = body.clone();
    match until.run(async { server.compute(body.len(), move || request::named(&bytes)).await? }).await? {
        Named::View(_) if answer_media != Media::Json => {
            Err(Problem::new(Kind::NotAcceptable, "features of one view are given as JSON")
                .hint(format!("accept {JSON}, or leave `view` out and name `features` as `view:feature`")))
        }
        Named::View(view) => {
            let clock = server.clock(&head.extensions);
            until.run(one_view(Arc::clone(&server), &view, clock, body)).await
        }
        Named::List { features, prefix } => {
            let service = server.list(features, prefix)?;
            let (clock, bounds, shared) =
                (server.clock(&head.extensions), Bounds::of(&server.settings), Arc::clone(&service));
            let decode = move |body: &Bytes| services::request::decode(body, &shared.plan, clock, bounds, &LIST_KEYS);
            let decoded = until.run(async { server.compute(body.len(), move || decode(&body)).await? });
            let (rows, form) = decoded.await?;
            services::answer(&server, &service, rows, &until, &guard::id(&head.extensions), (answer_media, form)).await
        }
    }
}

async fn one_view(server: Arc<Server>, view: &str, clock: Clock, body: Bytes) -> Result<Response, Problem> {
    // The view decides which keys and features there are.
    let view = server.view(view)?;
    let (bound, rows_max) = (Arc::clone(&view.bound), server.settings.rows_max);
    let asked = server.compute(body.len(), move || request::decode(&body, &bound, clock, rows_max)).await??;
    limits::check_answer(&server.settings, asked.rows, asked.features.len())?;
    let Some(store) = server.store.clone() else {
        return Err(not_materialized(&view));
    };

    // A read transaction must not live across an await.
    let (looked_up, rows, live) = (Arc::clone(&view), asked.rows, server.live.clone());
    let job_store = Arc::clone(&store);
    let answered = server
        .look_up(&store, std::iter::once(&*view.bound), rows, move || {
            let (store, bound) = (job_store, &looked_up.bound);
            let Some(number) = find_number(&store, bound, looked_up.store_view)? else { return Ok(None) };
            let begin = Instant::now();
            let ask = Ask { id: number, view: bound, fingerprint: looked_up.fingerprint, keys: asked.keys.clone() };
            let found = lookup(&store, &ask, At { as_of: asked.as_of, is_present: asked.is_present })?;
            live.metrics().looked_up(begin.elapsed());
            looked_up.metrics.looked_up(&found, &asked.features, asked.as_of);
            let body = answer::encode(bound, &asked, &found)?;
            Ok(Some((body, found.corrupt)))
        })
        .await?
        .map_err(|error: FeaturesError| error.problem())?;
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

impl FeaturesError {
    /// What a client is told.
    pub(super) fn problem(&self) -> Problem {
        match self {
            FeaturesError::Store(error) | FeaturesError::Lookup(LookupError::Online(error))
                if matches!(error, OnlineError::BehindHorizon { .. }) =>
            {
                let problem = Problem::new(Kind::BehindHorizon, error.to_string());
                if let Some(hint) = error.hint() { problem.hint(hint) } else { problem }
            }
            error => Problem::internal("the online store cannot be read", error),
        }
    }
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
