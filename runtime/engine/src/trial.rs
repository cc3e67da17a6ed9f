//! Small requests, tried where they are.
//!
//! Waking a worker and being woken by it costs more than a call of one row. So such a call may be tried on the thread that asks, under limits
//! that end it in well under a millisecond. If it ends with values, they are the values: a transform is a pure function, and less fuel changes
//! no bit of what is computed within it. If it ends in any other way, nothing is known, and the request goes to a worker as if it had not been
//! tried. Trials that come to nothing make the next requests go to workers directly.

use std::sync::atomic::{AtomicU32, Ordering};

use arrow_array::RecordBatch;
use tandem_core::limits::TransformLimits;

use crate::transform::{Outcome, Transform};

/// Requests that go to workers directly after a trial that came to nothing.
const SKIPPED_AFTER_MISS: u32 = 256;

/// Bounds of trials. They bound for how long an asynchronous thread may be held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialOptions {
    /// Rows of a request that is tried. Default: 16.
    pub rows_max: usize,
    /// Fuel of a trial, about one unit an instruction; at most the base of the view's own limits counts. Default: 100,000.
    pub fuel: u64,
    /// Bytes of memory that an instance may have in a trial; at most the view's own limit counts. It bounds page faults, which cost no fuel.
    /// Default: 8 MiB.
    pub memory_bytes_max: u64,
}

impl Default for TrialOptions {
    fn default() -> Self {
        TrialOptions { rows_max: 16, fuel: 100_000, memory_bytes_max: 8 << 20 }
    }
}

/// A transform under the limits of a trial.
pub(crate) struct Trial {
    transform: Transform,
    rows_max: usize,
    /// Requests yet to go to workers directly.
    skip: AtomicU32,
}

impl Trial {
    pub(crate) fn new(transform: &Transform, options: TrialOptions) -> Trial {
        let own = transform.limits();
        let limits = TransformLimits {
            // All of it is in the base, which a call of any number of rows has: never more than the view allows.
            fuel_base: options.fuel.min(own.fuel_base),
            fuel_per_row: 0,
            memory_bytes_max: options.memory_bytes_max.min(own.memory_bytes_max),
            call_seconds_max: 1,
            ..own.clone()
        };
        Trial { transform: transform.limited(limits), rows_max: options.rows_max, skip: AtomicU32::new(0) }
    }

    /// The outcome, if a trial is made and ends with one.
    pub(crate) fn run(&self, inputs: &RecordBatch) -> Option<Outcome> {
        if inputs.num_rows() > self.rows_max {
            return None;
        }
        // Counts, not a lock: requests that race may skip one more or one less.
        let skip = self.skip.load(Ordering::Relaxed);
        if skip > 0 {
            self.skip.store(skip - 1, Ordering::Relaxed);
            return None;
        }
        let outcome = self.transform.session().apply_once(inputs);
        if outcome.is_none() {
            self.skip.store(SKIPPED_AFTER_MISS, Ordering::Relaxed);
        }
        outcome
    }
}
