//! Training sets: for each label the feature values that were known at its time.
//!
//! Two passes over a view's published rows. The first reads join keys and times alone and lets the rows compete for the labels' instants
//! ([`tandem_core::point_in_time`]); the second reads the features of the rows that won, and no others. So rows are neither sorted nor kept,
//! and memory follows the labels. Where their index would not fit into the memory that may be used, labels are joined in parts, each with passes of
//! its own ([`TrainingOptions::memory_bytes_max`]). On-demand views are computed over the joined rows, through the engine, as a server computes
//! them.
//!
//! - `labels`: the labels' file, and their instants; `groups`: their distinct keys, numbered
//! - `history`: the published files of a view as one sequence of numbered rows
//! - `joined`: one view's answers for the labels of a part; `part`: those of all views
//! - `windows`: the same for views of aggregates, whose events are swept
//! - `computed`: on-demand views over them
//! - `output`: the columns of the training set; `write`: them into a file; `encode`: the columns of a row group side by side
//! - `explain`: why a label got what it got
//! - `report`: what came of it; `leakage`: what in it is suspicious
//! - `memory`: how many labels are joined at once; `trim`: memory goes back to the system; `threads`: work on several of them

mod computed;
mod encode;
mod error;
pub mod explain;
mod groups;
mod history;
mod joined;
mod labels;
pub mod leakage;
mod memory;
mod output;
mod part;
mod report;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod threads;
mod trim;
pub(crate) mod windows;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::{Stream, StreamExt};
use tandem_core::checks::JoinedChecker;
use tandem_core::feature_plan::{FeaturePlan, StoredStep};
use tandem_core::model::{FeatureView, KnownBy, ViewVersion};
use tandem_core::point_in_time::Rules;
use tandem_core::time::Timestamp;
use tandem_engine::{Transform, Workers};

pub use error::TrainingError;
pub use history::SourceFile;
pub use labels::Labels;
pub use report::{ComputedReport, FeatureReport, LabelCounts, TrainingReport, ViewReport};
pub use write::{FinishedFile, TrainingFile, Written, digest, metadata};

use crate::bind::RowFunction;
use computed::Computing;
use history::History;
use joined::JoinedView;
use part::Part;
use windows::Superseded;

/// What a training set is made of.
pub struct TrainingRequest {
    /// The labels.
    pub labels: Labels,
    /// The labels' column with T, the instant for which values are asked.
    pub event_time: String,
    /// The labels' column with the time at which the outcome was observed. Nothing but a check: it must not be before T.
    pub observed_time: Option<String>,
    /// IANA time zone in which label times without a zone are read; without it they are refused.
    pub timezone: Option<String>,
    /// What is asked for.
    pub plan: FeaturePlan,
    /// The transforms of the plan's computed views.
    pub transforms: BTreeMap<ViewVersion, Transform>,
    /// Columns of the plan's request (join keys, inputs of on-demand views) that have another name among the label's columns.
    pub columns: BTreeMap<String, String>,
    /// Whether created and published times do not count: what was not known yet at T may be joined. Leaks; for comparisons.
    pub ignore_created_time: bool,
    /// Folder of the published rows.
    pub offline_root: PathBuf,
    /// The files of each view that may be joined, below `offline_root`; None for all that there are.
    pub only_files: Option<BTreeMap<ViewVersion, BTreeSet<PathBuf>>>,
    /// Whether each view has a column with the status of its values.
    pub statuses: bool,
    /// How it is read.
    pub options: TrainingOptions,
}

/// How a training set is read. None of these can change a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingOptions {
    /// `join_batch_rows`: rows that are read, joined and written at a time.
    pub batch_rows: usize,
    /// `threads`: files of a view that are read at the same time. Each has slots of its own for the labels' instants.
    pub threads: usize,
    /// `join_memory_bytes_max`: what the process may take, in bytes, estimated: the index over the labels, the values that are joined to them, events of aggregates,
    /// and 64 MiB for everything else. Labels beyond it are joined in further parts, events lie in temporary files.
    pub memory_bytes_max: u64,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        TrainingOptions { batch_rows: 65_536, threads, memory_bytes_max: 1 << 30 }
    }
}

/// A training set, ready to be joined and read in the order of the labels. Cheap to clone.
#[derive(Clone)]
pub struct TrainingSet {
    shared: Arc<Shared>,
}

