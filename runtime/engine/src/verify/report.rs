//! What was compared, and what came of it.

use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use tandem_core::hash::Digest;
use tandem_core::sample::Cell;
use tandem_core::types::Signature;

use super::plan::Ran;

/// A way of computing rows that must not change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// `describe` again: in the same instance, in another, after calls, in the other compile profiles.
    Signature,
    /// Each row alone once more.
    Again,
    /// All rows in one call.
    Whole,
    /// All rows in one call, in other orders.
    Shuffled,
    /// Pieces of several sizes.
    Split,
    /// Beside rows that are null in a column, and beside none.
    Nulls,
    /// Garbage under nulls, payloads of NaNs, validity where nothing is null, slices: what the boundary hides.
    Hidden,
    /// Instances that had other calls before.
    Used,
    /// One row again and again in one instance.
    Age,
    /// Against an engine that makes NaNs canonical after every instruction.
    Strict,
    /// Against an interpreter.
    Interpreter,
    /// Among rows whose call fails.
    Faulty,
}

impl Check {
    /// Its name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Check::Signature => "signature",
            Check::Again => "again",
            Check::Whole => "whole",
            Check::Shuffled => "shuffled",
            Check::Split => "split",
            Check::Nulls => "nulls",
            Check::Hidden => "hidden",
            Check::Used => "used",
            Check::Age => "age",
            Check::Strict => "strict",
            Check::Interpreter => "interpreter",
            Check::Faulty => "faulty",
        }
    }
}

/// What is done to the rows, as the rest of "alone, against …".
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Signature => "the signature, asked for again",
            Check::Again => "each row alone, a second time",
            Check::Whole => "all rows in one call",
            Check::Shuffled => "all rows in other orders",
            Check::Split => "pieces of several sizes",
            Check::Nulls => "beside nulls, and beside none",
            Check::Hidden => "garbage where nobody may look",
            Check::Used => "instances used before",
            Check::Age => "one row again and again in one instance",
            Check::Strict => "canonical NaNs after each instruction",
            Check::Interpreter => "an interpreter instead of machine code",
            Check::Faulty => "among rows whose call fails",
        })
    }
}

/// How often a check compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Which.
    pub check: Check,
    /// Calls that were made.
    pub calls: u64,
    /// Rows that were computed and compared.
    pub rows: u64,
    /// Their outputs.
    pub values: u64,
    /// Rows that differed.
    pub different: u64,
    /// Why nothing was compared.
    pub skipped: Option<&'static str>,
}

impl Compared {
    pub(super) fn new(check: Check, skipped: Option<&'static str>) -> Self {
        Compared { check, calls: 0, rows: 0, values: 0, different: 0, skipped }
    }

    pub(super) fn add(&mut self, ran: &Ran, signature: &Signature) {
        let rows = ran.rows();
        self.calls += ran.calls();
        self.rows += rows;
        self.values += rows * signature.outputs.len() as u64;
    }
}

/// The rows that were tried, each computed alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleRows {
    /// Given.
    pub given: usize,
    /// Made from the signature, or from given rows.
    pub generated: usize,
    /// Of both: rows with values.
    pub with_values: usize,
    /// Of both: rows that the transform failed itself, with a message.
    pub failed: usize,
    /// Of both: rows whose call trapped, crossed a limit or broke the contract, or that were null where none may be.
    pub faulty: usize,
    /// Of both: rows that were not tried, because too many before them were faulty.
    pub left_out: usize,
}

/// What verification found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The component.
    pub digest: Digest,
    /// What it takes and gives.
    pub signature: Signature,
    /// The seed of the generated rows.
    pub seed: u64,
    /// The rows.
    pub rows: SampleRows,
    /// What was compared, in order.
    pub compared: Vec<Compared>,
    /// The first difference, made small.
    pub difference: Option<Difference>,
    /// How long compiling or loading took, for all profiles.
    pub compiling: Duration,
    /// How long everything else took.
    pub comparing: Duration,
}

/// What a report comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No bit differed.
    Proved,
    /// Something did.
    Different,
    /// Not one row had a value: nothing is proved.
    NoValues,
}

impl Report {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        match self.difference {
            Some(_) => Verdict::Different,
            None if self.rows.with_values == 0 => Verdict::NoValues,
            None => Verdict::Proved,
        }
    }

    /// Values that were compared, of all checks.
    pub fn values(&self) -> u64 {
        self.compared.iter().map(|compared| compared.values).sum()
    }
}

/// A difference.
#[derive(Debug, Clone)]
pub enum Difference {
    /// The signature is not always the same.
    Signature {
        /// When it was another.
        when: &'static str,
        /// What is different, for people.
        what: String,
    },
    /// A row does not always come to the same.
    Row {
        /// What uncovered it.
        check: Check,
        /// The row of the sample in which it was found: given rows first.
        sample_row: usize,
        /// Whether that row was given.
        given: bool,
        /// What was found there.
        found: Mismatch,
        /// As little as still differs.
        smallest: Box<Smallest>,
    },
}

/// What a row came to alone in a fresh instance, and elsewhere.
#[derive(Debug, Clone)]
pub struct Mismatch {
    /// The output, by its position; none where one of both failed, or both with other messages.
    pub output: Option<usize>,
    /// Alone.
    pub alone: Seen,
    /// Elsewhere.
    pub here: Seen,
}

/// What a row came to.
#[derive(Debug, Clone)]
pub enum Seen {
    /// This value.
    Value(Cell),
    /// Values; no single one is meant.
    Values,
    /// A failure, with its message.
    Failed(String),
}

/// The smallest input that was found to differ: calls, and what to look at in them.
#[derive(Debug, Clone)]
pub struct Smallest {
    /// The rows of each call, in order; more than one only where one instance gets them all.
    pub calls: Vec<RecordBatch>,
    /// The call with the row that differs.
    pub call: usize,
    /// The row, in that call.
    pub row: usize,
    /// What is different.
    pub mismatch: Mismatch,
    /// Inputs that were tried.
    pub tries: u64,
    /// Whether smaller ones are left untried, because that took too long.
    pub gave_up: bool,
}
