//! Features of rows: stored ones looked up in one snapshot, those of on-demand views computed as soon as what they read is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{Array, ArrayRef, TimestampMicrosecondArray, UInt32Array};
use arrow_select::take::take;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tandem_core::feature_plan::{Step, StoredStep};
use tandem_core::status::{FeatureStatus, Status};
use tandem_core::time::Timestamp;
use tandem_engine::{EngineError, Evaluation, Inputs, Outcome, StoredColumns, Unknown};
use tandem_online::Store;
use tokio::time::sleep_until;

use super::Service;
use crate::lookup::{Ask, At, LookedUp, Served, lookup_all};
use crate::server::deadline::Until;
use crate::server::features::{FeaturesError, find_number, not_materialized};
use crate::server::limits;
use crate::server::metrics::Metrics;
use crate::server::problem::{FAILURES_SHOWN_MAX, Kind, Problem};
use crate::server::state::{Server, View};
use crate::server::transforms::{engine_problem, failure_of, no_transform};

/// What is asked for: rows with a column for each of the plan's request.
#[derive(Debug)]
pub(in crate::server) struct Rows {
    pub(in crate::server) columns: Vec<ArrayRef>,
    pub(in crate::server) rows: usize,
    pub(in crate::server) as_of: Timestamp,
    /// Whether that is the clock's, and not the caller's.
    pub(in crate::server) is_present: bool,
}

/// The features of rows.
pub(in crate::server) struct Vectors {
    pub(in crate::server) service: Arc<Service>,
    pub(in crate::server) rows: usize,
    pub(in crate::server) as_of: Timestamp,
    /// What was asked with, a column for each of the plan's request.
    pub(in crate::server) request: Vec<ArrayRef>,
    /// Those of the plan's columns that are computed, by position.
    computed: BTreeMap<usize, ArrayRef>,
    /// For each computed step the rows of which nothing is known, and why.
    pub(in crate::server) failed: Vec<BTreeMap<usize, Unknown>>,
    /// For each stored step what was found.
    looked_up: Vec<LookedUp>,
    /// Why the calls of computed steps as a whole came to nothing.
    problems: BTreeMap<usize, Problem>,
}

impl Vectors {
    /// What a feature's value is served as.
    pub(in crate::server) fn status(&self, column: usize, row: usize) -> FeatureStatus {
        let from = self.service.plan.columns[column].from;
        match from.step {
            Step::Stored(step) => {
                let looked_up = &self.looked_up[step];
                looked_up.found.statuses[from.output][looked_up.place(row)]
            }
            Step::Computed(step) => {
                let of_row = self.failed[step].get(&row).map_or(Status::Present, |why| why.status);
                FeatureStatus::of(of_row, self.computed[&column].is_null(row), false)
            }
        }
    }

    /// The event time of the stored row, served or too old; what is computed has none.
    pub(in crate::server) fn event_time(&self, column: usize, row: usize) -> Option<Timestamp> {
        match self.service.plan.columns[column].from.step {
            Step::Stored(step) => self.served(step, row).record.as_ref().map(|record| record.event_time),
            Step::Computed(_) => None,
        }
    }

    /// The entities of a stored step that differ.
    pub(in crate::server) fn found(&self, step: usize) -> &[Served] {
        &self.looked_up[step].found.rows
    }

    /// A feature's values, those of a stored one each entity once; [`Vectors::place`] says where a row's is.
    pub(in crate::server) fn values(&self, column: usize) -> &ArrayRef {
        let from = self.service.plan.columns[column].from;
        match from.step {
            Step::Stored(step) => &self.looked_up[step].found.features[from.output],
            Step::Computed(_) => &self.computed[&column],
        }
    }

    /// A feature's values, one for each row.
    pub(in crate::server) fn column(&self, column: usize) -> ArrayRef {
        let places = match self.service.plan.columns[column].from.step {
            Step::Stored(step) => self.looked_up[step].places.as_ref(),
            Step::Computed(_) => None,
        };
        spread(self.values(column), places)
    }

    /// Whether a value may stand in several rows: rows of one entity.
    pub(in crate::server) fn are_spread(&self, column: usize) -> bool {
        match self.service.plan.columns[column].from.step {
            Step::Stored(step) => self.looked_up[step].places.is_some(),
            Step::Computed(_) => false,
        }
    }

