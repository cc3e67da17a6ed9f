//! What is proved of a component before it is registered, and whether it still holds on this engine.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use futures::executor::block_on;
use serde_json::{Value, json};
use tandem_core::hash::Digest;
use tandem_core::model::{BoundView, ViewVersion};
use tandem_core::time::Timestamp;
use tandem_engine::verify::golden::{self, Replay};
use tandem_engine::verify::{Report, Verdict, VerifyOptions, verify, verify_aggregate};
use tandem_engine::{EngineError, Transform, WorkerPanic};

use super::Opening;
use crate::error::Error;
use crate::output::counted;
use crate::project::Opened;
use crate::rows::{self, Mapping, RowsFault};

/// The instant of sample rows that have none: 2026-01-01T00:00:00Z.
const SAMPLE_AS_OF: Timestamp = Timestamp(1_767_225_600_000_000);

/// What was proved, as the registry records it.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// What was compared, for people.
    pub report: Value,
    /// Sample rows with their bits, for a later engine to be held against; none of a view that has no transform.
    pub golden: Option<Golden>,
}

/// Golden vectors.
#[derive(Debug, Clone, PartialEq)]
pub enum Golden {
    /// To be registered.
    New(Arc<Vec<u8>>),
    /// An object of the registry.
    Registered(Digest),
}

impl Golden {
    /// The object that they are, or will be.
    pub fn digest(&self) -> Digest {
        match self {
            Golden::New(bytes) => Digest::of(bytes),
            Golden::Registered(digest) => *digest,
        }
    }
}

/// Proves views, and each function once: views that have component, parameters, limits and NaN mode in common share a proof.
pub(super) struct Prover<'a> {
    opened: &'a Opened,
    proved: Vec<(Arc<BoundView>, Proof)>,
}

