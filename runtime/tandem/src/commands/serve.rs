//! `tandem serve`: features over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use tandem_core::definition::ServerSettings;
use tandem_engine::{BreakerOptions, OnDemandOptions, TrialOptions, Workers};
use tandem_online::{Store, StoreOptions, Writer};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

use super::batch::now;
use crate::cli::{Context, RunArguments, async_runtime, compiler};
use crate::error::{Error, io};
use crate::expiry::{Expire, Expirer};
use crate::feature_log::FeatureLogWriter;
use crate::following::{Follow, Follower, Loader};
use crate::notify::ServiceManager;
use crate::project::Opened;
use crate::push::Pusher;
use crate::registry::Opening;
use crate::roll::{Provenance, Roll, Roller};
use crate::server::{Access, Front, Live, ServerState, Tls, serve_behind};
use crate::watched::FILES_POLL_SECONDS;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// IP address and port [default: server.listen]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Allow callers to give `as_of` themselves, to replay the past [default: server.allow_replay]
    #[arg(long)]
    allow_replay: bool,
    /// Let other machines connect though clients need no token [default: server.allow_unauthenticated]
    #[arg(long)]
    allow_unauthenticated: bool,
    #[command(flatten)]
    run: RunArguments,
}

/// Views that may keep all workers of their share busy before another one waits.
const WORKER_SHARES: usize = 4;

/// Connections that wait in the system's queue; the system has a limit of its own too.
const BACKLOG: u32 = 1024;

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "write an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a server that just ended do not keep its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// The tokens that clients need. Without them only this machine may connect, unless that is allowed on purpose.
fn access(settings: &ServerSettings, allow_unauthenticated: bool) -> Result<Option<Arc<Access>>, Error> {
    let address = settings.listen;
    match &settings.tokens {
        Some(path) => {
            let access = Access::open(path)?;
            if access.knows_nobody() {
                tracing::warn!(tokens = %path.display(), "no token is known: whoever asks is refused; `tandem token new` makes one");
            }
            Ok(Some(Arc::new(access)))
        }
        None if address.ip().is_loopback() => Ok(None),
        None if allow_unauthenticated || settings.allow_unauthenticated => {
            tracing::warn!(%address, "other machines may connect, and clients need no token");
            Ok(None)
        }
        None => Err(Error::Unauthenticated { address }),
    }
}

