//! `POST /v1/services/{name}`: the features of a feature service, stored ones and those computed on demand, for rows that the request gives.

mod encode;
mod request;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{ArrayRef, TimestampMicrosecondArray};
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use tandem_core::definition::bind_service;
use tandem_core::feature_plan::{FeaturePlan, StoredStep};
use tandem_core::model::{BoundView, FeatureService, ViewVersion};
use tandem_core::status::Status;
use tandem_core::time::Timestamp;
use tandem_engine::{EngineError, Evaluation, StoredColumns};
use tandem_online::Store;
use tokio::time::timeout_at;

use super::body::{self, JSON, Media};
use super::features::{FeaturesError, accepts_json, find_number, not_materialized};
use super::guard::{self, Deadline};
use super::metrics::ServiceMetrics;
use super::names;
use super::problem::{Kind, Problem, status_of};
use super::state::{Server, View};
use super::transforms::{engine_problem, no_transform, too_late};
use crate::lookup::{Found, lookup};

/// A feature service, with what requests need of it worked out once.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) plan: FeaturePlan,
    /// The views of the plan's stored steps.
    stored: Vec<Arc<View>>,
    /// Those of its computed steps.
    computed: Vec<Arc<View>>,
    pub(super) metrics: Arc<ServiceMetrics>,
}

impl Service {
    /// The services over the views that are served, with the series of each; one that they do not give is told in the log.
    pub(super) fn all(
        services: &[FeatureService],
        views: &[Arc<View>],
        metrics: &[Arc<ServiceMetrics>],
    ) -> BTreeMap<String, Arc<Service>> {
        let bound = views.iter().map(|view| (view.bound.view.id(), Arc::clone(&view.bound))).collect();
        let by_id = views.iter().map(|view| (view.bound.view.id(), view)).collect();
        let make = |(service, metrics): (&FeatureService, &Arc<ServiceMetrics>)| match Service::new(
            service, &bound, &by_id, metrics,
        ) {
            Ok(made) => Some((service.name.clone(), Arc::new(made))),
            // What is registered goes together; definition files that run as they are may not.
            Err(reason) => {
                tracing::error!(service = service.name, reason, "a feature service is not served");
                None
            }
        };
        services.iter().zip(metrics).filter_map(make).collect()
    }

    fn new(
        service: &FeatureService,
        bound: &BTreeMap<ViewVersion, Arc<BoundView>>,
        by_id: &BTreeMap<ViewVersion, &Arc<View>>,
        metrics: &Arc<ServiceMetrics>,
    ) -> Result<Service, String> {
        let signatures = bound.iter().map(|(id, bound)| (id.clone(), &bound.signature)).collect();
        let columns = bind_service(service, &signatures)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
        let plan = FeaturePlan::new(&columns, bound).map_err(|error| error.to_string())?;
        let find = |bound: &Arc<BoundView>| {
            let id = bound.view.id();
            let found = by_id.get(&id).map(|view| Arc::clone(view));
            found.ok_or_else(|| format!("`{id}` is not served"))
        };
        let stored = plan.stored.iter().map(|step| find(&step.view)).collect::<Result<_, _>>()?;
        let computed = plan.computed.iter().map(|step| find(&step.view)).collect::<Result<_, _>>()?;
        Ok(Service { name: service.name.clone(), plan, stored, computed, metrics: Arc::clone(metrics) })
    }

    fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.stored.iter().chain(&self.computed)
    }
}

/// A request, decoded.
struct Asked {
    /// A column for each of the plan's request.
    columns: Vec<ArrayRef>,
    rows: usize,
    as_of: Timestamp,
}

/// What the store has for the rows of a request, by stored step.
struct Looked {
    found: Vec<Found>,
    columns: Vec<StoredColumns>,
}

pub(super) async fn service(
    State(server): State<Arc<Server>>,
    Extension(Deadline(deadline)): Extension<Deadline>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let Path(name) = name.map_err(|_| Problem::new(Kind::InvalidPath, "the service's name is not UTF-8"))?;
    let service = server.service(&name)?;
    let begin = Instant::now();
    let answered = asked(&server, &service, deadline, request).await;
    service.metrics.answered(status_of(&answered), begin.elapsed());
    answered
}

async fn asked(
    server: &Server,
    service: &Arc<Service>,
    deadline: tokio::time::Instant,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    Media::of_body(&head.headers, &[Media::Json])?;
    accepts_json(&head.headers)?;
    let body = body::read(&head.headers, body, &server.settings, deadline).await?;
    let answered = timeout_at(deadline, answer(server, service, body)).await;
    answered.unwrap_or_else(|_| Err(too_late(server.settings.request_seconds_max)))
}

