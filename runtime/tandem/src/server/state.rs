//! What all requests share.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::response::Response;
use tandem_core::definition::ServerSettings;
use tandem_core::model::BoundView;
use tandem_core::model::{Selector, ServiceFeatures, ViewReference};
use tandem_core::time::Timestamp;
use tandem_engine::{OnDemand, RunError, Workers};
use tandem_online::{Store, ViewId};
use tokio::sync::Semaphore;

use super::access::{Access, Caller};
use super::as_of::Clock;
use super::buffers::Buffers;
use super::deprecated::{Notice, Uses};
use super::lateness::Lateness;
use super::limits;
use super::live::{Live, Served};
use super::lookups::Lookups;
use super::metrics::ViewMetrics;
use super::names;
use super::problem::{Kind, Problem};
use super::ready::Readiness;
use super::services::{self, Service};
use super::transforms::InputPlan;
use super::{Front, INLINE_BYTES_MAX, ServedView, ServerState};
use crate::feature_log::FeatureLog;
use crate::push::{PushError, PushPlan, Pusher};

/// Header of the registration that an answer is of.
const REGISTRATION: HeaderName = HeaderName::from_static("tandem-registration");

/// A version of a view, with what requests need of it worked out once.
pub(super) struct View {
    pub(super) bound: Arc<BoundView>,
    /// None for a view of columns.
    pub(super) on_demand: Option<OnDemand>,
    pub(super) store_view: Option<ViewId>,
    /// Of its stored rows ([`crate::lookup::fingerprint`]).
    pub(super) fingerprint: u64,
    pub(super) plan: Arc<InputPlan>,
    /// The registration that it is of, as a header has it.
    registration: Option<HeaderValue>,
    deprecated: Option<Notice>,
    /// The component's digest as a header has it.
    pub(super) digest: HeaderValue,
    /// What may be pushed into it, or why nothing.
    pub(super) push: Result<Arc<PushPlan>, PushError>,
    pub(super) metrics: Arc<ViewMetrics>,
}

/// What all requests share.
pub(super) struct Server {
    pub(super) live: Live,
    pub(super) store: Option<Arc<Store>>,
    /// What takes pushes.
    pub(super) pusher: Option<Pusher>,
    pub(super) feature_log: Option<FeatureLog>,
    pub(super) offline_root: Option<std::path::PathBuf>,
    pub(super) settings: ServerSettings,
    pub(super) workers: Workers,
    /// One permit for each request under way.
    pub(super) slots: Arc<Semaphore>,
    pub(super) readiness: Readiness,
    pub(super) lateness: Lateness,
    pub(super) lookups: Lookups,
    pub(super) buffers: Arc<Buffers>,
    /// None: everybody may read and write.
    pub(super) access: Option<Arc<Access>>,
    clock: fn() -> Timestamp,
    deprecated_uses: Uses,
    id_prefix: u64,
    ids: AtomicU64,
}

impl Server {
    pub(super) fn new(state: ServerState) -> Self {
        Server::behind(state, Front::default())
    }

    pub(super) fn behind(state: ServerState, front: Front) -> Self {
        let slots = state.settings.concurrent_requests_max.min(Semaphore::MAX_PERMITS);
        Server {
            live: state.live,
            deprecated_uses: Uses::default(),
            store: state.store,
            pusher: state.pusher,
            feature_log: state.feature_log,
            offline_root: state.offline_root,
            slots: Arc::new(Semaphore::new(slots)),
            readiness: Readiness::new(),
            lateness: Lateness::default(),
            lookups: Lookups::default(),
            buffers: Arc::default(),
            access: front.access,
            settings: state.settings,
            workers: state.workers,
            clock: state.clock,
            // The standard library's hasher is seeded by the system's randomness; ids need to differ between processes, not be secret.
            id_prefix: std::collections::hash_map::RandomState::new().build_hasher().finish(),
            ids: AtomicU64::new(0),
        }
    }

