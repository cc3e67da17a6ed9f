//! What definitions mean once they are checked. [`crate::definition`] makes these; nothing here is unchecked.

mod check;
mod column;
mod component;
mod contract;
mod reference;
mod service;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub use check::{Allowed, Check, CheckAction, Expected};
pub use column::ColumnFeature;
pub use component::{BoundComponent, Code, CodeError, EventTransform, MappedEvents};
pub use contract::{ColumnContract, SourceContract};
pub use reference::{NotAReference, Selector, ViewReference, ViewVersion};
pub use service::{Alias, FeatureService, Required, ServiceFeatures, Share};

use arrow_array::RecordBatch;

use crate::defaults::Defaults;
use crate::definition::Settings;
use crate::hash::{Digest, aggregates_digest, columns_digest};
use crate::limits::TransformLimits;
use crate::parameter::Parameters;
use crate::time::{Day, Duration};
use crate::types::{DataType, Field, Signature, VALID_TO};
use crate::window::{AggregateFunction, Aggregates, EventColumn, Grid};

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

/// What becomes of published rows when their partition is computed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Rows that changed are added, and those that they replace still count for the labels of their time.
    Append,
    /// Rows that changed replace those that were there.
    Replace,
}

impl History {
    /// Every variant.
    pub const ALL: [History; 2] = [History::Append, History::Replace];

    /// Its word in definition files; part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            History::Append => "append",
            History::Replace => "replace",
        }
    }
}

/// What becomes of a row whose transform fails in batch, or that breaks the contract of its source.
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

/// How long an instance lives that answers requests on demand. It changes no value: a component is proved to give the same bits in an
/// instance that was used before, or it is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceMode {
    /// One call: nothing can pass from one call to another.
    PerCall,
    /// Several calls, as many as a proof covers; what is registered only.
    Reused,
}

impl InstanceMode {
    /// Every variant.
    pub const ALL: [InstanceMode; 2] = [InstanceMode::PerCall, InstanceMode::Reused];

    /// Its word in definition files; not part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            InstanceMode::PerCall => "per_call",
            InstanceMode::Reused => "reused",
        }
    }
}

/// How far a version may be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// May be removed at any time; nothing in production may use it.
    Experimental,
    /// Relied on.
    Production,
    /// Still served; whoever uses it is told to move on.
    Deprecated,
}

impl Stage {
    /// Every variant.
    pub const ALL: [Stage; 3] = [Stage::Experimental, Stage::Production, Stage::Deprecated];

    /// Its word in definition files. Never part of the definition hash.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Experimental => "experimental",
            Stage::Production => "production",
            Stage::Deprecated => "deprecated",
        }
    }
}

/// What users of a deprecated version are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deprecation {
    /// From which day on it should not be used.
    pub since: Day,
    /// What to use instead.
    pub replacement: Option<ViewVersion>,
}

/// Hive column of the rows that an aggregate view publishes on its grid: their day, in UTC.
pub const GRID_PARTITION: &str = "date";

/// Where the rows of a view come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewSource {
    /// A `[[source]]`.
    Files(Arc<Source>),
    /// What another stored view published.
    View(Arc<PublishedRows>),
    /// The request, or the label row: an on-demand view. It has no `ttl`, no `known_by`, no `as_of` and no key columns; those
    /// fields have the values [`None`], [`KnownBy::Event`], [`AsOf::AtOrBefore`] and empty; its `history` is [`History::Append`].
    Request,
}

/// The published rows of a stored view, as the source of another. Its columns are the view's join keys, its features,
/// `event_time` and, where there are any, `created_time` and `sequence`. All that is here follows from the view.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedRows {
    /// The view.
    pub view: ViewVersion,
    /// What a row is.
    pub kind: SourceKind,
    /// Whether rows have a created time.
    pub created_time: bool,
    /// Whether rows have a sequence.
    pub sequence: bool,
    /// Whether its source has event ids, so that its rows may be superseded.
    pub event_ids: bool,
    /// The zone of the partitions' days; timestamps are UTC all the same.
    pub timezone: Option<String>,
    /// Hive column with the day of the event time. Without it every file is read.
    pub partition: Option<String>,
}

