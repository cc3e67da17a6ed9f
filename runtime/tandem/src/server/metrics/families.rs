//! Names, labels and helps of all metrics that are recorded on the way.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};
use tandem_core::model::ViewVersion;
use tandem_core::status::Status;

use super::histogram::{AGE_SECONDS, Histogram, LATENCY_SECONDS};
use super::{NoOutcome, PUSH_OUTCOMES};
use crate::feature_log::Fate;

/// Beginning of every name, with `_`.
pub(super) const PREFIX: &str = "tandem";

/// The label of all that has no series of its own.
pub(in crate::server) const OTHER: &str = "other";

/// A version of a view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ViewLabels {
    view: Arc<str>,
    version: Arc<str>,
}

impl ViewLabels {
    pub(super) fn of(id: &ViewVersion) -> ViewLabels {
        ViewLabels { view: id.name.as_str().into(), version: id.version.to_string().into() }
    }

    pub(super) fn other() -> ViewLabels {
        ViewLabels { view: OTHER.into(), version: OTHER.into() }
    }
}

/// A version of a view, and a status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StatusLabels {
    view: Arc<str>,
    version: Arc<str>,
    status: &'static str,
}

impl StatusLabels {
    fn new(of: &ViewLabels, status: Status) -> StatusLabels {
        StatusLabels { view: Arc::clone(&of.view), version: Arc::clone(&of.version), status: status.as_str() }
    }
}

/// A version of a view, and what became of pushed rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabels {
    view: Arc<str>,
    version: Arc<str>,
    outcome: &'static str,
}

impl OutcomeLabels {
    fn new(of: &ViewLabels, outcome: &'static str) -> OutcomeLabels {
        OutcomeLabels { view: Arc::clone(&of.view), version: Arc::clone(&of.version), outcome }
    }
}

/// A version of a view, and why a call of its transform came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    view: Arc<str>,
    version: Arc<str>,
    reason: &'static str,
}