    /// What the values of a stored feature are served as, by place; None for what is computed.
    pub(in crate::server) fn statuses(&self, column: usize) -> Option<&Arc<[FeatureStatus]>> {
        let from = self.service.plan.columns[column].from;
        match from.step {
            Step::Stored(step) => Some(&self.looked_up[step].found.statuses[from.output]),
            Step::Computed(_) => None,
        }
    }

    /// The position of a row's value among [`Vectors::values`].
    pub(in crate::server) fn place(&self, column: usize, row: usize) -> usize {
        match self.service.plan.columns[column].from.step {
            Step::Stored(step) => self.looked_up[step].place(row),
            Step::Computed(_) => row,
        }
    }

    fn served(&self, step: usize, row: usize) -> &Served {
        let looked_up = &self.looked_up[step];
        &looked_up.found.rows[looked_up.place(row)]
    }

    /// Refuses an answer in which a required feature is not known.
    fn check_required(&self, until: &Until) -> Result<(), Problem> {
        let required = (0..self.service.required.len()).filter(|column| self.service.required[*column]);
        for column in required {
            let failing = |row: &usize| self.status(column, *row).status.is_failure();
            let Some(row) = (0..self.rows).find(failing) else { continue };
            return Err(self.required_problem(column, row, until));
        }
        Ok(())
    }

    fn required_problem(&self, column: usize, row: usize, until: &Until) -> Problem {
        let planned = &self.service.plan.columns[column];
        let name = planned.name.as_str();
        match (self.status(column, row).status, planned.from.step) {
            (Status::DeadlineExceeded, _) => until.problem().with("feature", name),
            (_, Step::Computed(step)) => {
                if let Some(problem) = self.problems.get(&step) {
                    return problem.clone().with("feature", name);
                }
                let failed = &self.failed[step];
                let shown = failed.iter().take(FAILURES_SHOWN_MAX).map(|(row, why)| failure_of(*row, why));
                let shown: Vec<_> = shown.collect();
                let detail = format!(
                    "the required feature `{name}` is not known for {} of {} rows; the first of them are in `failed_rows`",
                    failed.len(),
                    self.rows
                );
                Problem::new(Kind::RequiredFeature, detail).with("feature", name).with("failed_rows", shown)
            }
            (_, Step::Stored(_)) => {
                Problem::internal("a required feature is stored damaged", &format!("`{name}`, row {row}"))
                    .with("feature", name)
            }
        }
    }
}

/// The features of rows, by `until` at the latest: what is not there then is served as `DEADLINE_EXCEEDED`.
pub(in crate::server) async fn gather(
    server: &Server,
    service: &Arc<Service>,
    asked: Rows,
    until: &Until,
) -> Result<Vectors, Problem> {
    limits::check_answer(&server.settings, asked.rows, service.plan.columns.len())?;
    let looked_up = until.run(look_up(server, service, &asked)).await?;
    let mut evaluation = asked.evaluation(service, &looked_up);
    let problems = evaluate(service, &mut evaluation, until).await?;
    let computed = Computed::of(service, &evaluation);
    let vectors = asked.vectors(service, computed, problems, looked_up);
    vectors.check_required(until)?;
    Ok(vectors)
}

/// What `then` makes of the features of rows of a service that computes none, in one job of a worker, by `until` at the latest; the features too, where they are
/// logged. Otherwise they stay where they were made: memory that another thread gives back keeps the worker waiting.
pub(in crate::server) async fn gather_stored<T: Send + 'static>(
    server: &Server,
    service: &Arc<Service>,
    asked: Rows,
    until: &Until,
    then: impl FnOnce(&Vectors) -> T + Send + 'static,
) -> Result<(Option<Arc<Vectors>>, T), Problem> {
    limits::check_answer(&server.settings, asked.rows, service.plan.columns.len())?;
    let (service, live, store, own) = (Arc::clone(service), server.live.clone(), server.store.clone(), *until);
    let job = move || {
        let looked_up = look_up_blocking(store.as_deref(), &service, &asked.columns, asked.at(), live.metrics())?;
        let vectors = asked.vectors(&service, Computed::default(), BTreeMap::new(), looked_up);
        vectors.check_required(&own)?;
        let made = then(&vectors);
        Ok((service.logged.is_some().then(|| Arc::new(vectors)), made))
    };
    until.run(async { server.on_worker(job).await? }).await
}