impl PublishedRows {
    /// The rows that `view` publishes; None if it is computed on demand. Those of an aggregate view on its grid are the states of its entities: each has what was
    /// known at its time, so none has a time at which it became known.
    pub fn of(view: &FeatureView) -> Option<Self> {
        if view.grid().is_some() {
            return Some(PublishedRows {
                view: view.id(),
                kind: SourceKind::State,
                created_time: false,
                sequence: false,
                event_ids: false,
                timezone: None,
                partition: Some(GRID_PARTITION.to_owned()),
            });
        }
        let timezone = match &view.source {
            ViewSource::Files(source) => source.timezone.clone(),
            ViewSource::View(rows) => rows.timezone.clone(),
            ViewSource::Request => None,
        };
        Some(PublishedRows {
            view: view.id(),
            kind: view.source.kind()?,
            created_time: view.source.has_created_time(),
            sequence: view.source.has_sequence(),
            event_ids: view.source.has_event_ids(),
            timezone,
            partition: view.source.partition().map(str::to_owned),
        })
    }
}

impl ViewSource {
    /// The files, if it is files.
    pub fn files(&self) -> Option<&Arc<Source>> {
        match self {
            ViewSource::Files(source) => Some(source),
            ViewSource::View(_) | ViewSource::Request => None,
        }
    }

    /// What a row is; None for a request.
    pub fn kind(&self) -> Option<SourceKind> {
        match self {
            ViewSource::Files(source) => Some(source.kind),
            ViewSource::View(rows) => Some(rows.kind),
            ViewSource::Request => None,
        }
    }

    /// Whether rows tell when they end.
    pub fn has_valid_to(&self) -> bool {
        self.kind() == Some(SourceKind::Dimension)
    }

    /// Hive column with the day of the event time.
    pub fn partition(&self) -> Option<&str> {
        match self {
            ViewSource::Files(source) => source.partition.as_deref(),
            ViewSource::View(rows) => rows.partition.as_deref(),
            ViewSource::Request => None,
        }
    }

    /// Whether rows have a created time.
    pub fn has_created_time(&self) -> bool {
        match self {
            ViewSource::Files(source) => source.created_time.is_some(),
            ViewSource::View(rows) => rows.created_time,
            ViewSource::Request => false,
        }
    }

    /// Whether rows have a sequence.
    pub fn has_sequence(&self) -> bool {
        match self {
            ViewSource::Files(source) => source.sequence.is_some(),
            ViewSource::View(rows) => rows.sequence,
            ViewSource::Request => false,
        }
    }

    /// Whether rows may be superseded by later versions of their event.
    pub fn has_event_ids(&self) -> bool {
        match self {
            ViewSource::Files(source) => source.event_id.is_some(),
            ViewSource::View(rows) => rows.event_ids,
            ViewSource::Request => false,
        }
    }

    /// Its name in messages: "source `transactions`", "feature view `spend@1`", "the request".
    pub fn what(&self) -> String {
        match self {
            ViewSource::Files(source) => format!("source `{}`", source.name),
            ViewSource::View(rows) => format!("feature view `{}`", rows.view),
            ViewSource::Request => "the request".to_owned(),
        }
    }
}

/// Where an input of a transform comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// A column of the source; of an on-demand view: of the request.
    Column(String),
    /// The instant for which the value is asked: the row's event time in batch, the clock online.
    AsOf,
    /// A feature of another view, for the same entities at the same instant. On-demand views only.
    Feature {
        /// The view.
        view: ViewVersion,
        /// The feature.
        feature: String,
    },
    /// The event time of the row of a stored view that is served for the same entities at the same instant. On-demand views only.
    EventTime {
        /// The view.
        view: ViewVersion,
    },
}

impl InputSource {
    /// The view that it reads.
    pub fn view(&self) -> Option<&ViewVersion> {
        match self {
            InputSource::Column(_) | InputSource::AsOf => None,
            InputSource::Feature { view, .. } | InputSource::EventTime { view } => Some(view),
        }
    }
}

