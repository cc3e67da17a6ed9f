//! What the server counts and measures, for Prometheus. `docs/reference/metrics.md` describes every metric.
//!
//! Recording is a handful of atomic additions: whoever records has its series at hand. Those of a view are found once, when what is served is
//! replaced. There is no series but of what is served, and of at most [`VIEWS_MAX`] versions of views and [`SERVICES_MAX`] services; all others
//! share one series, `other`. So a client cannot make series, and a registry with many versions cannot make more than a Prometheus takes.
//!
//! Another metric of a view or a service is a field here, a family in `families`, and a line in the reference, which a test compares.

mod families;
mod gauges;
mod histogram;
mod route;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tandem_core::model::ViewVersion;
use tandem_core::status::Status;
use tandem_core::time::Timestamp;
use tandem_engine::{EngineError, Outcome};
use tandem_online::RowOutcome;

use crate::feature_log::Fate;
use crate::lookup::Found;
use crate::push::{PushError, Pushed, Reason};
use families::{Families, LogLabels, RequestLabels, RouteLabels, ServiceLabels, ServiceStatusLabels, ViewLabels};
use histogram::Histogram;

pub(super) use families::OTHER;
pub(super) use route::metrics;

/// `metrics_views_max`: versions of views that have series of their own.
pub const VIEWS_MAX: usize = 256;

/// `metrics_services_max`: feature services that have series of their own.
pub const SERVICES_MAX: usize = 256;

/// All metrics of one server.
pub(super) struct Metrics {
    families: Families,
    registry: Registry,
    of_served: Mutex<OfServed>,
}

/// The series of what is served.
#[derive(Default)]
struct OfServed {
    views: BTreeMap<ViewLabels, Arc<ViewMetrics>>,
    services: BTreeMap<ServiceLabels, Arc<ServiceMetrics>>,
}

/// What a version of a view is asked to have measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) id: ViewVersion,
    /// Whether it is read from the online store.
    pub(super) stored: bool,
    /// Whether it has a freshness objective.
    pub(super) objective: bool,
    /// Whether it has a transform that is called on demand.
    pub(super) computed: bool,
}

/// The series of one version of a view.
#[derive(Debug)]
pub(super) struct ViewMetrics {
    stored: Option<StoredMetrics>,
    computed: Option<ComputedMetrics>,
}

/// What became of a pushed row; the names of [`Pushed`]'s outcomes, and what was set aside or refused the push: for breaking the source's contract, and for all else.
const PUSH_OUTCOMES: [(&str, Became); 7] = [
    ("written", Became::Taken(RowOutcome::Written)),
    ("older", Became::Taken(RowOutcome::Older)),
    ("unchanged", Became::Taken(RowOutcome::Unchanged)),
    ("logged", Became::Taken(RowOutcome::Logged)),
    ("too_late", Became::Taken(RowOutcome::TooLate)),
    ("contract", Became::Broken),
    ("refused", Became::Refused),
];

#[derive(Debug, Clone, Copy)]
enum Became {
    Taken(RowOutcome),
    /// It breaks the contract of the source.
    Broken,
    /// It cannot be stored for another reason.
    Refused,
}

/// What a view has, and so which series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Has {
    stored: bool,
    objective: bool,
    computed: bool,
}

#[derive(Debug)]
struct StoredMetrics {
    /// By status, in the order of [`Status::ALL`].
    rows: Vec<Counter>,
    values: Vec<Counter>,
    ages: Histogram,
    freshness: Option<FreshnessMetrics>,
    expired: Counter,
    /// By outcome, in the order of [`PUSH_OUTCOMES`].
    pushed: Vec<Counter>,
}

/// Of rows that were found.
#[derive(Debug)]
struct FreshnessMetrics {
    rows: Counter,
    fresh: Counter,
}

#[derive(Debug)]
struct ComputedMetrics {
    seconds: Histogram,
    rows: Counter,
    failed_rows: Counter,
    /// By reason, in the order of [`NoOutcome::ALL`].
    without_outcome: Vec<Counter>,
    fuel: Counter,
}

/// Why a call of a transform came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoOutcome {
    Deadline,
    CircuitOpen,
    Instances,
    Queue,
    Failures,
    Other,
}

