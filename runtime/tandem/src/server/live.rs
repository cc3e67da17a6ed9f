//! What is served now. It is replaced whole: a request takes one of it at its beginning, and keeps that to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};
use tandem_core::model::{Alias, BoundView, FeatureService, ViewVersion};

use super::ServedView;
use super::metrics::{Measured, Metrics};
use super::services::{Lists, Service};
use super::state::View;

/// All that is served at one moment.
pub(super) struct Served {
    /// The registration; none where definition files are served as they are.
    pub(super) registration: Option<u64>,
    /// Sorted by name and version.
    pub(super) views: Vec<Arc<View>>,
    /// Versions by view and alias.
    pub(super) aliases: BTreeMap<(String, String), u32>,
    /// Feature services by name.
    pub(super) services: BTreeMap<String, Arc<Service>>,
    /// Lists of features that were asked for.
    pub(super) lists: Lists,
}

/// Why a newer registration is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The newest registration, if so much can be read.
    pub registration: Option<u64>,
    /// Why it cannot be served.
    pub reason: String,
}

/// What a server serves, to be replaced while it runs. Cheap to clone: all clones are the same.
#[derive(Clone)]
pub struct Live {
    now: Arc<RwLock<Now>>,
    metrics: Arc<Metrics>,
}

struct Now {
    served: Arc<Served>,
    behind: Option<Behind>,
}

impl Live {
    /// Serves these views, several versions of a name among them, these aliases, and the services over the views.
    pub fn new(
        registration: Option<u64>,
        views: Vec<ServedView>,
        aliases: &[Alias],
        services: &[FeatureService],
    ) -> Live {
        let metrics = Arc::new(Metrics::new());
        let served = Served::new(registration, views, aliases, services, &metrics);
        Live { now: Arc::new(RwLock::new(Now { served, behind: None })), metrics }
    }

    /// Serves these from now on. Requests under way finish with what they began with.
    pub fn replace(
        &self,
        registration: Option<u64>,
        views: Vec<ServedView>,
        aliases: &[Alias],
        services: &[FeatureService],
    ) {
        let served = Served::new(registration, views, aliases, services, &self.metrics); // before the lock: nobody waits for it
        let old = {
            let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
            now.behind = None;
            std::mem::replace(&mut now.served, served)
        };
        drop(old); // compiled code may go with it, which takes its time
    }

    /// Goes on serving what is served, and says why.
    pub fn stay(&self, behind: Behind) {
        self.now.write().unwrap_or_else(PoisonError::into_inner).behind = Some(behind);
    }

    /// The views, with all their versions.
    pub fn bound(&self) -> Vec<Arc<BoundView>> {
        self.served().views.iter().map(|view| Arc::clone(&view.bound)).collect()
    }

    /// The views over a source, that rows can be pushed into.
    pub(super) fn views_over(&self, source: &str) -> Vec<Arc<View>> {
        let served = self.served();
        let is_over = |view: &&Arc<View>| {
            view.push.is_ok() && view.bound.view.source.files().is_some_and(|files| files.name == source)
        };
        served.views.iter().filter(is_over).cloned().collect()
    }

    pub(super) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).served)
    }

    /// Rows of a version of a view lost their values, since they are older than its ttl.
    pub fn expired(&self, view: &ViewVersion, rows: u64) {
        self.metrics.expired(view, rows);
    }

    /// What is measured, of all that was served since the server's start.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether there is a newer registration that cannot be served.
    pub(super) fn is_behind(&self) -> bool {
        self.now.read().unwrap_or_else(PoisonError::into_inner).behind.is_some()
    }

    /// What `/health` tells of it.
    pub(super) fn health(&self) -> Value {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        let behind = now.behind.as_ref();
        json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "registration": now.served.registration,
            "behind": behind.map(|behind| json!({ "registration": behind.registration, "reason": behind.reason })),
        })
    }
}

impl Served {
    fn new(
        registration: Option<u64>,
        views: Vec<ServedView>,
        aliases: &[Alias],
        services: &[FeatureService],
        metrics: &Metrics,
    ) -> Arc<Served> {
        let measured: Vec<Measured> = views.iter().map(measured).collect();
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        let (of_views, of_services) = metrics.replace(&measured, &names);
        let mut views: Vec<_> = std::iter::zip(views, of_views)
            .map(|(view, metrics)| Arc::new(View::new(view, registration, metrics)))
            .collect();
        views.sort_by(|a, b| a.name_and_version().cmp(&b.name_and_version()));
        let aliases = aliases.iter().map(|alias| ((alias.view.clone(), alias.name.clone()), alias.version));
        let services = Service::all(services, &views, &of_services, registration);
        Arc::new(Served { registration, views, aliases: aliases.collect(), services, lists: Lists::default() })
    }
}

fn measured(view: &ServedView) -> Measured {
    let definition = &view.bound.view;
    Measured {
        id: definition.id(),
        stored: definition.is_stored(),
        objective: definition.freshness.is_some(),
        computed: view.on_demand.is_some(),
    }
}