async fn answer(server: &Server, service: &Arc<Service>, body: axum::body::Bytes) -> Result<Response, Problem> {
    let (shared, clock, rows_max) = (Arc::clone(service), server.clock(), server.settings.rows_max);
    let asked = server.compute(body.len(), move || request::decode(&body, &shared.plan, clock, rows_max)).await??;
    let Asked { columns, rows, as_of } = asked;

    let looked = match (&server.store, service.stored.is_empty()) {
        (_, true) => Looked { found: Vec::new(), columns: Vec::new() },
        (None, false) => return Err(not_materialized(&service.stored[0])),
        (Some(store), false) => {
            // Lookups block, though not for long, and a read transaction must not live across an await.
            let (store, shared, columns) = (Arc::clone(store), Arc::clone(service), columns.clone());
            let looked = server.on_worker(move || look_up(&store, &shared, &columns, as_of)).await?;
            match looked.map_err(|error| Problem::internal("the online store cannot be read", &error))? {
                Ok(looked) => looked,
                Err(missing) => return Err(not_materialized(&service.stored[missing])),
            }
        }
    };
    let Looked { found, columns: stored } = looked;
    let instants = TimestampMicrosecondArray::from_value(as_of.0, rows).with_timezone("UTC");
    let mut evaluation = Evaluation::new(&service.plan, columns, Arc::new(instants), stored);
    let internal = |error: EngineError| Problem::internal("columns do not fit their plan", &error);
    while let Some(inputs) = evaluation.next().map_err(internal)? {
        let view = &service.computed[inputs.step];
        let Some(on_demand) = &view.on_demand else { return Err(no_transform(view)) };
        let begin = Instant::now();
        let outcome = on_demand.apply(inputs.batch.clone()).await;
        view.metrics.transformed(inputs.batch.num_rows(), &outcome, begin.elapsed());
        let outcome = outcome.map_err(|error| engine_problem(&error))?;
        evaluation.push(inputs, outcome).map_err(internal)?;
    }
    let body = encode::json(service, &evaluation, &found, as_of, rows)
        .map_err(|error| Problem::internal("features cannot be encoded", &error))?;
    let mut response = guard::ok(body, JSON, rows);
    for view in service.views() {
        server.mark(view, &mut response);
    }
    Ok(response)
}

/// What the store has; the position of a stored step that was never materialized. Blocking.
fn look_up(
    store: &Store,
    service: &Service,
    request: &[ArrayRef],
    as_of: Timestamp,
) -> Result<Result<Looked, usize>, FeaturesError> {
    let mut looked = Looked { found: Vec::new(), columns: Vec::new() };
    for (index, (step, view)) in service.plan.stored.iter().zip(&service.stored).enumerate() {
        let Some(number) = find_number(store, &step.view, view.store_view)? else { return Ok(Err(index)) };
        let keys: Vec<ArrayRef> = step.keys.iter().map(|key| Arc::clone(&request[*key])).collect();
        let begin = Instant::now();
        let found = lookup(store, number, &step.view, &keys, as_of)?;
        view.metrics.looked_up(&found, &step.outputs, as_of, begin.elapsed());
        if let Some((row, reason)) = found.corrupt.first() {
            let (view, rows) = (&step.view.view, found.corrupt.len());
            tracing::error!(view = view.name, version = view.version, rows, row, reason, "stored rows are corrupt");
        }
        looked.columns.push(columns(step, &found));
        looked.found.push(found);
    }
    Ok(Ok(looked))
}

/// What on-demand views see of stored rows.
fn columns(step: &StoredStep, found: &Found) -> StoredColumns {
    let event_time = |served: &crate::lookup::Served| match (served.status, &served.record) {
        (Status::Present, Some(record)) => Some(record.event_time.0),
        _ => None,
    };
    let event_times: TimestampMicrosecondArray = found.rows.iter().map(event_time).collect();
    StoredColumns {
        features: step.outputs.iter().map(|output| Arc::clone(&found.features[*output])).collect(),
        event_times: Arc::new(event_times.with_timezone("UTC")),
        failed: found.corrupt.iter().map(|(row, _)| (*row, Status::Corrupt.to_string())).collect(),
    }
}

/// The service of this name, or the problem that there is none.
pub(super) fn find(services: &BTreeMap<String, Arc<Service>>, name: &str) -> Result<Arc<Service>, Problem> {
    services.get(name).map(Arc::clone).ok_or_else(|| {
        let known: Vec<&str> = services.keys().map(String::as_str).collect();
        Problem::new(Kind::ServiceNotFound, format!("there is no feature service `{}`", names::cut(name)))
            .hint(names::hint(name, "feature services", &known))
    })
}