impl NoOutcome {
    const ALL: [NoOutcome; 6] = [
        NoOutcome::Deadline,
        NoOutcome::CircuitOpen,
        NoOutcome::Instances,
        NoOutcome::Queue,
        NoOutcome::Failures,
        NoOutcome::Other,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            NoOutcome::Deadline => "deadline",
            NoOutcome::CircuitOpen => "circuit_open",
            NoOutcome::Instances => "instances",
            NoOutcome::Queue => "queue",
            NoOutcome::Failures => "failures",
            NoOutcome::Other => OTHER,
        }
    }

    fn of(error: &EngineError) -> NoOutcome {
        match error {
            EngineError::CircuitOpen { .. } => NoOutcome::CircuitOpen,
            EngineError::InstancesExhausted { .. } => NoOutcome::Instances,
            EngineError::QueueFull { .. } => NoOutcome::Queue,
            EngineError::TooManyFailures { .. } => NoOutcome::Failures,
            _ => NoOutcome::Other,
        }
    }
}

/// The series of one feature service.
#[derive(Debug)]
pub(super) struct ServiceMetrics {
    labels: ServiceLabels,
    families: Families,
    seconds: Histogram,
    /// Set when it is no longer served: requests that are under way then make no new series.
    retired: AtomicBool,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        let mut registry = Registry::with_prefix(families::PREFIX);
        let families = Families::registered(&mut registry);
        Metrics { families, registry, of_served: Mutex::default() }
    }

    /// The series of these views and services, in their order. Those that are in both what was served and what will be go on; those of what is
    /// served no longer are no longer told.
    pub(super) fn replace(
        &self,
        views: &[Measured],
        services: &[&str],
    ) -> (Vec<Arc<ViewMetrics>>, Vec<Arc<ServiceMetrics>>) {
        let own = with_own_series(views.iter().map(|view| &view.id));
        let labels_of = |view: &Measured| match own.contains(&view.id) {
            true => ViewLabels::of(&view.id),
            false => ViewLabels::other(),
        };
        let mut sorted: Vec<&str> = services.to_vec();
        sorted.sort_unstable();
        let services_own: BTreeSet<&str> = sorted.into_iter().take(SERVICES_MAX).collect();
        let service_labels = |name: &str| match services_own.contains(name) {
            true => ServiceLabels::new(name),
            false => ServiceLabels::new(OTHER),
        };

        let mut now = self.of_served.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *now);
        let mut made = OfServed::default();
        // The series `other` has all that any of its views has.
        let mut kinds: BTreeMap<ViewLabels, Has> = BTreeMap::new();
        for view in views {
            let has = kinds.entry(labels_of(view)).or_default();
            has.stored |= view.stored;
            has.objective |= view.objective;
            has.computed |= view.computed;
        }
        for (labels, has) in kinds {
            let kept = before.views.get(&labels).filter(|kept| kept.has() == has).map(Arc::clone);
            if !has.objective {
                self.families.forget_freshness(&labels);
            }
            let made_now = || Arc::new(ViewMetrics::new(&self.families, &labels, has));
            made.views.insert(labels.clone(), kept.unwrap_or_else(made_now));
        }
        for name in services {
            let labels = service_labels(name);
            let kept = before.services.get(&labels).map(Arc::clone);
            let made_now = || Arc::new(ServiceMetrics::new(&self.families, labels.clone()));
            made.services.entry(labels.clone()).or_insert_with(|| kept.unwrap_or_else(made_now));
        }
        let gone = before.views.keys().filter(|labels| !made.views.contains_key(labels));
        gone.for_each(|labels| self.families.forget_view(labels));
        for (labels, metrics) in before.services.iter().filter(|(labels, _)| !made.services.contains_key(labels)) {
            metrics.retired.store(true, Ordering::Relaxed);
            self.families.forget_service(labels);
        }
        let of_views = views.iter().map(|view| Arc::clone(&made.views[&labels_of(view)])).collect();
        let of_services = services.iter().map(|name| Arc::clone(&made.services[&service_labels(name)])).collect();
        *now = made;
        (of_views, of_services)
    }

    /// A request was answered. `route` is a route's pattern, never a path that a client made.
    pub(super) fn answered(&self, route: String, method: &Method, status: StatusCode, took: Duration) {
        let labels = RouteLabels { route };
        self.families.request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let labels = RequestLabels { route: labels.route, method: method_name(method), status: status.as_u16() };
        self.families.requests.get_or_create(&labels).inc();
    }

    /// A push was acknowledged: its rows are durable.
    pub(super) fn pushed(&self, took: Duration) {
        self.families.push_seconds.observe(took.as_secs_f64());
    }

    /// Rows of a version of a view lost their values.
    pub(super) fn expired(&self, id: &ViewVersion, rows: u64) {
        let labels = self.labels(id);
        let of_served = self.of_served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stored) = of_served.views.get(&labels).and_then(|view| view.stored.as_ref()) {
            stored.expired.inc_by(rows);
        }
    }

    /// The entities of one request were looked up, in all views together.
    pub(super) fn looked_up(&self, took: Duration) {
        self.families.lookup_seconds.observe(took.as_secs_f64());
    }

    /// The series of a view that is served: `other` where it has none of its own.
    fn labels(&self, id: &ViewVersion) -> ViewLabels {
        let labels = ViewLabels::of(id);
        let of_served = self.of_served.lock().unwrap_or_else(PoisonError::into_inner);
        if of_served.views.contains_key(&labels) { labels } else { ViewLabels::other() }
    }

    /// All metrics in the text format, with what is measured for this answer alone.
    fn encode(&self, of_now: &Registry) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(16 << 10);
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, of_now)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl ViewMetrics {
    fn new(families: &Families, labels: &ViewLabels, has: Has) -> ViewMetrics {
        ViewMetrics {
            stored: has.stored.then(|| StoredMetrics {
                rows: families.by_status(&families.lookup_rows, labels),
                values: families.by_status(&families.lookup_values, labels),
                ages: families.ages.get_or_create_owned(labels),
                freshness: has.objective.then(|| FreshnessMetrics {
                    rows: families.freshness_rows.get_or_create_owned(labels),
                    fresh: families.freshness_rows_met.get_or_create_owned(labels),
                }),
                expired: families.expired_rows.get_or_create_owned(labels),
                pushed: families.by_outcome(labels),
            }),
            computed: has.computed.then(|| ComputedMetrics {
                seconds: families.transform_seconds.get_or_create_owned(labels),
                rows: families.transform_rows.get_or_create_owned(labels),
                failed_rows: families.transform_failed_rows.get_or_create_owned(labels),
                without_outcome: families.by_reason(labels),
                fuel: families.transform_fuel.get_or_create_owned(labels),
            }),
        }
    }

    fn has(&self) -> Has {
        Has {
            stored: self.stored.is_some(),
            objective: self.stored.as_ref().is_some_and(|stored| stored.freshness.is_some()),
            computed: self.computed.is_some(),
        }
    }

    /// Entities of the view were looked up, and the values of these of its outputs are served; `as_of` is the instant that was asked for.
    pub(super) fn looked_up(&self, found: &Found, outputs: &[usize], as_of: Timestamp) {
        let Some(stored) = &self.stored else { return };
        // Counted here first: one addition to each series, however many rows there are.
        let mut rows = [0_u64; Status::ALL.len()];
        let mut ages = stored.ages.tally();
        for served in &found.rows {
            rows[served.status as usize] += 1;
            if let (status, Some(record)) = (served.status, &served.record)
                && status.gives_values()
            {
                ages.add(as_of.0.saturating_sub(record.event_time.0) as f64 / 1e6);
            }
        }
        stored.ages.observe_all(&ages);
        if let Some(freshness) = &stored.freshness {
            let fresh = rows[Status::Present as usize];
            freshness.fresh.inc_by(fresh);
            freshness.rows.inc_by(fresh + rows[Status::Stale as usize] + rows[Status::OutsideMaxAge as usize]);
        }
        let mut values = [0_u64; Status::ALL.len()];
        for statuses in outputs.iter().filter_map(|output| found.statuses.get(*output)) {
            statuses.iter().for_each(|served| values[served.status as usize] += 1);
        }
        for (counters, counted) in [(&stored.rows, rows), (&stored.values, values)] {
            for (counter, counted) in counters.iter().zip(counted).filter(|(_, counted)| *counted > 0) {
                counter.inc_by(counted);
            }
        }
    }

    /// Rows were pushed into the view, or refused the push.
    pub(super) fn pushed(&self, pushed: &Result<Pushed, PushError>) {
        let Some(stored) = &self.stored else { return };
        for ((_, outcome), counter) in PUSH_OUTCOMES.iter().zip(&stored.pushed) {
            let refused = match pushed {
                Ok(Pushed { refused, .. }) | Err(PushError::Refused(refused)) => Some(refused),
                Err(_) => None,
            };
            let refused = |is_broken: bool| {
                let of = refused.into_iter().flat_map(BTreeMap::values);
                // Events that come too late have an outcome of their own.
                let of = of.filter(|one| one.reason != Reason::TooLate);
                of.filter(|one| (one.reason == Reason::Contract) == is_broken).count()
            };
            let rows = match (pushed, outcome) {
                (Ok(pushed), Became::Taken(outcome)) => pushed.count(*outcome),
                (Err(_), Became::Taken(_)) => 0,
                (_, Became::Broken) => refused(true),
                (_, Became::Refused) => refused(false),
            };
            counter.inc_by(rows as u64);
        }
    }

    /// The view's transform was called for so many rows; None: its time was over. The time is from asking for the call to its outcome, waiting for
    /// a worker included.
    pub(super) fn transformed(&self, rows: usize, outcome: &Result<Option<Outcome>, EngineError>, took: Duration) {
        let Some(computed) = &self.computed else { return };
        computed.seconds.observe(took.as_secs_f64());
        computed.rows.inc_by(rows as u64);
        let why = match outcome {
            Ok(Some(outcome)) => {
                computed.failed_rows.inc_by(outcome.failures.len() as u64);
                computed.fuel.inc_by(outcome.fuel);
                return;
            }
            Ok(None) => NoOutcome::Deadline,
            Err(error) => NoOutcome::of(error),
        };
        computed.without_outcome[why as usize].inc();
    }
}

