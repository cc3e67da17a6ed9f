//! What definitions mean once they are checked. [`crate::definition`] makes these; nothing here is unchecked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::definition::Settings;
use crate::hash::Digest;
use crate::limits::TransformLimits;
use crate::parameter::Parameters;
use crate::time::Duration;
use crate::types::{DataType, Signature};

/// A thing that features describe: a user, an airport, an order.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// The columns that identify it, at least one, in the order of the definition.
    pub join_keys: Vec<JoinKey>,
    /// For people; may be empty.
    pub description: String,
}

/// A column that identifies an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinKey {
    /// Name of the column in feature rows and requests.
    pub name: String,
    /// boolean, int64, float64, timestamp, string or binary.
    pub data_type: DataType,
}

/// What the rows of a source are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A row is something that happened, and possibly the thing being predicted on.
    Events,
    /// A row is the state of an entity from its event time on.
    State,
}

impl SourceKind {
    /// Every variant.
    pub const ALL: [SourceKind; 2] = [SourceKind::Events, SourceKind::State];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            SourceKind::Events => "events",
            SourceKind::State => "state",
        }
    }
}

/// Where rows come from: Parquet files, usually in hive partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Folder (or one file) with the Parquet files, absolute or relative to the working directory of the process.
    pub path: PathBuf,
    /// What a row is.
    pub kind: SourceKind,
    /// Column with the event time.
    pub event_time: String,
    /// Column with the created time.
    pub created_time: Option<String>,
    /// Column with the position in the source's log (int64).
    pub sequence: Option<String>,
    /// IANA time zone in which timestamps without a zone are read; without it they are refused.
    pub timezone: Option<String>,
    /// Hive column that holds the day of the event time, as `YYYY-MM-DD` (UTC, or the local day in `timezone`). Without it every file is read.
    pub partition: Option<String>,
    /// For people; may be empty.
    pub description: String,
}

/// Whether a feature row at exactly the label's time counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// `event_time <= T`.
    AtOrBefore,
    /// `event_time < T`.
    Before,
}

impl AsOf {
    /// Every variant.
    pub const ALL: [AsOf; 2] = [AsOf::AtOrBefore, AsOf::Before];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            AsOf::AtOrBefore => "at_or_before",
            AsOf::Before => "before",
        }
    }
}

/// What "known by T" means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownBy {
    /// `created_time <= T`.
    Created,
    /// The time at which Tandem made the row visible, at most T.
    Published,
    /// Only the event time counts.
    Event,
}

impl KnownBy {
    /// Every variant.
    pub const ALL: [KnownBy; 3] = [KnownBy::Created, KnownBy::Published, KnownBy::Event];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            KnownBy::Created => "created",
            KnownBy::Published => "published",
            KnownBy::Event => "event",
        }
    }
}

/// What becomes of a row whose transform fails in batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The run stops, nothing of the partition is published.
    Fail,
    /// The row is set aside with its error, the others are published.
    Quarantine,
}

impl OnError {
    /// Every variant.
    pub const ALL: [OnError; 2] = [OnError::Fail, OnError::Quarantine];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            OnError::Fail => "fail",
            OnError::Quarantine => "quarantine",
        }
    }
}

/// How the engine treats NaN inside a transform. At the boundary NaN is canonical either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NanMode {
    /// At the boundary only.
    Boundary,
    /// After every floating-point instruction, at about three times the cost of float loops.
    Strict,
}

impl NanMode {
    /// Every variant.
    pub const ALL: [NanMode; 2] = [NanMode::Boundary, NanMode::Strict];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            NanMode::Boundary => "boundary",
            NanMode::Strict => "strict",
        }
    }
}

/// Where an input of a transform comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// A column of the source.
    Column(String),
    /// The instant for which the value is asked: the row's event time in batch, the clock online.
    AsOf,
}

/// A feature view: a transform over a source, keyed by entities, as defined (not yet bound to its component).
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureView {
    /// Its name.
    pub name: String,
    /// Its version, from 1; what a version means never changes.
    pub version: u32,
    /// Where its rows come from.
    pub source: Arc<Source>,
    /// The entities that key it, at least one.
    pub entities: Vec<Arc<Entity>>,
    /// The component file.
    pub component: PathBuf,
    /// Parameters of the transform.
    pub parameters: Parameters,
    /// Inputs that do not come from the column of their own name. An input `as_of` is always [`InputSource::AsOf`].
    pub inputs: BTreeMap<String, InputSource>,
    /// Join keys whose column in the source has another name: join key to column.
    pub key_columns: BTreeMap<String, String>,
    /// How long after its event time a row is served and joined.
    pub ttl: Option<Duration>,
    /// Whether a row at exactly T counts.
    pub as_of: AsOf,
    /// What "known by T" means.
    pub known_by: KnownBy,
    /// What becomes of rows that fail in batch.
    pub on_error: OnError,
    /// NaN inside the transform.
    pub nan: NanMode,
    /// Limits of calls into the transform.
    pub limits: TransformLimits,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// For people; may be empty.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl FeatureView {
    /// The join keys of all entities, in order.
    pub fn join_keys(&self) -> impl Iterator<Item = &JoinKey> {
        self.entities.iter().flat_map(|entity| &entity.join_keys)
    }

    /// The source's column for a join key.
    pub fn key_column<'a>(&'a self, join_key: &'a str) -> &'a str {
        self.key_columns.get(join_key).map_or(join_key, String::as_str)
    }

    /// Where the input `name` comes from.
    pub fn input_source(&self, name: &str) -> InputSource {
        if name == crate::types::AS_OF {
            return InputSource::AsOf;
        }
        self.inputs.get(name).cloned().unwrap_or_else(|| InputSource::Column(name.to_owned()))
    }
}

/// A view's name and version in `name` or `name@version`. None where what follows the `@` is no version.
pub fn parse_view_reference(text: &str) -> Option<(&str, Option<u32>)> {
    match text.split_once('@') {
        None => Some((text, None)),
        Some((name, version)) if version.bytes().all(|byte| byte.is_ascii_digit()) => {
            version.parse().ok().map(|version| (name, Some(version)))
        }
        Some(_) => None,
    }
}

/// A view bound to its component: what batch, store and server are given.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundView {
    /// The definition.
    pub view: FeatureView,
    /// What the component declares under the view's parameters.
    pub signature: Signature,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// Hash over everything that can change a value.
    pub definition_hash: Digest,
}

/// Everything that a project's files say, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// How it runs: `tandem.toml`.
    pub settings: Settings,
    /// All entities, sorted by name.
    pub entities: Vec<Arc<Entity>>,
    /// All sources, sorted by name.
    pub sources: Vec<Arc<Source>>,
    /// All versions of all feature views, sorted by name and version.
    pub views: Vec<FeatureView>,
}

impl Project {
    /// A view by its name: this version of it, or the greatest where none is asked for.
    pub fn view(&self, name: &str, version: Option<u32>) -> Option<&FeatureView> {
        let named = |view: &&FeatureView| view.name == name && version.is_none_or(|version| view.version == version);
        self.views.iter().rfind(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_references_are_decimal() {
        assert_eq!(parse_view_reference("risk"), Some(("risk", None)));
        assert_eq!(parse_view_reference("risk@2"), Some(("risk", Some(2))));
        for wrong in ["risk@", "risk@x", "risk@+2", "risk@1@2", "risk@4294967296"] {
            assert_eq!(parse_view_reference(wrong), None, "{wrong}");
        }
    }
}
