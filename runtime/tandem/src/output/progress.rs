//! Progress on stderr: what, how far, rate, time left.

use indicatif::{ProgressBar as Bar, ProgressDrawTarget, ProgressStyle};
use tandem_offline::{PartitionReport, Progress};

use super::counted;

/// A bar over rows. indicatif draws it only where stderr is a terminal. Clones are the same bar.
#[derive(Clone)]
pub struct ProgressBar {
    bar: Bar,
}

impl ProgressBar {
    pub(super) fn new(what: &str) -> ProgressBar {
        let bar = Bar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(8));
        let template = "{prefix} {wide_bar} {human_pos}/{human_len} rows  {per_sec}  ETA {eta}  {msg}";
        bar.set_style(ProgressStyle::with_template(template).expect("the template is a constant"));
        bar.set_prefix(what.to_owned());
        ProgressBar { bar }
    }

    /// So many rows are to be done.
    pub fn total(&self, rows: u64) {
        self.bar.set_length(rows);
    }

    /// So many more rows are done.
    pub fn add(&self, rows: u64) {
        self.bar.inc(rows);
    }

    /// So many rows are done in all.
    pub fn set(&self, rows: u64) {
        if self.bar.length().unwrap_or(0) < rows {
            self.bar.set_length(rows);
        }
        self.bar.set_position(rows);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for ProgressBar {
    fn planned(&self, partitions: u64, rows: u64) {
        self.bar.set_length(rows);
        self.bar.set_message(counted(partitions, "partition"));
    }

    fn rows_done(&self, rows: u64) {
        self.bar.inc(rows);
    }

    fn partition_done(&self, report: &PartitionReport) {
        self.bar.set_message(report.partition.to_string());
    }
}