/// Serves until SIGINT or SIGTERM, then finishes what is under way.
pub fn run(context: &Context, arguments: &Arguments) -> Result<(), Error> {
    let registered = if arguments.run.dev { None } else { Some(context.registered()?) };
    let mut opened = match &registered {
        Some(registry) => Opened::open_registered(&registry.registered, compiler())?,
        None => context.open_to_run(&arguments.run)?,
    };
    // Whatever a transform does, requests are taken, small ones tried, and values looked up, without waiting for it.
    let (lookups, threads) = (opened.workers.clone(), opened.workers.threads());
    opened.workers = Workers::start_behind(threads * WORKER_SHARES);
    let mut settings = opened.project.settings.server.clone();
    settings.listen = arguments.listen.unwrap_or(settings.listen);
    settings.allow_replay |= arguments.allow_replay;
    let listen = settings.listen;
    let access = access(&settings, arguments.allow_unauthenticated)?;
    let tls = settings.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
    if access.is_some() && tls.is_none() && !listen.ip().is_loopback() {
        tracing::warn!(address = %listen, "tokens travel unencrypted: `[server.tls]` is not set");
    }
    let fail = |source| Error::Listen { address: listen, source };
    // Taken before anything is made or compiled, and heard only once all of it is there: until then clients are refused.
    let socket = bind(listen).map_err(fail)?;
    let path = &opened.project.settings.storage.online.clone();
    let storage = opened.project.settings.storage.clone();
    let store = Store::open(path, StoreOptions { fsync: storage.fsync, ..StoreOptions::default() })?;
    let writer = Writer::start_with_clock(store.clone(), now)?;
    let max_future = opened.project.settings.max_future;
    let pusher = Pusher { writer, workers: lookups.clone(), max_future, clock: now };
    let provenance =
        Provenance { contract: tandem_engine::CONTRACT.to_owned(), runtime_fingerprint: opened.engine.fingerprint() };
    let roll_options = opened.project.settings.push;
    // The threads of the runtime have a worker's stack.
    let options = OnDemandOptions {
        trial: Some(TrialOptions::default()),
        workers_max: Some(threads),
        waiting_max: Some(settings.queue_requests_max),
        breaker: Some(BreakerOptions {
            failures: settings.breaker_failures,
            pause: Duration::from_secs(settings.breaker_seconds),
        }),
        ..OnDemandOptions::default()
    };
    let mut loader = Loader::new(opened.engine.clone(), opened.workers.clone(), Some(store.clone()), options);
    let (live, follow) = match registered {
        None => {
            let views = opened.project.views.iter().map(|view| opened.bind(view)).collect::<Result<Vec<_>, _>>()?;
            (Live::new(None, loader.bound(views)?, &opened.project.aliases, &opened.project.services), None)
        }
        Some(Opening { registry, registered, .. }) => {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            let views = loader.registered(&registered, threads)?;
            let live =
                Live::new(Some(registered.number), views, &registered.project.aliases, &registered.project.services);
            let (settings, root, served) = (registered.project.settings, context.root()?, registered.number);
            (live.clone(), Some(Follow { registry, settings, root, served, loader, live }))
        }
    };
    let rolled = live.clone();
    let roll = Roll {
        store: store.clone(),
        offline_root: storage.offline.clone(),
        views: Box::new(move || rolled.bound()),
        provenance,
        options: roll_options,
        clock: now,
    };
    let _roller = Roller::start(roll).map_err(io("start the thread that rolls the push log of", path))?;
    let expire = Expire {
        store: store.clone(),
        live: live.clone(),
        options: opened.project.settings.expiry,
        clock: now,
        // Where clients ask for instants of the past, no row is too old for good.
        removes: !settings.allow_replay,
    };
    let _expirer = Expirer::start(expire).map_err(io("start the thread that removes expired rows of", path))?;
    let log_options = opened.project.settings.feature_log;
    let log_writer = FeatureLogWriter::start(storage.log.clone(), log_options, now)
        .map_err(io("start the thread that writes the feature log in", &storage.log))?;
    let state = ServerState {
        live,
        store: Some(Arc::new(store)),
        pusher: Some(pusher),
        feature_log: Some(log_writer.log()),
        offline_root: Some(storage.offline),
        settings,
        clock: now,
        workers: lookups,
    };
    let follower = follow.map(Follower::start);
    let manager = Arc::new(ServiceManager::of_environment());
    async_runtime()?.block_on(async {
        let listener = socket.listen(BACKLOG).map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io("watch signals of", "this process"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io("watch signals of", "this process"))?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(io("watch signals of", "this process"))?;
        let told = Arc::clone(&manager);
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down: finishing what is under way");
            told.stopping();
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        let files = (access.clone(), tls.clone());
        let front = Front { access, tls };
        let reload = async {
            while hang_up.recv().await.is_some() {
                tracing::info!("SIGHUP: reading tokens and certificate again, looking for another registration");
                let (access, tls) = &files;
                access.iter().for_each(|access| access.reload());
                tls.iter().for_each(|tls| tls.reload());
                follower.iter().for_each(Follower::look_again);
            }
        };
        let changed = async {
            loop {
                tokio::time::sleep(Duration::from_secs(FILES_POLL_SECONDS)).await;
                let (access, tls) = files.clone();
                let look = move || {
                    access.iter().for_each(|access| access.follow());
                    tls.iter().for_each(|tls| tls.follow());
                };
                let _ = tokio::task::spawn_blocking(look).await; // a panic is told by itself
            }
        };
        let watched = async {
            let Some(every) = manager.watchdog() else { return };
            loop {
                manager.alive();
                tokio::time::sleep(every).await;
            }
        };
        tracing::info!(%address, "listening");
        context.output.note(format!("tandem listens on {scheme}://{address}"));
        manager.ready(&format!("listening on {scheme}://{address}"));
        let serving = serve_behind(listener, state, front, shutdown);
        let beside = futures::future::join3(reload, changed, watched);
        match futures::future::select(std::pin::pin!(serving), std::pin::pin!(beside)).await {
            Either::Left((ended, _)) => ended.map_err(|source| Error::Listen { address, source }),
            Either::Right((_, serving)) => serving.await.map_err(|source| Error::Listen { address, source }),
        }
    })
}
