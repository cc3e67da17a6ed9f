//! `tandem serve`: features over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use tandem_engine::{OnDemand, OnDemandOptions, TrialOptions};
use tandem_online::{Store, StoreOptions};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

use super::batch::now;
use crate::cli::{Context, async_runtime};
use crate::error::{Error, io};
use crate::server::{ServedView, ServerState, serve};

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// IP address and port [default: server.listen]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Allow callers to give `as_of` themselves, to replay the past [default: server.allow_replay]
    #[arg(long)]
    allow_replay: bool,
}

/// Connections that wait in the system's queue; the system has a limit of its own too.
const BACKLOG: u32 = 1024;

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a server that just ended do not keep its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Serves until SIGINT or SIGTERM, then finishes what is under way.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let opened = context.open()?;
    let mut settings = opened.project.settings.server.clone();
    settings.listen = arguments.listen.unwrap_or(settings.listen);
    settings.allow_replay |= arguments.allow_replay;
    let listen = settings.listen;
    let fail = |source| Error::Listen { address: listen, source };
    // Taken before anything is made or compiled, and heard only once all of it is there: until then clients are refused.
    let socket = bind(listen).map_err(fail)?;
    let path = &opened.project.settings.storage.online;
    let store = Store::open(path, StoreOptions::default())?;
    // The threads of the runtime have a worker's stack.
    let options = OnDemandOptions { trial: Some(TrialOptions::default()), ..OnDemandOptions::default() };
    let mut views = Vec::new();
    for definition in &opened.project.views {
        let view = opened.bind(definition)?;
        let stored = store.find_view(&definition.name, definition.version)?;
        let store_view = stored.as_ref().filter(|stored| stored.definition_hash == view.bound.definition_hash);
        if stored.is_some() && store_view.is_none() {
            tracing::warn!(
                view = definition.name,
                version = definition.version,
                "the online store has this version under another definition: its values are not served; raise the version and materialize"
            );
        }
        tracing::info!(
            view = definition.name,
            version = definition.version,
            digest = %view.bound.digest,
            definition = %view.bound.definition_hash,
            "view served"
        );
        let on_demand = OnDemand::new(view.transform, opened.workers.clone(), options);
        views.push(ServedView { bound: view.bound, on_demand, store_view: store_view.map(|stored| stored.id) });
    }
    let state =
        ServerState { views, store: Some(Arc::new(store)), settings, clock: now, workers: opened.workers.clone() };
    async_runtime()?.block_on(async {
        let listener = socket.listen(BACKLOG).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io("watch signals of", "this process"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io("watch signals of", "this process"))?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down: finishing what is under way");
        };
        tracing::info!(%address, "listening");
        context.output.note(format!("tandem listens on http://{address}"));
        serve(listener, state, shutdown).await.map_err(|source| Error::Listen { address, source })
    })
}