impl ReasonLabels {
    fn new(of: &ViewLabels, reason: NoOutcome) -> ReasonLabels {
        ReasonLabels { view: Arc::clone(&of.view), version: Arc::clone(&of.version), reason: reason.as_str() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct ServiceLabels {
    pub(super) service: Arc<str>,
}

impl ServiceLabels {
    pub(super) fn new(service: &str) -> ServiceLabels {
        ServiceLabels { service: service.into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ServiceStatusLabels {
    pub(super) service: Arc<str>,
    pub(super) status: u16,
}

/// A feature service, and what became of rows of its log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LogLabels {
    pub(super) service: Arc<str>,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) route: String,
    pub(super) method: &'static str,
    pub(super) status: u16,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Metrics with labels. Cheap to clone: all clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Families {
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) request_seconds: Histograms<RouteLabels>,
    pub(super) service_requests: Family<ServiceStatusLabels, Counter>,
    pub(super) service_seconds: Histograms<ServiceLabels>,
    pub(super) feature_log_rows: Family<LogLabels, Counter>,
    pub(super) lookup_seconds: Histogram,
    pub(super) lookup_rows: Family<StatusLabels, Counter>,
    pub(super) lookup_values: Family<StatusLabels, Counter>,
    pub(super) ages: Histograms<ViewLabels>,
    pub(super) freshness_rows: Family<ViewLabels, Counter>,
    pub(super) freshness_rows_met: Family<ViewLabels, Counter>,
    pub(super) expired_rows: Family<ViewLabels, Counter>,
    pub(super) push_seconds: Histogram,
    pub(super) push_rows: Family<OutcomeLabels, Counter>,
    pub(super) transform_seconds: Histograms<ViewLabels>,
    pub(super) transform_rows: Family<ViewLabels, Counter>,
    pub(super) transform_failed_rows: Family<ViewLabels, Counter>,
    pub(super) transform_errors: Family<ReasonLabels, Counter>,
    pub(super) transform_fuel: Family<ViewLabels, Counter>,
}

impl Families {
    pub(super) fn registered(registry: &mut Registry) -> Families {
        fn latencies() -> Histogram {
            Histogram::new(LATENCY_SECONDS)
        }
        fn ages() -> Histogram {
            Histogram::new(AGE_SECONDS)
        }
        let families = Families {
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(latencies),
            service_requests: Family::default(),
            service_seconds: Family::new_with_constructor(latencies),
            feature_log_rows: Family::default(),
            lookup_seconds: latencies(),
            lookup_rows: Family::default(),
            lookup_values: Family::default(),
            ages: Family::new_with_constructor(ages),
            freshness_rows: Family::default(),
            freshness_rows_met: Family::default(),
            expired_rows: Family::default(),
            push_seconds: latencies(),
            push_rows: Family::default(),
            transform_seconds: Family::new_with_constructor(latencies),
            transform_rows: Family::default(),
            transform_failed_rows: Family::default(),
            transform_errors: Family::default(),
            transform_fuel: Family::default(),
        };
        // The name of a counter ends in `_total`, which is added, as is the unit.
        let f = &families;
        registry.register("http_requests", "Requests that were answered", f.requests.clone());
        let help = "From a request's head to its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, f.request_seconds.clone());
        let help = "Requests to a feature service that were answered";
        registry.register("service_requests", help, f.service_requests.clone());
        let help = "From the head of a request to a feature service to its answer";
        registry.register_with_unit("service_request_duration", help, Unit::Seconds, f.service_seconds.clone());
        let help = "Rows of answers for the feature log, by what became of them";
        registry.register("feature_log_rows", help, f.feature_log_rows.clone());
        let help = "Looking the entities of one request up, in all views together";
        registry.register_with_unit("lookup_duration", help, Unit::Seconds, f.lookup_seconds.clone());
        let help = "Entities that were looked up, by what their row is served as";
        registry.register("lookup_rows", help, f.lookup_rows.clone());
        let help = "Stored values that were asked for, by what they are served as";
        registry.register("lookup_values", help, f.lookup_values.clone());
        let help = "From the event time of a row that is served to the instant that was asked for";
        registry.register_with_unit("feature_age", help, Unit::Seconds, f.ages.clone());
        let help = "Rows that were found of a view with a freshness objective";
        registry.register("freshness_rows", help, f.freshness_rows.clone());
        let help = "Of them, rows that were no older than the objective";
        registry.register("freshness_rows_met", help, f.freshness_rows_met.clone());
        let help = "Rows that lost their values since they are older than the ttl";
        registry.register("expired_rows", help, f.expired_rows.clone());
        let help = "From the rows of a push to its acknowledgement";
        registry.register_with_unit("push_duration", help, Unit::Seconds, f.push_seconds.clone());
        registry.register("push_rows", "Rows that were pushed, by what became of them", f.push_rows.clone());
        let help = "From asking for a call of a transform to its outcome";
        registry.register_with_unit("transform_duration", help, Unit::Seconds, f.transform_seconds.clone());
        registry.register("transform_rows", "Rows that transforms were asked for", f.transform_rows.clone());
        let help = "Rows for which a transform failed";
        registry.register("transform_failed_rows", help, f.transform_failed_rows.clone());
        let help = "Calls of transforms without an outcome, by reason";
        registry.register("transform_errors", help, f.transform_errors.clone());
        registry.register("transform_fuel", "Fuel used, about one instruction each", f.transform_fuel.clone());
        families
    }

    /// One counter for each status, in the order of [`Status::ALL`].
    pub(super) fn by_status(&self, family: &Family<StatusLabels, Counter>, labels: &ViewLabels) -> Vec<Counter> {
        Status::ALL.iter().map(|status| family.get_or_create_owned(&StatusLabels::new(labels, *status))).collect()
    }

    /// One counter for each reason, in the order of [`NoOutcome::ALL`].
    pub(super) fn by_reason(&self, labels: &ViewLabels) -> Vec<Counter> {
        let of = |reason| self.transform_errors.get_or_create_owned(&ReasonLabels::new(labels, reason));
        NoOutcome::ALL.into_iter().map(of).collect()
    }

    /// One counter for each outcome, in the order of [`PUSH_OUTCOMES`].
    pub(super) fn by_outcome(&self, labels: &ViewLabels) -> Vec<Counter> {
        let of = |(outcome, _)| self.push_rows.get_or_create_owned(&OutcomeLabels::new(labels, outcome));
        PUSH_OUTCOMES.into_iter().map(of).collect()
    }

    /// A version of a view has no freshness objective any more.
    pub(super) fn forget_freshness(&self, labels: &ViewLabels) {
        for counters in [&self.freshness_rows, &self.freshness_rows_met] {
            counters.remove(labels);
        }
    }

    /// A version of a view is no longer served.
    pub(super) fn forget_view(&self, labels: &ViewLabels) {
        self.forget_freshness(labels);
        for histograms in [&self.ages, &self.transform_seconds] {
            histograms.remove(labels);
        }
        self.expired_rows.remove(labels);
        for counters in [&self.transform_rows, &self.transform_failed_rows, &self.transform_fuel] {
            counters.remove(labels);
        }
        for (outcome, _) in PUSH_OUTCOMES {
            self.push_rows.remove(&OutcomeLabels::new(labels, outcome));
        }
        for reason in NoOutcome::ALL {
            self.transform_errors.remove(&ReasonLabels::new(labels, reason));
        }
        for counters in [&self.lookup_rows, &self.lookup_values] {
            for status in Status::ALL {
                counters.remove(&StatusLabels::new(labels, status));
            }
        }
    }

    /// A feature service is no longer served.
    pub(super) fn forget_service(&self, labels: &ServiceLabels) {
        self.service_seconds.remove(labels);
        for fate in Fate::ALL {
            self.feature_log_rows.remove(&LogLabels { service: Arc::clone(&labels.service), outcome: fate.as_str() });
        }
        for status in 100..600 {
            self.service_requests.remove(&ServiceStatusLabels { service: Arc::clone(&labels.service), status });
        }
    }
}
