//! Every limit and choice of a run, with its unit and default.

use tandem_core::time::Duration;

/// How a run reads, computes and writes. None of these can change a value; `row_group_rows` and nothing else changes the bytes of a file.
///
/// Memory is bounded by `partitions_in_flight` × (`calls_in_flight` + 2) × `rows_per_call` rows, plus for each partition in flight the
/// compressed row group being read and the one being written. At most 2 × worker threads + `partitions_in_flight` instances of the transform
/// exist at a time, whatever the options; the engine's `instances_max` must allow them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOptions {
    /// `rows_per_call`: rows that a call into the transform takes at most.
    pub rows_per_call: usize,
    /// `partitions_in_flight`: partitions that are worked on at the same time. 0: one for each worker thread.
    pub partitions_in_flight: usize,
    /// `calls_in_flight`: calls that are computed or wait in order, for each partition. 0: one more than there are worker threads.
    pub calls_in_flight: usize,
    /// `row_group_rows`: rows of a Parquet row group at most.
    pub row_group_rows: usize,
    /// `max_future`: how far past `now` an event time may lie, in microseconds; rows beyond it are quarantined and counted.
    pub max_future: Duration,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            rows_per_call: 65_536,
            partitions_in_flight: 0,
            calls_in_flight: 0,
            row_group_rows: 131_072,
            max_future: Duration::from_micros(5 * 60 * 1_000_000),
        }
    }
}

impl BatchOptions {
    /// The options with every 0 replaced by what it stands for.
    pub(crate) fn resolved(&self, worker_threads: usize) -> BatchOptions {
        let or = |value: usize, default: usize| if value == 0 { default } else { value };
        BatchOptions {
            rows_per_call: self.rows_per_call.max(1),
            partitions_in_flight: or(self.partitions_in_flight, worker_threads),
            calls_in_flight: or(self.calls_in_flight, worker_threads + 1),
            row_group_rows: self.row_group_rows.max(1),
            max_future: self.max_future,
        }
    }
}
