//! Where rows come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::SourceContract;

/// What the rows of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A row is something that happened, and possibly the thing being predicted on.
    Events,
    /// A row is the state of an entity from its event time on.
    State,
    /// A row is the state of an entity from its event time on, until another instant that it tells.
    Dimension,
}

impl SourceKind {
    /// Every variant.
    pub const ALL: [SourceKind; 3] = [SourceKind::Events, SourceKind::State, SourceKind::Dimension];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Events => "events",
            SourceKind::State => "state",
            SourceKind::Dimension => "dimension",
        }
    }
}

/// A SQL query whose rows are those of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceQuery {
    /// The query.
    pub text: String,
    /// The tables that it names: folders (or files) with Parquet files, as [`Source::path`]. At least one.
    pub tables: BTreeMap<String, PathBuf>,
}

/// Where rows come from: Parquet files, usually in hive partitions, or a query over such.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Folder (or one file) with the Parquet files, absolute or relative to the working directory of the process.
    pub path: PathBuf,
    /// The query whose rows they are; the path is empty then. Such a source is for batch alone.
    pub query: Option<SourceQuery>,
    /// What a row is.
    pub kind: SourceKind,
    /// Column with the event time; of a dimension the one from which on a row is valid.
    pub event_time: String,
    /// Column with the end of a row's validity (exclusive; null where it is open): of a dimension, and of nothing else.
    pub valid_to: Option<String>,
    /// Column with the created time.
    pub created_time: Option<String>,
    /// Column with the position in the source's log (int64).
    pub sequence: Option<String>,
    /// Column with the event's id: rows of one id are versions of one event ([`crate::versions`]). Only with a created time.
    pub event_id: Option<String>,
    /// Column (boolean) that is true in a row that takes its event back. Only with event ids.
    pub retracted: Option<String>,
    /// IANA time zone in which timestamps without a zone are read; without it they are refused.
    pub timezone: Option<String>,
    /// Hive column that holds the day of the event time, as `YYYY-MM-DD` (UTC, or the local day in `timezone`). Without it every file is read.
    pub partition: Option<String>,
    /// What is promised of its columns.
    pub contract: SourceContract,
    /// For people; may be empty.
    pub description: String,
}