/// A feature view: a transform over a source, keyed by entities, as defined (not yet bound to its component).
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureView {
    /// Its name.
    pub name: String,
    /// Its version, from 1; what a version means never changes.
    pub version: u32,
    /// How far it may be relied on.
    pub stage: Stage,
    /// What its users are told; there if, and only if, the stage is [`Stage::Deprecated`].
    pub deprecation: Option<Deprecation>,
    /// Where its rows come from.
    pub source: ViewSource,
    /// The entities that key it: at least one for a stored view; those of all upstream views, and maybe more, for an on-demand view.
    pub entities: Vec<Arc<Entity>>,
    /// The component file; empty for a view of columns. Of an aggregate view the one that makes its events of the source's rows, if it is not empty.
    pub component: PathBuf,
    /// Its features, where they are columns of its source as they are; empty for a view with a component. A view of columns has a source of files, no
    /// parameters, the limits' defaults, and an input for each feature.
    pub columns: Vec<ColumnFeature>,
    /// Its features, where they are aggregates of the events of its source; None for every other view. An aggregate view has a source of events in files, no
    /// ttl, an input for each column of the events (or, with a component, that one's inputs), and an `as_of` that follows from the bounds.
    pub aggregates: Option<Arc<Aggregates>>,
    /// Parameters of the transform.
    pub parameters: Parameters,
    /// Inputs that do not come from the column of their own name. An input `as_of` is always [`InputSource::AsOf`].
    pub inputs: BTreeMap<String, InputSource>,
    /// Join keys whose column in the source has another name: join key to column.
    pub key_columns: BTreeMap<String, String>,
    /// How long after its event time a row is served and joined.
    pub ttl: Option<Duration>,
    /// How long after its event time a row is as fresh as it should be; it is served past that, and told as stale. Less than the ttl. It changes no value.
    pub freshness: Option<Duration>,
    /// Whether a row at exactly T counts.
    pub as_of: AsOf,
    /// What "known by T" means.
    pub known_by: KnownBy,
    /// What becomes of published rows when their partition is computed again.
    pub history: History,
    /// Under [`KnownBy::Published`]: a row counts offline as published so long after its event time, whenever it really was.
    pub publish_delay: Option<Duration>,
    /// Values that stand in for features that have none, in the form of [`crate::json`]: feature to value. Never null, never an object.
    pub defaults: BTreeMap<String, serde_json::Value>,
    /// What becomes of rows that fail in batch.
    pub on_error: OnError,
    /// NaN inside the transform.
    pub nan: NanMode,
    /// How long an instance lives that answers requests.
    pub instance: InstanceMode,
    /// Limits of calls into the transform.
    pub limits: TransformLimits,
    /// What is expected of the rows that it publishes. None of an on-demand view.
    pub checks: Vec<Check>,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// For people; may be empty.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

impl FeatureView {
    /// Its name and version.
    pub fn id(&self) -> ViewVersion {
        ViewVersion::new(&self.name, self.version)
    }

    /// Whether its rows are computed in batch and stored, and not made of requests.
    pub fn is_stored(&self) -> bool {
        !matches!(self.source, ViewSource::Request)
    }

    /// Whether its features are columns of its source: it has no component, and nothing is computed or published in batch.
    pub fn is_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// Whether its features are aggregates of events over windows.
    pub fn is_aggregates(&self) -> bool {
        self.aggregates.is_some()
    }

    /// The instants at which batch publishes rows of an aggregate view; None of one that publishes none, and of every other view.
    pub fn grid(&self) -> Option<Grid> {
        self.aggregates.as_ref()?.every
    }

    /// Hive column of its published rows with the day of the event time.
    pub fn published_partition(&self) -> Option<&str> {
        if self.grid().is_some() { Some(GRID_PARTITION) } else { self.source.partition() }
    }

    /// Whether a component computes its features, row by row.
    pub fn has_component(&self) -> bool {
        !self.is_columns() && !self.is_aggregates()
    }

    /// Whether its features are aggregates of events that a component makes of the rows of its source.
    pub fn has_event_transform(&self) -> bool {
        self.is_aggregates() && !self.component.as_os_str().is_empty()
    }

    /// The files of the components that an aggregate view runs; none of every other view.
    pub fn event_components(&self) -> Vec<&PathBuf> {
        let functions = self.aggregates.iter().flat_map(|aggregates| &aggregates.functions);
        let functions = functions.map(|function| &function.component);
        self.has_event_transform().then_some(&self.component).into_iter().chain(functions).collect()
    }

    /// Puts other files in the place of [`FeatureView::event_components`], in their order.
    pub fn set_event_components(&mut self, files: Vec<PathBuf>) {
        let mut files = files.into_iter();
        if self.has_event_transform()
            && let Some(file) = files.next()
        {
            self.component = file;
        }
        if let Some(aggregates) = &mut self.aggregates
            && !aggregates.functions.is_empty()
        {
            let functions = &mut Arc::make_mut(aggregates).functions;
            functions.iter_mut().zip(files).for_each(|(function, file)| function.component = file);
        }
    }

    /// Whether it calls components with its limits.
    pub fn runs_components(&self) -> bool {
        self.has_component() || !self.event_components().is_empty()
    }

    /// What stands for the declaration of a component, and for its digest, in a view of columns or of aggregates: the digest of what the view says of them.
    /// None for a view with a component.
    pub fn declared(&self) -> Option<(Signature, Digest)> {
        self.declared_with(&[])
    }

    /// The same of an aggregate view and its components, in the order of [`FeatureView::event_components`].
    pub fn declared_with(&self, components: &[BoundComponent]) -> Option<(Signature, Digest)> {
        if let Some(aggregates) = &self.aggregates {
            let mut signature = aggregates.signature();
            if self.has_event_transform() {
                signature.inputs = components.first().map_or_else(Vec::new, |one| one.signature.inputs.clone());
            }
            let digests: Vec<Digest> = components.iter().map(|component| component.digest).collect();
            return Some((signature, aggregates_digest(aggregates, &digests)));
        }
        self.is_columns().then(|| (ColumnFeature::signature(&self.columns), columns_digest(&self.columns)))
    }

    /// The events of an aggregate view as the rows of a view of columns, with a feature for each column, or, where there is none, one with the event time.
    /// Behind them stand, where the source has them, the event's id ([`crate::types::EVENT_ID`]) and its retraction ([`crate::types::RETRACTED`]): rows are
    /// versions of events, of which [`crate::versions::ends`] says when each counts. Where a component makes the events, the inputs are that one's, and these two,
    /// and the other columns name its outputs. None for every other view.
    pub fn events(&self) -> Option<FeatureView> {
        let aggregates = self.aggregates.as_ref()?;
        let source = self.source.files()?;
        let feature = |column: &EventColumn| ColumnFeature {
            name: column.name.clone(),
            column: column.column.clone(),
            data_type: column.data_type,
            description: String::new(),
        };
        let mut columns: Vec<ColumnFeature> = aggregates.columns.iter().map(feature).collect();
        if columns.is_empty() {
            columns.push(ColumnFeature {
                name: crate::types::EVENT_TIME.to_owned(),
                column: source.event_time.clone(),
                data_type: DataType::Timestamp,
                description: String::new(),
            });
        }
        let mut inputs = match self.has_event_transform() {
            true => self.inputs.clone(),
            false => columns
                .iter()
                .map(|feature| (feature.name.clone(), InputSource::Column(feature.column.clone())))
                .collect(),
        };
        let mut source = Source::clone(source);
        let id_type = source.event_id.as_ref().map(|column| self.event_id_type(&source, column, &columns));
        let of_source = [
            (crate::types::EVENT_ID, source.event_id.take(), id_type),
            (crate::types::RETRACTED, source.retracted.take(), Some(DataType::Boolean)),
        ];
        for (name, column, data_type) in of_source {
            let (Some(column), Some(data_type)) = (column, data_type) else { continue };
            inputs.insert(name.to_owned(), InputSource::Column(column.clone()));
            columns.push(ColumnFeature { name: name.to_owned(), column, data_type, description: String::new() });
        }
        let source = ViewSource::Files(Arc::new(source));
        Some(FeatureView { source, columns, inputs, aggregates: None, defaults: BTreeMap::new(), ..self.clone() })
    }

    /// As what an event's id is read: as the column is read otherwise, or promised; else as text, to which integers and bytes are written.
    fn event_id_type(&self, source: &Source, column: &str, columns: &[ColumnFeature]) -> DataType {
        // The columns of a component's events are its outputs.
        let columns = if self.has_event_transform() { &[] } else { columns };
        let of_view = columns.iter().find(|feature| feature.column == column).map(|feature| feature.data_type);
        let of_key = || self.join_keys().find(|key| self.key_column(&key.name) == column).map(|key| key.data_type);
        let promised = || source.contract.columns.iter().find(|one| one.name == column).map(|one| one.data_type);
        of_view.or_else(of_key).or_else(promised).unwrap_or(DataType::String)
    }

    /// The views that it reads, each once: the one whose rows are its source, then those of its inputs in the order of the inputs' names.
    pub fn upstream(&self) -> Vec<&ViewVersion> {
        let source = match &self.source {
            ViewSource::View(rows) => Some(&rows.view),
            ViewSource::Files(_) | ViewSource::Request => None,
        };
        let mut found: Vec<&ViewVersion> = Vec::new();
        for view in source.into_iter().chain(self.inputs.values().filter_map(InputSource::view)) {
            if !found.contains(&view) {
                found.push(view);
            }
        }
        found
    }

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

/// A view bound to its component: what batch, store and server are given.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundView {
    /// The definition.
    pub view: FeatureView,
    /// What the component declares under the view's parameters.
    pub signature: Signature,
    /// SHA-256 of the component; of a view of columns what [`FeatureView::declared`] says.
    pub digest: Digest,
    /// Hash over everything that can change a value.
    pub definition_hash: Digest,
    /// The view's defaults, typed.
    pub defaults: Defaults,
    /// The views that it reads, bound, in the order of [`FeatureView::upstream`].
    pub upstream: Vec<Arc<BoundView>>,
    /// Of an aggregate view the components that it runs, in the order of [`FeatureView::event_components`]; none of every other view.
    pub components: Vec<BoundComponent>,
}

impl BoundView {
    /// The events of an aggregate view, bound as the view of columns that [`FeatureView::events`] makes of them.
    pub fn events(&self) -> Option<BoundView> {
        let view = self.view.events()?;
        let (mut signature, _) = view.declared()?;
        let transform = self.components.first().filter(|_| self.view.has_event_transform());
        if let Some(transform) = transform {
            signature.inputs.clone_from(&transform.signature.inputs);
            // The component has no such inputs: what is read is passed on.
            let passed = signature.outputs.iter().filter(|output| crate::types::is_of_source(&output.name));
            signature.inputs.extend(passed.cloned());
        }
        // What is read for a view is named as the view is.
        let BoundView { digest, definition_hash, .. } = *self;
        Some(BoundView {
            view,
            signature,
            digest,
            definition_hash,
            defaults: Defaults::default(),
            upstream: Vec::new(),
            components: transform.cloned().into_iter().collect(),
        })
    }

    /// Its aggregates' functions that are components, as far as they are loaded, in the order of [`Aggregates::functions`].
    pub fn functions(&self) -> Vec<Arc<dyn AggregateFunction>> {
        let before = usize::from(self.view.has_event_transform());
        let code = self.components.iter().skip(before).map_while(|component| match &component.code {
            Code::Function(function) => Some(Arc::clone(function)),
            Code::NotLoaded | Code::Events(_) => None,
        });
        code.collect()
    }

    /// The view of its component: itself, or of an aggregate view the component that makes its events, as a view of its own. None where there is no
    /// component that computes row by row.
    pub fn row_function(self: &Arc<Self>) -> Option<Arc<BoundView>> {
        if self.view.has_component() {
            return Some(Arc::clone(self));
        }
        let BoundComponent { signature, digest, .. } =
            self.components.first().filter(|_| self.view.has_event_transform())?;
        let view =
            FeatureView { aggregates: None, columns: Vec::new(), defaults: BTreeMap::new(), ..self.view.clone() };
        Some(Arc::new(BoundView {
            view,
            signature: signature.clone(),
            digest: *digest,
            definition_hash: self.definition_hash,
            defaults: Defaults::default(),
            upstream: Vec::new(),
            components: Vec::new(),
        }))
    }

    /// Whether this is the events of an aggregate view ([`BoundView::events`]) that a component makes: what is read of the source are its inputs.
    pub fn maps_events(&self) -> bool {
        self.view.is_columns() && !self.components.is_empty()
    }

    /// The events of rows with a column for each input, where [`BoundView::maps_events`]: a column for each output. An input that the component does not have
    /// is passed on as the output of its name. Blocking.
    ///
    /// # Errors
    ///
    /// What is no row's fault, and code that was not loaded.
    pub fn map_events(&self, inputs: &RecordBatch) -> Result<MappedEvents, CodeError> {
        let Some(BoundComponent { signature, code: Code::Events(transform), .. }) = self.components.first() else {
            return Err(CodeError(format!("the component of feature view `{}` is not loaded", self.view.name).into()));
        };
        let arrow = |error: arrow_schema::ArrowError| CodeError(Box::new(error));
        let own: Vec<usize> = (0..signature.inputs.len()).collect();
        let mapped = transform.apply(&inputs.project(&own).map_err(arrow)?)?;
        let column = |feature: &ColumnFeature| {
            let output = signature.outputs.iter().position(|output| output.name == feature.column);
            let passed = self.signature.inputs.iter().skip(own.len()).position(|input| input.name == feature.name);
            let made = output.filter(|_| !crate::types::is_of_source(&feature.name));
            let made = made.and_then(|output| mapped.outputs.get(output));
            let found = made.or_else(|| inputs.columns().get(own.len() + passed?));
            found.cloned().ok_or_else(|| CodeError(format!("the component has no output `{}`", feature.column).into()))
        };
        let outputs = self.view.columns.iter().map(column).collect::<Result<_, _>>()?;
        Ok(MappedEvents { outputs, failures: mapped.failures })
    }

    /// The values of a stored row: its features, and behind them the end of its validity where its source tells one.
    pub fn stored_fields(&self) -> Cow<'_, [Field]> {
        let features = &self.signature.outputs[..];
        match self.view.source.has_valid_to() {
            false => Cow::Borrowed(features),
            true => Cow::Owned([features, &[Field::new(VALID_TO, DataType::Timestamp, true)]].concat()),
        }
    }
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
    /// All feature services, sorted by name.
    pub services: Vec<FeatureService>,
    /// All aliases, sorted by view and name.
    pub aliases: Vec<Alias>,
}