    /// A new request id.
    pub(super) fn request_id(&self) -> String {
        format!("{:016x}-{:x}", self.id_prefix, self.ids.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The instant of the request with these extensions, and whether who asks may set another.
    pub(super) fn clock(&self, request: &Extensions) -> Clock {
        let is_admin = request.get::<Caller>().is_some_and(|caller| caller.is_admin);
        Clock { now: self.now(), allow_replay: self.settings.allow_replay || is_admin }
    }

    /// The view of `name`, `name@version` or `name@alias`; the greatest version where none is asked for. Asked once for a request: what is
    /// served may be replaced at any time, and the view that is given is whole.
    pub(super) fn view(&self, text: &str) -> Result<Arc<View>, Problem> {
        let served = self.live.served();
        find(&served, text)
    }

    /// The feature service of this name.
    pub(super) fn service(&self, name: &str) -> Result<Arc<Service>, Problem> {
        let served = self.live.served();
        services::find(&served.services, name).map_err(|problem| match find(&served, name) {
            Ok(_) => problem.hint("it is a feature view, whose features POST /v1/features gives"),
            Err(_) => problem,
        })
    }

    /// A list of features, each `view:feature`, or `view` for all of one; planned once while what is served stays the same.
    pub(super) fn list(&self, features: Vec<String>, prefix: bool) -> Result<Arc<Service>, Problem> {
        limits::check_features(&self.settings, features.len())?;
        let served = self.live.served();
        served.lists.get(features, prefix, |features| {
            if features.is_empty() {
                let problem = Problem::new(Kind::InvalidRequest, "`features` names no feature");
                return Err(problem.hint("write {\"features\": [\"view:feature\"]}"));
            }
            let named = features.iter().map(|text| feature(&served, text)).collect::<Result<Vec<_>, _>>()?;
            Service::list(named, prefix, &served.views).map_err(|reason| {
                Problem::new(Kind::InvalidRequest, reason)
                    .hint("name single features, or set `prefix` to true, which names each `view__feature`")
            })
        })
    }

    /// Says in an answer what it is of: the registration, and that the view is deprecated, which is logged too.
    pub(super) fn mark(&self, view: &View, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(registration) = &view.registration {
            headers.insert(REGISTRATION, registration.clone());
        }
        if let Some(notice) = &view.deprecated {
            notice.write(headers);
            self.deprecated_uses.count(&view.bound.view, Instant::now());
        }
    }

    /// Runs work on `bytes` bytes where it is, or on a worker if they are many.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        bytes: usize,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        if bytes <= INLINE_BYTES_MAX { Ok(job()) } else { self.on_worker(job).await }
    }

    /// Runs blocking work on a worker.
    pub(super) async fn on_worker<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let max = self.settings.queue_requests_max;
        if self.workers.load().waiting >= max {
            return Err(limits::queue_full("a worker", max));
        }
        let late_max = self.settings.late_millis_max;
        self.workers.run_within(Duration::from_millis(late_max), job).await.map_err(|error| match error {
            RunError::Late { waited } => limits::late("a worker", waited, late_max),
            RunError::Panic(panic) => Problem::internal("a job panicked", &panic),
        })
    }
}

impl View {
    pub(super) fn new(served: ServedView, registration: Option<u64>, metrics: Arc<ViewMetrics>) -> Self {
        View {
            metrics,
            registration: registration.map(HeaderValue::from),
            deprecated: served.bound.view.deprecation.as_ref().map(Notice::new),
            plan: Arc::new(InputPlan::new(&served.bound)),
            push: PushPlan::new(&served.bound).map(Arc::new),
            digest: HeaderValue::from_str(&served.bound.digest.to_string()).expect("a digest is hexadecimal"),
            fingerprint: crate::lookup::fingerprint(&served.bound),
            bound: served.bound,
            on_demand: served.on_demand,
            store_view: served.store_view,
        }
    }

    pub(super) fn name_and_version(&self) -> (&str, u32) {
        (&self.bound.view.name, self.bound.view.version)
    }
}

/// `view:feature`, or `view` for all features of it.
fn feature(served: &Served, text: &str) -> Result<ServiceFeatures, Problem> {
    let (view, feature) = match text.rsplit_once(':') {
        Some((view, feature)) => (find(served, view)?, Some(feature)),
        None => (find(served, text).map_err(|problem| lone_feature(served, text, problem))?, None),
    };
    let known: Vec<&str> = view.bound.signature.outputs.iter().map(|output| output.name.as_str()).collect();
    if let Some(feature) = feature.filter(|feature| !known.contains(feature)) {
        let (id, name) = (view.bound.view.id(), names::cut(feature));
        let problem = Problem::new(Kind::UnknownName, format!("feature view `{id}` has no feature `{name}`"));
        return Err(problem.with("feature", name).hint(names::hint(feature, "features", &known)));
    }
    Ok(ServiceFeatures { view: view.bound.view.id(), feature: feature.map(str::to_owned) })
}