impl Rows {
    fn at(&self) -> At {
        At { as_of: self.as_of, is_present: self.is_present }
    }

    /// The service's plan over what was found.
    fn evaluation<'a>(&self, service: &'a Service, looked_up: &[LookedUp]) -> Evaluation<'a> {
        let stored = std::iter::zip(&service.plan.stored, looked_up).map(|(step, found)| stored(step, found));
        let instants = TimestampMicrosecondArray::from_value(self.as_of.0, self.rows).with_timezone("UTC");
        Evaluation::new(&service.plan, self.columns.clone(), Arc::new(instants), stored.collect())
    }

    fn vectors(
        self,
        service: &Arc<Service>,
        Computed { columns: computed, failed }: Computed,
        problems: BTreeMap<usize, Problem>,
        looked_up: Vec<LookedUp>,
    ) -> Vectors {
        let Rows { columns: request, rows, as_of, .. } = self;
        Vectors { service: Arc::clone(service), rows, as_of, request, computed, failed, looked_up, problems }
    }
}

/// Those of the plan's columns that are computed, and for each computed step what is not known of it.
#[derive(Default)]
struct Computed {
    columns: BTreeMap<usize, ArrayRef>,
    failed: Vec<BTreeMap<usize, Unknown>>,
}

impl Computed {
    fn of(service: &Service, evaluation: &Evaluation<'_>) -> Computed {
        let columns = service.plan.columns.iter().enumerate();
        let columns = columns.filter(|(_, column)| matches!(column.from.step, Step::Computed(_)));
        let columns = columns.map(|(index, column)| (index, Arc::clone(evaluation.feature(column.from))));
        let failed = (0..service.computed.len()).map(|step| evaluation.failed(step).clone());
        Computed { columns: columns.collect(), failed: failed.collect() }
    }
}

/// Computes what can be computed, each view as soon as what it reads is there, so that a slow one delays no other. What calls came to nothing.
async fn evaluate(
    service: &Service,
    evaluation: &mut Evaluation<'_>,
    until: &Until,
) -> Result<BTreeMap<usize, Problem>, Problem> {
    let internal = |error: EngineError| Problem::internal("columns do not fit their plan", &error);
    let mut problems = BTreeMap::new();
    let mut under_way = FuturesUnordered::new();
    loop {
        while let Some(inputs) = evaluation.ready().map_err(internal)? {
            let view = &service.computed[inputs.step];
            under_way.push(call(view, inputs, until));
        }
        let Some((inputs, called)) = under_way.next().await else { break };
        let (status, message) = match called {
            Ok(Some(outcome)) => {
                evaluation.push(inputs, outcome).map_err(internal)?;
                continue;
            }
            Ok(None) => (Status::DeadlineExceeded, "its time was over before it was computed".to_owned()),
            Err(error) => {
                let step = inputs.step;
                let problem = service.computed[step].call_problem(&error)?;
                let message = problem.detail.clone();
                problems.insert(step, problem);
                (Status::TransformError, message)
            }
        };
        evaluation.give_up(inputs.step, &Unknown { status, message });
    }
    Ok(problems)
}

async fn call(view: &View, inputs: Inputs, until: &Until) -> (Inputs, Result<Option<Outcome>, CallError>) {
    let Some(on_demand) = &view.on_demand else {
        return (inputs, Err(CallError::NoTransform));
    };
    let begin = Instant::now();
    let called = on_demand.apply_until(inputs.batch.clone(), sleep_until(until.instant)).await;
    view.metrics.transformed(inputs.batch.num_rows(), &called, begin.elapsed());
    (inputs, called.map_err(CallError::Engine))
}

enum CallError {
    NoTransform,
    Engine(EngineError),
}

