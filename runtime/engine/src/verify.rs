//! Proof before going live: that a component computes row by row, and the same bits wherever and however often it is called.
//!
//! Each sample row is computed alone, in a fresh instance: that is what it comes to. Then the same rows are computed in every way in which
//! the runtime may ever compute them — together, shuffled, cut into pieces, by instances that were used before, beside rows with and without
//! nulls, with NaNs canonical after each instruction, on an interpreter — and every bit of every value and every failed row must be as it
//! was. A difference is shrunk to the smallest input that still differs.
//!
//! - [`VerifyOptions`], [`verify()`]: rows in, a [`Report`] out
//! - `sample`: which rows. `plan`: calls, and what comes of them. `checks`: which calls. `shrink`: as few and as simple as can be
//! - [`golden`]: sample rows and their bits, to be held against a later engine
//! - `dirt`: what lies in columns and no transform may see

mod aggregates;
mod checks;
mod dirt;
pub mod golden;
mod plan;
mod report;
mod sample;
mod shrink;
mod signature;

use std::time::Instant;

use arrow_array::RecordBatch;
use tandem_core::limits::TransformLimits;
use tandem_core::model::NanMode;
use tandem_core::parameter::Parameters;

use crate::engine::Engine;
use crate::error::EngineError;
pub use aggregates::{AggregateCheck, AggregateDifference, AggregateReport, verify_aggregate};
use checks::checks;
use plan::{Machines, Plan};
pub use report::{Check, Compared, Difference, Mismatch, Report, SampleRows, Seen, Smallest, Verdict};
use sample::Sample;
use shrink::shrink;

/// How much is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Of the generator of rows, and of shuffling. Default: 0.
    pub seed: u64,
    /// Rows that are made from the signature. Where rows are given, half of them are given rows with a few values changed. Default: 256.
    pub generated_rows: usize,
    /// Given rows that are taken, from the first. Default: 1,000.
    pub given_rows_max: usize,
    /// Calls that one instance gets with the same row. Default: 256.
    pub calls: usize,
    /// Rows that run on the interpreter; 0: nothing does, which saves compiling for it. Default: 16.
    pub interpreter_rows: usize,
    /// Rows whose call traps or crosses a limit; what comes after so many is left out, since each may cost all of its fuel. Default: 32.
    pub faulty_rows_max: usize,
    /// Tries to make an input that differs smaller. Default: 2,000.
    pub shrink_tries_max: u64,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        VerifyOptions {
            seed: 0,
            generated_rows: 256,
            given_rows_max: 1_000,
            calls: 256,
            interpreter_rows: 16,
            faulty_rows_max: 32,
            shrink_tries_max: 2_000,
        }
    }
}

/// Verifies a component with its parameters, limits and NaN mode. `given` has a column for each input of the signature, by position, in its
/// canonical Arrow type, as [`crate::Session::apply`] takes it. Blocking; user code runs on this thread.
///
/// # Errors
///
/// A component that does not load or describe itself, given rows that do not fit the signature, no instance to be had. A difference is
/// no error: it is in the report.
pub fn verify(
    engine: &Engine,
    bytes: &[u8],
    parameters: &Parameters,
    limits: &TransformLimits,
    nan: NanMode,
    given: Option<&RecordBatch>,
    options: &VerifyOptions,
) -> Result<Report, EngineError> {
    let begin = Instant::now();
    let plain = engine.load(bytes, nan)?;
    let strict = (nan == NanMode::Boundary).then(|| engine.load(bytes, NanMode::Strict)).transpose()?;
    let interpreted = (options.interpreter_rows > 0).then(|| engine.load_interpreted(bytes, nan)).transpose()?;
    let compiling = begin.elapsed();

    let begin = Instant::now();
    // A fault in one sample row is none of the others'.
    let limits = TransformLimits { failed_rows_max: u64::MAX, ..limits.clone() };
    let main = plain.bind(parameters, &limits)?;
    let report = |rows, compared, difference| Report {
        digest: main.digest(),
        signature: main.signature().clone(),
        seed: options.seed,
        rows,
        compared,
        difference,
        compiling,
        comparing: begin.elapsed(),
    };
    let rows = sample::gather(&main, given, options)?;
    let bound = signature::bind(&main, [strict.as_ref(), interpreted.as_ref()], parameters, &limits, &rows)?;
    let (compared, [strict, interpreted]) = match bound {
        Ok(bound) => bound,
        Err((compared, difference)) => return Ok(report(SampleRows::default(), vec![compared], Some(difference))),
    };

    let machines = Machines { main: main.clone(), strict, interpreted };
    let sample = Sample::compute(&main, rows, options)?;
    let mut compared = vec![compared];
    let mut first: Option<Plan> = None;
    for check in checks(&sample, &machines, options) {
        let mut counts = Compared::new(check.check, check.skipped);
        for plan in check.plans {
            let ran = plan.run(&machines, &sample.inputs)?;
            counts.add(&ran, main.signature());
            let different = ran.different(&sample.alone);
            counts.different += different.len() as u64;
            if first.is_none() && !different.is_empty() {
                first = Some(plan);
            }
        }
        compared.push(counts);
    }
    let difference = first.map(|plan| shrink(plan, &machines, &sample, options)).transpose()?;
    Ok(report(sample.counts(), compared, difference))
}