/// The problem of a view that there is not, where it is the name of a feature.
fn lone_feature(served: &Served, name: &str, problem: Problem) -> Problem {
    let has = |view: &&Arc<View>| view.bound.signature.outputs.iter().any(|output| output.name == name);
    match served.views.iter().rev().find(has) {
        Some(view) => problem.hint(format!("write it with its view: `{}:{name}`", view.name_and_version().0)),
        None => problem,
    }
}

/// The view of `name`, `name@version` or `name@alias`.
fn find(served: &Served, text: &str) -> Result<Arc<View>, Problem> {
    let versions = || served.views.iter().map(|view| view.name_and_version());
    let aliases = served.aliases.iter().map(|((view, alias), version)| (view.as_str(), alias.as_str(), *version));
    position(versions(), aliases.clone(), text).map(|index| Arc::clone(&served.views[index])).ok_or_else(
        || match served.services.contains_key(text) {
            true => unknown(versions(), aliases, text)
                .hint(format!("it is a feature service, whose features POST /v1/services/{text} gives")),
            false => unknown(versions(), aliases, text),
        },
    )
}

/// The position among views that are sorted by name and version.
fn position<'a>(
    mut served: impl DoubleEndedIterator<Item = (&'a str, u32)> + ExactSizeIterator,
    mut aliases: impl Iterator<Item = (&'a str, &'a str, u32)>,
    text: &str,
) -> Option<usize> {
    let asked = text.parse::<ViewReference>().ok()?;
    let version = match &asked.selector {
        Selector::Latest => None,
        Selector::Version(version) => Some(*version),
        Selector::Alias(alias) => Some(aliases.find(|(view, name, _)| *view == asked.name && name == alias)?.2),
    };
    served.rposition(|(name, own)| name == asked.name && version.is_none_or(|version| version == own))
}

/// The problem of a name that is not served, with those that are nearest.
fn unknown<'a>(
    served: impl Iterator<Item = (&'a str, u32)> + Clone,
    aliases: impl Iterator<Item = (&'a str, &'a str, u32)>,
    text: &str,
) -> Problem {
    let (asked, version) = text.split_once('@').unwrap_or((text, ""));
    let versions: Vec<String> =
        served.clone().filter(|(name, _)| *name == asked).map(|(_, version)| version.to_string()).collect();
    if !versions.is_empty() {
        let detail = format!("feature view `{asked}` has no version or alias `{}`", names::cut(version));
        let aliases: Vec<&str> = aliases.filter(|(view, _, _)| *view == asked).map(|(_, alias, _)| alias).collect();
        let aliases = if aliases.is_empty() { String::new() } else { format!(", its aliases {}", aliases.join(", ")) };
        return Problem::new(Kind::ViewNotFound, detail).hint(format!(
            "write `name`, `name@version` or `name@alias`; its versions are {}{aliases}",
            versions.join(", ")
        ));
    }
    let mut known: Vec<&str> = served.map(|(name, _)| name).collect();
    known.dedup();
    let problem = Problem::new(Kind::ViewNotFound, format!("there is no feature view `{}`", names::cut(asked)));
    problem.hint(names::hint(asked, "feature views", &known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_version_is_the_default() {
        let served = [("risk", 1), ("risk", 2), ("risk", 10), ("spend", 3)];
        let aliases = [("risk", "champion", 2), ("spend", "old", 1)];
        let find = |text: &str| {
            let (served, aliases) = (served.into_iter(), aliases.into_iter());
            position(served.clone(), aliases.clone(), text).ok_or_else(|| unknown(served, aliases, text))
        };
        for (text, index) in
            [("risk", 2), ("risk@10", 2), ("risk@1", 0), ("spend", 3), ("spend@3", 3), ("risk@champion", 1)]
        {
            assert_eq!(find(text), Ok(index), "{text}");
        }
        let risk = "write `name`, `name@version` or `name@alias`; its versions are 1, 2, 10, its aliases champion";
        for (text, hint) in [
            ("risk@3", risk),
            ("risk@", risk),
            ("risk@old", risk),
            ("spend@old", "write `name`, `name@version` or `name@alias`; its versions are 3, its aliases old"),
            ("rosk", "did you mean `risk`? the feature views are `risk` and `spend`"),
            ("", "the feature views are `risk` and `spend`"),
        ] {
            let problem = find(text).unwrap_err();
            assert_eq!((problem.kind, &problem.to_json("")["hint"]), (Kind::ViewNotFound, &hint.into()), "{text}");
        }
    }
}
