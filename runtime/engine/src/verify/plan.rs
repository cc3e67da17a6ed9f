//! Calls to make, and what comes of them.

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use tandem_core::canonical::{RowEncoder, encode_row};
use tandem_core::sample::Cell;

use super::dirt::dirty;
use super::report::{Check, Mismatch, Seen};
use crate::error::EngineError;
use crate::transform::{Outcome, Transform};

/// The transform in all its compile profiles.
pub(super) struct Machines {
    pub(super) main: Transform,
    pub(super) strict: Option<Transform>,
    pub(super) interpreted: Option<Transform>,
}

/// Calls, by the rows of a sample.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) check: Check,
    /// Whether one instance gets all calls, instead of a fresh one for each.
    pub(super) used: bool,
    pub(super) calls: Vec<Vec<usize>>,
}

impl Plan {
    /// A fresh instance for each call.
    pub(super) fn fresh(check: Check, calls: Vec<Vec<usize>>) -> Plan {
        Plan { check, used: false, calls }
    }

    /// One instance for all calls.
    pub(super) fn used(check: Check, calls: Vec<Vec<usize>>) -> Plan {
        Plan { check, used: true, calls }
    }

    /// Makes the calls.
    pub(super) fn run(&self, machines: &Machines, sample: &RecordBatch) -> Result<Ran, EngineError> {
        const BOUND: &str = "a check is planned only where its profile is there";
        let transform = match self.check {
            Check::Strict => machines.strict.as_ref().expect(BOUND),
            Check::Interpreter => machines.interpreted.as_ref().expect(BOUND),
            _ => &machines.main,
        };
        let mut session = transform.session();
        let mut results = Vec::new();
        for rows in &self.calls {
            if !self.used {
                session = transform.session();
            }
            let inputs = taken(sample, rows)?;
            let inputs = if self.check == Check::Hidden { dirty(&inputs)? } else { inputs };
            results.push((rows.clone(), results_of(&session.apply(&inputs)?)));
        }
        Ok(Ran(results))
    }
}

/// The rows of a call.
pub(super) fn taken(sample: &RecordBatch, rows: &[usize]) -> Result<RecordBatch, EngineError> {
    let indices: UInt32Array = rows.iter().map(|row| *row as u32).collect();
    take_record_batch(sample, &indices).map_err(|error| EngineError::Arrow(error.to_string()))
}

/// What one row came to.
#[derive(Debug, Clone)]
pub(super) struct RowResult {
    pub(super) values: Vec<Cell>,
    /// The values' canonical bytes: equal if and only if all values are, bit by bit.
    bytes: Vec<u8>,
    pub(super) failure: Option<String>,
    /// Whether no call succeeded for it.
    pub(super) faulty: bool,
}

impl RowResult {
    /// A result that was recorded.
    pub(super) fn recorded(outputs: &[ArrayRef], row: usize, failure: Option<String>) -> RowResult {
        let mut bytes = Vec::new();
        encode_row(outputs, row, &mut bytes);
        let values = outputs.iter().map(|column| Cell::of(column, row)).collect();
        RowResult { values, bytes, failure, faulty: false }
    }

    fn is_same(&self, other: &RowResult) -> bool {
        self.bytes == other.bytes && self.failure == other.failure
    }

    /// What is different in `here`; None if nothing is.
    pub(super) fn mismatch(&self, here: &RowResult) -> Option<Mismatch> {
        if self.is_same(here) {
            return None;
        }
        if self.failure != here.failure {
            let seen = |result: &RowResult| result.failure.clone().map_or(Seen::Values, Seen::Failed);
            return Some(Mismatch { output: None, alone: seen(self), here: seen(here) });
        }
        let output = std::iter::zip(&self.values, &here.values).position(|(alone, here)| !alone.is_same(here))?;
        let seen = |result: &RowResult| Seen::Value(result.values[output].clone());
        Some(Mismatch { output: Some(output), alone: seen(self), here: seen(here) })
    }
}

/// The results of each row of a call.
pub(super) fn results_of(outcome: &Outcome) -> Vec<RowResult> {
    let columns = outcome.outputs.columns();
    let encoder = RowEncoder::new(columns).expect("lifted columns are canonical");
    let mut failures = outcome.failures.iter().peekable();
    (0..outcome.outputs.num_rows())
        .map(|row| {
            let mut bytes = Vec::new();
            encoder.encode(row, &mut bytes);
            let failure = failures.next_if(|failure| failure.row == row).map(|failure| failure.message.clone());
            let values = columns.iter().map(|column| Cell::of(column, row)).collect();
            RowResult { values, bytes, failure, faulty: outcome.fuel == 0 }
        })
        .collect()
}

/// The results of a plan: for each call its rows, and what each came to.
pub(super) struct Ran(Vec<(Vec<usize>, Vec<RowResult>)>);

impl Ran {
    pub(super) fn calls(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn rows(&self) -> u64 {
        self.0.iter().map(|(rows, _)| rows.len() as u64).sum()
    }

    /// Calls, and positions in them, that did not come to what their rows come to alone.
    pub(super) fn different(&self, alone: &[RowResult]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (call, (rows, results)) in self.0.iter().enumerate() {
            let wrong = |position: &usize| !alone[rows[*position]].is_same(&results[*position]);
            found.extend((0..rows.len()).filter(wrong).map(|position| (call, position)));
        }
        found
    }

    /// What is different there.
    pub(super) fn mismatch(&self, (call, position): (usize, usize), alone: &[RowResult]) -> Option<Mismatch> {
        let (rows, results) = &self.0[call];
        alone[rows[position]].mismatch(&results[position])
    }
}
