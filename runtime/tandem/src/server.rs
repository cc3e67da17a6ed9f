//! The HTTP server: transforms on demand and features from the online store.
//!
//! The only module that names axum and HTTP. `docs/reference/http.md` describes every route. In the order in which a request travels:
//!
//! - `connections`: accepts, bounds and drains connections; `tls`: encrypts them
//! - `guard`: what holds for every request: its id, its slot, its deadline, its line in the log, the body of its problem
//! - `access`: who may ask for what
//! - `body`: the body within its limits, media types
//! - `limits`: how much may be asked for, and how much may wait; `arrival`, `lateness`: for how long it waits
//! - `json`, `as_of`: strict reading of JSON, the instant that is asked for
//! - `deadline`, `coding`: until when a client waits, and how bodies are compressed
//! - `lookups`: where the store is asked; `buffers`: memory for large answers
//! - `transforms`, `features`, `services`, `views`, `push`: the routes; `feast`: those of Feast's clients
//! - `names`, `problem`, `state`: names and hints, what a client is told, what all requests share
//! - `feature_log`: answers as rows of the feature log
//! - `openapi`: all of it as a document for programs
//! - `metrics`: what is counted and measured on the way; `ready`: whether requests should be sent here
//! - `live`: what is served now, and how it is replaced; `deprecated`: what is said of views that should no longer be used

mod access;
mod arrival;
mod arrow;
mod as_of;
mod body;
mod buffers;
mod coding;
mod connections;
mod deadline;
mod deprecated;
mod feast;
mod feature_log;
mod features;
mod guard;
mod json;
mod lateness;
mod limits;
mod live;
mod lookups;
mod materialize;
mod metrics;
mod names;
mod openapi;
mod problem;
mod push;
mod ready;
mod services;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod transforms;
mod views;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tandem_core::definition::ServerSettings;
use tandem_core::model::BoundView;
use tandem_core::time::Timestamp;
use tandem_engine::{OnDemand, Workers};
use tandem_online::{Store, ViewId};

use crate::feature_log::FeatureLog;
use crate::push::Pusher;

pub use access::Access;
pub use deprecated::DEPRECATED_LOG_SECONDS;
pub use live::{Behind, Live};
pub use metrics::{SERVICES_MAX, VIEWS_MAX};
use problem::{Kind, Problem};
pub(crate) use push::given as pushed_rows;
pub use ready::READY_SECONDS_MAX;
use state::Server;
pub use tls::Tls;

/// Work on bodies up to this size, in bytes, is done where the request is; larger ones go to a worker, so that parsing
/// never holds up other requests.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// A version of a view, as it is served.
pub struct ServedView {
    /// The view and its component's signature.
    pub bound: Arc<BoundView>,
    /// Its transform, ready to be called; None for a view of columns.
    pub on_demand: Option<OnDemand>,
    /// Its number in the online store; where it is None, the store is asked at each request, so that a view that is
    /// materialized later is served without a restart.
    pub store_view: Option<ViewId>,
}

/// What is served, and with which limits.
pub struct ServerState {
    /// The views. They may be replaced at any time.
    pub live: Live,
    /// The online store, if there is one.
    pub store: Option<Arc<Store>>,
    /// What takes pushes; None where nothing may be written.
    pub pusher: Option<Pusher>,
    /// What takes answers of services that are logged; None where nothing is logged.
    pub feature_log: Option<FeatureLog>,
    /// Where views' rows are published, for materialization on request; None where there is none.
    pub offline_root: Option<PathBuf>,
    /// Limits and rights.
    pub settings: ServerSettings,
    /// The clock that `as_of` is read from.
    pub clock: fn() -> Timestamp,
    /// Threads for lookups and large bodies; calls of transforms have others ([`OnDemand`]).
    pub workers: Workers,
}

/// What stands before all routes.
#[derive(Default)]
pub struct Front {
    /// The tokens that clients need; None: they need none.
    pub access: Option<Arc<Access>>,
    /// With what connections are encrypted; None: they are not.
    pub tls: Option<Arc<Tls>>,
}

/// All routes.
pub fn router(state: ServerState) -> Router {
    routes(Arc::new(Server::new(state)))
}

fn routes(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/transforms/{name}", post(transforms::transform))
        .route("/v1/features", post(features::features))
        .route("/v1/services/{name}", post(services::service))
        .route(feast::GET_ONLINE_FEATURES, post(feast::get_online_features))
        .route("/v1/push/{name}", post(push::push))
        .route(feast::PUSH, post(push::feast_push))
        .route(feast::WRITE_TO_ONLINE_STORE, post(push::feast_write))
        .route(feast::MATERIALIZE, post(materialize::materialize))
        .route(feast::MATERIALIZE_INCREMENTAL, post(materialize::materialize))
        .route(openapi::OPENAPI, get(openapi::openapi))
        .route("/v1/views", get(views::list))
        .route("/v1/views/{name}", get(views::one))
        .route(guard::HEALTH, get(views::health))
        .route(guard::READY, get(ready::ready))
        .route(guard::METRICS, get(metrics::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&server), coding::compress))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&server), guard::guard))
        .with_state(server)
}

/// Serves until `shutdown` resolves. Then it is not ready any more, goes on for `shutdown_notice_seconds`, accepts no more, and waits for requests
/// under way up to `shutdown_seconds_max`.
///
/// # Errors
/// The listener has no address.
pub async fn serve(
    listener: tokio::net::TcpListener,
    state: ServerState,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    serve_behind(listener, state, Front::default(), shutdown).await
}

/// As [`serve`], behind this.
///
/// # Errors
/// As [`serve`].
pub async fn serve_behind(
    listener: tokio::net::TcpListener,
    state: ServerState,
    front: Front,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let limits = connections::Limits::of(&state.settings);
    tracing::debug!(address = %listener.local_addr()?, "listening");
    let tls = front.tls.clone();
    let server = Arc::new(Server::behind(state, front));
    let draining = Arc::clone(&server);
    let shutdown = async move {
        shutdown.await;
        draining.readiness.drain();
        tokio::time::sleep(Duration::from_secs(draining.settings.shutdown_notice_seconds)).await;
    };
    let watched = Arc::clone(&server);
    let watch = tokio::spawn(async move {
        if let Err(error) = watched.lateness.watch().await {
            tracing::error!(%error, "how late requests are cannot be measured; none is refused for it");
        }
    });
    connections::serve(listener, routes(server), limits, tls, shutdown).await;
    watch.abort();
    Ok(())
}

async fn no_route(method: axum::http::Method) -> Problem {
    Problem::new(Kind::RouteNotFound, format!("no route takes {method} here"))
        .hint("the routes are POST /v1/transforms/{name}, POST /v1/features, POST /v1/services/{name}, POST /v1/push/{name}, POST /get-online-features, POST /push, POST /write-to-online-store, POST /materialize, POST /materialize-incremental, GET /v1/views, GET /v1/views/{name}, GET /openapi.json, GET /health, GET /ready and GET /metrics")
}

async fn no_method(method: axum::http::Method) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("the route does not take {method}"))
        .hint("the header Allow names the methods that it takes")
}
