//! What all requests share.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;
use tandem_core::definition::ServerSettings;
use tandem_core::model::BoundView;
use tandem_core::model::{Selector, ViewReference};
use tandem_core::time::Timestamp;
use tandem_engine::{OnDemand, Workers};
use tandem_online::{Store, ViewId};
use tokio::sync::Semaphore;

use super::as_of::Clock;
use super::names;
use super::problem::{Kind, Problem};
use super::transforms::InputPlan;
use super::{INLINE_BYTES_MAX, ServedView, ServerState};

/// A version of a view, with what requests need of it worked out once.
pub(super) struct View {
    pub(super) bound: Arc<BoundView>,
    pub(super) on_demand: OnDemand,
    pub(super) store_view: Option<ViewId>,
    pub(super) plan: Arc<InputPlan>,
    /// The component's digest as a header has it.
    pub(super) digest: HeaderValue,
}

/// What all requests share.
pub(super) struct Server {
    /// Sorted by name and version.
    pub(super) views: Vec<Arc<View>>,
    pub(super) store: Option<Arc<Store>>,
    pub(super) settings: ServerSettings,
    pub(super) workers: Workers,
    /// One permit for each request under way.
    pub(super) slots: Arc<Semaphore>,
    clock: fn() -> Timestamp,
    id_prefix: u64,
    ids: AtomicU64,
}

impl Server {
    pub(super) fn new(state: ServerState) -> Self {
        let mut views: Vec<_> = state.views.into_iter().map(View::new).map(Arc::new).collect();
        views.sort_by(|a, b| a.name_and_version().cmp(&b.name_and_version()));
        let slots = state.settings.concurrent_requests_max.min(Semaphore::MAX_PERMITS);
        Server {
            views,
            store: state.store,
            slots: Arc::new(Semaphore::new(slots)),
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

    /// The instant of this request, and whether the caller may set another.
    pub(super) fn clock(&self) -> Clock {
        Clock { now: (self.clock)(), allow_replay: self.settings.allow_replay }
    }

    /// The view of `name` or `name@version`; the greatest version where none is asked for.
    pub(super) fn view(&self, text: &str) -> Result<Arc<View>, Problem> {
        let served: Vec<_> = self.views.iter().map(|view| view.name_and_version()).collect();
        find(&served, text).map(|index| Arc::clone(&self.views[index]))
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
        self.workers.run(job).await.map_err(|panic| Problem::internal("a job panicked", &panic))
    }
}

impl View {
    fn new(served: ServedView) -> Self {
        View {
            plan: Arc::new(InputPlan::new(&served.bound)),
            digest: HeaderValue::from_str(&served.bound.digest.to_string()).expect("a digest is hexadecimal"),
            bound: served.bound,
            on_demand: served.on_demand,
            store_view: served.store_view,
        }
    }

    fn name_and_version(&self) -> (&str, u32) {
        (&self.bound.view.name, self.bound.view.version)
    }
}

/// The position of `name` or `name@version` among views sorted by name and version.
fn find(served: &[(&str, u32)], text: &str) -> Result<usize, Problem> {
    let found = text.parse::<ViewReference>().ok().and_then(|asked| {
        let is_meant = |own: u32| match asked.selector {
            Selector::Latest => true,
            Selector::Version(version) => version == own,
            Selector::Alias(_) => false,
        };
        served.iter().rposition(|(name, own)| *name == asked.name && is_meant(*own))
    });
    found.ok_or_else(|| {
        let (asked, version) = text.split_once('@').unwrap_or((text, ""));
        let versions: Vec<String> =
            served.iter().filter(|(name, _)| *name == asked).map(|(_, version)| version.to_string()).collect();
        if !versions.is_empty() {
            let detail = format!("feature view `{asked}` has no version `{}`", names::cut(version));
            return Problem::new(Kind::ViewNotFound, detail)
                .hint(format!("write `name` or `name@version`; its versions are {}", versions.join(", ")));
        }
        let mut known: Vec<&str> = served.iter().map(|(name, _)| *name).collect();
        known.dedup();
        Problem::new(Kind::ViewNotFound, format!("there is no feature view `{}`", names::cut(asked))).hint(names::hint(
            asked,
            "feature views",
            &known,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_version_is_the_default() {
        let served = [("risk", 1), ("risk", 2), ("risk", 10), ("spend", 3)];
        for (text, index) in [("risk", 2), ("risk@10", 2), ("risk@1", 0), ("spend", 3), ("spend@3", 3)] {
            assert_eq!(find(&served, text), Ok(index), "{text}");
        }
        for (text, hint) in [
            ("risk@3", "write `name` or `name@version`; its versions are 1, 2, 10"),
            ("risk@", "write `name` or `name@version`; its versions are 1, 2, 10"),
            ("rosk", "did you mean `risk`? the feature views are `risk` and `spend`"),
            ("", "the feature views are `risk` and `spend`"),
        ] {
            let problem = find(&served, text).unwrap_err();
            assert_eq!((problem.kind, &problem.to_json("")["hint"]), (Kind::ViewNotFound, &hint.into()), "{text}");
        }
    }
}
