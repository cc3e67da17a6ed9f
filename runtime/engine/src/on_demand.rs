//! Requests that wait at the same moment share one call.
//!
//! A transform computes row by row, so the rows of several requests can go through one instance in one call without changing one bit
//! of one value; at load a fresh instance then costs each request next to nothing. Should the shared call fail as a whole, each request is
//! called for alone, so that no request suffers for another.
//!
//! A thread that hands a request to another and waits for it takes longer than most transforms do. So a small request may first be tried where
//! it is (`trial.rs`).
//!
//! One transform never has all workers: it has a share of them, and its requests wait for each other, not for those of other transforms nor they
//! for them. One whose calls keep failing is left alone for a while (`breaker.rs`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use futures::channel::oneshot;
use futures::future::{Either, select};

use crate::breaker::{Breaker, BreakerOptions};
use crate::error::EngineError;
use crate::reuse::ReuseOptions;
use crate::transform::{Fault, Outcome, RowFailure, Transform};
use crate::trial::{Trial, TrialOptions};
use crate::workers::{WorkerPanic, Workers};

/// Bounds of sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnDemandOptions {
    /// Rows that one shared call has at most, if more than one request is in it. Default: 4,096.
    pub shared_rows_max: usize,
    /// Whether and how far a request is tried on the thread that asks, before it goes to a worker. Default: not at all.
    pub trial: Option<TrialOptions>,
    /// Whether and how far instances are reused, for a transform that is proved to give the same bits then; such a transform is not tried. Default:
    /// a fresh instance for each call.
    pub reuse: Option<ReuseOptions>,
    /// Workers that one transform's calls may occupy at once, at least one. Default: no bound.
    pub workers_max: Option<usize>,
    /// Requests that may wait for a call of one transform, beside those that are called for; more are refused. Default: no bound.
    pub waiting_max: Option<usize>,
    /// When a transform whose calls keep failing is left alone. Default: never.
    pub breaker: Option<BreakerOptions>,
}

impl Default for OnDemandOptions {
    fn default() -> Self {
        OnDemandOptions {
            shared_rows_max: 4_096,
            trial: None,
            reuse: None,
            workers_max: None,
            waiting_max: None,
            breaker: None,
        }
    }
}

/// A transform that is called on demand. Cheap to clone.
#[derive(Clone)]
pub struct OnDemand {
    shared: Arc<Shared>,
    workers: Workers,
}

struct Shared {
    transform: Transform,
    options: OnDemandOptions,
    trial: Option<Trial>,
    waiting: Mutex<Waiting>,
    breaker: Option<Mutex<Breaker>>,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Request>,
    /// Jobs that are queued or under way.
    jobs: usize,
}

struct Request {
    inputs: RecordBatch,
    answer: oneshot::Sender<Result<Outcome, EngineError>>,
}

impl OnDemand {
    /// The transform, to be called on `workers`.
    pub fn new(transform: Transform, workers: Workers, options: OnDemandOptions) -> OnDemand {
        // A fresh instance for a trial would cost what reuse saves.
        let trial = options.trial.filter(|_| options.reuse.is_none()).map(|options| Trial::new(&transform, options));
        let breaker = options.breaker.map(|options| Mutex::new(Breaker::new(options)));
        OnDemand { shared: Arc::new(Shared { transform, options, trial, waiting: Mutex::default(), breaker }), workers }
    }

    /// The transform.
    pub fn transform(&self) -> &Transform {
        &self.shared.transform
    }

