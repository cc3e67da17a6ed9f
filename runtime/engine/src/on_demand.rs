//! Requests that wait at the same moment share one call.
//!
//! A transform computes row by row, so the rows of several requests can go through one instance in one call without changing one bit
//! of one value; at load a fresh instance then costs each request next to nothing. Should the shared call fail as a whole, each request is
//! called for alone, so that no request suffers for another.
//!
//! A thread that hands a request to another and waits for it takes longer than most transforms do. So a small request may first be tried where
//! it is (`trial.rs`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use futures::channel::oneshot;

use crate::error::EngineError;
use crate::reuse::ReuseOptions;
use crate::transform::{Outcome, RowFailure, Transform};
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
}

impl Default for OnDemandOptions {
    fn default() -> Self {
        OnDemandOptions { shared_rows_max: 4_096, trial: None, reuse: None }
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
    waiting: Mutex<VecDeque<Request>>,
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
        OnDemand { shared: Arc::new(Shared { transform, options, trial, waiting: Mutex::default() }), workers }
    }

    /// The transform.
    pub fn transform(&self) -> &Transform {
        &self.shared.transform
    }

    /// One request's rows through the transform; see [`crate::Session::apply`]. Dropping the future abandons the answer, not the call.
    ///
    /// # Errors
    ///
    /// As [`crate::Session::apply`].
    pub async fn apply(&self, inputs: RecordBatch) -> Result<Outcome, EngineError> {
        if let Some(outcome) = self.shared.trial.as_ref().and_then(|trial| trial.run(&inputs)) {
            return Ok(outcome);
        }
        let (answer, receiver) = oneshot::channel();
        self.shared.lock().push_back(Request { inputs, answer });
        // A job for each request: the first to run takes all that wait, the others find nothing left.
        let shared = Arc::clone(&self.shared);
        self.workers.submit(move || shared.answer_waiting());
        match receiver.await {
            Ok(outcome) => outcome,
            Err(oneshot::Canceled) => Err(WorkerPanic("the call was given up".to_owned()).into()),
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
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        while let Some(request) = waiting.front() {
            rows += request.inputs.num_rows();
            if !taken.is_empty() && rows > self.options.shared_rows_max {
                break;
            }
            taken.extend(waiting.pop_front());
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