impl<'a> Prover<'a> {
    /// What was proved of registered views on this engine is known.
    pub(super) fn new(opened: &'a Opened, opening: &Opening) -> Prover<'a> {
        let fingerprint = opened.engine.fingerprint();
        let mut proved: Vec<(Arc<BoundView>, Proof)> = Vec::new();
        for (id, record) in &opening.state.content.views {
            let bound = opening.registered.bound.get(id).and_then(BoundView::row_function);
            let (Some(bound), Some(golden)) = (bound, record.golden) else { continue };
            if record.runtime_fingerprint == fingerprint && !record.verified.is_null() {
                let proof = Proof { report: record.verified.clone(), golden: Some(Golden::Registered(golden)) };
                proved.push((bound, proof));
            }
        }
        Prover { opened, proved }
    }

    /// Verifies the component of a view over generated rows, and over the sample rows beside it if there are any. Its code is compiled, and kept,
    /// by then. Blocking.
    ///
    /// # Errors
    ///
    /// [`Error::Unproved`] where a bit differs or no row has a value; sample rows that cannot be read.
    pub(super) fn prove(&mut self, bound: &Arc<BoundView>, component: &Arc<Vec<u8>>) -> Result<Proof, Error> {
        if let Some((_, proof)) = self.proved.iter().find(|(other, _)| is_same_function(other, bound)) {
            return Ok(proof.clone());
        }
        let proof = prove(self.opened, bound, component)?;
        self.proved.push((Arc::clone(bound), proof.clone()));
        Ok(proof)
    }
}

fn is_same_function(a: &BoundView, b: &BoundView) -> bool {
    let (a_view, b_view) = (&a.view, &b.view);
    a.digest == b.digest
        && a_view.nan == b_view.nan
        && a_view.parameters == b_view.parameters
        && a_view.limits == b_view.limits
}

fn prove(opened: &Opened, bound: &BoundView, component: &Arc<Vec<u8>>) -> Result<Proof, Error> {
    let view = &bound.view;
    let options = VerifyOptions::default();
    let mapping = Mapping { signature: &bound.signature, view: Some(view), as_of: None, timezone: None };
    let samples = view.component.parent().and_then(rows::samples_in);
    let given = samples.map(|file| read_samples(&file, &mapping, options.given_rows_max)).transpose()?;
    let fail = |source| Error::Component { component: view.component.clone(), source };

    let job = {
        let (engine, component, given, options) =
            (opened.engine.clone(), Arc::clone(component), given.clone(), options.clone());
        let (parameters, limits, nan) = (view.parameters.clone(), view.limits.clone(), view.nan);
        move || verify(&engine, &component, &parameters, &limits, nan, given.as_ref(), &options)
    };
    let report = block_on(opened.workers.run(job)).map_err(panicked)?.map_err(fail)?;
    if report.verdict() != Verdict::Proved {
        return Err(Error::Unproved { view: view.id(), report: Box::new(report) });
    }
    let transform = opened.load(view, super::wanted::Shared(Arc::clone(component)))?.map_err(fail)?;
    let job = move || golden::record(&transform, given.as_ref(), &options);
    let golden = block_on(opened.workers.run(job)).map_err(panicked)?.map_err(fail)?;
    Ok(Proof { report: recorded(&report), golden: Some(Golden::New(Arc::new(golden))) })
}

/// Verifies the components of a view's aggregates, over generated events. Their code is compiled, and kept, by then. Gives what the registry records of
/// them. Blocking.
///
/// # Errors
///
/// [`Error::UnprovedAggregate`] of the first that is not proved.
pub(super) fn prove_functions(
    opened: &Opened,
    bound: &BoundView,
    component: impl Fn(Digest) -> Result<Arc<Vec<u8>>, Error>,
) -> Result<Vec<Value>, Error> {
    let view = &bound.view;
    let functions = view.aggregates.iter().flat_map(|aggregates| &aggregates.functions);
    let components = bound.components.iter().skip(usize::from(view.has_event_transform()));
    let mut recorded = Vec::new();
    for (function, of) in functions.zip(components) {
        let bytes = component(of.digest)?;
        let job = {
            let (engine, parameters, limits) =
                (opened.engine.clone(), function.parameters.clone(), view.limits.clone());
            let (nan, bytes_max) = (view.nan, function.state_bytes_max);
            move || verify_aggregate(&engine, &bytes, &parameters, (&limits, bytes_max), nan, &VerifyOptions::default())
        };
        let fail = |source| Error::Component { component: function.component.clone(), source };
        let report = block_on(opened.workers.run(job)).map_err(panicked)?.map_err(fail)?;
        if !report.is_proved() {
            return Err(Error::UnprovedAggregate { view: view.id(), report: Box::new(report) });
        }
        recorded.push(crate::verify::aggregates::recorded(&report));
    }
    Ok(recorded)
}

/// Sample rows. Where they say no instant, all get one: a proof needs one, whichever.
fn read_samples(file: &Path, mapping: &Mapping<'_>, rows_max: usize) -> Result<RecordBatch, Error> {
    let read = |as_of| rows::read(file, &Mapping { as_of, ..*mapping }, rows_max);
    let rows = match read(None) {
        Err(Error::Rows { fault, .. }) if matches!(*fault, RowsFault::NoAsOf) => read(Some(SAMPLE_AS_OF)),
        read => read,
    };
    Ok(rows?.inputs)
}

/// What the registry keeps of a report that found nothing. Nothing of it depends on the machine's speed.
fn recorded(report: &Report) -> Value {
    let rows = &report.rows;
    let comparisons = report.compared.iter().filter(|compared| compared.skipped.is_none()).count();
    let (values, tried) = (report.values(), (rows.given + rows.generated) as u64);
    json!({
        "summary": format!("{} of {} in {}, no bit differs", counted(values, "value"), counted(tried, "row"), counted(comparisons as u64, "comparison")),
        "seed": report.seed,
        "rows": {
            "given": rows.given,
            "generated": rows.generated,
            "with_values": rows.with_values,
            "failed": rows.failed,
            "faulty": rows.faulty,
        },
        "values": values,
        "comparisons": comparisons,
    })
}

/// Golden vectors of a registered view, computed again.
pub struct Replayed {
    /// The view.
    pub bound: Arc<BoundView>,
    /// What came of it.
    pub replay: Replay,
}

impl Opening {
    /// Computes the golden vectors that were recorded of registered views again, on the engine of `opened`, in the order of the views. Blocking.
    ///
    /// # Errors
    ///
    /// A component or vectors that the registry lost, a component that this engine cannot run. A difference is no error.
    pub fn replay(&self, opened: &Opened, views: &[ViewVersion]) -> Result<Vec<Replayed>, Error> {
        let mut done: Vec<(Digest, Replayed)> = Vec::new();
        for id in views {
            let registered = self.registered.bound.get(id).and_then(BoundView::row_function);
            let registered = registered.zip(self.state.content.views.get(id));
            let Some((bound, golden)) = registered.and_then(|(bound, record)| Some((bound, record.golden?))) else {
                continue;
            };
            let same =
                |(other, replayed): &&(Digest, Replayed)| *other == golden && is_same_function(&replayed.bound, &bound);
            let replay = match done.iter().find(same) {
                Some((_, replayed)) => replayed.replay.clone(),
                None => self.replay_one(opened, &bound, golden)?,
            };
            done.push((golden, Replayed { bound, replay }));
        }
        Ok(done.into_iter().map(|(_, replayed)| replayed).collect())
    }

    fn replay_one(&self, opened: &Opened, bound: &BoundView, golden: Digest) -> Result<Replay, Error> {
        let (component, vectors) = (self.registry.component(bound.digest)?, self.registry.object(golden)?);
        let fail = |source| Error::Component { component: bound.view.component.clone(), source };
        let transform: Transform = opened.load(&bound.view, component)?.map_err(fail)?;
        block_on(opened.workers.run(move || golden::replay(&transform, &vectors))).map_err(panicked)?.map_err(fail)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn panicked(panic: WorkerPanic) -> Error {
    Error::Engine(EngineError::Worker(panic))
}