impl View {
    /// What a client is told of a call that came to nothing.
    ///
    /// # Errors
    ///
    /// The defects of this server, which are nobody's row's.
    fn call_problem(&self, error: &CallError) -> Result<Problem, Problem> {
        let problem = match error {
            CallError::NoTransform => return Err(no_transform(self)),
            CallError::Engine(error) => engine_problem(error),
        };
        if problem.kind == Kind::Internal { Err(problem) } else { Ok(problem) }
    }
}

/// What the store has for the rows, by stored step.
async fn look_up(server: &Server, service: &Arc<Service>, asked: &Rows) -> Result<Vec<LookedUp>, Problem> {
    // A read transaction must not live across an await.
    let (shared, columns, at, live) = (Arc::clone(service), asked.columns.clone(), asked.at(), server.live.clone());
    let look_up = move |store: Option<&Store>| look_up_blocking(store, &shared, &columns, at, live.metrics());
    let Some(store) = &server.store else { return look_up(None) };
    if service.stored.is_empty() {
        return Ok(Vec::new());
    }
    let keys = asked.rows * service.stored.len();
    let views = service.stored.iter().map(|view| &*view.bound);
    let job_store = Arc::clone(store);
    server.look_up(store, views, keys, move || look_up(Some(&job_store))).await?
}

/// The same, by a thread that may wait.
fn look_up_blocking(
    store: Option<&Store>,
    service: &Service,
    request: &[ArrayRef],
    at: At,
    metrics: &Metrics,
) -> Result<Vec<LookedUp>, Problem> {
    let Some(first) = service.stored.first() else { return Ok(Vec::new()) };
    let Some(store) = store else { return Err(not_materialized(first)) };
    let started = Instant::now();
    let unreadable = |error: FeaturesError| error.problem();
    let steps = std::iter::zip(&service.plan.stored, &service.stored);
    let mut asks = Vec::with_capacity(service.stored.len());
    for (step, view) in steps.clone() {
        let number = find_number(store, &step.view, view.store_view).map_err(|error| unreadable(error.into()))?;
        let Some(id) = number else { return Err(not_materialized(view)) };
        let keys = step.keys.iter().map(|key| Arc::clone(&request[*key])).collect();
        asks.push(Ask { id, view: &step.view, fingerprint: view.fingerprint, keys });
    }
    let looked_up = lookup_all(store, &asks, at).map_err(|error| unreadable(error.into()))?;
    metrics.looked_up(started.elapsed());
    for ((step, view), LookedUp { found, .. }) in steps.zip(&looked_up) {
        view.metrics.looked_up(found, &step.outputs, at.as_of);
        if let Some((row, reason)) = found.corrupt.first() {
            let (view, rows) = (&step.view.view, found.corrupt.len());
            tracing::error!(view = view.name, version = view.version, rows, row, reason, "stored rows are corrupt");
        }
    }
    Ok(looked_up)
}

/// What on-demand views, and the answer, see of stored rows.
fn stored(step: &StoredStep, looked_up: &LookedUp) -> StoredColumns {
    let found = &looked_up.found;
    let event_time = |served: &Served| match (served.status, &served.record) {
        (status, Some(record)) if status.gives_values() => Some(record.event_time.0),
        _ => None,
    };
    let event_times: TimestampMicrosecondArray = found.rows.iter().map(event_time).collect();
    let event_times: ArrayRef = Arc::new(event_times.with_timezone("UTC"));
    let features = step.outputs.iter().map(|output| &found.features[*output]);
    let corrupt: BTreeMap<usize, String> =
        found.corrupt.iter().map(|(row, _)| (*row, Status::Corrupt.to_string())).collect();
    let places = looked_up.places.as_ref();
    let failed = match places {
        Some(places) => {
            let of_rows = places.values().iter().enumerate();
            of_rows.filter_map(|(row, place)| Some((row, corrupt.get(&(*place as usize))?.clone()))).collect()
        }
        None => corrupt,
    };
    StoredColumns {
        features: features.map(|column| spread(column, places)).collect(),
        event_times: spread(&event_times, places),
        failed,
    }
}

/// A value for each row, of a column with one for each entity.
fn spread(column: &ArrayRef, places: Option<&UInt32Array>) -> ArrayRef {
    let Some(places) = places else { return Arc::clone(column) };
    take(column, places, None).expect("places lie within what was found")
}