struct Shared {
    request: Prepared,
    schema: SchemaRef,
    times: Vec<Timestamp>,
    histories: Vec<History>,
    /// For each history of an aggregate view: events that later versions supersede.
    superseded: Vec<Superseded>,
    computing: Computing,
    parts: Vec<Range<usize>>,
    report: Mutex<TrainingReport>,
    /// For each stored view.
    checkers: Mutex<Vec<JoinedChecker>>,
}

/// A request whose transforms went where they are called.
struct Prepared {
    labels: Labels,
    event_time: String,
    timezone: Option<String>,
    plan: FeaturePlan,
    columns: BTreeMap<String, String>,
    ignore_created_time: bool,
    statuses: bool,
    options: TrainingOptions,
}

impl Prepared {
    /// What decides between a view's rows.
    fn rules(&self, view: &FeatureView) -> Rules {
        let rules = Rules::of(view);
        if self.ignore_created_time { Rules { known_by: KnownBy::Event, ..rules } } else { rules }
    }

    /// The label column of a column of the plan's request.
    fn label_column<'a>(&'a self, name: &'a str) -> &'a str {
        self.columns.get(name).map_or(name, String::as_str)
    }
}

impl TrainingSet {
    /// Reads the labels' times, lists the files of the views and checks that all fits together. Joins nothing yet. Blocking.
    ///
    /// # Errors
    ///
    /// Label columns that are not there or do not convert without loss, a label without a time, a view of which nothing is published or whose
    /// files are not its own, and whatever the file system refuses.
    pub fn prepare(request: TrainingRequest) -> Result<Self, TrainingError> {
        let functions = request.transforms.into_iter().map(|(id, transform)| {
            let function: Arc<dyn RowFunction> = Arc::new(transform);
            (id, function)
        });
        let functions = functions.collect();
        let request = TrainingRequest { transforms: BTreeMap::new(), ..request };
        Self::prepare_with(request, functions)
    }

    /// The same, over what stands in for transforms.
    fn prepare_with(
        request: TrainingRequest,
        functions: BTreeMap<ViewVersion, Arc<dyn RowFunction>>,
    ) -> Result<Self, TrainingError> {
        let started = Instant::now();
        let TrainingRequest { labels, event_time, observed_time, timezone, plan, columns, statuses, .. } = request;
        let mut options = request.options;
        options.batch_rows = options.batch_rows.max(1);
        let known = |name: &String| plan.request.iter().any(|column| column.name == *name);
        if let Some(unknown) = columns.keys().find(|name| !known(name)) {
            let names = plan.request.iter().map(|column| column.name.clone()).collect();
            return Err(TrainingError::UnknownRequestColumn { column: unknown.clone(), known: names });
        }
        let prepared = Prepared {
            labels,
            event_time,
            timezone,
            plan,
            columns,
            ignore_created_time: request.ignore_created_time,
            statuses,
            options,
        };
        let schema = output::schema(&prepared.labels, &prepared.plan, statuses)?;
        // All columns that are needed are there, before anything large is read.
        labels::positions(&prepared)?;
        let times =
            prepared.labels.times(&prepared.event_time, prepared.timezone.as_deref(), prepared.options.batch_rows)?;
        let observed_before = match &observed_time {
            Some(column) => prepared.labels.observed_before(column, &times, &prepared)?,
            None => 0,
        };
        let none = BTreeSet::new();
        let histories = prepared.plan.stored.iter().map(|step| {
            let only = request.only_files.as_ref().map(|files| files.get(&step.view.view.id()));
            let events = step.view.events().map(Arc::new);
            History::open(
                events.as_ref().unwrap_or(&step.view),
                &request.offline_root,
                only.map(|files| files.unwrap_or(&none)),
                prepared.options.threads,
            )
        });
        let histories = histories.collect::<Result<Vec<_>, _>>()?;
        let superseded =
            prepared.plan.stored.iter().zip(&histories).map(|(step, history)| match step.view.view.is_aggregates() {
                true => Superseded::read(history, prepared.rules(&step.view.view), prepared.options.threads),
                false => Ok(Superseded::default()),
            });
        let superseded = superseded.collect::<Result<Vec<_>, _>>()?;
        let computing = Computing::new(&prepared.plan, functions)?;
        let parts = memory::parts(times.len(), &prepared, &histories);
        let names = output::names(&prepared.labels, &prepared.plan).features;
        let mut report = TrainingReport::new(&prepared.plan, &names, &histories, &times);
        report.observed_before_time = observed_before;
        report.parts = parts.len() as u64;
        report.phases.prepare = started.elapsed();
        let checker = |step: &StoredStep| {
            let outputs = step.outputs.iter().map(|output| &step.view.signature.outputs[*output].name[..]);
            JoinedChecker::new(&step.view.view.checks, &outputs.collect::<Vec<_>>())
        };
        let checkers = Mutex::new(prepared.plan.stored.iter().map(checker).collect());
        let report = Mutex::new(report);
        let shared =
            Shared { request: prepared, schema, times, histories, superseded, computing, parts, report, checkers };
        Ok(TrainingSet { shared: Arc::new(shared) })
    }

