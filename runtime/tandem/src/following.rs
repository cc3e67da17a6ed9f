//! A server follows what is registered: it looks for a newer registration, loads it beside the one that is served, and replaces that.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tandem_core::definition::Settings;
use tandem_core::hash::Digest;
use tandem_core::model::{BoundComponent, BoundView, InstanceMode, NanMode, ViewVersion};
use tandem_engine::{Component, Engine, OnDemand, OnDemandOptions, ReuseOptions, Workers};
use tandem_online::Store;
use tandem_registry::{Registered, Registry, RegistryError};

use crate::error::Error;
use crate::project::{ViewTransform, load_component, with_code};
use crate::server::{Behind, Live, ServedView};

/// `registry_poll_millis`: how often a server looks for a newer registration, in milliseconds. A look reads two small files.
pub const REGISTRY_POLL_MILLIS: u64 = 200;

/// `registry_retry_seconds`: after how long a registration that could not be loaded is tried again, in seconds.
pub const REGISTRY_RETRY_SECONDS: u64 = 5;

/// Makes views ready to be served. Remembers what it made: a view that is in two registrations is loaded once.
pub struct Loader {
    engine: Engine,
    workers: Workers,
    store: Option<Store>,
    options: OnDemandOptions,
    components: HashMap<(Digest, NanMode), Component>,
    /// By version, with what the version means and how long its instances live: what is the same in both is called in the same way. Views of
    /// columns are called in none.
    on_demand: BTreeMap<ViewVersion, (Digest, InstanceMode, Option<OnDemand>)>,
    /// Components of views of aggregates, by version, with what the version means.
    of_events: BTreeMap<ViewVersion, (Digest, Vec<BoundComponent>)>,
}

impl Loader {
    /// Calls of views run on `workers`.
    pub fn new(engine: Engine, workers: Workers, store: Option<Store>, options: OnDemandOptions) -> Loader {
        Loader {
            engine,
            workers,
            store,
            options,
            components: HashMap::new(),
            on_demand: BTreeMap::new(),
            of_events: BTreeMap::new(),
        }
    }

    /// All views of a registration. Blocking; what is not loaded yet is loaded by `threads` threads. Runs no user code.
    ///
    /// # Errors
    ///
    /// A component that is not there, is not what was registered, or that this engine cannot load; the online store. What is served stays.
    pub fn registered(&mut self, registered: &Registered, threads: usize) -> Result<Vec<ServedView>, Error> {
        let bound: Vec<&Arc<BoundView>> = registered.bound.values().collect();
        self.load_components(&bound, threads)?;
        let views = bound.into_iter().map(|bound| self.bind(bound)).collect::<Result<Vec<_>, Error>>()?;
        self.views(views)
    }

    /// Views that are bound already, each call with a fresh instance: nothing is proved of them.
    ///
    /// # Errors
    ///
    /// The online store.
    pub fn bound(&mut self, views: Vec<ViewTransform>) -> Result<Vec<ServedView>, Error> {
        let options = self.options;
        let on_demand = |view: ViewTransform| {
            (view.transform.map(|transform| OnDemand::new(transform, self.workers.clone(), options)), view.bound)
        };
        let views = views.into_iter().map(on_demand).map(|(on_demand, bound)| (bound, on_demand)).collect();
        self.views(views)
    }