    /// The threads on which it is called.
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Requests that wait for a call.
    pub fn waiting(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// Whether the transform is left alone for now, because its calls kept failing.
    pub fn is_open(&self) -> bool {
        self.shared.breaker().is_some_and(|breaker| breaker.is_open())
    }

    /// One request's rows through the transform; see [`crate::Session::apply`]. Dropping the future abandons the answer, not the call.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::apply`]; [`EngineError::CircuitOpen`] where the transform is left alone, [`EngineError::QueueFull`] where too many wait.
    pub async fn apply(&self, inputs: RecordBatch) -> Result<Outcome, EngineError> {
        self.admit()?;
        let outcome = self.call(inputs).await;
        self.record(match &outcome {
            Ok(outcome) => !outcome.failures.is_empty() && is_broken(&outcome.failures, outcome.outputs.num_rows()),
            Err(EngineError::TooManyFailures { failures, .. }) => is_broken(failures, failures.len()),
            // That all instances are taken, or that many ask, is not this transform's doing alone.
            Err(EngineError::InstancesExhausted { .. } | EngineError::QueueFull { .. }) => return outcome,
            Err(_) => true,
        });
        outcome
    }

    /// As [`OnDemand::apply`], for whoever can wait until an instant alone, which the caller's timer tells: `over` resolves then. None if it does
    /// before there is an answer; the transform was too slow, which counts as a failed call.
    ///
    /// # Errors
    ///
    /// As [`OnDemand::apply`].
    pub async fn apply_until(
        &self,
        inputs: RecordBatch,
        over: impl Future<Output = ()>,
    ) -> Result<Option<Outcome>, EngineError> {
        let (apply, over) = (std::pin::pin!(self.apply(inputs)), std::pin::pin!(over));
        match select(apply, over).await {
            Either::Left((outcome, _)) => outcome.map(Some),
            Either::Right(((), _)) => {
                self.record(true);
                Ok(None)
            }
        }
    }

    fn admit(&self) -> Result<(), EngineError> {
        let Some(mut breaker) = self.shared.breaker() else { return Ok(()) };
        breaker.admit(Instant::now()).map_err(|pause| EngineError::CircuitOpen {
            failures: breaker.options().failures,
            seconds: pause.as_secs() + 1,
        })
    }

    fn record(&self, failed: bool) {
        let opened = self.shared.breaker().is_some_and(|mut breaker| breaker.record(failed, Instant::now()));
        if opened {
            tracing::warn!(digest = %self.transform().digest(), "a transform's calls keep failing: it is left alone for a while");
        }
    }

    async fn call(&self, inputs: RecordBatch) -> Result<Outcome, EngineError> {
        if let Some(outcome) = self.shared.trial.as_ref().and_then(|trial| trial.run(&inputs)) {
            return Ok(outcome);
        }
        let (answer, receiver) = oneshot::channel();
        let another = {
            let mut waiting = self.shared.lock();
            if let Some(max) = self.shared.options.waiting_max.filter(|max| waiting.requests.len() >= *max) {
                return Err(EngineError::QueueFull { max });
            }
            waiting.requests.push_back(Request { inputs, answer });
            // The first job to run takes all that wait, the others find nothing left.
            let another = waiting.jobs < self.shared.options.workers_max.unwrap_or(usize::MAX).max(1);
            waiting.jobs += usize::from(another);
            another
        };
        if another {
            Job { shared: Arc::clone(&self.shared), workers: self.workers.clone() }.submit();
        }
        match receiver.await {
            Ok(outcome) => outcome,
            Err(oneshot::Canceled) => Err(WorkerPanic("the call was given up".to_owned()).into()),
        }
    }
}

/// Whether all rows failed, and not one for a reason of its own.
fn is_broken(failures: &[RowFailure], rows: usize) -> bool {
    failures.len() == rows && failures.iter().all(|failure| failure.fault == Fault::Transform)
}

/// A job that answers what waits, queued or under way. While more waits when it ends, also by a panic, it queues itself again, behind the jobs of
/// other transforms.
struct Job {
    shared: Arc<Shared>,
    workers: Workers,
}

impl Job {
    fn submit(self) {
        let workers = self.workers.clone();
        workers.submit(move || {
            let job = self;
            job.shared.answer_waiting();
        });
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let mut waiting = self.shared.lock();
        if waiting.requests.is_empty() {
            waiting.jobs -= 1;
        } else {
            drop(waiting);
            Job { shared: Arc::clone(&self.shared), workers: self.workers.clone() }.submit();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.options.reuse.is_some() {
            self.transform.engine().waiting().forget(&self.transform);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn breaker(&self) -> Option<MutexGuard<'_, Breaker>> {
        Some(self.breaker.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn answer_waiting(&self) {
        let mut requests = self.take();
        // Whoever asked is gone (deadline, closed connection): not worth a call.
        requests.retain(|request| !request.answer.is_canceled());
        match requests.len() {
            0 => {}
            1 => requests.into_iter().for_each(|request| self.answer_alone(request)),
            _ => self.answer_together(requests),
        }
    }

    /// What waits, up to the bound; at least one request if there is one.
    fn take(&self) -> Vec<Request> {
        let mut waiting = self.lock();
        let mut rows = 0;
        let mut taken = Vec::new();
        while let Some(request) = waiting.requests.front() {
            rows += request.inputs.num_rows();
            if !taken.is_empty() && rows > self.options.shared_rows_max {
                break;
            }
            taken.extend(waiting.requests.pop_front());
        }
        taken
    }

    /// One call, with a fresh instance or one that waits.
    fn apply(&self, inputs: &RecordBatch) -> Result<Outcome, EngineError> {
        match self.options.reuse {
            Some(bounds) => self.transform.apply_reusing(inputs, bounds),
            None => self.transform.apply(inputs),
        }
    }

    fn answer_alone(&self, request: Request) {
        let outcome = self.apply(&request.inputs);
        let _ = request.answer.send(outcome); // the asker may be gone
    }

    fn answer_together(&self, requests: Vec<Request>) {
        let schema = requests[0].inputs.schema();
        let together = concat_batches(&schema, requests.iter().map(|request| &request.inputs))
            .map_err(|error| EngineError::Arrow(error.to_string()))
            .and_then(|inputs| self.apply(&inputs));
        let Ok(outcome) = together else {
            return requests.into_iter().for_each(|request| self.answer_alone(request));
        };
        let rows_all = outcome.outputs.num_rows().max(1) as u64;
        let mut failures = outcome.failures.into_iter().peekable();
        let mut first = 0;
        for request in requests {
            let rows = request.inputs.num_rows();
            let own = std::iter::from_fn(|| failures.next_if(|failure| failure.row < first + rows));
            let answer = Outcome {
                outputs: outcome.outputs.slice(first, rows),
                failures: own.map(|failure| RowFailure { row: failure.row - first, ..failure }).collect(),
                fuel: outcome.fuel * rows as u64 / rows_all, // its share: what its own rows used is not known
            };
            let _ = request.answer.send(Ok(answer));
            first += rows;
        }
    }
}
