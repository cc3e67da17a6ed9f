//! Connections: accepted up to a bound, closed when idle, drained on shutdown.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tandem_core::definition::ServerSettings;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::arrival::Arrival;
use super::tls::Tls;

/// Connections that may be open for each of `concurrent_requests_max`: clients keep connections between requests.
/// More wait in the system's queue.
const CONNECTIONS_PER_REQUEST_SLOT: usize = 4;

/// How long accepting rests after the system refused it (no file descriptors left), in milliseconds.
const ACCEPT_PAUSE_MILLIS: u64 = 100;

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections open at once.
    pub(super) connections_max: usize,
    /// How long the head of a request may take, and how long a connection may be idle before it.
    pub(super) head_max: Duration,
    /// How long requests under way may take after the shutdown began.
    pub(super) drain_max: Duration,
}

impl Limits {
    pub(super) fn of(settings: &ServerSettings) -> Self {
        let connections = settings.concurrent_requests_max.saturating_mul(CONNECTIONS_PER_REQUEST_SLOT);
        Limits {
            connections_max: connections.min(Semaphore::MAX_PERMITS),
            head_max: Duration::from_secs(settings.request_seconds_max),
            drain_max: Duration::from_secs(settings.shutdown_seconds_max),
        }
    }
}

/// Serves until `shutdown`, then drains.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    shutdown: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let (draining, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let accept = async {
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            let stream = accept(&listener).await;
            // Finished connections are let go of; the others go on.
            while connections.try_join_next().is_some() {}
            let (router, draining, tls) = (router.clone(), draining.subscribe(), tls.clone());
            connections.spawn(async move {
                match tls {
                    None => serve_connection(stream, router, limits.head_max, draining).await,
                    Some(tls) => {
                        // Who does not speak TLS, or too slowly, is nobody's loss but its own.
                        if let Some(stream) = tls.accept(stream, limits.head_max).await {
                            serve_connection(stream, router, limits.head_max, draining).await;
                        }
                    }
                }
                drop(slot);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = shutdown => {}
    }
    drop(listener);
    draining.send_replace(true);
    tracing::debug!(connections = connections.len(), "draining");
    let drained = timeout(limits.drain_max, async { while connections.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!(connections = connections.len(), "connections are cut: shutdown_seconds_max is over");
    }
    connections.shutdown().await;
}

/// The next connection. What goes wrong with one is not the end of the server.
async fn accept(listener: &TcpListener) -> TcpStream {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are one write; waiting for more would only delay them. Where it fails, they are late, not wrong.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(Duration::from_millis(ACCEPT_PAUSE_MILLIS)).await;
            }
        }
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    head_max: Duration,
    mut draining: watch::Receiver<bool>,
) {
    // Each request finds in it for how long it waited.
    let (arrival, routes) = (Arc::new(Arrival::default()), TowerToHyperService::new(router));
    let own = Arc::clone(&arrival);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(&own));
        routes.call(request)
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_max)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let served = arrival.watch(async {
        tokio::select! {
            result = connection.as_mut() => result,
            // Whether it is so, not the guard over it: that must not live across the await below.
            _ = async { draining.wait_for(|draining| *draining).await.is_ok() } => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    });
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended");
    }
}