    /// Loads what is new, and forgets what is no longer used.
    fn load_components(&mut self, views: &[&Arc<BoundView>], threads: usize) -> Result<(), Error> {
        let mut missing: BTreeMap<(Digest, bool), &Arc<BoundView>> = BTreeMap::new();
        let mut used = HashMap::new();
        for bound in views.iter().filter(|bound| bound.view.has_component()) {
            let key = (bound.digest, bound.view.nan);
            match self.components.get(&key) {
                Some(component) => drop(used.insert(key, component.clone())),
                None => drop(missing.insert((bound.digest, bound.view.nan == NanMode::Strict), bound)),
            }
        }
        let missing: Vec<&Arc<BoundView>> = missing.into_values().collect();
        let engine = &self.engine;
        let share = missing.len().div_ceil(threads.max(1)).max(1);
        let loaded: Vec<Result<Component, Error>> = std::thread::scope(|scope| {
            let load = |views: &[&Arc<BoundView>]| views.iter().map(|bound| load_component(engine, bound)).collect();
            let threads: Vec<_> =
                missing.chunks(share).map(|views| scope.spawn(move || -> Vec<_> { load(views) })).collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        for (bound, component) in std::iter::zip(missing, loaded) {
            used.insert((bound.digest, bound.view.nan), component?);
        }
        self.components = used;
        Ok(())
    }

    fn bind(&self, bound: &Arc<BoundView>) -> Result<(Arc<BoundView>, Option<OnDemand>), Error> {
        if !bound.view.has_component() {
            if let Some((hash, components)) = self.of_events.get(&bound.view.id())
                && *hash == bound.definition_hash
            {
                return Ok((Arc::new(BoundView { components: components.clone(), ..BoundView::clone(bound) }), None));
            }
            return Ok((with_code(&self.engine, bound)?, None));
        }
        if let Some((hash, instance, on_demand)) = self.on_demand.get(&bound.view.id())
            && (*hash, *instance) == (bound.definition_hash, bound.view.instance)
        {
            return Ok((Arc::clone(bound), on_demand.clone()));
        }
        let component = &self.components[&(bound.digest, bound.view.nan)]; // loaded, or that was the error
        let fail = |source| Error::Component { component: bound.view.component.clone(), source };
        let (parameters, limits) = (&bound.view.parameters, &bound.view.limits);
        let transform = component.bind_described(parameters, limits, bound.signature.clone()).map_err(fail)?;
        // What is registered is proved to give the same bits in instances that were used before.
        let reuse = (bound.view.instance == InstanceMode::Reused).then(ReuseOptions::default);
        let options = OnDemandOptions { reuse, ..self.options };
        Ok((Arc::clone(bound), Some(OnDemand::new(transform, self.workers.clone(), options))))
    }

    fn views(&mut self, views: Vec<(Arc<BoundView>, Option<OnDemand>)>) -> Result<Vec<ServedView>, Error> {
        let mut served = Vec::with_capacity(views.len());
        for (bound, on_demand) in &views {
            let view = &bound.view;
            let stored = match self.store.as_ref().filter(|_| view.is_stored()) {
                Some(store) => store.find_view(&view.name, view.version)?,
                None => None,
            };
            let store_view = stored.as_ref().filter(|stored| stored.definition_hash == bound.definition_hash);
            if stored.is_some() && store_view.is_none() {
                tracing::warn!(
                    view = view.name,
                    version = view.version,
                    "the online store has this version under another definition: its values are not served; raise the version and materialize"
                );
            }
            if !self.on_demand.contains_key(&view.id()) {
                tracing::info!(
                    view = view.name,
                    version = view.version,
                    digest = %bound.digest,
                    definition = %bound.definition_hash,
                    "view served"
                );
            }
            let store_view = store_view.map(|stored| stored.id);
            served.push(ServedView { bound: Arc::clone(bound), on_demand: on_demand.clone(), store_view });
        }
        let kept = |(bound, on_demand): (Arc<BoundView>, Option<OnDemand>)| {
            (bound.view.id(), (bound.definition_hash, bound.view.instance, on_demand))
        };
        let with_components = views.iter().filter(|(bound, _)| !bound.components.is_empty());
        self.of_events = with_components
            .map(|(bound, _)| (bound.view.id(), (bound.definition_hash, bound.components.clone())))
            .collect();
        self.on_demand = views.into_iter().map(kept).collect();
        Ok(served)
    }
}

/// What a follower needs.
pub struct Follow {
    /// The registry.
    pub registry: Registry,
    /// The settings with which the server runs.
    pub settings: Settings,
    /// The project's folder.
    pub root: PathBuf,
    /// The registration that is served.
    pub served: u64,
    /// What has loaded it.
    pub loader: Loader,
    /// What serves it.
    pub live: Live,
}

/// A thread that follows the registry, until it is dropped.
pub struct Follower {
    told: Arc<Told>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    /// Starts it.
    pub fn start(follow: Follow) -> Follower {
        let told = Arc::new(Told::default());
        let heard = Arc::clone(&told);
        let thread = std::thread::Builder::new()
            .name("tandem-registry".to_owned())
            .spawn(move || follow.run(&heard))
            .expect("the system gives no thread for following the registry");
        Follower { told, thread: Some(thread) }
    }

    /// Looks for another registration now, and tries one again that could not be loaded.
    pub fn look_again(&self) {
        self.told.again.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

/// What the thread is told.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    again: AtomicBool,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.told.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join(); // if it panicked, its panic was told
        }
    }
}

/// A registration that could not be served.
struct Failed {
    /// None: not even its number could be read.
    registration: Option<u64>,
    at: Instant,
}

impl Follow {
    fn run(mut self, told: &Told) {
        let mut failed: Option<Failed> = None;
        while !told.stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(REGISTRY_POLL_MILLIS));
            if told.again.swap(false, Ordering::Relaxed) {
                failed = None;
            }
            let newest = match self.registry.head() {
                Ok(head) => Ok(head.map_or(0, |head| head.number)),
                Err(error) => Err(error),
            };
            let registration = newest.as_ref().ok().copied();
            if registration == Some(self.served) {
                continue;
            }
            // What failed is tried again after a while; something else at once.
            let again = failed.as_ref().filter(|failed| failed.registration == registration);
            if again.is_some_and(|failed| failed.at.elapsed() < Duration::from_secs(REGISTRY_RETRY_SECONDS)) {
                continue;
            }
            match newest.map_err(Error::from).and_then(|_| self.load()) {
                Ok(()) => failed = None,
                Err(error) => {
                    if again.is_none() {
                        tracing::error!(registration, served = self.served, %error, "a registration cannot be served; the one that is served stays");
                    }
                    self.live.stay(Behind { registration, reason: error.to_string() });
                    failed = Some(Failed { registration, at: Instant::now() });
                }
            }
        }
    }

    fn load(&mut self) -> Result<(), Error> {
        let begin = Instant::now();
        let state = self.registry.state()?;
        if state.number() == 0 {
            let (folder, reason) = (self.registry.folder().to_owned(), "is empty, and was not".to_owned());
            return Err(RegistryError::Damaged { path: folder, reason }.into());
        }
        let registered = state.registered(&self.registry, self.settings.clone(), &self.root)?;
        // One thread: those that answer requests need the others.
        let views = self.loader.registered(&registered, 1)?;
        self.live.replace(Some(registered.number), views, &registered.project.aliases, &registered.project.services);
        self.served = registered.number;
        let millis = begin.elapsed().as_millis() as u64;
        tracing::info!(registration = registered.number, millis, "another registration is served");
        Ok(())
    }
}