    /// The label's columns, then the features in the order of the plan, then, if asked for, `VIEW__status` for each view.
    pub fn schema(&self) -> &SchemaRef {
        &self.shared.schema
    }

    /// What came of it: counts of what was read from the stream so far, so it is complete where the stream is at its end.
    pub fn report(&self) -> TrainingReport {
        let mut report = self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let checkers = self.shared.checkers.lock().unwrap_or_else(PoisonError::into_inner);
        for (view, checker) in report.views.iter_mut().zip(checkers.iter()) {
            view.checks = checker.finish();
        }
        report
    }

    /// The files whose rows may be joined, for each stored view in the order of the plan. Blocking.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn source_files(&self) -> Result<Vec<(ViewVersion, Vec<SourceFile>)>, TrainingError> {
        let files = |history: &History| Ok((history.view().view.id(), history.source_files()?));
        self.shared.histories.iter().map(files).collect()
    }

    /// The rows: one for each label, in their order. Joins happen on the way, part by part; what blocks, runs on `workers`. `progress` is told of
    /// labels that are done.
    pub fn stream(
        &self,
        workers: &Workers,
        progress: impl Fn(u64) + Clone + Send + 'static,
    ) -> impl Stream<Item = Result<RecordBatch, TrainingError>> + Send + 'static {
        let this = self.clone();
        let workers = workers.clone();
        let parts = this.shared.parts.clone();
        let in_flight = workers.threads().max(1) + 1;
        futures::stream::iter(parts)
            .then(move |rows| {
                let (this, workers, progress) = (this.clone(), workers.clone(), progress.clone());
                async move {
                    let joined = {
                        let this = this.clone();
                        let join = move || Part::join(&this.shared, rows).map(Arc::new);
                        flatten(workers.run(join).await)
                    };
                    let batches = match joined.and_then(|part| Ok((part.labels(&this.shared)?, part))) {
                        Err(error) => futures::stream::iter([Err(error)]).boxed(),
                        Ok((labels, part)) => {
                            let batches = futures::stream::iter(labels).map(move |labels| {
                                let (this, part, workers) = (this.clone(), Arc::clone(&part), workers.clone());
                                async move {
                                    let (rows, labels) = labels?;
                                    let answer = move || part.batch(&this.shared, rows, &labels);
                                    flatten(workers.run(answer).await)
                                }
                            });
                            batches.buffered(in_flight).boxed()
                        }
                    };
                    batches.inspect(move |batch| {
                        if let Ok(batch) = batch {
                            progress(batch.num_rows() as u64);
                        }
                    })
                }
            })
            .flatten()
    }

    /// Number of labels, and so of rows.
    pub fn rows(&self) -> u64 {
        self.shared.times.len() as u64
    }
}

impl Shared {
    /// Shows to the checks of the stored view at `index` what its labels got, if it has any.
    fn check(&self, index: usize, view: &JoinedView, labels: usize) {
        let mut checkers = self.checkers.lock().unwrap_or_else(PoisonError::into_inner);
        if !checkers[index].is_empty() {
            view.check(&mut checkers[index], labels);
        }
    }

    fn report(&self, change: impl FnOnce(&mut TrainingReport)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl std::fmt::Debug for TrainingSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrainingSet").field("labels", &self.shared.times.len()).finish_non_exhaustive()
    }
}

/// Time spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// Reading the labels' times and the footers of files.
    pub prepare: Duration,
    /// Reading the labels' keys.
    pub index: Duration,
    /// First pass: keys and times of all rows.
    pub offer: Duration,
    /// Second pass: values of the rows that won.
    pub fetch: Duration,
    /// Columns of the training set, with on-demand views; on all threads together.
    pub answer: Duration,
}

fn flatten<T>(done: Result<Result<T, TrainingError>, tandem_engine::WorkerPanic>) -> Result<T, TrainingError> {
    done.unwrap_or_else(|panic| Err(crate::error::OfflineError::Task(panic.0).into()))
}