impl Project {
    /// The view that is meant.
    pub fn view(&self, reference: &ViewReference) -> Option<&FeatureView> {
        match &reference.selector {
            Selector::Latest => self.views.iter().rfind(|view| view.name == reference.name),
            Selector::Version(version) => self.version(&ViewVersion::new(&reference.name, *version)),
            Selector::Alias(name) => {
                let alias = self.aliases.iter().find(|alias| alias.view == reference.name && alias.name == *name)?;
                self.version(&alias.target())
            }
        }
    }

    /// The view and all that it reads, directly or through others, each once and after what it reads itself; so the view is the last.
    pub fn with_upstream<'a>(&'a self, view: &'a FeatureView) -> Vec<&'a FeatureView> {
        let mut ordered = Vec::new();
        let mut done = BTreeSet::new();
        // Each view is met twice: first to put what it reads before it, then to take its place.
        let mut waiting = vec![(view, false)];
        while let Some((view, is_ready)) = waiting.pop() {
            if done.contains(&(&view.name, view.version)) {
                continue;
            }
            if is_ready {
                done.insert((&view.name, view.version));
                ordered.push(view);
                continue;
            }
            waiting.push((view, true));
            waiting
                .extend(view.upstream().into_iter().rev().filter_map(|id| self.version(id)).map(|view| (view, false)));
        }
        ordered
    }

    /// This version.
    pub fn version(&self, id: &ViewVersion) -> Option<&FeatureView> {
        let found = self.views.binary_search_by(|view| (&view.name, view.version).cmp(&(&id.name, id.version)));
        found.ok().map(|index| &self.views[index])
    }
}
