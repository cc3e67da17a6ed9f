//! What is asked for together: a feature service, or a list of features. What requests need of it is worked out once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use tandem_core::definition::bind_service;
use tandem_core::feature_plan::FeaturePlan;
use tandem_core::model::{BoundView, FeatureService, Required, ServiceFeatures, Share, Stage, ViewVersion};

use crate::server::feature_log::Logged;
use crate::server::metrics::ServiceMetrics;
use crate::server::names;
use crate::server::problem::{Kind, Problem, status_of};
use crate::server::state::View;
use crate::server::transforms::{write_list, write_string};

/// Lists of features whose plans are kept. Beyond it all are forgotten and made again as they are asked for.
const LISTS_MAX: usize = 256;

/// Features that are asked for together.
pub(in crate::server) struct Service {
    /// None for a list.
    pub(in crate::server) name: Option<String>,
    pub(in crate::server) plan: FeaturePlan,
    pub(in crate::server) deadline: Option<Duration>,
    /// The list `features` of an answer in JSON: of each column its name, and what it is of.
    pub(in crate::server) described: Vec<u8>,
    /// For each of the plan's columns `"name":`, which needs no escapes: names are identifiers.
    pub(in crate::server) keys: Vec<String>,
    /// For each of the plan's columns, whether an answer without it is of no use.
    pub(in crate::server) required: Vec<bool>,
    /// The views of the plan's stored steps.
    pub(in crate::server) stored: Vec<Arc<View>>,
    /// Those of its computed steps.
    pub(in crate::server) computed: Vec<Arc<View>>,
    /// What goes into the feature log; None where nothing does.
    pub(in crate::server) logged: Option<Logged>,
    /// None for a list.
    metrics: Option<Arc<ServiceMetrics>>,
}

/// The views that are served, as plans need them.
pub(in crate::server) struct Known<'a> {
    bound: BTreeMap<ViewVersion, Arc<BoundView>>,
    by_id: BTreeMap<ViewVersion, &'a Arc<View>>,
}

impl<'a> Known<'a> {
    pub(in crate::server) fn of(views: &'a [Arc<View>]) -> Self {
        Known {
            bound: views.iter().map(|view| (view.bound.view.id(), Arc::clone(&view.bound))).collect(),
            by_id: views.iter().map(|view| (view.bound.view.id(), view)).collect(),
        }
    }
}

impl Service {
    /// The services over the views that are served, with the series of each; one that they do not give is told in the log.
    pub(in crate::server) fn all(
        services: &[FeatureService],
        views: &[Arc<View>],
        metrics: &[Arc<ServiceMetrics>],
        registration: Option<u64>,
    ) -> BTreeMap<String, Arc<Service>> {
        let known = Known::of(views);
        let make = |(service, metrics): (&FeatureService, &Arc<ServiceMetrics>)| match Service::new(service, &known) {
            Ok(made) => {
                let logged = Logged::new(&service.name, service.log_share, &made.plan, registration, metrics);
                let made = Service { metrics: Some(Arc::clone(metrics)), logged, ..made };
                Some((service.name.clone(), Arc::new(made)))
            }
            // What is registered goes together; definition files that run as they are may not.
            Err(reason) => {
                tracing::error!(service = service.name, reason, "a feature service is not served");
                None
            }
        };
        services.iter().zip(metrics).filter_map(make).collect()
    }

    /// A service without a name.
    pub(in crate::server) fn list(
        features: Vec<ServiceFeatures>,
        prefix: bool,
        views: &[Arc<View>],
    ) -> Result<Service, String> {
        let service = FeatureService {
            name: "features".to_owned(),
            features,
            prefix,
            deadline: None,
            required: Required::None,
            log_share: Share::NONE,
            stage: Stage::Experimental,
            owner: String::new(),
            description: String::new(),
            tags: BTreeMap::new(),
        };
        Ok(Service { name: None, ..Service::new(&service, &Known::of(views))? })
    }

    fn new(service: &FeatureService, known: &Known<'_>) -> Result<Service, String> {
        let signatures = known.bound.iter().map(|(id, bound)| (id.clone(), &bound.signature)).collect();
        let columns = bind_service(service, &signatures)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let plan = FeaturePlan::new(&columns, &known.bound).map_err(|error| error.to_string())?;
        let find = |bound: &Arc<BoundView>| {
            let id = bound.view.id();
            let found = known.by_id.get(&id).map(|view| Arc::clone(view));
            found.ok_or_else(|| format!("`{id}` is not served"))
        };
        let stored = plan.stored.iter().map(|step| find(&step.view)).collect::<Result<_, _>>()?;
        let computed = plan.computed.iter().map(|step| find(&step.view)).collect::<Result<_, _>>()?;
        Ok(Service {
            name: Some(service.name.clone()),
            deadline: service.deadline.map(|deadline| Duration::from_micros(deadline.as_micros())),
            described: described(&plan),
            keys: plan.columns.iter().map(|column| format!("\"{}\":", column.name)).collect(),
            required: plan.columns.iter().map(|column| service.required.has(&column.name)).collect(),
            plan,
            stored,
            computed,
            logged: None,
            metrics: None,
        })
    }

    /// A request to the service was answered, so long after its head.
    pub(in crate::server) fn answered(&self, answered: &Result<Response, Problem>, took: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.answered(status_of(answered), took);
        }
    }

    /// All views that are read or computed.
    pub(in crate::server) fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.stored.iter().chain(&self.computed)
    }
}

fn described(plan: &FeaturePlan) -> Vec<u8> {
    let mut out = Vec::new();
    write_list(plan.columns.len(), &mut out, |index, out| {
        let column = &plan.columns[index];
        let bound = plan.view(column.from.step);
        out.extend_from_slice(b"{\"name\":");
        write_string(&column.name, out);
        let (view, version, digest) = (&bound.view.name, bound.view.version, bound.digest);
        out.extend_from_slice(
            format!(",\"view\":\"{view}\",\"version\":{version},\"digest\":\"{digest}\"}}").as_bytes(),
        );
    });
    out
}

/// The plans of lists of features that were asked for.
#[derive(Default)]
pub(in crate::server) struct Lists(Mutex<BTreeMap<List, Arc<Service>>>);

/// The features as they were named, and whether they are prefixed.
type List = (Vec<String>, bool);

impl Lists {
    /// The plan of a list, made if it was not asked for before.
    pub(in crate::server) fn get(
        &self,
        features: Vec<String>,
        prefix: bool,
        make: impl FnOnce(&[String]) -> Result<Service, Problem>,
    ) -> Result<Arc<Service>, Problem> {
        let key = (features, prefix);
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(make(&key.0)?);
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= LISTS_MAX {
            lists.clear();
        }
        lists.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

/// The service of this name, or the problem that there is none.
pub(in crate::server) fn find(services: &BTreeMap<String, Arc<Service>>, name: &str) -> Result<Arc<Service>, Problem> {
    services.get(name).map(Arc::clone).ok_or_else(|| {
        let known: Vec<&str> = services.keys().map(String::as_str).collect();
        Problem::new(Kind::ServiceNotFound, format!("there is no feature service `{}`", names::cut(name)))
            .hint(names::hint(name, "feature services", &known))
    })
}
