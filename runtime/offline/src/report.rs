//! What came of a run, and what is told while it runs.

use std::ops::AddAssign;
use std::path::PathBuf;
use std::time::Duration;

use tandem_core::checks::CheckResult;
use tandem_core::hash::Digest;

use crate::listing::PartitionId;

/// Counts of rows of a partition, or of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// Rows of the source.
    pub rows_in: u64,
    /// Feature rows published.
    pub rows_out: u64,
    /// Rows that take an event back, and have no values to be published.
    pub retractions: u64,
    /// Rows set aside, whatever the reason.
    pub quarantined: u64,
    /// Of those, rows whose event time lies further in the future than `max_future`.
    pub quarantined_future: u64,
    /// Of those, rows that break the contract of the source.
    pub quarantined_contract: u64,
    /// Rows that were not published before this run.
    pub added: u64,
    /// Rows that were published before and that this run found gone: they no longer count from now on.
    pub retracted: u64,
    /// Published rows whose event time lies outside the day of their partition.
    pub misplaced: u64,
    /// Published rows whose created time is null, though the source has one.
    pub null_created_times: u64,
    /// Published rows with a join key that is null or NaN: they match nothing.
    pub null_keys: u64,
}

impl AddAssign for RowCounts {
    fn add_assign(&mut self, other: RowCounts) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.retractions += other.retractions;
        self.quarantined += other.quarantined;
        self.quarantined_future += other.quarantined_future;
        self.quarantined_contract += other.quarantined_contract;
        self.added += other.added;
        self.retracted += other.retracted;
        self.misplaced += other.misplaced;
        self.null_created_times += other.null_created_times;
        self.null_keys += other.null_keys;
    }
}

/// What came of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionReport {
    /// The partition.
    pub partition: PartitionId,
    /// Names the list of source files that was read.
    pub snapshot: Digest,
    /// Rows.
    pub rows: RowCounts,
    /// Bytes of the source files.
    pub bytes_in: u64,
    /// Bytes of the published file, without the quarantine.
    pub bytes_out: u64,
    /// What came of the view's checks, in their order.
    pub checks: Vec<CheckResult>,
    /// Where its rows are kept aside, not published, because a check fails; None where they are published.
    pub rejected: Option<PathBuf>,
    /// Wall time from its first read to its publication.
    pub elapsed: Duration,
}

/// What was read for all partitions of a run together; zeros where each partition has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SharedReads {
    /// Rows.
    pub rows: RowCounts,
    /// Bytes of the source files.
    pub bytes_in: u64,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchReport {
    /// The folder of the view's version.
    pub output: PathBuf,
    /// What was published, sorted by partition.
    pub partitions: Vec<PartitionReport>,
    /// What was read for all partitions together, as the events of a grid are.
    pub shared: SharedReads,
    /// Partitions of the range that an earlier run published and that the source no longer has. They are left as they are.
    pub orphaned: Vec<PartitionId>,
    /// Wall time of the run.
    pub elapsed: Duration,
}

impl BatchReport {
    /// Rows of all partitions, and those that were read for all together.
    pub fn rows(&self) -> RowCounts {
        let mut total = self.shared.rows;
        self.partitions.iter().for_each(|partition| total += partition.rows);
        total
    }

    /// Bytes of all source files.
    pub fn bytes_in(&self) -> u64 {
        self.shared.bytes_in + self.partitions.iter().map(|partition| partition.bytes_in).sum::<u64>()
    }

    /// Bytes of all published files.
    pub fn bytes_out(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.bytes_out).sum()
    }
}

/// Told what a run does, never by two threads at a time.
pub trait Progress: Send + Sync {
    /// The files are listed and checked: so many partitions, and so many source rows by their footers.
    fn planned(&self, partitions: u64, rows: u64) {
        let _ = (partitions, rows);
    }

    /// So many more source rows have gone through the transform.
    fn rows_done(&self, rows: u64) {
        let _ = rows;
    }

    /// A partition is published.
    fn partition_done(&self, report: &PartitionReport) {
        let _ = report;
    }
}

/// Tells nobody.
impl Progress for () {}