impl ServiceMetrics {
    fn new(families: &Families, labels: ServiceLabels) -> ServiceMetrics {
        let seconds = families.service_seconds.get_or_create_owned(&labels);
        ServiceMetrics { labels, families: families.clone(), seconds, retired: AtomicBool::new(false) }
    }

    /// Rows of its answers were logged, or not.
    pub(super) fn logged(&self, fate: Fate, rows: u64) {
        if !self.retired.load(Ordering::Relaxed) {
            let labels = LogLabels { service: Arc::clone(&self.labels.service), outcome: fate.as_str() };
            self.families.feature_log_rows.get_or_create(&labels).inc_by(rows);
        }
    }

    /// A request to the service was answered.
    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        if self.retired.load(Ordering::Relaxed) {
            return;
        }
        self.seconds.observe(took.as_secs_f64());
        let labels = ServiceStatusLabels { service: Arc::clone(&self.labels.service), status: status.as_u16() };
        self.families.service_requests.get_or_create(&labels).inc();
    }
}

/// The versions that have series of their own: the newest of each view first, then those before them.
fn with_own_series<'a>(served: impl Iterator<Item = &'a ViewVersion>) -> BTreeSet<ViewVersion> {
    let mut by_name: BTreeMap<&str, Vec<&ViewVersion>> = BTreeMap::new();
    served.for_each(|id| by_name.entry(&id.name).or_default().push(id));
    let mut ranked: Vec<(usize, &ViewVersion)> = Vec::new();
    for versions in by_name.values_mut() {
        versions.sort_unstable_by_key(|id| std::cmp::Reverse(id.version));
        ranked.extend(versions.iter().copied().enumerate());
    }
    ranked.sort_unstable();
    ranked.into_iter().take(VIEWS_MAX).map(|(_, id)| id.clone()).collect()
}

/// The method as a label: HTTP lets clients make up their own.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => OTHER,
    }
}
